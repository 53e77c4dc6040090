//! The generator simulator: a fleet of outside clients that publish over real MQTT sockets, as devices do.
//!
//! Run by `fluxmill simulate` and by the demo. It knows an address and nothing else of the daemon: what it does, any
//! device could do.

mod generator;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use generator::Generator;

/// Keep-alive of the generators.
const KEEP_ALIVE: Duration = Duration::from_secs(45);
/// Unacknowledged messages of one generator while it sends its history.
const HISTORY_IN_FLIGHT: u16 = 100;
/// Messages that wait in a client for its socket.
const CLIENT_QUEUE: usize = 128;
/// A client that cannot connect tries again after this long.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
/// How long the fleet waits at its end for acknowledgements under way.
const LAST_ACKNOWLEDGEMENTS: Duration = Duration::from_secs(5);

/// What the fleet does.
#[derive(Clone, Debug)]
pub struct SimulateOptions {
    /// `host:port` of an MQTT listener.
    pub address: String,
    /// How many generators.
    pub generators: usize,
    /// How long they publish live; `None` until cancelled.
    pub duration: Option<Duration>,
    /// How much history they send first; its messages carry `time`.
    pub history: Option<Duration>,
    /// The longest pause between two messages of a generator; the shortest is a third of it.
    pub interval: Duration,
    /// Quality of service of live messages, 0 or 1; history is sent with 1.
    pub qos: u8,
    /// Equal seeds give equal fleets.
    pub seed: u64,
}

/// What the fleet did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimulateReport {
    /// Messages of history, all acknowledged.
    pub history: u64,
    /// Live messages handed to the network.
    pub sent: u64,
    /// Acknowledgements of live messages (QoS 1 only).
    pub acknowledged: u64,
    /// Connections that broke or could not be made.
    pub broken_connections: u64,
}

impl fmt::Display for SimulateReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} messages of history, {} live messages, {} acknowledged, {} broken connections",
            self.history, self.sent, self.acknowledged, self.broken_connections
        )
    }
}

/// Counters that can be watched while the fleet runs.
#[derive(Debug, Default)]
pub struct Progress {
    history: AtomicU64,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    broken: AtomicU64,
}

impl Progress {
    /// What has been done so far.
    pub fn report(&self) -> SimulateReport {
        SimulateReport {
            history: self.history.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            acknowledged: self.acknowledged.load(Ordering::Relaxed),
            broken_connections: self.broken.load(Ordering::Relaxed),
        }
    }
}

/// Runs the fleet to its end or until it is cancelled.
///
/// Errors: `Invalid` for an address without a port.
pub async fn run(options: SimulateOptions, cancel: CancellationToken) -> Result<SimulateReport> {
    let progress = Arc::new(Progress::default());
    send_history(&options, &progress, &cancel).await?;
    run_live(&options, &progress, &cancel).await?;
    Ok(progress.report())
}

/// Sends the history of every generator and returns when all of it is acknowledged.
///
/// Errors: `Invalid` for an address without a port.
pub async fn send_history(
    options: &SimulateOptions,
    progress: &Arc<Progress>,
    cancel: &CancellationToken,
) -> Result<()> {
    let Some(history) = options.history else { return Ok(()) };
    let now_ns = SystemClock.now_ns();
    let mut fleet = JoinSet::new();
    for number in 0..options.generators {
        let (client, events) = connect(options, number, HISTORY_IN_FLIGHT)?;
        let messages = past_messages(options, number, history, now_ns);
        let (progress, cancel) = (Arc::clone(progress), cancel.clone());
        fleet.spawn(async move {
            tokio::select! {
                () = send_all(client, events, messages, &progress) => {}
                () = cancel.cancelled() => {}
            }
        });
    }
    while fleet.join_next().await.is_some() {}
    Ok(())
}

/// Publishes live until the duration is over or the fleet is cancelled.
///
/// Errors: `Invalid` for an address without a port.
pub async fn run_live(options: &SimulateOptions, progress: &Arc<Progress>, cancel: &CancellationToken) -> Result<()> {
    let end = cancel.child_token();
    let mut fleet = JoinSet::new();
    for number in 0..options.generators {
        let (client, events) = connect(options, number, HISTORY_IN_FLIGHT)?;
        fleet.spawn(live(options.clone(), number, client, events, Arc::clone(progress), end.clone()));
    }
    match options.duration {
        Some(duration) => tokio::select! {
            () = tokio::time::sleep(duration) => end.cancel(),
            () = cancel.cancelled() => {}
        },
        None => cancel.cancelled().await,
    }
    while fleet.join_next().await.is_some() {}
    Ok(())
}

fn connect(options: &SimulateOptions, number: usize, in_flight: u16) -> Result<(AsyncClient, EventLoop)> {
    let (host, port) =
        options.address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?))).ok_or_else(
            || Error::invalid(format!("expected HOST:PORT of an MQTT listener, found {:?}", options.address)),
        )?;
    let mut mqtt = MqttOptions::new(format!("generator{number}"), host, port);
    mqtt.set_keep_alive(KEEP_ALIVE).set_inflight(in_flight);
    Ok(AsyncClient::new(mqtt, CLIENT_QUEUE))
}

/// Each generator has randomness of its own, so that the number of generators does not change what one of them does.
fn randomness(options: &SimulateOptions, number: usize) -> StdRng {
    StdRng::seed_from_u64(options.seed.wrapping_mul(1_000_003).wrapping_add(number as u64))
}

fn pause(options: &SimulateOptions, random: &mut StdRng) -> Duration {
    let longest = options.interval.max(Duration::from_millis(3));
    longest.mul_f64(random.random_range(1.0 / 3.0..=1.0))
}

fn past_messages(options: &SimulateOptions, number: usize, history: Duration, now_ns: i64) -> Vec<(String, String)> {
    let mut random = randomness(options, number);
    let mut generator = Generator::new(number, &mut random);
    let mut time_ns = now_ns.saturating_sub(i64::try_from(history.as_nanos()).unwrap_or(i64::MAX));
    let mut messages = Vec::new();
    loop {
        let pause = pause(options, &mut random);
        time_ns = time_ns.saturating_add(i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX));
        if time_ns >= now_ns {
            return messages;
        }
        generator.advance(pause.as_secs_f64(), &mut random);
        messages.push((generator.topic(), generator.payload(Some(time_ns))));
    }
}

/// Publishes with QoS 1 and returns when everything is acknowledged.
async fn send_all(client: AsyncClient, mut events: EventLoop, messages: Vec<(String, String)>, progress: &Progress) {
    let total = messages.len();
    let publisher = tokio::spawn(async move {
        for (topic, payload) in messages {
            if client.publish(topic, QoS::AtLeastOnce, false, payload).await.is_err() {
                return None;
            }
        }
        // Kept until the end: the event loop stops when its last client is dropped.
        Some(client)
    });
    let mut acknowledged = 0;
    while acknowledged < total {
        match events.poll().await {
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                acknowledged += 1;
                progress.history.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(_) => {
                progress.broken.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(RECONNECT_AFTER).await;
            }
        }
    }
    if let Ok(Some(client)) = publisher.await {
        disconnect(&client, &mut events).await;
    }
}

async fn disconnect(client: &AsyncClient, events: &mut EventLoop) {
    if client.disconnect().await.is_err() {
        return;
    }
    // Until the DISCONNECT is on the wire, so that no will is published.
    while let Ok(event) = events.poll().await {
        if matches!(event, Event::Outgoing(Outgoing::Disconnect)) {
            return;
        }
    }
}

/// One generator, live, until `end`.
async fn live(
    options: SimulateOptions,
    number: usize,
    client: AsyncClient,
    mut events: EventLoop,
    progress: Arc<Progress>,
    end: CancellationToken,
) {
    let mut random = randomness(&options, number);
    let mut generator = Generator::new(number, &mut random);
    let qos = if options.qos == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
    let mut outstanding: u64 = 0;
    // Not all at once: the first messages spread over one interval.
    let mut next = tokio::time::Instant::now() + options.interval.mul_f64(random.random_range(0.0..1.0));
    loop {
        tokio::select! {
            () = end.cancelled() => break,
            () = tokio::time::sleep_until(next) => {
                let pause = pause(&options, &mut random);
                next += pause;
                generator.advance(pause.as_secs_f64(), &mut random);
                // A full queue means that the broker holds the client back: this reading is skipped, as a device would.
                if client.try_publish(generator.topic(), qos, false, generator.payload(None)).is_ok() {
                    outstanding += u64::from(options.qos > 0);
                    progress.sent.fetch_add(1, Ordering::Relaxed);
                }
            }
            event = events.poll() => match event {
                Ok(Event::Incoming(Packet::PubAck(_))) => {
                    outstanding = outstanding.saturating_sub(1);
                    progress.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => {}
                Err(_) => {
                    progress.broken.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(RECONNECT_AFTER).await;
                }
            }
        }
    }
    let finish = async {
        while outstanding > 0 {
            match events.poll().await {
                Ok(Event::Incoming(Packet::PubAck(_))) => {
                    outstanding -= 1;
                    progress.acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
        disconnect(&client, &mut events).await;
    };
    // A broker that no longer answers must not keep the fleet alive.
    let _ = tokio::time::timeout(LAST_ACKNOWLEDGEMENTS, finish).await;
}
