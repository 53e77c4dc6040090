//! `limit`, `tail`: the first or last rows of each table (flux-semantics 9.2).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{Limit, Tail};

const SIGNATURE: &str = "(<-tables: stream[A], n: int, ?offset: int) => stream[A] where A: Record";

/// `limit`.
pub static LIMIT: Builtin = Builtin {
    package: PRELUDE,
    name: "limit",
    signature: SIGNATURE,
    doc: "The first n rows of each table, after the first offset rows.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}, {v: 3}])\n    |> limit(n: 1, offset: 1)"],
    body: limit,
};

/// `tail`.
pub static TAIL: Builtin = Builtin {
    package: PRELUDE,
    name: "tail",
    signature: SIGNATURE,
    doc: "The last n rows of each table, before the last offset rows.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}, {v: 3}])\n    |> tail(n: 2)"],
    body: tail,
};

fn limit(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let limit = Limit::new(call.int("n")?, call.int_or("offset", 0)?)?;
    Ok(transform(limit, tables, call))
}

fn tail(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let tail = Tail::new(call.int("n")?, call.int_or("offset", 0)?)?;
    Ok(transform(tail, tables, call))
}
