//! Between instants and the wall clock of a zone, where the clock may jump ahead or go back.
//!
//! Called by [`super::Schedule`] only. Instants are nanoseconds since 1970-01-01T00:00:00Z, wall times nanoseconds since
//! 1970-01-01T00:00 as the clock on the wall shows it. The zones are those of the IANA database.

use chrono::{DateTime, LocalResult, Months, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::SECOND_NS;
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::time::Duration;

/// Longer than any change of a clock: Samoa left out a whole day.
const LONGEST_CHANGE_NS: i64 = 25 * 3_600 * SECOND_NS;

/// When a clock shows a wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instants {
    /// Once; or never, and then this is the end of the jump that leaves it out.
    One(i64),
    /// Twice, since the clock goes back.
    Two(i64, i64),
}

impl Instants {
    /// The first of them.
    pub(super) fn first(self) -> i64 {
        match self {
            Instants::One(instant_ns) | Instants::Two(instant_ns, _) => instant_ns,
        }
    }
}

/// The zone of an IANA name.
pub(super) fn by_name(name: &str) -> Result<Tz> {
    name.parse().map_err(|_| {
        let error = Error::invalid(format!("unknown time zone \"{name}\""));
        match nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())) {
            Some(near) => error.with_hint(format!("did you mean \"{near}\"?")),
            None => error.with_hint("expected a name of the IANA database, such as \"Europe/Berlin\""),
        }
    })
}

/// What the clock shows at an instant.
pub(super) fn wall(zone: Option<Tz>, instant_ns: i64) -> Option<i64> {
    match zone {
        None => Some(instant_ns),
        Some(zone) => instant_ns.checked_add(offset_ns(zone, instant_ns)),
    }
}

/// When the clock shows a wall time; `None` beyond the years that fit.
pub(super) fn instants(zone: Option<Tz>, wall_ns: i64) -> Option<Instants> {
    let Some(zone) = zone else {
        return Some(Instants::One(wall_ns));
    };
    match zone.offset_from_local_datetime(&naive(wall_ns)) {
        LocalResult::Single(offset) => Some(Instants::One(wall_ns.checked_sub(in_ns(&offset))?)),
        LocalResult::Ambiguous(first, second) => {
            Some(Instants::Two(wall_ns.checked_sub(in_ns(&first))?, wall_ns.checked_sub(in_ns(&second))?))
        }
        LocalResult::None => {
            let before_ns =
                wall_ns.checked_sub(LONGEST_CHANGE_NS)?.checked_sub(offset_ns(zone, wall_ns - LONGEST_CHANGE_NS))?;
            Some(Instants::One(change_between(zone, before_ns, wall_ns.checked_add(LONGEST_CHANGE_NS)?)))
        }
    }
}

/// If the clock shows this instant's wall time twice: the range `[start, end)` of wall times that it shows twice.
pub(super) fn repeated_range(zone: Option<Tz>, instant_ns: i64) -> Option<(i64, i64)> {
    let real_zone = zone?;
    let Some(Instants::Two(first_ns, second_ns)) = instants(zone, wall(zone, instant_ns)?) else {
        return None;
    };
    let change_ns = change_between(real_zone, first_ns, second_ns);
    let start_ns = change_ns.checked_add(offset_ns(real_zone, second_ns))?;
    Some((start_ns, change_ns.checked_add(offset_ns(real_zone, first_ns))?))
}

/// Whether the clock shows this instant's wall time for the second time.
pub(super) fn is_second_showing(zone: Option<Tz>, instant_ns: i64) -> bool {
    let times = wall(zone, instant_ns).and_then(|wall_ns| instants(zone, wall_ns));
    matches!(times, Some(Instants::Two(_, second_ns)) if second_ns == instant_ns)
}

/// A time plus a duration: months first (the day cut to the month's end), then nanoseconds.
pub(super) fn add(time_ns: i64, duration: Duration) -> i64 {
    let mut sum_ns = time_ns;
    if duration.months != 0 {
        let months = Months::new(u32::try_from(duration.months).unwrap_or(u32::MAX));
        let time = DateTime::from_timestamp_nanos(time_ns);
        let moved = if duration.negative { time.checked_sub_months(months) } else { time.checked_add_months(months) };
        let limit_ns = if duration.negative { i64::MIN } else { i64::MAX };
        sum_ns = moved.and_then(|time| time.timestamp_nanos_opt()).unwrap_or(limit_ns);
    }
    let nanoseconds = if duration.negative { -duration.nanoseconds } else { duration.nanoseconds };
    sum_ns.saturating_add(nanoseconds)
}

fn naive(ns: i64) -> NaiveDateTime {
    DateTime::from_timestamp_nanos(ns).naive_utc()
}

fn offset_ns(zone: Tz, instant_ns: i64) -> i64 {
    in_ns(&zone.offset_from_utc_datetime(&naive(instant_ns)))
}

fn in_ns(offset: &impl Offset) -> i64 {
    i64::from(offset.fix().local_minus_utc()) * SECOND_NS
}

/// The first instant after `before_ns` at which the zone's offset is another one; it has changed once by `after_ns`.
fn change_between(zone: Tz, before_ns: i64, after_ns: i64) -> i64 {
    let old_ns = offset_ns(zone, before_ns);
    let (mut low, mut high) = (before_ns.div_euclid(SECOND_NS), after_ns.div_euclid(SECOND_NS));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if offset_ns(zone, middle * SECOND_NS) == old_ns {
            low = middle;
        } else {
            high = middle;
        }
    }
    high * SECOND_NS
}
