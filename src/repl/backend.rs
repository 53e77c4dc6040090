//! Where a session's scripts run, as the REPL sees it: a daemon behind its API, or this process without any data.
//!
//! Implemented by the command line over HTTP, and here for a machine without a data directory. The REPL itself knows
//! neither HTTP nor stores.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::complete::MeasurementNames;
use crate::clock::{Clock, SystemClock};
use crate::diagnostic::Source;
use crate::engine::session::{Event, EventSink, Problem, RowLimits};
use crate::engine::{Engine, NoBuckets, RunError, RunRequest};
use crate::error::{Error, Result};

/// A script to run.
#[derive(Clone, Debug)]
pub struct Script {
    /// The text.
    pub text: String,
    /// What `now()` is; the clock if `None`.
    pub now_ns: Option<i64>,
}

/// A bucket in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketNames {
    /// Its name.
    pub name: String,
    /// How long rows are kept, in seconds; `None` for ever.
    pub retention_s: Option<u64>,
    /// The topics that fill it.
    pub topics: Vec<String>,
}

/// Runs scripts and knows the names in the data. Dropping the future of a call cancels what it started.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Runs a script and tells what happens; the last event is `Done`, `Refused` or `Failed`.
    ///
    /// Errors: what keeps the script from being run at all.
    async fn evaluate(&self, script: &Script, limits: RowLimits, tell: &mut (dyn FnMut(Event) + Send)) -> Result<()>;

    /// Runs one statement of SQL and tells what happens; the last event is `Done` or `Failed`.
    ///
    /// Errors: what keeps it from being run at all.
    async fn sql(&self, query: &Script, limits: RowLimits, tell: &mut (dyn FnMut(Event) + Send)) -> Result<()>;

    /// The plan of a script, or the event that says why there is none.
    ///
    /// Errors: what keeps it from being asked.
    async fn explain(&self, script: &Script) -> Result<Result<String, Event>>;

    /// The buckets, by name.
    async fn buckets(&self) -> Result<Vec<BucketNames>>;

    /// The measurements of a bucket, by name.
    async fn measurements(&self, bucket: &str) -> Result<Vec<MeasurementNames>>;
}

/// This process, without any bucket.
#[derive(Default)]
pub struct NoData {
    engine: Engine,
}

impl NoData {
    fn request(script: &Script) -> RunRequest {
        let source = Source::new("<session>", script.text.as_str());
        RunRequest::new(source, script.now_ns.unwrap_or_else(|| SystemClock.now_ns()), Arc::new(NoBuckets))
    }
}

#[async_trait]
impl Backend for NoData {
    async fn evaluate(&self, script: &Script, limits: RowLimits, tell: &mut (dyn FnMut(Event) + Send)) -> Result<()> {
        let (events, mut received) = mpsc::channel(16);
        let mut request = Self::request(script);
        request.show_values = Some(limits.per_table);
        let engine = &self.engine;
        // The sink ends with the run, and with it the events.
        let run = async move {
            let mut sink = EventSink::new(limits, events);
            let outcome = engine.run(request, &mut sink).await;
            sink.finish(outcome).await;
        };
        let listen = async {
            while let Some(event) = received.recv().await {
                tell(event);
            }
        };
        tokio::join!(run, listen);
        Ok(())
    }

    async fn sql(&self, _: &Script, _: RowLimits, _: &mut (dyn FnMut(Event) + Send)) -> Result<()> {
        Err(no_data())
    }

    async fn explain(&self, script: &Script) -> Result<Result<String, Event>> {
        Ok(match self.engine.explain(Self::request(script)).await {
            Ok(plan) => Ok(plan),
            Err(RunError::Refused(diagnostics)) => Err(Event::Refused(diagnostics.iter().map(Problem::from).collect())),
            Err(RunError::Failed { error, .. }) => Err(Event::failed(&error)),
        })
    }

    async fn buckets(&self) -> Result<Vec<BucketNames>> {
        Err(no_data())
    }

    async fn measurements(&self, _bucket: &str) -> Result<Vec<MeasurementNames>> {
        Err(no_data())
    }
}

fn no_data() -> Error {
    Error::failed_precondition("this session has no buckets")
        .with_hint("start `fluxmill serve`, or name a data directory with --data-dir DIR or a daemon with --url URL")
}
