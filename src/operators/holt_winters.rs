//! `holtWinters`: a forecast of each table by the damped method of Holt and Winters.
//!
//! The values are put into a row of even intervals; six parameters, and one per season, are fitted by the least sum of
//! squared errors. Tables are held until they are whole; what a script may ask for has a bound.

mod model;
mod simplex;

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, TimestampNanosecondArray};
use arrow::datatypes::TimestampNanosecondType;

use super::by_shape::ByShape;
use super::indicator::floats;
use super::per_table::row_values;
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::whole::WholeTables;
use crate::table::{Chunk, Column, ColumnType, Name, Segment, Shape};
use crate::time::Duration;
use model::Model;

/// So many intervals may a table have, those of the forecast among them.
const MAX_INTERVALS: i64 = 1_000_000;

/// `holtWinters(n, interval, withFit, column, timeColumn, seasonality, withMinSSE)`.
#[derive(Clone, Debug)]
pub struct HoltWinters {
    /// How many intervals are forecast.
    pub n: i64,
    /// The time from one value to the next.
    pub interval: Duration,
    /// The fitted values come before the forecast.
    pub with_fit: bool,
    /// The column with the values.
    pub column: Name,
    /// The column with their times.
    pub time_column: Name,
    /// How many intervals make a season; less than two means none.
    pub seasonality: i64,
    /// The least sum of squared errors comes in a column `minSSE`.
    pub with_min_sse: bool,
}

impl HoltWinters {
    /// Checks the arguments.
    ///
    /// # Errors
    /// Invalid for an interval that is not greater than zero; ResourceExhausted for more intervals than may be.
    pub fn checked(self) -> Result<HoltWinters> {
        if self.interval.flat_nanoseconds() <= 0 {
            return Err(Error::invalid("holtWinters needs an interval greater than zero"));
        }
        if self.n > MAX_INTERVALS || self.seasonality > MAX_INTERVALS {
            return Err(too_many());
        }
        Ok(self)
    }

    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let column = |what: &str, name: &Name| {
            let found = shape.column(name).cloned();
            found.ok_or_else(|| Error::failed_precondition(format!("holtWinters: cannot find {what} {name}")))
        };
        let time = column("time column", &self.time_column)?;
        if time.column_type != ColumnType::Time {
            return Err(Error::failed_precondition(format!(
                "holtWinters: time column {} is of type {}",
                time.name,
                time.column_type.flux_name()
            )));
        }
        let value = column("column", &self.column)?;
        if !matches!(value.column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float) {
            return Err(Error::failed_precondition(format!(
                "holtWinters can work only on numerical types, got {}",
                value.column_type.flux_name()
            )));
        }
        let mut added = vec![("_time".into(), ColumnType::Time), ("_value".into(), ColumnType::Float)];
        if self.with_min_sse {
            added.push(("minSSE".into(), ColumnType::Float));
        }
        let shape = super::describe::behind_key("holtWinters", shape, &added)?;
        Ok(Plan { shape, time, value })
    }
}

impl Transform for HoltWinters {
    fn name(&self) -> &'static str {
        "holtWinters"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let (plans, whole) = (ByShape::default(), WholeTables::new());
        Ok(Box::new(HoltWintersOperator { of: self.clone(), plans, whole }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: true, ..input[0] }
    }

    fn explain(&self) -> String {
        format!("n: {}, interval: {}, seasonality: {}", self.n, self.interval, self.seasonality)
    }
}

struct Plan {
    shape: Arc<Shape>,
    time: Column,
    value: Column,
}

struct HoltWintersOperator {
    of: HoltWinters,
    plans: ByShape<Plan>,
    whole: WholeTables,
}

impl Operator for HoltWintersOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let of = &self.of;
            let plan = self.plans.get(&chunk.shape, |shape| of.plan(shape))?;
            out.chunks.extend(of.forecast(plan, &chunk)?.cut());
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.whole.memory()
    }
}

impl HoltWinters {
    fn forecast(&self, plan: &Plan, chunk: &Chunk) -> Result<Chunk> {
        let all_times = row_values(chunk, &plan.time)?;
        let all_times = all_times.as_primitive::<TimestampNanosecondType>();
        let all_values = row_values(chunk, &plan.value)?;
        let (mut times, mut values, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        let mut segments = Vec::with_capacity(chunk.segments.len());
        for (segment, rows) in chunk.tables() {
            let own_times = rows.clone().map(|row| all_times.is_valid(row).then(|| all_times.value(row)));
            let even = self.even(own_times, &floats(&all_values, rows.clone())?)?;
            let model = Model::new(&even.values, self.n, self.seasonality);
            let Some((forecast, error)) = model.and_then(|model| model.forecast(self.with_fit)) else {
                segments.push(Segment { end: values.len() as u32, ..segment });
                continue;
            };
            let mut time_ns = if self.with_fit { even.start_ns } else { self.interval.add_to(even.stop_ns) };
            for value in forecast {
                times.push(time_ns);
                values.push(value);
                errors.push(error);
                time_ns = self.interval.add_to(time_ns);
            }
            segments.push(Segment { end: values.len() as u32, ..segment });
        }
        let len = values.len();
        let mut rows: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(TimestampNanosecondArray::from(times)), Arc::new(Float64Array::from(values))];
        if self.with_min_sse {
            rows.push(Arc::new(Float64Array::from(errors)));
        }
        Ok(Chunk { shape: Arc::clone(&plan.shape), keys: Arc::clone(&chunk.keys), segments, rows, len })
    }

    /// The values at even intervals: the first one of each, null where there is none. Rows without a time are passed over,
    /// and so are nulls in front.
    fn even(&self, times: impl Iterator<Item = Option<i64>>, values: &[Option<f64>]) -> Result<Even> {
        let interval = self.interval.flat_nanoseconds();
        let round = |time_ns: i64| {
            let rest = time_ns.rem_euclid(interval);
            if rest < interval - rest { time_ns.saturating_sub(rest) } else { time_ns.saturating_add(interval - rest) }
        };
        let mut even = Even { values: Vec::new(), start_ns: 0, stop_ns: 0 };
        let mut end: Option<i64> = None;
        for (time_ns, value) in times.zip(values) {
            let Some(time_ns) = time_ns else { continue };
            if value.is_some_and(|value| !value.is_finite()) {
                return Err(Error::invalid("holtWinters: NaN/Inf in input")
                    .with_hint("leave such values out with a filter first"));
            }
            let Some(own_end) = end else {
                if value.is_some() {
                    even.start_ns = time_ns;
                    end = Some(round(time_ns));
                    even.values.push(*value);
                }
                continue;
            };
            let rounded = round(time_ns);
            if rounded <= own_end {
                continue;
            }
            let gap = (i128::from(rounded) - i128::from(own_end)) / i128::from(interval);
            if gap + even.values.len() as i128 > i128::from(MAX_INTERVALS) {
                return Err(too_many());
            }
            even.values.extend((1..gap).map(|_| None));
            even.values.push(*value);
            end = Some(rounded);
            even.stop_ns = time_ns;
        }
        Ok(even)
    }
}

fn too_many() -> Error {
    Error::resource_exhausted(format!("holtWinters would work on more than {MAX_INTERVALS} intervals"))
        .with_hint("take a longer interval, or aggregate the values first")
}

/// Values at even intervals, with the times of the first and the last one.
struct Even {
    values: Vec<Option<f64>>,
    start_ns: i64,
    stop_ns: i64,
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn of(n: i64) -> HoltWinters {
        HoltWinters {
            n,
            interval: Duration::from_nanoseconds(1_000_000_000),
            with_fit: false,
            column: "_value".into(),
            time_column: "_time".into(),
            seasonality: 0,
            with_min_sse: false,
        }
    }

    #[test]
    fn tables_of_too_few_values_are_empty() {
        let input = "h:string* _time:time _value:int\na T1 1\na - 2\n\n= b\n";
        expect(&of(3), input, "h:string* _time:time _value:float\n= a\n\n= b\n");
    }

    #[test]
    fn a_constant_goes_on() {
        let rows: String = (0..20).map(|second| format!("T{second} 5.0\n")).collect();
        let input = format!("_time:time _value:float\n{rows}");
        let out = answer(&of(2), props(crate::table::scan::Parts::Clustered), &input);
        let Ok(out) = out else { panic!("an answer") };
        let values = out.chunks[0].rows[1].as_primitive::<arrow::datatypes::Float64Type>();
        assert_eq!(values.len(), 2);
        assert!(values.values().iter().all(|value| (value - 5.0).abs() < 0.05), "{values:?}");
    }

    #[test]
    fn what_cannot_be_forecast_is_refused() {
        let message = |input: &str| expect_error(&of(1), input).message().to_owned();
        assert_eq!(message("_value:int\n1\n"), "holtWinters: cannot find time column _time");
        assert_eq!(message("_time:time\nT1\n"), "holtWinters: cannot find column _value");
        let text = "_time:time _value:string\nT1 x\n";
        assert_eq!(message(text), "holtWinters can work only on numerical types, got string");
        assert_eq!(message("_time:time _value:float\nT1 NaN\n"), "holtWinters: NaN/Inf in input");
        let far = "_time:time _value:int\nT1 1\nT9999999 2\n";
        assert_eq!(message(far), "holtWinters would work on more than 1000000 intervals");
    }
}
