//! `filter`: the rows for which a condition is true (flux-semantics 6.1).
//!
//! A condition that is null keeps nothing. Key, columns and order stay; a table that keeps no row is dropped, unless
//! empty ones are to be kept. What says something of a point's identity only can be decided by a store ([`identity`]); it
//! is asked first here as well, so that the rest sees the same rows either way.

pub mod identity;

use std::collections::HashSet;

use super::by_shape::ByShape;
use super::row_program::{PredicateProgram, RowFunction, conjuncts, part_of};
use super::{Operator, Out, Split, Transform};
use crate::error::{Error, Result};
use crate::flux::host::Host;
use crate::table::scan::{Predicate, PushOp, StreamProps};
use crate::table::select::keep_rows;
use crate::table::size;
use crate::table::{Chunk, Segment, TableId};

/// What becomes of tables that keep no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEmpty {
    /// They are dropped.
    Drop,
    /// They are kept, empty.
    Keep,
}

impl OnEmpty {
    /// The value of the argument `onEmpty`.
    ///
    /// # Errors
    /// Invalid for anything but `keep` and `drop`.
    pub fn parse(text: &str) -> Result<OnEmpty> {
        match text {
            "drop" => Ok(OnEmpty::Drop),
            "keep" => Ok(OnEmpty::Keep),
            other => Err(Error::invalid(format!("onEmpty must be keep or drop, was {other:?}"))),
        }
    }
}

/// `filter(fn, onEmpty)`.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The parts of the condition that a store may decide.
    identity: Vec<(Predicate, RowFunction)>,
    /// All other parts, in the order of the text.
    rest: Vec<RowFunction>,
    on_empty: OnEmpty,
}

impl Filter {
    /// The rows for which the function is true.
    pub fn new(function: RowFunction, on_empty: OnEmpty) -> Filter {
        let mut filter = Filter { identity: Vec::new(), rest: Vec::new(), on_empty };
        let parts = conjuncts(&function.closure.function);
        for part in &parts {
            let own = part_of(&function, part);
            match identity::predicate(part, &function.closure) {
                Some(predicate) => filter.identity.push((predicate, own)),
                None => filter.rest.push(own),
            }
        }
        if parts.is_empty() {
            filter.rest.push(function);
        }
        filter
    }
}

impl Transform for Filter {
    fn name(&self) -> &'static str {
        "filter"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let identity = self.identity.iter().map(|(_, function)| function);
        let parts: Vec<RowFunction> = identity.chain(&self.rest).cloned().collect();
        let hosts = parts.first().map(|part| part.hosts.host());
        let hosts = hosts.ok_or_else(|| Error::internal("a filter without a condition"))?;
        let programs = ByShape::default();
        Ok(Box::new(FilterOperator { parts, host: hosts, on_empty: self.on_empty, programs, given: HashSet::new() }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn split(&self) -> Option<Split> {
        if self.on_empty == OnEmpty::Keep || self.identity.is_empty() {
            return None;
        }
        let mut predicates: Vec<Predicate> = self.identity.iter().map(|(predicate, _)| predicate.clone()).collect();
        let predicate = if predicates.len() == 1 { predicates.remove(0) } else { Predicate::And(predicates) };
        let rest = Filter { identity: Vec::new(), ..self.clone() };
        let rest: Option<std::sync::Arc<dyn Transform>> =
            if self.rest.is_empty() { None } else { Some(std::sync::Arc::new(rest)) };
        Some(Split { push: PushOp::Filter(predicate), rest })
    }

    fn explain(&self) -> String {
        let on_empty = if self.on_empty == OnEmpty::Keep { ", onEmpty: \"keep\"" } else { "" };
        format!("fn: (r) => ...{on_empty}")
    }
}

struct FilterOperator {
    /// The parts of the condition, in the order in which they are asked.
    parts: Vec<RowFunction>,
    host: Box<dyn Host + Send>,
    on_empty: OnEmpty,
    programs: ByShape<PredicateProgram>,
    /// Tables that have not ended and of which rows were given.
    given: HashSet<TableId>,
}

impl Operator for FilterOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let parts = &self.parts;
        let program = self.programs.get(&chunk.shape, |shape| PredicateProgram::compile(parts, shape))?;
        let rows = program.rows(&chunk, &mut self.host)?;
        let mut chunk = keep_rows(chunk, &rows)?;
        if self.on_empty == OnEmpty::Drop {
            drop_empty(&mut chunk, &mut self.given);
        }
        if !chunk.segments.is_empty() {
            out.push(chunk);
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        size::of_map::<TableId>(self.given.capacity())
    }
}

/// Leaves out tables without rows; `given` are those that have not ended and of which rows have been given.
pub(super) fn drop_empty(chunk: &mut Chunk, given: &mut HashSet<TableId>) {
    let mut start = 0;
    chunk.segments.retain(|Segment { table, end, done, .. }| {
        let has_rows = *end > start;
        start = *end;
        match (has_rows, done) {
            (true, false) => {
                given.insert(*table);
                true
            }
            (true, true) => {
                given.remove(table);
                true
            }
            (false, true) => given.remove(table),
            (false, false) => false,
        }
    });
}

#[cfg(test)]
mod tests;
