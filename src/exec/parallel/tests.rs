//! Parts that are made by hand, on several threads: order, errors, cuts, bounds, cancellation.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Barrier;
use tokio::task::spawn_blocking;

use super::*;
use crate::diagnostic::Span;
use crate::operators::{Limit, Operator, Out, Transform};
use crate::plan::planner::{Step, StepKind};
use crate::table::pool::Pool;
use crate::table::scan::{Parts, ScanPart, StreamProps, TableOrder};
use crate::table::testing::{show, tables};
use crate::table::{Chunk, Shape};

const PROPS: StreamProps = StreamProps {
    parts: Parts::Clustered,
    tables: TableOrder::KeySorted,
    rows_by_time: true,
    unique_keys: true,
    one_shape: false,
    bounds: None,
};

/// What a part does, chunk by chunk.
#[derive(Clone)]
enum Gives {
    /// Two tables of this text, whose ids begin with the number of the part.
    Tables(&'static str),
    Error(&'static str),
    /// Waits until as many parts have come here as the barrier wants.
    Meets(Arc<Barrier>),
    /// Counts how often it is asked.
    Counts(Arc<AtomicUsize>),
    Never,
    Panics,
}

#[derive(Clone)]
struct Part(u64, Vec<Gives>);

impl ScanPart for Part {
    fn open(&self) -> Box<dyn ChunkSource> {
        let Part(number, mut gives) = self.clone();
        gives.reverse();
        Box::new(Source { number, given: 0, gives })
    }
}

struct Source {
    number: u64,
    given: u64,
    /// The next one last.
    gives: Vec<Gives>,
}

impl ChunkSource for Source {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        Box::pin(async move {
            while let Some(next) = self.gives.pop() {
                match next {
                    Gives::Tables(text) => {
                        let mut chunk = tables(text).remove(0);
                        for segment in &mut chunk.segments {
                            segment.table = (self.number << 40) + self.given;
                            self.given += 1;
                        }
                        return Ok(Some(chunk));
                    }
                    Gives::Error(text) => return Err(Error::invalid(text)),
                    Gives::Meets(barrier) => {
                        barrier.wait().await;
                    }
                    Gives::Counts(asked) => {
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                    Gives::Never => std::future::pending().await,
                    Gives::Panics => panic!("a part panics"),
                }
            }
            Ok(None)
        })
    }
}

fn parts(parts: impl IntoIterator<Item = Vec<Gives>>) -> ScanParts {
    (0..).zip(parts).map(|(number, gives)| -> Box<dyn ScanPart> { Box::new(Part(number, gives)) }).collect()
}

/// The operators behind a scan.
fn prefix(transforms: Vec<Arc<dyn Transform>>) -> Prefix {
    let step = |kind, inputs: Vec<usize>, next: Option<usize>| Step {
        kind,
        inputs,
        consumers: next.map(|next| (next, 0)).into_iter().collect(),
        props: PROPS,
        span: Span::default(),
    };
    let count = transforms.len();
    let mut steps = vec![step(StepKind::Rows(Vec::new()), Vec::new(), (count > 0).then_some(1))];
    for (at, transform) in transforms.into_iter().enumerate() {
        steps.push(step(StepKind::Transform(transform), vec![at], (at + 1 < count).then_some(at + 2)));
    }
    Prefix::behind(0, &steps)
}

fn limit() -> Prefix {
    prefix(vec![Arc::new(Limit::new(1, 0).unwrap())])
}

fn workers(threads: usize, cancel: &CancellationToken) -> Workers {
    within(&Pool::new(usize::MAX), threads, cancel)
}

fn within(memory: &Arc<Pool>, threads: usize, cancel: &CancellationToken) -> Workers {
    let memory = Memory::of_run(memory, usize::MAX, &Pool::new(0), std::path::Path::new("nowhere"));
    Workers { threads, runtime: Handle::current(), cancel: cancel.clone(), memory, measure: false }
}

/// What is told up to the end or the first error: rows read, tables, the error.
fn gather(gathering: &mut Gathering) -> (u64, String, Option<String>) {
    let (mut rows, mut chunks) = (0, Vec::new());
    let failed = loop {
        match gathering.next() {
            Ok(None) => break None,
            Ok(Some(Told::Read(count))) => rows += count,
            Ok(Some(Told::Chunk(passed, chunk))) => {
                assert_eq!(passed, gathering.prefix().len());
                chunks.push(chunk);
            }
            Ok(Some(Told::Failed(error))) | Err(error) => break Some(error.message().to_owned()),
            Ok(Some(Told::Warning(_) | Told::Cut(..) | Told::End(..))) => {}
        }
    };
    (rows, show(&chunks), failed)
}

const A: &str = "h:string* v:int\na 1\na 2\n\nb 3\n";
const C: &str = "h:string* v:int\nc 4\nc 5\n\nd 6\n";
const E: &str = "h:string* v:int\ne 7\n\nf 8\nf 9\n";

/// The first rows of all tables, however many threads there are.
#[tokio::test]
async fn parts_come_in_their_order() {
    for threads in 1..=4 {
        spawn_blocking(move || {
            let all = parts([vec![Gives::Tables(A)], Vec::new(), vec![Gives::Tables(C)], vec![Gives::Tables(E)]]);
            let mut gathering = Gathering::new(all, limit(), workers(threads, &CancellationToken::new()));
            let expected = "h:string* v:int\na 1\n\nb 3\n\nc 4\n\nd 6\n\ne 7\n\nf 8\n";
            let (rows, given, failed) = gather(&mut gathering);
            assert_eq!((rows, failed), (9, None), "{threads} threads");
            assert_eq!(given, crate::table::testing::normal(expected), "{threads} threads");
        })
        .await
        .unwrap();
    }
}

/// Two parts wait for each other: one after the other they would never end.
#[tokio::test]
async fn parts_are_worked_on_at_the_same_time() {
    spawn_blocking(|| {
        let both = Arc::new(Barrier::new(2));
        let meets = || vec![Gives::Meets(Arc::clone(&both)), Gives::Tables(A)];
        let mut gathering = Gathering::new(parts([meets(), meets()]), limit(), workers(2, &CancellationToken::new()));
        assert_eq!(gather(&mut gathering).0, 6);
    })
    .await
    .unwrap();
}

/// An error of a later part that has been there for long is not heard before what an earlier one gives and fails with.
#[tokio::test]
async fn the_first_error_in_the_order_of_parts_counts() {
    for threads in 1..=3 {
        spawn_blocking(move || {
            let later = Arc::new(Barrier::new(threads.min(2)));
            let first = vec![Gives::Tables(A), Gives::Meets(Arc::clone(&later)), Gives::Error("first")];
            let second = vec![Gives::Meets(later), Gives::Error("second")];
            let all = parts([first, second]);
            let mut gathering = Gathering::new(all, limit(), workers(threads, &CancellationToken::new()));
            assert_eq!(
                gather(&mut gathering),
                (3, show(&tables("h:string* v:int\na 1\n\nb 3\n")), Some("first".into()))
            );
        })
        .await
        .unwrap();
    }
}

/// Nothing more is begun while as much waits as may, and who has more to tell waits; yet all of it comes.
#[tokio::test]
async fn what_waits_has_a_bound() {
    spawn_blocking(|| {
        let asked = Arc::new(AtomicUsize::new(0));
        let reached = Arc::new(Barrier::new(2));
        let count = || Gives::Counts(Arc::clone(&asked));
        let mut all = vec![vec![Gives::Meets(Arc::clone(&reached)), Gives::Tables(A)]];
        // One of the two is worked on by the driver's thread, the other one by the second.
        all.push(vec![
            Gives::Meets(reached),
            Gives::Tables(A),
            count(),
            Gives::Tables(C),
            count(),
            Gives::Tables(E),
            count(),
        ]);
        all.extend((0..20).map(|_| vec![count(), Gives::Tables(A)]));
        let cancel = CancellationToken::new();
        let mut gathering = Gathering::within(0, parts(all), limit(), workers(2, &cancel));
        assert!(matches!(gathering.next(), Ok(Some(Told::Read(3)))));
        {
            let state = gathering.shared.state.lock();
            assert!(state.begun.len() <= 2 && state.bytes > 0);
        }
        // One step that was begun before the bound was reached may have been made.
        assert!(asked.load(Ordering::SeqCst) <= 1, "{}", asked.load(Ordering::SeqCst));
        assert_eq!(gather(&mut gathering).0, 9 + 20 * 3);
        assert_eq!(asked.load(Ordering::SeqCst), 23);
    })
    .await
    .unwrap();
}

/// What waits is taken of the run's memory; where that is short less waits, and all of it comes all the same.
#[tokio::test]
async fn what_waits_is_taken_of_the_memory() {
    for bytes in [0, usize::MAX] {
        spawn_blocking(move || {
            let (pool, cancel) = (Pool::new(bytes), CancellationToken::new());
            let all = (0..20).map(|_| vec![Gives::Tables(A), Gives::Tables(C)]);
            let none = prefix(Vec::new());
            let mut gathering = Gathering::new(parts(all), none, within(&pool, 2, &cancel));
            assert!(matches!(gathering.next(), Ok(Some(Told::Read(3)))));
            assert_eq!(pool.taken() > 0, bytes > 0);
            assert_eq!(gather(&mut gathering).0, 19 * 6 + 3);
            assert_eq!(pool.taken(), 0);
        })
        .await
        .unwrap();
    }
}

/// Who works on the part in turn may always have one more step; it is told so when the last thing that waited of the part
/// is taken, also if that is no rows.
#[tokio::test]
async fn who_waits_is_woken_when_nothing_of_the_part_waits() {
    spawn_blocking(|| {
        let cancel = CancellationToken::new();
        let all = [vec![Gives::Tables(A)], vec![Gives::Tables(A)]];
        let mut gathering = Gathering::within(0, parts(all), prefix(Vec::new()), workers(1, &cancel));
        let shared = Arc::clone(&gathering.shared);
        let (first, mut second) = (shared.begin().unwrap(), shared.begin().unwrap());
        let told = shared.step(&mut second);
        assert!(shared.put(second.part, second.cuts, told));
        // A step that has left no row.
        assert!(shared.put(first.part, first.cuts, vec![Told::Read(3)]));
        let room = || shared.state.lock().room(first.part, first.cuts, 0);
        assert_eq!(room(), Some(false));
        let woken = shared.changed.notified();
        assert!(matches!(gathering.next(), Ok(Some(Told::Read(3)))));
        assert_eq!(room(), Some(true));
        assert!(woken.now_or_never().is_some());
    })
    .await
    .unwrap();
}

/// More parts than may be begun at once are not begun, whatever little each gives.
#[tokio::test]
async fn parts_that_are_begun_have_a_bound() {
    spawn_blocking(|| {
        let cancel = CancellationToken::new();
        let all = (0..100).map(|_| Vec::new());
        let mut gathering = Gathering::new(parts(all), limit(), workers(1, &cancel));
        for _ in 0..100 {
            assert!(gathering.shared.state.lock().begun.len() <= PARTS_A_THREAD);
            assert!(matches!(gathering.next(), Ok(Some(Told::End(..)))));
        }
        assert!(matches!(gathering.next(), Ok(None)));
    })
    .await
    .unwrap();
}

/// Parts that wait for ever end when the run is cancelled, on all threads: the drop waits for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_ends_all_threads() {
    let cancel = CancellationToken::new();
    let all_wait = Arc::new(Barrier::new(3));
    let gathering = {
        let (cancel, all_wait) = (cancel.clone(), Arc::clone(&all_wait));
        spawn_blocking(move || {
            let waits = || vec![Gives::Meets(Arc::clone(&all_wait)), Gives::Never];
            let mut gathering = Gathering::new(parts([waits(), waits()]), limit(), workers(2, &cancel));
            gather(&mut gathering).2
        })
    };
    all_wait.wait().await;
    cancel.cancel();
    let failed = tokio::time::timeout(Duration::from_secs(60), gathering).await.unwrap().unwrap();
    assert_eq!(failed.as_deref(), Some("the run was canceled"));
}

/// The run ends, as it does where there is one thread.
#[tokio::test]
async fn a_panic_is_the_drivers() {
    let both = Arc::new(Barrier::new(2));
    let ended = spawn_blocking(move || {
        let all = parts([vec![Gives::Meets(Arc::clone(&both)), Gives::Never], vec![Gives::Meets(both), Gives::Panics]]);
        let mut gathering = Gathering::new(all, limit(), workers(2, &CancellationToken::new()));
        gather(&mut gathering)
    });
    let panic = ended.await.unwrap_err().into_panic();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a part panics"));
}

/// Passes everything on, and leaves tables with a column `w` to one operator.
#[derive(Clone, Debug)]
struct Fussy;

impl Transform for Fussy {
    fn name(&self) -> &'static str {
        "fussy"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Fussy))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }
}

impl Operator for Fussy {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn works_by_table(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        Ok(shape.column("w").is_none())
    }
}

/// From the first chunk that an operator does not leave to its copies all chunks stop in front of it, those of later parts
/// too, which may have passed it before.
#[tokio::test]
async fn a_cut_holds_for_all_that_follows() {
    for threads in 1..=3 {
        spawn_blocking(move || {
            let odd = "h:string* w:int\nx 1\n";
            let first = vec![Gives::Tables(A), Gives::Tables(odd), Gives::Tables(C)];
            let all = parts([first, vec![Gives::Tables(E)], vec![Gives::Tables(A)]]);
            let transforms: Vec<Arc<dyn Transform>> =
                vec![Arc::new(Limit::new(1, 0).unwrap()), Arc::new(Fussy), Arc::new(Limit::new(5, 0).unwrap())];
            let mut gathering = Gathering::new(all, prefix(transforms), workers(threads, &CancellationToken::new()));
            let mut told = Vec::new();
            while let Some(next) = gathering.next().unwrap() {
                match next {
                    Told::Chunk(passed, chunk) => {
                        told.push(format!(
                            "{passed}: {}",
                            show(&[chunk]).lines().skip_while(|line| !line.contains(':')).nth(1).unwrap()
                        ));
                    }
                    Told::Cut(operators, kept) => {
                        gathering.cut(operators);
                        told.push(format!(
                            "cut {operators}, {:?}",
                            kept.iter().map(|(step, _)| *step).collect::<Vec<_>>()
                        ));
                    }
                    Told::End(kept, _) => told.push(format!("end {}", kept.len())),
                    Told::Failed(error) => panic!("{error}"),
                    Told::Read(_) | Told::Warning(_) => {}
                }
            }
            let expected =
                ["3: a 1", "cut 1, [2, 3]", "1: x 1", "1: c 4", "end 1", "1: e 7", "end 1", "1: a 1", "end 1"];
            assert_eq!(told, expected, "{threads} threads");
        })
        .await
        .unwrap();
    }
}
