//! The sweep: generated pipelines over hostile data. However a bucket holds its rows, whatever its scans take over of a
//! pipeline, and on however many cores, an answer is that of the plain path, bit for bit.
//!
//! The plain path reads points in memory and takes over nothing; what those points are is worked out by `data` from what
//! has arrived. The default run is always the same one. `SWEEP_SEED` begins elsewhere, `SWEEP_COUNT`
//! tries more or fewer pipelines.

mod data;
mod figures;
mod filters;
mod pipelines;
mod rows;
mod script;
mod worlds;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fluxmill::config::{Bytes, QueryConfig};
use fluxmill::diagnostic::Source;
use fluxmill::engine::{Engine, RunRequest};
use fluxmill::plan::World;
use futures::future::join_all;
use futures::{StreamExt, stream};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::support::outcome::Outcome;
use data::{Data, NOW};
use pipelines::Generator;
use script::Script;
use worlds::{STATES, State, Watched};

/// So many pipelines run over the data of one seed.
const PIPELINES_A_SEED: u64 = 500;

/// So many pipelines run by default.
const PIPELINES: u64 = 2_000;

/// So many of them at the same time.
const AT_ONCE: usize = 4;

/// What a run with little memory may hold, in bytes: a part of the pipelines is refused, the others are not.
const LITTLE_MEMORY: u64 = 6_000;

/// A run that takes longer hangs: the others take milliseconds.
const LONGEST_RUN: Duration = Duration::from_secs(120);

/// The sweep ends when it has found so many problems.
const MOST_PROBLEMS: usize = 4;

/// How a pipeline is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct How {
    state: State,
    max_push_ops: usize,
    cores: usize,
    little_memory: bool,
}

/// The same rows in memory and in stores.
struct Worlds {
    plain: Arc<dyn World>,
    stores: Vec<(State, Watched)>,
    /// Where the stores have their files.
    _directory: tempfile::TempDir,
}

impl Worlds {
    async fn new(data: &Data, number: u64) -> Worlds {
        let directory = tempfile::tempdir().unwrap();
        let stretch_rows = [24, 8, 48][(number % 3) as usize];
        let store = |state: State| {
            let path = directory.path().join(format!("{state:?}"));
            async move { (state, worlds::store(data, state, &path, stretch_rows).await) }
        };
        let stores = join_all(STATES.map(store)).await;
        Worlds { plain: Arc::new(worlds::memory(data)), stores, _directory: directory }
    }

    fn store(&self, state: State) -> &Watched {
        let found = self.stores.iter().find(|(own, _)| *own == state);
        &found.expect("a store for every state").1
    }
}

/// Two engines: with memory as by default, and with little.
struct Engines {
    usual: Engine,
    little: Engine,
}

impl Engines {
    fn new() -> Engines {
        let limits = QueryConfig { memory_per_run: Bytes(LITTLE_MEMORY), ..QueryConfig::default() };
        Engines { usual: Engine::new(), little: Engine::with_limits(&limits, &std::env::temp_dir()) }
    }

    async fn plain(&self, worlds: &Worlds, source: &Source) -> Outcome {
        let request = RunRequest::new(source.clone(), NOW, Arc::clone(&worlds.plain));
        Outcome::of(&self.usual, RunRequest { max_push_ops: 0, cores: 1, ..request }).await
    }

    /// What comes of a run, and the most operators that a scan has taken over.
    async fn run(&self, worlds: &Worlds, source: &Source, how: How) -> (Outcome, usize) {
        let engine = if how.little_memory { &self.little } else { &self.usual };
        let world = worlds.store(how.state).for_one_run();
        let request = RunRequest::new(source.clone(), NOW, Arc::new(world.clone()));
        let request = RunRequest { max_push_ops: how.max_push_ops, cores: how.cores, ..request };
        let outcome = tokio::time::timeout(LONGEST_RUN, Outcome::of(engine, request)).await;
        (outcome.unwrap_or_else(|_| panic!("{how:?} does not end:\n{}", source.text)), world.deepest())
    }
}

/// Whether an outcome may stand for that of the plain path.
fn agrees(outcome: &Outcome, plain: &Outcome, how: How) -> bool {
    let refused = matches!(outcome, Outcome::Failed(text) if text.contains("ResourceExhausted: "));
    // Points that have gone to disk are handed out by identity.
    let same = || match how.little_memory {
        true => outcome.by_identity() == plain.by_identity(),
        false => outcome == plain,
    };
    same() || (refused && (how.little_memory || without_figures(outcome) == without_figures(plain)))
}

/// A refusal without its numbers of bytes: how much is held when the limit is reached depends on how rows are cut.
fn without_figures(outcome: &Outcome) -> String {
    outcome.to_string().replace(|character: char| character.is_ascii_digit(), "")
}

fn rows(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Done { results, .. } => {
            results.iter().flat_map(|result| &result.tables).map(|table| table.rows.len()).sum()
        }
        Outcome::Failed(_) => 0,
    }
}

/// What was tried, so that the sweep cannot pass by doing nothing.
#[derive(Default)]
struct Tried {
    pipelines: usize,
    with_rows: usize,
    failed: BTreeMap<String, usize>,
    /// Pipelines with rows that have a stage of the kind.
    kinds: BTreeMap<&'static str, usize>,
    /// Runs over stores in a state, with so many operators taken over, on so many cores.
    ways: BTreeMap<(State, usize, usize), usize>,
    refused: usize,
    answered_with_little: usize,
    taken: BTreeMap<&'static str, usize>,
    cut: usize,
    most_parts: usize,
}

impl Tried {
    fn add(&mut self, tries: &Tries) {
        self.pipelines += 1;
        if rows(&tries.plain) > 0 {
            self.with_rows += 1;
            for kind in tries.script.kinds() {
                *self.kinds.entry(kind).or_default() += 1;
            }
        }
        if let Outcome::Failed(text) = &tries.plain {
            let message = text.split_once(": ").map_or("", |(_, message)| message);
            *self.failed.entry(message.chars().take(60).collect()).or_default() += 1;
        }
        for (how, depth, outcome) in &tries.runs {
            *self.ways.entry((how.state, *depth, how.cores)).or_default() += 1;
            if how.little_memory {
                let refused = matches!(outcome, Outcome::Failed(_)) && *outcome != tries.plain;
                self.refused += usize::from(refused);
                self.answered_with_little += usize::from(!refused && rows(outcome) > 0);
            }
        }
    }

    /// Whether enough was tried. The bounds lie well below what the default run does.
    fn check(&self) {
        let enough = |what: &str, found: usize, least: usize| {
            assert!(found >= least, "only {found} of {what}, at least {least} were expected:\n{self}");
        };
        enough("pipelines with rows", self.with_rows, self.pipelines / 3);
        for kind in pipelines::KINDS {
            enough(&format!("pipelines with rows and {kind}"), self.kinds.get(kind).copied().unwrap_or(0), 5);
        }
        for state in STATES {
            for depth in 0..4 {
                for cores in 1..=2 {
                    let found = self.ways.get(&(state, depth, cores)).copied().unwrap_or(0);
                    let what = format!("runs over {state:?} with {depth} operators taken over on {cores} cores");
                    enough(&what, found, 10);
                }
            }
        }
        for op in ["filter", "first", "last", "pivot", "aggregate", "window"] {
            enough(&format!("operators {op} taken over"), self.taken.get(op).copied().unwrap_or(0), 100);
        }
        enough("scans cut for several cores", self.cut, 500);
        enough("parts of one scan", self.most_parts, 8);
        enough("runs that had too little memory", self.refused, 100);
        enough("answers with little memory", self.answered_with_little, 100);
    }

    fn add_seen(&mut self, worlds: &Worlds) {
        use std::sync::atomic::Ordering::Relaxed;
        for (_, store) in &worlds.stores {
            for (op, count) in store.seen.taken.lock().iter() {
                *self.taken.entry(op).or_default() += count;
            }
            self.cut += store.seen.cut.load(Relaxed);
            self.most_parts = self.most_parts.max(store.seen.most_parts.load(Relaxed));
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} pipelines, {} of them with rows", self.pipelines, self.with_rows)?;
        writeln!(formatter, "with rows, by kinds of stages: {:?}", self.kinds)?;
        writeln!(formatter, "failed: {:#?}", self.failed)?;
        writeln!(formatter, "runs by state, operators taken over, cores: {:?}", self.ways)?;
        writeln!(formatter, "little memory: {} refused, {} answered", self.refused, self.answered_with_little)?;
        writeln!(formatter, "taken over: {:?}", self.taken)?;
        writeln!(formatter, "{} scans cut, into {} parts at most", self.cut, self.most_parts)
    }
}

/// What came of a script.
struct Tries {
    script: Script,
    plain: Outcome,
    /// How it was run, how many operators the scans took over, and what came of it.
    runs: Vec<(How, usize, Outcome)>,
}

impl Tries {
    /// The first way in which it answers differently.
    fn differs(&self) -> Option<How> {
        let wrong = self.runs.iter().find(|(how, _, outcome)| !agrees(outcome, &self.plain, *how));
        wrong.map(|(how, _, _)| *how)
    }
}

/// Runs a script in the ways that are its share: at every depth of push-down on one core and on two, on one of them over
/// rows in memory, on the other over files in one of their states, so that all of these come in turn; and with little
/// memory.
async fn tries(engines: &Engines, worlds: &Worlds, script: Script, number: usize) -> Tries {
    let source = Source::new("<sweep>", script.to_string());
    let plain = engines.plain(worlds, &source).await;
    let usual = |state, max_push_ops, cores| How { state, max_push_ops, cores, little_memory: false };
    let with_files = |number: usize| STATES[1 + number % (STATES.len() - 1)];
    let all = usual(State::Hot, usize::MAX, 1 + number % 2);
    let (outcome, depth) = engines.run(worlds, &source, all).await;
    let mut runs = vec![(all, depth, outcome)];
    let mut ways: Vec<How> = (0..depth).map(|less| usual(State::Hot, less, 1 + (number + less) % 2)).collect();
    let over_files = ways.iter().chain([&all]).enumerate();
    let over_files =
        over_files.map(|(less, hot)| usual(with_files(number / 2 + less), hot.max_push_ops, 3 - hot.cores));
    ways.extend(over_files.collect::<Vec<_>>());
    let state = if number % 4 == 3 { with_files(number / 4) } else { State::Hot };
    ways.push(How { little_memory: true, ..usual(state, usize::MAX, 2) });
    for how in ways {
        let (outcome, depth) = engines.run(worlds, &source, how).await;
        runs.push((how, depth, outcome));
    }
    Tries { script, plain, runs }
}

/// Leaves out stages of a script for as long as it still answers differently; then tells all there is to know.
async fn problem(engines: &Engines, worlds: &Worlds, seed: u64, script: Script, how: How) -> String {
    let mut smallest = script;
    'smaller: loop {
        for script in smallest.smaller() {
            let source = Source::new("<sweep>", script.to_string());
            let plain = engines.plain(worlds, &source).await;
            if !agrees(&engines.run(worlds, &source, how).await.0, &plain, how) {
                smallest = script;
                continue 'smaller;
            }
        }
        break;
    }
    let source = Source::new("<sweep>", smallest.to_string());
    let plain = engines.plain(worlds, &source).await;
    let (found, _) = engines.run(worlds, &source, how).await;
    format!("\n== SWEEP_SEED={seed}, {how:?}\n{smallest}-- answers:\n{found}-- the plain path:\n{plain}")
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generated_pipelines_answer_the_same_however_they_are_run() {
    let first_seed = from_environment("SWEEP_SEED", 1);
    let count = from_environment("SWEEP_COUNT", PIPELINES);
    let engines = Engines::new();
    let mut tried = Tried::default();
    let mut problems = Vec::new();
    for seed in first_seed..first_seed + count.div_ceil(PIPELINES_A_SEED) {
        let mut rng = StdRng::seed_from_u64(seed);
        let data = Data::new(&mut rng, seed);
        let worlds = Worlds::new(&data, seed).await;
        let mut generator = Generator { data: &data, rng };
        let scripts = PIPELINES_A_SEED.min(count - (seed - first_seed) * PIPELINES_A_SEED);
        let scripts: Vec<Script> = (0..scripts).map(|_| generator.script()).collect();
        let run = |(number, script)| tries(&engines, &worlds, script, number);
        let mut all = stream::iter(scripts.into_iter().enumerate().map(run)).buffered(AT_ONCE);
        while let Some(tries) = all.next().await {
            tried.add(&tries);
            if let Some(how) = tries.differs() {
                problems.push(problem(&engines, &worlds, seed, tries.script, how).await);
                assert!(problems.len() < MOST_PROBLEMS, "{}", problems.concat());
            }
        }
        drop(all);
        tried.add_seen(&worlds);
    }
    assert!(problems.is_empty(), "{}", problems.concat());
    println!("{tried}");
    if count >= PIPELINES {
        tried.check();
    }
}
