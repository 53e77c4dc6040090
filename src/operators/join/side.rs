//! The tables of one input of a join: all of them, one batch per shape.
//!
//! Used by both joins. What is held has a bound; past it the join is refused.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;

use crate::error::{Error, Result};
use crate::table::cluster::Cluster;
use crate::table::gather::{Gather, Stretch, nulls};
use crate::table::pool::TAKES_LESS;
use crate::table::{Chunk, Column, Place, Shape, TableId, size};

/// The bytes of rows that the inputs of a join may take, and those that it may give.
pub(super) const MAX_BYTES: usize = 2 << 30;

/// An input that is coming in.
#[derive(Default)]
pub(super) struct Side {
    cluster: Cluster,
    bytes: usize,
}

impl Side {
    /// Takes a chunk.
    ///
    /// # Errors
    /// ResourceExhausted if more is held than may be.
    pub(super) fn push(&mut self, chunk: Chunk) -> Result<()> {
        self.bytes += size::of_rows(&chunk);
        check_bytes("holds", self.bytes, usize::MAX)?;
        self.cluster.push(chunk);
        Ok(())
    }

    /// What it holds, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.cluster.memory()
    }

    /// All tables, those of a shape together and in order.
    pub(super) fn batches(self) -> Result<Vec<Batch>> {
        let mut shapes: Vec<(Arc<Shape>, Vec<Chunk>)> = Vec::new();
        for chunk in self.cluster.finish()? {
            match shapes.iter_mut().find(|(shape, _)| Arc::ptr_eq(shape, &chunk.shape) || *shape == chunk.shape) {
                Some((_, chunks)) => chunks.push(chunk),
                None => shapes.push((Arc::clone(&chunk.shape), vec![chunk])),
            }
        }
        shapes.into_iter().map(|(shape, chunks)| Batch::new(shape, &chunks)).collect()
    }
}

/// Refuses a join that takes too much memory: more than any may, or than the run has left.
pub(super) fn check_bytes(does: &str, bytes: usize, room: usize) -> Result<()> {
    if bytes <= MAX_BYTES.min(room) {
        return Ok(());
    }
    let rows = format!("join {does} rows of {bytes} bytes");
    if bytes > room {
        return Err(Error::resource_exhausted(format!("{rows}, more than the {room} bytes of memory that are left"))
            .with_hint(format!("{TAKES_LESS}, or raise memory_per_run or memory in [query] of the configuration")));
    }
    Err(Error::resource_exhausted(format!("{rows}, more than the limit of {MAX_BYTES}"))
        .with_hint("join shorter ranges, or aggregate both sides first"))
}

/// All tables of a shape.
pub(super) struct Batch {
    pub shape: Arc<Shape>,
    /// The key columns, one value per table.
    pub keys: Vec<ArrayRef>,
    /// The row columns.
    pub rows: Vec<ArrayRef>,
    /// The rows of each table.
    pub tables: Vec<Range<usize>>,
}

impl Batch {
    fn new(shape: Arc<Shape>, chunks: &[Chunk]) -> Result<Batch> {
        let mut tables: Vec<Range<usize>> = Vec::new();
        let mut key_rows = Vec::new();
        let mut last: Option<TableId> = None;
        let mut len = 0;
        for (source, chunk) in chunks.iter().enumerate() {
            for (segment, rows) in chunk.tables() {
                let rows = len + rows.start..len + rows.end;
                match tables.last_mut() {
                    Some(table) if last == Some(segment.table) => table.end = rows.end,
                    _ => {
                        tables.push(rows);
                        let key_row = segment.key_row as usize;
                        key_rows.push(Stretch::rows(source as u32, key_row..key_row + 1));
                    }
                }
                last = Some(segment.table);
            }
            len += chunk.len;
        }
        let from_keys = Gather::new(key_rows);
        let mut keys = Vec::new();
        for (index, column) in shape.key_columns().enumerate() {
            keys.push(from_keys.column(column.column_type, |source| chunks[source as usize].keys.columns.get(index))?);
        }
        let mut rows = Vec::new();
        for (index, column) in shape.row_columns().enumerate() {
            let arrays: Vec<&dyn Array> = chunks.iter().map(|chunk| chunk.rows[index].as_ref()).collect();
            rows.push(match chunks {
                [] => nulls(column.column_type, 0),
                [chunk] => Arc::clone(&chunk.rows[index]),
                _ => concat(&arrays)?,
            });
        }
        Ok(Batch { shape, keys, rows, tables })
    }

    /// The values of a column with one per row.
    pub(super) fn spread(&self, column: &Column) -> Result<ArrayRef> {
        match column.place {
            Place::Row(place) => Ok(Arc::clone(&self.rows[place as usize])),
            Place::Key(place) => {
                let repeat = |(table, rows): (usize, &Range<usize>)| Stretch::repeat(0, table, rows.len());
                let gather = Gather::new(self.tables.iter().enumerate().map(repeat));
                gather.column(column.column_type, |_| self.keys.get(place as usize))
            }
        }
    }

    /// About how many bytes a row takes.
    pub(super) fn row_width(&self) -> usize {
        8 * self.shape.columns.len()
    }
}
