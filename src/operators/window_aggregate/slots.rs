//! The windows that tables have rows in, one slot each, in the order in which they were met; and the chunks in the end.
//!
//! Used by the fused `aggregateWindow`. A table whose windows come in order has its slots side by side, and costs nothing
//! more; only where windows come back (rows that do not ascend by time) is there a map.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampNanosecondArray};

use super::fold::Fold;
use crate::error::{Error, Result};
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::key::{KeyIndex, KeyNumber};
use crate::table::layout::{LayoutId, Layouts};
use crate::table::{Chunk, KeyBlock, Name, Segment, TableId};
use crate::time::Window;

/// Most rows that are made where windows without rows are among them.
const MAX_ROWS: usize = 50_000_000;

/// The number of a slot.
pub(super) type Slot = usize;

/// The slots of all tables.
#[derive(Default)]
pub(super) struct Slots {
    windows: Vec<Window>,
    /// By key number.
    tables: Vec<Table>,
    /// How many slots do not lie side by side.
    scattered: usize,
}

#[derive(Default)]
struct Table {
    /// `None` while it has nothing to give.
    layout: Option<LayoutId>,
    first: Slot,
    len: usize,
    /// All of its slots, once they do not lie side by side any more.
    scattered: Option<BTreeMap<Window, Slot>>,
}

/// What is needed to give the rows.
pub(super) struct Given<'a> {
    pub(super) keys: &'a KeyIndex,
    pub(super) layouts: &'a Layouts,
    /// The windows that every table gives a row for; empty if only those that it has.
    pub(super) all: &'a [Window],
    /// Whether the time of a row is the start of its window, not the end.
    pub(super) start: bool,
    pub(super) time_dst: &'a Name,
}

impl Slots {
    /// A table will have rows of these columns.
    pub(super) fn open(&mut self, table: KeyNumber, layout: LayoutId, layouts: &mut Layouts) -> Result<()> {
        let at = table as usize;
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, Table::default);
        }
        let own = &mut self.tables[at].layout;
        *own = Some(match *own {
            None => layout,
            Some(before) => layouts.union(before, layout)?,
        });
        Ok(())
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// Takes over slots of other tables, whose numbers there are made those here: all come behind those that are here.
    ///
    /// # Errors
    /// Internal for a table that has slots here.
    pub(super) fn absorb(
        &mut self,
        copy: Slots,
        keys: &[(KeyNumber, bool)],
        (layouts, of_copy): (&mut Layouts, &Layouts),
    ) -> Result<()> {
        let before = self.windows.len();
        self.windows.extend(copy.windows);
        self.scattered += copy.scattered;
        for (own, (key, new)) in copy.tables.into_iter().zip(keys) {
            let Some(layout) = own.layout else { continue };
            if !new {
                return Err(Error::internal("a table was worked on by two copies"));
            }
            let layout = layouts.number_of(of_copy, layout);
            self.open(*key, layout, layouts)?;
            let table = &mut self.tables[*key as usize];
            table.first = own.first + before;
            table.len = own.len;
            let moved = |(window, slot): (Window, Slot)| (window, slot + before);
            table.scattered = own.scattered.map(|scattered| scattered.into_iter().map(moved).collect());
        }
        Ok(())
    }

    /// The slot of a window of a table that is open.
    pub(super) fn slot(&mut self, table: KeyNumber, window: Window) -> Slot {
        let (own, windows) = (&mut self.tables[table as usize], &mut self.windows);
        if let Some(scattered) = &mut own.scattered {
            let slots = &mut self.scattered;
            return *scattered.entry(window).or_insert_with(|| {
                *slots += 1;
                push(windows, window)
            });
        }
        if own.len == 0 {
            (own.first, own.len) = (push(windows, window), 1);
            return own.first;
        }
        let last = own.first + own.len - 1;
        if windows[last] == window {
            return last;
        }
        if last + 1 == windows.len() && windows[last] < window {
            own.len += 1;
            return push(windows, window);
        }
        let mut scattered: BTreeMap<Window, Slot> = (own.first..=last).map(|slot| (windows[slot], slot)).collect();
        let slot = *scattered.entry(window).or_insert_with(|| push(windows, window));
        self.scattered += scattered.len();
        own.scattered = Some(scattered);
        slot
    }

    /// What they take, in bytes.
    pub(super) fn memory(&self) -> usize {
        // A node of the map is two thirds full on the average, and has a pointer to it.
        let scattered = self.scattered * 2 * size_of::<(Window, Slot)>();
        self.windows.capacity() * size_of::<Window>() + self.tables.capacity() * size_of::<Table>() + scattered
    }

    /// The rows of all tables, in this order.
    ///
    /// # Errors
    /// ResourceExhausted if windows without rows would make them too many.
    pub(super) fn give(&self, order: &[KeyNumber], given: &Given<'_>, fold: &mut Fold) -> Result<Vec<Chunk>> {
        let rows = self.tables.iter().filter(|table| table.layout.is_some()).count() * given.all.len();
        if rows > MAX_ROWS {
            return Err(Error::resource_exhausted(format!(
                "aggregateWindow would make {rows} rows of all windows of all tables, more than the limit of {MAX_ROWS}"
            ))
            .with_hint("use a longer every or a shorter range, or createEmpty: false"));
        }
        let mut batch = Batch { given, layout: 0, tables: Vec::new(), segments: Vec::new(), rows: Vec::new() };
        let mut chunks = Vec::new();
        let mut id: TableId = 0;
        for table in order {
            let Some(own) = self.tables.get(*table as usize) else { continue };
            let Some(layout) = own.layout else { continue };
            if layout != batch.layout || batch.rows.len() >= MAX_CHUNK_ROWS {
                chunks.extend(batch.chunks(fold)?);
                batch.layout = layout;
            }
            let before = batch.rows.len();
            self.rows(own, given, fold, &mut batch.rows);
            if batch.rows.len() > before {
                let (key_row, end) = (batch.tables.len() as u32, batch.rows.len() as u32);
                batch.segments.push(Segment { table: id, key_row, end, done: true });
                batch.tables.push(*table);
                id += 1;
            }
        }
        chunks.extend(batch.chunks(fold)?);
        Ok(chunks)
    }

    /// The rows of a table: the slot of each, if it has one, and its time.
    fn rows(&self, table: &Table, given: &Given<'_>, fold: &Fold, rows: &mut Vec<(Option<Slot>, i64)>) {
        match &table.scattered {
            Some(scattered) => {
                rows_of(scattered.iter().map(|(window, slot)| (*window, *slot)), given, fold, rows);
            }
            None => {
                let slots = table.first..table.first + table.len;
                rows_of(slots.map(|slot| (self.windows[slot], slot)), given, fold, rows);
            }
        }
    }
}

fn push(windows: &mut Vec<Window>, window: Window) -> Slot {
    windows.push(window);
    windows.len() - 1
}

fn rows_of(
    mut own: impl Iterator<Item = (Window, Slot)>,
    given: &Given<'_>,
    fold: &Fold,
    rows: &mut Vec<(Option<Slot>, i64)>,
) {
    let time = |window: &Window| if given.start { window.start_ns } else { window.stop_ns };
    if given.all.is_empty() {
        rows.extend(own.filter(|(_, slot)| fold.has_row(*slot)).map(|(window, slot)| (Some(slot), time(&window))));
        return;
    }
    let mut next = own.next();
    for window in given.all {
        let slot = next.filter(|(other, _)| other == window).map(|(_, slot)| slot);
        if slot.is_some() {
            next = own.next();
        }
        rows.push((slot, time(window)));
    }
}

/// Tables of one layout that will be a chunk.
struct Batch<'a> {
    given: &'a Given<'a>,
    layout: LayoutId,
    tables: Vec<KeyNumber>,
    segments: Vec<Segment>,
    rows: Vec<(Option<Slot>, i64)>,
}

impl Batch<'_> {
    fn chunks(&mut self, fold: &mut Fold) -> Result<Vec<Chunk>> {
        let rows = std::mem::take(&mut self.rows);
        let tables = std::mem::take(&mut self.tables);
        let segments = std::mem::take(&mut self.segments);
        if segments.is_empty() {
            return Ok(Vec::new());
        }
        let shape = self.given.layouts.shape(self.layout);
        let mut keys = Vec::with_capacity(shape.key.len());
        for column in shape.key_columns() {
            keys.push(self.given.keys.gather(&column.name, column.column_type, tables.iter().copied())?);
        }
        let mut values = fold.columns(rows.iter().map(|(slot, _)| *slot));
        let mut columns: Vec<ArrayRef> = Vec::new();
        for column in shape.row_columns() {
            columns.push(if column.name == *self.given.time_dst {
                Arc::new(TimestampNanosecondArray::from_iter_values(rows.iter().map(|(_, time)| *time)))
            } else {
                values.column(&column.name, column.column_type)?
            });
        }
        let (shape, keys) = (Arc::clone(shape), Arc::new(KeyBlock { columns: keys }));
        Ok(Chunk { shape, keys, segments, rows: columns, len: rows.len() }.cut())
    }
}
