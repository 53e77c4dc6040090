//! The worlds that pipelines run in: points in memory, and stores that hold the same rows in different ways.
//!
//! A store's world notes what its scans take over and into how many parts they are cut, so that the sweep can tell that it
//! has tried something.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fluxmill::catalogue::Catalogue;
use fluxmill::clock::ManualClock;
use fluxmill::engine::StoreWorld;
use fluxmill::engine::memory::MemoryWorld;
use fluxmill::error::Result;
use fluxmill::name::Name;
use fluxmill::plan::World;
use fluxmill::store::{NewBucket, SeqDelete, SeqPoint, SourcePartition, Store, StoreOptions};
use fluxmill::table::Chunk;
use fluxmill::table::scan::{ChunkSource, PushOp, ScanParts, SourceRef, Taken};
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::data::{Arrival, Data, NOW, PARTITIONS, What};

/// How a store holds its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// All in memory.
    Hot,
    /// In memory and in many small files, late ones among them.
    Files,
    /// Compacted midway; then more files, and rows in memory.
    CompactedMidway,
    /// In one group of sorted files.
    Compacted,
    /// In files of a store that was opened again, and in memory.
    Reopened,
}

pub const STATES: [State; 5] = [State::Hot, State::Files, State::CompactedMidway, State::Compacted, State::Reopened];

/// The name of the bucket.
pub const BUCKET: &str = "plant";

/// The plain path: what is left of the data, one table per series and field, nothing taken over.
pub fn memory(data: &Data) -> MemoryWorld {
    MemoryWorld::new().bucket(BUCKET, data.left())
}

/// A store in a directory that has come to hold the data in this way.
pub async fn store(data: &Data, state: State, directory: &Path, stretch_rows: u64) -> Watched {
    let clock = Arc::new(ManualClock::new(NOW));
    let mut store = open(directory, &clock, stretch_rows).await;
    let retention_ns = data.retention_ns;
    let bucket = store.create_bucket(NewBucket { retention_ns, ..NewBucket::named(BUCKET) }).unwrap().id;
    let (parts, count) = (4, data.arrivals.len());
    for (number, arrivals) in data.arrivals.chunks(count.div_ceil(parts)).enumerate() {
        arrivals.iter().for_each(|arrival| apply(&store, &bucket, arrival));
        let last = number + 1 == parts;
        match state {
            State::Hot => {}
            State::CompactedMidway if number + 1 == parts / 2 => {
                store.compact_bucket(&bucket).await.unwrap();
            }
            State::Files | State::CompactedMidway | State::Reopened if last => {}
            _ => {
                store.flush_all().await.unwrap();
            }
        }
        if state == State::Reopened && number + 2 == parts {
            drop(store);
            store = open(directory, &clock, stretch_rows).await;
        }
    }
    if state == State::Compacted {
        store.compact_bucket(&bucket).await.unwrap();
    }
    Watched { world: Arc::new(StoreWorld::new(Arc::new(store), clock)), seen: Arc::default(), deepest: Arc::default() }
}

async fn open(directory: &Path, clock: &Arc<ManualClock>, stretch_rows: u64) -> Store {
    let catalogue = Arc::new(Catalogue::open(&directory.join("catalogue")).unwrap());
    let options = StoreOptions { scan_stretch_rows: stretch_rows, ..StoreOptions::default() };
    Store::open(directory, options, catalogue, Arc::clone(clock) as _).await.unwrap()
}

fn apply(store: &Store, bucket: &str, arrival: &Arrival) {
    assert!(arrival.partition < PARTITIONS);
    let source = SourcePartition { topic: BUCKET.into(), generation: 0, partition: arrival.partition as u32 };
    let (offset, seq) = (arrival.offset, arrival.seq);
    match &arrival.what {
        What::Points(points) => {
            let rows: Vec<SeqPoint> =
                points.iter().map(|point| SeqPoint { offset, seq, point: point.clone() }).collect();
            for rejected in store.apply(bucket, &source, &rows).unwrap() {
                // Too old when they came, so too old now.
                assert_eq!(rejected.code, "outside-retention", "{}", rejected.reason);
            }
        }
        What::Delete(what) => store.delete(bucket, &source, SeqDelete { offset, seq, what }).unwrap(),
    }
    store.advance(&source, offset + 1);
}

/// What scans were seen to do.
#[derive(Debug, Default)]
pub struct Seen {
    /// How often an operator was taken over, by its name.
    pub taken: Mutex<BTreeMap<&'static str, usize>>,
    /// Scans that were cut for several cores, and the most parts of one.
    pub cut: AtomicUsize,
    pub most_parts: AtomicUsize,
}

/// A store's world that is watched.
#[derive(Clone)]
pub struct Watched {
    world: Arc<dyn World>,
    /// What all runs were seen to do.
    pub seen: Arc<Seen>,
    /// The most operators that a scan of this run has taken over.
    deepest: Arc<AtomicUsize>,
}

impl Watched {
    /// The same world for one run.
    pub fn for_one_run(&self) -> Watched {
        Watched { deepest: Arc::default(), ..self.clone() }
    }

    /// The most operators that a scan has taken over.
    pub fn deepest(&self) -> usize {
        self.deepest.load(Ordering::Relaxed)
    }
}

impl World for Watched {
    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        self.world.bucket_id(name_or_id)
    }

    fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        let mut taken = self.world.offer(source, ops, max)?;
        self.deepest.fetch_max(taken.count, Ordering::Relaxed);
        let mut counts = self.seen.taken.lock();
        for op in &ops[..taken.count] {
            *counts.entry(name_of(op)).or_default() += 1;
        }
        let watch =
            |source| -> Box<dyn ChunkSource> { Box::new(WatchedSource { source, seen: Arc::clone(&self.seen) }) };
        taken.scan.partitions = taken.scan.partitions.into_iter().map(watch).collect();
        Ok(taken)
    }

    fn for_run(&self) -> Option<Arc<dyn World>> {
        let world = self.world.for_run()?;
        Some(Arc::new(Watched { world, ..self.clone() }))
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.world.secret(name)
    }

    fn wall_clock_ns(&self) -> i64 {
        self.world.wall_clock_ns()
    }
}

fn name_of(op: &PushOp) -> &'static str {
    match op {
        PushOp::Filter(_) => "filter",
        PushOp::PivotWide => "pivot",
        PushOp::GroupKeys(_) => "group",
        PushOp::First(_) => "first",
        PushOp::Last(_) => "last",
        PushOp::Aggregate(_) => "aggregate",
        PushOp::Window(_) => "window",
    }
}

struct WatchedSource {
    source: Box<dyn ChunkSource>,
    seen: Arc<Seen>,
}

impl ChunkSource for WatchedSource {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        self.source.next()
    }

    fn parts(&mut self) -> BoxFuture<'_, Result<Option<ScanParts>>> {
        Box::pin(async {
            let parts = self.source.parts().await?;
            if let Some(parts) = &parts {
                self.seen.cut.fetch_add(1, Ordering::Relaxed);
                self.seen.most_parts.fetch_max(parts.len(), Ordering::Relaxed);
            }
            Ok(parts)
        })
    }
}
