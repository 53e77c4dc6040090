//! Sorted runs of points on disk: what `to()` has staged, once memory is short.
//!
//! Written by `to()`, read by [`super::points`]. A row is a point as it would stand in a record, with what it is sorted by:
//! its identity, and which of two points of one identity is the later one. A run has a file of its own, which is gone with it.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringViewArray, StringViewBuilder, UInt64Array};
use arrow::datatypes::{Int64Type, UInt64Type};
use itertools::Itertools;

use crate::error::{Error, Result};
use crate::point::{Point, result_json};
use crate::table::TableId;
use crate::table::spill::{Piece, SpillFile, SpillSpace};

/// So many runs of one level become a run of the next one.
const RUNS_PER_LEVEL: usize = 8;

/// Texts of a piece are gathered in blocks of so many bytes.
const BLOCK_BYTES: u32 = 16 << 10;

/// What a row takes beside its texts, in bytes; about.
const ROW_BYTES: usize = 3 * size_of::<u128>() + 3 * size_of::<u64>();

/// Points that are sorted by identity.
#[derive(Debug)]
pub struct SortedRun {
    /// How often its points have been merged.
    level: u32,
    len: usize,
    file: SpillFile,
    pieces: Vec<Piece>,
    /// What its largest piece takes in memory, in bytes; about.
    largest: usize,
}

impl SortedRun {
    /// How many points it has.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(super) fn is_merged(&self) -> bool {
        self.level > 0
    }

    /// What it takes in memory while nothing of it is read, in bytes.
    pub(super) fn memory(&self) -> usize {
        size_of::<SortedRun>() + self.pieces.capacity() * size_of::<Piece>()
    }

    /// What it takes beside that while it is read, in bytes.
    pub(super) fn memory_to_read(&self) -> usize {
        self.largest
    }
}

/// A staged point: the table that it comes from, its number among all of its `to()`, and itself.
pub(super) type Numbered<'p> = (TableId, u64, &'p Point);

/// Writes points as a run behind those of their `to()`. Where many are of one level they become one, so that a merge never
/// reads many of a `to()` at once.
pub(super) fn add(runs: &mut Vec<Arc<SortedRun>>, points: Vec<Numbered<'_>>, space: &SpillSpace) -> Result<()> {
    let mut keyed: Vec<(String, Numbered<'_>)> =
        points.into_iter().map(|numbered| (series_of(numbered.2), numbered)).collect();
    keyed.sort_unstable_by(|(left_key, left), (right_key, right)| {
        let place = |(table, number, point): &Numbered<'_>| (point.time_ns, *table, *number);
        left_key.cmp(right_key).then_with(|| place(left).cmp(&place(right)))
    });
    let mut writer = Writer::new(space, 0)?;
    let mut texts = result_json::Writer::default();
    for (key, (table, number, point)) in keyed {
        let (payload, schema) = texts.write(point);
        let [payload, schema] = [&payload, &schema].map(|text| std::str::from_utf8(text));
        let (Ok(payload), Ok(schema)) = (payload, schema) else { return Err(Error::internal("JSON that is no text")) };
        writer.push([&key, payload, schema], point.time_ns, table, number)?;
    }
    runs.push(writer.finish()?);
    while let Some(level) = runs.last().map(|run| run.level)
        && runs.len() >= RUNS_PER_LEVEL
        && runs[runs.len() - RUNS_PER_LEVEL].level == level
    {
        let mut writer = Writer::new(space, level + 1)?;
        let merged = runs.split_off(runs.len() - RUNS_PER_LEVEL);
        // They are of one call: its number makes no difference.
        for row in sorted(merged.into_iter().map(|run| Rows::new(run, 0)).collect()) {
            let row = row?;
            let (payload, schema) = row.texts();
            let (table, number) = (row.batch.tables.value(row.row), row.batch.numbers.value(row.row));
            writer.push([row.key(), payload, schema], row.identity().1, table, number)?;
        }
        runs.push(writer.finish()?);
    }
    Ok(())
}

/// A text for the measurement and tags of a point that no other series has: where a name ends is told by its length.
fn series_of(point: &Point) -> String {
    let names = || std::iter::once(&point.measurement).chain(point.tags.iter().flat_map(|(key, value)| [key, value]));
    let mut text = String::with_capacity(names().map(|name| name.len() + 4).sum());
    for name in names() {
        text.push_str(&name.len().to_string());
        text.push(':');
        text.push_str(name);
    }
    text
}

/// All rows of some runs by identity, those of one in the order in which they count.
pub(super) fn sorted(runs: Vec<Rows>) -> impl Iterator<Item = Result<Row>> {
    // An error comes before everything else: whoever reads stops at it.
    runs.into_iter().kmerge_by(|left, right| match (left, right) {
        (Ok(left), Ok(right)) => left.place() < right.place(),
        (left, _) => left.is_err(),
    })
}

/// Writes a run, piece after piece.
struct Writer<'s> {
    space: &'s SpillSpace,
    run: SortedRun,
    times: Vec<i64>,
    tables: Vec<TableId>,
    numbers: Vec<u64>,
    /// Series, payload, schema.
    texts: [StringViewBuilder; 3],
    bytes: usize,
}

impl<'s> Writer<'s> {
    fn new(space: &'s SpillSpace, level: u32) -> Result<Writer<'s>> {
        Ok(Writer {
            space,
            run: SortedRun { level, len: 0, file: space.file()?, pieces: Vec::new(), largest: 0 },
            times: Vec::new(),
            tables: Vec::new(),
            numbers: Vec::new(),
            // Blocks of their own grow from piece to piece.
            texts: std::array::from_fn(|_| StringViewBuilder::new().with_fixed_block_size(BLOCK_BYTES)),
            bytes: 0,
        })
    }

    fn push(&mut self, texts: [&str; 3], time_ns: i64, table: TableId, number: u64) -> Result<()> {
        self.bytes += ROW_BYTES + texts.iter().map(|text| text.len()).sum::<usize>();
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        self.times.push(time_ns);
        self.tables.push(table);
        self.numbers.push(number);
        if self.bytes >= self.space.piece_bytes() { self.cut() } else { Ok(()) }
    }

    fn cut(&mut self) -> Result<()> {
        let len = self.times.len();
        let times: ArrayRef = Arc::new(Int64Array::from(mem::take(&mut self.times)));
        let tables: ArrayRef = Arc::new(UInt64Array::from(mem::take(&mut self.tables)));
        let numbers: ArrayRef = Arc::new(UInt64Array::from(mem::take(&mut self.numbers)));
        let texts = self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let columns: Vec<ArrayRef> = [times, tables, numbers].into_iter().chain(texts).collect();
        self.run.pieces.push(self.run.file.write(&columns, len)?);
        self.run.len += len;
        self.run.largest = self.run.largest.max(self.bytes);
        self.bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Arc<SortedRun>> {
        if !self.times.is_empty() {
            self.cut()?;
        }
        Ok(Arc::new(self.run))
    }
}

/// Rows of a piece.
struct Batch {
    /// Which `to()` of the script has staged them.
    call: usize,
    keys: StringViewArray,
    times: Int64Array,
    tables: UInt64Array,
    numbers: UInt64Array,
    payloads: StringViewArray,
    schemas: StringViewArray,
}

/// A row of a batch.
pub(super) struct Row {
    batch: Arc<Batch>,
    row: usize,
}

impl Row {
    fn key(&self) -> &str {
        self.batch.keys.value(self.row)
    }

    /// The series and the time.
    pub(super) fn identity(&self) -> (&str, i64) {
        (self.key(), self.batch.times.value(self.row))
    }

    /// What rows are sorted by: of two with one identity the later one is that of the later `to()`, table and row.
    fn place(&self) -> (&str, i64, usize, TableId, u64) {
        let (key, time_ns) = self.identity();
        (key, time_ns, self.batch.call, self.batch.tables.value(self.row), self.batch.numbers.value(self.row))
    }

    /// The point's payload and schema, as in a record.
    pub(super) fn texts(&self) -> (&str, &str) {
        (self.batch.payloads.value(self.row), self.batch.schemas.value(self.row))
    }
}

/// The rows of a run, one after the other. Nothing comes behind an error.
pub(super) struct Rows {
    run: Arc<SortedRun>,
    call: usize,
    pieces: VecDeque<Piece>,
    batch: Option<Arc<Batch>>,
    row: usize,
}

impl Rows {
    /// Of a run of the n-th `to()` of a script.
    pub(super) fn new(run: Arc<SortedRun>, call: usize) -> Rows {
        Rows { pieces: run.pieces.iter().copied().collect(), run, call, batch: None, row: 0 }
    }

    fn read(&self, piece: Piece) -> Result<Batch> {
        let columns = self.run.file.read(piece)?;
        let [times, tables, numbers, keys, payloads, schemas] = columns.as_slice() else {
            return Err(Error::internal("a piece of points with other columns"));
        };
        Ok(Batch {
            call: self.call,
            times: times.as_primitive::<Int64Type>().clone(),
            tables: tables.as_primitive::<UInt64Type>().clone(),
            numbers: numbers.as_primitive::<UInt64Type>().clone(),
            keys: keys.as_string_view().clone(),
            payloads: payloads.as_string_view().clone(),
            schemas: schemas.as_string_view().clone(),
        })
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        loop {
            if let Some(batch) = &self.batch
                && self.row < batch.times.len()
            {
                self.row += 1;
                return Some(Ok(Row { batch: Arc::clone(batch), row: self.row - 1 }));
            }
            let piece = self.pieces.pop_front()?;
            match self.read(piece) {
                Ok(batch) => (self.batch, self.row) = (Some(Arc::new(batch)), 0),
                Err(error) => {
                    self.pieces.clear();
                    self.batch = None;
                    return Some(Err(error));
                }
            }
        }
    }
}
