//! `sort`: rows of each table by columns (flux-semantics 9.1).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Sort;

/// `sort`.
pub static SORT: Builtin = Builtin {
    package: PRELUDE,
    name: "sort",
    signature: "(<-tables: stream[A], ?columns: [string], ?desc: bool) => stream[A] where A: Record",
    doc: "The rows of each table in the order of the columns; nulls come first.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 2}, {v: 1}])\n    |> sort(columns: [\"v\"])"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let columns = call.optional_strings("columns")?.unwrap_or_else(|| vec!["_value".into()]);
    let descending = call.bool_or("desc", false)?;
    Ok(transform(Sort { columns, descending }, tables, call))
}
