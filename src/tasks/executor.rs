//! One attempt at one slot: wait for its data, run the script, make its output and its record durable as one.
//!
//! Called by the scheduler, once for every attempt. Nothing here decides when a slot is due or whether it is tried again.
//!
//! Why consecutive slots see every row exactly once: a message's arrival time is taken before it is appended. So a slot
//! first waits until the messages that arrived before its end are in the log (the arrival clock then dates none before
//! it any more), then notes how far its buckets' topics reach, then waits until the sink has applied that much; only then
//! the script reads. What arrives later is dated at or after the slot's end, and belongs to the next slot.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::definition::Definition;
use super::gate::Gate;
use super::manifest::{self, Written};
use super::meters;
use super::output::{self, Origin, Output, RUNS_BUCKET, TopicWrite};
use super::problem;
use super::run::{ControlRecord, LogLine, ReadUpTo, ReadWindow, RunRecord, RunStatus};
use super::run_store::RunStore;
use super::slots::SlotOutcome;
use crate::clock::{ArrivalClock, Clock};
use crate::commitlog::CommitLog;
use crate::diagnostic::Source;
use crate::engine::{BucketWrite, DiscardResults, Engine, RunError, RunReport, RunRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Name;
use crate::plan::World;
use crate::store::{Bucket, SourcePartition, Store};
use crate::time::rfc3339::to_short_text;

/// Gives a run its world: buckets as they stand when it is called, and secrets.
pub type WorldSource = Arc<dyn Fn() -> Arc<dyn World> + Send + Sync>;

/// How long a run may take at least, however often its task runs.
const SHORTEST_LIMIT: Duration = Duration::from_secs(60);

/// Runs attempts.
pub struct Executor {
    /// The log: positions of source topics.
    pub log: Arc<dyn CommitLog>,
    /// Buckets, and how far the sink has applied their topics.
    pub store: Arc<Store>,
    /// Runs scripts.
    pub engine: Arc<Engine>,
    /// Makes a world for each run.
    pub world: WorldSource,
    /// The view that every end of a run goes through.
    pub runs: Arc<RunStore>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Arrivals in flight.
    pub arrivals: Arc<ArrivalClock>,
    /// How many run at once.
    pub gate: Arc<Gate>,
    /// How long a slot waits for its data, in all.
    pub wait_for_data: Duration,
    /// How long a run may take; `None`: as long as the task's interval, at least a minute.
    pub run_limit: Option<Duration>,
}

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The sink is behind.
    WaitingForData,
    /// Others run.
    Queued,
    /// The script runs.
    Running,
    /// Its output is being made durable.
    Writing,
}

/// Who ended an attempt early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody canceled the run: its slot is decided.
    Canceled,
    /// The task was paused or removed, or the process ends: the slot is not decided.
    Withdrawn,
}

/// An attempt to make.
#[derive(Debug)]
pub struct Attempt {
    /// The run's id.
    pub id: Name,
    /// The task as it is now.
    pub definition: Definition,
    /// The slot.
    pub slot_ns: i64,
    /// Counted from 1.
    pub number: u32,
    /// No further attempt follows this one.
    pub last: bool,
    /// Somebody asked for it.
    pub manual: bool,
    /// When it was due, or was asked for.
    pub requested_ns: i64,
    /// Ends it early.
    pub cancel: CancellationToken,
    /// Who did.
    pub stop: Mutex<Option<Stop>>,
    /// Where it is.
    pub phase: Mutex<Phase>,
}

impl Attempt {
    /// Ends the attempt early. Returns false if it is too late for that: its end is being written already.
    pub fn stop(&self, stop: Stop) -> bool {
        // Held, so that a cancel is either heard or refused: the phase does not change meanwhile.
        let phase = self.phase.lock();
        let in_time = *phase != Phase::Writing;
        if in_time || stop == Stop::Withdrawn {
            self.stop.lock().get_or_insert(stop);
            self.cancel.cancel();
        }
        in_time
    }

    /// From now on it is too late to cancel. Returns who has ended the attempt before that.
    fn begin_writing(&self) -> Option<Stop> {
        let mut phase = self.phase.lock();
        *phase = Phase::Writing;
        *self.stop.lock()
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Ended {
    /// It is on record. If the slot is not decided, another attempt is to follow.
    Recorded {
        /// The slot is decided.
        decided: bool,
    },
    /// The slot had succeeded already; nothing was done.
    AlreadyDone,
    /// It was withdrawn; nothing is on record.
    Withdrawn,
    /// The log could not take the record: the attempt is to be made again.
    Unrecorded(Error),
    /// Another process runs the tasks now.
    Fenced(Error),
}

/// Why an attempt has no output.
struct Failure {
    status: RunStatus,
    error: RunError,
    retry: bool,
}

/// Two log lines around an attempt: after a crash they tell whether it fell into a run.
struct Traced;

impl Traced {
    fn begin() -> Traced {
        tracing::debug!("run begins");
        Traced
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        tracing::debug!("run ends");
    }
}

impl Executor {
    /// Makes an attempt.
    pub async fn attempt(&self, attempt: &Attempt) -> Ended {
        // An append whose answer was lost may have succeeded: ask before doing anything twice.
        if let Err(error) = self.runs.catch_up().await {
            return Ended::Unrecorded(error);
        }
        if !attempt.manual && self.has_succeeded(attempt) {
            return Ended::AlreadyDone;
        }
        let last_success_ns = match self.last_success_ns(attempt) {
            Ok(last_success_ns) => last_success_ns,
            Err(error) => return Ended::Unrecorded(error),
        };
        let mut run = self.draft(attempt, last_success_ns);
        let _traced = Traced::begin();
        let worked = tokio::select! {
            biased;
            () = attempt.cancel.cancelled() => Err(self.canceled(attempt)),
            worked = self.work(attempt, &mut run) => worked,
        };
        let worked = match (worked, attempt.begin_writing()) {
            (Err(_), Some(Stop::Withdrawn)) => return Ended::Withdrawn,
            // Also when the script ended at the same moment: whoever canceled the run was told that it is.
            (_, Some(Stop::Canceled)) => Err(self.canceled(attempt)),
            (worked, _) => worked,
        };
        let failure = match worked {
            Ok(report) => match self.succeed(attempt, &mut run, report).await {
                Ok(()) => return Ended::Recorded { decided: true },
                Err(error) if error.kind() == ErrorKind::Conflict => return Ended::Fenced(error),
                Err(error) => Failure {
                    status: RunStatus::Failed,
                    retry: error.kind().may_retry(),
                    error: RunError::failed(error.context("writing the output"), RunReport::default()),
                },
            },
            Err(failure) => failure,
        };
        self.fail(attempt, run, failure).await
    }

    fn has_succeeded(&self, attempt: &Attempt) -> bool {
        let outcome = self.runs.with_task(&attempt.definition.id, |task| task.ledger.outcome(attempt.slot_ns));
        outcome.flatten() == Some(SlotOutcome::Succeeded)
    }

    fn last_success_ns(&self, attempt: &Attempt) -> Result<Option<i64>> {
        let known = self.runs.with_task(&attempt.definition.id, |task| task.ledger.last_success_for(attempt.slot_ns));
        known.unwrap_or(Ok(None))
    }

    fn draft(&self, attempt: &Attempt, last_success_ns: Option<i64>) -> RunRecord {
        let now_ns = self.clock.now_ns();
        RunRecord {
            id: attempt.id.clone(),
            task: attempt.definition.id.clone(),
            slot_ns: attempt.slot_ns,
            attempt: attempt.number,
            status: RunStatus::Failed,
            decided: false,
            manual: attempt.manual,
            incomplete: false,
            settled_ns: None,
            last_success_ns,
            requested_ns: attempt.requested_ns,
            started_ns: now_ns,
            finished_ns: now_ns,
            reads: Vec::new(),
            read_up_to: Vec::new(),
            rows_in: 0,
            rows_out: 0,
            error: None,
            log: Vec::new(),
        }
    }

    /// Everything up to the script's report.
    async fn work(&self, attempt: &Attempt, run: &mut RunRecord) -> std::result::Result<RunReport, Failure> {
        let source = Source::new(attempt.definition.file.as_str(), attempt.definition.flux.as_str());
        self.wait_for_data(attempt, &source, run).await.map_err(Failure::before)?;

        *attempt.phase.lock() = Phase::Queued;
        let pass = self.gate.enter(attempt.requested_ns).await;
        *attempt.phase.lock() = Phase::Running;
        run.started_ns = self.clock.now_ns();
        let request = RunRequest {
            last_success_ns: run.last_success_ns,
            cancel: attempt.cancel.child_token(),
            ..RunRequest::new(source, attempt.slot_ns, (self.world)())
        };
        let engine = Arc::clone(&self.engine);
        // On a task of its own, so that a panic ends the run and nothing else.
        let mut script = tokio::spawn(async move { engine.run(request, &mut DiscardResults).await });
        let limit = self.limit(attempt);
        let ended = tokio::time::timeout(limit, &mut script).await;
        drop(pass);
        let report = match ended {
            Ok(Ok(report)) => report,
            Ok(Err(panic)) => Err(RunError::failed(panic_error(panic), RunReport::default())),
            Err(_) => {
                script.abort();
                let message = format!("the run took longer than {} s and was ended", limit.as_secs_f64());
                return Err(Failure::of(
                    RunError::failed(Error::new(ErrorKind::Canceled, message), RunReport::default()),
                    true,
                ));
            }
        };
        match &report {
            Ok(report) => self.note_report(run, report),
            Err(RunError::Failed { report, .. }) => self.note_report(run, report),
            Err(RunError::Refused(_)) => self.note_report(run, &RunReport::default()),
        }
        report.map_err(|error| {
            let retry = error.kind().may_retry() || error.kind() == ErrorKind::Internal;
            Failure::of(error, retry)
        })
    }

    /// Waits until the sink has applied what had arrived before the slot's end, or until the time for that is over.
    async fn wait_for_data(&self, attempt: &Attempt, source: &Source, run: &mut RunRecord) -> Result<()> {
        let began = tokio::time::Instant::now();
        let settled = self.arrivals.wait_until_settled(attempt.slot_ns);
        match tokio::time::timeout(self.wait_for_data, settled).await {
            Ok(settled_ns) => run.settled_ns = Some(settled_ns),
            Err(_) => {
                self.mark_incomplete(
                    run,
                    "messages that arrived before the slot's end are still on their way to the log",
                );
            }
        }
        for topic in self.source_topics(source, attempt.slot_ns) {
            let info = match self.log.topic(&topic).await {
                Ok(info) => info,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for partition in 0..info.partitions {
                let end = self.log.offsets(&topic, partition).await?.end;
                let read_up_to = ReadUpTo { topic: topic.clone(), generation: info.generation, partition, offset: end };
                run.read_up_to.push(read_up_to);
            }
        }
        let mut behind = Vec::new();
        for read in &run.read_up_to {
            let partition =
                SourcePartition { topic: read.topic.clone(), generation: read.generation, partition: read.partition };
            let left = self.wait_for_data.saturating_sub(began.elapsed());
            if read.offset > 0 && !self.store.wait_applied(&partition, read.offset, left).await {
                behind.push(format!("{}/{} below offset {}", read.topic, read.partition, read.offset));
            }
        }
        if !behind.is_empty() {
            self.mark_incomplete(run, &format!("the sink has not applied {}", behind.join(", ")));
        }
        Ok(())
    }

    /// The topics behind the buckets that the script reads; behind all buckets, where that cannot be told beforehand.
    fn source_topics(&self, source: &Source, now_ns: i64) -> Vec<Name> {
        let buckets: Vec<Bucket> = match self.engine.plan_task(source, now_ns) {
            Ok(plan) if plan.complete => plan.reads.iter().filter_map(|name| self.store.bucket(name).ok()).collect(),
            _ => self.store.buckets(),
        };
        let mut topics: Vec<Name> = buckets.into_iter().flat_map(|bucket| bucket.topics).collect();
        topics.sort();
        topics.dedup();
        topics
    }

    fn limit(&self, attempt: &Attempt) -> Duration {
        let interval = || {
            let schedule = attempt.definition.schedule.schedule().ok()?;
            let interval_ns = schedule.interval_after(schedule.latest_slot(attempt.slot_ns)?)?;
            Some(Duration::from_nanos(u64::try_from(interval_ns).ok()?))
        };
        self.run_limit.or_else(|| interval().map(|every| every.max(SHORTEST_LIMIT))).unwrap_or(SHORTEST_LIMIT)
    }

    fn note_report(&self, run: &mut RunRecord, report: &RunReport) {
        run.finished_ns = self.clock.now_ns();
        run.rows_in = report.rows_in;
        run.rows_out = report.rows_out;
        for source in &report.sources {
            run.reads.push(ReadWindow {
                bucket: source.bucket.clone(),
                start_ns: source.bounds.start_ns,
                stop_ns: source.bounds.stop_ns,
            });
            let name = self.store.bucket(&source.bucket).map_or(source.bucket.clone(), |bucket| bucket.name);
            let (start, stop) = (to_short_text(source.bounds.start_ns), to_short_text(source.bounds.stop_ns));
            self.note(run, format!("read {name} from {start} to {stop}"));
        }
        self.note(run, format!("{} rows in, {} points out", report.rows_in, report.rows_out));
        for warning in &report.warnings {
            self.note(run, format!("warning: {warning}"));
        }
    }

    /// The output and the run's record, as one append.
    async fn succeed(&self, attempt: &Attempt, run: &mut RunRecord, report: RunReport) -> Result<()> {
        let origin = Origin { task: attempt.definition.id.clone(), slot_ns: attempt.slot_ns, attempt: attempt.number };
        let with_topic = |write: BucketWrite| {
            let bucket = self.store.bucket(&write.bucket)?;
            let topic = bucket.topics.first().cloned().ok_or_else(|| {
                Error::failed_precondition(format!("bucket {} has no topic to write to", bucket.name))
            })?;
            Ok(TopicWrite { topic, write })
        };
        let writes = report.writes.into_iter().map(with_topic).collect::<Result<_>>()?;
        let (mut output, written) = output::records(writes, report.kept, Some(origin.clone()), &self.arrivals).await?;
        let wrote = self.replace_earlier(attempt, run, &origin, &written, &mut output).await?;
        run.status = RunStatus::Success;
        run.decided = true;
        run.finished_ns = self.clock.now_ns();
        self.note(run, "Completed(success)".to_string());
        self.append(attempt, run, output, wrote).await
    }

    /// Adds deletes of what an earlier attempt at the slot wrote and this one does not; returns the slot's new manifest.
    async fn replace_earlier(
        &self,
        attempt: &Attempt,
        run: &mut RunRecord,
        origin: &Origin,
        written: &[Written],
        output: &mut Output,
    ) -> Result<Vec<ControlRecord>> {
        let (task, slot_ns) = (&attempt.definition.id, attempt.slot_ns);
        let earlier = self.runs.manifest(task, slot_ns)?;
        if earlier.is_none() && written.is_empty() {
            return Ok(Vec::new());
        }
        if earlier.is_none() && self.has_succeeded(attempt) {
            let message = "what an earlier attempt at this slot wrote is not known any more: rows that this one does not \
                           write as well stay";
            self.note(run, message.to_string());
        }
        let mut gone = manifest::gone(earlier.unwrap_or_default(), written);
        if !gone.is_empty() {
            // Windows of slots may overlap: what another slot wrote too stays.
            gone = manifest::without(gone, &self.runs.other_manifests(task, slot_ns)?);
        }
        for of_bucket in &gone {
            // A bucket that is gone has nothing to delete.
            let Ok(bucket) = self.store.bucket(&of_bucket.bucket) else { continue };
            let Some(topic) = bucket.topics.first() else { continue };
            let partitions = self.log.topic(topic).await?.partitions;
            output.add_deletes(&of_bucket.sets, &bucket.name, topic, partitions, origin, &self.arrivals)?;
            let count = manifest::count(std::slice::from_ref(of_bucket));
            self.note(run, format!("{count} points of an earlier attempt deleted from {}", bucket.name));
        }
        let parts = manifest::parts(task, slot_ns, &attempt.id, attempt.number, written);
        Ok(parts.into_iter().map(|part| ControlRecord::Wrote(Box::new(part))).collect())
    }

    async fn fail(&self, attempt: &Attempt, mut run: RunRecord, failure: Failure) -> Ended {
        run.status = failure.status;
        run.decided = attempt.last || !failure.retry || failure.status == RunStatus::Canceled;
        run.finished_ns = self.clock.now_ns();
        run.rows_out = 0;
        let source = Source::new(attempt.definition.file.as_str(), attempt.definition.flux.as_str());
        let problem = problem::of(&failure.error, &source);
        self.note(&mut run, format!("Completed({})", failure.status.as_str()));
        self.note(&mut run, problem.rendered.clone());
        let (task, slot, decided) = (&attempt.definition.name, to_short_text(run.slot_ns), run.decided);
        tracing::warn!(
            task,
            slot,
            attempt = run.attempt,
            will_retry = !decided,
            "run {}: {}",
            run.status.as_str(),
            problem.rendered
        );
        run.error = Some(problem);
        match self.append(attempt, &run, Output::default(), Vec::new()).await {
            Ok(()) => Ended::Recorded { decided },
            Err(error) if error.kind() == ErrorKind::Conflict => Ended::Fenced(error),
            Err(error) => Ended::Unrecorded(error),
        }
    }

    async fn append(
        &self,
        attempt: &Attempt,
        run: &RunRecord,
        mut output: Output,
        mut happened: Vec<ControlRecord>,
    ) -> Result<()> {
        if let Ok(bucket) = self.store.bucket(RUNS_BUCKET)
            && let Some(topic) = bucket.topics.first()
        {
            output.add_run(topic, run, &attempt.definition.name, &self.arrivals);
        }
        let records = std::mem::take(&mut output.records);
        happened.push(ControlRecord::Run(Box::new(run.clone())));
        let appended = self.runs.append(records, &happened).await;
        // Only now the arrivals of the output are not in flight any more.
        drop(output);
        if appended.is_ok() {
            meters::recorded(run);
        }
        appended
    }

    fn canceled(&self, attempt: &Attempt) -> Failure {
        let message = match *attempt.stop.lock() {
            Some(Stop::Withdrawn) => "the task was paused, changed or removed",
            _ => "canceled",
        };
        let error = RunError::failed(Error::new(ErrorKind::Canceled, message), RunReport::default());
        Failure { status: RunStatus::Canceled, error, retry: false }
    }

    fn mark_incomplete(&self, run: &mut RunRecord, why: &str) {
        run.incomplete = true;
        self.note(run, format!("incomplete: {why} after {} s", self.wait_for_data.as_secs_f64()));
    }

    fn note(&self, run: &mut RunRecord, message: String) {
        run.log.push(LogLine { time_ns: self.clock.now_ns(), message });
    }
}

impl Failure {
    fn of(error: RunError, retry: bool) -> Self {
        Failure { status: RunStatus::Failed, error, retry }
    }

    /// A failure before the script ran: the log did not answer.
    fn before(error: Error) -> Self {
        let retry = error.kind().may_retry();
        Failure::of(RunError::failed(error.context("waiting for data"), RunReport::default()), retry)
    }
}

fn panic_error(error: tokio::task::JoinError) -> Error {
    let Ok(payload) = error.try_into_panic() else {
        return Error::internal("the run was ended from outside");
    };
    let text = payload.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
    Error::internal(format!("panic: {text}"))
}
