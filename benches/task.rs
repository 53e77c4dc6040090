//! The generator task, script text to durable result, beside hand-written SQL over the same files.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Float64Type;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use fluxmill::catalogue::Catalogue;
use fluxmill::clock::{ArrivalClock, Clock, ManualClock};
use fluxmill::commitlog::CommitLog;
use fluxmill::commitlog::embedded::{EmbeddedLog, EmbeddedOptions};
use fluxmill::diagnostic::Source;
use fluxmill::engine::{DiscardResults, Engine, RunRequest, StoreWorld};
use fluxmill::point::{FieldValue, Point};
use fluxmill::store::{NewBucket, SeqPoint, SourcePartition, Store, StoreOptions};
use fluxmill::tasks::output;

use crate::measure::{Cost, cost, middle, peak_mib, reset_peak};

const SCRIPT: &str = include_str!("../tasks/generator_downsample.flux");
const FIELDS: [&str; 6] = ["fuel", "lat", "load", "lon", "power", "temperature"];
/// 2024-01-01T01:00:00Z; rows lie in the hour before.
const NOW_NS: i64 = 1_704_070_800_000_000_000;
const HOUR_NS: i64 = 3_600_000_000_000;

/// Generators, rows each, rounds.
const SIZES: [(usize, usize, usize); 4] = [(1_000, 6, 21), (6_000, 1, 21), (1_000, 167, 7), (1_000, 1_667, 5)];

pub fn figures() {
    println!("the generator task, script text to durable result (6 fields a row), and SQL over the same files");
    println!(
        "{:>11} {:>6} {:>10} | {:>9} {:>17} {:>9} {:>10} {:>8} | {:>9} {:>10} {:>6}",
        "generators",
        "rows",
        "points",
        "cpu ms",
        "(range)",
        "wall ms",
        "s/M points",
        "peak MiB",
        "sql ms",
        "s/M points",
        "ratio"
    );
    for (generators, rows, rounds) in SIZES {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(figure(generators, rows, rounds));
    }
    println!();
}

/// Fuel of a reading: a formula, so that the expected answer is known without reading anything back.
fn fuel(generator: usize, row: usize) -> f64 {
    ((generator * 7 + row * 13) % 1000) as f64
}

async fn figure(generators: usize, rows: usize, rounds: usize) {
    let home = tempfile::tempdir().expect("a directory");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(NOW_NS));
    let catalogue = Arc::new(Catalogue::open(&home.path().join("catalogue")).expect("a catalogue"));
    let options = StoreOptions { memory_bytes: 4 << 30, ..StoreOptions::default() };
    let buckets = home.path().join("buckets");
    let store = Store::open(home.path(), options, catalogue, Arc::clone(&clock)).await.expect("a store");
    let store = Arc::new(store);
    let raw = store.create_bucket(NewBucket::named("kafka_raw")).expect("a bucket");
    store.create_bucket(NewBucket::named("kafka_downsampled")).expect("a bucket");
    fill(&store, &raw.id, generators, rows).await;
    let log =
        EmbeddedLog::open(home.path().join("log"), EmbeddedOptions::default(), Arc::clone(&clock)).expect("a log");
    log.create_topic("kafka_downsampled", 1).await.expect("a topic");
    let arrivals = Arc::new(ArrivalClock::new(Arc::clone(&clock), 0));
    let engine = Engine::new();
    let world = Arc::new(StoreWorld::new(Arc::clone(&store), clock));

    reset_peak();
    let mut costs = Vec::new();
    for _ in 0..rounds {
        let world = Arc::clone(&world);
        let (engine, log, arrivals) = (&engine, &log, &arrivals);
        let run = async move {
            let request = RunRequest::new(Source::new("task", SCRIPT), NOW_NS, world);
            let report = engine.run(request, &mut DiscardResults).await.expect("a run");
            check(&report.writes[0].points, generators, rows);
            let output = output::records(&report.writes, None, arrivals, |write| Ok(write.bucket_name.clone()));
            let output = output.expect("records");
            log.append_atomic("bench", output.records.clone()).await.expect("an append");
        };
        let (_, cost) = cost(|| tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run)));
        costs.push(cost);
    }
    let peak = peak_mib();
    let sql = sql(&buckets.join(&*raw.id).join("genData"), generators, rows, rounds).await;
    print_row(generators, rows, costs, peak, sql);
}

async fn fill(store: &Store, bucket: &str, generators: usize, rows: usize) {
    let source = SourcePartition { topic: "kafka_raw".into(), generation: 1, partition: 0 };
    let mut offset = 0;
    for row in 0..rows {
        let mut batch = Vec::with_capacity(generators);
        for generator in 0..generators {
            let value = |index: usize| (generator * 31 + row * 17 + index) as f64 / 10.0;
            let fields = FIELDS.iter().enumerate().map(|(index, name)| {
                let value = if *name == "fuel" { fuel(generator, row) } else { value(index) };
                ((*name).into(), FieldValue::Float(value))
            });
            let spread = HOUR_NS / rows as i64;
            let point = Point {
                measurement: "genData".into(),
                tags: vec![("generatorID".into(), format!("generator{generator}").into())],
                fields: fields.collect(),
                time_ns: NOW_NS - HOUR_NS + row as i64 * spread + generator as i64 * (spread / generators as i64 / 2),
            };
            batch.push(SeqPoint { offset, seq: NOW_NS - HOUR_NS + offset as i64, point });
            offset += 1;
        }
        let rejected = store.apply(bucket, &source, &batch).expect("rows are taken");
        assert!(rejected.is_empty(), "{:?}", rejected.first());
        store.advance(&source, offset);
    }
    store.flush_all().await.expect("a flush");
}

/// One row a generator, with the fuel of its last reading and the alarm that follows from it.
fn check(points: &[Point], generators: usize, rows: usize) {
    assert_eq!(points.len(), generators, "one row a generator");
    for point in points {
        let number: usize = point.tags[0].1.trim_start_matches("generator").parse().expect("a generator");
        let expected = fuel(number, rows - 1);
        let alarm = if expected < 500.0 { "refuel" } else { "no action" };
        let field = |name: &str| point.fields.iter().find(|(own, _)| &**own == name).map(|(_, value)| value.clone());
        assert_eq!(field("fuel"), Some(FieldValue::Float(expected)), "{point:?}");
        assert_eq!(field("alarm"), Some(FieldValue::String(alarm.into())), "{point:?}");
    }
}

/// What somebody would write by hand: the last row of each generator by time.
async fn sql(files: &std::path::Path, generators: usize, rows: usize, rounds: usize) -> Vec<Cost> {
    let context = SessionContext::new();
    let table = format!("{}/", files.display());
    context.register_parquet("raw", &table, ParquetReadOptions::default()).await.expect("the files");
    let query = "select \"generatorID\", last_value(fuel order by time, time_ns) fuel, \
                 last_value(lat order by time, time_ns) lat, last_value(load order by time, time_ns) load, \
                 last_value(lon order by time, time_ns) lon, last_value(power order by time, time_ns) power, \
                 last_value(temperature order by time, time_ns) temperature, \
                 case when last_value(fuel order by time, time_ns) < 500 then 'refuel' else 'no action' end alarm, \
                 'US' region from raw group by \"generatorID\"";
    let mut costs = Vec::new();
    for _ in 0..rounds {
        let context = &context;
        let run = async move {
            let batches = context.sql(query).await.expect("SQL").collect().await.expect("rows");
            assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), generators);
            let sum: f64 =
                batches.iter().flat_map(|batch| batch.column(1).as_primitive::<Float64Type>().iter()).flatten().sum();
            let expected: f64 = (0..generators).map(|generator| fuel(generator, rows - 1)).sum();
            assert_eq!(sum, expected, "the peer's answer");
        };
        let (_, cost) = cost(|| tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run)));
        costs.push(cost);
    }
    costs
}

fn print_row(generators: usize, rows: usize, costs: Vec<Cost>, peak: u64, sql: Vec<Cost>) {
    let points = (generators * rows * FIELDS.len()) as f64;
    let (own, least, most) = middle(costs);
    let (peer, _, _) = middle(sql);
    let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
    let per_million = |duration: std::time::Duration| duration.as_secs_f64() / points * 1e6;
    println!(
        "{generators:>11} {rows:>6} {points:>10} | {:>9.1} {:>17} {:>9.1} {:>10.4} {peak:>8} | {:>9.1} {:>10.4} {:>6.2}",
        ms(own.cpu),
        format!("({:.1}-{:.1})", ms(least), ms(most)),
        ms(own.wall),
        per_million(own.cpu),
        ms(peer.cpu),
        per_million(peer.cpu),
        own.cpu.as_secs_f64() / peer.cpu.as_secs_f64(),
    );
}
