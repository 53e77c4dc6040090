//! Runs that fail, hang, panic or are canceled; a log that loses its answer; a thousand tasks at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fluxmill::commitlog::{CommitLog, Committed, Fetched, NewRecord, OffsetRange, Position, TopicInfo};
use fluxmill::error::{Error, Result};
use fluxmill::name::Name;
use fluxmill::tasks::{Settings, Which};

use super::house::{COUNTING, Door, House, MINUTE_NS, Plan, SECOND_NS, at, before_reads};

fn named(name: &str) -> String {
    COUNTING.replace("\"counting\"", &format!("\"{name}\"")).replace("\"counts\"", &format!("\"{name}\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_may_succeed_later_is_tried_again_as_the_same_slot() {
    let failing = Arc::new(AtomicUsize::new(2));
    let left = failing.clone();
    let plan =
        before_reads(move || match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => Err(Error::unavailable("the disk does not answer")),
            Err(_) => Ok(()),
        });
    let house = House::new("2026-11-24T10:00:00Z", &plan).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.ended("counting").len(), 1, "the second attempt waits a second");
    let waiting = &house.tasks.show("counting").unwrap().running[0];
    assert_eq!((waiting.status, waiting.attempt, waiting.phase), ("scheduled", 2, None));
    house.advance(SECOND_NS).await;
    house.advance(3 * SECOND_NS).await;
    assert_eq!(house.ended("counting").len(), 2, "the third attempt waits four seconds");
    house.advance(SECOND_NS).await;
    let runs = house.ended("counting");
    let told: Vec<_> = runs.iter().map(|run| (run.attempt, run.status, run.will_retry)).collect();
    assert_eq!(told, [(1, "failed", true), (2, "failed", true), (3, "success", false)]);
    assert!(runs.iter().all(|run| run.id == runs[0].id && run.scheduled_for == at("2026-11-24T10:00:00Z")));
    assert!(runs[0].error.as_ref().unwrap().contains("the disk does not answer"));
    assert_eq!(house.tasks.show("counting").unwrap().last_run_error, None);
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_cannot_succeed_fails_once_and_says_where() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house
        .task("a.flux", "option task = {name: \"a\", every: 1m}\nfrom(bucket: \"rwa\")\n    |> range(start: -1m)\n")
        .await;
    assert_eq!(
        house.tasks.show("a").unwrap().warnings,
        ["a.flux: there is no bucket \"rwa\" yet (did you mean \"raw\"?)"]
    );
    house.tasks.run_due().await.unwrap();
    let runs = house.ended("a");
    assert_eq!((runs.len(), runs[0].status, runs[0].will_retry), (1, "failed", false));
    let problem = runs[0].problem.as_ref().unwrap();
    assert_eq!((problem.class.as_str(), problem.line), ("not_found", Some(2)));
    assert_eq!(problem.message, "could not find bucket \"rwa\"");
    let task = house.tasks.show("a").unwrap();
    assert_eq!(task.last_run_error.as_deref(), Some("could not find bucket \"rwa\""));
    assert_eq!(task.latest_failure, Some(at("2026-11-24T10:00:00Z")));
    // A failed slot is decided: the next one has its turn, and the slot can be asked for again.
    house.advance(MINUTE_NS).await;
    assert_eq!(house.ended("a").len(), 2);
    let again = house.tasks.retry("a", &runs[0].id).await.unwrap();
    assert_eq!(again.scheduled_for, at("2026-11-24T10:00:00Z"));
    assert_eq!(house.tasks.ended("a", &again.id).await.unwrap().status, "failed");
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_its_run_and_nothing_else() {
    let panics = Arc::new(AtomicUsize::new(1));
    let left = panics.clone();
    let plan = before_reads(move || {
        if left.swap(0, Ordering::SeqCst) == 1 {
            panic!("out of its mind");
        }
        Ok(())
    });
    let house = House::new("2026-11-24T10:00:00Z", &plan).await;
    house.task("a.flux", &named("a")).await;
    house.tasks.run_due().await.unwrap();
    house.task("b.flux", &named("b")).await;
    house.tasks.run_due().await.unwrap();
    let failed = house.ended("a").pop().unwrap();
    assert_eq!((failed.status, failed.will_retry), ("failed", true));
    assert!(failed.error.unwrap().contains("out of its mind"));
    assert_eq!(house.ended("b").pop().unwrap().status, "success");
    house.advance(SECOND_NS).await;
    assert_eq!(house.ended("a").pop().unwrap().status, "success");
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_is_ended_and_others_go_on() {
    let door = Door::default();
    let guard = door.clone();
    let stuck = AtomicUsize::new(1);
    let stuck = Arc::new(stuck);
    let mut plan = before_reads(move || {
        if stuck.swap(0, Ordering::SeqCst) == 1 {
            guard.pass();
        }
        Ok(())
    });
    plan.settings = Box::new(|settings: &mut Settings| settings.run_limit = Some(Duration::from_millis(100)));
    let house = House::new("2026-11-24T10:00:00Z", &plan).await;
    house.task("a.flux", &named("a")).await;
    house.tasks.run_due().await.unwrap();
    let run = house.ended("a").pop().unwrap();
    assert_eq!((run.status, run.will_retry), ("failed", true));
    assert_eq!(run.problem.unwrap().message, "the run took longer than 0.1 s and was ended");
    house.advance(SECOND_NS).await;
    assert_eq!(house.ended("a").pop().unwrap().status, "success");
    door.open();
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_run_is_canceled_whether_it_runs_or_waits() {
    let door = Door::default();
    let guard = door.clone();
    let plan = before_reads(move || {
        guard.pass();
        Err(Error::unavailable("never mind"))
    });
    let house = House::new("2026-11-24T10:00:00Z", &plan).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.start_due().await.unwrap();
    door.reached_by(1).await;
    let run = house.tasks.runs("counting", 1).unwrap().remove(0);
    assert_eq!(run.status, "started");
    assert_eq!(house.tasks.run("counting", Which::Latest).await.unwrap_err().message(), "run already queued");
    house.tasks.cancel("counting", &run.id).unwrap();
    let ended = house.tasks.ended("counting", &run.id).await.unwrap();
    assert_eq!((ended.status, ended.will_retry), ("canceled", false));
    assert_eq!(house.tasks.cancel("counting", &run.id).unwrap_err().message(), "run not found");
    // A cancel is no success: the next slot begins where it would have begun.
    assert_eq!(house.tasks.show("counting").unwrap().latest_success, None);

    // The slot of 10:01 fails and waits for its next attempt; a manual run of it can be canceled then as well.
    door.open();
    house.advance(MINUTE_NS).await;
    let waiting = house.tasks.show("counting").unwrap().running.remove(0);
    assert_eq!(waiting.phase, None);
    house.tasks.cancel("counting", &waiting.id).unwrap();
    house.tasks.run_due().await.unwrap();
    let last = house.ended("counting").pop().unwrap();
    assert_eq!((last.status, last.scheduled_for), ("canceled", at("2026-11-24T10:01:00Z")));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_asked_for_waits_its_turn_and_can_be_canceled_there() {
    let door = Door::default();
    let guard = door.clone();
    let plan = before_reads(move || {
        guard.pass();
        Ok(())
    });
    let house = House::new("2026-11-24T10:00:00Z", &plan).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.start_due().await.unwrap();
    door.reached_by(1).await;
    let old = Which::Slot(at("2026-11-24T09:30:00Z"));
    let asked = house.tasks.run("counting", old).await.unwrap();
    assert_eq!((asked.status, asked.phase, asked.manual), ("scheduled", None, true));
    assert_eq!(house.tasks.run("counting", old).await.unwrap_err().message(), "run already queued");
    let listed: Vec<_> = house.tasks.runs("counting", 10).unwrap().iter().map(|run| run.status).collect();
    assert_eq!(listed, ["started", "scheduled"]);
    house.tasks.cancel("counting", &asked.id).unwrap();
    let ended = house.tasks.ended("counting", &asked.id).await.unwrap();
    assert_eq!((ended.status, ended.scheduled_for), ("canceled", at("2026-11-24T09:30:00Z")));
    door.open();
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.ended("counting").iter().map(|run| run.status).collect::<Vec<_>>(), ["canceled", "success"]);
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_in_the_middle_of_a_run_runs_its_slot_again() {
    let door = Door::default();
    let guard = door.clone();
    let plan = before_reads(move || {
        guard.pass();
        Ok(())
    });
    let house = House::new("2026-11-24T10:00:00Z", &plan).await;
    house.send(1).await;
    house.clock.advance(MINUTE_NS);
    house.task("counting.flux", COUNTING).await;
    house.tasks.start_due().await.unwrap();
    door.reached_by(1).await;
    let asked = house.tasks.backfill("counting", at("2026-11-24T09:30:00Z"), at("2026-11-24T09:31:00Z")).await.unwrap();
    assert_eq!(asked, 1);
    // The run still stands at the door; the process does not wait for it.
    house.tasks.close().await.unwrap();
    door.open();
    let house = house.reopen(0, &Plan::default()).await;
    house.tasks.load().await.unwrap();
    house.tasks.run_due().await.unwrap();
    // The run that was asked for is in the log, and is run after the restart as well.
    assert_eq!(house.slots("counting"), ["2026-11-24T09:30:00Z", "2026-11-24T10:01:00Z"]);
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1)].into());
    house.shut().await;
}

/// A log whose `append_atomic` answers `Unavailable` when it is told to, before or after the append.
struct Unsure {
    inner: Arc<dyn CommitLog>,
    before: AtomicUsize,
    after: AtomicUsize,
}

fn once(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl CommitLog for Unsure {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    async fn create_topic(&self, name: &str, partitions: u32) -> Result<TopicInfo> {
        self.inner.create_topic(name, partitions).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.inner.topics().await
    }

    async fn topic(&self, name: &str) -> Result<TopicInfo> {
        self.inner.topic(name).await
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        self.inner.append(records).await
    }

    async fn append_atomic(&self, producer: &str, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        if once(&self.before) {
            return Err(Error::unavailable("the broker is gone"));
        }
        let appended = self.inner.append_atomic(producer, records).await?;
        if once(&self.after) {
            return Err(Error::unavailable("the broker's answer is lost"));
        }
        Ok(appended)
    }

    async fn take_over(&self, producer: &str) -> Result<()> {
        self.inner.take_over(producer).await
    }

    async fn read(&self, topic: &str, partition: u32, from: u64, max: usize, wait: Duration) -> Result<Fetched> {
        self.inner.read(topic, partition, from, max, wait).await
    }

    async fn offsets(&self, topic: &str, partition: u32) -> Result<OffsetRange> {
        self.inner.offsets(topic, partition).await
    }

    async fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        self.inner.committed(group, topic, partition).await
    }

    async fn commit(&self, group: &str, positions: Vec<(Name, u32, Committed)>) -> Result<()> {
        self.inner.commit(group, positions).await
    }

    async fn retain(&self, topic: &str, partition: u32, before: u64) -> Result<()> {
        self.inner.retain(topic, partition, before).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_append_lost_its_answer_is_not_run_twice_and_one_that_was_not_appended_is() {
    let unsure: Arc<parking_lot::Mutex<Option<Arc<Unsure>>>> = Arc::default();
    let keep = unsure.clone();
    let wrap = move |inner: Arc<dyn CommitLog>| {
        let log = Arc::new(Unsure { inner, before: AtomicUsize::new(0), after: AtomicUsize::new(0) });
        *keep.lock() = Some(log.clone());
        log as Arc<dyn CommitLog>
    };
    let house = House::new("2026-11-24T10:00:00Z", &Plan { log: Some(Arc::new(wrap)), ..Plan::default() }).await;
    let log = unsure.lock().clone().unwrap();
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();

    house.send(1).await;
    log.after.store(1, Ordering::SeqCst);
    house.advance(MINUTE_NS).await;
    let runs = house.ended("counting");
    assert_eq!((runs.len(), runs[1].status, runs[1].attempt), (2, "success", 1));
    assert_eq!(house.records("counts").await.len(), 1);

    // Not appended: neither its output nor its record. It is made again, and counted once.
    house.send(2).await;
    log.before.store(2, Ordering::SeqCst);
    house.advance(MINUTE_NS).await;
    assert_eq!(house.ended("counting").len(), 2);
    house.advance(10 * SECOND_NS).await;
    let runs = house.ended("counting");
    assert_eq!((runs.len(), runs[2].status), (3, "success"));
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1), (at("2026-11-24T10:02:00Z"), 1)].into());
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_due_at_once_all_run_within_the_limit() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, peak) = (now.clone(), most.clone());
    let plan = before_reads(move || {
        peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::yield_now();
        running.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    });
    let house = House::new("2026-11-24T10:00:00Z", &plan).await;
    for task in 0..1_000 {
        std::fs::write(house.task_file(&format!("t{task}.flux")), COUNTING.replace("counting", &format!("t{task}")))
            .unwrap();
    }
    house.tasks.load().await.unwrap();
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    house.advance(MINUTE_NS).await;
    let tasks = house.tasks.list();
    assert_eq!(tasks.len(), 1_000);
    assert!(
        tasks.iter().all(|task| task.slots.succeeded == 2 && task.latest_success == Some(at("2026-11-24T10:01:00Z")))
    );
    let most = most.load(Ordering::SeqCst);
    assert!((1..=8).contains(&most), "{most} at once");
    house.shut().await;
}
