//! What is known of one task: its definition, how far its slots are decided, what was asked for, how it fared.
//!
//! A fold of the control topic's records, one after the other, in `TaskState::apply`: the same records give the same
//! state, before and after a restart. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::run::{RequestedRun, RunProblem, RunRecord, RunStatus, SkippedSlots};
use super::schedule::Schedule;
use super::slots::{SlotLedger, SlotOutcome};
use crate::error::Result;
use crate::name::Name;

/// After so many slots in a row that failed for good with the same message, a task counts as quarantined.
pub const QUARANTINE_AFTER: u32 = 5;

/// The state of a task.
#[derive(Clone, Debug)]
pub struct TaskState {
    /// The newest version that was in order.
    pub definition: Definition,
    /// Its slots.
    pub schedule: Schedule,
    /// What became of them.
    pub ledger: SlotLedger,
    /// The rest.
    pub progress: Progress,
}

/// How far a task has come. Kept in the catalogue beside definition and ledger.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The cursor: this slot and all before it are decided.
    #[serde(with = "super::instant::option")]
    pub cursor_ns: Option<i64>,
    /// Slots after the cursor that are decided, while one before them is not (several at once, or asked for).
    pub decided_ahead: BTreeSet<i64>,
    /// How many attempts at slots that are not decided have ended.
    pub attempts: BTreeMap<i64, u32>,
    /// Runs that were asked for, by slot.
    pub requested: BTreeMap<i64, RequestedRun>,
    /// The newest slot that succeeded.
    #[serde(with = "super::instant::option")]
    pub latest_success_ns: Option<i64>,
    /// The newest slot that failed.
    #[serde(with = "super::instant::option")]
    pub latest_failure_ns: Option<i64>,
    /// The newest slot that a run ended for.
    #[serde(with = "super::instant::option")]
    pub latest_completed_ns: Option<i64>,
    /// Before this instant nothing may arrive any more, since a run has counted on it.
    #[serde(with = "super::instant::option")]
    pub settled_ns: Option<i64>,
    /// The run that ended last.
    pub last_run: Option<LastRun>,
    /// How many slots in a row failed with the same message.
    pub same_failures: u32,
    /// How many runs have ended.
    pub runs: u64,
}

/// The run that ended last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its id.
    pub id: Name,
    /// How it ended.
    pub status: RunStatus,
    /// Why it failed.
    pub error: Option<RunProblem>,
    /// When it ended.
    #[serde(with = "super::instant")]
    pub finished_ns: i64,
}

impl TaskState {
    /// A task of which nothing has run.
    pub fn new(definition: Definition) -> Result<Self> {
        Self::restore(definition, SlotLedger::default(), Progress::default())
    }

    /// A task as it was kept.
    pub fn restore(definition: Definition, ledger: SlotLedger, progress: Progress) -> Result<Self> {
        let schedule = definition.schedule.schedule()?;
        Ok(TaskState { definition, schedule, ledger, progress })
    }

    /// A new version of the task.
    pub fn redefine(&mut self, definition: Definition) -> Result<()> {
        self.schedule = definition.schedule.schedule()?;
        if self.definition.flux != definition.flux {
            // A changed script deserves all its attempts.
            self.progress.same_failures = 0;
            self.progress.attempts.clear();
        }
        self.definition = definition;
        self.advance();
        Ok(())
    }

    /// A run has ended.
    pub fn run_ended(&mut self, run: &RunRecord) -> Result<()> {
        let progress = &mut self.progress;
        let newest = |known: Option<i64>| known.max(Some(run.slot_ns));
        progress.latest_completed_ns = newest(progress.latest_completed_ns);
        progress.settled_ns = progress.settled_ns.max(run.settled_ns);
        match run.status {
            RunStatus::Success => progress.latest_success_ns = newest(progress.latest_success_ns),
            RunStatus::Failed => progress.latest_failure_ns = newest(progress.latest_failure_ns),
            RunStatus::Canceled => {}
        }
        self.count_failures(run);
        let progress = &mut self.progress;
        progress.runs += 1;
        progress.last_run = Some(LastRun {
            id: run.id.clone(),
            status: run.status,
            error: run.error.clone(),
            finished_ns: run.finished_ns,
        });
        if !run.decided {
            *progress.attempts.entry(run.slot_ns).or_default() += 1;
            return Ok(());
        }
        progress.attempts.remove(&run.slot_ns);
        progress.requested.remove(&run.slot_ns);
        // A run at a time that is no slot stands beside the chain of slots.
        if !self.schedule.is_slot(run.slot_ns) {
            return Ok(());
        }
        let outcome = match run.status {
            RunStatus::Success => SlotOutcome::Succeeded,
            RunStatus::Failed => SlotOutcome::Failed,
            RunStatus::Canceled => SlotOutcome::Canceled,
        };
        self.ledger.decide(run.slot_ns, outcome, run.last_success_ns, &self.definition.schedule)?;
        if run.slot_ns > self.base_ns() {
            self.progress.decided_ahead.insert(run.slot_ns);
        }
        self.advance();
        Ok(())
    }

    /// Missed slots were passed over.
    pub fn skipped(&mut self, skipped: &SkippedSlots) -> Result<()> {
        self.ledger.skip(skipped.first_ns, skipped.last_ns, skipped.count, &skipped.schedule)?;
        self.progress.cursor_ns = self.progress.cursor_ns.max(Some(skipped.last_ns));
        self.advance();
        Ok(())
    }

    /// A run was asked for.
    pub fn requested(&mut self, request: &RequestedRun) {
        self.progress.requested.insert(request.slot_ns, request.clone());
    }

    /// The oldest slot that is not decided and that `taken` does not name.
    pub fn next_slot(&self, taken: impl Fn(i64) -> bool) -> Option<i64> {
        let mut slot_ns = self.schedule.next_slot_after(self.base_ns())?;
        while self.progress.decided_ahead.contains(&slot_ns) || taken(slot_ns) {
            slot_ns = self.schedule.next_slot_after(slot_ns)?;
        }
        Some(slot_ns)
    }

    /// No slot at or before this time runs on its own.
    pub fn base_ns(&self) -> i64 {
        let before_first_ns = self.definition.first_slot_ns.saturating_sub(1);
        self.progress.cursor_ns.map_or(before_first_ns, |cursor_ns| cursor_ns.max(before_first_ns))
    }

    /// The task fails again and again in the same way; it is tried ever more rarely until it succeeds or is changed.
    pub fn is_quarantined(&self) -> bool {
        self.progress.same_failures >= QUARANTINE_AFTER
    }

    fn count_failures(&mut self, run: &RunRecord) {
        let progress = &mut self.progress;
        match run.status {
            RunStatus::Success => progress.same_failures = 0,
            RunStatus::Canceled => {}
            RunStatus::Failed if !run.decided => {}
            RunStatus::Failed => {
                let message = |error: &Option<RunProblem>| error.as_ref().map(|error| error.message.clone());
                let before = progress.last_run.as_ref().and_then(|last| message(&last.error));
                let same = before.is_some() && before == message(&run.error);
                progress.same_failures = if same { progress.same_failures.saturating_add(1) } else { 1 };
            }
        }
    }

    fn advance(&mut self) {
        while let Some(next_ns) = self.schedule.next_slot_after(self.base_ns())
            && self.progress.decided_ahead.remove(&next_ns)
        {
            self.progress.cursor_ns = Some(next_ns);
        }
        let base_ns = self.base_ns();
        self.progress.decided_ahead.retain(|slot_ns| *slot_ns > base_ns);
        // What is behind the cursor is tried again only when somebody asks for it.
        let requested = &self.progress.requested;
        self.progress.attempts.retain(|slot_ns, _| *slot_ns > base_ns || requested.contains_key(slot_ns));
    }
}
