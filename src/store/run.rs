//! A run: rows of one measurement, series after series, each sorted by (time, `_seq`), with a column per field.
//!
//! Made by sealing the hot buffer, by merging runs and by reading a file; immutable, shared by `Arc`. A run may hold
//! several versions of one point: merging them for good is right only when no version between them can ever arrive.

use arrow::array::ArrayRef;

use super::series::SeriesId;

/// The rows of one series in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeriesRows {
    pub(crate) series: SeriesId,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Sorted rows.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// The series in it, each once, with their rows; together they are all rows, in order.
    pub(crate) series: Vec<SeriesRows>,
    /// Nanoseconds since the epoch, per row.
    pub(crate) time: Vec<i64>,
    /// The arrival of the version, per row. Empty where it is known that nobody will ask.
    pub(crate) seq: Vec<i64>,
    /// Per field of the measurement; `None` where the run has no value of it. It may be shorter than the list of fields.
    pub(crate) columns: Vec<Option<ArrayRef>>,
    /// No two rows have the same series and time.
    pub(crate) unique: bool,
    /// Its rows have no fields: each says that the older versions of its point are deleted.
    pub(crate) deletes: bool,
}

impl Run {
    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// The column of a field.
    pub(crate) fn column(&self, field: usize) -> Option<&ArrayRef> {
        self.columns.get(field)?.as_ref()
    }

    /// The rows of a series with `start_ns <= time < stop_ns`.
    pub(crate) fn rows_within(&self, rows: SeriesRows, start_ns: i64, stop_ns: i64) -> std::ops::Range<u32> {
        let times = &self.time[rows.start as usize..rows.end as usize];
        let first = times.partition_point(|time| *time < start_ns);
        let end = first + times[first..].partition_point(|time| *time < stop_ns);
        rows.start + first as u32..rows.start + end as u32
    }
}
