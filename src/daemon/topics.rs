//! The buckets that the configuration names, and the topics that fill them.
//!
//! Used by `daemon` at its start: a route's topic is a bucket of that name unless a `[[bucket]]` lists the topic.

use crate::commitlog::CommitLog;
use crate::config::Config;
use crate::error::Result;
use crate::name::Name;
use crate::store::{NewBucket, Store};

/// Makes what does not exist yet, and gives existing buckets their configured topics and retention.
pub(super) async fn make_buckets(config: &Config, store: &Store, log: &dyn CommitLog) -> Result<()> {
    let mut wanted: Vec<NewBucket> = Vec::new();
    for bucket in &config.buckets {
        wanted.push(NewBucket {
            name: bucket.name.as_str().into(),
            retention_ns: bucket.retention.map(|age| age.nanoseconds()),
            topics: bucket.topics.iter().map(|topic| Name::from(topic.as_str())).collect(),
        });
    }
    for route in &config.routes {
        let listed = wanted
            .iter()
            .any(|bucket| *bucket.name == *route.topic || bucket.topics.iter().any(|topic| **topic == *route.topic));
        if !listed {
            wanted.push(NewBucket::named(&route.topic));
        }
    }
    for new in wanted {
        let configured = config.buckets.iter().any(|bucket| *bucket.name == *new.name);
        let (retention_ns, topics) = (new.retention_ns, new.topics.clone());
        let mut bucket = store.create_bucket(new)?;
        if configured {
            bucket = store.update_bucket(&bucket.id, |bucket| {
                bucket.retention_ns = retention_ns;
                if !topics.is_empty() {
                    bucket.topics = topics;
                }
            })?;
        }
        for topic in &bucket.topics {
            log.create_topic(topic, config.log.partitions).await?;
        }
    }
    Ok(())
}
