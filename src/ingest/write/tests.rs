//! Expected values follow formats.md (2, 3) and InfluxDB's write API (spec page, 2.2).
#![allow(clippy::unwrap_used)]

use super::*;
use crate::clock::{ArrivalClock, Clock, SystemClock};
use crate::commitlog::CommitLog;
use crate::ingest::route::Routes;
use crate::ingest::sink::SinkOptions;
use crate::ingest::testing::{TestLog, store, values};
use crate::point::line_protocol::{Options, Precision, parse};
use crate::point::names::Names;
use crate::store::{NewBucket, Store};

/// 2026-11-01T00:00:00Z.
const START: i64 = 1_793_491_200_000_000_000;

struct Writer {
    log: Arc<TestLog>,
    store: Arc<Store>,
    sink: Arc<Sink>,
    accept: Arc<Accept>,
    bucket: Bucket,
    _directory: tempfile::TempDir,
}

async fn writer(partitions: u32) -> Writer {
    let directory = tempfile::tempdir().unwrap();
    let log = TestLog::new();
    let as_log: Arc<dyn CommitLog> = log.clone();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = store(directory.path(), 512 << 20).await;
    let bucket = store.create_bucket(NewBucket::named("b")).unwrap();
    let arrivals = Arc::new(ArrivalClock::new(Arc::clone(&clock), 0));
    let accept = Accept::open(Arc::default(), Arc::clone(&as_log), arrivals, 1, &[]).await.unwrap();
    let options = SinkOptions { partitions, ..SinkOptions::default() };
    let sink = Sink::start(as_log, Arc::clone(&store), Arc::<Routes>::default(), clock, options).await.unwrap();
    Writer { log, store, sink, accept, bucket, _directory: directory }
}

impl Writer {
    async fn write(&self, body: &str, max_wait: Duration) -> Result<Written> {
        let options = Options { precision: Precision::Nanoseconds, default_time_ns: START };
        let parsed = parse(body.as_bytes(), options, &mut Names::default());
        assert_eq!(parsed.errors, vec![]);
        write_lines(&self.accept, &self.sink, &self.bucket, parsed.lines, max_wait).await
    }
}

#[tokio::test]
async fn a_write_can_be_read_when_it_returns() {
    let writer = writer(1).await;
    let written = writer.write("m,a=1 f=1 5\nm,a=2 g=2i\n", Duration::from_secs(10)).await.unwrap();
    assert_eq!(written, Written { visible: true, refused: vec![] });
    assert_eq!(
        values(&writer.store, &writer.bucket.id).await,
        ["m,a=1 f=1 5".to_string(), format!("m,a=2 g=2i {START}")]
    );
    let records = writer.log.all("b", 0).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].payload, format!("m,a=1 f=1.0 5\nm,a=2 g=2i {START}\n"), "times are spelled out");
    assert_eq!(writer.accept.arrivals().oldest_in_flight_ns(), None);
}

#[tokio::test]
async fn what_the_bucket_does_not_take_is_named_by_its_line() {
    let writer = writer(1).await;
    writer.write("m f=1 5", Duration::from_secs(10)).await.unwrap();
    let ahead = format!("m f=1 5\nm f=\"text\" 6\n\n#\nm g=2 7\nm f=true 8\nm f=1 {}", i64::MAX - 1);
    let written = writer.write(&ahead, Duration::from_secs(10)).await.unwrap();
    assert!(written.visible);
    let refused: Vec<_> = written.refused.iter().map(|refused| (refused.number, refused.code)).collect();
    assert_eq!(refused, [(2, "field-type-conflict"), (6, "field-type-conflict"), (7, "too-far-ahead")]);
    assert_eq!(values(&writer.store, &writer.bucket.id).await, ["m f=1 5", "m g=2 7"]);
    assert_eq!(writer.log.all("b.dead-letter", 0).await.len(), 1, "the record is a dead letter once");
}

#[tokio::test]
async fn a_series_stays_in_its_partition_and_records_are_bounded() {
    let writer = writer(4).await;
    let text = "x".repeat(1_000);
    let body: String = (0..4_000).map(|n| format!("m,s={} t=\"{text}\" {n}\n", n % 7)).collect();
    let written = writer.write(&body, Duration::from_secs(30)).await.unwrap();
    assert_eq!(written, Written { visible: true, refused: vec![] });
    assert_eq!(values(&writer.store, &writer.bucket.id).await.len(), 4_000);
    let mut partitions_of = vec![std::collections::BTreeSet::new(); 7];
    for partition in 0..4 {
        let mut last = [-1_i64; 7];
        for record in writer.log.all("b", partition).await {
            assert!(record.payload.len() <= RECORD_BYTES);
            for line in std::str::from_utf8(&record.payload).unwrap().lines() {
                let series: usize = line[4..5].parse().unwrap();
                let time: i64 = line.rsplit(' ').next().unwrap().parse().unwrap();
                assert!(time > last[series], "the order of a series is kept");
                last[series] = time;
                partitions_of[series].insert(partition);
            }
        }
    }
    assert!(partitions_of.iter().all(|partitions| partitions.len() == 1));
}

/// What a replay reads is what the writer's lines were, however many stand in a record.
#[tokio::test]
async fn the_records_read_back_as_the_lines() {
    let writer = writer(1).await;
    let body: String = (0..30_000).map(|n| format!("m f=1 {n}\n")).collect();
    let written = writer.write(&body, Duration::from_secs(30)).await.unwrap();
    assert_eq!(written, Written { visible: true, refused: vec![] });
    let mut times = Vec::new();
    for record in writer.log.all("b", 0).await {
        let routes = Routes::default();
        let content = crate::ingest::decode::record(&record, "b", &routes, 0, &mut Names::default());
        let crate::ingest::decode::Content::Points(decoded) = content else { panic!("{content:?}") };
        assert_eq!(decoded.problems, vec![]);
        times.extend(decoded.points.iter().map(|point| point.time_ns));
    }
    assert_eq!(times, (0..30_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_to_write_is_nothing_in_the_log() {
    let writer = writer(1).await;
    let written = writer.write("# only a comment", Duration::from_secs(1)).await.unwrap();
    assert_eq!(written, Written { visible: true, refused: vec![] });
    assert!(writer.log.all("b", 0).await.is_empty());
}

#[tokio::test]
async fn a_log_that_refuses_is_an_error_and_leaves_nothing_behind() {
    let writer = writer(1).await;
    writer.log.stall(true);
    let error = writer.write("m f=1 5", Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(error.kind(), crate::error::ErrorKind::ResourceExhausted);
    assert_eq!(writer.accept.arrivals().oldest_in_flight_ns(), None);
}

#[tokio::test]
async fn a_sink_that_is_behind_makes_the_write_pending_not_lost() {
    let writer = writer(1).await;
    writer.sink.shutdown().await;
    let written = writer.write("m f=1 5", Duration::from_millis(20)).await.unwrap();
    assert!(!written.visible);
    assert_eq!(writer.log.all("b", 0).await.len(), 1);
}
