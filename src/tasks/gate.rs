//! How many runs go on at once: passes, handed to who has waited for the oldest slot.
//!
//! Used by the executor. When a thousand tasks are due at once the limit holds, and what was due first runs first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Hands out a limited number of passes.
pub struct Gate {
    state: Mutex<State>,
}

struct State {
    free: usize,
    entered: u64,
    waiting: BinaryHeap<Reverse<Waiting>>,
}

struct Waiting {
    due_ns: i64,
    turn: u64,
    pass: oneshot::Sender<Pass>,
}

/// The right to run; given back when it is dropped.
pub struct Pass {
    gate: Option<Arc<Gate>>,
}

impl Gate {
    /// A gate with so many passes, at least one.
    pub fn new(passes: usize) -> Arc<Self> {
        Arc::new(Gate { state: Mutex::new(State { free: passes.max(1), entered: 0, waiting: BinaryHeap::new() }) })
    }

    /// Waits for a pass; among those who wait, the smallest `due_ns` is next.
    pub async fn enter(self: &Arc<Self>, due_ns: i64) -> Pass {
        let receiver = {
            let mut state = self.state.lock();
            if state.free > 0 {
                state.free -= 1;
                return Pass { gate: Some(Arc::clone(self)) };
            }
            let (pass, receiver) = oneshot::channel();
            state.entered += 1;
            let turn = state.entered;
            state.waiting.push(Reverse(Waiting { due_ns, turn, pass }));
            receiver
        };
        receiver
            .await
            .expect("a waiting entry leaves the gate's queue only with a pass, and the gate lives as long as self")
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.state.lock().waiting.iter().filter(|Reverse(waiting)| !waiting.pass.is_closed()).count()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let Some(gate) = self.gate.take() else {
            return;
        };
        loop {
            let next = {
                let mut state = gate.state.lock();
                let next = state.waiting.pop();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(Reverse(next)) = next else {
                return;
            };
            match next.pass.send(Pass { gate: Some(Arc::clone(&gate)) }) {
                Ok(()) => return,
                // Who has given up does not take it: this copy is no pass any more, and the next in turn is asked.
                Err(mut refused) => refused.gate = None,
            }
        }
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ns, self.turn).cmp(&(other.due_ns, other.turn))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_oldest_enters_first_and_the_limit_holds() {
        let gate = Gate::new(1);
        let first = gate.enter(5).now_or_never().unwrap();
        let mut late = Box::pin(gate.enter(9));
        let mut early = Box::pin(gate.enter(1));
        assert!(late.as_mut().now_or_never().is_none());
        assert!(early.as_mut().now_or_never().is_none());
        assert_eq!(gate.waiting(), 2);
        drop(first);
        assert!(late.as_mut().now_or_never().is_none());
        let second = early.now_or_never().unwrap();
        assert!(late.as_mut().now_or_never().is_none());
        drop(second);
        assert!(late.now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_gives_up_loses_no_pass() {
        let gate = Gate::new(1);
        let first = gate.enter(0).now_or_never().unwrap();
        let mut gone = Box::pin(gate.enter(1));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut handed = Box::pin(gate.enter(2));
        assert!(handed.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        // Handed over and dropped before it was taken: the pass comes back.
        drop(handed);
        assert_eq!(gate.waiting(), 0);
        assert!(gate.enter(3).now_or_never().is_some());
    }
}
