//! The MQTT listener: versions 3.1.1 and 5, QoS 0 to 2, publish only. A message is acknowledged when the log has it.
//!
//! Started by `daemon`; hands everything to the one door ([`Accept`]). A connection is a task with two small buffers: what
//! it reads becomes records at once, what the log has not yet taken is counted, and beyond a limit the client is held
//! back by TCP while its pings before that are still answered. Nothing is ever sent to a client but answers: SUBSCRIBE is
//! refused, retained messages are not kept, sessions hold nothing but the fact that they exist.
//!
//! QoS 2 is appended at PUBLISH, before PUBREC; a repeated PUBLISH is the same point by its redelivery (`accept`).
//!
//! Why not ntex-mqtt, which was the plan: its decoder panics on a six-byte PUBLISH whose topic is longer than its packet
//! (and without overflow checks reads past the size limit), and its answers stand in one queue, so that a ping waits for
//! the acknowledgements before it. The codecs of rumqttc, which the simulator needs anyway, and tokio are enough.

mod connection;
mod counters;
mod handshake;
mod packet;
mod sessions;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::accept::Accept;
use crate::clock::{Clock, SystemClock};
use crate::config::{MqttConfig, MqttUser};
use crate::error::{Error, Result};
use counters::Counters;
use sessions::Sessions;

/// Connections that the system keeps for us before we take them.
const BACKLOG: u32 = 4_096;

/// Wills that wait for their delay; further ones are published at once.
const DELAYED_WILLS: usize = 10_000;

/// How long a stop waits for connections to end by themselves.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// How the listener behaves.
#[derive(Clone, Debug)]
pub struct MqttOptions {
    /// `address:port`; port 0 picks a free one.
    pub listen: String,
    /// Larger packets end their connection (MQTT 5: reason 0x95).
    pub max_packet: usize,
    /// What one connection may have waiting for the log before it is held back.
    pub hold_bytes: usize,
    /// What all connections together may have waiting; beyond it each may only have a little.
    pub total_hold_bytes: usize,
    /// Names and passwords; empty lets everybody in.
    pub users: Vec<MqttUser>,
    /// Connections at once; further ones are told to come back.
    pub max_connections: usize,
}

impl From<&MqttConfig> for MqttOptions {
    fn from(config: &MqttConfig) -> Self {
        MqttOptions {
            listen: config.listen.clone(),
            max_packet: config.max_packet.as_usize(),
            hold_bytes: config.hold_bytes.as_usize(),
            total_hold_bytes: 256 << 20,
            users: config.users.clone(),
            max_connections: 50_000,
        }
    }
}

/// A running listener.
pub struct MqttServer {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What connections share.
struct Shared {
    options: MqttOptions,
    accept: Arc<Accept>,
    clock: Arc<dyn Clock>,
    sessions: Sessions,
    counters: Counters,
    /// Bytes of all messages that the log does not have yet.
    held_bytes: AtomicUsize,
    delayed_wills: Arc<Semaphore>,
    stop: CancellationToken,
}

impl MqttServer {
    /// Listens, and serves connections on the runtime of the caller.
    ///
    /// Errors: `Invalid` for an address that is none, `Unavailable` for one that is taken.
    pub async fn start(options: MqttOptions, accept: Arc<Accept>) -> Result<MqttServer> {
        let listener = listen(&options.listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared {
            options,
            accept,
            clock: Arc::new(SystemClock),
            sessions: Sessions::default(),
            counters: Counters::new(),
            held_bytes: AtomicUsize::new(0),
            delayed_wills: Arc::new(Semaphore::new(DELAYED_WILLS)),
            stop: stop.clone(),
        });
        let task = tokio::spawn(accept_connections(listener, shared));
        Ok(MqttServer { address, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further connection, ends the others (what was received is handed over and acknowledged where the log
    /// answers in time; no will is published, since devices come back), and returns when they are gone.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the MQTT listener ended early");
        }
    }
}

async fn listen(text: &str) -> Result<TcpListener> {
    let mut addresses = tokio::net::lookup_host(text).await.map_err(|error| {
        Error::invalid(format!("{text:?} is not an address to listen on: {error}")).with_hint("expected ADDRESS:PORT")
    })?;
    let Some(address) = addresses.next() else {
        return Err(Error::invalid(format!("{text:?} is not an address to listen on")));
    };
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Connections inherit it: a peer that vanished without a word, and asked for no keep-alive, is found out in the end.
    socket.set_keepalive(true)?;
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Error::unavailable(format!("{address} is in use (another MQTT broker?)"))
            .with_hint("pass --mqtt 127.0.0.1:PORT or --mqtt off"),
        _ => Error::unavailable(format!("cannot listen on {address}: {error}")),
    };
    socket.bind(address).map_err(failed)?;
    socket.listen(BACKLOG).map_err(failed)
}

async fn accept_connections(listener: TcpListener, shared: Arc<Shared>) {
    let slots = Arc::new(Semaphore::new(shared.options.max_connections));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => match Arc::clone(&slots).try_acquire_owned() {
                    Ok(slot) => {
                        let shared = Arc::clone(&shared);
                        connections.spawn(async move {
                            connection::serve(stream, peer, shared).await;
                            drop(slot);
                        });
                    }
                    Err(_) => refuse(stream, peer),
                },
                Err(error) => {
                    // Out of file descriptors, or a peer that was gone already: neither ends the listener.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(ended) = connections.join_next() => if let Err(error) = ended {
                tracing::error!(%error, "a connection's task ended early");
            },
            () = shared.stop.cancelled() => break,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
        tracing::warn!("connections that did not end in time are cut");
    }
}

/// More connections than allowed: the peer sees an end, and tries again later.
fn refuse(stream: TcpStream, peer: SocketAddr) {
    metrics::counter!("fluxmill_mqtt_refused_connections_total", "reason" => "too-many").increment(1);
    tracing::debug!(%peer, "too many connections");
    drop(stream);
}

#[cfg(test)]
mod tests;
