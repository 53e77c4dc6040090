//! The listener on real sockets, with frames written by hand. What is expected follows the OASIS standards MQTT 3.1.1 and
//! 5.0, formats.md (1, 2, 7) and the promises of the module.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock::ArrivalClock;
use crate::commitlog::CommitLog;
use crate::config::RouteConfig;
use crate::ingest::record;
use crate::ingest::route::Routes;
use crate::ingest::testing::TestLog;

struct Listener {
    log: Arc<TestLog>,
    accept: Arc<Accept>,
    server: MqttServer,
}

fn options() -> MqttOptions {
    MqttOptions { listen: "127.0.0.1:0".into(), ..MqttOptions::from(&MqttConfig::default()) }
}

async fn listener(options: MqttOptions) -> Listener {
    let log = TestLog::new();
    let as_log: Arc<dyn CommitLog> = log.clone();
    let routes = Arc::new(Routes::new(&[RouteConfig::generators()]).unwrap());
    let arrivals = Arc::new(ArrivalClock::new(Arc::new(SystemClock), 0));
    let accept = Accept::open(routes, as_log, arrivals, 1, &[]).await.unwrap();
    let server = MqttServer::start(options, Arc::clone(&accept)).await.unwrap();
    Listener { log, accept, server }
}

impl Listener {
    /// Waits until so many messages are in the log; their payloads.
    async fn payloads(&self, count: usize) -> Vec<String> {
        loop {
            let records = self.log.all("kafka_raw", 0).await;
            assert!(records.len() <= count, "{} records", records.len());
            if records.len() == count {
                return records.iter().map(|record| String::from_utf8_lossy(&record.payload).into_owned()).collect();
            }
            let next = self.log.read("kafka_raw", 0, records.len() as u64, 1, Duration::from_secs(10)).await.unwrap();
            assert!(!next.records.is_empty(), "{} of {count} messages", records.len());
        }
    }

    async fn client(&self) -> Client {
        let stream = TcpStream::connect(self.server.address()).await.unwrap();
        // Else a close with unread answers may take back what was sent just before.
        stream.set_nodelay(true).unwrap();
        Client(stream)
    }

    async fn connected(&self, version: u8, client: &str) -> Client {
        let mut socket = self.client().await;
        socket.send(&connect(version, client, 60, true)).await;
        let connack = socket.packet().await;
        assert_eq!((connack[0], connack[3]), (0x20, 0), "{connack:?}");
        socket
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// The next packet; all short ones here.
    async fn packet(&mut self) -> Vec<u8> {
        let read = async {
            let mut head = [0_u8; 2];
            self.0.read_exact(&mut head).await.unwrap();
            assert!(head[1] < 0x80, "a long packet");
            let mut packet = head.to_vec();
            packet.resize(2 + usize::from(head[1]), 0);
            self.0.read_exact(&mut packet[2..]).await.unwrap();
            packet
        };
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("a packet in time")
    }

    /// What the server sends before it closes.
    async fn rest(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let read = self.0.read_to_end(&mut bytes);
        // A reset is an end as well.
        let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the end in time");
        bytes
    }

    /// Whether the server is silent for a while.
    async fn silent(&mut self, time: Duration) -> bool {
        let mut byte = [0_u8; 1];
        tokio::time::timeout(time, self.0.peek(&mut byte)).await.is_err()
    }
}

fn frame(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut rest = body.len();
    loop {
        let byte = (rest & 0x7f) as u8;
        rest >>= 7;
        bytes.push(if rest > 0 { byte | 0x80 } else { byte });
        if rest == 0 {
            bytes.extend_from_slice(body);
            return bytes;
        }
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

fn connect(version: u8, client: &str, keep_alive: u16, clean: bool) -> Vec<u8> {
    connect_with(version, client, keep_alive, if clean { 2 } else { 0 }, &[], &[])
}

/// CONNECT with flags; `properties` count in MQTT 5 only, `after` is what follows the client identifier.
fn connect_with(version: u8, client: &str, keep_alive: u16, flags: u8, properties: &[u8], after: &[u8]) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT".to_vec();
    body.extend_from_slice(&[version, flags]);
    body.extend_from_slice(&keep_alive.to_be_bytes());
    if version == 5 {
        body.push(properties.len() as u8);
        body.extend_from_slice(properties);
    }
    body.extend(text(client));
    body.extend_from_slice(after);
    frame(0x10, &body)
}

const TOPIC: &str = "emergency_generator/gen-7";

fn publish(version: u8, flags: u8, topic: &str, packet: u16, payload: &str) -> Vec<u8> {
    let mut body = text(topic);
    if flags & 0b0110 != 0 {
        body.extend_from_slice(&packet.to_be_bytes());
    }
    if version == 5 {
        body.push(0);
    }
    body.extend_from_slice(payload.as_bytes());
    frame(0x30 | flags, &body)
}

const QOS_1: u8 = 0b0010;
const QOS_2: u8 = 0b0100;
const AGAIN: u8 = 0b1000;

#[tokio::test]
async fn a_generator_that_sends_at_once_and_never_reads_is_served() {
    let listener = listener(options()).await;
    let mut bytes = connect(4, "gen-7", 45, true);
    for number in 0..50 {
        bytes.extend(publish(4, 0, TOPIC, 0, &number.to_string()));
    }
    let mut client = listener.client().await;
    client.send(&bytes).await;
    let payloads = listener.payloads(50).await;
    assert_eq!(payloads, (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    client.send(&publish(4, 0, TOPIC, 0, "later")).await;
    listener.payloads(51).await;
    // It closes with CONNACK unread, which resets the connection behind the last message.
    client.send(&publish(4, 0, TOPIC, 0, "last")).await;
    drop(client);
    listener.payloads(52).await;
    for number in 0..20 {
        let mut hasty = listener.client().await;
        hasty.send(&bytes).await;
        drop(hasty);
        listener.payloads(52 + 50 * (number + 1)).await;
    }
}

#[tokio::test]
async fn every_quality_of_service_in_both_versions() {
    let listener = listener(options()).await;
    for (round, version) in [4, 5].into_iter().enumerate() {
        let mut client = listener.connected(version, "c").await;
        client.send(&publish(version, 0, TOPIC, 0, "zero")).await;
        client.send(&publish(version, QOS_1, TOPIC, 0x102, "one")).await;
        assert_eq!(client.packet().await, b"\x40\x02\x01\x02");
        client.send(&publish(version, QOS_2, TOPIC, 3, "two")).await;
        assert_eq!(client.packet().await, b"\x50\x02\x00\x03");
        client.send(b"\x62\x02\x00\x03").await;
        assert_eq!(client.packet().await, b"\x70\x02\x00\x03");
        client.send(b"\xc0\x00").await;
        assert_eq!(client.packet().await, b"\xd0\x00");
        assert_eq!(&listener.payloads(3 * (round + 1)).await[3 * round..], ["zero", "one", "two"]);
        client.send(b"\xe0\x00").await;
        assert_eq!(client.rest().await, b"");
    }
}

#[tokio::test]
async fn a_release_after_a_reconnect_is_answered_and_a_repeated_qos_2_is_the_same_point() {
    let listener = listener(options()).await;
    let mut client = listener.connected(4, "c").await;
    client.send(&publish(4, QOS_2, TOPIC, 3, "two")).await;
    client.packet().await;
    drop(client);
    let mut client = listener.connected(4, "c").await;
    client.send(&publish(4, QOS_2 | AGAIN, TOPIC, 3, "two")).await;
    assert_eq!(client.packet().await, b"\x50\x02\x00\x03");
    client.send(b"\x62\x02\x00\x03\x62\x02\x00\x63").await;
    assert_eq!(client.packet().await, b"\x70\x02\x00\x03");
    assert_eq!(client.packet().await, b"\x70\x02\x00\x63");
    listener.payloads(2).await;
    let times: Vec<_> = listener.log.all("kafka_raw", 0).await.iter().map(record::arrival_ns).collect();
    assert_eq!(times[0], times[1]);
}

#[tokio::test]
async fn while_the_log_stalls_pings_are_answered_and_then_all_is_acknowledged_in_order() {
    let listener = listener(options()).await;
    let mut client = listener.connected(4, "c").await;
    listener.log.stall(true);
    for packet in 1..=300 {
        client.send(&publish(4, QOS_1, TOPIC, packet, &packet.to_string())).await;
    }
    client.send(b"\xc0\x00").await;
    assert_eq!(client.packet().await, b"\xd0\x00", "the ping does not wait for the messages before it");
    assert!(client.silent(Duration::from_millis(100)).await, "nothing is acknowledged");
    assert!(listener.log.all("kafka_raw", 0).await.is_empty());
    listener.log.stall(false);
    for packet in 1..=300_u16 {
        assert_eq!(client.packet().await, [&b"\x40\x02"[..], &packet.to_be_bytes()].concat());
    }
    let payloads = listener.payloads(300).await;
    assert_eq!(payloads, (1..=300).map(|packet| packet.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn beyond_its_limit_a_connection_is_held_by_tcp_and_does_not_expire() {
    let listener = listener(MqttOptions { hold_bytes: 64 << 10, ..options() }).await;
    let mut client = listener.client().await;
    client.send(&connect(4, "c", 1, true)).await;
    client.packet().await;
    listener.log.stall(true);
    let payload = "x".repeat(10_000);
    let mut sent: u16 = 0;
    // Until TCP takes no more: the server's and the system's buffers are full.
    loop {
        let message = publish(4, QOS_1, TOPIC, sent + 1, &payload);
        let write = tokio::time::timeout(Duration::from_millis(500), client.0.write_all(&message));
        match write.await {
            Ok(written) => written.unwrap(),
            Err(_) => break,
        }
        sent += 1;
    }
    let shared = listener.accept.arrivals().oldest_in_flight_ns();
    assert!(shared.is_some());
    // Far beyond the keep-alive of one second.
    tokio::time::sleep(Duration::from_secs(3)).await;
    listener.log.stall(false);
    for packet in 1..=sent {
        assert_eq!(client.packet().await, [&b"\x40\x02"[..], &packet.to_be_bytes()].concat());
    }
}

#[tokio::test]
async fn subscriptions_are_refused_and_the_connection_goes_on() {
    let listener = listener(options()).await;
    let mut v4 = listener.connected(4, "c4").await;
    v4.send(b"\x82\x0a\x00\x09\x00\x01#\x01\x00\x01a\x00").await;
    assert_eq!(v4.packet().await, b"\x90\x04\x00\x09\x80\x80");
    v4.send(b"\xa2\x05\x00\x0a\x00\x01#").await;
    assert_eq!(v4.packet().await, b"\xb0\x02\x00\x0a");
    let mut v5 = listener.connected(5, "c5").await;
    v5.send(b"\x82\x07\x00\x09\x00\x00\x01#\x01").await;
    let suback = v5.packet().await;
    assert_eq!((suback[0], suback.last()), (0x90, Some(&0x83)));
    v5.send(b"\xa2\x06\x00\x0a\x00\x00\x01#").await;
    assert_eq!(v5.packet().await, b"\xb0\x04\x00\x0a\x00\x11");
    for client in [&mut v4, &mut v5] {
        client.send(b"\xc0\x00").await;
        assert_eq!(client.packet().await, b"\xd0\x00");
    }
}

#[tokio::test]
async fn what_no_route_takes_is_told_where_the_version_can() {
    let listener = listener(options()).await;
    for topic in ["elsewhere", "$SYS/uptime"] {
        let mut v4 = listener.connected(4, "c4").await;
        v4.send(&publish(4, QOS_1, topic, 1, "x")).await;
        assert_eq!(v4.packet().await, b"\x40\x02\x00\x01");
        let mut v5 = listener.connected(5, "c5").await;
        v5.send(&publish(5, QOS_1, topic, 1, "x")).await;
        assert_eq!(v5.packet().await, b"\x40\x03\x00\x01\x90");
        v5.send(&publish(5, QOS_2, topic, 2, "x")).await;
        assert_eq!(v5.packet().await, b"\x50\x03\x00\x02\x90");
        v5.send(&publish(5, 0, topic, 0, "x")).await;
        v5.send(b"\xc0\x00").await;
        assert_eq!(v5.packet().await, b"\xd0\x00");
    }
    listener.payloads(0).await;
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_its_connection_and_no_other() {
    let listener = listener(MqttOptions { max_packet: 2_000, ..options() }).await;
    let mut other = listener.connected(4, "other").await;
    let lie = [&b"\x30\x02\x00\x64"[..], &[b'a'; 100]].concat();
    type OfVersion<'b> = &'b dyn Fn(u8) -> Vec<u8>;
    let cases: [(OfVersion<'_>, u8); 6] = [
        (&|version| publish(version, QOS_1, TOPIC, 1, &"x".repeat(3_000)), 0x95),
        (&|_| lie.clone(), 0x81),
        (&|version| publish(version, 0, "a/#", 0, "x"), 0x90),
        (&|version| publish(version, 0, "", 0, "x"), 0x90),
        (&|_| vec![0x10, 0], 0x82),
        (&|_| vec![0xff; 6], 0x81),
    ];
    for (place, (bytes, reason)) in cases.into_iter().enumerate() {
        let mut v5 = listener.connected(5, "v5").await;
        v5.send(&bytes(5)).await;
        assert_eq!(v5.rest().await, [0xe0, 1, reason], "case {place}");
        let mut v4 = listener.connected(4, "v4").await;
        v4.send(&bytes(4)).await;
        assert_eq!(v4.rest().await, b"", "case {place}");
    }
    let mut first = listener.client().await;
    first.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(first.rest().await, b"");
    let mut old = listener.client().await;
    old.send(b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00").await;
    assert_eq!(old.rest().await, b"\x20\x02\x00\x01", "unacceptable protocol version");
    other.send(b"\xc0\x00").await;
    assert_eq!(other.packet().await, b"\xd0\x00");
}

#[tokio::test]
async fn silence_beyond_the_keep_alive_ends_a_connection_and_any_packet_is_a_sign_of_life() {
    let listener = listener(options()).await;
    let mut silent = listener.client().await;
    silent.send(&connect(5, "silent", 1, true)).await;
    silent.packet().await;
    let begun = Instant::now();
    let mut alive = listener.client().await;
    // Reads nothing, pings never: it only publishes.
    alive.send(&connect(4, "alive", 1, true)).await;
    let mut quiet = listener.client().await;
    quiet.send(&connect(4, "quiet", 0, true)).await;
    quiet.packet().await;
    for _ in 0..6 {
        alive.send(&publish(4, 0, TOPIC, 0, "x")).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(silent.rest().await, b"\xe0\x01\x8d");
    assert!(begun.elapsed() >= Duration::from_millis(1_500));
    listener.payloads(6).await;
    quiet.send(b"\xc0\x00").await;
    assert_eq!(quiet.packet().await, b"\xd0\x00", "a keep-alive of 0 never expires");
}

#[tokio::test]
async fn users_and_passwords_are_asked_for_if_there_are_any() {
    let users = vec![MqttUser { name: "line-4".into(), password: "s3cret".into() }];
    let listener = listener(MqttOptions { users, ..options() }).await;
    let with = |version, name: &str, password: &str| {
        connect_with(version, "c", 60, 0xc2, &[], &[text(name), text(password)].concat())
    };
    let mut right = listener.client().await;
    right.send(&with(4, "line-4", "s3cret")).await;
    assert_eq!(right.packet().await, b"\x20\x02\x00\x00");
    let cases = [
        (with(4, "line-4", "wrong"), &b"\x20\x02\x00\x04"[..]),
        (connect(4, "c", 60, true), b"\x20\x02\x00\x05"),
        (with(5, "line-4", "wrong"), b"\x20\x03\x00\x86\x00"),
        (connect(5, "c", 60, true), b"\x20\x03\x00\x87\x00"),
    ];
    for (bytes, answer) in cases {
        let mut client = listener.client().await;
        client.send(&bytes).await;
        assert_eq!(client.rest().await, answer);
    }
}

#[tokio::test]
async fn a_second_connection_of_a_client_ends_the_first_and_sessions_are_told() {
    let listener = listener(options()).await;
    let first = listener.connected(5, "c").await;
    let second = listener.connected(5, "c").await;
    assert_eq!(first.rest().await, b"\xe0\x01\x8e");
    drop(second);
    for (clean, present) in [(false, 0), (false, 1), (true, 0), (false, 0)] {
        let mut client = listener.client().await;
        client.send(&connect(4, "kept", 60, clean)).await;
        assert_eq!(client.packet().await, [0x20, 2, present, 0]);
        client.send(b"\xe0\x00").await;
        client.rest().await;
    }
}

/// CONNECT with a Last Will on the generators' topic.
fn with_will(version: u8, client: &str, delay_seconds: u8) -> Vec<u8> {
    let mut will = Vec::new();
    if version == 5 {
        will.extend_from_slice(&[5, 0x18, 0, 0, 0, delay_seconds]);
    }
    will.extend(text(TOPIC));
    will.extend(text(client));
    connect_with(version, client, 60, 0x06, &[0x11, 0, 0, 0, 60], &will)
}

#[tokio::test]
async fn a_last_will_is_published_unless_the_client_says_goodbye() {
    let listener = listener(options()).await;
    let connected = async |bytes: Vec<u8>| {
        let mut client = listener.client().await;
        client.send(&bytes).await;
        client.packet().await;
        client
    };
    drop(connected(with_will(4, "cut", 0)).await);
    assert_eq!(listener.payloads(1).await, ["cut"]);
    // DISCONNECT and the end in one segment.
    let mut client = connected(with_will(4, "goodbye", 0)).await;
    client.send(b"\xe0\x00").await;
    drop(client);
    let mut client = connected(with_will(5, "wished", 0)).await;
    client.send(b"\xe0\x01\x04").await;
    drop(client);
    assert_eq!(listener.payloads(2).await[1], "wished");
    // Delayed, and the client is back before: no will.
    drop(connected(with_will(5, "returns", 1)).await);
    let returned = connected(connect(5, "returns", 60, false)).await;
    drop(connected(with_will(5, "stays away", 1)).await);
    assert_eq!(listener.payloads(3).await[2], "stays away");
    tokio::time::sleep(Duration::from_millis(300)).await;
    listener.payloads(3).await;
    drop(returned);
}

#[tokio::test]
async fn topic_aliases_stand_for_topics() {
    let listener = listener(options()).await;
    let mut client = listener.connected(5, "c").await;
    let alias = |topic: &str, payload: &str| {
        frame(0x30, &[text(topic), b"\x03\x23\x00\x05".to_vec(), payload.as_bytes().to_vec()].concat())
    };
    client.send(&alias(TOPIC, "one")).await;
    client.send(&alias("", "two")).await;
    assert_eq!(listener.payloads(2).await, ["one", "two"]);
    let source = |record: &crate::commitlog::Record| record::text(record, "fm-source").unwrap().to_string();
    assert!(listener.log.all("kafka_raw", 0).await.iter().all(|record| source(record) == TOPIC));
    client.send(b"\x30\x06\x00\x00\x03\x23\x00\x07").await;
    assert_eq!(client.rest().await, b"\xe0\x01\x82", "an alias that was never set");
}

#[tokio::test]
async fn a_stop_acknowledges_what_it_can_and_says_so() {
    let listener = listener(options()).await;
    let mut client = listener.connected(5, "c").await;
    let will = with_will(4, "with a will", 0);
    let mut other = listener.client().await;
    other.send(&will).await;
    other.packet().await;
    listener.log.stall(true);
    for packet in 1..=3 {
        client.send(&publish(5, QOS_1, TOPIC, packet, "x")).await;
    }
    client.send(b"\xc0\x00").await;
    assert_eq!(client.packet().await, b"\xd0\x00");
    let address = listener.server.address();
    let stopping = tokio::spawn(listener.server.shutdown());
    tokio::time::sleep(Duration::from_millis(100)).await;
    listener.log.stall(false);
    assert_eq!(client.rest().await, b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\x00\x03\xe0\x01\x8b");
    drop(other);
    stopping.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    listener.accept.close().await;
    assert_eq!(listener.log.all("kafka_raw", 0).await.len(), 3, "no will: devices come back after a restart");
}

#[tokio::test]
async fn a_taken_port_is_an_error_with_a_hint() {
    let first = listener(options()).await;
    let taken = MqttOptions { listen: first.server.address().to_string(), ..options() };
    let error = MqttServer::start(taken, Arc::clone(&first.accept)).await.err().unwrap();
    assert!(error.message().ends_with("is in use (another MQTT broker?)"), "{error}");
    assert_eq!(error.hint(), Some("pass --mqtt 127.0.0.1:PORT or --mqtt off"));
    let none = MqttOptions { listen: "nowhere".into(), ..options() };
    assert!(MqttServer::start(none, Arc::clone(&first.accept)).await.is_err());
}

#[tokio::test]
async fn two_thousand_quiet_connections_are_held_and_served() {
    let listener = listener(options()).await;
    let mut clients = Vec::new();
    for number in 0..2_000 {
        let mut client = listener.client().await;
        client.send(&connect(4, &format!("c{number}"), 600, true)).await;
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.packet().await, b"\x20\x02\x00\x00");
    }
    for client in &mut clients {
        client.send(&publish(4, QOS_1, TOPIC, 1, "x")).await;
    }
    for client in &mut clients {
        assert_eq!(client.packet().await, b"\x40\x02\x00\x01");
    }
    listener.payloads(2_000).await;
}
