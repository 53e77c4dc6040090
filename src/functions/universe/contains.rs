//! `contains` and `length`: of arrays (flux-semantics 12.6).
//!
//! Plain value functions; they run no stream.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::flux::scalar::equal_values;
use crate::functions::arguments::Arguments;

/// `contains`.
pub static CONTAINS: Builtin = Builtin {
    package: PRELUDE,
    name: "contains",
    signature: "(value: A, set: [A]) => bool where A: Nullable",
    doc: "Whether the value is one of the array's.",
    examples: &["import \"array\"\n\narray.from(rows: [{b: contains(value: \"b\", set: [\"b\", \"c\"])}])"],
    body: contains,
};

/// `length`.
pub static LENGTH: Builtin = Builtin {
    package: PRELUDE,
    name: "length",
    signature: "(<-arr: [A]) => int",
    doc: "How many values an array has.",
    examples: &["import \"array\"\n\narray.from(rows: [{n: length(arr: [1, 2, 3])}])"],
    body: length,
};

fn contains(call: &mut Call<'_>) -> Result<Value> {
    let set = call.array("set")?;
    let value = call.required("value")?;
    Ok(Value::Bool(set.iter().any(|item| equal_values(item, value))))
}

fn length(call: &mut Call<'_>) -> Result<Value> {
    Ok(Value::Int(call.array("arr")?.len() as i64))
}
