//! The rows of a query as one table in chunks, so that everything that writes results writes them.
//!
//! Handed on by `threads`. SQL has more types than tables have: the narrower ones are widened, what has no counterpart (dates,
//! intervals, lists, decimals, ...) becomes its text.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringViewArray, new_empty_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::failure;
use crate::error::{Error, Result};
use crate::table::{Chunk, ColumnType, KeyBlock, Name, Segment, Shape};

/// The rows of a query, as they come. Dropping it ends the query.
pub(super) struct Rows {
    rows: SendableRecordBatchStream,
    shape: Arc<Shape>,
    keys: Arc<KeyBlock>,
    /// Chunks of a batch that was too large for one.
    waiting: Vec<Chunk>,
    ended: bool,
    /// Counts it as long as it lives.
    _running: Running,
}

/// Counts the queries whose rows somebody waits for.
struct Running;

impl Running {
    fn begin() -> Running {
        metrics::gauge!("fluxmill_sql_queries_running").increment(1.0);
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!("fluxmill_sql_queries_running").decrement(1.0);
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rows").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn new(rows: SendableRecordBatchStream) -> Rows {
        let mut taken: HashSet<String> = HashSet::new();
        let mut columns = Vec::new();
        for field in rows.schema().fields() {
            // Two tables of a join may have columns of one name.
            let mut name = field.name().clone();
            let mut number = 2;
            while !taken.insert(name.clone()) {
                name = format!("{}_{number}", field.name());
                number += 1;
            }
            columns.push((Name::from(name), column_type(field.data_type()), false));
        }
        let keys = Arc::new(KeyBlock { columns: Vec::new() });
        let (shape, waiting) = (Shape::new(columns), Vec::new());
        Rows { rows, shape, keys, waiting, ended: false, _running: Running::begin() }
    }

    /// The next rows; the last chunk ends the table and has none.
    ///
    /// Errors: FailedPrecondition for what cannot be computed of the rows, ResourceExhausted beyond the bound on memory.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        if let Some(chunk) = self.waiting.pop() {
            return Ok(Some(chunk));
        }
        if self.ended {
            return Ok(None);
        }
        let Some(batch) = self.rows.next().await else {
            self.ended = true;
            let none = self.shape.row_columns().map(|column| new_empty_array(&column.column_type.arrow()));
            return Ok(Some(self.chunk(none.collect(), 0, true)));
        };
        let batch = batch.map_err(|error| failure::while_running(&error))?;
        let mut rows = Vec::with_capacity(batch.num_columns());
        for (array, column) in batch.columns().iter().zip(self.shape.row_columns()) {
            rows.push(as_column(array, column.column_type)?);
        }
        let mut chunks = self.chunk(rows, batch.num_rows(), false).cut();
        chunks.reverse();
        self.waiting = chunks;
        Ok(self.waiting.pop())
    }

    fn chunk(&self, rows: Vec<ArrayRef>, len: usize, done: bool) -> Chunk {
        let segments = vec![Segment { table: 0, key_row: 0, end: len as u32, done }];
        Chunk { shape: Arc::clone(&self.shape), keys: Arc::clone(&self.keys), segments, rows, len }
    }
}

/// The type of column that holds values of a type.
fn column_type(data_type: &DataType) -> ColumnType {
    match data_type {
        DataType::Boolean => ColumnType::Bool,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => ColumnType::Int,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => ColumnType::UInt,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => ColumnType::Float,
        DataType::Timestamp(_, _) => ColumnType::Time,
        _ => ColumnType::String,
    }
}

/// The values of an array as a column of a type.
fn as_column(array: &ArrayRef, column_type: ColumnType) -> Result<ArrayRef> {
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    match array.data_type() {
        own if *own == column_type.arrow() => Ok(Arc::clone(array)),
        own if column_type == ColumnType::String && !is_text(own) => texts(array),
        _ => cast(array, column_type),
    }
}

fn cast(array: &ArrayRef, column_type: ColumnType) -> Result<ArrayRef> {
    // A value that does not fit is an error, not a null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, &column_type.arrow(), &options)
        .map_err(|error| Error::failed_precondition(format!("a value of the answer: {error}")))
}

/// Each value as text.
fn texts(array: &ArrayRef) -> Result<ArrayRef> {
    let options = FormatOptions::new().with_display_error(true);
    let formatter = ArrayFormatter::try_new(array, &options)?;
    // A column of nothing but nulls has no mask of its own.
    let nulls = array.logical_nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let text = |row: usize| (!is_null(row)).then(|| formatter.value(row).to_string());
    Ok(Arc::new((0..array.len()).map(text).collect::<StringViewArray>()))
}
