//! `reduce`: the rows of each table, one after the other, make a record (flux-semantics 9.8).
//!
//! A table becomes one row: its key, in which properties of the record take the place of values of the same name, and the
//! other properties in alphabetical order. An empty table gives the identity.

use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::compute::take;

use super::by_shape::ByShape;
use super::in_key_order::{by_new_keys, gives};
use super::row_program::{Accumulators, ReduceProgram, RowFunction, cell_of};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::host::Host;
use crate::flux::value::Record;
use crate::table::merge::Duplicates;
use crate::table::scan::StreamProps;
use crate::table::size;
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnType, KeyBlock, Name, Segment, Shape, TableId};

/// `reduce(fn, identity)`.
#[derive(Clone, Debug)]
pub struct Reduce {
    function: RowFunction,
    identity: Arc<Record>,
    /// The column type of each property.
    types: Vec<ColumnType>,
}

impl Reduce {
    /// What the function makes of a row and the accumulator, which begins as `identity`.
    ///
    /// # Errors
    /// Invalid if the identity has a property that is no value of a column.
    pub fn new(function: RowFunction, identity: Arc<Record>) -> Result<Reduce> {
        let mut types = Vec::with_capacity(identity.properties.len());
        for (name, value) in &identity.properties {
            types.push(match cell_of(value).map(Cell::column_type) {
                Some(Some(column_type)) => column_type,
                Some(None) => return Err(no_nulls(name)),
                None => {
                    let message = format!(
                        "reduce identity property {name:?} is {} type which is not supported in a flux table",
                        value.type_name()
                    );
                    return Err(Error::invalid(message));
                }
            });
        }
        Ok(Reduce { function, identity, types })
    }
}

fn no_nulls(name: &str) -> Error {
    Error::invalid(format!("null values are not supported for {name:?} in the reduce() function"))
        .with_hint("test values with exists before they go into the accumulator")
}

impl Transform for Reduce {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = ReduceOperator {
            reduce: self.clone(),
            host: self.function.hosts.host(),
            plans: ByShape::default(),
            open: Accumulators::new(),
        };
        Ok(by_new_keys(Duplicates::Fail("two reducers writing result to the same table"), &input[0], operator))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        // One row is in any order.
        StreamProps { rows_by_time: true, ..gives(&input[0]) }
    }

    fn explain(&self) -> String {
        let names: Vec<&str> = self.identity.properties.iter().map(|(name, _)| &**name).collect();
        format!("fn: (r, accumulator) => ..., identity: {{{}}}", names.join(", "))
    }
}

/// What a shape turns into.
struct Plan {
    program: ReduceProgram,
    shape: Arc<Shape>,
    /// The property that each key column is replaced by, if one is.
    keys: Vec<Option<usize>>,
    /// The properties that become columns of the rows, in their order.
    rows: Vec<usize>,
}

struct ReduceOperator {
    reduce: Reduce,
    host: Box<dyn Host + Send>,
    plans: ByShape<Plan>,
    /// The accumulators of tables of which more is to come.
    open: Accumulators,
}

impl Reduce {
    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let program = ReduceProgram::compile(&self.function, &self.identity, shape)?;
        let properties = &self.identity.properties;
        let property = |name: &Name| properties.iter().position(|(own, _)| own == name);
        let keys = shape.key_columns().map(|column| property(&column.name)).collect();
        let mut rows: Vec<usize> = (0..properties.len()).filter(|at| !shape.is_key(&properties[*at].0)).collect();
        rows.sort_by(|left, right| properties[*left].0.cmp(&properties[*right].0));
        let key_columns = shape.key_columns().map(|key| (key.name.clone(), key.column_type, true));
        let row_columns = rows.iter().map(|at| (properties[*at].0.clone(), self.types[*at], false));
        let shape = Shape::new(key_columns.chain(row_columns));
        Ok(Plan { program, shape, keys, rows })
    }

    /// A column of one property of all records.
    fn column(
        &self,
        property: usize,
        column_type: ColumnType,
        in_key: bool,
        records: &[Vec<Value>],
    ) -> Result<arrow::array::ArrayRef> {
        let name = &self.identity.properties[property].0;
        let mut builder = ColumnBuilder::new(column_type);
        for record in records {
            let value = &record[property];
            match cell_of(value) {
                Some(Cell::Null) if !in_key => return Err(no_nulls(name)),
                Some(cell) if cell.column_type().is_none_or(|own| own == column_type) => builder.push(cell)?,
                _ => {
                    return Err(Error::failed_precondition(format!(
                        "type conflict: expected {} but found {} for {name:?} in the reduce() function",
                        column_type.flux_name(),
                        value.type_name()
                    ))
                    .with_hint("a property has one type, that of identity; in the group key that of the column"));
                }
            }
        }
        Ok(builder.finish())
    }
}

impl Operator for ReduceOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let reduce = &self.reduce;
        let plan = self.plans.get(&chunk.shape, |shape| reduce.plan(shape))?;
        let mut records = Vec::new();
        let mut segments = Vec::new();
        let mut key_rows = Vec::new();
        for (segment, record) in plan.program.run(&chunk, &mut self.open, &mut self.host)? {
            let row = records.len() as u32;
            segments.push(Segment { key_row: row, end: row + 1, ..segment });
            key_rows.push(segment.key_row);
            records.push(record);
        }
        if records.is_empty() {
            return Ok(());
        }
        let key_rows = UInt32Array::from(key_rows);
        let mut columns = Vec::with_capacity(plan.keys.len());
        for ((property, column), array) in plan.keys.iter().zip(plan.shape.key_columns()).zip(&chunk.keys.columns) {
            columns.push(match property {
                Some(property) => reduce.column(*property, column.column_type, true, &records)?,
                None => take(array, &key_rows, None)?,
            });
        }
        let mut rows = Vec::with_capacity(plan.rows.len());
        for property in &plan.rows {
            rows.push(reduce.column(*property, reduce.types[*property], false, &records)?);
        }
        let (shape, keys, len) = (Arc::clone(&plan.shape), Arc::new(KeyBlock { columns }), records.len());
        out.push(Chunk { shape, keys, segments, rows, len });
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        debug_assert!(self.open.is_empty(), "every table ends with a part that is done");
        Ok(())
    }

    fn memory(&self) -> usize {
        let record = self.reduce.types.len() * size_of::<Value>();
        size::of_map::<(TableId, Vec<Value>)>(self.open.capacity()) + self.open.len() * record
    }
}

#[cfg(test)]
mod tests;
