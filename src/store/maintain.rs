//! The store's housekeeping: what is too old goes, small files become few, and nobody keeps what nobody reads.
//!
//! Called by the daemon's background loop, and by `bucket compact` for one bucket. What is done to a table's files is
//! `store::delta`'s; which tables, and when, is decided here. Nothing here changes what a read shows.

use std::sync::Arc;

use super::files::{MaintenanceContext, TableMaintenance};
use super::table::Table;
use super::{BucketState, Store};
use crate::error::Result;

/// Background work rests three times as long as it works: a quarter of a processor.
const REST: f64 = 3.0;

/// What maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaintenanceReport {
    /// Files that were merged into others.
    pub compacted: usize,
    /// Files that stand in their place.
    pub written: usize,
    /// Files that were dropped because all of their rows are older than the bucket keeps.
    pub expired: usize,
    /// Files that left the disk.
    pub vacuumed: usize,
}

/// What a compaction of a bucket did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Tables of which files were merged.
    pub tables: usize,
    /// Files before.
    pub files_before: usize,
    /// Files that stand in their place.
    pub files_after: usize,
    /// Rows in those.
    pub rows: usize,
}

/// What a bucket holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketStats {
    /// Measurements.
    pub measurements: usize,
    /// Series in files and in memory.
    pub series: usize,
    /// Live files.
    pub files: usize,
    /// Rows in them; several versions of a point count each.
    pub rows: u64,
    /// Field values in them.
    pub points: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows that are in memory only.
    pub hot_rows: usize,
}

impl Store {
    /// Does what is due at `now_ns`, table after table: retention, compaction of small files, vacuum.
    ///
    /// Errors: the first that occurred; the other tables were still looked after.
    pub async fn maintain(&self, now_ns: i64) -> Result<MaintenanceReport> {
        let mut report = MaintenanceReport::default();
        let mut failure = None;
        let buckets: Vec<Arc<BucketState>> = self.buckets.read().values().cloned().collect();
        for bucket in buckets {
            for table in bucket.tables() {
                if self.bucket_state(&bucket.id).is_err() {
                    // It was deleted meanwhile, and so were its files.
                    break;
                }
                let context = self.maintenance_context(&bucket, now_ns, REST);
                if let Err(error) = self.maintain_table(&table, &context, &mut report).await {
                    tracing::error!(%error, measurement = %table.measurement, "a table could not be looked after");
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    async fn maintain_table(
        &self,
        table: &Table,
        context: &MaintenanceContext,
        report: &mut MaintenanceReport,
    ) -> Result<()> {
        report.expired += table.expire(context).await?.files_before;
        loop {
            let TableMaintenance { files_before, files_after, .. } = table.compact_due(context).await?;
            if files_before == 0 {
                break;
            }
            tracing::debug!(measurement = %table.measurement, files_before, files_after, "files were compacted");
            report.compacted += files_before;
            report.written += files_after;
            if files_after >= files_before {
                // Nothing is won by going on.
                break;
            }
        }
        report.vacuumed += table.vacuum_if_due(context, self.options.vacuum_after_ns).await?;
        Ok(())
    }

    /// Writes all rows of a bucket to files and makes one sorted group of files of each day.
    ///
    /// Errors: `NotFound`; as [`Store::flush`].
    pub async fn compact_bucket(&self, bucket: &str) -> Result<CompactReport> {
        let bucket = self.bucket_state(bucket)?;
        let now_ns = self.clock.now_ns();
        self.flush_tables(bucket.tables(), now_ns).await?;
        let mut report = CompactReport::default();
        for table in bucket.tables() {
            let context = self.maintenance_context(&bucket, now_ns, 0.0);
            table.expire(&context).await?;
            let done = table.compact_all(&context).await?;
            report.tables += usize::from(done.files_before > 0);
            report.files_before += done.files_before;
            report.files_after += done.files_after;
            report.rows += done.rows;
        }
        Ok(report)
    }

    /// What a bucket holds.
    ///
    /// Errors: `NotFound`; `Unavailable` and `FailedPrecondition` when a file cannot be read.
    pub async fn bucket_stats(&self, bucket: &str) -> Result<BucketStats> {
        let bucket = self.bucket_state(bucket)?;
        let mut all = BucketStats::default();
        for table in bucket.tables() {
            let stats = table.view(false)?.stats().await?;
            all.measurements += 1;
            all.series += stats.series;
            all.files += stats.files;
            all.rows += stats.rows;
            all.points += stats.points;
            all.bytes += stats.bytes;
            all.hot_rows += stats.hot_rows;
        }
        Ok(all)
    }

    pub(super) fn maintenance_context(&self, bucket: &BucketState, now_ns: i64, rest: f64) -> MaintenanceContext {
        MaintenanceContext {
            applied: self.positions.all(),
            now_ns,
            keep_from_ns: bucket.keep_from_ns(now_ns),
            masks: bucket.masks(),
            rest,
        }
    }
}
