//! Operators with the meaning of PromQL's functions: one float of each table, label replacement, quantiles of histograms.
//!
//! Made by package `internal/promql`. A table without enough rows gives no table; tables come out in the order of their
//! keys.

mod histogram;
mod label_replace;
mod series;
mod timestamp;

pub use histogram::BucketQuantile;
pub use label_replace::LabelReplace;
pub use series::SeriesFunction;
pub use timestamp::Timestamp;

use std::sync::Arc;

use arrow::array::{AsArray, Float64Array, TimestampNanosecondArray};
use arrow::datatypes::{Float64Type, TimestampNanosecondType};

use super::by_shape::ByShape;
use super::in_order::in_order;
use super::{Operator, Out};
use crate::error::{Error, Result};
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::whole::WholeTables;
use crate::table::{Chunk, ColumnType, ColumnView, Name, Place, Segment, Shape};

/// What gives one float of a whole table.
trait OneFloat: std::fmt::Debug + Clone + Send + Sync + 'static {
    /// The function's name.
    fn name(&self) -> &'static str;

    /// The column of the result.
    fn column(&self) -> Name;

    /// The result for the rows of a segment; `None` gives no table.
    fn of(&self, chunk: &Chunk, segment: &Segment, rows: std::ops::Range<usize>) -> Result<Option<f64>>;
}

/// [`OneFloat`] as a description of an operator.
#[derive(Clone, Debug)]
struct PerTable<F>(F);

impl<F: OneFloat> PerTable<F> {
    fn operator(&self, input: &[StreamProps]) -> Box<dyn Operator> {
        let operator = PerTableOperator {
            function: self.0.clone(),
            whole: WholeTables::new(),
            merger: Merger::new(TableOrder::KeySorted, Duplicates::Refuse(self.0.name())),
            mappings: ByShape::default(),
        };
        in_order(&input[0], operator)
    }
}

fn gives(input: &[StreamProps]) -> StreamProps {
    let rows_by_time = false;
    StreamProps { parts: Parts::Clustered, tables: TableOrder::KeySorted, unique_keys: true, rows_by_time, ..input[0] }
}

struct PerTableOperator<F> {
    function: F,
    whole: WholeTables,
    merger: Merger,
    /// Of each shape that of the results, and its number.
    mappings: ByShape<(Arc<Shape>, MappingId)>,
}

impl<F: OneFloat> Operator for PerTableOperator<F> {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let mut results = Vec::new();
            let mut segments = Vec::new();
            for (segment, rows) in chunk.tables() {
                if let Some(result) = self.function.of(&chunk, &segment, rows)? {
                    results.push(result);
                    segments.push(Segment { end: results.len() as u32, ..segment });
                }
            }
            let (merger, column) = (&mut self.merger, self.function.column());
            let (shape, mapping) = self.mappings.get(&chunk.shape, |shape| {
                let key = shape.key_columns().filter(|own| own.name != column);
                let key = key.map(|own| (own.name.clone(), own.column_type, true));
                let shape = Shape::new(key.chain([(column.clone(), ColumnType::Float, false)]));
                let mapping = merger.mapping(Target::of_shape(&shape));
                Ok((shape, mapping))
            })?;
            let len = results.len();
            let rows = vec![Arc::new(Float64Array::from(results)) as _];
            let keys = Arc::clone(&chunk.keys);
            merger.push(*mapping, Chunk { shape: Arc::clone(shape), keys, segments, rows, len })?;
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let merger = std::mem::replace(&mut self.merger, Merger::new(TableOrder::KeySorted, Duplicates::Merge));
        out.merge(merger.finish(0)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.whole.memory() + self.merger.memory()
    }
}

/// A row column of floats.
fn floats<'a>(chunk: &'a Chunk, function: &str, name: &str) -> Result<&'a Float64Array> {
    let array = chunk.row_array(name).ok_or_else(|| missing(function, name))?;
    let error = || Error::failed_precondition(format!("{function}: column {name:?} is not of type float"));
    array.as_primitive_opt::<Float64Type>().ok_or_else(error)
}

/// A row column of times.
fn times<'a>(chunk: &'a Chunk, function: &str, name: &str) -> Result<&'a TimestampNanosecondArray> {
    let array = chunk.row_array(name).ok_or_else(|| missing(function, name))?;
    let error = || Error::failed_precondition(format!("{function}: column {name:?} is not of type time"));
    array.as_primitive_opt::<TimestampNanosecondType>().ok_or_else(error)
}

/// A time in the key of a table.
fn key_time(chunk: &Chunk, segment: &Segment, function: &str, name: &str) -> Result<i64> {
    let array = chunk
        .key_array(name)
        .ok_or_else(|| Error::failed_precondition(format!("{function}: column {name:?} is not in the group key")))?;
    match ColumnView::of(array).cell(segment.key_row as usize) {
        crate::table::Cell::Time(time_ns) => Ok(time_ns),
        _ => Err(Error::failed_precondition(format!("{function}: column {name:?} is not of type time"))),
    }
}

fn missing(function: &str, name: &str) -> Error {
    Error::failed_precondition(format!("{function}: no column {name:?} exists"))
}

/// The place of a key column within the key block.
fn key_place(shape: &Shape, name: &str) -> Option<usize> {
    match shape.column(name)?.place {
        Place::Key(index) => Some(index as usize),
        Place::Row(_) => None,
    }
}
