//! Gathers the parts of scattered tables: each table whole, tables in ascending order of their ids.
//!
//! Called in front of operators that need their input in order, and in front of results. It holds a whole stream; what
//! can stream never needs it.

use std::sync::Arc;

use super::chunk::MAX_CHUNK_ROWS;
use super::gather::{Gather, Stretch};
use super::size::Tally;
use super::{Chunk, KeyBlock, Segment, Shape, TableId};
use crate::error::Result;

/// A stream being gathered.
#[derive(Debug, Default)]
pub struct Cluster {
    chunks: Vec<Chunk>,
    parts: Vec<Part>,
    size: Tally,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    table: TableId,
    rows: Stretch,
    key_row: u32,
}

impl Cluster {
    /// Takes a chunk.
    pub fn push(&mut self, chunk: Chunk) {
        let source = self.chunks.len() as u32;
        for (segment, rows) in chunk.tables() {
            self.parts.push(Part { table: segment.table, rows: Stretch::rows(source, rows), key_row: segment.key_row });
        }
        self.source(chunk);
    }

    /// What it holds, in bytes.
    pub fn memory(&self) -> usize {
        self.size.bytes() + self.parts.capacity() * size_of::<Part>()
    }

    /// Holds a chunk without taking its tables; gives the number by which [`Cluster::part`] knows it.
    pub fn source(&mut self, chunk: Chunk) -> u32 {
        self.size.add(&chunk);
        self.chunks.push(chunk);
        self.chunks.len() as u32 - 1
    }

    /// Takes rows of a held chunk as a part of a table whose key is there as well.
    pub fn part(&mut self, table: TableId, source: u32, rows: std::ops::Range<usize>, key_row: u32) {
        self.parts.push(Part { table, rows: Stretch::rows(source, rows), key_row });
    }

    /// The whole stream.
    pub fn finish(mut self) -> Result<Vec<Chunk>> {
        // Stable: the parts of a table stay in the order in which they came.
        self.parts.sort_by_key(|part| part.table);
        let mut gathered = Vec::new();
        let mut batch = Batch::default();
        for (index, part) in self.parts.iter().enumerate() {
            let shape = &self.chunks[part.rows.source as usize].shape;
            if batch.is_full() || batch.shape.is_some_and(|own| own != shape) {
                gathered.extend(batch.gather(&self.chunks)?);
            }
            let last = self.parts.get(index + 1).is_none_or(|next| next.table != part.table);
            let mut rest = *part;
            while batch.len + rest.rows.count as usize > MAX_CHUNK_ROWS {
                let fits = (MAX_CHUNK_ROWS - batch.len) as u32;
                batch.add(shape, Part { rows: Stretch { count: fits, ..rest.rows }, ..rest }, false);
                rest.rows.start += fits;
                rest.rows.count -= fits;
                gathered.extend(batch.gather(&self.chunks)?);
            }
            batch.add(shape, rest, last);
        }
        gathered.extend(batch.gather(&self.chunks)?);
        Ok(gathered)
    }
}

/// A chunk in the making.
#[derive(Default)]
struct Batch<'a> {
    shape: Option<&'a Arc<Shape>>,
    segments: Vec<Segment>,
    rows: Vec<Stretch>,
    keys: Vec<Stretch>,
    len: usize,
}

impl<'a> Batch<'a> {
    fn is_full(&self) -> bool {
        self.len == MAX_CHUNK_ROWS || self.segments.len() == MAX_CHUNK_ROWS
    }

    fn add(&mut self, shape: &'a Arc<Shape>, part: Part, done: bool) {
        self.shape = Some(shape);
        self.len += part.rows.count as usize;
        self.rows.push(part.rows);
        let end = self.len as u32;
        match self.segments.last_mut() {
            Some(segment) if segment.table == part.table => {
                segment.end = end;
                segment.done = done;
            }
            _ => {
                let key_row = self.keys.len() as u32;
                self.segments.push(Segment { table: part.table, key_row, end, done });
                self.keys.push(Stretch::rows(part.rows.source, part.key_row as usize..part.key_row as usize + 1));
            }
        }
    }

    /// Makes the chunk, if anything has been added, and leaves the batch empty.
    fn gather(&mut self, chunks: &[Chunk]) -> Result<Option<Chunk>> {
        let batch = std::mem::take(self);
        let Some(shape) = batch.shape else { return Ok(None) };
        let (from_rows, from_keys) = (Gather::new(batch.rows), Gather::new(batch.keys));
        let mut columns = Vec::new();
        for (index, column) in shape.key_columns().enumerate() {
            let array = |source: u32| chunks[source as usize].keys.columns.get(index);
            columns.push(from_keys.column(column.column_type, array)?);
        }
        let mut rows = Vec::new();
        for (index, column) in shape.row_columns().enumerate() {
            rows.push(from_rows.column(column.column_type, |source| chunks[source as usize].rows.get(index))?);
        }
        let keys = Arc::new(KeyBlock { columns });
        Ok(Some(Chunk { shape: Arc::clone(shape), keys, segments: batch.segments, rows, len: batch.len }))
    }
}
