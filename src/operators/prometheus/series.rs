//! Changes, resets, rates, regressions and smoothing: one float of the values of each table over time.

use super::{OneFloat, PerTable, floats, gives, key_time, times};
use crate::error::{Error, Result};
use crate::operators::{Operator, Transform};
use crate::table::scan::StreamProps;
use crate::table::{Chunk, Name, Segment};

/// What is computed of each table.
#[derive(Clone, Copy, Debug)]
pub enum SeriesFunction {
    /// How often the value changes.
    Changes,
    /// How often the value falls.
    Resets,
    /// The step between the last two values, per second and past resets for a rate.
    Instant {
        /// Per second.
        rate: bool,
    },
    /// The growth from the first value to the last, extended towards the bounds.
    Extrapolated {
        /// The value never falls but by a reset.
        counter: bool,
        /// Per second.
        rate: bool,
    },
    /// The slope of the regression line, or its value some seconds after `_stop`.
    Regression {
        /// The seconds, for a prediction.
        predict: Option<f64>,
    },
    /// Double exponential smoothing.
    Smoothed {
        /// How much a new value counts.
        smoothing: f64,
        /// How much a new slope counts.
        trend: f64,
    },
}

impl SeriesFunction {
    /// Smoothing with factors between 0 and 1.
    ///
    /// # Errors
    /// Invalid for other factors.
    pub fn smoothed(smoothing: f64, trend: f64) -> Result<SeriesFunction> {
        for (name, factor) in [("smoothing", smoothing), ("trend", trend)] {
            if !(factor > 0.0 && factor < 1.0) {
                return Err(Error::invalid(format!(
                    "invalid {name} factor: expected one between 0 and 1, found {factor}"
                )));
            }
        }
        Ok(SeriesFunction::Smoothed { smoothing, trend })
    }
}

impl Transform for SeriesFunction {
    fn name(&self) -> &'static str {
        OneFloat::name(self)
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(PerTable(*self).operator(input))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        gives(input)
    }
}

const SECOND: f64 = 1e9;

impl OneFloat for SeriesFunction {
    fn name(&self) -> &'static str {
        match self {
            SeriesFunction::Changes => "changes",
            SeriesFunction::Resets => "resets",
            SeriesFunction::Instant { .. } => "instantRate",
            SeriesFunction::Extrapolated { .. } => "extrapolatedRate",
            SeriesFunction::Regression { .. } => "linearRegression",
            SeriesFunction::Smoothed { .. } => "holtWinters",
        }
    }

    fn column(&self) -> Name {
        "_value".into()
    }

    fn of(&self, chunk: &Chunk, segment: &Segment, rows: std::ops::Range<usize>) -> Result<Option<f64>> {
        use arrow::array::Array;
        let name = OneFloat::name(self);
        let values = floats(chunk, name, "_value")?;
        if matches!(self, SeriesFunction::Changes | SeriesFunction::Resets) {
            let valid: Vec<f64> = rows.filter(|row| values.is_valid(*row)).map(|row| values.value(row)).collect();
            let counts = |from: f64, to: f64| match self {
                SeriesFunction::Changes => from != to && !(from.is_nan() && to.is_nan()),
                _ => to < from,
            };
            let count = valid.windows(2).filter(|pair| counts(pair[0], pair[1])).count();
            return Ok((!valid.is_empty()).then_some(count as f64));
        }
        let times = times(chunk, name, "_time")?;
        let valid = rows.filter(|row| values.is_valid(*row) && times.is_valid(*row));
        let points: Vec<(i64, f64)> = valid.map(|row| (times.value(row), values.value(row))).collect();
        if points.len() < 2 {
            return Ok(None);
        }
        Ok(match *self {
            SeriesFunction::Instant { rate } => instant(&points, rate),
            SeriesFunction::Extrapolated { counter, rate } => {
                let start = key_time(chunk, segment, name, "_start")?;
                let stop = key_time(chunk, segment, name, "_stop")?;
                Some(extrapolated(&points, (start, stop), counter, rate))
            }
            SeriesFunction::Regression { predict } => {
                let origin = match predict {
                    Some(_) => key_time(chunk, segment, name, "_stop")?,
                    None => points[0].0,
                };
                Some(regression(&points, origin, predict))
            }
            SeriesFunction::Smoothed { smoothing, trend } => Some(smoothed(&points, smoothing, trend)),
            SeriesFunction::Changes | SeriesFunction::Resets => None,
        })
    }
}

fn instant(points: &[(i64, f64)], rate: bool) -> Option<f64> {
    let [.., (from, previous), (to, last)] = points else { return None };
    if from == to {
        return None;
    }
    let step = if rate && last < previous { *last } else { last - previous };
    Some(if rate { step / ((to - from) as f64 / SECOND) } else { step })
}

fn extrapolated(points: &[(i64, f64)], (start, stop): (i64, i64), counter: bool, rate: bool) -> f64 {
    let ((first_time, first), (last_time, last)) = (points[0], points[points.len() - 1]);
    let mut growth = last - first;
    if counter {
        let mut before = 0.0;
        for (_, value) in points {
            growth += if *value < before { before } else { 0.0 };
            before = *value;
        }
    }
    let mut to_start = (first_time - start) as f64;
    let to_stop = (stop - last_time) as f64;
    let sampled = (last_time - first_time) as f64;
    let between = sampled / (points.len() - 1) as f64;
    if counter && growth > 0.0 && first >= 0.0 {
        // A counter does not begin below nothing.
        to_start = to_start.min(sampled * (first / growth));
    }
    // Near a bound the next value would lie beyond it; far from one half a step is added.
    let reach = |distance: f64| if distance < between * 1.1 { distance } else { between / 2.0 };
    let growth = growth * ((sampled + reach(to_start) + reach(to_stop)) / sampled);
    if rate { growth / ((stop - start) as f64 / SECOND) } else { growth }
}

fn regression(points: &[(i64, f64)], origin: i64, predict: Option<f64>) -> f64 {
    let n = points.len() as f64;
    let (mut x, mut y, mut xy, mut xx) = (0.0, 0.0, 0.0, 0.0);
    for (time, value) in points {
        let seconds = (time - origin) as f64 / SECOND;
        x += seconds;
        y += value;
        xy += seconds * value;
        xx += seconds * seconds;
    }
    let slope = (xy - x * y / n) / (xx - x * x / n);
    match predict {
        None => slope,
        Some(seconds) => slope * seconds + (y / n - slope * x / n),
    }
}

fn smoothed(points: &[(i64, f64)], smoothing: f64, trend: f64) -> f64 {
    let (mut before, mut level) = (0.0, points[0].1);
    let mut slope = points[1].1 - level;
    for (number, (_, value)) in points.iter().enumerate().skip(1) {
        if number > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    level
}
