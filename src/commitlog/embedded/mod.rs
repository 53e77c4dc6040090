//! The embedded log: a directory of checksummed segment files, one sync per group of appends.
//!
//! Opened by the daemon and by commands that work on a data directory alone. One stream carries everything: records of all
//! topics, new topics, committed positions. So one write and one sync make a whole group durable, an append to many topics
//! is atomic, and a crash leaves a prefix.
//!
//! Why own files and not fjall, which keeps the catalogue: a log needs a torn tail to be cut off and damage before it to be
//! told apart, and fjall 3.1 does neither (its journal refuses to open after a batch of several pages was torn by a power
//! cut, and drops everything behind a damaged tag without a word); a log also never looks up by key, so a journal, a
//! memtable and tables would write each record twice; and a full disk must pass, not poison the store.
//!
//! | file | what |
//! |---|---|
//! | `queue` | requests, bounded |
//! | `committer` | groups: one frame, one sync |
//! | `frame`, `block` | the bytes of frames and of record blocks |
//! | `segment` | the files: header, scan, seal, index |
//! | `recovery` | opening a directory |
//! | `state`, `cache` | what is in memory, and reads |

mod block;
mod cache;
mod committer;
mod frame;
mod queue;
mod recovery;
mod segment;
mod state;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::committer::{Committer, Disk, RealDisk};
use self::queue::{Queue, RECORD_OVERHEAD, Request};
use self::segment::PartitionId;
use self::state::{Sealed, Shared, State, Topic};
use super::murmur2::partition_of;
use super::{CommitLog, Committed, Fetched, NewRecord, OffsetRange, Position, Record, TopicInfo};
use super::{check_group, check_metadata, check_topic};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::table::Name;

/// Topics of fluxmill's own: the run records and positions that let work go on when the disk cap holds back the rest.
const CONTROL_PREFIX: &str = "_fluxmill.";
/// One call appends at most so many bytes: a group stands in memory as a whole.
const MAX_APPEND_BYTES: usize = 64 << 20;

/// How an embedded log keeps, drops and refuses.
#[derive(Clone, Debug)]
pub struct EmbeddedOptions {
    /// Segments whose newest record is older are dropped, once `retain` allows it; `None`: age drops nothing.
    pub retention_age: Option<Duration>,
    /// Above so many bytes the oldest segments are dropped, once `retain` allows it; `None`: size drops nothing.
    pub retention_bytes: Option<u64>,
    /// Above so many bytes appends are refused; nothing unread is dropped. `None`: only the disk is the limit.
    pub disk_cap_bytes: Option<u64>,
    /// A segment is closed when it has grown to so many bytes (at most 1 GiB) ...
    pub segment_bytes: u64,
    /// ... or when its first record is so old.
    pub segment_age: Duration,
    /// Appends that wait to be written take at most so many bytes; more wait for room.
    pub queue_bytes: usize,
    /// How long an append waits for room before it is refused.
    pub queue_wait: Duration,
    /// Memory for the newest blocks.
    pub cache_bytes: usize,
}

impl Default for EmbeddedOptions {
    /// No retention and no cap; segments of 128 MiB or an hour; 64 MiB of queue and of cache.
    fn default() -> Self {
        EmbeddedOptions {
            retention_age: None,
            retention_bytes: None,
            disk_cap_bytes: None,
            segment_bytes: 128 << 20,
            segment_age: Duration::from_secs(3_600),
            queue_bytes: 64 << 20,
            queue_wait: Duration::from_secs(10),
            cache_bytes: 64 << 20,
        }
    }
}

impl EmbeddedOptions {
    /// What of the disk cap is kept free for control topics.
    fn reserve_bytes(&self) -> u64 {
        self.disk_cap_bytes.map_or(0, |cap| (cap / 16).min(64 << 20))
    }
}

/// The log in a directory of its own.
pub struct EmbeddedLog {
    dir: PathBuf,
    options: EmbeddedOptions,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    failed: Arc<OnceLock<Error>>,
    committer: Mutex<Option<JoinHandle<()>>>,
    /// Locked as long as this lives; the system unlocks it also when the process is killed.
    _lock: std::fs::File,
}

impl EmbeddedLog {
    /// Opens the log in `dir`, or makes it; recovers what a crash left.
    ///
    /// # Errors
    /// `Conflict` if it is open in another process, `Internal` if acknowledged records are damaged, `Unavailable` or
    /// `ResourceExhausted` if the disk does not answer or is full.
    pub fn open(dir: impl AsRef<Path>, options: EmbeddedOptions, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_on(dir.as_ref(), options, clock, Arc::new(RealDisk))
    }

    fn open_on(dir: &Path, mut options: EmbeddedOptions, clock: Arc<dyn Clock>, disk: Arc<dyn Disk>) -> Result<Self> {
        options.segment_bytes = options.segment_bytes.min(1 << 30);
        let opened = recovery::open(dir, clock.now_ns().div_euclid(1_000_000))?;
        let shared = Arc::new(Shared::new(opened.state, options.cache_bytes));
        let queue = Arc::new(Queue::new(options.queue_bytes, options.queue_wait));
        let failed = Arc::new(OnceLock::new());
        let committer = Committer {
            dir: dir.to_owned(),
            options: options.clone(),
            clock: Arc::clone(&clock),
            disk,
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
            failed: Arc::clone(&failed),
            builder: frame::FrameBuilder::default(),
            next_sequence: opened.next_sequence,
            opened_ms: opened.opened_ms,
            newest_ms: opened.newest_ms,
            must_roll: false,
        };
        let thread = std::thread::Builder::new().name("log-committer".to_owned()).spawn(|| committer.run())?;
        Ok(EmbeddedLog {
            dir: dir.to_owned(),
            options,
            clock,
            shared,
            queue,
            failed,
            committer: Mutex::new(Some(thread)),
            _lock: opened.lock,
        })
    }

    /// The bytes of all segments on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.state.read().bytes()
    }

    async fn ask<T>(&self, bytes: usize, request: impl FnOnce(oneshot::Sender<Result<T>>) -> Request) -> Result<T> {
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let (answer, answered) = oneshot::channel();
        self.queue.push(request(answer), bytes).await?;
        answered.await.unwrap_or_else(|_| Err(Error::internal("the log's committer has stopped")))
    }

    /// Where each record goes, and how many bytes they are together.
    fn route(&self, records: &[NewRecord]) -> Result<(Vec<PartitionId>, usize)> {
        let mut places = Vec::with_capacity(records.len());
        let mut bytes = 0_usize;
        let mut known: Option<Arc<Topic>> = None;
        for record in records {
            let topic = match known.take() {
                Some(topic) if topic.name == record.topic => topic,
                _ => self.shared.topic(&record.topic)?,
            };
            let partition = match record.partition {
                Some(partition) => {
                    topic.partition(partition)?;
                    partition
                }
                None => partition_of(&record.key, topic.partitions.len() as u32),
            };
            places.push((topic.id, partition));
            bytes = bytes.saturating_add(size_of(record));
            known = Some(topic);
        }
        if bytes > MAX_APPEND_BYTES {
            return Err(Error::invalid(format!(
                "an append of {bytes} bytes is over the limit of {MAX_APPEND_BYTES} bytes"
            ))
            .with_hint("a script writes less at once with a shorter range, fewer fields or an aggregate before to()"));
        }
        Ok((places, bytes))
    }

    /// Reads what is there, from memory if it can.
    async fn fetch(&self, partition: PartitionId, from: u64, max_records: usize) -> Result<Option<Vec<Record>>> {
        if let Some(records) = self.shared.fetch(partition, from, max_records, false)? {
            return Ok(Some(records));
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.fetch(partition, from, max_records, true)).await
    }
}

/// About what a record takes in a block.
fn size_of(record: &NewRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    RECORD_OVERHEAD + record.key.len() + record.payload.len() + headers
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::internal(format!("the log's work on the disk was lost: {error}"))))
}

#[async_trait]
impl CommitLog for EmbeddedLog {
    fn describe(&self) -> String {
        format!("embedded log in {}", self.dir.display())
    }

    async fn create_topic(&self, name: &str, partitions: u32) -> Result<TopicInfo> {
        check_topic(name, partitions)?;
        if let Ok(topic) = self.shared.topic(name) {
            return Ok(topic.info());
        }
        let name = Name::from(name);
        self.ask(0, |answer| Request::CreateTopic { name, partitions, answer }).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        Ok(self.shared.state.read().topics.values().map(|topic| topic.info()).collect())
    }

    async fn topic(&self, name: &str) -> Result<TopicInfo> {
        self.shared.topic(name).map(|topic| topic.info())
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        let (places, bytes) = self.route(&records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(bytes, |answer| Request::Append { records, places, answer }).await
    }

    async fn append_atomic(&self, _producer: &str, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        // Every call stands in one frame as a whole, and the directory's lock keeps every other process out: there is
        // nobody to fence.
        self.append(records).await
    }

    async fn take_over(&self, _producer: &str) -> Result<()> {
        // Whatever older processes left open was decided when the log was opened, and in this one appends end in order.
        Ok(())
    }

    async fn read(
        &self,
        topic: &str,
        partition: u32,
        from: u64,
        max_records: usize,
        max_wait: Duration,
    ) -> Result<Fetched> {
        let topic = self.shared.topic(topic)?;
        let state = topic.partition(partition)?;
        let nothing = Fetched { records: Vec::new(), next_offset: from };
        let mut grown = state.end.subscribe();
        check_inside(&topic, partition, from, self.shared.range(state))?;
        if max_records == 0 {
            return Ok(nothing);
        }
        // A timer does not go off before its next millisecond.
        if self.shared.range(state).end == from
            && (max_wait.is_zero() || tokio::time::timeout(max_wait, grown.wait_for(|end| *end > from)).await.is_err())
        {
            return Ok(nothing);
        }
        match self.fetch((topic.id, partition), from, max_records).await? {
            Some(records) => {
                let next_offset = records.last().map_or(from, |last| last.offset + 1);
                Ok(Fetched { records, next_offset })
            }
            None => {
                // Retention dropped the segment in between.
                check_inside(&topic, partition, from, self.shared.range(state))?;
                Err(Error::internal(format!("topic {:?} partition {partition} has no offset {from}", topic.name)))
            }
        }
    }

    async fn offsets(&self, topic: &str, partition: u32) -> Result<OffsetRange> {
        let topic = self.shared.topic(topic)?;
        let range = self.shared.range(topic.partition(partition)?);
        Ok(OffsetRange { start: range.start, end: range.end })
    }

    async fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        let topic = self.shared.topic(topic)?;
        topic.partition(partition)?;
        Ok(self.shared.state.read().positions.get(&(Name::from(group), (topic.id, partition))).cloned())
    }

    async fn commit(&self, group: &str, positions: Vec<(Name, u32, Committed)>) -> Result<()> {
        check_group(group)?;
        let mut placed = Vec::with_capacity(positions.len());
        for (name, partition, position) in positions {
            check_metadata(&position)?;
            let topic = self.shared.topic(&name)?;
            topic.partition(partition)?;
            placed.push(((topic.id, partition), position));
        }
        if placed.is_empty() {
            return Ok(());
        }
        let group = Name::from(group);
        self.ask(0, |answer| Request::Commit { group, positions: placed, answer }).await
    }

    async fn retain(&self, topic: &str, partition: u32, before: u64) -> Result<()> {
        let topic = self.shared.topic(topic)?;
        topic.partition(partition)?;
        let newest_allowed_ms = self.options.retention_age.map(|age| {
            let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            self.clock.now_ns().div_euclid(1_000_000).saturating_sub(age_ms)
        });
        let dropped = {
            let mut state = self.shared.state.write();
            state.not_needed_before.insert((topic.id, partition), before);
            drop_segments(&mut state, newest_allowed_ms, self.options.retention_bytes)
        };
        if dropped.is_empty() {
            return Ok(());
        }
        blocking(move || {
            for segment in dropped {
                std::fs::remove_file(&segment.file.path)
                    .map_err(|error| Error::from(error).context(segment.file.path.display()))?;
                tracing::info!(segment = %segment.file.path.display(), bytes = segment.bytes, "dropped by retention");
            }
            Ok(())
        })
        .await
    }

    async fn close(&self) -> Result<()> {
        self.queue.close();
        let thread = self.committer.lock().take();
        let Some(thread) = thread else { return Ok(()) };
        blocking(move || thread.join().map_err(|_| Error::internal("the log's committer ended with a panic"))).await?;
        match self.failed.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(thread) = self.committer.lock().take() {
            // A panic of the committer was its own message; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn check_inside(topic: &Topic, partition: u32, from: u64, range: std::ops::Range<u64>) -> Result<()> {
    if from < range.start || from > range.end {
        return Err(Error::out_of_range(format!(
            "topic {:?} partition {partition} has no offset {from}: it holds {} to before {}",
            topic.name, range.start, range.end
        )));
    }
    Ok(())
}

/// Takes the oldest segments out of the state that are too old, or too many, and no longer needed by anyone.
fn drop_segments(state: &mut State, newest_allowed_ms: Option<i64>, allowed_bytes: Option<u64>) -> Vec<Arc<Sealed>> {
    let mut dropped = Vec::new();
    let mut bytes = state.bytes();
    for segment in &state.sealed {
        let too_old = newest_allowed_ms.is_some_and(|allowed| segment.summary.newest_ms < allowed);
        let too_much = allowed_bytes.is_some_and(|allowed| bytes > allowed);
        let needed =
            segment.summary.held.iter().any(|(partition, held)| {
                state.not_needed_before.get(partition).is_none_or(|before| *before < held.end)
            });
        if needed || !(too_old || too_much) {
            break;
        }
        bytes -= segment.bytes;
        dropped.push(Arc::clone(segment));
    }
    for segment in &dropped {
        for ((topic, partition), held) in &segment.summary.held {
            if let Some(partition) = state.by_id.get(topic).and_then(|topic| topic.partitions.get(*partition as usize))
            {
                partition.start.store(held.end, Ordering::Release);
            }
        }
    }
    state.sealed.drain(..dropped.len());
    dropped
}
