//! `elapsed`: the time since the row before (flux-semantics 9.6).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Elapsed;
use crate::time::Duration;
use crate::time::calendar::SECOND_NS;

/// `elapsed`.
pub static ELAPSED: Builtin = Builtin {
    package: PRELUDE,
    name: "elapsed",
    signature: "(<-tables: stream[A], ?unit: duration, ?timeColumn: string, ?columnName: string) => stream[B] \
                where A: Record, B: Record",
    doc: "Adds the time since the row before as a whole number of units (default 1s); the first row of each table goes.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z}, {_time: 2024-01-01T00:01:30Z}])\n    \
                 |> elapsed(unit: 1m)",
    ],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let unit = match call.optional("unit") {
        None => Duration::from_nanoseconds(SECOND_NS),
        Some(_) => call.duration("unit")?,
    };
    let time_column = call.optional_string("timeColumn")?.unwrap_or_else(|| "_time".into());
    let column = call.optional_string("columnName")?.unwrap_or_else(|| "elapsed".into());
    Ok(transform(Elapsed::new(unit, time_column, column)?, tables, call))
}
