//! Parcels: what a writer in this process hands to the sink, so that it is not parsed twice and the writer hears the outcome.
//!
//! Filled by [`super::super::write`] before the append, emptied by the sink when it reaches the record. A record is known by
//! its arrival time, which no other has. A writer that stops waiting takes its parcel back, so what is here is bounded by
//! the writers that wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::ingest::dead_letter::Reason;
use crate::point::Point;

/// A record's points, and who waits for them.
pub(crate) struct Parcel {
    /// What the record's payload says.
    pub points: Vec<Point>,
    /// Told when the points can be read: which were not kept, by their place from 1.
    pub applied: oneshot::Sender<Vec<Reason>>,
}

/// The parcels under way.
#[derive(Default)]
pub(crate) struct Parcels {
    parcels: Mutex<HashMap<i64, Parcel>>,
    count: AtomicUsize,
}

impl Parcels {
    /// Puts a parcel in for the record of that arrival time.
    pub(crate) fn put(&self, arrival_ns: i64, parcel: Parcel) {
        let mut parcels = self.parcels.lock();
        parcels.insert(arrival_ns, parcel);
        self.count.store(parcels.len(), Ordering::Release);
    }

    /// Takes it out.
    pub(crate) fn take(&self, arrival_ns: i64) -> Option<Parcel> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut parcels = self.parcels.lock();
        let parcel = parcels.remove(&arrival_ns);
        self.count.store(parcels.len(), Ordering::Release);
        parcel
    }
}
