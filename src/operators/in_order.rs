//! Puts a scattered stream in order before an operator that needs its input so.
//!
//! Used by operators that merge tables: the rows of a merged table follow the order of the tables they came from. It
//! holds the stream; a clustered one passes without it.

use super::{Operator, Out};
use crate::error::Result;
use crate::table::Chunk;
use crate::table::cluster::Cluster;
use crate::table::scan::{Parts, StreamProps};

/// The operator itself, or behind a gathering of its input where that comes scattered.
pub(super) fn in_order(input: &StreamProps, operator: impl Operator) -> Box<dyn Operator> {
    match input.parts {
        Parts::Clustered => Box::new(operator),
        Parts::Scattered => Box::new(InOrder { cluster: Cluster::default(), operator }),
    }
}

struct InOrder<O> {
    cluster: Cluster,
    operator: O,
}

impl<O: Operator> Operator for InOrder<O> {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        self.cluster.push(chunk);
        Ok(())
    }

    fn finish(&mut self, port: usize, out: &mut Out) -> Result<()> {
        for chunk in std::mem::take(&mut self.cluster).finish()? {
            self.operator.push(port, chunk, out)?;
        }
        self.operator.finish(port, out)
    }

    fn memory(&self) -> usize {
        self.cluster.memory() + self.operator.memory()
    }
}
