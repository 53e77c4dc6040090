//! The sweep: thousands of generated pipelines over hostile points, each run in many ways that have to agree bit for bit.
//!
//! The reference is the plain path: the operators one by one over points in memory, nothing pushed down, one core. What is
//! left of what was written, overwritten and deleted is worked out by the test (`data`). Against it stand stores that keep the
//! same points in memory, in files, compacted and mixed, with every number of operators offered to the scan, on one and two
//! cores, and with little memory. `FLUXMILL_SWEEP_SEED` and `FLUXMILL_SWEEP_COUNT` look further than the test does by itself.

mod data;
mod scripts;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fluxmill::config::{Bytes, QueryConfig};
use fluxmill::diagnostic::Source;
use fluxmill::engine::memory::MemoryWorld;
use fluxmill::engine::{Engine, RunRequest};
use fluxmill::error::Result;
use fluxmill::name::Name;
use fluxmill::plan::World;
use fluxmill::table::Chunk;
use fluxmill::table::scan::{ChunkSource, PushOp, ScanParts, SourceRef, Taken};
use futures::future::BoxFuture;
use rand::SeedableRng;
use rand::rngs::StdRng;

use self::data::{ALL_KEPT, Kept, SECOND_NS, SECONDS, START_NS};
use self::scripts::Script;
use crate::support::outcome::Outcome;

const SEED: u64 = 2024;

/// How many pipelines there are.
const PIPELINES: usize = 2_000;

/// So many of them read the same points.
const PIPELINES_A_BUCKET: usize = 100;

/// With this much memory many runs go to disk and some are refused.
const LITTLE_MEMORY: u64 = 40_000;

/// Mismatches are told up to here.
const MOST_TOLD: usize = 5;

/// How a pipeline is run.
#[derive(Clone, Copy, Debug)]
struct Way {
    kept: Kept,
    max_push_ops: usize,
    cores: usize,
    little_memory: bool,
}

/// A bucket in all its forms.
struct Bucket {
    plain: Arc<dyn World>,
    stores: Vec<(Kept, Arc<dyn World>)>,
    _directory: tempfile::TempDir,
}

struct Sweep {
    engine: Engine,
    little: Engine,
    counts: Arc<Counts>,
}

/// What shows that the sweep has seen what it is for.
#[derive(Default)]
struct Counts {
    /// Operators that scans took over.
    taken: AtomicUsize,
    /// Scans that were worked on in several parts.
    cut: AtomicUsize,
}

impl Bucket {
    async fn new(seed: u64, counts: &Arc<Counts>) -> Bucket {
        let steps = data::steps(&mut StdRng::seed_from_u64(seed));
        let plain = MemoryWorld::new().bucket("plant", data::left(&steps)).bucket("out", Vec::new());
        let directory = tempfile::tempdir().unwrap();
        let mut stores: Vec<(Kept, Arc<dyn World>)> = Vec::new();
        for kept in ALL_KEPT {
            let store = data::store(&directory.path().join(format!("{kept:?}")), &steps, kept).await;
            stores.push((kept, Arc::new(Counted { inner: Arc::new(store), counts: Arc::clone(counts) })));
        }
        Bucket { plain: Arc::new(plain), stores, _directory: directory }
    }

    fn store(&self, kept: Kept) -> Arc<dyn World> {
        Arc::clone(&self.stores.iter().find(|(own, _)| *own == kept).unwrap().1)
    }
}

impl Sweep {
    fn new(directory: &std::path::Path) -> Sweep {
        let little = QueryConfig { memory: Bytes::mib(64), memory_per_run: Bytes(LITTLE_MEMORY), disk: Bytes::mib(64) };
        Sweep {
            engine: Engine::new(),
            little: Engine::with_limits(&little, directory),
            counts: Arc::new(Counts::default()),
        }
    }

    async fn plain(&self, bucket: &Bucket, script: &Script) -> Outcome {
        Outcome::of(&self.engine, request(script, &bucket.plain, 0, 1)).await
    }

    async fn run(&self, bucket: &Bucket, script: &Script, way: Way) -> Outcome {
        let engine = if way.little_memory { &self.little } else { &self.engine };
        Outcome::of(engine, request(script, &bucket.store(way.kept), way.max_push_ops, way.cores)).await
    }

    /// The ways in which a pipeline of this number is run: one state of the store at every depth, the others at once.
    /// `taken` operators are taken over by its scans if all are offered, which is the first way: more depths are the same.
    fn ways(number: usize, taken: usize) -> Vec<Way> {
        let all = Self::all_offered(number);
        let mut ways = Vec::new();
        for max_push_ops in 0..taken {
            let cores = 1 + (number / ALL_KEPT.len() + max_push_ops) % 2;
            ways.push(Way { max_push_ops, cores, ..all });
        }
        for (at, kept) in ALL_KEPT.into_iter().filter(|kept| *kept != all.kept).enumerate() {
            ways.push(Way { kept, cores: 1 + (number + at) % 2, ..all });
        }
        ways.push(Way { max_push_ops: number % 2 * taken, cores: 1 + number / 2 % 2, little_memory: true, ..all });
        ways
    }

    /// The way that tells how many operators scans take over.
    fn all_offered(number: usize) -> Way {
        let kept = ALL_KEPT[number % ALL_KEPT.len()];
        Way { kept, max_push_ops: usize::MAX, cores: 2, little_memory: false }
    }

    /// Whether a way gives another answer than the plain one; with little memory it may also be refused.
    async fn differs(&self, bucket: &Bucket, script: &Script, way: Way) -> Option<(Outcome, Outcome)> {
        let (plain, other) = (self.plain(bucket, script).await, self.run(bucket, script, way).await);
        (!agrees(&plain, &other, way)).then_some((plain, other))
    }

    /// The smallest script that still shows a mismatch, and the answers.
    async fn shrink(&self, bucket: &Bucket, script: &Script, way: Way) -> Option<(Script, Outcome, Outcome)> {
        let (plain, other) = self.differs(bucket, script, way).await?;
        let mut smallest = (script.clone(), plain, other);
        let mut number = 0;
        while number < smallest.0.stages().count() {
            if let Some(fewer) = smallest.0.without(number)
                && let Some((plain, other)) = self.differs(bucket, &fewer, way).await
            {
                smallest = (fewer, plain, other);
                number = 0;
            } else {
                number += 1;
            }
        }
        Some(smallest)
    }
}

fn agrees(plain: &Outcome, other: &Outcome, way: Way) -> bool {
    let refused = matches!(other, Outcome::Failed(text) if text.contains("ResourceExhausted"));
    plain == other || (way.little_memory && refused)
}

fn request(script: &Script, world: &Arc<dyn World>, max_push_ops: usize, cores: usize) -> RunRequest {
    let now_ns = START_NS + SECONDS * SECOND_NS;
    let source = Source::new("<generated>", script.text());
    RunRequest { max_push_ops, cores, ..RunRequest::new(source, now_ns, Arc::clone(world)) }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_pipelines_give_the_plain_answer_however_they_are_run() {
    let seed = variable("FLUXMILL_SWEEP_SEED").unwrap_or(SEED);
    let count = variable("FLUXMILL_SWEEP_COUNT").map_or(PIPELINES, |count| count as usize);
    let directory = tempfile::tempdir().unwrap();
    let sweep = Sweep::new(directory.path());
    let (mut told, mut mismatches) = (String::new(), 0);
    let (mut with_rows, mut refused, mut disk) = (0, 0, 0);
    let mut kinds: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut bucket = Bucket::new(seed, &sweep.counts).await;
    for number in 0..count {
        let own_seed = seed.wrapping_add(number as u64);
        if number % PIPELINES_A_BUCKET == 0 && number > 0 {
            bucket = Bucket::new(own_seed, &sweep.counts).await;
        }
        let script = scripts::script(&mut StdRng::seed_from_u64(own_seed));
        let plain = sweep.plain(&bucket, &script).await;
        if rows(&plain) > 0 {
            with_rows += 1;
            let mut own: Vec<&str> = script.stages().map(|stage| stage.kind).collect();
            own.sort_unstable();
            own.dedup();
            own.into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
        }
        let before = sweep.counts.taken.load(Ordering::Relaxed);
        let first = Sweep::all_offered(number);
        let mut done = Some(sweep.run(&bucket, &script, first).await);
        let taken = sweep.counts.taken.load(Ordering::Relaxed) - before;
        for way in std::iter::once(first).chain(Sweep::ways(number, taken)) {
            let other = match done.take() {
                Some(other) => other,
                None => sweep.run(&bucket, &script, way).await,
            };
            if agrees(&plain, &other, way) {
                refused += usize::from(plain != other);
                continue;
            }
            mismatches += 1;
            if mismatches <= MOST_TOLD {
                // One that does not show again is told as it was.
                let (script, plain, other) =
                    sweep.shrink(&bucket, &script, way).await.unwrap_or((script.clone(), plain.clone(), other));
                write!(
                    told,
                    "\n== pipeline {number} of seed {seed}, {way:?}\n{}\n{other}--- plain:\n{plain}",
                    script.text()
                )
                .unwrap();
            }
            break;
        }
        disk += sweep.little.disk_taken();
    }
    assert!(mismatches == 0, "{mismatches} of {count} pipelines differ:{told}");
    // What the sweep has to have seen.
    assert_eq!(disk, 0, "runs have left rows on disk");
    assert!(with_rows * 3 > count, "{with_rows} of {count} pipelines give rows");
    if count >= PIPELINES {
        let few: Vec<_> = kinds.iter().filter(|(_, count)| **count < 15).collect();
        assert!(few.is_empty() && kinds.len() >= 24, "few pipelines with rows: {few:?} of {kinds:?}");
    }
    let (taken, cut) = (sweep.counts.taken.load(Ordering::Relaxed), sweep.counts.cut.load(Ordering::Relaxed));
    println!(
        "{with_rows} of {count} with rows; {taken} operators taken; {cut} scans cut; {refused} refused; {kinds:?}"
    );
    assert!(taken > count && cut > count, "{taken} operators were taken over by scans, {cut} scans were cut");
    assert!(refused > count / 100 && refused < count / 2, "{refused} of {count} were refused with little memory");
}

fn rows(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Done { results, .. } => {
            results.iter().flat_map(|result| &result.tables).map(|table| table.rows.len()).sum()
        }
        Outcome::Failed(_) => 0,
    }
}

/// A world that counts what its scans take over and give in parts.
struct Counted {
    inner: Arc<dyn World>,
    counts: Arc<Counts>,
}

impl World for Counted {
    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        self.inner.bucket_id(name_or_id)
    }

    fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        let mut taken = self.inner.offer(source, ops, max)?;
        self.counts.taken.fetch_add(taken.count, Ordering::Relaxed);
        for partition in std::mem::take(&mut taken.scan.partitions) {
            taken.scan.partitions.push(Box::new(CountedSource { inner: partition, counts: Arc::clone(&self.counts) }));
        }
        Ok(taken)
    }

    fn for_run(&self) -> Option<Arc<dyn World>> {
        let inner = self.inner.for_run()?;
        Some(Arc::new(Counted { inner, counts: Arc::clone(&self.counts) }))
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.inner.secret(name)
    }

    fn wall_clock_ns(&self) -> i64 {
        self.inner.wall_clock_ns()
    }
}

struct CountedSource {
    inner: Box<dyn ChunkSource>,
    counts: Arc<Counts>,
}

impl ChunkSource for CountedSource {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        self.inner.next()
    }

    fn parts(&mut self) -> BoxFuture<'_, Result<Option<ScanParts>>> {
        Box::pin(async {
            let parts = self.inner.parts().await?;
            if parts.as_ref().is_some_and(|parts| parts.len() > 1) {
                self.counts.cut.fetch_add(1, Ordering::Relaxed);
            }
            Ok(parts)
        })
    }
}
