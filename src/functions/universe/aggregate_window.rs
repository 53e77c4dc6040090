//! `aggregateWindow`: one row for each window of each table (flux-semantics 7.3).
//!
//! The function is called once, here, with the stream of windows. Where that gives nothing but a known function of that
//! stream, one operator does all; else its own nodes run between the others of the definition.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::host::PIPED;
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, node, stream, transform};
use crate::functions::windows::windows;
use crate::operators::window_aggregate::rest;
use crate::operators::{AggregateWindow, Window, WindowFunction};
use crate::plan::{Node, NodeKind};
use crate::table::Name;

/// `aggregateWindow`.
pub static AGGREGATE_WINDOW: Builtin = Builtin {
    package: PRELUDE,
    name: "aggregateWindow",
    signature: "(<-tables: stream[A], every: duration, fn: (<-: stream[B], column: string) => stream[C], \
                ?period: duration, ?offset: duration, ?location: {zone: string, offset: duration}, ?column: string, \
                ?timeSrc: string, ?timeDst: string, ?createEmpty: bool) => stream[D] \
                where A: Record, B: Record, C: Record, D: Record",
    doc: "Makes one row of the rows of each window by a function such as mean or last; its time is the window's end. \
          Windows without rows give a row with null (count: 0), unless createEmpty is false.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:01:00Z, _value: 1}, {_time: \
         2024-01-01T00:07:00Z, _value: 2}])\n    |> range(start: 2024-01-01, stop: 2024-01-01T00:15:00Z)\n    |> \
         aggregateWindow(every: 5m, fn: mean)",
        "from(bucket: \"example\")\n    |> range(start: -1h)\n    |> aggregateWindow(every: 10m, fn: (tables=<-, \
         column) => tables |> limit(n: 2) |> sum(column: column), createEmpty: false)",
    ],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let windows = windows(call)?;
    let name = |call: &Call<'_>, argument: &str, default: &str| -> Result<Name> {
        Ok(call.optional_string(argument)?.unwrap_or_else(|| default.into()))
    };
    let column = name(call, "column", "_value")?;
    let (time_src, time_dst) = (name(call, "timeSrc", "_stop")?, name(call, "timeDst", "_time")?);
    let create_empty = call.bool_or("createEmpty", true)?;
    let function = call.function("fn")?;

    let window = transform(Window::new(windows.clone(), create_empty), Arc::clone(&tables), call);
    let windowed = node_of(window.clone())?;
    let arguments = vec![(PIPED.into(), window), ("column".into(), Value::String(column))];
    let made = match call.host.call(&function, arguments)? {
        Value::Stream(stream) => node(stream)?,
        other => {
            return Err(Error::invalid(format!(
                "fn of aggregateWindow has to give a stream, found {}",
                other.type_name()
            ))
            .with_hint("fn is mean, last or the like, or (tables=<-, column) => tables |> ..."));
        }
    };
    if let Some(function) = by_window(&made, &windowed) {
        let whole = AggregateWindow { windows, function, time_src, time_dst, create_empty };
        return Ok(transform(whole, tables, call));
    }
    let mut last = made;
    for step in rest(&time_src, &time_dst, create_empty) {
        last = node_of(stream(NodeKind::Transform(step), vec![last], call))?;
    }
    Ok(Value::Stream(last))
}

/// The known function that a node is of the stream of windows, if it is nothing else.
fn by_window(made: &Node, windowed: &Arc<Node>) -> Option<WindowFunction> {
    match (&made.kind, made.inputs.as_slice()) {
        (NodeKind::Transform(transform), [input]) if Arc::ptr_eq(input, windowed) => transform.by_window(),
        _ => None,
    }
}

fn node_of(value: Value) -> Result<Arc<Node>> {
    match value {
        Value::Stream(stream) => node(stream),
        _ => Err(Error::internal("a node that is no stream")),
    }
}
