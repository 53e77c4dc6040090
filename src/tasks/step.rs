//! What a task does next: start an attempt, pass over missed slots, or nothing yet.
//!
//! Asked by the scheduler for every task at every tick. Pure: the state of the task, what runs now, the policy and the
//! time go in, a decision comes out. All promises about slots (none twice, none lost, oldest first) are kept here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::definition::TaskStatus;
use super::executor::Attempt;
use super::run::SkippedSlots;
use super::task_state::TaskState;
use crate::name::Name;

const SECOND_NS: i64 = 1_000_000_000;

/// The longest wait before another attempt.
const LONGEST_WAIT_NS: i64 = 300 * SECOND_NS;

/// The longest wait before a quarantined task is tried again.
const LONGEST_PROBE_NS: i64 = 3_600 * SECOND_NS;

/// What is done about slots that were missed, because nobody ran them when they were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// They are passed over.
    None,
    /// The newest one runs.
    Last,
    /// They run, oldest first; only the newest so many of them.
    All(usize),
}

/// How slots are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Missed slots.
    pub catch_up: CatchUp,
    /// How long after its due time a slot starts: for clocks of other machines that write to the log (Kafka).
    pub settle_ns: i64,
}

/// What a task does at the moment.
#[derive(Debug, Default)]
pub struct Live {
    /// Attempts under way, by slot.
    pub running: BTreeMap<i64, Arc<Attempt>>,
    /// Slots whose next attempt has to wait.
    pub waiting: BTreeMap<i64, Retry>,
    /// Since when its slots are looked after: the start of the process, or the last resume.
    pub watched_since_ns: i64,
    /// The newest due slot up to which the missed ones have been counted.
    pub counted_until_ns: Option<i64>,
}

/// An attempt that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The run's id: all attempts of a run have one.
    pub id: Name,
    /// Attempts that have ended.
    pub tries: u32,
    /// Not before this time.
    pub not_before_ns: i64,
    /// When it was asked for, if it was.
    pub asked_ns: Option<i64>,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Start an attempt.
    Start(Start),
    /// Pass over slots.
    Skip(SkippedSlots),
    /// Nothing for now.
    Wait,
}

/// An attempt to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The slot.
    pub slot_ns: i64,
    /// When it was due, or asked for: what is older goes first.
    pub due_ns: i64,
    /// Attempts that have ended.
    pub tries: u32,
    /// No further attempt follows.
    pub last: bool,
    /// Somebody asked for it.
    pub manual: bool,
    /// The run's id, if it has one already.
    pub id: Option<Name>,
}

impl Live {
    fn holds(&self, slot_ns: i64) -> bool {
        self.running.contains_key(&slot_ns) || self.waiting.contains_key(&slot_ns)
    }
}

/// How long to wait after so many failed attempts: 1 s, 4 s, 16 s, ... five minutes at most.
pub fn wait_after(tries: u32) -> i64 {
    let factor = 4_i64.checked_pow(tries.saturating_sub(1)).unwrap_or(i64::MAX);
    factor.saturating_mul(SECOND_NS).min(LONGEST_WAIT_NS)
}

/// What a task does next.
pub fn next_step(task: &TaskState, live: &mut Live, policy: Policy, now_ns: i64) -> Step {
    let tries_at_most = if task.is_quarantined() { 0 } else { task.definition.retry };
    let start = |slot_ns: i64, tries: u32, asked_ns: Option<i64>, id: Option<Name>| {
        let due_ns = asked_ns.unwrap_or_else(|| task.schedule.due_at(slot_ns));
        Step::Start(Start { slot_ns, due_ns, tries, last: tries >= tries_at_most, manual: asked_ns.is_some(), id })
    };
    let ready = live.waiting.iter().find(|(slot_ns, retry)| {
        // A wait longer than any means that the clock was set back.
        let is_over = retry.not_before_ns <= now_ns || retry.not_before_ns > now_ns.saturating_add(LONGEST_WAIT_NS);
        is_over && !live.running.contains_key(slot_ns)
    });
    if let Some((slot_ns, retry)) = ready {
        return start(*slot_ns, retry.tries, retry.asked_ns, Some(retry.id.clone()));
    }
    if live.running.len() + live.waiting.len() >= task.definition.slots_at_once() {
        return Step::Wait;
    }
    let tries = |slot_ns: i64| task.progress.attempts.get(&slot_ns).copied().unwrap_or(0);
    let requests = &task.progress.requested;
    let is_active = task.definition.status == TaskStatus::Active;
    let due = task
        .next_slot(|slot_ns| live.holds(slot_ns))
        .filter(|slot_ns| is_active && task.schedule.due_at(*slot_ns).saturating_add(policy.settle_ns) <= now_ns);
    // In a chain of slots nothing overtakes a slot that is due.
    let overtakes = |slot_ns: i64| task.definition.is_chained() && due.is_some_and(|due_ns| due_ns < slot_ns);
    let asked_for = requests.values().filter(|request| !live.holds(request.slot_ns) && !overtakes(request.slot_ns));
    if let Some(request) = asked_for.min_by_key(|request| (request.requested_ns, request.slot_ns)) {
        return start(request.slot_ns, tries(request.slot_ns), Some(request.requested_ns), Some(request.id.clone()));
    }
    let Some(slot_ns) = due.filter(|_| !is_between_probes(task, now_ns)) else {
        return Step::Wait;
    };
    if let Some(skipped) = missed(task, live, policy, now_ns) {
        return Step::Skip(skipped);
    }
    start(slot_ns, tries(slot_ns), None, None)
}

/// A quarantined task is tried again after a minute, then after two, four, ... an hour at most.
fn is_between_probes(task: &TaskState, now_ns: i64) -> bool {
    let Some(last) = task.progress.last_run.as_ref().filter(|_| task.is_quarantined()) else {
        return false;
    };
    let doublings = (task.progress.same_failures - super::task_state::QUARANTINE_AFTER).min(10);
    let wait_ns = ((60 * SECOND_NS) << doublings).min(LONGEST_PROBE_NS);
    now_ns >= last.finished_ns && now_ns < last.finished_ns.saturating_add(wait_ns)
}

/// The oldest missed slots, if the policy passes over them. Asked only while nothing of the task runs.
pub(super) fn missed(task: &TaskState, live: &mut Live, policy: Policy, now_ns: i64) -> Option<SkippedSlots> {
    if !live.running.is_empty() || !live.waiting.is_empty() {
        return None;
    }
    let schedule = &task.schedule;
    let latest_ns = schedule.latest_due(now_ns.saturating_sub(policy.settle_ns))?;
    if live.counted_until_ns == Some(latest_ns) {
        return None;
    }
    let base_ns = task.base_ns();
    let (limit, reason) = match policy.catch_up {
        CatchUp::None => (1, "catchup = \"none\"".to_string()),
        CatchUp::Last => (1, "catchup = \"last\"".to_string()),
        CatchUp::All(limit) => (limit.max(1), format!("more than {limit} slots were missed")),
    };
    let mut first_kept_ns = schedule.newest_slots_between(base_ns, latest_ns, limit).first().copied();
    // A task that has run before does not run for the time in which nobody looked after it.
    if policy.catch_up == CatchUp::None
        && task.progress.cursor_ns.is_some()
        && let Some(unwatched_ns) = schedule.latest_due(live.watched_since_ns.saturating_sub(1))
        && unwatched_ns > base_ns
    {
        first_kept_ns = first_kept_ns.max(schedule.next_slot_after(unwatched_ns));
    }
    let first_ns = task.next_slot(|_| false)?;
    let Some(first_kept_ns) = first_kept_ns.filter(|kept_ns| first_ns < *kept_ns) else {
        live.counted_until_ns = Some(latest_ns);
        return None;
    };
    let mut last_ns = schedule.latest_slot(first_kept_ns - 1)?;
    // What is decided already is not passed over: the slots before it are, and then those after it.
    if let Some(decided_ns) = task.progress.decided_ahead.range(first_ns..=last_ns).next() {
        last_ns = schedule.latest_slot(decided_ns - 1)?;
    }
    let count = schedule.slots_between(first_ns - 1, last_ns).count() as u64;
    let (id, spec) = (task.definition.id.clone(), task.definition.schedule.clone());
    Some(SkippedSlots { task: id, first_ns, last_ns, count, reason, schedule: spec })
}

#[cfg(test)]
mod tests;
