//! kill -9 of a writing process: what was acknowledged is there, at its position, and an atomic append as a whole or not at
//! all.
//!
//! A test runs itself again as a child (an environment variable tells it so). The child appends from many tasks and writes a
//! line to its standard output after each acknowledgement; the parent kills it in the middle, opens the log and compares.
//! The moments are seeded, so that a failure can be looked at again.

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
use tokio::runtime::Runtime;

use super::cases::{read_to_end, record, record_in};

/// Where the child's log is: a directory, or a broker's address.
const CHILD_LOG: &str = "FLUXMILL_TEST_CRASH_LOG";
const CHILD_ROUND: &str = "FLUXMILL_TEST_CRASH_ROUND";
const TOPICS: [(&str, u32); 3] = [("raw", 4), ("first", 1), ("second", 1)];

fn open_embedded(dir: &str) -> Arc<dyn CommitLog> {
    // Small segments: the kills also meet closing one and opening the next.
    let options = EmbeddedOptions { segment_bytes: 64 << 10, ..EmbeddedOptions::default() };
    Arc::new(EmbeddedLog::open(Path::new(dir), options, Arc::new(SystemClock)).unwrap())
}

#[cfg(feature = "kafka")]
async fn open_kafka(address: &str) -> Arc<dyn CommitLog> {
    use fluxmill::commitlog::{KafkaLog, KafkaOptions};
    Arc::new(KafkaLog::connect(KafkaOptions::new(address)).await.unwrap())
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// What the child was told, if this process is one: where its log is, and the round.
fn child() -> Option<(String, u64)> {
    let log = std::env::var(CHILD_LOG).ok()?;
    Some((log, std::env::var(CHILD_ROUND).unwrap().parse().unwrap()))
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

fn start_child(test: &str, log: &str, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(CHILD_LOG, log)
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

/// Lets a child append until it has said a random number of lines and for a random moment more, kills it, and enters what
/// it acknowledged. A line that the kill has cut off is not an acknowledgement.
fn run_and_kill(mut child: Child, most_lines: usize, moments: &mut StdRng, ledger: &mut Ledger) {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    let wanted = moments.random_range(1..most_lines);
    let mut line = String::new();
    let mut killed = false;
    loop {
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            break;
        }
        lines.extend(line.strip_suffix('\n').and_then(parse_line));
        if !killed && lines.len() >= wanted {
            std::thread::sleep(Duration::from_micros(moments.random_range(0..3_000)));
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself after {} lines", lines.len());
    for (place, payload) in lines {
        let before = ledger.insert(place.clone(), payload);
        assert_eq!(before, None, "two acknowledgements for {place:?}");
    }
}

/// Everything in the log, by place.
async fn read_all(log: &dyn CommitLog) -> Ledger {
    let mut read = Ledger::new();
    for (topic, partitions) in TOPICS {
        for partition in 0..partitions {
            for record in read_to_end(log, topic, partition, 0).await {
                let payload = String::from_utf8(record.payload.to_vec()).unwrap();
                read.insert((topic.to_owned(), partition, record.offset), payload);
            }
        }
    }
    read
}

fn check(ledger: &Ledger, read: &Ledger) {
    for (place, payload) in ledger {
        assert_eq!(read.get(place), Some(payload), "{place:?} was acknowledged");
    }
    // Sorted, since two writers' pairs may stand in different orders in two topics.
    let of = |topic: &str| {
        let of_topic = read.iter().filter(|((name, ..), _)| name == topic);
        let mut payloads: Vec<_> = of_topic.map(|(_, payload)| payload.clone()).collect();
        payloads.sort();
        payloads
    };
    assert_eq!(of("first"), of("second"), "half of an atomic append");
}

#[test]
fn kill_nine_at_random_moments_loses_nothing_acknowledged() {
    let runtime = runtime();
    if let Some((dir, round)) = child() {
        return runtime.block_on(append_forever(open_embedded(&dir), round));
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().to_str().unwrap();
    runtime.block_on(async {
        let log = open_embedded(dir);
        for (topic, partitions) in TOPICS {
            log.create_topic(topic, partitions).await.unwrap();
        }
    });
    let mut moments = StdRng::seed_from_u64(7);
    let mut ledger = Ledger::new();
    for round in 0..12 {
        let test = "commitlog::crash::kill_nine_at_random_moments_loses_nothing_acknowledged";
        run_and_kill(start_child(test, dir, round), 2_000, &mut moments, &mut ledger);
        runtime.block_on(async {
            let log = open_embedded(dir);
            let read = read_all(&*log).await;
            check(&ledger, &read);
            for (topic, partitions) in TOPICS {
                for partition in 0..partitions {
                    let held = read.keys().filter(|(name, number, _)| name == topic && *number == partition).count();
                    let end = log.offsets(topic, partition).await.unwrap().end;
                    assert_eq!(held as u64, end, "a hole in {topic}/{partition}");
                }
            }
        });
    }
    assert!(ledger.len() > 1_000, "only {} acknowledgements: nothing was shown", ledger.len());
}

#[cfg(feature = "kafka")]
#[test]
fn kill_nine_of_a_writer_leaves_no_half_transaction_in_kafka() {
    let runtime = runtime();
    if let Some((address, round)) = child() {
        return runtime.block_on(async { append_forever(open_kafka(&address).await, round).await });
    }
    let broker = crate::support::kafka::KafkaBroker::own();
    let address = broker.address();
    runtime.block_on(async {
        let log = open_kafka(&address).await;
        for (topic, partitions) in TOPICS {
            log.create_topic(topic, partitions).await.unwrap();
        }
    });
    let mut moments = StdRng::seed_from_u64(7);
    let mut ledger = Ledger::new();
    for round in 0..4 {
        let test = "commitlog::crash::kill_nine_of_a_writer_leaves_no_half_transaction_in_kafka";
        run_and_kill(start_child(test, &address, round), 600, &mut moments, &mut ledger);
        runtime.block_on(async {
            let log = open_kafka(&address).await;
            // The next process takes over the names of the writers, which settles what the dead one left open: what is
            // not read up to the end of that moment never comes.
            let mut ends = BTreeMap::new();
            for writer in 6..8 {
                log.take_over(&format!("shard-{writer}")).await.unwrap();
            }
            for topic in ["first", "second"] {
                ends.insert(topic, log.offsets(topic, 0).await.unwrap().end);
            }
            for writer in 6..8 {
                let pair = vec![record_in("first", 0, "settled"), record_in("second", 0, "settled")];
                log.append_atomic(&format!("shard-{writer}"), pair).await.unwrap();
            }
            let read = read_all(&*log).await;
            check(&ledger, &read);
            for ((topic, _, offset), payload) in &read {
                let end = ends.get(&**topic).copied().unwrap_or(u64::MAX);
                let own = payload.starts_with(&format!("{round}."));
                assert!(!own || *offset < end, "{payload} of the dead process came after it was taken over");
            }
        });
    }
    assert!(ledger.keys().any(|(topic, ..)| topic == "first"), "no transaction was acknowledged: nothing was shown");
}
