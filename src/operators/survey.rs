//! What there is in a stream, as one table without a key: the values of a column, the names of key columns, the number of
//! tables.
//!
//! What the functions of the package `schema` and `influxdb.cardinality` end in. Values come once, in their order.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};

use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::{Chunk, ColumnType, KeyBlock, Name, Place, Segment, Shape};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survey {
    /// The strings in a column; tables that lack it have none.
    Values(Name),
    /// The names of the columns of group keys.
    Keys,
    /// How many tables there are.
    Tables,
}

impl Transform for Survey {
    fn name(&self) -> &'static str {
        match self {
            Survey::Values(_) => "values",
            Survey::Keys => "keys",
            Survey::Tables => "cardinality",
        }
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Surveying {
            survey: self.clone(),
            found: BTreeSet::new(),
            found_bytes: 0,
            shapes: HashSet::new(),
            tables: 0,
        }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: false,
            unique_keys: true,
            one_shape: true,
            bounds: input[0].bounds,
        }
    }

    fn explain(&self) -> String {
        match self {
            Survey::Values(column) => format!("column: {column:?}"),
            Survey::Keys | Survey::Tables => String::new(),
        }
    }
}

struct Surveying {
    survey: Survey,
    found: BTreeSet<Box<str>>,
    /// What those take, in bytes.
    found_bytes: usize,
    /// Shapes whose names have been taken.
    shapes: HashSet<Arc<Shape>>,
    tables: i64,
}

impl Surveying {
    fn values(&mut self, column: &Name, chunk: &Chunk) -> Result<()> {
        let Some(own) = chunk.shape.column(column) else { return Ok(()) };
        if own.column_type != ColumnType::String {
            return Err(Error::failed_precondition(format!(
                "column {column:?} is of type {}, expected string",
                own.column_type.flux_name()
            )));
        }
        match own.place {
            Place::Row(place) => {
                let array = chunk.rows[place as usize].as_string_view();
                (0..array.len()).for_each(|row| self.take(array, row));
            }
            Place::Key(place) => {
                let array = chunk.keys.columns[place as usize].as_string_view();
                chunk.segments.iter().for_each(|segment| self.take(array, segment.key_row as usize));
            }
        }
        Ok(())
    }

    fn take(&mut self, array: &StringViewArray, row: usize) {
        if array.is_valid(row) && !self.found.contains(array.value(row)) {
            self.found_bytes += 2 * size_of::<Box<str>>() + array.value(row).len();
            self.found.insert(array.value(row).into());
        }
    }
}

impl Operator for Surveying {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        self.tables += chunk.segments.iter().filter(|segment| segment.done).count() as i64;
        match self.survey.clone() {
            Survey::Values(column) => self.values(&column, &chunk)?,
            Survey::Keys if !self.shapes.contains(&chunk.shape) => {
                self.found.extend(chunk.shape.key_columns().map(|column| Box::from(&*column.name)));
                self.shapes.insert(Arc::clone(&chunk.shape));
            }
            Survey::Keys | Survey::Tables => {}
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let (column_type, values): (ColumnType, ArrayRef) = match self.survey {
            Survey::Tables => (ColumnType::Int, Arc::new(Int64Array::from(vec![self.tables]))),
            Survey::Values(_) | Survey::Keys => {
                if self.tables == 0 {
                    return Ok(());
                }
                let found = std::mem::take(&mut self.found);
                (ColumnType::String, Arc::new(StringViewArray::from_iter_values(found)))
            }
        };
        let len = values.len();
        let chunk = Chunk {
            shape: Shape::new([("_value".into(), column_type, false)]),
            keys: Arc::new(KeyBlock { columns: Vec::new() }),
            segments: vec![Segment { table: 0, key_row: 0, end: len as u32, done: true }],
            rows: vec![values],
            len,
        };
        out.chunks.extend(chunk.cut());
        Ok(())
    }

    fn memory(&self) -> usize {
        self.found_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    const TABLES: &str = "h:string* v:int w:string\nb 1 z\nb 2 x\n\na 3 -\n\n- 4 x\n\nk:string* v:int\nq 5\n";

    #[test]
    fn what_there_is() {
        expect(&Survey::Values("h".into()), TABLES, "_value:string\na\nb\n");
        expect(&Survey::Values("w".into()), TABLES, "_value:string\nx\nz\n");
        expect(&Survey::Values("absent".into()), TABLES, "_value:string\n=\n");
        expect(&Survey::Keys, TABLES, "_value:string\nh\nk\n");
        expect(&Survey::Tables, TABLES, "_value:int\n4\n");
        expect(&Survey::Keys, "", "");
        expect(&Survey::Tables, "", "_value:int\n0\n");
    }

    #[test]
    fn values_are_strings() {
        let error = expect_error(&Survey::Values("v".into()), TABLES);
        assert_eq!(error.message(), "column \"v\" is of type int, expected string");
    }
}
