//! `count`, `sum`, `mean`: each table becomes one row (flux-semantics 8).
//!
//! The row has the group key and the value, all other columns go. State is kept per table, so parts of many tables may
//! alternate; rows of one table are taken in their order, so that a float sum does not depend on how they were cut.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use hashbrown::HashMap;

use super::by_shape::ByShape;
use super::{Operator, Out, Transform, WindowFunction};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnType, ColumnView, Name, Place, Segment, Shape, TableId};

/// What the rows of a table become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// How many rows there are, null ones too.
    Count,
    /// The sum; integers wrap.
    Sum,
    /// The mean, a float.
    Mean,
}

impl AggregateKind {
    fn name(self) -> &'static str {
        match self {
            AggregateKind::Count => "count",
            AggregateKind::Sum => "sum",
            AggregateKind::Mean => "mean",
        }
    }

    /// The type of the value, given the type of the column.
    fn gives(self, column: ColumnType) -> Result<ColumnType> {
        use ColumnType::{Bool, Float, Int, String, Time, UInt};
        match (self, column) {
            (AggregateKind::Count, Bool | Int | UInt | Float | String) => Ok(Int),
            (AggregateKind::Sum, Int | UInt | Float) => Ok(column),
            (AggregateKind::Mean, Int | UInt | Float) => Ok(Float),
            (AggregateKind::Count, Time) | (_, Bool | String | Time) => {
                Err(Error::failed_precondition(format!("unsupported aggregate column type {}", column.flux_name()))
                    .with_hint(format!("{} takes numbers; filter by _field first", self.name())))
            }
        }
    }
}

/// `count(column)`, `sum(column)`, `mean(column)`.
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

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let (aggregate, plans, open) = (self.clone(), ByShape::default(), HashMap::new());
        Ok(Box::new(AggregateOperator { aggregate, plans, open }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        // One row is in any order.
        StreamProps { rows_by_time: true, ..input[0] }
    }

    fn by_window(&self) -> Option<WindowFunction> {
        Some(WindowFunction::Aggregate(self.clone()))
    }

    fn explain(&self) -> String {
        format!("column: {:?}", self.column)
    }
}

/// What a shape turns into.
#[derive(Debug)]
struct Plan {
    /// Where the column stands in the rows.
    row: usize,
    value_type: ColumnType,
    shape: Arc<Shape>,
}

struct AggregateOperator {
    aggregate: Aggregate,
    plans: ByShape<Plan>,
    /// Tables of which more is to come.
    open: HashMap<TableId, State>,
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
        Ok(Plan { row: row as usize, value_type, shape: Shape::new(keys.chain(value)) })
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
            let mut state = self.open.remove(&segment.table).unwrap_or_default();
            state.add(view, range);
            if !segment.done {
                self.open.insert(segment.table, state);
                continue;
            }
            values.push(state.value(aggregate.kind, plan.value_type))?;
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
}

/// What has been seen of a table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    rows: u64,
    valid: u64,
    float: f64,
    /// Exact for 2^63 rows of any integers.
    integer: i128,
}

impl State {
    pub(super) fn add(&mut self, view: ColumnView<'_>, range: std::ops::Range<usize>) {
        self.rows += range.len() as u64;
        match view {
            ColumnView::Float(array) => {
                for row in range {
                    if array.is_valid(row) {
                        self.valid += 1;
                        self.float += array.value(row);
                    }
                }
            }
            ColumnView::Int(array) => {
                for row in range {
                    if array.is_valid(row) {
                        self.valid += 1;
                        self.integer += i128::from(array.value(row));
                    }
                }
            }
            ColumnView::UInt(array) => {
                for row in range {
                    if array.is_valid(row) {
                        self.valid += 1;
                        self.integer += i128::from(array.value(row));
                    }
                }
            }
            // Only counted.
            ColumnView::Bool(_) | ColumnView::String(_) | ColumnView::Time(_) => {}
        }
    }

    pub(super) fn value(self, kind: AggregateKind, value_type: ColumnType) -> Cell<'static> {
        match (kind, value_type) {
            (AggregateKind::Count, _) => Cell::Int(i64::try_from(self.rows).unwrap_or(i64::MAX)),
            _ if self.valid == 0 => Cell::Null,
            // The low 64 bits: what wrapping addition gives.
            (AggregateKind::Sum, ColumnType::Int) => Cell::Int(self.integer as i64),
            (AggregateKind::Sum, ColumnType::UInt) => Cell::UInt(self.integer as u64),
            (AggregateKind::Sum, _) => Cell::Float(self.float),
            // One of the two is zero.
            (AggregateKind::Mean, _) => Cell::Float((self.float + self.integer as f64) / self.valid as f64),
        }
    }
}

#[cfg(test)]
mod tests {
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
}
