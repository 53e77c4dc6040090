//! What the scan answers by itself, and how the cost of a query grows with rows and with series.
//!
//! The laws of scaling: the slope of log(CPU) over log(N) by least squares.

use std::time::Duration;

use fluxmill::engine::{Engine, RunRequest};

use crate::measure::{Cost, middle};
use crate::stored::{FIELDS, HOUR_NS, Stored, Sum, value};

const ROUNDS: usize = 5;

const READ: &str =
    "from(bucket: \"kafka_raw\") |> range(start: -1h) |> filter(fn: (r) => r._measurement == \"genData\")";
const FUEL: &str = "|> filter(fn: (r) => r._field == \"fuel\")";

/// Windows and selectors of one field over ten million points in range, all of them pushed to the scan.
pub fn figures() {
    runtime().block_on(async {
        let stored = Stored::fill(1_000, 1_667).await;
        let rows = stored.generators * stored.rows;
        println!("pushed down: one field, {rows} points of {} generators in range", stored.generators);
        println!("{:>14} | {:>9} {:>17} | {:>10}", "query", "cpu ms", "(range)", "s/M points");
        type Expected = fn(&Stored) -> (u64, f64);
        let queries: [(&str, &str, Expected); 5] = [
            ("max by 5m", "|> aggregateWindow(every: 5m, fn: max)", |stored| by_window(stored, f64::MIN, f64::max)),
            ("mean by 5m", "|> aggregateWindow(every: 5m, fn: mean)", |stored| {
                (12 * stored.generators as u64, f64::NAN)
            }),
            ("last", "|> last()", |stored| {
                let last = |generator| value(generator, stored.rows - 1, 0);
                (stored.generators as u64, (0..stored.generators).map(last).sum())
            }),
            ("count", "|> count()", |stored| (stored.generators as u64, (stored.generators * stored.rows) as f64)),
            ("mean", "|> mean()", |stored| {
                let mean =
                    |generator| (0..stored.rows).map(|row| value(generator, row, 0)).sum::<f64>() / stored.rows as f64;
                (stored.generators as u64, (0..stored.generators).map(mean).sum())
            }),
        ];
        let engine = Engine::new();
        for (name, query, expected) in queries {
            let (expected_rows, expected_sum) = expected(&stored);
            let script = format!("{READ} {FUEL} {query}");
            let costs = stored
                .rounds(&engine, &script, (ROUNDS, usize::MAX), |got| {
                    assert_eq!(got.rows, expected_rows, "{name}");
                    let close = (got.values - expected_sum).abs() <= 1e-9 * expected_sum.abs();
                    assert!(expected_sum.is_nan() || close, "{name}: {got:?}, not {expected_sum}");
                })
                .await;
            print(name, costs, rows);
        }
    });
    println!();
}

/// Rows and sum of what a fold makes of each five minutes of each generator.
fn by_window(stored: &Stored, first: f64, fold: fn(f64, f64) -> f64) -> (u64, f64) {
    let mut sum = 0.0;
    for generator in 0..stored.generators {
        let mut of_window = [first; 12];
        for row in 0..stored.rows {
            let time_ns = crate::stored::time_ns(stored.generators, stored.rows, generator, row);
            let since_ns = time_ns - (crate::stored::NOW_NS - HOUR_NS);
            let window = &mut of_window[(since_ns / (HOUR_NS / 12)) as usize];
            *window = fold(*window, value(generator, row, 0));
        }
        sum += of_window.iter().sum::<f64>();
    }
    (12 * stored.generators as u64, sum)
}

fn print(name: &str, costs: Vec<Cost>, points: usize) {
    let (own, least, most) = middle(costs);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name:>14} | {:>9.1} {:>17} | {:>10.4}",
        ms(own.cpu),
        format!("({:.1}-{:.1})", ms(least), ms(most)),
        own.cpu.as_secs_f64() / points as f64 * 1e6
    );
}

/// How cost grows: with rows, and with series at the same number of points.
pub fn laws() {
    runtime().block_on(async {
        println!("a full scan (a filter by value that keeps all, then count, by operators) and last() of each series");
        println!("{:>10} {:>8} | {:>12} {:>12} | {:>12}", "points", "series", "scan cpu ms", "wall ms", "last cpu ms");
        let (mut scans, mut lasts) = (Vec::new(), Vec::new());
        for rows in [17, 167, 1_667] {
            let (points, scan, last) = scan_and_last(1_000, rows).await;
            scans.push((points, scan.as_secs_f64()));
            lasts.push((points, last.as_secs_f64()));
        }
        println!(
            "slope of the scan over points {:.2} (0.95 to 1.05), of last {:.2} (at most 0.2)\n",
            slope(&scans),
            slope(&lasts)
        );
        let mut costs = Vec::new();
        for series in [10, 100, 1_000, 10_000, 100_000] {
            let (_, scan, _) = scan_and_last(series, 1_667_000 / series).await;
            costs.push(scan.as_secs_f64());
        }
        let (least, most) =
            costs.iter().fold((f64::MAX, 0.0_f64), |(least, most), cost| (least.min(*cost), most.max(*cost)));
        println!("dearest number of series over cheapest: {:.2} (at most 3)\n", most / least);
    });
}

async fn scan_and_last(series: usize, rows: usize) -> (f64, Duration, Duration) {
    let stored = Stored::fill(series, rows).await;
    let engine = Engine::new();
    let all = (series * rows * FIELDS.len()) as f64;
    let script = format!("{READ} |> filter(fn: (r) => r._value >= 0.0) |> count() |> group() |> sum()");
    let scans = stored.rounds(&engine, &script, (ROUNDS, 1), |got| assert_eq!(got, Sum { rows: 1, values: all })).await;
    let lasts = stored
        .rounds(&engine, &format!("{READ} {FUEL} |> last()"), (ROUNDS, usize::MAX), |got| {
            assert_eq!(got.rows, series as u64);
        })
        .await;
    let ((scan, ..), (last, ..)) = (middle(scans), middle(lasts));
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{all:>10} {series:>8} | {:>12.1} {:>12.1} | {:>12.2}", ms(scan.cpu), ms(scan.wall), ms(last.cpu));
    (all, scan.cpu, last.cpu)
}

/// What a second core brings: scans whose rows operators work on, the same on one core and on two. Files are read ahead on
/// other threads in either case; so what one core alone would take is the CPU time of the first.
pub fn cores() {
    runtime().block_on(async {
        let stored = Stored::fill(1_000, 1_667).await;
        let engine = Engine::new();
        println!("{} points of {} generators on one core and on two", stored.points(), stored.generators);
        println!("{:>8} | {:>10} {:>10} | {:>10} {:>10} | {:>6}", "query", "cpu 1 ms", "wall 1 ms", "cpu 2 ms", "wall 2 ms", "faster");
        let keeps_all = "|> filter(fn: (r) => r._value >= 0.0)";
        let wide = "|> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\") |> map(fn: (r) => ({r with _value: r.fuel + r.load}))";
        for (name, query, offered) in [("filter", keeps_all, 1), ("pivot", wide, usize::MAX)] {
            let script = format!("{READ} {query} |> count() |> group() |> sum()");
            let mut costs = Vec::new();
            for cores in [1, 2] {
                let change = |request: &mut RunRequest| {
                    request.max_push_ops = offered;
                    request.cores = cores;
                };
                let check = |got: Sum| assert_eq!(got.rows, 1, "{name}");
                costs.push(middle(stored.rounds_with(&engine, &script, ROUNDS, change, check).await).0);
            }
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            let (one, two) = (&costs[0], &costs[1]);
            println!(
                "{name:>8} | {:>10.1} {:>10.1} | {:>10.1} {:>10.1} | {:>6.2}",
                ms(one.cpu),
                ms(one.wall),
                ms(two.cpu),
                ms(two.wall),
                one.cpu.as_secs_f64() / two.wall.as_secs_f64()
            );
        }
        println!("(at least 1.7)\n");
    });
}

/// The slope of log(y) over log(x), by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let over: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
    over / logs.iter().map(|log| (log.0 - x).powi(2)).sum::<f64>()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}
