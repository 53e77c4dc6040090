//! The generator task, script text to durable result, beside hand-written SQL over the same files.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Float64Type;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use fluxmill::clock::{ArrivalClock, Clock, ManualClock};
use fluxmill::commitlog::CommitLog;
use fluxmill::commitlog::embedded::{EmbeddedLog, EmbeddedOptions};
use fluxmill::diagnostic::Source;
use fluxmill::engine::{BucketWrite, DiscardResults, Engine, RunRequest};
use fluxmill::point::names::Names;
use fluxmill::point::{FieldValue, result_json};
use fluxmill::tasks::output::{self, TopicWrite};

use crate::measure::{Cost, cost, middle, peak_mib, reset_peak};
use crate::stored::{MEASUREMENT, NOW_NS, Stored, value};

const SCRIPT: &str = include_str!("../tasks/generator_downsample.flux");

/// Generators, rows each, rounds.
const SIZES: [(usize, usize, usize); 4] = [(1_000, 6, 21), (6_000, 1, 21), (1_000, 167, 7), (1_000, 1_667, 5)];

pub fn figures() {
    println!(
        "the generator task, script text to durable result (6 fields a row), and SQL over the same files; last rows are"
    );
    println!("known to the store, or, after a restart, read");
    println!(
        "{:>11} {:>6} {:>10} {:>5} | {:>9} {:>17} {:>9} {:>10} {:>8} | {:>9} {:>10} {:>6}",
        "generators",
        "rows",
        "points",
        "last",
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

async fn figure(generators: usize, rows: usize, rounds: usize) {
    let stored = Stored::fill(generators, rows).await;
    let (home, clock) = (Arc::clone(&stored.home), Arc::new(ManualClock::new(NOW_NS)) as Arc<dyn Clock>);
    let log =
        EmbeddedLog::open(home.path().join("log"), EmbeddedOptions::default(), Arc::clone(&clock)).expect("a log");
    log.create_topic("kafka_downsampled", 1).await.expect("a topic");
    let arrivals = Arc::new(ArrivalClock::new(clock, 0));
    let engine = Engine::new();
    let known = rounds_over(&stored, &engine, &log, &arrivals, rounds).await;
    let stored = stored.reopen().await;
    let read = rounds_over(&stored, &engine, &log, &arrivals, rounds).await;
    let sql =
        middle(sql(&home.path().join("buckets").join(&stored.raw).join(MEASUREMENT), generators, rows, rounds).await);
    print_row("known", &stored, known, sql.0);
    print_row("read", &stored, read, sql.0);
}

/// What the task costs over and over, and the peak of memory; each result is checked.
async fn rounds_over(
    stored: &Stored,
    engine: &Engine,
    log: &EmbeddedLog,
    arrivals: &Arc<ArrivalClock>,
    rounds: usize,
) -> (Vec<Cost>, u64) {
    reset_peak();
    let mut costs = Vec::new();
    for _ in 0..rounds {
        let world = Arc::clone(&stored.world);
        let run = async move {
            let request = RunRequest::new(Source::new("task", SCRIPT), NOW_NS, world);
            let report = engine.run(request, &mut DiscardResults).await.expect("a run");
            let with_topic = |write: BucketWrite| TopicWrite { topic: write.bucket_name.clone(), write };
            let writes = report.writes.into_iter().map(with_topic).collect();
            let (mut output, _) = output::records(writes, report.kept, None, arrivals).await.expect("records");
            log.append_atomic("bench", std::mem::take(&mut output.records)).await.expect("an append")
        };
        let (positions, cost) =
            cost(|| tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run)));
        check(log, positions[0].offset, stored.generators, stored.rows).await;
        costs.push(cost);
    }
    (costs, peak_mib())
}

/// One record a generator is durable, with the fuel of its last reading and the alarm that follows from it.
async fn check(log: &EmbeddedLog, mut offset: u64, generators: usize, rows: usize) {
    let (mut names, mut found) = (Names::default(), HashSet::new());
    while found.len() < generators {
        let fetched = log.read("kafka_downsampled", 0, offset, generators, Duration::ZERO).await.expect("records");
        assert!(fetched.next_offset > offset, "{} of {generators} generators have a record", found.len());
        offset = fetched.next_offset;
        for record in &fetched.records {
            let schema = record.header("fm-schema").expect("a schema");
            let point = result_json::read(&record.payload, schema, &mut names).expect("a point");
            let number: usize = point.tags[0].1.trim_start_matches("generator").parse().expect("a generator");
            assert!(found.insert(number), "one record a generator");
            let expected = value(number, rows - 1, 0);
            let alarm = if expected < 500.0 { "refuel" } else { "no action" };
            let field =
                |name: &str| point.fields.iter().find(|(own, _)| &**own == name).map(|(_, value)| value.clone());
            assert_eq!(field("fuel"), Some(FieldValue::Float(expected)), "{point:?}");
            assert_eq!(field("alarm"), Some(FieldValue::String(alarm.into())), "{point:?}");
        }
    }
    assert_eq!(log.offsets("kafka_downsampled", 0).await.expect("offsets").end, offset);
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
            let expected: f64 = (0..generators).map(|generator| value(generator, rows - 1, 0)).sum();
            assert_eq!(sum, expected, "the peer's answer");
        };
        let (_, cost) = cost(|| tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run)));
        costs.push(cost);
    }
    costs
}

fn print_row(last: &str, stored: &Stored, (costs, peak): (Vec<Cost>, u64), peer: Cost) {
    let (generators, rows, points) = (stored.generators, stored.rows, stored.points() as f64);
    let (own, least, most) = middle(costs);
    let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
    let per_million = |duration: std::time::Duration| duration.as_secs_f64() / points * 1e6;
    println!(
        "{generators:>11} {rows:>6} {points:>10} {last:>5} | {:>9.1} {:>17} {:>9.1} {:>10.4} {peak:>8} | {:>9.1} {:>10.4} {:>6.2}",
        ms(own.cpu),
        format!("({:.1}-{:.1})", ms(least), ms(most)),
        ms(own.wall),
        per_million(own.cpu),
        ms(peer.cpu),
        per_million(peer.cpu),
        own.cpu.as_secs_f64() / peer.cpu.as_secs_f64(),
    );
}
