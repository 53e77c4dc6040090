//! Takes a stream and gives nothing: `debug.sink`.

use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::Chunk;
use crate::table::scan::StreamProps;

/// Gives no table.
#[derive(Clone, Copy, Debug)]
pub struct Discard;

impl Transform for Discard {
    fn name(&self) -> &'static str {
        "sink"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Discard))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }
}

impl Operator for Discard {
    fn push(&mut self, _port: usize, _chunk: Chunk, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}
