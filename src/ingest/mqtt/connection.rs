//! One connection: packets in, records to the door, acknowledgements out in the order of the messages.
//!
//! A task per connection. Messages that the log does not have yet stand in one queue; its front is acknowledged when the
//! log has it. While that queue is over its limit nothing more is read, and the keep-alive stands still: a client that is
//! held back cannot be blamed for silence.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::net::TcpStream;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::handshake::{self, Refusal};
use super::packet::{self, Ack, Connect, Packet, Publish, Version, Violation, Will, reason};
use super::wire::{Filled, Wire};
use crate::ingest::accept::{Message, Outgoing, Receipts};

/// A client has so long to send its CONNECT.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// When the server stops, a connection waits so long for the log to take what it has received.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Answers that a client does not read; beyond it nothing more is read from it.
const UNREAD_ANSWERS: usize = 64 << 10;

/// What a message takes in memory besides its payload, about.
const MESSAGE_OVERHEAD: usize = 512;

/// What a connection may always have waiting, however much the others have.
const ALWAYS_HELD: usize = 4 << 10;

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let mut wire = Wire::new(stream);
    let connect = match tokio::time::timeout(CONNECT_WITHIN, first_packet(&mut wire, &shared)).await {
        Ok(Ok(Some(connect))) => connect,
        Ok(Ok(None)) => return,
        Ok(Err(violation)) => {
            tracing::debug!(%peer, detail = %violation.detail, "refused before CONNECT");
            shared.counters.refused("malformed");
            if violation.reason == reason::UNSUPPORTED_VERSION {
                let none = packet::ConnAckProperties::default();
                packet::write_connack(&mut wire.output, Version::V311, violation.reason, false, &none);
            }
            return wire.close().await;
        }
        Err(_) => {
            shared.counters.refused("silent");
            return;
        }
    };
    let identity = match handshake::admit(&connect, &shared.options.users) {
        Ok(identity) => identity,
        Err(Refusal { code, name }) => {
            tracing::info!(%peer, client = connect.client, reason = name, "an MQTT client was refused");
            shared.counters.refused(name);
            let none = packet::ConnAckProperties::default();
            packet::write_connack(&mut wire.output, connect.version, code, false, &none);
            return wire.close().await;
        }
    };
    let ended = shared.stop.child_token();
    let entered = shared.sessions.enter(&identity.client, connect.clean, ended.clone(), shared.clock.now_ns());
    let properties = handshake::properties(&connect, &identity, shared.options.max_packet);
    packet::write_connack(&mut wire.output, connect.version, reason::SUCCESS, entered.present, &properties);
    shared.counters.connections.increment(1.0);
    tracing::debug!(%peer, client = identity.client, version = ?connect.version, "an MQTT client connected");
    let keep_alive = u64::from(connect.keep_alive_seconds) * 1_500;
    let mut connection = Connection {
        wire,
        version: connect.version,
        client: identity.client,
        generation: entered.generation,
        keep_alive: (keep_alive > 0).then(|| Duration::from_millis(keep_alive)),
        heard: Instant::now(),
        receipts: Arc::default(),
        confirmed: 0,
        waiting: VecDeque::new(),
        handed: 0,
        held_bytes: 0,
        aliases: HashMap::new(),
        peer_closed: false,
        ended,
        shared,
    };
    let end = connection.run().await;
    connection.finish(end, connect).await;
}

/// Reads until the CONNECT is whole; `None` if the peer goes before.
async fn first_packet(wire: &mut Wire, shared: &Shared) -> Result<Option<Box<Connect>>, Violation> {
    loop {
        if let Some(Packet::Connect(connect)) = packet::read(&mut wire.input, None, shared.options.max_packet)? {
            return Ok(Some(connect));
        }
        wire.rest();
        if wire.stream.readable().await.is_err() || !matches!(wire.fill(), Ok(Filled::Bytes | Filled::Nothing)) {
            return Ok(None);
        }
    }
}

/// Why a connection ends.
enum End {
    /// The client said so; whether it wants its will published.
    Disconnected { with_will: bool },
    /// It is gone without a word.
    Gone,
    /// It broke the protocol.
    Violation(Violation),
    /// It was silent for too long.
    Silent,
    /// It connected anew, or the server stops.
    Ended,
    /// The log refused one of its messages for ever.
    Refused,
}

/// A message that the log does not have yet, or that waits for those before it.
struct Waiting {
    /// Until it is handed over.
    held: Option<Box<Outgoing>>,
    /// Whether it is acknowledged by a receipt (else it is free to go, such as one that no route takes).
    counted: bool,
    /// What to answer; `None` for QoS 0.
    ack: Option<Ack>,
    packet: u16,
    reason: u8,
    bytes: usize,
}

struct Connection {
    wire: Wire,
    version: Version,
    client: String,
    generation: u64,
    /// One and a half times what the client asked for; `None`: it may be silent for ever.
    keep_alive: Option<Duration>,
    heard: Instant,
    receipts: Arc<Receipts>,
    /// Receipts that were used up.
    confirmed: u64,
    waiting: VecDeque<Waiting>,
    /// So many at the front of `waiting` are handed over.
    handed: usize,
    held_bytes: usize,
    aliases: HashMap<u16, String>,
    peer_closed: bool,
    ended: CancellationToken,
    shared: Arc<Shared>,
}

impl Connection {
    async fn run(&mut self) -> End {
        let ended = self.ended.clone();
        let ended = ended.cancelled();
        tokio::pin!(ended);
        let receipts = Arc::clone(&self.receipts);
        let shared = Arc::clone(&self.shared);
        let timer = tokio::time::sleep_until(self.deadline());
        tokio::pin!(timer);
        loop {
            if let Some(end) = self.advance() {
                return end;
            }
            let may_read = self.may_read();
            tokio::select! {
                biased;
                () = &mut ended => return End::Ended,
                () = receipts.changed(), if self.handed > 0 => {}
                permit = shared.accept.queue().reserve(), if self.handed < self.waiting.len() => match permit {
                    Ok(permit) => if let Some(outgoing) = self.waiting[self.handed].held.take() {
                        permit.send(*outgoing);
                        self.handed += 1;
                    },
                    Err(_) => return End::Ended,
                },
                ready = self.wire.stream.writable(), if !self.wire.output.is_empty() => if ready.is_err() {
                    return End::Gone;
                },
                ready = self.wire.stream.readable(), if may_read => {
                    if ready.is_err() {
                        return End::Gone;
                    }
                    match self.wire.fill() {
                        Ok(Filled::Bytes) => self.heard = Instant::now(),
                        Ok(Filled::Nothing) => {}
                        // What was read before stands; whether the peer still reads will be seen.
                        Ok(Filled::End) | Err(_) => self.peer_closed = true,
                    }
                }
                () = &mut timer, if self.keep_alive.is_some() && !self.peer_closed => {
                    if !self.may_take() {
                        self.heard = Instant::now();
                    }
                    if self.deadline() <= Instant::now() {
                        return End::Silent;
                    }
                    timer.as_mut().reset(self.deadline());
                }
            }
        }
    }

    /// Does everything that needs no waiting: takes what was read, hands over, acknowledges, sends.
    fn advance(&mut self) -> Option<End> {
        loop {
            self.settle();
            if !self.may_take() {
                break;
            }
            match packet::read(&mut self.wire.input, Some(self.version), self.shared.options.max_packet) {
                Ok(Some(packet)) => {
                    if let Some(end) = self.take(packet) {
                        return Some(end);
                    }
                }
                Ok(None) => break,
                Err(violation) => return Some(End::Violation(violation)),
            }
        }
        if self.receipts.failed() {
            return Some(End::Refused);
        }
        if self.wire.flush().is_err() || (self.peer_closed && self.waiting.is_empty()) {
            return Some(End::Gone);
        }
        self.wire.rest();
        None
    }

    fn deadline(&self) -> Instant {
        self.heard + self.keep_alive.unwrap_or(Duration::from_secs(86_400))
    }

    /// Whether a further message may be taken in.
    fn may_take(&self) -> bool {
        let room = self.held_bytes < self.shared.options.hold_bytes;
        let room_for_all = self.shared.held_bytes.load(Ordering::Relaxed) < self.shared.options.total_hold_bytes;
        room && (room_for_all || self.held_bytes < ALWAYS_HELD)
    }

    fn may_read(&self) -> bool {
        !self.peer_closed && self.may_take() && self.wire.output.len() < UNREAD_ANSWERS
    }

    fn take(&mut self, packet: Packet) -> Option<End> {
        let output = &mut self.wire.output;
        match packet {
            Packet::Publish(publish) => {
                if let Err(violation) = self.publish(publish) {
                    return Some(End::Violation(violation));
                }
            }
            Packet::PubRel(packet) => packet::write_ack(output, self.version, Ack::Complete, packet, reason::SUCCESS),
            Packet::Subscribe { packet, filters } => packet::write_suback(output, self.version, packet, filters),
            Packet::Unsubscribe { packet, filters } => packet::write_unsuback(output, self.version, packet, filters),
            Packet::Ping => packet::write_ping_response(output),
            Packet::Disconnect(code) => return Some(End::Disconnected { with_will: code != reason::SUCCESS }),
            Packet::Stray => {}
            Packet::Connect(_) => {
                return Some(End::Violation(Violation::new(reason::PROTOCOL_ERROR, "a second CONNECT")));
            }
        }
        None
    }

    fn publish(&mut self, publish: Publish) -> Result<(), Violation> {
        let topic = self.topic_of(&publish)?;
        let counters = &self.shared.counters;
        counters.messages[usize::from(publish.qos.min(2))].increment(1);
        counters.bytes.increment(publish.payload.len() as u64);
        if publish.retain {
            counters.retained.increment(1);
        }
        let bytes = publish.payload.len() + MESSAGE_OVERHEAD;
        let ack = match publish.qos {
            0 => None,
            1 => Some(Ack::Taken),
            _ => Some(Ack::Received),
        };
        let message = Message {
            topic: &topic,
            payload: publish.payload,
            client: &self.client,
            packet: (publish.qos > 0).then_some(publish.packet),
            again: publish.again,
        };
        let held = record(&self.shared, &message, &self.receipts);
        let counted = held.is_some();
        // 3.1.1 has no way to say that nobody wants the message.
        let reason = if counted { reason::SUCCESS } else { reason::TOPIC_NAME };
        if !counted && ack.is_none() {
            return Ok(());
        }
        self.held_bytes += bytes;
        self.shared.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        let held = held.map(Box::new);
        self.waiting.push_back(Waiting { held, counted, ack, packet: publish.packet, reason, bytes });
        self.hand_over();
        Ok(())
    }

    /// The topic, by its alias if it has none of its own.
    fn topic_of(&mut self, publish: &Publish) -> Result<String, Violation> {
        let unfit = publish.topic.contains(['+', '#', '\0']);
        if unfit || (publish.topic.is_empty() && publish.alias.is_none()) {
            return Err(Violation::new(reason::TOPIC_NAME, "the topic is empty or has a wildcard"));
        }
        let Some(alias) = publish.alias else { return Ok(publish.topic.clone()) };
        if alias == 0 || alias > handshake::TOPIC_ALIASES {
            return Err(Violation::new(reason::TOPIC_ALIAS, format!("the topic alias {alias} is out of range")));
        }
        if publish.topic.is_empty() {
            let unknown = || Violation::new(reason::PROTOCOL_ERROR, format!("the topic alias {alias} was never set"));
            return self.aliases.get(&alias).cloned().ok_or_else(unknown);
        }
        self.aliases.insert(alias, publish.topic.clone());
        Ok(publish.topic.clone())
    }

    /// Hands over what the door's queue has room for, in order.
    fn hand_over(&mut self) {
        while let Some(next) = self.waiting.get_mut(self.handed) {
            if let Some(outgoing) = next.held.take() {
                match self.shared.accept.queue().try_send(*outgoing) {
                    Ok(()) => {}
                    Err(TrySendError::Full(outgoing) | TrySendError::Closed(outgoing)) => {
                        next.held = Some(Box::new(outgoing));
                        return;
                    }
                }
            }
            self.handed += 1;
        }
    }

    /// Acknowledges what the log has.
    fn settle(&mut self) {
        self.hand_over();
        let durable = self.receipts.durable();
        while self.handed > 0
            && let Some(first) = self.waiting.front()
            && (!first.counted || self.confirmed < durable)
        {
            if let Some(ack) = first.ack {
                packet::write_ack(&mut self.wire.output, self.version, ack, first.packet, first.reason);
            }
            self.confirmed += u64::from(first.counted);
            self.held_bytes -= first.bytes;
            self.shared.held_bytes.fetch_sub(first.bytes, Ordering::Relaxed);
            self.waiting.pop_front();
            self.handed -= 1;
        }
    }

    /// Ends the connection: what was received is still handed over, the client is told why, its will is published.
    async fn finish(mut self, end: End, connect: Box<Connect>) {
        let stopping = self.shared.stop.is_cancelled();
        let (code, name, with_will) = match &end {
            End::Disconnected { with_will } => (None, "disconnect", *with_will),
            End::Gone => (None, "gone", true),
            End::Violation(violation) => {
                tracing::info!(client = self.client, detail = %violation.detail, "an MQTT client broke the protocol");
                if violation.reason == reason::TOO_LARGE {
                    self.shared.counters.oversized.increment(1);
                }
                (Some(violation.reason), "protocol", true)
            }
            End::Silent => (Some(reason::KEEP_ALIVE), "keep-alive", true),
            // Devices come back after a restart: a will would tell of their death too early.
            End::Ended if stopping => (Some(reason::SHUTTING_DOWN), "shutdown", false),
            End::Ended => (Some(reason::TAKEN_OVER), "taken-over", true),
            End::Refused => (Some(reason::UNSPECIFIED), "refused", true),
        };
        self.shared.counters.disconnected(name);
        self.shared.counters.connections.decrement(1.0);
        self.drain(stopping).await;
        if let Some(code) = code {
            packet::write_disconnect(&mut self.wire.output, self.version, code);
        }
        let now_ns = self.shared.clock.now_ns();
        let keep_seconds = connect.session_expiry_seconds;
        self.shared.sessions.leave(&self.client, self.generation, keep_seconds, now_ns);
        if let Some(will) = connect.will
            && with_will
        {
            self.publish_will(will, keep_seconds).await;
        }
        self.wire.close().await;
    }

    /// Hands over what is still held, and when the server stops also waits for the log, so that clients hear of it.
    async fn drain(&mut self, stopping: bool) {
        let stop = self.shared.stop.clone();
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_WITHIN).await;
        };
        tokio::pin!(deadline);
        while self.handed < self.waiting.len() || (stopping && !self.waiting.is_empty() && !self.receipts.failed()) {
            self.settle();
            tokio::select! {
                permit = self.shared.accept.queue().reserve(), if self.handed < self.waiting.len() => match permit {
                    Ok(permit) => {
                        if let Some(outgoing) = self.waiting[self.handed].held.take() {
                            permit.send(*outgoing);
                        }
                        self.handed += 1;
                    }
                    Err(_) => return,
                },
                () = self.receipts.changed(), if self.handed > 0 => {}
                () = &mut deadline => return,
            }
        }
        self.settle();
    }

    /// Publishes a Last Will as any other message; after its delay, unless the client has come back by then.
    async fn publish_will(&self, will: Will, session_seconds: u32) {
        let delay = Duration::from_secs(u64::from(will.delay_seconds.min(session_seconds)));
        let slot = Arc::clone(&self.shared.delayed_wills).try_acquire_owned();
        if delay.is_zero() || slot.is_err() {
            return send_will(&self.shared, &self.client, will).await;
        }
        let (shared, client, generation) = (Arc::clone(&self.shared), self.client.clone(), self.generation);
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = shared.stop.cancelled() => return,
            }
            if !shared.sessions.has_returned(&client, generation) {
                send_will(&shared, &client, will).await;
            }
            drop(slot);
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.held_bytes.fetch_sub(self.held_bytes, Ordering::Relaxed);
    }
}

/// The record of a message. Topics that start with a dollar sign are the server's own: nobody publishes to them.
fn record(shared: &Shared, message: &Message<'_>, receipts: &Arc<Receipts>) -> Option<Outgoing> {
    let outgoing = if message.topic.starts_with('$') { None } else { shared.accept.record(message, receipts) };
    if outgoing.is_none() {
        shared.counters.unrouted(message.topic, message.client, shared.clock.now_ns());
    }
    outgoing
}

async fn send_will(shared: &Shared, client: &str, will: Will) {
    let message = Message { topic: &will.topic, payload: will.payload, client, packet: None, again: false };
    let Some(outgoing) = record(shared, &message, &Arc::default()) else { return };
    shared.counters.wills.increment(1);
    // The queue is closed only when the process ends.
    let _ = shared.accept.queue().send(outgoing).await;
}
