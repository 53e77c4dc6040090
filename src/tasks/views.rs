//! Tasks and runs as the API and the command line show them: InfluxDB's names, and ours beside them.
//!
//! Made by [`super::Tasks`]; plain data that serialises.

use serde::Serialize;

use super::executor::Phase;
use super::loader::LoadedFile;
use super::run::{LogLine, RunProblem, RunRecord};
use super::scheduler::UnderWay;
use super::slots::{Interval, SlotOutcome};
use super::task_state::TaskState;
use crate::name::Name;

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    /// The id; none for a file that has never been in order and pins a bad id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Name>,
    /// The name in `option task`, or the file's.
    pub name: String,
    /// The file, relative to the tasks directory.
    pub file: String,
    /// `active` or `inactive`.
    pub status: &'static str,
    /// The file cannot be run; a last good version may run in its place.
    pub broken: bool,
    /// What is wrong with the file, with carets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What is odd about it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// It fails again and again in the same way and is tried ever more rarely.
    pub quarantined: bool,
    /// `every`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// `cron`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// `offset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
    /// `location`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Slots at once.
    pub concurrency: u32,
    /// Further attempts of a slot.
    pub retry: u32,
    /// The script that runs.
    pub flux: String,
    /// When the task was made.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// When the script that runs was loaded.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
    /// The cursor: this slot and all before it are decided.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub latest_completed: Option<i64>,
    /// The newest slot that a run was started for.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub latest_scheduled: Option<i64>,
    /// The newest slot that succeeded.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub latest_success: Option<i64>,
    /// The newest slot that failed.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub latest_failure: Option<i64>,
    /// How the last run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_status: Option<&'static str>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_run_error: Option<String>,
    /// The oldest slot that is not decided.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub next_slot: Option<i64>,
    /// When it is due.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub next_due: Option<i64>,
    /// How many slots succeeded, failed, were canceled, were passed over.
    pub slots: SlotCounts,
    /// Runs under way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<RunView>,
}

/// How many slots have which outcome, as far back as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SlotCounts {
    /// Succeeded.
    pub succeeded: u64,
    /// Failed for good.
    pub failed: u64,
    /// Canceled.
    pub canceled: u64,
    /// Passed over.
    pub skipped: u64,
}

/// A run: under way or ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// The id; all attempts of a run have one.
    pub id: Name,
    /// The task.
    #[serde(rename = "taskID")]
    pub task_id: Name,
    /// `scheduled`, `started`, `success`, `failed` or `canceled`.
    pub status: &'static str,
    /// Where a run that has not ended is: `waiting_for_data`, `queued`, `running`, `writing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The slot.
    #[serde(with = "super::instant")]
    pub scheduled_for: i64,
    /// When it was due, or asked for.
    #[serde(with = "super::instant")]
    pub requested_at: i64,
    /// When the script began.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// When it ended.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<i64>,
    /// Which attempt.
    pub attempt: u32,
    /// Another attempt follows.
    pub will_retry: bool,
    /// Somebody asked for it.
    pub manual: bool,
    /// The sink was behind: it may have read too little.
    pub incomplete: bool,
    /// What `tasks.lastSuccess` was.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub last_success: Option<i64>,
    /// The earliest instant that it read.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub window_start: Option<i64>,
    /// The first instant after what it read.
    #[serde(with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub window_stop: Option<i64>,
    /// Rows read.
    pub rows_in: u64,
    /// Points written.
    pub rows_out: u64,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// Why it failed, with the place in the script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same in parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<RunProblem>,
    /// Its log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
}

impl TaskView {
    /// A task with its file, if it has been loaded, and what is under way.
    pub fn of(task: &TaskState, file: Option<&LoadedFile>, under_way: &[UnderWay]) -> Self {
        let (definition, progress) = (&task.definition, &task.progress);
        let last = progress.last_run.as_ref();
        let running = under_way.iter().map(|run| run.slot_ns).max();
        let next_slot = task.next_slot(|slot_ns| under_way.iter().any(|run| run.slot_ns == slot_ns));
        TaskView {
            id: Some(definition.id.clone()),
            name: definition.name.clone(),
            file: definition.file.clone(),
            status: definition.status.as_str(),
            broken: file.is_some_and(|file| file.problem.is_some()),
            problem: file.and_then(|file| file.problem.clone()),
            warnings: file.map(|file| file.warnings.clone()).unwrap_or_default(),
            quarantined: task.is_quarantined(),
            every: definition.schedule.every.map(|every| every.to_string()),
            cron: definition.schedule.cron.clone(),
            offset: definition.schedule.offset.map(|offset| offset.to_string()),
            location: definition.schedule.location.clone(),
            concurrency: definition.concurrency,
            retry: definition.retry,
            flux: definition.flux.clone(),
            created_at: Some(definition.created_ns),
            updated_at: Some(definition.updated_ns),
            latest_completed: progress.cursor_ns,
            latest_scheduled: progress.latest_completed_ns.max(running),
            latest_success: progress.latest_success_ns,
            latest_failure: progress.latest_failure_ns,
            last_run_status: last.map(|last| last.status.as_str()),
            last_run_error: last.and_then(|last| last.error.as_ref()).map(|error| error.message.clone()),
            next_slot,
            next_due: next_slot.map(|slot_ns| task.schedule.due_at(slot_ns)),
            slots: SlotCounts::of(task.ledger.intervals()),
            running: under_way.iter().map(|run| RunView::under_way(&definition.id, run)).collect(),
        }
    }

    /// A file that has never been in order.
    pub fn broken(path: &str, file: &LoadedFile) -> Self {
        TaskView {
            id: file.id.clone(),
            name: path.trim_end_matches(".flux").to_string(),
            file: path.to_string(),
            status: "inactive",
            broken: true,
            problem: file.problem.clone(),
            warnings: file.warnings.clone(),
            quarantined: false,
            every: None,
            cron: None,
            offset: None,
            location: None,
            concurrency: 1,
            retry: 0,
            flux: String::new(),
            created_at: None,
            updated_at: None,
            latest_completed: None,
            latest_scheduled: None,
            latest_success: None,
            latest_failure: None,
            last_run_status: None,
            last_run_error: None,
            next_slot: None,
            next_due: None,
            slots: SlotCounts::default(),
            running: Vec::new(),
        }
    }
}

impl SlotCounts {
    fn of(intervals: &[Interval]) -> Self {
        let mut counts = SlotCounts::default();
        for interval in intervals {
            match interval.outcome {
                SlotOutcome::Succeeded => counts.succeeded += interval.count,
                SlotOutcome::Failed => counts.failed += interval.count,
                SlotOutcome::Canceled => counts.canceled += interval.count,
                SlotOutcome::Skipped => counts.skipped += interval.count,
            }
        }
        counts
    }
}

impl RunView {
    /// A run that has not ended.
    pub fn under_way(task: &Name, run: &UnderWay) -> Self {
        let is_started = matches!(run.phase, Some(Phase::Running | Phase::Writing));
        RunView {
            id: run.id.clone(),
            task_id: task.clone(),
            status: if is_started { "started" } else { "scheduled" },
            phase: run.phase,
            scheduled_for: run.slot_ns,
            requested_at: run.requested_ns,
            started_at: None,
            finished_at: None,
            attempt: run.attempt,
            will_retry: false,
            manual: run.manual,
            incomplete: false,
            last_success: None,
            window_start: None,
            window_stop: None,
            rows_in: 0,
            rows_out: 0,
            duration_ms: None,
            error: None,
            problem: None,
            log: Vec::new(),
        }
    }

    /// A run that has ended.
    pub fn ended(run: RunRecord) -> Self {
        RunView {
            status: run.status.as_str(),
            phase: None,
            scheduled_for: run.slot_ns,
            requested_at: run.requested_ns,
            started_at: Some(run.started_ns),
            finished_at: Some(run.finished_ns),
            attempt: run.attempt,
            will_retry: !run.decided,
            manual: run.manual,
            incomplete: run.incomplete,
            last_success: run.last_success_ns,
            window_start: run.reads.iter().map(|read| read.start_ns).min(),
            window_stop: run.reads.iter().map(|read| read.stop_ns).max(),
            rows_in: run.rows_in,
            rows_out: run.rows_out,
            duration_ms: Some(run.duration_ms()),
            error: run.error.as_ref().map(|error| error.rendered.clone()),
            problem: run.error,
            log: run.log,
            id: run.id,
            task_id: run.task,
        }
    }
}
