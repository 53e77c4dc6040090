//! Puts pivoted tables together when everything has come: which rows there are, which columns, which cell goes where.
//!
//! Used by [`super`]. Cells are written down as places in the held chunks and gathered column by column, for many tables
//! at once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, TimestampNanosecondType};
use hashbrown::HashMap;

use super::{Base, Held, Part, Plan, cell};
use crate::error::{Error, Result};
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::gather::{Gather, Stretch};
use crate::table::key::KeyIndex;
use crate::table::layout::collision;
use crate::table::{Chunk, ColumnType, KeyBlock, Name, Place, Segment, Shape};

/// The source of cells that have no value.
const ABSENT: u32 = u32::MAX;

/// A place in the held chunks: chunk and row.
type Location = (u32, u32);

/// The pivoted tables in the making.
pub(super) struct Assembly<'a> {
    held: &'a Held,
    /// Where each name is among the columns of the current table: (table, column).
    column_of: Vec<(u32, u32)>,
    /// The columns of the current table: name and type.
    columns: Vec<(u32, ColumnType)>,
    batch: Batch,
    chunks: Vec<Chunk>,
}

/// Tables of one layout that become chunks together.
#[derive(Default)]
struct Batch {
    plan: u32,
    columns: Vec<(u32, ColumnType)>,
    tables: Vec<u32>,
    segments: Vec<Segment>,
    /// Where the rows come from that made the row ids.
    base: Vec<Stretch>,
    /// Of each pivoted column where its cells come from.
    cells: Vec<Vec<Stretch>>,
    len: usize,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(held: &'a Held) -> Result<Self> {
        let column_of = Vec::new();
        Ok(Assembly { held, column_of, columns: Vec::new(), batch: Batch::default(), chunks: Vec::new() })
    }

    /// All tables, in the order of their keys.
    pub(super) fn run(mut self) -> Result<Vec<Chunk>> {
        let order = self.held.keys.sorted();
        let mut rank = vec![0; order.len()];
        for (place, table) in order.iter().enumerate() {
            rank[*table as usize] = place;
        }
        let mut parts = self.held.parts.clone();
        parts.sort_by_key(|part| rank[part.table as usize]);
        let mut rest = &parts[..];
        for (place, table) in order.iter().enumerate() {
            let count = rest.iter().take_while(|part| part.table == *table).count();
            let (own, others) = rest.split_at(count);
            rest = others;
            self.table(*table, place as u64, own)?;
        }
        self.flush()?;
        Ok(self.chunks)
    }

    fn table(&mut self, table: u32, id: u64, parts: &[Part]) -> Result<()> {
        let plan = self.held.first_plan[table as usize];
        self.find_columns(table, plan, parts)?;
        if self.batch.plan != plan || self.batch.columns != self.columns {
            self.flush()?;
            self.batch.plan = plan;
            self.batch.columns.clone_from(&self.columns);
            self.batch.cells = vec![Vec::new(); self.columns.len()];
        }
        let before = (self.batch.len, self.batch.base.len());
        let rows = match self.aligned(parts) {
            Some(rows) => rows,
            None => self.scattered(parts)?,
        };
        debug_assert_eq!(before.0, self.batch.len);
        self.batch.len += rows;
        let key_row = self.batch.tables.len() as u32;
        self.batch.tables.push(table);
        self.batch.segments.push(Segment { table: id, key_row, end: self.batch.len as u32, done: true });
        if self.batch.len >= MAX_CHUNK_ROWS || self.batch.segments.len() >= MAX_CHUNK_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    /// The pivoted columns of a table in the order of their first appearance.
    fn find_columns(&mut self, table: u32, first_plan: u32, parts: &[Part]) -> Result<()> {
        self.columns.clear();
        let first = &self.held.plans[first_plan as usize];
        for part in parts {
            let plan = self.held.plan(part);
            let at = part.name as usize;
            if at >= self.column_of.len() {
                self.column_of.resize(at + 1, (u32::MAX, 0));
            }
            let (owner, column) = self.column_of[at];
            let name = self.held.names.name(part.name);
            if owner == table {
                let (_, known) = self.columns[column as usize];
                if known != plan.value_type {
                    return Err(collision(name, known, plan.value_type));
                }
            } else {
                if first.base.iter().any(|base| base.name == *name) {
                    return Err(clash(name));
                }
                self.column_of[at] = (table, self.columns.len() as u32);
                self.columns.push((part.name, plan.value_type));
            }
            if !std::ptr::eq(first.as_ref(), plan) {
                check_base(&first.base, &plan.base)?;
            }
        }
        Ok(())
    }

    /// The common case: the row key is one time, the parts of each column follow each other, and all columns have the same
    /// times, strictly ascending. Then whole parts are columns. Gives the number of rows.
    fn aligned(&mut self, parts: &[Part]) -> Option<usize> {
        let mut columns: Vec<&[Part]> = Vec::with_capacity(self.columns.len());
        let mut rest = parts;
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|part| part.name == first.name).count();
            let (own, others) = rest.split_at(count);
            columns.push(own);
            rest = others;
        }
        // A name that comes back would have two stretches of parts.
        if columns.len() != self.columns.len() {
            return None;
        }
        let Some(first) = columns.first() else { return Some(0) };
        let mut last = None;
        for part in *first {
            for time in self.times(part)? {
                if last.is_some_and(|last| last >= *time) {
                    return None;
                }
                last = Some(*time);
            }
        }
        for other in &columns[1..] {
            if !self.same_times(first, other)? {
                return None;
            }
        }
        let mut rows = 0;
        for part in *first {
            rows += (part.end - part.start) as usize;
            self.batch.base.push(Stretch::rows(part.chunk, part.start as usize..part.end as usize));
        }
        for (column, parts) in columns.iter().enumerate() {
            for part in *parts {
                let count = (part.end - part.start) as usize;
                self.batch.cells[column].push(match self.held.plan(part).value {
                    Place::Row(_) => Stretch::rows(part.chunk, part.start as usize..part.end as usize),
                    Place::Key(_) => Stretch::repeat(part.chunk, part.key_row as usize, count),
                });
            }
        }
        Some(rows)
    }

    /// The times of a part, if the row key is one column of times without nulls.
    fn times(&self, part: &Part) -> Option<&'a [i64]> {
        let held = self.held;
        let (plan, chunk) = &held.chunks[part.chunk as usize];
        let plan: &Plan = &held.plans[*plan as usize];
        let [Place::Row(index)] = plan.row_key[..] else { return None };
        let array = &chunk.rows[index as usize];
        if !matches!(array.data_type(), DataType::Timestamp(_, _)) {
            return None;
        }
        let times = array.as_primitive::<TimestampNanosecondType>();
        let rows = part.start as usize..part.end as usize;
        if times.null_count() > 0 && rows.clone().any(|row| times.is_null(row)) {
            return None;
        }
        Some(&times.values()[rows])
    }

    fn same_times(&self, left: &[Part], right: &[Part]) -> Option<bool> {
        if let ([left], [right]) = (left, right) {
            return Some(self.times(left)? == self.times(right)?);
        }
        let all = |parts: &[Part]| -> Option<Vec<&'a [i64]>> { parts.iter().map(|part| self.times(part)).collect() };
        let (left, right) = (all(left)?, all(right)?);
        Some(left.into_iter().flatten().eq(right.into_iter().flatten()))
    }

    /// Any other case: every row id is found, every cell is written down, the last one wins. Gives the number of rows.
    fn scattered(&mut self, parts: &[Part]) -> Result<usize> {
        let mut entries: Vec<Entry> = Vec::new();
        let (rows, by_time) = match self.time_rows(parts, &mut entries) {
            Some(rows) => (rows, true),
            None => (self.key_rows(parts, &mut entries)?, false),
        };
        let mut made: Vec<Option<Location>> = vec![None; rows];
        let mut cells: Vec<Option<Location>> = vec![None; rows * self.columns.len()];
        for entry in &entries {
            let part = &parts[entry.part as usize];
            let place = (part.chunk, entry.row);
            made[entry.id as usize].get_or_insert(place);
            let (_, column) = self.column_of[part.name as usize];
            let value = match self.held.plan(part).value {
                Place::Row(_) => place,
                Place::Key(_) => (part.chunk, part.key_row),
            };
            // Entries of one row id are in the order in which they came, sorted by time or not.
            cells[column as usize * rows + entry.id as usize] = Some(value);
        }
        debug_assert!(by_time || entries.iter().zip(entries.iter().skip(1)).all(|(a, b)| a.part <= b.part));
        self.batch.base.extend(made.iter().map(stretch));
        for (column, cells) in cells.chunks(rows.max(1)).enumerate() {
            self.batch.cells[column].extend(cells.iter().map(stretch));
        }
        Ok(rows)
    }

    /// Row ids in the order of time, if the row key is one time and every input table is in that order.
    fn time_rows(&self, parts: &[Part], entries: &mut Vec<Entry>) -> Option<usize> {
        let mut last = None;
        let mut times: Vec<(i64, u32, u32)> = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            for (offset, time) in self.times(part)?.iter().enumerate() {
                if last.is_some_and(|(input, last)| input == part.input && last > *time) {
                    return None;
                }
                last = Some((part.input, *time));
                times.push((*time, number as u32, part.start + offset as u32));
            }
        }
        // Stable: of equal times the one that came last is written last.
        times.sort_by_key(|(time, _, _)| *time);
        let mut rows = 0;
        let mut before = None;
        for (time, part, row) in times {
            if before != Some(time) {
                before = Some(time);
                rows += 1;
            }
            entries.push(Entry { id: rows - 1, part, row });
        }
        Some(rows as usize)
    }

    /// Row ids in the order of their first appearance.
    fn key_rows(&self, parts: &[Part], entries: &mut Vec<Entry>) -> Result<usize> {
        entries.clear();
        let mut index = KeyIndex::default();
        // All plans of a table have the same row key; values of unlike types have been refused.
        let mut schemas: HashMap<u32, u32> = HashMap::new();
        for (number, part) in parts.iter().enumerate() {
            let (plan_number, chunk) = &self.held.chunks[part.chunk as usize];
            let plan = self.held.plan(part);
            let schema = *schemas.entry(*plan_number).or_insert_with(|| {
                let columns: Vec<(Name, ColumnType)> = (0..plan.row_key.len())
                    .map(|at| (Name::from(format!("{at:04}")), type_at(chunk, plan.row_key[at])))
                    .collect();
                index.schema(&columns).0
            });
            for row in part.start..part.end {
                let (id, _) = index.number(schema, |at| cell(chunk, plan.row_key[at], 0, row as usize));
                entries.push(Entry { id, part: number as u32, row });
            }
        }
        Ok(index.len())
    }

    /// Makes chunks of what is in the batch.
    fn flush(&mut self) -> Result<()> {
        let batch = std::mem::take(&mut self.batch);
        if batch.segments.is_empty() {
            return Ok(());
        }
        let held = self.held;
        let plan = &held.plans[batch.plan as usize];
        let base =
            plan.base.iter().map(|base| (base.name.clone(), base.column_type, matches!(base.from, Place::Key(_))));
        let pivoted =
            batch.columns.iter().map(|(name, column_type)| (held.names.name(*name).clone(), *column_type, false));
        let shape = Shape::new(base.chain(pivoted));
        let mut keys = Vec::new();
        for column in shape.key_columns() {
            keys.push(held.keys.gather(&column.name, column.column_type, batch.tables.iter().copied())?);
        }
        let mut rows: Vec<ArrayRef> = Vec::new();
        let from_base = Gather::new(batch.base);
        for base in plan.base.iter().filter(|base| matches!(base.from, Place::Row(_))) {
            rows.push(from_base.column(base.column_type, |source| self.base_array(source, &base.name))?);
        }
        for ((_, column_type), cells) in batch.columns.iter().zip(batch.cells) {
            let array = |source: u32| {
                let (plan, chunk) = held.chunks.get(source as usize)?;
                array_at(chunk, held.plans[*plan as usize].value)
            };
            rows.push(Gather::new(cells).column(*column_type, array)?);
        }
        let keys = Arc::new(KeyBlock { columns: keys });
        let chunk = Chunk { shape, keys, segments: batch.segments, rows, len: batch.len };
        self.chunks.extend(chunk.cut());
        Ok(())
    }

    fn base_array(&self, source: u32, name: &Name) -> Option<&'a ArrayRef> {
        let held = self.held;
        let (plan, chunk) = held.chunks.get(source as usize)?;
        let base = held.plans[*plan as usize].base.iter().find(|base| base.name == *name)?;
        array_at(chunk, base.from)
    }
}

/// A row of a part, and the row id that it has.
struct Entry {
    id: u32,
    part: u32,
    row: u32,
}

fn stretch(location: &Option<Location>) -> Stretch {
    match location {
        Some((chunk, row)) => Stretch::rows(*chunk, *row as usize..*row as usize + 1),
        None => Stretch::repeat(ABSENT, 0, 1),
    }
}

fn array_at(chunk: &Chunk, place: Place) -> Option<&ArrayRef> {
    match place {
        Place::Key(index) => chunk.keys.columns.get(index as usize),
        Place::Row(index) => chunk.rows.get(index as usize),
    }
}

fn type_at(chunk: &Chunk, place: Place) -> ColumnType {
    let column = chunk.shape.columns.iter().find(|column| column.place == place);
    column.map_or(ColumnType::String, |column| column.column_type)
}

/// Columns that stay have one type in all tables that merge.
fn check_base(first: &[Base], other: &[Base]) -> Result<()> {
    for base in first {
        if let Some(found) = other.iter().find(|found| found.name == base.name)
            && found.column_type != base.column_type
        {
            return Err(collision(&base.name, base.column_type, found.column_type));
        }
    }
    Ok(())
}

fn clash(name: &str) -> Error {
    Error::invalid(format!(
        "value {name:?} appears in a column key column, but a column named {name:?} already exists; consider renaming \
         {name:?} to something else before pivoting"
    ))
}
