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
}

/// What an operator has said that there is more of, all at once.
fn rest(operator: &mut Box<dyn Operator>, out: &mut Out) -> Result<()> {
    while std::mem::take(&mut out.more) {
        operator.resume(out)?;
    }
    Ok(())
}

impl Operator for Chain {
    fn push(&mut self, port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let mut chunks = vec![chunk];
        for operator in &mut self.0 {
            let mut own = Out::default();
            for chunk in chunks {
                operator.push(port, chunk, &mut own)?;
                rest(operator, &mut own)?;
            }
            out.warnings.append(&mut own.warnings);
            chunks = own.chunks;
        }
        out.chunks.append(&mut chunks);
        Ok(())
    }

    fn finish(&mut self, port: usize, out: &mut Out) -> Result<()> {
        let mut chunks = Vec::new();
        for operator in &mut self.0 {
            let mut own = Out::default();
            for chunk in chunks {
                operator.push(port, chunk, &mut own)?;
                rest(operator, &mut own)?;
            }
            operator.finish(port, &mut own)?;
            rest(operator, &mut own)?;
            out.warnings.append(&mut own.warnings);
            chunks = own.chunks;
        }
        out.chunks.append(&mut chunks);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.0.iter().map(|operator| operator.memory()).sum()
    }
}
