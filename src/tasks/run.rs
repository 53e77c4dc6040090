//! The records of the control topic `_fluxmill.tasks`: tasks made, changed and removed, runs, slots passed over.
//!
//! Written by the executor and the scheduler, folded into the catalogue by [`super::run_store`], readable by anybody as
//! JSON. A record says what happened; it is never changed.

use serde::{Deserialize, Serialize};

use super::definition::{Definition, ScheduleSpec};
use super::manifest::Manifest;
use crate::name::Name;

/// The control topic. One partition: the order of its records is the order of what happened.
pub const CONTROL_TOPIC: &str = "_fluxmill.tasks";

/// The control topic of an installation. Those that share a Kafka cluster have one each, or each would run, change and
/// remove the tasks of the others; `None` is the only one there is, or the one with the default name.
pub fn control_topic(installation: Option<&str>) -> Name {
    of_installation(CONTROL_TOPIC, installation)
}

/// A topic's name with the installation behind it.
pub(super) fn of_installation(topic: &str, installation: Option<&str>) -> Name {
    match installation {
        Some(installation) => format!("{topic}.{installation}").into(),
        None => topic.into(),
    }
}

/// One record of the control topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ControlRecord {
    /// A task was made, or has a new version.
    Task(Box<Definition>),
    /// A task is gone.
    Removed {
        /// Which.
        task: Name,
        /// When.
        #[serde(with = "super::instant")]
        at_ns: i64,
    },
    /// What an attempt wrote; it stands with its output and its run.
    Wrote(Box<Manifest>),
    /// A run has ended.
    Run(Box<RunRecord>),
    /// Missed slots that the catch-up policy passed over.
    Skipped(SkippedSlots),
    /// Somebody asked for a run of a slot.
    Requested(RequestedRun),
}

impl ControlRecord {
    /// The task it is about.
    pub fn task(&self) -> &Name {
        match self {
            ControlRecord::Task(definition) => &definition.id,
            ControlRecord::Removed { task, .. } => task,
            ControlRecord::Wrote(manifest) => &manifest.task,
            ControlRecord::Run(run) => &run.task,
            ControlRecord::Skipped(skipped) => &skipped.task,
            ControlRecord::Requested(request) => &request.task,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Its output is durable.
    Success,
    /// It has no output.
    Failed,
    /// Somebody, or an edit of the task, ended it; it has no output.
    Canceled,
}

impl RunStatus {
    /// As InfluxDB writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Success => "success",
            RunStatus::Failed => "failed",
            RunStatus::Canceled => "canceled",
        }
    }
}

/// One attempt at one slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run's id, 16 hex digits.
    pub id: Name,
    /// The task.
    pub task: Name,
    /// The slot: what `now()` was.
    #[serde(rename = "scheduledFor", with = "super::instant")]
    pub slot_ns: i64,
    /// From 1, for each slot.
    pub attempt: u32,
    /// How it ended.
    pub status: RunStatus,
    /// No further attempt follows on its own: the slot is decided.
    pub decided: bool,
    /// Somebody asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub manual: bool,
    /// The sink had not applied everything in time: the run may have read too little.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// Before this instant nothing arrives any more: the slot, or the wall clock if that was behind it.
    #[serde(
        rename = "settledBefore",
        default,
        with = "super::instant::option",
        skip_serializing_if = "Option::is_none"
    )]
    pub settled_ns: Option<i64>,
    /// What `tasks.lastSuccess` was.
    #[serde(rename = "lastSuccess", default, with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub last_success_ns: Option<i64>,
    /// When the slot was due, or was asked for.
    #[serde(rename = "requestedAt", with = "super::instant")]
    pub requested_ns: i64,
    /// When the script began, by the wall clock.
    #[serde(rename = "startedAt", with = "super::instant")]
    pub started_ns: i64,
    /// When it ended.
    #[serde(rename = "finishedAt", with = "super::instant")]
    pub finished_ns: i64,
    /// What the script read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<ReadWindow>,
    /// How far the sink had read the topics behind those buckets: what came after is late.
    #[serde(rename = "readUpTo", default, skip_serializing_if = "Vec::is_empty")]
    pub read_up_to: Vec<ReadUpTo>,
    /// Rows read from buckets.
    #[serde(rename = "rowsIn")]
    pub rows_in: u64,
    /// Points written to buckets.
    #[serde(rename = "rowsOut")]
    pub rows_out: u64,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunProblem>,
    /// What happened on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogLine>,
}

impl RunRecord {
    /// How long it took, in milliseconds.
    pub fn duration_ms(&self) -> i64 {
        self.finished_ns.saturating_sub(self.started_ns).max(0) / 1_000_000
    }
}

/// A range that a script read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadWindow {
    /// The bucket's id.
    pub bucket: Name,
    /// The first instant inside.
    #[serde(rename = "start", with = "super::instant")]
    pub start_ns: i64,
    /// The first instant after.
    #[serde(rename = "stop", with = "super::instant")]
    pub stop_ns: i64,
}

/// A position that the sink had reached before a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadUpTo {
    /// The topic.
    pub topic: Name,
    /// The topic's generation: offsets of different generations do not compare.
    pub generation: u32,
    /// The partition.
    pub partition: u32,
    /// Everything below this offset was there.
    pub offset: u64,
}

/// Why a run failed, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProblem {
    /// The class, in snake case: `invalid`, `not_found`, `unavailable`, ...
    pub class: String,
    /// The sentence.
    pub message: String,
    /// The message with the line of the script and a caret, if the place is known.
    pub rendered: String,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
}

/// A line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When.
    #[serde(rename = "time", with = "super::instant")]
    pub time_ns: i64,
    /// What.
    pub message: String,
}

/// Slots that nobody ran and nobody will, unless they are asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SkippedSlots {
    /// The task.
    pub task: Name,
    /// The first of them.
    #[serde(rename = "from", with = "super::instant")]
    pub first_ns: i64,
    /// The last of them.
    #[serde(rename = "to", with = "super::instant")]
    pub last_ns: i64,
    /// How many.
    pub count: u64,
    /// Why: `catchup = "last"`, `more than 1000 slots missed`.
    pub reason: String,
    /// The schedule that they belong to.
    pub schedule: ScheduleSpec,
}

/// A run that was asked for and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedRun {
    /// The id that its first attempt will have.
    pub id: Name,
    /// The task.
    pub task: Name,
    /// The slot.
    #[serde(rename = "scheduledFor", with = "super::instant")]
    pub slot_ns: i64,
    /// When it was asked for.
    #[serde(rename = "requestedAt", with = "super::instant")]
    pub requested_ns: i64,
}
