//! Package `internal/promql`: what queries translated from PromQL call.
//!
//! Times are floats of seconds in the calendar functions, as PromQL has them.

use std::sync::Arc;

use chrono::{Datelike, Timelike};

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, any_null, stream, transform};
use crate::operators::prometheus::{BucketQuantile, LabelReplace, SeriesFunction, Timestamp};
use crate::plan::NodeKind;
use crate::table::builder::ChunkBuilder;
use crate::table::{ColumnType, Shape};
use crate::time::calendar;

const PACKAGE: &str = "internal/promql";

const SERIES: &str = "(<-tables: stream[A]) => stream[B] where A: Record, B: Record";

macro_rules! of_series {
    ($call:literal) => {
        &[concat!(
            "import \"array\"\nimport \"internal/promql\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, _value: 1.0}, \
             {_time: 2024-01-01T00:00:10Z, _value: 3.0}])\n    |> range(start: 2024-01-01T00:00:00Z, stop: \
             2024-01-01T00:01:00Z)\n    |> promql.",
            $call
        )]
    };
}

macro_rules! of_time {
    ($call:literal) => {
        &[concat!("import \"array\"\nimport \"internal/promql\"\n\narray.from(rows: [{v: promql.", $call, "}])")]
    };
}

const fn series(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature, doc, examples, body }
}

const fn of_time(
    name: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature: "(timestamp: float) => float", doc, examples, body }
}

static BUILTINS: &[Builtin] = &[
    series("changes", SERIES, "How often the _value of each table changes.", of_series!("changes()"), |call| {
        plain(call, SeriesFunction::Changes)
    }),
    series(
        "emptyTable",
        "() => stream[{_start: time, _stop: time, _time: time, _value: float}]",
        "One table without rows.",
        &["import \"internal/promql\"\n\npromql.emptyTable()"],
        empty_table,
    ),
    series(
        "extrapolatedRate",
        "(<-tables: stream[A], ?isCounter: bool, ?isRate: bool) => stream[B] where A: Record, B: Record",
        "The growth of _value over _start to _stop, extended from the first and last row to the bounds.",
        of_series!("extrapolatedRate(isCounter: true, isRate: true)"),
        |call| {
            let (counter, rate) = (call.bool_or("isCounter", false)?, call.bool_or("isRate", false)?);
            plain(call, SeriesFunction::Extrapolated { counter, rate })
        },
    ),
    series(
        "holtWinters",
        "(<-tables: stream[A], ?smoothingFactor: float, ?trendFactor: float) => stream[B] where A: Record, B: Record",
        "The _value after double exponential smoothing.",
        of_series!("holtWinters(smoothingFactor: 0.5, trendFactor: 0.5)"),
        |call| {
            let (smoothing, trend) = (call.float_or("smoothingFactor", 0.0)?, call.float_or("trendFactor", 0.0)?);
            plain(call, SeriesFunction::smoothed(smoothing, trend)?)
        },
    ),
    series(
        "instantRate",
        "(<-tables: stream[A], ?isRate: bool) => stream[B] where A: Record, B: Record",
        "The step between the last two rows of each table, per second if isRate.",
        of_series!("instantRate(isRate: true)"),
        |call| {
            let rate = call.bool_or("isRate", false)?;
            plain(call, SeriesFunction::Instant { rate })
        },
    ),
    series(
        "labelReplace",
        "(<-tables: stream[A], source: string, destination: string, regex: string, replacement: string) => stream[B] where \
         A: Record, B: Record",
        "Sets a label of the key to what a pattern makes of another one.",
        &["import \"array\"\nimport \"internal/promql\"\n\narray.from(rows: [{job: \"a:b\", _value: 1.0}])\n    |> \
           group(columns: [\"job\"])\n    |> promql.labelReplace(source: \"job\", destination: \"first\", regex: \"(.*):.*\", \
           replacement: \"$1\")"],
        label_replace,
    ),
    series(
        "linearRegression",
        "(<-tables: stream[A], ?predict: bool, ?fromNow: float) => stream[B] where A: Record, B: Record",
        "The slope of _value per second, or with predict its value fromNow seconds after _stop.",
        of_series!("linearRegression(predict: true, fromNow: 60.0)"),
        |call| {
            let predict = call.bool_or("predict", false)?;
            let seconds = call.float_or("fromNow", 0.0)?;
            plain(call, SeriesFunction::Regression { predict: predict.then_some(seconds) })
        },
    ),
    series(
        "promHistogramQuantile",
        "(<-tables: stream[A], ?quantile: float, ?countColumn: string, ?upperBoundColumn: string, ?valueColumn: string) => \
         stream[B] where A: Record, B: Record",
        "A quantile of the histogram of each table, whose upper bounds are texts in the column le.",
        &[
            "import \"array\"\nimport \"internal/promql\"\n\narray.from(rows: [{le: \"1\", _value: 1.0}, {le: \"+Inf\", _value: \
           2.0}])\n    |> promql.promHistogramQuantile(quantile: 0.5)",
        ],
        |call| {
            let column =
                |name, default: &str| Ok::<_, Error>(call.optional_string(name)?.unwrap_or_else(|| default.into()));
            let quantile = BucketQuantile {
                quantile: call.float_or("quantile", 0.0)?,
                count_column: column("countColumn", "_value")?,
                bound_column: column("upperBoundColumn", "le")?,
                value_column: column("valueColumn", "_value")?,
            };
            Ok(transform(quantile, call.stream("tables")?, call))
        },
    ),
    series("resets", SERIES, "How often the _value of each table falls.", of_series!("resets()"), |call| {
        plain(call, SeriesFunction::Resets)
    }),
    series(
        "timestamp",
        "(<-tables: stream[A]) => stream[A] where A: Record",
        "The time of each row in seconds as its _value.",
        of_series!("timestamp()"),
        |call| Ok(transform(Timestamp, call.stream("tables")?, call)),
    ),
    of_time(
        "promqlDayOfMonth",
        "The day of the month of a time in seconds.",
        of_time!("promqlDayOfMonth(timestamp: 0.0)"),
        |call| part(call, |date| date.day().into()),
    ),
    of_time(
        "promqlDayOfWeek",
        "The day of the week of a time in seconds, 0 for Sunday.",
        of_time!("promqlDayOfWeek(timestamp: 0.0)"),
        |call| part(call, |date| date.weekday().num_days_from_sunday().into()),
    ),
    of_time(
        "promqlDaysInMonth",
        "How many days the month of a time in seconds has.",
        of_time!("promqlDaysInMonth(timestamp: 0.0)"),
        |call| {
            part(call, |date| {
                let (year, month) = (date.year(), date.month());
                let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                let first = |(year, month)| chrono::NaiveDate::from_ymd_opt(year, month, 1);
                match (first((year, month)), first(next)) {
                    (Some(first), Some(next)) => (next - first).num_days(),
                    _ => 31,
                }
            })
        },
    ),
    of_time("promqlHour", "The hour of a time in seconds.", of_time!("promqlHour(timestamp: 0.0)"), |call| {
        part(call, |date| date.hour().into())
    }),
    of_time("promqlMinute", "The minute of a time in seconds.", of_time!("promqlMinute(timestamp: 0.0)"), |call| {
        part(call, |date| date.minute().into())
    }),
    of_time("promqlMonth", "The month of a time in seconds.", of_time!("promqlMonth(timestamp: 0.0)"), |call| {
        part(call, |date| date.month().into())
    }),
    of_time("promqlYear", "The year of a time in seconds.", of_time!("promqlYear(timestamp: 0.0)"), |call| {
        part(call, |date| date.year().into())
    }),
];

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: BUILTINS.iter().collect(), ..Package::default() }
}

fn plain(call: &mut Call<'_>, function: SeriesFunction) -> Result<Value> {
    Ok(transform(function, call.stream("tables")?, call))
}

/// A part of the calendar at a time in seconds, in UTC.
fn part(call: &Call<'_>, part: impl FnOnce(chrono::NaiveDateTime) -> i64) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    let nanoseconds = call.float("timestamp")? * 1e9;
    if !(i64::MIN as f64..i64::MAX as f64).contains(&nanoseconds) {
        return Ok(Value::Float(f64::NAN));
    }
    Ok(Value::Float(part(calendar::naive(nanoseconds as i64)) as f64))
}

fn empty_table(call: &mut Call<'_>) -> Result<Value> {
    let columns = [
        ("_start", ColumnType::Time),
        ("_stop", ColumnType::Time),
        ("_time", ColumnType::Time),
        ("_value", ColumnType::Float),
    ];
    let mut builder = ChunkBuilder::new(Shape::new(columns.map(|(name, kind)| (name.into(), kind, false))));
    builder.begin_table(0, [])?;
    builder.end_table();
    Ok(stream(NodeKind::Rows(builder.finish()), Vec::new(), call))
}

fn label_replace(call: &mut Call<'_>) -> Result<Value> {
    let pattern = call.string("regex")?;
    let pattern = regex::Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|_| Error::invalid(format!("invalid regular expression in label_replace(): {pattern}")))?;
    let replace = LabelReplace {
        source: call.string("source")?,
        destination: call.string("destination")?,
        pattern: Arc::new(pattern),
        replacement: call.string("replacement")?,
    };
    Ok(transform(replace, call.stream("tables")?, call))
}
