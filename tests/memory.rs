//! What runs may hold: refusals that say who wants what, pools that get everything back, sorts and points that go to disk.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use fluxmill::config::{Bytes, QueryConfig};
use fluxmill::diagnostic::{Diagnostic, Source, render};
use fluxmill::engine::memory::MemoryWorld;
use fluxmill::engine::{
    BucketWrite, CollectedResults, DiscardResults, Engine, Limits, ResultSink, RunError, RunReport, RunRequest,
};
use fluxmill::error::{Error, ErrorKind, Result};
use fluxmill::point::{FieldValue, Point};
use fluxmill::table::Chunk;
use fluxmill::table::csv::{CsvWriter, Dialect};
use tokio_util::sync::CancellationToken;

const READ: &str = "from(bucket: \"plant\") |> range(start: 1970-01-01T00:00:00Z, stop: 1970-01-02T00:00:00Z)";

const REFUSAL: &str = r#"run

  × group wants BYTES bytes of memory; a run may take 100000, and its other steps have 0 of them
   ╭─[<test>:2:6]
 1 │ from(bucket: "plant") |> range(start: 1970-01-01T00:00:00Z, stop: 1970-01-02T00:00:00Z)
 2 │   |> group()
   ·      ───────
 3 │   |> map(fn: (r) => r)
   ╰────
  help: a shorter range, a filter or an aggregate earlier on takes less, or raise memory_per_run
        in [query] of the configuration

"#;

/// Points of some series, whose values are not in order and often equal.
fn plant(count: i64, series: i64) -> MemoryWorld {
    let point = |number: i64| Point {
        measurement: "m".into(),
        tags: vec![("h".into(), format!("{:03}", number % series).into())],
        fields: vec![("v".into(), FieldValue::Float((number * 7919 % 1000) as f64))],
        time_ns: number,
    };
    MemoryWorld::new().bucket("plant", (0..count).map(point).collect()).chunks_of(500)
}

/// An engine that may hold so much, in all and a run.
fn engine(memory: u64, memory_per_run: u64, folder: &Path) -> Engine {
    let limits = QueryConfig { memory: Bytes(memory), memory_per_run: Bytes(memory_per_run), disk: Bytes::mib(100) };
    Engine::with_limits(&limits, folder)
}

fn request(script: &str, world: MemoryWorld) -> RunRequest {
    RunRequest::new(Source::new("<test>", script), 1_000_000_000, Arc::new(world))
}

async fn run(engine: &Engine, script: &str, world: MemoryWorld) -> std::result::Result<RunReport, RunError> {
    engine.run(request(script, world), &mut DiscardResults).await
}

async fn refused(engine: &Engine, script: &str, world: MemoryWorld) -> Error {
    match run(engine, script, world).await {
        Err(error) => error.to_error(),
        Ok(_) => panic!("it was not refused: {script}"),
    }
}

/// The results as CSV.
async fn csv(engine: &Engine, script: &str, world: MemoryWorld) -> String {
    let mut results = CollectedResults::default();
    engine.run(request(script, world), &mut results).await.unwrap();
    let mut writer = CsvWriter::new(Vec::new(), Dialect::annotated());
    for result in &results.results {
        writer.begin_result(&result.name);
        result.chunks.iter().for_each(|chunk| writer.chunk(chunk).unwrap());
        writer.end_result().unwrap();
    }
    String::from_utf8(writer.into_inner()).unwrap()
}

/// The first number in a message: what was wanted.
fn wanted(message: &str) -> u64 {
    let digits: String = message.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

#[tokio::test]
async fn a_refusal_shows_the_operator_and_says_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{READ}\n  |> group()\n  |> map(fn: (r) => r)");
    // One stream of many shapes cannot pass through group before it has ended.
    let engine = engine(1 << 30, 100_000, folder.path());
    let error = refused(&engine, &script, plant(10_000, 5)).await;
    assert_eq!(error.kind(), ErrorKind::ResourceExhausted);
    let bytes = wanted(error.message());
    assert!(bytes > 100_000, "{error}");
    let source = Source::new("<test>", script.as_str());
    let mut diagnostic = Diagnostic::error("run", error.message(), error.span().unwrap());
    diagnostic.help = error.hint().map(str::to_owned);
    let found = render::to_text(&source, &[diagnostic]).replace(&bytes.to_string(), "BYTES");
    assert_eq!(found, REFUSAL);
    assert_eq!(engine.memory_taken(), 0);
}

/// Every operator that holds rows, or a state for each of many tables, says so.
#[tokio::test]
async fn whatever_holds_rows_is_refused_beyond_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |pipe: &str| format!("{READ} |> {pipe}");
    let pair = |join: &str| format!("l = {READ}\nr = {READ} |> map(fn: (r) => ({{r with w: 1}}))\n{join}");
    let scripts = [
        ("group", rows("group()")),
        ("group", rows("group(columns: [\"_value\"])")),
        ("pivot", rows("pivot(rowKey: [\"_time\"], columnKey: [\"h\"], valueColumn: \"_value\")")),
        ("window", rows("window(every: 1ns)")),
        ("window", rows("window(every: 1s, createEmpty: true)")),
        ("window", rows("aggregateWindow(every: 1s, fn: mode)")),
        ("aggregateWindow", rows("aggregateWindow(every: 1ns, fn: mean, createEmpty: false)")),
        ("aggregateWindow", rows("aggregateWindow(every: 1ns, fn: last, createEmpty: false)")),
        ("distinct", rows("map(fn: (r) => ({r with _value: string(v: r._time)})) |> distinct()")),
        ("unique", rows("unique(column: \"_time\")")),
        ("tail", rows("tail(n: 100000)")),
        ("mode", rows("mode()")),
        ("quantile", rows("quantile(q: 0.5, method: \"exact_selector\")")),
        ("quantile", rows("quantile(q: 0.5, method: \"exact_mean\")")),
        ("quantile", rows("quantile(q: 0.5, method: \"estimate_tdigest\", compression: 100000.0)")),
        ("movingAverage", rows("movingAverage(n: 100000)")),
        ("exponentialMovingAverage", rows("exponentialMovingAverage(n: 3)")),
        ("holtWinters", rows("holtWinters(n: 1, interval: 1ns)")),
        ("union", format!("union(tables: [{READ}, {READ}])")),
        ("join", pair("join(tables: {l: l, r: r}, on: [\"_time\", \"h\"])")),
        (
            "inner",
            format!(
                "import \"join\"\n{}",
                pair(
                    "join.inner(left: l, right: r, on: (l, r) => l._time == r._time, as: (l, r) => ({l with w: r.w}))"
                )
            ),
        ),
    ];
    for (name, script) in scripts {
        // Two tables, so that each of them is far beyond the limit.
        let engine = engine(1 << 30, 60_000, folder.path());
        let error = refused(&engine, &script, plant(20_000, 2)).await;
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{script}: {error}");
        assert!(error.message().starts_with(&format!("{name} wants ")), "{script}: {error}");
        assert!(wanted(error.message()) > 60_000, "{script}: {error}");
        assert!(error.span().is_some(), "{script}: {error}");
        assert_eq!(engine.memory_taken(), 0, "{script}");
    }
}

#[tokio::test]
async fn streams_read_during_evaluation_and_waiting_results_count() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        (
            format!(
                "import \"array\"\nv = {READ} |> findColumn(fn: (key) => true, column: \"_value\")\narray.from(rows: [{{n: length(arr: v)}}])"
            ),
            "a stream that is read during evaluation wants ",
        ),
        (
            format!("d = {READ}\nd |> yield(name: \"a\")\nd |> yield(name: \"b\")"),
            "rows that wait for their turn in the results want ",
        ),
    ];
    for (script, words) in cases {
        let engine = engine(1 << 30, 60_000, folder.path());
        let error = refused(&engine, &script, plant(20_000, 2)).await;
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{error}");
        assert!(error.message().starts_with(words), "{error}");
        assert_eq!(engine.memory_taken(), 0);
    }
}

/// What a join or overlapping windows make of a few rows is looked at while it is made.
#[tokio::test]
async fn few_rows_that_become_many_are_refused_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let cross = format!("l = {READ} |> map(fn: (r) => ({{r with k: 1}}))\njoin(tables: {{l: l, r: l}}, on: [\"k\"])",);
    let cases = [
        (cross, "join gives rows of "),
        (format!("{READ} |> window(every: 1ns, period: 5000ns)"), "window wants more than the "),
    ];
    for (script, words) in cases {
        let engine = engine(1 << 30, 4_000_000, folder.path());
        let error = refused(&engine, &script, plant(3_000, 2)).await;
        assert_eq!(error.kind(), ErrorKind::ResourceExhausted, "{script}: {error}");
        assert!(error.message().starts_with(words), "{script}: {error}");
        assert!(error.message().contains("bytes of memory that are left"), "{script}: {error}");
        assert!(error.span().is_some() && error.hint().is_some(), "{script}: {error:?}");
        assert_eq!(engine.memory_taken(), 0);
    }
}

#[tokio::test]
async fn a_request_may_ask_for_less() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(1 << 30, 1 << 30, folder.path());
    let limits = Limits { memory: 1_000, ..Limits::default() };
    let request = RunRequest { limits, ..request(&format!("{READ} |> group()"), plant(1_000, 2)) };
    let error = engine.run(request, &mut DiscardResults).await.unwrap_err().to_error();
    assert!(error.message().contains("a run may take 1000, and its other steps have 0 of them"), "{error}");
}

/// The first run's points are not durable yet and hold their memory: the second one, which fits alone, finds too little.
#[tokio::test]
async fn runs_share_what_the_process_has() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(1_500_000, 4_000_000, folder.path());
    let first = run(&engine, &format!("{READ} |> to(bucket: \"plant\")"), plant(5_000, 2)).await.unwrap();
    let held = engine.memory_taken();
    assert!(held > 5_000 * size_of::<Point>(), "{held}");

    let script = format!("{READ} |> group()");
    let error = refused(&engine, &script, plant(60_000, 2)).await;
    let words = format!("bytes of memory; all runs together may take 1500000, and others have {held} of them");
    assert!(error.message().starts_with("group wants ") && error.message().ends_with(&words), "{error}");
    let help = "try again later: a shorter range, a filter or an aggregate earlier on takes less, or raise memory in [query] \
                of the configuration";
    assert_eq!(error.hint(), Some(help));
    assert_eq!(engine.memory_taken(), held);

    drop(first);
    assert_eq!(engine.memory_taken(), 0);
    run(&engine, &script, plant(60_000, 2)).await.unwrap();
    assert_eq!(engine.memory_taken(), 0);
}

/// A sink that fails, or cancels the run, at the first rows.
struct Ends(Option<CancellationToken>);

#[async_trait]
impl ResultSink for Ends {
    async fn begin_result(&mut self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn chunk(&mut self, _chunk: Chunk) -> Result<()> {
        match &self.0 {
            Some(cancel) => {
                cancel.cancel();
                Ok(())
            }
            None => Err(Error::unavailable("the client has gone away")),
        }
    }

    async fn end_result(&mut self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_run_that_ends_early_gives_everything_back() {
    let folder = tempfile::tempdir().unwrap();
    // The first result comes at once; the second one is on disk and in memory by then.
    let script =
        format!("{READ} |> sort(columns: [\"_value\"]) |> yield(name: \"a\")\n{READ} |> group() |> yield(name: \"b\")");
    let failures = [format!("{script}\n{READ} |> sum(column: \"nowhere\") |> yield(name: \"c\")"), script.clone()];
    for script in failures {
        for cancels in [false, true] {
            let engine = engine(1 << 30, 500_000, folder.path());
            let request = request(&script, plant(20_000, 2));
            let mut sink = Ends(cancels.then(|| request.cancel.clone()));
            engine.run(request, &mut sink).await.unwrap_err();
            assert_eq!((engine.memory_taken(), engine.disk_taken()), (0, 0));
        }
    }
}

#[tokio::test]
async fn a_sort_beyond_the_limit_goes_to_disk_and_answers_the_same() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let scripts = [
        format!("{READ} |> sort(columns: [\"_value\"])"),
        format!("{READ} |> sort(columns: [\"_value\"], desc: true) |> limit(n: 9000, offset: 10)"),
        format!("{READ} |> sort(columns: [\"_value\", \"_time\"], desc: true) |> cumulativeSum()"),
    ];
    for script in scripts {
        let small = engine(1 << 30, 400_000, folder.path());
        let large = engine(1 << 30, 1 << 30, other.path());
        let found = csv(&small, &script, plant(30_000, 2)).await;
        assert_eq!(found, csv(&large, &script, plant(30_000, 2)).await);
        assert_eq!((small.memory_taken(), small.disk_taken()), (0, 0));
        // It could not have done so without the disk.
        let limits = QueryConfig { memory_per_run: Bytes(400_000), disk: Bytes(0), ..QueryConfig::default() };
        let error = refused(&Engine::with_limits(&limits, folder.path()), &script, plant(30_000, 2)).await;
        assert!(error.message().contains("bytes on disk, and others have 0 of the 0 there are"), "{error}");
        assert!(error.span().is_some());
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The points of a run: by bucket, each identity with its fields, sorted.
fn points(report: RunReport) -> Vec<(String, Vec<String>)> {
    let lines = |write: BucketWrite| {
        let points = write.points.merged().map(|point| format!("{:?}", point.unwrap()));
        let mut lines: Vec<String> = points.collect();
        lines.sort();
        (write.bucket_name.to_string(), lines)
    };
    report.writes.into_iter().map(lines).collect()
}

#[tokio::test]
async fn points_beyond_the_limit_go_to_disk_and_are_the_same() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let world = || plant(30_000, 2).bucket("down", Vec::new());
    let scripts = [
        format!("{READ} |> to(bucket: \"plant\")"),
        // Every identity is written three times: by two calls, and by the second one with two fields.
        format!(
            "d = {READ}\nd |> to(bucket: \"down\")\nl = d |> map(fn: (r) => ({{r with _value: r._value * 2.0}}))\n\
             r = d |> map(fn: (r) => ({{r with _field: \"w\"}}))\nunion(tables: [l, r]) |> group(columns: [\"h\"]) |> to(bucket: \"down\")"
        ),
        format!("{READ} |> to(bucket: \"plant\")\n{READ} |> sort(columns: [\"_value\"]) |> to(bucket: \"down\")"),
    ];
    for script in scripts {
        let small = engine(1 << 30, 3_000_000, folder.path());
        let large = engine(1 << 30, 1 << 30, other.path());
        let found = run(&small, &script, world()).await.unwrap();
        let expected = run(&large, &script, world()).await.unwrap();
        assert!(small.disk_taken() > 0 && small.memory_taken() < 3_000_000, "{script}");
        assert_eq!((found.rows_out, large.disk_taken()), (expected.rows_out, 0));
        let (found, expected) = (points(found), points(expected));
        assert!(found == expected, "{script}");
        assert!(found.iter().all(|(_, lines)| lines.len() == 30_000));
        assert_eq!((small.memory_taken(), small.disk_taken(), large.memory_taken()), (0, 0, 0));
        // It could not have done so without the disk.
        let limits = QueryConfig { memory_per_run: Bytes(3_000_000), disk: Bytes(0), ..QueryConfig::default() };
        let error = refused(&Engine::with_limits(&limits, folder.path()), &script, world()).await;
        assert!(error.message().contains("bytes on disk, and others have 0 of the 0 there are"), "{error}");
        assert!(error.span().is_some());
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_to_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let engine = engine(1 << 30, 400_000, &file.join("staging"));
    let error = refused(&engine, &format!("{READ} |> sort(columns: [\"_value\"])"), plant(30_000, 2)).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("file/staging"), "{error}");
}
