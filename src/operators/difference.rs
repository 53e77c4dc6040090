//! `difference`: each value less the one before it (flux-semantics 9.4).
//!
//! The first row of each table goes unless it is to be kept. Nulls are passed over: the value before is the last one that
//! was none. State is kept per table, so that parts of many tables may alternate.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, PrimitiveArray};
use arrow::datatypes::{Float64Type, Int64Type};

use super::by_shape::ByShape;
use super::per_table::{Number, OpenTables, listed, scan_column, with_types};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::select::keep_ranges;
use crate::table::{Chunk, ColumnType, ColumnView, Name, Shape};

/// `difference(nonNegative, columns, keepFirst, initialZero)`.
#[derive(Clone, Debug)]
pub struct Difference {
    /// A value below the one before it gives null, or with `initial_zero` itself: the counter began anew at zero.
    pub non_negative: bool,
    /// The columns; those that a table lacks are ignored.
    pub columns: Vec<Name>,
    /// The first row of a table stays.
    pub keep_first: bool,
    /// See `non_negative`; with `keep_first` the first value gives zero as well.
    pub initial_zero: bool,
}

impl Transform for Difference {
    fn name(&self) -> &'static str {
        "difference"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let previous = self.columns.iter().map(|_| OpenTables::default()).collect();
        let (plans, begun) = (ByShape::default(), OpenTables::default());
        Ok(Box::new(DifferenceOperator { difference: self.clone(), plans, previous, begun }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| format!("{name:?}")).collect();
        let mut text = format!("columns: [{}]", columns.join(", "));
        let flags =
            [("nonNegative", self.non_negative), ("keepFirst", self.keep_first), ("initialZero", self.initial_zero)];
        for (name, _) in flags.iter().filter(|(_, set)| *set) {
            text.push_str(&format!(", {name}: true"));
        }
        text
    }
}

/// What a shape turns into.
struct Plan {
    shape: Arc<Shape>,
    /// Of each column its number in the list and its place among the row columns.
    columns: Vec<(usize, usize)>,
}

struct DifferenceOperator {
    difference: Difference,
    plans: ByShape<Plan>,
    /// The last value of each column in the list that was not null, as bits.
    previous: Vec<OpenTables<Option<u64>>>,
    /// Whether rows have come.
    begun: OpenTables<bool>,
}

impl Difference {
    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let columns = listed("difference", &self.columns, shape)?;
        let mut types = Vec::with_capacity(columns.len());
        for (_, column, place) in &columns {
            let column_type = match column.column_type {
                ColumnType::Int | ColumnType::UInt => ColumnType::Int,
                ColumnType::Float => ColumnType::Float,
                ColumnType::Time => {
                    return Err(Error::failed_precondition(
                        "difference does not support time columns. Try the elapsed function",
                    )
                    .with_hint(format!("column {:?} is of type time", column.name)));
                }
                other => {
                    return Err(Error::failed_precondition(format!(
                        "difference does not support column {:?} of type {:?}",
                        column.name,
                        other.flux_name()
                    ))
                    .with_hint("it takes numbers; filter by _field, or convert with toFloat()"));
                }
            };
            types.push((*place, column_type));
        }
        let columns = columns.iter().map(|(number, _, place)| (*number, *place)).collect();
        Ok(Plan { shape: with_types(shape, &types), columns })
    }

    /// The differences of a column.
    fn column<T: Number, O: Number>(
        &self,
        array: &PrimitiveArray<T>,
        chunk: &Chunk,
        previous: &mut OpenTables<Option<u64>>,
        of: impl Fn(T::Native) -> O::Native,
        subtract: impl Fn(T::Native, T::Native) -> O::Native,
    ) -> ArrayRef {
        let zero = O::Native::ZERO;
        scan_column::<T, O, _>(array, chunk, previous, |previous, _, value| {
            let value = value?;
            let Some(before) = previous.replace(T::bits(value)) else {
                return (self.keep_first && self.initial_zero).then_some(zero);
            };
            let difference = subtract(value, T::of_bits(before));
            // NaN is neither at least zero nor below it: it stays as long as decreases do.
            if difference >= zero || !self.non_negative {
                return Some(difference);
            }
            (self.initial_zero && of(value) >= zero).then(|| of(value))
        })
    }
}

impl Operator for DifferenceOperator {
    fn push(&mut self, _port: usize, mut chunk: Chunk, out: &mut Out) -> Result<()> {
        let difference = &self.difference;
        let plan = self.plans.get(&chunk.shape, |shape| difference.plan(shape))?;
        for (number, place) in &plan.columns {
            let previous = &mut self.previous[*number];
            let column = match ColumnView::of(&chunk.rows[*place]) {
                ColumnView::Int(array) => {
                    difference.column::<_, Int64Type>(array, &chunk, previous, |value| value, i64::wrapping_sub)
                }
                ColumnView::UInt(array) => {
                    let subtract = |value: u64, before| value.wrapping_sub(before) as i64;
                    difference.column::<_, Int64Type>(array, &chunk, previous, |value| value as i64, subtract)
                }
                ColumnView::Float(array) => difference.column::<_, Float64Type>(
                    array,
                    &chunk,
                    previous,
                    |value| value,
                    |left, right| left - right,
                ),
                _ => return Err(Error::internal("difference over a column that is no number")),
            };
            chunk.rows[*place] = column;
        }
        chunk.shape = Arc::clone(&plan.shape);
        if difference.keep_first {
            out.push(chunk);
            return Ok(());
        }
        let mut kept = Vec::with_capacity(chunk.segments.len());
        for (segment, mut rows) in chunk.tables() {
            self.begun.with(&segment, |begun| {
                if !*begun && !rows.is_empty() {
                    rows.start += 1;
                    *begun = true;
                }
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
        self.previous.iter().map(OpenTables::memory).sum::<usize>() + self.begun.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn of(columns: &[&str]) -> Difference {
        let columns = columns.iter().map(|name| Name::from(*name)).collect();
        Difference { non_negative: false, columns, keep_first: false, initial_zero: false }
    }

    /// The example of flux-semantics 9.4, with a table of one row and one of none.
    #[test]
    fn each_value_less_the_one_before() {
        let head = "h:string* v:int w:string\n";
        let input = format!("{head}a 5 p\na - q\na 8 r\na 6 s\n\nb 1 t\n\n= c\n");
        let rest = "\n= b\n\n= c\n";
        expect(&of(&["v"]), &input, &format!("{head}a - q\na 3 r\na -2 s\n{rest}"));
        let non_negative = Difference { non_negative: true, ..of(&["v"]) };
        expect(&non_negative, &input, &format!("{head}a - q\na 3 r\na - s\n{rest}"));
        let zero = Difference { initial_zero: true, ..non_negative.clone() };
        expect(&zero, &input, &format!("{head}a - q\na 3 r\na 6 s\n{rest}"));
        let keep = Difference { keep_first: true, ..of(&["v"]) };
        expect(&keep, &input, &format!("{head}a - p\na - q\na 3 r\na -2 s\n\nb - t\n\n= c\n"));
        let both = Difference { keep_first: true, ..zero };
        expect(&both, &input, &format!("{head}a 0 p\na - q\na 3 r\na 6 s\n\nb 0 t\n\n= c\n"));
    }

    #[test]
    fn each_type_of_number() {
        let input = "u:uint f:float i:int\n7 1.5 9223372036854775807\n5 NaN -9223372036854775808\n6 2.0 0\n";
        expect(&of(&["u", "f", "i", "absent"]), input, "u:int f:float i:int\n-2 NaN 1\n1 NaN -9223372036854775808\n");
        expect(&of(&[]), input, "u:uint f:float i:int\n5 NaN -9223372036854775808\n6 2.0 0\n");
    }

    #[test]
    fn other_columns_are_refused() {
        let input = "k:int* v:string t:time\n1 x T1\n";
        let message = |column: &str| expect_error(&of(&[column]), input).message().to_owned();
        assert_eq!(message("v"), "difference does not support column \"v\" of type \"string\"");
        assert_eq!(message("t"), "difference does not support time columns. Try the elapsed function");
        assert_eq!(message("k"), "difference cannot change column \"k\": it is part of the group key");
    }
}
