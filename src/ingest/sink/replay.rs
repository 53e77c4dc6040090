//! Topics read again from their start: for a bucket that is rebuilt, for a field that got another type.
//!
//! Asked for over the API. The readers of the bucket's topics stop, the committed positions go back first (so that a crash
//! at any later step repeats and loses nothing), the store is changed, and the readers begin anew. What was a dead letter
//! the first time is not buried a second time.

use super::place::Place;
use super::{Followed, Sink};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::store::Bucket;
use crate::table::ColumnType;

impl Sink {
    /// Gives a field of a bucket another type: stored values are converted where nothing is lost, and the topics are read
    /// again for those that were dead letters. Returns when the replay has begun.
    ///
    /// Errors: `NotFound`; `Invalid` for a type that no field has; those of the log and the disk.
    pub async fn retype(&self, bucket: &Bucket, measurement: &str, field: &str, to: ColumnType) -> Result<()> {
        if self.shared.store.field_type(&bucket.id, measurement, field)? == to {
            return Err(Error::invalid(format!("field {field:?} is of type {} already", to.flux_name())));
        }
        let work = self.shared.store.retype_field(&bucket.id, measurement, field, to);
        self.replay(bucket, work).await
    }

    /// Drops a bucket's rows and reads its topics again. Returns when the replay has begun.
    ///
    /// Errors: `FailedPrecondition` if the log no longer has the beginning of a topic and `force` is not set; those of the
    /// log and the disk.
    pub async fn rebuild(&self, bucket: &Bucket, force: bool) -> Result<()> {
        for (topic, partition) in self.partitions_of(bucket) {
            let start = self.shared.log.offsets(&topic, partition).await?.start;
            if start > 0 && !force {
                return Err(Error::failed_precondition(format!(
                    "the log has dropped the records of {topic}/{partition} before {start}: their rows would be lost"
                ))
                .with_hint("pass --force to rebuild from what the log still has"));
            }
        }
        self.replay(bucket, self.shared.store.clear_bucket(&bucket.id)).await
    }

    fn partitions_of(&self, bucket: &Bucket) -> Vec<(Name, u32)> {
        let followed = self.followed.lock();
        followed.keys().filter(|(topic, _)| bucket.topics.contains(topic)).cloned().collect()
    }

    async fn replay(&self, bucket: &Bucket, work: impl Future<Output = Result<()>>) -> Result<()> {
        // Nobody begins with a topic meanwhile, and nobody commits a position.
        let _refreshing = self.refreshing.lock().await;
        let committing = self.committing.lock().await;
        let mut stopped: Vec<(Name, u32, Followed)> = Vec::new();
        for key in self.partitions_of(bucket) {
            let taken = self.followed.lock().remove(&key);
            if let Some(followed) = taken {
                followed.stop.cancel();
                stopped.push((key.0, key.1, followed));
            }
        }
        let mut read_until = Vec::with_capacity(stopped.len());
        for (_, _, followed) in &stopped {
            followed.ended.cancelled().await;
            // The letters of the first reading are there, also where a replay was cut short by this one.
            let read = self.shared.store.applied(&followed.progress.source).unwrap_or(0);
            read_until.push(read.max(followed.progress.quiet_until));
        }
        let done = match self.rewind(&stopped).await {
            Ok(()) => work.await,
            Err(error) => Err(error),
        };
        drop(committing);
        // Whatever happened, reading goes on.
        for ((topic, partition, followed), quiet_until) in stopped.into_iter().zip(read_until) {
            let info = self.shared.log.create_topic(&topic, self.options.partitions).await?;
            let buckets = followed.progress.buckets.read().clone();
            self.begin(&info, partition, &buckets, quiet_until).await?;
        }
        done
    }

    /// Sets positions back to the start of the log, durably, then in the store: who waits for data waits for the replay.
    async fn rewind(&self, stopped: &[(Name, u32, Followed)]) -> Result<()> {
        let mut positions = Vec::with_capacity(stopped.len());
        let mut starts = Vec::with_capacity(stopped.len());
        for (topic, partition, followed) in stopped {
            let start = self.shared.log.offsets(topic, *partition).await?.start;
            let generation = followed.progress.source.generation;
            starts.push((&followed.progress.source, start));
            positions.push((Name::clone(topic), *partition, Place::at(start).committed(generation)));
        }
        if !positions.is_empty() {
            self.shared.log.commit(&self.options.group, positions).await?;
        }
        for (source, start) in starts {
            self.shared.store.restart_source(source, start);
        }
        Ok(())
    }
}
