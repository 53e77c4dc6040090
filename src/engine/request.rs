//! What a run is given and what it gives back.
//!
//! Filled in and read by the callers of [`super::Engine`]. Plain data.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::session::ShownValue;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::error::{Error, ErrorKind};
use crate::exec::{BucketWrite, Limits, available_cores};
use crate::plan::World;
use crate::table::Name;
use crate::table::pool::Kept;
use crate::table::scan::SourceRef;

/// One run of one script.
#[derive(Clone)]
pub struct RunRequest {
    /// The script.
    pub source: Source,
    /// What `now()` returns, in nanoseconds since the epoch: the wall clock for a query, the slot's scheduled time for a
    /// task. An `option now` in the script overrides it.
    pub now_ns: i64,
    /// What `tasks.lastSuccess` returns, in nanoseconds since the epoch: the scheduled time of the newest slot before this
    /// one that succeeded; `None` lets it return its `orTime`.
    pub last_success_ns: Option<i64>,
    /// Buckets and secrets.
    pub world: Arc<dyn World>,
    /// How many operators of a pipeline are offered to a scan at most; `usize::MAX` by default. It never changes an answer.
    pub max_push_ops: usize,
    /// What the run may use.
    pub limits: Limits,
    /// On how many threads the rows of a large scan are worked on; all cores that the process may use by default, 1: one
    /// after the other. It never changes an answer.
    pub cores: usize,
    /// Ends the run early.
    pub cancel: CancellationToken,
    /// Whether the report tells the values of expressions and of names: for sessions, with the rows of a table that are
    /// shown.
    pub show_values: Option<usize>,
}

impl RunRequest {
    /// A run of a script at a time, with default limits, everything offered to the scan, and nobody who cancels it.
    pub fn new(source: Source, now_ns: i64, world: Arc<dyn World>) -> Self {
        RunRequest {
            source,
            now_ns,
            last_success_ns: None,
            world,
            max_push_ops: usize::MAX,
            limits: Limits::default(),
            cores: available_cores(),
            cancel: CancellationToken::new(),
            show_values: None,
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct RunReport {
    /// The points of every `to()`, one entry per bucket, in the order in which the script first writes to it. Not durable:
    /// the caller appends them.
    pub writes: Vec<BucketWrite>,
    /// The memory that those points take: it is given back when the last clone is dropped, so keep it as long as them.
    pub kept: Kept,
    /// Rows read from buckets.
    pub rows_in: u64,
    /// Points staged for buckets.
    pub rows_out: u64,
    /// Rows handed over as results.
    pub rows_returned: u64,
    /// What the run passed over and somebody should know, each once.
    pub warnings: Vec<String>,
    /// The bounded reads, each once, in program order.
    pub sources: Vec<SourceRef>,
    /// The values of expression statements and of names, if they were asked for.
    pub values: Vec<ShownValue>,
}

/// Why a run gave no complete result.
#[derive(Clone, Debug)]
pub enum RunError {
    /// The script has errors; nothing ran. Warnings may be among the diagnostics.
    Refused(Vec<Diagnostic>),
    /// It ran and failed. The report has counts and sources, and no writes.
    Failed {
        /// What went wrong; its span, if any, is in the script.
        error: Error,
        /// What was known by then.
        report: Box<RunReport>,
    },
}

impl RunError {
    /// A failed run; whatever was staged is dropped.
    pub fn failed(error: Error, mut report: RunReport) -> Self {
        report.writes.clear();
        report.kept = Kept::default();
        RunError::Failed { error, report: Box::new(report) }
    }

    /// The class: a refused script is Invalid.
    pub fn kind(&self) -> ErrorKind {
        match self {
            RunError::Refused(_) => ErrorKind::Invalid,
            RunError::Failed { error, .. } => error.kind(),
        }
    }

    /// The problem as one error: of a refused script the first error among its diagnostics.
    pub fn to_error(&self) -> Error {
        match self {
            RunError::Failed { error, .. } => error.clone(),
            RunError::Refused(diagnostics) => {
                let first = diagnostics.iter().find(|diagnostic| diagnostic.severity == Severity::Error);
                let Some(first) = first else {
                    return Error::invalid("the script has errors");
                };
                let error = Error::invalid(first.message.clone()).at(first.span);
                match &first.help {
                    Some(help) => error.with_hint(help.clone()),
                    None => error,
                }
            }
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_error().fmt(formatter)
    }
}

impl std::error::Error for RunError {}

/// The buckets that a script reads and writes, as it names them (a name, or an id where it gives `bucketID`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskPlan {
    /// Read by `from`, in program order, each once.
    pub reads: Vec<Name>,
    /// Written by `to`, in program order, each once.
    pub writes: Vec<Name>,
    /// Whether the lists are known to be complete. They are not when a bucket's name depends on data (`findRecord`).
    pub complete: bool,
}
