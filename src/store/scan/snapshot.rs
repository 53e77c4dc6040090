//! Buckets as a run sees them: each is pinned when it is first looked at, and stays so until the run ends.
//!
//! Made by the engine's world for each run, so that two reads of one script agree. Files that a snapshot has pinned are not
//! vacuumed while it lives.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;

use super::super::Store;
use super::super::deletes::Masks;
use super::super::table::{Table, TableView};
use crate::error::Result;
use crate::name::Name;

/// What a run has pinned.
#[derive(Default)]
pub struct Snapshot {
    buckets: Mutex<HashMap<Name, Arc<PinnedBucket>>>,
}

/// A bucket as it stood when the run first looked at it.
pub(super) struct PinnedBucket {
    pub(super) tables: Vec<Arc<Table>>,
    /// Rows before this time are no longer kept.
    pub(super) keep_from_ns: i64,
    /// What is deleted by range.
    masks: Arc<Masks>,
    views: Mutex<HashMap<Name, TableView>>,
}

impl Snapshot {
    /// The bucket as it is pinned.
    ///
    /// Errors: `NotFound` when it does not exist.
    pub(super) fn bucket(&self, store: &Store, id: &Name) -> Result<Arc<PinnedBucket>> {
        let mut buckets = self.buckets.lock();
        if let Some(pinned) = buckets.get(id) {
            return Ok(Arc::clone(pinned));
        }
        let bucket = store.bucket_state(id)?;
        let pinned = Arc::new(PinnedBucket {
            tables: bucket.tables(),
            keep_from_ns: bucket.keep_from_ns(store.clock.now_ns()),
            masks: bucket.masks(),
            views: Mutex::default(),
        });
        buckets.insert(id.clone(), Arc::clone(&pinned));
        Ok(pinned)
    }
}

impl PinnedBucket {
    /// A table of it as it is pinned; with its newest values, if they are wanted and it is pinned now.
    pub(super) fn view(&self, table: &Arc<Table>, with_latest: bool) -> Result<TableView> {
        let mut views = self.views.lock();
        if let Some(view) = views.get(&table.measurement) {
            return Ok(view.clone());
        }
        let view = TableView { masks: Arc::clone(&self.masks), ..table.view(with_latest)? };
        views.insert(table.measurement.clone(), view.clone());
        Ok(view)
    }
}
