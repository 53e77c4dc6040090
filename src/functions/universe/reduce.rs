//! `reduce`: the rows of a table make a record (flux-semantics 9.8).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Reduce;
use crate::plan::RowFunction;

/// `reduce`.
pub static REDUCE: Builtin = Builtin {
    package: PRELUDE,
    name: "reduce",
    signature: "(<-tables: stream[A], fn: (r: A, accumulator: B) => B, identity: B) => stream[C] where A: Record, \
                B: Record, C: Record",
    doc: "One row for each table: the record that fn makes of row after row, beginning with identity, behind the key.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 2}, {v: 5}])\n    |> reduce(fn: (r, accumulator) => \
                 ({product: accumulator.product * r.v}), identity: {product: 1})"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let function = RowFunction { closure: call.closure("fn")?, hosts: call.host.row_hosts() };
    Ok(transform(Reduce::new(function, call.record("identity")?)?, tables, call))
}
