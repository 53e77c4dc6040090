//! `first` and `last`: of each table the first or last row, in row order, that has a value in a column (flux-semantics
//! 6.4).
//!
//! No sorting by time. A table without such a row stays, empty. A table that lacks the column gives nothing, and that is
//! told; only where every table lacks it, it is an error (flux-semantics 18, row 29). Other columns keep their nulls.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::Array;

use super::{Operator, Out, Split, Transform, WindowFunction};
use crate::error::{Error, Result};
use crate::table::cluster::Cluster;
use crate::table::gather::{Gather, Stretch};
use crate::table::scan::{Parts, PushOp, StreamProps};
use crate::table::{Chunk, ColumnView, Name, Place, Segment, TableId};

/// Held rows are put together when there are so many more than are needed.
const SPARE_ROWS: usize = 65_536;
/// So many chunks of held rows may there be before they are put together.
const SPARE_CHUNKS: usize = 1_024;

/// Which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The first one.
    First,
    /// The last one.
    Last,
}

/// `first(column)`, `last(column)`.
#[derive(Clone, Debug)]
pub struct FirstLast {
    /// Which row.
    pub pick: Pick,
    /// The column that has to have a value.
    pub column: Name,
}

impl Transform for FirstLast {
    fn name(&self) -> &'static str {
        match self.pick {
            Pick::First => "first",
            Pick::Last => "last",
        }
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let columns = Columns { of: self.clone(), found: false, lacking: 0 };
        Ok(match input[0].parts {
            Parts::Clustered => Box::new(InOrder { columns, open: None }),
            Parts::Scattered => {
                Box::new(Scattered { columns, chunks: Vec::new(), held_rows: 0, tables: HashMap::new() })
            }
        })
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { parts: Parts::Clustered, rows_by_time: true, ..input[0] }
    }

    fn split(&self) -> Option<Split> {
        let push = match self.pick {
            Pick::First => PushOp::First(self.column.clone()),
            Pick::Last => PushOp::Last(self.column.clone()),
        };
        Some(Split { push, rest: None })
    }

    fn by_window(&self) -> Option<WindowFunction> {
        Some(WindowFunction::Pick(self.clone()))
    }

    fn explain(&self) -> String {
        format!("column: {:?}", self.column)
    }
}

/// Finds the rows, and counts the tables that lack the column.
pub(super) struct Columns {
    pub(super) of: FirstLast,
    pub(super) found: bool,
    pub(super) lacking: u64,
}

impl Columns {
    /// What decides within a chunk; `None` if its tables lack the column.
    fn look<'a>(&mut self, chunk: &'a Chunk) -> Option<Look<'a>> {
        let look = self.look_at(chunk);
        match look {
            Some(_) => self.found = true,
            None => self.lacking += chunk.segments.iter().filter(|segment| segment.done).count() as u64,
        }
        look
    }

    /// As [`Columns::look`], without counting the tables.
    pub(super) fn look_at<'a>(&self, chunk: &'a Chunk) -> Option<Look<'a>> {
        Some(match chunk.shape.column(&self.of.column)?.place {
            Place::Key(index) => Look::Key(ColumnView::of(&chunk.keys.columns[index as usize])),
            Place::Row(index) => Look::Rows(&chunk.rows[index as usize]),
        })
    }

    /// The input has ended.
    pub(super) fn finish(&self, out: &mut Out) -> Result<()> {
        let (operator, column) = (self.of.name(), &self.of.column);
        if self.lacking > 0 && !self.found {
            return Err(Error::failed_precondition(format!("no column {column:?} exists")).with_hint(format!(
                "{operator} needs a column with values; which columns there are shows |> limit(n: 1)"
            )));
        }
        if self.lacking > 0 {
            out.warn(format!("{operator}: {} tables have no column {column:?} and give no row", self.lacking));
        }
        Ok(())
    }
}

/// The column of a chunk.
pub(super) enum Look<'a> {
    /// In the key: one value for all rows.
    Key(ColumnView<'a>),
    /// Among the rows.
    Rows(&'a dyn Array),
}

impl Look<'_> {
    /// The row among `rows`, if one has a value.
    pub(super) fn row(&self, pick: Pick, segment: &Segment, mut rows: Range<usize>) -> Option<usize> {
        match self {
            Look::Key(view) if view.is_null(segment.key_row as usize) => None,
            Look::Rows(array) if array.null_count() > 0 => match pick {
                Pick::First => rows.find(|row| array.is_valid(*row)),
                Pick::Last => rows.rev().find(|row| array.is_valid(*row)),
            },
            _ => match pick {
                Pick::First => rows.next(),
                Pick::Last => rows.next_back(),
            },
        }
    }
}

/// Over a clustered input: tables are given as they end.
struct InOrder {
    columns: Columns,
    /// The row of the table that has not ended, in a chunk of its own.
    open: Option<(TableId, Chunk)>,
}

impl Operator for InOrder {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let pick = self.columns.of.pick;
        let Some(look) = self.columns.look(&chunk) else { return Ok(()) };
        let held = self.open.take();
        let mut segments = Vec::with_capacity(chunk.segments.len());
        let mut rows: Vec<Stretch> = Vec::with_capacity(chunk.segments.len());
        // The row so far of the table that is open: in the held chunk (1), later in this one (0).
        let mut open =
            held.as_ref().map(|(table, _)| (Segment { table: *table, ..Segment::default() }, Stretch::rows(1, 0..1)));
        let mut end = 0;
        for (segment, range) in chunk.tables() {
            let here = look.row(pick, &segment, range).map(|row| Stretch::rows(0, row..row + 1));
            let before = open.take().filter(|(own, _)| own.table == segment.table).map(|(_, row)| row);
            let row = if pick == Pick::First { before.or(here) } else { here.or(before) };
            if !segment.done {
                open = row.map(|row| (segment, row));
                continue;
            }
            end += u32::from(row.is_some());
            segments.push(Segment { end, ..segment });
            rows.extend(row);
        }
        let held = held.as_ref().map(|(_, chunk)| chunk);
        if !segments.is_empty() {
            out.push(gather(&chunk, held, segments, rows)?);
        }
        if let Some((segment, row)) = open {
            let kept = gather(&chunk, held, vec![Segment { end: 1, ..segment }], vec![row])?;
            self.open = Some((segment.table, kept.compact()?));
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        self.columns.finish(out)
    }
}

/// Rows of a chunk (source 0) and of one that is held (source 1), under keys of the chunk.
fn gather(chunk: &Chunk, held: Option<&Chunk>, segments: Vec<Segment>, rows: Vec<Stretch>) -> Result<Chunk> {
    let gather = Gather::new(rows);
    let mut columns = Vec::with_capacity(chunk.rows.len());
    for (index, column) in chunk.shape.row_columns().enumerate() {
        let array =
            |source: u32| if source == 0 { chunk.rows.get(index) } else { held.and_then(|held| held.rows.get(index)) };
        columns.push(gather.column(column.column_type, array)?);
    }
    let (shape, keys) = (chunk.shape.clone(), chunk.keys.clone());
    Ok(Chunk { shape, keys, segments, rows: columns, len: gather.len() })
}

/// Over a scattered input: one row a table is held until the end, and tables are given in order.
struct Scattered {
    columns: Columns,
    /// Chunks of held rows, copied out of those that came.
    chunks: Vec<Chunk>,
    held_rows: usize,
    tables: HashMap<TableId, Held>,
}

/// Where a table's row is held, if it has one yet, and its key: both in one chunk.
#[derive(Clone, Copy)]
struct Held {
    chunk: u32,
    row: Option<u32>,
    key_row: u32,
}

impl Operator for Scattered {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        let pick = self.columns.of.pick;
        let Some(look) = self.columns.look(&chunk) else { return Ok(()) };
        let number = self.chunks.len() as u32;
        let mut rows = Vec::new();
        for (segment, range) in chunk.tables() {
            let new = Held { chunk: number, row: None, key_row: segment.key_row };
            let held = self.tables.entry(segment.table).or_insert(new);
            if pick == Pick::First && held.row.is_some() {
                continue;
            }
            if let Some(row) = look.row(pick, &segment, range) {
                *held = Held { row: Some(rows.len() as u32), ..new };
                rows.push(Stretch::rows(0, row..row + 1));
            }
        }
        self.held_rows += rows.len();
        self.chunks.push(gather(&chunk, None, Vec::new(), rows)?.compact()?);
        if self.held_rows > 2 * self.tables.len() + SPARE_ROWS || self.chunks.len() > SPARE_CHUNKS {
            self.repack()?;
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        self.columns.finish(out)?;
        out.chunks.extend(self.gather()?);
        Ok(())
    }
}

impl Scattered {
    /// The held rows, tables in order; nothing is held any more.
    fn gather(&mut self) -> Result<Vec<Chunk>> {
        let mut cluster = Cluster::default();
        for chunk in std::mem::take(&mut self.chunks) {
            cluster.source(chunk);
        }
        for (table, held) in std::mem::take(&mut self.tables) {
            let rows = held.row.map_or(0..0, |row| row as usize..row as usize + 1);
            cluster.part(table, held.chunk, rows, held.key_row);
        }
        self.held_rows = 0;
        cluster.finish()
    }

    /// Lets go of rows that others have taken the place of.
    fn repack(&mut self) -> Result<()> {
        for chunk in self.gather()? {
            let number = self.chunks.len() as u32;
            for (segment, rows) in chunk.tables() {
                let row = (!rows.is_empty()).then_some(rows.start as u32);
                self.tables.insert(segment.table, Held { chunk: number, row, key_row: segment.key_row });
            }
            self.held_rows += chunk.len;
            self.chunks.push(chunk.compact()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;
    use crate::error::ErrorKind;
    use crate::table::testing::{normal, show};

    fn last(column: &str) -> FirstLast {
        FirstLast { pick: Pick::Last, column: column.into() }
    }

    fn first(column: &str) -> FirstLast {
        FirstLast { pick: Pick::First, column: column.into() }
    }

    const TABLES: &str = "h:string* _time:time _value:float w:string\n\
        a T3 1.5 x\na T1 2.5 -\na T2 - z\n\nb T9 - p\nb T8 4.0 q\n";

    /// flux-semantics 6.4: in row order, not by time; null cells are passed over; other columns keep their nulls (17).
    #[test]
    fn the_row_is_chosen_by_place_and_kept_whole() {
        let head = "h:string* _time:time _value:float w:string\n";
        expect(&last("_value"), TABLES, &format!("{head}a T1 2.5 -\n\nb T8 4.0 q\n"));
        expect(&first("_value"), TABLES, &format!("{head}a T3 1.5 x\n\nb T8 4.0 q\n"));
        expect(&last("w"), TABLES, &format!("{head}a T2 - z\n\nb T8 4.0 q\n"));
    }

    /// flux-semantics 6.4: the column may be in the key; a null key has no row.
    #[test]
    fn a_key_column_decides_for_all_rows() {
        let input = "h:string* v:int\na 1\na -\n\n- 3\n";
        expect(&last("h"), input, "h:string* v:int\na -\n\n= -\n");
        expect(&first("h"), input, "h:string* v:int\na 1\n\n= -\n");
    }

    /// flux-semantics 6.4: an empty table with the same schema.
    #[test]
    fn a_table_without_a_value_stays_empty() {
        let input = "h:string* v:int\na -\na -\n\n= b\n\nc 1\n";
        expect(&last("v"), input, "h:string* v:int\n= a\n\n= b\n\nc 1\n");
        expect(&first("v"), "", "");
    }

    /// flux-semantics 18, row 29.
    #[test]
    fn a_table_without_the_column_gives_nothing_and_is_told() {
        let input = "h:string* b:int\na 1\na 2\n\nh:string* c:int\nb 3\n\n= q\n\nh:string* b:int\nc 4\n";
        let out = answer(&last("b"), props(Parts::Clustered), input).unwrap();
        assert_eq!(show(&out.chunks), normal("h:string* b:int\na 2\n\nc 4\n"));
        assert_eq!(out.warnings, ["last: 2 tables have no column \"b\" and give no row"]);
        let error = expect_error(&first("x"), input);
        assert_eq!(error.message(), "no column \"x\" exists");
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    }

    #[test]
    fn what_is_held_of_many_chunks_stays_small() {
        let mut operator = last("v").operator(&[props(Parts::Scattered)]).unwrap();
        let mut out = Out::default();
        for number in 0..3 * SPARE_CHUNKS {
            let done = number == 3 * SPARE_CHUNKS - 1;
            for mut chunk in crate::table::testing::tables(&format!("h:string* v:int\na {number}\n\nb {number}\n")) {
                chunk.segments.iter_mut().for_each(|segment| segment.done = done);
                operator.push(0, chunk, &mut out).unwrap();
            }
        }
        operator.finish(0, &mut out).unwrap();
        let last = 3 * SPARE_CHUNKS - 1;
        assert_eq!(show(&out.chunks), normal(&format!("h:string* v:int\na {last}\n\nb {last}\n")));
    }
}
