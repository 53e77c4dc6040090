//! Drives a plan: pulls the sources one after the other, pushes their chunks through the network, hands results on.
//!
//! Called by the engine on a thread where waiting is allowed: operators compute on it, only the sources' I/O is
//! asynchronous. Cancellation is looked at before every chunk.

use std::time::Instant;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::figures::Figures;
use super::gate::{Event, Gate};
use super::network::Network;
use super::{BucketWrite, Limits};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::planner::{Plan, StepKind};
use crate::table::scan::ChunkSource;
use crate::table::{Chunk, Name, StreamProps};

/// What a run may use and what may end it.
#[derive(Clone)]
pub struct Context {
    /// Bounds.
    pub limits: Limits,
    /// On how many threads the rows of a large scan are worked on; 1 and 0: on the driver's alone. It never changes an
    /// answer.
    pub cores: usize,
    /// Ends the run early, with [`ErrorKind::Canceled`].
    pub cancel: CancellationToken,
    /// The runtime that the sources' I/O runs on.
    pub runtime: Handle,
}

impl Context {
    fn check_canceled(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(canceled()) } else { Ok(()) }
    }
}

/// What a run has done so far.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The points of every `to()`, complete only if the run succeeded.
    pub writes: Vec<BucketWrite>,
    /// Rows read from buckets.
    pub rows_in: u64,
    /// Points staged.
    pub rows_out: u64,
    /// Rows given to results.
    pub rows_returned: u64,
    /// What was passed over and somebody should know.
    pub warnings: Vec<String>,
    /// What each step has cost; measured if it is there before the run.
    pub figures: Option<Vec<Figures>>,
}

/// Runs a plan. `events` is told the results in order and may wait; an error from it ends the run. `outcome` holds what was
/// done also when the run fails.
pub fn run(
    plan: Plan,
    context: &Context,
    outcome: &mut Outcome,
    events: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<()> {
    let mut network = Network::new(&plan.steps, &context.limits, outcome.figures.is_some())?;
    let done = drive(plan, &mut network, context, outcome, events);
    if let Some(figures) = network.figures.take() {
        outcome.figures = Some(figures);
    }
    outcome.rows_out += network.staging.points() as u64;
    outcome.warnings.append(&mut network.warnings);
    outcome.warnings.extend(network.staging.warnings());
    done?;
    outcome.writes = network.staging.take_writes();
    Ok(())
}

fn drive(
    plan: Plan,
    network: &mut Network,
    context: &Context,
    outcome: &mut Outcome,
    events: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<()> {
    let mut driver = Driver { gate: gate(&plan, context), network, context, outcome, events };
    for (number, step) in plan.steps.into_iter().enumerate() {
        let span = step.span;
        match step.kind {
            StepKind::Scan { scan, .. } => {
                for mut partition in scan.partitions {
                    while let Some(chunk) = driver.next(number, partition.as_mut()).map_err(|error| error.at(span))? {
                        driver.push(number, chunk)?;
                    }
                }
            }
            StepKind::Rows(chunks) => {
                for chunk in chunks {
                    driver.push(number, chunk)?;
                }
            }
            _ => continue,
        }
        driver.finish(number)?;
    }
    Ok(())
}

fn gate(plan: &Plan, context: &Context) -> Gate {
    let mut results: Vec<Option<(Name, StreamProps)>> = vec![None; plan.results.len()];
    for step in &plan.steps {
        if let StepKind::Result(result) = step.kind {
            results[result] = Some((plan.results[result].clone(), step.props));
        }
    }
    let results: Vec<(Name, StreamProps)> = results.into_iter().flatten().collect();
    Gate::new(&results, context.limits.waiting_bytes)
}

struct Driver<'a> {
    network: &'a mut Network,
    gate: Gate,
    context: &'a Context,
    outcome: &'a mut Outcome,
    events: &'a mut dyn FnMut(Event) -> Result<()>,
}

impl Driver<'_> {
    /// The next chunk of a source, unless the run is cancelled first.
    fn next(&mut self, step: usize, source: &mut dyn ChunkSource) -> Result<Option<Chunk>> {
        let began = self.network.figures.is_some().then(Instant::now);
        let cancel = &self.context.cancel;
        let next = self.context.runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(canceled()),
                next = source.next() => next,
            }
        })?;
        if let (Some(figures), Some(began)) = (&mut self.network.figures, began) {
            figures[step].wait(began.elapsed());
        }
        let Some(chunk) = next else { return Ok(None) };
        self.outcome.rows_in += chunk.len as u64;
        let max = self.context.limits.rows_read;
        if self.outcome.rows_in > max {
            return Err(Error::resource_exhausted(format!("the script reads more than {max} rows"))
                .with_hint("narrow it with a shorter range or a filter on measurement, field or tags"));
        }
        Ok(Some(chunk))
    }

    fn push(&mut self, source: usize, chunk: Chunk) -> Result<()> {
        self.context.check_canceled()?;
        self.network.push(source, chunk)?;
        self.hand_over()
    }

    fn finish(&mut self, source: usize) -> Result<()> {
        self.context.check_canceled()?;
        self.network.finish(source)?;
        self.hand_over()
    }

    fn hand_over(&mut self) -> Result<()> {
        let mut events = Vec::new();
        for given in std::mem::take(&mut self.network.given) {
            self.gate.take(given, &mut events)?;
        }
        for event in events {
            (self.events)(event)?;
        }
        self.outcome.rows_returned = self.gate.rows;
        Ok(())
    }
}

fn canceled() -> Error {
    Error::new(ErrorKind::Canceled, "the run was canceled")
}
