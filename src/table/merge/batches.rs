//! Tables that come out of a merger, chunk by chunk.
//!
//! Made by [`Merger::finish`] and [`Merger::drain`]. Consecutive tables of one layout share a chunk. Rows are moved when
//! their chunk is asked for: what comes out is not there all at once.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{MappingId, Merger, Part};
use crate::error::Result;
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::gather::{Gather, Stretch};
use crate::table::key::KeyNumber;
use crate::table::layout::LayoutId;
use crate::table::{Chunk, ColumnType, KeyBlock, Name, Place, Segment, TableId};

/// The tables of a merger to which nothing is added any more.
#[derive(Debug)]
pub struct Merging {
    merger: Merger,
    /// The tables in the order in which they come out, and the id of the first.
    order: Vec<KeyNumber>,
    first_id: TableId,
    /// In the order of the tables.
    parts: Vec<Part>,
    /// How many tables and parts have been taken.
    taken: (usize, usize),
    /// Whether the next table has been begun.
    begun: bool,
    batch: Batch,
    ready: VecDeque<Chunk>,
}

impl Merging {
    pub(super) fn new(mut merger: Merger, order: Vec<KeyNumber>, first_id: TableId) -> Merging {
        let mut rank = vec![0; order.len()];
        for (place, table) in order.iter().enumerate() {
            rank[*table as usize] = place;
        }
        let mut parts = std::mem::take(&mut merger.parts);
        parts.sort_by_key(|part| rank[part.table as usize]);
        Merging {
            merger,
            order,
            first_id,
            parts,
            taken: (0, 0),
            begun: false,
            batch: Batch::default(),
            ready: VecDeque::new(),
        }
    }

    /// The next chunk; `None` when all tables have come.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Ok(Some(chunk));
            }
            let (place, part) = self.taken;
            let Some(table) = self.order.get(place).copied() else {
                self.batch.cut(&self.merger, &mut self.ready)?;
                return Ok(self.ready.pop_front());
            };
            if !self.begun {
                self.batch.begin(&self.merger, table, self.first_id + place as TableId, &mut self.ready)?;
                self.begun = true;
            }
            match self.parts.get(part).filter(|part| part.table == table) {
                Some(part) => {
                    self.batch.add(&self.merger, *part, &mut self.ready)?;
                    self.taken.1 += 1;
                }
                None => {
                    self.batch.end(true);
                    self.begun = false;
                    self.taken.0 += 1;
                }
            }
        }
    }

    /// All chunks at once.
    pub fn all(mut self) -> Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        while let Some(chunk) = self.next_chunk()? {
            chunks.push(chunk);
        }
        Ok(chunks)
    }

    /// What it holds, in bytes.
    pub fn memory(&self) -> usize {
        self.merger.memory()
            + self.order.capacity() * size_of::<KeyNumber>()
            + self.parts.capacity() * size_of::<Part>()
    }
}

/// A chunk in the making.
#[derive(Debug, Default)]
pub(super) struct Batch {
    layout: LayoutId,
    tables: Vec<KeyNumber>,
    segments: Vec<Segment>,
    parts: Vec<Part>,
    len: usize,
}

impl Batch {
    /// A table begins. Chunks that are full, or of another layout, go to `chunks`, here and below.
    pub(super) fn begin(
        &mut self,
        merger: &Merger,
        table: KeyNumber,
        id: TableId,
        chunks: &mut VecDeque<Chunk>,
    ) -> Result<()> {
        let layout = merger.tables[table as usize].layout;
        if layout != self.layout || self.len == MAX_CHUNK_ROWS || self.segments.len() == MAX_CHUNK_ROWS {
            self.cut(merger, chunks)?;
            self.layout = layout;
        }
        self.open(table, id);
        Ok(())
    }

    /// Rows of the table that was begun.
    pub(super) fn add(&mut self, merger: &Merger, mut part: Part, chunks: &mut VecDeque<Chunk>) -> Result<()> {
        while self.len + part.rows.count as usize > MAX_CHUNK_ROWS {
            let fits = (MAX_CHUNK_ROWS - self.len) as u32;
            self.parts.push(Part { rows: Stretch { count: fits, ..part.rows }, ..part });
            part.rows.start += fits;
            part.rows.count -= fits;
            self.len = MAX_CHUNK_ROWS;
            let id = self.segments.last().map(|segment| segment.table);
            self.cut(merger, chunks)?;
            self.open(part.table, id.unwrap_or_default());
        }
        self.len += part.rows.count as usize;
        self.parts.push(part);
        Ok(())
    }

    /// All rows of the table, or of what there is of it so far, have been added.
    pub(super) fn end(&mut self, done: bool) {
        if let Some(segment) = self.segments.last_mut() {
            segment.end = self.len as u32;
            segment.done = done;
        }
    }

    fn open(&mut self, table: KeyNumber, id: TableId) {
        let key_row = self.tables.len() as u32;
        self.tables.push(table);
        self.segments.push(Segment { table: id, key_row, end: self.len as u32, done: false });
    }

    /// Makes a chunk of what has been collected.
    pub(super) fn cut(&mut self, merger: &Merger, chunks: &mut VecDeque<Chunk>) -> Result<()> {
        if self.segments.is_empty() {
            return Ok(());
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.end = self.len as u32;
        }
        let shape = merger.layouts.shape(self.layout);
        let mut keys = Vec::new();
        for column in shape.key_columns() {
            keys.push(merger.keys.gather(&column.name, column.column_type, self.tables.iter().copied())?);
        }
        let moves = Moves::new(merger, &self.parts);
        let mut rows = Vec::new();
        for column in shape.row_columns() {
            rows.push(moves.column(&column.name, column.column_type)?);
        }
        chunks.push_back(Chunk {
            shape: Arc::clone(shape),
            keys: Arc::new(KeyBlock { columns: keys }),
            segments: std::mem::take(&mut self.segments),
            rows,
            len: std::mem::take(&mut self.len),
        });
        self.tables.clear();
        self.parts.clear();
        Ok(())
    }
}

/// The rows of a chunk in the making, column by column. A column may stand in the rows of one source, in the key of
/// another and be absent from a third.
struct Moves<'a> {
    merger: &'a Merger,
    parts: &'a [Part],
    from_rows: Gather,
    from_keys: Gather,
    /// The mappings of the sources that are used.
    mappings: Vec<MappingId>,
}

impl<'a> Moves<'a> {
    fn new(merger: &'a Merger, parts: &'a [Part]) -> Self {
        let mut mappings: Vec<MappingId> = parts.iter().map(|part| merger.sources.mapping(part.rows.source)).collect();
        mappings.sort_unstable();
        mappings.dedup();
        let from_rows = Gather::new(parts.iter().map(|part| part.rows));
        let from_keys = Gather::new(parts.iter().map(key_stretch));
        Moves { merger, parts, from_rows, from_keys, mappings }
    }

    fn column(&self, name: &Name, column_type: ColumnType) -> Result<arrow::array::ArrayRef> {
        let places: Vec<Option<Place>> = self.mappings.iter().map(|mapping| self.place(*mapping, name)).collect();
        let in_rows = places.iter().any(|place| matches!(place, Some(Place::Row(_))));
        let in_keys = places.iter().any(|place| matches!(place, Some(Place::Key(_))));
        let place_in = |source: u32| {
            let chunk = self.merger.sources.chunk(source);
            let at = self.mappings.binary_search(&self.merger.sources.mapping(source)).ok()?;
            match places[at]? {
                Place::Key(index) => chunk.keys.columns.get(index as usize),
                Place::Row(index) => chunk.rows.get(index as usize),
            }
        };
        match (in_rows, in_keys) {
            (_, false) => self.from_rows.column(column_type, place_in),
            (false, true) => self.from_keys.column(column_type, place_in),
            (true, true) => {
                let stretch = |part: &Part| {
                    let mapping = self.merger.sources.mapping(part.rows.source);
                    match self.place(mapping, name) {
                        Some(Place::Key(_)) => key_stretch(part),
                        _ => part.rows,
                    }
                };
                Gather::new(self.parts.iter().map(stretch)).column(column_type, place_in)
            }
        }
    }

    fn place(&self, mapping: MappingId, name: &Name) -> Option<Place> {
        let targets = &self.merger.mappings[mapping as usize].targets;
        targets.iter().find(|target| target.name == *name).map(|target| target.from)
    }
}

fn key_stretch(part: &Part) -> Stretch {
    Stretch::repeat(part.rows.source, part.key_row as usize, part.rows.count as usize)
}
