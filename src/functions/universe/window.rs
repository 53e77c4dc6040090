//! `window`: a table for each window (flux-semantics 7.2).

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::functions::windows::windows;
use crate::operators::Window;

/// `window`.
pub static WINDOW: Builtin = Builtin {
    package: PRELUDE,
    name: "window",
    signature: "(<-tables: stream[A], ?every: duration, ?period: duration, ?offset: duration, \
                ?location: {zone: string, offset: duration}, ?timeColumn: string, ?startColumn: string, \
                ?stopColumn: string, ?createEmpty: bool) => stream[B] where A: Record, B: Record",
    doc: "Puts each row into the windows that hold its time, a table for each; the ends of the window, within the bounds \
          of range, become columns and part of the key.",
    examples: &["import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:01:00Z, _value: 1}, {_time: \
                 2024-01-01T00:07:00Z, _value: 2}])\n    |> range(start: 2024-01-01, stop: 2024-01-02)\n    |> \
                 window(every: 5m)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let mut window = Window::new(windows(call)?, call.bool_or("createEmpty", false)?);
    for (argument, column) in [
        ("timeColumn", &mut window.time_column),
        ("startColumn", &mut window.start_column),
        ("stopColumn", &mut window.stop_column),
    ] {
        if let Some(name) = call.optional_string(argument)? {
            *column = name;
        }
    }
    if window.start_column == window.stop_column {
        return Err(Error::invalid(format!("startColumn and stopColumn are both {:?}", window.start_column))
            .with_hint("the two ends of a window need a column each"));
    }
    Ok(transform(window, tables, call))
}
