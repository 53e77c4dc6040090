//! Operators of one input behind one another, run as one.
//!
//! Used where a function is defined by others and runs that way unless there is a shorter one (`aggregateWindow`).

use std::sync::Arc;

use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::Chunk;
use crate::table::scan::StreamProps;

/// Running operators, each fed by the one before it.
pub(super) struct Chain(Vec<Box<dyn Operator>>);

impl Chain {
    /// The operators of some transforms, the first of which takes `input`.
    pub(super) fn new(transforms: &[Arc<dyn Transform>], input: &StreamProps) -> Result<Chain> {
        let mut props = *input;
        let mut operators = Vec::with_capacity(transforms.len());
        for transform in transforms {
            operators.push(transform.operator(&[props])?);
            props = transform.gives(&[props]);
        }
        Ok(Chain(operators))
    }

    /// What the operators from one on make of a chunk.
    fn pass(&mut self, at: usize, port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let Some(operator) = self.0.get_mut(at) else {
            out.push(chunk);
            return Ok(());
        };
        let mut own = Out { room: out.room, ..Out::default() };
        operator.push(port, chunk, &mut own)?;
        self.pass_on(at, port, own, out)
    }

    /// Hands what an operator has given to those behind it, chunk by chunk, so that little of it is there at once.
    fn pass_on(&mut self, at: usize, port: usize, mut own: Out, out: &mut Out) -> Result<()> {
        loop {
            out.warnings.append(&mut own.warnings);
            for chunk in own.chunks.drain(..) {
                self.pass(at + 1, port, chunk, out)?;
            }
            match own.merging.take() {
                Some(merging) if at + 1 == self.0.len() && !own.more => out.merging = Some(merging),
                Some(mut merging) => {
                    while let Some(chunk) = merging.next_chunk()? {
                        self.pass(at + 1, port, chunk, out)?;
                    }
                }
                None => {}
            }
            if !std::mem::take(&mut own.more) {
                return Ok(());
            }
            self.0[at].resume(&mut own)?;
        }
    }
}

impl Operator for Chain {
    fn push(&mut self, port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        self.pass(0, port, chunk, out)
    }

    fn finish(&mut self, port: usize, out: &mut Out) -> Result<()> {
        for at in 0..self.0.len() {
            let mut own = Out { room: out.room, ..Out::default() };
            self.0[at].finish(port, &mut own)?;
            self.pass_on(at, port, own, out)?;
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.0.iter().map(|operator| operator.memory()).sum()
    }
}
