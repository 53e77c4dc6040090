//! `pivot`: values of a column become columns of their own (flux-semantics 6.2).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Pivot;

/// `pivot`.
pub static PIVOT: Builtin = Builtin {
    package: PRELUDE,
    name: "pivot",
    signature: "(<-tables: stream[A], rowKey: [string], columnKey: [string], valueColumn: string) => stream[B] \
                where A: Record, B: Record",
    doc: "One row per value of rowKey, one column per value of columnKey, cells from valueColumn. Columns that are neither \
          in the group key nor in rowKey go.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [\n    {_time: 2024-01-01T00:00:00Z, _field: \"a\", _value: 1},\n    \
                 {_time: 2024-01-01T00:00:00Z, _field: \"b\", _value: 2},\n])\n    |> pivot(rowKey: [\"_time\"], columnKey: \
                 [\"_field\"], valueColumn: \"_value\")",
    ],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let pivot = Pivot::new(call.strings("rowKey")?, call.strings("columnKey")?, call.string("valueColumn")?)?;
    Ok(transform(pivot, tables, call))
}
