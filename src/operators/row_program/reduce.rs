//! Row functions with an accumulator: what `reduce` makes of the rows of a table, one after the other.
//!
//! Called by `reduce`. The properties of the accumulator are slots; what does not depend on them is computed for whole
//! columns, the rest row by row.

use std::collections::HashMap;
use std::sync::Arc;

use super::compile::{Bound, Compiled, Compiler};
use super::eval::Run;
use super::node::{Node, Rate, Slot, ValueType};
use super::scalars::{Reader, Row, Scalars, Splitter, Step};
use super::vector::{Selection, Tables, Vector};
use super::{ROW, RowFunction, RowHost, failed};
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::value::Record;
use crate::table::{Chunk, Name, Segment, Shape, TableId};

/// The parameter that the accumulator has.
const ACCUMULATOR: &str = "accumulator";

/// The accumulators of tables that have not ended: the values of their properties, in the order of the identity.
pub type Accumulators = HashMap<TableId, Vec<Value>>;

/// What a function with an accumulator becomes for a shape.
pub struct ReduceProgram {
    /// The accumulator's properties and the slots that they are in.
    properties: Vec<(Name, Slot)>,
    /// What they are before the first row.
    identity: Vec<Value>,
    slots: usize,
    /// Slots that are filled for all rows at once, then the vectors that steps read.
    filled: Vec<(Slot, Node)>,
    vectors: Vec<Node>,
    /// Slots that are filled for each row, in order.
    each_row: Vec<(Slot, Step)>,
    body: Body,
}

enum Body {
    /// The new value of each property of the accumulator.
    Properties(Vec<Step>),
    /// A record as one value.
    Record(Step),
}

impl ReduceProgram {
    /// Compiles a function for an accumulator that begins as `identity`.
    ///
    /// # Errors
    /// Invalid if it does not take row and accumulator, or gives other properties than the accumulator has.
    pub fn compile(function: &RowFunction, identity: &Record, shape: &Shape) -> Result<ReduceProgram> {
        let mut compiler = Compiler::new(shape);
        let mut properties: Vec<(Name, Slot)> = Vec::new();
        for (name, value) in &identity.properties {
            compiler.slots.push((ValueType::of(value), Rate::Row));
            properties.push((name.clone(), compiler.slots.len() - 1));
        }
        let accumulator = properties.iter().map(|(name, slot)| (name.clone(), Bound::Slot(*slot))).collect();
        let bound = [(ROW, Bound::Row), (ACCUMULATOR, Bound::Record(Arc::new(accumulator)))];
        let (mut env, defaults) = compiler.env_of(&function.closure, &bound).ok_or_else(|| {
            Error::invalid("the function of reduce has to take the row as its parameter r and the accumulator")
                .with_hint("reduce(fn: (r, accumulator) => ({n: accumulator.n + 1}), identity: {n: 0})")
        })?;
        let body = compiler.body(&function.closure.function, &mut env);
        let mut splitter = Splitter::new(compiler.slots.len(), properties.iter().map(|(_, slot)| *slot));
        let mut filled = Vec::new();
        let mut each_row = Vec::new();
        let mut take = |splitter: &mut Splitter, slots: Vec<(Slot, Node)>| {
            for (slot, node) in slots {
                if splitter.is_vector(&node) {
                    filled.push((slot, node));
                } else {
                    each_row.push(splitter.slot(slot, node));
                }
            }
        };
        take(&mut splitter, defaults);
        let body = match body {
            Compiled::Record(record) => {
                take(&mut splitter, record.slots);
                let mut given = record.properties;
                let mut steps = Vec::new();
                for (name, _) in &properties {
                    let at = given.iter().position(|(own, _)| own == name);
                    let at = at.ok_or_else(|| other_properties(format!("record is missing label {name}")))?;
                    steps.push(splitter.step(given.swap_remove(at).1));
                }
                if let Some((extra, _)) = given.first() {
                    return Err(other_properties(format!("found unexpected label {extra}")));
                }
                Body::Properties(steps)
            }
            Compiled::Value(node) => Body::Record(splitter.step(node)),
        };
        let (slots, vectors) = (compiler.slots.len(), splitter.vectors);
        let identity = identity.properties.iter().map(|(_, value)| value.clone()).collect();
        Ok(ReduceProgram { properties, identity, slots, filled, vectors, each_row, body })
    }

    /// Takes the rows of a chunk. `open` has the accumulators of tables of which some rows have come; those of tables that
    /// end are given, in order.
    ///
    /// # Errors
    /// What the evaluation of a row raises, for the first row of which it does.
    pub fn run(
        &self,
        chunk: &Chunk,
        open: &mut Accumulators,
        host: &mut RowHost,
    ) -> Result<Vec<(Segment, Vec<Value>)>> {
        let tables = Tables::new(chunk);
        self.reduce(chunk, &tables, open, host).map_err(|error| failed("reduce", error))
    }

    fn reduce(
        &self,
        chunk: &Chunk,
        tables: &Tables,
        open: &mut Accumulators,
        host: &mut RowHost,
    ) -> Result<Vec<(Segment, Vec<Value>)>> {
        let mut vectors: Vec<Vector> = Vec::with_capacity(self.vectors.len());
        let mut run = Run::new(chunk, tables, host.as_mut(), self.slots);
        run.fill(&self.filled, &Selection::All)?;
        for node in &self.vectors {
            vectors.push(run.eval(node, &Selection::All)?);
        }
        let readers = vectors.iter().map(Reader::of).collect();
        let slots = vec![Value::Null; self.slots];
        let mut scalars = Scalars { chunk, readers, host: host.as_mut(), slots };
        let mut made: Vec<Value> = Vec::with_capacity(self.properties.len());
        let mut ended = Vec::new();
        for (table, (segment, rows)) in chunk.tables().enumerate() {
            let mut state = open.remove(&segment.table).unwrap_or_else(|| self.identity.clone());
            for ((_, slot), value) in self.properties.iter().zip(state.drain(..)) {
                scalars.slots[*slot] = value;
            }
            for row in rows {
                self.row(&mut scalars, &Row { row, table }, &mut made)?;
                for ((_, slot), value) in self.properties.iter().zip(made.drain(..)) {
                    scalars.slots[*slot] = value;
                }
            }
            let values =
                self.properties.iter().map(|(_, slot)| std::mem::replace(&mut scalars.slots[*slot], Value::Null));
            state.extend(values);
            if segment.done {
                ended.push((segment, state));
            } else {
                open.insert(segment.table, state);
            }
        }
        Ok(ended)
    }

    /// What a row makes of the accumulator.
    fn row(&self, scalars: &mut Scalars<'_>, row: &Row, made: &mut Vec<Value>) -> Result<()> {
        scalars.fill(&self.each_row, row)?;
        match &self.body {
            Body::Properties(steps) => {
                for step in steps {
                    made.push(scalars.value(step, row)?);
                }
            }
            Body::Record(step) => {
                let value = scalars.value(step, row)?;
                let Value::Record(record) = &value else {
                    return Err(Error::invalid(format!(
                        "reduce function must return an object, got {}",
                        value.type_name()
                    )));
                };
                for (name, _) in &self.properties {
                    let value = record.get(name).cloned();
                    made.push(value.ok_or_else(|| other_properties(format!("record is missing label {name}")))?);
                }
                let own = |name: &Name| self.properties.iter().any(|(own, _)| own == name);
                if let Some((extra, _)) = record.properties.iter().find(|(name, _)| !own(name)) {
                    return Err(other_properties(format!("found unexpected label {extra}")));
                }
            }
        }
        Ok(())
    }
}

fn other_properties(message: String) -> Error {
    Error::invalid(message).with_hint("the function of reduce gives a record with the properties of identity")
}
