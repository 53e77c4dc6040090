//! `derivative`: the rate of change (flux-semantics 9.5).

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, columns_or_value, transform, unit_ns};
use crate::operators::Derivative;

/// `derivative`.
pub static DERIVATIVE: Builtin = Builtin {
    package: PRELUDE,
    name: "derivative",
    signature: "(<-tables: stream[A], ?unit: duration, ?nonNegative: bool, ?columns: [string], ?timeColumn: string, \
                ?initialZero: bool) => stream[B] where A: Record, B: Record",
    doc: "The change per unit (default 1s) from row to row, as floats; the first row goes, and rows that repeat a time. \
          With nonNegative a decrease gives null, with initialZero zero.",
    examples: &["import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, _value: 1}, {_time: \
                 2024-01-01T00:00:10Z, _value: 6}])\n    |> derivative(unit: 1m)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let unit_ns = unit_ns(call, "unit")?;
    if unit_ns == 0 {
        return Err(Error::invalid("derivative needs a unit other than zero"));
    }
    let derivative = Derivative {
        unit_ns,
        non_negative: call.bool_or("nonNegative", false)?,
        columns: columns_or_value(call)?,
        time_column: call.optional_string("timeColumn")?.unwrap_or_else(|| "_time".into()),
        initial_zero: call.bool_or("initialZero", false)?,
    };
    Ok(transform(derivative, tables, call))
}
