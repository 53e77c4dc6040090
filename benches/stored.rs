//! A bucket of generators in files, the same for every figure that reads: filled by a formula, so that each answer is known
//! without reading anything back.
//!
//! Made by the other files; nothing is measured here.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{Float64Array, Int64Array};
use datafusion::arrow::compute::sum;
use fluxmill::catalogue::Catalogue;
use fluxmill::clock::{Clock, ManualClock};
use fluxmill::diagnostic::Source;
use fluxmill::engine::{Engine, ResultSink, RunReport, RunRequest, StoreWorld};
use fluxmill::point::{FieldValue, Point};
use fluxmill::store::{NewBucket, SeqPoint, SourcePartition, Store, StoreOptions};
use fluxmill::table::Chunk;

use crate::measure::{Cost, cost};

/// The fields of a row, all floats.
pub const FIELDS: [&str; 6] = ["fuel", "lat", "load", "lon", "power", "temperature"];
/// 2024-01-01T01:00:00Z; rows lie in the hour before.
pub const NOW_NS: i64 = 1_704_070_800_000_000_000;
/// An hour.
pub const HOUR_NS: i64 = 3_600_000_000_000;
/// The measurement.
pub const MEASUREMENT: &str = "genData";

/// How many rows are applied at once.
const BATCH: usize = 10_000;

/// A store with buckets `kafka_raw`, filled, and `kafka_downsampled`, empty.
pub struct Stored {
    /// Where its files are.
    pub home: Arc<tempfile::TempDir>,
    /// The store.
    pub store: Arc<Store>,
    /// What scripts read from.
    pub world: Arc<StoreWorld>,
    /// The id of `kafka_raw`.
    pub raw: String,
    /// Generators.
    pub generators: usize,
    /// Rows of each.
    pub rows: usize,
}

/// The value of a field, a formula. The first field is `fuel`.
pub fn value(generator: usize, row: usize, field: usize) -> f64 {
    match field {
        0 => ((generator * 7 + row * 13) % 1000) as f64,
        _ => (generator * 31 + row * 17 + field) as f64 / 10.0,
    }
}

/// When a row was written: rows of a generator lie evenly in the hour, generators a little apart.
pub fn time_ns(generators: usize, rows: usize, generator: usize, row: usize) -> i64 {
    let spread = HOUR_NS / rows as i64;
    NOW_NS - HOUR_NS + row as i64 * spread + generator as i64 * (spread / generators as i64 / 2)
}

/// Opens the store of a directory.
pub async fn open(directory: &Path) -> (Arc<Store>, Arc<dyn Clock>) {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_NS));
    let catalogue = Arc::new(Catalogue::open(&directory.join("catalogue")).expect("a catalogue"));
    let options = StoreOptions { memory_bytes: 4 << 30, ..StoreOptions::default() };
    let store = Store::open(directory, options, catalogue, Arc::clone(&clock)).await.expect("a store");
    (Arc::new(store), clock)
}

impl Stored {
    /// Fills a bucket: so many generators of so many rows each, flushed a million rows at a time.
    pub async fn fill(generators: usize, rows: usize) -> Stored {
        let home = tempfile::tempdir().expect("a directory");
        let (store, clock) = open(home.path()).await;
        let raw = store.create_bucket(NewBucket::named("kafka_raw")).expect("a bucket").id.to_string();
        store.create_bucket(NewBucket::named("kafka_downsampled")).expect("a bucket");
        let world = Arc::new(StoreWorld::new(Arc::clone(&store), clock));
        let stored = Stored { home: Arc::new(home), store, world, raw, generators, rows };
        let places = (0..rows).flat_map(|row| (0..generators).map(move |generator| (generator, row)));
        let mut batch = Vec::with_capacity(BATCH);
        let mut offset = 0;
        for place in places {
            batch.push(place);
            if batch.len() == BATCH {
                offset = stored.apply(&std::mem::take(&mut batch), offset);
                if offset % 1_000_000 == 0 {
                    stored.store.flush_all().await.expect("a flush");
                }
            }
        }
        stored.apply(&batch, offset);
        stored.store.flush_all().await.expect("a flush");
        stored
    }

    /// The same opened anew: nothing is known of it but what its files say.
    pub async fn reopen(self) -> Stored {
        let Stored { home, store, world, raw, generators, rows } = self;
        drop((store, world));
        let (store, clock) = open(home.path()).await;
        let world = Arc::new(StoreWorld::new(Arc::clone(&store), clock));
        Stored { home, store, world, raw, generators, rows }
    }

    /// Applies rows, each a generator and a row number, as from an offset on; returns the next offset.
    pub fn apply(&self, places: &[(usize, usize)], offset: u64) -> u64 {
        let source = SourcePartition { topic: "kafka_raw".into(), generation: 1, partition: 0 };
        let points: Vec<SeqPoint> = (offset..)
            .zip(places)
            .map(|(offset, (generator, row))| {
                let fields = FIELDS.iter().enumerate();
                let fields =
                    fields.map(|(field, name)| ((*name).into(), FieldValue::Float(value(*generator, *row, field))));
                let time_ns = time_ns(self.generators, self.rows, *generator, *row);
                let point = Point {
                    measurement: MEASUREMENT.into(),
                    tags: vec![("generatorID".into(), format!("generator{generator}").into())],
                    fields: fields.collect(),
                    time_ns,
                };
                SeqPoint { offset, seq: NOW_NS - HOUR_NS + offset as i64, point }
            })
            .collect();
        let rejected = self.store.apply(&self.raw, &source, &points).expect("rows are taken");
        assert!(rejected.is_empty(), "{:?}", rejected.first());
        let next = offset + places.len() as u64;
        self.store.advance(&source, next);
        next
    }

    /// Runs a script; `request` may change how.
    pub async fn run(&self, engine: &Engine, script: &str, change: impl FnOnce(&mut RunRequest)) -> (Sum, RunReport) {
        run(engine, Arc::clone(&self.world), script, change).await
    }

    /// Runs a script over and over, offering so many operators to the scan, and checks each answer.
    pub async fn rounds(
        &self,
        engine: &Engine,
        script: &str,
        (rounds, offered): (usize, usize),
        check: impl Fn(Sum),
    ) -> Vec<Cost> {
        self.rounds_with(engine, script, rounds, |request| request.max_push_ops = offered, check).await
    }

    /// Runs a script over and over, changed in some way, and checks each answer.
    pub async fn rounds_with(
        &self,
        engine: &Engine,
        script: &str,
        rounds: usize,
        change: impl Fn(&mut RunRequest),
        check: impl Fn(Sum),
    ) -> Vec<Cost> {
        let mut costs = Vec::new();
        for _ in 0..rounds {
            let run = self.run(engine, script, &change);
            let (got, cost) = cost(|| tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run)));
            check(got.0);
            costs.push(cost);
        }
        costs
    }

    /// The points of the bucket: every field of every row.
    pub fn points(&self) -> usize {
        self.generators * self.rows * FIELDS.len()
    }
}

/// Runs a script over a world.
pub async fn run(
    engine: &Engine,
    world: Arc<StoreWorld>,
    script: &str,
    change: impl FnOnce(&mut RunRequest),
) -> (Sum, RunReport) {
    let mut request = RunRequest::new(Source::new("figure", script), NOW_NS, world);
    change(&mut request);
    let mut sum = Sum::default();
    let report = engine.run(request, &mut sum).await;
    (sum, report.unwrap_or_else(|error| panic!("{script}\n{error:?}")))
}

/// Takes results and keeps what they add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    /// Rows.
    pub rows: u64,
    /// The sum of `_value`, whatever number it is.
    pub values: f64,
}

#[async_trait]
impl ResultSink for Sum {
    async fn begin_result(&mut self, _name: &str) -> fluxmill::error::Result<()> {
        Ok(())
    }

    async fn chunk(&mut self, chunk: Chunk) -> fluxmill::error::Result<()> {
        self.rows += chunk.len as u64;
        if let Some(column) = chunk.row_array("_value") {
            let floats = column.as_any().downcast_ref::<Float64Array>().and_then(sum);
            let integers = column.as_any().downcast_ref::<Int64Array>().and_then(sum);
            self.values += floats.or(integers.map(|sum| sum as f64)).unwrap_or(0.0);
        }
        Ok(())
    }

    async fn end_result(&mut self) -> fluxmill::error::Result<()> {
        Ok(())
    }
}
