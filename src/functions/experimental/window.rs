//! `experimental.window`: `window` by the usual columns.

use super::PACKAGE;
use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, transform};
use crate::functions::windows::windows;
use crate::operators::Window;

/// `window`.
pub static WINDOW: Builtin = Builtin {
    package: PACKAGE,
    name: "window",
    signature: "(<-tables: stream[A], ?every: duration, ?period: duration, ?offset: duration, \
                ?location: {zone: string, offset: duration}, ?createEmpty: bool) => stream[A] where A: Record",
    doc: "Puts each row into the windows that hold its _time, a table for each, with the ends in _start and _stop.",
    examples: &["import \"experimental\"\n\nfrom(bucket: \"example\")\n    |> range(start: -1h)\n    |> \
                 experimental.window(every: 5m)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let window = Window::new(windows(call)?, call.bool_or("createEmpty", false)?);
    Ok(transform(window, tables, call))
}
