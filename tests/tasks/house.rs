//! A house of one data directory: log, catalogue, store, engine, tasks, and a sink that can be held back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fluxmill::catalogue::Catalogue;
use fluxmill::clock::{ArrivalClock, Clock, ManualClock};
use fluxmill::commitlog::{CommitLog, EmbeddedLog, EmbeddedOptions, NewRecord, Record};
use fluxmill::diagnostic::Source;
use fluxmill::engine::{CollectedResults, Engine, RunRequest, StoreWorld};
use fluxmill::error::Result;
use fluxmill::name::Name;
use fluxmill::plan::World;
use fluxmill::point::delete::{self, Delete};
use fluxmill::point::names::Names;
use fluxmill::point::{FieldValue, Point, result_json};
use fluxmill::store::{NewBucket, SeqDelete, SeqPoint, SourcePartition, Store, StoreOptions};
use fluxmill::table::scan::{PushOp, SourceRef, Taken};
use fluxmill::tasks::executor::WorldSource;
use fluxmill::tasks::{Parts, RunView, Settings, Tasks};
use fluxmill::time::rfc3339;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::plain;

pub const SECOND_NS: i64 = 1_000_000_000;
pub const MINUTE_NS: i64 = 60 * SECOND_NS;
pub const HOUR_NS: i64 = 60 * MINUTE_NS;

/// Counts what came in since the last success: the script at whose seams rows would be lost or counted twice.
pub const COUNTING: &str = r#"import "influxdata/influxdb/tasks"
option task = {name: "counting", every: 1m}
from(bucket: "raw")
    |> range(start: tasks.lastSuccess(orTime: -1h))
    |> group(columns: ["_measurement", "_field", "_stop"])
    |> count()
    |> to(bucket: "counts", timeColumn: "_stop")
"#;

pub fn at(text: &str) -> i64 {
    rfc3339::parse(text).unwrap()
}

/// What may be changed before a house opens.
pub struct Plan {
    pub settings: Box<dyn Fn(&mut Settings) + Send + Sync>,
    /// Wraps the world of runs.
    pub world: Option<Arc<dyn Fn(Arc<dyn World>) -> Arc<dyn World> + Send + Sync>>,
    /// Wraps the log as tasks see it.
    pub log: Option<Arc<dyn Fn(Arc<dyn CommitLog>) -> Arc<dyn CommitLog> + Send + Sync>>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { settings: Box::new(|_| {}), world: None, log: None }
    }
}

pub struct House {
    pub directory: Arc<tempfile::TempDir>,
    pub clock: Arc<ManualClock>,
    pub log: Arc<dyn CommitLog>,
    pub store: Arc<Store>,
    pub engine: Arc<Engine>,
    pub arrivals: Arc<ArrivalClock>,
    pub tasks: Tasks,
    pub sink: Sink,
}

impl House {
    /// A fresh house with a bucket `raw`, at a time.
    pub async fn new(now: &str, plan: &Plan) -> House {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(directory.path().join("tasks")).unwrap();
        Self::open(directory, at(now), plan).await
    }

    /// Opens what a directory holds. Rows are in memory only, so the sink begins at the logs' starts.
    pub async fn open(directory: Arc<tempfile::TempDir>, now_ns: i64, plan: &Plan) -> House {
        let root = directory.path();
        let clock = Arc::new(ManualClock::new(now_ns));
        let log: Arc<dyn CommitLog> =
            Arc::new(EmbeddedLog::open(root.join("log"), EmbeddedOptions::default(), clock.clone()).unwrap());
        let catalogue = Arc::new(Catalogue::open(&root.join("catalogue")).unwrap());
        let buckets = root.join("buckets");
        let store = Store::open(&buckets, StoreOptions::default(), catalogue.clone(), clock.clone()).await.unwrap();
        let store = Arc::new(store);
        store.create_bucket(NewBucket::named("raw")).unwrap();
        log.create_topic("raw", 2).await.unwrap();
        let engine = Arc::new(Engine::new());
        let arrivals = Arc::new(ArrivalClock::new(clock.clone(), 0));
        let plain: Arc<dyn World> = Arc::new(StoreWorld::new(store.clone(), clock.clone()));
        let world = plan.world.as_ref().map_or(plain.clone(), |wrap| wrap(plain.clone()));
        let source: WorldSource = Arc::new(move || world.clone());
        let mut settings = Settings::new(root.join("tasks"));
        (plan.settings)(&mut settings);
        let parts = Parts {
            log: plan.log.as_ref().map_or(log.clone(), |wrap| wrap(log.clone())),
            catalogue,
            store: store.clone(),
            engine: engine.clone(),
            world: source,
            clock: clock.clone(),
            arrivals: arrivals.clone(),
        };
        let tasks = Tasks::open(parts, settings).await.unwrap();
        let sink = Sink::start(log.clone(), store.clone());
        House { directory, clock, log, store, engine, arrivals, tasks, sink }
    }

    /// Closes it and opens it again, `after_ns` later.
    pub async fn reopen(self, after_ns: i64, plan: &Plan) -> House {
        let (directory, now_ns) = (self.directory.clone(), self.clock.now_ns() + after_ns);
        self.shut().await;
        Self::open(directory, now_ns, plan).await
    }

    pub async fn shut(self) {
        self.tasks.close().await.unwrap();
        self.sink.stop().await;
        self.log.close().await.unwrap();
    }

    pub fn clock_ns(&self) -> i64 {
        self.clock.now_ns()
    }

    pub fn task_file(&self, name: &str) -> PathBuf {
        self.directory.path().join("tasks").join(name)
    }

    /// Writes a task file and loads the directory.
    pub async fn task(&self, name: &str, flux: &str) {
        std::fs::write(self.task_file(name), flux).unwrap();
        self.tasks.load().await.unwrap();
    }

    /// A device's message: dated now, appended, in the log.
    pub async fn send(&self, value: i64) -> i64 {
        send(&self.log, &self.arrivals, value).await
    }

    /// Moves the clock and runs what is due.
    pub async fn advance(&self, nanoseconds: i64) {
        self.clock.advance(nanoseconds);
        self.tasks.run_due().await.unwrap();
    }

    /// The runs of a task that have ended, oldest slot first: slot, status, rows in.
    pub fn ended(&self, task: &str) -> Vec<RunView> {
        let mut runs = self.tasks.runs(task, usize::MAX).unwrap();
        runs.retain(|run| run.finished_at.is_some());
        runs.reverse();
        runs
    }

    /// The slots of a task's runs, oldest first.
    pub fn slots(&self, task: &str) -> Vec<String> {
        self.ended(task).iter().map(|run| rfc3339::to_short_text(run.scheduled_for)).collect()
    }

    /// The rows of a script's results, as text.
    pub async fn query(&self, flux: &str) -> Vec<plain::Table> {
        // What tasks have written becomes visible when the sink has read it.
        self.sink.catch_up(&self.log, &self.store).await;
        let world = Arc::new(StoreWorld::new(self.store.clone(), self.clock.clone()));
        let request = RunRequest::new(Source::new("query", flux), self.clock.now_ns() + HOUR_NS, world);
        let mut results = CollectedResults::default();
        self.engine.run(request, &mut results).await.unwrap();
        results.results.iter().flat_map(|result| plain::result(&result.name, &result.chunks).tables).collect()
    }

    /// Time and value of the points of bucket `counts`, by time.
    pub async fn counts(&self) -> BTreeMap<i64, i64> {
        let tables = self.query("from(bucket: \"counts\") |> range(start: 0)").await;
        let mut counts = BTreeMap::new();
        for table in tables {
            let column = |name: &str| table.columns.iter().position(|(own, ..)| own == name).unwrap();
            let (time, value) = (column("_time"), column("_value"));
            for row in &table.rows {
                let (plain::Value::Time(time_ns), plain::Value::Int(count)) = (&row[time], &row[value]) else {
                    panic!("a time and an integer, found {row:?}");
                };
                assert!(counts.insert(*time_ns, *count).is_none(), "two points at {time_ns}");
            }
        }
        counts
    }

    /// All records of a topic.
    pub async fn records(&self, topic: &str) -> Vec<Record> {
        let mut records = Vec::new();
        for partition in 0..self.log.topic(topic).await.unwrap().partitions {
            let range = self.log.offsets(topic, partition).await.unwrap();
            let mut from = range.start;
            while from < range.end {
                let fetched = self.log.read(topic, partition, from, 1_000, Duration::from_secs(5)).await.unwrap();
                from = fetched.next_offset;
                records.extend(fetched.records);
            }
        }
        records
    }
}

pub async fn send(log: &Arc<dyn CommitLog>, arrivals: &Arc<ArrivalClock>, value: i64) -> i64 {
    let arrival = arrivals.begin();
    let time_ns = arrival.time_ns();
    append(log, time_ns, value).await;
    time_ns
}

pub async fn append(log: &Arc<dyn CommitLog>, time_ns: i64, value: i64) {
    let record = NewRecord {
        topic: "raw".into(),
        partition: None,
        key: value.to_string().into(),
        headers: vec![("fm-time".into(), Bytes::from(time_ns.to_string()))],
        payload: value.to_string().into(),
        timestamp_ms: time_ns / 1_000_000,
    };
    log.append(vec![record]).await.unwrap();
}

/// Stands in for ingest's sink: it applies every topic of every bucket, unless it is held back.
pub struct Sink {
    state: Arc<SinkState>,
    worker: JoinHandle<()>,
}

#[derive(Default)]
struct SinkState {
    held: AtomicBool,
    stopped: AtomicBool,
    wake: Notify,
    applying: tokio::sync::Mutex<()>,
    positions: parking_lot::Mutex<BTreeMap<(String, u32), u64>>,
}

impl Sink {
    fn start(log: Arc<dyn CommitLog>, store: Arc<Store>) -> Sink {
        let state = Arc::new(SinkState::default());
        let worker = tokio::spawn({
            let state = state.clone();
            async move {
                while !state.stopped.load(Ordering::SeqCst) {
                    if state.held.load(Ordering::SeqCst) || !state.round(&log, &store).await {
                        // Looks again when it is told to, and now and then by itself, as a consumer polls.
                        let _ = tokio::time::timeout(Duration::from_millis(2), state.wake.notified()).await;
                    }
                }
            }
        });
        Sink { state, worker }
    }

    /// Applies nothing from now on.
    pub async fn hold(&self) {
        self.state.held.store(true, Ordering::SeqCst);
        // A round that has begun may still apply: wait until it is over.
        drop(self.state.applying.lock().await);
    }

    pub fn release(&self) {
        self.state.held.store(false, Ordering::SeqCst);
        self.state.wake.notify_one();
    }

    pub async fn stop(self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.state.wake.notify_one();
        self.worker.await.unwrap();
    }

    /// Waits until all that is in the log now is applied.
    async fn catch_up(&self, log: &Arc<dyn CommitLog>, store: &Store) {
        for bucket in store.buckets() {
            for topic in bucket.topics {
                let info = log.topic(&topic).await.unwrap();
                for partition in 0..info.partitions {
                    let end = log.offsets(&topic, partition).await.unwrap().end;
                    let source = SourcePartition { topic: topic.clone(), generation: info.generation, partition };
                    assert!(end == 0 || store.wait_applied(&source, end, Duration::from_secs(20)).await);
                }
            }
        }
    }
}

impl SinkState {
    /// Applies what there is; returns whether there was anything.
    async fn round(&self, log: &Arc<dyn CommitLog>, store: &Store) -> bool {
        let mut any = false;
        for bucket in store.buckets() {
            for topic in &bucket.topics {
                let Ok(info) = log.topic(topic).await else {
                    continue;
                };
                for partition in 0..info.partitions {
                    let source = SourcePartition { topic: topic.clone(), generation: info.generation, partition };
                    any |= self.apply(log, store, &bucket.id, &source).await;
                }
            }
        }
        any
    }

    async fn apply(&self, log: &Arc<dyn CommitLog>, store: &Store, bucket: &str, source: &SourcePartition) -> bool {
        let _one = self.applying.lock().await;
        if self.held.load(Ordering::SeqCst) {
            return false;
        }
        let key = (source.topic.to_string(), source.partition);
        let from = self.positions.lock().get(&key).copied().unwrap_or(0);
        let fetched = log.read(&source.topic, source.partition, from, 1_000, Duration::ZERO).await.unwrap();
        if fetched.next_offset <= from {
            return false;
        }
        let (deletes, rows): (Vec<_>, Vec<_>) = fetched.records.iter().partition(|record| {
            record.header("content-type").is_some_and(|own| own == delete::CONTENT_TYPE.as_bytes())
        });
        let rows: Vec<SeqPoint> = rows.into_iter().map(row).collect();
        let rejected = store.apply(bucket, source, &rows).unwrap();
        assert!(rejected.is_empty(), "{rejected:?}");
        for record in deletes {
            let delete = Delete::read(&record.payload).unwrap();
            if *store.bucket(&delete.bucket).unwrap().id == *bucket {
                let own = SeqDelete { offset: record.offset, seq: arrival(record), what: &delete.what };
                store.delete(bucket, source, own).unwrap();
            }
        }
        self.positions.lock().insert(key, fetched.next_offset);
        store.advance(source, fetched.next_offset);
        true
    }
}

fn arrival(record: &Record) -> i64 {
    std::str::from_utf8(record.header("fm-time").unwrap()).unwrap().parse().unwrap()
}

fn row(record: &Record) -> SeqPoint {
    let header = |name: &str| record.header(name).map(|value| std::str::from_utf8(value).unwrap().to_string());
    let time_ns = arrival(record);
    let point = match header("fm-schema") {
        Some(schema) => result_json::read(&record.payload, schema.as_bytes(), &mut Names::default()).unwrap(),
        None => Point {
            measurement: "m".into(),
            tags: vec![("partition".into(), record.key.len().to_string().as_str().into())],
            fields: vec![(
                "value".into(),
                FieldValue::Int(std::str::from_utf8(&record.payload).unwrap().parse().unwrap()),
            )],
            time_ns,
        },
    };
    SeqPoint { offset: record.offset, seq: time_ns, point }
}

/// A world that does something before each read of a bucket: count, block, fail, panic.
pub struct Before<F> {
    pub inner: Arc<dyn World>,
    pub before: F,
}

impl<F: Fn() -> Result<()> + Send + Sync> World for Before<F> {
    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        self.inner.bucket_id(name_or_id)
    }

    fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        (self.before)()?;
        self.inner.offer(source, ops, max)
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.inner.secret(name)
    }

    fn wall_clock_ns(&self) -> i64 {
        self.inner.wall_clock_ns()
    }
}

/// A plan in which `before` is called before each read of a bucket.
pub fn before_reads(before: impl Fn() -> Result<()> + Clone + Send + Sync + 'static) -> Plan {
    let world = move |inner: Arc<dyn World>| Arc::new(Before { inner, before: before.clone() }) as Arc<dyn World>;
    Plan { world: Some(Arc::new(world)), ..Plan::default() }
}

/// A door that runs stand at until it is opened.
#[derive(Clone, Default)]
pub struct Door(Arc<(parking_lot::Mutex<(bool, usize)>, parking_lot::Condvar, Notify)>);

impl Door {
    /// Blocks until the door is open.
    pub fn pass(&self) {
        let mut state = self.0.0.lock();
        state.1 += 1;
        self.0.2.notify_one();
        self.0.1.wait_while(&mut state, |(open, _)| !*open);
    }

    pub fn open(&self) {
        self.0.0.lock().0 = true;
        self.0.1.notify_all();
    }

    /// Waits until so many have come to the door.
    pub async fn reached_by(&self, count: usize) {
        while self.0.0.lock().1 < count {
            self.0.2.notified().await;
        }
    }
}
