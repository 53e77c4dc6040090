//! The one door to the log: messages become records with an arrival time, and are acknowledged when the log has them.
//!
//! Used by the MQTT listener; HTTP writes (`super::write`) share its arrival times. Here stands what a record of a device's
//! message looks like. Nothing is decoded here: the payload goes to the log as it was sent.

mod lane;
mod redelivery;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::record::{self, Headers, header};
use super::route::Routes;
use crate::clock::ArrivalClock;
use crate::commitlog::{CommitLog, NewRecord, Record, TopicInfo};
use crate::error::Result;
use crate::name::Name;
use crate::store::MAX_AHEAD_NS;

pub use lane::{Outgoing, Receipts};
use redelivery::{Delivery, Redeliveries};

/// Messages that wait for the log, of all connections.
const QUEUE: usize = 16_384;

/// Records that are read back at the start: of all topics of routes together, and of a partition of any other topic (its
/// newest ones are enough to know the newest arrival).
const READ_BACK: u64 = 200_000;
const READ_BACK_OTHERS: u64 = 100;

/// A message of a device.
#[derive(Clone, Debug)]
pub struct Message<'m> {
    /// The MQTT topic.
    pub topic: &'m str,
    /// The payload, as it was sent.
    pub payload: Bytes,
    /// The client's identifier.
    pub client: &'m str,
    /// The packet identifier; `None` for QoS 0, which is never redelivered.
    pub packet: Option<u16>,
    /// Whether the client says that it has sent the message before.
    pub again: bool,
}

/// The door. Shared by all listeners of a process.
pub struct Accept {
    routes: Arc<Routes>,
    arrivals: Arc<ArrivalClock>,
    redeliveries: Mutex<Redeliveries>,
    queue: mpsc::Sender<Outgoing>,
    stop: CancellationToken,
    lane: Mutex<Option<JoinHandle<()>>>,
}

impl Accept {
    /// Makes the topics of the routes (with so many partitions, where they do not exist), reads back what a restart needs
    /// to know, and opens the door. The arrival clock is lifted above every arrival in the topics of routes and in `filled`,
    /// those of buckets; others on the same Kafka cluster are nobody's business here, however many there are.
    ///
    /// Errors: those of the log.
    pub async fn open(
        routes: Arc<Routes>,
        log: Arc<dyn CommitLog>,
        arrivals: Arc<ArrivalClock>,
        partitions: u32,
        filled: &[Name],
    ) -> Result<Arc<Accept>> {
        for topic in routes.topics() {
            log.create_topic(&topic, partitions).await?;
        }
        let mut redeliveries = Redeliveries::default();
        let (mut topics, of_routes) = (log.topics().await?, routes.topics());
        let raw = |topic: &TopicInfo| of_routes.contains(&topic.name);
        topics.retain(|topic| raw(topic) || filled.contains(&topic.name));
        let partitions: u64 = topics.iter().filter(|topic| raw(topic)).map(|topic| u64::from(topic.partitions)).sum();
        for topic in &topics {
            let records = if raw(topic) { READ_BACK / partitions.max(1) } else { READ_BACK_OTHERS };
            read_back(log.as_ref(), topic, records, &routes, &arrivals, &mut redeliveries).await?;
        }
        let (queue, receiver) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let lane = tokio::spawn(lane::run(log, receiver, stop.clone()));
        Ok(Arc::new(Accept {
            routes,
            arrivals,
            redeliveries: Mutex::new(redeliveries),
            queue,
            stop,
            lane: Mutex::new(Some(lane)),
        }))
    }

    /// The record of a message, with its arrival time taken now; `None` if no route matches its topic. Send it by
    /// [`Accept::queue`], in the order of the calls.
    pub fn record(&self, message: &Message<'_>, receipts: &Arc<Receipts>) -> Option<Outgoing> {
        let matched = self.routes.find(message.topic)?;
        let route = matched.route;
        let key = route.key(message.topic, &matched.levels);
        let arrival = self.arrivals.begin();
        let mut time_ns = arrival.time_ns();
        if let Some(identity) = route.dedupe_value(&message.payload) {
            let mut known = self.redeliveries.lock();
            time_ns = known.arrival_of_identified(route.topic(), &key, &identity, time_ns);
        } else if let Some(packet) = message.packet {
            let delivery = Delivery {
                client: message.client,
                packet,
                again: message.again,
                topic: message.topic,
                payload: &message.payload,
            };
            time_ns = self.redeliveries.lock().arrival_of(delivery, time_ns);
        }
        if time_ns != arrival.time_ns() {
            metrics::counter!("fluxmill_redeliveries_total").increment(1);
        }
        let mut headers = Headers::with_capacity(5);
        headers.add_number(header::TIME, time_ns);
        headers.add(header::SOURCE, Bytes::copy_from_slice(message.topic.as_bytes()));
        headers.add(header::CONTENT_TYPE, route.content_type());
        headers.add(header::CLIENT, Bytes::copy_from_slice(message.client.as_bytes()));
        if let Some(packet) = message.packet {
            headers.add_number(header::PACKET, packet);
        }
        let record = NewRecord {
            topic: Name::clone(route.topic()),
            partition: None,
            key,
            headers: headers.into_vec(),
            payload: message.payload.clone(),
            timestamp_ms: time_ns.div_euclid(1_000_000),
        };
        Some(Outgoing { record, arrival, receipts: Arc::clone(receipts) })
    }

    /// Where records wait for the log. Bounded: a full queue means that the log is behind.
    pub fn queue(&self) -> &mpsc::Sender<Outgoing> {
        &self.queue
    }

    /// Arrival times.
    pub fn arrivals(&self) -> &Arc<ArrivalClock> {
        &self.arrivals
    }

    /// Takes nothing more, appends what waits (unless the log does not answer), and returns.
    pub async fn close(&self) {
        self.stop.cancel();
        let lane = self.lane.lock().take();
        if let Some(lane) = lane
            && let Err(error) = lane.await
        {
            tracing::error!(%error, "the task that appends messages ended early");
        }
    }
}

/// Reads the newest records of a topic: the newest arrival is the floor of the clock, and the messages of the last ten
/// minutes may still be redelivered.
async fn read_back(
    log: &dyn CommitLog,
    topic: &TopicInfo,
    records: u64,
    routes: &Routes,
    arrivals: &ArrivalClock,
    redeliveries: &mut Redeliveries,
) -> Result<()> {
    // An arrival further ahead was written by somebody whose clock is wrong; it lifts no floor.
    let latest_ns = arrivals.next_ns().saturating_add(MAX_AHEAD_NS);
    for partition in 0..topic.partitions {
        let range = log.offsets(&topic.name, partition).await?;
        let mut next = range.start.max(range.end.saturating_sub(records));
        while next < range.end {
            let fetched = log.read(&topic.name, partition, next, 4_096, Duration::from_secs(10)).await?;
            if fetched.next_offset <= next {
                let waiting = format!("the topic {} partition {partition} gives nothing at {next}", topic.name);
                return Err(crate::error::Error::unavailable(waiting));
            }
            next = fetched.next_offset;
            for record in &fetched.records {
                let Some(arrival_ns) = record::arrival_ns(record).filter(|arrival_ns| *arrival_ns <= latest_ns) else {
                    continue;
                };
                arrivals.not_before(arrival_ns.saturating_add(1));
                remember(record, &topic.name, arrival_ns, routes, redeliveries);
            }
        }
    }
    Ok(())
}

fn remember(record: &Record, topic: &str, arrival_ns: i64, routes: &Routes, redeliveries: &mut Redeliveries) {
    let Some(source) = record::text(record, header::SOURCE) else { return };
    if let Some(matched) = routes.for_record(topic, Some(source))
        && let Some(identity) = matched.route.dedupe_value(&record.payload)
    {
        redeliveries.arrival_of_identified(topic, &record.key, &identity, arrival_ns);
        return;
    }
    let packet = record::text(record, header::PACKET).and_then(|packet| packet.parse().ok());
    if let (Some(client), Some(packet)) = (record::text(record, header::CLIENT), packet) {
        let delivery = Delivery { client, packet, again: false, topic: source, payload: &record.payload };
        redeliveries.arrival_of(delivery, arrival_ns);
    }
}

#[cfg(test)]
mod tests;
