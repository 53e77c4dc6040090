//! The engine as its callers use it: back-pressure, cancellation, limits, reports, plans of tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use fluxmill::catalogue::Catalogue;
use fluxmill::clock::ManualClock;
use fluxmill::diagnostic::Source;
use fluxmill::engine::memory::MemoryWorld;
use fluxmill::engine::{
    CollectedResults, DiscardResults, Engine, Limits, ResultSink, RunError, RunReport, RunRequest, Stage, StoreWorld,
};
use fluxmill::error::{Error, ErrorKind, Result};
use fluxmill::name::Name;
use fluxmill::plan::World;
use fluxmill::point::{FieldValue, Point};
use fluxmill::store::{NewBucket, SeqPoint, SourcePartition, Store, StoreOptions};
use fluxmill::table::Chunk;
use fluxmill::table::scan::{ChunkSource, PushOp, Scan, SourceRef, Taken};
use futures::future::BoxFuture;
use tokio::sync::Notify;

use crate::support::plain;

const READ: &str = "from(bucket: \"plant\") |> range(start: 1970-01-01T00:00:00Z, stop: 1970-01-02T00:00:00Z)";

/// A range in which there are not too many windows.
const READ_SHORT: &str =
    "from(bucket: \"plant\") |> range(start: 1970-01-01T00:00:00Z, stop: 1970-01-01T00:00:00.0000003Z)";

fn points(count: i64) -> Vec<Point> {
    let point = |number: i64| Point {
        measurement: "m".into(),
        tags: Vec::new(),
        fields: vec![("v".into(), FieldValue::Int(number))],
        time_ns: number,
    };
    (0..count).map(point).collect()
}

fn plant(count: i64) -> MemoryWorld {
    MemoryWorld::new().bucket("plant", points(count))
}

fn request(script: &str, world: Arc<dyn World>) -> RunRequest {
    RunRequest::new(Source::new("<test>", script), 1_000_000_000, world)
}

async fn run(script: &str, world: impl World + 'static) -> std::result::Result<RunReport, RunError> {
    Engine::new().run(request(script, Arc::new(world)), &mut DiscardResults).await
}

/// A world over another one that counts what is opened and pulled, and may stop giving after some chunks.
struct Watched {
    inner: MemoryWorld,
    opened: AtomicUsize,
    pulled: Arc<AtomicUsize>,
    /// Sources wait for ever after so many chunks.
    stall_after: usize,
    stalled: Arc<Notify>,
    /// Told when a stalled source is dropped.
    dropped: Arc<Notify>,
}

impl Watched {
    fn new(inner: MemoryWorld) -> Watched {
        Watched {
            inner,
            opened: AtomicUsize::new(0),
            pulled: Arc::default(),
            stall_after: usize::MAX,
            stalled: Arc::default(),
            dropped: Arc::default(),
        }
    }
}

impl World for Watched {
    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        self.inner.bucket_id(name_or_id)
    }

    fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let mut taken = self.inner.offer(source, ops, max)?;
        let Scan { partitions, .. } = &mut taken.scan;
        for partition in std::mem::take(partitions) {
            partitions.push(Box::new(WatchedSource {
                inner: partition,
                given: 0,
                stall_after: self.stall_after,
                pulled: Arc::clone(&self.pulled),
                stalled: Arc::clone(&self.stalled),
                dropped: Arc::clone(&self.dropped),
            }));
        }
        Ok(taken)
    }

    fn secret(&self, name: &str) -> Option<String> {
        World::secret(&self.inner, name)
    }

    fn wall_clock_ns(&self) -> i64 {
        self.inner.wall_clock_ns()
    }
}

struct WatchedSource {
    inner: Box<dyn ChunkSource>,
    given: usize,
    stall_after: usize,
    pulled: Arc<AtomicUsize>,
    stalled: Arc<Notify>,
    dropped: Arc<Notify>,
}

impl ChunkSource for WatchedSource {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        Box::pin(async move {
            if self.given == self.stall_after {
                self.stalled.notify_one();
                std::future::pending::<()>().await;
            }
            self.given += 1;
            self.pulled.fetch_add(1, Ordering::SeqCst);
            self.inner.next().await
        })
    }
}

impl Drop for WatchedSource {
    fn drop(&mut self) {
        self.dropped.notify_one();
    }
}

/// A sink that compares what it has taken with what has been pulled.
struct Slow {
    pulled: Arc<AtomicUsize>,
    taken: usize,
    most_ahead: usize,
}

#[async_trait]
impl ResultSink for Slow {
    async fn begin_result(&mut self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn chunk(&mut self, _chunk: Chunk) -> Result<()> {
        // Lets the run go on for as long as it can.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.taken += 1;
        self.most_ahead = self.most_ahead.max(self.pulled.load(Ordering::SeqCst) - self.taken);
        Ok(())
    }

    async fn end_result(&mut self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_slow_sink_holds_the_run_back() {
    let world = Watched::new(plant(500).chunks_of(1));
    let mut sink = Slow { pulled: Arc::clone(&world.pulled), taken: 0, most_ahead: 0 };
    let report = Engine::new().run(request(READ, Arc::new(world)), &mut sink).await.unwrap();
    assert_eq!((sink.taken, report.rows_in, report.rows_returned), (500, 500, 500));
    assert!(sink.most_ahead <= 8, "{} chunks were read ahead of the sink", sink.most_ahead);
}

#[tokio::test]
async fn an_error_of_the_sink_ends_the_run() {
    struct Full;

    #[async_trait]
    impl ResultSink for Full {
        async fn begin_result(&mut self, _name: &str) -> Result<()> {
            Ok(())
        }

        async fn chunk(&mut self, _chunk: Chunk) -> Result<()> {
            Err(Error::unavailable("the client has gone"))
        }

        async fn end_result(&mut self) -> Result<()> {
            Ok(())
        }
    }

    let world = Watched::new(plant(500).chunks_of(1));
    let pulled = Arc::clone(&world.pulled);
    let error = Engine::new().run(request(READ, Arc::new(world)), &mut Full).await.unwrap_err();
    assert_eq!(error.to_string(), "the client has gone");
    assert!(pulled.load(Ordering::SeqCst) <= 10);
}

#[tokio::test]
async fn a_cancelled_run_ends_while_its_source_waits() {
    let world = Watched { stall_after: 1, ..Watched::new(plant(3).chunks_of(1)) };
    let stalled = Arc::clone(&world.stalled);
    let request = request(READ, Arc::new(world));
    let cancel = request.cancel.clone();
    let mut sink = DiscardResults;
    let engine = Engine::new();
    let (done, ()) = tokio::join!(engine.run(request, &mut sink), async move {
        stalled.notified().await;
        cancel.cancel();
    });
    assert_eq!(done.unwrap_err().kind(), ErrorKind::Canceled);
}

#[tokio::test]
async fn dropping_the_run_ends_it() {
    let world = Watched { stall_after: 1, ..Watched::new(plant(3).chunks_of(1)) };
    let (stalled, dropped) = (Arc::clone(&world.stalled), Arc::clone(&world.dropped));
    let request = request(READ, Arc::new(world));
    let running = tokio::spawn(async move { Engine::new().run(request, &mut DiscardResults).await.is_ok() });
    stalled.notified().await;
    running.abort();
    dropped.notified().await;
    assert!(running.await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn a_shared_source_is_read_once() {
    let world = Arc::new(Watched::new(plant(10)));
    let script = format!("data = {READ}\ndata |> yield(name: \"a\")\ndata |> group() |> yield(name: \"b\")");
    let report = Engine::new().run(request(&script, Arc::clone(&world) as _), &mut DiscardResults).await.unwrap();
    assert_eq!(world.opened.load(Ordering::SeqCst), 1);
    assert_eq!((report.rows_in, report.rows_returned), (10, 20));
    assert_eq!(report.sources.len(), 1);
}

#[tokio::test]
async fn limits_are_clear_refusals() {
    let engine = Engine::new();
    let limits = [
        (Limits { rows_read: 9, ..Limits::default() }, READ.to_owned(), "more than 9 rows"),
        (
            Limits { staged_points: 9, ..Limits::default() },
            format!("{READ} |> to(bucket: \"plant\")"),
            "more than 9 points",
        ),
        (
            Limits { waiting_bytes: 50, ..Limits::default() },
            format!("data = {READ}\ndata |> yield(name: \"a\")\ndata |> yield(name: \"b\")"),
            "more than the limit of 50",
        ),
        (
            Limits { waiting_bytes: 50, ..Limits::default() },
            format!(
                "import \"array\"\nv = {READ} |> findColumn(fn: (key) => true, column: \"_value\")\n\
                     array.from(rows: [{{n: length(arr: v)}}])"
            ),
            "more than 50 bytes",
        ),
    ];
    for (limits, script, words) in limits {
        let request = RunRequest { limits, ..request(&script, Arc::new(plant(10))) };
        let error = engine.run(request, &mut DiscardResults).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_failed_run_tells_what_it_read_and_hands_out_no_points() {
    let script = format!("{READ} |> to(bucket: \"plant\") |> sum(column: \"nowhere\")");
    let RunError::Failed { error, report } = run(&script, plant(10)).await.unwrap_err() else {
        panic!("it ran");
    };
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.span().is_some());
    assert_eq!((report.rows_in, report.sources.len()), (10, 1));
    assert!(report.writes.is_empty());
}

#[tokio::test]
async fn points_are_staged_and_not_written() {
    let world = Arc::new(plant(10));
    let script = format!("{READ} |> to(bucket: \"plant\")");
    let report = Engine::new().run(request(&script, Arc::clone(&world) as _), &mut DiscardResults).await.unwrap();
    assert_eq!((report.rows_in, report.rows_out), (10, 10));
    assert_eq!(report.writes.len(), 1);
    assert_eq!((&*report.writes[0].bucket_name, report.writes[0].points.len()), ("plant", 10));
}

#[tokio::test]
async fn a_script_with_errors_does_not_run() {
    let world = Watched::new(plant(1));
    let script = format!("{READ}\nnowhere()");
    let RunError::Refused(diagnostics) = run(&script, world).await.unwrap_err() else {
        panic!("it was refused");
    };
    assert!(diagnostics.iter().any(|one| one.message.contains("nowhere")), "{diagnostics:?}");
    let engine = Engine::new();
    assert_eq!(engine.check(&Source::new("<test>", &*script)), diagnostics);
    assert!(engine.check(&Source::new("<test>", READ)).is_empty());
}

#[tokio::test]
async fn results_come_one_after_the_other() {
    let script = format!("data = {READ}\ndata |> yield(name: \"b\")\ndata |> yield(name: \"a\")");
    let mut results = CollectedResults::default();
    let world = Arc::new(plant(10).chunks_of(3));
    Engine::new().run(request(&script, world), &mut results).await.unwrap();
    let names: Vec<(&str, bool, usize)> =
        results.results.iter().map(|result| (&*result.name, result.complete, result.chunks.len())).collect();
    assert_eq!(names, [("b", true, 4), ("a", true, 4)]);
}

#[tokio::test]
async fn the_plan_is_told_without_reading() {
    let world = Watched { stall_after: 0, ..Watched::new(plant(10)) };
    let script = format!("data = {READ}\ndata |> yield(name: \"a\")\ndata |> group() |> to(bucket: \"plant\")");
    let text = Engine::new().explain(request(&script, Arc::new(world))).await.unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert!(lines[0].starts_with("#0 scan bucket"), "{text}");
    assert!(lines.contains(&"#1 result \"a\" <- #0"), "{text}");
    assert!(lines.iter().any(|line| line.starts_with("#2 group(") && line.ends_with("<- #0")), "{text}");
    assert!(lines.iter().any(|line| line.contains("to(bucket: \"plant\")")), "{text}");
}

/// reads, writes, complete.
fn buckets(script: &str) -> (Vec<String>, Vec<String>, bool) {
    let plan = Engine::new().plan_task(&Source::new("<test>", script), 1_000_000_000).unwrap();
    let names = |names: &[Name]| names.iter().map(|name| name.to_string()).collect();
    (names(&plan.reads), names(&plan.writes), plan.complete)
}

#[test]
fn the_buckets_of_a_task_are_found_without_a_world() {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let script = "
        source = \"raw\"
        data = from(bucket: source) |> range(start: -1h)
        unused = from(bucket: \"unused\") |> range(start: -1h)
        data |> to(bucket: \"coarse\")
        from(bucket: \"other\") |> range(start: -1h) |> to(bucket: \"coarse\")";
    assert_eq!(buckets(script), (own(&["raw", "other"]), own(&["coarse"]), true));

    // What is read while the script is evaluated counts too, and what depends on it is not known for sure.
    let script = "
        last = from(bucket: \"state\") |> range(start: -1h) |> findRecord(fn: (key) => true, idx: 0)
        from(bucket: \"raw\") |> range(start: if exists last._time then last._time else -1h) |> to(bucket: \"out\")";
    assert_eq!(buckets(script), (own(&["state", "raw"]), own(&["out"]), false));

    // A script that fails without its data: the literal names.
    let script = "
        t = from(bucket: \"state\") |> range(start: -1h) |> tableFind(fn: (key) => true)
        from(bucket: \"raw\") |> range(start: -1h) |> set(key: \"v\", value: (t |> getRecord(idx: 0)).v) |> to(bucket: \"out\")";
    assert_eq!(buckets(script), (own(&["state", "raw"]), own(&["out"]), false));

    assert!(Engine::new().plan_task(&Source::new("<test>", "from(bucket: "), 0).is_err());
}

/// A store with a few measurements whose scans are cut into stretches of a few rows: some series have a tag `site`, some
/// fields are of another type.
async fn plant_in_stretches(directory: &std::path::Path) -> Arc<dyn World> {
    let catalogue = Arc::new(Catalogue::open(&directory.join("catalogue")).unwrap());
    let clock = Arc::new(ManualClock::new(1_000_000_000));
    let options = StoreOptions { scan_stretch_rows: 4, ..StoreOptions::default() };
    let store = Store::open(directory, options, catalogue, Arc::clone(&clock) as _).await.unwrap();
    let bucket = store.create_bucket(NewBucket::named("plant")).unwrap();
    let source = SourcePartition { topic: "plant".into(), generation: 0, partition: 0 };
    let point = |number: u64| {
        let host = format!("h{:02}", number % 17);
        let mut tags = vec![("host".into(), host.as_str().into())];
        if number % 17 > 11 {
            tags.push(("site".into(), "s".into()));
        }
        let value = 0.1 * (number as f64) - 3.0;
        let mut fields = vec![("v".into(), FieldValue::Float(value))];
        if number.is_multiple_of(3) {
            fields.push(("n".into(), FieldValue::Int(number as i64)));
        }
        let point = Point { measurement: "m".into(), tags, fields, time_ns: number as i64 };
        SeqPoint { offset: number, seq: 1_000_000_000 + number as i64, point }
    };
    let rows: Vec<SeqPoint> = (0..300).map(point).collect();
    assert!(store.apply(&bucket.id, &source, &rows).unwrap().is_empty());
    Arc::new(StoreWorld::new(Arc::new(store), clock))
}

/// All that a run tells: results, counts, warnings, the error, and what each step has done.
async fn everything(script: &str, world: &Arc<dyn World>, cores: usize, limits: Limits) -> String {
    let request = RunRequest { cores, limits, max_push_ops: 0, ..request(script, Arc::clone(world)) };
    let engine = Engine::new();
    let mut results = CollectedResults::default();
    let mut text = match engine.run(request.clone(), &mut results).await {
        Ok(report) => format!("{report:?}\n"),
        Err(RunError::Failed { error, report }) => format!("{error:?}\n{report:?}\n"),
        Err(error) => panic!("{script}: {error}"),
    };
    for result in &results.results {
        text.push_str(&format!("{} {}\n", result.complete, plain::result(&result.name, &result.chunks)));
    }
    if let Ok(explanation) = engine.explain_stages(request, &[Stage::Plan], true).await {
        for step in explanation.plan.unwrap().steps {
            let figures = step.figures.unwrap();
            text.push_str(&format!("{} {} {}\n", figures.rows_in, figures.rows_out, figures.tables_out));
        }
    }
    text
}

/// What is expected is the same run on one core.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_tells_the_same_on_any_number_of_cores() {
    let directory = tempfile::tempdir().unwrap();
    let world = plant_in_stretches(directory.path()).await;
    let scripts = [
        "",
        "|> filter(fn: (r) => r._field == \"v\") |> map(fn: (r) => ({r with _value: r._value * 3.0})) |> sum()",
        "|> mean()",
        "|> max(column: \"site\")",
        "|> first(column: \"site\")",
        "|> min() |> group() |> sum()",
        "|> derivative(unit: 1ns) |> cumulativeSum() |> sort(desc: true) |> limit(n: 2)",
        "|> reduce(fn: (r, accumulator) => ({n: accumulator.n + 1}), identity: {n: 0})",
        "|> map(fn: (r) => ({r with _value: r._value * 3.0})) |> aggregateWindow(every: 70ns, fn: mean)",
        "|> filter(fn: (r) => r._field == \"v\") |> aggregateWindow(every: 90ns, fn: median, createEmpty: false)",
        "|> aggregateWindow(every: 50ns, fn: last, createEmpty: false)",
        "|> aggregateWindow(every: 50ns, fn: max, column: \"site\", createEmpty: false)",
        "|> aggregateWindow(every: 50ns, fn: first, column: \"site\", createEmpty: false)",
        // Of some tables the key changes.
        "|> set(key: \"site\", value: \"t\") |> sum()",
        "|> limit(n: 3) |> map(fn: (r) => ({r with site: \"t\"})) |> sum()",
        "|> map(fn: (r) => ({host: r.host, _value: float(v: r._value)})) |> sum()",
        // Some fail: early, in the middle, at the end, and behind what is copied.
        "|> sum() |> map(fn: (r) => ({r with x: if r.host == \"h07\" then die(msg: r.host) else r._value}))",
        "|> map(fn: (r) => ({r with _value: string(v: r._value)})) |> sum()",
        "|> filter(fn: (r) => r._field == \"v\" and r.host > \"h04\") |> histogram(bins: [9.0, 24.0])",
        "|> first(column: \"nowhere\")",
        "|> limit(n: 2) |> group() |> sum(column: \"nowhere\")",
        "|> to(bucket: \"plant\") |> spread()",
    ];
    for script in scripts {
        let script = format!("{READ_SHORT} {script}");
        for rows_read in [u64::MAX, 150] {
            let limits = Limits { rows_read, ..Limits::default() };
            let one = everything(&script, &world, 1, limits).await;
            for cores in [2, 3, 8] {
                assert_eq!(everything(&script, &world, cores, limits).await, one, "{script} on {cores} cores");
            }
        }
    }
}
