//! Expected values follow formats.md (1, 2): arrival times, headers, redeliveries.
#![allow(clippy::unwrap_used)]

use std::sync::atomic::Ordering;

use super::*;
use crate::clock::ManualClock;
use crate::config::RouteConfig;
use crate::ingest::testing::TestLog;

const SECOND: i64 = 1_000_000_000;
const NOW: i64 = 1_700_000_000 * SECOND;

struct Door {
    log: Arc<TestLog>,
    accept: Arc<Accept>,
    receipts: Arc<Receipts>,
}

async fn door(log: Arc<TestLog>, wall: Arc<ManualClock>, routes: &[RouteConfig]) -> Door {
    let routes = Arc::new(Routes::new(routes).unwrap());
    let arrivals = Arc::new(ArrivalClock::new(wall.clone(), 0));
    let as_log: Arc<dyn CommitLog> = log.clone();
    let accept = Accept::open(routes, as_log, arrivals, 1, &[]).await.unwrap();
    // The start has looked at the clock; the first message comes later.
    wall.advance(SECOND);
    Door { log, accept, receipts: Arc::default() }
}

async fn generators(log: Arc<TestLog>) -> Door {
    door(log, Arc::new(ManualClock::new(NOW - SECOND)), &[RouteConfig::generators()]).await
}

impl Door {
    async fn send(&self, packet: Option<u16>, again: bool, payload: &str) {
        let payload = Bytes::from(payload.to_string());
        let message = Message { topic: "emergency_generator/gen-7", payload, client: "gen-7", packet, again };
        let outgoing = self.accept.record(&message, &self.receipts).unwrap();
        self.accept.queue().send(outgoing).await.map_err(|_| "closed").unwrap();
    }

    async fn wait_durable(&self, count: u64) {
        while self.receipts.durable() < count {
            self.receipts.changed().await;
        }
    }

    async fn times(&self) -> Vec<i64> {
        self.log.all("kafka_raw", 0).await.iter().map(|record| record::arrival_ns(record).unwrap()).collect()
    }
}

#[tokio::test]
async fn a_message_becomes_a_record_as_the_format_says() {
    let door = generators(TestLog::new()).await;
    door.send(Some(12), false, "{\"fuel\":1}").await;
    door.send(None, false, "not json").await;
    door.wait_durable(2).await;
    let records = door.log.all("kafka_raw", 0).await;
    assert_eq!(records[0].key, "gen-7");
    assert_eq!(records[0].payload, "{\"fuel\":1}");
    assert_eq!(records[0].timestamp_ms, NOW / 1_000_000);
    let headers: Vec<(&str, &str)> =
        records[0].headers.iter().map(|(name, value)| (&**name, std::str::from_utf8(value).unwrap())).collect();
    assert_eq!(
        headers,
        [
            ("fm-time", "1700000000000000000"),
            ("fm-source", "emergency_generator/gen-7"),
            ("content-type", "application/json"),
            ("fm-client", "gen-7"),
            ("fm-packet", "12"),
        ]
    );
    assert_eq!(record::arrival_ns(&records[1]), Some(NOW + 1), "two messages never share an arrival time");
    assert_eq!(records[1].header("fm-packet"), None);
    assert_eq!(records[1].payload, "not json", "the door decodes nothing");
}

#[tokio::test]
async fn what_no_route_takes_is_no_record() {
    let door = generators(TestLog::new()).await;
    let message = Message { topic: "elsewhere", payload: Bytes::new(), client: "c", packet: None, again: false };
    assert!(door.accept.record(&message, &door.receipts).is_none());
    assert_eq!(door.accept.arrivals().oldest_in_flight_ns(), None);
}

#[tokio::test]
async fn nothing_is_confirmed_before_the_log_has_it_and_order_stays() {
    let door = generators(TestLog::new()).await;
    door.log.stall(true);
    for number in 0..100 {
        door.send(Some(number + 1), false, &number.to_string()).await;
    }
    while door.log.refused.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(door.receipts.durable(), 0);
    assert_eq!(door.accept.arrivals().oldest_in_flight_ns(), Some(NOW), "a slot that ends now has to wait");
    door.log.stall(false);
    door.wait_durable(100).await;
    let payloads: Vec<String> =
        door.log.all("kafka_raw", 0).await.iter().map(|r| String::from_utf8_lossy(&r.payload).into_owned()).collect();
    assert_eq!(payloads, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    door.accept.close().await;
    assert_eq!(door.accept.arrivals().oldest_in_flight_ns(), None);
}

#[tokio::test]
async fn a_record_that_the_log_refuses_harms_only_its_sender() {
    let door = generators(TestLog::new()).await;
    let other = Door { log: door.log.clone(), accept: door.accept.clone(), receipts: Arc::default() };
    door.log.stall(true);
    door.send(Some(1), false, "{}").await;
    other.send(Some(1), false, "poison for the log").await;
    door.send(Some(2), false, "[]").await;
    door.log.stall(false);
    door.wait_durable(2).await;
    while !other.receipts.failed() {
        other.receipts.changed().await;
    }
    assert!(!door.receipts.failed());
    assert_eq!(door.log.all("kafka_raw", 0).await.len(), 2);
}

#[tokio::test]
async fn a_redelivery_keeps_its_arrival_also_after_a_restart_with_the_clock_set_back() {
    let directory = tempfile::tempdir().unwrap();
    let log = TestLog::at(directory.path());
    let first = generators(log.clone()).await;
    first.send(Some(1), false, "{\"fuel\":1}").await;
    first.send(Some(2), false, "{\"fuel\":2}").await;
    first.send(Some(2), true, "{\"fuel\":2}").await;
    first.wait_durable(3).await;
    assert_eq!(first.times().await, [NOW, NOW + 1, NOW + 1]);
    first.accept.close().await;
    log.close().await.unwrap();
    drop(first);
    drop(log);

    let earlier = Arc::new(ManualClock::new(NOW - 3_600_000_000_000));
    let second = door(TestLog::at(directory.path()), earlier, &[RouteConfig::generators()]).await;
    second.send(Some(1), true, "{\"fuel\":1}").await;
    second.send(Some(3), false, "{\"fuel\":3}").await;
    second.wait_durable(2).await;
    let times = second.times().await;
    assert_eq!(times[3], NOW, "the table is rebuilt from the records");
    assert!(times[4] > NOW + 1, "the floor is kept: {}", times[4]);
}

#[tokio::test]
async fn a_message_that_names_its_identity_is_the_same_however_it_comes_again() {
    let mut route = RouteConfig::generators();
    route.dedupe_key = Some("id".into());
    let door = door(TestLog::new(), Arc::new(ManualClock::new(NOW - SECOND)), &[route]).await;
    door.send(None, false, "{\"id\":1,\"fuel\":1}").await;
    door.send(None, false, "{\"id\":2,\"fuel\":1}").await;
    door.send(Some(9), false, "{\"id\":1,\"fuel\":1}").await;
    door.wait_durable(3).await;
    assert_eq!(door.times().await, [NOW, NOW + 1, NOW]);
}

#[tokio::test]
async fn a_stop_appends_what_was_handed_over_and_gives_up_on_a_log_that_does_not_answer() {
    let door = generators(TestLog::new()).await;
    for number in 0..50 {
        door.send(Some(number + 1), false, "{}").await;
    }
    door.accept.close().await;
    assert_eq!(door.receipts.durable(), 50);
    let stalled = generators(TestLog::new()).await;
    stalled.log.stall(true);
    stalled.send(Some(1), false, "{}").await;
    stalled.accept.close().await;
    assert_eq!(stalled.receipts.durable(), 0);
}
