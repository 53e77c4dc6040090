//! When rows go to files: by age, rows, bytes, or because memory is short.
//!
//! Called by the daemon every second or so, by the sink when the store refuses, and on shutdown. How files are written is
//! `store::delta`'s; which tables, and in what order, is decided here.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;

use super::Store;
use super::files::SourcePositions;
use super::table::{Load, Table};
use crate::error::Result;

/// Tables that are written at once: while one waits for the disk, another is encoded.
const FLUSHED_AT_ONCE: usize = 4;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Tables that were written.
    pub tables: usize,
    /// Rows in the new files.
    pub rows: usize,
    /// New files.
    pub files: usize,
}

impl Store {
    /// Writes the tables that are due at `now_ns` to files: those with enough rows or bytes, with rows that are old enough,
    /// and, when memory is more than half used, the largest. Afterwards [`Store::low_water`] has moved.
    ///
    /// Errors: the first that occurred; the other tables were still written, and the rows of those that failed stay.
    pub async fn flush(&self, now_ns: i64) -> Result<FlushReport> {
        let options = &self.options;
        let due = |load: &Load| {
            load.rows >= options.flush_rows
                || load.bytes >= options.flush_bytes
                || load.since_ns.is_some_and(|since| since <= now_ns.saturating_sub(options.flush_age_ns))
        };
        let mut tables: Vec<(Arc<Table>, Load)> =
            self.tables().into_iter().map(|table| (Arc::clone(&table), table.load())).collect();
        tables.retain(|(_, load)| load.rows > 0);
        let (mut chosen, mut rest): (Vec<_>, Vec<_>) = tables.into_iter().partition(|(_, load)| due(load));
        // The least recent first.
        chosen.sort_by_key(|(_, load)| load.since_ns);
        rest.sort_by_key(|(_, load)| std::cmp::Reverse(load.bytes));
        let freed: usize = chosen.iter().map(|(_, load)| load.bytes).sum();
        let mut left = self.memory_used.load(Ordering::Acquire).saturating_sub(freed);
        for (table, load) in rest {
            if left <= options.memory_bytes / 2 {
                break;
            }
            left = left.saturating_sub(load.bytes);
            chosen.push((table, load));
        }
        self.flush_tables(chosen.into_iter().map(|(table, _)| table).collect(), now_ns).await
    }

    /// Writes all rows in memory to files.
    ///
    /// Errors: as [`Store::flush`].
    pub async fn flush_all(&self) -> Result<FlushReport> {
        self.flush_tables(self.tables(), self.clock.now_ns()).await
    }

    pub(super) async fn flush_tables(&self, tables: Vec<Arc<Table>>, now_ns: i64) -> Result<FlushReport> {
        let flush = |table: Arc<Table>| async move {
            // Read before the rows are taken: all below has been applied, so it is among them.
            let applied: SourcePositions = self.positions.all();
            // The pair tells, after a crash, whether it fell into a flush.
            tracing::debug!("flush begins");
            let flushed = table.flush_to_files(&applied, now_ns).await;
            tracing::debug!("flush ends");
            if let Ok(flushed) = &flushed {
                self.release_memory(flushed.freed);
            }
            flushed
        };
        let mut flushes = futures::stream::iter(tables).map(flush).buffer_unordered(FLUSHED_AT_ONCE);
        let mut report = FlushReport::default();
        let mut failure = None;
        while let Some(flushed) = flushes.next().await {
            match flushed {
                Ok(flushed) => {
                    report.tables += usize::from(flushed.files > 0);
                    report.rows += flushed.rows;
                    report.files += flushed.files;
                }
                Err(error) => {
                    tracing::error!(%error, "rows could not be written to files");
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(report),
        }
    }

    pub(crate) fn release_memory(&self, bytes: usize) {
        let release = |used: usize| Some(used.saturating_sub(bytes));
        // The closure always gives a value, so the update cannot fail.
        let _ = self.memory_used.fetch_update(Ordering::AcqRel, Ordering::Acquire, release);
        self.memory_freed.notify_waiters();
    }

    /// About how many bytes rows take that are not yet in files.
    pub fn memory_used(&self) -> usize {
        self.memory_used.load(Ordering::Acquire)
    }

    /// Waits until [`Store::apply`] would take rows again, at most `max_wait`; returns whether it would. Somebody else has to
    /// flush meanwhile.
    pub async fn wait_for_memory(&self, max_wait: Duration) -> bool {
        let waiting = async {
            loop {
                let freed = self.memory_freed.notified();
                if self.memory_used() < self.options.memory_bytes {
                    return;
                }
                freed.await;
            }
        };
        tokio::time::timeout(max_wait, waiting).await.is_ok()
    }
}
