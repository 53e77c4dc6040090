//! A table's files as a Delta table: what a flush writes and what a scan reads.
//!
//! Used by `store` alone, with the feature `delta`. The layout is fixed by `src/ARCHITECTURE.md`; others (Spark, DuckDB,
//! Polars) read the tables as they are. A file, once committed, is never changed.

mod choose;
mod compact;
mod data_file;
mod disk;
mod durable_files;
mod flush;
mod log;
mod maintain;
mod names;
mod reader;
mod retype;
mod schema;
mod statistics;
mod vacuum;
mod view;
mod writer;

use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;

pub(crate) use self::data_file::DataFile;
pub(crate) use self::durable_files::DurableFiles;
use self::flush::Writer;
pub(crate) use self::log::SourcePositions;
use self::log::{TableLog, TableState};
use self::maintain::Maintainer;
pub(crate) use self::maintain::{MaintenanceContext, TableMaintenance};
use self::names::directory_name;
pub(crate) use self::names::{TIME, hashed_name};
use self::reader::FileReader;
use self::schema::TableSchema;
use super::columns::Columns;
use super::table::Table;
use crate::error::{Error, Result};
use crate::table::scan::Bounds;

/// Where the files of all tables are.
#[derive(Clone, Debug)]
pub(crate) struct FileStore {
    files: Arc<dyn ObjectStore>,
    directory: std::path::PathBuf,
}

impl FileStore {
    /// The files below a data directory.
    pub(crate) fn new(directory: &FilePath) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        Self::with_store(directory, Arc::new(DurableFiles::below(&directory.canonicalize()?)))
    }

    /// The same through a given object store; it has the whole file system, paths being absolute.
    pub(crate) fn with_store(directory: &FilePath, files: Arc<dyn ObjectStore>) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        Ok(FileStore { files, directory: directory.canonicalize()? })
    }

    /// The files of a table; nothing is read or made.
    pub(crate) fn table(&self, bucket: &str, measurement: &str) -> Result<TableFiles> {
        let directory = self.bucket_directory(bucket).join(directory_name(measurement));
        let root = Path::from_absolute_path(&directory).map_err(|error| Error::internal(error.to_string()))?;
        let log = TableLog::new(Arc::clone(&self.files), &directory)?;
        let reader = FileReader { store: Arc::clone(&self.files), root };
        let writer = tokio::sync::Mutex::new(Writer::new(log));
        Ok(TableFiles { directory, writer, maintainer: tokio::sync::Mutex::default(), reader })
    }

    /// Removes the files of a bucket that is deleted. What cannot be removed stays, and nothing names it: an id is never
    /// given twice.
    pub(crate) fn remove_bucket(&self, bucket: &str) {
        let directory = self.bucket_directory(bucket);
        if let Err(error) = std::fs::remove_dir_all(&directory)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, directory = %directory.display(), "files of a deleted bucket stay");
        }
    }

    fn bucket_directory(&self, bucket: &str) -> std::path::PathBuf {
        self.directory.join("buckets").join(bucket)
    }
}

/// The files of one table: who writes them, and how they are read.
pub(crate) struct TableFiles {
    directory: std::path::PathBuf,
    /// Held for a commit, by flushes also while they write.
    writer: tokio::sync::Mutex<Writer>,
    /// Held by whoever replaces or removes files, before the writer's.
    maintainer: tokio::sync::Mutex<Maintainer>,
    reader: FileReader,
}

/// The files of a table at one version.
#[derive(Debug, Default)]
pub(crate) struct FileList {
    schema: TableSchema,
    files: Vec<Arc<DataFile>>,
}

impl FileList {
    /// The newest time in any of them; at least as new as in truth.
    pub(crate) fn newest_ns(&self) -> Option<i64> {
        self.files.iter().map(|file| file.times.1).max()
    }

    /// How many of them may have rows within bounds.
    pub(crate) fn count_within(&self, bounds: Bounds) -> usize {
        self.within(bounds).count()
    }

    fn within(&self, bounds: Bounds) -> impl Iterator<Item = &Arc<DataFile>> {
        self.files.iter().filter(move |file| file.may_hold(bounds.start_ns, bounds.stop_ns))
    }
}

impl From<TableState> for FileList {
    fn from(state: TableState) -> Self {
        FileList { schema: state.schema, files: state.files }
    }
}

impl Table {
    /// Reads the table's log on opening.
    ///
    /// Errors: `FailedPrecondition` when the log cannot be understood or disagrees with the registered columns.
    pub(crate) async fn open_files(&self) -> Result<()> {
        let mut writer = self.files.writer.lock().await;
        let state = writer.load().await.map_err(|error| error.context(format!("measurement {}", self.measurement)))?;
        let Some(state) = state else { return Ok(()) };
        let mut columns = Columns::clone(&self.columns());
        columns.extend(&state.schema.columns()).map_err(|misfit| {
            Error::failed_precondition(format!("the files of measurement {}: {misfit}", self.measurement))
        })?;
        let mut positions = state.positions.clone();
        if state.schema.retyped(&columns).1 {
            // A field was retyped and the files are not yet written again: the replay is to bring everything.
            positions.clear();
        }
        self.set_columns(columns);
        self.set_files(Arc::new(state.into()), &positions);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
