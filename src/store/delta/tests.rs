//! Files of a bucket: they hold what was applied, whatever the order of flushes, restarts and replays; and their layout is
//! the one that others rely on. What the tests share is here: a bucket that can be closed and opened again.

#![allow(clippy::unwrap_used)]

mod any_sequence;
mod damaged;
mod faulty_disk;
mod flushes;
mod forgetful_disk;
mod layout;
mod maintenance;
mod power_cut;
mod sink;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use tempfile::TempDir;

use self::faulty_disk::FaultyDisk;
use super::super::scan::tests::points;
use super::super::testing::{
    Cell, Oracle, PlainTable, START, always, offer_and_read, open_store, partition, read_all, row,
};
use super::super::{NewBucket, SeqPoint, SourcePartition, Store, StoreOptions};
use super::{DataFile, DurableFiles, FileStore, MaintenanceContext};
use crate::catalogue::Catalogue;
use crate::clock::{Clock, ManualClock};
use crate::error::Result;
use crate::table::scan::{Bounds, PushOp, SourceRef};

/// A bucket `b`, fed by the topic `b`, in a store that can be closed and opened again, on a disk that can fail.
struct Bench {
    directory: TempDir,
    clock: Arc<ManualClock>,
    disk: Arc<FaultyDisk>,
    catalogue: Arc<Catalogue>,
    options: StoreOptions,
    store: Option<Store>,
    bucket: Arc<str>,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let inner = DurableFiles::below(&directory.path().canonicalize().unwrap());
        let disk = Arc::new(FaultyDisk::new(inner));
        let catalogue = Arc::new(Catalogue::open(&directory.path().join("catalogue")).unwrap());
        let options = StoreOptions::default();
        let mut bench = Bench { directory, clock, disk, catalogue, options, store: None, bucket: "".into() };
        bench.reopen().await;
        bench.bucket = bench.store().create_bucket(NewBucket::named("b")).unwrap().id;
        bench
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Stops without a word, as a kill does: what was not flushed is gone.
    async fn reopen(&mut self) {
        let disk: Arc<dyn ObjectStore> = Arc::clone(&self.disk) as _;
        self.reopen_on(disk).await;
    }

    async fn reopen_on(&mut self, disk: Arc<dyn ObjectStore>) {
        self.store = None;
        let catalogue = Arc::clone(&self.catalogue);
        let files = FileStore::with_store(self.directory.path(), disk).unwrap();
        let clock: Arc<ManualClock> = Arc::clone(&self.clock);
        self.store = Some(Store::open_with(files, self.options.clone(), catalogue, clock).await.unwrap());
    }

    fn apply(&self, source: &SourcePartition, rows: &[SeqPoint]) {
        assert_eq!(self.store().apply(&self.bucket, source, rows).unwrap(), []);
        if let Some(last) = rows.last() {
            self.store().advance(source, last.offset + 1);
        }
    }

    async fn read(&self, bounds: Bounds, ops: &[PushOp]) -> Vec<PlainTable> {
        let source = SourceRef { bucket: self.bucket.clone(), bounds };
        offer_and_read(self.store(), &source, ops).await.1
    }

    fn context(&self) -> MaintenanceContext {
        let bucket = self.store().bucket_state(&self.bucket).unwrap();
        self.store().maintenance_context(&bucket, self.clock.now_ns(), 0.0)
    }

    /// Compacts those files of one day and kind that a number says; returns whether rows of two of them overlapped in time.
    async fn compact_some(&self, choice: u64) -> Result<bool> {
        let mut overlapping = false;
        for table in self.store().tables() {
            let list = table.file_list();
            let Some(first) = list.files.get(choice as usize % list.files.len().max(1)) else { continue };
            let alike = list.files.iter().filter(|file| file.day() == first.day() && file.deletes == first.deletes);
            let inputs: Vec<_> =
                alike.enumerate().filter(|(at, _)| choice >> (at % 32) & 1 == 1).map(|it| it.1.clone()).collect();
            if !inputs.is_empty() {
                overlapping |= overlap(&inputs);
                let mut maintainer = table.files.maintainer.lock().await;
                table.compact(&mut maintainer, &list, inputs, &self.context()).await?;
            }
        }
        Ok(overlapping)
    }

    /// Compacts the files of all tables that `which` chooses, which are of one day and kind; returns how many there were.
    async fn compact_files(&self, which: impl Fn(&DataFile) -> bool) -> usize {
        let mut chosen = 0;
        for table in self.store().tables() {
            let list = table.file_list();
            let inputs: Vec<_> = list.files.iter().filter(|file| which(file)).cloned().collect();
            chosen += inputs.len();
            let mut maintainer = table.files.maintainer.lock().await;
            table.compact(&mut maintainer, &list, inputs, &self.context()).await.unwrap();
        }
        chosen
    }

    fn base(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    /// All files of the bucket, whatever they are.
    fn files_on_disk(&self) -> Vec<PathBuf> {
        files_below(&self.directory.path().join("buckets").join(&*self.bucket), "")
    }

    fn table_directory(&self, measurement: &str) -> PathBuf {
        self.directory.path().join("buckets").join(&*self.bucket).join(measurement)
    }
}

fn files_below(directory: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if !directory.exists() {
        return found;
    }
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, suffix));
        } else if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn values(tables: &[PlainTable]) -> Vec<Cell> {
    tables.iter().flat_map(|table| table.rows.iter().map(|row| row[3].clone())).collect()
}

/// Whether two of some files with rows overlap in time.
fn overlap(files: &[Arc<DataFile>]) -> bool {
    let mut times: Vec<(i64, i64)> = files.iter().filter(|file| !file.deletes).map(|file| file.times).collect();
    times.sort_unstable();
    times.windows(2).any(|pair| pair[1].0 <= pair[0].1)
}
