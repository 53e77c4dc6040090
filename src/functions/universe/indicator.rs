//! Moving averages that weigh, indicators of momentum, and forecasts: `exponentialMovingAverage`, `doubleEMA`, `tripleEMA`,
//! `tripleExponentialDerivative`, `relativeStrengthIndex`, `chandeMomentumOscillator`, `kaufmansER`, `kaufmansAMA`,
//! `holtWinters`.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, columns_or_value, transform};
use crate::operators::{HoltWinters, Indicator, IndicatorKind};

const fn builtin(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PRELUDE, name, signature, doc, examples, body }
}

/// `exponentialMovingAverage`.
pub static EXPONENTIAL_MOVING_AVERAGE: Builtin = builtin(
    "exponentialMovingAverage",
    "(<-tables: stream[{B with _value: A}], n: int) => stream[{B with _value: A}] where A: Numeric",
    "An average of _value that weighs a new value by 2/(n+1), from the n-th row on; it begins with the mean of n rows.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 3}, {_value: 8}])\n    |> \
       exponentialMovingAverage(n: 2)"],
    |call| of_value(call, IndicatorKind::Ema),
);

/// `doubleEMA`.
pub static DOUBLE_EMA: Builtin = builtin(
    "doubleEMA",
    "(<-tables: stream[A], n: int) => stream[B] where A: Record, B: Record",
    "Twice the exponential moving average of _value less the average of the averages.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 3}, {_value: 8}])\n    |> doubleEMA(n: 2)"],
    |call| of_value(call, IndicatorKind::DoubleEma),
);

/// `tripleEMA`.
pub static TRIPLE_EMA: Builtin = builtin(
    "tripleEMA",
    "(<-tables: stream[A], n: int) => stream[B] where A: Record, B: Record",
    "Three times the exponential moving average of _value less three times its average, plus the average of that.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 3}, {_value: 8}, {_value: 9}])\n    |> \
       tripleEMA(n: 2)"],
    |call| of_value(call, IndicatorKind::TripleEma),
);

/// `tripleExponentialDerivative`.
pub static TRIPLE_EXPONENTIAL_DERIVATIVE: Builtin = builtin(
    "tripleExponentialDerivative",
    "(<-tables: stream[{B with _value: A}], n: int) => stream[{B with _value: float}] where A: Numeric, B: Record",
    "The change in per cent, from row to row, of the exponential moving average of _value taken three times over.",
    &[
        "import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}, {_value: 3}, {_value: 4}, {_value: 5}])\n    |> \
       tripleExponentialDerivative(n: 2)",
    ],
    |call| of_value(call, IndicatorKind::Trix),
);

/// `relativeStrengthIndex`.
pub static RELATIVE_STRENGTH_INDEX: Builtin = builtin(
    "relativeStrengthIndex",
    "(<-tables: stream[A], n: int, ?columns: [string]) => stream[B] where A: Record, B: Record",
    "How strong rises are among all changes of the columns (default _value), 0 to 100, from row n+1 on.",
    &["import \"array\"\n\narray.from(rows: [{_value: 10}, {_value: 11}, {_value: 10}])\n    |> \
       relativeStrengthIndex(n: 2)"],
    |call| of_columns(call, IndicatorKind::Rsi),
);

/// `chandeMomentumOscillator`.
pub static CHANDE_MOMENTUM_OSCILLATOR: Builtin = builtin(
    "chandeMomentumOscillator",
    "(<-tables: stream[A], n: int, ?columns: [string]) => stream[B] where A: Record, B: Record",
    "Rises less falls over both, of the last n changes of the columns (default _value), -100 to 100, from row n+1 on.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}, {_value: 1}, {_value: 4}])\n    |> \
       chandeMomentumOscillator(n: 2)"],
    |call| of_columns(call, IndicatorKind::Cmo),
);

/// `kaufmansER`.
pub static KAUFMANS_ER: Builtin = builtin(
    "kaufmansER",
    "(<-tables: stream[A], n: int) => stream[B] where A: Record, B: Record",
    "How much of the movement of _value over the last n changes is in one direction, 0 to 1.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}, {_value: 1}, {_value: 4}])\n    |> \
       kaufmansER(n: 2)"],
    |call| of_value(call, IndicatorKind::Er),
);

/// `kaufmansAMA`.
pub static KAUFMANS_AMA: Builtin = builtin(
    "kaufmansAMA",
    "(<-tables: stream[A], n: int, ?column: string) => stream[B] where A: Record, B: Record",
    "An average of the column (default _value) that follows it the faster the more it moves in one direction.",
    &["import \"array\"\n\narray.from(rows: [{_value: 1}, {_value: 2}, {_value: 1}, {_value: 4}])\n    |> \
       kaufmansAMA(n: 2)"],
    kaufmans_ama,
);

/// `holtWinters`.
pub static HOLT_WINTERS: Builtin = builtin(
    "holtWinters",
    "(<-tables: stream[A], n: int, interval: duration, ?withFit: bool, ?column: string, ?timeColumn: string, \
     ?seasonality: int, ?withMinSSE: bool) => stream[B] where A: Record, B: Record",
    "Forecasts n values at even intervals by the damped method of Holt and Winters, behind the fitted ones if withFit.",
    &[
        "import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, _value: 1.0}, {_time: 2024-01-01T00:00:10Z, \
       _value: 2.0}, {_time: 2024-01-01T00:00:20Z, _value: 3.0}])\n    |> holtWinters(n: 2, interval: 10s)",
    ],
    holt_winters,
);

fn of_value(call: &mut Call<'_>, kind: IndicatorKind) -> Result<Value> {
    let tables = call.stream("tables")?;
    Ok(transform(Indicator::of_value(kind, call.int("n")?)?, tables, call))
}

fn of_columns(call: &mut Call<'_>, kind: IndicatorKind) -> Result<Value> {
    let tables = call.stream("tables")?;
    Ok(transform(Indicator::new(kind, call.int("n")?, columns_or_value(call)?)?, tables, call))
}

fn kaufmans_ama(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    Ok(transform(Indicator::new(IndicatorKind::Ama, call.int("n")?, vec![column])?, tables, call))
}

fn holt_winters(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let of = HoltWinters {
        n: call.int("n")?,
        interval: call.duration("interval")?,
        with_fit: call.bool_or("withFit", false)?,
        column: call.optional_string("column")?.unwrap_or_else(|| "_value".into()),
        time_column: call.optional_string("timeColumn")?.unwrap_or_else(|| "_time".into()),
        seasonality: call.int_or("seasonality", 0)?,
        with_min_sse: call.bool_or("withMinSSE", false)?,
    };
    Ok(transform(of.checked()?, tables, call))
}
