//! Kill -9 at random instants under load, on both logs: nothing acknowledged is lost, nothing counts twice, and a counting
//! task over `tasks.lastSuccess` sees every row in exactly one slot.
//!
//! The ledger is the devices' own: what they sent and what was acknowledged. It is compared with what Flux reads from the
//! bucket after the last restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::daemon::{Daemon, Start};
use crate::support::device::Device;
use crate::support::kafka::KafkaBroker;

/// Small files and often, so that many kills fall into a flush.
const CONFIG: &str = r#"
[[route]]
filter = "ledger/{device}"
topic = "ledger"
key = "{device}"
measurement = "entry"
tags = { device = "{device}" }
fields = { number = { type = "int" } }

[sink]
flush_rows = 200
flush_age = "300ms"
"#;

/// Counts what arrived since its last success, each second.
const COUNTING_TASK: &str = r#"
import "influxdata/influxdb/tasks"

option task = {name: "counting", every: 1s}

from(bucket: "ledger")
    |> range(start: tasks.lastSuccess(orTime: -1h))
    |> count()
    |> duplicate(column: "_stop", as: "_time")
    |> set(key: "_measurement", value: "counted")
    |> to(bucket: "counts")
"#;

/// Where a kill fell, read from the daemon's own log lines.
#[derive(Debug, Default)]
struct Fell {
    in_flush: usize,
    in_run: usize,
    in_ingest: usize,
    at_rest: usize,
}

#[test]
fn forty_kills_on_the_embedded_log() {
    kills(None, 40, 11);
}

#[test]
fn twenty_kills_on_kafka() {
    let broker = KafkaBroker::shared();
    kills(Some(&broker.address()), 20, 12);
}

fn kills(kafka: Option<&str>, kills: usize, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let home = tempfile::tempdir().expect("a directory");
    let tasks = home.path().join("tasks");
    std::fs::create_dir(&tasks).expect("a directory");
    std::fs::write(tasks.join("counting.flux"), COUNTING_TASK).expect("a task file");
    // A topic of its own for each test run: a shared broker may hold an older one.
    let unique = format!("ledger-{}-{}", seed, std::process::id());
    let config = home.path().join("fluxmill.toml");
    let text = match kafka {
        Some(_) => {
            std::fs::write(
                tasks.join("counting.flux"),
                COUNTING_TASK
                    .replace("\"ledger\"", &format!("\"{unique}\""))
                    .replace("counts", &format!("counts-{unique}")),
            )
            .expect("a task file");
            format!(
                "{}\n[log.kafka]\ngroup = \"{unique}\"\n",
                CONFIG.replace("topic = \"ledger\"", &format!("topic = \"{unique}\""))
            )
        }
        None => CONFIG.to_string(),
    };
    std::fs::write(&config, text).expect("a configuration");
    let (bucket, counts) = match kafka {
        Some(_) => (unique.clone(), format!("counts-{unique}")),
        None => ("ledger".to_string(), "counts".to_string()),
    };

    let data_dir = home.path().join("data");
    let start = Start { data_dir: &data_dir, tasks_dir: &tasks, config: Some(&config), kafka };
    let mut devices: Vec<Device> = Vec::new();
    let mut fell = Fell::default();
    let mut starts: Vec<Duration> = Vec::new();
    let mut number = 0u64;
    for kill in 0..kills {
        let daemon = Daemon::start(&start);
        starts.push(daemon.start_took);
        if devices.is_empty() {
            devices = (0..4).map(|index| Device::new(&format!("d{index}"), daemon.mqtt)).collect();
        }
        for device in &mut devices {
            device.set_address(daemon.mqtt);
        }
        // Flushes and runs are short and rare: of three kills one waits for a flush to begin, one for a run, and falls
        // some milliseconds later; the third falls anywhere.
        let awaited = ["flush begins", "run begins"].get(kill % 3).map(|line| (*line, count_in_log(&data_dir, line)));
        let mut until = Instant::now() + Duration::from_millis(random.random_range(50..1800));
        if awaited.is_some() {
            until += Duration::from_secs(5);
        }
        while Instant::now() < until {
            if awaited.is_some_and(|(line, before)| count_in_log(&data_dir, line) > before) {
                std::thread::sleep(Duration::from_millis(random.random_range(0..12)));
                break;
            }
            for device in &mut devices {
                if device.in_flight() < 200 {
                    number += 1;
                    let topic = format!("ledger/{}", device.client_id);
                    device.publish(&topic, &format!("{{\"number\": {number}}}"));
                }
                device.read_some(Duration::from_millis(1));
            }
        }
        let busy = devices.iter().any(|device| device.in_flight() > 0);
        daemon.kill();
        count_where_it_fell(&data_dir, busy, &mut fell);
        for device in &mut devices {
            device.cut();
        }
    }

    let daemon = Daemon::start(&start);
    starts.push(daemon.start_took);
    for device in &mut devices {
        device.set_address(daemon.mqtt);
        assert!(device.drain(Duration::from_secs(30)), "{} messages stay without acknowledgement", device.in_flight());
    }
    let sent: usize = devices.iter().map(|device| device.ledger.len()).sum();
    starts.sort();
    // The middle one: on a machine that does something else at that moment, a single start says nothing.
    let (middle, slowest) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    println!("{kills} kills: {fell:?}; {sent} messages; starts {middle:?} in the middle, {slowest:?} at most");
    assert!(middle < Duration::from_secs(5), "restarts took {starts:?}");

    // The last messages are in the log; a run over a later slot has them all. Wait for one.
    let last_arrival = newest_arrival(&daemon, &bucket);
    wait_for_a_success_after(&daemon, &last_arrival);

    let mut stored: BTreeMap<(String, i64), usize> = BTreeMap::new();
    for row in daemon.rows(&format!("from(bucket: \"{bucket}\") |> range(start: 0)")) {
        let device = row["device"].as_str().expect("a device").to_string();
        *stored.entry((device, row["_value"].as_i64().expect("a number"))).or_default() += 1;
    }
    let doubled: Vec<_> = stored.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{} messages stand twice in the bucket: {doubled:?}", doubled.len());
    let mut lost = Vec::new();
    for device in &devices {
        for sent in &device.ledger {
            assert!(sent.acknowledged);
            let number: serde_json::Value = serde_json::from_str(&sent.payload).expect("our own JSON");
            let number = number["number"].as_i64().expect("our own number");
            if !stored.contains_key(&(device.client_id.clone(), number)) {
                lost.push((device.client_id.clone(), number));
            }
        }
    }
    assert!(lost.is_empty(), "{} acknowledged messages are lost: {lost:?}", lost.len());
    assert_eq!(stored.len(), sent, "the bucket holds what nobody sent");

    wait_until_counted(&daemon, &counts, &devices);
    assert!(daemon.stop().success(), "a clean stop after all that");
}

/// The time of the newest row, in RFC 3339.
fn newest_arrival(daemon: &Daemon, bucket: &str) -> String {
    let script = format!(
        "from(bucket: \"{bucket}\") |> range(start: 0) |> group() |> sort(columns: [\"_time\"], desc: true) |> limit(n: 1)"
    );
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(row) = daemon.rows(&script).first() {
            return row["_time"].as_str().expect("a time").to_string();
        }
        assert!(Instant::now() < until, "the bucket stays empty");
    }
}

/// Waits until the counting task has succeeded for a slot after `time`.
fn wait_for_a_success_after(daemon: &Daemon, time: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let runs = daemon.output(&["task", "runs", "counting", "--limit", "1"]);
        let done = runs.lines().skip(1).any(|line| {
            let slot = line.split_whitespace().next().unwrap_or_default();
            line.contains("success") && slot > time
        });
        if done {
            return;
        }
        assert!(Instant::now() < until, "no success after {time}:\n{runs}");
    }
}

/// Waits until the counts add up to the ledger. A run's output is durable when the run shows as a success; the bucket has
/// it when the sink has read it, partition by partition. A row that was missed or counted twice stays so, and fails here.
fn wait_until_counted(daemon: &Daemon, counts: &str, devices: &[Device]) {
    let expected: BTreeMap<String, i64> =
        devices.iter().map(|device| (device.client_id.clone(), device.ledger.len() as i64)).collect();
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let mut counted: BTreeMap<String, i64> = BTreeMap::new();
        for row in daemon.rows(&format!("from(bucket: \"{counts}\") |> range(start: 0)")) {
            let device = row["device"].as_str().expect("a device").to_string();
            *counted.entry(device).or_default() += row["_value"].as_i64().expect("a count");
        }
        if counted == expected {
            return;
        }
        if Instant::now() > until {
            let runs = daemon.output(&["task", "runs", "counting", "--limit", "1000"]);
            let unusual: Vec<_> = runs.lines().filter(|line| !line.contains("success")).collect();
            panic!(
                "the counting task saw {counted:?}, the ledger has {expected:?}; runs that are no success: {unusual:#?}"
            );
        }
    }
}

/// How often a line stands in the daemon's log.
fn count_in_log(data_dir: &Path, line: &str) -> usize {
    std::fs::read_to_string(data_dir.with_extension("stderr")).expect("the daemon's log").matches(line).count()
}

/// Reads the daemon's log up to its sudden end: an operation that began and did not end is where the kill fell.
fn count_where_it_fell(data_dir: &Path, busy: bool, fell: &mut Fell) {
    let log = std::fs::read_to_string(data_dir.with_extension("stderr")).expect("the daemon's log");
    let life = log.rsplit("starting fluxmill").next().unwrap_or_default();
    let open = |begin: &str, end: &str| life.matches(begin).count() > life.matches(end).count();
    if open("flush begins", "flush ends") {
        fell.in_flush += 1;
    } else if open("run begins", "run ends") {
        fell.in_run += 1;
    } else if busy {
        fell.in_ingest += 1;
    } else {
        fell.at_rest += 1;
    }
}
