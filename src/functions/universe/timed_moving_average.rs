//! `timedMovingAverage`: the mean of a length of time, again and again.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::functions::windows::windows;
use crate::operators::{Aggregate, AggregateKind, AggregateWindow, WindowFunction};

/// `timedMovingAverage`.
pub static TIMED_MOVING_AVERAGE: Builtin = Builtin {
    package: PRELUDE,
    name: "timedMovingAverage",
    signature: "(<-tables: stream[A], every: duration, period: duration, ?column: string) => stream[B] \
                where A: Record, B: Record",
    doc: "The mean of the period before each multiple of every.",
    examples: &["from(bucket: \"example\") |> range(start: -1d) |> timedMovingAverage(every: 1h, period: 3h)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    let whole = AggregateWindow {
        windows: windows(call)?,
        function: WindowFunction::Aggregate(Aggregate { kind: AggregateKind::Mean, column }),
        time_src: "_stop".into(),
        time_dst: "_time".into(),
        create_empty: false,
    };
    Ok(transform(whole, tables, call))
}
