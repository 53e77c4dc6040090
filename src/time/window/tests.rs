//! Windows against the calendar: expected bounds are worked out by hand from the zone database and the specification.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::time::calendar::{DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS};
use crate::time::rfc3339::{parse, to_short_text};

fn duration(text: &str) -> Duration {
    Duration::parse_signed(text).unwrap()
}

fn spec(every: &str, period: &str, offset: &str, zone: &str) -> WindowSpec {
    let location = Location::named(zone).unwrap();
    WindowSpec::new(duration(every), duration(period), duration(offset), location).unwrap()
}

fn shown(windows: impl Iterator<Item = Window>) -> Vec<String> {
    windows.map(|window| format!("{} {}", to_short_text(window.start_ns), to_short_text(window.stop_ns))).collect()
}

fn overlapping(spec: &WindowSpec, start: &str, stop: &str) -> Vec<String> {
    shown(spec.overlapping(parse(start).unwrap(), parse(stop).unwrap()))
}

fn hours(windows: impl Iterator<Item = Window>) -> Vec<i64> {
    windows.map(|window| (window.stop_ns - window.start_ns) / HOUR_NS).collect()
}

#[test]
fn overlapping_windows_of_the_specification() {
    // flux-semantics 7.2: bounds [0, 25), every 10, period 20 give [-10,10) [0,20) [10,30).
    let spec = spec("10ns", "20ns", "0s", "UTC");
    let windows: Vec<_> = spec.overlapping(0, 25).map(|window| (window.start_ns, window.stop_ns)).collect();
    assert_eq!(windows, [(-10, 10), (0, 20), (10, 30), (20, 40)]);
    let holding: Vec<_> = spec.containing(15).map(|window| window.start_ns).collect();
    assert_eq!(holding, [10, 0]);
}

#[test]
fn weeks_start_on_thursday_and_an_offset_moves_them_to_monday() {
    // 1970-01-01 was a Thursday; 2024-01-03 a Wednesday, 2024-01-01 a Monday.
    let thursday = spec("1w", "1w", "0s", "UTC");
    assert_eq!(shown(thursday.containing(parse("2024-01-03").unwrap())), ["2023-12-28T00:00:00Z 2024-01-04T00:00:00Z"]);
    let monday = spec("1w", "1w", "-3d", "UTC");
    assert_eq!(shown(monday.containing(parse("2024-01-03").unwrap())), ["2024-01-01T00:00:00Z 2024-01-08T00:00:00Z"]);
}

#[test]
fn months_follow_the_calendar() {
    let months = spec("1mo", "1mo", "0s", "UTC");
    assert_eq!(
        overlapping(&months, "2024-01-15T00:00:00Z", "2024-03-01T00:00:00Z"),
        ["2024-01-01T00:00:00Z 2024-02-01T00:00:00Z", "2024-02-01T00:00:00Z 2024-03-01T00:00:00Z"]
    );
    let before_the_epoch = months.containing(parse("1969-02-03").unwrap());
    assert_eq!(shown(before_the_epoch), ["1969-02-01T00:00:00Z 1969-03-01T00:00:00Z"]);
    let quarters = spec("3mo", "3mo", "1mo", "UTC");
    assert_eq!(shown(quarters.containing(parse("2024-01-31").unwrap())), ["2023-11-01T00:00:00Z 2024-02-01T00:00:00Z"]);
    let years = spec("1y", "1y", "0s", "UTC");
    assert_eq!(shown(years.containing(parse("2024-12-31").unwrap())), ["2024-01-01T00:00:00Z 2025-01-01T00:00:00Z"]);
}

#[test]
fn months_from_a_late_day_are_clamped_without_gaps() {
    // The grid starts at January 31, 1970: each start is that day or the last of its month, windows still touch.
    let clamped = spec("1mo", "1mo", "30d", "UTC");
    assert_eq!(
        overlapping(&clamped, "2024-02-01T00:00:00Z", "2024-04-01T00:00:00Z"),
        [
            "2024-01-31T00:00:00Z 2024-02-29T00:00:00Z",
            "2024-02-29T00:00:00Z 2024-03-31T00:00:00Z",
            "2024-03-31T00:00:00Z 2024-04-30T00:00:00Z",
        ]
    );
}

#[test]
fn days_in_berlin_have_23_and_25_hours() {
    let days = spec("1d", "1d", "0s", "Europe/Berlin");
    assert_eq!(
        overlapping(&days, "2024-03-30T12:00:00Z", "2024-04-01T00:00:00Z"),
        [
            "2024-03-29T23:00:00Z 2024-03-30T23:00:00Z",
            "2024-03-30T23:00:00Z 2024-03-31T22:00:00Z",
            "2024-03-31T22:00:00Z 2024-04-01T22:00:00Z",
        ]
    );
    assert_eq!(
        shown(days.containing(parse("2024-10-27T12:00:00Z").unwrap())),
        ["2024-10-26T22:00:00Z 2024-10-27T23:00:00Z"]
    );
}

#[test]
fn hours_in_berlin_are_23_and_25_of_one_hour() {
    // flux-semantics 18 row 3: 23 or 25 windows, in order.
    let spec = spec("1h", "1h", "0s", "Europe/Berlin");
    let spring =
        hours(spec.overlapping(parse("2024-03-30T23:00:00Z").unwrap(), parse("2024-03-31T22:00:00Z").unwrap()));
    assert_eq!(spring, [1; 23]);
    let autumn =
        hours(spec.overlapping(parse("2024-10-26T22:00:00Z").unwrap(), parse("2024-10-27T23:00:00Z").unwrap()));
    assert_eq!(autumn, [1; 25]);
}

#[test]
fn longer_steps_follow_the_wall_clock_over_a_jump() {
    let spec = spec("6h", "6h", "0s", "Europe/Berlin");
    let spring =
        hours(spec.overlapping(parse("2024-03-30T23:00:00Z").unwrap(), parse("2024-03-31T22:00:00Z").unwrap()));
    assert_eq!(spring, [5, 6, 6, 6]);
    let autumn =
        hours(spec.overlapping(parse("2024-10-26T22:00:00Z").unwrap(), parse("2024-10-27T23:00:00Z").unwrap()));
    assert_eq!(autumn, [7, 6, 6, 6]);
}

#[test]
fn a_jump_that_misses_the_grid_starts_a_window() {
    // Lord Howe's clock goes back from 02:00 to 01:30, at 2024-04-06T15:00Z (UTC+11 before, +10:30 after).
    let spec = spec("1h", "1h", "0s", "Australia/Lord_Howe");
    assert_eq!(
        overlapping(&spec, "2024-04-06T14:00:00Z", "2024-04-06T16:30:00Z"),
        [
            "2024-04-06T14:00:00Z 2024-04-06T15:00:00Z",
            "2024-04-06T15:00:00Z 2024-04-06T15:30:00Z",
            "2024-04-06T15:30:00Z 2024-04-06T16:30:00Z",
        ]
    );
}

#[test]
fn a_zone_of_half_hours_has_its_own_grid() {
    let hour = spec("1h", "1h", "0s", "Asia/Kolkata");
    assert_eq!(
        shown(hour.containing(parse("2024-01-01T00:00:00Z").unwrap())),
        ["2023-12-31T23:30:00Z 2024-01-01T00:30:00Z"]
    );
    let day = spec("1d", "1d", "0s", "Asia/Kolkata");
    assert_eq!(
        shown(day.containing(parse("2024-01-01T00:00:00Z").unwrap())),
        ["2023-12-31T18:30:00Z 2024-01-01T18:30:00Z"]
    );
}

#[test]
fn a_skipped_day_has_no_window() {
    // Samoa had no December 30 in 2011.
    let days = spec("1d", "1d", "0s", "Pacific/Apia");
    assert_eq!(
        overlapping(&days, "2011-12-30T00:00:00Z", "2011-12-31T00:00:00Z"),
        ["2011-12-29T10:00:00Z 2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z"]
    );
}

#[test]
fn a_fixed_offset_shifts_the_grid() {
    let location = Location::fixed(-8 * HOUR_NS);
    let spec = WindowSpec::aligned(duration("1d"), Duration::ZERO, location).unwrap();
    assert_eq!(
        shown(spec.containing(parse("2024-01-01T00:00:00Z").unwrap())),
        ["2023-12-31T08:00:00Z 2024-01-01T08:00:00Z"]
    );
}

#[test]
fn gaps_and_backward_windows() {
    let gaps = spec("1h", "15m", "0s", "UTC");
    assert_eq!(gaps.containing(20 * MINUTE_NS).count(), 0);
    assert_eq!(gaps.containing(14 * MINUTE_NS).count(), 1);
    let backwards = spec("1h", "-90m", "0s", "UTC");
    let windows: Vec<_> = backwards.containing(0).map(|w| (w.start_ns / MINUTE_NS, w.stop_ns / MINUTE_NS)).collect();
    assert_eq!(windows, [(-30, 60)]);
    let windows: Vec<_> = backwards.overlapping(0, 31 * MINUTE_NS).map(|w| w.stop_ns / HOUR_NS).collect();
    assert_eq!(windows, [1, 2]);
}

#[test]
fn the_missing_one_of_every_and_period_copies_the_other() {
    let location = Location::UTC;
    let only_period = WindowSpec::new(Duration::ZERO, duration("5m"), Duration::ZERO, location).unwrap();
    assert_eq!(only_period.every(), duration("5m"));
    let only_every = WindowSpec::new(duration("5m"), Duration::ZERO, Duration::ZERO, location).unwrap();
    assert!(only_every.is_partition());
}

#[test]
fn impossible_families_are_refused() {
    let cases = [
        ("0s", "0s", "0s", "requires at least one of"),
        ("-1h", "1h", "0s", "must be non-negative"),
        ("1mo1h", "1h", "0s", "cannot mix month and nanosecond units"),
        ("1h", "1h", "9000000000000mo", "offset"),
    ];
    for (every, period, offset, reason) in cases {
        let spec = WindowSpec::new(duration(every), duration(period), duration(offset), Location::UTC);
        let error = spec.unwrap_err();
        assert!(error.message().contains(reason), "{error}");
    }
}

#[test]
fn long_ranges_are_lazy_and_can_be_counted_before() {
    let tiny = spec("1ns", "365d", "0s", "UTC");
    assert_eq!(tiny.overlapping(0, i64::MAX).take(3).count(), 3);
    let ten_minutes = spec("10m", "10m", "0s", "UTC");
    assert_eq!(ten_minutes.approximate_count(0, 10 * DAY_NS) / 144, 10);
    assert!(spec("1h", "1h", "0s", "UTC").overlapping(5, 5).next().is_none());
}

#[test]
fn the_ends_of_time_hold() {
    let steps = ["1ns", "7m", "1h", "1d", "1w", "1mo", "7y", "290y", "100000000y", "9223372036854775806ns"];
    for every in steps {
        for zone in ["UTC", "Europe/Berlin", "Pacific/Apia"] {
            for period in [every, "3d", "-1mo2h", "290y"] {
                let spec = spec(every, period, "3d", zone);
                for time_ns in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
                    spec.containing(time_ns).take(3).count();
                    if spec.approximate_count(time_ns, i64::MAX) < 100_000 {
                        spec.overlapping(time_ns, i64::MAX).take(3).count();
                    }
                    if spec.approximate_count(i64::MIN, time_ns) < 100_000 {
                        spec.overlapping(i64::MIN, time_ns).take(3).count();
                    }
                    assert!(spec.boundary_at_or_before(time_ns) <= time_ns || time_ns == i64::MIN);
                    assert!(spec.boundary_after(time_ns).is_none_or(|boundary| boundary > time_ns));
                }
            }
        }
    }
}

const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Havana",
];

/// Durations as people write them: a count of a unit.
fn some_duration(counts: std::ops::Range<i64>) -> impl Strategy<Value = Duration> {
    let units = prop_oneof![Just("mo"), Just("w"), Just("d"), Just("h"), Just("m"), Just("s")];
    (counts, units).prop_map(|(count, unit)| Duration::parse(&format!("{count}{unit}")).unwrap())
}

prop_compose! {
    fn some_spec()(
        every in some_duration(1..40),
        period in some_duration(1..40),
        partition: bool,
        backwards: bool,
        offset in some_duration(0..40),
        zone in 0..ZONES.len(),
    ) -> WindowSpec {
        let period = if partition { every } else { period };
        let period = if backwards { period.negated() } else { period };
        WindowSpec::new(every, period, offset, Location::named(ZONES[zone]).unwrap()).unwrap()
    }
}

/// An instant between 1901 and 2099.
fn some_time() -> impl Strategy<Value = i64> {
    (-2_177_452_800i64..4_070_908_800).prop_map(|seconds| seconds * SECOND_NS)
}

proptest! {
    #[test]
    fn windows_hold_the_instant_they_are_asked_for(spec in some_spec(), time_ns in some_time()) {
        for window in spec.containing(time_ns).take(50) {
            prop_assert!(window.contains(time_ns));
        }
    }

    #[test]
    fn both_questions_agree(spec in some_spec(), time_ns in some_time()) {
        let mut containing: Vec<_> = spec.containing(time_ns).take(5_000).collect();
        containing.sort();
        let mut overlapping: Vec<_> = spec.overlapping(time_ns, time_ns + 1).take(5_000).collect();
        overlapping.sort();
        if containing.len() < 5_000 {
            prop_assert_eq!(containing, overlapping);
        }
    }

    #[test]
    fn a_partition_has_no_gap_and_no_overlap(
        every in some_duration(1..40),
        offset in some_duration(0..40),
        zone in 0..ZONES.len(),
        time_ns in some_time(),
        backwards: bool,
    ) {
        let location = Location::named(ZONES[zone]).unwrap();
        let period = if backwards { every.negated() } else { every };
        let spec = WindowSpec::new(every, period, offset, location).unwrap();
        prop_assert!(spec.is_partition());
        let stop_ns = time_ns + 3 * spec.every().flat_nanoseconds();
        let windows: Vec<_> = spec.overlapping(time_ns, stop_ns).take(100).collect();
        prop_assert!(windows[0].contains(time_ns));
        prop_assert!(windows[windows.len() - 1].stop_ns >= stop_ns);
        for pair in windows.windows(2) {
            prop_assert_eq!(pair[0].stop_ns, pair[1].start_ns);
            prop_assert!(pair[0].start_ns < pair[0].stop_ns);
        }
        prop_assert_eq!(spec.containing(time_ns).count(), 1);
    }

    #[test]
    fn boundaries_enclose_an_instant(spec in some_spec(), time_ns: i64) {
        let before = spec.boundary_at_or_before(time_ns);
        prop_assert!(before <= time_ns || before == i64::MIN);
        if let Some(after) = spec.boundary_after(time_ns) {
            prop_assert!(after > time_ns);
            prop_assert_eq!(spec.boundary_at_or_before(after), after);
        }
    }
}
