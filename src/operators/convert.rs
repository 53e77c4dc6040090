//! `toBool`, `toFloat`, `toInt`, `toString`, `toTime`, `toUInt`: `_value` as another type (flux-semantics 9.9).
//!
//! As `map` with the conversion of that name would do it: nulls stay null, tables without rows are dropped, a `_value` in the
//! group key takes the key along, and a table that lacks the column gets one of nulls.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::filter::drop_empty;
use super::rekey::{self, Applied, Rekeyed, RekeyedShapes, Rekeys};
use super::row_program::{cell_of, value_of};
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::flux::{Value, scalar};
use crate::table::gather::nulls;
use crate::table::merge::{Duplicates, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::size;
use crate::table::{Chunk, ColumnBuilder, ColumnType, ColumnView, KeyBlock, Place, Shape, TableId};

const VALUE: &str = "_value";

/// A conversion of `_value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convert {
    /// To this type.
    pub to: ColumnType,
}

impl Convert {
    fn value(self, value: &Value) -> Result<Value> {
        match self.to {
            ColumnType::Bool => scalar::to_bool(value),
            ColumnType::Int => scalar::to_int(value),
            ColumnType::UInt => scalar::to_uint(value),
            ColumnType::Float => scalar::to_float(value),
            ColumnType::String => scalar::to_string(value),
            ColumnType::Time => scalar::to_time(value),
        }
    }

    /// A column in the new type.
    fn array(self, array: &ArrayRef) -> Result<ArrayRef> {
        if *array.data_type() == self.to.arrow() {
            return Ok(Arc::clone(array));
        }
        let view = ColumnView::of(array);
        let mut builder = ColumnBuilder::new(self.to);
        for row in 0..array.len() {
            let value = self.value(&value_of(view.cell(row))).map_err(|error| error.context(self.name()))?;
            let cell = cell_of(&value).ok_or_else(|| Error::internal("a conversion gave no column value"))?;
            builder.push(cell)?;
        }
        Ok(builder.finish())
    }

    fn rekeyed(self, shape: &Shape) -> Rekeyed {
        let mut targets = Target::of_shape(shape);
        let Some(target) = targets.iter_mut().find(|target| &*target.name == VALUE) else {
            let from = Place::Row(shape.row_columns().count() as u32);
            targets.push(Target { name: VALUE.into(), column_type: self.to, in_key: false, from });
            return Rekeyed { targets, keeps_keys: true };
        };
        target.column_type = self.to;
        let keeps_keys = !target.in_key;
        Rekeyed { targets, keeps_keys }
    }
}

impl Transform for Convert {
    fn name(&self) -> &'static str {
        match self.to {
            ColumnType::Bool => "toBool",
            ColumnType::Int => "toInt",
            ColumnType::UInt => "toUInt",
            ColumnType::Float => "toFloat",
            ColumnType::String => "toString",
            ColumnType::Time => "toTime",
        }
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let running = Running { convert: *self, shapes: RekeyedShapes::default(), given: HashSet::new() };
        Ok(rekey::run(&input[0], TableOrder::Arrival, Duplicates::Merge, running))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        rekey::works_by_table(input, TableOrder::Arrival)
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: input[0].rows_by_time, ..rekey::gives(&input[0], TableOrder::Arrival) }
    }
}

struct Running {
    convert: Convert,
    shapes: RekeyedShapes,
    /// Tables that have not ended and of which rows were given.
    given: HashSet<TableId>,
}

impl Rekeys for Running {
    fn keeps_keys(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        let convert = self.convert;
        Ok(self.shapes.get(shape, |shape| Ok(convert.rekeyed(shape)))?.keeps_keys)
    }

    fn apply(&mut self, mut chunk: Chunk) -> Result<Vec<Applied>> {
        let convert = self.convert;
        let rekeyed = self.shapes.get(&chunk.shape, |shape| Ok(convert.rekeyed(shape)))?;
        drop_empty(&mut chunk, &mut self.given);
        if chunk.segments.is_empty() {
            return Ok(Vec::new());
        }
        match chunk.shape.column(VALUE).map(|column| column.place) {
            Some(Place::Key(index)) => {
                // Only the keys of tables that are here: others of a shared block may not convert.
                let mut columns = Vec::with_capacity(chunk.keys.columns.len());
                let rows = chunk.segments.iter().map(|segment| segment.key_row);
                let rows = arrow::array::UInt32Array::from_iter_values(rows);
                for column in &chunk.keys.columns {
                    columns.push(arrow::compute::take(column, &rows, None)?);
                }
                columns[index as usize] = convert.array(&columns[index as usize])?;
                for (row, segment) in chunk.segments.iter_mut().enumerate() {
                    segment.key_row = row as u32;
                }
                chunk.keys = Arc::new(KeyBlock { columns });
            }
            Some(Place::Row(index)) => chunk.rows[index as usize] = convert.array(&chunk.rows[index as usize])?,
            None => chunk.rows.push(nulls(convert.to, chunk.len)),
        }
        Ok(vec![Applied { chunk, rekeyed }])
    }

    fn memory(&self) -> usize {
        size::of_map::<TableId>(self.given.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn to(to: ColumnType) -> Convert {
        Convert { to }
    }

    #[test]
    fn values_take_another_type() {
        let input = "h:string* _value:float w:int\na 1.0 7\na - 8\n\nb 0.0 9\n\n= c\n";
        let expected = |kind: &str, one: &str, zero: &str| {
            format!("h:string* _value:{kind} w:int\na {one} 7\na - 8\n\nb {zero} 9\n")
        };
        expect(&to(ColumnType::Int), input, &expected("int", "1", "0"));
        expect(&to(ColumnType::UInt), input, &expected("uint", "1", "0"));
        expect(&to(ColumnType::Bool), input, &expected("bool", "true", "false"));
        expect(&to(ColumnType::String), input, &expected("string", "1", "0"));
        expect(&to(ColumnType::Float), input, &expected("float", "1.0", "0.0"));
        let text = "_value:string\n2024-01-01\n";
        expect(&to(ColumnType::Time), text, "_value:time\nT1704067200\n");
    }

    #[test]
    fn a_value_in_the_key_takes_the_key_along() {
        let input = "_value:float* v:int\n1.5 1\n\n1.25 2\n\n2.0 3\n";
        expect(&to(ColumnType::Int), input, "_value:int* v:int\n1 1\n1 2\n\n2 3\n");
    }

    #[test]
    fn a_table_without_a_value_gets_nulls() {
        expect(&to(ColumnType::Int), "v:int\n1\n", "v:int _value:int\n1 -\n");
        let error = expect_error(&to(ColumnType::Int), "_value:string\nx\n");
        assert_eq!(error.message(), "toInt: cannot convert string \"x\" to int due to invalid syntax");
    }
}
