//! Decisions for a task that runs every minute, against what the policy says on paper.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::tasks::definition::{Definition, ScheduleSpec};
use crate::tasks::run::{RequestedRun, RunProblem, RunRecord, RunStatus};
use crate::time::Duration;

const MINUTE_NS: i64 = 60 * SECOND_NS;
const ALL: Policy = Policy { catch_up: CatchUp::All(3), settle_ns: 0 };

fn definition(every_ns: i64, first_slot_ns: i64) -> Definition {
    Definition {
        id: "00000000000000aa".into(),
        name: "t".into(),
        file: "t.flux".into(),
        flux: String::new(),
        schedule: ScheduleSpec { every: Some(Duration::from_nanoseconds(every_ns)), ..ScheduleSpec::default() },
        concurrency: 1,
        retry: 3,
        status: TaskStatus::Active,
        created_ns: 0,
        updated_ns: 0,
        first_slot_ns,
    }
}

fn minutely() -> TaskState {
    TaskState::new(definition(MINUTE_NS, 10 * MINUTE_NS)).unwrap()
}

fn run(slot_ns: i64, status: RunStatus, decided: bool) -> RunRecord {
    let error = (status == RunStatus::Failed).then(|| RunProblem {
        class: "invalid".into(),
        message: "broken".into(),
        rendered: "broken".into(),
        line: None,
        column: None,
    });
    RunRecord {
        id: "00000000000000bb".into(),
        task: "00000000000000aa".into(),
        slot_ns,
        attempt: 1,
        status,
        decided,
        manual: false,
        incomplete: false,
        settled_ns: None,
        last_success_ns: None,
        requested_ns: slot_ns,
        started_ns: slot_ns,
        finished_ns: slot_ns,
        reads: Vec::new(),
        read_up_to: Vec::new(),
        rows_in: 0,
        rows_out: 0,
        error,
        log: Vec::new(),
    }
}

fn waits(tries: u32, not_before_ns: i64) -> Retry {
    Retry { id: "00000000000000bb".into(), tries, not_before_ns, asked_ns: None }
}

/// The minute of the slot that starts, if one does.
fn started(step: Step) -> Option<i64> {
    match step {
        Step::Start(start) => Some(start.slot_ns / MINUTE_NS),
        _ => None,
    }
}

fn skipped(step: Step) -> Option<(i64, i64, u64)> {
    match step {
        Step::Skip(slots) => Some((slots.first_ns / MINUTE_NS, slots.last_ns / MINUTE_NS, slots.count)),
        _ => None,
    }
}

#[test]
fn slots_run_one_after_the_other_and_never_before_they_are_due() {
    let mut task = minutely();
    let mut live = Live::default();
    assert_eq!(next_step(&task, &mut live, ALL, 10 * MINUTE_NS - 1), Step::Wait);
    assert_eq!(started(next_step(&task, &mut live, ALL, 10 * MINUTE_NS)), Some(10));
    task.run_ended(&run(10 * MINUTE_NS, RunStatus::Success, true)).unwrap();
    assert_eq!(next_step(&task, &mut live, ALL, 10 * MINUTE_NS), Step::Wait);
    // The clock goes back an hour: nothing runs again.
    assert_eq!(next_step(&task, &mut live, ALL, -50 * MINUTE_NS), Step::Wait);
    assert_eq!(started(next_step(&task, &mut live, ALL, 11 * MINUTE_NS)), Some(11));
    // A settling allowance delays the start, not the slot.
    let later = Policy { settle_ns: SECOND_NS, ..ALL };
    assert_eq!(next_step(&task, &mut live, later, 11 * MINUTE_NS), Step::Wait);
    assert_eq!(started(next_step(&task, &mut live, later, 11 * MINUTE_NS + SECOND_NS)), Some(11));
}

#[test]
fn missed_slots_follow_the_policy() {
    let now_ns = 20 * MINUTE_NS;
    let mut task = minutely();
    task.run_ended(&run(10 * MINUTE_NS, RunStatus::Success, true)).unwrap();

    // all(3): 18, 19 and 20 run; 11 to 17 are passed over, once.
    let mut live = Live::default();
    let step = next_step(&task, &mut live, ALL, now_ns);
    assert_eq!(skipped(step.clone()), Some((11, 17, 7)));
    let Step::Skip(slots) = step else { panic!("a skip") };
    let mut caught_up = task.clone();
    caught_up.skipped(&slots).unwrap();
    for minute in 18..=20 {
        assert_eq!(started(next_step(&caught_up, &mut live, ALL, now_ns)), Some(minute));
        caught_up.run_ended(&run(minute * MINUTE_NS, RunStatus::Success, true)).unwrap();
    }
    assert_eq!(next_step(&caught_up, &mut live, ALL, now_ns), Step::Wait);

    let last = Policy { catch_up: CatchUp::Last, settle_ns: 0 };
    assert_eq!(skipped(next_step(&task, &mut Live::default(), last, now_ns)), Some((11, 19, 9)));
    // none: what was due while nobody looked is passed over whole; what became due since runs.
    let none = Policy { catch_up: CatchUp::None, settle_ns: 0 };
    let mut restarted = Live { watched_since_ns: now_ns + 1, ..Live::default() };
    assert_eq!(skipped(next_step(&task, &mut restarted, none, now_ns + 1)), Some((11, 20, 10)));
    let mut watching = Live { watched_since_ns: 12 * MINUTE_NS, ..Live::default() };
    assert_eq!(skipped(next_step(&task, &mut watching, none, now_ns)), Some((11, 19, 9)));
    // A new task's first slot was due before it was made, and runs whatever the policy is.
    let mut fresh = Live { watched_since_ns: 10 * MINUTE_NS + 5, ..Live::default() };
    assert_eq!(started(next_step(&minutely(), &mut fresh, none, 10 * MINUTE_NS + 5)), Some(10));
}

#[test]
fn a_failed_slot_is_tried_again_before_the_next_one_starts() {
    let mut task = minutely();
    task.run_ended(&run(10 * MINUTE_NS, RunStatus::Failed, false)).unwrap();
    let mut live = Live::default();
    live.waiting.insert(10 * MINUTE_NS, waits(1, 10 * MINUTE_NS + wait_after(1)));
    assert_eq!(next_step(&task, &mut live, ALL, 10 * MINUTE_NS), Step::Wait);
    let step = next_step(&task, &mut live, ALL, 12 * MINUTE_NS);
    let Step::Start(start) = step else { panic!("a start") };
    assert_eq!((start.slot_ns, start.tries, start.last), (10 * MINUTE_NS, 1, false));
    // After a restart the attempts that have ended still count, and the last one is the last.
    for _ in 0..2 {
        task.run_ended(&run(10 * MINUTE_NS, RunStatus::Failed, false)).unwrap();
    }
    let Step::Start(start) = next_step(&task, &mut Live::default(), ALL, 12 * MINUTE_NS) else { panic!("a start") };
    assert_eq!((start.slot_ns, start.tries, start.last), (10 * MINUTE_NS, 3, true));
    assert_eq!([1, 2, 3, 4, 9].map(|tries| wait_after(tries) / SECOND_NS), [1, 4, 16, 64, 300]);
}

#[test]
fn an_inactive_task_runs_only_what_is_asked_for() {
    let mut task = minutely();
    task.definition.status = TaskStatus::Inactive;
    assert_eq!(next_step(&task, &mut Live::default(), ALL, 30 * MINUTE_NS), Step::Wait);
    task.requested(&RequestedRun {
        id: "00000000000000cc".into(),
        task: "00000000000000aa".into(),
        slot_ns: 15 * MINUTE_NS,
        requested_ns: 29 * MINUTE_NS,
    });
    let Step::Start(start) = next_step(&task, &mut Live::default(), ALL, 30 * MINUTE_NS) else { panic!("a start") };
    assert_eq!((start.slot_ns, start.manual, start.id), (15 * MINUTE_NS, true, Some("00000000000000cc".into())));
    // Once decided it is not asked for any more, and the slots around it are still to be run.
    task.run_ended(&run(15 * MINUTE_NS, RunStatus::Success, true)).unwrap();
    assert_eq!(next_step(&task, &mut Live::default(), ALL, 30 * MINUTE_NS), Step::Wait);
    task.definition.status = TaskStatus::Active;
    let everything = Policy { catch_up: CatchUp::All(1_000), settle_ns: 0 };
    let mut order = Vec::new();
    let mut live = Live::default();
    while let Some(minute) = started(next_step(&task, &mut live, everything, 17 * MINUTE_NS)) {
        order.push(minute);
        task.run_ended(&run(minute * MINUTE_NS, RunStatus::Success, true)).unwrap();
    }
    assert_eq!(order, [10, 11, 12, 13, 14, 16, 17]);
    // Passing over stops at what is decided: 10 to 14, then from 16 on.
    let mut task = minutely();
    task.run_ended(&run(15 * MINUTE_NS, RunStatus::Success, true)).unwrap();
    assert_eq!(skipped(next_step(&task, &mut Live::default(), ALL, 30 * MINUTE_NS)), Some((10, 14, 5)));
}

#[test]
fn a_run_that_is_asked_for_does_not_overtake_in_a_chain() {
    let mut task = minutely();
    task.requested(&RequestedRun {
        id: "00000000000000cc".into(),
        task: "00000000000000aa".into(),
        slot_ns: 11 * MINUTE_NS,
        requested_ns: 12 * MINUTE_NS,
    });
    let everything = Policy { catch_up: CatchUp::All(1_000), settle_ns: 0 };
    assert_eq!(started(next_step(&task, &mut Live::default(), everything, 12 * MINUTE_NS)), Some(11));
    task.definition.flux = "tasks.lastSuccess(orTime: -1h)".into();
    assert_eq!(started(next_step(&task, &mut Live::default(), everything, 12 * MINUTE_NS)), Some(10));
    // When its turn comes it has the id that was promised.
    task.run_ended(&run(10 * MINUTE_NS, RunStatus::Success, true)).unwrap();
    let Step::Start(start) = next_step(&task, &mut Live::default(), everything, 12 * MINUTE_NS) else {
        panic!("a start")
    };
    assert_eq!((start.slot_ns, start.id), (11 * MINUTE_NS, Some("00000000000000cc".into())));
}

#[test]
fn an_edit_of_the_schedule_starts_at_its_latest_slot_and_not_at_all_that_it_would_have_had() {
    // A daily task becomes a minutely one at 23:00: the slot of 23:00 is next, not 1,380 slots since midnight.
    let mut task = TaskState::new(definition(1_440 * MINUTE_NS, 0)).unwrap();
    task.run_ended(&run(0, RunStatus::Success, true)).unwrap();
    task.redefine(definition(MINUTE_NS, 1_380 * MINUTE_NS)).unwrap();
    assert_eq!(started(next_step(&task, &mut Live::default(), ALL, 1_380 * MINUTE_NS)), Some(1_380));
    // Back to daily: the cursor stays, and midnight is next.
    task.run_ended(&run(1_380 * MINUTE_NS, RunStatus::Success, true)).unwrap();
    task.redefine(definition(1_440 * MINUTE_NS, 0)).unwrap();
    assert_eq!(next_step(&task, &mut Live::default(), ALL, 1_381 * MINUTE_NS), Step::Wait);
    assert_eq!(started(next_step(&task, &mut Live::default(), ALL, 1_440 * MINUTE_NS)), Some(1_440));
}

#[test]
fn a_task_that_fails_the_same_way_again_and_again_is_tried_ever_more_rarely() {
    let mut task = minutely();
    for minute in 10..15 {
        assert!(!task.is_quarantined());
        task.run_ended(&run(minute * MINUTE_NS, RunStatus::Failed, true)).unwrap();
    }
    assert!(task.is_quarantined());
    // The last run ended at minute 14; the first probe comes a minute later, the next one two minutes after it.
    let everything = Policy { catch_up: CatchUp::All(1_000), settle_ns: 0 };
    assert_eq!(next_step(&task, &mut Live::default(), everything, 15 * MINUTE_NS - 1), Step::Wait);
    let Step::Start(probe) = next_step(&task, &mut Live::default(), everything, 15 * MINUTE_NS) else {
        panic!("a probe")
    };
    assert!(probe.last);
    task.run_ended(&run(15 * MINUTE_NS, RunStatus::Failed, true)).unwrap();
    assert_eq!(next_step(&task, &mut Live::default(), everything, 17 * MINUTE_NS - 1), Step::Wait);
    assert_eq!(started(next_step(&task, &mut Live::default(), everything, 17 * MINUTE_NS)), Some(16));
    // A success, or a changed script, ends it.
    task.run_ended(&run(16 * MINUTE_NS, RunStatus::Success, true)).unwrap();
    assert!(!task.is_quarantined());
    assert_eq!(started(next_step(&task, &mut Live::default(), everything, 17 * MINUTE_NS)), Some(17));
}

#[test]
fn the_limit_of_a_task_holds() {
    let mut task = minutely();
    task.definition.concurrency = 2;
    let everything = Policy { catch_up: CatchUp::All(1_000), settle_ns: 0 };
    let mut live = Live::default();
    live.waiting.insert(10 * MINUTE_NS, waits(0, 21 * MINUTE_NS));
    assert_eq!(started(next_step(&task, &mut live, everything, 20 * MINUTE_NS)), Some(11));
    live.waiting.insert(11 * MINUTE_NS, waits(0, 21 * MINUTE_NS));
    assert_eq!(next_step(&task, &mut live, everything, 20 * MINUTE_NS), Step::Wait);
    // A script that reads `tasks.lastSuccess` needs the slot before it to be over.
    task.definition.flux = "tasks.lastSuccess(orTime: -1h)".into();
    live.waiting.remove(&(11 * MINUTE_NS));
    assert_eq!(next_step(&task, &mut live, everything, 20 * MINUTE_NS), Step::Wait);
}
