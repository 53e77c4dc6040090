//! What a bucket costs on the disk and in memory, after an hour of small commits, and after a kill.
//!
//! Peaks of memory are those of a process of its own, which opens a bucket that another has filled.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fluxmill::engine::{Engine, StoreWorld};
use fluxmill::point::{FieldValue, Point};
use fluxmill::store::{NewBucket, SeqPoint, SourcePartition};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::load::{Daemon, LINES, WRITE, lines};
use crate::measure::{cost, cpu_time_of, middle, peak_mib};
use crate::stored::{self, HOUR_NS, NOW_NS, Stored};

/// The word that makes this program the process whose memory is measured.
pub const CHILD: &str = "peak-of-query";

const STREAMING: &str = "from(bucket: \"kafka_raw\") |> range(start: -1h) |> filter(fn: (r) => r._measurement == \"genData\") \
                         |> filter(fn: (r) => r._value >= 0.0) |> map(fn: (r) => ({r with _value: r._value + 1.0})) |> mean()";

/// Bytes of a point after compaction: generators that behave like machines, every 5 to 15 seconds at any nanosecond.
pub fn size() {
    runtime().block_on(async {
        let home = tempfile::tempdir().expect("a directory");
        let (store, _) = stored::open(home.path()).await;
        let raw = store.create_bucket(NewBucket::named("kafka_raw")).expect("a bucket").id;
        let source = SourcePartition { topic: "kafka_raw".into(), generation: 1, partition: 0 };
        let mut random = StdRng::seed_from_u64(7);
        let mut machines: Vec<Machine> = (0..1_000).map(|number| Machine::new(number, &mut random)).collect();
        let mut offset = 0;
        while machines[0].time_ns < NOW_NS {
            // In the order of their times, as messages arrive.
            let mut arrived: Vec<Point> = machines.iter_mut().flat_map(|machine| machine.minute(&mut random)).collect();
            arrived.sort_by_key(|point| point.time_ns);
            let rows: Vec<SeqPoint> =
                (offset..).zip(arrived).map(|(offset, point)| SeqPoint { offset, seq: point.time_ns, point }).collect();
            offset += rows.len() as u64;
            assert!(store.apply(&raw, &source, &rows).expect("rows are taken").is_empty());
            store.advance(&source, offset);
        }
        store.flush_all().await.expect("a flush");
        let before = store.bucket_stats(&raw).await.expect("its size");
        store.compact_bucket(&raw).await.expect("a compaction");
        let stats = store.bucket_stats(&raw).await.expect("its size");
        assert_eq!(stats.rows, offset);
        println!("size on the disk: {} points of 1,000 machines, six hours", stats.points);
        let of = |bytes: u64| bytes as f64 / stats.points as f64;
        println!(
            "  {:.2} bytes a point as flushed, {:.2} after compaction (at most 2.5)\n",
            of(before.bytes),
            of(stats.bytes)
        );
        columns(home.path());
    });
}

/// A machine whose readings move slowly, with two decimals.
struct Machine {
    name: String,
    time_ns: i64,
    place: (f64, f64),
    load: f64,
    fuel: f64,
    temperature: f64,
}

impl Machine {
    fn new(number: usize, random: &mut StdRng) -> Machine {
        Machine {
            name: format!("generator{number}"),
            time_ns: NOW_NS - 6 * HOUR_NS + random.random_range(0..15_000_000_000),
            place: (random.random_range(25.0..49.0), random.random_range(-124.0..-67.0)),
            load: random.random_range(0.2..0.9),
            fuel: random.random_range(120.0..1000.0),
            temperature: 60.0,
        }
    }

    /// What it sends within the next minute.
    fn minute(&mut self, random: &mut StdRng) -> Vec<Point> {
        let round = |value: f64, digits: f64| FieldValue::Float((value * digits).round() / digits);
        let until_ns = self.time_ns + 60_000_000_000;
        let mut points = Vec::new();
        while self.time_ns < until_ns {
            let pause_ns = random.random_range(5_000_000_000..15_000_000_000);
            self.time_ns += pause_ns;
            self.load = (self.load + random.random_range(-0.01..0.01)).clamp(0.05, 1.0);
            self.fuel -= self.load * pause_ns as f64 / 1e9 * 1000.0 / (8.0 * 3600.0);
            if self.fuel < 120.0 {
                self.fuel = 1000.0;
            }
            self.temperature += (20.0 + 60.0 * self.load - self.temperature) * 0.08;
            let fields = [
                ("fuel", round(self.fuel, 100.0)),
                ("lat", round(self.place.0, 1e4)),
                ("load", round(self.load * 100.0, 100.0)),
                ("lon", round(self.place.1, 1e4)),
                ("power", round(self.load * 250.0, 100.0)),
                ("temperature", round(self.temperature, 100.0)),
            ];
            points.push(Point {
                measurement: "genData".into(),
                tags: vec![("generatorID".into(), self.name.as_str().into())],
                fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
                time_ns: self.time_ns,
            });
        }
        points
    }
}

/// What each column takes, from the files' own footers.
fn columns(directory: &Path) {
    use datafusion::parquet::file::reader::{FileReader, SerializedFileReader};
    let mut bytes: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    let mut rows = 0;
    for entry in walkdir(directory) {
        let name = entry.file_name().expect("a name").to_string_lossy().into_owned();
        if !name.ends_with(".parquet") || !(name.starts_with("compact") || name.starts_with("versions")) {
            continue;
        }
        let file = std::fs::File::open(&entry).expect("a file");
        let reader = SerializedFileReader::new(file).expect("a Parquet file");
        rows += reader.metadata().file_metadata().num_rows();
        for group in reader.metadata().row_groups() {
            for column in group.columns() {
                *bytes.entry(column.column_path().string()).or_default() += column.compressed_size();
            }
        }
    }
    for (name, bytes) in bytes {
        println!("  {name:>12} {:.2} bytes a row", bytes as f64 / rows as f64);
    }
    println!();
}

fn walkdir(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(walkdir(&path)) } else { found.push(path) }
    }
    found
}

/// The peak of memory of a streaming query, over more and more points.
pub fn memory(sizes: &[usize]) {
    println!("peak memory of a streaming query (filter, map, mean by operators) in a process of its own");
    for rows in sizes {
        let stored = runtime().block_on(Stored::fill(1_000, *rows));
        let points = stored.points();
        let directory = Arc::clone(&stored.home);
        drop(stored);
        let own = std::env::current_exe().expect("this program");
        let output = Command::new(own).arg(CHILD).arg(directory.path()).output().expect("it runs again");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("{points:>12} points: {}", String::from_utf8_lossy(&output.stdout).trim());
    }
    println!();
}

/// The process whose memory is measured.
pub fn child(directory: &Path) {
    runtime().block_on(async {
        let (store, clock) = stored::open(directory).await;
        let world = Arc::new(StoreWorld::new(store, clock));
        let opened = peak_mib();
        let run = async { stored::run(&Engine::new(), world, STREAMING, |request| request.max_push_ops = 1).await };
        let ((sum, report), cost) = {
            let began = crate::measure::cpu_time();
            let wall = Instant::now();
            let done = run.await;
            (done, (crate::measure::cpu_time() - began, wall.elapsed()))
        };
        assert_eq!(sum.rows, 6_000);
        println!(
            "peak {} MiB ({opened} before), {:.3} CPU-s, {:.3} s wall, {} rows read",
            peak_mib(),
            cost.0.as_secs_f64(),
            cost.1.as_secs_f64(),
            report.rows_in
        );
    });
}

/// A query over what an hour of one flush a second has left, maintained as the daemon does, beside the same compacted.
pub fn commits() {
    runtime().block_on(async {
        let home = tempfile::tempdir().expect("a directory");
        let (store, clock) = stored::open(home.path()).await;
        let raw = store.create_bucket(NewBucket::named("kafka_raw")).expect("a bucket").id.to_string();
        let world = Arc::new(StoreWorld::new(Arc::clone(&store), clock));
        let (generators, rows) = (100, 3_600);
        let stored = Stored { home: Arc::new(home), store, world, raw, generators, rows };
        let mut offset = 0;
        for second in 0..rows {
            let places: Vec<(usize, usize)> = (0..generators).map(|generator| (generator, second)).collect();
            offset = stored.apply(&places, offset);
            stored.store.flush_all().await.expect("a flush");
            if second % 5 == 4 {
                stored.store.maintain(NOW_NS).await.expect("maintenance");
            }
        }
        let engine = Engine::new();
        let measure = async || {
            let mut costs = Vec::new();
            for _ in 0..7 {
                let run = stored.run(&engine, STREAMING, |request| request.max_push_ops = 1);
                let (got, cost) =
                    cost(|| tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(run)));
                assert_eq!((got.0.rows, got.1.rows_in), (6 * generators as u64, stored.points() as u64));
                costs.push(cost);
            }
            middle(costs).0.cpu
        };
        let many = stored.store.bucket_stats(&stored.raw).await.expect("its size").files;
        let before = measure().await;
        stored.store.compact_bucket(&stored.raw).await.expect("a compaction");
        let one = stored.store.bucket_stats(&stored.raw).await.expect("its size").files;
        let after = measure().await;
        println!(
            "an hour of commits a second: {:.1} ms CPU over {many} files, {:.1} ms over {one}: {:.2} (at most 1.5)\n",
            before.as_secs_f64() * 1e3,
            after.as_secs_f64() * 1e3,
            before.as_secs_f64() / after.as_secs_f64()
        );
    });
}

/// A daemon that is killed with ten million points in files and two million that are only in the log.
pub fn restart() {
    let home = tempfile::tempdir().expect("a directory");
    let daemon = Daemon::start(home.path(), &[]);
    let (stored, unflushed) = (1_667_000 / LINES, 333_000 / LINES);
    for request in 0..stored {
        assert_eq!(daemon.post(WRITE, &lines(request)), 204);
    }
    // A stop writes everything to files.
    // SAFETY: the process is our child and has not been waited for.
    unsafe { libc::kill(daemon.child.id() as i32, libc::SIGTERM) };
    let mut daemon = daemon;
    assert!(daemon.child.wait().expect("its end").success());
    let config = home.path().join("fluxmill.toml");
    std::fs::write(
        &config,
        "[sink]\nflush_rows = 100000000\nflush_bytes = \"8GiB\"\nflush_age = \"24h\"\n[store]\nmemory = \"4GiB\"\n",
    )
    .expect("a configuration");
    let arguments = ["--config", config.to_str().expect("a path")];
    let daemon = Daemon::start(home.path(), &arguments);
    for request in 0..unflushed {
        assert_eq!(daemon.post(WRITE, &lines(stored + request)), 204);
    }
    drop(daemon);
    let began = Instant::now();
    let daemon = Daemon::start(home.path(), &arguments);
    let (ready, cpu) = (began.elapsed(), cpu_time_of(daemon.child.id()));
    let rows = (unflushed * LINES) as f64;
    while applied(&daemon) < rows {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (all, all_cpu) = (began.elapsed(), cpu_time_of(daemon.child.id()));
    println!("restart after a kill, {} points in files and {} in the log only:", stored * LINES * 6, rows as usize * 6);
    println!(
        "  ready after {:.2} s ({:.2} CPU-s; at most 1 s), all of it readable after {:.2} s ({:.2} CPU-s): {:.1} M points/s\n",
        ready.as_secs_f64(),
        cpu.as_secs_f64(),
        all.as_secs_f64(),
        all_cpu.as_secs_f64(),
        rows * 6.0 / all.as_secs_f64() / 1e6
    );
}

/// Rows that the sink has read since the start.
fn applied(daemon: &Daemon) -> f64 {
    let answer = daemon.ask("GET", "/metrics", "");
    let lines = answer.lines().filter(|line| line.starts_with("fluxmill_sink_rows_total{"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}
