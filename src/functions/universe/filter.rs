//! `filter`: the rows for which a condition is true (flux-semantics 6.1).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::filter::{Filter, OnEmpty};
use crate::plan::RowFunction;

/// `filter`.
pub static FILTER: Builtin = Builtin {
    package: PRELUDE,
    name: "filter",
    signature: "(<-tables: stream[A], fn: (r: A) => bool, ?onEmpty: string) => stream[A] where A: Record",
    doc: "The rows for which fn is true; null counts as false. Tables without such a row go, unless onEmpty is \"keep\".",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}])\n    |> filter(fn: (r) => r.v > 1)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let on_empty = match call.optional_string("onEmpty")? {
        Some(text) => OnEmpty::parse(&text)?,
        None => OnEmpty::Drop,
    };
    let function = RowFunction { closure: call.closure("fn")?, hosts: call.host.row_hosts() };
    Ok(transform(Filter::new(function, on_empty), tables, call))
}
