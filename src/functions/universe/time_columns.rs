//! `timeShift`, `truncateTimeColumn`: columns of times moved or cut (flux-semantics 9.9).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::functions::location::location;
use crate::operators::TimeColumns;
use crate::table::Name;
use crate::time::{Duration, WindowSpec};

/// `timeShift`.
pub static TIME_SHIFT: Builtin = Builtin {
    package: PRELUDE,
    name: "timeShift",
    signature: "(<-tables: stream[A], duration: duration, ?columns: [string]) => stream[A]",
    doc: "Moves the times of some columns (default _start, _stop and _time) by a duration.",
    examples: &["from(bucket: \"example\") |> range(start: -1h) |> timeShift(duration: 1d)"],
    body: shift,
};

/// `truncateTimeColumn`.
pub static TRUNCATE_TIME_COLUMN: Builtin = Builtin {
    package: PRELUDE,
    name: "truncateTimeColumn",
    signature: "(<-tables: stream[A], unit: duration, ?timeColumn: string) => stream[B] where A: Record, B: Record",
    doc: "Sets the times of a column (default _time) to the start of the unit that they are in, as by date.truncate.",
    examples: &["from(bucket: \"example\") |> range(start: -1h) |> truncateTimeColumn(unit: 1m)"],
    body: truncate,
};

fn shift(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let by = call.duration("duration")?;
    let columns = call.optional_strings("columns")?;
    let columns = columns.unwrap_or_else(|| ["_start", "_stop", "_time"].map(Name::from).to_vec());
    Ok(transform(TimeColumns::Shift { by, columns }, tables, call))
}

fn truncate(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let to = WindowSpec::aligned(call.duration("unit")?, Duration::ZERO, location(call)?)?;
    let column = call.optional_string("timeColumn")?.unwrap_or_else(|| "_time".into());
    Ok(transform(TimeColumns::Truncate { to, column }, tables, call))
}
