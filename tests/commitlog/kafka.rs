//! The log on Kafka: the cases that every log is held to, on one real broker, and what is Kafka's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fluxmill::commitlog::murmur2::partition_of;
use fluxmill::commitlog::{CommitLog, Committed, KafkaLog, KafkaOptions, NewRecord};
use fluxmill::error::ErrorKind;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

use super::Subject;
use super::cases::{PATIENCE, read_to_end, record, record_in};
use crate::support::kafka::KafkaBroker;

/// A part of names that no other test of this process has.
fn unique() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("k{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

async fn shared() -> &'static KafkaBroker {
    tokio::task::spawn_blocking(KafkaBroker::shared).await.expect("a broker")
}

async fn own() -> Arc<KafkaBroker> {
    Arc::new(tokio::task::spawn_blocking(KafkaBroker::own).await.expect("a broker"))
}

async fn connect(address: &str) -> Arc<KafkaLog> {
    Arc::new(KafkaLog::connect(KafkaOptions::new(address)).await.unwrap())
}

async fn subject() -> Subject {
    let address = shared().await.address();
    Subject::new(unique(), move || {
        let address = address.clone();
        Box::pin(async move { connect(&address).await as Arc<dyn CommitLog> })
    })
}

super::conformance!(subject);

/// A log with a topic of its own.
async fn fixture(partitions: u32) -> (Arc<KafkaLog>, String) {
    let log = connect(&shared().await.address()).await;
    let topic = format!("raw-{}", unique());
    log.create_topic(&topic, partitions).await.unwrap();
    (log, topic)
}

fn texts(records: &[fluxmill::commitlog::Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8(record.payload.to_vec()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitioner_agrees_with_kafkas_java_producer() {
    let (log, topic) = fixture(10).await;
    let keys: Vec<String> = (0..300).map(|number| format!("emergency_generator/gen-{number}")).collect();
    let odd = ["", "a", "ab", "abc", "abcd", "ü", "日本語", "x y"].map(str::to_owned);
    let keys: Vec<String> = keys.into_iter().chain(odd).collect();
    let lines: String = keys.iter().map(|key| format!("{key}|{key}\n")).collect();
    let arguments = ["--topic", &topic, "--reader-property", "parse.key=true", "--reader-property", "key.separator=|"];
    shared().await.tool("org.apache.kafka.tools.ConsoleProducer", &arguments, &lines);
    let mut found = 0;
    for partition in 0..10 {
        for record in read_to_end(&*log, &topic, partition, 0).await {
            assert_eq!(record.key, record.payload);
            assert_eq!(partition_of(&record.key, 10), partition, "key {:?}", record.key);
            found += 1;
        }
    }
    assert_eq!(found, keys.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_are_those_of_a_consumer_group() {
    let (log, topic) = fixture(1).await;
    log.append((0..5).map(|number| record(&topic, "", number.to_string())).collect()).await.unwrap();
    let group = format!("sink-{topic}");
    let position = Committed { offset: 3, metadata: "floor=9".to_owned() };
    log.commit(&group, vec![(topic.as_str().into(), 0, position)]).await.unwrap();
    let group = format!("fluxmill-{group}");
    let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    let table = shared().await.tool(class, &["--describe", "--group", &group], "");
    let row = table.lines().find(|line| line.starts_with(&group)).unwrap_or_else(|| panic!("no row in {table}"));
    let columns: Vec<_> = row.split_whitespace().collect();
    // GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG ...
    assert_eq!(columns[1..6], [&topic, "0", "3", "5", "2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_producer_fences_the_older() {
    let (older, topic) = fixture(1).await;
    let newer = connect(&shared().await.address()).await;
    let shard = format!("shard-{topic}");
    older.append_atomic(&shard, vec![record(&topic, "", "older")]).await.unwrap();
    newer.append_atomic(&shard, vec![record(&topic, "", "newer")]).await.unwrap();
    for _ in 0..2 {
        let error = older.append_atomic(&shard, vec![record(&topic, "", "zombie")]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    }
    newer.append_atomic(&shard, vec![record(&topic, "", "newer still")]).await.unwrap();
    // Another name is another producer, and ordinary appends are nobody's.
    older.append_atomic(&format!("other-{shard}"), vec![record(&topic, "", "other")]).await.unwrap();
    older.append(vec![record(&topic, "", "plain")]).await.unwrap();
    let read = texts(&read_to_end(&*newer, &topic, 0, 0).await);
    assert_eq!(read, ["older", "newer", "newer still", "other", "plain"]);
}

type Foreign = ThreadedProducer<rdkafka::producer::DefaultProducerContext>;

/// A producer that is not fluxmill's.
async fn foreign_producer(transactional_id: Option<&str>) -> Foreign {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", shared().await.address());
    if let Some(id) = transactional_id {
        config.set("transactional.id", id);
    }
    config.create().unwrap()
}

fn send(producer: &Foreign, topic: &str, payload: &str) {
    producer
        .send(BaseRecord::<str, str>::to(topic).partition(0).key("k").payload(payload))
        .map_err(|(error, _)| error)
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_transactions_are_waited_for_and_aborted_ones_are_passed() {
    let (log, topic) = fixture(1).await;
    log.append(vec![record(&topic, "", "first")]).await.unwrap();
    let id = format!("foreign-{topic}");
    let producer = foreign_producer(Some(&id)).await;
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "open");
    producer.flush(PATIENCE).unwrap();
    // Behind it stands a record of somebody else; neither may be seen yet.
    assert_eq!(log.append(vec![record(&topic, "", "behind")]).await.unwrap()[0].offset, 2);
    assert_eq!(log.offsets(&topic, 0).await.unwrap().end, 1);
    let fetched = log.read(&topic, 0, 0, 10, PATIENCE).await.unwrap();
    assert_eq!((texts(&fetched.records), fetched.next_offset), (vec!["first".to_owned()], 1));
    let mut waiting = {
        let (log, topic) = (Arc::clone(&log), topic.clone());
        tokio::spawn(async move { log.read(&topic, 0, 1, 10, PATIENCE).await.unwrap() })
    };
    let early = tokio::time::timeout(Duration::from_millis(300), &mut waiting).await;
    assert!(early.is_err(), "an open transaction was read: {early:?}");
    producer.abort_transaction(PATIENCE).unwrap();
    let fetched = waiting.await.unwrap();
    let mut read = texts(&fetched.records);
    let end = log.offsets(&topic, 0).await.unwrap().end;
    // Four offsets so far: first, open, behind, the abort's marker.
    assert_eq!(end, 4);
    let mut at = fetched.next_offset;
    while at < end {
        let fetched = log.read(&topic, 0, at, 10, PATIENCE).await.unwrap();
        assert!(fetched.next_offset > at);
        read.extend(texts(&fetched.records));
        at = fetched.next_offset;
    }
    assert_eq!((read, at), (vec!["behind".to_owned()], 4));
}

/// Sends one message with a header name that is not UTF-8, which only the native interface can.
fn send_odd_header(producer: &Foreign, topic: &str) {
    use rdkafka::bindings as native;
    let topic = std::ffi::CString::new(topic).unwrap();
    let name = [0xff_u8, 0xfe];
    // SAFETY: a headers list is made, filled with one header and handed over with the message; pointers outlive the call.
    let code = unsafe {
        let headers = native::rd_kafka_headers_new(1);
        native::rd_kafka_header_add(headers, name.as_ptr().cast(), 2, name.as_ptr().cast(), 2);
        native::rd_kafka_producev(
            producer.client().native_ptr(),
            native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TOPIC,
            topic.as_ptr(),
            native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
            0_i32,
            native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
            headers,
            native::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
        )
    };
    assert_eq!(code as i32, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_may_send_is_read() {
    let (log, topic) = fixture(1).await;
    let producer = foreign_producer(None).await;
    // No key and no payload at all, which is not the same as empty ones to Kafka.
    producer.send(BaseRecord::<str, str>::to(&topic).partition(0)).map_err(|(error, _)| error).unwrap();
    send_odd_header(&producer, &topic);
    producer.flush(PATIENCE).unwrap();
    let read = read_to_end(&*log, &topic, 0, 0).await;
    assert_eq!(read.len(), 2);
    for record in &read {
        assert_eq!((record.key.len(), record.payload.len()), (0, 0));
        assert!(record.timestamp_ms > 1_700_000_000_000, "the producer's clock: {}", record.timestamp_ms);
    }
    assert_eq!(read[1].headers, [(Arc::from("\u{fffd}\u{fffd}"), Bytes::from_static(&[0xff, 0xfe]))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_readers_of_one_partition_do_not_disturb_each_other() {
    let (log, topic) = fixture(1).await;
    log.append((0..2_000).map(|number| record(&topic, "", number.to_string())).collect()).await.unwrap();
    let readers = (0..7_u64).map(|reader| {
        let (log, topic) = (Arc::clone(&log), topic.clone());
        tokio::spawn(async move {
            let from = reader * 150;
            let mut at = from;
            let mut read = Vec::new();
            while at < 2_000 {
                match log.read(&topic, 0, at, 37, PATIENCE).await {
                    Ok(fetched) => {
                        read.extend(texts(&fetched.records));
                        at = fetched.next_offset;
                    }
                    Err(error) => panic!("reader {reader} at {at}: {error:?}"),
                }
                tokio::task::yield_now().await;
            }
            assert_eq!(read, (from..2_000).map(|number| number.to_string()).collect::<Vec<_>>(), "reader {reader}");
        })
    });
    futures::future::try_join_all(readers.collect::<Vec<_>>()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_anew_has_another_generation() {
    let (log, topic) = fixture(2).await;
    let first = log.topic(&topic).await.unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", shared().await.address());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    admin.delete_topics(&[&topic], &options).await.unwrap()[0].as_ref().unwrap();
    // The broker forgets it in its own time; a log that knew nothing of it asks anew.
    let other = connect(&shared().await.address()).await;
    let deadline = Instant::now() + PATIENCE;
    while other.topic(&topic).await.is_ok() {
        assert!(Instant::now() < deadline, "the topic is not deleted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let second = other.create_topic(&topic, 2).await.unwrap();
    assert_ne!(first.generation, second.generation);
    assert_ne!(first.generation, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_options_are_told() {
    let address = shared().await.address();
    let with = |name: &str, value: &str| KafkaOptions {
        properties: vec![(name.to_owned(), value.to_owned())],
        ..KafkaOptions::new(&address)
    };
    for (name, value) in [("acks", "1"), ("isolation.level", "read_uncommitted"), ("no.such.property", "1")] {
        let error = KafkaLog::connect(with(name, value)).await.err().expect("connected");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
        assert!(error.message().contains(name), "{error}");
    }
    let log = KafkaLog::connect(with("fetch.message.max.bytes", "65536")).await.unwrap();
    assert_eq!(log.describe(), format!("kafka at {address}"));
    // Nothing listens on the discard port.
    let options = KafkaOptions { timeout: Duration::from_secs(1), ..KafkaOptions::new("127.0.0.1:9") };
    let begun = Instant::now();
    let error = KafkaLog::connect(options).await.err().expect("connected");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.message().contains("127.0.0.1:9"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// Short waits, for tests that take the broker away.
fn impatient(address: String) -> KafkaOptions {
    KafkaOptions {
        timeout: Duration::from_secs(2),
        delivery_timeout: Duration::from_secs(2),
        queue_wait: Duration::from_secs(2),
        ..KafkaOptions::new(address)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_broker_every_call_ends_as_unavailable_and_goes_on_when_it_is_back() {
    let broker = own().await;
    let log = Arc::new(KafkaLog::connect(impatient(broker.address())).await.unwrap());
    log.create_topic("raw", 1).await.unwrap();
    log.append(vec![record("raw", "", "before")]).await.unwrap();
    log.append_atomic("shard", vec![record("raw", "", "atomic before")]).await.unwrap();
    let position = || vec![("raw".into(), 0, Committed { offset: 1, metadata: String::new() })];
    // A broker makes the topic of positions when it is first asked for one; on a busy machine that takes longer than the
    // short waits of this test.
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = log.commit("sink", position()).await {
        assert!(error.kind() == ErrorKind::Unavailable && Instant::now() < deadline, "{error:?}");
    }
    let end = log.offsets("raw", 0).await.unwrap().end;
    assert_eq!(texts(&read_to_end(&*log, "raw", 0, 0).await), ["before", "atomic before"]);
    let stopping = Arc::clone(&broker);
    tokio::task::spawn_blocking(move || stopping.kill()).await.unwrap();

    let begun = Instant::now();
    let (append, atomic, read, offsets, commit, committed, create, topics) = tokio::join!(
        log.append(vec![record("raw", "", "away")]),
        log.append_atomic("shard", vec![record("raw", "", "atomic away")]),
        log.read("raw", 0, end, 10, Duration::from_secs(3)),
        log.offsets("raw", 0),
        log.commit("sink", position()),
        log.committed("sink", "raw", 0),
        log.create_topic("other", 1),
        log.topics(),
    );
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    let errors = [
        append.map(drop),
        atomic.map(drop),
        read.map(drop),
        offsets.map(drop),
        commit.map(drop),
        committed.map(drop),
        create.map(drop),
        topics.map(drop),
    ];
    for (place, outcome) in errors.into_iter().enumerate() {
        let error = outcome.expect_err(&format!("call {place} succeeded without a broker"));
        assert_eq!(error.kind(), ErrorKind::Unavailable, "call {place}: {error:?}");
    }

    let starting = Arc::clone(&broker);
    tokio::task::spawn_blocking(move || starting.start()).await.unwrap();
    // Clients find the broker again in their own time.
    let deadline = Instant::now() + PATIENCE;
    let mut atomic = log.append_atomic("shard", vec![record("raw", "", "atomic back")]).await;
    while let Err(error) = &atomic {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(Instant::now() < deadline, "{error:?}");
        atomic = log.append_atomic("shard", vec![record("raw", "", "atomic back")]).await;
    }
    let mut append = log.append(vec![record("raw", "", "back")]).await;
    while let Err(error) = &append {
        assert!(Instant::now() < deadline, "{error:?}");
        append = log.append(vec![record("raw", "", "back")]).await;
    }
    let read = texts(&read_to_end(&*log, "raw", 0, 0).await);
    for payload in ["before", "atomic before", "atomic back", "back"] {
        assert!(read.iter().any(|read| read == payload), "{payload} is missing in {read:?}");
    }
    while let Err(error) = log.commit("sink", position()).await {
        assert!(error.kind() == ErrorKind::Unavailable && Instant::now() < deadline, "{error:?}");
    }
    assert_eq!(log.committed("sink", "raw", 0).await.unwrap().unwrap().offset, 1);
    log.create_topic("other", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_brokers_kill_in_order() {
    let broker = own().await;
    let log = connect(&broker.address()).await;
    for topic in ["raw", "first", "second"] {
        log.create_topic(topic, 2).await.unwrap();
    }
    let back = Arc::new(AtomicBool::new(false));
    let writers = (0..6_u32).map(|writer| {
        let (log, back) = (Arc::clone(&log), Arc::clone(&back));
        tokio::spawn(async move {
            let deadline = Instant::now() + PATIENCE * 3;
            let mut acknowledged = Vec::new();
            let mut since = 0;
            // Until well after the broker is back.
            for number in 0_u32.. {
                if since == 20 {
                    break;
                }
                assert!(Instant::now() < deadline, "writer {writer}: {} appends, {since} since", acknowledged.len());
                let payload = format!("{writer}.{number}");
                let of = |topic| record_in(topic, writer % 2, payload.clone());
                // Four append, two append to two topics at once.
                let appended = if writer < 4 {
                    log.append(vec![of("raw")]).await
                } else {
                    log.append_atomic(&format!("shard-{writer}"), vec![of("first"), of("second")]).await
                };
                if let Ok(positions) = appended {
                    acknowledged.push((positions[0].offset, payload));
                    since += usize::from(back.load(Ordering::SeqCst));
                }
            }
            (writer, acknowledged)
        })
    });
    let writers: Vec<_> = writers.collect();
    let killer = Arc::clone(&broker);
    let killed = tokio::task::spawn_blocking(move || {
        std::thread::sleep(Duration::from_millis(700));
        killer.kill();
        killer.start();
        back.store(true, Ordering::SeqCst);
    });
    killed.await.unwrap();
    let outcomes = futures::future::try_join_all(writers).await.unwrap();
    for (writer, acknowledged) in outcomes {
        assert!(acknowledged.is_sorted_by_key(|(offset, _)| *offset), "one writer's records changed places");
        let topic = if writer < 4 { "raw" } else { "first" };
        let read = read_to_end(&*log, topic, writer % 2, 0).await;
        let held: BTreeMap<_, _> = read.iter().map(|record| (record.offset, &record.payload)).collect();
        for (offset, payload) in &acknowledged {
            assert_eq!(held.get(offset).map(|held| &held[..]), Some(payload.as_bytes()), "{topic} offset {offset}");
        }
        // Idempotent: what the client sent again after the kill is there once.
        let mut payloads = texts(&read);
        payloads.sort();
        let all = payloads.len();
        payloads.dedup();
        assert_eq!(payloads.len(), all, "records are there twice");
    }
    for partition in 0..2 {
        let first = texts(&read_to_end(&*log, "first", partition, 0).await);
        assert_eq!(first, texts(&read_to_end(&*log, "second", partition, 0).await), "half of an atomic append");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_over_the_brokers_limit_is_refused_and_hurts_no_other() {
    let (log, topic) = fixture(1).await;
    let huge = NewRecord { payload: Bytes::from(super::cases::noise(1, 3 << 20)), ..record(&topic, "", "") };
    let error = log.append(vec![huge.clone()]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    let shard = format!("shard-{topic}");
    let error = log.append_atomic(&shard, vec![record(&topic, "", "small"), huge]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    log.append_atomic(&shard, vec![record(&topic, "", "next")]).await.unwrap();
    assert_eq!(texts(&read_to_end(&*log, &topic, 0, 0).await), ["next"]);
}
