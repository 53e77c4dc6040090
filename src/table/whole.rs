//! Holds the parts of tables until each is whole: for operators that need all rows of a table at once.
//!
//! Called by `sort`, `tail`. Chunks of whole tables pass untouched; what is held of a chunk is the chunk itself, until
//! none of its tables is open any more.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::gather::{Gather, Stretch};
use super::size::{self, Tally};
use super::{Chunk, KeyBlock, Segment, TableId};
use crate::error::Result;

/// Tables of which not all parts have come.
#[derive(Debug, Default)]
pub struct WholeTables {
    /// Of each table no more than this many of its last rows are held, if it is set.
    keep_last: Option<usize>,
    open: HashMap<TableId, Open>,
    /// The chunks that open tables have rows in.
    held: HeldChunks,
    next_chunk: u32,
}

#[derive(Debug, Default)]
struct HeldChunks {
    chunks: HashMap<u32, HeldChunk>,
    /// What they take together, and how many rows they have.
    size: Tally,
    rows: usize,
}

#[derive(Debug)]
struct HeldChunk {
    chunk: Chunk,
    /// How many stretches of open tables lie in it.
    uses: usize,
    /// What it takes.
    bytes: usize,
}

#[derive(Debug)]
struct Open {
    rows: VecDeque<Stretch>,
    len: usize,
    /// Where its key is: chunk (held for it) and key row.
    key: Stretch,
}

impl WholeTables {
    /// Holds all rows.
    pub fn new() -> Self {
        WholeTables::default()
    }

    /// Holds at least the last `rows` rows of each table and little more.
    pub fn of_last(rows: usize) -> Self {
        WholeTables { keep_last: Some(rows), ..WholeTables::default() }
    }

    /// Takes a chunk; gives the tables that are whole now, in the order in which they became so. The chunks that come out
    /// may be longer than others.
    pub fn push(&mut self, chunk: Chunk) -> Result<Vec<Chunk>> {
        if self.open.is_empty() && chunk.segments.iter().all(|segment| segment.done) {
            return Ok(vec![chunk]);
        }
        let number = self.next_chunk;
        self.next_chunk += 1;
        let mut whole = Vec::new();
        let mut uses = 0;
        for (segment, rows) in chunk.tables() {
            let key = Stretch::rows(number, segment.key_row as usize..segment.key_row as usize + 1);
            let rows = Stretch::rows(number, rows);
            if segment.done && !self.open.contains_key(&segment.table) {
                whole.push((segment.table, Open { rows: VecDeque::from([rows]), len: rows.count as usize, key }));
                uses += 2;
                continue;
            }
            let open = self.open.entry(segment.table).or_insert_with(|| {
                uses += 1;
                Open { rows: VecDeque::new(), len: 0, key }
            });
            open.rows.push_back(rows);
            open.len += rows.count as usize;
            uses += 1;
            while let (Some(keep), Some(first)) = (self.keep_last, open.rows.front())
                && open.len - first.count as usize >= keep
                && open.rows.len() > 1
            {
                open.len -= first.count as usize;
                if first.source == number {
                    uses -= 1;
                } else {
                    self.held.release(first.source);
                }
                open.rows.pop_front();
            }
            if segment.done {
                whole.extend(self.open.remove(&segment.table).map(|open| (segment.table, open)));
            }
        }
        self.held.insert(number, chunk, uses);
        self.take(whole)
    }

    /// Gives what has come of the tables that are not whole yet, in the order of their ids, and holds nothing any more. What
    /// then comes of them is held as if it were the first part.
    pub fn take_open(&mut self) -> Result<Vec<Chunk>> {
        let mut open: Vec<(TableId, Open)> = self.open.drain().collect();
        open.sort_by_key(|(table, _)| *table);
        self.take(open)
    }

    /// How many rows it holds, at most: those that were let go of count until their chunk goes.
    pub fn rows(&self) -> usize {
        self.held.rows
    }

    /// What it holds, in bytes.
    pub fn memory(&self) -> usize {
        self.held.size.bytes()
            + self.open.len() * size_of::<Stretch>()
            + size::of_map::<(TableId, Open)>(self.open.capacity())
    }

    /// Makes chunks of whole tables and lets go of what they held.
    fn take(&mut self, whole: Vec<(TableId, Open)>) -> Result<Vec<Chunk>> {
        let mut made = Vec::new();
        let mut rest = &whole[..];
        while let Some((_, first)) = rest.first() {
            let shape = Arc::clone(&self.held.get(first.key.source).shape);
            let same = |(_, open): &&(TableId, Open)| {
                let other = &self.held.get(open.key.source).shape;
                Arc::ptr_eq(other, &shape) || *other == shape
            };
            let count = rest.iter().take_while(same).count();
            let (batch, others) = rest.split_at(count);
            rest = others;
            let mut segments = Vec::with_capacity(count);
            let mut len = 0;
            for (key_row, (table, open)) in batch.iter().enumerate() {
                len += open.len;
                segments.push(Segment { table: *table, key_row: key_row as u32, end: len as u32, done: true });
            }
            let from_keys = Gather::new(batch.iter().map(|(_, open)| open.key));
            let from_rows = Gather::new(batch.iter().flat_map(|(_, open)| open.rows.iter().copied()));
            let mut columns = Vec::new();
            for (index, column) in shape.key_columns().enumerate() {
                let array = |source: u32| self.held.get(source).keys.columns.get(index);
                columns.push(from_keys.column(column.column_type, array)?);
            }
            let mut rows = Vec::new();
            for (index, column) in shape.row_columns().enumerate() {
                let array = |source: u32| self.held.get(source).rows.get(index);
                rows.push(from_rows.column(column.column_type, array)?);
            }
            made.push(Chunk { shape, keys: Arc::new(KeyBlock { columns }), segments, rows, len });
        }
        for (_, open) in &whole {
            for stretch in open.rows.iter().chain([&open.key]) {
                self.held.release(stretch.source);
            }
        }
        self.held.drop_unused();
        Ok(made)
    }
}

impl HeldChunks {
    fn insert(&mut self, number: u32, chunk: Chunk, uses: usize) {
        let bytes = self.size.add(&chunk);
        self.rows += chunk.len;
        self.chunks.insert(number, HeldChunk { chunk, uses, bytes });
    }

    fn get(&self, number: u32) -> &Chunk {
        &self.chunks[&number].chunk
    }

    /// A stretch of a chunk is not needed any more.
    fn release(&mut self, number: u32) {
        let Some(held) = self.chunks.get_mut(&number) else { return };
        held.uses -= 1;
        if held.uses == 0 {
            self.size.sub(held.bytes);
            self.rows -= held.chunk.len;
            self.chunks.remove(&number);
        }
    }

    /// Lets go of chunks that no open table has ever had rows in.
    fn drop_unused(&mut self) {
        self.chunks.retain(|_, held| {
            if held.uses == 0 {
                self.size.sub(held.bytes);
                self.rows -= held.chunk.len;
            }
            held.uses > 0
        });
    }
}
