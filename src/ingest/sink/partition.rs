//! One partition, read from its place to its end and on: records to rows, rows to buckets, the rest to the dead letters.
//!
//! A task per partition, started by the sink. It goes on only when a batch is applied to every bucket of its topic and its
//! dead letters are durable; while the store or the log does not take them it waits, its lag grows, its memory does not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::parcels::{Parcel, Parcels};
use super::place::{Order, Place, Places};
use crate::commitlog::{CommitLog, NewRecord, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::dead_letter::{self, Reason};
use crate::ingest::decode::{self, Content};
use crate::ingest::route::Routes;
use crate::name::Name;
use crate::point::delete::{Delete, Deleted};
use crate::point::mapping::Decoded;
use crate::point::names::Names;
use crate::store::{SeqDelete, SeqPoint, SourcePartition, Store};

/// Most records of one read.
const BATCH: usize = 2_000;

/// How long a read waits for records.
const READ_WAIT: Duration = Duration::from_secs(1);

/// Pauses between tries while something does not answer.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long one wait for memory lasts before it is said again.
const MEMORY_WAIT: Duration = Duration::from_secs(5);

/// What partitions share.
pub(super) struct Shared {
    pub log: Arc<dyn CommitLog>,
    pub store: Arc<Store>,
    pub routes: Arc<Routes>,
    pub parcels: Parcels,
    /// Asks for a flush.
    pub short_of_memory: Notify,
    pub stop: CancellationToken,
}

/// How far a partition has come.
pub(super) struct Progress {
    pub source: SourcePartition,
    /// The ids of the buckets that the topic feeds.
    pub buckets: RwLock<Vec<Name>>,
    /// Places that may be committed once they are durable.
    pub places: Mutex<Places>,
    /// Records before this offset have been read once: what is wrong with them stands in the dead letters.
    pub quiet_until: u64,
    /// Why it has stopped, if it has.
    pub failure: Mutex<Option<String>>,
    /// The newest `_seq` that was given to a row.
    pub newest_seq: AtomicI64,
}

/// Reads a partition from a place until it is stopped, alone or with the sink.
pub(super) async fn follow(shared: Arc<Shared>, progress: Arc<Progress>, from: Place, stop: CancellationToken) {
    let source = progress.source.clone();
    let mut reader = Reader { shared, progress, place: from, names: Names::default(), stop };
    let Err(error) = reader.run().await else { return };
    if error.kind() == ErrorKind::Canceled {
        return;
    }
    // Going on would lose records, so this partition stands still until somebody looks.
    tracing::error!(topic = %source.topic, partition = source.partition, %error, "the sink has stopped reading");
    metrics::counter!("fluxmill_sink_failures_total").increment(1);
    *reader.progress.failure.lock() = Some(error.to_string());
}

struct Reader {
    shared: Arc<Shared>,
    progress: Arc<Progress>,
    place: Place,
    names: Names,
    stop: CancellationToken,
}

/// A batch between decoding and applying.
#[derive(Default)]
struct Batch {
    rows: Vec<SeqPoint>,
    /// For each row its record's place in the batch, and its own place in the record, from 1.
    origins: Vec<(usize, usize)>,
    /// What is wrong, by the record's place in the batch.
    reasons: BTreeMap<usize, Vec<Reason>>,
    /// Deletes, with their records' places in the batch and their `_seq`.
    deletes: Vec<(usize, i64, Delete)>,
    /// Who waits for which record.
    waiting: Vec<(usize, tokio::sync::oneshot::Sender<Vec<Reason>>)>,
}

impl Reader {
    async fn run(&mut self) -> Result<()> {
        let (topic, partition) = (self.progress.source.topic.clone(), self.progress.source.partition);
        let label = topic.to_string();
        let records_total = metrics::counter!("fluxmill_sink_records_total", "topic" => label.clone());
        let rows_total = metrics::counter!("fluxmill_sink_rows_total", "topic" => label);
        // A replay begins before what was applied.
        self.shared.store.restart_source(&self.progress.source, self.place.offset);
        let mut pause = FIRST_PAUSE;
        loop {
            let read = self.shared.log.read(&topic, partition, self.place.offset, BATCH, READ_WAIT);
            let fetched = tokio::select! {
                fetched = read => fetched,
                () = self.stop.cancelled() => return Ok(()),
            };
            let fetched = match fetched {
                Ok(fetched) => fetched,
                Err(error) if error.kind().may_retry() => {
                    tracing::warn!(%topic, partition, %error, "the sink cannot read; it tries again");
                    self.pause(&mut pause).await?;
                    continue;
                }
                Err(error) => return Err(self.explain(error)),
            };
            pause = FIRST_PAUSE;
            if fetched.next_offset == self.place.offset {
                continue;
            }
            let mut order = self.place.order;
            let batch = self.decode(&fetched.records, &mut order);
            records_total.increment(fetched.records.len() as u64);
            rows_total.increment(batch.rows.len() as u64);
            self.apply(&fetched.records, batch, fetched.next_offset).await?;
            self.place = Place { offset: fetched.next_offset, order };
            self.progress.newest_seq.fetch_max(order.newest_seq(), Ordering::Relaxed);
            self.progress.places.lock().push(self.place);
        }
    }

    fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::OutOfRange {
            return error;
        }
        let SourcePartition { topic, partition, .. } = &self.progress.source;
        error.context(format!("the position {} of {topic}/{partition} is not in the log", self.place.offset))
    }

    fn decode(&mut self, records: &[Record], order: &mut Order) -> Batch {
        let mut batch = Batch::default();
        let shared = Arc::clone(&self.shared);
        for (place, record) in records.iter().enumerate() {
            let arrival_ns = order.arrival_ns(record);
            let decoded = match shared.parcels.take(arrival_ns) {
                Some(Parcel { points, applied }) => {
                    batch.waiting.push((place, applied));
                    Decoded { points, problems: Vec::new() }
                }
                None => {
                    let topic = &self.progress.source.topic;
                    match decode::record(record, topic, &shared.routes, arrival_ns, &mut self.names) {
                        Content::Points(decoded) => decoded,
                        Content::Delete(delete) => {
                            let seq = match delete.what {
                                // One `_seq` in every partition; what stands after it in any is newer.
                                Deleted::Range(_) => order.not_before(arrival_ns),
                                // What it names stands in this partition, and all of that before it is older.
                                Deleted::Points(_) => order.seq(arrival_ns),
                            };
                            batch.deletes.push((place, seq, delete));
                            continue;
                        }
                    }
                }
            };
            for (item, point) in decoded.points.into_iter().enumerate() {
                batch.rows.push(SeqPoint { offset: record.offset, seq: order.seq(arrival_ns), point });
                batch.origins.push((place, item + 1));
            }
            if !decoded.problems.is_empty() {
                let reasons = decoded.problems.into_iter().map(|problem| Reason {
                    code: problem.code.as_str(),
                    detail: problem.detail,
                    item: problem.item,
                });
                batch.reasons.entry(place).or_default().extend(reasons);
            }
        }
        batch
    }

    /// Applies a batch; it is applied again and again until the store and the log have taken all of it.
    async fn apply(&self, records: &[Record], mut batch: Batch, next_offset: u64) -> Result<()> {
        let buckets = self.progress.buckets.read().clone();
        for bucket in &buckets {
            for rejected in self.apply_to(bucket, &batch.rows).await? {
                let (place, item) = batch.origins[rejected.index];
                let reason = Reason { code: rejected.code, detail: rejected.reason, item: Some(item) };
                let reasons = batch.reasons.entry(place).or_default();
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
        for (place, seq, delete) in &batch.deletes {
            if let Some(reason) = self.delete(&buckets, records[*place].offset, *seq, delete).await? {
                batch.reasons.entry(*place).or_default().push(reason);
            }
        }
        self.bury(records, &batch.reasons).await?;
        self.shared.store.advance(&self.progress.source, next_offset);
        for (place, applied) in batch.waiting {
            // The writer may have stopped waiting.
            let _ = applied.send(batch.reasons.get(&place).cloned().unwrap_or_default());
        }
        Ok(())
    }

    async fn apply_to(&self, bucket: &Name, rows: &[SeqPoint]) -> Result<Vec<crate::store::Rejected>> {
        let store = &self.shared.store;
        let mut pause = FIRST_PAUSE;
        loop {
            match store.apply(bucket, &self.progress.source, rows) {
                Ok(rejected) => return Ok(rejected),
                // It was deleted; the topic goes on without it.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) if error.kind() == ErrorKind::ResourceExhausted => {
                    tracing::warn!(%bucket, %error, "the sink waits for memory");
                    self.shared.short_of_memory.notify_one();
                    self.wait_for_memory().await?;
                }
                Err(error) => {
                    tracing::warn!(%bucket, %error, "rows could not be applied; they are tried again");
                    self.pause(&mut pause).await?;
                }
            }
        }
    }

    /// Applies a delete to the bucket that it names; returns why it could not be, if it never can.
    async fn delete(&self, buckets: &[Name], offset: u64, seq: i64, delete: &Delete) -> Result<Option<Reason>> {
        let store = &self.shared.store;
        let Ok(bucket) = store.bucket(&delete.bucket) else { return Ok(None) };
        if !buckets.contains(&bucket.id) {
            return Ok(None);
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let own = SeqDelete { offset, seq, what: &delete.what };
            match store.delete(&bucket.id, &self.progress.source, own) {
                Ok(()) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    return Ok(Some(Reason { code: "refused", detail: error.message().to_string(), item: None }));
                }
                Err(error) => {
                    tracing::warn!(bucket = %bucket.name, %error, "a delete could not be applied; it is tried again");
                    self.pause(&mut pause).await?;
                }
            }
        }
    }

    async fn wait_for_memory(&self) -> Result<()> {
        tokio::select! {
            _ = self.shared.store.wait_for_memory(MEMORY_WAIT) => Ok(()),
            () = self.stop.cancelled() => Err(stopped()),
        }
    }

    /// Writes the dead letters of a batch, durably.
    async fn bury(&self, records: &[Record], reasons: &BTreeMap<usize, Vec<Reason>>) -> Result<()> {
        if reasons.is_empty() {
            return Ok(());
        }
        let SourcePartition { topic, partition, .. } = &self.progress.source;
        let letters: Vec<NewRecord> = reasons
            .iter()
            .filter(|(place, _)| records[**place].offset >= self.progress.quiet_until)
            .map(|(place, reasons)| dead_letter::letter(topic, *partition, &records[*place], reasons))
            .collect();
        if letters.is_empty() {
            return Ok(());
        }
        for reasons in reasons.values() {
            let code = reasons.first().map_or("unknown", |reason| reason.code);
            metrics::counter!("fluxmill_dead_letters_total", "code" => code).increment(1);
        }
        let mut pause = FIRST_PAUSE;
        loop {
            let Err(error) = self.shared.log.append(letters.clone()).await else { return Ok(()) };
            if error.kind() == ErrorKind::NotFound {
                self.shared.log.create_topic(&dead_letter::topic_of(topic), 1).await?;
                continue;
            }
            if !error.kind().may_retry() {
                return Err(error.context("dead letters could not be written"));
            }
            tracing::warn!(%topic, partition, %error, "dead letters could not be written; they are tried again");
            self.pause(&mut pause).await?;
        }
    }

    async fn pause(&self, pause: &mut Duration) -> Result<()> {
        tokio::select! {
            () = tokio::time::sleep(*pause) => {}
            () = self.stop.cancelled() => return Err(stopped()),
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Canceled, "the sink was stopped")
}
