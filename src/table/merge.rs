//! Re-keys tables and merges those that then share a key: what `group`, `drop`, `set`, `union` and a re-keying `map` do.
//!
//! Called by operators, which say per shape what becomes of the columns; everything else (numbering keys, uniting
//! columns, ordering tables, moving rows) is here. Input tables must come whole and in order: parts of one table follow
//! each other, ids ascend.

mod batches;
mod sources;

use std::collections::VecDeque;

use self::batches::Batch;
pub use self::batches::Merging;
use self::sources::Sources;
use super::gather::Stretch;
use super::key::{KeyIndex, KeyNumber, KeySchemaId, equal_runs};
use super::layout::{LayoutId, Layouts};
use super::scan::TableOrder;
use super::{Chunk, ColumnType, ColumnView, Name, Place, Shape, TableId};
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
    sources: Sources,
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
            sources: Sources::default(),
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
        let place = self.sources.place(mapping, &chunk);
        let stretch = |rows: std::ops::Range<usize>| {
            let first = place.first_row as usize;
            Stretch::rows(place.source, rows.start + first..rows.end + first)
        };
        let by_table = self.mappings[mapping as usize].by_table;
        for (number, (segment, rows)) in chunk.tables().enumerate() {
            if self.input != Some(segment.table) {
                self.input = Some(segment.table);
                self.inputs += 1;
            }
            let key_row = segment.key_row as usize;
            let held_key_row = place.key_row(number, &segment);
            if by_table {
                let table = self.table(mapping, &chunk, key_row, 0, segment.table)?;
                self.parts.push(Part { table, rows: stretch(rows), key_row: held_key_row });
                continue;
            }
            let views = self.row_views(mapping, &chunk);
            let same = |left: usize, right: usize| views.iter().all(|view| view.cell(left).same(view.cell(right)));
            for run in equal_runs(rows, same) {
                let table = self.table(mapping, &chunk, key_row, run.start, segment.table)?;
                self.parts.push(Part { table, rows: stretch(run), key_row: held_key_row });
            }
        }
        self.sources.hold(mapping, chunk)
    }

    /// What it holds, in bytes.
    pub fn memory(&self) -> usize {
        self.sources.memory()
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
        self.sources.settle()?;
        let (mut batch, mut chunks) = (Batch::default(), VecDeque::new());
        let mut rest = &parts[..];
        while let Some(first) = rest.first() {
            let len = rest.iter().take_while(|part| part.table == first.table).count();
            batch.begin(self, first.table, TableId::from(first.table), &mut chunks)?;
            rest[..len].iter().try_for_each(|part| batch.add(self, *part, &mut chunks))?;
            batch.end(false);
            rest = &rest[len..];
        }
        batch.cut(self, &mut chunks)?;
        self.sources.clear();
        Ok(chunks.into())
    }

    /// Whether the keys of input tables decide the new keys in all mappings so far: no input table is split.
    pub fn keeps_tables_whole(&self) -> bool {
        self.mappings.iter().all(|mapping| mapping.by_table)
    }

    /// Everything that has not been given, and the end of all tables. Their ids ascend from `first_id` in the order in
    /// which they come out.
    pub fn finish(mut self, first_id: TableId) -> Result<Merging> {
        self.sources.settle()?;
        let order = self.order();
        Ok(Merging::new(self, order, first_id))
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
