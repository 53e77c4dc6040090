//! Vacuum: files that are no part of a table any more leave the disk, a day after they were replaced.
//!
//! Called by maintenance now and then. A file goes only if no version of the last day names it, no scan of this process
//! has it pinned, and nobody is about to name it: flushes and maintenance stand still while the list is made. What a crash
//! left in the midst of a write goes after the same time.

use std::sync::Arc;

use futures::TryStreamExt;
use hashbrown::HashSet;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::data_file::DataFile;
use super::durable_files::remove_unfinished;
use super::flush::blocking;
use super::maintain::MaintenanceContext;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::store::table::Table;

/// How often vacuum looks, in nanoseconds: once an hour.
const EVERY_NS: i64 = 3_600 * 1_000_000_000;

impl Table {
    /// Vacuums if it is time to; returns how many files went.
    pub(crate) async fn vacuum_if_due(&self, context: &MaintenanceContext, keep_ns: i64) -> Result<usize> {
        let mut maintainer = self.files.maintainer.lock().await;
        let due = |last: i64| context.now_ns.saturating_sub(last) >= EVERY_NS.min(keep_ns.max(1));
        if !maintainer.vacuumed_ns.is_none_or(due) {
            return Ok(0);
        }
        maintainer.vacuumed_ns = Some(context.now_ns);
        let mut writer = self.files.writer.lock().await;
        // A commit that was reported as failed may have happened all the same: then the log names files that we do not know.
        self.read_log_if_unknown(&mut writer).await?;
        let pinned = |file: &Arc<DataFile>| Arc::strong_count(file) > 1;
        // What is still pinned is looked at again; the rest is known from the log.
        writer.replaced.retain(pinned);
        let held: HashSet<String> = writer.replaced.iter().map(|file| file.path.clone()).collect();
        let gone = self.needless(&writer.log, &held, context.now_ns, keep_ns).await?;
        drop(writer);
        let reader = &self.files.reader;
        failpoint("vacuum.before-delete");
        for path in &gone {
            match reader.store.delete(path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(Error::unavailable(format!("removing {path}: {error}"))),
            }
            failpoint("vacuum.deleted-one");
        }
        let (directory, before_ms) = (self.files.directory.clone(), context.now_ns.saturating_sub(keep_ns) / 1_000_000);
        let unfinished = blocking(move || {
            remove_unfinished(&directory, before_ms)
                .map_err(|error| Error::unavailable(format!("removing unfinished files: {error}")))
        });
        let unfinished = unfinished.await?;
        failpoint("vacuum.done");
        Ok(gone.len() + unfinished)
    }

    /// The files that nothing needs.
    async fn needless(
        &self,
        log: &super::log::TableLog,
        held: &HashSet<String>,
        now_ns: i64,
        keep_ns: i64,
    ) -> Result<Vec<Path>> {
        let reader = &self.files.reader;
        let list = self.file_list();
        let live: HashSet<&str> = list.files.iter().map(|file| file.path.as_str()).collect();
        let listed: Vec<_> = reader
            .store
            .list(Some(&reader.root))
            .try_collect()
            .await
            .map_err(|error| Error::unavailable(format!("listing files: {error}")))?;
        let relative = |path: &Path| {
            let rest: Vec<_> = path.prefix_match(&reader.root)?.collect();
            let names: Vec<&str> = rest.iter().map(|part| part.as_ref()).collect();
            let is_data = names.len() == 2 && names[1].ends_with(".parquet") && names[0] != "_delta_log";
            is_data.then(|| names.join("/"))
        };
        let candidates: Vec<_> = listed
            .into_iter()
            .filter_map(|file| Some((relative(&file.location)?, file)))
            .filter(|(name, _)| !live.contains(name.as_str()) && !held.contains(name))
            .collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let removed = log.removed().await?;
        let before_ms = now_ns.saturating_sub(keep_ns) / 1_000_000;
        let old = |name: &str, made_ms: i64| match removed.get(name) {
            Some(removed_ms) => *removed_ms <= before_ms,
            // The log has forgotten it, or a crash left it before it was named.
            None => made_ms <= before_ms,
        };
        let needless = candidates.into_iter().filter(|(name, file)| old(name, file.last_modified.timestamp_millis()));
        Ok(needless.map(|(_, file)| file.location).collect())
    }
}
