//! `movingAverage`: the mean of the last rows.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::MovingAverage;

/// `movingAverage`.
pub static MOVING_AVERAGE: Builtin = Builtin {
    package: PRELUDE,
    name: "movingAverage",
    signature: "(<-tables: stream[{B with _value: A}], n: int) => stream[{B with _value: float}] where A: Numeric",
    doc: "The mean of _value over the last n rows, from the n-th row of each table on; nulls are left out of it.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 3}, {_value: 8}])\n    |> \
                 movingAverage(n: 2)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    Ok(transform(MovingAverage::new(call.int("n")?)?, tables, call))
}
