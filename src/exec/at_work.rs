//! An operator at work in a run: its errors are told where it stands in the script, and what it holds is counted.
//!
//! Held by the network, one for a step, and by the copies that work on parts of a scan. It does not say where chunks go.

use super::memory::{Memory, refusal};
use crate::diagnostic::Span;
use crate::error::Result;
use crate::operators::{Operator, Out};
use crate::table::pool::{Full, Reservation};
use crate::table::{Chunk, Shape};

/// An operator, and what its state takes of the run's memory.
pub struct AtWork {
    operator: Box<dyn Operator>,
    /// Of its function, for messages.
    name: &'static str,
    span: Span,
    held: Reservation,
}

impl AtWork {
    /// An operator that holds nothing yet.
    pub fn new(operator: Box<dyn Operator>, name: &'static str, span: Span, memory: &Memory) -> AtWork {
        AtWork { operator, name, span, held: memory.reservation() }
    }

    /// As [`Operator::push`].
    pub fn push(&mut self, port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        self.operator.push(port, chunk, out).map_err(|error| error.at(self.span))
    }

    /// As [`Operator::finish`].
    pub fn finish(&mut self, port: usize, out: &mut Out) -> Result<()> {
        self.operator.finish(port, out).map_err(|error| error.at(self.span))
    }

    /// As [`Operator::resume`].
    pub fn resume(&mut self, out: &mut Out) -> Result<()> {
        self.operator.resume(out).map_err(|error| error.at(self.span))
    }

    /// As [`Operator::works_by_table`].
    pub fn works_by_table(&mut self, shape: &std::sync::Arc<Shape>) -> Result<bool> {
        self.operator.works_by_table(shape).map_err(|error| error.at(self.span))
    }

    /// As [`Operator::absorb`]; what the copy holds counts here when this is settled next.
    pub fn absorb(&mut self, copy: AtWork) -> Result<()> {
        self.operator.absorb(copy.operator).map_err(|error| error.at(self.span))
    }

    /// Counts what it holds now. It goes to disk, if it can, beyond its share of the memory. Gives false if there is not as
    /// much left: then others may make room.
    pub fn settle(&mut self, memory: &Memory) -> Result<bool> {
        let bytes = self.operator.memory();
        if bytes > memory.share() {
            self.go_to_disk(memory)?;
        }
        Ok(self.count().is_ok())
    }

    /// Counts what it holds now.
    ///
    /// # Errors
    /// ResourceExhausted if there is not as much left.
    pub fn insist(&mut self) -> Result<()> {
        self.count()
            .map_err(|full| refusal(&format!("{} wants", self.name), self.operator.memory(), full).at(self.span))
    }

    /// Goes to disk if it can.
    pub fn relieve(&mut self, memory: &Memory) -> Result<()> {
        if self.go_to_disk(memory)? {
            // Where it has grown all the same, its own next step tells.
            let _ = self.count();
        }
        Ok(())
    }

    /// What it has reserved; it is gone itself.
    pub fn into_held(self) -> Reservation {
        self.held
    }

    fn go_to_disk(&mut self, memory: &Memory) -> Result<bool> {
        self.operator.relieve(memory.space()).map_err(|error| error.at(self.span))
    }

    fn count(&mut self) -> std::result::Result<(), Full> {
        self.held.set(self.operator.memory())
    }
}
