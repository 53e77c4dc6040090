//! Merging versions: which row of which run stands for a point, and where each of its fields comes from.
//!
//! Used by seal, flush and scan, so that "newest arrival wins, per field" is written once. A version is older than
//! another if its `_seq` is less; at an equal `_seq` (two lines of one record) the later row is the newer.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::interleave;
use hashbrown::HashMap;

use super::deletes::{Hidden, hidden_below};
use super::run::{Run, SeriesRows};
use super::series::SeriesId;
use crate::error::Result;
use crate::table::ColumnType;

/// A row of one of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowRef {
    pub(crate) run: u32,
    pub(crate) row: u32,
}

/// A row with what orders it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Version {
    pub(crate) time_ns: i64,
    pub(crate) seq: i64,
    pub(crate) at: RowRef,
}

impl Version {
    /// Ascends by time, then from the oldest version to the newest.
    pub(crate) fn order(&self) -> (i64, i64, u32, u32) {
        (self.time_ns, self.seq, self.at.run, self.at.row)
    }
}

/// Rows after a merge: for each its newest version, and all that count where there are several.
#[derive(Debug, Default)]
pub(crate) struct MergedRows {
    /// The newest version of each row.
    pub(crate) newest: Vec<RowRef>,
    /// The time of each row.
    pub(crate) times: Vec<i64>,
    /// Rows with several versions, ascending: the row and its versions, the newest first.
    pub(crate) versions: Vec<(u32, Vec<RowRef>)>,
    /// The `_seq` of each row, where versions stay side by side.
    seqs: Vec<i64>,
}

/// A part of a series in one run; never empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) run: u32,
    pub(crate) rows: SeriesRows,
}

impl Part {
    pub(crate) fn times<'a>(&self, runs: &'a [Arc<Run>]) -> &'a [i64] {
        &runs[self.run as usize].time[self.rows.start as usize..self.rows.end as usize]
    }
}

/// Sorts the parts of one series by time; returns whether no point can stand in two rows of them.
pub(crate) fn stand_apart(runs: &[Arc<Run>], parts: &mut [Part]) -> bool {
    parts.sort_by_key(|part| part.times(runs).first().copied());
    parts.iter().all(|part| runs[part.run as usize].unique)
        && parts.windows(2).all(|pair| pair[0].times(runs).last() < pair[1].times(runs).first())
}

/// Stretches of one series are merged row by row where at most so many parts overlap one another; more are merged as one.
const MAX_CUT_PARTS: usize = 16;

/// Cuts the parts of one series, sorted by their first time, where they begin and end to overlap, and gives the stretches
/// in order: a late row costs a merge around it, not one of the whole series.
fn for_each_stretch(runs: &[Arc<Run>], parts: &[Part], mut each: impl FnMut(&[Part])) {
    let last_of = |part: &Part| part.times(runs).last().copied().unwrap_or(i64::MIN);
    let mut start = 0;
    while start < parts.len() {
        let mut end = start + 1;
        let mut last = last_of(&parts[start]);
        while end < parts.len() && parts[end].times(runs).first().is_some_and(|first| *first <= last) {
            last = last.max(last_of(&parts[end]));
            end += 1;
        }
        cut(runs, &parts[start..end], &mut each);
        start = end;
    }
}

/// Cuts parts that overlap one another.
fn cut(runs: &[Arc<Run>], parts: &[Part], each: &mut impl FnMut(&[Part])) {
    if !(2..=MAX_CUT_PARTS).contains(&parts.len()) {
        return each(parts);
    }
    // A cut lies before every first time and behind every last one.
    let mut cuts: Vec<(i64, bool)> = Vec::with_capacity(parts.len() * 2);
    for part in parts {
        let times = part.times(runs);
        cuts.extend(times.first().map(|first| (*first, false)));
        cuts.extend(times.last().map(|last| (*last, true)));
    }
    cuts.sort_unstable();
    cuts.dedup();
    let mut rest: Vec<Part> = parts.to_vec();
    let mut stretch: Vec<Part> = Vec::with_capacity(parts.len());
    for (time, behind) in cuts {
        stretch.clear();
        for part in &mut rest {
            let before = part.times(runs).partition_point(|own| *own < time || (behind && *own == time)) as u32;
            if before > 0 {
                let mut taken = *part;
                taken.rows.end = taken.rows.start + before;
                part.rows.start += before;
                stretch.push(taken);
            }
        }
        rest.retain(|part| part.rows.start < part.rows.end);
        if !stretch.is_empty() {
            each(&stretch);
        }
    }
}

fn versions_of(runs: &[Arc<Run>], parts: &[Part]) -> Vec<Version> {
    let mut all = Vec::new();
    for part in parts {
        let run = &runs[part.run as usize];
        all.extend((part.rows.start..part.rows.end).map(|row| Version {
            time_ns: run.time[row as usize],
            seq: run.seq[row as usize],
            at: RowRef { run: part.run, row },
        }));
    }
    // Stable, for it is quick where sorted stretches follow each other, as here.
    all.sort_by_key(Version::order);
    all
}

/// The versions of one point (ascending) that no delete hides.
fn shown<'v>(runs: &[Arc<Run>], point: &'v [Version], hidden: &[Hidden]) -> &'v [Version] {
    let Some(time_ns) = point.first().map(|version| version.time_ns) else { return point };
    let deleted = point.iter().filter(|version| runs[version.at.run as usize].deletes).map(|version| version.seq);
    let below = deleted.max().map_or(i64::MIN, |seq| seq.saturating_add(1)).max(hidden_below(hidden, time_ns));
    &point[point.partition_point(|version| version.seq < below)..]
}

impl MergedRows {
    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.newest.len()
    }

    /// Adds the rows of one series for a reader: one row per point that is not deleted. `hidden` is what is deleted of the
    /// series by range; if that is anything, the `_seq` of every run is known.
    pub(crate) fn add_points(&mut self, runs: &[Arc<Run>], parts: &mut [Part], hidden: &[Hidden]) {
        let add_alone = |merged: &mut Self, part: &Part| {
            if !runs[part.run as usize].deletes {
                merged.add_straight(runs, part);
            }
        };
        if stand_apart(runs, parts) && hidden.is_empty() {
            parts.iter().for_each(|part| add_alone(self, part));
            return;
        }
        for_each_stretch(runs, parts, |stretch| match stretch {
            [part] if runs[part.run as usize].unique && hidden.is_empty() => add_alone(self, part),
            _ => {
                let all = versions_of(runs, stretch);
                for point in all.chunk_by(|left, right| left.time_ns == right.time_ns) {
                    self.push(shown(runs, point, hidden));
                }
            }
        });
    }

    /// Adds rows of which each stands for its point alone.
    fn add_straight(&mut self, runs: &[Arc<Run>], part: &Part) {
        self.times.extend_from_slice(part.times(runs));
        self.newest.extend((part.rows.start..part.rows.end).map(|row| RowRef { run: part.run, row }));
    }

    /// Adds the rows of one series for a run or a file; of what is deleted (`hidden`, and by rows of deletes among the
    /// parts) nothing.
    pub(crate) fn add_parts(&mut self, runs: &[Arc<Run>], parts: &mut [Part], hidden: &[Hidden]) {
        let is_delete = |part: &Part| runs[part.run as usize].deletes;
        let add_alone = |merged: &mut Self, part: &Part| {
            if !is_delete(part) {
                merged.add_straight(runs, part);
                merged.add_seqs(runs, part);
            }
        };
        // First, for it sorts the parts: what follows wants them in order.
        if stand_apart(runs, parts) && hidden.is_empty() {
            parts.iter().for_each(|part| add_alone(self, part));
            return;
        }
        for_each_stretch(runs, parts, |stretch| match stretch {
            [part] if runs[part.run as usize].unique && hidden.is_empty() => add_alone(self, part),
            _ if hidden.is_empty() && !stretch.iter().any(is_delete) => {
                self.add_versions(runs, &versions_of(runs, stretch));
            }
            _ => {
                for point in versions_of(runs, stretch).chunk_by(|left, right| left.time_ns == right.time_ns) {
                    self.add_versions(runs, shown(runs, point, hidden));
                }
            }
        });
    }

    fn add_seqs(&mut self, runs: &[Arc<Run>], part: &Part) {
        self.seqs.extend_from_slice(&runs[part.run as usize].seq[part.rows.start as usize..part.rows.end as usize]);
    }

    /// Adds the versions of one series, in their order: those of one `_seq` as one row, those of which every field is in a
    /// newer one not at all. The others stay side by side: making them one row would give a field the `_seq` of another,
    /// and a version that arrives in between (from another partition) would then be hidden.
    pub(crate) fn add_versions(&mut self, runs: &[Arc<Run>], versions: &[Version]) {
        let same_point = |left: &Version, right: &Version| left.time_ns == right.time_ns;
        let same_record = |left: &Version, right: &Version| left.seq == right.seq;
        for point in versions.chunk_by(same_point) {
            let mut covered: Vec<usize> = Vec::new();
            let mut kept: Vec<&[Version]> = Vec::new();
            let records: Vec<&[Version]> = point.chunk_by(same_record).collect();
            for record in records.into_iter().rev() {
                if kept.is_empty() && point.len() == record.len() {
                    kept.push(record);
                    break;
                }
                let fields = fields_of(runs, record);
                if !fields.iter().all(|field| covered.contains(field)) {
                    covered.extend(fields);
                    kept.push(record);
                }
            }
            for record in kept.into_iter().rev() {
                self.push(record);
                self.seqs.push(record[0].seq);
            }
        }
    }

    /// Adds versions as one row; the last is the newest.
    fn push(&mut self, versions: &[Version]) {
        let Some(newest) = versions.last() else { return };
        if versions.len() > 1 {
            self.versions.push((self.len() as u32, versions.iter().rev().map(|version| version.at).collect()));
        }
        self.newest.push(newest.at);
        self.times.push(newest.time_ns);
    }

    /// The rows as a run; `types` has the type of every field that `runs` have a column of.
    pub(crate) fn into_run(
        self,
        runs: &[Arc<Run>],
        series: Vec<SeriesRows>,
        types: &[Option<ColumnType>],
    ) -> Result<Run> {
        let mut columns = Vec::with_capacity(types.len());
        for (field, column_type) in types.iter().enumerate() {
            columns.push(match column_type {
                Some(column_type) => Some(gather_field(&self, runs, field, *column_type)?),
                None => None,
            });
        }
        let unique = series
            .iter()
            .all(|rows| self.times[rows.start as usize..rows.end as usize].windows(2).all(|pair| pair[0] < pair[1]));
        Ok(Run { series, time: self.times, seq: self.seqs, columns, unique, deletes: false })
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
        let is_dense = |column: &Option<ArrayRef>| column.as_ref().is_some_and(|column| column.null_count() == 0);
        // Rows of deletes are no rows of a merge.
        let dense = columns.iter().zip(runs).all(|(column, run)| run.deletes || is_dense(column));
        FieldColumns { columns, dense }
    }

    /// Every row of every run has a value.
    pub(crate) fn is_dense(&self) -> bool {
        self.dense
    }

    /// The values in a run, if it has any.
    pub(crate) fn array(&self, run: u32) -> Option<&ArrayRef> {
        self.columns[run as usize].as_ref()
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

    /// The first merged row of a range with a value, and the value's place.
    pub(crate) fn first(&self, merged: &MergedRows, rows: Range<usize>) -> Option<(usize, RowRef)> {
        let mut found = None;
        self.for_each(merged, rows, |row, at| {
            found = at.map(|at| (row, at));
            found.is_none()
        });
        found
    }

    /// The last merged row of a range with a value, and the value's place.
    pub(crate) fn last(&self, merged: &MergedRows, rows: Range<usize>) -> Option<(usize, RowRef)> {
        let several = merged.versions_within(&rows);
        rows.rev().find_map(|row| {
            let newest = merged.newest[row];
            if self.dense || self.has(newest) {
                return Some((row, newest));
            }
            let place = several.binary_search_by_key(&(row as u32), |(row, _)| *row).ok()?;
            Some((row, several[place].1.iter().copied().find(|at| self.has(*at))?))
        })
    }

    fn has(&self, at: RowRef) -> bool {
        self.columns[at.run as usize].as_ref().is_some_and(|column| column.is_valid(at.row as usize))
    }
}

/// Makes one run of several, series in the given order. `types` has the type of every field that a run has a column of.
pub(crate) fn consolidate(runs: &[Arc<Run>], order: &[SeriesId], types: &[Option<ColumnType>]) -> Result<Run> {
    consolidate_shown(runs, order, types, &HashMap::new())
}

/// The same without what is deleted: `hidden` of some series by range, and whatever rows of deletes among the runs name.
pub(crate) fn consolidate_shown(
    runs: &[Arc<Run>],
    order: &[SeriesId],
    types: &[Option<ColumnType>],
    hidden: &HashMap<SeriesId, Vec<Hidden>>,
) -> Result<Run> {
    let mut parts: HashMap<SeriesId, Vec<Part>> = HashMap::with_capacity(order.len());
    for (index, run) in runs.iter().enumerate() {
        for rows in &run.series {
            parts.entry(rows.series).or_default().push(Part { run: index as u32, rows: *rows });
        }
    }
    let mut merged = MergedRows::default();
    let mut series = Vec::with_capacity(order.len());
    for one in order {
        let Some(parts) = parts.get_mut(one) else { continue };
        let start = merged.len() as u32;
        merged.add_parts(runs, parts, hidden.get(one).map_or(&[], Vec::as_slice));
        if merged.len() as u32 > start {
            series.push(SeriesRows { series: *one, start, end: merged.len() as u32 });
        }
    }
    merged.into_run(runs, series, types)
}

/// Makes one run of deletes of several, series in the given order: of each point its newest delete.
pub(crate) fn consolidate_deletes(runs: &[Arc<Run>], order: &[SeriesId]) -> Run {
    let mut rows: HashMap<SeriesId, Vec<(i64, i64)>> = HashMap::with_capacity(order.len());
    for run in runs {
        for part in &run.series {
            let of_part = (part.start as usize..part.end as usize).map(|row| (run.time[row], run.seq[row]));
            rows.entry(part.series).or_default().extend(of_part);
        }
    }
    let mut all = Run { unique: true, deletes: true, ..Run::default() };
    for series in order {
        let Some(mut rows) = rows.remove(series) else { continue };
        rows.sort_unstable();
        let start = all.time.len() as u32;
        for of_point in rows.chunk_by(|left, right| left.0 == right.0) {
            if let Some((time_ns, seq)) = of_point.last() {
                all.time.push(*time_ns);
                all.seq.push(*seq);
            }
        }
        all.series.push(SeriesRows { series: *series, start, end: all.time.len() as u32 });
    }
    all
}

/// The fields that any of some rows has.
fn fields_of(runs: &[Arc<Run>], rows: &[Version]) -> Vec<usize> {
    let fields = rows.iter().map(|row| runs[row.at.run as usize].columns.len()).max().unwrap_or(0);
    let has = |field: usize, at: RowRef| {
        runs[at.run as usize].column(field).is_some_and(|column| column.is_valid(at.row as usize))
    };
    (0..fields).filter(|field| rows.iter().any(|row| has(*field, row.at))).collect()
}

/// One field of all merged rows as an array.
fn gather_field(merged: &MergedRows, runs: &[Arc<Run>], field: usize, column_type: ColumnType) -> Result<ArrayRef> {
    let columns = FieldColumns::new(runs, field);
    let mut gather = Gather::new(column_type);
    let arrays = columns.add_to(&mut gather);
    columns.for_each(merged, 0..merged.len(), |_, at| {
        gather.push_at(&arrays, at);
        true
    });
    gather.finish()
}
