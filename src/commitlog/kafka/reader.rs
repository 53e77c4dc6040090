//! Reading partitions: cursors that stand where the last read ended, kept between reads.
//!
//! Called by `KafkaLog::read`. A read is "from this offset on"; a cursor that stands there already goes on without a
//! question to the broker. A client reads a partition only once at a time, so that several readers of one partition (the
//! sink, a tail, the API) take a client each, of a few. Idle cursors are let go: what they fetched ahead is memory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::consumer::Consumer;
use tokio::sync::Notify;

use super::blocking;
use super::client::{self, KafkaOptions};
use super::native::{Client, PartitionReader, Taken};
use crate::error::{Error, Result};
use crate::table::Name;

/// Readers of one partition at a time.
const CLIENTS: usize = 4;
/// A cursor that has not been used for so long is let go.
const IDLE: Duration = Duration::from_secs(60);
/// Messages taken in one step.
const STEP: usize = 10_000;

type Key = (Name, u32);

/// The clients and the cursors on them.
pub(super) struct Readers {
    options: KafkaOptions,
    clients: Mutex<Vec<Arc<Client>>>,
    cursors: Mutex<HashMap<Key, Cursors>>,
    /// Told when a cursor comes back.
    returned: Notify,
}

/// The cursors of a partition.
#[derive(Default)]
struct Cursors {
    idle: Vec<Cursor>,
    /// Which clients read the partition.
    taken: [bool; CLIENTS],
}

/// One reader of a partition.
struct Cursor {
    reader: PartitionReader,
    /// Which client it is on.
    client: usize,
    /// The offset that it gives next.
    next: u64,
    used: Instant,
}

/// How to come by a cursor.
enum Way {
    /// It stands where it should.
    Standing(Cursor),
    /// It has to move.
    Moving(Cursor),
    /// A new one, on this client.
    New(usize),
    /// All are in use.
    Busy,
}

/// A cursor in use; comes back to the others when dropped.
pub(super) struct Lease {
    readers: Arc<Readers>,
    key: Key,
    cursor: Option<Cursor>,
}

impl Readers {
    pub(super) fn new(options: &KafkaOptions) -> Arc<Self> {
        Arc::new(Readers {
            options: options.clone(),
            clients: Mutex::new(Vec::new()),
            cursors: Mutex::new(HashMap::new()),
            returned: Notify::new(),
        })
    }

    fn client(&self, number: usize) -> Result<Arc<Client>> {
        let mut clients = self.clients.lock();
        while clients.len() <= number {
            clients.push(client::connect(&client::reading(&self.options))?);
        }
        Ok(Arc::clone(&clients[number]))
    }

    /// A cursor at an offset. `None` if all are in use until the deadline.
    pub(super) async fn lease(
        self: &Arc<Self>,
        topic: &Name,
        partition: u32,
        from: u64,
        deadline: Instant,
    ) -> Result<Option<Lease>> {
        self.let_idle_go().await;
        let key = (Arc::clone(topic), partition);
        loop {
            let returned = self.returned.notified();
            let way = self.way(&key, from);
            // From here on the lease answers for the client's place, also if this call is dropped.
            let mut lease = Lease { readers: Arc::clone(self), key: key.clone(), cursor: None };
            match way {
                Way::Standing(cursor) => {
                    lease.cursor = Some(cursor);
                    return Ok(Some(lease));
                }
                Way::Moving(mut cursor) => {
                    let timeout = self.options.timeout;
                    let moved = blocking(move || {
                        let moved = cursor.reader.seek(from, timeout);
                        Ok((cursor, moved))
                    });
                    let (mut cursor, moved) = moved.await?;
                    cursor.next = from;
                    lease.cursor = Some(cursor);
                    if let Err(error) = moved {
                        lease.discard().await;
                        return Err(error);
                    }
                    return Ok(Some(lease));
                }
                Way::New(number) => {
                    let started =
                        self.client(number).and_then(|client| PartitionReader::start(client, topic, partition, from));
                    match started {
                        Ok(reader) => {
                            lease.cursor = Some(Cursor { reader, client: number, next: from, used: Instant::now() });
                            return Ok(Some(lease));
                        }
                        Err(error) => {
                            self.free(&key, number);
                            return Err(error);
                        }
                    }
                }
                Way::Busy => {}
            }
            if tokio::time::timeout_at(deadline.into(), returned).await.is_err() {
                return Ok(None);
            }
        }
    }

    fn way(&self, key: &Key, from: u64) -> Way {
        let mut all = self.cursors.lock();
        let cursors = all.entry(key.clone()).or_default();
        if let Some(place) = cursors.idle.iter().position(|cursor| cursor.next == from) {
            return Way::Standing(cursors.idle.swap_remove(place));
        }
        if let Some(number) = cursors.taken.iter().position(|taken| !taken) {
            cursors.taken[number] = true;
            return Way::New(number);
        }
        let oldest = cursors.idle.iter().enumerate().min_by_key(|(_, cursor)| cursor.used).map(|(place, _)| place);
        match oldest {
            Some(place) => Way::Moving(cursors.idle.swap_remove(place)),
            None => Way::Busy,
        }
    }

    fn free(&self, key: &Key, client: usize) {
        if let Some(cursors) = self.cursors.lock().get_mut(key) {
            cursors.taken[client] = false;
        }
        self.returned.notify_waiters();
    }

    async fn let_idle_go(&self) {
        let mut gone = Vec::new();
        for (key, cursors) in self.cursors.lock().iter_mut() {
            for cursor in cursors.idle.extract_if(.., |cursor| cursor.used.elapsed() > IDLE) {
                gone.push((key.clone(), cursor));
            }
        }
        for (key, cursor) in gone {
            self.stop(key, cursor).await;
        }
    }

    async fn stop(&self, key: Key, cursor: Cursor) {
        let client = cursor.client;
        // Dropping it blocks until the client has stopped; the place is free only then.
        let _ = blocking(move || {
            drop(cursor);
            Ok(())
        })
        .await;
        self.free(&key, client);
    }

    /// Lets all cursors go that are not in use; blocks.
    pub(super) fn close(&self) {
        let all = std::mem::take(&mut *self.cursors.lock());
        drop(all);
    }
}

impl Lease {
    /// Takes what has arrived, and where the next read goes on.
    pub(super) fn take(&mut self, max_records: usize) -> (Taken, u64) {
        let Some(cursor) = &mut self.cursor else { return (Taken::default(), 0) };
        let taken = cursor.reader.take(max_records.min(STEP));
        // An offset that was fetched before a seek does not count: positions only grow from where the cursor stands.
        cursor.next = cursor.next.max(taken.position.unwrap_or(0));
        cursor.used = Instant::now();
        (taken, cursor.next)
    }

    /// Is notified when something arrives.
    pub(super) fn arrived(&self) -> Arc<Notify> {
        self.cursor.as_ref().map_or_else(Default::default, |cursor| cursor.reader.arrived())
    }

    /// Lets the cursor go: after an error it does not go on.
    pub(super) async fn discard(mut self) {
        if let Some(cursor) = self.cursor.take() {
            self.readers.stop(self.key.clone(), cursor).await;
        }
    }

    /// Whether the client has had trouble with a broker since it was last asked. A reader alone would not notice that the
    /// brokers are away: it waits, as it does when there is nothing new.
    pub(super) fn had_trouble(&self) -> bool {
        let Some(cursor) = &self.cursor else { return false };
        let Ok(client) = self.readers.client(cursor.client) else { return false };
        client.client().context().had_trouble()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(cursor) = self.cursor.take() else { return };
        if let Some(cursors) = self.readers.cursors.lock().get_mut(&self.key) {
            cursors.idle.push(cursor);
        }
        self.readers.returned.notify_waiters();
    }
}

/// The error of a read that could not have a cursor in time.
pub(super) fn busy(topic: &str, partition: u32) -> Error {
    Error::resource_exhausted(format!("topic {topic:?} partition {partition} has {CLIENTS} readers already"))
}
