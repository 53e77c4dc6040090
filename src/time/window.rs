//! Windows in time: which ones hold an instant, which ones overlap a range (flux-semantics 7.1).
//!
//! Called by `window`, `aggregateWindow`, `date.truncate` and the task schedule, so that windows and slots share one
//! grid. A window is known by its bounds; there is no list of windows anywhere, each is computed.
//!
//! The starts form a grid that begins at 1970-01-01T00:00 plus the offset on the location's wall clock, one start each
//! `every`. In a zone whose clock jumps: a start that the clock skips is the jump itself; of a start that the clock shows
//! twice the first counts. Windows of an hour or less keep their length instead (25 hours make 25 windows): the grid is
//! read off the wall clock in force, and a jump that does not hit the grid starts a window of its own.

mod grid;

use std::fmt;

use super::{Duration, Location, calendar};
use crate::error::{Error, Result};
use grid::{BEYOND, Grid};

/// A half-open range of time `[start, stop)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// First nanosecond inside.
    pub start_ns: i64,
    /// First nanosecond after.
    pub stop_ns: i64,
}

impl Window {
    /// Whether an instant lies inside.
    pub fn contains(&self, time_ns: i64) -> bool {
        self.start_ns <= time_ns && time_ns < self.stop_ns
    }

    /// The part of it that lies in `[start_ns, stop_ns)`.
    pub fn clip(self, start_ns: i64, stop_ns: i64) -> Window {
        Window { start_ns: self.start_ns.max(start_ns), stop_ns: self.stop_ns.min(stop_ns) }
    }
}

/// A family of windows: one starts each `every` and lasts `period`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WindowSpec {
    every: Duration,
    period: Duration,
    offset: Duration,
    location: Location,
    grid: Grid,
}

/// The arguments that make it, for people: `every: 5m, offset: 1m`.
impl fmt::Display for WindowSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "every: {}", self.every)?;
        if self.period != self.every {
            write!(formatter, ", period: {}", self.period)?;
        }
        if !self.offset.is_zero() {
            write!(formatter, ", offset: {}", self.offset)?;
        }
        if self.location != Location::UTC {
            write!(formatter, ", location: {}", self.location)?;
        }
        Ok(())
    }
}

impl WindowSpec {
    /// Windows that start each `every`, shifted by `offset`, on the wall clock of `location`, and last `period`: longer
    /// than `every` (they overlap), shorter (there are gaps) or negative (they end where the grid says). Zero for one of
    /// `every` and `period` means the value of the other.
    ///
    /// # Errors
    /// Invalid if both are zero, if `every` is negative or mixes months and nanoseconds, or if the offset leads out of
    /// the calendar. `every: inf` has no grid: the caller makes one window of its bounds ([`Duration::is_infinite`]).
    pub fn new(every: Duration, period: Duration, offset: Duration, location: Location) -> Result<Self> {
        let every = if every.is_zero() { period } else { every };
        let period = if period.is_zero() { every } else { period };
        if every.is_zero() {
            let message = "window function requires at least one of \"every\" or \"period\" to be set and non-zero";
            return Err(Error::invalid(message));
        }
        if every.is_negative() {
            return Err(Error::invalid(format!("parameter \"every\" must be non-negative, found {every}")));
        }
        if every.is_mixed() {
            let message = format!("duration used as an interval cannot mix month and nanosecond units, found {every}");
            return Err(Error::invalid(message));
        }
        let zero = offset.exact_add_to(0);
        let zero = zero.ok_or_else(|| Error::invalid(format!("window offset {offset} is out of range")))?;
        Ok(WindowSpec { every, period, offset, location, grid: Grid::new(every, zero, location) })
    }

    /// Windows without overlap and gap on the grid of `every`: what a task's schedule and `date.truncate` use.
    ///
    /// # Errors
    /// As [`WindowSpec::new`].
    pub fn aligned(every: Duration, offset: Duration, location: Location) -> Result<Self> {
        Self::new(every, every, offset, location)
    }

    /// The distance of two starts.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// The length of a window.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Whether every instant lies in exactly one window.
    pub fn is_partition(&self) -> bool {
        self.every.months == self.period.months && self.every.nanoseconds == self.period.nanoseconds
    }

    /// The latest boundary of the grid at or before an instant (the first time there is, if it lies before that).
    pub fn boundary_at_or_before(&self, time_ns: i64) -> i64 {
        calendar::clamp(self.grid.at_or_before(i128::from(time_ns)))
    }

    /// The first boundary of the grid after an instant; `None` beyond the last time there is.
    pub fn boundary_after(&self, time_ns: i64) -> Option<i64> {
        i64::try_from(self.grid.after(i128::from(time_ns))).ok()
    }

    /// The windows that hold an instant, those that begin nearest to it first. Lazy: with a period of many times `every`
    /// there are many, and the caller sets the limit.
    pub fn containing(&self, time_ns: i64) -> impl Iterator<Item = Window> + '_ {
        let time = i128::from(time_ns);
        let backwards = self.period.is_negative();
        let mut next = Some(if backwards { self.grid.after(time) } else { self.grid.at_or_before(time) });
        std::iter::from_fn(move || {
            loop {
                let line = next?;
                let window = self.at(line);
                let reaches = if backwards {
                    window.start <= time + self.disorder_ns()
                } else {
                    window.stop + self.disorder_ns() > time
                };
                // Nothing follows a line beyond the calendar.
                next = match (reaches && line.abs() < BEYOND, backwards) {
                    (false, _) => None,
                    (true, true) => Some(self.grid.after(line)),
                    (true, false) => Some(self.grid.at_or_before(line - 1)),
                };
                if window.contains(time) {
                    return Some(window.clamp());
                }
            }
        })
    }

    /// The windows that overlap `[start_ns, stop_ns)`, in the order of the grid and not clipped. Lazy: ask
    /// [`WindowSpec::approximate_count`] first, since a range may hold more than anybody can wait for.
    pub fn overlapping(&self, start_ns: i64, stop_ns: i64) -> impl Iterator<Item = Window> + '_ {
        let (start, stop) = (i128::from(start_ns), i128::from(stop_ns));
        let mut next = (start < stop).then(|| self.line_before_first_ending_after(start));
        std::iter::from_fn(move || {
            loop {
                let line = next?;
                let window = self.at(line);
                let more = line < BEYOND && window.start < stop + self.disorder_ns();
                next = more.then(|| self.grid.after(line));
                // A window is empty where both its ends fall into one jump of the clock.
                if window.start < window.stop && window.start < stop && start < window.stop {
                    return Some(window.clamp());
                }
            }
        })
    }

    /// About how many windows [`WindowSpec::overlapping`] will give: for a refusal that says how many were asked for.
    pub fn approximate_count(&self, start_ns: i64, stop_ns: i64) -> u64 {
        let every = i128::from(self.every.flat_nanoseconds()).max(1);
        let reach = i128::from(self.period.flat_nanoseconds()).abs();
        let length = (i128::from(stop_ns) - i128::from(start_ns)).max(0);
        u64::try_from((length + reach) / every + 1).unwrap_or(u64::MAX)
    }

    /// The window that belongs to a boundary of the grid.
    fn at(&self, boundary: i128) -> ExactWindow {
        match (self.is_partition(), self.period.is_negative()) {
            (true, false) => ExactWindow { start: boundary, stop: self.grid.after(boundary) },
            (true, true) => ExactWindow { start: self.grid.at_or_before(boundary - 1), stop: boundary },
            (false, false) => ExactWindow { start: boundary, stop: self.grid.shift(boundary, self.period) },
            (false, true) => ExactWindow { start: self.grid.shift(boundary, self.period), stop: boundary },
        }
    }

    /// How much earlier a window may end than the one before it: adding months to January 30 and 31 gives the same day
    /// of February, so that ends (and the starts of backward windows) go back by up to three days, and by a clock's jump.
    fn disorder_ns(&self) -> i128 {
        if self.period.months == 0 || self.is_partition() { 0 } else { 4 * i128::from(calendar::DAY_NS) }
    }

    /// A line of the grid before which every window has ended at `time`, and not far before the first that has not.
    fn line_before_first_ending_after(&self, time: i128) -> i128 {
        if self.period.is_negative() {
            return self.grid.after(time);
        }
        let ends_after = |instant: i128| self.at(self.grid.at_or_before(instant)).stop > time - self.disorder_ns();
        // A window that starts this long before `time` has ended: a month counted with 31 days, a week for the clocks.
        let longest = i128::from(self.period.months) * 31 * i128::from(calendar::DAY_NS)
            + i128::from(self.period.nanoseconds)
            + 7 * i128::from(calendar::DAY_NS);
        let (mut ended, mut open) = (time - longest, time);
        while open - ended > 1 {
            let middle = ended + (open - ended) / 2;
            if ends_after(middle) {
                open = middle;
            } else {
                ended = middle;
            }
        }
        self.grid.at_or_before(ended)
    }
}

/// A window that may reach beyond the ends of 64 bits.
#[derive(Clone, Copy)]
struct ExactWindow {
    start: i128,
    stop: i128,
}

impl ExactWindow {
    fn contains(self, time: i128) -> bool {
        self.start <= time && time < self.stop
    }

    fn clamp(self) -> Window {
        Window { start_ns: calendar::clamp(self.start), stop_ns: calendar::clamp(self.stop) }
    }
}

#[cfg(test)]
mod tests;
