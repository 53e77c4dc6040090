//! What a row costs in each operator, and what a table of a window costs: one field of a thousand generators, over files.
//!
//! Push-down stops behind the filter where it would take the operator over: the operators themselves are measured.

use std::time::Duration;

use fluxmill::engine::Engine;

use crate::measure::middle;
use crate::stored::{HOUR_NS, NOW_NS, Stored, time_ns, value};

const GENERATORS: usize = 1_000;
const ROWS: usize = 1_000;
const ROUNDS: usize = 7;

/// How many filters stand behind `range`: these may be offered to the scan, nothing after them.
const OFFERED: usize = 1;

const READ: &str = "from(bucket: \"kafka_raw\") |> range(start: -1h) |> filter(fn: (r) => r._measurement == \"genData\" and r._field == \"fuel\")";

/// An operator: its name, its text, and what it must give of the values of a generator, one slice per row (rows, sum).
struct Measured {
    name: &'static str,
    script: &'static str,
    expected: fn(usize, &[f64]) -> (u64, f64),
    /// The most CPU microseconds that a row may cost.
    bar: f64,
}

const STREAMING: f64 = 0.2;
const HOLDING: f64 = 0.5;

const OPERATORS: [Measured; 14] = [
    Measured { name: "nothing", script: "", expected: |_, own| (own.len() as u64, own.iter().sum()), bar: STREAMING },
    Measured {
        name: "map",
        script: "|> map(fn: (r) => ({r with _value: r._value * 2.0 + 1.0}))",
        expected: |_, own| (own.len() as u64, own.iter().map(|value| value * 2.0 + 1.0).sum()),
        bar: STREAMING,
    },
    Measured {
        name: "filter",
        script: "|> filter(fn: (r) => r._value >= 500.0)",
        expected: |_, own| {
            let kept: Vec<f64> = own.iter().copied().filter(|value| *value >= 500.0).collect();
            (kept.len() as u64, kept.iter().sum())
        },
        bar: STREAMING,
    },
    Measured {
        name: "derivative",
        script: "|> derivative(unit: 1s)",
        expected: |_, own| {
            let seconds = (HOUR_NS / ROWS as i64) as f64 / 1e9;
            (own.len() as u64 - 1, (own[own.len() - 1] - own[0]) / seconds)
        },
        bar: STREAMING,
    },
    Measured {
        name: "cumulativeSum",
        script: "|> cumulativeSum()",
        expected: |_, own| {
            let sums = own.iter().scan(0.0, |sum, value| {
                *sum += value;
                Some(*sum)
            });
            (own.len() as u64, sums.sum())
        },
        bar: STREAMING,
    },
    Measured {
        name: "elapsed",
        script: "|> elapsed(unit: 1ms) |> map(fn: (r) => ({_value: r.elapsed, generatorID: r.generatorID}))",
        expected: |_, own| {
            (own.len() as u64 - 1, ((own.len() as i64 - 1) * (HOUR_NS / ROWS as i64 / 1_000_000)) as f64)
        },
        bar: HOLDING,
    },
    Measured {
        name: "sort",
        script: "|> sort(columns: [\"_value\"])",
        expected: |_, own| (own.len() as u64, own.iter().sum()),
        bar: HOLDING,
    },
    Measured {
        name: "pivot",
        script: "|> pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\") |> rename(columns: {fuel: \"_value\"})",
        expected: |_, own| (own.len() as u64, own.iter().sum()),
        bar: HOLDING,
    },
    Measured {
        name: "reduce",
        script: "|> reduce(identity: {_value: 0.0}, fn: (r, accumulator) => ({_value: accumulator._value + r._value}))",
        expected: |_, own| (1, own.iter().sum()),
        bar: HOLDING,
    },
    Measured {
        name: "mean",
        script: "|> mean()",
        expected: |_, own| (1, own.iter().sum::<f64>() / own.len() as f64),
        bar: STREAMING,
    },
    Measured {
        name: "median, 5m",
        script: "|> aggregateWindow(every: 5m, fn: median)",
        expected: |generator, own| {
            windows(generator, own, |window| {
                let mut sorted = window.to_vec();
                sorted.sort_by(f64::total_cmp);
                let half = sorted.len() / 2;
                if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
            })
        },
        bar: HOLDING,
    },
    Measured {
        name: "spread, 5m",
        script: "|> aggregateWindow(every: 5m, fn: spread)",
        expected: |generator, own| {
            windows(generator, own, |window| {
                let most = window.iter().copied().fold(f64::MIN, f64::max);
                most - window.iter().copied().fold(f64::MAX, f64::min)
            })
        },
        bar: HOLDING,
    },
    Measured {
        name: "quantile",
        script: "|> quantile(q: 0.5, method: \"exact_mean\")",
        expected: |_, own| {
            let mut sorted = own.to_vec();
            sorted.sort_by(f64::total_cmp);
            (1, (sorted[own.len() / 2 - 1] + sorted[own.len() / 2]) / 2.0)
        },
        bar: HOLDING,
    },
    Measured {
        name: "group",
        script: "|> group(columns: [\"_measurement\"])",
        expected: |_, own| (own.len() as u64, own.iter().sum()),
        bar: HOLDING,
    },
];

/// Rows and sum of what becomes of each five minutes of a generator's rows.
fn windows(generator: usize, own: &[f64], of_window: impl Fn(&[f64]) -> f64) -> (u64, f64) {
    let window = |row: usize| (time_ns(GENERATORS, ROWS, generator, row) - (NOW_NS - HOUR_NS)) / (HOUR_NS / 12);
    let mut results = Vec::new();
    for number in 0..12 {
        let rows: Vec<f64> = (0..own.len()).filter(|row| window(*row) == number).map(|row| own[row]).collect();
        results.push(of_window(&rows));
    }
    (12, results.iter().sum())
}

pub fn figures() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stored = Stored::fill(GENERATORS, ROWS).await;
        operators(&stored).await;
        join(&stored).await;
        tables(&stored).await;
    });
    println!();
}

async fn operators(stored: &Stored) {
    let rows = (GENERATORS * ROWS) as f64;
    println!("operators over {rows} rows of {GENERATORS} tables, scan included; \"nothing\" is the scan alone");
    println!("{:>14} | {:>10} {:>17} | {:>10} {:>6}", "operator", "us a row", "(range)", "own us", "bar");
    let engine = Engine::new();
    let mut scan = 0.0;
    for Measured { name, script, expected, bar } in OPERATORS {
        let script = format!("{READ} {script}");
        let costs = stored
            .rounds(&engine, &script, (ROUNDS, OFFERED), |got| {
                let (mut rows, mut values) = (0, 0.0);
                for generator in 0..GENERATORS {
                    let own: Vec<f64> = (0..ROWS).map(|row| value(generator, row, 0)).collect();
                    let (own_rows, sum) = expected(generator, &own);
                    rows += own_rows;
                    values += sum;
                }
                assert_eq!(got.rows, rows, "{name}");
                // Sums of a million values that cancel out keep an error of their own.
                let scale = values.abs().max(1e-3 * rows as f64);
                assert!((got.values - values).abs() <= 1e-9 * scale, "{name}: {got:?}, not {values}");
            })
            .await;
        let (own, least, most) = middle(costs);
        let us = |time: Duration| time.as_secs_f64() * 1e6 / rows;
        if name == "nothing" {
            scan = us(own.cpu);
        }
        println!(
            "{name:>14} | {:>10.3} {:>17} | {:>10.3} {bar:>6}",
            us(own.cpu),
            format!("({:.3}-{:.3})", us(least), us(most)),
            us(own.cpu) - scan,
        );
    }
}

/// Two fields of each generator beside each other.
async fn join(stored: &Stored) {
    let script = "field = (name) => from(bucket: \"kafka_raw\") |> range(start: -1h) |> filter(fn: (r) => r._measurement == \"genData\" and r._field == name)\n\
                  join(tables: {fuel: field(name: \"fuel\"), load: field(name: \"load\")}, on: [\"_time\", \"generatorID\"])\n\
                  |> map(fn: (r) => ({_value: r._value_fuel + r._value_load}))";
    let engine = Engine::new();
    let costs = stored
        .rounds(&engine, script, (ROUNDS, OFFERED), |got| {
            let of = |place: (usize, usize)| value(place.0, place.1, 0) + value(place.0, place.1, 2);
            let expected: f64 = places().map(of).sum();
            assert_eq!(got.rows, (GENERATORS * ROWS) as u64);
            assert!((got.values - expected).abs() <= 1e-9 * expected, "{got:?}, not {expected}");
        })
        .await;
    let (own, least, most) = middle(costs);
    let us = |time: Duration| time.as_secs_f64() * 1e6 / (2 * GENERATORS * ROWS) as f64;
    let range = format!("({:.3}-{:.3})", us(least), us(most));
    println!("{:>14} | {:>10.3} {range:>17} | {:>10} {HOLDING:>6}", "join, map", us(own.cpu), "");
}

fn places() -> impl Iterator<Item = (usize, usize)> {
    (0..GENERATORS).flat_map(|generator| (0..ROWS).map(move |row| (generator, row)))
}

/// What a table of a window costs, as an operator and pushed down.
async fn tables(stored: &Stored) {
    let script = format!("{READ} |> aggregateWindow(every: 5m, fn: spread)");
    let engine = Engine::new();
    println!("\nwindows of five minutes, spread, {} windows of {ROWS} rows each dozen", GENERATORS * 12);
    for (name, offered) in [("operator", OFFERED), ("pushed down", usize::MAX)] {
        let costs = stored
            .rounds(&engine, &script, (ROUNDS, offered), |got| assert_eq!(got.rows, 12 * GENERATORS as u64))
            .await;
        let (own, least, most) = middle(costs);
        let us = |time: Duration| time.as_secs_f64() * 1e6 / (GENERATORS * 12) as f64;
        println!("{name:>14} | {:>6.2} us CPU a window ({:.2}-{:.2})", us(own.cpu), us(least), us(most));
    }
}
