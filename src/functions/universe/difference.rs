//! `difference`, `increase`, `cumulativeSum`: each row with the one before it (flux-semantics 9.4, 9.7).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, columns_or_value, transform, transform_node};
use crate::operators::{CumulativeSum, Difference};

/// `difference`.
pub static DIFFERENCE: Builtin = Builtin {
    package: PRELUDE,
    name: "difference",
    signature: "(<-tables: stream[A], ?nonNegative: bool, ?columns: [string], ?keepFirst: bool, ?initialZero: bool) => \
                stream[B] where A: Record, B: Record",
    doc: "Each value less the last one before it that is not null; the first row goes unless keepFirst. With nonNegative a \
          decrease gives null, with initialZero the value itself.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 5}, {_value: 8}, {_value: 6}])\n    |> difference()"],
    body: difference,
};

/// `increase`.
pub static INCREASE: Builtin = Builtin {
    package: PRELUDE,
    name: "increase",
    signature: "(<-tables: stream[A], ?columns: [string]) => stream[B] where A: Record, B: Record",
    doc: "By how much a counter has grown since the first row; a decrease is a counter that began anew at zero.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 5}, {_value: 8}, {_value: 2}])\n    |> increase()"],
    body: increase,
};

/// `cumulativeSum`.
pub static CUMULATIVE_SUM: Builtin = Builtin {
    package: PRELUDE,
    name: "cumulativeSum",
    signature: "(<-tables: stream[A], ?columns: [string]) => stream[B] where A: Record, B: Record",
    doc: "The running sum of the columns (default _value) within each table; a null becomes the sum so far.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}])\n    |> cumulativeSum()"],
    body: cumulative_sum,
};

fn difference(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let difference = Difference {
        non_negative: call.bool_or("nonNegative", false)?,
        columns: columns_or_value(call)?,
        keep_first: call.bool_or("keepFirst", false)?,
        initial_zero: call.bool_or("initialZero", false)?,
    };
    Ok(transform(difference, tables, call))
}

fn increase(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let columns = columns_or_value(call)?;
    let difference = Difference { non_negative: true, columns: columns.clone(), keep_first: true, initial_zero: true };
    let differences = transform_node(difference, tables, call);
    Ok(transform(CumulativeSum { columns }, differences, call))
}

fn cumulative_sum(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let columns = columns_or_value(call)?;
    Ok(transform(CumulativeSum { columns }, tables, call))
}
