//! A device that speaks MQTT 3.1.1 in raw frames and keeps a ledger: what it sent, and what was acknowledged.
//!
//! Raw frames, because a client library hides what a crash test must control: when the connection is cut, which packet
//! ids are sent again with DUP, and that an acknowledgement which was not read does not count.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub topic: String,
    pub payload: String,
    pub acknowledged: bool,
}

/// A message without its acknowledgement.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    /// Its place in the ledger.
    index: usize,
    /// Bytes of it may have left: sending it again needs the DUP flag.
    was_on_the_wire: bool,
}

/// A QoS 1 publisher that sends what was not acknowledged again, with DUP and the same packet id, after each reconnect.
pub struct Device {
    pub client_id: String,
    address: SocketAddr,
    stream: Option<TcpStream>,
    received: Vec<u8>,
    next_packet: u16,
    in_flight: BTreeMap<u16, InFlight>,
    /// Everything that was sent, in order.
    pub ledger: Vec<Sent>,
}

impl Device {
    pub fn new(client_id: &str, address: SocketAddr) -> Self {
        Device {
            client_id: client_id.into(),
            address,
            stream: None,
            received: Vec::new(),
            next_packet: 0,
            in_flight: BTreeMap::new(),
            ledger: Vec::new(),
        }
    }

    /// The listener has moved (a restart on another port).
    pub fn set_address(&mut self, address: SocketAddr) {
        self.address = address;
        self.cut();
    }

    /// Closes the connection without a DISCONNECT, as a lost network does.
    pub fn cut(&mut self) {
        self.stream = None;
        self.received.clear();
    }

    /// How many messages wait for their acknowledgement.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sends a message; the acknowledgement is read later. A broken connection is no error: the message stays in flight.
    pub fn publish(&mut self, topic: &str, payload: &str) {
        self.next_packet = self.next_packet.checked_add(1).unwrap_or(1);
        let packet = self.next_packet;
        assert!(!self.in_flight.contains_key(&packet), "too many messages in flight");
        self.ledger.push(Sent { topic: topic.into(), payload: payload.into(), acknowledged: false });
        let connected = self.stream.is_some();
        self.in_flight.insert(packet, InFlight { index: self.ledger.len() - 1, was_on_the_wire: connected });
        if connected {
            self.send(&publish_frame(topic, payload, packet, false));
        } else {
            // Connecting sends everything in flight, this message among it.
            let _ = self.connect();
        }
    }

    /// Reads acknowledgements until none is in flight or the time is up; reconnects and sends again when cut.
    pub fn drain(&mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        while !self.in_flight.is_empty() && Instant::now() < until {
            if self.connect().is_err() {
                std::thread::yield_now();
                continue;
            }
            self.read_some(Duration::from_millis(50));
        }
        self.in_flight.is_empty()
    }

    /// Reads what has arrived, waiting at most `patience` for the first byte.
    pub fn read_some(&mut self, patience: Duration) {
        let Some(stream) = &mut self.stream else { return };
        let mut bytes = [0u8; 4096];
        let outcome = stream
            .set_read_timeout(Some(patience.max(Duration::from_millis(1))))
            .and_then(|()| stream.read(&mut bytes));
        match outcome {
            Ok(0) => self.cut(),
            Ok(count) => {
                self.received.extend_from_slice(&bytes[..count]);
                self.take_acknowledgements();
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => self.cut(),
        }
    }

    fn take_acknowledgements(&mut self) {
        // Only CONNACK (4 bytes) and PUBACK (4 bytes) come to a 3.1.1 publisher of QoS 1.
        while self.received.len() >= 4 {
            let frame: Vec<u8> = self.received.drain(..4).collect();
            assert_eq!(frame[1], 2, "an unexpected packet: {frame:?}");
            match frame[0] {
                0x20 => assert_eq!(frame[3], 0, "the connection was refused: {frame:?}"),
                0x40 => {
                    let packet = u16::from_be_bytes([frame[2], frame[3]]);
                    if let Some(one) = self.in_flight.remove(&packet) {
                        self.ledger[one.index].acknowledged = true;
                    }
                }
                other => panic!("an unexpected packet type {other:#x}"),
            }
        }
    }

    fn connect(&mut self) -> io::Result<()> {
        if self.stream.is_some() {
            return Ok(());
        }
        let stream = TcpStream::connect_timeout(&self.address, Duration::from_millis(200))?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        self.stream = Some(stream);
        let mut frames = connect_frame(&self.client_id);
        let mut waiting: Vec<(u16, InFlight)> = self.in_flight.iter().map(|(packet, one)| (*packet, *one)).collect();
        waiting.sort_by_key(|(_, one)| one.index);
        for (packet, one) in waiting {
            let sent = &self.ledger[one.index];
            frames.extend(publish_frame(&sent.topic, &sent.payload, packet, one.was_on_the_wire));
            self.in_flight.insert(packet, InFlight { was_on_the_wire: true, ..one });
        }
        self.send(&frames);
        Ok(())
    }

    fn send(&mut self, frame: &[u8]) {
        if let Some(stream) = &mut self.stream
            && stream.write_all(frame).is_err()
        {
            self.cut();
        }
    }
}

/// CONNECT: protocol 3.1.1, clean session, keep-alive 45 s.
pub fn connect_frame(client_id: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 45];
    push_text(&mut body, client_id);
    frame(0x10, body)
}

/// PUBLISH with QoS 1.
pub fn publish_frame(topic: &str, payload: &str, packet: u16, again: bool) -> Vec<u8> {
    let mut body = Vec::new();
    push_text(&mut body, topic);
    body.extend(packet.to_be_bytes());
    body.extend(payload.as_bytes());
    frame(0x32 | if again { 0x08 } else { 0 }, body)
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text.as_bytes());
}

fn frame(first: u8, body: Vec<u8>) -> Vec<u8> {
    let mut out = vec![first];
    let mut rest = body.len();
    loop {
        let byte = (rest % 128) as u8;
        rest /= 128;
        out.push(if rest > 0 { byte | 0x80 } else { byte });
        if rest == 0 {
            break;
        }
    }
    out.extend(body);
    out
}
