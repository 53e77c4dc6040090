//! `range`: bounds a stream by time (flux-semantics 5.2).
//!
//! Directly behind `from` it becomes the bounds of the read; behind anything else it is an operator.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, stream, transform};
use crate::operators::Range;
use crate::plan::NodeKind;
use crate::table::Bounds;
use crate::table::scan::SourceRef;

/// `range`.
pub static RANGE: Builtin = Builtin {
    package: "universe",
    name: "range",
    signature: "(<-tables: stream[{A with _time: time}], start: B, ?stop: C) \
                => stream[{A with _time: time, _start: time, _stop: time}]",
    doc: "Keeps the rows from start up to, but not including, stop (default now). A time, a duration relative to now, or \
          an integer of Unix seconds.",
    examples: &["from(bucket: \"example\") |> range(start: -1h)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let now_ns = call.host.now_ns()?;
    let start_ns = instant(call.required("start")?, now_ns)?;
    let stop_ns = match call.optional("stop") {
        Some(stop) => instant(stop, now_ns)?,
        None => now_ns,
    };
    let bounds = Bounds { start_ns, stop_ns };
    if let NodeKind::From { bucket, .. } = &tables.kind {
        let source = SourceRef { bucket: bucket.clone(), bounds };
        return Ok(stream(NodeKind::Source(source), Vec::new(), call));
    }
    Ok(transform(Range::new(bounds)?, tables, call))
}

/// A bound: a time, Unix seconds, or a duration relative to now in which a month is a twelfth of 365.25 days.
pub fn instant(value: &Value, now_ns: i64) -> Result<i64> {
    match value {
        Value::Time(time_ns) => Ok(*time_ns),
        Value::Int(seconds) => seconds.checked_mul(1_000_000_000).ok_or_else(|| {
            Error::invalid(format!("{seconds} seconds since 1970 is no time between 1677 and 2262"))
                .with_hint("an integer bound counts Unix seconds; time(v: ...) takes nanoseconds")
        }),
        Value::Duration(duration) => Ok(now_ns.saturating_add(duration.flat_nanoseconds())),
        other => Err(Error::invalid(format!("value is not a time, got {}", other.type_name()))
            .with_hint("a bound is a time, a duration relative to now such as -1h, or an integer of Unix seconds")),
    }
}
