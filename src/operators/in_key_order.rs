//! Puts the tables that an operator gives in the order of their keys, and refuses two of one key.
//!
//! Used by operators that give a table for each table, and whose tables the reference orders so. Where keys stay as they
//! are and the input is known to come in that order nothing is held.

use std::sync::Arc;

use super::by_shape::ByShape;
use super::{Operator, Out, copy_of};
use crate::error::Result;
use crate::table::cluster::Cluster;
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::size::Tally;
use crate::table::{Chunk, Shape};

/// What is known of the output.
pub(super) fn gives(input: &StreamProps) -> StreamProps {
    StreamProps {
        parts: Parts::Clustered,
        tables: TableOrder::KeySorted,
        rows_by_time: false,
        unique_keys: true,
        ..*input
    }
}

/// The operator itself, or with what puts its output in order; `name` is that of the function. For operators that leave
/// keys as they are.
pub(super) fn in_key_order(name: &'static str, input: &StreamProps, operator: impl Operator) -> Box<dyn Operator> {
    if input.parts == Parts::Clustered && input.tables == TableOrder::KeySorted && input.unique_keys {
        return Box::new(operator);
    }
    by_new_keys(Duplicates::Refuse(name), input, operator)
}

/// The operator with what puts its output in order: for operators that change keys.
pub(super) fn by_new_keys(duplicates: Duplicates, input: &StreamProps, operator: impl Operator) -> Box<dyn Operator> {
    Box::new(InKeyOrder {
        duplicates,
        operator,
        scattered: input.parts == Parts::Scattered,
        held: Vec::new(),
        size: Tally::default(),
    })
}

struct InKeyOrder<O> {
    duplicates: Duplicates,
    operator: O,
    scattered: bool,
    held: Vec<Chunk>,
    size: Tally,
}

impl<O: Operator> InKeyOrder<O> {
    /// Takes what the operator has given.
    fn take(&mut self, mut given: Out, out: &mut Out) -> Result<()> {
        self.hold(given.take_chunks()?);
        out.warnings.extend(given.warnings);
        Ok(())
    }

    fn hold(&mut self, chunks: Vec<Chunk>) {
        for chunk in &chunks {
            self.size.add(chunk);
        }
        self.held.extend(chunks);
    }
}

impl<O: Operator> Operator for InKeyOrder<O> {
    fn works_by_table(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        self.operator.works_by_table(shape)
    }

    fn absorb(&mut self, copy: Box<dyn Operator>) -> Result<()> {
        let copy = copy_of::<Self>(copy)?;
        self.hold(copy.held);
        self.operator.absorb(Box::new(copy.operator))
    }

    fn push(&mut self, port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let mut given = Out::default();
        self.operator.push(port, chunk, &mut given)?;
        self.take(given, out)
    }

    fn finish(&mut self, port: usize, out: &mut Out) -> Result<()> {
        let mut given = Out::default();
        self.operator.finish(port, &mut given)?;
        self.take(given, out)?;
        let mut held = std::mem::take(&mut self.held);
        self.size = Tally::default();
        if self.scattered {
            let mut cluster = Cluster::default();
            held.into_iter().for_each(|chunk| cluster.push(chunk));
            held = cluster.finish()?;
        }
        let mut merger = Merger::new(TableOrder::KeySorted, self.duplicates);
        let mut mappings: ByShape<MappingId> = ByShape::default();
        for chunk in held {
            let mapping = *mappings.get(&chunk.shape, |shape| Ok(merger.mapping(Target::of_shape(shape))))?;
            merger.push(mapping, chunk)?;
        }
        out.merge(merger.finish(0)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.operator.memory() + self.size.bytes()
    }
}
