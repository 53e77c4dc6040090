//! What a task is: its script with what `option task` says, and where it came from.
//!
//! Made by [`super::file`] from a task file, kept in the control topic, read by the scheduler and the executor. A
//! definition is a value that has been checked; a broken file never becomes one.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::schedule::Schedule;
use crate::error::Result;
use crate::name::Name;
use crate::time::{Duration, Location};

/// Attempts of a slot when the script names no `retry`: the first and three more.
pub const DEFAULT_RETRY: u32 = 3;

/// When a task runs, as its script says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// `every`.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub every: Option<Duration>,
    /// `cron`; one of the two is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// `offset`.
    #[serde(default, with = "duration_text", skip_serializing_if = "Option::is_none")]
    pub offset: Option<Duration>,
    /// `location`: the name of an IANA zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

impl ScheduleSpec {
    /// The slots that follow from it.
    pub fn schedule(&self) -> Result<Schedule> {
        let offset = self.offset.unwrap_or_default();
        let location = match &self.location {
            Some(name) => Location::named(name)?,
            None => Location::UTC,
        };
        match (&self.cron, self.every) {
            (Some(pattern), _) => Schedule::cron(pattern, offset, location),
            (None, every) => Schedule::every(every.unwrap_or_default(), offset, location),
        }
    }
}

/// Whether a task's slots run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// They do.
    #[default]
    Active,
    /// They do not, until it is resumed.
    Inactive,
}

impl TaskStatus {
    /// As InfluxDB writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskStatus::Active => "active",
            TaskStatus::Inactive => "inactive",
        }
    }
}

/// A version of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// 16 hex digits: of the path, or pinned in the file by `// fluxmill: id=...`.
    pub id: Name,
    /// The name in `option task`.
    pub name: String,
    /// The file, relative to the tasks directory.
    pub file: String,
    /// The script.
    pub flux: String,
    /// When it runs.
    pub schedule: ScheduleSpec,
    /// How many of its slots may run at once.
    pub concurrency: u32,
    /// How often a failed slot is tried again.
    pub retry: u32,
    /// Active or not.
    pub status: TaskStatus,
    /// When the task was made.
    #[serde(with = "super::instant")]
    pub created_ns: i64,
    /// When this version was.
    #[serde(with = "super::instant")]
    pub updated_ns: i64,
    /// The first slot of this schedule: nothing before it runs unless it is asked for.
    #[serde(with = "super::instant")]
    pub first_slot_ns: i64,
}

impl Definition {
    /// The script reads `tasks.lastSuccess`: the range of a slot begins where the slot before it ended.
    pub fn is_chained(&self) -> bool {
        self.flux.contains("lastSuccess")
    }

    /// How many slots of it run at once; in a chain one after the other, whatever the script says.
    pub fn slots_at_once(&self) -> usize {
        if self.is_chained() { 1 } else { self.concurrency as usize }
    }
}

/// Durations as Flux writes them.
mod duration_text {
    use super::{Deserialize, Deserializer, Duration, Serializer, de};

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.collect_str(duration),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| Duration::parse_signed(&text).map_err(de::Error::custom)).transpose()
    }
}
