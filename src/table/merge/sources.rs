//! The chunks that a merger holds.
//!
//! Used by [`super::Merger`] alone. Small chunks of one mapping are put together: a chunk of a few rows takes kilobytes
//! for its arrays, and where tables of several shapes take turns there is one for every few rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;

use super::MappingId;
use crate::error::Result;
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::size::Tally;
use crate::table::{Chunk, KeyBlock, Segment};

/// A chunk with fewer rows and tables is put together with others.
const SMALL: usize = MAX_CHUNK_ROWS / 8;

/// Most chunks that wait for that.
const MOST_WAITING: usize = 256;

/// More buffers than this of one array of strings become one.
const MOST_BUFFERS: usize = 16;

/// Chunks by number, each with its mapping.
#[derive(Debug, Default)]
pub(super) struct Sources {
    chunks: Vec<(MappingId, Chunk)>,
    /// By mapping: small chunks that will be one.
    waiting: Vec<Option<Waiting>>,
    size: Tally,
}

#[derive(Debug)]
struct Waiting {
    source: u32,
    chunks: Vec<Chunk>,
    rows: usize,
    tables: usize,
    /// What they add to the size.
    bytes: usize,
}

/// Where the rows and the keys of a chunk are when it is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The number of the chunk.
    pub(super) source: u32,
    /// Its first row.
    pub(super) first_row: u32,
    /// The row of the key of its first table, those of the others behind it; `None`: they are where they are.
    first_key: Option<u32>,
}

impl Place {
    /// The row of the key of a table.
    pub(super) fn key_row(&self, number: usize, segment: &Segment) -> u32 {
        self.first_key.map_or(segment.key_row, |first| first + number as u32)
    }
}

impl Sources {
    /// The mapping of a chunk.
    pub(super) fn mapping(&self, source: u32) -> MappingId {
        self.chunks[source as usize].0
    }

    /// A chunk. Small ones are there after [`Sources::settle`].
    pub(super) fn chunk(&self, source: u32) -> &Chunk {
        &self.chunks[source as usize].1
    }

    /// Where the next chunk that is held will be.
    pub(super) fn place(&self, mapping: MappingId, chunk: &Chunk) -> Place {
        let next = self.chunks.len() as u32;
        if !is_small(chunk) {
            return Place { source: next, first_row: 0, first_key: None };
        }
        match self.waiting.get(mapping as usize).and_then(Option::as_ref) {
            Some(own) => Place { source: own.source, first_row: own.rows as u32, first_key: Some(own.tables as u32) },
            None => Place { source: next, first_row: 0, first_key: Some(0) },
        }
    }

    /// Holds a chunk.
    pub(super) fn hold(&mut self, mapping: MappingId, chunk: Chunk) -> Result<()> {
        let bytes = self.size.add(&chunk);
        if !is_small(&chunk) {
            self.chunks.push((mapping, chunk));
            return Ok(());
        }
        let at = mapping as usize;
        if self.waiting.len() <= at {
            self.waiting.resize_with(at + 1, || None);
        }
        let own = self.waiting[at].get_or_insert_with(|| {
            // Its place, until it is made.
            self.chunks.push((mapping, chunk.clone()));
            let source = self.chunks.len() as u32 - 1;
            Waiting { source, chunks: Vec::new(), rows: 0, tables: 0, bytes: 0 }
        });
        own.rows += chunk.len;
        own.tables += chunk.segments.len();
        own.bytes += bytes;
        own.chunks.push(chunk);
        if own.rows >= MAX_CHUNK_ROWS || own.tables >= MAX_CHUNK_ROWS || own.chunks.len() == MOST_WAITING {
            self.put_together(at)?;
        }
        Ok(())
    }

    /// Makes all chunks that can be asked for.
    pub(super) fn settle(&mut self) -> Result<()> {
        (0..self.waiting.len()).try_for_each(|mapping| self.put_together(mapping))
    }

    /// Holds nothing any more.
    pub(super) fn clear(&mut self) {
        *self = Sources::default();
    }

    /// What is held, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.size.bytes()
    }

    fn put_together(&mut self, mapping: usize) -> Result<()> {
        let Some(own) = self.waiting[mapping].take() else { return Ok(()) };
        let first = &own.chunks[0];
        let mut keys = Vec::with_capacity(first.keys.columns.len());
        for column in 0..first.keys.columns.len() {
            let of_tables = |chunk: &Chunk| {
                let rows = UInt32Array::from_iter_values(chunk.segments.iter().map(|segment| segment.key_row));
                take(&chunk.keys.columns[column], &rows, None)
            };
            let parts = own.chunks.iter().map(of_tables).collect::<std::result::Result<Vec<_>, _>>()?;
            keys.push(one(parts)?);
        }
        let mut rows = Vec::with_capacity(first.rows.len());
        for column in 0..first.rows.len() {
            rows.push(one(own.chunks.iter().map(|chunk| Arc::clone(&chunk.rows[column])).collect())?);
        }
        let chunk = Chunk {
            shape: Arc::clone(&first.shape),
            keys: Arc::new(KeyBlock { columns: keys }),
            // Whoever holds rows knows whose they are.
            segments: Vec::new(),
            rows,
            len: own.rows,
        };
        self.size.sub(own.bytes);
        self.size.add(&chunk);
        self.chunks[own.source as usize].1 = chunk;
        Ok(())
    }
}

fn is_small(chunk: &Chunk) -> bool {
    chunk.len < SMALL && chunk.segments.len() < SMALL
}

/// Arrays behind one another.
fn one(mut parts: Vec<ArrayRef>) -> Result<ArrayRef> {
    if parts.len() == 1
        && let Some(part) = parts.pop()
    {
        return Ok(part);
    }
    let array = concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<_>>())?;
    if *array.data_type() == DataType::Utf8View {
        let strings = array.as_string_view();
        if strings.data_buffers().len() > MOST_BUFFERS {
            return Ok(Arc::new(strings.gc()));
        }
    }
    Ok(array)
}
