//! Deletes: which rows of a bucket are hidden, although they are in memory or in files.
//!
//! Called by `ingest/sink` with what delete records say, asked by scans and by whatever rewrites files. A delete by name
//! becomes rows of its own (a [`super::run::Run`] of deletes), which go to files with the others. A delete by range becomes
//! a mask of the bucket, kept in the catalogue: it also holds for measurements that come later, and it is durable before
//! the sink's position passes its record. Either hides versions that are older than itself, whenever they come.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::apply::SourcePartition;
use super::{BucketState, Store};
use crate::catalogue::{Batch, Durability, Keyspace};
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::name::Name;
use crate::point::delete::{Deleted, RangeDelete};
use crate::table::scan::Bounds;

/// Most masks of one bucket: every scan looks at all of them.
const MAX_MASKS: usize = 10_000;

/// A delete with its place in the log.
#[derive(Clone, Copy, Debug)]
pub struct SeqDelete<'a> {
    /// The offset of its record.
    pub offset: u64,
    /// What is older is hidden. A delete by range has its arrival time, the same in every partition.
    pub seq: i64,
    /// What it says.
    pub what: &'a Deleted,
}

/// A delete by range as a bucket keeps it, in memory and in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mask {
    /// Rows with a lesser `_seq` are hidden.
    pub(crate) seq: i64,
    #[serde(flatten)]
    pub(crate) range: RangeDelete,
}

/// The masks of a bucket.
#[derive(Clone, Debug, Default)]
pub(crate) struct Masks {
    masks: Vec<Mask>,
}

/// A range of time in which the older versions of a series are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hidden {
    pub(crate) start_ns: i64,
    pub(crate) stop_ns: i64,
    /// Versions with a lesser `_seq` are hidden.
    pub(crate) below_seq: i64,
}

/// At a time, below which `_seq` versions are hidden; `i64::MIN` if none are.
pub(crate) fn hidden_below(hidden: &[Hidden], time_ns: i64) -> i64 {
    let covering = hidden.iter().filter(|one| one.start_ns <= time_ns && time_ns < one.stop_ns);
    covering.map(|one| one.below_seq).max().unwrap_or(i64::MIN)
}

impl Masks {
    /// Those that may hide rows of a measurement within bounds.
    pub(crate) fn within(&self, measurement: &str, bounds: Bounds) -> Masks {
        let concerns = |mask: &&Mask| {
            let mut of_measurement = mask.range.predicate.iter().filter(|one| &*one.key == "_measurement");
            mask.range.start_ns < bounds.stop_ns
                && mask.range.stop_ns > bounds.start_ns
                && of_measurement.all(|one| one.holds(measurement, |_| None))
        };
        Masks { masks: self.masks.iter().filter(concerns).cloned().collect() }
    }

    /// The newest `_seq` below which one of them hides.
    pub(crate) fn newest_seq(&self) -> Option<i64> {
        self.masks.iter().map(|mask| mask.seq).max()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// What they hide of one series.
    pub(crate) fn of_series<'t>(
        &self,
        measurement: &'t str,
        tag: impl Fn(&str) -> Option<&'t str> + Copy,
    ) -> Vec<Hidden> {
        let holds = |mask: &&Mask| mask.range.predicate.iter().all(|condition| condition.holds(measurement, tag));
        let hidden =
            |mask: &Mask| Hidden { start_ns: mask.range.start_ns, stop_ns: mask.range.stop_ns, below_seq: mask.seq };
        self.masks.iter().filter(holds).map(hidden).collect()
    }

    /// Adds a mask; returns whether it hides anything that the others do not.
    fn add(&mut self, mask: &Mask) -> bool {
        match self.masks.iter_mut().find(|known| known.range == mask.range) {
            Some(known) if known.seq >= mask.seq => return false,
            Some(known) => known.seq = mask.seq,
            None => self.masks.push(mask.clone()),
        }
        true
    }
}

impl BucketState {
    /// The masks as they are now.
    pub(crate) fn masks(&self) -> Arc<Masks> {
        Arc::clone(&self.masks.read())
    }

    /// Takes up the masks that the catalogue keeps.
    pub(super) fn load_masks(&self, catalogue: &crate::catalogue::Catalogue) -> Result<()> {
        let kept: Option<Vec<Mask>> = catalogue.get(Keyspace::Deletes, &*self.id)?;
        *self.masks.write() = Arc::new(Masks { masks: kept.unwrap_or_default() });
        Ok(())
    }
}

impl Store {
    /// Applies a delete to a bucket: what it names is hidden from scans that begin after this returns.
    ///
    /// Errors: `NotFound` when the bucket is gone, `Invalid` for a range delete beyond the most that a bucket may have,
    /// `Unavailable` when it could not be made durable (apply it again).
    pub fn delete(&self, bucket: &str, source: &SourcePartition, delete: SeqDelete<'_>) -> Result<()> {
        let bucket = self.bucket_state(bucket)?;
        match delete.what {
            Deleted::Range(range) => self.add_mask(&bucket, &Mask { seq: delete.seq, range: range.clone() }),
            Deleted::Points(sets) => {
                let mut measurements: Vec<&Name> =
                    sets.iter().flat_map(|set| set.series.iter().map(|series| &series.measurement)).collect();
                measurements.sort_unstable();
                measurements.dedup();
                for measurement in measurements {
                    // Without a table there is nothing to hide: all that is older stands before it in its partition.
                    let Some(table) = bucket.table(measurement) else { continue };
                    let bytes = table.delete_points(source, delete.offset, delete.seq, sets, self.clock.now_ns())?;
                    self.memory_used.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
                }
                Ok(())
            }
        }
    }

    fn add_mask(&self, bucket: &BucketState, mask: &Mask) -> Result<()> {
        let _one = self.registering.lock();
        let mut masks = Masks::clone(&bucket.masks());
        if !masks.add(mask) {
            return Ok(());
        }
        if masks.masks.len() > MAX_MASKS {
            let message = format!("the bucket has {MAX_MASKS} deletes of other ranges and series already");
            return Err(Error::invalid(message).with_hint("delete longer ranges or more series at once"));
        }
        let mut batch = Batch::new();
        batch.put(Keyspace::Deletes, &*bucket.id, &masks.masks)?;
        failpoint("delete.before-commit");
        self.catalogue.commit(batch, Durability::Synced)?;
        failpoint("delete.committed");
        *bucket.masks.write() = Arc::new(masks);
        bucket.tables().iter().for_each(|table| table.forget_latest());
        failpoint("delete.done");
        Ok(())
    }

    /// How many more deletes by range a bucket takes.
    ///
    /// Errors: `NotFound` when the bucket is gone.
    pub fn deletes_left(&self, bucket: &str) -> Result<usize> {
        Ok(MAX_MASKS.saturating_sub(self.bucket_state(bucket)?.masks().masks.len()))
    }
}

#[cfg(test)]
mod tests;
