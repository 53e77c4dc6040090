//! Slots against tables worked out by hand from the calendar, and against a walk over every minute of real clocks.
#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Datelike, Offset, TimeZone, Timelike};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;
use crate::time::calendar::{DAY_NS, HOUR_NS, MINUTE_NS};
use crate::time::rfc3339;

fn at(text: &str) -> i64 {
    rfc3339::parse(text).unwrap()
}

fn text(time_ns: i64) -> String {
    rfc3339::to_short_text(time_ns)
}

fn nanoseconds(nanoseconds: i64) -> Duration {
    Duration::from_nanoseconds(nanoseconds)
}

fn months(months: i64) -> Duration {
    Duration::from_months(months)
}

fn every(every: Duration) -> Schedule {
    Schedule::every(every, Duration::ZERO, Location::UTC).unwrap()
}

fn in_zone(every: Duration, zone: &str) -> Schedule {
    Schedule::every(every, Duration::ZERO, Location::named(zone).unwrap()).unwrap()
}

fn cron(pattern: &str) -> Schedule {
    Schedule::cron(pattern, Duration::ZERO, Location::UTC).unwrap()
}

fn cron_in(pattern: &str, zone: &str) -> Schedule {
    Schedule::cron(pattern, Duration::ZERO, Location::named(zone).unwrap()).unwrap()
}

/// The first slots after a time, as text; each is a slot, and the one before it is found again backwards.
fn slots(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let after_ns = at(after);
    let slots: Vec<i64> = schedule.slots_between(after_ns, i64::MAX).take(count).collect();
    for pair in slots.windows(2) {
        assert_eq!(schedule.latest_slot(pair[1] - 1), Some(pair[0]));
    }
    for slot_ns in &slots {
        assert!(schedule.is_slot(*slot_ns));
    }
    slots.into_iter().map(text).collect()
}

#[test]
fn the_every_grid_counts_from_the_epoch() {
    let five_minutes = every(nanoseconds(5 * MINUTE_NS));
    assert_eq!(slots(&five_minutes, "2026-11-24T10:02:30Z", 2), ["2026-11-24T10:05:00Z", "2026-11-24T10:10:00Z"]);
    // A slot is not after itself, and is its own latest slot.
    assert_eq!(slots(&five_minutes, "2026-11-24T10:05:00Z", 1), ["2026-11-24T10:10:00Z"]);
    assert_eq!(five_minutes.latest_slot(at("2026-11-24T10:05:00Z")), Some(at("2026-11-24T10:05:00Z")));
    assert_eq!(five_minutes.latest_slot(at("2026-11-24T10:04:59.999999999Z")), Some(at("2026-11-24T10:00:00Z")));
    // 1970-01-01 was a Thursday, so weeks begin on Thursdays, as `window(every: 1w)` does.
    assert_eq!(slots(&every(nanoseconds(7 * DAY_NS)), "2026-11-24T10:00:00Z", 1), ["2026-11-26T00:00:00Z"]);
    // 7 m is no divisor of an hour: 1_763_978_400 s is 2025-11-24T10:00:00Z, and 420 * 4_199_949 s is 420 s * n below it.
    let seven = every(nanoseconds(7 * MINUTE_NS));
    let slot_ns = seven.next_slot_after(1_763_978_400 * SECOND_NS).unwrap();
    assert_eq!(slot_ns / SECOND_NS, (1_763_978_400 / 420 + 1) * 420);
    // Before the epoch the grid goes on.
    assert_eq!(slots(&every(nanoseconds(DAY_NS)), "1969-12-30T12:00:00Z", 1), ["1969-12-31T00:00:00Z"]);
}

#[test]
fn months_and_years_follow_the_calendar() {
    let monthly = every(months(1));
    assert_eq!(
        slots(&monthly, "2026-12-15T00:00:00Z", 3),
        ["2027-01-01T00:00:00Z", "2027-02-01T00:00:00Z", "2027-03-01T00:00:00Z"]
    );
    assert_eq!(slots(&every(months(3)), "2026-11-24T00:00:00Z", 2), ["2027-01-01T00:00:00Z", "2027-04-01T00:00:00Z"]);
    assert_eq!(slots(&every(months(12)), "2026-11-24T00:00:00Z", 1), ["2027-01-01T00:00:00Z"]);
    // Five months do not divide a year: counted from January 1970, 685 = 137 * 5 months later is February 2027.
    assert_eq!(slots(&every(months(5)), "2026-11-24T00:00:00Z", 2), ["2027-02-01T00:00:00Z", "2027-07-01T00:00:00Z"]);
    assert_eq!(slots(&monthly, "1969-11-15T00:00:00Z", 2), ["1969-12-01T00:00:00Z", "1970-01-01T00:00:00Z"]);
    assert_eq!(slots(&in_zone(months(1), "Europe/Berlin"), "2026-03-15T00:00:00Z", 1), ["2026-03-31T22:00:00Z"]);
}

#[test]
fn every_is_checked_as_influxdb_does() {
    let message = |every| Schedule::every(every, Duration::ZERO, Location::UTC).unwrap_err().to_string();
    assert_eq!(message(nanoseconds(SECOND_NS / 2)), "every option must be at least 1 second");
    assert_eq!(message(nanoseconds(-SECOND_NS)), "every option must be at least 1 second");
    assert_eq!(message(nanoseconds(SECOND_NS * 3 / 2)), "every option must be expressible as whole seconds");
    let mixed = Duration { months: 1, nanoseconds: DAY_NS, negative: false };
    assert_eq!(message(mixed), "every option cannot mix months or years with smaller units");
    let offset = Schedule::every(nanoseconds(SECOND_NS), nanoseconds(1_500_000_000), Location::UTC).unwrap_err();
    assert_eq!(offset.to_string(), "offset option must be expressible as whole seconds");
}

#[test]
fn a_day_in_a_zone_is_23_or_25_hours_long_when_the_clock_changes() {
    // Berlin: 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00.
    let daily = in_zone(nanoseconds(DAY_NS), "Europe/Berlin");
    assert_eq!(
        slots(&daily, "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"]
    );
    assert_eq!(
        slots(&daily, "2026-10-24T00:00:00Z", 3),
        ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T23:00:00Z"]
    );
    // Half-hour zones have their hours at the half hours of UTC.
    assert_eq!(
        slots(&in_zone(nanoseconds(HOUR_NS), "Asia/Kolkata"), "2026-01-01T00:00:00Z", 1),
        ["2026-01-01T00:30:00Z"]
    );
}

#[test]
fn a_cron_hour_that_is_left_out_runs_at_the_end_of_the_jump_and_one_that_comes_twice_runs_once() {
    let nightly = cron_in("30 2 * * *", "Europe/Berlin");
    // 02:30 does not exist on 2026-03-29; the jump ends at 03:00 CEST = 01:00Z.
    assert_eq!(
        slots(&nightly, "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    // 02:30 comes twice on 2026-10-25: CEST (00:30Z) and CET (01:30Z).
    assert_eq!(slots(&nightly, "2026-10-24T12:00:00Z", 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    // Several hours a day are hours of a day still, and several lines in the jump are one slot.
    let twice = cron_in("0,30 2,14 * * *", "Europe/Berlin");
    assert_eq!(
        slots(&twice, "2026-03-28T13:30:00Z", 3),
        ["2026-03-29T01:00:00Z", "2026-03-29T12:00:00Z", "2026-03-29T12:30:00Z"]
    );
}

#[test]
fn what_runs_through_the_day_runs_in_both_hours() {
    for schedule in [cron_in("0 * * * *", "America/New_York"), in_zone(nanoseconds(HOUR_NS), "America/New_York")] {
        // 2026-11-01 02:00 EDT becomes 01:00 EST.
        assert_eq!(
            slots(&schedule, "2026-11-01T04:30:00Z", 4),
            ["2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z", "2026-11-01T08:00:00Z"]
        );
        // 2026-03-08 02:00 EST becomes 03:00 EDT: the next real hour.
        assert_eq!(
            slots(&schedule, "2026-03-08T05:30:00Z", 3),
            ["2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"]
        );
    }
}

#[test]
fn a_day_that_a_zone_left_out_is_one_slot_with_the_next() {
    // Samoa went from the end of 2011-12-29 to 2011-12-31; midnight of both days is 2011-12-30T10:00Z.
    let daily = in_zone(nanoseconds(DAY_NS), "Pacific/Apia");
    assert_eq!(
        slots(&daily, "2011-12-28T12:00:00Z", 3),
        ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"]
    );
}

#[test]
fn cron_takes_influxdbs_grammar() {
    let from = "2026-11-24T10:02:30Z"; // a Tuesday
    for (pattern, first) in [
        ("*/5 * * * *", "2026-11-24T10:05:00Z"),
        ("0/15 * * * *", "2026-11-24T10:15:00Z"),
        ("7/20 * * * *", "2026-11-24T10:07:00Z"),
        ("*/10 * * * * *", "2026-11-24T10:02:40Z"),
        ("0 30 4 1 JAN * 2030", "2030-01-01T04:30:00Z"),
        ("0 9 * * mon-fri", "2026-11-25T09:00:00Z"),
        ("0 0 * * SUN", "2026-11-29T00:00:00Z"),
        ("0 0 * * 7", "2026-11-29T00:00:00Z"),
        // Friday the 13th: both days must match.
        ("0 0 13 * 5", "2027-08-13T00:00:00Z"),
        ("@hourly", "2026-11-24T11:00:00Z"),
        ("@Daily", "2026-11-25T00:00:00Z"),
        ("@midnight", "2026-11-25T00:00:00Z"),
        ("@weekly", "2026-11-29T00:00:00Z"),
        ("@monthly", "2026-12-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
        ("@every_minute", "2026-11-24T10:03:00Z"),
        ("@every_second", "2026-11-24T10:02:31Z"),
        ("@every 1h30m", "2026-11-24T10:30:00Z"),
        ("@every 1mo", "2026-12-01T00:00:00Z"),
    ] {
        assert_eq!(slots(&cron(pattern), from, 1), [first], "{pattern}");
    }
    assert!(cron("0 0 13 * 5").restricts_both_days());
    assert!(!cron("0 0 13 * *").restricts_both_days());
    assert!(!cron("0 0 * * 5").restricts_both_days());
}

#[test]
fn cron_problems_are_told() {
    let error = |pattern: &str| Schedule::cron(pattern, Duration::ZERO, Location::UTC).unwrap_err();
    assert_eq!(
        error("* * *").to_string(),
        "cron invalid: expected 5 fields (minute hour day month weekday), 6 with seconds first, or 7 with years last, \
         found 3"
    );
    assert_eq!(error("0 0 30 2 *").to_string(), "cron invalid: `0 0 30 2 *` never matches");
    assert_eq!(error("@dayly").to_string(), "cron invalid: unknown macro @dayly");
    assert_eq!(error("@dayly").hint(), Some("did you mean @daily?"));
    assert_eq!(
        error("@every soon").to_string(),
        "cron invalid: cannot parse \"soon\" as a duration: expected a whole number before `soon`"
    );
    assert!(error("61 * * * *").to_string().starts_with("cron invalid: "));
}

#[test]
fn a_pattern_with_years_ends() {
    let once = cron("0 0 12 24 12 * 2026");
    assert_eq!(slots(&once, "2026-01-01T00:00:00Z", 5), ["2026-12-24T12:00:00Z"]);
    assert_eq!(once.next_slot_after(at("2026-12-24T12:00:00Z")), None);
    assert_eq!(once.latest_slot(at("2026-12-24T11:59:59Z")), None);
}

#[test]
fn the_offset_moves_when_a_slot_is_due_and_not_the_slot() {
    let late = Schedule::every(nanoseconds(HOUR_NS), nanoseconds(10 * MINUTE_NS), Location::UTC).unwrap();
    assert_eq!(late.due_at(at("2026-11-24T12:00:00Z")), at("2026-11-24T12:10:00Z"));
    // A restart at 12:05 finds the slot of 11:00 as the newest one that is due; 12:00 is not lost, it comes at 12:10.
    assert_eq!(late.latest_due(at("2026-11-24T12:05:00Z")), Some(at("2026-11-24T11:00:00Z")));
    assert_eq!(late.latest_due(at("2026-11-24T12:10:00Z")), Some(at("2026-11-24T12:00:00Z")));

    let early = Schedule::every(nanoseconds(HOUR_NS), nanoseconds(-10 * MINUTE_NS), Location::UTC).unwrap();
    assert_eq!(early.latest_due(at("2026-11-24T11:50:00Z")), Some(at("2026-11-24T12:00:00Z")));

    // A month after the 31st is the end of February.
    let monthly = Schedule::cron("0 0 31 1 *", months(1), Location::UTC).unwrap();
    assert_eq!(monthly.due_at(at("2027-01-31T00:00:00Z")), at("2027-02-28T00:00:00Z"));
    assert_eq!(monthly.latest_due(at("2027-02-27T23:59:59Z")), Some(at("2026-01-31T00:00:00Z")));
    assert_eq!(monthly.latest_due(at("2027-02-28T00:00:00Z")), Some(at("2027-01-31T00:00:00Z")));
}

#[test]
fn the_newest_slots_are_taken_when_there_are_too_many() {
    let schedule = every(nanoseconds(MINUTE_NS));
    let newest = schedule.newest_slots_between(at("2026-01-01T00:00:00Z"), at("2026-11-24T10:02:30Z"), 2);
    assert_eq!(newest, [at("2026-11-24T10:01:00Z"), at("2026-11-24T10:02:00Z")]);
    assert_eq!(schedule.slots_between(at("2026-11-24T10:00:00Z"), at("2026-11-24T10:03:00Z")).count(), 3);
    assert_eq!(schedule.interval_after(at("2026-11-24T10:00:00Z")), Some(MINUTE_NS));
}

/// The slots of a zone in a range of minutes by walking its clock minute by minute.
fn walk(zone: Tz, from_ns: i64, minutes: i64, twice: bool, matches: impl Fn(i64) -> bool) -> Vec<i64> {
    let wall = |instant_ns: i64| {
        let utc = DateTime::from_timestamp_nanos(instant_ns).naive_utc();
        instant_ns + i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * SECOND_NS
    };
    let mut slots = Vec::new();
    let mut furthest_ns = wall(from_ns - MINUTE_NS);
    for minute in 0..minutes {
        let instant_ns = from_ns + minute * MINUTE_NS;
        let wall_ns = wall(instant_ns);
        let mut skipped_ns = furthest_ns + MINUTE_NS;
        let mut due = false;
        while skipped_ns < wall_ns {
            due |= matches(skipped_ns);
            skipped_ns += MINUTE_NS;
        }
        due |= matches(wall_ns) && (twice || wall_ns > furthest_ns);
        if due {
            slots.push(instant_ns);
        }
        furthest_ns = furthest_ns.max(wall_ns);
    }
    slots
}

const CHANGES: [(&str, &str); 8] = [
    ("Europe/Berlin", "2026-03-28T00:00:00Z"),
    ("Europe/Berlin", "2026-10-24T00:00:00Z"),
    ("America/New_York", "2026-03-07T00:00:00Z"),
    ("America/New_York", "2026-10-31T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T00:00:00Z"),
    ("Australia/Lord_Howe", "2026-10-03T00:00:00Z"),
    ("America/Havana", "2026-10-31T00:00:00Z"),
    ("Pacific/Apia", "2011-12-28T00:00:00Z"),
];

fn check_against_walk(schedule: &Schedule, zone: Tz, from: &str, twice: bool, matches: impl Fn(i64) -> bool) {
    let (from_ns, minutes) = (at(from), 4 * 1_440);
    let expected = walk(zone, from_ns, minutes, twice, matches);
    let until_ns = from_ns + (minutes - 1) * MINUTE_NS;
    let forward: Vec<i64> = schedule.slots_between(from_ns - 1, until_ns).collect();
    assert_eq!(
        forward.iter().copied().map(text).collect::<Vec<_>>(),
        expected.iter().copied().map(text).collect::<Vec<_>>()
    );
    assert_eq!(schedule.newest_slots_between(from_ns - 1, until_ns, usize::MAX), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn cron_agrees_with_a_walk_over_the_clock(
        change in 0..CHANGES.len(),
        minutes in proptest::collection::btree_set(0_u32..60, 1..5),
        hours in proptest::option::of(proptest::collection::btree_set(0_u32..24, 1..4)),
        weekday in proptest::option::of(0_u32..7),
    ) {
        let (name, from) = CHANGES[change];
        let list = |set: &std::collections::BTreeSet<u32>| set.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let pattern = format!(
            "{} {} * * {}",
            list(&minutes),
            hours.as_ref().map_or("*".into(), list),
            weekday.map_or("*".into(), |day| day.to_string()),
        );
        check_against_walk(&cron_in(&pattern, name), name.parse().unwrap(), from, hours.is_none(), |wall_ns| {
            let wall = DateTime::from_timestamp_nanos(wall_ns);
            minutes.contains(&wall.minute())
                && hours.as_ref().is_none_or(|hours| hours.contains(&wall.hour()))
                && weekday.is_none_or(|day| day == wall.weekday().num_days_from_sunday())
        });
    }

    #[test]
    fn due_times_never_decrease_and_latest_due_is_the_newest(
        every_s in 1_i64..10_000_000,
        offset_s in -1_000_000_i64..1_000_000,
        now_s in -2_000_000_000_i64..4_000_000_000,
    ) {
        let schedule = Schedule::every(nanoseconds(every_s * SECOND_NS), nanoseconds(offset_s * SECOND_NS), Location::UTC).unwrap();
        let now_ns = now_s * SECOND_NS;
        let slot_ns = schedule.latest_due(now_ns).unwrap();
        let next_ns = schedule.next_slot_after(slot_ns).unwrap();
        prop_assert!(schedule.due_at(slot_ns) <= now_ns);
        prop_assert!(schedule.due_at(next_ns) > now_ns);
        prop_assert_eq!(next_ns - slot_ns, every_s * SECOND_NS);
    }
}
