//! `sample`: every n-th row (flux-semantics 8).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Sample;

/// `sample`.
pub static SAMPLE: Builtin = Builtin {
    package: PRELUDE,
    name: "sample",
    signature: "(<-tables: stream[A], n: int, ?pos: int, ?column: string) => stream[A] where A: Record",
    doc: "Every n-th row of each table from the row pos on; without pos each group key has a first row of its own.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}, {_value: 3}])\n    \
                 |> sample(n: 2, pos: 0)"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    let position = call.optional("pos").is_some().then(|| call.int("pos")).transpose()?;
    let sample = Sample::new(call.int("n")?, position, column)?;
    Ok(transform(sample, tables, call))
}
