//! Merging versions: which row of which run stands for a point, and where each of its fields comes from.
//!
//! Used by seal, flush and scan, so that "newest arrival wins, per field" is written once. A version is older than
//! another if its `_seq` is less; at an equal `_seq` (two lines of one record) the later row is the newer.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::interleave;

use super::run::{Run, SeriesRows};
use crate::error::Result;
use crate::table::ColumnType;

/// A row of one of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowRef {
    pub(crate) run: u32,
    pub(crate) row: u32,
}

/// Rows after a merge: for each its newest version, and all versions where there are several.
#[derive(Debug, Default)]
pub(crate) struct MergedRows {
    /// The newest version of each row.
    pub(crate) newest: Vec<RowRef>,
    /// The time of each row.
    pub(crate) times: Vec<i64>,
    /// Rows with several versions, ascending: the row and its versions, the newest first.
    pub(crate) versions: Vec<(u32, Vec<RowRef>)>,
}

/// A part of a series in one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) run: u32,
    pub(crate) rows: SeriesRows,
}

impl MergedRows {
    /// Adds the rows of one series, merged by time from its parts (none of them empty).
    pub(crate) fn add_series(&mut self, runs: &[Arc<Run>], parts: &mut [Part]) {
        let times = |part: &Part| &runs[part.run as usize].time[part.rows.start as usize..part.rows.end as usize];
        parts.sort_by_key(|part| times(part).first().copied());
        let apart = parts.windows(2).all(|pair| times(&pair[0]).last() < times(&pair[1]).first());
        if apart && parts.iter().all(|part| runs[part.run as usize].unique) {
            for part in parts.iter() {
                self.times.extend_from_slice(times(part));
                self.newest.extend((part.rows.start..part.rows.end).map(|row| RowRef { run: part.run, row }));
            }
            return;
        }
        let mut all: Vec<(i64, i64, RowRef)> = Vec::new();
        for part in parts.iter() {
            let run = &runs[part.run as usize];
            all.extend(
                (part.rows.start..part.rows.end)
                    .map(|row| (run.time[row as usize], run.seq[row as usize], RowRef { run: part.run, row })),
            );
        }
        all.sort_unstable_by_key(|(time, seq, at)| (*time, std::cmp::Reverse((*seq, at.run, at.row))));
        for versions in all.chunk_by(|left, right| left.0 == right.0) {
            let (time, _, newest) = versions[0];
            if versions.len() > 1 {
                let row = self.newest.len() as u32;
                self.versions.push((row, versions.iter().map(|version| version.2).collect()));
            }
            self.newest.push(newest);
            self.times.push(time);
        }
    }

    /// Leaves out the rows from `start` on for which `keep`, given the row and its time, is false.
    pub(crate) fn retain(&mut self, start: usize, keep: impl Fn(usize, i64) -> bool) {
        let mut kept = start;
        let mut versions = self.versions.partition_point(|(row, _)| (*row as usize) < start);
        let mut kept_versions = versions;
        for row in start..self.times.len() {
            let several = self.versions.get(versions).is_some_and(|(with, _)| *with as usize == row);
            if keep(row, self.times[row]) {
                self.times[kept] = self.times[row];
                self.newest[kept] = self.newest[row];
                if several {
                    self.versions.swap(kept_versions, versions);
                    self.versions[kept_versions].0 = kept as u32;
                    kept_versions += 1;
                }
                kept += 1;
            }
            versions += usize::from(several);
        }
        self.times.truncate(kept);
        self.newest.truncate(kept);
        self.versions.truncate(kept_versions);
    }

    /// The rows with several versions within a range of rows.
    fn versions_within(&self, rows: &Range<usize>) -> &[(u32, Vec<RowRef>)] {
        let first = self.versions.partition_point(|(row, _)| (*row as usize) < rows.start);
        let end = first + self.versions[first..].partition_point(|(row, _)| (*row as usize) < rows.end);
        &self.versions[first..end]
    }
}

/// Values gathered from many arrays of one type into one.
pub(crate) struct Gather {
    /// The first is one null, for rows without a value.
    arrays: Vec<ArrayRef>,
    indices: Vec<(usize, usize)>,
}

impl Gather {
    /// Nothing yet, of a type.
    pub(crate) fn new(column_type: ColumnType) -> Self {
        Gather { arrays: vec![new_null_array(&column_type.arrow(), 1)], indices: Vec::new() }
    }

    /// Makes an array known; its values are added by the number that this returns.
    pub(crate) fn add_array(&mut self, array: ArrayRef) -> usize {
        self.arrays.push(array);
        self.arrays.len() - 1
    }

    /// Adds a value of a known array.
    pub(crate) fn push(&mut self, array: usize, row: usize) {
        self.indices.push((array, row));
    }

    /// Adds the value at a place, with the numbers that [`FieldColumns::add_to`] gave; a null for no place.
    pub(crate) fn push_at(&mut self, arrays: &[usize], at: Option<RowRef>) {
        match at {
            Some(at) => self.indices.push((arrays[at.run as usize], at.row as usize)),
            None => self.indices.push((0, 0)),
        }
    }

    /// The values.
    pub(crate) fn finish(self) -> Result<ArrayRef> {
        if let [first, .., last] = self.indices.as_slice() {
            // A stretch of one array is a slice of it: nothing is copied.
            let straight = first.0 == last.0
                && last.1.checked_sub(first.1) == Some(self.indices.len() - 1)
                && self.indices.windows(2).all(|pair| pair[0].0 == pair[1].0 && pair[1].1 == pair[0].1 + 1);
            if straight && self.indices.len() * 2 >= self.arrays[first.0].len() {
                return Ok(self.arrays[first.0].slice(first.1, self.indices.len()));
            }
        }
        let arrays: Vec<&dyn Array> = self.arrays.iter().map(|array| &**array).collect();
        Ok(interleave(&arrays, &self.indices)?)
    }
}

/// One field in each of several runs.
#[derive(Debug)]
pub(crate) struct FieldColumns {
    columns: Vec<Option<ArrayRef>>,
    /// Each run has a value in every row.
    dense: bool,
}

impl FieldColumns {
    /// The field `field` of runs.
    pub(crate) fn new(runs: &[Arc<Run>], field: usize) -> Self {
        let columns: Vec<_> = runs.iter().map(|run| run.column(field).cloned()).collect();
        let dense = columns.iter().all(|column| column.as_ref().is_some_and(|column| column.null_count() == 0));
        FieldColumns { columns, dense }
    }

    /// Every row of every run has a value.
    pub(crate) fn is_dense(&self) -> bool {
        self.dense
    }

    /// Makes the columns known to a gather; the result says under which number each run's is (0 where it has none).
    pub(crate) fn add_to(&self, gather: &mut Gather) -> Vec<usize> {
        let add = |column: &Option<ArrayRef>| column.as_ref().map_or(0, |column| gather.add_array(Arc::clone(column)));
        self.columns.iter().map(add).collect()
    }

    /// Calls `each` for every merged row of a range with the place of the newest value, or `None` where no version has
    /// one, until it returns false.
    pub(crate) fn for_each(
        &self,
        merged: &MergedRows,
        rows: Range<usize>,
        mut each: impl FnMut(usize, Option<RowRef>) -> bool,
    ) {
        let mut versions: &[(u32, Vec<RowRef>)] = if self.dense { &[] } else { merged.versions_within(&rows) };
        for row in rows {
            let mut at = Some(merged.newest[row]);
            if !self.dense {
                at = match versions.split_first() {
                    Some(((several, all), rest)) if *several as usize == row => {
                        versions = rest;
                        all.iter().copied().find(|at| self.has(*at))
                    }
                    _ => at.filter(|at| self.has(*at)),
                };
            }
            if !each(row, at) {
                return;
            }
        }
    }

    /// Whether any merged row of a range has a value.
    pub(crate) fn any(&self, merged: &MergedRows, rows: Range<usize>) -> bool {
        let mut found = false;
        self.for_each(merged, rows, |_, at| {
            found = at.is_some();
            !found
        });
        found
    }

    fn has(&self, at: RowRef) -> bool {
        self.columns[at.run as usize].as_ref().is_some_and(|column| column.is_valid(at.row as usize))
    }
}

/// One field of all merged rows as an array.
pub(crate) fn gather_field(
    merged: &MergedRows,
    runs: &[Arc<Run>],
    field: usize,
    column_type: ColumnType,
) -> Result<ArrayRef> {
    let columns = FieldColumns::new(runs, field);
    let mut gather = Gather::new(column_type);
    let arrays = columns.add_to(&mut gather);
    columns.for_each(merged, 0..merged.newest.len(), |_, at| {
        gather.push_at(&arrays, at);
        true
    });
    gather.finish()
}
