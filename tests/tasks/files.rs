//! Task files: added, changed, broken, mended, renamed, removed; paused and resumed tasks.

use fluxmill::tasks::TaskView;
use tokio_util::sync::CancellationToken;

use super::house::{COUNTING, Door, House, MINUTE_NS, Plan, at, before_reads};

fn task(name: &str, every: &str) -> String {
    format!(
        "option task = {{name: \"{name}\", every: {every}}}\n\
         from(bucket: \"raw\") |> range(start: -task.every) |> count() |> to(bucket: \"out\", timeColumn: \"_stop\")\n"
    )
}

fn names(views: &[TaskView]) -> Vec<(&str, bool)> {
    views.iter().map(|view| (view.name.as_str(), view.broken)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_make_change_and_remove_tasks() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    std::fs::create_dir(house.task_file("plant")).unwrap();
    house.task("a.flux", &task("a", "1m")).await;
    house.task("plant/b.flux", &task("b", "1h")).await;
    assert_eq!(names(&house.tasks.list()), [("a", false), ("b", false)]);
    let before = house.tasks.show("b").unwrap();
    assert_eq!((before.file.as_str(), before.every.as_deref()), ("plant/b.flux", Some("1h")));
    // The bucket that they write to is there before the first run.
    assert!(house.store.bucket("out").is_ok());
    assert!(house.log.topic("out").await.is_ok());

    house.clock.advance(MINUTE_NS);
    house.task("plant/b.flux", &task("b renamed", "2h")).await;
    let after = house.tasks.show("b renamed").unwrap();
    assert_eq!((after.id, after.created_at), (before.id, before.created_at));
    assert_eq!((after.every.as_deref(), after.updated_at), (Some("2h"), Some(house.clock_ns())));

    std::fs::remove_file(house.task_file("a.flux")).unwrap();
    house.tasks.load().await.unwrap();
    assert_eq!(names(&house.tasks.list()), [("b renamed", false)]);
    let gone = house.tasks.show("a").unwrap_err();
    assert_eq!(gone.message(), "there is no task \"a\"");
    // The directory is gone as a whole: that says nothing about its files.
    std::fs::rename(house.directory.path().join("tasks"), house.directory.path().join("away")).unwrap();
    assert!(house.tasks.load().await.unwrap_err().message().starts_with("cannot read the tasks directory"));
    assert_eq!(house.tasks.list().len(), 1);
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_shown_and_its_last_good_version_goes_on_also_after_a_restart() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    house.task("counting.flux", &COUNTING.replace("count()", "cuont()")).await;
    let broken = house.tasks.show("counting").unwrap();
    assert!(broken.broken);
    let problem = broken.problem.unwrap();
    assert!(problem.contains("counting.flux:6") && problem.contains("cuont"), "{problem}");
    house.advance(MINUTE_NS).await;
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1)].into());

    let house = house.reopen(MINUTE_NS, &Plan::default()).await;
    house.tasks.load().await.unwrap();
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.slots("counting").len(), 3);
    assert!(house.tasks.show("counting").unwrap().broken);

    house.task("counting.flux", &COUNTING.replace("\"counts\"", "\"other\"")).await;
    let mended = house.tasks.show("counting").unwrap();
    assert!(!mended.broken && mended.flux.contains("\"other\""));
    house.send(2).await;
    house.advance(MINUTE_NS).await;
    // The chain goes on over the edit: one row since the last success.
    let run = house.ended("counting").pop().unwrap();
    assert_eq!((run.rows_in, run.last_success), (1, Some(at("2026-11-24T10:02:00Z"))));
    assert_eq!(house.records("other").await.len(), 1);
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_never_in_order_is_listed_with_what_is_wrong() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    for (file, flux, told) in [
        ("a.flux", "from(bucket: \"raw\")", "no task options defined"),
        ("b.flux", "option task = {name: \"b\", cron: \"0 0 30 2 *\"}\n", "cron invalid: `0 0 30 2 *` never matches"),
        ("c.flux", "option task = {name: \"c\", every: 1m, location: \"Europe/Berln\"}\n", "unknown time zone"),
        ("d.flux", "// fluxmill: id=12\noption task = {name: \"d\", every: 1m}\n", "expected 16 hex digits"),
        ("e.flux", "option task = {name: \"e\", every: 1m\n", "e.flux:1"),
    ] {
        house.task(file, flux).await;
        let view = house.tasks.list().into_iter().find(|view| view.file == file).unwrap();
        let problem = view.problem.unwrap();
        assert!(view.broken && problem.contains(told), "{file}: {problem}");
    }
    house.tasks.run_due().await.unwrap();
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_id_stays_with_the_task_when_its_file_is_renamed() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    let pinned = format!("// fluxmill: id=00000000000000a1\n{COUNTING}");
    house.task("counting.flux", &pinned).await;
    house.tasks.run_due().await.unwrap();
    std::fs::rename(house.task_file("counting.flux"), house.task_file("other.flux")).unwrap();
    house.tasks.load().await.unwrap();
    let renamed = house.tasks.show("00000000000000a1").unwrap();
    assert_eq!(renamed.file, "other.flux");
    assert_eq!(house.slots("counting").len(), 1);
    // A copy has the same pin: it is refused, and the task stays with the file that comes first.
    house.task("zcopy.flux", &pinned).await;
    let copy = house.tasks.list().into_iter().find(|view| view.file == "zcopy.flux").unwrap();
    assert_eq!(copy.problem.as_deref(), Some("zcopy.flux: its id 00000000000000a1 is that of other.flux"));
    // Without the pin it is a task of its own, with a name that two have.
    house.task("zcopy.flux", COUNTING).await;
    let warned = house.tasks.show("00000000000000a1").unwrap();
    assert_eq!(warned.warnings, ["other.flux: the name \"counting\" is also that of zcopy.flux"]);
    let error = house.tasks.show("counting").unwrap_err();
    assert_eq!(error.message(), "several tasks have the name \"counting\"");
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_schedule_goes_on_from_its_latest_slot() {
    let house = House::new("2026-11-24T00:00:00Z", &Plan::default()).await;
    house.task("a.flux", &task("a", "1d")).await;
    house.tasks.run_due().await.unwrap();
    house.clock.set(at("2026-11-24T23:00:30Z"));
    house.task("a.flux", &task("a", "1m")).await;
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.slots("a"), ["2026-11-24T00:00:00Z", "2026-11-24T23:00:00Z"]);
    house.advance(MINUTE_NS).await;
    assert_eq!(house.slots("a").len(), 3);
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_task_stops_at_once_and_catches_up_when_it_is_resumed() {
    let door = Door::default();
    let guard = door.clone();
    let plan = before_reads(move || {
        guard.pass();
        Ok(())
    });
    let house = House::new("2026-11-24T10:00:00Z", &plan).await;
    house.task("a.flux", &task("a", "1m")).await;
    house.tasks.start_due().await.unwrap();
    door.reached_by(1).await;
    // It is paused in the middle of a run: the run ends without a word, its slot stays to be done.
    assert_eq!(house.tasks.pause("a").await.unwrap().status, "inactive");
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.ended("a").len(), 0);
    door.open();
    house.advance(2 * MINUTE_NS).await;
    assert_eq!(house.ended("a").len(), 0);

    let house = house.reopen(0, &Plan::default()).await;
    house.tasks.load().await.unwrap();
    house.tasks.run_due().await.unwrap();
    assert_eq!((house.tasks.show("a").unwrap().status, house.ended("a").len()), ("inactive", 0));
    house.tasks.resume("a").await.unwrap();
    house.tasks.run_due().await.unwrap();
    assert_eq!(house.slots("a"), ["10:00", "10:01", "10:02"].map(|time| format!("2026-11-24T{time}:00Z")));
    assert!(house.ended("a").iter().all(|run| run.attempt == 1));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_dropped_into_the_directory_of_a_running_daemon_runs() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    let stop = CancellationToken::new();
    let served = tokio::spawn({
        let (tasks, stop) = (house.tasks.clone(), stop.clone());
        async move { tasks.serve(stop).await }
    });
    let mut changes = house.tasks.changes();
    house.send(1).await;
    house.clock.advance(MINUTE_NS);
    std::fs::write(house.task_file("counting.flux"), COUNTING).unwrap();
    let wait = async {
        while house.tasks.show("counting").map_or(true, |task| task.latest_success.is_none()) {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap();
    stop.cancel();
    served.await.unwrap().unwrap();
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1)].into());
    house.sink.stop().await;
}
