//! Pairs of rows on their way into chunks.
//!
//! Used by both joins: a pair of tables becomes a table, a pair of rows a row of it. Columns are gathered when a chunk's
//! worth of pairs is there.

use arrow::array::ArrayRef;

use super::rows::Match;
use super::side::Batch;
use crate::error::{Error, Result};
use crate::table::gather::{Gather, Stretch, nulls};
use crate::table::{Column, Place, Segment, TableId};

/// The batch itself, as a source of rows.
const ROWS: u32 = 0;
/// No rows: nulls.
const NOTHING: u32 = 1;

/// So many pairs of rows may wait to become a chunk: a value that many rows share on both sides makes their product.
const MAX_PAIRS: usize = 16 << 20;

/// The pairs of tables of two batches, and of their rows.
#[derive(Default)]
pub(super) struct Pairs {
    lefts: Vec<Stretch>,
    rights: Vec<Stretch>,
    left_tables: Vec<Stretch>,
    right_tables: Vec<Stretch>,
    /// The tables that come out, one per pair with rows; key rows are those of the pairs.
    pub segments: Vec<Segment>,
    /// The number of rows.
    pub len: usize,
    /// There would have been more than may be.
    too_many: bool,
}

impl Pairs {
    /// Whether there are no pairs.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Begins a pair of tables, one of which may be missing.
    pub(super) fn begin(&mut self, id: TableId, left: Option<usize>, right: Option<usize>) {
        let table = |table: Option<usize>| match table {
            Some(table) => Stretch::rows(ROWS, table..table + 1),
            None => Stretch::repeat(NOTHING, 0, 1),
        };
        self.left_tables.push(table(left));
        self.right_tables.push(table(right));
        let key_row = self.segments.len() as u32;
        self.segments.push(Segment { table: id, key_row, end: self.len as u32, done: true });
    }

    /// Ends the pair that was begun last; one without rows is forgotten. Whether it has rows.
    ///
    /// # Errors
    /// ResourceExhausted if there are too many rows.
    pub(super) fn end(&mut self) -> Result<bool> {
        if self.too_many {
            return Err(Error::resource_exhausted(format!(
                "join has more than {MAX_PAIRS} pairs of rows for two tables"
            ))
            .with_hint("join on columns that tell the rows of a table apart, such as _time"));
        }
        let start = self.segments.iter().rev().nth(1).map_or(0, |segment| segment.end);
        let has_rows = self.len as u32 > start;
        match self.segments.last_mut() {
            Some(segment) if has_rows => segment.end = self.len as u32,
            _ => {
                self.segments.pop();
                self.left_tables.pop();
                self.right_tables.pop();
            }
        }
        Ok(has_rows)
    }

    /// Takes the rows of a match; those of one side alone as far as that is wanted.
    pub(super) fn add(&mut self, found: &Match<'_>, keep_left: bool, keep_right: bool) {
        let one = |row: u32| Stretch { source: ROWS, start: row, count: 1, repeated: false };
        match found {
            Match::Both(lefts, rights)
                if self.len.saturating_add(lefts.len().saturating_mul(rights.len())) > MAX_PAIRS =>
            {
                self.too_many = true;
            }
            Match::Both(lefts, rights) => {
                for left in *lefts {
                    for right in *rights {
                        self.lefts.push(one(*left));
                        self.rights.push(one(*right));
                    }
                }
                self.len += lefts.len() * rights.len();
            }
            Match::Left(rows) if keep_left && !rows.is_empty() => {
                self.lefts.extend(rows.iter().map(|row| one(*row)));
                self.rights.push(Stretch::repeat(NOTHING, 0, rows.len()));
                self.len += rows.len();
            }
            Match::Right(rows) if keep_right && !rows.is_empty() => {
                self.rights.extend(rows.iter().map(|row| one(*row)));
                self.lefts.push(Stretch::repeat(NOTHING, 0, rows.len()));
                self.len += rows.len();
            }
            Match::Left(_) | Match::Right(_) => {}
        }
    }

    /// Readers of the columns of either side.
    pub(super) fn readers<'a>(&self, left: Option<&'a Batch>, right: Option<&'a Batch>) -> (Reader<'a>, Reader<'a>) {
        let reader = |batch, rows: &[Stretch], tables: &[Stretch]| Reader {
            batch,
            from_rows: Gather::new(rows.iter().copied()),
            from_tables: Gather::new(tables.iter().copied()),
        };
        (reader(left, &self.lefts, &self.left_tables), reader(right, &self.rights, &self.right_tables))
    }
}

/// The columns of one side of the pairs.
pub(super) struct Reader<'a> {
    batch: Option<&'a Batch>,
    from_rows: Gather,
    from_tables: Gather,
}

impl Reader<'_> {
    /// A column: of the rows with one value per row, of the key with one per table.
    pub(super) fn column(&self, column: &Column) -> Result<ArrayRef> {
        let (gather, place) = match column.place {
            Place::Row(_) => (&self.from_rows, column.place),
            Place::Key(_) => (&self.from_tables, column.place),
        };
        let Some(batch) = self.batch else { return Ok(nulls(column.column_type, gather.len())) };
        gather.column(column.column_type, |source| match place {
            _ if source != ROWS => None,
            Place::Row(index) => batch.rows.get(index as usize),
            Place::Key(index) => batch.keys.get(index as usize),
        })
    }
}
