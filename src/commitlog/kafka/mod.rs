//! The log on Apache Kafka.
//!
//! Opened by the daemon instead of the embedded log; behind the feature `kafka`. Appends are acknowledged by all in-sync
//! replicas (acks=all, idempotent); atomic ones are transactions; readers see committed records only; positions are those
//! of consumer groups, which Kafka's own tools show and set. No group is ever joined: who reads what is decided above. Every
//! call ends within a bound; while the brokers are away they end as `Unavailable`, and go on by themselves when the brokers
//! are back.
//!
//! Acknowledged means what the topic's replicas make of it: on a single broker it survives the broker's kill, not a power
//! cut, since Kafka answers from the page cache. Records are kept as long as Kafka is set to; a timestamp of 0 is taken as
//! "now". A record that is sent again because the broker died before it answered is there once, unless its timestamp lies
//! more than a day back: by that time Kafka judges whose records it still has to know (`producer.id.expiration.ms`).
//!
//! | file | what |
//! |---|---|
//! | `client` | options, and what the clients are set to |
//! | `producer`, `transaction` | appends, atomic appends |
//! | `reader` | cursors on partitions |
//! | `topics`, `positions` | topics; positions of groups |
//! | `native`, `errors` | unsafe calls of librdkafka; its codes as errors |

mod client;
mod errors;
mod native;
mod positions;
mod producer;
mod reader;
mod topics;
mod transaction;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::Consumer;

pub use self::client::KafkaOptions;
use self::native::Client;
use self::positions::Positions;
use self::producer::Appender;
use self::reader::Readers;
use self::topics::Topics;
use self::transaction::Transactions;
use super::murmur2::partition_of;
use super::{CommitLog, Committed, Fetched, NewRecord, OffsetRange, Position, TopicInfo};
use super::{check_group, check_metadata, check_topic};
use crate::error::{Error, ErrorKind, Result};
use crate::table::Name;

/// How long a reader that had trouble asks whether the brokers are there, before it says that they are not.
const PROBE: Duration = Duration::from_secs(2);

/// A topic to ask the brokers about; whether there is one of that name does not matter.
const PROBED: &str = "_fluxmill.tasks";

/// The pause between two looks at whether a transaction is visible.
const VISIBLE_PAUSE: Duration = Duration::from_millis(2);

/// How long to wait before a partition that has no leader is asked for again.
const LEADER_PAUSE: Duration = Duration::from_millis(50);

/// The log on Kafka.
pub struct KafkaLog {
    options: KafkaOptions,
    /// Asks; the readers have clients of their own.
    client: Arc<Client>,
    readers: Arc<Readers>,
    topics: Topics,
    appender: Arc<Appender>,
    transactions: Arc<Transactions>,
    positions: Arc<Positions>,
    closed: AtomicBool,
}

impl KafkaLog {
    /// Connects, and asks the brokers whether they are there.
    ///
    /// # Errors
    /// `Invalid` for a property that is wrong or not to be changed, `Unavailable` if no broker answers in time.
    pub async fn connect(options: KafkaOptions) -> Result<Self> {
        client::check_properties(&options)?;
        let client = client::connect(&client::reading(&options))?;
        let topics = Topics::new(&options, Arc::clone(&client))?;
        topics.probe(PROBED, options.timeout).await.map_err(|error| {
            error
                .context(format!("kafka at {} does not answer", options.brokers))
                .with_hint("is it running, and is this its address?")
        })?;
        Ok(KafkaLog {
            client,
            readers: Readers::new(&options),
            topics,
            appender: Arc::new(Appender::connect(&options)?),
            transactions: Arc::new(Transactions::new(&options)),
            positions: Arc::new(Positions::new(&options)),
            closed: AtomicBool::new(false),
            options,
        })
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) { Err(closed()) } else { Ok(()) }
    }

    /// The partition of each record.
    async fn route(&self, records: &[NewRecord]) -> Result<Vec<u32>> {
        let mut partitions = Vec::with_capacity(records.len());
        let mut last: Option<TopicInfo> = None;
        for record in records {
            let topic = match last.take() {
                Some(topic) if topic.name == record.topic => topic,
                _ => self.topics.get(&record.topic).await?,
            };
            partitions.push(match record.partition {
                Some(partition) if partition >= topic.partitions => {
                    self.topics.get_with(&record.topic, partition).await?;
                    partition
                }
                Some(partition) => partition,
                None => partition_of(&record.key, topic.partitions),
            });
            last = Some(topic);
        }
        Ok(partitions)
    }

    /// Forgets the topics of records that could not be appended because a topic or partition is no longer there.
    fn learn(&self, error: Error, topics: impl IntoIterator<Item = Name>) -> Error {
        if error.kind() == ErrorKind::NotFound {
            for topic in topics {
                self.topics.forget(&topic);
            }
        }
        error
    }

    /// Waits until a committed transaction is below the ends of its partitions. Kafka answers a commit when it is decided,
    /// and lets the partitions know a moment later; a task that reads what another has just written must find it. If the
    /// brokers do not answer, the records are there all the same.
    async fn wait_until_visible(&self, topics: &[Name], positions: &[Position]) {
        let mut wanted: HashMap<(Name, u32), u64> = HashMap::new();
        for (topic, position) in topics.iter().zip(positions) {
            let end = wanted.entry((Arc::clone(topic), position.partition)).or_default();
            *end = (*end).max(position.offset + 1);
        }
        let (partitions, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let (client, timeout) = (Arc::clone(&self.client), self.options.timeout);
        let visible = blocking(move || {
            let deadline = Instant::now() + timeout;
            while Instant::now() < deadline {
                let ends = native::stable_ends(&client, &partitions, timeout)?;
                if ends.iter().zip(&wanted).all(|(end, wanted)| end >= wanted) {
                    break;
                }
                std::thread::sleep(VISIBLE_PAUSE);
            }
            Ok(())
        });
        if let Err(error) = visible.await {
            tracing::warn!(%error, "an atomic append is durable, but may not be visible yet");
        }
    }

    async fn outside(&self, topic: &str, partition: u32, from: u64) -> Error {
        match self.offsets(topic, partition).await {
            Ok(range) => Error::out_of_range(format!(
                "topic {topic:?} partition {partition} has no offset {from}: it holds {} to before {}",
                range.start, range.end
            )),
            Err(error) => error,
        }
    }
}

fn closed() -> Error {
    Error::unavailable("the log is closed")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::internal(format!("the log's work with kafka was lost: {error}"))))
}

#[async_trait]
impl CommitLog for KafkaLog {
    fn describe(&self) -> String {
        format!("kafka at {}", self.options.brokers)
    }

    async fn create_topic(&self, name: &str, partitions: u32) -> Result<TopicInfo> {
        check_topic(name, partitions)?;
        self.topics.create(name, partitions).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.topics.all().await
    }

    async fn topic(&self, name: &str) -> Result<TopicInfo> {
        self.topics.get(name).await
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        self.check_open()?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let partitions = self.route(&records).await?;
        let appended = self.appender.append(&records, &partitions).await;
        appended.map_err(|error| self.learn(error, records.into_iter().map(|record| record.topic)))
    }

    async fn append_atomic(&self, producer: &str, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        self.check_open()?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        check_group(producer)?;
        let partitions = self.route(&records).await?;
        let (transactions, producer) = (Arc::clone(&self.transactions), producer.to_owned());
        let topics: Vec<Name> = records.iter().map(|record| Arc::clone(&record.topic)).collect();
        let appended = blocking(move || transactions.append(&producer, &records, &partitions)).await;
        let positions = appended.map_err(|error| self.learn(error, topics.iter().cloned()))?;
        self.wait_until_visible(&topics, &positions).await;
        Ok(positions)
    }

    async fn take_over(&self, producer: &str) -> Result<()> {
        self.check_open()?;
        check_group(producer)?;
        let (transactions, producer) = (Arc::clone(&self.transactions), producer.to_owned());
        blocking(move || transactions.take_over(&producer)).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        max_records: usize,
        max_wait: Duration,
    ) -> Result<Fetched> {
        let info = self.topics.get_with(topic, partition).await?;
        if max_records == 0 {
            return Ok(Fetched { records: Vec::new(), next_offset: from });
        }
        let deadline = Instant::now() + max_wait;
        let Some(mut lease) = self.readers.lease(&info.name, partition, from, deadline).await? else {
            return Err(reader::busy(topic, partition));
        };
        let arrived = lease.arrived();
        loop {
            let (taken, next_offset) = lease.take(max_records);
            let failed = taken.fault.is_some();
            if !taken.records.is_empty() || next_offset > from {
                if failed {
                    lease.discard().await;
                }
                return Ok(Fetched { records: taken.records, next_offset });
            }
            if let Some(error) = taken.fault {
                lease.discard().await;
                if error.kind() == ErrorKind::OutOfRange {
                    return Err(self.outside(topic, partition, from).await);
                }
                return Err(self.learn(error, [info.name]));
            }
            if tokio::time::timeout_at(deadline.into(), arrived.notified()).await.is_err() {
                break;
            }
        }
        if lease.had_trouble() {
            self.topics.probe(topic, PROBE).await?;
        }
        Ok(Fetched { records: Vec::new(), next_offset: from })
    }

    async fn offsets(&self, topic: &str, partition: u32) -> Result<OffsetRange> {
        let info = self.topics.get_with(topic, partition).await?;
        let (client, timeout) = (Arc::clone(&self.client), self.options.timeout);
        let range = blocking(move || {
            // Asked by a client that reads committed records, the end is the last stable offset.
            let partition = native::to_native(partition)?;
            let deadline = Instant::now() + timeout;
            loop {
                match client.fetch_watermarks(&info.name, partition, timeout) {
                    // A topic that was made a moment ago, or a broker that has just come back: the next one leads soon.
                    Err(error) if errors::has_no_leader_yet(&error) && Instant::now() < deadline => {
                        std::thread::sleep(LEADER_PAUSE);
                    }
                    range => return range.map_err(|error| errors::from_kafka("asking kafka for offsets", &error)),
                }
            }
        });
        let (start, end) = range.await.map_err(|error| self.learn(error, [Name::from(topic)]))?;
        Ok(OffsetRange { start: u64::try_from(start).unwrap_or(0), end: u64::try_from(end).unwrap_or(0) })
    }

    async fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        check_group(group)?;
        let info = self.topics.get_with(topic, partition).await?;
        let (all, group) = (Arc::clone(&self.positions), group.to_owned());
        blocking(move || all.committed(&group, &info.name, partition)).await
    }

    async fn commit(&self, group: &str, positions: Vec<(Name, u32, Committed)>) -> Result<()> {
        self.check_open()?;
        check_group(group)?;
        for (topic, partition, position) in &positions {
            check_metadata(position)?;
            self.topics.get_with(topic, *partition).await?;
        }
        if positions.is_empty() {
            return Ok(());
        }
        let (all, group) = (Arc::clone(&self.positions), group.to_owned());
        blocking(move || all.commit(&group, &positions)).await
    }

    async fn retain(&self, _topic: &str, _partition: u32, _before: u64) -> Result<()> {
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let (appender, transactions) = (Arc::clone(&self.appender), Arc::clone(&self.transactions));
        let (positions, readers) = (Arc::clone(&self.positions), Arc::clone(&self.readers));
        blocking(move || {
            let flushed = appender.close();
            transactions.close();
            positions.close();
            readers.close();
            flushed
        })
        .await
    }
}
