//! Batches on their way to the log: what has been accepted is appended in order, many messages a sync.
//!
//! Fed by the door. A message is acknowledged through its [`Receipts`] after the append, never before. While the log does
//! not answer, or is at its cap, the same batch is tried again and everything behind it waits; senders notice by the full
//! queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use crate::clock::Arrival;
use crate::commitlog::{CommitLog, NewRecord};
use crate::error::{Error, ErrorKind, Result};

/// Most records of one append.
const BATCH_RECORDS: usize = 4_096;

/// An append is closed when it has so many bytes of payload.
const BATCH_BYTES: usize = 4 << 20;

/// Pauses between tries while the log does not take a batch.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How many of one sender's messages the log has. The sender counts what it handed over; the log keeps its order.
#[derive(Debug, Default)]
pub struct Receipts {
    durable: AtomicU64,
    failed: AtomicBool,
    changed: Notify,
}

impl Receipts {
    /// Messages that are durable.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Whether a message could not be appended and never will be: nothing after it is acknowledged.
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Waits for a change since the last call. For one waiter.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// A message on its way.
pub struct Outgoing {
    /// The record.
    pub record: NewRecord,
    /// Its arrival; held until the log has the record.
    pub arrival: Arrival,
    /// Whom to tell.
    pub receipts: Arc<Receipts>,
}

/// Appends until the queue is closed, or `stop` while the log does not answer.
pub(super) async fn run(log: Arc<dyn CommitLog>, mut queue: mpsc::Receiver<Outgoing>, stop: CancellationToken) {
    let mut waiting: Vec<Outgoing> = Vec::with_capacity(BATCH_RECORDS);
    loop {
        if waiting.is_empty() {
            tokio::select! {
                count = queue.recv_many(&mut waiting, BATCH_RECORDS) => if count == 0 { return },
                // What was handed over before the stop is still appended.
                () = stop.cancelled(), if !queue.is_closed() => { queue.close(); continue }
            }
        }
        let mut bytes = 0;
        let fits = waiting.iter().take_while(|message| {
            let before = bytes;
            bytes += message.record.payload.len();
            before < BATCH_BYTES
        });
        let count = fits.count();
        if !append(log.as_ref(), &waiting[..count], &stop).await {
            return;
        }
        waiting.drain(..count);
    }
}

/// Appends a batch and tells its senders. Returns whether to go on.
async fn append(log: &dyn CommitLog, batch: &[Outgoing], stop: &CancellationToken) -> bool {
    match append_until_taken(log, batch, stop).await {
        Ok(()) => {
            confirm(batch);
            true
        }
        Err(error) if error.kind() == ErrorKind::Canceled => false,
        Err(error) if batch.len() == 1 => {
            let topic = &batch[0].record.topic;
            tracing::error!(%topic, %error, "a message could not be appended; its sender is disconnected");
            metrics::counter!("fluxmill_append_failures_total").increment(1);
            batch[0].receipts.failed.store(true, Ordering::Release);
            batch[0].receipts.changed.notify_one();
            true
        }
        Err(_) => {
            // One of them is refused for itself: the others go on alone, in order.
            for message in batch.chunks(1) {
                if !Box::pin(append(log, message, stop)).await {
                    return false;
                }
            }
            true
        }
    }
}

async fn append_until_taken(log: &dyn CommitLog, batch: &[Outgoing], stop: &CancellationToken) -> Result<()> {
    let mut pause = FIRST_PAUSE;
    let mut tries: u64 = 0;
    loop {
        let records = batch.iter().map(|message| message.record.clone()).collect();
        let error = match log.append(records).await {
            Ok(_) => {
                if tries > 0 {
                    tracing::info!(tries, "the log takes messages again");
                    metrics::gauge!("fluxmill_log_stalled").set(0.0);
                }
                return Ok(());
            }
            Err(error) if error.kind().may_retry() => error,
            Err(error) => return Err(error),
        };
        if tries == 0 {
            tracing::warn!(%error, "the log does not take messages; publishers are held back");
            metrics::gauge!("fluxmill_log_stalled").set(1.0);
        }
        tries += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {
                return Err(Error::new(ErrorKind::Canceled, "stopped while the log did not answer"));
            }
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn confirm(batch: &[Outgoing]) {
    let mut rest = batch;
    while let [first, ..] = rest {
        // Neighbours are often of one sender: it is woken once.
        let count = rest.iter().take_while(|message| Arc::ptr_eq(&message.receipts, &first.receipts)).count();
        first.receipts.durable.fetch_add(count as u64, Ordering::AcqRel);
        first.receipts.changed.notify_one();
        rest = &rest[count..];
    }
}
