//! The embedded log over a disk that fails, fills up or stands still when told to.

#![allow(clippy::unwrap_used)]

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use bytes::Bytes;
use parking_lot::Condvar;

use super::*;
use crate::clock::ManualClock;
use crate::error::ErrorKind;

/// A disk with faults.
#[derive(Default)]
struct FaultyDisk {
    /// Writes put half of the bytes down and fail like this.
    write_fault: Mutex<Option<io::ErrorKind>>,
    fail_sync: AtomicBool,
    /// Syncs wait while this is set.
    held: Mutex<bool>,
    released: Condvar,
    syncs: AtomicUsize,
}

impl FaultyDisk {
    fn hold(&self) {
        *self.held.lock() = true;
    }

    fn release(&self) {
        *self.held.lock() = false;
        self.released.notify_all();
    }
}

impl Disk for FaultyDisk {
    fn write(&self, file: &state::SegmentFile, bytes: &[u8], at: u64) -> io::Result<()> {
        if let Some(kind) = *self.write_fault.lock() {
            file.file.write_all_at(&bytes[..bytes.len() / 2], at)?;
            return Err(io::Error::from(kind));
        }
        file.file.write_all_at(bytes, at)
    }

    fn sync(&self, file: &state::SegmentFile) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        let mut held = self.held.lock();
        while *held {
            self.released.wait(&mut held);
        }
        if self.fail_sync.load(Ordering::SeqCst) {
            return Err(io::Error::other("the platter is scratched"));
        }
        file.file.sync_data()
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    disk: Arc<FaultyDisk>,
    options: EmbeddedOptions,
}

impl Fixture {
    fn new(options: EmbeddedOptions) -> Self {
        Fixture { dir: tempfile::tempdir().unwrap(), disk: Arc::default(), options }
    }

    fn open(&self) -> Arc<EmbeddedLog> {
        let clock = Arc::new(ManualClock::new(1_700_000_000_000_000_000));
        let disk = Arc::clone(&self.disk) as Arc<dyn Disk>;
        Arc::new(EmbeddedLog::open_on(self.dir.path(), self.options.clone(), clock, disk).unwrap())
    }
}

fn record(payload: impl Into<Bytes>) -> NewRecord {
    NewRecord {
        topic: "raw".into(),
        partition: Some(0),
        key: Bytes::new(),
        headers: Vec::new(),
        payload: payload.into(),
        timestamp_ms: 1,
    }
}

async fn payloads(log: &EmbeddedLog) -> Vec<String> {
    let mut payloads = Vec::new();
    let mut at = log.offsets("raw", 0).await.unwrap().start;
    loop {
        let fetched = log.read("raw", 0, at, 100, Duration::ZERO).await.unwrap();
        if fetched.records.is_empty() {
            return payloads;
        }
        at = fetched.next_offset;
        payloads.extend(fetched.records.into_iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()));
    }
}

/// Waits until the committer stands in its n-th sync.
async fn syncs_reach(disk: &FaultyDisk, syncs: usize) {
    let reached = async {
        while disk.syncs.load(Ordering::SeqCst) < syncs {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect("the committer does not sync");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_or_read_before_the_sync_and_waiting_appends_share_one() {
    let fixture = Fixture::new(EmbeddedOptions::default());
    let log = fixture.open();
    log.create_topic("raw", 1).await.unwrap();
    let before = fixture.disk.syncs.load(Ordering::SeqCst);
    fixture.disk.hold();
    let append = |payload: String| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.append(vec![record(payload)]).await.unwrap() })
    };
    let mut first = append("first".to_owned());
    syncs_reach(&fixture.disk, before + 1).await;
    let rest: Vec<_> = (0..50).map(|number| append(number.to_string())).collect();
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut first).await.is_err(), "acknowledged before the sync");
    assert_eq!(log.offsets("raw", 0).await.unwrap().end, 0);
    assert_eq!(payloads(&log).await, [""; 0]);
    fixture.disk.release();
    first.await.unwrap();
    for append in rest {
        append.await.unwrap();
    }
    // The first alone; then everything that had queued up behind it, in one group.
    assert_eq!(fixture.disk.syncs.load(Ordering::SeqCst), before + 2);
    assert_eq!(payloads(&log).await.len(), 51);
}

#[tokio::test]
async fn a_failed_sync_is_never_taken_for_success() {
    let fixture = Fixture::new(EmbeddedOptions::default());
    let log = fixture.open();
    log.create_topic("raw", 1).await.unwrap();
    log.append(vec![record("durable")]).await.unwrap();
    fixture.disk.fail_sync.store(true, Ordering::SeqCst);
    let error = log.append(vec![record("lost")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("the platter is scratched"), "{error}");
    // The next sync would succeed, and say nothing about the pages that were lost.
    fixture.disk.fail_sync.store(false, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(log.append(vec![record("later")]).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(log.create_topic("other", 1).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(payloads(&log).await, ["durable"], "what was durable is still read");
    assert!(log.close().await.is_err(), "the failure is told at the end too");
    drop(log);
    let log = fixture.open();
    log.append(vec![record("after")]).await.unwrap();
    let read = payloads(&log).await;
    // The refused record may have reached the disk: "it may or may not have been appended".
    assert!(read == ["durable", "after"] || read == ["durable", "lost", "after"], "{read:?}");
}

#[tokio::test]
async fn a_write_error_fails_the_log_but_a_full_disk_passes() {
    let fixture = Fixture::new(EmbeddedOptions::default());
    let log = fixture.open();
    log.create_topic("raw", 1).await.unwrap();
    log.append(vec![record("one")]).await.unwrap();
    *fixture.disk.write_fault.lock() = Some(io::ErrorKind::StorageFull);
    for _ in 0..2 {
        let error = log.append(vec![record("x".repeat(1_000))]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error:?}");
    }
    *fixture.disk.write_fault.lock() = None;
    assert_eq!(log.append(vec![record("two")]).await.unwrap()[0].offset, 1);
    *fixture.disk.write_fault.lock() = Some(io::ErrorKind::Other);
    assert_eq!(log.append(vec![record("x")]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    *fixture.disk.write_fault.lock() = None;
    assert_eq!(log.append(vec![record("x")]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    drop(log);
    let log = fixture.open();
    assert_eq!(payloads(&log).await, ["one", "two"]);
    assert_eq!(log.append(vec![record("three")]).await.unwrap()[0].offset, 2);
}

#[tokio::test]
async fn a_segment_that_cannot_be_closed_takes_no_more_frames_until_it_can() {
    let fixture = Fixture::new(EmbeddedOptions { segment_bytes: 200, ..EmbeddedOptions::default() });
    let log = fixture.open();
    log.create_topic("raw", 1).await.unwrap();
    log.append(vec![record("a".repeat(300))]).await.unwrap();
    *fixture.disk.write_fault.lock() = Some(io::ErrorKind::StorageFull);
    assert_eq!(log.append(vec![record("no")]).await.unwrap_err().kind(), ErrorKind::ResourceExhausted);
    *fixture.disk.write_fault.lock() = None;
    // The seal goes through, the next segment cannot be made: its name is taken by a directory.
    let obstacle = segment::path_of(fixture.dir.path(), 2).with_extension("new");
    std::fs::create_dir(&obstacle).unwrap();
    assert_eq!(log.append(vec![record("no")]).await.unwrap_err().kind(), ErrorKind::Unavailable);
    std::fs::remove_dir(&obstacle).unwrap();
    assert_eq!(log.append(vec![record("b")]).await.unwrap()[0].offset, 1);
    assert_eq!(payloads(&log).await, ["a".repeat(300), "b".to_owned()]);
    drop(log);
    assert_eq!(payloads(&fixture.open()).await, ["a".repeat(300), "b".to_owned()]);
}

#[tokio::test]
async fn a_stop_between_seal_and_next_segment_is_recovered() {
    let fixture = Fixture::new(EmbeddedOptions { segment_bytes: 200, ..EmbeddedOptions::default() });
    let log = fixture.open();
    log.create_topic("raw", 1).await.unwrap();
    log.append(vec![record("a".repeat(300))]).await.unwrap();
    let obstacle = segment::path_of(fixture.dir.path(), 2).with_extension("new");
    std::fs::create_dir(&obstacle).unwrap();
    assert!(log.append(vec![record("no")]).await.is_err());
    drop(log);
    std::fs::remove_dir(&obstacle).unwrap();
    let log = fixture.open();
    assert_eq!(log.append(vec![record("b")]).await.unwrap()[0].offset, 1);
    drop(log);
    assert_eq!(payloads(&fixture.open()).await, ["a".repeat(300), "b".to_owned()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_waits_and_then_refuses() {
    let options =
        EmbeddedOptions { queue_bytes: 4_096, queue_wait: Duration::from_millis(50), ..EmbeddedOptions::default() };
    let fixture = Fixture::new(options);
    let log = fixture.open();
    log.create_topic("raw", 1).await.unwrap();
    let before = fixture.disk.syncs.load(Ordering::SeqCst);
    fixture.disk.hold();
    let append = || {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.append(vec![record(vec![b'x'; 1_900])]).await })
    };
    let first = append();
    syncs_reach(&fixture.disk, before + 1).await;
    let second = append();
    // Two of 1,964 bytes each fill the queue, the third finds no room.
    let error = append().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error:?}");
    fixture.disk.release();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    append().await.unwrap().unwrap();
    // A request larger than the whole queue goes alone instead of never.
    log.append(vec![record(vec![b'x'; 100_000])]).await.unwrap();
    assert_eq!(log.offsets("raw", 0).await.unwrap().end, 4);
}
