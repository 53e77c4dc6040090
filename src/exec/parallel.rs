//! The parts of a large scan on several cores, and what comes of them in the order of the parts.
//!
//! Used by the driver in the place of pulling a source. Each part goes through copies of the operators behind the scan
//! (`super::copies`) on one thread; the driver's own is one of them, so that it goes on when no other is to be had. What is
//! told of a part waits until all of the parts before it has been taken: the driver sees the same whatever the number of
//! threads. What waits has a bound.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Memory;
use super::copies::{Copies, Prefix, Told};
use crate::error::{Error, ErrorKind, Result};
use crate::table::pool::Reservation;
use crate::table::scan::{ChunkSource, ScanParts};
use crate::table::size;

/// Most bytes of chunks that wait; a part whose turn has come may always have one more.
const WAITING_BYTES: usize = 64 << 20;

/// For each thread so many parts may be begun or wait: what waits may hold on to more than its own bytes.
const PARTS_A_THREAD: usize = 4;

/// How the parts are worked on.
pub struct Workers {
    /// On how many threads; at least on the driver's.
    pub threads: usize,
    /// Where the other threads come from, and where the parts' I/O runs.
    pub runtime: Handle,
    /// Ends all of it.
    pub cancel: CancellationToken,
    /// What copies hold, and what waits, is taken of it.
    pub memory: Memory,
    /// Whether steps are measured.
    pub measure: bool,
}

/// What is told of all parts, in their order.
pub struct Gathering {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// What the driver's own thread is at.
    own: Option<Work>,
}

struct Shared {
    parts: ScanParts,
    prefix: Prefix,
    workers: Workers,
    /// Cancelled with the run, and when the driver takes no more.
    stop: CancellationToken,
    max_bytes: usize,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// The part whose turn it is.
    turn: usize,
    /// Of the part whose turn it is and of those behind it that have been begun.
    begun: VecDeque<Begun>,
    /// How many operators of the prefix are copied.
    operators: usize,
    /// Counts the cuts.
    cuts: u64,
    bytes: usize,
    /// Those bytes, as far as there was memory for them.
    held: Reservation,
    /// A thread has panicked.
    broken: bool,
}

#[derive(Default)]
struct Begun {
    /// The number of cuts when it was begun: whoever worked on it before a cut is not heard any more.
    cuts: u64,
    told: VecDeque<Told>,
}

/// A part being worked on.
struct Work {
    part: usize,
    cuts: u64,
    source: Box<dyn ChunkSource>,
    copies: Copies,
    ended: bool,
}

impl Gathering {
    /// Begins to work on parts.
    pub fn new(parts: ScanParts, prefix: Prefix, workers: Workers) -> Gathering {
        Self::within(WAITING_BYTES, parts, prefix, workers)
    }

    fn within(max_bytes: usize, parts: ScanParts, prefix: Prefix, workers: Workers) -> Gathering {
        let state = State {
            turn: 0,
            begun: VecDeque::new(),
            operators: prefix.len(),
            cuts: 0,
            bytes: 0,
            held: workers.memory.reservation(),
            broken: false,
        };
        let others = workers.threads.min(parts.len()).saturating_sub(1);
        let (runtime, stop) = (workers.runtime.clone(), workers.cancel.child_token());
        let (state, changed) = (Mutex::new(state), Notify::new());
        let shared = Arc::new(Shared { parts, prefix, workers, stop, max_bytes, state, changed });
        let thread = |_| {
            let shared = Arc::clone(&shared);
            runtime.spawn_blocking(move || shared.work())
        };
        let threads = (0..others).map(thread).collect();
        Gathering { shared, threads, own: None }
    }

    /// The operators of which there are copies.
    pub fn prefix(&self) -> &Prefix {
        &self.shared.prefix
    }

    /// What is told next; `None` when all parts have ended. Works on parts while nothing has been told.
    ///
    /// # Errors
    /// Canceled.
    pub fn next(&mut self) -> Result<Option<Told>> {
        let shared = Arc::clone(&self.shared);
        loop {
            let seen = {
                let mut state = shared.state.lock();
                if state.broken {
                    break;
                }
                if shared.stop.is_cancelled() {
                    return Err(canceled());
                }
                if let Some(told) = state.next() {
                    // There is room again, or the part in turn may have more: of it nothing waits.
                    let room = state.begun.front().is_none_or(|front| front.told.is_empty());
                    drop(state);
                    if room || matches!(told, Told::Chunk(..) | Told::End(..)) {
                        shared.changed.notify_waiters();
                    }
                    return Ok(Some(told));
                }
                if state.turn == shared.parts.len() {
                    return Ok(None);
                }
                // Made before the lock is let go of: what is told from here on wakes.
                shared.changed.notified()
            };
            if !self.help() {
                shared.wait(seen);
            }
        }
        Err(self.panicked())
    }

    /// The part that tells so now has copies of its first operators only; those of later parts are made anew.
    pub fn cut(&mut self, operators: usize) {
        self.shared.state.lock().cut(operators);
        self.shared.changed.notify_waiters();
    }

    /// Does a step of work; returns whether there was one to do.
    fn help(&mut self) -> bool {
        let Some(mut work) = self.own.take().or_else(|| self.shared.begin()) else { return false };
        match self.shared.state.lock().room(work.part, work.cuts, self.shared.max_bytes) {
            // Let go of.
            None => return true,
            Some(true) => {}
            Some(false) => {
                self.own = Some(work);
                return false;
            }
        }
        let told = self.shared.step(&mut work);
        if self.shared.put(work.part, work.cuts, told) && !work.ended {
            self.own = Some(work);
        }
        true
    }

    /// The panic of a thread goes on in the driver's.
    fn panicked(&mut self) -> Error {
        self.shared.stop.cancel();
        for thread in self.threads.drain(..) {
            if let Err(error) = self.shared.workers.runtime.block_on(thread)
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
        Error::internal("a thread of a scan ended early")
    }
}

impl Drop for Gathering {
    /// Nothing goes on when the run has ended.
    fn drop(&mut self) {
        self.shared.stop.cancel();
        for thread in self.threads.drain(..) {
            // One that has not begun yet never will.
            thread.abort();
            let _ = self.shared.workers.runtime.block_on(thread);
        }
    }
}

impl State {
    /// What is told next of the part whose turn it is.
    fn next(&mut self) -> Option<Told> {
        let told = self.begun.front_mut()?.told.pop_front()?;
        self.bytes -= bytes(&told);
        self.count();
        if let Told::End(..) = told {
            self.begun.pop_front();
            self.turn += 1;
        }
        Some(told)
    }

    /// Where a part stands that was begun after so many cuts; `None` if nobody hears of it any more.
    fn place(&self, part: usize, cuts: u64) -> Option<usize> {
        let place = part.checked_sub(self.turn)?;
        self.begun.get(place).filter(|begun| begun.cuts == cuts).map(|_| place)
    }

    /// Whether more may be told of it.
    fn room(&self, part: usize, cuts: u64, max_bytes: usize) -> Option<bool> {
        let place = self.place(part, cuts)?;
        Some(!self.full(max_bytes) || (place == 0 && self.begun[0].told.is_empty()))
    }

    /// Whether so much waits that no more should be told of parts whose turn has not come.
    fn full(&self, max_bytes: usize) -> bool {
        self.bytes > max_bytes || self.bytes > self.held.bytes()
    }

    /// Takes memory for what waits, if there is as much.
    fn count(&mut self) {
        // What is refused shows in `full`.
        let _ = self.held.set(self.bytes);
    }

    fn cut(&mut self, operators: usize) {
        self.operators = operators;
        self.cuts += 1;
        self.begun.truncate(1);
        self.bytes = self.begun.iter().flat_map(|begun| &begun.told).map(bytes).sum();
        self.count();
    }
}

impl Shared {
    /// Works on parts until there are no more, or nobody wants them.
    fn work(&self) {
        let _watch = Watch(self);
        loop {
            if self.stop.is_cancelled() {
                return;
            }
            let seen = {
                let state = self.state.lock();
                if state.turn == self.parts.len() || state.broken {
                    return;
                }
                self.changed.notified()
            };
            match self.begin() {
                Some(work) => self.work_on(work),
                None => self.wait(seen),
            }
        }
    }

    /// Works on a part as far as there is room for what comes of it.
    fn work_on(&self, mut work: Work) {
        while !work.ended {
            let told = self.step(&mut work);
            if !self.wait_for_room(&work) || !self.put(work.part, work.cuts, told) {
                return;
            }
        }
    }

    /// Begins the next part, unless enough of them have been begun.
    fn begin(&self) -> Option<Work> {
        let (part, cuts, operators) = {
            let mut state = self.state.lock();
            let part = state.turn + state.begun.len();
            let many = state.begun.len() >= self.workers.threads.max(1) * PARTS_A_THREAD;
            let full = !state.begun.is_empty() && (many || state.full(self.max_bytes));
            if full || part == self.parts.len() {
                return None;
            }
            let cuts = state.cuts;
            state.begun.push_back(Begun { cuts, told: VecDeque::new() });
            (part, cuts, state.operators)
        };
        let memory = self.workers.memory.shared_by(self.workers.threads);
        match Copies::new(&self.prefix, operators, memory, self.workers.measure) {
            Ok(copies) => Some(Work { part, cuts, source: self.parts[part].open(), copies, ended: false }),
            Err(error) => {
                self.put(part, cuts, vec![Told::Failed(error)]);
                None
            }
        }
    }

    /// Works on the next chunk of a part.
    fn step(&self, work: &mut Work) -> Vec<Told> {
        let began = Instant::now();
        let next = self.workers.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => Err(canceled()),
                next = work.source.next() => next,
            }
        });
        let mut told = Vec::new();
        work.copies.take(next, began, &mut told);
        work.ended = matches!(told.last(), Some(Told::End(..) | Told::Failed(_)));
        told
    }

    /// Tells of a part; returns whether somebody hears it.
    fn put(&self, part: usize, cuts: u64, told: Vec<Told>) -> bool {
        let mut state = self.state.lock();
        let Some(place) = state.place(part, cuts) else { return false };
        state.bytes += told.iter().map(bytes).sum::<usize>();
        state.count();
        state.begun[place].told.extend(told);
        drop(state);
        self.changed.notify_waiters();
        true
    }

    /// Waits until more may be told of a part; returns whether somebody hears it.
    fn wait_for_room(&self, work: &Work) -> bool {
        loop {
            let seen = {
                let state = self.state.lock();
                if self.stop.is_cancelled() {
                    return false;
                }
                match state.room(work.part, work.cuts, self.max_bytes) {
                    None => return false,
                    Some(true) => return true,
                    Some(false) => {}
                }
                self.changed.notified()
            };
            self.wait(seen);
        }
    }

    fn wait(&self, seen: impl Future<Output = ()>) {
        self.workers.runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = seen => {}
            }
        });
    }
}

/// Tells the driver if the thread panics.
struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state.lock().broken = true;
            // What the driver waits for may never come.
            self.0.stop.cancel();
        }
    }
}

fn bytes(told: &Told) -> usize {
    match told {
        Told::Chunk(_, chunk) => size::of_rows(chunk),
        _ => 0,
    }
}

fn canceled() -> Error {
    Error::new(ErrorKind::Canceled, "the run was canceled")
}

#[cfg(test)]
mod tests;
