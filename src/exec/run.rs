//! Drives a plan: pulls the sources one after the other, pushes their chunks through the network, hands results on.
//!
//! Called by the engine on a thread where waiting is allowed: operators compute on it, only the sources' I/O is
//! asynchronous. Cancellation is looked at before every chunk.

use std::time::Instant;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::at_work::AtWork;
use super::copies::{Prefix, Told};
use super::figures::Figures;
use super::gate::{Event, Gate};
use super::network::Network;
use super::parallel::{Gathering, Workers};
use super::{BucketWrite, Limits, Memory};
use crate::diagnostic::Span;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::planner::{Plan, StepKind};
use crate::table::pool::Kept;
use crate::table::scan::{ChunkSource, ScanParts};
use crate::table::{Chunk, Name, StreamProps};

/// What a run may use and what may end it.
#[derive(Clone)]
pub struct Context {
    /// Bounds.
    pub limits: Limits,
    /// Memory and disk.
    pub memory: Memory,
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
    /// What those points take of the run's memory, until they are durable.
    pub kept: Kept,
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
    let mut network = Network::new(&plan.steps, context, outcome.figures.is_some())?;
    let done = drive(plan, &mut network, context, outcome, events);
    if let Some(figures) = network.figures.take() {
        outcome.figures = Some(figures);
    }
    outcome.rows_out += network.staging.points() as u64;
    outcome.warnings.append(&mut network.warnings);
    outcome.warnings.extend(network.staging.warnings());
    done?;
    let (staging, held) = network.into_staging();
    (outcome.writes, outcome.kept) = staging.take_writes(held)?;
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
    let mut steps = plan.steps;
    for number in 0..steps.len() {
        let span = steps[number].span;
        // The sources are used up; what stands behind them may still be copied.
        let source = match &mut steps[number].kind {
            source @ (StepKind::Scan { .. } | StepKind::Rows(_)) => {
                std::mem::replace(source, StepKind::Rows(Vec::new()))
            }
            _ => continue,
        };
        match source {
            StepKind::Scan { scan, .. } => {
                let mut partitions = scan.partitions;
                if let [partition] = partitions.as_mut_slice()
                    && let Some(parts) = driver.parts(number, partition.as_mut()).map_err(|error| error.at(span))?
                {
                    driver.gather(parts, Prefix::behind(number, &steps), span)?;
                    partitions.clear();
                }
                for mut partition in partitions {
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
            _ => {}
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
    Gate::new(&results, context.limits.waiting_bytes, context.memory.reservation())
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
        let next = self.wait(step, source.next())?;
        if let Some(chunk) = &next {
            self.count(chunk.len as u64)?;
        }
        Ok(next)
    }

    /// The parts of a source that is worked on by several threads.
    fn parts(&mut self, step: usize, source: &mut dyn ChunkSource) -> Result<Option<ScanParts>> {
        match self.context.cores {
            0 | 1 => Ok(None),
            _ => self.wait(step, source.parts()),
        }
    }

    fn wait<T>(&mut self, step: usize, answer: impl Future<Output = Result<T>>) -> Result<T> {
        let began = self.network.figures.is_some().then(Instant::now);
        let cancel = &self.context.cancel;
        let answer = self.context.runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(canceled()),
                answer = answer => answer,
            }
        })?;
        if let (Some(figures), Some(began)) = (&mut self.network.figures, began) {
            figures[step].wait(began.elapsed());
        }
        Ok(answer)
    }

    /// Rows that a source has given.
    fn count(&mut self, rows: u64) -> Result<()> {
        self.outcome.rows_in += rows;
        let max = self.context.limits.rows_read;
        if self.outcome.rows_in > max {
            return Err(Error::resource_exhausted(format!("the script reads more than {max} rows"))
                .with_hint("narrow it with a shorter range or a filter on measurement, field or tags"));
        }
        Ok(())
    }

    /// Works on the parts of a source on several threads: copies of the operators behind it give their rows, in the order of
    /// the parts, to those behind them.
    fn gather(&mut self, parts: ScanParts, prefix: Prefix, span: Span) -> Result<()> {
        let workers = Workers {
            threads: self.context.cores,
            runtime: self.context.runtime.clone(),
            cancel: self.context.cancel.clone(),
            memory: self.context.memory.clone(),
            measure: self.network.figures.is_some(),
        };
        let mut gathering = Gathering::new(parts, prefix, workers);
        while let Some(told) = gathering.next().map_err(|error| error.at(span))? {
            match told {
                Told::Read(rows) => self.count(rows).map_err(|error| error.at(span))?,
                Told::Warning(warning) => self.network.warn(warning),
                Told::Chunk(passed, chunk) => {
                    self.network.pass_on(gathering.prefix().step(passed), chunk)?;
                    self.work()?;
                }
                Told::Cut(operators, kept) => {
                    gathering.cut(operators);
                    self.absorb(kept)?;
                }
                Told::End(kept, figures) => {
                    self.absorb(kept)?;
                    if let Some(own) = &mut self.network.figures {
                        figures.iter().for_each(|(step, figures)| own[*step].add(figures));
                    }
                }
                Told::Failed(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn absorb(&mut self, kept: Vec<(usize, AtWork)>) -> Result<()> {
        kept.into_iter().try_for_each(|(step, copy)| self.network.absorb(step, copy))
    }

    fn push(&mut self, source: usize, chunk: Chunk) -> Result<()> {
        self.network.push(source, chunk);
        self.work()
    }

    fn finish(&mut self, source: usize) -> Result<()> {
        self.network.finish(source);
        self.work()
    }

    /// Works off what there is; results are handed over as they are reached.
    fn work(&mut self) -> Result<()> {
        loop {
            self.context.check_canceled()?;
            let worked = self.network.step()?;
            if !self.network.given.is_empty() {
                self.hand_over()?;
            }
            if !worked {
                return Ok(());
            }
        }
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
