//! The store as the world of scripts.
//!
//! Made by the daemon and by commands that open a data directory. The only place where a scan of the store and the
//! language meet.

use std::sync::Arc;

use crate::clock::Clock;
use crate::diagnostic::nearest;
use crate::error::{Error, ErrorKind, Result};
use crate::flux::host::BucketInfo;
use crate::name::Name;
use crate::plan::World;
use crate::store::{Snapshot, Store};
use crate::table::scan::{PushOp, SourceRef, Taken};

/// The buckets of a store.
#[derive(Clone)]
pub struct StoreWorld {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    /// What a run has pinned; a world that is no run's pins for each read.
    snapshot: Option<Arc<Snapshot>>,
}

impl StoreWorld {
    /// The buckets of a store, and a clock for `system.time()`.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> StoreWorld {
        StoreWorld { store, clock, snapshot: None }
    }
}

impl World for StoreWorld {
    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        match self.store.bucket(name_or_id) {
            Ok(bucket) => Ok(bucket.id),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let buckets = self.store.buckets();
                Err(with_near(error, name_or_id, buckets.iter().map(|bucket| &*bucket.name)))
            }
            Err(error) => Err(error),
        }
    }

    fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        match &self.snapshot {
            Some(snapshot) => self.store.offer_at(snapshot, source, ops, max),
            None => self.store.offer(source, ops, max),
        }
    }

    fn for_run(&self) -> Option<Arc<dyn World>> {
        Some(Arc::new(StoreWorld { snapshot: Some(Arc::default()), ..self.clone() }))
    }

    fn buckets(&self) -> Vec<BucketInfo> {
        let buckets = self.store.buckets().into_iter();
        buckets.map(|own| BucketInfo { id: own.id, name: own.name, retention_ns: own.retention_ns }).collect()
    }

    fn secret(&self, _name: &str) -> Option<String> {
        None
    }

    fn wall_clock_ns(&self) -> i64 {
        self.clock.now_ns()
    }
}

/// A world without buckets, for scripts that need none.
#[derive(Clone, Copy, Debug)]
pub struct NoBuckets;

impl World for NoBuckets {
    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        Err(Error::not_found(format!("could not find bucket {name_or_id:?}")))
    }

    fn offer(&self, source: &SourceRef, _ops: &[PushOp], _max: usize) -> Result<Taken> {
        Err(Error::not_found(format!("could not find bucket {:?}", source.bucket)))
    }

    fn secret(&self, _name: &str) -> Option<String> {
        None
    }

    fn wall_clock_ns(&self) -> i64 {
        crate::clock::SystemClock.now_ns()
    }
}

/// The error with the bucket that was probably meant.
pub(super) fn with_near<'a>(error: Error, name: &str, buckets: impl Iterator<Item = &'a str>) -> Error {
    match nearest(name, buckets) {
        Some(near) => error.with_hint(format!("there is a bucket {near:?}")),
        None => error,
    }
}
