//! `map`: a new row for each row (flux-semantics 6.5).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::map::Map;
use crate::plan::RowFunction;

/// `map`.
pub static MAP: Builtin = Builtin {
    package: PRELUDE,
    name: "map",
    signature: "(<-tables: stream[A], fn: (r: A) => B, ?mergeKey: bool) => stream[B] where A: Record, B: Record",
    doc: "Makes a new row of each row; key columns stay in the key as far as fn gives them. mergeKey has no effect.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}])\n    |> map(fn: (r) => ({r with double: r.v * 2}))",
    ],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let function = RowFunction { closure: call.closure("fn")?, hosts: call.host.row_hosts() };
    Ok(transform(Map::new(function), tables, call))
}
