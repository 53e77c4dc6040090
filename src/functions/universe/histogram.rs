//! `histogram`, `histogramQuantile` and the bounds for them: `linearBins`, `logarithmicBins` (flux-semantics 8).

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{Histogram, HistogramQuantile, OnFalling};
use crate::table::Name;

/// Most bounds that a call makes.
const MAX_BINS: i64 = 1_000_000;

/// `histogram`.
pub static HISTOGRAM: Builtin = Builtin {
    package: PRELUDE,
    name: "histogram",
    signature: "(<-tables: stream[A], ?column: string, ?upperBoundColumn: string, ?countColumn: string, \
                bins: [float], ?normalize: bool) => stream[B] where A: Record, B: Record",
    doc: "For each table and each bound of bins the count of values up to it, in the columns le and _value.",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1.0}, {_value: 4.0}])\n    \
                 |> histogram(bins: [1.0, 2.0, 4.0])"],
    body: histogram,
};

/// `histogramQuantile`.
pub static HISTOGRAM_QUANTILE: Builtin = Builtin {
    package: PRELUDE,
    name: "histogramQuantile",
    signature: "(<-tables: stream[A], ?quantile: float, ?countColumn: string, ?upperBoundColumn: string, \
                ?valueColumn: string, ?minValue: float, ?onNonmonotonic: string) => stream[B] where A: Record, \
                B: Record",
    doc: "The quantile of values of which each table is a histogram; values are taken to lie evenly between bounds.",
    examples: &["import \"array\"\n\narray.from(rows: [{le: 1.0, _value: 3.0}, {le: 2.0, _value: 4.0}])\n    \
                 |> histogramQuantile(quantile: 0.5)"],
    body: histogram_quantile,
};

/// `linearBins`.
pub static LINEAR_BINS: Builtin = Builtin {
    package: PRELUDE,
    name: "linearBins",
    signature: "(start: float, width: float, count: int, ?infinity: bool) => [float]",
    doc: "Bounds for a histogram, each by width greater than the one before; the last one is infinite (default).",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1.0}, {_value: 4.0}])\n    \
                 |> histogram(bins: linearBins(start: 0.0, width: 2.0, count: 3))"],
    body: |call| bins(call, "width", |bound, width| bound + width),
};

/// `logarithmicBins`.
pub static LOGARITHMIC_BINS: Builtin = Builtin {
    package: PRELUDE,
    name: "logarithmicBins",
    signature: "(start: float, factor: float, count: int, ?infinity: bool) => [float]",
    doc: "Bounds for a histogram, each factor times the one before; the last one is infinite (default).",
    examples: &["import \"array\"\n\narray.from(rows: [{_value: 1.0}, {_value: 4.0}])\n    \
                 |> histogram(bins: logarithmicBins(start: 1.0, factor: 2.0, count: 3))"],
    body: |call| bins(call, "factor", |bound, factor| bound * factor),
};

fn name_or(call: &Call<'_>, argument: &str, default: &str) -> Result<Name> {
    Ok(call.optional_string(argument)?.unwrap_or_else(|| default.into()))
}

fn histogram(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let mut bins = Vec::new();
    for bound in call.array("bins")?.iter() {
        match bound {
            Value::Float(bound) => bins.push(*bound),
            other => return Err(call.mismatch("bins", "an array of float", other)),
        }
    }
    let histogram = Histogram {
        column: name_or(call, "column", "_value")?,
        bound_column: name_or(call, "upperBoundColumn", "le")?,
        count_column: name_or(call, "countColumn", "_value")?,
        bins,
        normalize: call.bool_or("normalize", false)?,
    };
    Ok(transform(histogram, tables, call))
}

fn histogram_quantile(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let quantile = call.float("quantile")?;
    let on_falling = OnFalling::parse(&name_or(call, "onNonmonotonic", "error")?)?;
    let of = HistogramQuantile {
        quantile,
        count_column: name_or(call, "countColumn", "_value")?,
        bound_column: name_or(call, "upperBoundColumn", "le")?,
        value_column: name_or(call, "valueColumn", "_value")?,
        least: call.float_or("minValue", 0.0)?,
        on_falling,
    };
    Ok(transform(of, tables, call))
}

fn bins(call: &mut Call<'_>, step: &str, next: fn(f64, f64) -> f64) -> Result<Value> {
    let (start, step, count) = (call.float("start")?, call.float(step)?, call.int("count")?);
    if !(0..=MAX_BINS).contains(&count) {
        return Err(Error::invalid(format!("count must be between 0 and {MAX_BINS}, but was {count}")));
    }
    let bounds = std::iter::successors(Some(start), |bound| Some(next(*bound, step)));
    let mut bins: Vec<Value> = bounds.take(count as usize).map(Value::Float).collect();
    if call.bool_or("infinity", true)? {
        bins.push(Value::Float(f64::INFINITY));
    }
    Ok(Value::Array(bins.into()))
}
