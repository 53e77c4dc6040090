//! `fill`: something in the place of nulls (flux-semantics 9.3).

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Fill;
use crate::table::Cell;

/// `fill`.
pub static FILL: Builtin = Builtin {
    package: PRELUDE,
    name: "fill",
    signature: "(<-tables: stream[A], ?column: string, ?value: B, ?usePrevious: bool) => stream[C] \
                where A: Record, C: Record",
    doc: "Puts a value, or the one of the row before, in the place of nulls of a column (default _value).",
    examples: &[
        "from(bucket: \"example\")\n    |> range(start: -1h)\n    |> aggregateWindow(every: 5m, fn: mean)\n    \
                 |> fill(value: 0.0)",
    ],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    let use_previous = match call.optional("usePrevious") {
        None => None,
        Some(_) => Some(call.bool_or("usePrevious", false)?),
    };
    let fill = match (call.optional("value"), use_previous) {
        (Some(value), None) => Fill::with_value(column, cell(value)?)?,
        (None, Some(true)) => Fill::with_previous(column),
        _ => {
            return Err(Error::invalid("fill requires exactly one of value or usePrevious")
                .with_hint("fill(value: 0.0) or fill(usePrevious: true)"));
        }
    };
    Ok(transform(fill, tables, call))
}

fn cell(value: &Value) -> Result<Cell<'_>> {
    Ok(match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Bool(*value),
        Value::Int(value) => Cell::Int(*value),
        Value::UInt(value) => Cell::UInt(*value),
        Value::Float(value) => Cell::Float(*value),
        Value::String(value) => Cell::String(value),
        Value::Time(value) => Cell::Time(*value),
        other => {
            let message = "value type for fill must be a valid primitive type (bool, int, uint, float, string, time)";
            return Err(Error::invalid(format!("{message}, found {}", other.type_name())));
        }
    })
}
