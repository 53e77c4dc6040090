//! A table: one measurement of one bucket. Its columns, its series, the rows in memory, and up to where it is durable.
//!
//! Owned by its bucket; appended to by `apply`, read by scans through a pinned [`TableView`]. Nothing here waits for a disk
//! while the lock is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::apply::{Rejected, SeqPoint, SourcePartition};
use super::columns::{Columns, FieldId, Misfit, value_type};
use super::hot::OpenRows;
use super::run::Run;
use super::series::{SeriesOrder, SeriesSet};
use crate::error::Result;
use crate::name::Name;
use crate::point::{FieldValue, Point};

/// The open end of the buffer is sealed at this many rows: sorting it again for each scan stays cheap.
const SEAL_ROWS: usize = 8_192;

/// One measurement of one bucket.
pub(crate) struct Table {
    pub(crate) measurement: Name,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    columns: Arc<Columns>,
    series: SeriesSet,
    open: OpenRows,
    /// What `open` gives when it is sealed; `None` after an append.
    open_run: Option<Arc<Run>>,
    sealed: Vec<Arc<Run>>,
    sources: HashMap<SourcePartition, SourceState>,
    /// For each field the last row count at which it was set: finds a field that stands twice in a point.
    stamps: Vec<u64>,
    appends: u64,
}

/// What a table holds of a source.
#[derive(Default)]
struct SourceState {
    /// Rows with offsets below are in files.
    durable: u64,
    /// The least offset of a row that is in memory only.
    first_in_memory: Option<u64>,
}

/// What appends of one batch share.
pub(crate) struct Append<'a> {
    /// Where the rows come from.
    pub(crate) source: &'a SourcePartition,
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
pub(crate) struct TableView {
    pub(crate) measurement: Name,
    pub(crate) columns: Arc<Columns>,
    pub(crate) series: Arc<SeriesOrder>,
    pub(crate) runs: Vec<Arc<Run>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(measurement: Name, columns: Columns) -> Self {
        Table { measurement, inner: Mutex::new(Inner { columns: Arc::new(columns), ..Inner::default() }) }
    }

    /// The registered columns.
    pub(crate) fn columns(&self) -> Arc<Columns> {
        Arc::clone(&self.inner.lock().columns)
    }

    /// Replaces the columns by ones that hold all of the earlier ones at their places, and more.
    pub(crate) fn set_columns(&self, columns: Columns) {
        self.inner.lock().columns = Arc::new(columns);
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
        let mut values: Vec<(FieldId, &FieldValue)> = Vec::new();
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
            append.memory_used.fetch_add(inner.push(row, &values), Ordering::Relaxed);
            let state = inner.sources.entry_ref(append.source).or_default();
            let first = state.first_in_memory.get_or_insert(row.offset);
            *first = row.offset.min(*first);
            if inner.open.len() >= SEAL_ROWS {
                inner.seal()?;
            }
        }
        Ok(Appended::All)
    }

    /// Pins what a scan sees.
    pub(crate) fn view(&self) -> Result<TableView> {
        let mut inner = self.inner.lock();
        let mut runs = inner.sealed.clone();
        if inner.open.len() > 0 {
            runs.push(inner.open_run()?);
        }
        Ok(TableView {
            measurement: self.measurement.clone(),
            columns: Arc::clone(&inner.columns),
            series: inner.series.order(),
            runs,
        })
    }

    /// The least offset of a source of which a row is in memory only.
    pub(crate) fn first_in_memory(&self, source: &SourcePartition) -> Option<u64> {
        self.inner.lock().sources.get(source)?.first_in_memory
    }
}

/// How a point fits the columns.
enum Fit {
    Fits,
    NeedsColumns,
    Not(String),
}

impl Inner {
    /// Finds the fields of a point; nothing is changed but `values`.
    fn resolve<'a>(&mut self, point: &'a Point, values: &mut Vec<(FieldId, &'a FieldValue)>) -> Fit {
        values.clear();
        self.appends += 1;
        if self.stamps.len() < self.columns.fields().len() {
            self.stamps.resize(self.columns.fields().len(), 0);
        }
        for (name, value) in &point.fields {
            let Some(field) = self.columns.field(name) else { return Fit::NeedsColumns };
            let expected = self.columns.fields()[field as usize].column_type;
            if expected != value_type(value) {
                let misfit = Misfit::Conflict { field: name.clone(), expected, found: value_type(value) };
                return Fit::Not(misfit.to_string());
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
    fn push(&mut self, row: &SeqPoint, values: &[(FieldId, &FieldValue)]) -> usize {
        let point = &row.point;
        let columns = &self.columns;
        let known = self.series.len();
        let series = self.series.find_or_add(&point.tags, || {
            // Keys are shared with the registry: a hundred thousand series then hold one copy of each.
            let keep = |(key, value): &(Name, Name)| {
                let shared = columns.tag(key).map_or(key, |tag| &columns.tags()[tag as usize]);
                (shared.clone(), value.clone())
            };
            point.tags.iter().map(keep).collect()
        });
        let mut bytes = 24;
        if self.series.len() > known {
            bytes += 96 + point.tags.iter().map(|(_, value)| 64 + value.len()).sum::<usize>();
        }
        for (_, value) in values {
            bytes += match value {
                FieldValue::String(text) => 17 + text.len(),
                _ => 9,
            };
        }
        self.open.push(series, point.time_ns, row.seq, values.iter().copied());
        self.open_run = None;
        bytes
    }

    fn open_run(&mut self) -> Result<Arc<Run>> {
        if let Some(run) = &self.open_run {
            return Ok(Arc::clone(run));
        }
        let run = Arc::new(self.open.to_run()?);
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
}
