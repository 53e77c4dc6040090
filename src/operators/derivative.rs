//! `derivative`: the rate of change from row to row (flux-semantics 9.5).
//!
//! The first row of each table goes, and so do rows that repeat the time of the row before. A null passes as null; the value
//! before is the last one that was none, with its time. Times must not go back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, TimestampNanosecondArray};
use arrow::datatypes::{Float64Type, TimestampNanosecondType};

use super::by_shape::ByShape;
use super::per_table::{Number, OpenTables, listed, row_values, scan_column, with_types};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::select::keep_rows;
use crate::table::{Chunk, Column, ColumnType, ColumnView, Name, Shape};

/// `derivative(unit, nonNegative, columns, timeColumn, initialZero)`.
#[derive(Clone, Debug)]
pub struct Derivative {
    /// The rate is per so many nanoseconds.
    pub unit_ns: i64,
    /// A decrease gives null, or with `initial_zero` zero.
    pub non_negative: bool,
    /// The columns; those that a table lacks are ignored.
    pub columns: Vec<Name>,
    /// The column that holds the time.
    pub time_column: Name,
    /// See `non_negative`.
    pub initial_zero: bool,
}

impl Transform for Derivative {
    fn name(&self) -> &'static str {
        "derivative"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let previous = self.columns.iter().map(|_| OpenTables::default()).collect();
        let (plans, times) = (ByShape::default(), OpenTables::default());
        Ok(Box::new(DerivativeOperator { derivative: self.clone(), plans, previous, times }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| format!("{name:?}")).collect();
        format!("unit: {}ns, nonNegative: {}, columns: [{}]", self.unit_ns, self.non_negative, columns.join(", "))
    }
}

/// What a shape turns into.
struct Plan {
    shape: Arc<Shape>,
    time: Column,
    /// Of each column its number in the list and its place among the row columns.
    columns: Vec<(usize, usize)>,
}

/// The last row with a value.
#[derive(Clone, Copy, Default)]
struct Previous {
    /// The value as bits; `None` before the first one.
    value: Option<u64>,
    time_ns: i64,
}

struct DerivativeOperator {
    derivative: Derivative,
    plans: ByShape<Plan>,
    previous: Vec<OpenTables<Previous>>,
    /// The time of the last row that was not a repetition.
    times: OpenTables<Option<i64>>,
}

/// What becomes of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has no row before it.
    First,
    /// It repeats a time.
    Repeated,
    Kept,
}

impl Derivative {
    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let time = shape.column(&self.time_column).ok_or_else(|| {
            Error::failed_precondition(format!("no column {:?} exists", self.time_column))
                .with_hint("derivative needs the time of each row: name its column as timeColumn")
        })?;
        if time.column_type != ColumnType::Time {
            return Err(Error::failed_precondition(format!(
                "time column {:?} is type {} and not time",
                self.time_column,
                time.column_type.flux_name()
            )));
        }
        let columns = listed("derivative", &self.columns, shape)?;
        for (_, column, _) in &columns {
            if !matches!(column.column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float) {
                return Err(Error::failed_precondition(format!(
                    "unsupported derivative column type {}:{}",
                    column.name,
                    column.column_type.flux_name()
                ))
                .with_hint("derivative takes numbers; filter by _field, or convert with toFloat()"));
            }
        }
        let types: Vec<_> = columns.iter().map(|(_, _, place)| (*place, ColumnType::Float)).collect();
        let columns = columns.iter().map(|(number, _, place)| (*number, *place)).collect();
        Ok(Plan { shape: with_types(shape, &types), time: time.clone(), columns })
    }

    /// The rates of a column.
    fn column<T: Number>(
        &self,
        array: &PrimitiveArray<T>,
        chunk: &Chunk,
        times: &TimestampNanosecondArray,
        fates: &[Fate],
        previous: &mut OpenTables<Previous>,
        subtract: impl Fn(T::Native, T::Native) -> f64,
    ) -> ArrayRef {
        let unit = self.unit_ns as f64;
        scan_column::<T, Float64Type, _>(array, chunk, previous, |previous, row, value| {
            let value = value.filter(|_| fates[row] != Fate::Repeated)?;
            let time_ns = times.value(row);
            let before = std::mem::replace(previous, Previous { value: Some(T::bits(value)), time_ns });
            let before_value = T::of_bits(before.value?);
            if self.non_negative && before_value > value {
                return self.initial_zero.then_some(0.0);
            }
            Some(subtract(value, before_value) / (time_ns.wrapping_sub(before.time_ns) as f64 / unit))
        })
    }
}

impl Operator for DerivativeOperator {
    fn push(&mut self, _port: usize, mut chunk: Chunk, out: &mut Out) -> Result<()> {
        let derivative = &self.derivative;
        let plan = self.plans.get(&chunk.shape, |shape| derivative.plan(shape))?;
        let times = row_values(&chunk, &plan.time)?;
        let times = times.as_primitive::<TimestampNanosecondType>();
        if times.null_count() > 0 {
            return Err(Error::failed_precondition("derivative found null time in time column")
                .with_hint(format!("leave such rows out: filter(fn: (r) => exists r.{})", derivative.time_column)));
        }
        let mut fates = Vec::with_capacity(chunk.len);
        for (segment, rows) in chunk.tables() {
            self.times.with(&segment, |before| {
                for row in rows {
                    let time_ns = times.value(row);
                    fates.push(match before.replace(time_ns) {
                        None => Fate::First,
                        Some(before) if before == time_ns => Fate::Repeated,
                        Some(before) if before > time_ns => {
                            return Err(Error::failed_precondition(
                                "derivative found out-of-order times in time column",
                            )
                            .with_hint(format!("sort(columns: [{:?}]) first", derivative.time_column)));
                        }
                        Some(_) => Fate::Kept,
                    });
                }
                Ok(())
            })?;
        }
        for (number, place) in &plan.columns {
            let previous = &mut self.previous[*number];
            let column = match ColumnView::of(&chunk.rows[*place]) {
                ColumnView::Int(array) => {
                    let subtract = |value: i64, before: i64| value.wrapping_sub(before) as f64;
                    derivative.column(array, &chunk, times, &fates, previous, subtract)
                }
                ColumnView::UInt(array) => {
                    let subtract = |value: u64, before: u64| {
                        if before > value { -((before - value) as f64) } else { (value - before) as f64 }
                    };
                    derivative.column(array, &chunk, times, &fates, previous, subtract)
                }
                ColumnView::Float(array) => {
                    derivative.column(array, &chunk, times, &fates, previous, |value, before| value - before)
                }
                _ => return Err(Error::internal("derivative over a column that is no number")),
            };
            chunk.rows[*place] = column;
        }
        chunk.shape = Arc::clone(&plan.shape);
        let kept = fates.iter().map(|fate| *fate == Fate::Kept).collect();
        out.push(keep_rows(chunk, &kept)?);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.previous.iter().map(OpenTables::memory).sum::<usize>() + self.times.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn of(columns: &[&str]) -> Derivative {
        Derivative {
            unit_ns: 1_000_000_000,
            non_negative: false,
            columns: columns.iter().map(|name| Name::from(*name)).collect(),
            time_column: "_time".into(),
            initial_zero: false,
        }
    }

    /// flux-semantics 9.5: per second; the first row goes, a null passes and the value before it stays.
    #[test]
    fn rates_per_unit() {
        let head = "h:string* _time:time v:float\n";
        let input = "h:string* _time:time v:int\na T0 10\na T2 20\na T4 -\na T8 5\n\nb T1 1\n\n= c\n";
        let rest = "\n= b\n\n= c\n";
        expect(&of(&["v"]), input, &format!("{head}a T2 5.0\na T4 -\na T8 -2.5\n{rest}"));
        let minute = Derivative { unit_ns: 60_000_000_000, non_negative: true, ..of(&["v"]) };
        expect(&minute, input, &format!("{head}a T2 300.0\na T4 -\na T8 -\n{rest}"));
        let zero = Derivative { initial_zero: true, ..minute };
        expect(&zero, input, &format!("{head}a T2 300.0\na T4 -\na T8 0.0\n{rest}"));
    }

    /// flux-semantics 9.5: rows that repeat a time are dropped, the first one stays.
    #[test]
    fn repeated_times_are_dropped() {
        let input = "_time:time v:uint w:string\nT0 4 a\nT0 9 b\nT1 2 c\nT1 7 d\nT1 8 e\nT3 6 f\n";
        expect(&of(&["v"]), input, "_time:time v:float w:string\nT1 -2.0 c\nT3 2.0 f\n");
    }

    #[test]
    fn what_cannot_be_derived_is_refused() {
        let message = |columns: &[&str], input: &str| expect_error(&of(columns), input).message().to_owned();
        let input = "_time:time v:string\nT1 x\n";
        assert_eq!(message(&["v"], input), "unsupported derivative column type v:string");
        assert_eq!(message(&["v"], "v:int\n1\n"), "no column \"_time\" exists");
        assert_eq!(message(&["v"], "_time:int v:int\n1 1\n"), "time column \"_time\" is type int and not time");
        assert_eq!(message(&["v"], "_time:time v:int\nT1 1\n- 1\n"), "derivative found null time in time column");
        let back = message(&["v"], "_time:time v:int\nT2 1\nT1 1\n");
        assert_eq!(back, "derivative found out-of-order times in time column");
    }
}
