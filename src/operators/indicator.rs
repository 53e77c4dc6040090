//! Averages that weigh newer rows more, and indicators of momentum: `exponentialMovingAverage` and its kin,
//! `relativeStrengthIndex`, `chandeMomentumOscillator`, `kaufmansER`, `kaufmansAMA`.
//!
//! Each needs some rows before it can say anything, and gives no row for them. Tables are held until they are whole.

mod averages;
mod momentum;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Builder, PrimitiveArray};

use super::by_shape::ByShape;
use super::per_table::{Number, with_types};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::select::keep_ranges;
use crate::table::whole::WholeTables;
use crate::table::{Chunk, ColumnType, ColumnView, Name, Place, Shape};

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndicatorKind {
    /// `exponentialMovingAverage`.
    Ema,
    /// `doubleEMA`.
    DoubleEma,
    /// `tripleEMA`.
    TripleEma,
    /// `tripleExponentialDerivative`.
    Trix,
    /// `relativeStrengthIndex`.
    Rsi,
    /// `chandeMomentumOscillator`.
    Cmo,
    /// `kaufmansER`.
    Er,
    /// `kaufmansAMA`.
    Ama,
}

impl IndicatorKind {
    fn name(self) -> &'static str {
        match self {
            IndicatorKind::Ema => "exponentialMovingAverage",
            IndicatorKind::DoubleEma => "doubleEMA",
            IndicatorKind::TripleEma => "tripleEMA",
            IndicatorKind::Trix => "tripleExponentialDerivative",
            IndicatorKind::Rsi => "relativeStrengthIndex",
            IndicatorKind::Cmo => "chandeMomentumOscillator",
            IndicatorKind::Er => "kaufmansER",
            IndicatorKind::Ama => "kaufmansAMA",
        }
    }

    /// Whether it is a chain of functions that ends in `map`, which drops tables without rows.
    fn drops_empty(self) -> bool {
        matches!(self, IndicatorKind::DoubleEma | IndicatorKind::TripleEma | IndicatorKind::Er)
    }

    /// What it makes of the values of a table: of which rows, and the values there.
    fn of(self, values: &[Option<f64>], n: usize) -> (Range<usize>, Vec<Option<f64>>) {
        match self {
            IndicatorKind::Ema => averages::ema(values, n),
            IndicatorKind::DoubleEma => averages::double_ema(values, n),
            IndicatorKind::TripleEma => averages::triple_ema(values, n),
            IndicatorKind::Trix => averages::trix(values, n),
            IndicatorKind::Rsi => momentum::rsi(values, n),
            IndicatorKind::Cmo => momentum::cmo(values, n),
            IndicatorKind::Er => momentum::er(values, n),
            IndicatorKind::Ama => momentum::ama(values, n),
        }
    }
}

/// An indicator over columns.
#[derive(Clone, Debug)]
pub struct Indicator {
    kind: IndicatorKind,
    n: usize,
    columns: Vec<Name>,
    /// Whether a table has to have the column.
    required: bool,
}

impl Indicator {
    /// Over `n` rows of columns; those that a table lacks are ignored.
    ///
    /// # Errors
    /// Invalid unless `n` is greater than zero.
    pub fn new(kind: IndicatorKind, n: i64, columns: Vec<Name>) -> Result<Indicator> {
        match usize::try_from(n) {
            Ok(n) if n > 0 => Ok(Indicator { kind, n, columns, required: false }),
            _ => Err(Error::invalid(format!(
                "cannot take {} with a period of {n} (must be greater than 0)",
                kind.name()
            ))),
        }
    }

    /// Over `n` rows of `_value`, which every table has to have.
    ///
    /// # Errors
    /// As [`Indicator::new`].
    pub fn of_value(kind: IndicatorKind, n: i64) -> Result<Indicator> {
        Ok(Indicator { required: true, ..Indicator::new(kind, n, vec!["_value".into()])? })
    }

    /// The places of the columns in the rows, and the shape with them as floats.
    fn plan(&self, shape: &Shape) -> Result<(Vec<usize>, Arc<Shape>)> {
        let name = self.kind.name();
        let mut places = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let Some(column) = shape.column(column) else {
                if self.required {
                    return Err(Error::failed_precondition(format!("cannot find {column} column"))
                        .with_hint(format!("{name} works on {column}: rename another column to it first")));
                }
                continue;
            };
            if !matches!(column.column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float) {
                return Err(Error::failed_precondition(format!(
                    "cannot take {name} of column {} (type {})",
                    column.name,
                    column.column_type.flux_name()
                ))
                .with_hint("it takes numbers; filter by _field, or convert with toFloat()"));
            }
            let Place::Row(place) = column.place else {
                return Err(Error::failed_precondition(format!(
                    "{name} cannot change column {:?}: it is part of the group key",
                    column.name
                )));
            };
            places.push(place as usize);
        }
        let types: Vec<_> = places.iter().map(|place| (*place, ColumnType::Float)).collect();
        Ok((places, with_types(shape, &types)))
    }
}

impl Transform for Indicator {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let (plans, whole) = (ByShape::default(), WholeTables::new());
        Ok(Box::new(IndicatorOperator { indicator: self.clone(), plans, whole }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| format!("{name:?}")).collect();
        format!("n: {}, columns: [{}]", self.n, columns.join(", "))
    }
}

struct IndicatorOperator {
    indicator: Indicator,
    plans: ByShape<(Vec<usize>, Arc<Shape>)>,
    whole: WholeTables,
}

impl Operator for IndicatorOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let indicator = &self.indicator;
            let plan = self.plans.get(&chunk.shape, |shape| indicator.plan(shape))?;
            out.chunks.extend(indicator.apply(plan, chunk)?.cut());
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

impl Indicator {
    fn apply(&self, (places, shape): &(Vec<usize>, Arc<Shape>), chunk: Chunk) -> Result<Chunk> {
        let mut columns: Vec<Float64Builder> = places.iter().map(|_| Float64Builder::new()).collect();
        let mut kept = Vec::with_capacity(chunk.segments.len());
        for (segment, rows) in chunk.tables() {
            // The rows depend on how many there are, not on their values.
            let mut own = match places.is_empty() {
                true => self.kind.of(&vec![None; rows.len()], self.n).0,
                false => 0..0,
            };
            for (place, column) in places.iter().zip(&mut columns) {
                let (range, values) = self.kind.of(&floats(&chunk.rows[*place], rows.clone())?, self.n);
                column.extend(values);
                own = range;
            }
            if !(own.is_empty() && self.kind.drops_empty()) {
                kept.push((segment, rows.start + own.start..rows.start + own.end));
            }
        }
        let mut chunk = keep_ranges(chunk, &kept)?;
        for (place, column) in places.iter().zip(&mut columns) {
            chunk.rows[*place] = Arc::new(column.finish());
        }
        chunk.shape = Arc::clone(shape);
        Ok(chunk)
    }
}

/// Some rows of a column of numbers as floats.
pub(super) fn floats(array: &ArrayRef, rows: Range<usize>) -> Result<Vec<Option<f64>>> {
    fn of<T: Number>(array: &PrimitiveArray<T>, rows: Range<usize>) -> Vec<Option<f64>> {
        rows.map(|row| array.is_valid(row).then(|| T::float(array.value(row)))).collect()
    }
    match ColumnView::of(array) {
        ColumnView::Int(array) => Ok(of(array, rows)),
        ColumnView::UInt(array) => Ok(of(array, rows)),
        ColumnView::Float(array) => Ok(of(array, rows)),
        _ => Err(Error::internal("numbers of a column that has none")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;

    fn of(kind: IndicatorKind, n: i64) -> Indicator {
        Indicator::of_value(kind, n).unwrap()
    }

    /// Tables that are longer and shorter than the period, and one of none.
    #[test]
    fn rows_before_the_period_give_none() {
        let input = "h:string* _value:int w:string\na 1 p\na 3 q\na 8 r\n\nb 4 s\n\n= c\n";
        let head = "h:string* _value:float w:string\n";
        // 2 from the mean of 1 and 3; then 8 * 2/3 + 2 * 1/3.
        expect(&of(IndicatorKind::Ema, 2), input, &format!("{head}a 2.0 q\na 6.0 r\n\nb 4.0 s\n\n= c\n"));
        // 1 -> 8 is a rise only, so the sum of rises is all there is.
        expect(&of(IndicatorKind::Cmo, 2), input, &format!("{head}a 100.0 r\n\n= b\n\n= c\n"));
        expect(&of(IndicatorKind::Er, 2), input, &format!("{head}a 1.0 r\n"));
    }

    #[test]
    fn what_cannot_be_taken_is_refused() {
        let message = |input: &str| expect_error(&of(IndicatorKind::Ema, 2), input).message().to_owned();
        assert_eq!(message("v:int\n1\n"), "cannot find _value column");
        assert_eq!(
            message("_value:string\nx\n"),
            "cannot take exponentialMovingAverage of column _value (type string)"
        );
        let error = Indicator::of_value(IndicatorKind::Ama, 0).unwrap_err();
        assert_eq!(error.message(), "cannot take kaufmansAMA with a period of 0 (must be greater than 0)");
    }
}
