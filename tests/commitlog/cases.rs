//! The cases, over the trait alone. Expected values follow from `CommitLog`'s documentation, for partitions from Kafka's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use fluxmill::clock::{Clock, SystemClock};
use fluxmill::commitlog::murmur2::partition_of;
use fluxmill::commitlog::{CommitLog, Committed, NewRecord, Record};
use fluxmill::error::ErrorKind;

use super::Subject;

/// Long enough for a slow machine; only a failure waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The date of records. Kafka drops what is older than a week, and after its restart has forgotten which records it has of
/// a producer whose last one is older than a day.
static TODAY_MS: LazyLock<i64> = LazyLock::new(|| SystemClock.now_ns() / 1_000_000);

/// A record without headers.
pub fn record(topic: &str, key: &str, payload: impl Into<Bytes>) -> NewRecord {
    NewRecord {
        topic: topic.into(),
        partition: None,
        key: Bytes::copy_from_slice(key.as_bytes()),
        headers: Vec::new(),
        payload: payload.into(),
        timestamp_ms: *TODAY_MS,
    }
}

/// The same for a partition that is named.
pub fn record_in(topic: &str, partition: u32, payload: impl Into<Bytes>) -> NewRecord {
    NewRecord { partition: Some(partition), ..record(topic, "", payload) }
}

/// Bytes without a pattern, so that no compression makes them small: the high bits of a linear congruential generator.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Reads a partition from an offset up to the end that it has now.
pub async fn read_to_end(log: &dyn CommitLog, topic: &str, partition: u32, from: u64) -> Vec<Record> {
    let end = log.offsets(topic, partition).await.unwrap().end;
    let mut records = Vec::new();
    let mut at = from;
    while at < end {
        let fetched = log.read(topic, partition, at, 1_000, PATIENCE).await.unwrap();
        assert!(fetched.next_offset > at, "a read at {at} of {topic}/{partition} below the end {end} stood still");
        records.extend(fetched.records);
        at = fetched.next_offset;
    }
    records
}

fn payloads(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()).collect()
}

pub async fn order_is_kept_in_a_partition(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 3).await.unwrap();
    let mut expected: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for batch in 0..20 {
        let mut records = Vec::new();
        for number in 0..50_u32 {
            let payload = format!("{batch}-{number}");
            expected.entry(number % 3).or_default().push(payload.clone());
            records.push(record_in(&topic, number % 3, payload));
        }
        log.append(records).await.unwrap();
    }
    for (partition, expected) in expected {
        assert_eq!(payloads(&read_to_end(&*log, &topic, partition, 0).await), expected);
    }
}

pub async fn offsets_have_no_holes_without_transactions(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 2).await.unwrap();
    let mut offsets = Vec::new();
    for _ in 0..5 {
        let records = (0..7).map(|number| record_in(&topic, 1, format!("{number}"))).collect();
        offsets.extend(log.append(records).await.unwrap());
    }
    let expected: Vec<_> = (0..35).collect();
    assert_eq!(offsets.iter().map(|position| position.offset).collect::<Vec<_>>(), expected);
    assert!(offsets.iter().all(|position| position.partition == 1));
    let read = read_to_end(&*log, &topic, 1, 0).await;
    assert_eq!(read.iter().map(|record| record.offset).collect::<Vec<_>>(), expected);
    assert_eq!(log.offsets(&topic, 1).await.unwrap().end, 35);
    assert_eq!(log.offsets(&topic, 0).await.unwrap().end, 0);
}

pub async fn a_record_comes_back_as_it_was_sent(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 1).await.unwrap();
    let every_byte: Vec<u8> = (0..=255).collect();
    let header = |name: &str, value: &[u8]| (Arc::from(name), Bytes::copy_from_slice(value));
    let full = NewRecord {
        key: Bytes::from(every_byte.clone()),
        headers: vec![
            header("fm-time", b"1700000000000000001"),
            header("content-type", b"application/json"),
            header("empty", b""),
            header("twice", b"first"),
            header("twice", &every_byte),
        ],
        timestamp_ms: 1_234_567_890_123,
        ..record(&topic, "", every_byte)
    };
    let sent = vec![full, record(&topic, "", ""), record(&topic, "key", ""), record(&topic, "", "payload")];
    log.append(sent.clone()).await.unwrap();
    log.append_atomic(&subject.name("writer"), sent.clone()).await.unwrap();
    let read = read_to_end(&*log, &topic, 0, 0).await;
    assert_eq!(read.len(), 8);
    for (read, sent) in read.iter().zip(sent.iter().chain(&sent)) {
        assert_eq!(read.key, sent.key);
        assert_eq!(read.headers, sent.headers);
        assert_eq!(read.payload, sent.payload);
        assert_eq!(read.timestamp_ms, sent.timestamp_ms);
    }
    assert_eq!(read[0].header("twice").unwrap(), "first");
    assert_eq!(read[0].header("absent"), None);
}

pub async fn keys_choose_partitions_as_in_kafka(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 10).await.unwrap();
    let keys: Vec<String> = (0..200).map(|number| format!("gen-{number}")).chain([String::new()]).collect();
    let positions = log.append(keys.iter().map(|key| record(&topic, key, "x")).collect()).await.unwrap();
    for (key, position) in keys.iter().zip(positions) {
        assert_eq!(position.partition, partition_of(key.as_bytes(), 10), "key {key:?}");
    }
    // Kafka's own value for this key: murmur2("foobar") = -790332482, & 0x7fffffff = 1357151166, mod 10 = 6.
    assert_eq!(log.append(vec![record(&topic, "foobar", "x")]).await.unwrap()[0].partition, 6);
}

pub async fn a_named_partition_is_taken(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 4).await.unwrap();
    let records =
        (0..4).map(|partition| NewRecord { partition: Some(partition), ..record(&topic, "same", "x") }).collect();
    let positions = log.append(records).await.unwrap();
    assert_eq!(positions.iter().map(|position| position.partition).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

pub async fn concurrent_appends_are_all_read_once(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 4).await.unwrap();
    let writers = (0..32).map(|writer| {
        let (log, topic) = (Arc::clone(&log), topic.clone());
        tokio::spawn(async move {
            let mut positions = Vec::new();
            for number in 0..20 {
                let records =
                    (0..3).map(|part| record(&topic, &format!("w{writer}"), format!("{writer}-{number}-{part}")));
                positions.extend(log.append(records.collect()).await.unwrap());
            }
            (writer, positions)
        })
    });
    let mut acknowledged = BTreeMap::new();
    for (writer, positions) in futures::future::try_join_all(writers.collect::<Vec<_>>()).await.unwrap() {
        for (place, position) in positions.into_iter().enumerate() {
            let payload = format!("{writer}-{}-{}", place / 3, place % 3);
            let before = acknowledged.insert((position.partition, position.offset), payload);
            assert_eq!(before, None, "two records have one position");
        }
    }
    let mut read = BTreeMap::new();
    for partition in 0..4 {
        for record in read_to_end(&*log, &topic, partition, 0).await {
            read.insert((partition, record.offset), String::from_utf8(record.payload.to_vec()).unwrap());
        }
    }
    assert_eq!(read.len(), 32 * 20 * 3);
    assert_eq!(read, acknowledged);
}

pub async fn an_atomic_append_reaches_all_its_topics(subject: Subject) {
    let (log, results, control) = (subject.open().await, subject.name("results"), subject.name("control"));
    log.create_topic(&results, 2).await.unwrap();
    log.create_topic(&control, 1).await.unwrap();
    let records = vec![
        record_in(&results, 0, "a"),
        record_in(&results, 1, "b"),
        record_in(&results, 0, "c"),
        record_in(&control, 0, "run"),
    ];
    let positions = log.append_atomic(&subject.name("shard"), records).await.unwrap();
    let places: Vec<_> = positions.iter().map(|position| (position.partition, position.offset)).collect();
    assert_eq!(places, [(0, 0), (1, 0), (0, 1), (0, 0)]);
    assert_eq!(payloads(&read_to_end(&*log, &results, 0, 0).await), ["a", "c"]);
    assert_eq!(payloads(&read_to_end(&*log, &results, 1, 0).await), ["b"]);
    assert_eq!(payloads(&read_to_end(&*log, &control, 0, 0).await), ["run"]);
    assert_eq!(log.append_atomic(&subject.name("shard"), Vec::new()).await.unwrap(), []);
}

pub async fn an_atomic_append_with_an_error_appends_nothing(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("results"));
    log.create_topic(&topic, 1).await.unwrap();
    let bad = [record(&subject.name("absent"), "", "x"), record_in(&topic, 7, "x")];
    for bad in bad {
        let records = vec![record(&topic, "", "half"), bad];
        let error = log.append_atomic(&subject.name("shard"), records).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    }
    log.append_atomic(&subject.name("shard"), vec![record(&topic, "", "whole")]).await.unwrap();
    assert_eq!(payloads(&read_to_end(&*log, &topic, 0, 0).await), ["whole"]);
}

/// A writer appends pairs to two topics; whoever has seen the first of a pair finds the second below the end.
pub async fn readers_never_see_part_of_an_atomic_append(subject: Subject) {
    let (log, first, second) = (subject.open().await, subject.name("first"), subject.name("second"));
    log.create_topic(&first, 1).await.unwrap();
    log.create_topic(&second, 1).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = {
        let (log, first, second, done) = (Arc::clone(&log), first.clone(), second.clone(), Arc::clone(&done));
        let shard = subject.name("shard");
        tokio::spawn(async move {
            for number in 0..40 {
                let pair = vec![record(&first, "", format!("{number}")), record(&second, "", format!("{number}"))];
                log.append_atomic(&shard, pair).await.unwrap();
            }
            done.store(true, Ordering::SeqCst);
        })
    };
    let (mut seen_first, mut seen_second, mut at_first, mut at_second) = (0, 0, 0, 0);
    while !(done.load(Ordering::SeqCst) && seen_first == 40) {
        let fetched = log.read(&first, 0, at_first, 1, Duration::from_millis(100)).await.unwrap();
        seen_first += fetched.records.len();
        at_first = fetched.next_offset;
        while seen_second < seen_first {
            // A Kafka reader asks two partition leaders one after the other: the second may take a moment, not forever.
            let fetched = log.read(&second, 0, at_second, 1, PATIENCE).await.unwrap();
            assert!(fetched.next_offset > at_second, "the second of a pair is missing");
            seen_second += fetched.records.len();
            at_second = fetched.next_offset;
        }
    }
    writer.await.unwrap();
    assert_eq!(read_to_end(&*log, &second, 0, 0).await.len(), 40);
}

pub async fn reading_goes_past_transaction_markers(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 1).await.unwrap();
    let mut expected = Vec::new();
    for number in 0..6 {
        let records = vec![record(&topic, "", format!("{number}a")), record(&topic, "", format!("{number}b"))];
        expected.extend([format!("{number}a"), format!("{number}b")]);
        if number % 2 == 0 {
            log.append(records).await.unwrap();
        } else {
            log.append_atomic(&subject.name("shard"), records).await.unwrap();
        }
    }
    assert_eq!(payloads(&read_to_end(&*log, &topic, 0, 0).await), expected);
    // The last append was a transaction: its marker is behind the last record, and the position passes it.
    let end = log.offsets(&topic, 0).await.unwrap().end;
    let fetched = log.read(&topic, 0, end, 10, Duration::from_millis(50)).await.unwrap();
    assert_eq!((fetched.records.len(), fetched.next_offset), (0, end));
}

pub async fn a_read_takes_no_more_than_asked(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 1).await.unwrap();
    log.append((0..25).map(|number| record(&topic, "", format!("{number}"))).collect()).await.unwrap();
    let mut at = 0;
    let mut read = Vec::new();
    while at < 25 {
        let fetched = log.read(&topic, 0, at, 4, PATIENCE).await.unwrap();
        assert!((1..=4).contains(&fetched.records.len()), "{} records", fetched.records.len());
        at = fetched.next_offset;
        read.extend(payloads(&fetched.records));
    }
    assert_eq!(read, (0..25).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(log.read(&topic, 0, 0, 0, Duration::ZERO).await.unwrap().records, []);
}

pub async fn a_read_can_begin_anywhere(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 1).await.unwrap();
    for batch in 0..5 {
        log.append((0..4).map(|number| record(&topic, "", format!("{}", batch * 4 + number))).collect()).await.unwrap();
    }
    // Forward, back, and again: as several readers of one partition do.
    for from in [7_u64, 0, 19, 3, 12] {
        let read = payloads(&read_to_end(&*log, &topic, 0, from).await);
        assert_eq!(read, (from..20).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

pub async fn a_waiting_read_wakes_up(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 2).await.unwrap();
    let mut waiting = {
        let (log, topic) = (Arc::clone(&log), topic.clone());
        tokio::spawn(async move { log.read(&topic, 1, 0, 10, PATIENCE * 10).await.unwrap() })
    };
    // A record of another partition does not end the wait.
    log.append(vec![record_in(&topic, 0, "other")]).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    log.append(vec![record_in(&topic, 1, "now")]).await.unwrap();
    let fetched = tokio::time::timeout(PATIENCE, waiting).await.expect("the read does not wake up").unwrap();
    assert_eq!(payloads(&fetched.records), ["now"]);
}

pub async fn a_read_at_the_end_waits_and_gives_nothing(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 1).await.unwrap();
    log.append(vec![record(&topic, "", "x")]).await.unwrap();
    let begun = std::time::Instant::now();
    let fetched = log.read(&topic, 0, 1, 10, Duration::from_millis(60)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(60));
    assert_eq!((fetched.records.len(), fetched.next_offset), (0, 1));
}

pub async fn a_read_outside_is_out_of_range(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 1).await.unwrap();
    log.append(vec![record(&topic, "", "x")]).await.unwrap();
    let error = log.read(&topic, 0, 50, 10, PATIENCE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfRange, "{error:?}");
    assert!(error.message().contains("50"), "{error}");
}

pub async fn positions_are_kept_by_group(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    let (sink, other) = (subject.name("sink"), subject.name("other"));
    log.create_topic(&topic, 2).await.unwrap();
    log.append((0..10).map(|number| record_in(&topic, 1, format!("{number}"))).collect()).await.unwrap();
    assert_eq!(log.committed(&sink, &topic, 1).await.unwrap(), None);
    let position = |offset, metadata: &str| Committed { offset, metadata: metadata.to_owned() };
    log.commit(&sink, vec![(topic.as_str().into(), 1, position(4, "floor=1700000000000000001"))]).await.unwrap();
    let both = vec![(topic.as_str().into(), 0, position(0, "")), (topic.as_str().into(), 1, position(7, "later"))];
    log.commit(&other, both).await.unwrap();
    assert_eq!(log.committed(&sink, &topic, 1).await.unwrap(), Some(position(4, "floor=1700000000000000001")));
    assert_eq!(log.committed(&sink, &topic, 0).await.unwrap(), None);
    assert_eq!(log.committed(&other, &topic, 0).await.unwrap(), Some(position(0, "")));
    assert_eq!(log.committed(&other, &topic, 1).await.unwrap(), Some(position(7, "later")));
    // A position may go back: replays do.
    log.commit(&other, vec![(topic.as_str().into(), 1, position(2, "back"))]).await.unwrap();
    assert_eq!(log.committed(&other, &topic, 1).await.unwrap(), Some(position(2, "back")));
}

pub async fn unknown_topics_are_not_found(subject: Subject) {
    let (log, topic, absent) = (subject.open().await, subject.name("raw"), subject.name("absent"));
    log.create_topic(&topic, 2).await.unwrap();
    let position = || Committed { offset: 0, metadata: String::new() };
    let group = subject.name("group");
    let errors = [
        log.topic(&absent).await.unwrap_err(),
        log.offsets(&absent, 0).await.unwrap_err(),
        log.offsets(&topic, 2).await.unwrap_err(),
        log.read(&absent, 0, 0, 1, Duration::ZERO).await.unwrap_err(),
        log.read(&topic, 2, 0, 1, Duration::ZERO).await.unwrap_err(),
        log.append(vec![record(&absent, "", "x")]).await.unwrap_err(),
        log.append(vec![record_in(&topic, 2, "x")]).await.unwrap_err(),
        log.append_atomic(&group, vec![record(&absent, "", "x")]).await.unwrap_err(),
        log.committed(&group, &absent, 0).await.unwrap_err(),
        log.commit(&group, vec![(absent.as_str().into(), 0, position())]).await.unwrap_err(),
        log.commit(&group, vec![(topic.as_str().into(), 2, position())]).await.unwrap_err(),
    ];
    for (place, error) in errors.into_iter().enumerate() {
        assert_eq!(error.kind(), ErrorKind::NotFound, "error {place}: {error:?}");
    }
    assert!(log.topics().await.unwrap().iter().all(|known| *known.name != *absent), "asking made the topic");
}

pub async fn a_topic_is_made_once(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    let made = log.create_topic(&topic, 3).await.unwrap();
    assert_eq!((&*made.name, made.partitions), (topic.as_str(), 3));
    log.append(vec![record_in(&topic, 2, "x")]).await.unwrap();
    assert_eq!(log.create_topic(&topic, 5).await.unwrap(), made, "the topic stays as it is");
    assert_eq!(log.topic(&topic).await.unwrap(), made);
    assert!(log.topics().await.unwrap().contains(&made));
    assert_eq!(log.offsets(&topic, 2).await.unwrap().end, 1);
    // Many at once, and one name twice at once.
    let names: Vec<String> = (0..4).map(|number| subject.name(&format!("t{}", number / 2))).collect();
    let made = futures::future::try_join_all(names.iter().map(|name| log.create_topic(name, 2))).await.unwrap();
    assert_eq!(made[0], made[1]);
    let listed: BTreeSet<_> = log.topics().await.unwrap().into_iter().map(|topic| topic.name.to_string()).collect();
    assert!(names.iter().all(|name| listed.contains(name)));
}

pub async fn illegal_names_are_refused(subject: Subject) {
    let log = subject.open().await;
    for name in ["", ".", "..", "with space", "ümlaut", "a/b", &"x".repeat(250)] {
        let error = log.create_topic(name, 1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}: {error:?}");
    }
    for partitions in [0, 100_000] {
        let error = log.create_topic(&subject.name("raw"), partitions).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{partitions}: {error:?}");
    }
}

pub async fn large_records_fit(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 1).await.unwrap();
    let large: Vec<Bytes> = (0..6).map(|seed| noise(seed, 512 << 10).into()).collect();
    log.append(large.iter().map(|payload| record(&topic, "", payload.clone())).collect()).await.unwrap();
    log.append_atomic(&subject.name("shard"), vec![record(&topic, "", large[0].clone())]).await.unwrap();
    let read = read_to_end(&*log, &topic, 0, 0).await;
    assert_eq!(read.len(), 7);
    for (read, sent) in read.iter().zip(large.iter().chain([&large[0]])) {
        assert!(read.payload == *sent, "a large payload has changed");
    }
}

pub async fn reopening_keeps_everything(subject: Subject) {
    let (topic, group) = (subject.name("raw"), subject.name("sink"));
    let log = subject.open().await;
    let info = log.create_topic(&topic, 2).await.unwrap();
    log.append((0..100).map(|number| record_in(&topic, number % 2, format!("{number}"))).collect()).await.unwrap();
    let position = Committed { offset: 17, metadata: "floor=5".to_owned() };
    log.commit(&group, vec![(topic.as_str().into(), 1, position.clone())]).await.unwrap();
    log.close().await.unwrap();
    drop(log);
    let log = subject.open().await;
    assert_eq!(log.topic(&topic).await.unwrap(), info);
    assert_eq!(log.committed(&group, &topic, 1).await.unwrap(), Some(position));
    let expected: Vec<_> = (0..100).filter(|number| number % 2 == 1).map(|number: u32| number.to_string()).collect();
    assert_eq!(payloads(&read_to_end(&*log, &topic, 1, 0).await), expected);
    assert_eq!(log.append(vec![record_in(&topic, 1, "next")]).await.unwrap()[0].offset, 50);
}

pub async fn nothing_is_appended_after_close(subject: Subject) {
    let (log, topic) = (subject.open().await, subject.name("raw"));
    log.create_topic(&topic, 1).await.unwrap();
    // What was under way at the close is either there or was refused.
    let writers: Vec<_> = (0..20)
        .map(|number| {
            let (log, topic) = (Arc::clone(&log), topic.clone());
            tokio::spawn(async move { log.append(vec![record(&topic, "", format!("{number}"))]).await })
        })
        .collect();
    log.close().await.unwrap();
    let mut acknowledged = 0;
    for writer in writers {
        acknowledged += usize::from(writer.await.unwrap().is_ok());
    }
    let error = log.append(vec![record(&topic, "", "late")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    log.close().await.expect("closing twice is harmless");
    drop(log);
    let read = read_to_end(&*subject.open().await, &topic, 0, 0).await;
    assert!(read.len() >= acknowledged, "{} of {acknowledged} acknowledged", read.len());
    assert!(payloads(&read).iter().all(|payload| payload != "late"));
}
