//! What a scan reads of a table's files: the runs of the series, times and fields that it wants.
//!
//! Called when a scan starts. `_seq` is read only of files whose rows may be versions of points that other rows are, too.

use std::sync::Arc;

use super::super::columns::FieldId;
use super::super::run::Run;
use super::super::series::SeriesId;
use super::super::table::{Table, TableView};
use super::data_file::DataFile;
use super::reader::{FieldToRead, FileRows};
use super::schema::TableSchema;
use crate::error::Result;
use crate::name::Name;
use crate::table::scan::Bounds;

/// What a table holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableStats {
    pub(crate) series: usize,
    pub(crate) files: usize,
    pub(crate) rows: u64,
    /// Field values in files.
    pub(crate) points: u64,
    pub(crate) bytes: u64,
    /// Rows in memory.
    pub(crate) hot_rows: usize,
}

impl Table {
    /// Makes the series of files known to the table.
    pub(super) async fn load_series(&self, files: &[Arc<DataFile>], schema: &TableSchema) -> Result<()> {
        let find = |tag_sets: &[Vec<(&Name, &str)>]| {
            let sets = tag_sets.iter().map(|tags| {
                let mut tags: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (&***key, *value)).collect();
                tags.sort_unstable();
                tags
            });
            self.find_series(sets)
        };
        for file in files {
            self.files.reader.series(file, schema, &find).await?;
        }
        Ok(())
    }
}

impl TableView {
    /// The files that may have rows within bounds. Their series are known to the table afterwards.
    pub(crate) async fn files_within(&self, bounds: Bounds) -> Result<Vec<Arc<DataFile>>> {
        let files: Vec<Arc<DataFile>> = self.files.within(bounds).cloned().collect();
        self.table.load_series(&files, &self.files.schema).await?;
        Ok(files)
    }

    /// What the table holds; reads the footers of its files.
    pub(crate) async fn stats(&self) -> Result<TableStats> {
        let files = self.files_within(Bounds { start_ns: i64::MIN, stop_ns: i64::MAX }).await?;
        let mut stats = TableStats { files: files.len(), ..TableStats::default() };
        let mut series: hashbrown::HashSet<SeriesId> = hashbrown::HashSet::new();
        for file in &files {
            stats.bytes += file.size;
            stats.rows += file.rows;
            stats.points += self.table.files.reader.values(file, &self.files.schema).await?;
            series.extend(file.series.get().iter().flat_map(|all| all.iter()).map(|rows| rows.series));
        }
        series.extend(self.runs.iter().flat_map(|run| run.series.iter()).map(|rows| rows.series));
        stats.series = series.len();
        stats.hot_rows = self.runs.iter().map(|run| run.len()).sum();
        Ok(stats)
    }

    /// The wanted series of files within bounds, a run for each file that has any of their rows; `fields` are those whose
    /// columns are read.
    pub(crate) async fn read_files(
        &self,
        files: &[Arc<DataFile>],
        wanted: &(dyn Fn(SeriesId) -> bool + Sync),
        bounds: Bounds,
        fields: &[FieldId],
    ) -> Result<Vec<Arc<Run>>> {
        let reader = &self.table.files.reader;
        let schema = &self.files.schema;
        let mut found: Vec<FileRows> = Vec::new();
        for file in files {
            found.extend(reader.rows(file, wanted, bounds).await?);
        }
        let mut with_seq = self.may_share_points(&found, wanted, bounds);
        if !self.masks.within(&self.table.measurement, bounds).is_empty() {
            with_seq.fill(true);
        }
        let fields = FieldToRead::of(fields.iter().copied(), &self.columns, schema);
        let mut runs = Vec::with_capacity(found.len());
        for (rows, with_seq) in found.into_iter().zip(with_seq) {
            runs.push(Arc::new(reader.read(rows, schema, &fields, &self.columns, with_seq).await?));
        }
        Ok(runs)
    }

    /// For each of the files, then of the runs in memory, whether a point of it may stand in two rows: in a run that says so
    /// of itself, or in two runs that overlap in time.
    fn may_share_points(
        &self,
        files: &[FileRows],
        wanted: &(dyn Fn(SeriesId) -> bool + Sync),
        bounds: Bounds,
    ) -> Vec<bool> {
        let runs = || files.iter().map(|rows| &rows.run).chain(self.runs.iter().map(|run| &**run));
        let mut shared: Vec<bool> = runs().map(|run| !run.unique).collect();
        let mut spans: Vec<(SeriesId, i64, i64, usize)> = Vec::new();
        for (place, run) in runs().enumerate() {
            for rows in run.series.iter().filter(|rows| wanted(rows.series)) {
                let within = run.rows_within(*rows, bounds.start_ns, bounds.stop_ns);
                if !within.is_empty() {
                    let (first, last) = (run.time[within.start as usize], run.time[within.end as usize - 1]);
                    spans.push((rows.series, first, last, place));
                }
            }
        }
        spans.sort_unstable();
        for same in spans.chunk_by(|left, right| left.0 == right.0) {
            // The span that reaches furthest so far: whoever overlaps an earlier one overlaps it, or did when it came.
            let mut furthest = same[0];
            for span in &same[1..] {
                if span.1 <= furthest.2 {
                    shared[span.3] = true;
                    shared[furthest.3] = true;
                }
                if span.2 > furthest.2 {
                    furthest = *span;
                }
            }
        }
        shared
    }
}
