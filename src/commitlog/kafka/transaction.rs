//! Atomic appends: one transactional producer per name, one transaction per call.
//!
//! Called by `KafkaLog::append_atomic`, on the runtime's threads that may block. A transaction is committed as a whole or aborted; when
//! the brokers do not say which, the producer is made anew before its next use, which settles what it left open. A producer
//! that a newer one of its name has fenced stays fenced: otherwise two processes would fence each other in turns.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use tokio::runtime::Handle;

use super::client::{KafkaOptions, transaction_timeout};
use super::errors::from_kafka;
use super::producer::{self, Batch, Handed, Sender, hand_over};
use crate::commitlog::{NewRecord, Position};
use crate::error::{Error, ErrorKind, Result};

/// How long to wait before a full local queue, or a commit that may be repeated, is tried again.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the client takes to let a record go after its acknowledgement was handed to us.
const SETTLE_PAUSE: Duration = Duration::from_micros(100);

/// The transactional producers by name.
pub(super) struct Transactions {
    options: KafkaOptions,
    writers: Mutex<HashMap<String, Arc<Mutex<Writer>>>>,
}

/// The producer of a name.
enum Writer {
    /// Not made yet, or given up.
    Absent,
    /// Between two transactions.
    Ready(Sender),
    /// A newer process writes under this name.
    Fenced,
}

/// How a transaction failed, and what becomes of its producer.
enum Failure {
    /// It was aborted; nothing was appended.
    Aborted(Error),
    /// The producer cannot go on, and whether anything was appended is open.
    Lost(Error),
}

impl Transactions {
    pub(super) fn new(options: &KafkaOptions) -> Self {
        Transactions { options: options.clone(), writers: Mutex::new(HashMap::new()) }
    }

    /// Appends records in one transaction; blocks. Calls of one name go one after another.
    pub(super) fn append(&self, name: &str, records: &[NewRecord], partitions: &[u32]) -> Result<Vec<Position>> {
        let writer = self.writer(name);
        let mut writer = self.lock(name, &writer)?;
        let sender = self.take_sender(name, &mut writer)?;
        match self.run(&sender, records, partitions) {
            Ok(positions) => {
                *writer = Writer::Ready(sender);
                Ok(positions)
            }
            Err(Failure::Aborted(error)) => {
                *writer = Writer::Ready(sender);
                Err(error)
            }
            Err(Failure::Lost(error)) if error.kind() == ErrorKind::Conflict => {
                *writer = Writer::Fenced;
                Err(fenced(name).with_hint(error.message()))
            }
            Err(Failure::Lost(error)) => Err(error),
        }
    }

    /// Fences older producers of the name and settles what any of them left open; blocks. A transaction is settled when its
    /// coordinator has told all its partitions, and only then does the coordinator give out the name again.
    pub(super) fn take_over(&self, name: &str) -> Result<()> {
        let writer = self.writer(name);
        let mut writer = self.lock(name, &writer)?;
        let sender = self.take_sender(name, &mut writer)?;
        *writer = Writer::Ready(sender);
        Ok(())
    }

    fn writer(&self, name: &str) -> Arc<Mutex<Writer>> {
        let mut writers = self.writers.lock();
        Arc::clone(writers.entry(name.to_owned()).or_insert_with(|| Arc::new(Mutex::new(Writer::Absent))))
    }

    fn lock<'w>(&self, name: &str, writer: &'w Mutex<Writer>) -> Result<MutexGuard<'w, Writer>> {
        writer.try_lock_for(self.options.delivery_timeout).ok_or_else(|| {
            Error::unavailable(format!("an earlier atomic append of {name:?} is still waiting for kafka"))
        })
    }

    /// The producer of a name, made if there is none. The writer is left without one.
    fn take_sender(&self, name: &str, writer: &mut Writer) -> Result<Sender> {
        match std::mem::replace(writer, Writer::Absent) {
            Writer::Ready(sender) => Ok(sender),
            Writer::Absent => self.connect(name),
            Writer::Fenced => {
                *writer = Writer::Fenced;
                Err(fenced(name))
            }
        }
    }

    /// Makes the producer of a name. That fences older ones and settles what they left open.
    fn connect(&self, name: &str) -> Result<Sender> {
        let id = format!("{}{name}", self.options.transactional_prefix);
        let sender = producer::connect(&self.options, Some(&id))?;
        sender
            .init_transactions(self.options.timeout)
            .map_err(|error| from_kafka("taking over a kafka transactional id", &error))?;
        Ok(sender)
    }

    fn run(&self, sender: &Sender, records: &[NewRecord], partitions: &[u32]) -> Result<Vec<Position>, Failure> {
        let deadline = Instant::now() + transaction_timeout(&self.options);
        sender
            .begin_transaction()
            .map_err(|error| Failure::Lost(from_kafka("beginning a kafka transaction", &error)))?;
        let (batch, answer) = Batch::new(partitions);
        for (place, (record, partition)) in records.iter().zip(partitions).enumerate() {
            loop {
                match hand_over(sender, record, *partition, &batch, place) {
                    Ok(Handed::Over) => break,
                    Ok(Handed::Full) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                    Ok(Handed::Full) => {
                        let error =
                            Error::resource_exhausted("kafka did not take the records of a transaction in time");
                        return Err(self.abort(sender, error));
                    }
                    Err(error) => return Err(self.abort(sender, error)),
                }
            }
        }
        // Waited for here and not by the commit: rdkafka's wait takes steps of a tenth of a second.
        let left = deadline.saturating_duration_since(Instant::now());
        let positions = match Handle::current().block_on(tokio::time::timeout(left, answer)) {
            Ok(Ok(Ok(positions))) => positions,
            Ok(Ok(Err(error))) => return Err(self.abort(sender, error)),
            Ok(Err(_)) | Err(_) => {
                let error = Error::unavailable("kafka did not acknowledge the records of a transaction in time");
                return Err(self.abort(sender, error));
            }
        };
        while sender.in_flight_count() > 0 && Instant::now() < deadline {
            std::thread::sleep(SETTLE_PAUSE);
        }
        self.commit(sender, deadline)?;
        Ok(positions)
    }

    fn commit(&self, sender: &Sender, deadline: Instant) -> Result<(), Failure> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Err(error) = sender.commit_transaction(left.max(PAUSE)) else { return Ok(()) };
            let reason = from_kafka("committing a kafka transaction", &error);
            match error {
                KafkaError::Transaction(inner) if inner.is_fatal() => return Err(Failure::Lost(reason)),
                KafkaError::Transaction(inner) if inner.txn_requires_abort() => return Err(self.abort(sender, reason)),
                KafkaError::Transaction(inner) if inner.is_retriable() && Instant::now() < deadline => {
                    std::thread::sleep(PAUSE);
                }
                _ => return Err(Failure::Lost(reason)),
            }
        }
    }

    /// Aborts; if even that fails, the producer is lost.
    fn abort(&self, sender: &Sender, reason: Error) -> Failure {
        if let Some((code, text)) = sender.client().fatal_error() {
            return Failure::Lost(super::errors::from_code("a kafka transaction", code as i32, &text));
        }
        match sender.abort_transaction(self.options.timeout) {
            Ok(()) => Failure::Aborted(reason),
            Err(KafkaError::Transaction(inner)) if inner.is_fatal() => {
                Failure::Lost(from_kafka("aborting a kafka transaction", &KafkaError::Transaction(inner)))
            }
            Err(_) => Failure::Lost(reason),
        }
    }

    /// Lets all producers go; blocks until transactions under way have ended.
    pub(super) fn close(&self) {
        let writers = std::mem::take(&mut *self.writers.lock());
        for writer in writers.into_values() {
            *writer.lock() = Writer::Absent;
        }
    }
}

fn fenced(name: &str) -> Error {
    Error::conflict(format!("a newer process writes as {name:?}"))
}
