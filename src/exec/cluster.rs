//! Gathers the parts of scattered tables, so that each table is whole and tables come in ascending order of their ids.
//!
//! Used by the gate in front of the sink. It holds a whole stream; operators that can stream never need it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_empty_array};
use arrow::compute::interleave;

use crate::error::{Error, Result};
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::{Chunk, ColumnType, KeyBlock, Segment, Shape, TableId};

/// A stream being gathered.
#[derive(Default)]
pub struct Cluster {
    chunks: Vec<Chunk>,
    parts: Vec<Part>,
}

#[derive(Clone, Copy)]
struct Part {
    table: TableId,
    chunk: usize,
    key_row: u32,
    start: usize,
    end: usize,
}

impl Cluster {
    /// Takes a chunk.
    pub fn push(&mut self, chunk: Chunk) {
        for (segment, rows) in chunk.tables() {
            self.parts.push(Part {
                table: segment.table,
                chunk: self.chunks.len(),
                key_row: segment.key_row,
                start: rows.start,
                end: rows.end,
            });
        }
        self.chunks.push(chunk);
    }

    /// The whole stream: every table once, ascending by id, in chunks of the usual size.
    pub fn finish(mut self) -> Result<Vec<Chunk>> {
        // Stable: the parts of a table stay in the order in which they came.
        self.parts.sort_by_key(|part| part.table);
        let mut gathered = Vec::new();
        let mut batch = Batch::default();
        for index in 0..self.parts.len() {
            let part = self.parts[index];
            let shape = &self.chunks[part.chunk].shape;
            if batch.shape.as_ref().is_some_and(|own| !same(own, shape)) {
                gathered.push(batch.gather(&self.chunks)?);
            }
            let last = self.parts.get(index + 1).is_none_or(|next| next.table != part.table);
            let mut start = part.start;
            loop {
                let end = part.end.min(start + (MAX_CHUNK_ROWS - batch.rows.len()));
                let whole = end == part.end;
                batch.add(&part, start..end, shape, whole && last);
                if batch.rows.len() == MAX_CHUNK_ROWS {
                    gathered.push(batch.gather(&self.chunks)?);
                }
                start = end;
                if whole {
                    break;
                }
            }
        }
        if batch.shape.is_some() {
            gathered.push(batch.gather(&self.chunks)?);
        }
        Ok(gathered)
    }
}

fn same(left: &Arc<Shape>, right: &Arc<Shape>) -> bool {
    Arc::ptr_eq(left, right) || left == right
}

/// The rows of one chunk to be made.
#[derive(Default)]
struct Batch {
    shape: Option<Arc<Shape>>,
    segments: Vec<Segment>,
    /// Where each row stands: (chunk, row).
    rows: Vec<(usize, usize)>,
    /// Where each table's key stands: (chunk, key row).
    keys: Vec<(usize, usize)>,
}

impl Batch {
    fn add(&mut self, part: &Part, rows: std::ops::Range<usize>, shape: &Arc<Shape>, done: bool) {
        self.shape.get_or_insert_with(|| Arc::clone(shape));
        self.rows.extend(rows.map(|row| (part.chunk, row)));
        let end = self.rows.len() as u32;
        match self.segments.last_mut() {
            Some(segment) if segment.table == part.table => {
                segment.end = end;
                segment.done = done;
            }
            _ => {
                self.segments.push(Segment { table: part.table, key_row: self.keys.len() as u32, end, done });
                self.keys.push((part.chunk, part.key_row as usize));
            }
        }
    }

    /// Makes the chunk and leaves the batch empty.
    fn gather(&mut self, chunks: &[Chunk]) -> Result<Chunk> {
        let batch = std::mem::take(self);
        let shape = batch.shape.ok_or_else(|| Error::internal("a chunk without a shape"))?;
        let keys: Vec<ColumnType> = shape.key_columns().map(|column| column.column_type).collect();
        let rows: Vec<ColumnType> = shape.row_columns().map(|column| column.column_type).collect();
        let columns = gather_columns(&keys, &batch.keys, |chunk, column| &chunks[chunk].keys.columns[column])?;
        let rows = gather_columns(&rows, &batch.rows, |chunk, column| &chunks[chunk].rows[column])?;
        let keys = Arc::new(KeyBlock { columns });
        Ok(Chunk { shape, keys, segments: batch.segments, rows, len: batch.rows.len() })
    }
}

/// Columns of these types with the values at `places` (chunk, row).
fn gather_columns<'a>(
    types: &[ColumnType],
    places: &[(usize, usize)],
    array: impl Fn(usize, usize) -> &'a ArrayRef,
) -> Result<Vec<ArrayRef>> {
    // Only the chunks that are used, numbered anew.
    let mut numbers = HashMap::new();
    let mut used = Vec::new();
    let mut indices = Vec::with_capacity(places.len());
    for (chunk, row) in places {
        let number = *numbers.entry(*chunk).or_insert_with(|| {
            used.push(*chunk);
            used.len() - 1
        });
        indices.push((number, *row));
    }
    let mut gathered = Vec::with_capacity(types.len());
    for (column, column_type) in types.iter().enumerate() {
        if used.is_empty() {
            gathered.push(new_empty_array(&column_type.arrow()));
            continue;
        }
        let arrays: Vec<&dyn Array> = used.iter().map(|chunk| array(*chunk, column).as_ref()).collect();
        gathered.push(interleave(&arrays, &indices)?);
    }
    Ok(gathered)
}
