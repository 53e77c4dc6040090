//! The clock as a value that is handed in: the system's own, or one that a test moves.
//!
//! Called by the rim (ingest, tasks, store, cli). The language, the calendar and the operators never see a clock; they
//! are given `now` as a number.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;

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
/// Two messages never share an arrival time (it is what identifies a point whose payload has no time of its own). It
/// also knows which arrivals are still on their way to the log, so that a task's slot can wait for every message that
/// arrived before its end ([`ArrivalClock::wait_until_settled`]): an arrival time is taken before the append, and a
/// record that a run has not read must never turn out to be older than that run's slot.
pub struct ArrivalClock {
    clock: Arc<dyn Clock>,
    state: Mutex<ArrivalState>,
    finished: Notify,
}

struct ArrivalState {
    last_ns: i64,
    in_flight: BTreeSet<i64>,
}

/// An arrival time whose message is on its way. Keep it until the log has the message (or has refused it), then drop it.
#[must_use = "the message counts as in the log as soon as its arrival is dropped"]
pub struct Arrival {
    time_ns: i64,
    clock: Arc<ArrivalClock>,
}

impl Arrival {
    /// The arrival time, in nanoseconds since the epoch.
    pub fn time_ns(&self) -> i64 {
        self.time_ns
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.clock.state.lock().in_flight.remove(&self.time_ns);
        self.clock.finished.notify_waiters();
    }
}

impl ArrivalClock {
    /// Arrival times after `floor_ns` (the newest arrival time known from before the restart; 0 if none).
    pub fn new(clock: Arc<dyn Clock>, floor_ns: i64) -> Self {
        let state = ArrivalState { last_ns: floor_ns, in_flight: BTreeSet::new() };
        ArrivalClock { clock, state: Mutex::new(state), finished: Notify::new() }
    }

    /// The next arrival time: the wall clock, or one more than the last arrival if the clock has not moved past it.
    ///
    /// For what no run waits for; a message on its way to the log takes [`ArrivalClock::begin`].
    pub fn next_ns(&self) -> i64 {
        self.advance(&mut self.state.lock())
    }

    /// The next arrival time, known as in flight until the returned value is dropped.
    pub fn begin(self: &Arc<Self>) -> Arrival {
        let mut state = self.state.lock();
        let time_ns = self.advance(&mut state);
        state.in_flight.insert(time_ns);
        drop(state);
        Arrival { time_ns, clock: Arc::clone(self) }
    }

    /// The oldest arrival that is still in flight.
    pub fn oldest_in_flight_ns(&self) -> Option<i64> {
        self.state.lock().in_flight.first().copied()
    }

    /// Lifts the floor: no later arrival is older than `time_ns`. A restart calls it with what earlier runs were
    /// promised, so that a clock that was set back cannot break that promise.
    pub fn not_before(&self, time_ns: i64) {
        let mut state = self.state.lock();
        state.last_ns = state.last_ns.max(time_ns.saturating_sub(1));
    }

    /// Waits until every message that arrived before `before_ns` is in the log (or was refused), and from then on gives
    /// no arrival time before it. A time that the clock has not reached yet counts as the clock's now, since arrivals
    /// are never dated ahead. Returns the time up to which it is settled. Bounded by the caller (a time limit).
    pub async fn wait_until_settled(&self, before_ns: i64) -> i64 {
        let before_ns = before_ns.min(self.clock.now_ns().max(self.state.lock().last_ns));
        self.not_before(before_ns);
        loop {
            let finished = self.finished.notified();
            tokio::pin!(finished);
            // Registered before the look, so that an arrival which ends in between wakes it.
            finished.as_mut().enable();
            if self.oldest_in_flight_ns().is_none_or(|oldest_ns| oldest_ns >= before_ns) {
                return before_ns;
            }
            finished.await;
        }
    }

    fn advance(&self, state: &mut ArrivalState) -> i64 {
        state.last_ns = self.clock.now_ns().max(state.last_ns.saturating_add(1));
        state.last_ns
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;

    use super::*;

    #[test]
    fn arrivals_increase_when_the_clock_stands_or_steps_back() {
        let wall = Arc::new(ManualClock::new(1_000));
        let arrivals = ArrivalClock::new(wall.clone(), 1_500);
        assert_eq!(arrivals.next_ns(), 1_501);
        wall.set(2_000);
        assert_eq!(arrivals.next_ns(), 2_000);
        assert_eq!(arrivals.next_ns(), 2_001);
        wall.set(500);
        assert_eq!(arrivals.next_ns(), 2_002);
    }

    #[tokio::test]
    async fn settles_only_when_older_arrivals_have_ended() {
        let wall = Arc::new(ManualClock::new(1_000));
        let arrivals = Arc::new(ArrivalClock::new(wall.clone(), 0));
        let first = arrivals.begin();
        let second = arrivals.begin();
        wall.set(3_000);
        let younger = arrivals.begin();
        let mut settled = Box::pin(arrivals.wait_until_settled(2_000));
        assert!(settled.as_mut().now_or_never().is_none());
        drop(second);
        assert!(settled.as_mut().now_or_never().is_none());
        assert_eq!(arrivals.oldest_in_flight_ns(), Some(1_000));
        drop(first);
        assert_eq!(settled.await, 2_000);
        assert_eq!(younger.time_ns(), 3_000);
    }

    #[tokio::test]
    async fn nothing_arrives_before_a_settled_time() {
        let wall = Arc::new(ManualClock::new(2_000));
        let arrivals = ArrivalClock::new(wall.clone(), 0);
        assert_eq!(arrivals.wait_until_settled(1_500).await, 1_500);
        wall.set(100);
        assert_eq!(arrivals.next_ns(), 1_500);
    }

    #[tokio::test]
    async fn a_time_ahead_settles_as_now_and_dates_no_arrival_ahead() {
        let wall = Arc::new(ManualClock::new(2_000));
        let arrivals = ArrivalClock::new(wall.clone(), 0);
        assert_eq!(arrivals.wait_until_settled(9_000).await, 2_000);
        assert_eq!(arrivals.next_ns(), 2_000);
    }
}
