//! Chunks: consecutive rows of one or many tables of one shape, their keys beside them.
//!
//! Made by the store's scan and by operators, read by operators and the rim. Real data has 100,000 series of a few rows
//! as often as a few series of millions: so a chunk holds many tables, and nothing allocates per table and column.

use std::sync::Arc;

use arrow::array::ArrayRef;

use super::{Place, Shape, gather};
use crate::error::Result;

/// The identity of a table within a stream. Ascending ids are the logical order of tables.
pub type TableId = u64;

/// Most rows that a chunk holds.
pub const MAX_CHUNK_ROWS: usize = 65_536;

/// The group keys of tables: one row per table, column `i` belongs to the shape's `key[i]`.
#[derive(Clone, Debug)]
pub struct KeyBlock {
    /// The key columns; all of the same length.
    pub columns: Vec<ArrayRef>,
}

/// The rows of one table within one chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Which table.
    pub table: TableId,
    /// The row of the key block that holds its key.
    pub key_row: u32,
    /// One past its last row in this chunk; its first row is the `end` of the segment before it (0 for the first).
    /// An equal `end` means no rows: with `done`, an empty table (or the end of one whose rows came before).
    pub end: u32,
    /// No further part of this table follows.
    pub done: bool,
}

/// Consecutive rows of one or many tables of one shape.
///
/// Invariants: `segments` in row order, `end` never decreases and the last `end` is `len`; a table has one shape and one
/// key for life, its parts come in row order and nothing follows `done`; `rows[i].len() == len`.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Columns and key.
    pub shape: Arc<Shape>,
    /// Keys, shared between the chunks of a source.
    pub keys: Arc<KeyBlock>,
    /// The tables, in row order.
    pub segments: Vec<Segment>,
    /// The columns that are not in the key, in the order of [`Shape::row_columns`].
    pub rows: Vec<ArrayRef>,
    /// The number of rows (a shape may have no row columns).
    pub len: usize,
}

impl Chunk {
    /// Each segment with the range of its rows.
    pub fn tables(&self) -> impl Iterator<Item = (Segment, std::ops::Range<usize>)> + '_ {
        let mut start = 0;
        self.segments.iter().map(move |segment| {
            let range = start..segment.end as usize;
            start = segment.end as usize;
            (*segment, range)
        })
    }

    /// The same rows without hold on buffers that are much larger: what state keeps of a chunk.
    pub fn compact(mut self) -> Result<Chunk> {
        for array in &mut self.rows {
            *array = gather::compact(array)?;
        }
        Ok(self)
    }

    /// The same tables in chunks of no more than the usual number of rows; no row is copied.
    pub fn cut(self) -> Vec<Chunk> {
        if self.len <= MAX_CHUNK_ROWS {
            return vec![self];
        }
        let mut chunks = Vec::new();
        let mut first = 0;
        let mut start = 0;
        while start < self.len {
            let end = self.len.min(start + MAX_CHUNK_ROWS);
            let mut segments = Vec::new();
            for segment in &self.segments[first..] {
                let whole = segment.end as usize <= end;
                let own_end = segment.end.min(end as u32) - start as u32;
                segments.push(Segment { end: own_end, done: segment.done && whole, ..*segment });
                if !whole {
                    break;
                }
                first += 1;
            }
            chunks.push(Chunk {
                shape: Arc::clone(&self.shape),
                keys: Arc::clone(&self.keys),
                segments,
                rows: self.rows.iter().map(|array| array.slice(start, end - start)).collect(),
                len: end - start,
            });
            start = end;
        }
        chunks
    }

    /// The array of a row column by name; `None` if there is no such column or it is in the key.
    pub fn row_array(&self, name: &str) -> Option<&ArrayRef> {
        match self.shape.column(name)?.place {
            Place::Row(index) => self.rows.get(index as usize),
            Place::Key(_) => None,
        }
    }

    /// The array of a key column by name (one value per key row); `None` if there is none or it is not in the key.
    pub fn key_array(&self, name: &str) -> Option<&ArrayRef> {
        match self.shape.column(name)?.place {
            Place::Key(index) => self.keys.columns.get(index as usize),
            Place::Row(_) => None,
        }
    }
}
