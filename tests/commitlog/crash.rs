//! kill -9 under load: what was acknowledged is there, at its position, and an atomic append as a whole or not at all.
//!
//! The test runs itself again as a child (an environment variable tells it so). The child appends from many tasks and
//! writes a line to its standard output after each acknowledgement; the parent kills it in the middle, opens the log and
//! compares. The moments are seeded, so that a failure can be looked at again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fluxmill::clock::SystemClock;
use fluxmill::commitlog::{CommitLog, EmbeddedLog, EmbeddedOptions};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::cases::{read_to_end, record, record_in};

const CHILD_DIR: &str = "FLUXMILL_TEST_CRASH_DIR";
const CHILD_ROUND: &str = "FLUXMILL_TEST_CRASH_ROUND";
const ROUNDS: u64 = 12;

fn options() -> EmbeddedOptions {
    // Small segments: the kills also meet closing one and opening the next.
    EmbeddedOptions { segment_bytes: 64 << 10, ..EmbeddedOptions::default() }
}

fn open(dir: &Path) -> Arc<dyn CommitLog> {
    Arc::new(EmbeddedLog::open(dir, options(), Arc::new(SystemClock)).unwrap())
}

/// What the child says after an acknowledgement: `ack TOPIC PARTITION OFFSET PAYLOAD`.
fn say(topic: &str, partition: u32, offset: u64, payload: &str) {
    let line = format!("ack {topic} {partition} {offset} {payload}\n");
    // One write per line, so that a kill leaves whole lines but for the last.
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// The child: appends until it is killed.
async fn append_forever(log: Arc<dyn CommitLog>, round: u64) {
    let mut tasks = Vec::new();
    for writer in 0..8 {
        let log = Arc::clone(&log);
        tasks.push(tokio::spawn(async move {
            for number in 0_u64.. {
                let payload = format!("{round}.{writer}.{number}");
                if writer < 6 {
                    let batch = (0..4).map(|_| record("raw", &payload, payload.clone())).collect();
                    for position in log.append(batch).await.unwrap() {
                        say("raw", position.partition, position.offset, &payload);
                    }
                } else {
                    let pair = vec![record_in("first", 0, payload.clone()), record_in("second", 0, payload.clone())];
                    let positions = log.append_atomic(&format!("shard-{writer}"), pair).await.unwrap();
                    say("first", 0, positions[0].offset, &payload);
                    say("second", 0, positions[1].offset, &payload);
                }
            }
        }));
    }
    futures::future::join_all(tasks).await;
}

fn start_child(test: &str, dir: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD_DIR, dir)
        .env(CHILD_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

type Ledger = BTreeMap<(String, u32, u64), String>;

fn parse_line(line: &str) -> Option<((String, u32, u64), String)> {
    let mut words = line.strip_prefix("ack ")?.split(' ');
    let place = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some((place, words.next()?.to_owned()))
}

/// Lets a child append for a random while, kills it, and enters what it acknowledged.
fn run_and_kill(test: &str, dir: &Path, round: u64, moments: &mut StdRng, ledger: &mut Ledger) {
    let mut child = start_child(test, dir, round);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    // From the first acknowledgement on: a random number of lines, then a random moment.
    let wanted = moments.random_range(1..2_000);
    let mut line = String::new();
    while lines.len() < wanted {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the child ended by itself");
        lines.extend(parse_line(line.trim_end()));
    }
    std::thread::sleep(Duration::from_micros(moments.random_range(0..3_000)));
    child.kill().unwrap();
    child.wait().unwrap();
    for line in output.split(b'\n') {
        let line = line.unwrap();
        lines.extend(parse_line(std::str::from_utf8(&line).unwrap()));
    }
    for (place, payload) in lines {
        let before = ledger.insert(place.clone(), payload);
        assert_eq!(before, None, "two acknowledgements for {place:?}");
    }
}

/// The last line may be cut by the kill: a payload that is a prefix of what stands there was still acknowledged.
fn check(ledger: &Ledger, read: &Ledger) {
    for (place, payload) in ledger {
        let found = read.get(place).unwrap_or_else(|| panic!("{place:?} {payload} was acknowledged and is lost"));
        assert!(found.starts_with(payload.as_str()), "{place:?} holds {found}, acknowledged was {payload}");
    }
}

#[test]
fn kill_nine_at_random_moments_loses_nothing_acknowledged() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(dir) = std::env::var_os(CHILD_DIR) {
        let round = std::env::var(CHILD_ROUND).unwrap().parse().unwrap();
        let log = open(Path::new(&dir));
        return runtime.block_on(append_forever(log, round));
    }
    let dir = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let log = open(dir.path());
        for (topic, partitions) in [("raw", 4), ("first", 1), ("second", 1)] {
            log.create_topic(topic, partitions).await.unwrap();
        }
    });
    let mut moments = StdRng::seed_from_u64(7);
    let mut ledger = Ledger::new();
    for round in 0..ROUNDS {
        let test = "commitlog::crash::kill_nine_at_random_moments_loses_nothing_acknowledged";
        run_and_kill(test, dir.path(), round, &mut moments, &mut ledger);
        runtime.block_on(async {
            let log = open(dir.path());
            let mut read = Ledger::new();
            for (topic, partitions) in [("raw", 4), ("first", 1), ("second", 1)] {
                for partition in 0..partitions {
                    let records = read_to_end(&*log, topic, partition, 0).await;
                    for (expected, record) in (0..).zip(records) {
                        assert_eq!(record.offset, expected, "a hole in {topic}/{partition}");
                        let payload = String::from_utf8(record.payload.to_vec()).unwrap();
                        read.insert((topic.to_owned(), partition, record.offset), payload);
                    }
                }
            }
            check(&ledger, &read);
            let of = |topic: &str| {
                let of_topic = read.iter().filter(|((name, ..), _)| name == topic);
                of_topic.map(|(_, payload)| payload.clone()).collect::<Vec<_>>()
            };
            assert_eq!(of("first"), of("second"), "half of an atomic append");
        });
    }
    assert!(ledger.len() > 1_000, "only {} acknowledgements: nothing was shown", ledger.len());
}
