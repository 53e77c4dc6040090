//! A table: one measurement of one bucket. Its columns, its series, the rows in memory, its files, and up to where it is
//! durable.
//!
//! Owned by its bucket; appended to by `apply`, read by scans through a pinned [`TableView`], emptied into files by flushes.
//! Nothing here waits for a disk while the lock is held.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::apply::{Rejected, SeqPoint, SourcePartition};
use super::columns::{Columns, FieldId, Misfit, value_type};
use super::convert::{convert, convert_column};
use super::deletes::Masks;
use super::files::{FileList, SourcePositions, TableFiles};
use super::hot::OpenRows;
use super::latest::Latest;
use super::run::{Run, SeriesRows};
use super::series::{SeriesId, SeriesOrder, SeriesSet, Tags, pairs};
use crate::error::Result;
use crate::name::Name;
use crate::point::delete::PointSet;
use crate::point::{FieldValue, Point};
use crate::table::ColumnType;

/// The open end of the buffer is sealed at this many rows: sorting it again for each scan stays cheap.
const SEAL_ROWS: usize = 8_192;

/// One measurement of one bucket.
pub(crate) struct Table {
    pub(crate) measurement: Name,
    /// Where its files are, and the right to write them.
    pub(crate) files: TableFiles,
    inner: Mutex<Inner>,
}

struct Inner {
    columns: Arc<Columns>,
    series: SeriesSet,
    open: OpenRows,
    /// What `open` gives when it is sealed; `None` after an append.
    open_run: Option<Arc<Run>>,
    sealed: Vec<Arc<Run>>,
    /// Sealed runs that a flush is writing, or that one which failed has not written.
    flushing: Vec<Arc<Run>>,
    files: Arc<FileList>,
    /// The newest time in files of each series that this process has written, and of all others.
    stored_until: HashMap<SeriesId, i64>,
    others_stored_until: i64,
    latest: Latest,
    /// The newest time of a row that was appended.
    appended_until: i64,
    in_memory: Load,
    bytes_flushing: usize,
    sources: HashMap<SourcePartition, SourceState>,
    /// For each field the last append at which it was set: finds a field that stands twice in a point.
    stamps: Vec<u64>,
    appends: u64,
}

/// What a table holds of a source.
#[derive(Default)]
struct SourceState {
    /// Rows with offsets below are in files.
    durable: u64,
    /// The least offset of a row that is in memory only, and no flush is writing it.
    first_in_memory: Option<u64>,
    /// The least offset of a row that a flush is writing.
    first_in_flush: Option<u64>,
}

/// What waits in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    /// When the oldest row came, by the store's clock.
    pub(crate) since_ns: Option<i64>,
}

/// What appends of one batch share.
pub(crate) struct Append<'a> {
    /// Where the rows come from.
    pub(crate) source: &'a SourcePartition,
    /// The store's clock now.
    pub(crate) now_ns: i64,
    /// The store's count of bytes in memory.
    pub(crate) memory_used: &'a AtomicUsize,
    /// The rows that are not taken.
    pub(crate) rejected: &'a mut Vec<Rejected>,
}

/// What became of an append.
pub(crate) enum Appended {
    /// All rows were taken or rejected.
    All,
    /// Rows before this index were; it needs columns that are not registered yet.
    NeedsColumns(usize),
}

/// A table as a scan sees it, for as long as it likes.
#[derive(Clone)]
pub(crate) struct TableView {
    pub(crate) table: Arc<Table>,
    pub(crate) columns: Arc<Columns>,
    /// All rows in memory.
    pub(crate) runs: Vec<Arc<Run>>,
    /// All rows in files.
    pub(crate) files: Arc<FileList>,
    /// What of both is deleted by range.
    pub(crate) masks: Arc<Masks>,
    /// The newest values, if they were asked for when this was pinned: they go on with the table.
    pub(crate) latest: Option<Latest>,
}

/// What a flush writes.
pub(crate) struct TakenRows {
    pub(crate) columns: Arc<Columns>,
    pub(crate) runs: Vec<Arc<Run>>,
    /// The series in them, with their tags and the newest time that each has in files.
    pub(crate) series: Vec<(SeriesId, Box<Tags>, i64)>,
}

impl Table {
    /// A table without rows in memory.
    pub(crate) fn new(measurement: Name, columns: Columns, files: TableFiles) -> Self {
        Table { measurement, files, inner: Mutex::new(Inner::new(Arc::new(columns))) }
    }

    /// The registered columns.
    pub(crate) fn columns(&self) -> Arc<Columns> {
        Arc::clone(&self.inner.lock().columns)
    }

    /// Replaces the columns by ones that hold all of the earlier ones at their places, and more.
    pub(crate) fn set_columns(&self, columns: Columns) {
        self.inner.lock().columns = Arc::new(columns);
    }

    /// Gives a field another type: rows in memory are converted now, those in files when they are read. False if there is
    /// no such field, or if it has the type.
    pub(crate) fn retype(&self, field: &str, to: ColumnType) -> Result<bool> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let mut columns = Columns::clone(&inner.columns);
        let Some(place) = columns.field(field) else { return Ok(false) };
        let from = columns.fields()[place as usize].column_type;
        if !columns.retype(field, to) {
            return Ok(false);
        }
        if inner.open.len() > 0 {
            inner.seal()?;
        }
        for run in inner.sealed.iter_mut().chain(&mut inner.flushing) {
            if let Some(column) = run.column(place as usize) {
                let mut columns = run.columns.clone();
                columns[place as usize] = Some(convert_column(column, from, to));
                let (series, time, seq) = (run.series.clone(), run.time.clone(), run.seq.clone());
                *run = Arc::new(Run { series, time, seq, columns, unique: run.unique, deletes: false });
            }
        }
        inner.columns = Arc::new(columns);
        inner.forget_latest();
        Ok(true)
    }

    /// Forgets all rows in memory, but not the files; returns the bytes that this frees.
    pub(crate) fn forget_memory(&self) -> usize {
        let mut inner = self.inner.lock();
        let bytes = inner.in_memory.bytes + inner.bytes_flushing;
        let files = Arc::clone(&inner.files);
        // Series keep their numbers: files that are read know them.
        let series = std::mem::take(&mut inner.series);
        *inner = Inner { files, series, ..Inner::new(Arc::clone(&inner.columns)) };
        bytes
    }

    /// From now on rows are taken wherever they stand in the log: a replay is to bring again what was passed over.
    pub(crate) fn take_all_again(&self) {
        for state in self.inner.lock().sources.values_mut() {
            state.durable = 0;
        }
    }

    /// Appends rows of this measurement. `first_index` is the index of `rows[0]` in the caller's batch, for rejections;
    /// `check` says what can be said against a row without its table.
    pub(crate) fn append(
        &self,
        append: &mut Append<'_>,
        rows: &[SeqPoint],
        first_index: usize,
        check: impl Fn(&SeqPoint) -> Result<(), (&'static str, String)>,
    ) -> Result<Appended> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        let durable = inner.sources.get(append.source).map_or(0, |state| state.durable);
        let mut values: Vec<(FieldId, Cow<'_, FieldValue>)> = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            if row.offset < durable {
                continue;
            }
            if let Err((code, reason)) = check(row) {
                append.rejected.push(Rejected { index: first_index + index, code, reason });
                continue;
            }
            match inner.resolve(&row.point, &mut values) {
                Fit::Fits => {}
                Fit::NeedsColumns => return Ok(Appended::NeedsColumns(index)),
                Fit::Not(reason) => {
                    append.rejected.push(Rejected { index: first_index + index, code: "field-type-conflict", reason });
                    continue;
                }
            }
            let bytes = inner.push(row, &values);
            append.memory_used.fetch_add(bytes, Ordering::Relaxed);
            inner.in_memory.bytes += bytes;
            inner.in_memory.rows += 1;
            inner.in_memory.since_ns.get_or_insert(append.now_ns);
            let state = inner.sources.entry_ref(append.source).or_default();
            let first = state.first_in_memory.get_or_insert(row.offset);
            *first = row.offset.min(*first);
            if inner.open.len() >= SEAL_ROWS {
                inner.seal()?;
            }
        }
        Ok(Appended::All)
    }

    /// Adds rows that hide what is older than `seq` of the points in `sets` that are of this measurement. Returns about how
    /// many bytes they take.
    pub(crate) fn delete_points(
        &self,
        source: &SourcePartition,
        offset: u64,
        seq: i64,
        sets: &[PointSet],
        now_ns: i64,
    ) -> Result<usize> {
        /// What a row without fields takes.
        const ROW_BYTES: usize = 24;
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.sources.get(source).is_some_and(|state| offset < state.durable) {
            return Ok(0);
        }
        let mut times: BTreeMap<SeriesId, Vec<i64>> = BTreeMap::new();
        for set in sets {
            for series in set.series.iter().filter(|series| series.measurement == self.measurement) {
                // A tag that was never seen: no point has it.
                if series.tags.keys().any(|key| inner.columns.tag(key).is_none()) {
                    continue;
                }
                let tags = series.tags.iter().map(|(key, value)| (&**key, &**value));
                let id = inner.series.find_or_add(tags.clone(), || share_keys(&inner.columns, tags.clone()));
                times.entry(id).or_default().extend_from_slice(&set.times);
            }
        }
        let mut run = Run { unique: true, deletes: true, ..Run::default() };
        for (series, mut times) in times {
            times.sort_unstable();
            times.dedup();
            let start = run.time.len() as u32;
            run.time.append(&mut times);
            run.series.push(SeriesRows { series, start, end: run.time.len() as u32 });
        }
        run.seq = vec![seq; run.time.len()];
        let bytes = run.len() * ROW_BYTES;
        if run.len() == 0 {
            return Ok(0);
        }
        inner.in_memory.bytes += bytes;
        inner.in_memory.rows += run.len();
        inner.in_memory.since_ns.get_or_insert(now_ns);
        let state = inner.sources.entry_ref(source).or_default();
        let first = state.first_in_memory.get_or_insert(offset);
        *first = offset.min(*first);
        inner.sealed.push(Arc::new(run));
        inner.forget_latest();
        Ok(bytes)
    }

    /// Pins what a scan sees.
    pub(crate) fn view(self: &Arc<Self>, with_latest: bool) -> Result<TableView> {
        let mut inner = self.inner.lock();
        let mut runs = inner.flushing.clone();
        runs.extend_from_slice(&inner.sealed);
        if inner.open.len() > 0 {
            runs.push(inner.open_run()?);
        }
        Ok(TableView {
            table: Arc::clone(self),
            columns: Arc::clone(&inner.columns),
            runs,
            files: Arc::clone(&inner.files),
            masks: Arc::default(),
            latest: with_latest.then(|| inner.latest.clone()),
        })
    }

    /// All series that are known now, in the order of their keys.
    pub(crate) fn series_order(&self) -> Arc<SeriesOrder> {
        self.inner.lock().series.order()
    }

    /// The numbers of tag sets, each sorted by key.
    pub(crate) fn find_series<'a>(&self, tag_sets: impl Iterator<Item = Vec<(&'a str, &'a str)>>) -> Vec<SeriesId> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        tag_sets
            .map(|tags| {
                inner.series.find_or_add(tags.iter().copied(), || share_keys(&inner.columns, tags.iter().copied()))
            })
            .collect()
    }

    /// Series with their tags.
    pub(crate) fn with_tags(&self, series: impl Iterator<Item = SeriesId>) -> Vec<(SeriesId, Box<Tags>)> {
        let inner = self.inner.lock();
        series.map(|id| (id, inner.series.tags(id).into())).collect()
    }

    /// The least offset of a source of which a row is in memory only.
    pub(crate) fn first_in_memory(&self, source: &SourcePartition) -> Option<u64> {
        let inner = self.inner.lock();
        let state = inner.sources.get(source)?;
        state.first_in_memory.into_iter().chain(state.first_in_flush).min()
    }

    /// What is remembered of the newest values may have been deleted.
    pub(crate) fn forget_latest(&self) {
        self.inner.lock().forget_latest();
    }

    /// What waits in memory for a flush.
    pub(crate) fn load(&self) -> Load {
        let inner = self.inner.lock();
        // Rows of a flush that failed wait as well, and longest.
        let since_ns = if inner.flushing.is_empty() { inner.in_memory.since_ns } else { Some(i64::MIN) };
        let rows = inner.in_memory.rows + inner.flushing.iter().map(|run| run.len()).sum::<usize>();
        Load { rows, bytes: inner.in_memory.bytes + inner.bytes_flushing, since_ns }
    }

    /// Takes all rows in memory for a flush; they stay visible. What a flush before this one has not finished is taken
    /// again. `None` if there are none.
    pub(crate) fn take_rows(&self) -> Result<Option<TakenRows>> {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.open.len() > 0 {
            inner.seal()?;
        }
        inner.flushing.append(&mut inner.sealed);
        if inner.flushing.is_empty() {
            return Ok(None);
        }
        inner.bytes_flushing += inner.in_memory.bytes;
        inner.in_memory = Load::default();
        for state in inner.sources.values_mut() {
            state.first_in_flush = state.first_in_flush.into_iter().chain(state.first_in_memory.take()).min();
        }
        let mut ids: Vec<SeriesId> =
            inner.flushing.iter().flat_map(|run| run.series.iter().map(|rows| rows.series)).collect();
        ids.sort_unstable();
        ids.dedup();
        let series = ids
            .into_iter()
            .map(|id| {
                let until = inner.stored_until.get(&id).copied().unwrap_or(inner.others_stored_until);
                (id, inner.series.tags(id).into(), until)
            })
            .collect();
        Ok(Some(TakenRows { columns: Arc::clone(&inner.columns), runs: inner.flushing.clone(), series }))
    }

    /// The taken rows are in files: from now on they are read from there. Returns the bytes of memory that this frees.
    pub(crate) fn finish_flush(
        &self,
        files: Arc<FileList>,
        positions: &SourcePositions,
        stored_until: impl Iterator<Item = (SeriesId, i64)>,
    ) -> usize {
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        inner.flushing.clear();
        inner.files = files;
        for (series, time_ns) in stored_until {
            let others = inner.others_stored_until;
            let until = inner.stored_until.entry(series).or_insert(others);
            *until = time_ns.max(*until);
        }
        for state in inner.sources.values_mut() {
            state.first_in_flush = None;
        }
        inner.set_durable(positions);
        std::mem::take(&mut inner.bytes_flushing)
    }

    /// Takes over what the table's log says, on opening and after another writer's commit.
    pub(crate) fn set_files(&self, files: Arc<FileList>, positions: &SourcePositions) {
        let mut inner = self.inner.lock();
        inner.others_stored_until = files.newest_ns().unwrap_or(i64::MIN);
        inner.files = files;
        inner.forget_latest();
        inner.stored_until.clear();
        inner.set_durable(positions);
    }

    /// The same rows in other files, or fewer rows: what maintenance has committed.
    pub(crate) fn replace_files(&self, files: Arc<FileList>) {
        self.inner.lock().files = files;
    }

    /// The files as they are now.
    pub(crate) fn file_list(&self) -> Arc<FileList> {
        Arc::clone(&self.inner.lock().files)
    }

    /// Forgets all rows in memory; returns the bytes that this frees.
    pub(crate) fn forget_rows(&self) -> usize {
        let mut inner = self.inner.lock();
        let bytes = inner.in_memory.bytes + inner.bytes_flushing;
        *inner = Inner::new(Arc::clone(&inner.columns));
        bytes
    }
}

/// How a point fits the columns.
enum Fit {
    Fits,
    NeedsColumns,
    Not(String),
}

impl Inner {
    fn new(columns: Arc<Columns>) -> Self {
        Inner {
            columns,
            series: SeriesSet::default(),
            open: OpenRows::default(),
            open_run: None,
            sealed: Vec::new(),
            flushing: Vec::new(),
            files: Arc::default(),
            stored_until: HashMap::new(),
            others_stored_until: i64::MIN,
            latest: Latest::new(i64::MIN),
            appended_until: i64::MIN,
            in_memory: Load::default(),
            bytes_flushing: 0,
            sources: HashMap::new(),
            stamps: Vec::new(),
            appends: 0,
        }
    }

    /// Finds the fields of a point; nothing is changed but `values`.
    fn resolve<'a>(&mut self, point: &'a Point, values: &mut Vec<(FieldId, Cow<'a, FieldValue>)>) -> Fit {
        values.clear();
        self.appends += 1;
        if self.stamps.len() < self.columns.fields().len() {
            self.stamps.resize(self.columns.fields().len(), 0);
        }
        for (name, value) in &point.fields {
            let Some(field) = self.columns.field(name) else { return Fit::NeedsColumns };
            let known = &self.columns.fields()[field as usize];
            let expected = known.column_type;
            let mut value = Cow::Borrowed(value);
            if expected != value_type(&value) {
                let converted = known.takes(value_type(&value)).then(|| convert(&value, expected)).flatten();
                let Some(converted) = converted else {
                    let misfit = Misfit::Conflict { field: name.clone(), expected, found: value_type(&value) };
                    return Fit::Not(misfit.to_string());
                };
                value = Cow::Owned(converted);
            }
            if self.stamps[field as usize] == self.appends {
                // The field stands twice: the later value counts.
                values.retain(|(earlier, _)| *earlier != field);
            }
            self.stamps[field as usize] = self.appends;
            values.push((field, value));
        }
        if point.tags.iter().any(|(key, _)| self.columns.tag(key).is_none()) { Fit::NeedsColumns } else { Fit::Fits }
    }

    /// Adds a row and returns about how many bytes it takes.
    fn push(&mut self, row: &SeqPoint, values: &[(FieldId, Cow<'_, FieldValue>)]) -> usize {
        let point = &row.point;
        let columns = &self.columns;
        let known = self.series.len();
        let series = self.series.find_or_add(pairs(&point.tags), || share_keys(columns, pairs(&point.tags)));
        let mut bytes = 24;
        if self.series.len() > known {
            bytes += 96 + point.tags.iter().map(|(_, value)| 64 + value.len()).sum::<usize>();
        }
        self.appended_until = self.appended_until.max(point.time_ns);
        for (field, value) in values {
            self.latest.add(series, *field, point.time_ns, row.seq, value);
            bytes += match &**value {
                FieldValue::String(text) => 17 + text.len(),
                _ => 9,
            };
        }
        self.open.push(series, point.time_ns, row.seq, values.iter().map(|(field, value)| (*field, &**value)));
        self.open_run = None;
        bytes
    }

    /// What was remembered may be otherwise; rows newer than all are remembered again.
    fn forget_latest(&mut self) {
        let until = self.others_stored_until.max(self.appended_until);
        self.latest = Latest::new(if until == i64::MIN { until } else { until.saturating_add(1) });
    }

    fn open_run(&mut self) -> Result<Arc<Run>> {
        if let Some(run) = &self.open_run {
            return Ok(Arc::clone(run));
        }
        let run = Arc::new(self.open.take_run()?);
        self.open_run = Some(Arc::clone(&run));
        Ok(run)
    }

    fn seal(&mut self) -> Result<()> {
        let run = self.open_run()?;
        self.sealed.push(run);
        self.open = OpenRows::default();
        self.open_run = None;
        Ok(())
    }

    fn set_durable(&mut self, positions: &SourcePositions) {
        for (source, offset) in positions {
            let state = self.sources.entry_ref(source).or_default();
            state.durable = state.durable.max(*offset);
        }
    }
}

/// A tag set to be kept. Keys are shared with the registry: a hundred thousand series then hold one copy of each.
fn share_keys<'a>(columns: &Columns, tags: impl Iterator<Item = (&'a str, &'a str)>) -> Box<Tags> {
    tags.map(|(key, value)| {
        let shared = columns.tag(key).map(|tag| columns.tags()[tag as usize].clone());
        (shared.unwrap_or_else(|| key.into()), Name::from(value))
    })
    .collect()
}
