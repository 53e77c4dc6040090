//! The lines of a schedule on a wall clock that never jumps: multiples of a duration, calendar months, cron patterns.
//!
//! Called by [`super::Schedule`] only, which maps lines to instants. Wall times are nanoseconds since 1970-01-01T00:00 as
//! the clock on the wall shows it. Nothing here knows a zone.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

use super::SECOND_NS;
use super::cron::CronLines;
use crate::error::{Error, Result};
use crate::time::Duration;

const DAY_NS: i64 = 86_400 * SECOND_NS;

/// Where the slots lie on the wall clock.
#[derive(Clone, Debug)]
pub(super) enum Lines {
    /// Multiples of so many nanoseconds.
    Every(i64),
    /// The first of every n-th month, counted from January 1970.
    Months(i64),
    /// What a pattern matches.
    Cron(Box<CronLines>),
}

impl Lines {
    /// The grid of an `every`.
    pub(super) fn every(every: Duration) -> Result<Self> {
        if every.months != 0 && every.nanoseconds != 0 {
            let message = "every option cannot mix months or years with smaller units";
            return Err(Error::invalid(message).with_hint("a day has a fixed length, a month has not: `1mo` or `30d`"));
        }
        if every.negative || (every.months == 0 && every.nanoseconds < SECOND_NS) {
            return Err(Error::invalid("every option must be at least 1 second"));
        }
        if every.nanoseconds % SECOND_NS != 0 {
            return Err(Error::invalid("every option must be expressible as whole seconds"));
        }
        Ok(if every.months > 0 { Lines::Months(every.months) } else { Lines::Every(every.nanoseconds) })
    }

    /// The lines go on through the day whatever the hour is, so that an hour which comes twice has its lines twice.
    pub(super) fn runs_through_the_day(&self) -> bool {
        match self {
            Lines::Every(every_ns) => *every_ns < DAY_NS,
            Lines::Months(_) => false,
            Lines::Cron(cron) => cron.any_hour,
        }
    }

    /// The first line after a wall time.
    pub(super) fn after(&self, wall_ns: i64) -> Option<i64> {
        match self {
            Lines::Every(every_ns) => wall_ns.div_euclid(*every_ns).checked_add(1)?.checked_mul(*every_ns),
            Lines::Months(months) => month_line(months_since_1970(wall_ns)?.div_euclid(*months) + 1, *months),
            Lines::Cron(cron) => {
                let next = cron.pattern.find_next_occurrence(&naive(wall_ns)?, false).ok()?;
                next.and_utc().timestamp_nanos_opt()
            }
        }
    }

    /// The last line at or before a wall time.
    pub(super) fn at_or_before(&self, wall_ns: i64) -> Option<i64> {
        match self {
            Lines::Every(every_ns) => wall_ns.div_euclid(*every_ns).checked_mul(*every_ns),
            Lines::Months(months) => month_line(months_since_1970(wall_ns)?.div_euclid(*months), *months),
            Lines::Cron(cron) => {
                let last = cron.pattern.find_previous_occurrence(&naive(wall_ns)?, true).ok()?;
                last.and_utc().timestamp_nanos_opt()
            }
        }
    }
}

/// The date and time of a wall time, to the second (rounded down: patterns have no finer unit).
fn naive(wall_ns: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(wall_ns.div_euclid(SECOND_NS), 0).map(|time| time.naive_utc())
}

fn months_since_1970(wall_ns: i64) -> Option<i64> {
    let date = naive(wall_ns)?.date();
    Some((i64::from(date.year()) - 1970) * 12 + i64::from(date.month0()))
}

fn month_line(index: i64, months: i64) -> Option<i64> {
    let month = index.checked_mul(months)?;
    let year = i32::try_from(1970 + month.div_euclid(12)).ok()?;
    let date = NaiveDate::from_ymd_opt(year, u32::try_from(month.rem_euclid(12)).ok()? + 1, 1)?;
    date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_nanos_opt()
}
