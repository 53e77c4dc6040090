//! Merges sorted runs of one table, some of them on disk, into one: stable, and equal bit for bit to a sort of all rows.
//!
//! Used by [`super::spill`]. Of each run one batch is in memory. Runs are in the order in which their rows came, and of
//! equal rows that of the earlier run is first.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::{Sort, SortKey};
use crate::error::Result;
use crate::table::gather::{Gather, Stretch};
use crate::table::{Shape, size};

/// Rows in memory, and what they are compared by.
pub(super) struct Batch {
    rows: Vec<ArrayRef>,
    keys: Vec<SortKey>,
}

impl Batch {
    pub(super) fn new(sort: &Sort, shape: &Shape, rows: Vec<ArrayRef>) -> Batch {
        Batch { keys: sort.keys(shape, &rows), rows }
    }

    /// What it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        size::of_arrays(&self.rows) + self.keys.iter().map(SortKey::memory).sum::<usize>()
    }
}

/// Rows of a batch that may be on disk.
#[derive(Clone, Debug)]
pub(super) struct Part<P> {
    pub(super) batch: P,
    pub(super) rows: Range<u32>,
}

/// The rest of a run.
struct Cursor<P> {
    batch: Arc<Batch>,
    /// The rows of the batch that are still to come; never empty.
    rows: Range<u32>,
    rest: VecDeque<Part<P>>,
}

/// A merge on its way.
pub(super) struct Merge<P> {
    cursors: Vec<Cursor<P>>,
    /// The numbers of cursors that have rows, that with the least row last.
    order: Vec<usize>,
}

impl<P: Copy> Merge<P> {
    /// Runs in the order in which they came; `load` brings a batch into memory.
    pub(super) fn new(
        runs: impl IntoIterator<Item = VecDeque<Part<P>>>,
        load: &mut dyn FnMut(P) -> Result<Arc<Batch>>,
    ) -> Result<Merge<P>> {
        let mut merge = Merge { cursors: Vec::new(), order: Vec::new() };
        for mut rest in runs {
            if let Some((batch, rows)) = next_part(&mut rest, load)? {
                merge.cursors.push(Cursor { batch, rows, rest });
                merge.insert(merge.cursors.len() - 1);
            }
        }
        Ok(merge)
    }

    /// Whether all rows have been given.
    pub(super) fn is_done(&self) -> bool {
        self.order.is_empty()
    }

    /// What its batches take, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.order.iter().map(|number| self.cursors[*number].batch.memory()).sum()
    }

    /// The next rows, at most so many: their columns and how many they are.
    pub(super) fn next(
        &mut self,
        most: usize,
        shape: &Shape,
        load: &mut dyn FnMut(P) -> Result<Arc<Batch>>,
    ) -> Result<(Vec<ArrayRef>, usize)> {
        let mut sources: Vec<Arc<Batch>> = Vec::new();
        // Of each cursor the source that its batch is.
        let mut source_of: Vec<Option<u32>> = vec![None; self.cursors.len()];
        let mut taken: Vec<Stretch> = Vec::new();
        let mut len = 0;
        while len < most
            && let Some(least) = self.order.pop()
        {
            let count = self.leading(least, most - len);
            let cursor = &mut self.cursors[least];
            let source = *source_of[least].get_or_insert_with(|| {
                sources.push(Arc::clone(&cursor.batch));
                sources.len() as u32 - 1
            });
            let start = cursor.rows.start;
            taken.push(Stretch::rows(source, start as usize..start as usize + count));
            len += count;
            cursor.rows.start += count as u32;
            if cursor.rows.is_empty() {
                source_of[least] = None;
                match next_part(&mut cursor.rest, load)? {
                    Some((batch, rows)) => (cursor.batch, cursor.rows) = (batch, rows),
                    None => continue,
                }
            }
            self.insert(least);
        }
        let gather = Gather::new(taken);
        let mut columns = Vec::new();
        for (index, column) in shape.row_columns().enumerate() {
            let array = |source: u32| sources[source as usize].rows.get(index);
            columns.push(gather.column(column.column_type, array)?);
        }
        Ok((columns, len))
    }

    /// How many rows of a cursor come before those of all others, at most so many. It holds the least row.
    fn leading(&self, least: usize, most: usize) -> usize {
        let own = &self.cursors[least];
        let most = most.min(own.rows.len());
        let Some(next) = self.order.last() else { return most };
        let before = |offset: &usize| self.compare(least, own.rows.start + *offset as u32, *next).is_lt();
        1 + (1..most).take_while(before).count()
    }

    /// Puts a cursor where its first row belongs.
    fn insert(&mut self, number: usize) {
        let first = self.cursors[number].rows.start;
        let at = self.order.partition_point(|other| self.compare(number, first, *other).is_lt());
        self.order.insert(at, number);
    }

    /// Compares a row of a cursor's batch with the first one of another cursor.
    fn compare(&self, number: usize, row: u32, other: usize) -> Ordering {
        let (own, first) = (&self.cursors[number], &self.cursors[other]);
        let keys = own.batch.keys.iter().zip(&first.batch.keys);
        let orders = keys.map(|(key, other)| key.compare_with(row as usize, other, first.rows.start as usize));
        orders.reduce(Ordering::then).unwrap_or(Ordering::Equal).then(number.cmp(&other))
    }
}

/// The next rows of a run that there are.
fn next_part<P: Copy>(
    rest: &mut VecDeque<Part<P>>,
    load: &mut dyn FnMut(P) -> Result<Arc<Batch>>,
) -> Result<Option<(Arc<Batch>, Range<u32>)>> {
    while let Some(part) = rest.pop_front() {
        if !part.rows.is_empty() {
            return Ok(Some((load(part.batch)?, part.rows)));
        }
    }
    Ok(None)
}
