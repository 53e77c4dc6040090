//! The seams between slots: every row in exactly one of them, whatever is on its way when a slot ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fluxmill::tasks::Settings;
use fluxmill::tasks::executor::Phase;
use rand::Rng;

use super::house::{COUNTING, House, MINUTE_NS, Plan, SECOND_NS, append, at, send};
use crate::support::plain::Value;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_counting_task_sees_every_row_once_while_messages_arrive_at_any_time() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (log, arrivals, stop) = (house.log.clone(), house.arrivals.clone(), stop.clone());
            tokio::spawn(async move {
                let mut sent = Vec::new();
                while !stop.load(Ordering::SeqCst) {
                    // Dated now, and then some time passes before the log is asked.
                    let arrival = arrivals.begin();
                    let steps = rand::rng().random_range(0..40);
                    for _ in 0..steps {
                        tokio::task::yield_now().await;
                    }
                    append(&log, arrival.time_ns(), writer * 1_000_000 + sent.len() as i64).await;
                    sent.push(arrival.time_ns());
                }
                sent
            })
        })
        .collect();
    // Forty minutes pass in steps, slots start in between, and nobody waits for anybody.
    for _ in 0..400 {
        house.clock.advance(6 * SECOND_NS);
        house.tasks.start_due().await.unwrap();
        send(&house.log, &house.arrivals, 7).await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
    let mut count = |time_ns: i64| *expected.entry((time_ns.div_euclid(MINUTE_NS) + 1) * MINUTE_NS).or_default() += 1;
    for writer in writers {
        writer.await.unwrap().into_iter().for_each(&mut count);
    }
    for minute in 0..400 {
        count(at("2026-11-24T10:00:06Z") + minute * 6 * SECOND_NS);
    }
    house.advance(MINUTE_NS).await;
    house.advance(MINUTE_NS).await;
    assert_eq!(house.counts().await, expected);
    assert!(house.ended("counting").iter().all(|run| run.attempt == 1 && !run.incomplete));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_its_way_when_a_slot_ends_belongs_to_that_slot() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.clock.advance(59 * SECOND_NS);
    let arrival = house.arrivals.begin();
    house.clock.advance(SECOND_NS);
    house.tasks.start_due().await.unwrap();
    let run = &house.tasks.runs("counting", 1).unwrap()[0];
    assert_eq!((run.status, run.phase), ("scheduled", Some(Phase::WaitingForData)));
    // A younger message does not hold the slot up, and is not counted in it.
    let younger = house.arrivals.begin();
    append(&house.log, arrival.time_ns(), 1).await;
    drop(arrival);
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1)].into());
    append(&house.log, younger.time_ns(), 2).await;
    drop(younger);
    house.advance(MINUTE_NS).await;
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1), (at("2026-11-24T10:02:00Z"), 1)].into());
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_waits_until_the_sink_has_applied_its_rows() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.sink.hold().await;
    house.send(1).await;
    house.clock.advance(MINUTE_NS);
    house.tasks.start_due().await.unwrap();
    assert_eq!(house.tasks.show("counting").unwrap().running[0].phase, Some(Phase::WaitingForData));
    house.sink.release();
    house.tasks.run_due().await.unwrap();
    let run = house.ended("counting").pop().unwrap();
    assert_eq!((run.rows_in, run.incomplete), (1, false));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_waited_long_enough_runs_and_says_that_it_is_incomplete() {
    let short = |settings: &mut Settings| settings.wait_for_data = Duration::from_millis(50);
    let house = House::new("2026-11-24T10:00:00Z", &Plan { settings: Box::new(short), ..Plan::default() }).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.sink.hold().await;
    house.send(1).await;
    house.advance(MINUTE_NS).await;
    let run = house.ended("counting").pop().unwrap();
    assert_eq!((run.status, run.rows_in, run.incomplete), ("success", 0, true));
    let told = run.log.iter().any(|line| {
        line.message.starts_with("incomplete: the sink has not applied raw/")
            && line.message.ends_with("below offset 1 after 0.05 s")
    });
    assert!(told, "{:?}", run.log);
    house.sink.release();
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_how_far_it_read_so_that_what_came_later_is_known_as_late() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    house.advance(MINUTE_NS).await;
    // A payload with a time of its own, from before the slot's end.
    append(&house.log, at("2026-11-24T10:00:30Z"), 1).await;
    let controls = house.records("_fluxmill.tasks").await;
    let run: serde_json::Value = serde_json::from_slice(&controls.last().unwrap().payload).unwrap();
    assert_eq!(run["scheduledFor"], "2026-11-24T10:01:00Z");
    let positions = run["readUpTo"].as_array().unwrap();
    assert_eq!(positions.len(), 2, "a position for each partition of raw: {positions:?}");
    let read: u64 = positions.iter().map(|position| position["offset"].as_u64().unwrap()).sum();
    assert_eq!((read, house.records("raw").await.len()), (1, 2));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_and_record_of_a_run_are_in_the_log_with_their_origin() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    house.advance(MINUTE_NS).await;

    let outputs = house.records("counts").await;
    let header = |name: &str| std::str::from_utf8(outputs[0].header(name).unwrap()).unwrap();
    let task = house.tasks.show("counting").unwrap();
    assert_eq!(outputs.len(), 1);
    assert_eq!(header("fm-task"), &*task.id.unwrap());
    assert_eq!(header("fm-slot"), at("2026-11-24T10:01:00Z").to_string());
    assert_eq!((header("fm-attempt"), header("content-type")), ("1", "application/json"));
    assert_eq!(&outputs[0].payload[..], br#"{"_measurement":"m","_time":1795514460000000000,"value":1}"#);
    assert_eq!(&outputs[0].key[..], b"m");
    assert!(header("fm-time").parse::<i64>().unwrap() >= at("2026-11-24T10:01:00Z"));

    // The runs can be read as points, with InfluxDB's names.
    let runs = house.query("from(bucket: \"_tasks\") |> range(start: 0)").await;
    let column = |table: &crate::support::plain::Table, name: &str| {
        table.columns.iter().position(|(own, ..)| own == name).map(|index| table.rows[0][index].clone())
    };
    let mut fields: Vec<String> = runs.iter().filter_map(|table| Some(column(table, "_field")?.to_string())).collect();
    fields.sort();
    let expected = [
        "attempt",
        "finishedAt",
        "logs",
        "name",
        "requestedAt",
        "rowsIn",
        "rowsOut",
        "runID",
        "scheduledFor",
        "startedAt",
    ];
    assert_eq!(fields, expected);
    assert_eq!(column(&runs[0], "status"), Some(Value::String("success".into())));
    assert_eq!(column(&runs[0], "_measurement"), Some(Value::String("runs".into())));
    house.shut().await;
}
