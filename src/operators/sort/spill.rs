//! Rows of `sort` on disk: what has come of tables that are not whole yet, as sorted runs, until the rest of them has come.
//!
//! Used by [`super`] when memory is short. A piece on disk may hold rows of many tables, and a table has rows in many runs.
//! Where it has many of one size they are merged into one, so that a merge never has many batches in memory.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::Sort;
use super::merge::{Batch, Merge, Part};
use crate::error::{Error, Result};
use crate::operators::Out;
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::spill::{Piece, SpillFile, SpillSpace};
use crate::table::{Chunk, KeyBlock, Segment, Shape, TableId, size};

/// So many runs of one level become a run of the next one.
const RUNS_PER_LEVEL: usize = 8;

/// So many pieces that hold rows of several tables stay in memory for the next table.
const PIECES_KEPT: usize = 8;

/// Rows on disk, and tables that are on their way out.
pub(super) struct Spilled {
    sort: Sort,
    file: SpillFile,
    piece_bytes: usize,
    /// How many rows a piece has, and a chunk that is given.
    piece_rows: usize,
    tables: HashMap<TableId, Vec<Run>>,
    /// How many parts all runs have.
    parts: usize,
    /// What is to be given, in order.
    ready: VecDeque<Ready>,
    /// The pieces of several tables that were read last: tables that went to disk together come back together.
    read: VecDeque<(Piece, Arc<Batch>)>,
}

/// Sorted rows of a table on disk.
struct Run {
    /// How often its rows have been merged.
    level: u32,
    parts: VecDeque<Part<Rows>>,
}

/// Where the rows of a part are.
#[derive(Clone, Copy)]
enum Rows {
    /// In a piece that may hold rows of other tables too.
    OnDisk { piece: Piece, shared: bool },
    /// In memory: the last run of the table that is given never goes to disk.
    Here,
}

/// What is to be given.
enum Ready {
    /// Tables without rows on disk.
    Chunk(Chunk),
    /// A table with rows on disk, and its last rows.
    Table(Vec<Run>, Chunk),
    /// Such a table of which rows have been given.
    Merging(Merge<Rows>, Whose),
}

/// Whose rows are merged.
struct Whose {
    shape: Arc<Shape>,
    keys: Arc<KeyBlock>,
    segment: Segment,
}

impl Ready {
    fn memory(&self) -> usize {
        match self {
            Ready::Chunk(chunk) | Ready::Table(_, chunk) => size::of_rows(chunk),
            Ready::Merging(merge, _) => merge.memory(),
        }
    }
}

impl Spilled {
    pub(super) fn new(sort: &Sort, space: &SpillSpace) -> Result<Spilled> {
        Ok(Spilled {
            sort: sort.clone(),
            file: space.file()?,
            piece_bytes: space.piece_bytes(),
            piece_rows: MAX_CHUNK_ROWS,
            tables: HashMap::new(),
            parts: 0,
            ready: VecDeque::new(),
            read: VecDeque::new(),
        })
    }

    /// What it takes in memory, in bytes.
    pub(super) fn memory(&self) -> usize {
        let runs = self.parts * (size_of::<Run>() + size_of::<Part<Rows>>());
        let read: usize = self.read.iter().map(|(_, batch)| batch.memory()).sum();
        let ready: usize = self.ready.iter().map(Ready::memory).sum();
        runs + size::of_map::<(TableId, Vec<Run>)>(self.tables.capacity()) + read + ready
    }

    /// Writes parts of tables, each of them sorted.
    pub(super) fn run(&mut self, chunk: &Chunk) -> Result<()> {
        let row_bytes = size::of_rows(chunk) / chunk.len.max(1) + 1;
        self.piece_rows = (self.piece_bytes / row_bytes).clamp(1, MAX_CHUNK_ROWS);
        let most = self.piece_rows;
        let mut pieces = Vec::new();
        for start in (0..chunk.len).step_by(most) {
            let len = most.min(chunk.len - start);
            let rows: Vec<ArrayRef> = chunk.rows.iter().map(|array| array.slice(start, len)).collect();
            pieces.push((self.file.write(&rows, len)?, len));
        }
        for (segment, rows) in chunk.tables().filter(|(_, rows)| !rows.is_empty()) {
            let part = |number: usize| {
                let ((piece, len), start) = (pieces[number], number * most);
                let own = rows.start.max(start) - start..rows.end.min(start + len) - start;
                let rows = Rows::OnDisk { piece, shared: own.len() < len };
                Part { batch: rows, rows: own.start as u32..own.end as u32 }
            };
            let parts = (rows.start / most..=(rows.end - 1) / most).map(part).collect();
            self.add(segment.table, Run { level: 0, parts });
            self.merge_levels(segment.table, &chunk.shape)?;
        }
        Ok(())
    }

    fn add(&mut self, table: TableId, run: Run) {
        self.parts += run.parts.len();
        self.tables.entry(table).or_default().push(run);
    }

    /// Makes one run of the last ones of a table while there are many of one level.
    fn merge_levels(&mut self, table: TableId, shape: &Shape) -> Result<()> {
        while let Some(runs) = self.tables.get_mut(&table)
            && let Some(level) = runs.last().map(|run| run.level)
            && let count = runs.iter().rev().take_while(|run| run.level == level).count()
            && count >= RUNS_PER_LEVEL
        {
            let merged = runs.split_off(runs.len() - count);
            self.parts -= parts_of(&merged);
            let mut load = Loader { sort: &self.sort, file: &self.file, shape, here: None, read: &mut self.read };
            let mut merge = Merge::new(merged.into_iter().map(|run| run.parts), &mut |rows| load.batch(rows))?;
            let mut parts = VecDeque::new();
            while !merge.is_done() {
                let mut load = Loader { sort: &self.sort, file: &self.file, shape, here: None, read: &mut self.read };
                let (rows, len) = merge.next(self.piece_rows, shape, &mut |rows| load.batch(rows))?;
                let piece = self.file.write(&rows, len)?;
                parts.push_back(Part { batch: Rows::OnDisk { piece, shared: false }, rows: 0..len as u32 });
            }
            self.add(table, Run { level: level + 1, parts });
        }
        Ok(())
    }

    /// Takes sorted tables whose last rows these are.
    pub(super) fn whole(&mut self, chunk: &Chunk) {
        // The tables from `first` on, whose rows begin at `start`, have not been taken yet.
        let (mut first, mut start) = (0, 0);
        for (number, (segment, rows)) in chunk.tables().enumerate() {
            let Some(runs) = self.tables.remove(&segment.table) else { continue };
            self.untouched(part_of(chunk, first..number, start..rows.start));
            self.ready.push_back(Ready::Table(runs, part_of(chunk, number..number + 1, rows.clone())));
            (first, start) = (number + 1, rows.end);
        }
        self.untouched(part_of(chunk, first..chunk.segments.len(), start..chunk.len));
    }

    fn untouched(&mut self, chunk: Chunk) {
        if !chunk.segments.is_empty() {
            self.ready.push_back(Ready::Chunk(chunk));
        }
    }

    /// Gives what is next, and says whether there is more.
    pub(super) fn give(&mut self, out: &mut Out) -> Result<()> {
        match self.ready.pop_front() {
            None => {}
            Some(Ready::Chunk(chunk)) => out.chunks.extend(chunk.cut()),
            Some(Ready::Table(runs, last)) => {
                self.parts -= parts_of(&runs);
                let here = Arc::new(Batch::new(&self.sort, &last.shape, last.rows));
                let last_part = Part { batch: Rows::Here, rows: 0..last.len as u32 };
                let runs = runs.into_iter().map(|run| run.parts).chain([VecDeque::from([last_part])]);
                let (sort, file, read) = (&self.sort, &self.file, &mut self.read);
                let mut load = Loader { sort, file, shape: &last.shape, here: Some(here), read };
                let merge = Merge::new(runs, &mut |rows| load.batch(rows))?;
                let whose = Whose { shape: last.shape, keys: last.keys, segment: last.segments[0] };
                self.part(merge, whose, out)?;
            }
            Some(Ready::Merging(merge, whose)) => self.part(merge, whose, out)?,
        }
        out.more = !self.ready.is_empty();
        if !out.more && self.tables.is_empty() && self.file.bytes() > 0 {
            self.read.clear();
            self.file.clear()?;
        }
        Ok(())
    }

    /// Gives the next rows of a table.
    fn part(&mut self, mut merge: Merge<Rows>, whose: Whose, out: &mut Out) -> Result<()> {
        let shape = &whose.shape;
        let mut load = Loader { sort: &self.sort, file: &self.file, shape, here: None, read: &mut self.read };
        let (rows, len) = merge.next(self.piece_rows, shape, &mut |rows| load.batch(rows))?;
        let segments = vec![Segment { end: len as u32, done: merge.is_done(), ..whose.segment }];
        out.push(Chunk { shape: Arc::clone(shape), keys: Arc::clone(&whose.keys), segments, rows, len });
        if !merge.is_done() {
            self.ready.push_front(Ready::Merging(merge, whose));
        }
        Ok(())
    }
}

/// Brings batches into memory.
struct Loader<'a> {
    sort: &'a Sort,
    file: &'a SpillFile,
    shape: &'a Shape,
    /// The rows that never went to disk.
    here: Option<Arc<Batch>>,
    read: &'a mut VecDeque<(Piece, Arc<Batch>)>,
}

impl Loader<'_> {
    fn batch(&mut self, rows: Rows) -> Result<Arc<Batch>> {
        let (piece, shared) = match rows {
            Rows::OnDisk { piece, shared } => (piece, shared),
            Rows::Here => return self.here.take().ok_or_else(|| Error::internal("rows in memory are merged twice")),
        };
        if let Some((_, batch)) = self.read.iter().find(|(own, _)| *own == piece) {
            return Ok(Arc::clone(batch));
        }
        let batch = Arc::new(Batch::new(self.sort, self.shape, self.file.read(piece)?));
        if shared {
            self.read.truncate(PIECES_KEPT - 1);
            self.read.push_front((piece, Arc::clone(&batch)));
        }
        Ok(batch)
    }
}

fn parts_of(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.parts.len()).sum()
}

/// Some of the tables of a chunk; no row is copied.
fn part_of(chunk: &Chunk, segments: Range<usize>, rows: Range<usize>) -> Chunk {
    let start = rows.start as u32;
    let segments = chunk.segments[segments].iter().map(|segment| Segment { end: segment.end - start, ..*segment });
    Chunk {
        shape: Arc::clone(&chunk.shape),
        keys: Arc::clone(&chunk.keys),
        segments: segments.collect(),
        rows: chunk.rows.iter().map(|array| array.slice(rows.start, rows.len())).collect(),
        len: rows.len(),
    }
}
