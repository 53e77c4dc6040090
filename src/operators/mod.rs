//! Table operators on chunks: what each function that takes and gives streams does to the rows.
//!
//! Made by builtins (as [`Transform`] descriptions), run by `exec`. Synchronous and pure: an operator sees chunks and
//! gives chunks; it opens no file, reads no clock and knows no bucket.

use std::fmt;

use crate::error::Result;
use crate::table::scan::PushOp;
use crate::table::{Chunk, StreamProps};

/// Where an operator puts its chunks.
#[derive(Debug, Default)]
pub struct Out {
    /// What it has given so far, in order.
    pub chunks: Vec<Chunk>,
}

impl Out {
    /// Gives a chunk.
    pub fn push(&mut self, chunk: Chunk) {
        self.chunks.push(chunk);
    }
}

/// A running operator: state per table, fed chunk by chunk.
pub trait Operator: Send {
    /// Takes a chunk that arrives at input `port` (0 for operators of one input).
    fn push(&mut self, port: usize, chunk: Chunk, out: &mut Out) -> Result<()>;

    /// Input `port` has ended.
    fn finish(&mut self, port: usize, out: &mut Out) -> Result<()>;
}

/// The description of an operator with its arguments: what a plan holds, what `explain` prints, what makes the operator.
pub trait Transform: fmt::Debug + Send + Sync {
    /// The function's name, as users write it.
    fn name(&self) -> &'static str;

    /// A fresh operator for one run. `input` has one entry per input, in the order of the ports.
    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>>;

    /// What is known of the output, given what is known of the inputs.
    fn gives(&self, input: &[StreamProps]) -> StreamProps;

    /// The same thing in the store's words, if a store could take it over.
    fn push_op(&self) -> Option<PushOp> {
        None
    }

    /// The arguments, for `explain`: `fn: (r) => ...`, `n: 10`.
    fn explain(&self) -> String {
        String::new()
    }
}
