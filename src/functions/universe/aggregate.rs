//! `count`, `sum`, `mean`, `spread`, `stddev`, `skew`: one row per table (flux-semantics 8).

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{Aggregate, AggregateKind};

const SIGNATURE: &str = "(<-tables: stream[A], ?column: string) => stream[B] where A: Record, B: Record";

/// `count`.
pub static COUNT: Builtin = Builtin {
    package: PRELUDE,
    name: "count",
    signature: SIGNATURE,
    doc: "The number of rows of each table, rows with a null value included.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> count()"],
    body: |call| body(AggregateKind::Count, call),
};

/// `sum`.
pub static SUM: Builtin = Builtin {
    package: PRELUDE,
    name: "sum",
    signature: SIGNATURE,
    doc: "The sum of a column of each table; nulls are passed over, integers wrap.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> sum()"],
    body: |call| body(AggregateKind::Sum, call),
};

/// `mean`.
pub static MEAN: Builtin = Builtin {
    package: PRELUDE,
    name: "mean",
    signature: SIGNATURE,
    doc: "The mean of a column of each table, a float; nulls are passed over.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> mean()"],
    body: |call| body(AggregateKind::Mean, call),
};

/// `spread`.
pub static SPREAD: Builtin = Builtin {
    package: PRELUDE,
    name: "spread",
    signature: SIGNATURE,
    doc: "The greatest less the least value of a column of each table; nulls are passed over.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 4}])\n    |> spread()"],
    body: |call| body(AggregateKind::Spread, call),
};

/// `stddev`.
pub static STDDEV: Builtin = Builtin {
    package: PRELUDE,
    name: "stddev",
    signature: "(<-tables: stream[A], ?column: string, ?mode: string) => stream[B] where A: Record, B: Record",
    doc: "The standard deviation of a column of each table, of a \"sample\" (default) or of the \"population\".",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1.0}, {_value: 4.0}])\n    \
                 |> stddev(mode: \"population\")"],
    body: stddev,
};

/// `skew`.
pub static SKEW: Builtin = Builtin {
    package: PRELUDE,
    name: "skew",
    signature: SIGNATURE,
    doc: "The skew of a column of each table, a float; nulls are passed over.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1.0}, {_value: 2.0}, {_value: 9.0}])\n    |> skew()"],
    body: |call| body(AggregateKind::Skew, call),
};

fn stddev(call: &mut Call<'_>) -> Result<Value> {
    let population = match call.optional_string("mode")?.as_deref() {
        None | Some("sample") => false,
        Some("population") => true,
        Some(other) => {
            return Err(Error::invalid(format!("{other:?} is not a valid standard deviation mode"))
                .with_hint("it is \"sample\" or \"population\""));
        }
    };
    body(AggregateKind::StdDev { population }, call)
}

fn body(kind: AggregateKind, call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    Ok(transform(Aggregate { kind, column }, tables, call))
}
