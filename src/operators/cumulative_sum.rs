//! `cumulativeSum`: the running sum of each table (flux-semantics 9.7).
//!
//! A null cell becomes the sum so far, so that the column has no nulls. Integers wrap. Columns that are no numbers pass as
//! they are.

use arrow::array::{ArrayRef, ArrowNativeTypeOp, PrimitiveArray};

use super::by_shape::ByShape;
use super::per_table::{Number, OpenTables, listed, scan_column};
use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::scan::StreamProps;
use crate::table::{Chunk, ColumnType, ColumnView, Name};

/// `cumulativeSum(columns)`.
#[derive(Clone, Debug)]
pub struct CumulativeSum {
    /// The columns; those that a table lacks are ignored.
    pub columns: Vec<Name>,
}

impl Transform for CumulativeSum {
    fn name(&self) -> &'static str {
        "cumulativeSum"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let sums = self.columns.iter().map(|_| OpenTables::default()).collect();
        Ok(Box::new(CumulativeSumOperator { of: self.clone(), plans: ByShape::default(), sums }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| format!("{name:?}")).collect();
        format!("columns: [{}]", columns.join(", "))
    }
}

struct CumulativeSumOperator {
    of: CumulativeSum,
    /// Per shape, of each column its number in the list and its place among the row columns.
    plans: ByShape<Vec<(usize, usize)>>,
    /// Sums as bits; zero is zero in all types.
    sums: Vec<OpenTables<u64>>,
}

impl Operator for CumulativeSumOperator {
    fn push(&mut self, _port: usize, mut chunk: Chunk, out: &mut Out) -> Result<()> {
        let columns = &self.of.columns;
        let plan = self.plans.get(&chunk.shape, |shape| {
            let numbers = |column_type| matches!(column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float);
            let listed = listed("cumulativeSum", columns, shape)?.into_iter();
            let listed = listed.filter(|(_, column, _)| numbers(column.column_type));
            Ok(listed.map(|(number, _, place)| (number, place)).collect())
        })?;
        for (number, place) in plan.iter() {
            let sums = &mut self.sums[*number];
            let column = match ColumnView::of(&chunk.rows[*place]) {
                ColumnView::Int(array) => running(array, &chunk, sums),
                ColumnView::UInt(array) => running(array, &chunk, sums),
                ColumnView::Float(array) => running(array, &chunk, sums),
                _ => continue,
            };
            chunk.rows[*place] = column;
        }
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.sums.iter().map(OpenTables::memory).sum()
    }
}

fn running<T: Number>(array: &PrimitiveArray<T>, chunk: &Chunk, sums: &mut OpenTables<u64>) -> ArrayRef {
    scan_column::<T, T, _>(array, chunk, sums, |sum, _, value| {
        let mut total = T::of_bits(*sum);
        if let Some(value) = value {
            total = total.add_wrapping(value);
            *sum = T::bits(total);
        }
        Some(total)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn of(columns: &[&str]) -> CumulativeSum {
        CumulativeSum { columns: columns.iter().map(|name| Name::from(*name)).collect() }
    }

    /// flux-semantics 9.7 and 18, row 7: nulls become the sum so far, zero where there is none yet.
    #[test]
    fn sums_run_within_their_tables() {
        let input = "h:string* v:int f:float\na - 0.5\na 2 -\na 3 1.5\n\nb 7 -\n\n= c\n";
        let expected = "h:string* v:int f:float\na 0 0.5\na 2 0.5\na 5 2.0\n\nb 7 0.0\n\n= c\n";
        expect(&of(&["v", "f", "absent"]), input, expected);
        expect(&of(&[]), input, input);
    }

    #[test]
    fn integers_wrap_and_other_columns_pass() {
        let input = "u:uint s:string\n18446744073709551615 x\n3 y\n";
        expect(&of(&["u", "s"]), input, "u:uint s:string\n18446744073709551615 x\n2 y\n");
        let error = expect_error(&of(&["u"]), "u:uint*\n1\n");
        assert_eq!(error.message(), "cumulativeSum cannot change column \"u\": it is part of the group key");
    }
}
