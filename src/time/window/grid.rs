//! The grid on which windows start, in the four cases that differ: even steps, calendar months, a wall clock that jumps
//! under long steps, and one that jumps under short steps.
//!
//! Called by [`super::WindowSpec`] only. Instants are `i128` nanoseconds, so that a grid line beyond the ends of 64 bits
//! is still a number; [`BEYOND`] and its negative stand for "beyond the calendar".

use chrono::NaiveDateTime;

use crate::time::calendar::{self, HOUR_NS};
use crate::time::duration::NANOSECONDS_PER_FLAT_MONTH;
use crate::time::zone::exact_naive;
use crate::time::{Duration, Location};

/// Steps no longer than this keep their length when the clock jumps.
const LONGEST_ELAPSED_STEP_NS: i64 = HOUR_NS;

/// Later than any date; small enough that sums and differences of such instants stay numbers.
pub(super) const BEYOND: i128 = 1 << 100;

/// As far from the epoch as numbers of grid lines are looked for: within the years that chrono knows.
const CALENDAR_END: i128 = 262_000 * 12 * NANOSECONDS_PER_FLAT_MONTH as i128;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Grid {
    /// The clock never jumps: lines at `zero + n * every`, in UTC.
    Even { every: i128, zero: i128 },
    /// Lines at `zero + n * every` months on the wall clock.
    Months { every: i64, zero: NaiveDateTime, location: Location },
    /// Lines at `zero + n * every` on the wall clock, each taken to UTC.
    Wall { every: i128, zero: i128, location: Location },
    /// Lines wherever the wall clock reads `zero + n * every`, and at jumps.
    Elapsed { every: i128, zero: i128, location: Location },
}

impl Grid {
    /// The grid of `every` (positive, not mixed) from `zero` on the location's wall clock.
    pub(super) fn new(every: Duration, zero: i128, location: Location) -> Self {
        let step = i128::from(every.nanoseconds);
        if every.months > 0 {
            let zero = exact_naive(zero).unwrap_or_else(|| calendar::naive(calendar::clamp(zero)));
            return Grid::Months { every: every.months, zero, location };
        }
        if location.is_fixed() {
            return Grid::Even { every: step, zero: location.exact_to_utc(zero) };
        }
        if every.nanoseconds <= LONGEST_ELAPSED_STEP_NS {
            return Grid::Elapsed { every: step, zero, location };
        }
        Grid::Wall { every: step, zero, location }
    }

    /// The latest line at or before an instant.
    pub(super) fn at_or_before(&self, time: i128) -> i128 {
        match self {
            Grid::Even { every, zero } => time - remainder(time - zero, *every),
            Grid::Months { .. } | Grid::Wall { .. } => self.line(self.number_at_or_before(time)),
            Grid::Elapsed { every, zero, location } => {
                let line = time - remainder(read(location, time) - zero, *every);
                jump_after(location, line, time).unwrap_or(line)
            }
        }
    }

    /// The first line after an instant.
    pub(super) fn after(&self, time: i128) -> i128 {
        match self {
            Grid::Even { every, zero } => time - remainder(time - zero, *every) + every,
            Grid::Months { .. } | Grid::Wall { .. } => self.line(self.number_at_or_before(time).saturating_add(1)),
            Grid::Elapsed { every, zero, location } => {
                let line = time - remainder(read(location, time) - zero, *every) + every;
                jump_after(location, time, line).unwrap_or(line)
            }
        }
    }

    /// A line moved by a duration on the clock that the grid follows.
    pub(super) fn shift(&self, line: i128, by: Duration) -> i128 {
        match self {
            Grid::Even { .. } => add(line, by),
            Grid::Elapsed { .. } if by.months == 0 => add(line, by),
            Grid::Elapsed { location, .. } => location.exact_to_utc(add(read(location, line), by)),
            Grid::Months { location, .. } | Grid::Wall { location, .. } => {
                match self.local_line(self.number_at_or_before(line)) {
                    Some(local) => location.exact_to_utc(add(local, by)),
                    None => add(line, by),
                }
            }
        }
    }

    /// The number of the latest line at or before an instant. Equal lines (all in one jump) count as the last of them.
    fn number_at_or_before(&self, time: i128) -> i64 {
        let time = time.clamp(-CALENDAR_END, CALENDAR_END);
        let mut number = self.guess(time);
        while self.line(number) > time && number > i64::MIN {
            number -= 1;
        }
        while number < i64::MAX && self.line(number + 1) <= time {
            number += 1;
        }
        number
    }

    /// A number at most a few lines away from the right one.
    fn guess(&self, time: i128) -> i64 {
        match self {
            Grid::Even { .. } | Grid::Elapsed { .. } => 0,
            Grid::Months { every, zero, location } => {
                let months = exact_naive(read(location, time)).map_or(0, calendar::month_number);
                (months - calendar::month_number(*zero)).div_euclid(*every)
            }
            Grid::Wall { every, zero, location } => calendar::clamp((read(location, time) - zero).div_euclid(*every)),
        }
    }

    /// The line of a number, as an instant.
    fn line(&self, number: i64) -> i128 {
        let beyond = if number < 0 { -BEYOND } else { BEYOND };
        match (self, self.local_line(number)) {
            (Grid::Months { location, .. } | Grid::Wall { location, .. }, Some(local)) => location.exact_to_utc(local),
            _ => beyond,
        }
    }

    /// The line of a number, as the wall clock reads it; `None` beyond the calendar.
    fn local_line(&self, number: i64) -> Option<i128> {
        match self {
            Grid::Months { every, zero, .. } => {
                let months = number.checked_mul(*every)?;
                Some(calendar::nanoseconds(calendar::add_months(*zero, months)?))
            }
            Grid::Wall { every, zero, .. } | Grid::Even { every, zero } | Grid::Elapsed { every, zero, .. } => {
                Some(zero + i128::from(number) * every)
            }
        }
    }
}

/// The remainder of a division towards minus infinity; in 64 bits where that is enough, since 128-bit division is slow.
fn remainder(dividend: i128, divisor: i128) -> i128 {
    match (i64::try_from(dividend), i64::try_from(divisor)) {
        (Ok(dividend), Ok(divisor)) => i128::from(dividend.rem_euclid(divisor)),
        _ => dividend.rem_euclid(divisor),
    }
}

/// What the clock of a location reads at an instant that may lie beyond 64 bits.
fn read(location: &Location, time: i128) -> i128 {
    time + i128::from(location.offset_at(calendar::clamp(time)))
}

/// The jump of the clock in `(after, until]`, if it reads a different offset at the two ends.
fn jump_after(location: &Location, after: i128, until: i128) -> Option<i128> {
    let (after, until) = (calendar::clamp(after), calendar::clamp(until));
    if location.offset_at(after) == location.offset_at(until) {
        return None;
    }
    Some(i128::from(location.jump_between(after, until)))
}

/// An instant or reading plus a duration; months that lead out of the calendar lead beyond it.
fn add(time: i128, duration: Duration) -> i128 {
    let sign = if duration.negative { -1 } else { 1 };
    let moved = match (duration.months, exact_naive(time)) {
        (0, _) | (_, None) => time,
        (months, Some(date)) => match calendar::add_months(date, sign * months) {
            Some(date) => calendar::nanoseconds(date),
            None => return i128::from(sign) * BEYOND,
        },
    };
    moved + i128::from(sign) * i128::from(duration.nanoseconds)
}
