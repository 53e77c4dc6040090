//! Copies of the operators behind a scan, which work on the tables of one of its parts.
//!
//! Made by `super::parallel` for each part. A copy does with the part's chunks what the network would do with them, and
//! tells what comes of it in the same order; the driver hands that to the rest of the network. So it does not show in an
//! answer, an error or a warning how many copies there were.

use std::sync::Arc;
use std::time::Instant;

use super::Memory;
use super::at_work::AtWork;
use super::figures::Figures;
use crate::diagnostic::Span;
use crate::error::{Error, Result};
use crate::operators::{Out, Transform};
use crate::plan::planner::{Step, StepKind};
use crate::table::scan::Parts;
use crate::table::{Chunk, StreamProps};

/// Most operators of which there are copies: a copy of one calls that of the next.
const MOST_OPERATORS: usize = 64;

/// The operators that can be copied: the first ones behind a scan, each the only one that takes the rows of the one before.
pub struct Prefix {
    scan: usize,
    scan_span: Span,
    operators: Vec<Copied>,
}

struct Copied {
    step: usize,
    span: Span,
    transform: Arc<dyn Transform>,
    input: StreamProps,
}

impl Prefix {
    /// The operators behind a scan of a plan.
    pub fn behind(scan: usize, steps: &[Step]) -> Prefix {
        let mut operators = Vec::new();
        let mut at = scan;
        while let [(next, _)] = steps[at].consumers.as_slice()
            && operators.len() < MOST_OPERATORS
        {
            let (step, input) = (&steps[*next], steps[at].props);
            let StepKind::Transform(transform) = &step.kind else { break };
            let alone = step.inputs.len() == 1 && input.parts == Parts::Clustered;
            if !alone || !transform.works_by_table(&input) {
                break;
            }
            operators.push(Copied { step: *next, span: step.span, transform: Arc::clone(transform), input });
            at = *next;
        }
        Prefix { scan, scan_span: steps[scan].span, operators }
    }

    /// How many operators there are.
    pub fn len(&self) -> usize {
        self.operators.len()
    }

    /// The step that gives the rows which are told as having passed so many operators.
    pub fn step(&self, passed: usize) -> usize {
        match passed.checked_sub(1).and_then(|last| self.operators.get(last)) {
            Some(operator) => operator.step,
            None => self.scan,
        }
    }
}

/// What comes of a part, in order.
pub enum Told {
    /// So many rows have been read.
    Read(u64),
    /// What an operator has passed over.
    Warning(String),
    /// Rows that have passed the first so many operators.
    Chunk(usize, Chunk),
    /// From now on the copy has this many operators only: one has found tables that have to come together with others. What
    /// the copies of it and of those behind it have kept.
    Cut(usize, Vec<(usize, AtWork)>),
    /// The part has ended. What its copies have kept, with their steps, and what each step has cost.
    End(Vec<(usize, AtWork)>, Vec<(usize, Figures)>),
    /// It cannot be gone on with.
    Failed(Error),
}

/// The operators at work on a part.
pub struct Copies {
    scan_span: Span,
    /// The steps that are left, and their operators.
    steps: Vec<(usize, AtWork)>,
    memory: Memory,
    /// Of the scan, then of each operator that the copy began with.
    figures: Vec<(usize, Figures)>,
    measure: bool,
}

impl Copies {
    /// Copies of the first `count` operators, which draw on this memory.
    ///
    /// # Errors
    /// What an operator says to its arguments or to what is known of its input.
    pub fn new(prefix: &Prefix, count: usize, memory: Memory, measure: bool) -> Result<Copies> {
        let mut steps = Vec::with_capacity(count);
        for copied in prefix.operators.iter().take(count) {
            let operator = copied.transform.operator(&[copied.input]).map_err(|error| error.at(copied.span))?;
            steps.push((copied.step, AtWork::new(operator, copied.transform.name(), copied.span, &memory)));
        }
        let of_steps = steps.iter().map(|(step, _)| *step);
        let figures = std::iter::once(prefix.scan).chain(of_steps).map(|step| (step, Figures::default())).collect();
        Ok(Copies { scan_span: prefix.scan_span, steps, memory, figures, measure })
    }

    /// What has come from the part, and when it was asked for.
    pub fn take(&mut self, next: Result<Option<Chunk>>, began: Instant, told: &mut Vec<Told>) {
        if self.measure {
            self.figures[0].1.wait(began.elapsed());
        }
        match next {
            Err(error) => told.push(Told::Failed(error.at(self.scan_span))),
            Ok(None) => {
                let kept = self.steps.drain(..).collect();
                let figures = if self.measure { std::mem::take(&mut self.figures) } else { Vec::new() };
                told.push(Told::End(kept, figures));
            }
            Ok(Some(chunk)) => {
                told.push(Told::Read(chunk.len as u64));
                if self.measure {
                    self.figures[0].1.give(std::slice::from_ref(&chunk), None);
                }
                if let Err(error) = self.push(0, chunk, told) {
                    told.push(Told::Failed(error));
                }
            }
        }
    }

    /// A chunk that has passed so many operators: what it causes is done before anything behind it, as in the network.
    fn push(&mut self, passed: usize, chunk: Chunk, told: &mut Vec<Told>) -> Result<()> {
        let Some((_, operator)) = self.steps.get_mut(passed) else {
            told.push(Told::Chunk(passed, chunk));
            return Ok(());
        };
        if !operator.works_by_table(&chunk.shape)? {
            let kept = self.steps.drain(passed..).collect();
            told.push(Told::Cut(passed, kept));
            told.push(Told::Chunk(passed, chunk));
            return Ok(());
        }
        if self.measure {
            self.figures[passed + 1].1.take(&chunk);
        }
        let mut began = self.measure.then(Instant::now);
        let mut out = Out { room: self.memory.room(), ..Out::default() };
        operator.push(0, chunk, &mut out)?;
        loop {
            if began.is_some() {
                self.figures[passed + 1].1.give(&out.chunks, began);
            }
            self.settle(passed)?;
            told.extend(std::mem::take(&mut out.warnings).into_iter().map(Told::Warning));
            for chunk in out.take_chunks()? {
                self.push(passed + 1, chunk, told)?;
            }
            if !out.more {
                return Ok(());
            }
            let Some((_, operator)) = self.steps.get_mut(passed) else { return Ok(()) };
            began = self.measure.then(Instant::now);
            out = Out::default();
            operator.resume(&mut out)?;
        }
    }

    /// Counts what a copy holds now. If that is too much, those of this part that can go to disk do.
    fn settle(&mut self, passed: usize) -> Result<()> {
        if self.steps[passed].1.settle(&self.memory)? {
            return Ok(());
        }
        for (_, operator) in &mut self.steps {
            operator.relieve(&self.memory)?;
        }
        self.steps[passed].1.insist()
    }
}
