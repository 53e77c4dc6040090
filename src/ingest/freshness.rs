//! Waits until buckets hold what the log holds: for queries that should see what was acknowledged before them.
//!
//! Used by the API before an ad-hoc query and by a command that opens a data directory. Tasks have a stricter wait of
//! their own. Nothing is read here but positions.

use std::time::Duration;

use tokio::time::Instant;

use crate::commitlog::CommitLog;
use crate::error::{ErrorKind, Result};
use crate::store::{SourcePartition, Store};

/// Waits until everything that is in the log now can be read from the bucket of that id (of all buckets if none is
/// given), at most `max_wait`; returns whether it can.
///
/// Errors: those of the log; a topic that has not been made yet holds nothing and is no error.
pub async fn wait(log: &dyn CommitLog, store: &Store, bucket: Option<&str>, max_wait: Duration) -> Result<bool> {
    let deadline = Instant::now() + max_wait;
    for one in store.buckets().into_iter().filter(|one| bucket.is_none_or(|id| *one.id == *id)) {
        for name in &one.topics {
            let topic = match log.topic(name).await {
                Ok(topic) => topic,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for partition in 0..topic.partitions {
                let end = log.offsets(name, partition).await?.end;
                let source = SourcePartition { topic: name.clone(), generation: topic.generation, partition };
                let left = deadline.saturating_duration_since(Instant::now());
                if !store.wait_applied(&source, end, left).await {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}
