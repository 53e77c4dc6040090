//! Sending records and collecting their acknowledgements: the batch, and the idempotent producer of ordinary appends.
//!
//! Called by `KafkaLog::append`; `transaction` shares the batch and the sending. A batch is answered when every one of its
//! records is acknowledged by all in-sync replicas, or one has failed. Nothing waits without a bound.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::{Semaphore, oneshot};

use super::client::{self, KafkaOptions};
use super::errors::from_kafka;
use super::native::to_native;
use crate::commitlog::{NewRecord, Position};
use crate::error::{Error, Result};

/// How long to wait before a full local queue is tried again.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);
/// What a record takes beside its bytes.
const RECORD_OVERHEAD: usize = 256;

/// A producer with a thread that takes in acknowledgements.
pub(super) type Sender = ThreadedProducer<Deliveries>;

/// Enters acknowledgements into batches.
pub(super) struct Deliveries;

/// One record's place in its batch.
pub(super) struct Delivery {
    batch: Arc<Batch>,
    place: usize,
}

/// The records of one call, on their way.
pub(super) struct Batch {
    state: Mutex<BatchState>,
}

struct BatchState {
    positions: Vec<Position>,
    missing: usize,
    error: Option<Error>,
    done: Option<oneshot::Sender<Result<Vec<Position>>>>,
}

impl Batch {
    /// A batch of records that go to these partitions, and what it will be answered with.
    pub(super) fn new(partitions: &[u32]) -> (Arc<Self>, oneshot::Receiver<Result<Vec<Position>>>) {
        let (done, answer) = oneshot::channel();
        let positions = partitions.iter().map(|partition| Position { partition: *partition, offset: 0 }).collect();
        let state = BatchState { positions, missing: partitions.len(), error: None, done: Some(done) };
        (Arc::new(Batch { state: Mutex::new(state) }), answer)
    }

    fn settle(&self, place: usize, outcome: Result<u64>) {
        let mut state = self.state.lock();
        match outcome {
            Ok(offset) => state.positions[place].offset = offset,
            Err(error) => {
                state.error.get_or_insert(error);
            }
        }
        state.missing -= 1;
        if state.missing == 0
            && let Some(done) = state.done.take()
        {
            let answer = match state.error.take() {
                Some(error) => Err(error),
                None => Ok(std::mem::take(&mut state.positions)),
            };
            // Who asked may have gone: the records are there all the same.
            let _ = done.send(answer);
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::pass_on(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Box<Delivery>) {
        let outcome = match result {
            Ok(message) => Ok(u64::try_from(message.offset()).unwrap_or(0)),
            Err((error, _)) => Err(from_kafka("appending to kafka", error)),
        };
        delivery.batch.settle(delivery.place, outcome);
    }
}

/// Makes a producer.
pub(super) fn connect(options: &KafkaOptions, transactional_id: Option<&str>) -> Result<Sender> {
    let config = client::producing(options, transactional_id);
    Sender::from_config_and_context(&config, Deliveries).map_err(|error| from_kafka("making a kafka producer", &error))
}

/// Whether a record was taken over by the client.
pub(super) enum Handed {
    /// It is on its way; the batch will be told.
    Over,
    /// The client's queue is full.
    Full,
}

/// Hands one record to the client; does not wait.
pub(super) fn hand_over(
    sender: &Sender,
    record: &NewRecord,
    partition: u32,
    batch: &Arc<Batch>,
    place: usize,
) -> Result<Handed> {
    let delivery = Box::new(Delivery { batch: Arc::clone(batch), place });
    let mut message = BaseRecord::<[u8], [u8], _>::with_opaque_to(&record.topic, delivery)
        .partition(to_native(partition)?)
        .key(&record.key)
        .payload(&record.payload)
        .timestamp(record.timestamp_ms);
    if !record.headers.is_empty() {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (name, value) in &record.headers {
            headers = headers.insert(Header { key: name, value: Some(&value[..]) });
        }
        message = message.headers(headers);
    }
    match sender.send(message) {
        Ok(()) => Ok(Handed::Over),
        Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(Handed::Full),
        Err((error, _)) => Err(from_kafka("appending to kafka", &error)),
    }
}

/// The idempotent producer that all ordinary appends share.
pub(super) struct Appender {
    options: KafkaOptions,
    sender: RwLock<Arc<Sender>>,
    room: Arc<Semaphore>,
}

impl Appender {
    pub(super) fn connect(options: &KafkaOptions) -> Result<Self> {
        let sender = Arc::new(connect(options, None)?);
        let room = Arc::new(Semaphore::new(options.queue_bytes.clamp(1, 1 << 29)));
        Ok(Appender { options: options.clone(), sender: RwLock::new(sender), room })
    }

    /// Appends records to the partitions that go with them, and returns when all are acknowledged.
    pub(super) async fn append(&self, records: &[NewRecord], partitions: &[u32]) -> Result<Vec<Position>> {
        let bytes =
            records.iter().map(|record| RECORD_OVERHEAD + record.key.len() + record.payload.len()).sum::<usize>();
        let share = bytes.clamp(1, self.options.queue_bytes.clamp(1, 1 << 29)) as u32;
        let deadline = Instant::now() + self.options.queue_wait;
        let room = Arc::clone(&self.room).acquire_many_owned(share);
        let _room = match tokio::time::timeout(self.options.queue_wait, room).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(super::closed()),
            Err(_) => return Err(self.full()),
        };
        let sender = self.sender()?;
        let (batch, answer) = Batch::new(partitions);
        for (place, (record, partition)) in records.iter().zip(partitions).enumerate() {
            while let Handed::Full = hand_over(&sender, record, *partition, &batch, place)? {
                if Instant::now() > deadline {
                    return Err(self.full());
                }
                tokio::time::sleep(FULL_QUEUE_PAUSE).await;
            }
        }
        // The client gives up on a record after its own timeout and says so; the margin is for that answer.
        let patience = self.options.delivery_timeout + Duration::from_secs(5);
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(Error::unavailable("appending to kafka: no acknowledgement")),
        }
    }

    /// The producer; a new one if the old one has met an error that it cannot go on after.
    fn sender(&self) -> Result<Arc<Sender>> {
        let sender = Arc::clone(&self.sender.read());
        let Some((_, reason)) = sender.client().fatal_error() else { return Ok(sender) };
        let mut current = self.sender.write();
        if Arc::ptr_eq(&current, &sender) {
            tracing::warn!(reason, "the kafka producer cannot go on; making a new one");
            *current = Arc::new(connect(&self.options, None)?);
        }
        Ok(Arc::clone(&current))
    }

    fn full(&self) -> Error {
        Error::resource_exhausted(format!(
            "{} bytes have been on their way to kafka for {:?}: the brokers do not keep up",
            self.options.queue_bytes, self.options.queue_wait
        ))
    }

    /// Takes no more appends; blocks until those under way are settled.
    pub(super) fn close(&self) -> Result<()> {
        self.room.close();
        let sender = Arc::clone(&self.sender.read());
        sender.flush(self.options.delivery_timeout).map_err(|error| from_kafka("closing the kafka log", &error))
    }
}
