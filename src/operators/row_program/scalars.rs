//! Nodes row by row: for functions in which a row needs what the rows before it have made.
//!
//! Made and run by [`super::reduce`]. What does not depend on other rows and cannot fail is left to the vectors, and only
//! read here; everything else is computed on single values, with the meaning of [`crate::flux::scalar`].

use std::sync::Arc;

use super::node::{Argument, Kind, Node, Rate, Slot, ValueType};
use super::vector::{Cells, Vector};
use super::{value_at, value_of};
use crate::diagnostic::Span;
use crate::error::Result;
use crate::flux::host::Host;
use crate::flux::value::{Function, Record};
use crate::flux::{Value, scalar};
use crate::syntax::ast::{BinaryOperator, LogicalOperator, UnaryOperator};
use crate::table::{Chunk, ColumnType, ColumnView, Name, Place};

/// A node to be computed for one row after the other.
#[derive(Debug)]
pub(super) struct Step {
    kind: StepKind,
    /// Whether it is known to be a value of a column, but no boolean.
    no_truth: bool,
    span: Span,
}

#[derive(Debug)]
enum StepKind {
    Constant(Value),
    /// The value of a vector.
    Vector(usize),
    Slot(Slot),
    Unary(UnaryOperator, Box<Step>),
    Binary(BinaryOperator, Box<Step>, Box<Step>),
    Logical(LogicalOperator, Box<(Step, Step)>),
    If(Box<[Step; 3]>),
    Block(Vec<(Slot, Step)>, Box<Step>),
    Call(Function, Vec<(Name, StepArgument)>),
}

#[derive(Debug)]
enum StepArgument {
    Value(Step),
    Row(Vec<(Name, Place)>),
    Record(Vec<(Name, StepArgument)>),
}

/// Takes nodes apart: steps for single rows, and vectors.
pub(super) struct Splitter {
    /// Slots whose value differs with what other rows have made, or is filled row by row.
    live: Vec<bool>,
    /// What is computed for all rows at once.
    pub vectors: Vec<Node>,
}

impl Splitter {
    /// `live` are the slots that rows hand on.
    pub(super) fn new(slots: usize, live: impl IntoIterator<Item = Slot>) -> Splitter {
        let mut splitter = Splitter { live: vec![false; slots], vectors: Vec::new() };
        live.into_iter().for_each(|slot| splitter.live[slot] = true);
        splitter
    }

    /// Whether a node can be computed for all rows at once, whether or not its value counts in each of them.
    pub(super) fn is_vector(&self, node: &Node) -> bool {
        !node.may_fail && !self.is_live(node)
    }

    fn is_live(&self, node: &Node) -> bool {
        match &node.kind {
            Kind::Constant(_) | Kind::Column(_) => false,
            Kind::Slot(slot) => self.live[*slot],
            Kind::Unary(_, operand) => self.is_live(operand),
            Kind::Binary(_, left, right) | Kind::Logical(_, left, right) => self.is_live(left) || self.is_live(right),
            Kind::If(parts) => parts.iter().any(|part| self.is_live(part)),
            Kind::Block(slots, result) => slots.iter().any(|(_, node)| self.is_live(node)) || self.is_live(result),
            Kind::Call(_, arguments) => arguments.iter().any(|(_, argument)| self.is_live_argument(argument)),
            Kind::Builtin { arguments, .. } => arguments.iter().any(|(_, argument)| self.is_live(argument)),
        }
    }

    fn is_live_argument(&self, argument: &Argument) -> bool {
        match argument {
            Argument::Value(node) => self.is_live(node),
            Argument::Row(_) => false,
            Argument::Record(properties) => properties.iter().any(|(_, value)| self.is_live_argument(value)),
        }
    }

    /// A slot that is filled row by row.
    pub(super) fn slot(&mut self, slot: Slot, node: Node) -> (Slot, Step) {
        let step = self.step(node);
        self.live[slot] = true;
        (slot, step)
    }

    /// The step of a node.
    pub(super) fn step(&mut self, node: Node) -> Step {
        let span = node.span;
        let no_truth = matches!(node.value_type, ValueType::Column(own) if own != ColumnType::Bool);
        let kind = match node.kind {
            Kind::Constant(value) => StepKind::Constant(value),
            _ if self.is_vector(&node) => {
                self.vectors.push(node);
                StepKind::Vector(self.vectors.len() - 1)
            }
            // A column is always a vector.
            Kind::Column(_) => StepKind::Constant(Value::Null),
            Kind::Slot(slot) => StepKind::Slot(slot),
            Kind::Unary(operator, operand) => StepKind::Unary(operator, Box::new(self.step(*operand))),
            Kind::Binary(operator, left, right) => {
                StepKind::Binary(operator, Box::new(self.step(*left)), Box::new(self.step(*right)))
            }
            Kind::Logical(operator, left, right) => {
                StepKind::Logical(operator, Box::new((self.step(*left), self.step(*right))))
            }
            Kind::If(parts) => StepKind::If(Box::new(parts.map(|part| self.step(part)))),
            Kind::Block(slots, result) => {
                let slots = slots.into_iter().map(|(slot, node)| self.slot(slot, node)).collect();
                StepKind::Block(slots, Box::new(self.step(*result)))
            }
            Kind::Call(function, arguments) => {
                StepKind::Call(function, arguments.into_iter().map(|(name, own)| (name, self.argument(own))).collect())
            }
            Kind::Builtin { builtin, arguments, .. } => {
                let arguments = arguments.into_iter().map(|(name, own)| (name, StepArgument::Value(self.step(own))));
                StepKind::Call(Function::Builtin(builtin), arguments.collect())
            }
        };
        Step { kind, no_truth, span }
    }

    fn argument(&mut self, argument: Argument) -> StepArgument {
        match argument {
            Argument::Value(node) => StepArgument::Value(self.step(node)),
            Argument::Row(columns) => StepArgument::Row(columns),
            Argument::Record(properties) => {
                let properties = properties.into_iter();
                StepArgument::Record(properties.map(|(name, own)| (name, self.argument(own))).collect())
            }
        }
    }
}

/// A vector, ready to be read often.
pub(super) enum Reader<'a> {
    Constant(&'a Value),
    Column(Rate, ColumnView<'a>),
    Values(Rate, &'a [Value]),
}

impl<'a> Reader<'a> {
    pub(super) fn of(vector: &'a Vector) -> Reader<'a> {
        let rate = vector.rate();
        match vector {
            Vector::Constant(value) => Reader::Constant(value),
            Vector::Table(Cells::Array(array)) | Vector::Row(Cells::Array(array)) => {
                Reader::Column(rate, ColumnView::of(array))
            }
            Vector::Table(Cells::Values(values)) | Vector::Row(Cells::Values(values)) => Reader::Values(rate, values),
        }
    }

    fn value(&self, row: &Row) -> Value {
        let at = |rate: Rate| if rate == Rate::Row { row.row } else { row.table };
        match self {
            Reader::Constant(value) => (*value).clone(),
            Reader::Column(rate, view) => value_of(view.cell(at(*rate))),
            Reader::Values(rate, values) => values[at(*rate)].clone(),
        }
    }
}

/// Which row: of the chunk, and of which of its segments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub row: usize,
    pub table: usize,
}

/// Computes steps for the rows of a chunk.
pub(super) struct Scalars<'a> {
    pub chunk: &'a Chunk,
    pub readers: Vec<Reader<'a>>,
    pub host: &'a mut (dyn Host + Send),
    pub slots: Vec<Value>,
}

impl Scalars<'_> {
    /// Fills slots, in order.
    pub(super) fn fill(&mut self, slots: &[(Slot, Step)], row: &Row) -> Result<()> {
        for (slot, step) in slots {
            self.slots[*slot] = self.value(step, row)?;
        }
        Ok(())
    }

    /// The value of a step for a row.
    pub(super) fn value(&mut self, step: &Step, row: &Row) -> Result<Value> {
        self.compute(step, row).map_err(|error| error.at(step.span))
    }

    fn compute(&mut self, step: &Step, row: &Row) -> Result<Value> {
        match &step.kind {
            StepKind::Constant(value) => Ok(value.clone()),
            StepKind::Vector(vector) => Ok(self.readers[*vector].value(row)),
            StepKind::Slot(slot) => Ok(self.slots[*slot].clone()),
            StepKind::Unary(operator, operand) => scalar::unary(*operator, &self.value(operand, row)?),
            StepKind::Binary(operator, left, right) => {
                let left = self.value(left, row)?;
                scalar::binary(*operator, &left, &self.value(right, row)?)
            }
            StepKind::Logical(operator, sides) => {
                let (left_words, right_words) = operand_words(*operator);
                let left = self.truth(&sides.0, row, left_words)?;
                if let Some(decided) = scalar::decided_by_left(*operator, left) {
                    return Ok(Value::Bool(decided));
                }
                let right = self.truth(&sides.1, row, right_words)?;
                Ok(scalar::from_truth(scalar::logical(*operator, left, right)))
            }
            StepKind::If(parts) => {
                let [test, consequent, alternate] = &**parts;
                // A condition that is null takes `else`.
                let taken = self.truth(test, row, "the condition of if")? == Some(true);
                self.value(if taken { consequent } else { alternate }, row)
            }
            StepKind::Block(slots, result) => {
                self.fill(slots, row)?;
                self.value(result, row)
            }
            StepKind::Call(function, arguments) => {
                let mut given = Vec::with_capacity(arguments.len());
                for (name, argument) in arguments {
                    given.push((name.clone(), self.argument(argument, row)?));
                }
                self.host.call(function, given)
            }
        }
    }

    fn truth(&mut self, step: &Step, row: &Row, words: &str) -> Result<Option<bool>> {
        let value = self.value(step, row)?;
        // The words of the vectors: where it is known that a side is no boolean.
        scalar::truth(&value).map_err(|error| {
            let error = if step.no_truth { error.context(words) } else { error };
            error.at(step.span)
        })
    }

    fn argument(&mut self, argument: &StepArgument, row: &Row) -> Result<Value> {
        let record = |properties| Value::Record(Arc::new(Record { properties }));
        match argument {
            StepArgument::Value(step) => self.value(step, row),
            StepArgument::Row(columns) => {
                let key_row = self.chunk.segments[row.table].key_row as usize;
                let columns = columns.iter();
                let value = |place: &Place| value_at(self.chunk, *place, key_row, row.row);
                Ok(record(columns.map(|(name, place)| (name.clone(), value(place))).collect()))
            }
            StepArgument::Record(properties) => {
                let mut given = Vec::with_capacity(properties.len());
                for (name, property) in properties {
                    given.push((name.clone(), self.argument(property, row)?));
                }
                Ok(record(given))
            }
        }
    }
}

fn operand_words(operator: LogicalOperator) -> (&'static str, &'static str) {
    match operator {
        LogicalOperator::And => ("the left operand of and", "the right operand of and"),
        LogicalOperator::Or => ("the left operand of or", "the right operand of or"),
    }
}
