//! `first`, `last`, `min`, `max`: one row of each table (flux-semantics 6.4 and 8).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{FirstLast, Pick};

const SIGNATURE: &str = "(<-tables: stream[A], ?column: string) => stream[A] where A: Record";

/// `first`.
pub static FIRST: Builtin = Builtin {
    package: PRELUDE,
    name: "first",
    signature: SIGNATURE,
    doc: "The first row of each table, in row order, that has a value in the column (default _value).",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}])\n    |> first(column: \"v\")"],
    body: |call| pick(call, Pick::First),
};

/// `last`.
pub static LAST: Builtin = Builtin {
    package: PRELUDE,
    name: "last",
    signature: SIGNATURE,
    doc: "The last row of each table, in row order, that has a value in the column (default _value).",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}])\n    |> last(column: \"v\")"],
    body: |call| pick(call, Pick::Last),
};

/// `min`.
pub static MIN: Builtin = Builtin {
    package: PRELUDE,
    name: "min",
    signature: SIGNATURE,
    doc: "The row of each table with the least value in the column (default _value), the first of several.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 2}, {v: 1}])\n    |> min(column: \"v\")"],
    body: |call| pick(call, Pick::Min),
};

/// `max`.
pub static MAX: Builtin = Builtin {
    package: PRELUDE,
    name: "max",
    signature: SIGNATURE,
    doc: "The row of each table with the greatest value in the column (default _value), the first of several.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 2}, {v: 1}])\n    |> max(column: \"v\")"],
    body: |call| pick(call, Pick::Max),
};

fn pick(call: &mut Call<'_>, pick: Pick) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    Ok(transform(FirstLast { pick, column }, tables, call))
}
