//! The clock as a value that is handed in: the system's own, or one that a test moves.
//!
//! Called by the rim (ingest, tasks, store, cli). The language, the calendar and the operators never see a clock; they
//! are given `now` as a number.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time in nanoseconds since 1970-01-01T00:00:00Z.
pub trait Clock: Send + Sync + 'static {
    /// Now, in nanoseconds since the epoch.
    fn now_ns(&self) -> i64;
}

/// The system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now_ns`.
    pub fn new(now_ns: i64) -> Self {
        ManualClock(AtomicI64::new(now_ns))
    }

    /// Moves the clock to `now_ns`, forward or back.
    pub fn set(&self, now_ns: i64) {
        self.0.store(now_ns, Ordering::SeqCst);
    }

    /// Moves the clock forward by `nanoseconds` and returns the new time.
    pub fn advance(&self, nanoseconds: i64) -> i64 {
        self.0.fetch_add(nanoseconds, Ordering::SeqCst) + nanoseconds
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// Arrival times: nanoseconds that strictly increase, also when the clock under it steps back or the process restarts.
///
/// Two messages never share an arrival time (it is what identifies a point whose payload has no time of its own).
pub struct ArrivalClock {
    clock: std::sync::Arc<dyn Clock>,
    last_ns: AtomicI64,
}

impl ArrivalClock {
    /// Arrival times after `floor_ns` (the newest arrival time known from before the restart; 0 if none).
    pub fn new(clock: std::sync::Arc<dyn Clock>, floor_ns: i64) -> Self {
        ArrivalClock { clock, last_ns: AtomicI64::new(floor_ns) }
    }

    /// The next arrival time: the wall clock, or one more than the last arrival if the clock has not moved past it.
    pub fn next_ns(&self) -> i64 {
        let now = self.clock.now_ns();
        let previous = self
            .last_ns
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |last| Some(now.max(last + 1)))
            .unwrap_or_else(|last| last);
        now.max(previous + 1)
    }
}
