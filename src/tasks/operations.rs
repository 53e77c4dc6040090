//! Operations on slots: run, retry, backfill, cancel, pause, resume; and the plan, which changes nothing.
//!
//! Called by the API and the command line. What is asked for is durable before a method returns, so that a restart goes on
//! with it; nothing runs here, the scheduler is woken.

use super::definition::{Definition, TaskStatus};
use super::facade::Tasks;
use super::plan::{self, Plan};
use super::run::{ControlRecord, RequestedRun};
use super::scheduler::new_id;
use super::task_state::TaskState;
use super::views::{RunView, TaskView};
use crate::error::{Error, Result};
use crate::time::rfc3339::to_short_text;

/// How many slots one backfill may ask for.
pub const BACKFILL_LIMIT: usize = 1_000;

/// Which slot a run is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The newest slot that is due.
    #[default]
    Latest,
    /// This slot.
    Slot(i64),
    /// This time, slot or not: its windows may be cut where no slot ends.
    Unaligned(i64),
}

impl Tasks {
    /// What a task would do: missed slots, due ones, and the next `count` of those to come.
    pub fn plan(&self, id_or_name: &str, count: usize) -> Result<Plan> {
        let task = self.find(id_or_name)?;
        let id = task.definition.id.clone();
        let (under_way, live) = (self.scheduler.under_way(&id), self.scheduler.live_for_plan(&id));
        Ok(plan::of(task, &under_way, live, self.scheduler.policy, self.parts.clock.now_ns(), count))
    }

    /// The next slots of a task and when each is due.
    pub fn upcoming(&self, id_or_name: &str, count: usize) -> Result<Vec<(i64, i64)>> {
        let task = self.find(id_or_name)?;
        let slots = task.schedule.slots_between(self.parts.clock.now_ns().max(task.base_ns()), i64::MAX);
        Ok(slots.take(count).map(|slot_ns| (slot_ns, task.schedule.due_at(slot_ns))).collect())
    }

    /// Asks for a run; it is durable that it was asked for. Also for an inactive task.
    ///
    /// Errors: `Invalid` for a time that is no slot or not due yet; `Conflict` `run already queued`.
    pub async fn run(&self, id_or_name: &str, which: Which) -> Result<RunView> {
        let task = self.find(id_or_name)?;
        let slot_ns = self.slot_of(&task, which)?;
        if self.request(&task, &[slot_ns]).await? == 0 {
            return Err(Error::conflict("run already queued"));
        }
        self.scheduler.tick().await?;
        let id = &task.definition.id;
        if let Some(run) = self.scheduler.under_way(id).into_iter().find(|run| run.slot_ns == slot_ns) {
            return Ok(RunView::under_way(id, &run));
        }
        let mut runs = self.runs.runs(id, usize::MAX)?.into_iter();
        if let Some(run) = runs.find(|run| run.slot_ns == slot_ns) {
            return Ok(RunView::ended(run));
        }
        Err(Error::internal(format!("the run of {} does not start", to_short_text(slot_ns))))
    }

    /// Asks for the slot of a run once more.
    pub async fn retry(&self, id_or_name: &str, run: &str) -> Result<RunView> {
        let slot_ns = self.run_of(id_or_name, run)?.scheduled_for;
        let task = self.find(id_or_name)?;
        let which = if task.schedule.is_slot(slot_ns) { Which::Slot(slot_ns) } else { Which::Unaligned(slot_ns) };
        self.run(id_or_name, which).await
    }

    /// Asks for all slots in `[from_ns, until_ns)`, oldest first; returns how many. Slots under way are passed over.
    ///
    /// Errors: `Invalid` for more than [`BACKFILL_LIMIT`] slots.
    pub async fn backfill(&self, id_or_name: &str, from_ns: i64, until_ns: i64) -> Result<usize> {
        let task = self.find(id_or_name)?;
        let until_ns =
            until_ns.saturating_sub(1).min(task.schedule.latest_due(self.parts.clock.now_ns()).unwrap_or(i64::MIN));
        let slots: Vec<i64> =
            task.schedule.slots_between(from_ns.saturating_sub(1), until_ns).take(BACKFILL_LIMIT + 1).collect();
        if slots.len() > BACKFILL_LIMIT {
            let message = format!("the range has more than {BACKFILL_LIMIT} slots of {}", task.definition.name);
            return Err(Error::invalid(message).with_hint("ask for a part of it, then for the next"));
        }
        let asked = self.request(&task, &slots).await?;
        self.scheduler.wake.notify_one();
        Ok(asked)
    }

    /// Cancels a run; its slot is decided as soon as its end is on record ([`Tasks::ended`]).
    ///
    /// Errors: `NotFound` `run not found` when it has ended, or never was.
    pub fn cancel(&self, id_or_name: &str, run: &str) -> Result<()> {
        let id = self.find(id_or_name)?.definition.id;
        if self.scheduler.cancel(&id, run) { Ok(()) } else { Err(Error::not_found("run not found")) }
    }

    /// Stops running a task, at once: what runs is ended, and its slot runs when the task is resumed.
    pub async fn pause(&self, id_or_name: &str) -> Result<TaskView> {
        self.set_status(id_or_name, TaskStatus::Inactive).await
    }

    /// Runs a task again; what was missed is caught up as after a restart.
    pub async fn resume(&self, id_or_name: &str) -> Result<TaskView> {
        self.set_status(id_or_name, TaskStatus::Active).await
    }

    /// Waits until a run has ended for good, and returns it.
    pub async fn ended(&self, id_or_name: &str, run: &str) -> Result<RunView> {
        let mut changes = self.scheduler.changes();
        loop {
            changes.mark_unchanged();
            let view = self.run_of(id_or_name, run)?;
            if view.finished_at.is_some() && !view.will_retry {
                return Ok(view);
            }
            changes.changed().await.map_err(|_| Error::internal("the scheduler is gone"))?;
        }
    }

    fn slot_of(&self, task: &TaskState, which: Which) -> Result<i64> {
        let now_ns = self.parts.clock.now_ns();
        let slot_ns = match which {
            Which::Latest => {
                let latest = task.schedule.latest_due(now_ns);
                latest.ok_or_else(|| Error::invalid("no slot of the task has been due yet"))?
            }
            Which::Slot(slot_ns) | Which::Unaligned(slot_ns) => slot_ns,
        };
        if matches!(which, Which::Slot(_)) && !task.schedule.is_slot(slot_ns) {
            let near = |slot: Option<i64>| slot.map_or("none".to_string(), to_short_text);
            let (before, after) = (task.schedule.latest_slot(slot_ns), task.schedule.next_slot_after(slot_ns));
            let message = format!("{} is no slot of {}", to_short_text(slot_ns), task.definition.name);
            return Err(Error::invalid(message).with_hint(format!(
                "the slots around it are {} and {}",
                near(before),
                near(after)
            )));
        }
        if task.schedule.due_at(slot_ns) > now_ns {
            let due = to_short_text(task.schedule.due_at(slot_ns));
            return Err(Error::invalid(format!("the slot {} is due at {due}", to_short_text(slot_ns))));
        }
        Ok(slot_ns)
    }

    /// Asks for those of the slots that are not asked for yet; returns how many that are.
    async fn request(&self, task: &TaskState, slots: &[i64]) -> Result<usize> {
        let id = &task.definition.id;
        let under_way = self.scheduler.under_way(id);
        let requested_ns = self.parts.clock.now_ns();
        let requests: Vec<ControlRecord> = slots
            .iter()
            .filter(|slot_ns| under_way.iter().all(|run| run.slot_ns != **slot_ns))
            .map(|slot_ns| RequestedRun { id: new_id(), task: id.clone(), slot_ns: *slot_ns, requested_ns })
            .map(ControlRecord::Requested)
            .collect();
        self.runs.append(Vec::new(), &requests).await?;
        Ok(requests.len())
    }

    async fn set_status(&self, id_or_name: &str, status: TaskStatus) -> Result<TaskView> {
        let task = self.find(id_or_name)?;
        let id = task.definition.id.clone();
        if task.definition.status != status {
            let definition = Definition { status, ..task.definition };
            self.runs.append(Vec::new(), &[ControlRecord::Task(Box::new(definition))]).await?;
            match status {
                TaskStatus::Active => self.scheduler.watch_from_now(&id),
                TaskStatus::Inactive => self.scheduler.withdraw(&id),
            }
            self.scheduler.wake.notify_one();
        }
        self.show(&id)
    }
}
