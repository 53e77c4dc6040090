//! Pools of bytes: how much may be held at once, by the process and by each run as a part of that.
//!
//! Made by the engine, drawn on by `exec` (memory) and by spilled rows (disk). A reservation gives back what it took when it
//! is dropped, whatever became of its run. Nothing here allocates or measures: callers say what they hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a script can do about a limit on bytes, for hints.
pub const TAKES_LESS: &str = "a shorter range, a filter or an aggregate earlier on takes less";

/// A number of bytes that may be taken at once.
#[derive(Debug)]
pub struct Pool {
    limit: usize,
    taken: AtomicUsize,
    /// What is taken here is taken there too.
    parent: Option<Arc<Pool>>,
}

/// A pool has not got what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// The limit that stands in the way, in bytes.
    pub limit: usize,
    /// What was taken by then, in bytes; what the reservation held before is not in it.
    pub others: usize,
    /// Whether the limit is that of the pool above, which others draw on as well.
    pub shared: bool,
}

impl Pool {
    /// A pool of so many bytes.
    pub fn new(limit: usize) -> Arc<Pool> {
        Arc::new(Pool { limit, taken: AtomicUsize::new(0), parent: None })
    }

    /// A part of this pool, of at most so many bytes.
    pub fn child(self: &Arc<Pool>, limit: usize) -> Arc<Pool> {
        Arc::new(Pool { limit, taken: AtomicUsize::new(0), parent: Some(Arc::clone(self)) })
    }

    /// An empty reservation.
    pub fn reservation(self: &Arc<Pool>) -> Reservation {
        Reservation { pool: Arc::clone(self), bytes: 0 }
    }

    /// What may be taken, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// What is taken now, in bytes.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// What could be taken now, in bytes.
    pub fn room(&self) -> usize {
        let own = self.limit.saturating_sub(self.taken());
        self.parent.as_ref().map_or(own, |parent| own.min(parent.room()))
    }

    /// Takes bytes, also from the pool above; all of them or none. `own` is what the caller holds already.
    fn take(&self, bytes: usize, own: usize) -> Result<(), Full> {
        let more = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.limit);
        let full = |taken: usize| Full { limit: self.limit, others: taken.saturating_sub(own), shared: false };
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(full)?;
        let Some(parent) = &self.parent else { return Ok(()) };
        parent.take(bytes, own).map_err(|full| {
            self.taken.fetch_sub(bytes, Ordering::Relaxed);
            Full { shared: true, ..full }
        })
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.give_back(bytes);
        }
    }
}

/// Bytes that are taken from a pool for as long as this lives.
#[derive(Debug)]
pub struct Reservation {
    pool: Arc<Pool>,
    bytes: usize,
}

impl Reservation {
    /// What it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes it so large, from now on. It always shrinks; when it cannot grow it stays as it is.
    ///
    /// # Errors
    /// [`Full`] if the pool, or the one above, has not got so much.
    pub fn set(&mut self, bytes: usize) -> Result<(), Full> {
        if bytes > self.bytes {
            self.pool.take(bytes - self.bytes, self.bytes)?;
        } else if bytes < self.bytes {
            self.pool.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.pool.give_back(self.bytes);
    }
}

/// Reservations for what a run has handed out: given back when the last clone is dropped.
#[derive(Clone, Debug, Default)]
pub struct Kept(Vec<Arc<Reservation>>);

impl Kept {
    /// Keeps a reservation as well.
    pub fn keep(&mut self, reservation: Reservation) {
        self.0.push(Arc::new(reservation));
    }

    /// An empty reservation of the same pool; `None` if nothing is kept.
    pub fn beside(&self) -> Option<Reservation> {
        self.0.first().map(|reservation| reservation.pool.reservation())
    }

    /// What it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|reservation| reservation.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_child_takes_from_the_pool_above_and_gives_back() {
        let process = Pool::new(100);
        let run = process.child(60);
        let mut one = run.reservation();
        one.set(50).unwrap();
        assert_eq!((run.taken(), process.taken()), (50, 50));
        one.set(20).unwrap();
        assert_eq!((run.taken(), process.taken()), (20, 20));
        drop(one);
        assert_eq!((run.taken(), process.taken()), (0, 0));
    }

    #[test]
    fn a_refusal_says_which_limit_it_was_and_takes_nothing() {
        let process = Pool::new(100);
        let (left, right) = (process.child(60), process.child(60));
        let mut one = left.reservation();
        one.set(50).unwrap();
        assert_eq!(one.set(61), Err(Full { limit: 60, others: 0, shared: false }));
        assert_eq!(one.bytes(), 50);
        let mut other = right.reservation();
        other.set(10).unwrap();
        assert_eq!(other.set(51), Err(Full { limit: 100, others: 50, shared: true }));
        assert_eq!((left.taken(), right.taken(), process.taken()), (50, 10, 60));
        assert_eq!(other.set(usize::MAX), Err(Full { limit: 60, others: 0, shared: false }));
    }

    #[test]
    fn what_is_kept_is_given_back_with_the_last_clone() {
        let process = Pool::new(100);
        let mut reservation = process.child(100).reservation();
        reservation.set(40).unwrap();
        let mut kept = Kept::default();
        kept.keep(reservation);
        let clone = kept.clone();
        drop(kept);
        assert_eq!((clone.bytes(), process.taken()), (40, 40));
        drop(clone);
        assert_eq!(process.taken(), 0);
    }
}
