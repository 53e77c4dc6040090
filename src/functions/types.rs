//! Package `types`: `types.isType`, `types.isNumeric` (flux-semantics 12.6).
//!
//! In a row function they split streams whose `_value` has several types.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::Arguments;

const PACKAGE: &str = "types";

static IS_TYPE: Builtin = Builtin {
    package: PACKAGE,
    name: "isType",
    signature: "(v: A, type: string) => bool",
    doc: "Whether the value is of the basic type of that name: bool, int, uint, float, string, time, duration, bytes, regexp.",
    examples: &["import \"array\"\nimport \"types\"\n\narray.from(rows: [{v: types.isType(v: 1.5, type: \"float\")}])"],
    body: is_type,
};

static IS_NUMERIC: Builtin = Builtin {
    package: PACKAGE,
    name: "isNumeric",
    signature: "(v: A) => bool",
    doc: "Whether the value is an int, uint or float.",
    examples: &["import \"array\"\nimport \"types\"\n\narray.from(rows: [{v: types.isNumeric(v: \"1\")}])"],
    body: is_numeric,
};

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: vec![&IS_NUMERIC, &IS_TYPE], ..Package::default() }
}

fn is_type(call: &mut Call<'_>) -> Result<Value> {
    let name = call.string("type")?;
    let value = call.required("v")?;
    let basic = !matches!(
        value,
        Value::Null
            | Value::Array(_)
            | Value::Dict(_)
            | Value::Record(_)
            | Value::Function(_)
            | Value::Stream(_)
            | Value::Dynamic(_)
            | Value::Table(_)
    );
    Ok(Value::Bool(basic && value.type_name() == &*name))
}

fn is_numeric(call: &mut Call<'_>) -> Result<Value> {
    let value = call.required("v")?;
    Ok(Value::Bool(matches!(value, Value::Int(_) | Value::UInt(_) | Value::Float(_))))
}
