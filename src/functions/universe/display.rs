//! `display`: any value as text.

use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::PRELUDE;
use crate::flux::scalar;

/// `display`.
pub static DISPLAY: Builtin = Builtin {
    package: PRELUDE,
    name: "display",
    signature: "(v: A) => string",
    doc: "Any value as text, composite ones too: records by property, bytes in hexadecimal, null as <null>.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: display(v: {b: [1, 2], a: \"x\"})}])"],
    body: |call| Ok(Value::string(scalar::display(call.required("v")?))),
};
