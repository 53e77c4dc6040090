//! Slots: in order, once, also across restarts, missed ones, clock jumps and changes of the clock.

use std::sync::Arc;

use super::house::{COUNTING, HOUR_NS, House, MINUTE_NS, Plan, SECOND_NS, at};
use fluxmill::tasks::{CatchUp, Settings, Which};

fn writes_now(name: &str, schedule: &str) -> String {
    format!(
        "option task = {{name: \"{name}\", {schedule}}}\n\
         from(bucket: \"raw\") |> range(start: -1h) |> count() |> to(bucket: \"out\", timeColumn: \"_stop\")\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_task_runs_its_latest_slot_at_once_and_then_one_slot_after_the_other() {
    let house = House::new("2026-11-24T10:00:30Z", &Plan::default()).await;
    house.send(1).await;
    house.clock.advance(15 * SECOND_NS);
    house.task("counting.flux", COUNTING).await;
    // The row arrived at 10:00:30, after the slot of 10:00.
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.slots("counting"), ["2026-11-24T10:00:00Z"]);
    assert_eq!(house.counts().await, [].into());

    house.clock.set(at("2026-11-24T10:01:10Z"));
    house.tasks.run_due().await.unwrap();
    house.tasks.run_due().await.unwrap();
    house.send(2).await;
    house.send(3).await;
    house.clock.set(at("2026-11-24T10:02:00Z"));
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.slots("counting"), ["2026-11-24T10:00:00Z", "2026-11-24T10:01:00Z", "2026-11-24T10:02:00Z"]);
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1), (at("2026-11-24T10:02:00Z"), 2)].into());

    let runs = house.ended("counting");
    assert_eq!(runs[2].last_success, Some(at("2026-11-24T10:01:00Z")));
    assert_eq!((runs[2].window_start, runs[2].window_stop), (runs[2].last_success, Some(runs[2].scheduled_for)));
    assert_eq!((runs[2].rows_in, runs[2].rows_out, runs[2].attempt, runs[2].status), (2, 1, 1, "success"));
    // The first slot had no success before it: `orTime`, an hour before its `now()`.
    assert_eq!((runs[0].last_success, runs[0].window_start), (None, Some(at("2026-11-24T09:00:00Z"))));
    let task = house.tasks.show("counting").unwrap();
    assert_eq!(task.next_due, Some(at("2026-11-24T10:03:00Z")));
    assert_eq!((task.slots.succeeded, task.latest_success), (3, Some(at("2026-11-24T10:02:00Z"))));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_behind_the_cursor_and_catches_up_oldest_first() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    for minute in 1..=2 {
        house.send(minute).await;
        house.advance(MINUTE_NS).await;
    }
    // A row arrives, and then the process is away for half an hour.
    house.send(3).await;
    let house = house.reopen(30 * MINUTE_NS, &Plan::default()).await;
    house.tasks.load().await.unwrap();
    house.tasks.run_due().await.unwrap();
    let runs = house.ended("counting");
    assert_eq!(runs.len(), 33);
    assert!(runs.windows(2).all(|pair| pair[1].scheduled_for - pair[0].scheduled_for == MINUTE_NS));
    assert!(runs.windows(2).all(|pair| pair[1].last_success == Some(pair[0].scheduled_for)));
    assert!(runs.windows(2).all(|pair| pair[1].started_at >= pair[0].started_at));
    let counts = house.counts().await;
    assert_eq!(counts, [1, 2, 3].map(|minute| (at("2026-11-24T10:00:00Z") + minute * MINUTE_NS, 1)).into());
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_missed_slots_than_the_limit_are_passed_over_visibly() {
    let limited =
        Plan { settings: Box::new(|settings: &mut Settings| settings.catch_up = CatchUp::All(5)), ..Plan::default() };
    let house = House::new("2026-11-24T10:00:00Z", &limited).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    // A laptop asleep: the clock jumps three hours ahead.
    house.advance(3 * HOUR_NS).await;
    assert_eq!(house.slots("counting").len(), 6);
    assert_eq!(
        house.slots("counting")[1..],
        ["12:56", "12:57", "12:58", "12:59", "13:00"].map(|time| format!("2026-11-24T{time}:00Z"))
    );
    assert_eq!(house.tasks.show("counting").unwrap().slots.skipped, 175);
    // The slot behind the gap reads what the ones in the gap did not.
    assert_eq!(house.counts().await, [(at("2026-11-24T12:56:00Z"), 1)].into());

    // The clock goes back: nothing runs again, and time that has been counted is not counted twice.
    house.clock.set(at("2026-11-24T10:00:00Z"));
    house.tasks.run_due().await.unwrap();
    let arrival_ns = house.send(2).await;
    assert!(arrival_ns >= at("2026-11-24T13:00:00Z"), "what arrives now belongs to a slot that has not run");
    house.advance(HOUR_NS).await;
    assert_eq!(house.slots("counting").len(), 6);
    house.clock.set(at("2026-11-24T13:01:00Z"));
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.counts().await.get(&at("2026-11-24T13:01:00Z")), Some(&1));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_promise_that_nothing_arrives_before_a_slot_holds_over_a_restart_with_a_clock_set_back() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.advance(MINUTE_NS).await;
    let house = house.reopen(-HOUR_NS, &Plan::default()).await;
    house.tasks.load().await.unwrap();
    assert!(house.send(1).await >= at("2026-11-24T10:01:00Z"));
    house.advance(HOUR_NS + MINUTE_NS).await;
    assert_eq!(house.counts().await, [(at("2026-11-24T10:02:00Z"), 1)].into());
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_delays_the_run_and_a_restart_inside_of_it_loses_no_slot() {
    let house = House::new("2026-11-24T11:30:00Z", &Plan::default()).await;
    house.task("late.flux", &writes_now("late", "every: 1h, offset: 10m")).await;
    house.tasks.run_due().await.unwrap();
    house.clock.set(at("2026-11-24T12:05:00Z"));
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.slots("late"), ["2026-11-24T11:00:00Z"]);
    let house = house.reopen(0, &Plan::default()).await;
    house.tasks.load().await.unwrap();
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.slots("late"), ["2026-11-24T11:00:00Z"]);
    house.advance(5 * MINUTE_NS).await;
    assert_eq!(house.slots("late"), ["2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z"]);
    // `now()` is the slot, not the slot plus the offset.
    assert_eq!(house.ended("late")[1].window_stop, Some(at("2026-11-24T12:00:00Z")));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cron_in_a_zone_runs_once_a_night_over_both_changes_of_the_clock() {
    // Berlin, 2026-03-29: 02:30 does not exist, the clock jumps at 01:00Z. 2026-10-25: 02:30 comes twice.
    for (start, expected) in [
        (
            "2026-03-28T00:00:00Z",
            ["2026-03-27T01:30:00Z", "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "2026-10-24T12:00:00Z",
            ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"],
        ),
    ] {
        let house = House::new(start, &Plan::default()).await;
        house.task("nightly.flux", &writes_now("nightly", "cron: \"30 2 * * *\", location: \"Europe/Berlin\"")).await;
        house.tasks.run_due().await.unwrap();
        for _ in 0..2 * 72 {
            if house.slots("nightly").len() < expected.len() {
                house.advance(HOUR_NS / 2).await;
            }
        }
        assert_eq!(house.slots("nightly"), expected);
        house.shut().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_run_takes_the_latest_slot_and_keeps_what_last_success_was() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    house.advance(MINUTE_NS).await;
    house.clock.advance(17 * SECOND_NS);

    let asked = house.tasks.run("counting", Which::Latest).await.unwrap();
    assert_eq!((asked.scheduled_for, asked.manual), (at("2026-11-24T10:01:00Z"), true));
    let run = house.tasks.ended("counting", &asked.id).await.unwrap();
    assert_eq!((run.status, run.rows_in), ("success", 1));
    assert_eq!(run.last_success, Some(at("2026-11-24T10:00:00Z")));
    // Run again, the slot says the same: nothing is doubled.
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1)].into());

    let odd = at("2026-11-24T10:00:30Z");
    let error = house.tasks.run("counting", Which::Slot(odd)).await.unwrap_err();
    assert_eq!(error.message(), "2026-11-24T10:00:30Z is no slot of counting");
    assert_eq!(error.hint(), Some("the slots around it are 2026-11-24T10:00:00Z and 2026-11-24T10:01:00Z"));
    let future = house.tasks.run("counting", Which::Slot(at("2026-11-24T10:02:00Z"))).await.unwrap_err();
    assert_eq!(future.message(), "the slot 2026-11-24T10:02:00Z is due at 2026-11-24T10:02:00Z");
    // On request it runs all the same, beside the chain: the next slot still begins at 10:01.
    let unaligned = house.tasks.run("counting", Which::Unaligned(odd)).await.unwrap();
    assert_eq!(house.tasks.ended("counting", &unaligned.id).await.unwrap().status, "success");
    house.advance(43 * SECOND_NS).await;
    assert_eq!(house.tasks.runs("counting", 1).unwrap()[0].last_success, Some(at("2026-11-24T10:01:00Z")));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_runs_old_slots_oldest_first() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("late.flux", &writes_now("late", "every: 1h")).await;
    house.tasks.run_due().await.unwrap();
    let asked = house.tasks.backfill("late", at("2026-11-24T05:00:00Z"), at("2026-11-24T08:00:00Z")).await.unwrap();
    assert_eq!(asked, 3);
    house.tasks.run_due().await.unwrap();
    let hours = ["05", "06", "07", "10"].map(|hour| format!("2026-11-24T{hour}:00:00Z"));
    assert_eq!(house.slots("late"), hours);
    let runs = house.ended("late");
    assert!(runs[..3].windows(2).all(|pair| pair[0].finished_at <= pair[1].started_at));
    let error = house.tasks.backfill("late", 0, at("2026-11-24T08:00:00Z")).await.unwrap_err();
    assert_eq!(error.message(), "the range has more than 1000 slots of late");
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_is_rebuilt_from_the_topic() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    for minute in 1..=3 {
        house.send(minute).await;
        house.advance(MINUTE_NS).await;
    }
    let (before, runs) = (house.tasks.show("counting").unwrap(), house.ended("counting"));
    // The catalogue is lost, as after a crash between append and view in the worst case.
    let fresh = Arc::new(fluxmill::catalogue::Catalogue::open(&house.directory.path().join("another")).unwrap());
    let rebuilt = fluxmill::tasks::run_store::RunStore::open(
        house.log.clone(),
        fresh,
        house.clock.clone(),
        fluxmill::tasks::run::control_topic(None),
    )
    .await
    .unwrap();
    let task = rebuilt.task(before.id.as_ref().unwrap()).unwrap();
    assert_eq!(task.progress.cursor_ns, before.latest_completed);
    assert_eq!(task.ledger.intervals().iter().map(|interval| interval.count).sum::<u64>(), 4);
    let mut again: Vec<_> = rebuilt.runs(&task.definition.id, 100).unwrap();
    again.reverse();
    assert_eq!(again.into_iter().map(fluxmill::tasks::RunView::ended).collect::<Vec<_>>(), runs);
    house.shut().await;
}
