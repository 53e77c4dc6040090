//! The running operators of a plan: a chunk that a source gives goes through all of them before the next one is read.
//!
//! Made by `super::run` from a plan's steps. Synchronous; rows that reach a result are left in [`Network::given`] for
//! the driver to hand over.

use std::time::Instant;

use super::Limits;
use super::figures::Figures;
use super::to::Staging;
use crate::error::{Error, Result};
use crate::operators::{Operator, Out};
use crate::plan::planner::{Step, StepKind};
use crate::table::{Chunk, StreamProps};

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
    span: crate::diagnostic::Span,
}

enum Work {
    Pass,
    Operator(Box<dyn Operator>),
    Result(usize),
}

impl Network {
    /// Makes every operator anew. Sources become empty steps that pass on what the driver pushes.
    pub fn new(steps: &[Step], limits: &Limits, measure: bool) -> Result<Network> {
        let mut staging = Staging::new(limits.staged_points);
        let mut running = Vec::with_capacity(steps.len());
        for step in steps {
            let props: Vec<StreamProps> = step.inputs.iter().map(|input| steps[*input].props).collect();
            let work = match &step.kind {
                StepKind::Scan { .. } | StepKind::Rows(_) => Work::Pass,
                StepKind::Transform(transform) => {
                    Work::Operator(transform.operator(&props).map_err(|error| error.at(step.span))?)
                }
                StepKind::To { spec, stage } => {
                    let operator = staging.operator(spec, *stage).map_err(|error| error.at(step.span))?;
                    Work::Operator(Box::new(operator))
                }
                StepKind::Result(result) => Work::Result(*result),
            };
            running.push(Running {
                work,
                consumers: step.consumers.clone(),
                open_ports: step.inputs.len(),
                span: step.span,
            });
        }
        let figures = measure.then(|| vec![Figures::default(); steps.len()]);
        Ok(Network { steps: running, given: Vec::new(), staging, warnings: Vec::new(), figures })
    }

    /// A source gives a chunk.
    pub fn push(&mut self, source: usize, chunk: Chunk) -> Result<()> {
        let mut waiting = vec![Waiting::Chunk(source, 0, chunk)];
        self.work(&mut waiting)
    }

    /// Copies of a step and of those before it have given a chunk: it goes to whoever takes the rows of the step.
    pub fn pass_on(&mut self, step: usize, chunk: Chunk) -> Result<()> {
        let mut waiting = Vec::new();
        self.pass(step, Out { chunks: vec![chunk], warnings: Vec::new() }, &mut waiting);
        self.work(&mut waiting)
    }

    /// Takes over what a copy of an operator has kept.
    pub fn absorb(&mut self, number: usize, copy: Box<dyn Operator>) -> Result<()> {
        let step = &mut self.steps[number];
        match &mut step.work {
            Work::Operator(operator) => operator.absorb(copy).map_err(|error| error.at(step.span)),
            Work::Pass | Work::Result(_) => Err(Error::internal("a copy of a step that is no operator")),
        }
    }

    /// Keeps a warning, unless it has been given before.
    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// A source has ended.
    pub fn finish(&mut self, source: usize) -> Result<()> {
        let mut waiting = Vec::new();
        self.pass_end(source, &mut waiting);
        self.work(&mut waiting)
    }

    /// Works off a stack, newest first: what a chunk causes downstream is done before the chunk behind it.
    fn work(&mut self, waiting: &mut Vec<Waiting>) -> Result<()> {
        while let Some(next) = waiting.pop() {
            match next {
                Waiting::Chunk(step, port, chunk) => self.chunk(step, port, chunk, waiting)?,
                Waiting::End(step, port) => self.end(step, port, waiting)?,
            }
        }
        Ok(())
    }

    fn chunk(&mut self, number: usize, port: usize, chunk: Chunk, waiting: &mut Vec<Waiting>) -> Result<()> {
        let began = self.figures.as_mut().map(|figures| {
            if !matches!(self.steps[number].work, Work::Pass) {
                figures[number].take(&chunk);
            }
            Instant::now()
        });
        let step = &mut self.steps[number];
        let mut out = Out::default();
        match &mut step.work {
            Work::Pass => out.push(chunk),
            Work::Result(result) => {
                self.given.push(Given::Chunk(*result, chunk.clone()));
                out.push(chunk);
            }
            Work::Operator(operator) => {
                operator.push(port, chunk, &mut out).map_err(|error| error.at(step.span))?;
            }
        }
        self.measure(number, &out, began);
        self.pass(number, out, waiting);
        Ok(())
    }

    fn measure(&mut self, number: usize, out: &Out, began: Option<Instant>) {
        if let Some(figures) = &mut self.figures {
            figures[number].give(&out.chunks, began);
        }
    }

    fn end(&mut self, number: usize, port: usize, waiting: &mut Vec<Waiting>) -> Result<()> {
        let began = self.figures.is_some().then(Instant::now);
        let step = &mut self.steps[number];
        let mut out = Out::default();
        step.open_ports = step
            .open_ports
            .checked_sub(1)
            .ok_or_else(|| Error::internal("an input of a step ended twice").at(step.span))?;
        if let Work::Operator(operator) = &mut step.work {
            operator.finish(port, &mut out).map_err(|error| error.at(step.span))?;
        }
        if step.open_ports == 0 {
            if let Work::Result(result) = step.work {
                self.given.push(Given::End(result));
            }
            self.pass_end(number, waiting);
        }
        self.measure(number, &out, began);
        self.pass(number, out, waiting);
        Ok(())
    }

    /// Puts what a step has given before its consumers, so that the stack hands it out in order.
    fn pass(&mut self, number: usize, out: Out, waiting: &mut Vec<Waiting>) {
        out.warnings.into_iter().for_each(|warning| self.warn(warning));
        for chunk in out.chunks.into_iter().rev() {
            for (consumer, port) in self.steps[number].consumers.iter().rev() {
                waiting.push(Waiting::Chunk(*consumer, *port, chunk.clone()));
            }
        }
    }

    fn pass_end(&self, number: usize, waiting: &mut Vec<Waiting>) {
        for (consumer, port) in self.steps[number].consumers.iter().rev() {
            waiting.push(Waiting::End(*consumer, *port));
        }
    }
}

enum Waiting {
    Chunk(usize, usize, Chunk),
    End(usize, usize),
}
