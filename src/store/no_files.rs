//! Files of a build without the feature `delta`: there are none, and all rows stay in memory.
//!
//! Stands in for `store::delta`, so that the language, the tables and the operators build and test in seconds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::apply::SourcePartition;
use super::columns::FieldId;
use super::deletes::Masks;
use super::run::{Run, SeriesRows};
use super::series::SeriesId;
use super::table::{Table, TableView};
use crate::error::Result;
use crate::table::scan::Bounds;

/// Up to where a table holds the records of its sources: the offset of the next one.
pub(crate) type SourcePositions = BTreeMap<SourcePartition, u64>;

/// Where the files of all tables would be.
#[derive(Clone, Debug)]
pub(crate) struct FileStore;

impl FileStore {
    pub(crate) fn new(_: &Path) -> Result<Self> {
        Ok(FileStore)
    }

    pub(crate) fn table(&self, _: &str, _: &str) -> Result<TableFiles> {
        Ok(TableFiles)
    }

    pub(crate) fn remove_bucket(&self, _: &str) {}
}

/// The files of one table.
pub(crate) struct TableFiles;

/// The files of a table at one version.
#[derive(Debug, Default)]
pub(crate) struct FileList;

/// A file of a table: there is none.
pub(crate) enum DataFile {}

impl DataFile {
    pub(crate) fn known_series(&self) -> &[SeriesRows] {
        match *self {}
    }

    pub(crate) fn holds_deletes(&self) -> bool {
        match *self {}
    }
}

impl FileList {
    pub(crate) fn newest_ns(&self) -> Option<i64> {
        None
    }

    pub(crate) fn count_within(&self, _: Bounds) -> usize {
        0
    }
}

impl TableView {
    pub(crate) async fn files_within(&self, _: Bounds) -> Result<Vec<Arc<DataFile>>> {
        Ok(Vec::new())
    }

    pub(crate) async fn stats(&self) -> Result<TableStats> {
        let mut series: Vec<SeriesId> =
            self.runs.iter().flat_map(|run| run.series.iter()).map(|rows| rows.series).collect();
        series.sort_unstable();
        series.dedup();
        let hot_rows = self.runs.iter().map(|run| run.len()).sum();
        Ok(TableStats { series: series.len(), hot_rows, ..TableStats::default() })
    }

    pub(crate) async fn read_files(
        &self,
        _: &[Arc<DataFile>],
        _: &(dyn Fn(SeriesId) -> bool + Sync),
        _: Bounds,
        _: &[FieldId],
    ) -> Result<Vec<Arc<Run>>> {
        Ok(Vec::new())
    }
}

/// What a table holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableStats {
    pub(crate) series: usize,
    pub(crate) files: usize,
    pub(crate) rows: u64,
    pub(crate) points: u64,
    pub(crate) bytes: u64,
    pub(crate) hot_rows: usize,
}

/// What maintenance of a table did: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableMaintenance {
    pub(crate) files_before: usize,
    pub(crate) files_after: usize,
    pub(crate) rows: usize,
}

/// How maintenance would be done.
#[derive(Clone, Debug)]
pub(crate) struct MaintenanceContext {
    pub(crate) applied: SourcePositions,
    pub(crate) now_ns: i64,
    pub(crate) keep_from_ns: i64,
    pub(crate) masks: Arc<Masks>,
    pub(crate) rest: f64,
}

/// What a flush of a table did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableFlush {
    pub(crate) rows: usize,
    pub(crate) files: usize,
    pub(crate) freed: usize,
}

impl Table {
    pub(crate) async fn open_files(&self) -> Result<()> {
        Ok(())
    }

    pub(crate) async fn flush_to_files(&self, _: &SourcePositions, _: i64) -> Result<TableFlush> {
        Ok(TableFlush::default())
    }

    pub(crate) async fn expire(&self, _: &MaintenanceContext) -> Result<TableMaintenance> {
        Ok(TableMaintenance::default())
    }

    pub(crate) async fn compact_due(&self, _: &MaintenanceContext) -> Result<TableMaintenance> {
        Ok(TableMaintenance::default())
    }

    pub(crate) async fn compact_all(&self, _: &MaintenanceContext) -> Result<TableMaintenance> {
        Ok(TableMaintenance::default())
    }

    pub(crate) async fn rewrite_types(&self, _: &MaintenanceContext) -> Result<()> {
        Ok(())
    }

    pub(crate) async fn drop_files(&self, _: &MaintenanceContext) -> Result<()> {
        self.take_all_again();
        Ok(())
    }

    pub(crate) async fn vacuum_if_due(&self, _: &MaintenanceContext, _: i64) -> Result<usize> {
        Ok(0)
    }
}
