//! `top`, `bottom` and what is built of them: `highestMax`, `lowestMin`, ... (flux-semantics 8).
//!
//! They are what the reference defines them to be: `sort |> limit`, which the plan makes one operator of; behind a
//! grouping and a selector or aggregate for the others.

use std::sync::Arc;

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, append, value};
use crate::operators::{Aggregate, AggregateKind, FirstLast, Group, GroupMode, Limit, Pick, Sort, Transform};
use crate::plan::Node;
use crate::table::Name;

const SORTED: &str = "(<-tables: stream[A], n: int, ?columns: [string]) => stream[A] where A: Record";

const REDUCED: &str = "(<-tables: stream[A], n: int, ?column: string, ?groupColumns: [string]) => stream[B] \
                       where A: Record, B: Record";

/// `top`.
pub static TOP: Builtin = Builtin {
    package: PRELUDE,
    name: "top",
    signature: SORTED,
    doc: "The n rows of each table with the greatest values in the columns (default _value); nulls come first.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 3}, {_value: 2}])\n    |> top(n: 2)"],
    body: |call| sorted(true, call),
};

/// `bottom`.
pub static BOTTOM: Builtin = Builtin {
    package: PRELUDE,
    name: "bottom",
    signature: SORTED,
    doc: "The n rows of each table with the least values in the columns (default _value); nulls come first.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 3}, {_value: 2}])\n    |> bottom(n: 2)"],
    body: |call| sorted(false, call),
};

/// `highestMax`.
pub static HIGHEST_MAX: Builtin = Builtin {
    package: PRELUDE,
    name: "highestMax",
    signature: REDUCED,
    doc: "Of the groups by groupColumns the n with the greatest maximum: the row of that maximum, in one table.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", _value: 1}, {host: \"b\", _value: 3}])\n    \
                 |> highestMax(n: 1, groupColumns: [\"host\"])"],
    body: |call| reduced(true, |column| Arc::new(FirstLast { pick: Pick::Max, column }), call),
};

/// `highestAverage`.
pub static HIGHEST_AVERAGE: Builtin = Builtin {
    package: PRELUDE,
    name: "highestAverage",
    signature: REDUCED,
    doc: "Of the groups by groupColumns the n with the greatest mean: groupColumns and mean, in one table.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", _value: 1}, {host: \"b\", _value: 3}])\n    \
                 |> highestAverage(n: 1, groupColumns: [\"host\"])"],
    body: |call| reduced(true, |column| Arc::new(Aggregate { kind: AggregateKind::Mean, column }), call),
};

/// `highestCurrent`.
pub static HIGHEST_CURRENT: Builtin = Builtin {
    package: PRELUDE,
    name: "highestCurrent",
    signature: REDUCED,
    doc: "Of the groups by groupColumns the n with the greatest last value: the row of that value, in one table.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", _value: 1}, {host: \"b\", _value: 3}])\n    \
                 |> highestCurrent(n: 1, groupColumns: [\"host\"])"],
    body: |call| reduced(true, |column| Arc::new(FirstLast { pick: Pick::Last, column }), call),
};

/// `lowestMin`.
pub static LOWEST_MIN: Builtin = Builtin {
    package: PRELUDE,
    name: "lowestMin",
    signature: REDUCED,
    doc: "Of the groups by groupColumns the n with the least minimum: the row of that minimum, in one table.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", _value: 1}, {host: \"b\", _value: 3}])\n    \
                 |> lowestMin(n: 1, groupColumns: [\"host\"])"],
    body: |call| reduced(false, |column| Arc::new(FirstLast { pick: Pick::Min, column }), call),
};

/// `lowestAverage`.
pub static LOWEST_AVERAGE: Builtin = Builtin {
    package: PRELUDE,
    name: "lowestAverage",
    signature: REDUCED,
    doc: "Of the groups by groupColumns the n with the least mean: groupColumns and mean, in one table.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", _value: 1}, {host: \"b\", _value: 3}])\n    \
                 |> lowestAverage(n: 1, groupColumns: [\"host\"])"],
    body: |call| reduced(false, |column| Arc::new(Aggregate { kind: AggregateKind::Mean, column }), call),
};

/// `lowestCurrent`.
pub static LOWEST_CURRENT: Builtin = Builtin {
    package: PRELUDE,
    name: "lowestCurrent",
    signature: REDUCED,
    doc: "Of the groups by groupColumns the n with the least last value: the row of that value, in one table.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", _value: 1}, {host: \"b\", _value: 3}])\n    \
                 |> lowestCurrent(n: 1, groupColumns: [\"host\"])"],
    body: |call| reduced(false, |column| Arc::new(FirstLast { pick: Pick::Last, column }), call),
};

fn sorted(descending: bool, call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let columns = call.optional_strings("columns")?.unwrap_or_else(|| vec!["_value".into()]);
    top(tables, columns, descending, call)
}

fn reduced(descending: bool, reducer: fn(Name) -> Arc<dyn Transform>, call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    let group = |columns: Vec<Name>| Arc::new(Group { mode: GroupMode::By, columns });
    let grouped = append(group(call.optional_strings("groupColumns")?.unwrap_or_default()), tables, call);
    let reduced = append(reducer(column.clone()), grouped, call);
    let together = append(group(Vec::new()), reduced, call);
    top(together, vec![column], descending, call)
}

/// The first rows of each table in an order.
fn top(tables: Arc<Node>, columns: Vec<Name>, descending: bool, call: &Call<'_>) -> Result<Value> {
    let limit = Limit::new(call.int("n")?, 0)?;
    let sorted = append(Arc::new(Sort { columns, descending }), tables, call);
    Ok(value(append(Arc::new(limit), sorted, call)))
}
