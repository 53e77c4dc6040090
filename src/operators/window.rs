//! `window`: each row into the windows that hold its time, a table for each window (flux-semantics 7.2).
//!
//! The ends of the window, cut to the bounds of the stream, become the columns `_start` and `_stop` and part of the key.
//! Tables come out in the order of their keys; those that come to have one key merge.

pub(crate) mod frame;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampNanosecondArray};
use arrow::datatypes::TimestampNanosecondType;

use self::frame::{Frame, bounds_of};
use super::rekey::{self, Applied, Rekeyed, RekeyedShapes, Rekeys};
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::table::gather::{Gather, Stretch};
use crate::table::merge::{Duplicates, Target};
use crate::table::pool::TAKES_LESS;
use crate::table::scan::{Parts, StreamProps, TableOrder, Windows};
use crate::table::{Chunk, ColumnType, KeyBlock, Name, Place, Segment, Shape};
use crate::time::Window as Range;

/// `window(...)`.
#[derive(Clone, Debug)]
pub struct Window {
    /// Which windows.
    pub windows: Windows,
    /// The column that decides.
    pub time_column: Name,
    /// The column that gets the start of the window.
    pub start_column: Name,
    /// The column that gets its end.
    pub stop_column: Name,
    /// Whether windows without rows become tables without rows.
    pub create_empty: bool,
}

impl Window {
    /// Windows by `_time`, with their ends in `_start` and `_stop`.
    pub fn new(windows: Windows, create_empty: bool) -> Window {
        Window::by("_time".into(), windows, create_empty)
    }

    /// Windows by a column, with their ends in `_start` and `_stop`.
    pub fn by(time_column: Name, windows: Windows, create_empty: bool) -> Window {
        Window { windows, time_column, start_column: "_start".into(), stop_column: "_stop".into(), create_empty }
    }

    /// The columns of a shape once both ends are in the key; `Windowing::keys` puts them where this says.
    pub(super) fn targets(&self, shape: &Shape) -> Vec<Target> {
        let mut targets = Target::of_shape(shape);
        let key_columns = shape.key.len() as u32;
        for (name, offset) in [(&self.start_column, 0), (&self.stop_column, 1)] {
            let from = Place::Key(key_columns + offset);
            let target = Target { name: name.clone(), column_type: ColumnType::Time, in_key: true, from };
            match targets.iter_mut().find(|target| target.name == *name) {
                Some(old) => *old = target,
                None => targets.push(target),
            }
        }
        targets
    }
}

impl Transform for Window {
    fn name(&self) -> &'static str {
        "window"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let frame = Frame::new(&self.windows, bounds_of(input[0].bounds)?)?;
        let all = if self.create_empty { frame.all()? } else { Vec::new() };
        let shapes = RekeyedShapes::default();
        let windowing = Windowing { window: self.clone(), frame, all, shapes, room: usize::MAX };
        Ok(rekey::run(&input[0], TableOrder::KeySorted, Duplicates::Merge, windowing))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: false,
            unique_keys: true,
            ..input[0]
        }
    }

    fn explain(&self) -> String {
        let empty = if self.create_empty { ", createEmpty: true" } else { "" };
        format!("{}, timeColumn: {:?}{empty}", self.windows, self.time_column)
    }
}

/// The error for tables without the column that windows go by.
pub(super) fn check_time_column(shape: &Shape, name: &str) -> Result<Place> {
    match shape.column(name) {
        None => Err(Error::failed_precondition(format!("missing time column {name:?}"))
            .with_hint("windows go by a column of times; timeColumn names another one than _time")),
        Some(column) if column.column_type != ColumnType::Time => Err(Error::failed_precondition(format!(
            "time column {name:?} is of type {}, expected time",
            column.column_type.flux_name()
        ))),
        Some(column) => Ok(column.place),
    }
}

/// The times that windows go by, by row or by table.
#[derive(Clone, Copy)]
pub(super) enum Times<'a> {
    /// One per row.
    Rows(&'a TimestampNanosecondArray),
    /// One per table.
    Keys(&'a TimestampNanosecondArray),
}

impl<'a> Times<'a> {
    /// The times at a place of a chunk.
    pub(super) fn of(chunk: &'a Chunk, place: Place) -> Times<'a> {
        match place {
            Place::Row(index) => Times::Rows(chunk.rows[index as usize].as_primitive::<TimestampNanosecondType>()),
            Place::Key(index) => {
                Times::Keys(chunk.keys.columns[index as usize].as_primitive::<TimestampNanosecondType>())
            }
        }
    }

    /// The time of a row of a table; `None` for a null.
    pub(super) fn at(self, key_row: u32, row: usize) -> Option<i64> {
        let (array, row) = match self {
            Times::Rows(array) => (array, row),
            Times::Keys(array) => (array, key_row as usize),
        };
        array.is_valid(row).then(|| array.value(row))
    }
}

/// A part of a table that comes out.
struct Part {
    segment: Segment,
    window: Range,
}

struct Windowing {
    window: Window,
    frame: Frame,
    /// The windows that every table gets, with rows or without.
    all: Vec<Range>,
    shapes: RekeyedShapes,
    /// How many bytes the rows that come out may take.
    room: usize,
}

impl Rekeys for Windowing {
    fn keeps_keys(&mut self, _shape: &Arc<Shape>) -> Result<bool> {
        Ok(false)
    }

    fn apply(&mut self, chunk: Chunk) -> Result<Vec<Applied>> {
        let place = check_time_column(&chunk.shape, &self.window.time_column)?;
        let window = &self.window;
        let rekeyed =
            self.shapes.get(&chunk.shape, |shape| Ok(Rekeyed { targets: window.targets(shape), keeps_keys: false }))?;
        let mut parts = Parted::default();
        let times = Times::of(&chunk, place);
        for (segment, rows) in chunk.tables() {
            if self.frame.is_whole() {
                if !rows.is_empty() {
                    parts.push(segment, self.frame.whole(), rows);
                }
            } else if self.is_partition() {
                self.side_by_side(segment, rows, times, &mut parts);
            } else {
                self.overlapping(segment, rows, times, &mut parts)?;
            }
            if segment.done && !self.all.is_empty() {
                self.fits(&parts, self.all.len(), chunk.keys.columns.len())?;
                self.all.iter().for_each(|window| parts.push(segment, *window, 0..0));
            }
            self.fits(&parts, 0, chunk.keys.columns.len())?;
        }
        Ok(vec![Applied { chunk: parts.into_chunk(chunk)?, rekeyed }])
    }

    fn room(&mut self, bytes: usize) {
        self.room = bytes;
    }
}

impl Windowing {
    fn is_partition(&self) -> bool {
        matches!(&self.window.windows, Windows::Family(spec) if spec.is_partition())
    }

    /// Many tables times many windows are looked at on the way: a window of a table takes its place and its key.
    fn fits(&self, parts: &Parted, more: usize, keys: usize) -> Result<()> {
        let windows = parts.parts.len() + more;
        let bytes = windows * (size_of::<Part>() + size_of::<Segment>() + (keys + 2) * size_of::<u128>());
        if bytes <= self.room {
            return Ok(());
        }
        let room = self.room;
        Err(Error::resource_exhausted(format!(
            "window wants {bytes} bytes of memory, more than the {room} that are left: the tables have {windows} windows \
             together"
        ))
        .with_hint(format!("a longer every has fewer, or createEmpty: false; {TAKES_LESS}")))
    }

    fn side_by_side(&mut self, segment: Segment, rows: std::ops::Range<usize>, times: Times<'_>, parts: &mut Parted) {
        runs(&mut self.frame, segment.key_row, rows, times, |window, rows| parts.push(segment, window, rows));
    }

    /// A row may lie in thousands of windows: what that makes is looked at on the way.
    fn overlapping(
        &self,
        segment: Segment,
        rows: std::ops::Range<usize>,
        times: Times<'_>,
        parts: &mut Parted,
    ) -> Result<()> {
        let mut found = Vec::new();
        let mut pairs: Vec<(Range, usize)> = Vec::new();
        for row in rows {
            let Some(time_ns) = times.at(segment.key_row, row) else { continue };
            found.clear();
            self.frame.containing(time_ns, &mut found);
            pairs.extend(found.iter().map(|window| (*window, row)));
            let bytes = (parts.len + pairs.len()) * size_of::<(Range, usize)>();
            if bytes > self.room {
                let (room, windows) = (self.room, found.len());
                return Err(Error::resource_exhausted(format!(
                    "window wants more than the {room} bytes of memory that are left: a row lies in {windows} windows"
                ))
                .with_hint(format!("a shorter period does, or a longer every; {TAKES_LESS}")));
            }
        }
        pairs.sort();
        for (window, row) in pairs {
            parts.push(segment, window, row..row + 1);
        }
        Ok(())
    }
}

/// Calls `each` for every stretch of rows that lie in one of the windows, which lie side by side.
pub(super) fn runs(
    frame: &mut Frame,
    key_row: u32,
    rows: std::ops::Range<usize>,
    times: Times<'_>,
    mut each: impl FnMut(Range, std::ops::Range<usize>),
) {
    let mut run: Option<(Range, usize)> = None;
    for row in rows.clone() {
        let time = times.at(key_row, row);
        if let (Some((window, _)), Some(time_ns)) = (&run, time)
            && window.contains(time_ns)
        {
            continue;
        }
        if let Some((window, first)) = run.take() {
            each(window, first..row);
        }
        run = time.and_then(|time_ns| frame.locate(time_ns)).map(|window| (window, row));
    }
    if let Some((window, first)) = run {
        each(window, first..rows.end);
    }
}

/// The tables of a chunk in the making.
#[derive(Default)]
struct Parted {
    parts: Vec<Part>,
    rows: Vec<Stretch>,
    len: usize,
}

impl Parted {
    fn push(&mut self, segment: Segment, window: Range, rows: std::ops::Range<usize>) {
        self.len += rows.len();
        match self.parts.last_mut() {
            Some(last) if last.window == window && last.segment.table == segment.table => {
                last.segment.end = self.len as u32;
            }
            _ => self.parts.push(Part { segment: Segment { end: self.len as u32, ..segment }, window }),
        }
        if !rows.is_empty() {
            self.rows.push(Stretch::rows(0, rows));
        }
    }

    /// The chunk with the ends of the windows behind its key columns.
    fn into_chunk(self, chunk: Chunk) -> Result<Chunk> {
        let from_keys = Gather::new(self.parts.iter().map(|part| Stretch::repeat(0, part.segment.key_row as usize, 1)));
        let mut keys: Vec<ArrayRef> = Vec::with_capacity(chunk.keys.columns.len() + 2);
        for (column, array) in chunk.shape.key_columns().zip(&chunk.keys.columns) {
            keys.push(from_keys.column(column.column_type, |_| Some(array))?);
        }
        let ends = |end: fn(&Range) -> i64| -> ArrayRef {
            Arc::new(TimestampNanosecondArray::from_iter_values(self.parts.iter().map(|part| end(&part.window))))
        };
        keys.push(ends(|window| window.start_ns));
        keys.push(ends(|window| window.stop_ns));
        let from_rows = Gather::new(self.rows);
        let mut rows = Vec::with_capacity(chunk.rows.len());
        for (column, array) in chunk.shape.row_columns().zip(&chunk.rows) {
            rows.push(from_rows.column(column.column_type, |_| Some(array))?);
        }
        let segments = (0..).zip(&self.parts);
        let segments = segments.map(|(key_row, part)| Segment { key_row, ..part.segment }).collect();
        Ok(Chunk { keys: Arc::new(KeyBlock { columns: keys }), segments, rows, len: self.len, ..chunk })
    }
}

#[cfg(test)]
mod tests;
