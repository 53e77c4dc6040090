//! `integral`, `timeWeightedAvg`: areas below values over time.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Integral;
use crate::time::Duration;
use crate::time::calendar::SECOND_NS;

/// `integral`.
pub static INTEGRAL: Builtin = Builtin {
    package: PRELUDE,
    name: "integral",
    signature: "(<-tables: stream[A], ?unit: duration, ?timeColumn: string, ?column: string, ?interpolate: string) => \
                stream[B] where A: Record, B: Record",
    doc: "The area below the values of each table, counted in value times unit (default 1s); interpolate: \"linear\" \
          draws the lines on to _start and _stop.",
    examples: &["from(bucket: \"example\") |> range(start: -1h) |> integral(unit: 1m, interpolate: \"linear\")"],
    body: integral,
};

/// `timeWeightedAvg`.
pub static TIME_WEIGHTED_AVG: Builtin = Builtin {
    package: PRELUDE,
    name: "timeWeightedAvg",
    signature: "(<-tables: stream[A], unit: duration) => stream[B] where A: Record, B: Record",
    doc: "The mean of each table's values over time: their linearly interpolated integral over the length of the table.",
    examples: &["from(bucket: \"example\") |> range(start: -1h) |> timeWeightedAvg(unit: 1s)"],
    body: average,
};

fn unit(call: &Call<'_>) -> Result<Duration> {
    let unit = match call.optional("unit") {
        None => Duration::from_nanoseconds(SECOND_NS),
        Some(_) => call.duration("unit")?,
    };
    if unit.is_zero() {
        return Err(Error::invalid(format!("{}: unit cannot be zero", call.builtin.name)));
    }
    Ok(unit)
}

fn integral(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let interpolate = match call.optional_string("interpolate")?.as_deref() {
        None | Some("") => false,
        Some("linear") => true,
        Some(other) => {
            return Err(Error::invalid(format!("integral: interpolate must be \"linear\" or \"\", found {other:?}")));
        }
    };
    let integral = Integral {
        unit: unit(call)?,
        column: call.optional_string("column")?.unwrap_or_else(|| "_value".into()),
        time_column: call.optional_string("timeColumn")?.unwrap_or_else(|| "_time".into()),
        interpolate,
        average: false,
    };
    Ok(transform(integral, tables, call))
}

fn average(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let unit = unit(call)?;
    let integral =
        Integral { unit, column: "_value".into(), time_column: "_time".into(), interpolate: true, average: true };
    Ok(transform(integral, tables, call))
}
