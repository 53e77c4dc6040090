//! Windows as the specification has them, cut and scattered.

#![allow(clippy::unwrap_used)]

use super::super::testing::*;
use super::*;
use crate::table::testing::{normal, show};
use crate::time::{Duration, Location, WindowSpec};

fn family(every: i64, period: i64, offset: i64) -> Windows {
    let seconds = |count: i64| Duration::from_nanoseconds(count * 1_000_000_000);
    Windows::Family(WindowSpec::new(seconds(every), seconds(period), seconds(offset), Location::UTC).unwrap())
}

fn window(every: i64, period: i64, create_empty: bool) -> Window {
    Window::new(family(every, period, 0), create_empty)
}

fn check(window: &Window, (start, stop): (i64, i64), input: &str, expected: &str) {
    let out = answer(window, bounded(Parts::Clustered, start, stop), input).unwrap();
    assert_eq!(show(&out.chunks), normal(expected));
}

const INPUT: &str = "_start:time* _stop:time* h:string* _time:time v:int\n\
    T0 T25 a T5 1\nT0 T25 a T15 2\nT0 T25 a - 3\nT0 T25 a T25 4\n";

/// The example of flux-semantics 7.2; a null time and one outside of the bounds are in no window (17).
#[test]
fn a_row_goes_to_all_windows_that_hold_it() {
    let head = "_start:time* _stop:time* h:string* _time:time v:int\n";
    let expected = format!("{head}T0 T10 a T5 1\n\nT0 T20 a T5 1\nT0 T20 a T15 2\n\nT10 T25 a T15 2\n");
    check(&window(10, 20, false), (0, 25), INPUT, &expected);
    let expected = format!("{head}T0 T10 a T5 1\n\nT10 T20 a T15 2\n\n= T20 T25 a\n");
    check(&window(10, 10, true), (0, 25), INPUT, &expected);
    // Shorter than their distance: gaps. Backwards: each ends where the grid says.
    check(&window(10, 5, false), (0, 25), INPUT, "");
    check(&window(10, 6, false), (0, 25), INPUT, &format!("{head}T0 T6 a T5 1\n\nT10 T16 a T15 2\n"));
    let expected = format!("{head}T0 T10 a T5 1\n\nT0 T20 a T5 1\nT0 T20 a T15 2\n\nT10 T25 a T15 2\n");
    check(&window(10, -20, false), (0, 25), INPUT, &expected);
}

#[test]
fn bounds_are_appended_and_join_the_key() {
    let input = "h:string* _time:time _stop:int\na T3 7\na T12 8\n\n= b\n";
    let expected = "h:string* _time:time _stop:time* _start:time*\na T3 T10 T0\n\na T12 T20 T10\n";
    check(&window(10, 10, false), (0, 20), input, expected);
}

/// flux-semantics 7.1: the offset moves the grid, in either direction and by more than a window.
#[test]
fn an_offset_moves_the_grid() {
    let input = "_time:time v:int\nT3 1\nT4 2\nT13 3\n";
    let expected = "_time:time v:int _start:time* _stop:time*\nT3 1 T0 T4\n\nT4 2 T4 T14\nT13 3 T4 T14\n";
    for offset in [4, -6, 104, -96] {
        let window = Window::new(family(10, 10, offset), false);
        check(&window, (0, 20), input, expected);
    }
}

/// flux-semantics 18, row 2: one window for all rows, whatever their time.
#[test]
fn an_infinite_window_is_the_bounds() {
    let input = "_start:time* _stop:time* _time:time v:int\nT0 T10 T10 1\nT0 T10 - 2\n\nT10 T20 T20 3\n";
    let expected = "_start:time* _stop:time* _time:time v:int\nT0 T20 T10 1\nT0 T20 - 2\nT0 T20 T20 3\n";
    check(&Window::new(Windows::Whole, false), (0, 20), input, expected);
    check(&Window::new(Windows::Whole, false), (0, 20), "h:string* _time:time\n= a\n", "");
    let expected = "h:string* _time:time _start:time* _stop:time*\n= a T0 T20\n";
    check(&Window::new(Windows::Whole, true), (0, 20), "h:string* _time:time\n= a\n", expected);
}

#[test]
fn tables_that_come_to_share_a_window_merge() {
    let input = "_start:time* _time:time v:int\nT0 T3 1\n\nT1 T2 2\nT1 T12 3\n";
    let expected = "_start:time* _time:time v:int _stop:time*\nT0 T3 1 T10\nT0 T2 2 T10\n\nT10 T12 3 T20\n";
    check(&window(10, 10, false), (0, 20), input, expected);
}

#[test]
fn times_in_the_key_decide_for_the_table() {
    let input = "_time:time* v:int\nT3 1\nT3 2\n\nT12 3\n\n- 4\n";
    let expected = "_time:time* v:int _start:time* _stop:time*\nT3 1 T0 T10\nT3 2 T0 T10\n\nT12 3 T10 T20\n";
    check(&window(10, 10, false), (0, 20), input, expected);
}

#[test]
fn what_windows_need() {
    let window = window(10, 10, false);
    let error = expect_error(&window, "_time:time\nT1\n");
    assert_eq!(error.message(), "nil bounds passed to window; use range to set the window range");
    let error = answer(&window, bounded(Parts::Clustered, 0, 9), "t:time\nT1\n").unwrap_err();
    assert_eq!(error.message(), "missing time column \"_time\"");
    let error = answer(&window, bounded(Parts::Clustered, 0, 9), "_time:int\n1\n").unwrap_err();
    assert_eq!(error.message(), "time column \"_time\" is of type int, expected time");
}
