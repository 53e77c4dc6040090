//! Re-keys tables and merges those that then share a key: what `group`, `drop`, `set`, `union` and a re-keying `map` do.
//!
//! Called by operators, which say per shape what becomes of the columns; everything else (numbering keys, uniting
//! columns, ordering tables, moving rows) is here. Input tables must come whole and in order: parts of one table follow
//! each other, ids ascend.

use std::sync::Arc;

use super::chunk::MAX_CHUNK_ROWS;
use super::gather::{Gather, Stretch};
use super::key::{KeyIndex, KeyNumber, KeySchemaId, equal_runs};
use super::layout::{LayoutId, Layouts};
use super::scan::TableOrder;
use super::size::Tally;
use super::{Chunk, ColumnType, ColumnView, KeyBlock, Name, Place, Segment, Shape, TableId};
use crate::error::{Error, Result};

/// A column of the tables that come out, and where the tables that go in have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub column_type: ColumnType,
    /// Whether it is part of the new key.
    pub in_key: bool,
    /// Its place in the chunks that are pushed.
    pub from: Place,
}

impl Target {
    /// All columns of a shape as they are.
    pub fn of_shape(shape: &Shape) -> Vec<Target> {
        let target = |column: &super::Column| Target {
            name: column.name.clone(),
            column_type: column.column_type,
            in_key: matches!(column.place, Place::Key(_)),
            from: column.place,
        };
        shape.columns.iter().map(target).collect()
    }
}

/// What happens when two input tables come to have one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// Their rows follow each other in one table.
    Merge,
    /// FailedPrecondition, in the name of this operator.
    Refuse(&'static str),
    /// FailedPrecondition in these words.
    Fail(&'static str),
}

/// The number of a mapping within a [`Merger`].
pub type MappingId = u32;

/// What becomes of the chunks of a shape.
#[derive(Debug)]
struct Mapping {
    layout: LayoutId,
    targets: Vec<Target>,
    key_schema: KeySchemaId,
    /// The places of the new key's columns, in label order.
    key_from: Vec<Place>,
    /// Whether the key of an input table decides the new key.
    by_table: bool,
}

/// A table that comes out.
#[derive(Clone, Copy, Debug)]
struct Merged {
    layout: LayoutId,
    /// The number of the input table that it first got rows from; for the order of arrival.
    first_input: u64,
    last_input: TableId,
}

/// Rows on their way into a table.
#[derive(Clone, Copy, Debug)]
struct Part {
    table: KeyNumber,
    rows: Stretch,
    key_row: u32,
}

/// Merges tables by their new keys.
#[derive(Debug)]
pub struct Merger {
    order: TableOrder,
    duplicates: Duplicates,
    keys: KeyIndex,
    layouts: Layouts,
    mappings: Vec<Mapping>,
    /// Per key number.
    tables: Vec<Merged>,
    chunks: Vec<(MappingId, Chunk)>,
    size: Tally,
    parts: Vec<Part>,
    /// The input table that came last, and how many there have been.
    input: Option<TableId>,
    inputs: u64,
}

impl Merger {
    /// Nothing merged yet. Tables come out in the order in which they got their first rows (those of one input table among
    /// themselves by key), or by key.
    pub fn new(order: TableOrder, duplicates: Duplicates) -> Self {
        Merger {
            order,
            duplicates,
            keys: KeyIndex::default(),
            layouts: Layouts::default(),
            mappings: Vec::new(),
            tables: Vec::new(),
            chunks: Vec::new(),
            size: Tally::default(),
            parts: Vec::new(),
            input: None,
            inputs: 0,
        }
    }

    /// What becomes of chunks of one kind: their new columns in order. Made once per input shape.
    pub fn mapping(&mut self, targets: Vec<Target>) -> MappingId {
        let key: Vec<&Target> = targets.iter().filter(|target| target.in_key).collect();
        let columns: Vec<(Name, ColumnType)> =
            key.iter().map(|target| (target.name.clone(), target.column_type)).collect();
        let (key_schema, order) = self.keys.schema(&columns);
        let key_from: Vec<Place> = order.iter().map(|at| key[*at].from).collect();
        let columns = targets.iter().map(|target| (target.name.clone(), target.column_type, target.in_key));
        let layout = self.layouts.number(columns.collect());
        let by_table = key_from.iter().all(|place| matches!(place, Place::Key(_)));
        self.mappings.push(Mapping { layout, targets, key_schema, key_from, by_table });
        (self.mappings.len() - 1) as MappingId
    }

    /// Takes a chunk.
    ///
    /// # Errors
    /// FailedPrecondition when a column would have two types within a table, or for duplicates that are refused.
    pub fn push(&mut self, mapping: MappingId, chunk: Chunk) -> Result<()> {
        let source = self.chunks.len() as u32;
        let by_table = self.mappings[mapping as usize].by_table;
        for (segment, rows) in chunk.tables() {
            if self.input != Some(segment.table) {
                self.input = Some(segment.table);
                self.inputs += 1;
            }
            let key_row = segment.key_row as usize;
            if by_table {
                let table = self.table(mapping, &chunk, key_row, 0, segment.table)?;
                self.parts.push(Part { table, rows: Stretch::rows(source, rows), key_row: segment.key_row });
                continue;
            }
            let views = self.row_views(mapping, &chunk);
            let same = |left: usize, right: usize| views.iter().all(|view| view.cell(left).same(view.cell(right)));
            for run in equal_runs(rows, same) {
                let table = self.table(mapping, &chunk, key_row, run.start, segment.table)?;
                self.parts.push(Part { table, rows: Stretch::rows(source, run), key_row: segment.key_row });
            }
        }
        self.size.add(&chunk);
        self.chunks.push((mapping, chunk));
        Ok(())
    }

    /// What it holds, in bytes.
    pub fn memory(&self) -> usize {
        self.size.bytes()
            + self.keys.memory()
            + self.tables.capacity() * size_of::<Merged>()
            + self.parts.capacity() * size_of::<Part>()
    }

    /// Gives what has been pushed since, as parts of tables that stay open.
    ///
    /// For inputs of one shape only, whose keys decide the new ones: the columns of a table and its place are then known
    /// from its first row on.
    pub fn drain(&mut self) -> Result<Vec<Chunk>> {
        debug_assert!(self.mappings.len() <= 1 && self.mappings.iter().all(|mapping| mapping.by_table));
        let mut parts = std::mem::take(&mut self.parts);
        parts.retain(|part| part.rows.count > 0);
        if !parts.is_sorted_by_key(|part| part.table) {
            parts.sort_by_key(|part| part.table);
        }
        let mut out = Batches::new(self);
        let mut rest = &parts[..];
        while let Some(first) = rest.first() {
            let len = rest.iter().take_while(|part| part.table == first.table).count();
            out.table(first.table, TableId::from(first.table), &rest[..len], false)?;
            rest = &rest[len..];
        }
        let chunks = out.finish()?;
        self.chunks.clear();
        self.size = Tally::default();
        Ok(chunks)
    }

    /// Whether the keys of input tables decide the new keys in all mappings so far: no input table is split.
    pub fn keeps_tables_whole(&self) -> bool {
        self.mappings.iter().all(|mapping| mapping.by_table)
    }

    /// Gives everything that has not been given, and ends all tables. Their ids ascend from `first_id` in the order in
    /// which they come out.
    pub fn finish(mut self, first_id: TableId) -> Result<Vec<Chunk>> {
        let order = self.order();
        let mut rank = vec![0; order.len()];
        for (place, table) in order.iter().enumerate() {
            rank[*table as usize] = place;
        }
        let mut parts = std::mem::take(&mut self.parts);
        parts.sort_by_key(|part| rank[part.table as usize]);
        let mut out = Batches::new(&self);
        let mut rest = &parts[..];
        for (place, table) in order.iter().enumerate() {
            let len = rest.iter().take_while(|part| part.table == *table).count();
            out.table(*table, first_id + place as TableId, &rest[..len], true)?;
            rest = &rest[len..];
        }
        out.finish()
    }

    /// The tables in the order in which they come out.
    fn order(&self) -> Vec<KeyNumber> {
        let mut order: Vec<KeyNumber> = (0..self.tables.len() as KeyNumber).collect();
        match self.order {
            TableOrder::KeySorted => return self.keys.sorted(),
            // Keys are numbered as they come; within an input table they are put in order.
            TableOrder::Arrival => order.sort_by(|left, right| {
                let first = |table: &KeyNumber| self.tables[*table as usize].first_input;
                first(left).cmp(&first(right)).then_with(|| self.keys.compare(*left, *right))
            }),
        }
        order
    }

    /// The table of a row's new key.
    fn table(
        &mut self,
        mapping: MappingId,
        chunk: &Chunk,
        key_row: usize,
        row: usize,
        input: TableId,
    ) -> Result<KeyNumber> {
        let own = &self.mappings[mapping as usize];
        let (table, new) = self.keys.number(own.key_schema, |at| match own.key_from[at] {
            Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]).cell(key_row),
            Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]).cell(row),
        });
        if new {
            self.tables.push(Merged { layout: own.layout, first_input: self.inputs, last_input: input });
            return Ok(table);
        }
        let merged = &mut self.tables[table as usize];
        if merged.last_input != input {
            let key = || self.keys.describe(table);
            match self.duplicates {
                Duplicates::Merge => {}
                Duplicates::Refuse(operator) => {
                    let message = format!("{operator} found duplicate table with key: {}", key());
                    return Err(Error::failed_precondition(message));
                }
                Duplicates::Fail(words) => {
                    return Err(Error::failed_precondition(words).with_hint(format!("its key is {}", key())));
                }
            }
            merged.last_input = input;
        }
        merged.layout = self.layouts.union(merged.layout, own.layout)?;
        Ok(table)
    }

    fn row_views<'a>(&self, mapping: MappingId, chunk: &'a Chunk) -> Vec<ColumnView<'a>> {
        let rows = self.mappings[mapping as usize].key_from.iter().filter_map(|place| match place {
            Place::Row(index) => Some(ColumnView::of(&chunk.rows[*index as usize])),
            Place::Key(_) => None,
        });
        rows.collect()
    }
}

/// Chunks in the making out of a merger's parts: consecutive tables of one layout share a chunk.
struct Batches<'a> {
    merger: &'a Merger,
    layout: LayoutId,
    tables: Vec<KeyNumber>,
    segments: Vec<Segment>,
    parts: Vec<Part>,
    len: usize,
    chunks: Vec<Chunk>,
}

impl<'a> Batches<'a> {
    fn new(merger: &'a Merger) -> Self {
        Batches {
            merger,
            layout: 0,
            tables: Vec::new(),
            segments: Vec::new(),
            parts: Vec::new(),
            len: 0,
            chunks: Vec::new(),
        }
    }

    fn table(&mut self, table: KeyNumber, id: TableId, parts: &[Part], done: bool) -> Result<()> {
        let layout = self.merger.tables[table as usize].layout;
        if layout != self.layout || self.len == MAX_CHUNK_ROWS || self.segments.len() == MAX_CHUNK_ROWS {
            self.cut()?;
            self.layout = layout;
        }
        self.open(table, id);
        for part in parts {
            let mut rest = *part;
            while self.len + rest.rows.count as usize > MAX_CHUNK_ROWS {
                let fits = (MAX_CHUNK_ROWS - self.len) as u32;
                self.parts.push(Part { rows: Stretch { count: fits, ..rest.rows }, ..rest });
                rest.rows.start += fits;
                rest.rows.count -= fits;
                self.len = MAX_CHUNK_ROWS;
                self.cut()?;
                self.open(table, id);
            }
            self.len += rest.rows.count as usize;
            self.parts.push(rest);
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.end = self.len as u32;
            segment.done = done;
        }
        Ok(())
    }

    fn open(&mut self, table: KeyNumber, id: TableId) {
        let key_row = self.tables.len() as u32;
        self.tables.push(table);
        self.segments.push(Segment { table: id, key_row, end: self.len as u32, done: false });
    }

    /// Makes a chunk of what has been collected.
    fn cut(&mut self) -> Result<()> {
        if self.segments.is_empty() {
            return Ok(());
        }
        if let Some(segment) = self.segments.last_mut() {
            segment.end = self.len as u32;
        }
        let merger = self.merger;
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
        self.chunks.push(Chunk {
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

    fn finish(mut self) -> Result<Vec<Chunk>> {
        self.cut()?;
        Ok(self.chunks)
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
        let mut mappings: Vec<MappingId> =
            parts.iter().map(|part| merger.chunks[part.rows.source as usize].0).collect();
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
            let (mapping, chunk) = &self.merger.chunks[source as usize];
            let at = self.mappings.binary_search(mapping).ok()?;
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
                    let mapping = self.merger.chunks[part.rows.source as usize].0;
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
