//! Writes while the sink is held back: told so, then refused before anything is appended, then taken again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fluxmill::api::{self, Api, Tokens};
use fluxmill::catalogue::Catalogue;
use fluxmill::clock::{ArrivalClock, Clock, SystemClock};
use fluxmill::commitlog::{
    CommitLog, Committed, EmbeddedLog, EmbeddedOptions, Fetched, NewRecord, OffsetRange, Position, TopicInfo,
};
use fluxmill::engine::{Engine, StoreWorld};
use fluxmill::error::Result;
use fluxmill::ingest::route::Routes;
use fluxmill::ingest::{Accept, Sink, SinkOptions};
use fluxmill::name::Name;
use fluxmill::store::{NewBucket, Store, StoreOptions};
use fluxmill::telemetry;
use tokio_util::sync::CancellationToken;

/// The embedded log, of which nothing can be read while it is held.
struct Held {
    inner: EmbeddedLog,
    held: AtomicBool,
}

#[async_trait]
impl CommitLog for Held {
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
        self.inner.append_atomic(producer, records).await
    }

    async fn take_over(&self, producer: &str) -> Result<()> {
        self.inner.take_over(producer).await
    }

    async fn read(&self, topic: &str, partition: u32, from: u64, max: usize, wait: Duration) -> Result<Fetched> {
        let fetched = self.inner.read(topic, partition, from, max, wait).await;
        if self.held.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(10)).await;
            return Ok(Fetched { records: Vec::new(), next_offset: from });
        }
        fetched
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
async fn a_write_is_refused_before_the_append_while_the_sink_is_too_far_behind() {
    let home = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let inner = EmbeddedLog::open(home.path().join("log"), EmbeddedOptions::default(), clock.clone()).unwrap();
    let held = Arc::new(Held { inner, held: AtomicBool::new(false) });
    let log: Arc<dyn CommitLog> = held.clone();
    let catalogue = Arc::new(Catalogue::open(&home.path().join("catalogue")).unwrap());
    let files = home.path().join("buckets");
    let store = Store::open(&files, StoreOptions::default(), catalogue, clock.clone()).await.unwrap();
    let store = Arc::new(store);
    store.create_bucket(NewBucket::named("b")).unwrap();
    let routes = Arc::new(Routes::default());
    let arrivals = Arc::new(ArrivalClock::new(clock.clone(), 0));
    let accept = Accept::open(routes.clone(), log.clone(), arrivals, 1, &[]).await.unwrap();
    let sink = Sink::start(log.clone(), store.clone(), routes, clock.clone(), SinkOptions::default()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let api = Api {
        sql: fluxmill::engine::sql::Sql::new(Arc::clone(&store)).unwrap(),
        store: store.clone(),
        log: log.clone(),
        accept,
        sink,
        engine: Arc::new(Engine::new()),
        world: Arc::new(StoreWorld::new(store.clone(), clock.clone())),
        tasks: None,
        tokens: Tokens::everybody(),
        org_id: "00000000000000aa".into(),
        metrics: telemetry::metrics().unwrap(),
        clock: clock.clone(),
        started_ns: clock.now_ns(),
        visible_timeout: Duration::from_millis(200),
        max_lag: 2,
        max_body: 1 << 20,
    };
    let stop = CancellationToken::new();
    let served = tokio::spawn(api::serve(listener, Arc::new(api), stop.clone()));
    let http = reqwest::Client::new();
    let write = async |number: usize| {
        let request = http.post(format!("{url}/api/v2/write?org=fluxmill&bucket=b")).body(format!("m v=1 {number}"));
        request.send().await.unwrap()
    };
    let end = async || held.inner.offsets("b", 0).await.unwrap().end;

    let taken = write(1).await;
    assert_eq!(taken.status(), 204);
    assert!(!taken.headers().contains_key("x-fluxmill-visible"), "it can be read");

    held.held.store(true, Ordering::SeqCst);
    // A read that had begun before may still give the first of these.
    for number in 2..=5 {
        let taken = write(number).await;
        assert!([204, 503].contains(&taken.status().as_u16()));
        if taken.status() == 204 && number > 2 {
            assert_eq!(taken.headers()["x-fluxmill-visible"], "pending");
        }
    }
    // The lag is measured twice a second.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let before = end().await;
    assert!(before >= 4);
    let refused = write(100).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "1");
    let body: serde_json::Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert_eq!(body["code"], "unavailable");
    assert!(body["message"].as_str().unwrap().contains("records behind the log"), "{body}");
    let delete = r#"{"start":"1970-01-01T00:00:00Z","stop":"1970-01-02T00:00:00Z"}"#;
    let request = http.post(format!("{url}/api/v2/delete?org=fluxmill&bucket=b")).body(delete);
    assert_eq!(request.send().await.unwrap().status(), 503);
    assert_eq!(end().await, before, "nothing of it is in the log");

    held.held.store(false, Ordering::SeqCst);
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let taken = write(100).await;
        if taken.status() == 204 {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "{}", taken.status());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.cancel();
    served.await.unwrap().unwrap();
}
