//! The durable log: topics of partitions of records, appended in batches, read by offset.
//!
//! Written by `ingest` (raw data), the API and `tasks` (results with the run record, atomically); read by the sink and by
//! `topic tail`. Two implementations, [`embedded`] and `kafka`, held to one conformance suite. An append returns after
//! the records are durable, never before; nothing here knows what a record means.

pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod murmur2;

pub use embedded::{EmbeddedLog, EmbeddedOptions};
#[cfg(feature = "kafka")]
pub use kafka::{KafkaLog, KafkaOptions};

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Error, Result};
use crate::table::Name;

/// A record to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRecord {
    /// The topic; it must exist.
    pub topic: Name,
    /// The partition, or `None`: murmur2 of the key over the topic's partitions, as Java producers choose.
    pub partition: Option<u32>,
    /// The key; empty is allowed and goes to partition murmur2("").
    pub key: Bytes,
    /// Header names (ASCII) and values, in order.
    pub headers: Vec<(Name, Bytes)>,
    /// The payload, byte for byte.
    pub payload: Bytes,
    /// The record's timestamp in milliseconds since the epoch (Kafka's `CreateTime`).
    pub timestamp_ms: i64,
}

/// Where an appended record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// The partition.
    pub partition: u32,
    /// The offset in it.
    pub offset: u64,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its offset.
    pub offset: u64,
    /// Milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// The key.
    pub key: Bytes,
    /// Headers in order.
    pub headers: Vec<(Name, Bytes)>,
    /// The payload.
    pub payload: Bytes,
}

impl Record {
    /// The value of the first header of that name.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|(own, _)| &**own == name).map(|(_, value)| value)
    }
}

/// The answer to a read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetched {
    /// Records in offset order; committed ones only.
    pub records: Vec<Record>,
    /// Where the next read goes on. It may be past the last record's offset + 1: transaction markers take offsets too.
    pub next_offset: u64,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: Name,
    /// How many partitions it has.
    pub partitions: u32,
    /// Grows when a topic is deleted and made again, or its partition count changes: offsets of different generations
    /// do not compare.
    pub generation: u32,
}

/// What a partition holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffsetRange {
    /// The offset of the oldest record that is kept.
    pub start: u64,
    /// One past the newest committed record (Kafka: the last stable offset).
    pub end: u64,
}

/// A group's committed position in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Everything below is done.
    pub offset: u64,
    /// A few bytes of the group's own (the sink keeps its sequence floor here).
    pub metadata: String,
}

/// The durable log.
///
/// Errors: `NotFound` for a topic or partition that does not exist, `OutOfRange` for a read below the start
/// (or past the end, which a reader can only know from another log), `ResourceExhausted` at the disk cap or a full queue (nothing was appended), `Unavailable` when the broker or disk
/// does not answer (it may or may not have been appended: appending again is harmless to content), `Conflict` when a
/// newer producer of the same transactional id has fenced this one.
#[async_trait]
pub trait CommitLog: Send + Sync + 'static {
    /// What it is, for people: `embedded log in ./fluxmill-data/log`, `kafka at 127.0.0.1:9092`.
    fn describe(&self) -> String;

    /// Makes a topic, or returns it as it is if it exists (its partition count is then not changed).
    async fn create_topic(&self, name: &str, partitions: u32) -> Result<TopicInfo>;

    /// All topics, by name.
    async fn topics(&self) -> Result<Vec<TopicInfo>>;

    /// One topic.
    async fn topic(&self, name: &str) -> Result<TopicInfo>;

    /// Appends records, durably, and returns where each stands. Concurrent calls are grouped into one sync. Records of
    /// one call to one partition stand in order; a failure may leave some of them appended.
    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>>;

    /// Appends records to any number of topics as one: after a crash all are there or none, and no reader sees a part.
    /// `producer` names the writer (Kafka: the transactional id); a newer process with the same name fences the older.
    async fn append_atomic(&self, producer: &str, records: Vec<NewRecord>) -> Result<Vec<Position>>;

    /// Takes over the name of a writer. When it returns, no older process appends atomically under that name any more, and
    /// every such append that was begun is decided: readers see it below the end that [`CommitLog::offsets`] gives from now
    /// on, or never will. To be called before what the name has written is read in order to go on from there, and after an
    /// append whose outcome is not known.
    async fn take_over(&self, producer: &str) -> Result<()>;

    /// Reads from an offset: returns as soon as there is at least one record (or the position moves past markers), or
    /// empty after `max_wait`.
    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        max_records: usize,
        max_wait: Duration,
    ) -> Result<Fetched>;

    /// First and end offset of a partition.
    async fn offsets(&self, topic: &str, partition: u32) -> Result<OffsetRange>;

    /// A group's committed position.
    async fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>>;

    /// Commits positions of a group, durably: (topic, partition, position).
    async fn commit(&self, group: &str, positions: Vec<(Name, u32, Committed)>) -> Result<()>;

    /// Drops what is older than the retention and below `before`, whole segments only. Kafka does its own retention and
    /// ignores this.
    async fn retain(&self, topic: &str, partition: u32, before: u64) -> Result<()>;

    /// Waits for appends under way and closes.
    async fn close(&self) -> Result<()>;
}

/// A topic has at most so many partitions.
const MAX_PARTITIONS: u32 = 1_024;
/// The longest name of a topic or a group, as Kafka has it.
const MAX_NAME: usize = 249;
/// The longest metadata of a committed position, as Kafka has it.
const MAX_METADATA: usize = 4_096;

/// Checks a topic's name and partition count. Both logs take what Kafka takes, so that a configuration fits either.
fn check_topic(name: &str, partitions: u32) -> Result<()> {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if name.is_empty() || name.len() > MAX_NAME || name == "." || name == ".." || !name.chars().all(legal) {
        return Err(Error::invalid(format!("{name:?} is no topic name"))
            .with_hint(format!("expected 1 to {MAX_NAME} letters, digits, dots, hyphens or underscores, all ASCII")));
    }
    if partitions == 0 || partitions > MAX_PARTITIONS {
        return Err(Error::invalid(format!(
            "topic {name:?} with {partitions} partitions: expected 1 to {MAX_PARTITIONS}"
        )));
    }
    Ok(())
}

fn check_group(group: &str) -> Result<()> {
    if group.is_empty() || group.len() > MAX_NAME {
        return Err(Error::invalid(format!("{group:?} is no group name: expected 1 to {MAX_NAME} bytes")));
    }
    Ok(())
}

fn check_metadata(position: &Committed) -> Result<()> {
    if position.metadata.len() > MAX_METADATA {
        return Err(Error::invalid(format!(
            "metadata of {} bytes for a committed position: at most {MAX_METADATA} are kept",
            position.metadata.len()
        )));
    }
    Ok(())
}
