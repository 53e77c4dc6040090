//! Operators that change rows and keep keys, and whose tables come out in the order of their keys.
//!
//! Used by `elapsed`, `integral`, `hourSelection` and `alignTime`. Where the tables of the input come in that order
//! already, and no two have one key, nothing is held.

use super::by_shape::ByShape;
use super::in_order::in_order;
use super::{Operator, Out};
use crate::error::Result;
use crate::table::Chunk;
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};

/// What such an operator does.
pub(super) trait ChangesRows: Send + 'static {
    /// What becomes of a chunk; its tables keep their ids and keys. Parts of tables may come in any order.
    fn apply(&mut self, chunk: Chunk) -> Result<Option<Chunk>>;

    /// As [`Operator::memory`].
    fn memory(&self) -> usize {
        0
    }
}

/// Whether the input's tables come in the order of their keys, each of its own.
fn is_sorted(input: &StreamProps) -> bool {
    input.tables == TableOrder::KeySorted && input.unique_keys
}

/// Whether copies may work on parts of the input: so it is where nothing is held.
pub(super) fn works_by_table(input: &StreamProps) -> bool {
    is_sorted(input)
}

/// What is known of the output.
pub(super) fn gives(input: &StreamProps) -> StreamProps {
    let parts = if is_sorted(input) { input.parts } else { Parts::Clustered };
    StreamProps { parts, tables: TableOrder::KeySorted, unique_keys: true, ..*input }
}

/// Runs it; `name` is for the error about two tables of one key.
pub(super) fn run(input: &StreamProps, name: &'static str, changes: impl ChangesRows) -> Box<dyn Operator> {
    if is_sorted(input) {
        return Box::new(Streaming(changes));
    }
    let merger = Merger::new(TableOrder::KeySorted, Duplicates::Refuse(name));
    in_order(input, Sorting { changes, merger: Some(merger), mappings: ByShape::default() })
}

struct Streaming<C>(C);

impl<C: ChangesRows> Operator for Streaming<C> {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        out.chunks.extend(self.0.apply(chunk)?);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.0.memory()
    }
}

struct Sorting<C> {
    changes: C,
    /// Until the input has ended.
    merger: Option<Merger>,
    mappings: ByShape<MappingId>,
}

impl<C: ChangesRows> Operator for Sorting<C> {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        let (Some(chunk), Some(merger)) = (self.changes.apply(chunk)?, &mut self.merger) else { return Ok(()) };
        let mapping = *self.mappings.get(&chunk.shape, |shape| Ok(merger.mapping(Target::of_shape(shape))))?;
        merger.push(mapping, chunk)
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        if let Some(merger) = self.merger.take() {
            out.merge(merger.finish(0)?);
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        self.changes.memory() + self.merger.as_ref().map_or(0, Merger::memory)
    }
}
