//! `count`, `sum`, `mean`, `spread`, `stddev`, `skew`, `quantile`: each table becomes one row (flux-semantics 8).
//!
//! The row has the group key and the value, all other columns go. State is kept per table, so parts of many tables may
//! alternate; rows of one table are taken in their order, so that a float sum does not depend on how they were cut.

use std::sync::Arc;

use arrow::array::ArrayRef;
use hashbrown::HashMap;

use super::accumulator::{Accumulator, AggregateKind};
use super::by_shape::ByShape;
use super::{Operator, Out, Transform, WindowFunction};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::size;
use crate::table::{Chunk, ColumnBuilder, ColumnType, ColumnView, Name, Place, Segment, Shape, TableId};

/// An aggregate of a column.
#[derive(Clone, Debug)]
pub struct Aggregate {
    /// Which of them.
    pub kind: AggregateKind,
    /// The column; its label stays.
    pub column: Name,
}

impl Transform for Aggregate {
    fn name(&self) -> &'static str {
        self.kind.name()
    }

    fn counts(&self) -> Option<&Name> {
        (self.kind == AggregateKind::Count).then_some(&self.column)
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let (aggregate, plans, open) = (self.clone(), ByShape::default(), HashMap::new());
        Ok(Box::new(AggregateOperator { aggregate, plans, open, open_bytes: 0 }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        // One row is in any order.
        StreamProps { rows_by_time: true, ..input[0] }
    }

    fn split(&self) -> Option<super::Split> {
        super::window_aggregate::split_aggregate(self)
    }

    fn by_window(&self) -> Option<WindowFunction> {
        Some(WindowFunction::Aggregate(self.clone()))
    }

    fn explain(&self) -> String {
        format!("column: {:?}{}", self.column, self.kind.explain())
    }
}

/// What a shape turns into.
#[derive(Debug)]
struct Plan {
    /// Where the column stands in the rows.
    row: usize,
    column_type: ColumnType,
    value_type: ColumnType,
    shape: Arc<Shape>,
}

struct AggregateOperator {
    aggregate: Aggregate,
    plans: ByShape<Plan>,
    /// Tables of which more is to come.
    open: HashMap<TableId, Accumulator>,
    /// What those hold beside themselves, in bytes.
    open_bytes: usize,
}

impl Aggregate {
    /// What tables of a shape become: their key and the value.
    ///
    /// # Errors
    /// FailedPrecondition if the column is missing, in the key or of a type without this aggregate.
    pub(super) fn gives_shape(&self, shape: &Shape) -> Result<Arc<Shape>> {
        Ok(self.plan(shape)?.shape)
    }

    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let Some(column) = shape.column(&self.column) else {
            return Err(Error::failed_precondition(format!("column \"{}\" does not exist", self.column)));
        };
        let Place::Row(row) = column.place else {
            return Err(Error::failed_precondition("cannot aggregate columns that are part of the group key"));
        };
        let value_type = self.kind.gives(column.column_type)?;
        let keys = shape.key_columns().map(|key| (key.name.clone(), key.column_type, true));
        let value = std::iter::once((self.column.clone(), value_type, false));
        let (row, column_type) = (row as usize, column.column_type);
        Ok(Plan { row, column_type, value_type, shape: Shape::new(keys.chain(value)) })
    }
}

impl Operator for AggregateOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let aggregate = &self.aggregate;
        let plan = self.plans.get(&chunk.shape, |shape| aggregate.plan(shape))?;
        let view = ColumnView::of(&chunk.rows[plan.row]);
        let mut values = ColumnBuilder::new(plan.value_type);
        let mut segments = Vec::new();
        for (segment, range) in chunk.tables() {
            let open = self.open.remove(&segment.table);
            self.open_bytes -= open.as_ref().map_or(0, Accumulator::memory);
            let mut state = open.unwrap_or_else(|| aggregate.kind.accumulator(plan.column_type));
            state.add(view, range);
            if !segment.done {
                self.open_bytes += state.memory();
                self.open.insert(segment.table, state);
                continue;
            }
            values.push(state.value())?;
            segments.push(Segment { end: segments.len() as u32 + 1, ..segment });
        }
        if !segments.is_empty() {
            let (shape, keys, len) = (Arc::clone(&plan.shape), Arc::clone(&chunk.keys), segments.len());
            let rows: Vec<ArrayRef> = vec![values.finish()];
            out.push(Chunk { shape, keys, segments, rows, len });
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        debug_assert!(self.open.is_empty(), "every table ends with a part that is done");
        Ok(())
    }

    fn memory(&self) -> usize {
        size::of_map::<(TableId, Accumulator)>(self.open.capacity()) + self.open_bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;

    fn of(kind: AggregateKind) -> Aggregate {
        Aggregate { kind, column: "v".into() }
    }

    /// flux-semantics 8: key columns, then the value; null rows are counted, but not summed.
    #[test]
    fn a_table_becomes_one_row_of_key_and_value() {
        let input = "h:string* t:time v:int\na T1 1\na T2 -\na T3 5\n\nb T1 -\n\n= c\n";
        expect(&of(AggregateKind::Count), input, "h:string* v:int\na 3\n\nb 1\n\nc 0\n");
        expect(&of(AggregateKind::Sum), input, "h:string* v:int\na 6\n\nb -\n\nc -\n");
        expect(&of(AggregateKind::Mean), input, "h:string* v:float\na 3.0\n\nb -\n\nc -\n");
    }

    #[test]
    fn types_decide_what_is_possible() {
        expect(&of(AggregateKind::Count), "h:string* v:string\na x\na y\n", "h:string* v:int\na 2\n");
        expect(&of(AggregateKind::Sum), "v:uint\n7\n8\n", "v:uint\n15\n");
        let error = expect_error(&of(AggregateKind::Mean), "v:string\nx\n");
        assert_eq!(error.message(), "unsupported aggregate column type string");
        let error = expect_error(&of(AggregateKind::Sum), "w:int\n1\n");
        assert_eq!(error.message(), "column \"v\" does not exist");
        let error = expect_error(&of(AggregateKind::Sum), "v:int* w:int\n1 1\n");
        assert_eq!(error.message(), "cannot aggregate columns that are part of the group key");
    }

    /// flux-semantics 8: integers wrap; the mean of large integers does not.
    #[test]
    fn integers_wrap_in_sums_only() {
        let input = "v:int\n9223372036854775807\n9223372036854775807\n";
        expect(&of(AggregateKind::Sum), input, "v:int\n-2\n");
        expect(&of(AggregateKind::Mean), input, "v:float\n9223372036854775807.0\n");
    }

    fn stddev(population: bool) -> Aggregate {
        of(AggregateKind::StdDev { population })
    }

    fn quantile(q: f64) -> Aggregate {
        of(AggregateKind::Quantile { q, compression: 1000.0 })
    }

    /// By hand: 2 4 4 4 5 5 7 9 have the mean 5 and the squares 32; nulls are passed over.
    #[test]
    fn deviations_are_of_a_sample_or_of_all() {
        let input = "h:string* v:int\na 2\na 4\na 4\na -\na 4\na 5\na 5\na 7\na 9\n\nb 3\n\nc -\n\n= d\n";
        let expected = "h:string* v:float\na 2.0\n\nb 0.0\n\nc -\n\nd -\n";
        expect(&stddev(true), input, expected);
        // The root of 32 / 7.
        let expected = "h:string* v:float\na 2.138089935299395\n\nb NaN\n\nc -\n\nd -\n";
        expect(&stddev(false), input, expected);
    }

    /// The first value that is not null counts even if it is NaN: nothing is less or greater.
    #[test]
    fn spread_is_of_the_type_of_the_column() {
        expect(&of(AggregateKind::Spread), "v:int\n-3\n-\n9\n4\n", "v:int\n12\n");
        expect(&of(AggregateKind::Spread), "v:uint\n7\n", "v:uint\n0\n");
        expect(
            &of(AggregateKind::Spread),
            "h:string* v:float\na 1.5\na NaN\na 4.0\n\nb NaN\nb 1.0\n\n= c\n",
            "h:string* v:float\na 2.5\n\nb NaN\n\nc -\n",
        );
    }

    /// By hand: 1 2 9 have the mean 4, squares 9 + 4 + 25 = 38 and cubes -27 - 8 + 125 = 90; the root of 3 times 90 by
    /// 38 to the power of 1.5.
    #[test]
    fn skew_of_three() {
        let skew = 3_f64.sqrt() * 90.0 / 38_f64.powf(1.5);
        let out =
            answer(&of(AggregateKind::Skew), props(crate::table::scan::Parts::Clustered), "v:int\n1\n2\n9\n").unwrap();
        let ColumnView::Float(values) = ColumnView::of(&out.chunks[0].rows[0]) else { panic!("a float") };
        assert!((values.value(0) - skew).abs() < 1e-12);
        expect(&of(AggregateKind::Skew), "h:string* v:float\na 1.0\n\nb -\n", "h:string* v:float\na NaN\n\nb -\n");
    }

    /// flux-semantics 8: the estimate of 0.9 of 1..10 is 9.5, the exact mean 9.1.
    #[test]
    fn quantiles_by_estimate_and_exactly() {
        let ten: String = (1..=10).rev().map(|value| format!("a {value}\n")).collect();
        let expected = "h:string* v:float\na 9.5\n\nb -\n\nc -\n";
        expect(&quantile(0.9), &format!("h:string* v:int\n{ten}a -\n\nb -\n\n= c\n"), expected);
        let exact = of(AggregateKind::ExactMean { q: 0.9 });
        let ten: String = (1..=10).rev().map(|value| format!("a {value}.0\n")).collect();
        expect(&exact, &format!("h:string* v:float\n{ten}\nb -\n"), "h:string* v:float\na 9.1\n\nb -\n");
        let error = expect_error(&exact, "v:int\n1\n");
        assert_eq!(error.message(), "unsupported aggregate column type int");
        assert_eq!(quantile(0.5).explain(), "column: \"v\", q: 0.5, compression: 1000.0");
    }
}
