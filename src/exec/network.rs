//! The running operators of a plan: a chunk that a source gives goes through all of them before the next one is read.
//!
//! Made by `super::run` from a plan's steps. Synchronous; rows that reach a result are left in [`Network::given`] for
//! the driver to hand over.

use std::time::Instant;

use super::Context;
use super::at_work::AtWork;
use super::figures::Figures;
use super::memory::{Memory, refusal};
use super::to::Staging;
use crate::error::{Error, Result};
use crate::operators::Out;
use crate::plan::planner::{Step, StepKind};
use crate::table::merge::Merging;
use crate::table::pool::Reservation;
use crate::table::{Chunk, StreamProps, size};

/// More chunks than this that are given at once are counted until they are worked off.
const FEW_CHUNKS: usize = 4;

/// What has reached a result.
pub enum Given {
    /// Rows of result `.0`.
    Chunk(usize, Chunk),
    /// Result `.0` is complete.
    End(usize),
}

/// The operators of a plan, running.
pub struct Network {
    steps: Vec<Running>,
    /// A stack, newest on top: what a chunk causes downstream is done before the chunk behind it.
    waiting: Vec<Waiting>,
    memory: Memory,
    /// Of chunks that wait, where they are many.
    waiting_bytes: Reservation,
    /// Rows and ends that have reached results, in order; the driver takes them.
    pub given: Vec<Given>,
    /// The points of every `to()`.
    pub staging: Staging,
    /// What operators have passed over and somebody should know, each once.
    pub warnings: Vec<String>,
    /// What each step has cost, if that is measured.
    pub figures: Option<Vec<Figures>>,
}

struct Running {
    work: Work,
    consumers: Vec<(usize, usize)>,
    open_ports: usize,
    /// Whether it stages points.
    stages: bool,
    span: crate::diagnostic::Span,
    name: &'static str,
    /// Of tables that it gives.
    merging: Reservation,
}

enum Work {
    Pass,
    Operator(AtWork),
    Result(usize),
}

impl Network {
    /// Makes every operator anew. Sources become empty steps that pass on what the driver pushes.
    pub fn new(steps: &[Step], context: &Context, measure: bool) -> Result<Network> {
        let memory = context.memory.clone();
        let mut staging = Staging::new(context.limits.staged_points, memory.clone());
        let mut running = Vec::with_capacity(steps.len());
        for step in steps {
            let props: Vec<StreamProps> = step.inputs.iter().map(|input| steps[*input].props).collect();
            let name = name(&step.kind);
            let at_work = |operator| AtWork::new(operator, name, step.span, &memory);
            let work = match &step.kind {
                StepKind::Scan { .. } | StepKind::Rows(_) => Work::Pass,
                StepKind::Transform(transform) => {
                    Work::Operator(at_work(transform.operator(&props).map_err(|error| error.at(step.span))?))
                }
                StepKind::To { spec, stage } => {
                    let operator = staging.operator(spec, step.span, *stage).map_err(|error| error.at(step.span))?;
                    Work::Operator(at_work(Box::new(operator)))
                }
                StepKind::Result(result) => Work::Result(*result),
            };
            running.push(Running {
                work,
                name,
                merging: memory.reservation(),
                consumers: step.consumers.clone(),
                open_ports: step.inputs.len(),
                stages: matches!(step.kind, StepKind::To { stage: true, .. }),
                span: step.span,
            });
        }
        let figures = measure.then(|| vec![Figures::default(); steps.len()]);
        Ok(Network {
            steps: running,
            waiting: Vec::new(),
            waiting_bytes: memory.reservation(),
            memory,
            given: Vec::new(),
            staging,
            warnings: Vec::new(),
            figures,
        })
    }

    /// What is staged, and what each `to()` that has staged it has reserved. The other operators are gone.
    pub fn into_staging(self) -> (Staging, Vec<Reservation>) {
        let held = |step: Running| match step.work {
            Work::Operator(operator) if step.stages => Some(operator.into_held()),
            _ => None,
        };
        (self.staging, self.steps.into_iter().filter_map(held).collect())
    }

    /// A source gives a chunk, to be worked off by [`Network::step`].
    pub fn push(&mut self, source: usize, chunk: Chunk) {
        self.waiting.push(Waiting::Chunk(source, 0, chunk, 0));
    }

    /// Copies of a step and of those before it have given a chunk: it goes to whoever takes the rows of the step, when
    /// [`Network::step`] is called.
    pub fn pass_on(&mut self, step: usize, chunk: Chunk) -> Result<()> {
        self.pass(step, Out { chunks: vec![chunk], ..Out::default() })
    }

    /// Takes over what a copy of an operator has kept.
    pub fn absorb(&mut self, number: usize, copy: AtWork) -> Result<()> {
        match &mut self.steps[number].work {
            Work::Operator(operator) => operator.absorb(copy)?,
            Work::Pass | Work::Result(_) => return Err(Error::internal("a copy of a step that is no operator")),
        }
        self.settle(number)
    }

    /// Keeps a warning, unless it has been given before.
    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// A source has ended; what that causes is worked off by [`Network::step`].
    pub fn finish(&mut self, source: usize) {
        self.pass_end(source);
    }

    /// Does one piece of work: some step takes a chunk, or the end of an input, or goes on. Gives false if there is none.
    pub fn step(&mut self) -> Result<bool> {
        match self.waiting.pop() {
            None => return Ok(false),
            Some(Waiting::Chunk(step, port, chunk, bytes)) => {
                if bytes > 0 {
                    // A reservation always shrinks.
                    let _ = self.waiting_bytes.set(self.waiting_bytes.bytes() - bytes);
                }
                self.chunk(step, port, chunk)?;
            }
            Some(Waiting::End(step, port)) => self.end(step, port)?,
            Some(Waiting::More(step)) => self.more(step)?,
            Some(Waiting::Merging(step, merging)) => self.merge(step, merging)?,
        }
        Ok(true)
    }

    fn chunk(&mut self, number: usize, port: usize, chunk: Chunk) -> Result<()> {
        let began = self.figures.as_mut().map(|figures| {
            if !matches!(self.steps[number].work, Work::Pass) {
                figures[number].take(&chunk);
            }
            Instant::now()
        });
        let room = self.memory.room();
        let step = &mut self.steps[number];
        let mut out = Out { room, ..Out::default() };
        match &mut step.work {
            Work::Pass => out.push(chunk),
            Work::Result(result) => {
                self.given.push(Given::Chunk(*result, chunk.clone()));
                out.push(chunk);
            }
            Work::Operator(operator) => {
                operator.push(port, chunk, &mut out)?;
            }
        }
        self.done(number, out, began)
    }

    /// A step goes on with what it could not give at once.
    fn more(&mut self, number: usize) -> Result<()> {
        let began = self.figures.is_some().then(Instant::now);
        let step = &mut self.steps[number];
        let mut out = Out::default();
        if let Work::Operator(operator) = &mut step.work {
            operator.resume(&mut out)?;
        }
        self.done(number, out, began)
    }

    /// The next chunk of the tables that a step gives.
    fn merge(&mut self, number: usize, mut merging: Box<Merging>) -> Result<()> {
        let began = self.figures.is_some().then(Instant::now);
        let mut out = Out::default();
        match merging.next_chunk().map_err(|error| error.at(self.steps[number].span))? {
            Some(chunk) => {
                out.push(chunk);
                out.merging = Some(merging);
            }
            // A reservation always shrinks.
            None => _ = self.steps[number].merging.set(0),
        }
        self.done(number, out, began)
    }

    /// A step has worked: its cost is taken down, what it holds is counted, what it has given goes on.
    fn done(&mut self, number: usize, out: Out, began: Option<Instant>) -> Result<()> {
        self.measure(number, &out, began);
        self.settle(number)?;
        self.pass(number, out)
    }

    fn measure(&mut self, number: usize, out: &Out, began: Option<Instant>) {
        if let Some(figures) = &mut self.figures {
            figures[number].give(&out.chunks, began);
        }
    }

    fn end(&mut self, number: usize, port: usize) -> Result<()> {
        let began = self.figures.is_some().then(Instant::now);
        let room = self.memory.room();
        let step = &mut self.steps[number];
        let mut out = Out { room, ..Out::default() };
        step.open_ports = step
            .open_ports
            .checked_sub(1)
            .ok_or_else(|| Error::internal("an input of a step ended twice").at(step.span))?;
        if let Work::Operator(operator) = &mut step.work {
            operator.finish(port, &mut out)?;
        }
        if step.open_ports == 0 {
            if let Work::Result(result) = step.work {
                self.given.push(Given::End(result));
            }
            self.pass_end(number);
        }
        self.done(number, out, began)
    }

    /// Puts what a step has given before its consumers, so that the stack hands it out in order.
    fn pass(&mut self, number: usize, out: Out) -> Result<()> {
        out.warnings.into_iter().for_each(|warning| self.warn(warning));
        if out.more {
            self.waiting.push(Waiting::More(number));
        }
        if let Some(merging) = out.merging {
            self.hold_merging(number, merging.memory())?;
            self.waiting.push(Waiting::Merging(number, merging));
        }
        let many = out.chunks.len() > FEW_CHUNKS && !self.steps[number].consumers.is_empty();
        let mut given = 0;
        for chunk in out.chunks.into_iter().rev() {
            // Of several consumers the one that takes it last gives it back.
            let mut bytes = if many { size::of_rows(&chunk) } else { 0 };
            given += bytes;
            for (consumer, port) in self.steps[number].consumers.iter().rev() {
                self.waiting.push(Waiting::Chunk(*consumer, *port, chunk.clone(), std::mem::take(&mut bytes)));
            }
        }
        if given == 0 {
            return Ok(());
        }
        let bytes = self.waiting_bytes.bytes() + given;
        if self.waiting_bytes.set(bytes).is_err() {
            self.relieve()?;
            let step = &self.steps[number];
            let refused = |full| refusal(&format!("{} wants", step.name), bytes, full).at(step.span);
            self.waiting_bytes.set(bytes).map_err(refused)?;
        }
        Ok(())
    }

    /// Counts tables that a step gives.
    fn hold_merging(&mut self, number: usize, bytes: usize) -> Result<()> {
        if self.steps[number].merging.set(bytes).is_ok() {
            return Ok(());
        }
        self.relieve()?;
        let step = &mut self.steps[number];
        step.merging.set(bytes).map_err(|full| refusal(&format!("{} wants", step.name), bytes, full).at(step.span))
    }

    fn pass_end(&mut self, number: usize) {
        for (consumer, port) in self.steps[number].consumers.iter().rev() {
            self.waiting.push(Waiting::End(*consumer, *port));
        }
    }

    /// Counts what a step holds now. If that is too much, steps that can go to disk do.
    fn settle(&mut self, number: usize) -> Result<()> {
        let Work::Operator(operator) = &mut self.steps[number].work else { return Ok(()) };
        if operator.settle(&self.memory)? {
            return Ok(());
        }
        self.relieve()?;
        let Work::Operator(operator) = &mut self.steps[number].work else { return Ok(()) };
        operator.insist()
    }

    /// Everything that can go to disk does.
    fn relieve(&mut self) -> Result<()> {
        for step in &mut self.steps {
            if let Work::Operator(operator) = &mut step.work {
                operator.relieve(&self.memory)?;
            }
        }
        Ok(())
    }
}

enum Waiting {
    /// For a step, at a port; with what is given back when it is taken.
    Chunk(usize, usize, Chunk, usize),
    /// The end of an input.
    End(usize, usize),
    /// A step that has more to give.
    More(usize),
    /// Tables that a step gives.
    Merging(usize, Box<Merging>),
}

/// What a step is called in messages.
fn name(kind: &StepKind) -> &'static str {
    match kind {
        StepKind::Transform(transform) => transform.name(),
        StepKind::To { .. } => "to",
        StepKind::Scan { .. } | StepKind::Rows(_) | StepKind::Result(_) => "",
    }
}
