//! `movingAverage`: the mean of the last n rows of a table, from its n-th row on.
//!
//! Nulls are left out of the mean; n rows of null give null. A table with fewer rows than n stays, empty (flux-semantics
//! 18, row 7).

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::Float64Type;

use super::by_shape::ByShape;
use super::per_table::{Number, OpenTables, scan_column, with_types};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::select::keep_ranges;
use crate::table::{Chunk, ColumnType, ColumnView, Place, Shape};

const VALUE: &str = "_value";

/// `movingAverage(n)`, over `_value`.
#[derive(Clone, Copy, Debug)]
pub struct MovingAverage {
    n: usize,
}

impl MovingAverage {
    /// Over so many rows.
    ///
    /// # Errors
    /// Invalid unless there is at least one.
    pub fn new(n: i64) -> Result<MovingAverage> {
        match usize::try_from(n) {
            Ok(n) if n > 0 => Ok(MovingAverage { n }),
            _ => {
                Err(Error::invalid(format!("cannot take moving average with a period of {n} (must be greater than 0)")))
            }
        }
    }
}

impl Transform for MovingAverage {
    fn name(&self) -> &'static str {
        "movingAverage"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let (plans, rings, seen) = (ByShape::default(), OpenTables::default(), OpenTables::default());
        Ok(Box::new(MovingAverageOperator { n: self.n, plans, rings, seen, ring_rows: 0 }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        format!("n: {}", self.n)
    }
}

/// Where `_value` stands in the rows, and the shape with it as a float: for operators that make floats of it.
pub(super) fn value_as_float(operator: &str, shape: &Shape) -> Result<(usize, Arc<Shape>)> {
    let column = shape.column(VALUE).ok_or_else(|| {
        Error::failed_precondition("cannot find _value column")
            .with_hint(format!("{operator} works on _value: rename another column to it first"))
    })?;
    if !matches!(column.column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float) {
        return Err(Error::failed_precondition(format!(
            "cannot take {operator} of column {VALUE} (type {})",
            column.column_type.flux_name()
        ))
        .with_hint("it takes numbers; filter by _field, or convert with toFloat()"));
    }
    let Place::Row(place) = column.place else {
        return Err(Error::failed_precondition(format!(
            "{operator} cannot change column {VALUE:?}: it is part of the group key"
        )));
    };
    let place = place as usize;
    Ok((place, with_types(shape, &[(place, ColumnType::Float)])))
}

/// The last rows of a table.
#[derive(Default)]
struct Ring {
    /// The values of up to n rows; that of row number i stands at i modulo n.
    values: Vec<Option<f64>>,
    next: usize,
}

impl Ring {
    /// Takes a row; gives the mean when there are n.
    fn push(&mut self, n: usize, value: Option<f64>) -> Option<f64> {
        if self.values.len() < n {
            self.values.push(value);
        } else {
            self.values[self.next] = value;
        }
        self.next = (self.next + 1) % n;
        if self.values.len() < n {
            return None;
        }
        let (mut sum, mut count) = (0.0, 0_u64);
        for value in self.values.iter().flatten() {
            sum += value;
            count += 1;
        }
        (count > 0).then(|| sum / count as f64)
    }
}

struct MovingAverageOperator {
    n: usize,
    plans: ByShape<(usize, Arc<Shape>)>,
    rings: OpenTables<Ring>,
    /// How many rows have come.
    seen: OpenTables<usize>,
    /// How many rows have come since no table was open: no more can be in the rings.
    ring_rows: usize,
}

impl MovingAverageOperator {
    fn means<T: Number>(&mut self, array: &PrimitiveArray<T>, chunk: &Chunk) -> ArrayRef {
        let n = self.n;
        scan_column::<T, Float64Type, _>(array, chunk, &mut self.rings, |ring: &mut Ring, _, value| {
            ring.push(n, value.map(T::float))
        })
    }
}

impl Operator for MovingAverageOperator {
    fn push(&mut self, _port: usize, mut chunk: Chunk, out: &mut Out) -> Result<()> {
        let plan = self.plans.get(&chunk.shape, |shape| value_as_float("moving average", shape))?;
        let (place, shape) = (plan.0, Arc::clone(&plan.1));
        chunk.rows[place] = match ColumnView::of(&chunk.rows[place].clone()) {
            ColumnView::Int(array) => self.means(array, &chunk),
            ColumnView::UInt(array) => self.means(array, &chunk),
            ColumnView::Float(array) => self.means(array, &chunk),
            _ => return Err(Error::internal("movingAverage over a column that is no number")),
        };
        self.ring_rows = if self.rings.len() == 0 { 0 } else { self.ring_rows + chunk.len };
        chunk.shape = shape;
        let mut kept = Vec::with_capacity(chunk.segments.len());
        for (segment, mut rows) in chunk.tables() {
            self.seen.with(&segment, |seen| {
                let missing = (self.n - 1).saturating_sub(*seen).min(rows.len());
                *seen = seen.saturating_add(rows.len());
                rows.start += missing;
            });
            kept.push((segment, rows));
        }
        out.push(keep_ranges(chunk, &kept)?);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        let rows = self.ring_rows.min(self.rings.len().saturating_mul(self.n));
        self.rings.memory() + self.seen.memory() + rows * size_of::<Option<f64>>()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;

    fn of(n: i64) -> MovingAverage {
        MovingAverage::new(n).unwrap()
    }

    #[test]
    fn means_of_the_last_rows() {
        let input = "h:string* _value:int w:string\na 1 p\na - q\na 5 r\na 9 s\n\nb 4 t\n\n= c\n";
        let head = "h:string* _value:float w:string\n";
        expect(&of(2), input, &format!("{head}a 1.0 q\na 5.0 r\na 7.0 s\n\n= b\n\n= c\n"));
        expect(&of(1), input, &format!("{head}a 1.0 p\na - q\na 5.0 r\na 9.0 s\n\nb 4.0 t\n\n= c\n"));
        expect(&of(3), input, &format!("{head}a 3.0 r\na 7.0 s\n\n= b\n\n= c\n"));
    }

    /// flux-semantics 18, row 7.
    #[test]
    fn a_table_with_too_few_rows_is_empty() {
        expect(&of(i64::MAX), "_value:uint\n1\n2\n", "_value:float\n=\n");
        expect(&of(2), "", "");
    }

    #[test]
    fn what_has_no_mean_is_refused() {
        let message = |input: &str| expect_error(&of(2), input).message().to_owned();
        assert_eq!(message("v:int\n1\n"), "cannot find _value column");
        assert_eq!(message("_value:string\nx\n"), "cannot take moving average of column _value (type string)");
        assert_eq!(
            message("_value:int*\n1\n"),
            "moving average cannot change column \"_value\": it is part of the group key"
        );
        let error = MovingAverage::new(0).unwrap_err();
        assert_eq!(error.message(), "cannot take moving average with a period of 0 (must be greater than 0)");
    }
}
