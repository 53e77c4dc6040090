//! The loop that starts what is due: it asks every task for its next step and does it.
//!
//! Woken once a second, when a run ends and when a file or a status changes. It never decides anything about slots itself
//! ([`super::step`] does), and it never waits for a run: attempts are tasks of their own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use parking_lot::Mutex;
use rand::Rng;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::definition::Definition;
use super::executor::{Attempt, Ended, Executor, Phase, Stop};
use super::meters;
use super::run::{ControlRecord, SkippedSlots};
use super::step::{Live, Policy, Retry, Start, Step, next_step, wait_after};
use crate::error::{Error, Result};
use crate::name::Name;

/// How long a slot waits whose run the log could not take: 10 s.
const UNRECORDED_WAIT_NS: i64 = 10 * 1_000_000_000;

/// Starts attempts, and takes note of how they end.
pub struct Scheduler {
    /// Makes the attempts.
    pub executor: Executor,
    /// How slots are treated.
    pub policy: Policy,
    live: Mutex<HashMap<Name, Live>>,
    /// One tick at a time.
    ticking: tokio::sync::Mutex<()>,
    /// There may be something to do.
    pub wake: Arc<Notify>,
    changes: watch::Sender<u64>,
    closing: AtomicBool,
    fenced: Mutex<Option<Error>>,
    started_ns: i64,
}

/// What is under way for a task: an attempt, or the wait for one.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// The run's id.
    pub id: Name,
    /// The slot.
    pub slot_ns: i64,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Where it is; `None` while it waits for its next attempt.
    pub phase: Option<Phase>,
    /// Somebody asked for it.
    pub manual: bool,
    /// When it was due, or asked for.
    pub requested_ns: i64,
}

impl UnderWay {
    fn waiting(id: Name, slot_ns: i64, attempt: u32, asked_ns: Option<i64>) -> Self {
        UnderWay {
            id,
            slot_ns,
            attempt,
            phase: None,
            manual: asked_ns.is_some(),
            requested_ns: asked_ns.unwrap_or(slot_ns),
        }
    }
}

impl Scheduler {
    /// A scheduler of which nothing runs yet.
    pub fn new(executor: Executor, policy: Policy) -> Arc<Self> {
        let started_ns = executor.clock.now_ns();
        Arc::new(Scheduler {
            executor,
            policy,
            live: Mutex::default(),
            ticking: tokio::sync::Mutex::default(),
            wake: Arc::new(Notify::new()),
            changes: watch::Sender::new(0),
            closing: AtomicBool::new(false),
            fenced: Mutex::default(),
            started_ns,
        })
    }

    /// Starts everything that is due.
    pub async fn tick(self: &Arc<Self>) -> Result<()> {
        let _one = self.ticking.lock().await;
        loop {
            if self.closing.load(Ordering::SeqCst) {
                return Ok(());
            }
            if let Some(error) = self.fenced.lock().clone() {
                return Err(error);
            }
            let (starts, skips) = self.steps();
            if starts.is_empty() && skips.is_empty() {
                return Ok(());
            }
            for skipped in skips {
                tracing::warn!(task = %skipped.task, count = skipped.count, reason = skipped.reason, "passing over missed slots");
                meters::skipped(skipped.count);
                self.executor.runs.append(Vec::new(), &[ControlRecord::Skipped(skipped)]).await?;
            }
            for (definition, start) in starts {
                self.start(definition, start, None);
            }
        }
    }

    /// Starts everything that is due, and what becomes due or ready by that, until nothing is left to do at this time.
    pub async fn run_due(self: &Arc<Self>) -> Result<()> {
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            self.tick().await?;
            if self.is_idle() {
                return Ok(());
            }
            let ended = changes.changed().await;
            ended.map_err(|_| Error::internal("the scheduler is gone"))?;
        }
    }

    /// Whether no attempt is under way.
    pub fn is_idle(&self) -> bool {
        self.live.lock().values().all(|live| live.running.is_empty())
    }

    /// Tells of starts and ends of attempts.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Something else has changed that who waits for changes may want to see.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// What is under way for a task, by slot: attempts, waits for another attempt, and runs that were asked for.
    pub fn under_way(&self, task: &str) -> Vec<UnderWay> {
        let asked_for = self.executor.runs.with_task(task, |task| task.progress.requested.clone()).unwrap_or_default();
        let mut found: BTreeMap<i64, UnderWay> = BTreeMap::new();
        for (slot_ns, request) in asked_for {
            let asked = UnderWay::waiting(request.id, slot_ns, 1, Some(request.requested_ns));
            found.insert(slot_ns, asked);
        }
        if let Some(live) = self.live.lock().get(task) {
            for (slot_ns, retry) in &live.waiting {
                let waiting = UnderWay::waiting(retry.id.clone(), *slot_ns, retry.tries + 1, retry.asked_ns);
                found.insert(*slot_ns, waiting);
            }
            for (slot_ns, attempt) in &live.running {
                let running = UnderWay {
                    phase: Some(*attempt.phase.lock()),
                    manual: attempt.manual,
                    requested_ns: attempt.requested_ns,
                    ..UnderWay::waiting(attempt.id.clone(), *slot_ns, attempt.number, None)
                };
                found.insert(*slot_ns, running);
            }
        }
        found.into_values().collect()
    }

    /// Cancels a run: the attempt under way, or the next one as soon as it would start. Returns whether there is one.
    pub fn cancel(self: &Arc<Self>, task: &str, run: &str) -> bool {
        let under_way = self.under_way(task).into_iter().find(|under_way| &*under_way.id == run);
        let Some(under_way) = under_way else {
            return false;
        };
        let running = self.live.lock().get(task).and_then(|live| live.running.get(&under_way.slot_ns).cloned());
        if let Some(attempt) = running {
            return attempt.stop(Stop::Canceled);
        }
        let Some(definition) = self.executor.runs.with_task(task, |task| task.definition.clone()) else {
            return false;
        };
        let start = Start {
            slot_ns: under_way.slot_ns,
            due_ns: under_way.requested_ns,
            tries: under_way.attempt - 1,
            last: true,
            manual: under_way.manual,
            id: Some(under_way.id),
        };
        // Canceled before it starts, or it might have failed by then.
        match self.start(definition, start, Some(Stop::Canceled)) {
            Some(running) => running.stop(Stop::Canceled),
            None => true,
        }
    }

    /// A changed script is not made to wait for what the old one did.
    pub fn forget_waits(&self, task: &str) {
        if let Some(live) = self.live.lock().get_mut(task) {
            live.waiting.clear();
            live.counted_until_ns = None;
        }
    }

    /// What a plan has to know of a task: since when it is looked after. Nothing runs in it.
    pub(super) fn live_for_plan(&self, task: &str) -> Live {
        let watched_since_ns = self.live.lock().get(task).map_or(self.started_ns, |live| live.watched_since_ns);
        Live { watched_since_ns, ..Live::default() }
    }

    /// Ends what is under way for a task without deciding its slots: it was paused or removed.
    pub fn withdraw(&self, task: &str) {
        if let Some(live) = self.live.lock().get_mut(task) {
            live.waiting.clear();
            for attempt in live.running.values() {
                attempt.stop(Stop::Withdrawn);
            }
        }
    }

    /// A task is looked after again from now on.
    pub fn watch_from_now(&self, task: &Name) {
        let now_ns = self.executor.clock.now_ns();
        let mut all = self.live.lock();
        let live = all.entry(task.clone()).or_default();
        live.watched_since_ns = now_ns;
        live.counted_until_ns = None;
    }

    /// Ends all attempts without deciding their slots and waits until they have ended. What is being written is written.
    pub async fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let mut changes = self.changes.subscribe();
        for live in self.live.lock().values_mut() {
            live.waiting.clear();
            for attempt in live.running.values() {
                attempt.stop(Stop::Withdrawn);
            }
        }
        while !self.is_idle() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The next steps of all tasks; what was due first stands first.
    fn steps(&self) -> (Vec<(Definition, Start)>, Vec<SkippedSlots>) {
        let now_ns = self.executor.clock.now_ns();
        let (mut starts, mut skips) = (Vec::new(), Vec::new());
        let mut all = self.live.lock();
        let ids = self.executor.runs.ids();
        all.retain(|id, live| !live.running.is_empty() || ids.binary_search(id).is_ok());
        for id in ids {
            let live = all.entry(id.clone()).or_insert_with(|| self.fresh());
            let step = self
                .executor
                .runs
                .with_task(&id, |task| (next_step(task, live, self.policy, now_ns), task.definition.clone()));
            match step {
                Some((Step::Start(start), definition)) => starts.push((definition, start)),
                Some((Step::Skip(skipped), _)) => skips.push(skipped),
                Some((Step::Wait, _)) | None => {}
            }
        }
        starts.sort_by_key(|(_, start)| start.due_ns);
        (starts, skips)
    }

    fn fresh(&self) -> Live {
        Live { watched_since_ns: self.started_ns, ..Live::default() }
    }

    /// Starts an attempt, which may be ended already; returns the one that runs for the slot, if there is one.
    fn start(self: &Arc<Self>, definition: Definition, start: Start, stop: Option<Stop>) -> Option<Arc<Attempt>> {
        let attempt = Arc::new(Attempt {
            id: start.id.unwrap_or_else(new_id),
            number: start.tries + 1,
            last: start.last,
            slot_ns: start.slot_ns,
            manual: start.manual,
            requested_ns: start.due_ns,
            definition,
            cancel: CancellationToken::new(),
            stop: Mutex::new(None),
            phase: Mutex::new(Phase::WaitingForData),
        });
        if let Some(stop) = stop {
            attempt.stop(stop);
        }
        let task = attempt.definition.id.clone();
        let mut all = self.live.lock();
        let live = all.entry(task).or_insert_with(|| self.fresh());
        if let Some(running) = live.running.get(&attempt.slot_ns) {
            return Some(Arc::clone(running));
        }
        live.waiting.remove(&attempt.slot_ns);
        live.running.insert(attempt.slot_ns, Arc::clone(&attempt));
        drop(all);
        meters::started(self.executor.clock.now_ns().saturating_sub(attempt.requested_ns));
        self.changed();
        let scheduler = Arc::clone(self);
        tokio::spawn(async move {
            let made = std::panic::AssertUnwindSafe(scheduler.executor.attempt(&attempt)).catch_unwind().await;
            let ended = made.unwrap_or_else(|_| Ended::Unrecorded(Error::internal("panic while making the attempt")));
            scheduler.ended(&attempt, ended);
        });
        None
    }

    fn ended(&self, attempt: &Attempt, ended: Ended) {
        meters::ended();
        let now_ns = self.executor.clock.now_ns();
        let task = &attempt.definition.id;
        let again = |tries: u32, wait_ns: i64| Retry {
            id: attempt.id.clone(),
            tries,
            not_before_ns: now_ns.saturating_add(wait_ns),
            asked_ns: attempt.manual.then_some(attempt.requested_ns),
        };
        let retry = match ended {
            Ended::Recorded { decided: true } | Ended::AlreadyDone | Ended::Withdrawn => None,
            Ended::Recorded { decided: false } => Some(again(attempt.number, wait_after(attempt.number))),
            Ended::Unrecorded(error) => {
                tracing::error!(%task, slot = attempt.slot_ns, %error, "a run could not be recorded; it is tried again");
                Some(again(attempt.number - 1, UNRECORDED_WAIT_NS))
            }
            Ended::Fenced(error) => {
                tracing::error!(%task, %error, "another process runs the tasks now; this one stops running them");
                self.fenced.lock().get_or_insert(error);
                None
            }
        };
        let withdrawn = *attempt.stop.lock() == Some(Stop::Withdrawn);
        let mut all = self.live.lock();
        if let Some(live) = all.get_mut(task) {
            live.running.remove(&attempt.slot_ns);
            if let Some(retry) = retry.filter(|_| !withdrawn) {
                live.waiting.insert(attempt.slot_ns, retry);
            }
        }
        drop(all);
        self.changed();
        self.wake.notify_one();
    }
}

/// An id of 16 hex digits.
pub fn new_id() -> Name {
    format!("{:016x}", rand::rng().random_range(1..=u64::MAX)).into()
}
