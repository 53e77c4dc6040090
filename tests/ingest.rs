//! The way in, from real clients on real sockets to rows in a bucket: nothing acknowledged is lost, nothing counts twice.
//!
//! Mosquitto's client and paho are unmodified; the network between them and the listener is cut in mid-flight. What is
//! expected follows reliability.md (P1, P2, P5, R9, R15) and what the publishers themselves say was acknowledged.

mod chain;
mod cutter;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use fluxmill::simulate::{SimulateOptions, run};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use chain::Chain;
use cutter::Cutter;

/// The Python with paho that `make services` installs.
fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache"));
    let python = cache.join("fluxmill/python/bin/python3");
    assert!(python.exists(), "{} is missing: run `make services`", python.display());
    python
}

/// Every number once, each at a time of its own.
fn assert_once(found: &BTreeMap<i64, Vec<i64>>, acknowledged: &BTreeSet<i64>) {
    let lost: Vec<&i64> = acknowledged.iter().filter(|number| !found.contains_key(number)).collect();
    assert!(lost.is_empty(), "{} acknowledged numbers are lost, such as {:?}", lost.len(), lost.first());
    let twice: Vec<_> = found.iter().filter(|(_, times)| times.len() > 1).collect();
    assert!(twice.is_empty(), "{} numbers more than once, such as {:?}", twice.len(), twice.first());
}

/// Publishes by paho through a failing network; the numbers that paho says were acknowledged.
async fn paho(port: u16, version: u8, count: usize, client: &str, timed: bool) -> BTreeSet<i64> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/ingest/publisher.py");
    let mut command = Command::new(python());
    command.arg(script).args([&port.to_string(), &version.to_string(), &count.to_string(), client]);
    command.arg(if timed { "timed" } else { "untimed" });
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| line.parse().unwrap()).collect()
}

async fn paho_through_a_failing_network(version: u8, timed: bool) {
    const COUNT: usize = 1_200;
    let chain = Chain::start().await;
    let cutter = Cutter::start(chain.address(), 12, u64::from(version) * 10 + u64::from(timed)).await;
    let acknowledged = paho(cutter.address().port(), version, COUNT, "gen-7", timed).await;
    assert_eq!(acknowledged.len(), COUNT, "paho sends until everything is acknowledged");
    assert!(cutter.cuts() >= 10, "{} cuts", cutter.cuts());
    chain.settle().await;
    assert_once(&chain.values("number").await, &acknowledged);
    assert!(chain.records("kafka_raw").await.len() > COUNT, "acknowledgements were lost, so messages came again");
    assert!(chain.records("kafka_raw.dead-letter").await.is_empty());
    chain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_3_1_1_with_times_of_its_own() {
    paho_through_a_failing_network(4, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_3_1_1_without_times() {
    paho_through_a_failing_network(4, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_5_with_times_of_its_own() {
    paho_through_a_failing_network(5, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_5_without_times() {
    paho_through_a_failing_network(5, false).await;
}

/// Mosquitto's client, fed by lines; whether it says that all went well.
async fn mosquitto(port: u16, version: &str, qos: u8, lines: Vec<String>) -> bool {
    let mut command = Command::new("mosquitto_pub");
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-V", version, "-q", &qos.to_string(), "-i", "gen-9"]);
    command.args(["-t", "emergency_generator/gen-9", "-l", "-k", "45"]);
    if qos > 0 {
        // What is under way survives the connection.
        command.arg("-c");
    }
    let mut child = command.stdin(Stdio::piped()).spawn().expect("mosquitto_pub is missing: run `make services`");
    let mut input = child.stdin.take().unwrap();
    tokio::task::spawn_blocking(move || {
        for (number, line) in lines.iter().enumerate() {
            writeln!(input, "{line}").unwrap();
            // At a pace at which a cut falls between messages that are still to come.
            if number % 100 == 99 {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        drop(input);
        child.wait().unwrap().success()
    })
    .await
    .unwrap()
}

async fn mosquitto_through_a_failing_network(version: &str, qos: u8) {
    const COUNT: i64 = 1_000;
    let chain = Chain::start().await;
    let cutter = Cutter::start(chain.address(), 2, 7).await;
    let lines = (0..COUNT).map(|number| format!("{{\"generatorID\":\"gen-9\",\"number\":{number}}}")).collect();
    assert!(mosquitto(cutter.address().port(), version, qos, lines).await);
    assert_eq!(cutter.cuts(), 2);
    chain.settle().await;
    assert_once(&chain.values("number").await, &(0..COUNT).collect());
    chain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_3_1_1() {
    mosquitto_through_a_failing_network("mqttv311", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_5() {
    mosquitto_through_a_failing_network("mqttv5", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_with_quality_of_service_2() {
    mosquitto_through_a_failing_network("mqttv311", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fleet_of_the_simulator_arrives_whole() {
    let chain = Chain::start().await;
    let options = SimulateOptions {
        address: chain.address().to_string(),
        generators: 20,
        duration: Some(Duration::from_secs(2)),
        // Short and dense: an hour at the pace of a live fleet would be long.
        history: Some(Duration::from_secs(20)),
        interval: Duration::from_millis(300),
        qos: 1,
        seed: 11,
    };
    let report = run(options, CancellationToken::new()).await.unwrap();
    assert_eq!(report.broken_connections, 0);
    assert_eq!(report.acknowledged, report.sent);
    assert!(report.history > 1_000, "{report}");
    chain.settle().await;
    let rows: usize = chain.values("fuel").await.values().map(Vec::len).sum();
    assert_eq!(rows as u64, report.history + report.sent);
    assert!(chain.records("kafka_raw.dead-letter").await.is_empty());
    chain.stop().await;
}

/// A PUBLISH of QoS 0.
fn frame(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x30];
    let mut rest = 2 + topic.len() + payload.len();
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend((topic.len() as u16).to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend(payload);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_of_every_kind_becomes_dead_letters_and_its_neighbours_rows() {
    const GOOD: usize = 2_000;
    let chain = Chain::start().await;
    let mut socket = tokio::net::TcpStream::connect(chain.address()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let deep = format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000));
    let poison: [(&[u8], &str); 9] = [
        (b"{\"fuel\":1", "invalid-json"),
        (b"{\"fuel\":\"\xff\xfe\"}", "invalid-utf8"),
        (b"{\"fuel\":NaN}", "invalid-json"),
        (deep.as_bytes(), "too-deep"),
        (b"{\"number\":1,\"number\":2}", "duplicate-key"),
        (b"{\"number\":\"one\"}", "field-type-conflict"),
        (b"{\"number\":1,\"time\":9000000000000000000}", "too-far-ahead"),
        (b"{\"number\":1,\"time\":\"soon\"}", "bad-time"),
        (b"", "invalid-json"),
    ];
    // The generators' own way: everything behind CONNECT, nothing ever read.
    let mut bytes = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x2d\x00\x05gen-7".to_vec();
    for number in 0..GOOD {
        bytes.extend(frame("emergency_generator/gen-7", format!("{{\"number\":{number}}}").as_bytes()));
        if number % 200 == 100 {
            bytes.extend(frame("emergency_generator/gen-7", poison[number / 200 % poison.len()].0));
        }
    }
    socket.write_all(&bytes).await.unwrap();
    let sent = GOOD + GOOD / 200;
    let mut records = Vec::new();
    let began = std::time::Instant::now();
    while records.len() < sent {
        assert!(began.elapsed() < Duration::from_secs(30), "{} of {sent} records", records.len());
        tokio::time::sleep(Duration::from_millis(20)).await;
        records = chain.records("kafka_raw").await;
    }
    chain.settle().await;
    assert_once(&chain.values("number").await, &(0..GOOD as i64).collect());
    let letters = chain.records("kafka_raw.dead-letter").await;
    let code = |record: &fluxmill::commitlog::Record| {
        String::from_utf8_lossy(record.header("fm-dl-code").expect("a code")).into_owned()
    };
    let expected: Vec<&str> = (0..GOOD / 200).map(|place| poison[place % poison.len()].1).collect();
    assert_eq!(letters.iter().map(code).collect::<Vec<_>>(), expected);
    for (letter, place) in letters.iter().zip(0..) {
        assert_eq!(&*letter.payload, poison[place % poison.len()].0, "byte for byte");
    }
    chain.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_mqtt_5_is_told_the_size_limit() {
    let chain = Chain::start().await;
    let long = format!("{{\"number\":1,\"text\":\"{}\"}}", "x".repeat(600 << 10));
    // The client keeps to the limit that it was told: it drops the message without sending it, and ends.
    mosquitto(chain.address().port(), "mqttv5", 1, vec![long]).await;
    assert!(mosquitto(chain.address().port(), "mqttv5", 1, vec!["{\"number\":2}".into()]).await);
    chain.settle().await;
    assert_eq!(chain.values("number").await.into_keys().collect::<Vec<_>>(), [2]);
    chain.stop().await;
}
