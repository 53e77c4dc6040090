//! One partition, from its place to its end and on: its batches go to buckets, what is wrong with them to the dead letters.
//!
//! A task per partition, started by the sink. It goes on only when a batch is applied to every bucket of its topic and its
//! dead letters are durable; while the store or the log does not take them it waits: its lag grows, its memory does not (at
//! most one more batch is decoded).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Batches};
use super::parcels::Parcels;
use super::place::{Place, Places};
use crate::commitlog::{CommitLog, NewRecord, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::dead_letter::{self, Reason};
use crate::ingest::route::Routes;
use crate::name::Name;
use crate::point::delete::Delete;
use crate::store::{SeqDelete, SeqPoint, SourcePartition, Store};

/// Behind a batch of so many rows the next one is read and decoded while it is applied.
const AHEAD_ROWS: usize = 500;

/// Pauses between tries while something does not answer.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
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
    let batches = Batches::new(Arc::clone(&shared), Arc::clone(&progress), from, stop.clone());
    let reader = Reader { shared, progress, stop };
    // A replay begins before what was applied.
    reader.shared.store.restart_source(&source, from.offset);
    let Err(error) = reader.run(batches).await else { return };
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
    stop: CancellationToken,
}

impl Reader {
    async fn run(&self, mut batches: Batches) -> Result<()> {
        let label = self.progress.source.topic.to_string();
        let records_total = metrics::counter!("fluxmill_sink_records_total", "topic" => label.clone());
        let rows_total = metrics::counter!("fluxmill_sink_rows_total", "topic" => label);
        let mut next = batches.next().await?;
        while let Some(batch) = next {
            records_total.increment(batch.records.len() as u64);
            rows_total.increment(batch.rows.len() as u64);
            let ready = if batch.rows.len() < AHEAD_ROWS { None } else { batches.ready().await };
            let Some(fetched) = ready else {
                self.apply(batch).await?;
                next = batches.next().await?;
                continue;
            };
            // Where there is something to catch up with, one core decodes while another applies.
            let decoding = tokio::task::spawn_blocking(move || (batches.decode(fetched), batches));
            self.apply(batch).await?;
            let decoded = decoding.await.map_err(|error| Error::internal(format!("decoding: {error}")))?;
            (next, batches) = (Some(decoded.0), decoded.1);
        }
        Ok(())
    }

    /// Applies a batch; it is applied again and again until the store and the log have taken all of it.
    async fn apply(&self, mut batch: Batch) -> Result<()> {
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
            if let Some(reason) = self.delete(&buckets, batch.records[*place].offset, *seq, delete).await? {
                batch.reasons.entry(*place).or_default().push(reason);
            }
        }
        self.bury(&batch.records, &batch.reasons).await?;
        self.shared.store.advance(&self.progress.source, batch.next.offset);
        self.progress.newest_seq.fetch_max(batch.next.order.newest_seq(), Ordering::Relaxed);
        self.progress.places.lock().push(batch.next);
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
                    pause_for(&mut pause, &self.stop).await?;
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
                    pause_for(&mut pause, &self.stop).await?;
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
            pause_for(&mut pause, &self.stop).await?;
        }
    }
}

/// Waits before something is tried again, each time longer.
pub(super) async fn pause_for(pause: &mut Duration, stop: &CancellationToken) -> Result<()> {
    tokio::select! {
        () = tokio::time::sleep(*pause) => {}
        () = stop.cancelled() => return Err(stopped()),
    }
    *pause = (*pause * 2).min(LONGEST_PAUSE);
    Ok(())
}

fn stopped() -> Error {
    Error::new(ErrorKind::Canceled, "the sink was stopped")
}
