//! One row for each window: the short way against the definition.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::testing::*;
use super::*;
use crate::operators::{AggregateKind, Pick};
use crate::table::testing::{normal, show, tables};
use crate::time::{Duration, Location, WindowSpec};

fn family(every: i64, offset: i64, location: Location) -> Windows {
    let seconds = |count: i64| Duration::from_nanoseconds(count * 1_000_000_000);
    Windows::Family(WindowSpec::new(seconds(every), Duration::ZERO, seconds(offset), location).unwrap())
}

fn of(function: WindowFunction, create_empty: bool) -> AggregateWindow {
    let windows = family(10, 0, Location::UTC);
    AggregateWindow { windows, function, time_src: "_stop".into(), time_dst: "_time".into(), create_empty }
}

fn aggregate(kind: AggregateKind) -> WindowFunction {
    WindowFunction::Aggregate(Aggregate { kind, column: "v".into() })
}

fn pick(pick: Pick) -> WindowFunction {
    WindowFunction::Pick(FirstLast { pick, column: "v".into() })
}

fn check(window: &AggregateWindow, input: &str, expected: &str) {
    let out = answer(window, bounded(Parts::Clustered, 0, 25), input).unwrap();
    assert_eq!(show(&out.chunks), normal(expected));
}

const INPUT: &str = "_start:time* _stop:time* h:string* _time:time v:float w:int\n\
    T0 T25 a T1 1.0 7\nT0 T25 a T3 3.0 -\nT0 T25 a T21 5.0 9\n\n= T0 T25 b\n";

/// The example of flux-semantics 7.3.
#[test]
fn a_window_becomes_one_row() {
    let head = "_start:time* _stop:time* h:string* v:float _time:time\n";
    let b = "T0 T25 b - T10\nT0 T25 b - T20\nT0 T25 b - T25\n";
    let expected = format!("{head}T0 T25 a 2.0 T10\nT0 T25 a - T20\nT0 T25 a 5.0 T25\n\n{b}");
    check(&of(aggregate(AggregateKind::Mean), true), INPUT, &expected);
    let expected = format!("{head}T0 T25 a 2.0 T10\nT0 T25 a 5.0 T25\n");
    check(&of(aggregate(AggregateKind::Mean), false), INPUT, &expected);
    let head = "_start:time* _stop:time* h:string* v:int _time:time\n";
    let b = "T0 T25 b 0 T10\nT0 T25 b 0 T20\nT0 T25 b 0 T25\n";
    let expected = format!("{head}T0 T25 a 2 T10\nT0 T25 a 0 T20\nT0 T25 a 1 T25\n\n{b}");
    check(&of(aggregate(AggregateKind::Count), true), INPUT, &expected);
}

/// flux-semantics 7.3: selectors keep all columns, and give null rows for windows without rows.
#[test]
fn a_row_that_is_picked_keeps_its_columns() {
    let head = "_start:time* _stop:time* h:string* _time:time v:float w:int\n";
    let expected = format!("{head}T0 T25 a T10 3.0 -\nT0 T25 a T25 5.0 9\n");
    check(&of(pick(Pick::Last), false), INPUT, &expected);
    let b = "T0 T25 b T10 - -\nT0 T25 b T20 - -\nT0 T25 b T25 - -\n";
    let expected = format!("{head}T0 T25 a T10 1.0 7\nT0 T25 a T20 - -\nT0 T25 a T25 5.0 9\n\n{b}");
    check(&of(pick(Pick::First), true), INPUT, &expected);
}

#[test]
fn errors_are_those_of_the_parts() {
    let window = of(aggregate(AggregateKind::Mean), true);
    let error = answer(&window, bounded(Parts::Clustered, 0, 25), "_time:time v:string\nT1 x\n").unwrap_err();
    assert_eq!(error.message(), "unsupported aggregate column type string");
    let error = answer(&window, bounded(Parts::Clustered, 0, 25), "_time:time w:int\nT1 3\n").unwrap_err();
    assert_eq!(error.message(), "column \"v\" does not exist");
    let error = answer(&window, bounded(Parts::Clustered, 0, 25), "t:time v:int\nT1 3\n").unwrap_err();
    assert_eq!(error.message(), "missing time column \"_time\"");
    let error = answer(&of(pick(Pick::Last), true), bounded(Parts::Clustered, 0, 25), "_time:time\nT1\n").unwrap_err();
    assert_eq!(error.message(), "no column \"v\" exists");
    let error = expect_error(&window, "_time:time v:int\nT1 3\n");
    assert_eq!(error.message(), "nil bounds passed to window; use range to set the window range");
}

/// Tables at random: several shapes, equal keys within a shape, times out of order, null and out of bounds.
fn input() -> impl Strategy<Value = String> {
    let cell = |text: &'static str| prop_oneof![4 => Just(text.to_string()), 1 => Just("-".to_string())];
    let time = prop_oneof![8 => (-5_i64..140).prop_map(|second| format!("T{second}")), 1 => Just("-".to_string())];
    let value = prop_oneof![
        4 => (-50_i64..50).prop_map(|value| format!("{:?}", value as f64 / 8.0)),
        1 => Just("-".to_string()),
        1 => Just("NaN".to_string()),
        1 => Just("-0.0".to_string()),
        1 => Just("1e300".to_string()),
    ];
    let row = (time, value, cell("x"));
    let table = (0_usize..3, "[ab]", 0_i64..3, proptest::collection::vec(row, 0..14));
    proptest::collection::vec(table, 0..6).prop_map(|tables| {
        let mut text = String::new();
        for (shape, host, start, rows) in tables {
            // Where tables of several shapes make one table, the order of its columns is nobody's promise.
            let host = format!("{host}{shape}");
            let (head, key) = match shape {
                0 => ("_start:time* h:string* _time:time v:float w:string", format!("T{start} {host}")),
                1 => ("h:string* _time:time v:float w:string", host.clone()),
                _ => ("h:string* _time:time _stop:time* v:float w:string", format!("{host} T{start}")),
            };
            text.push_str(head);
            text.push('\n');
            if rows.is_empty() {
                text.push_str(&format!("= {key}\n"));
            }
            for (time, v, w) in rows {
                let line = match shape {
                    0 => format!("T{start} {host} {time} {v} {w}\n"),
                    1 => format!("{host} {time} {v} {w}\n"),
                    _ => format!("{host} {time} T{start} {v} {w}\n"),
                };
                text.push_str(&line);
            }
            text.push('\n');
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The short way and the definition agree bit for bit.
    #[test]
    fn both_ways_agree(
        input in input(),
        every in 1_i64..60,
        offset in -90_i64..90,
        function in 0_usize..11,
        create_empty: bool,
        whole in prop_oneof![9 => Just(false), 1 => Just(true)],
        src in prop_oneof![3 => Just("_stop"), 1 => Just("_start")],
        dst in prop_oneof![3 => Just("_time"), 1 => Just("t"), 1 => Just("w")],
    ) {
        let function = match function {
            0 => aggregate(AggregateKind::Count),
            1 => aggregate(AggregateKind::Sum),
            2 => aggregate(AggregateKind::Mean),
            3 => pick(Pick::First),
            4 => pick(Pick::Last),
            5 => pick(Pick::Min),
            6 => pick(Pick::Max),
            7 => aggregate(AggregateKind::Spread),
            8 => aggregate(AggregateKind::StdDev { population: false }),
            9 => aggregate(AggregateKind::Skew),
            _ => aggregate(AggregateKind::Quantile { q: 0.3, compression: 1000.0 }),
        };
        let windows = if whole { Windows::Whole } else { family(every, offset, Location::UTC) };
        let short = AggregateWindow { windows, function, time_src: src.into(), time_dst: dst.into(), create_empty };
        prop_assert!(short.fuses());
        let props = bounded(Parts::Clustered, 3, 125);
        let fused = run(&short, props, tables(&input)).map(|out| show(&out.chunks));
        let mut chain = Chain::new(&short.definition(), &props).unwrap();
        let mut out = Out::default();
        let long = tables(&input).into_iter().try_for_each(|chunk| chain.push(0, chunk, &mut out));
        let long = long.and_then(|()| chain.finish(0, &mut out)).and_then(|()| out.take_chunks()).map(|chunks| show(&chunks));
        prop_assert_eq!(fused.map_err(|error| error.to_string()), long.map_err(|error| error.to_string()));
    }
}
