//! The windows of one stream: a family of windows cut to the bounds that a `range` upstream has set.
//!
//! Used by `window`, `aggregateWindow` and the scan that takes them over. A window is known by its two ends, which have
//! been cut; a time outside of the bounds, and a null one, is in none (`every: inf` is one window that holds every row).

use crate::error::{Error, Result};
use crate::table::Bounds;
use crate::table::scan::Windows;
use crate::time::{Window, WindowSpec};

/// Most windows that a table may be asked to have: whoever asks for more meant something else.
pub const MAX_WINDOWS: u64 = 1_000_000;

/// Most windows that may hold one row.
const MAX_OVERLAP: u64 = 10_000;

/// Up to so many boundaries are worked out at once, so that a row finds its window by a look at its neighbour.
const MAX_LISTED: u64 = 65_536;

/// The bounds of a stream's windows.
///
/// # Errors
/// Invalid where no `range` stands upstream.
pub(crate) fn bounds_of(bounds: Option<Bounds>) -> Result<Bounds> {
    bounds.ok_or_else(|| {
        Error::invalid("nil bounds passed to window; use range to set the window range")
            .with_hint("put range(start: ..., stop: ...) between the source and the windows")
    })
}

/// Windows within bounds.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    windows: Windows,
    bounds: Bounds,
    /// Boundaries of windows that lie side by side, ascending, from one bound to the other; empty where they are looked
    /// up one by one.
    lines: Vec<i64>,
    /// Where in `lines` the last time was found.
    at: usize,
}

impl Frame {
    /// The windows of a family within bounds.
    ///
    /// # Errors
    /// Invalid if more windows than anybody can wait for would hold one row.
    pub(crate) fn new(windows: &Windows, bounds: Bounds) -> Result<Frame> {
        let mut frame = Frame { windows: windows.clone(), bounds, lines: Vec::new(), at: 0 };
        if let Windows::Family(spec) = windows {
            let overlap = spec.period().flat_nanoseconds().unsigned_abs() / every_ns(spec);
            if overlap > MAX_OVERLAP {
                return Err(Error::invalid(format!(
                    "each row would lie in {overlap} windows, more than the limit of {MAX_OVERLAP}"
                ))
                .with_hint(format!(
                    "every: {} is too short for period: {}",
                    spec.every(),
                    spec.period()
                )));
            }
            frame.lines = windows.boundaries(bounds, MAX_LISTED).unwrap_or_default();
        }
        Ok(frame)
    }

    /// The bounds.
    pub(crate) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether the bounds hold no time at all, so that there are no windows.
    pub(crate) fn is_empty(&self) -> bool {
        self.bounds.start_ns >= self.bounds.stop_ns
    }

    /// Whether all rows are in one window, whatever their time.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.windows, Windows::Whole)
    }

    /// The one window of `every: inf`.
    pub(crate) fn whole(&self) -> Window {
        Window { start_ns: self.bounds.start_ns, stop_ns: self.bounds.stop_ns }
    }

    /// All windows, ascending by start, then by stop.
    ///
    /// # Errors
    /// Invalid if there are more than a table may be asked to have.
    pub(crate) fn all(&self) -> Result<Vec<Window>> {
        if self.is_empty() {
            return Ok(Vec::new());
        }
        let Windows::Family(spec) = &self.windows else { return Ok(vec![self.whole()]) };
        if !self.lines.is_empty() {
            let pairs = self.lines.windows(2);
            return Ok(pairs.map(|pair| Window { start_ns: pair[0], stop_ns: pair[1] }).collect());
        }
        let Bounds { start_ns, stop_ns } = self.bounds;
        let count = spec.approximate_count(start_ns, stop_ns);
        if count > MAX_WINDOWS {
            return Err(Error::invalid(format!(
                "about {count} windows are asked for in each table, more than the limit of {MAX_WINDOWS}"
            ))
            .with_hint("use a longer every or a shorter range, or createEmpty: false"));
        }
        let mut windows: Vec<Window> =
            spec.overlapping(start_ns, stop_ns).map(|window| window.clip(start_ns, stop_ns)).collect();
        windows.sort();
        Ok(windows)
    }

    /// The window that holds a time, of windows that lie side by side; `None` outside of the bounds.
    pub(crate) fn locate(&mut self, time_ns: i64) -> Option<Window> {
        let Windows::Family(spec) = &self.windows else { return Some(self.whole()) };
        let Bounds { start_ns, stop_ns } = self.bounds;
        if time_ns < start_ns || time_ns >= stop_ns {
            return None;
        }
        if self.lines.is_empty() {
            let start = spec.boundary_at_or_before(time_ns);
            let stop = spec.boundary_after(time_ns).unwrap_or(i64::MAX);
            return Some(Window { start_ns: start, stop_ns: stop }.clip(start_ns, stop_ns));
        }
        let holds = |at: usize| self.lines[at] <= time_ns && time_ns < self.lines[at + 1];
        if !holds(self.at) {
            let next = self.at + 1;
            self.at = if next + 1 < self.lines.len() && holds(next) {
                next
            } else {
                self.lines.partition_point(|line| *line <= time_ns) - 1
            };
        }
        Some(Window { start_ns: self.lines[self.at], stop_ns: self.lines[self.at + 1] })
    }

    /// All windows that hold a time, in no order.
    pub(crate) fn containing(&self, time_ns: i64, found: &mut Vec<Window>) {
        let Windows::Family(spec) = &self.windows else { return found.push(self.whole()) };
        let Bounds { start_ns, stop_ns } = self.bounds;
        if start_ns <= time_ns && time_ns < stop_ns {
            found.extend(spec.containing(time_ns).map(|window| window.clip(start_ns, stop_ns)));
        }
    }
}

/// The distance of two windows, at least a nanosecond.
fn every_ns(spec: &WindowSpec) -> u64 {
    spec.every().flat_nanoseconds().unsigned_abs().max(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::time::{Duration, Location};

    fn frame(every: &str, period: &str, bounds: (i64, i64)) -> Result<Frame> {
        let parse = |text: &str| Duration::parse_signed(text).unwrap();
        let spec = WindowSpec::new(parse(every), parse(period), Duration::ZERO, Location::UTC).unwrap();
        Frame::new(&Windows::Family(spec), Bounds { start_ns: bounds.0, stop_ns: bounds.1 })
    }

    fn window(start_ns: i64, stop_ns: i64) -> Window {
        Window { start_ns, stop_ns }
    }

    #[test]
    fn windows_side_by_side_are_cut_to_the_bounds() {
        let mut frame = frame("10ns", "10ns", (3, 25)).unwrap();
        assert_eq!(frame.all().unwrap(), [window(3, 10), window(10, 20), window(20, 25)]);
        for (time, expected) in [(3, (3, 10)), (24, (20, 25)), (9, (3, 10)), (10, (10, 20)), (19, (10, 20))] {
            assert_eq!(frame.locate(time), Some(window(expected.0, expected.1)), "{time}");
        }
        assert_eq!((frame.locate(2), frame.locate(25)), (None, None));
    }

    /// The example of flux-semantics 7.2.
    #[test]
    fn windows_may_overlap() {
        let frame = frame("10ns", "20ns", (0, 25)).unwrap();
        assert_eq!(frame.all().unwrap(), [window(0, 10), window(0, 20), window(10, 25), window(20, 25)]);
        let mut found = Vec::new();
        frame.containing(5, &mut found);
        found.sort();
        assert_eq!(found, [window(0, 10), window(0, 20)]);
    }

    #[test]
    fn what_nobody_can_wait_for_is_refused() {
        let error = frame("1ns", "1ns", (0, 5_000_000)).unwrap().all().unwrap_err();
        let message = "about 5000002 windows are asked for in each table, more than the limit of 1000000";
        assert_eq!(error.message(), message);
        let error = frame("1ns", "1h", (0, 10)).unwrap_err();
        assert_eq!(error.message(), "each row would lie in 3600000000000 windows, more than the limit of 10000");
        assert_eq!(frame("1ns", "1ns", (0, i64::MAX)).unwrap().locate(77), Some(window(77, 78)));
    }

    #[test]
    fn empty_bounds_have_no_windows() {
        let mut frame = frame("1s", "1s", (0, 0)).unwrap();
        assert!(frame.all().unwrap().is_empty());
        assert_eq!(frame.locate(0), None);
    }
}
