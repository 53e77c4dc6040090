//! Golden queries: every `fixtures/query/**/<case>.flux` against the tables, points or error beside it.
//!
//! `fixtures/query/README.md` says how a case is written. Each case runs many times (the sweep): over points in memory and
//! over a store, with every number of operators offered to the scan, with chunks cut small, on one core and on several; all
//! runs must agree bit for bit, and the first is compared with the expectation.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fluxmill::catalogue::Catalogue;
use fluxmill::clock::ManualClock;
use fluxmill::diagnostic::Source;
use fluxmill::engine::memory::MemoryWorld;
use fluxmill::engine::{Engine, RunRequest, StoreWorld};
use fluxmill::name::Name;
use fluxmill::plan::World;
use fluxmill::point::Point;
use fluxmill::point::line_protocol;
use fluxmill::point::names::Names;
use fluxmill::store::{NewBucket, SeqPoint, SourcePartition, Store, StoreOptions};
use fluxmill::table::csv;
use fluxmill::time::rfc3339;

use crate::support::outcome::Outcome;
use crate::support::plain;

/// The sweep offers at most so many operators to a scan; no case has a longer pipeline that a scan could take.
const MOST_PUSH_OPS: usize = 6;

/// The sweep runs on so many cores at most. The store cuts its scans into stretches of a few rows, so that there is
/// something to do for each of them.
const MOST_CORES: usize = 3;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A case as its header describes it.
struct Case {
    path: PathBuf,
    source: Source,
    now_ns: i64,
    last_success_ns: Option<i64>,
    buckets: Vec<(String, Vec<Point>)>,
    warnings: Vec<String>,
    empty_results: Vec<String>,
}

impl Case {
    fn read(path: &Path) -> Result<Case, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let name = path.strip_prefix(root()).unwrap_or(path).display().to_string();
        let mut case = Case {
            path: path.to_owned(),
            source: Source::new(name, text.clone()),
            now_ns: 0,
            last_success_ns: None,
            buckets: Vec::new(),
            warnings: Vec::new(),
            empty_results: Vec::new(),
        };
        let mut expectation = false;
        for line in text.lines().map_while(|line| line.strip_prefix("//")) {
            let Some((word, rest)) = line.trim().split_once(": ") else { continue };
            match word {
                "now" => case.now_ns = rfc3339::parse(rest).map_err(|error| error.to_string())?,
                "last success" => {
                    case.last_success_ns = Some(rfc3339::parse(rest).map_err(|error| error.to_string())?);
                }
                "bucket" => case.buckets.push((rest.to_owned(), Vec::new())),
                "data" => {
                    let points = points(&root().join(rest))?;
                    let Some((_, bucket)) = case.buckets.last_mut() else {
                        return Err("`data:` stands before any `bucket:`".to_owned());
                    };
                    bucket.extend(points);
                }
                "empty result" => case.empty_results.push(rest.to_owned()),
                "warning" => case.warnings.push(rest.to_owned()),
                "expectation" => expectation = true,
                _ => {}
            }
        }
        if !expectation {
            return Err("the header has no `// expectation:` that says where the expected answer comes from".to_owned());
        }
        Ok(case)
    }

    fn beside(&self, extension: &str) -> Option<String> {
        fs::read_to_string(self.path.with_extension(extension)).ok()
    }

    fn memory(&self) -> MemoryWorld {
        let mut world = MemoryWorld::new();
        for (name, points) in &self.buckets {
            world = world.bucket(name, points.clone());
        }
        world
    }

    /// A store in a fresh directory whose rows came in several parts, with a flush after every so many of them.
    async fn store(&self, directory: &Path, flush_every: usize) -> (StoreWorld, Arc<Store>) {
        let catalogue = Arc::new(Catalogue::open(&directory.join("catalogue")).unwrap());
        let clock = Arc::new(ManualClock::new(self.now_ns));
        // Small stretches, so that scans are cut.
        let options = StoreOptions { scan_stretch_rows: 5, ..StoreOptions::default() };
        let store = Store::open(directory, options, catalogue, Arc::clone(&clock) as _).await.unwrap();
        for (name, points) in &self.buckets {
            let bucket = store.create_bucket(NewBucket::named(name)).unwrap();
            let source = SourcePartition { topic: name.as_str().into(), generation: 0, partition: 0 };
            for (part, points) in points.chunks(7).enumerate() {
                let at = |index: usize| (part * 7 + index) as u64;
                let rows: Vec<SeqPoint> = (points.iter().enumerate())
                    .map(|(index, point)| SeqPoint {
                        offset: at(index),
                        // Newer than any point's time: a store refuses points far ahead of their arrival.
                        seq: i64::MAX / 2 + at(index) as i64,
                        point: point.clone(),
                    })
                    .collect();
                let rejected = store.apply(&bucket.id, &source, &rows).unwrap();
                assert!(rejected.is_empty(), "{}: {rejected:?}", self.path.display());
                store.advance(&source, at(points.len()));
                if (part + 1) % flush_every == 0 {
                    store.flush_all().await.unwrap();
                }
            }
        }
        let store = Arc::new(store);
        (StoreWorld::new(Arc::clone(&store), clock), store)
    }

    async fn run(&self, engine: &Engine, world: Arc<dyn World>, max_push_ops: usize, cores: usize) -> Outcome {
        let request = RunRequest {
            last_success_ns: self.last_success_ns,
            max_push_ops,
            cores,
            ..RunRequest::new(self.source.clone(), self.now_ns, world)
        };
        Outcome::of(engine, request).await
    }
}

fn points(path: &Path) -> Result<Vec<Point>, String> {
    let body = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let options = line_protocol::Options { precision: line_protocol::Precision::Nanoseconds, default_time_ns: 0 };
    let parsed = line_protocol::parse(&body, options, &mut Names::default());
    match parsed.errors.iter().chain(&parsed.refused).next() {
        Some(bad) => Err(format!("{}:{}: {}", path.display(), bad.number, bad.message)),
        None => Ok(parsed.lines.into_iter().map(|line| line.point).collect()),
    }
}

fn cases() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("fixtures/query")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "flux") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What is wrong with a case; empty if nothing is.
async fn check(path: &Path, engine: &Engine) -> Vec<String> {
    let case = match Case::read(path) {
        Ok(case) => case,
        Err(problem) => return vec![problem],
    };
    let mut problems = Vec::new();
    let plain = case.run(engine, Arc::new(case.memory()), 0, 1).await;
    compare(&case, &plain, &mut problems);

    let mut others: Vec<(String, Outcome)> = Vec::new();
    for rows in [1, 2, 3] {
        let world = Arc::new(case.memory().chunks_of(rows));
        others.push((format!("chunks of {rows} rows"), case.run(engine, world, usize::MAX, 1).await));
    }
    // Without points there is nothing that a store could answer in another way.
    let pushes = if case.buckets.iter().any(|(_, points)| !points.is_empty()) { MOST_PUSH_OPS + 1 } else { 0 };
    let directory = tempfile::tempdir().unwrap();
    if pushes > 0 {
        let (world, _) = case.store(&directory.path().join("memory"), usize::MAX).await;
        let world: Arc<dyn World> = Arc::new(world);
        for max in 0..pushes {
            for cores in 1..=MOST_CORES {
                let outcome = case.run(engine, Arc::clone(&world), max, cores).await;
                others.push((format!("a store that takes up to {max}, on {cores} cores"), outcome));
            }
        }
        // The same points in memory and many small files, then in few sorted ones.
        let (world, store) = case.store(&directory.path().join("files"), 2).await;
        let world: Arc<dyn World> = Arc::new(world);
        for max in [0, pushes] {
            for cores in 1..=MOST_CORES {
                let outcome = case.run(engine, Arc::clone(&world), max, cores).await;
                others.push((format!("a store with files that takes up to {max}, on {cores} cores"), outcome));
            }
        }
        for bucket in store.buckets() {
            store.compact_bucket(&bucket.id).await.unwrap();
        }
        for max in [0, pushes] {
            let outcome = case.run(engine, Arc::clone(&world), max, 1).await;
            others.push((format!("a compacted store that takes up to {max}"), outcome));
        }
    }
    for (what, other) in others {
        if other != plain {
            problems.push(format!("{what} answers differently:\n{other}--- than the plain path:\n{plain}"));
        }
    }
    problems
}

fn compare(case: &Case, outcome: &Outcome, problems: &mut Vec<String>) {
    let (tables, lines, error) = (case.beside("csv"), case.beside("lp"), case.beside("error.txt"));
    if tables.is_none() && lines.is_none() && error.is_none() {
        problems.push(format!("nothing is expected: no .csv, .lp or .error.txt beside it; it gave:\n{outcome}"));
        return;
    }
    match outcome {
        Outcome::Failed(text) => {
            if error.as_deref() != Some(text) {
                let expected = error.unwrap_or_else(|| "success\n".to_owned());
                problems.push(format!("expected:\n{expected}--- found:\n{text}"));
            }
        }
        Outcome::Done { results, writes, warnings } => {
            if let Some(error) = error {
                problems.push(format!("expected the error:\n{error}--- found:\n{outcome}"));
                return;
            }
            if let Some(text) = tables {
                let expected: Vec<plain::Result> = match csv::read(text.as_bytes()) {
                    Ok(results) => results
                        .iter()
                        .map(|(name, chunks): &(Name, _)| plain::result(name, chunks).into_csv())
                        .collect(),
                    Err(problem) => {
                        problems.push(format!("the .csv does not read: {problem}"));
                        return;
                    }
                };
                let (full, empty): (Vec<plain::Result>, Vec<plain::Result>) = results
                    .iter()
                    .map(|result| result.clone().into_csv())
                    .partition(|result| !result.tables.is_empty());
                let empty: Vec<String> = empty.into_iter().map(|result| result.name).collect();
                if empty != case.empty_results {
                    problems
                        .push(format!("results without tables: expected {:?}, found {empty:?}", case.empty_results));
                }
                if expected != full {
                    let text: String = expected.iter().map(ToString::to_string).collect();
                    problems.push(format!("expected:\n{text}--- found:\n{outcome}"));
                }
            }
            let writes: String = writes.iter().map(ToString::to_string).collect();
            if writes != lines.unwrap_or_default() {
                problems.push(format!("other points are expected than:\n{writes}"));
            }
            if *warnings != case.warnings {
                problems.push(format!("expected the warnings {:?}, found {warnings:?}", case.warnings));
            }
        }
    }
}

#[tokio::test]
async fn every_case_gives_what_is_expected_however_it_is_run() {
    let engine = Engine::new();
    let cases = cases();
    assert!(!cases.is_empty(), "no cases were found");
    let mut report = String::new();
    let mut failed = 0;
    for path in &cases {
        let problems = check(path, &engine).await;
        if problems.is_empty() {
            continue;
        }
        failed += 1;
        writeln!(report, "\n== {}", path.strip_prefix(root()).unwrap().display()).unwrap();
        for problem in problems {
            writeln!(report, "{problem}").unwrap();
        }
    }
    assert!(failed == 0, "{failed} of {} cases failed:\n{report}", cases.len());
}
