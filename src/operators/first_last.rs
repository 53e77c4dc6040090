//! `first`, `last`, `min`, `max`: of each table one row that has a value in a column: the first or last in row order, or
//! the first of those with the least or greatest value (flux-semantics 6.4 and 8).
//!
//! No sorting by time. A table without such a row stays, empty. A table that lacks the column gives nothing, and that is
//! told; only where every table lacks it, it is an error (flux-semantics 18, row 29). Other columns keep their nulls.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::Array;

use super::accumulator::{is_less, number};
use super::{Operator, Out, Split, Transform, WindowFunction, copy_of};
use crate::error::{Error, Result};
use crate::table::cluster::Cluster;
use crate::table::gather::{Gather, Stretch};
use crate::table::scan::{Parts, PushOp, StreamProps};
use crate::table::size::{self, Tally};
use crate::table::{Cell, Chunk, ColumnType, ColumnView, Name, Place, Segment, TableId};

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
    /// The first one with the least value.
    Min,
    /// The first one with the greatest value.
    Max,
}

/// A row that may be the one: where it is, and its value where the size of values decides.
pub type Candidate<T> = (T, Cell<'static>);

impl Pick {
    /// The function's name.
    pub fn name(self) -> &'static str {
        match self {
            Pick::First => "first",
            Pick::Last => "last",
            Pick::Min => "min",
            Pick::Max => "max",
        }
    }

    /// Whether the size of values decides.
    fn by_value(self) -> bool {
        matches!(self, Pick::Min | Pick::Max)
    }

    /// Whether a row can be chosen by a column of a type.
    ///
    /// # Errors
    /// FailedPrecondition if not.
    pub fn check(self, column: &str, column_type: ColumnType) -> Result<()> {
        if !self.by_value() || !matches!(column_type, ColumnType::Bool | ColumnType::String) {
            return Ok(());
        }
        let (own, column_type) = (self.name(), column_type.flux_name());
        let message = format!("invalid use of function: {own} has no implementation for type {column_type}");
        Err(Error::failed_precondition(format!("{message} (column {column:?})"))
            .with_hint(format!("{own} takes int, uint, float and time; filter by _field first, or convert the column")))
    }

    /// The row among rows of a column that takes the place of an earlier one with a value, and its own value where the
    /// size of values decides.
    pub fn row(
        self,
        array: &dyn Array,
        mut rows: Range<usize>,
        earlier: Option<Cell<'static>>,
    ) -> Option<Candidate<usize>> {
        let plain = |row: Option<usize>| row.map(|row| (row, Cell::Null));
        match self {
            Pick::First if earlier.is_some() => None,
            Pick::First if array.null_count() == 0 => plain(rows.next()),
            Pick::Last if array.null_count() == 0 => plain(rows.next_back()),
            Pick::First => plain(rows.find(|row| array.is_valid(*row))),
            Pick::Last => plain(rows.rev().find(|row| array.is_valid(*row))),
            Pick::Min | Pick::Max => {
                let view = ColumnView::of(array);
                let (mut best, mut found) = (earlier, None);
                for row in rows {
                    let value = number(view, row);
                    let better = |best| if self == Pick::Min { is_less(value, best) } else { is_less(best, value) };
                    if value != Cell::Null && best.is_none_or(better) {
                        best = Some(value);
                        found = Some((row, value));
                    }
                }
                found
            }
        }
    }
}

/// `first(column)`, `last(column)`, `min(column)`, `max(column)`.
#[derive(Clone, Debug)]
pub struct FirstLast {
    /// Which row.
    pub pick: Pick,
    /// The column that has to have a value.
    pub column: Name,
}

impl Transform for FirstLast {
    fn name(&self) -> &'static str {
        self.pick.name()
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let columns = Columns { of: self.clone(), found: false, lacking: 0 };
        Ok(match input[0].parts {
            Parts::Clustered => Box::new(InOrder { columns, open: None }),
            Parts::Scattered => Box::new(Scattered {
                columns,
                chunks: Vec::new(),
                size: Tally::default(),
                held_rows: 0,
                tables: HashMap::new(),
            }),
        })
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        input.parts == Parts::Clustered
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { parts: Parts::Clustered, rows_by_time: true, ..input[0] }
    }

    fn split(&self) -> Option<Split> {
        let push = match self.pick {
            Pick::First => PushOp::First(self.column.clone()),
            Pick::Last => PushOp::Last(self.column.clone()),
            Pick::Min | Pick::Max => return None,
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
    fn look<'a>(&mut self, chunk: &'a Chunk) -> Result<Option<Look<'a>>> {
        let look = self.look_at(chunk)?;
        match look {
            Some(_) => self.found = true,
            None => self.lacking += chunk.segments.iter().filter(|segment| segment.done).count() as u64,
        }
        Ok(look)
    }

    /// As [`Columns::look`], without counting the tables.
    ///
    /// # Errors
    /// FailedPrecondition for a column of a type by which no row can be chosen.
    pub(super) fn look_at<'a>(&self, chunk: &'a Chunk) -> Result<Option<Look<'a>>> {
        let Some(column) = chunk.shape.column(&self.of.column) else { return Ok(None) };
        self.of.pick.check(&column.name, column.column_type)?;
        Ok(Some(match column.place {
            Place::Key(index) => Look::Key(ColumnView::of(&chunk.keys.columns[index as usize])),
            Place::Row(index) => Look::Rows(&chunk.rows[index as usize]),
        }))
    }

    /// Takes over what a copy has counted.
    pub(super) fn absorb(&mut self, copy: &Columns) {
        self.found |= copy.found;
        self.lacking += copy.lacking;
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
    /// The row among `rows` that takes the place of an earlier one with a value, if there is one.
    pub(super) fn row(
        &self,
        pick: Pick,
        segment: &Segment,
        mut rows: Range<usize>,
        earlier: Option<Cell<'static>>,
    ) -> Option<Candidate<usize>> {
        match self {
            Look::Key(view) if view.is_null(segment.key_row as usize) => None,
            Look::Key(_) if pick == Pick::Last => rows.next_back().map(|row| (row, Cell::Null)),
            // All values are one: the first row is the first of them.
            Look::Key(_) if earlier.is_some() => None,
            Look::Key(_) => rows.next().map(|row| (row, Cell::Null)),
            Look::Rows(array) => pick.row(*array, rows, earlier),
        }
    }
}

/// Over a clustered input: tables are given as they end.
struct InOrder {
    columns: Columns,
    /// The row of the table that has not ended, in a chunk of its own.
    open: Option<Candidate<(TableId, Chunk)>>,
}

impl Operator for InOrder {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let pick = self.columns.of.pick;
        let Some(look) = self.columns.look(&chunk)? else { return Ok(()) };
        let held = self.open.take();
        let mut segments = Vec::with_capacity(chunk.segments.len());
        let mut rows: Vec<Stretch> = Vec::with_capacity(chunk.segments.len());
        // The row so far of the table that is open: in the held chunk (1), later in this one (0).
        let mut open = held.as_ref().map(|((table, _), value)| {
            (Segment { table: *table, ..Segment::default() }, (Stretch::rows(1, 0..1), *value))
        });
        let mut end = 0;
        for (segment, range) in chunk.tables() {
            let before = open.take().filter(|(own, _)| own.table == segment.table).map(|(_, row)| row);
            let here = look.row(pick, &segment, range, before.map(|(_, value)| value));
            let here = here.map(|(row, value)| (Stretch::rows(0, row..row + 1), value));
            let row = here.or(before);
            if !segment.done {
                open = row.map(|row| (segment, row));
                continue;
            }
            end += u32::from(row.is_some());
            segments.push(Segment { end, ..segment });
            rows.extend(row.map(|(row, _)| row));
        }
        let held = held.as_ref().map(|((_, chunk), _)| chunk);
        if !segments.is_empty() {
            out.push(gather(&chunk, held, segments, rows)?);
        }
        if let Some((segment, (row, value))) = open {
            let kept = gather(&chunk, held, vec![Segment { end: 1, ..segment }], vec![row])?;
            self.open = Some(((segment.table, kept.compact()?), value));
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        self.columns.finish(out)
    }

    fn absorb(&mut self, copy: Box<dyn Operator>) -> Result<()> {
        self.columns.absorb(&copy_of::<Self>(copy)?.columns);
        Ok(())
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
    size: Tally,
    held_rows: usize,
    tables: HashMap<TableId, Held>,
}

/// Where a table's row is held, if it has one yet, and its key: both in one chunk.
#[derive(Clone, Copy)]
struct Held {
    chunk: u32,
    row: Option<Candidate<u32>>,
    key_row: u32,
}

impl Operator for Scattered {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        let pick = self.columns.of.pick;
        let Some(look) = self.columns.look(&chunk)? else { return Ok(()) };
        let number = self.chunks.len() as u32;
        let mut rows = Vec::new();
        for (segment, range) in chunk.tables() {
            let new = Held { chunk: number, row: None, key_row: segment.key_row };
            let held = self.tables.entry(segment.table).or_insert(new);
            let earlier = held.row.map(|(_, value)| value);
            if let Some((row, value)) = look.row(pick, &segment, range, earlier) {
                *held = Held { row: Some((rows.len() as u32, value)), ..new };
                rows.push(Stretch::rows(0, row..row + 1));
            }
        }
        self.held_rows += rows.len();
        let kept = gather(&chunk, None, Vec::new(), rows)?.compact()?;
        self.size.add(&kept);
        self.chunks.push(kept);
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

    fn memory(&self) -> usize {
        self.size.bytes() + size::of_map::<(TableId, Held)>(self.tables.capacity())
    }
}

impl Scattered {
    /// The held rows, tables in order; nothing is held any more.
    fn gather(&mut self) -> Result<Vec<Chunk>> {
        let mut cluster = Cluster::default();
        self.size = Tally::default();
        for chunk in std::mem::take(&mut self.chunks) {
            cluster.source(chunk);
        }
        for (table, held) in std::mem::take(&mut self.tables) {
            let rows = held.row.map_or(0..0, |(row, _)| row as usize..row as usize + 1);
            cluster.part(table, held.chunk, rows, held.key_row);
        }
        self.held_rows = 0;
        cluster.finish()
    }

    /// Lets go of rows that others have taken the place of.
    fn repack(&mut self) -> Result<()> {
        let values: HashMap<TableId, Cell<'static>> =
            self.tables.iter().filter_map(|(table, held)| held.row.map(|(_, value)| (*table, value))).collect();
        for chunk in self.gather()? {
            let number = self.chunks.len() as u32;
            for (segment, rows) in chunk.tables() {
                let value = values.get(&segment.table).copied().unwrap_or(Cell::Null);
                let row = (!rows.is_empty()).then_some((rows.start as u32, value));
                self.tables.insert(segment.table, Held { chunk: number, row, key_row: segment.key_row });
            }
            self.held_rows += chunk.len;
            let kept = chunk.compact()?;
            self.size.add(&kept);
            self.chunks.push(kept);
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
        let (last_row, greatest_row) = (held_of_many(&last("v")), held_of_many(&greatest("v")));
        let last = 3 * SPARE_CHUNKS - 1;
        assert_eq!(last_row, normal(&format!("h:string* v:int\na {last}\n\nb {last}\n")));
        assert_eq!(greatest_row, last_row);
        assert_eq!(held_of_many(&least("v")), normal("h:string* v:int\na 0\n\nb 0\n"));
    }

    fn held_of_many(transform: &FirstLast) -> String {
        let mut operator = transform.operator(&[props(Parts::Scattered)]).unwrap();
        let mut out = Out::default();
        for number in 0..3 * SPARE_CHUNKS {
            let done = number == 3 * SPARE_CHUNKS - 1;
            for mut chunk in crate::table::testing::tables(&format!("h:string* v:int\na {number}\n\nb {number}\n")) {
                chunk.segments.iter_mut().for_each(|segment| segment.done = done);
                operator.push(0, chunk, &mut out).unwrap();
            }
        }
        operator.finish(0, &mut out).unwrap();
        out.chunks = out.take_chunks().unwrap();
        show(&out.chunks)
    }

    fn least(column: &str) -> FirstLast {
        FirstLast { pick: Pick::Min, column: column.into() }
    }

    fn greatest(column: &str) -> FirstLast {
        FirstLast { pick: Pick::Max, column: column.into() }
    }

    /// flux-semantics 8: the first of equal values; nulls are passed over; no value, no row.
    #[test]
    fn the_least_and_the_greatest_are_the_first_of_their_kind() {
        let input = "h:string* v:int w:string\na - x\na 2 -\na 5 y\na 2 z\na 5 p\n\nb - q\n\n= c\n";
        expect(&least("v"), input, "h:string* v:int w:string\na 2 -\n\n= b\n\n= c\n");
        expect(&greatest("v"), input, "h:string* v:int w:string\na 5 y\n\n= b\n\n= c\n");
        expect(&greatest("t"), "t:time u:uint\nT1 3\nT3 1\nT2 2\n", "t:time u:uint\nT3 1\n");
        expect(&least("u"), "t:time u:uint\nT1 3\nT3 1\nT2 2\n", "t:time u:uint\nT3 1\n");
        expect(&greatest("k"), "k:int* v:int\n1 7\n1 8\n\n- 9\n", "k:int* v:int\n1 7\n\n= -\n");
    }

    /// flux-semantics 8: nothing beats a NaN that comes first, and a NaN beats nothing.
    #[test]
    fn not_a_number_has_no_size() {
        let input = "h:string* v:float\na 1.0\na NaN\na -inf\na 0.0\n\nb NaN\nb 1.0\nb inf\n";
        expect(&least("v"), input, "h:string* v:float\na -inf\n\nb NaN\n");
        expect(&greatest("v"), input, "h:string* v:float\na 1.0\n\nb NaN\n");
    }

    /// flux-semantics 18, row 13.
    #[test]
    fn strings_and_booleans_have_no_size() {
        let error = expect_error(&greatest("s"), "s:string\nx\n");
        let message = "invalid use of function: max has no implementation for type string (column \"s\")";
        assert_eq!(error.message(), message);
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
        assert!(expect_error(&least("b"), "b:bool\ntrue\n").message().contains("type bool"));
    }
}
