//! What aggregates keep of the rows of a table or window, and the value they make of it (flux-semantics 8).
//!
//! Used by [`super::aggregate`] and by windows. Rows come as ranges of a column, in their order: a float sum does not
//! depend on how they were cut. But for quantiles nothing is allocated: a state is a few numbers.

use std::ops::Range;

use arrow::array::Array;

use super::tdigest::Digest;
use crate::error::{Error, Result};
use crate::table::{Cell, ColumnType, ColumnView};

/// What the rows of a table become.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AggregateKind {
    /// How many rows there are, null ones too.
    Count,
    /// The sum; integers wrap.
    Sum,
    /// The mean, a float.
    Mean,
    /// The greatest less the least value.
    Spread,
    /// The standard deviation of a sample, or of all there is.
    StdDev {
        /// Whether the values are all there is.
        population: bool,
    },
    /// How far values lean to one side.
    Skew,
    /// A quantile, estimated by a t-digest.
    Quantile {
        /// Between 0 and 1.
        q: f64,
        /// Of the digest.
        compression: f64,
    },
    /// A quantile between the two values around it, of floats only.
    ExactMean {
        /// Between 0 and 1.
        q: f64,
    },
}

impl AggregateKind {
    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            AggregateKind::Count => "count",
            AggregateKind::Sum => "sum",
            AggregateKind::Mean => "mean",
            AggregateKind::Spread => "spread",
            AggregateKind::StdDev { .. } => "stddev",
            AggregateKind::Skew => "skew",
            AggregateKind::Quantile { .. } | AggregateKind::ExactMean { .. } => "quantile",
        }
    }

    /// Its arguments beside the column, for `explain`.
    pub fn explain(self) -> String {
        match self {
            AggregateKind::StdDev { population: true } => ", mode: \"population\"".to_string(),
            AggregateKind::Quantile { q, compression } => format!(", q: {q:?}, compression: {compression:?}"),
            AggregateKind::ExactMean { q } => format!(", q: {q:?}, method: \"exact_mean\""),
            _ => String::new(),
        }
    }

    /// The type of the value, given the type of the column.
    ///
    /// # Errors
    /// FailedPrecondition if there is no such aggregate of the column.
    pub fn gives(self, column: ColumnType) -> Result<ColumnType> {
        use ColumnType::{Float, Int, Time, UInt};
        let number = matches!(column, Int | UInt | Float);
        match self {
            AggregateKind::Count if column != Time => Ok(Int),
            AggregateKind::Sum | AggregateKind::Spread if number => Ok(column),
            AggregateKind::Mean | AggregateKind::StdDev { .. } | AggregateKind::Skew if number => Ok(Float),
            AggregateKind::Quantile { .. } if number => Ok(Float),
            AggregateKind::ExactMean { .. } if column == Float => Ok(Float),
            _ => {
                let hint = match self {
                    AggregateKind::ExactMean { .. } if number => {
                        "quantile with method \"exact_mean\" takes floats; convert the column first, as by toFloat()"
                            .to_string()
                    }
                    _ => format!("{} takes numbers; filter by _field first", self.name()),
                };
                Err(Error::failed_precondition(format!("unsupported aggregate column type {}", column.flux_name()))
                    .with_hint(hint))
            }
        }
    }

    /// The value where there are no rows.
    pub fn of_nothing(self) -> Cell<'static> {
        if self == AggregateKind::Count { Cell::Int(0) } else { Cell::Null }
    }

    /// An accumulator for one table or window, given the type of the column.
    pub fn accumulator(self, column: ColumnType) -> Accumulator {
        match self {
            AggregateKind::Count => Accumulator::Count { rows: 0 },
            AggregateKind::Sum | AggregateKind::Mean => {
                let mean = self == AggregateKind::Mean;
                Accumulator::Total { mean, column, valid: 0, float: 0.0, integer: 0 }
            }
            AggregateKind::Spread => Accumulator::Spread { range: None },
            AggregateKind::StdDev { .. } | AggregateKind::Skew => {
                Accumulator::Moments { of: self, count: 0.0, mean: 0.0, second: 0.0, third: 0.0 }
            }
            AggregateKind::Quantile { q, compression } => {
                Accumulator::Digest { q, any: false, digest: Box::new(Digest::new(compression)) }
            }
            AggregateKind::ExactMean { q } => Accumulator::Values { q, values: Vec::new() },
        }
    }
}

/// What has been seen of a table or window.
#[derive(Clone, Debug)]
pub enum Accumulator {
    /// For `count`.
    Count {
        /// Rows, null ones too.
        rows: u64,
    },
    /// For `sum` and `mean`.
    Total {
        /// Whether the mean is wanted.
        mean: bool,
        /// The type of the column.
        column: ColumnType,
        /// Rows with a value.
        valid: u64,
        /// The sum of floats.
        float: f64,
        /// The sum of integers: exact for 2^63 rows of any.
        integer: i128,
    },
    /// For `spread`.
    Spread {
        /// The least and the greatest value.
        range: Option<(Cell<'static>, Cell<'static>)>,
    },
    /// For `stddev` and `skew`: central moments, updated value by value (Welford).
    Moments {
        /// Which of them.
        of: AggregateKind,
        /// Values.
        count: f64,
        /// Their mean.
        mean: f64,
        /// The sum of squares of the distances from it.
        second: f64,
        /// The sum of their cubes.
        third: f64,
    },
    /// For `quantile`.
    Digest {
        /// Which quantile.
        q: f64,
        /// Whether there was a value, NaN included.
        any: bool,
        /// The values.
        digest: Box<Digest>,
    },
    /// For `quantile` by `exact_mean`.
    Values {
        /// Which quantile.
        q: f64,
        /// All values.
        values: Vec<f64>,
    },
}

impl Accumulator {
    /// Takes rows of a column, which is of the type that the accumulator was made for.
    pub fn add(&mut self, view: ColumnView<'_>, rows: Range<usize>) {
        match self {
            Accumulator::Count { rows: count } => *count += rows.len() as u64,
            Accumulator::Total { valid, float, integer, .. } => match view {
                ColumnView::Float(array) => each(array, rows, |row| {
                    *valid += 1;
                    *float += array.value(row);
                }),
                ColumnView::Int(array) => each(array, rows, |row| {
                    *valid += 1;
                    *integer += i128::from(array.value(row));
                }),
                ColumnView::UInt(array) => each(array, rows, |row| {
                    *valid += 1;
                    *integer += i128::from(array.value(row));
                }),
                ColumnView::Bool(_) | ColumnView::String(_) | ColumnView::Time(_) => {}
            },
            Accumulator::Spread { range } => {
                for row in rows {
                    let cell = number(view, row);
                    if cell == Cell::Null {
                        continue;
                    }
                    match range {
                        None => *range = Some((cell, cell)),
                        Some((least, greatest)) => {
                            if is_less(cell, *least) {
                                *least = cell;
                            }
                            if is_less(*greatest, cell) {
                                *greatest = cell;
                            }
                        }
                    }
                }
            }
            Accumulator::Moments { of, count, mean, second, third } => {
                let skew = *of == AggregateKind::Skew;
                each_float(view, rows, |value| {
                    let before = *count;
                    *count += 1.0;
                    let delta = value - *mean;
                    let step = delta / *count;
                    *mean += step;
                    if skew {
                        let term = delta * step * before;
                        *third += term * step * (*count - 2.0) - 3.0 * step * *second;
                        *second += term;
                    } else {
                        *second += delta * (value - *mean);
                    }
                });
            }
            Accumulator::Digest { any, digest, .. } => each_float(view, rows, |value| {
                *any = true;
                digest.add(value);
            }),
            Accumulator::Values { values, .. } => each_float(view, rows, |value| values.push(value)),
        }
    }

    /// What it holds beside itself, in bytes.
    pub fn memory(&self) -> usize {
        match self {
            Accumulator::Digest { digest, .. } => digest.memory(),
            Accumulator::Values { values, .. } => values.capacity() * size_of::<f64>(),
            Accumulator::Count { .. }
            | Accumulator::Total { .. }
            | Accumulator::Spread { .. }
            | Accumulator::Moments { .. } => 0,
        }
    }

    /// The value; null if there was none.
    pub fn value(self) -> Cell<'static> {
        match self {
            Accumulator::Count { rows } => Cell::Int(i64::try_from(rows).unwrap_or(i64::MAX)),
            Accumulator::Total { valid: 0, .. } => Cell::Null,
            // One of the two is zero.
            Accumulator::Total { mean: true, valid, float, integer, .. } => {
                Cell::Float((float + integer as f64) / valid as f64)
            }
            Accumulator::Total { column, float, integer, .. } => match column {
                // The low 64 bits: what wrapping addition gives.
                ColumnType::Int => Cell::Int(integer as i64),
                ColumnType::UInt => Cell::UInt(integer as u64),
                _ => Cell::Float(float),
            },
            Accumulator::Spread { range } => match range {
                Some((Cell::Int(least), Cell::Int(greatest))) => Cell::Int(greatest.wrapping_sub(least)),
                Some((Cell::UInt(least), Cell::UInt(greatest))) => Cell::UInt(greatest.wrapping_sub(least)),
                Some((Cell::Float(least), Cell::Float(greatest))) => Cell::Float(greatest - least),
                _ => Cell::Null,
            },
            Accumulator::Moments { count: 0.0, .. } => Cell::Null,
            Accumulator::Moments { of: AggregateKind::StdDev { population }, count, second, .. } => {
                let free = if population { count } else { count - 1.0 };
                Cell::Float(if free < 1.0 { f64::NAN } else { (second / free).sqrt() })
            }
            Accumulator::Moments { count, second, third, .. } => {
                // Equal values lean to no side: not the sign that the processor gives to nothing by nothing.
                let flat = count < 2.0 || second == 0.0;
                Cell::Float(if flat { f64::NAN } else { count.sqrt() * third / second.powf(1.5) })
            }
            Accumulator::Digest { any: false, .. } => Cell::Null,
            Accumulator::Digest { q, mut digest, .. } => Cell::Float(digest.quantile(q)),
            Accumulator::Values { q, values } => exact_mean(q, values).map_or(Cell::Null, Cell::Float),
        }
    }
}

/// The quantile at `q * (n - 1)`, between the two values around it; NaN comes before all numbers.
fn exact_mean(q: f64, mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(|left, right| left.partial_cmp(right).unwrap_or_else(|| right.is_nan().cmp(&left.is_nan())));
    let place = q * (values.len() - 1) as f64;
    let (below, above) = (place.floor(), place.ceil());
    let (low, high) = (values[below as usize], values[above as usize]);
    Some(if below == above { low } else { low * (above - place) + high * (place - below) })
}

fn each(array: &dyn Array, rows: Range<usize>, take: impl FnMut(usize)) {
    if array.null_count() == 0 {
        rows.for_each(take);
    } else {
        rows.filter(|row| array.is_valid(*row)).for_each(take);
    }
}

fn each_float(view: ColumnView<'_>, rows: Range<usize>, mut take: impl FnMut(f64)) {
    match view {
        ColumnView::Float(array) => each(array, rows, |row| take(array.value(row))),
        ColumnView::Int(array) => each(array, rows, |row| take(array.value(row) as f64)),
        ColumnView::UInt(array) => each(array, rows, |row| take(array.value(row) as f64)),
        ColumnView::Bool(_) | ColumnView::String(_) | ColumnView::Time(_) => {}
    }
}

/// A cell that has an order by size and borrows nothing: a number or a time; null for anything else.
pub(super) fn number(view: ColumnView<'_>, row: usize) -> Cell<'static> {
    match view.cell(row) {
        Cell::Int(value) => Cell::Int(value),
        Cell::UInt(value) => Cell::UInt(value),
        Cell::Float(value) => Cell::Float(value),
        Cell::Time(value) => Cell::Time(value),
        Cell::Null | Cell::Bool(_) | Cell::String(_) => Cell::Null,
    }
}

/// Whether one number is less than another of its type; NaN is neither less nor greater than anything.
pub(super) fn is_less(left: Cell<'_>, right: Cell<'_>) -> bool {
    match (left, right) {
        (Cell::Int(left), Cell::Int(right)) | (Cell::Time(left), Cell::Time(right)) => left < right,
        (Cell::UInt(left), Cell::UInt(right)) => left < right,
        (Cell::Float(left), Cell::Float(right)) => left < right,
        _ => false,
    }
}
