//! The embedded log: the cases that every log is held to, and what is its own: damage, retention, the cap, the lock.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fluxmill::clock::{ManualClock, SystemClock};
use fluxmill::commitlog::{CommitLog, Committed, EmbeddedLog, EmbeddedOptions, Record};
use fluxmill::error::{ErrorKind, Result};
use proptest::prelude::*;

use super::Subject;
use super::cases::{noise, read_to_end, record, record_in};

async fn subject() -> Subject {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    Subject::new("e", move || {
        let dir = Arc::clone(&dir);
        Box::pin(async move { Arc::new(open(dir.path(), EmbeddedOptions::default()).unwrap()) as Arc<dyn CommitLog> })
    })
}

super::conformance!(subject);

/// The same cases with segments so small that nearly every group closes one, and no memory of blocks: all reads go to disk.
mod in_small_segments {
    use super::*;

    async fn subject() -> Subject {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Subject::new("s", move || {
            let dir = Arc::clone(&dir);
            let options = EmbeddedOptions { segment_bytes: 500, cache_bytes: 0, ..EmbeddedOptions::default() };
            Box::pin(async move { Arc::new(super::open(dir.path(), options).unwrap()) as Arc<dyn CommitLog> })
        })
    }

    crate::commitlog::conformance!(subject);
}

fn open(dir: &Path, options: EmbeddedOptions) -> Result<EmbeddedLog> {
    EmbeddedLog::open(dir, options, Arc::new(SystemClock))
}

/// Segment files, oldest first.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "segment"));
    paths.sort();
    paths
}

fn payloads(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), EmbeddedOptions::default()).unwrap();
    let error = open(dir.path(), EmbeddedOptions::default()).err().expect("opened twice");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains(&dir.path().display().to_string()), "{error}");
    log.close().await.unwrap();
    drop(log);
    open(dir.path(), EmbeddedOptions::default()).unwrap();
}

/// A log of one segment with three appends, and the file's length after each.
async fn three_appends(dir: &Path) -> [u64; 3] {
    let log = open(dir, EmbeddedOptions::default()).unwrap();
    log.create_topic("raw", 1).await.unwrap();
    let mut lengths = [0; 3];
    for (number, length) in (0_u64..).zip(&mut lengths) {
        // Over two pages each, and not to be compressed.
        let records = vec![record("raw", "", format!("{number}")), record("raw", "", noise(number, 9_000))];
        log.append(records).await.unwrap();
        *length = fs::metadata(&segments(dir)[0]).unwrap().len();
    }
    lengths
}

async fn first_payloads(dir: &Path) -> Vec<String> {
    let log = open(dir, EmbeddedOptions::default()).unwrap();
    let records = read_to_end(&log, "raw", 0, 0).await;
    let texts = records.iter().step_by(2).map(|record| String::from_utf8(record.payload.to_vec()).unwrap()).collect();
    let end = log.offsets("raw", 0).await.unwrap().end;
    assert_eq!(end, records.len() as u64);
    assert_eq!(log.append(vec![record("raw", "", "next")]).await.unwrap()[0].offset, end);
    texts
}

#[tokio::test]
async fn a_torn_tail_is_cut_off_wherever_it_was_torn() {
    let dir = tempfile::tempdir().unwrap();
    let [_, second, third] = three_appends(dir.path()).await;
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    // Cut short: after the file's length was made durable only in part.
    let cuts = (second..third).step_by(397).chain([second + 1, third - 1]);
    for cut in cuts {
        fs::write(path, &whole[..cut as usize]).unwrap();
        assert_eq!(first_payloads(dir.path()).await, ["0", "1"], "cut at {cut} of {second}..{third}");
    }
    // Torn: a page in the middle was never written, the pages around it were.
    for page in (second.next_multiple_of(512)..third - 512).step_by(512) {
        let mut torn = whole.clone();
        torn[page as usize..page as usize + 512].fill(0);
        fs::write(path, &torn).unwrap();
        assert_eq!(first_payloads(dir.path()).await, ["0", "1"], "page at {page} of {second}..{third}");
    }
    // Rubbish behind the end.
    let mut longer = whole.clone();
    longer.extend((0..5_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]));
    fs::write(path, &longer).unwrap();
    assert_eq!(first_payloads(dir.path()).await, ["0", "1", "2"]);
}

#[tokio::test]
async fn damage_before_the_tail_is_told_and_not_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second, _] = three_appends(dir.path()).await;
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    for place in [first, first + 5, first + 40, (first + second) / 2, second - 20] {
        let mut damaged = whole.clone();
        damaged[place as usize] ^= 0x20;
        fs::write(path, &damaged).unwrap();
        let error = open(dir.path(), EmbeddedOptions::default()).err().expect("damage was not noticed");
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains(&path.display().to_string()), "{error}");
        assert!(error.message().contains(&format!("byte {first}")), "{error}");
        assert_eq!(fs::read(path).unwrap(), damaged, "the file was changed");
    }
    fs::write(path, &whole).unwrap();
    assert_eq!(first_payloads(dir.path()).await, ["0", "1", "2"]);
}

#[tokio::test]
async fn a_payload_that_imitates_a_frame_is_not_taken_for_one() {
    // A frame of another log, of a high sequence.
    let donor_dir = tempfile::tempdir().unwrap();
    let donor = open(donor_dir.path(), EmbeddedOptions::default()).unwrap();
    donor.create_topic("raw", 1).await.unwrap();
    let mut frame = 0..0;
    for number in 0..50 {
        donor.append(vec![record("raw", "", noise(number, 100))]).await.unwrap();
        frame = frame.end..fs::metadata(&segments(donor_dir.path())[0]).unwrap().len() as usize;
    }
    let frame = fs::read(&segments(donor_dir.path())[0]).unwrap()[frame].to_vec();
    // A device sends it, at every alignment; the power goes before that is synced.
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), EmbeddedOptions::default()).unwrap();
    log.create_topic("raw", 1).await.unwrap();
    log.append(vec![record("raw", "", "before")]).await.unwrap();
    let shifted = (0..8).flat_map(|shift| [vec![0; shift], frame.clone()].concat());
    log.append(vec![record("raw", "", [shifted.collect(), noise(1, 2_000)].concat())]).await.unwrap();
    drop(log);
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..whole.len() - 1_000]).unwrap();
    let log = open(dir.path(), EmbeddedOptions::default()).unwrap();
    assert_eq!(payloads(&read_to_end(&log, "raw", 0, 0).await), ["before"]);
}

#[tokio::test]
async fn a_damaged_sealed_segment_hurts_only_its_own_records() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { segment_bytes: 300, cache_bytes: 0, ..EmbeddedOptions::default() };
    let log = open(dir.path(), options.clone()).unwrap();
    log.create_topic("raw", 1).await.unwrap();
    for number in 0..6 {
        log.append(vec![record("raw", "", noise(number, 400))]).await.unwrap();
    }
    drop(log);
    let paths = segments(dir.path());
    assert!(paths.len() >= 6, "{paths:?}");
    // The first segment has the topic and the first append; the third append fills the third.
    let path = &paths[2];
    let mut bytes = fs::read(path).unwrap();
    let payload = noise(2, 400);
    let at = bytes.windows(400).position(|window| window == payload).expect("the third payload, as it was sent");
    bytes[at + 200] ^= 1;
    fs::write(path, &bytes).unwrap();
    let log = open(dir.path(), options).unwrap();
    let mut broken = Vec::new();
    for offset in 0..6 {
        match log.read("raw", 0, offset, 1, Duration::ZERO).await {
            Ok(fetched) => assert_eq!(fetched.records[0].payload, noise(offset, 400)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Internal);
                assert!(error.message().contains(&path.display().to_string()), "{error}");
                broken.push(offset);
            }
        }
    }
    assert_eq!(broken, [2]);
}

#[tokio::test]
async fn a_missing_segment_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { segment_bytes: 200, ..EmbeddedOptions::default() };
    let log = open(dir.path(), options.clone()).unwrap();
    log.create_topic("raw", 1).await.unwrap();
    for _ in 0..5 {
        log.append(vec![record("raw", "", "x".repeat(300))]).await.unwrap();
    }
    drop(log);
    let path = &segments(dir.path())[2];
    fs::remove_file(path).unwrap();
    let error = open(dir.path(), options).err().expect("a hole was not noticed");
    assert!(error.message().contains(&path.display().to_string()), "{error}");
}

const HOUR_NS: i64 = 3_600_000_000_000;

/// A log with topics `raw` (2 partitions) and `other`, one segment per append, on a clock that stands at 100 hours.
async fn with_many_segments(dir: &Path, options: EmbeddedOptions) -> (EmbeddedLog, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(100 * HOUR_NS));
    let options = EmbeddedOptions { segment_bytes: 200, ..options };
    let log = EmbeddedLog::open(dir, options, Arc::clone(&clock) as Arc<dyn fluxmill::clock::Clock>).unwrap();
    log.create_topic("raw", 2).await.unwrap();
    log.create_topic("other", 1).await.unwrap();
    for number in 0..10 {
        log.append(vec![record_in("raw", 0, format!("{number}{}", "x".repeat(300)))]).await.unwrap();
        clock.advance(HOUR_NS);
    }
    (log, clock)
}

async fn start_of_raw(log: &EmbeddedLog) -> u64 {
    log.offsets("raw", 0).await.unwrap().start
}

#[tokio::test]
async fn retention_drops_what_is_old_and_no_longer_needed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let keep = Duration::from_secs(4 * 3_600 + 1_800);
    let options = EmbeddedOptions { retention_age: Some(keep), ..EmbeddedOptions::default() };
    let (log, clock) = with_many_segments(dir.path(), options.clone()).await;
    // Append n was written at 100 h + n; now is 110 h; older than 4.5 h are those of 100 to 105 h, which are 0 to 5.
    log.retain("raw", 0, 3).await.unwrap();
    assert_eq!(start_of_raw(&log).await, 3, "never past what is still needed");
    log.retain("raw", 0, 3).await.unwrap();
    assert_eq!(start_of_raw(&log).await, 3);
    log.retain("raw", 0, 10).await.unwrap();
    assert_eq!(start_of_raw(&log).await, 6, "never what is not old");
    let error = log.read("raw", 0, 5, 10, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange);
    assert!(read_to_end(&log, "raw", 0, 6).await[0].payload.starts_with(b"6"));
    drop(log);
    let log = EmbeddedLog::open(dir.path(), options, clock).unwrap();
    assert_eq!(log.offsets("raw", 0).await.unwrap().start, 6, "also after reopening");
    assert_eq!(log.offsets("raw", 0).await.unwrap().end, 10);
    assert_eq!(log.offsets("raw", 1).await.unwrap(), Default::default());
}

#[tokio::test]
async fn a_segment_stays_for_every_partition_that_needs_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { retention_age: Some(Duration::from_secs(1)), ..EmbeddedOptions::default() };
    let (log, clock) = with_many_segments(dir.path(), options).await;
    log.append(vec![record("other", "", "unread"), record_in("raw", 0, "x".repeat(300))]).await.unwrap();
    log.append(vec![record_in("raw", 0, "x".repeat(300))]).await.unwrap();
    log.append(vec![record_in("raw", 0, "x".repeat(300))]).await.unwrap();
    clock.advance(HOUR_NS);
    log.retain("raw", 0, 13).await.unwrap();
    assert_eq!(start_of_raw(&log).await, 10, "nobody has said that `other` is read");
    log.retain("other", 0, 0).await.unwrap();
    assert_eq!(start_of_raw(&log).await, 10);
    log.retain("other", 0, 1).await.unwrap();
    assert_eq!(start_of_raw(&log).await, 12, "the segment that grows is never dropped");
    assert_eq!(log.offsets("other", 0).await.unwrap().start, 1);
    assert_eq!(log.offsets("other", 0).await.unwrap().end, 1);
}

#[tokio::test]
async fn retention_by_size_drops_the_oldest_and_without_retention_nothing_goes() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = with_many_segments(dir.path(), EmbeddedOptions::default()).await;
    log.retain("raw", 0, 10).await.unwrap();
    assert_eq!(start_of_raw(&log).await, 0);
    drop(log);
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions { retention_bytes: Some(3_000), ..EmbeddedOptions::default() };
    let (log, _) = with_many_segments(dir.path(), options).await;
    assert!(log.disk_bytes() > 3_000);
    log.retain("raw", 0, 1).await.unwrap();
    assert_eq!(start_of_raw(&log).await, 1);
    log.retain("raw", 0, 10).await.unwrap();
    assert!(log.disk_bytes() <= 3_000, "{}", log.disk_bytes());
    let on_disk: u64 = segments(dir.path()).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert_eq!(on_disk, log.disk_bytes());
    let kept = read_to_end(&log, "raw", 0, start_of_raw(&log).await).await;
    assert!(kept.len() >= 2, "no more than necessary was dropped: {} are left", kept.len());
}

#[tokio::test]
async fn at_the_disk_cap_appends_are_refused_and_control_records_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        disk_cap_bytes: Some(64 << 10),
        retention_bytes: Some(10_000),
        segment_bytes: 2_000,
        ..EmbeddedOptions::default()
    };
    let log = open(dir.path(), options).unwrap();
    log.create_topic("raw", 1).await.unwrap();
    log.create_topic("_fluxmill.tasks", 1).await.unwrap();
    let payload = bytes::Bytes::from(noise(1, 900));
    let mut appended = 0;
    let error = loop {
        match log.append(vec![record("raw", "", payload.clone())]).await {
            Ok(_) => appended += 1,
            Err(error) => break error,
        }
        assert!(appended < 200, "the cap does not hold");
    };
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    assert!(error.message().contains("65536"), "{error}");
    assert!(appended > 30, "refused after {appended} only");
    let run = || record("_fluxmill.tasks", "", "run failed: the log is full");
    log.append_atomic("shard", vec![run()]).await.unwrap();
    let position = Committed { offset: 20, metadata: String::new() };
    log.commit("sink", vec![("raw".into(), 0, position)]).await.unwrap();
    // Outputs obey the cap, also beside a run record.
    let mixed = vec![run(), record("raw", "", payload.clone())];
    assert_eq!(log.append_atomic("shard", mixed).await.unwrap_err().kind(), ErrorKind::ResourceExhausted);
    assert_eq!(log.offsets("raw", 0).await.unwrap().start, 0, "nothing unread was dropped");
    assert!(log.disk_bytes() <= 64 << 10);
    // Room again, once retention may drop what was read.
    log.retain("_fluxmill.tasks", 0, 1).await.unwrap();
    log.retain("raw", 0, appended).await.unwrap();
    log.append(vec![record("raw", "", payload)]).await.unwrap();
}

#[tokio::test]
async fn an_append_over_the_limit_is_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), EmbeddedOptions::default()).unwrap();
    log.create_topic("raw", 1).await.unwrap();
    let part = bytes::Bytes::from(vec![0; 1 << 20]);
    let records = (0..65).map(|_| record("raw", "", part.clone())).collect();
    assert_eq!(log.append(records).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(log.offsets("raw", 0).await.unwrap().end, 0);
}

/// What a log is asked to do, for the comparison with lists in memory.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(u32, usize)>),
    Atomic(Vec<(u32, usize)>),
    Commit(u32, u64),
    Reopen,
    Retain(u32, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let records = || prop::collection::vec((0..4_u32, 0..400_usize), 1..8);
    prop_oneof![
        4 => records().prop_map(Step::Append),
        2 => records().prop_map(Step::Atomic),
        1 => (0..4_u32, 0..50_u64).prop_map(|(partition, offset)| Step::Commit(partition, offset)),
        1 => Just(Step::Reopen),
        1 => (0..4_u32, 0..50_u64).prop_map(|(partition, before)| Step::Retain(partition, before)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    /// Any sequence of calls leaves what lists in memory hold, less what retention was allowed to drop.
    #[test]
    fn any_sequence_of_calls_equals_lists_in_memory(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check_against_lists(steps));
    }
}

async fn check_against_lists(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        segment_bytes: 1_500,
        cache_bytes: 2_000,
        retention_bytes: Some(4_000),
        ..EmbeddedOptions::default()
    };
    let mut log = open(dir.path(), options.clone()).unwrap();
    log.create_topic("raw", 4).await.unwrap();
    let mut lists: BTreeMap<u32, Vec<String>> = (0..4).map(|partition| (partition, Vec::new())).collect();
    let mut needed: BTreeMap<u32, u64> = (0..4).map(|partition| (partition, 0)).collect();
    let mut positions: BTreeMap<u32, u64> = BTreeMap::new();
    let mut number = 0;
    for step in steps {
        match step {
            Step::Append(ref parts) | Step::Atomic(ref parts) => {
                let mut records = Vec::new();
                for (partition, length) in parts {
                    number += 1;
                    let payload = format!("{number}{}", "y".repeat(*length));
                    lists.get_mut(partition).unwrap().push(payload.clone());
                    records.push(record_in("raw", *partition, payload));
                }
                match step {
                    Step::Append(_) => log.append(records).await.unwrap(),
                    _ => log.append_atomic("shard", records).await.unwrap(),
                };
            }
            Step::Commit(partition, offset) => {
                let position = Committed { offset, metadata: offset.to_string() };
                log.commit("sink", vec![("raw".into(), partition, position)]).await.unwrap();
                positions.insert(partition, offset);
            }
            Step::Reopen => {
                drop(log);
                log = open(dir.path(), options.clone()).unwrap();
            }
            Step::Retain(partition, before) => {
                needed.entry(partition).and_modify(|needed| *needed = (*needed).max(before));
                log.retain("raw", partition, before).await.unwrap();
            }
        }
    }
    for (partition, list) in &lists {
        let range = log.offsets("raw", *partition).await.unwrap();
        assert_eq!(range.end, list.len() as u64);
        assert!(range.start <= needed[partition], "{} was dropped, {} allowed", range.start, needed[partition]);
        let read = payloads(&read_to_end(&log, "raw", *partition, range.start).await);
        assert_eq!(read, list[range.start as usize..]);
        let position = log.committed("sink", "raw", *partition).await.unwrap().map(|position| position.offset);
        assert_eq!(position, positions.get(partition).copied());
    }
}
