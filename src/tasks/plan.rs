//! What a task would do next: which slots are passed over, which are due, which come.
//!
//! Called by [`super::Tasks::plan`]. Pure, and by the same rules as [`super::step`]: nothing is started or recorded.

use serde::Serialize;

use super::definition::TaskStatus;
use super::scheduler::UnderWay;
use super::step::{CatchUp, Live, Policy, missed};
use super::task_state::TaskState;
use crate::name::Name;

/// Most due slots that a plan lists.
const LISTED: usize = 1_000;

/// What a task would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The task.
    #[serde(rename = "taskID")]
    pub task_id: Name,
    /// Its name.
    pub name: String,
    /// Whether it is active; a paused task runs only what is asked for.
    pub active: bool,
    /// When the plan was made.
    #[serde(with = "super::instant")]
    pub now: i64,
    /// What is done about missed slots: `none`, `last`, or `all` with a limit.
    pub catch_up: String,
    /// Missed slots that are passed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedSpan>,
    /// Slots that are due and run now, or as soon as those before them have, oldest first; the first thousand.
    pub due: Vec<PlannedSlot>,
    /// How many are due in all.
    pub due_count: usize,
    /// The slots after now.
    pub upcoming: Vec<PlannedSlot>,
}

/// Slots that are passed over.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkippedSpan {
    /// The first.
    #[serde(with = "super::instant")]
    pub from: i64,
    /// The last.
    #[serde(with = "super::instant")]
    pub to: i64,
    /// How many.
    pub count: u64,
    /// Why.
    pub reason: String,
}

/// A slot of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedSlot {
    /// The slot: what `now()` will be.
    #[serde(with = "super::instant")]
    pub slot: i64,
    /// When it is due.
    #[serde(with = "super::instant")]
    pub due: i64,
    /// `running`, `retry`, `asked for`, `missed` (due before now) or `upcoming`.
    pub state: &'static str,
}

/// The plan of a task. `live` says since when the task is looked after.
pub(super) fn of(
    mut task: TaskState,
    under_way: &[UnderWay],
    mut live: Live,
    policy: Policy,
    now_ns: i64,
    count: usize,
) -> Plan {
    let mut skipped = Vec::new();
    while let Some(span) = missed(&task, &mut live, policy, now_ns) {
        let to = span.last_ns;
        if task.skipped(&span).is_err() || task.base_ns() < to {
            break;
        }
        skipped.push(SkippedSpan { from: span.first_ns, to, count: span.count, reason: span.reason });
    }
    let planned =
        |slot_ns: i64, state: &'static str| PlannedSlot { slot: slot_ns, due: task.schedule.due_at(slot_ns), state };
    let mut due: Vec<PlannedSlot> = Vec::new();
    for run in under_way {
        let state = match (run.phase, run.manual && run.attempt == 1) {
            (Some(_), _) => "running",
            (None, true) => "asked for",
            (None, false) => "retry",
        };
        due.push(planned(run.slot_ns, state));
    }
    let mut due_count = due.len();
    let mut upcoming = Vec::new();
    for slot_ns in task.schedule.slots_between(task.base_ns(), i64::MAX) {
        if task.progress.decided_ahead.contains(&slot_ns) || under_way.iter().any(|run| run.slot_ns == slot_ns) {
            continue;
        }
        if task.schedule.due_at(slot_ns).saturating_add(policy.settle_ns) > now_ns {
            if upcoming.len() == count {
                break;
            }
            upcoming.push(planned(slot_ns, "upcoming"));
            continue;
        }
        due_count += 1;
        if due.len() < LISTED {
            due.push(planned(slot_ns, "missed"));
        }
    }
    due.sort_by_key(|planned| planned.slot);
    Plan {
        task_id: task.definition.id.clone(),
        name: task.definition.name.clone(),
        active: task.definition.status == TaskStatus::Active,
        now: now_ns,
        catch_up: match policy.catch_up {
            CatchUp::None => "none".to_string(),
            CatchUp::Last => "last".to_string(),
            CatchUp::All(limit) => format!("all, at most {limit}"),
        },
        skipped,
        due,
        due_count,
        upcoming,
    }
}
