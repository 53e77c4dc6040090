//! `toBool`, `toFloat`, `toInt`, `toString`, `toTime`, `toUInt`: `_value` as another type (flux-semantics 9.9).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Convert;
use crate::table::ColumnType;

const fn to(
    name: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    let signature = "(<-tables: stream[A]) => stream[B] where A: Record, B: Record";
    Builtin { package: PRELUDE, name, signature, doc, examples, body }
}

/// `toBool`.
pub static TO_BOOL: Builtin = to(
    "toBool",
    "Makes _value a boolean, as bool() does it.",
    &["import \"array\"\n\narray.from(rows: [{_value: \"true\"}])\n    |> toBool()"],
    |call| body(call, ColumnType::Bool),
);

/// `toFloat`.
pub static TO_FLOAT: Builtin = to(
    "toFloat",
    "Makes _value a float, as float() does it.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1}])\n    |> toFloat()"],
    |call| body(call, ColumnType::Float),
);

/// `toInt`.
pub static TO_INT: Builtin = to(
    "toInt",
    "Makes _value an integer, as int() does it.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1.5}])\n    |> toInt()"],
    |call| body(call, ColumnType::Int),
);

/// `toString`.
pub static TO_STRING: Builtin = to(
    "toString",
    "Makes _value a string, as string() does it.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1.5}])\n    |> toString()"],
    |call| body(call, ColumnType::String),
);

/// `toTime`.
pub static TO_TIME: Builtin = to(
    "toTime",
    "Makes _value a time, as time() does it.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1704067200000000000}])\n    |> toTime()"],
    |call| body(call, ColumnType::Time),
);

/// `toUInt`.
pub static TO_UINT: Builtin = to(
    "toUInt",
    "Makes _value an unsigned integer, as uint() does it.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1}])\n    |> toUInt()"],
    |call| body(call, ColumnType::UInt),
);

fn body(call: &mut Call<'_>, to: ColumnType) -> Result<Value> {
    let tables = call.stream("tables")?;
    Ok(transform(Convert { to }, tables, call))
}
