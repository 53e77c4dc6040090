//! `distinct`, `unique`, `mode`: values of a column, or rows, by how often they occur (flux-semantics 8).

use crate::error::Result;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{Distinct, Mode, Unique};
use crate::table::Name;

/// `distinct`.
pub static DISTINCT: Builtin = Builtin {
    package: PRELUDE,
    name: "distinct",
    signature: "(<-tables: stream[A], ?column: string) => stream[B] where A: Record, B: Record",
    doc: "Each value of a column (default _value) once per table, as _value; null is a value.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}, {v: 1}])\n    |> distinct(column: \"v\")"],
    body: |call| {
        let (tables, column) = (call.stream("tables")?, column(call)?);
        Ok(transform(Distinct { column }, tables, call))
    },
};

/// `unique`.
pub static UNIQUE: Builtin = Builtin {
    package: PRELUDE,
    name: "unique",
    signature: "(<-tables: stream[A], ?column: string) => stream[A] where A: Record",
    doc: "The first row of each table for each value of a column (default _value); null is a value.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}, {v: 1}])\n    |> unique(column: \"v\")"],
    body: |call| {
        let (tables, column) = (call.stream("tables")?, column(call)?);
        Ok(transform(Unique { column }, tables, call))
    },
};

/// `mode`.
pub static MODE: Builtin = Builtin {
    package: PRELUDE,
    name: "mode",
    signature: "(<-tables: stream[A], ?column: string) => stream[{C with _value: B}] where A: Record, C: Record",
    doc: "The values of a column of each table that occur most often, ascending; null if all occur equally often.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}, {v: 2}, {v: 1}])\n    |> mode(column: \"v\")"],
    body: |call| {
        let (tables, column) = (call.stream("tables")?, column(call)?);
        Ok(transform(Mode { column }, tables, call))
    },
};

fn column(call: &Call<'_>) -> Result<Name> {
    Ok(call.optional_string("column")?.unwrap_or_else(|| "_value".into()))
}
