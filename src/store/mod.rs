//! Buckets: what the sink has applied, in memory and in files, and the scan over both.
//!
//! Filled by `ingest/sink` only, read through [`Store::offer`] by the engine. The log is the durable copy until a flush;
//! nothing here acknowledges anything to a client.

// Without files there are no flushes, and what only they need is idle.
#![cfg_attr(not(feature = "delta"), allow(dead_code))]

mod apply;
pub mod bucket;
mod columns;
mod convert;
mod deletes;
#[cfg(feature = "delta")]
#[path = "delta/mod.rs"]
mod files;
#[cfg(not(feature = "delta"))]
#[path = "no_files.rs"]
mod files;
mod flush;
mod hot;
mod latest;
mod maintain;
mod measurements;
mod merge;
mod predicate;
mod rebuild;
mod run;
pub(crate) mod scan;
mod series;
mod table;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures::{StreamExt, TryStreamExt};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

pub use self::apply::{MAX_AHEAD_NS, Rejected, SeqPoint, SourcePartition};
pub use self::bucket::{Bucket, NewBucket};
pub use self::deletes::SeqDelete;
pub use self::flush::FlushReport;
pub use self::maintain::{BucketStats, CompactReport, MaintenanceReport};
pub use self::measurements::Measurement;
pub use self::scan::Snapshot;
#[cfg(feature = "delta")]
pub use self::scan::{WideColumn, WideKind, WideTable};

use self::apply::{Positions, columns_key};
use self::columns::{Columns, ColumnsRecord};
use self::deletes::Masks;
use self::files::FileStore;
use self::table::Table;
use crate::catalogue::{Catalogue, Keyspace};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::name::Name;

/// How much a store keeps in memory, and when it writes files.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// What rows that are not yet in files may take, in bytes. At the limit [`Store::apply`] refuses.
    pub memory_bytes: usize,
    /// A table with this many rows in memory is written to files.
    pub flush_rows: usize,
    /// A table with this many bytes in memory is written to files.
    pub flush_bytes: usize,
    /// A table whose oldest row in memory is this old is written to files, in nanoseconds.
    pub flush_age_ns: i64,
    /// Files stay on the disk for so long after they were replaced, in nanoseconds.
    pub vacuum_after_ns: i64,
    /// A scan of more rows is read in stretches of series, of at most about so many rows each.
    pub scan_stretch_rows: u64,
}

/// Tables whose logs are read at once on opening.
const OPENED_AT_ONCE: usize = 8;

impl Default for StoreOptions {
    fn default() -> Self {
        StoreOptions {
            memory_bytes: 512 << 20,
            flush_rows: 100_000,
            flush_bytes: 64 << 20,
            flush_age_ns: 30 * 1_000_000_000,
            vacuum_after_ns: 86_400 * 1_000_000_000,
            scan_stretch_rows: 1 << 18,
        }
    }
}

/// All buckets of a data directory.
pub struct Store {
    files: FileStore,
    options: StoreOptions,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    buckets: RwLock<BTreeMap<Name, Arc<BucketState>>>,
    positions: Positions,
    /// Held while columns are made durable, and while the list of buckets changes.
    registering: Mutex<()>,
    memory_used: AtomicUsize,
    memory_freed: Notify,
}

/// A bucket and its tables.
pub(crate) struct BucketState {
    id: Name,
    bucket: RwLock<Bucket>,
    tables: RwLock<BTreeMap<Name, Arc<Table>>>,
    /// What is deleted by range.
    masks: RwLock<Arc<Masks>>,
}

impl BucketState {
    fn new(bucket: Bucket) -> Self {
        BucketState {
            id: bucket.id.clone(),
            bucket: RwLock::new(bucket),
            tables: RwLock::default(),
            masks: RwLock::default(),
        }
    }

    fn table(&self, measurement: &str) -> Option<Arc<Table>> {
        self.tables.read().get(measurement).cloned()
    }

    fn tables(&self) -> Vec<Arc<Table>> {
        self.tables.read().values().cloned().collect()
    }

    fn add_table(&self, table: Table) -> Arc<Table> {
        let table = Arc::new(table);
        self.tables.write().insert(table.measurement.clone(), Arc::clone(&table));
        table
    }

    fn retention_ns(&self) -> Option<i64> {
        self.bucket.read().retention_ns
    }

    /// Rows before this time are no longer kept.
    fn keep_from_ns(&self, now_ns: i64) -> i64 {
        self.retention_ns().map_or(i64::MIN, |retention_ns| now_ns.saturating_sub(retention_ns))
    }
}

impl Store {
    /// Opens the buckets that the catalogue knows; their files are below `directory`.
    ///
    /// Errors: `FailedPrecondition` when the catalogue or a table cannot be understood, `Unavailable` when the disk refuses.
    pub async fn open(
        directory: &Path,
        options: StoreOptions,
        catalogue: Arc<Catalogue>,
        clock: Arc<dyn Clock>,
    ) -> Result<Store> {
        Self::open_with(FileStore::new(directory)?, options, catalogue, clock).await
    }

    async fn open_with(
        files: FileStore,
        options: StoreOptions,
        catalogue: Arc<Catalogue>,
        clock: Arc<dyn Clock>,
    ) -> Result<Store> {
        let mut buckets = BTreeMap::new();
        let mut tables = Vec::new();
        for bucket in bucket::load(&catalogue)? {
            let state = BucketState::new(bucket);
            state.load_masks(&catalogue)?;
            let prefix = columns_key(&state.id, "");
            for (key, record) in catalogue.list::<ColumnsRecord>(Keyspace::Columns, &prefix)? {
                let measurement: Name = String::from_utf8_lossy(&key[prefix.len()..]).into();
                let columns = Columns::from_record(&record).ok_or_else(|| {
                    Error::failed_precondition(format!(
                        "measurement {measurement} of bucket {} has a column of an unknown type",
                        state.id
                    ))
                })?;
                let own_files = files.table(&state.id, &measurement)?;
                tables.push(state.add_table(Table::new(measurement, columns, own_files)));
            }
            buckets.insert(state.id.clone(), Arc::new(state));
        }
        futures::stream::iter(&tables)
            .map(|table| table.open_files())
            .buffer_unordered(OPENED_AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        Ok(Store {
            files,
            options,
            catalogue,
            clock,
            buckets: RwLock::new(buckets),
            positions: Positions::default(),
            registering: Mutex::new(()),
            memory_used: AtomicUsize::new(0),
            memory_freed: Notify::new(),
        })
    }

    fn bucket_state(&self, id: &str) -> Result<Arc<BucketState>> {
        self.buckets.read().get(id).cloned().ok_or_else(|| Error::not_found(format!("there is no bucket with id {id}")))
    }

    fn tables(&self) -> Vec<Arc<Table>> {
        self.buckets.read().values().flat_map(|bucket| bucket.tables()).collect()
    }
}
