//! MQTT packets of both versions as one kind of value: what clients send, read within bounds; what the listener answers.
//!
//! Used by the connection. CONNECT, PUBLISH, SUBSCRIBE and UNSUBSCRIBE are decoded by rumqttc's codecs; the frame around
//! them is checked here first, since a length that lies must neither panic nor get past the size limit. The answers are a
//! few bytes each and are written here.

use bytes::{BufMut, Bytes, BytesMut};
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

/// The version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// 3.1.1.
    V311,
    /// 5.0.
    V5,
}

/// Reason codes of MQTT 5 that the listener gives.
pub(super) mod reason {
    pub(crate) const SUCCESS: u8 = 0x00;
    pub(crate) const NO_SUBSCRIPTION: u8 = 0x11;
    pub(crate) const UNSPECIFIED: u8 = 0x80;
    pub(crate) const MALFORMED: u8 = 0x81;
    pub(crate) const PROTOCOL_ERROR: u8 = 0x82;
    pub(crate) const NOT_ACCEPTED: u8 = 0x83;
    pub(crate) const UNSUPPORTED_VERSION: u8 = 0x84;
    pub(crate) const BAD_CLIENT_ID: u8 = 0x85;
    pub(crate) const BAD_PASSWORD: u8 = 0x86;
    pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
    pub(crate) const SHUTTING_DOWN: u8 = 0x8b;
    pub(crate) const BAD_METHOD: u8 = 0x8c;
    pub(crate) const KEEP_ALIVE: u8 = 0x8d;
    pub(crate) const TAKEN_OVER: u8 = 0x8e;
    pub(crate) const TOPIC_NAME: u8 = 0x90;
    pub(crate) const TOPIC_ALIAS: u8 = 0x94;
    pub(crate) const TOO_LARGE: u8 = 0x95;
}

/// Why the bytes of a client are no packet, or one that may not come now. The connection ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The reason code for MQTT 5.
    pub reason: u8,
    /// For the log.
    pub detail: String,
}

impl Violation {
    pub(super) fn new(reason: u8, detail: impl Into<String>) -> Self {
        Violation { reason, detail: detail.into() }
    }
}

/// What a client sends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Packet {
    Connect(Box<Connect>),
    Publish(Publish),
    /// QoS 2, third step.
    PubRel(u16),
    Subscribe {
        packet: u16,
        filters: usize,
    },
    Unsubscribe {
        packet: u16,
        filters: usize,
    },
    Ping,
    /// The end, with the reason code (0 in 3.1.1).
    Disconnect(u8),
    /// An acknowledgement of something that was never sent; harmless.
    Stray,
}

/// CONNECT.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Connect {
    pub version: Version,
    pub client: String,
    /// Whether the client wants to begin anew.
    pub clean: bool,
    pub keep_alive_seconds: u16,
    pub will: Option<Will>,
    pub user: Option<(String, String)>,
    /// How long the client wants its session to be kept (MQTT 5; `u32::MAX`: for ever).
    pub session_expiry_seconds: u32,
    /// An authentication method that is not user and password (MQTT 5).
    pub method: Option<String>,
}

/// A Last Will.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Will {
    pub topic: String,
    pub payload: Bytes,
    pub delay_seconds: u32,
}

/// PUBLISH.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Publish {
    pub topic: String,
    pub payload: Bytes,
    pub qos: u8,
    pub again: bool,
    pub retain: bool,
    /// 0 for QoS 0.
    pub packet: u16,
    pub alias: Option<u16>,
}

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const PUBREL: u8 = 6;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

/// The next packet of `input`; `None` if it is not whole yet. `version` is known once the client has connected.
pub(super) fn read(
    input: &mut BytesMut,
    version: Option<Version>,
    max_packet: usize,
) -> Result<Option<Packet>, Violation> {
    let Some(frame) = frame(input, max_packet)? else { return Ok(None) };
    if input.len() < frame.length() {
        return Ok(None);
    }
    let bytes = input.split_to(frame.length());
    let body = &bytes[frame.header..];
    let packet = match (frame.kind, version) {
        (CONNECT, None) => Packet::Connect(Box::new(connect(bytes)?)),
        (CONNECT, Some(_)) => return Err(Violation::new(reason::PROTOCOL_ERROR, "a second CONNECT")),
        (kind, None) => {
            let detail = format!("the first packet is no CONNECT (type {kind})");
            return Err(Violation::new(reason::PROTOCOL_ERROR, detail));
        }
        (PUBLISH, Some(Version::V311)) => publish_v4(bytes)?,
        (PUBLISH, Some(Version::V5)) => publish_v5(bytes)?,
        (PUBREL, Some(_)) => Packet::PubRel(packet_id(body)?),
        (SUBSCRIBE | UNSUBSCRIBE, Some(version)) => filters(frame.kind, version, bytes)?,
        (PINGREQ, Some(_)) => Packet::Ping,
        (DISCONNECT, Some(_)) => Packet::Disconnect(body.first().copied().unwrap_or(reason::SUCCESS)),
        // PUBACK, PUBREC, PUBCOMP: nothing is ever sent that they could answer.
        (4 | 5 | 7, Some(_)) => Packet::Stray,
        (kind, Some(_)) => {
            let detail = format!("a client does not send packets of type {kind}");
            return Err(Violation::new(reason::PROTOCOL_ERROR, detail));
        }
    };
    Ok(Some(packet))
}

struct Frame {
    kind: u8,
    /// Bytes of the fixed header.
    header: usize,
    /// Bytes after it.
    rest: usize,
}

impl Frame {
    fn length(&self) -> usize {
        self.header + self.rest
    }
}

/// The fixed header, checked: flags, the length's own length, the limit.
fn frame(input: &[u8], max_packet: usize) -> Result<Option<Frame>, Violation> {
    let Some(first) = input.first() else { return Ok(None) };
    let (kind, flags) = (first >> 4, first & 0x0f);
    let flags_right = match kind {
        PUBLISH => flags & 0b0110 != 0b0110 && (flags & 0b1000 == 0 || flags & 0b0110 != 0),
        PUBREL | SUBSCRIBE | UNSUBSCRIBE => flags == 0b0010,
        _ => flags == 0,
    };
    if !flags_right || kind == 0 {
        return Err(Violation::new(reason::MALFORMED, format!("the first byte {first:#04x} begins no packet")));
    }
    let mut rest = 0_usize;
    for place in 0..4 {
        let Some(byte) = input.get(1 + place) else { return Ok(None) };
        rest |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let frame = Frame { kind, header: 2 + place, rest };
            if frame.length() > max_packet {
                let detail = format!("a packet of {} bytes; the limit is {max_packet}", frame.length());
                return Err(Violation::new(reason::TOO_LARGE, detail));
            }
            return Ok(Some(frame));
        }
    }
    Err(Violation::new(reason::MALFORMED, "the packet's length takes more than four bytes"))
}

fn malformed(error: impl std::fmt::Display) -> Violation {
    Violation::new(reason::MALFORMED, error.to_string())
}

fn packet_id(body: &[u8]) -> Result<u16, Violation> {
    match body {
        [high, low, ..] if (*high, *low) != (0, 0) => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(malformed("the packet identifier is missing or 0")),
    }
}

fn connect(mut bytes: BytesMut) -> Result<Connect, Violation> {
    // Fixed header, then the length-prefixed name "MQTT" and the version.
    let header = bytes.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 2;
    let level = match bytes.get(header..).unwrap_or_default() {
        [0, 4, b'M', b'Q', b'T', b'T', level, ..] => *level,
        _ => return Err(Violation::new(reason::UNSUPPORTED_VERSION, "the protocol is not MQTT 3.1.1 or 5")),
    };
    match level {
        4 => connect_v4(&mut bytes),
        5 => connect_v5(&mut bytes),
        level => {
            let detail = format!("protocol level {level} is neither 4 (MQTT 3.1.1) nor 5");
            Err(Violation::new(reason::UNSUPPORTED_VERSION, detail))
        }
    }
}

fn connect_v4(bytes: &mut BytesMut) -> Result<Connect, Violation> {
    let v4::Packet::Connect(connect) = v4::Packet::read(bytes, usize::MAX).map_err(malformed)? else {
        return Err(malformed("no CONNECT"));
    };
    let will = connect.last_will.map(|will| Will { topic: will.topic, payload: will.message, delay_seconds: 0 });
    Ok(Connect {
        version: Version::V311,
        client: connect.client_id,
        clean: connect.clean_session,
        keep_alive_seconds: connect.keep_alive,
        will,
        user: connect.login.map(|login| (login.username, login.password)),
        session_expiry_seconds: if connect.clean_session { 0 } else { u32::MAX },
        method: None,
    })
}

fn connect_v5(bytes: &mut BytesMut) -> Result<Connect, Violation> {
    let v5::Packet::Connect(connect, will, login) = v5::Packet::read(bytes, None).map_err(malformed)? else {
        return Err(malformed("no CONNECT"));
    };
    let will = will.map(|will| {
        let delay_seconds = will.properties.as_ref().and_then(|properties| properties.delay_interval).unwrap_or(0);
        Ok(Will { topic: utf8(will.topic)?, payload: will.message, delay_seconds })
    });
    let properties = connect.properties.as_ref();
    Ok(Connect {
        version: Version::V5,
        client: connect.client_id,
        clean: connect.clean_start,
        keep_alive_seconds: connect.keep_alive,
        will: will.transpose()?,
        user: login.map(|login| (login.username, login.password)),
        session_expiry_seconds: properties.and_then(|properties| properties.session_expiry_interval).unwrap_or(0),
        method: properties.and_then(|properties| properties.authentication_method.clone()),
    })
}

fn utf8(bytes: Bytes) -> Result<String, Violation> {
    String::from_utf8(bytes.into()).map_err(|_| malformed("a topic is not UTF-8"))
}

/// A small payload is copied, so that a message that has to wait does not pin the whole block that it was read into.
const COPIED: usize = 4_096;

fn payload(bytes: Bytes) -> Bytes {
    if bytes.len() <= COPIED { Bytes::copy_from_slice(&bytes) } else { bytes }
}

fn publish_v4(mut bytes: BytesMut) -> Result<Packet, Violation> {
    let v4::Packet::Publish(publish) = v4::Packet::read(&mut bytes, usize::MAX).map_err(malformed)? else {
        return Err(malformed("no PUBLISH"));
    };
    Ok(Packet::Publish(Publish {
        topic: publish.topic,
        payload: payload(publish.payload),
        qos: publish.qos as u8,
        again: publish.dup,
        retain: publish.retain,
        packet: publish.pkid,
        alias: None,
    }))
}

fn publish_v5(mut bytes: BytesMut) -> Result<Packet, Violation> {
    let v5::Packet::Publish(publish) = v5::Packet::read(&mut bytes, None).map_err(malformed)? else {
        return Err(malformed("no PUBLISH"));
    };
    Ok(Packet::Publish(Publish {
        topic: utf8(publish.topic)?,
        payload: payload(publish.payload),
        qos: publish.qos as u8,
        again: publish.dup,
        retain: publish.retain,
        packet: publish.pkid,
        alias: publish.properties.and_then(|properties| properties.topic_alias),
    }))
}

fn filters(kind: u8, version: Version, mut bytes: BytesMut) -> Result<Packet, Violation> {
    let (packet, filters) = match version {
        Version::V311 => match v4::Packet::read(&mut bytes, usize::MAX).map_err(malformed)? {
            v4::Packet::Subscribe(subscribe) => (subscribe.pkid, subscribe.filters.len()),
            v4::Packet::Unsubscribe(unsubscribe) => (unsubscribe.pkid, unsubscribe.topics.len()),
            _ => return Err(malformed("no SUBSCRIBE")),
        },
        Version::V5 => match v5::Packet::read(&mut bytes, None).map_err(malformed)? {
            v5::Packet::Subscribe(subscribe) => (subscribe.pkid, subscribe.filters.len()),
            v5::Packet::Unsubscribe(unsubscribe) => (unsubscribe.pkid, unsubscribe.filters.len()),
            _ => return Err(malformed("no SUBSCRIBE")),
        },
    };
    if packet == 0 || filters == 0 {
        return Err(malformed("the packet identifier is 0, or there is no topic filter"));
    }
    Ok(if kind == SUBSCRIBE { Packet::Subscribe { packet, filters } } else { Packet::Unsubscribe { packet, filters } })
}

/// What CONNACK says besides its code (MQTT 5 only).
#[derive(Clone, Debug, Default)]
pub(super) struct ConnAckProperties<'a> {
    pub session_expiry_seconds: Option<u32>,
    pub receive_maximum: u16,
    pub max_packet: u32,
    pub topic_alias_maximum: u16,
    pub assigned_client: Option<&'a str>,
}

/// Writes CONNACK. `code` is a reason code of MQTT 5 and becomes the nearest return code of 3.1.1.
pub(super) fn write_connack(
    output: &mut BytesMut,
    version: Version,
    code: u8,
    session_present: bool,
    properties: &ConnAckProperties<'_>,
) {
    let mut body = BytesMut::new();
    body.put_u8(u8::from(session_present));
    if version == Version::V311 {
        body.put_u8(match code {
            reason::SUCCESS => 0,
            reason::UNSUPPORTED_VERSION => 1,
            reason::BAD_CLIENT_ID => 2,
            reason::BAD_PASSWORD => 4,
            reason::NOT_AUTHORIZED => 5,
            _ => 3,
        });
        return write_frame(output, 0x20, &body);
    }
    body.put_u8(code);
    let mut list = BytesMut::new();
    if code == reason::SUCCESS {
        if let Some(seconds) = properties.session_expiry_seconds {
            list.put_u8(17);
            list.put_u32(seconds);
        }
        list.put_u8(33);
        list.put_u16(properties.receive_maximum);
        list.put_u8(39);
        list.put_u32(properties.max_packet);
        list.put_u8(34);
        list.put_u16(properties.topic_alias_maximum);
        if let Some(client) = properties.assigned_client {
            list.put_u8(18);
            put_string(&mut list, client);
        }
        // No wildcard subscriptions, no subscription identifiers, no shared subscriptions: there are none at all.
        list.extend_from_slice(&[40, 0, 41, 0, 42, 0]);
    }
    put_length(&mut body, list.len());
    body.extend_from_slice(&list);
    write_frame(output, 0x20, &body);
}

/// Acknowledgements of a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// PUBACK, of QoS 1.
    Taken,
    /// PUBREC, of QoS 2, the second step.
    Received,
    /// PUBCOMP, of QoS 2, the last step.
    Complete,
}

/// Writes an acknowledgement; 3.1.1 knows no reason.
pub(super) fn write_ack(output: &mut BytesMut, version: Version, ack: Ack, packet: u16, code: u8) {
    output.put_u8(match ack {
        Ack::Taken => 0x40,
        Ack::Received => 0x50,
        Ack::Complete => 0x70,
    });
    let with_reason = version == Version::V5 && code != reason::SUCCESS;
    output.put_u8(if with_reason { 3 } else { 2 });
    output.put_u16(packet);
    if with_reason {
        output.put_u8(code);
    }
}

/// Why every SUBSCRIBE is refused.
const NO_SUBSCRIPTIONS: &str = "this listener takes messages in and delivers none";

/// Writes SUBACK with a failure for every filter.
pub(super) fn write_suback(output: &mut BytesMut, version: Version, packet: u16, filters: usize) {
    let mut body = BytesMut::new();
    body.put_u16(packet);
    let code = match version {
        Version::V311 => 0x80,
        Version::V5 => {
            // The reason string, which has a length byte of its own in front.
            put_length(&mut body, 3 + NO_SUBSCRIPTIONS.len());
            body.put_u8(31);
            put_string(&mut body, NO_SUBSCRIPTIONS);
            reason::NOT_ACCEPTED
        }
    };
    body.put_bytes(code, filters);
    write_frame(output, 0x90, &body);
}

/// Writes UNSUBACK.
pub(super) fn write_unsuback(output: &mut BytesMut, version: Version, packet: u16, filters: usize) {
    let mut body = BytesMut::new();
    body.put_u16(packet);
    if version == Version::V5 {
        put_length(&mut body, 0);
        body.put_bytes(reason::NO_SUBSCRIPTION, filters);
    }
    write_frame(output, 0xb0, &body);
}

/// Writes PINGRESP.
pub(super) fn write_ping_response(output: &mut BytesMut) {
    output.extend_from_slice(&[0xd0, 0]);
}

/// Writes DISCONNECT (MQTT 5 only; in 3.1.1 a server just closes).
pub(super) fn write_disconnect(output: &mut BytesMut, version: Version, code: u8) {
    if version == Version::V5 {
        output.extend_from_slice(&[0xe0, 1, code]);
    }
}

fn write_frame(output: &mut BytesMut, first: u8, body: &[u8]) {
    output.put_u8(first);
    put_length(output, body.len());
    output.extend_from_slice(body);
}

fn put_length(output: &mut BytesMut, length: usize) {
    let mut rest = length;
    loop {
        let byte = (rest & 0x7f) as u8;
        rest >>= 7;
        output.put_u8(if rest > 0 { byte | 0x80 } else { byte });
        if rest == 0 {
            return;
        }
    }
}

/// Texts here are short: client identifiers that were made up, and reasons.
fn put_string(output: &mut BytesMut, text: &str) {
    let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    output.put_u16(text.len() as u16);
    output.extend_from_slice(text);
}

#[cfg(test)]
mod tests;
