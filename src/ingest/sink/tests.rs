//! Expected values follow formats.md (1, 2, 3): times, dead letters, positions; reliability.md R9, R10.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;

use super::*;
use crate::clock::SystemClock;
use crate::commitlog::{NewRecord, Record};
use crate::config::RouteConfig;
use crate::ingest::testing::{TestLog, store, values};
use crate::ingest::{dead_letter, record};
use crate::point::{FieldValue, Point, result_json};
use crate::store::{Bucket, NewBucket};
use crate::table::ColumnType;

/// 2026-11-01T00:00:00Z.
const START: i64 = 1_793_491_200_000_000_000;

struct Chain {
    log: Arc<TestLog>,
    store: Arc<Store>,
    sink: Arc<Sink>,
    directory: tempfile::TempDir,
}

impl Chain {
    async fn new() -> Self {
        Self::with_memory(512 << 20).await
    }

    async fn with_memory(memory_bytes: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = TestLog::new();
        let store = store(directory.path(), memory_bytes).await;
        let sink = start(&log, &store).await.unwrap();
        Chain { log, store, sink, directory }
    }

    async fn bucket(&self, name: &str) -> Bucket {
        let bucket = self.store.create_bucket(NewBucket::named(name)).unwrap();
        self.sink.refresh().await.unwrap();
        bucket
    }

    async fn append(&self, records: Vec<NewRecord>) {
        self.log.append(records).await.unwrap();
    }

    async fn settle(&self, topic: &str) {
        let info = self.log.topic(topic).await.unwrap();
        for partition in 0..info.partitions {
            let end = self.log.offsets(topic, partition).await.unwrap().end;
            let source = SourcePartition { topic: topic.into(), generation: info.generation, partition };
            assert!(self.store.wait_applied(&source, end, Duration::from_secs(10)).await);
        }
    }
}

async fn start(log: &Arc<TestLog>, store: &Arc<Store>) -> Result<Arc<Sink>> {
    let routes = Arc::new(Routes::new(&[RouteConfig::generators()]).unwrap());
    let as_log: Arc<dyn CommitLog> = log.clone();
    Sink::start(as_log, Arc::clone(store), routes, Arc::new(SystemClock), SinkOptions::default()).await
}

fn raw(arrival_ns: i64, payload: &str) -> NewRecord {
    new_record("kafka_raw", arrival_ns, record::JSON, payload)
}

fn lines(topic: &str, arrival_ns: i64, payload: &str) -> NewRecord {
    new_record(topic, arrival_ns, record::LINE_PROTOCOL, payload)
}

fn new_record(topic: &str, arrival_ns: i64, content_type: &str, payload: &str) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        partition: None,
        key: Bytes::from_static(b"gen-7"),
        headers: vec![
            ("fm-time".into(), arrival_ns.to_string().into()),
            ("fm-source".into(), "emergency_generator/gen-7".into()),
            ("content-type".into(), content_type.to_string().into()),
        ],
        payload: payload.to_string().into(),
        timestamp_ms: arrival_ns / 1_000_000,
    }
}

#[tokio::test]
async fn raw_records_become_rows_that_can_be_read() {
    let chain = Chain::new().await;
    let bucket = chain.bucket("kafka_raw").await;
    let timed = format!(r#"{{"generatorID":"gen-7","fuel":2,"time":{}}}"#, START + 7);
    chain.append(vec![raw(START, r#"{"generatorID":"gen-7","fuel":1}"#), raw(START + 1, &timed)]).await;
    chain.settle("kafka_raw").await;
    assert_eq!(
        values(&chain.store, &bucket.id).await,
        [
            format!("genData,generatorID=gen-7 fuel=1 {START}"),
            format!("genData,generatorID=gen-7 fuel=2 {}", START + 7),
        ]
    );
    chain.sink.shutdown().await;
}

#[tokio::test]
async fn a_redelivered_record_is_the_same_point_and_a_later_one_wins_per_field() {
    let chain = Chain::new().await;
    let bucket = chain.bucket("b").await;
    let records = vec![
        lines("b", START, "m a=1,b=1 5"),
        lines("b", START + 1, "m a=2 5"),
        lines("b", START, "m a=1,b=1 5"),
        lines("b", START + 2, "m f=1"),
        lines("b", START + 2, "m f=1"),
    ];
    chain.append(records).await;
    chain.settle("b").await;
    assert_eq!(
        values(&chain.store, &bucket.id).await,
        ["m a=1 5".to_string(), "m b=1 5".to_string(), format!("m f=1 {}", START + 2)],
        "the third record stands after the second in the partition, so its a wins again; on every replay"
    );
}

#[tokio::test]
async fn results_and_records_of_others_are_read_too() {
    let chain = Chain::new().await;
    let bucket = chain.bucket("b").await;
    let point = Point {
        measurement: "r".into(),
        tags: vec![("region".into(), "US".into())],
        fields: vec![("n".into(), FieldValue::Int(3)), ("s".into(), FieldValue::String("x".into()))],
        time_ns: START,
    };
    let (payload, schema) = result_json::Writer::default().write(&point);
    let mut result = lines("b", START, std::str::from_utf8(&payload).unwrap());
    result.headers[2].1 = "application/json".into();
    result.headers.push(("fm-schema".into(), schema));
    let mut foreign = lines("b", 0, "f v=1");
    foreign.headers.clear();
    foreign.timestamp_ms = START / 1_000_000;
    chain.append(vec![result, foreign.clone(), foreign]).await;
    chain.settle("b").await;
    assert_eq!(
        values(&chain.store, &bucket.id).await,
        [
            format!("f v=1 {START}"),
            format!("f v=1 {}", START + 1),
            format!("r,region=US n=3i {START}"),
            format!("r,region=US s=x {START}"),
        ],
        "records without an arrival time have their timestamp and their place among equal ones"
    );
}

#[tokio::test]
async fn poison_goes_to_the_dead_letters_and_its_neighbours_do_not_notice() {
    let chain = Chain::new().await;
    let bucket = chain.bucket("kafka_raw").await;
    let deep = format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
    let ahead = format!(r#"{{"fuel":1,"time":{}}}"#, START + 172_800_000_000_000);
    let poison = [
        ("{\"fuel\":1", "invalid-json"),
        ("{\"fuel\":NaN}", "invalid-json"),
        ("{\"fuel\":1,\"fuel\":2}", "duplicate-key"),
        (&deep, "too-deep"),
        (&ahead, "too-far-ahead"),
        ("[]", "not-an-object"),
        ("{\"fuel\":\"high\"}", "field-type-conflict"),
        ("{\"generatorID\":\"gen-7\"}", "no-fields"),
    ];
    let mut records = vec![raw(START, r#"{"fuel":0}"#)];
    for (number, (payload, _)) in poison.iter().enumerate() {
        let at = START + 10 * (number as i64 + 1);
        records.push(raw(at, payload));
        records.push(raw(at + 1, r#"{"fuel":1}"#));
    }
    let mut bytes = raw(START + 500, "");
    bytes.payload = Bytes::from_static(b"{\"fuel\":\"\xff\"}");
    records.push(bytes);
    let mut image = raw(START + 501, "png");
    image.headers[2].1 = "image/png".into();
    records.push(image);
    chain.append(records).await;
    chain.settle("kafka_raw").await;
    assert_eq!(values(&chain.store, &bucket.id).await.len(), 1 + poison.len());
    let letters = chain.log.all("kafka_raw.dead-letter", 0).await;
    let header = |letter: &Record, name: &str| record::text(letter, name).unwrap_or_default().to_string();
    let codes: Vec<String> = letters.iter().map(|letter| header(letter, "fm-dl-code")).collect();
    let mut expected: Vec<&str> = poison.iter().map(|(_, code)| *code).collect();
    expected.extend(["invalid-utf8", "unknown-format"]);
    assert_eq!(codes, expected);
    assert_eq!(&*letters[0].payload, b"{\"fuel\":1", "byte for byte");
    assert_eq!(header(&letters[0], "fm-time"), (START + 10).to_string());
    assert_eq!(
        (header(&letters[0], "fm-dl-topic"), header(&letters[0], "fm-dl-offset")),
        ("kafka_raw".into(), "1".into())
    );

    let again = dead_letter::replay(&letters[1]).unwrap();
    chain.append(vec![NewRecord { payload: "{\"fuel\":7}".into(), ..again }]).await;
    chain.settle("kafka_raw").await;
    let mended = format!("genData,generatorID=gen-7 fuel=7 {}", START + 20);
    assert!(values(&chain.store, &bucket.id).await.contains(&mended), "a replay has the first arrival time");
}

/// Large batches are decoded ahead of what is applied; their records have no arrival of their own, so that each one's time is
/// its place among all of them.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_decoded_ahead_come_in_their_order() {
    const RECORDS: i64 = 7_000;
    const POISON: i64 = 4_321;
    let chain = Chain::new().await;
    let bucket = chain.bucket("b").await;
    let foreign = |number: i64| {
        let payload = if number == POISON { "broken".to_string() } else { format!("m v={number},w={number} \n") };
        NewRecord { headers: Vec::new(), ..lines("b", START, &payload) }
    };
    chain.append((0..RECORDS).map(foreign).collect()).await;
    // The newest of many versions.
    chain.append((0..RECORDS).map(|number| lines("b", START + number, &format!("n v={number} 5"))).collect()).await;
    chain.settle("b").await;
    let mut expected: Vec<String> = ["v", "w"]
        .iter()
        .flat_map(|field| (0..RECORDS).map(move |number| format!("m {field}={number} {}", START + number)))
        .filter(|line| !line.contains(&format!("={POISON} ")))
        .collect();
    expected.push(format!("n v={} 5", RECORDS - 1));
    expected.sort();
    let mut found = values(&chain.store, &bucket.id).await;
    found.sort();
    assert!(found == expected, "{} of {} values", found.len(), expected.len());
    let letters = chain.log.all("b.dead-letter", 0).await;
    let offsets: Vec<_> = letters.iter().map(|letter| record::text(letter, "fm-dl-offset")).collect();
    assert_eq!(offsets, [Some("4321")]);
    chain.sink.shutdown().await;
}

#[tokio::test]
async fn good_lines_of_a_bad_record_are_kept() {
    let chain = Chain::new().await;
    let bucket = chain.bucket("b").await;
    chain.append(vec![lines("b", START, "m f=1 1\nbroken\nm f=2 2\nm,time=x f=3 3")]).await;
    chain.settle("b").await;
    assert_eq!(values(&chain.store, &bucket.id).await, ["m f=1 1", "m f=2 2"]);
    let letters = chain.log.all("b.dead-letter", 0).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(record::text(&letters[0], "fm-dl-line"), Some("2"));
    assert_eq!(
        record::text(&letters[0], "fm-dl-detail"),
        Some("2: unable to parse 'broken': missing fields; 4: input tag key is reserved: time")
    );
}

#[tokio::test]
async fn a_topic_feeds_several_buckets_and_a_bucket_has_several_topics() {
    let chain = Chain::new().await;
    let both = NewBucket { name: "both".into(), retention_ns: None, topics: vec!["one".into(), "two".into()] };
    let both = chain.store.create_bucket(both).unwrap();
    let one = chain.bucket("one").await;
    chain.append(vec![lines("one", START, "m f=1 1"), lines("two", START, "m f=2 2")]).await;
    chain.settle("one").await;
    chain.settle("two").await;
    assert_eq!(values(&chain.store, &both.id).await, ["m f=1 1", "m f=2 2"]);
    assert_eq!(values(&chain.store, &one.id).await, ["m f=1 1"]);
    chain.store.delete_bucket(&one.id).unwrap();
    chain.append(vec![lines("one", START, "m f=3 3")]).await;
    chain.settle("one").await;
    assert_eq!(values(&chain.store, &both.id).await.len(), 3);
}

/// Without files (no feature `delta`) memory never gets free: the sink has to stand still, with nothing lost.
#[cfg(not(feature = "delta"))]
#[tokio::test]
async fn without_memory_the_lag_grows_and_a_stop_still_stops() {
    let chain = Chain::with_memory(40_000).await;
    chain.bucket("b").await;
    append_many(&chain).await;
    let generation = chain.log.topic("b").await.unwrap().generation;
    let source = SourcePartition { topic: "b".into(), generation, partition: 0 };
    // The lag is measured every half second; it stays where it is once the store refuses.
    let mut before = u64::MAX;
    loop {
        tokio::time::sleep(ROUND * 2).await;
        let applied = chain.store.applied(&source).unwrap();
        if applied == before {
            break;
        }
        before = applied;
    }
    assert!(before < 10_000, "{before}");
    assert_eq!(chain.sink.lag(), 10_000 - before);
    assert_eq!(chain.sink.failure(), None);
    tokio::time::timeout(Duration::from_secs(5), chain.sink.shutdown()).await.unwrap();
}

/// With files the sink flushes when memory is short, and goes on.
#[cfg(feature = "delta")]
#[tokio::test(flavor = "multi_thread")]
async fn when_memory_is_short_rows_go_to_files_and_positions_follow() {
    let chain = Chain::with_memory(40_000).await;
    let bucket = chain.bucket("b").await;
    append_many(&chain).await;
    chain.settle("b").await;
    assert_eq!(values(&chain.store, &bucket.id).await.len(), 10_000);
    assert!(chain.store.memory_used() < 1 << 20, "{}", chain.store.memory_used());
    chain.store.flush_all().await.unwrap();
    chain.sink.shutdown().await;
    let committed = chain.log.committed("fluxmill", "b", 0).await.unwrap().unwrap();
    assert_eq!(committed.offset, 10_000, "everything is in files");
    // A restart has nothing to read again, and goes on with the order of rows.
    let again = start(&chain.log, &chain.store).await.unwrap();
    chain.append(vec![lines("b", START, "m,t=x f=2 1")]).await;
    chain.settle("b").await;
    assert_eq!(values(&chain.store, &bucket.id).await.len(), 10_001);
    again.shutdown().await;
}

async fn append_many(chain: &Chain) {
    for round in 0..20 {
        let from = START + round * 1_000;
        chain.append((0..500).map(|n| lines("b", from + n, &format!("m,t=x{n} f=1"))).collect()).await;
    }
}

#[tokio::test]
async fn a_restart_reads_again_from_the_low_water_and_gives_the_same() {
    let chain = Chain::new().await;
    let bucket = chain.bucket("b").await;
    chain.append((0..100).map(|n| lines("b", START + n, "m f=1")).collect()).await;
    chain.settle("b").await;
    let before = values(&chain.store, &bucket.id).await;
    assert_eq!(before.len(), 100);
    chain.sink.shutdown().await;
    let Chain { log, store: old, sink, directory } = chain;
    drop((old, sink));
    let again = store(directory.path(), 512 << 20).await;
    let sink = start(&log, &again).await.unwrap();
    let chain = Chain { log, store: again, sink, directory };
    chain.settle("b").await;
    assert_eq!(values(&chain.store, &bucket.id).await, before);
    assert_eq!(chain.sink.lag(), 0);
}

#[tokio::test]
async fn a_position_that_is_not_in_the_log_stops_loudly() {
    let chain = Chain::new().await;
    chain.bucket("b").await;
    chain.append(vec![lines("b", START, "m f=1")]).await;
    chain.settle("b").await;
    chain.sink.shutdown().await;
    let generation = chain.log.topic("b").await.unwrap().generation;
    let wrong = Place::at(99).committed(generation);
    chain.log.commit("fluxmill", vec![("b".into(), 0, wrong)]).await.unwrap();
    let error = start(&chain.log, &chain.store).await.err().unwrap();
    assert_eq!(error.message(), "the sink's position 99 in b/0 is not in the log, which holds 0 to before 1");
}

/// The type of the first write was wrong: the field gets another one, what was stored is converted, and what was a dead
/// letter is read again, without a second letter.
#[tokio::test(flavor = "multi_thread")]
async fn a_retyped_field_has_what_was_stored_and_what_was_not() {
    let chain = Chain::new().await;
    let bucket = chain.bucket("b").await;
    let records = vec![
        lines("b", START, "m v=1i,w=1i 5"),
        lines("b", START + 1, "m v=2.5 6"),
        lines("b", START + 2, "m v=9007199254740993i 7"),
    ];
    chain.append(records).await;
    chain.settle("b").await;
    chain.store.flush_all().await.unwrap();
    chain.append(vec![lines("b", START + 3, "m v=4i 8")]).await;
    chain.settle("b").await;
    assert_eq!(values(&chain.store, &bucket.id).await.len(), 4);
    assert_eq!(chain.log.all("b.dead-letter", 0).await.len(), 1);

    let unknown = chain.sink.retype(&bucket, "m", "nothing", ColumnType::Float).await.unwrap_err();
    assert_eq!(unknown.kind(), crate::error::ErrorKind::NotFound);
    chain.sink.retype(&bucket, "m", "v", ColumnType::Float).await.unwrap();
    chain.settle("b").await;
    // 2^53 + 1 is no float: it is gone.
    let expected = ["m v=1 5", "m v=2.5 6", "m v=4 8", "m w=1i 5"];
    assert_eq!(values(&chain.store, &bucket.id).await, expected);
    assert_eq!(chain.log.all("b.dead-letter", 0).await.len(), 1);

    // Values of the former type go on being converted, and all of it is durable.
    chain.append(vec![lines("b", START + 4, "m v=5i 9")]).await;
    chain.settle("b").await;
    chain.store.flush_all().await.unwrap();
    chain.store.compact_bucket(&bucket.id).await.unwrap();
    let expected = ["m v=1 5", "m v=2.5 6", "m v=4 8", "m v=5 9", "m w=1i 5"];
    assert_eq!(values(&chain.store, &bucket.id).await, expected);
    let Chain { log, store, sink, directory } = chain;
    sink.shutdown().await;
    drop((sink, store));
    let store = crate::ingest::testing::store(directory.path(), 512 << 20).await;
    let sink = start(&log, &store).await.unwrap();
    let chain = Chain { log, store, sink, directory };
    chain.settle("b").await;
    assert_eq!(values(&chain.store, &bucket.id).await, expected);
    chain.sink.shutdown().await;
}

/// A rebuilt bucket is what its topics say: rows that came another way are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_rebuilt_from_its_topics() {
    let chain = Chain::new().await;
    let bucket = chain.bucket("b").await;
    let other = chain.bucket("other").await;
    chain.append(vec![lines("b", START, "m v=1 5"), lines("other", START, "m v=1 5")]).await;
    chain.settle("b").await;
    chain.settle("other").await;
    let stray = SourcePartition { topic: "stray".into(), generation: 0, partition: 0 };
    let point =
        Point { measurement: "m".into(), tags: vec![], fields: vec![("v".into(), FieldValue::Float(7.0))], time_ns: 6 };
    let row = crate::store::SeqPoint { offset: 0, seq: START, point };
    chain.store.apply(&bucket.id, &stray, std::slice::from_ref(&row)).unwrap();
    chain.store.advance(&stray, 1);
    chain.store.flush_all().await.unwrap();
    chain.append(vec![lines("b", START + 1, "m v=2 7")]).await;
    chain.settle("b").await;
    assert_eq!(values(&chain.store, &bucket.id).await, ["m v=1 5", "m v=2 7", "m v=7 6"]);
    chain.sink.rebuild(&bucket, false).await.unwrap();
    chain.settle("b").await;
    assert_eq!(values(&chain.store, &bucket.id).await, ["m v=1 5", "m v=2 7"]);
    assert_eq!(values(&chain.store, &other.id).await, ["m v=1 5"]);
    assert_eq!(chain.sink.lag(), 0);
    chain.store.flush_all().await.unwrap();
    assert_eq!(values(&chain.store, &bucket.id).await, ["m v=1 5", "m v=2 7"]);
    chain.sink.shutdown().await;
}
