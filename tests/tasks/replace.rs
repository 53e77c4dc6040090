//! A new attempt at a slot replaces what an earlier one wrote: rows that it writes no longer are deleted in the same append.

use fluxmill::tasks::Which;

use super::house::{COUNTING, House, MINUTE_NS, Plan, SECOND_NS, at};

/// Counts per series: the values 1 and 10 are series of their own (`partition` is how many digits they have).
const PER_SERIES: &str = "option task = {name: \"shares\", every: 1m}\n\
    from(bucket: \"raw\") |> range(start: -1m) |> count() |> to(bucket: \"out\", timeColumn: \"_stop\")\n";

/// The same of one series only.
fn only_one_digit() -> String {
    PER_SERIES.replace("|> count()", "|> filter(fn: (r) => r.partition == \"1\") |> count()")
}

async fn rows(house: &House, bucket: &str) -> usize {
    let tables = house.query(&format!("from(bucket: \"{bucket}\") |> range(start: 0)")).await;
    tables.iter().map(|table| table.rows.len()).sum()
}

async fn run(house: &House, which: Which) -> fluxmill::tasks::RunView {
    let asked = house.tasks.run("shares", which).await.unwrap();
    house.tasks.ended("shares", &asked.id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_an_edited_script_writes_no_longer_are_gone_and_come_back() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("shares.flux", PER_SERIES).await;
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    house.send(10).await;
    house.advance(MINUTE_NS).await;
    assert_eq!(rows(&house, "out").await, 2);

    house.task("shares.flux", &only_one_digit()).await;
    let again = run(&house, Which::Latest).await;
    assert_eq!((again.status, again.rows_out), ("success", 1));
    assert!(
        again.log.iter().any(|line| line.message == "1 points of an earlier attempt deleted from out"),
        "{:?}",
        again.log
    );
    assert_eq!(rows(&house, "out").await, 1);
    let records = house.records("out").await;
    let delete = records.iter().find(|record| record.header("fm-schema").is_none()).unwrap();
    assert_eq!(delete.header("content-type").unwrap(), &b"application/vnd.fluxmill.delete+json"[..]);
    assert_eq!(delete.header("fm-attempt").unwrap(), &b"1"[..]);

    // A restart reads everything again, and the row does not come back by that.
    let house = house.reopen(SECOND_NS, &Plan::default()).await;
    house.tasks.load().await.unwrap();
    assert_eq!(rows(&house, "out").await, 1);
    // Neither is anything left of the slot when it writes nothing, and all when it does again.
    house
        .task("shares.flux", &PER_SERIES.replace("|> count()", "|> filter(fn: (r) => r.partition == \"9\") |> count()"))
        .await;
    assert_eq!(run(&house, Which::Latest).await.rows_out, 0);
    assert_eq!(rows(&house, "out").await, 0);
    house.task("shares.flux", PER_SERIES).await;
    assert_eq!(run(&house, Which::Slot(at("2026-11-24T10:01:00Z"))).await.rows_out, 2);
    assert_eq!(rows(&house, "out").await, 2);
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_of_an_edited_script_moves_the_rows_to_another_bucket() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("shares.flux", PER_SERIES).await;
    house.tasks.run_due().await.unwrap();
    for minute in 0..3 {
        house.send(1).await;
        house.send(10 + minute).await;
        house.advance(MINUTE_NS).await;
    }
    assert_eq!(rows(&house, "out").await, 6);
    house.task("shares.flux", &only_one_digit().replace("\"out\"", "\"other\"")).await;
    let asked = house.tasks.backfill("shares", at("2026-11-24T10:01:00Z"), at("2026-11-24T10:03:00Z")).await.unwrap();
    assert_eq!(asked, 2);
    house.tasks.run_due().await.unwrap();
    assert_eq!((rows(&house, "out").await, rows(&house, "other").await), (2, 2));
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_leaves_what_is_there_and_the_next_one_replaces_it() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("shares.flux", PER_SERIES).await;
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    house.send(10).await;
    house.advance(MINUTE_NS).await;
    house.task("shares.flux", &PER_SERIES.replace("bucket: \"raw\"", "bucket: \"none\"")).await;
    assert_eq!(run(&house, Which::Latest).await.status, "failed");
    assert_eq!(rows(&house, "out").await, 2);
    house.task("shares.flux", &only_one_digit()).await;
    assert_eq!(run(&house, Which::Latest).await.status, "success");
    assert_eq!(rows(&house, "out").await, 1);
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_slot_wrote_too_stays() {
    let copy = "option task = {name: \"shares\", every: 1m}\n\
        from(bucket: \"raw\") |> range(start: -2m) |> to(bucket: \"out\")\n";
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("shares.flux", copy).await;
    house.tasks.run_due().await.unwrap();
    for _ in 0..3 {
        house.send(1).await;
        house.advance(MINUTE_NS).await;
    }
    // Each slot copies its minute and the one before it.
    assert_eq!(rows(&house, "out").await, 3);
    house.task("shares.flux", &copy.replace("|> to", "|> filter(fn: (r) => r.partition == \"9\") |> to")).await;
    assert_eq!(run(&house, Which::Latest).await.rows_out, 0);
    assert_eq!(rows(&house, "out").await, 2, "the row before the last is also that of the slot before");
    house.shut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_attempt_of_a_chained_slot_reads_what_the_first_did() {
    let house = House::new("2026-11-24T10:00:00Z", &Plan::default()).await;
    house.task("counting.flux", COUNTING).await;
    house.tasks.run_due().await.unwrap();
    house.send(1).await;
    house.advance(MINUTE_NS).await;
    let asked = house.tasks.run("counting", Which::Latest).await.unwrap();
    let run = house.tasks.ended("counting", &asked.id).await.unwrap();
    assert!(!run.log.iter().any(|line| line.message.contains("deleted")), "{:?}", run.log);
    assert_eq!(house.counts().await, [(at("2026-11-24T10:01:00Z"), 1)].into());
    house.shut().await;
}
