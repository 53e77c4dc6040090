//! Buckets by name and id: made, listed, changed, deleted.
//!
//! Kept in the catalogue, shown by the API and the command line. Names are unique; ids are for ever.

use std::sync::Arc;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{BucketState, Store};
use crate::catalogue::{Batch, Catalogue, Durability, Keyspace};
use crate::error::{Error, Result};
use crate::name::Name;

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// 16 hex digits, not all zero.
    pub id: Name,
    /// Its name, unique.
    pub name: Name,
    /// Rows older than this are gone; `None` keeps them for ever.
    pub retention_ns: Option<i64>,
    /// The topics that fill it; the first is the one that `to()` and HTTP writes go to.
    pub topics: Vec<Name>,
    /// When it was made, in nanoseconds since the epoch.
    pub created_ns: i64,
}

/// What a bucket is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBucket {
    /// Its name; not empty.
    pub name: Name,
    /// Rows older than this are gone; `None` keeps them for ever.
    pub retention_ns: Option<i64>,
    /// The topics that fill it; empty: the topic of its name (with what topics cannot have in hex).
    pub topics: Vec<Name>,
}

impl NewBucket {
    /// A bucket that keeps everything and is filled by the topic of its name.
    pub fn named(name: &str) -> Self {
        NewBucket { name: name.into(), retention_ns: None, topics: Vec::new() }
    }
}

/// A bucket in the catalogue.
#[derive(Serialize, Deserialize)]
struct BucketRecord {
    id: String,
    name: String,
    retention_ns: Option<i64>,
    topics: Vec<String>,
    created_ns: i64,
}

impl From<&Bucket> for BucketRecord {
    fn from(bucket: &Bucket) -> Self {
        BucketRecord {
            id: bucket.id.to_string(),
            name: bucket.name.to_string(),
            retention_ns: bucket.retention_ns,
            topics: bucket.topics.iter().map(|topic| topic.to_string()).collect(),
            created_ns: bucket.created_ns,
        }
    }
}

impl From<BucketRecord> for Bucket {
    fn from(record: BucketRecord) -> Self {
        Bucket {
            id: record.id.into(),
            name: record.name.into(),
            retention_ns: record.retention_ns,
            topics: record.topics.into_iter().map(Name::from).collect(),
            created_ns: record.created_ns,
        }
    }
}

/// The buckets of a catalogue.
pub(super) fn load(catalogue: &Catalogue) -> Result<Vec<Bucket>> {
    let records = catalogue.list::<BucketRecord>(Keyspace::Buckets, "")?;
    Ok(records.into_iter().map(|(_, record)| record.into()).collect())
}

impl Store {
    /// Makes a bucket, durably. One of that name that exists is returned as it is.
    ///
    /// Errors: `Invalid` for an empty name, one that is too long for a topic, or a retention that is not positive.
    pub fn create_bucket(&self, new: NewBucket) -> Result<Bucket> {
        check(&new.name, new.retention_ns)?;
        let _one = self.registering.lock();
        if let Some(existing) = self.find(|bucket| bucket.name == new.name) {
            return Ok(existing);
        }
        let topics = if new.topics.is_empty() { vec![own_topic(&new.name)?] } else { new.topics };
        let bucket = Bucket {
            id: format!("{:016x}", rand::rng().random_range(1..=u64::MAX)).into(),
            name: new.name,
            retention_ns: new.retention_ns,
            topics,
            created_ns: self.clock.now_ns(),
        };
        self.catalogue.put(Keyspace::Buckets, &*bucket.id, &BucketRecord::from(&bucket), Durability::Synced)?;
        self.buckets.write().insert(bucket.id.clone(), Arc::new(BucketState::new(bucket.clone())));
        Ok(bucket)
    }

    /// All buckets, by name.
    pub fn buckets(&self) -> Vec<Bucket> {
        let mut all: Vec<Bucket> = self.buckets.read().values().map(|state| state.bucket.read().clone()).collect();
        all.sort_by(|left, right| left.name.cmp(&right.name));
        all
    }

    /// The bucket of a name, or else of an id.
    ///
    /// Errors: `NotFound`, in InfluxDB's words.
    pub fn bucket(&self, name_or_id: &str) -> Result<Bucket> {
        self.find(|bucket| &*bucket.name == name_or_id)
            .or_else(|| self.find(|bucket| &*bucket.id == name_or_id))
            .ok_or_else(|| Error::not_found(format!("could not find bucket {name_or_id:?}")))
    }

    /// Changes a bucket, durably: `change` is given the bucket as it is; what it does to the id is ignored.
    ///
    /// Errors: `NotFound`; `Conflict` when another bucket has the new name; `Invalid` as in [`Store::create_bucket`].
    pub fn update_bucket(&self, id: &str, change: impl FnOnce(&mut Bucket)) -> Result<Bucket> {
        let _one = self.registering.lock();
        let state = self.bucket_state(id)?;
        let mut bucket = state.bucket.read().clone();
        change(&mut bucket);
        bucket.id = state.id.clone();
        check(&bucket.name, bucket.retention_ns)?;
        if self.find(|other| other.name == bucket.name && other.id != bucket.id).is_some() {
            return Err(Error::conflict(format!("bucket with name {} already exists", bucket.name)));
        }
        self.catalogue.put(Keyspace::Buckets, &*bucket.id, &BucketRecord::from(&bucket), Durability::Synced)?;
        *state.bucket.write() = bucket.clone();
        Ok(bucket)
    }

    /// Deletes a bucket and its rows. The topics that fill it stay.
    ///
    /// Errors: `NotFound`.
    pub fn delete_bucket(&self, id: &str) -> Result<()> {
        let _one = self.registering.lock();
        let state = self.bucket_state(id)?;
        let mut batch = Batch::new();
        batch.remove(Keyspace::Buckets, id);
        batch.remove(Keyspace::Deletes, id);
        for table in state.tables() {
            batch.remove(Keyspace::Columns, super::columns_key(id, &table.measurement));
        }
        self.catalogue.commit(batch, Durability::Synced)?;
        self.buckets.write().remove(id);
        self.release_memory(state.tables().iter().map(|table| table.forget_rows()).sum());
        self.files.remove_bucket(id);
        Ok(())
    }

    fn find(&self, wanted: impl Fn(&Bucket) -> bool) -> Option<Bucket> {
        let buckets = self.buckets.read();
        buckets.values().map(|state| state.bucket.read()).find(|bucket| wanted(bucket)).map(|bucket| bucket.clone())
    }
}

/// The longest name of a bucket's own topic. Topics may have 249 letters; the rest is for that of the dead letters.
const MAX_TOPIC: usize = 200;

/// The topic of a bucket's name. Buckets may have names that topics may not (`telegraf/autogen`, `Hall 2`): what is not an
/// ASCII letter, digit, dot, hyphen or underscore stands as its bytes in hex (`telegraf.x2f.autogen`, `Hall.x20.2`), so
/// that every instance finds the same topic.
fn own_topic(name: &str) -> Result<Name> {
    let mut topic = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => topic.push(char::from(byte)),
            other => topic.push_str(&format!(".x{other:02x}.")),
        }
    }
    if matches!(topic.as_str(), "." | "..") {
        topic.push_str("bucket");
    }
    if topic.len() > MAX_TOPIC {
        return Err(Error::invalid(format!("the bucket name {name:?} is too long"))
            .with_hint(format!("its topic {topic} has {} letters, at most {MAX_TOPIC} are possible", topic.len())));
    }
    Ok(topic.into())
}

fn check(name: &str, retention_ns: Option<i64>) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("a bucket needs a name"));
    }
    match retention_ns {
        Some(retention_ns) if retention_ns <= 0 => Err(Error::invalid("a bucket's retention must be positive")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::own_topic;

    #[test]
    fn every_bucket_has_a_topic_that_a_log_takes() {
        for (bucket, topic) in [
            ("plant_latest", "plant_latest"),
            ("telegraf/autogen", "telegraf.x2f.autogen"),
            ("Hall 2", "Hall.x20.2"),
            ("größe", "gr.xc3..xb6..xc3..x9f.e"),
            ("<bucket>", ".x3c.bucket.x3e."),
            ("..", "..bucket"),
        ] {
            assert_eq!(&*own_topic(bucket).unwrap(), topic);
        }
        assert!(own_topic(&"x".repeat(201)).is_err());
        assert_eq!(own_topic(&"x".repeat(200)).unwrap().len(), 200);
    }
}
