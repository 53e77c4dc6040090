//! `hourSelection`: rows by the hour of the day.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::functions::location::location;
use crate::operators::HourSelection;

/// `hourSelection`.
pub static HOUR_SELECTION: Builtin = Builtin {
    package: PRELUDE,
    name: "hourSelection",
    signature: "(<-tables: stream[A], start: int, stop: int, ?location: {zone: string, offset: duration}, \
                ?timeColumn: string) => stream[A] where A: Record",
    doc: "The rows whose hour of the day is one from start to stop, both included; start may be the later one.",
    examples: &["from(bucket: \"example\") |> range(start: -1d) |> hourSelection(start: 9, stop: 17)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let time_column = call.optional_string("timeColumn")?.unwrap_or_else(|| "_time".into());
    let hours = HourSelection::new(call.int("start")?, call.int("stop")?, location(call)?, time_column)?;
    Ok(transform(hours, tables, call))
}
