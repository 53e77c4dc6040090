//! Runs the nodes of a program over a chunk.
//!
//! Called by the programs. Every node gives a value for all rows; those of rows that are not selected mean nothing, and
//! nothing fails because of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{and_kleene, or_kleene, take};

use super::kernels;
use super::node::{Argument, Kind, Node, Rate, Slot, ValueType};
use super::value_at;
use super::vector::{Cells, Selection, Tables, Truth, Vector};
use crate::error::{Error, Result};
use crate::flux::host::Host;
use crate::flux::value::{Function, Record};
use crate::flux::{Value, scalar};
use crate::syntax::ast::{BinaryOperator, LogicalOperator, UnaryOperator};
use crate::table::{Chunk, ColumnType, Name, Place};

/// One run of a program over one chunk.
pub(super) struct Run<'a> {
    pub chunk: &'a Chunk,
    pub tables: &'a Tables,
    pub host: &'a mut (dyn Host + Send),
    slots: Vec<Option<Vector>>,
    /// Key columns with one value per segment.
    keys: Vec<Option<ArrayRef>>,
}

impl<'a> Run<'a> {
    pub(super) fn new(chunk: &'a Chunk, tables: &'a Tables, host: &'a mut (dyn Host + Send), slots: usize) -> Self {
        Run { chunk, tables, host, slots: vec![None; slots], keys: vec![None; chunk.keys.columns.len()] }
    }

    /// Fills slots, in order.
    pub(super) fn fill(&mut self, slots: &[(Slot, Node)], rows: &Selection) -> Result<()> {
        for (slot, node) in slots {
            let vector = self.eval(node, rows)?;
            self.slots[*slot] = Some(vector);
        }
        Ok(())
    }

    /// The values of a node.
    pub(super) fn eval(&mut self, node: &Node, rows: &Selection) -> Result<Vector> {
        let vector = match &node.kind {
            Kind::Constant(value) => Ok(Vector::Constant(value.clone())),
            Kind::Column(place) => self.column(*place),
            Kind::Slot(slot) => Ok(self.slots[*slot].clone().unwrap_or(Vector::Constant(Value::Null))),
            Kind::Unary(operator, operand) => self.unary(node, *operator, operand, rows),
            Kind::Binary(operator, left, right) => self.binary(node, *operator, left, right, rows),
            Kind::Logical(operator, left, right) => self.logical(*operator, left, right, rows).map(Truth::into_vector),
            Kind::If(parts) => self.conditional(node, parts, rows),
            Kind::Block(slots, result) => {
                self.fill(slots, rows)?;
                self.eval(result, rows)
            }
            Kind::Call(function, arguments) => self.call(node, function, arguments, rows),
            Kind::Builtin { builtin, floats, arguments } => self.builtin(node, (*builtin, floats), arguments, rows),
        };
        vector.map_err(|error| error.at(node.span))
    }

    fn column(&mut self, place: Place) -> Result<Vector> {
        match place {
            Place::Row(index) => Ok(Vector::Row(Cells::Array(Arc::clone(&self.chunk.rows[index as usize])))),
            Place::Key(index) => {
                let index = index as usize;
                if let Some(array) = &self.keys[index] {
                    return Ok(Vector::Table(Cells::Array(Arc::clone(array))));
                }
                let array = &self.chunk.keys.columns[index];
                let segments = &self.chunk.segments;
                let first = segments.first().map_or(0, |segment| segment.key_row);
                let consecutive = segments.iter().zip(first..).all(|(segment, row)| segment.key_row == row);
                let array = if consecutive {
                    array.slice(first as usize, segments.len())
                } else {
                    take(array, &UInt32Array::from_iter_values(segments.iter().map(|segment| segment.key_row)), None)?
                };
                self.keys[index] = Some(Arc::clone(&array));
                Ok(Vector::Table(Cells::Array(array)))
            }
        }
    }

    fn unary(&mut self, node: &Node, operator: UnaryOperator, operand: &Node, rows: &Selection) -> Result<Vector> {
        let operand = self.eval(operand, rows)?;
        let lifted = match &operand {
            Vector::Constant(value) => {
                if rows.is_empty(self.tables) {
                    return Ok(Vector::Constant(Value::Null));
                }
                return Ok(Vector::Constant(scalar::unary(operator, value)?));
            }
            Vector::Table(Cells::Array(array)) | Vector::Row(Cells::Array(array)) => kernels::unary(operator, array)?,
            Vector::Table(_) | Vector::Row(_) => None,
        };
        match lifted {
            Some(array) => Ok(at(operand.rate(), Cells::Array(array))),
            None => self.lift(node.value_type, operand.rate(), rows, |at| scalar::unary(operator, &operand.value(at))),
        }
    }

    fn binary(
        &mut self,
        node: &Node,
        operator: BinaryOperator,
        left: &Node,
        right: &Node,
        rows: &Selection,
    ) -> Result<Vector> {
        let left = self.eval(left, rows)?;
        let right = self.eval(right, rows)?;
        // Null on either side is null, whatever the other side is.
        if matches!(left, Vector::Constant(Value::Null)) || matches!(right, Vector::Constant(Value::Null)) {
            return Ok(Vector::Constant(Value::Null));
        }
        let rate = left.rate().max(right.rate());
        if rate == Rate::Constant {
            if rows.is_empty(self.tables) {
                return Ok(Vector::Constant(Value::Null));
            }
            return Ok(Vector::Constant(scalar::binary(operator, &left.value(0), &right.value(0))?));
        }
        let (left, right) = (left.at_rate(rate, self.tables)?, right.at_rate(rate, self.tables)?);
        let selected = |at: usize| rows.has(at, rate, self.tables);
        match kernels::binary(operator, &left, &right, self.tables.len_at(rate), &selected)? {
            Some(array) => Ok(at(rate, Cells::Array(array))),
            None => {
                self.lift(node.value_type, rate, rows, |at| scalar::binary(operator, &left.value(at), &right.value(at)))
            }
        }
    }

    /// An operation on single values, lifted: once for every place at a rate that has rows that count.
    fn lift(
        &self,
        value_type: ValueType,
        rate: Rate,
        rows: &Selection,
        mut operation: impl FnMut(usize) -> Result<Value>,
    ) -> Result<Vector> {
        let len = self.tables.len_at(rate);
        let mut values = Vec::with_capacity(len);
        for at in 0..len {
            values.push(if rows.has(at, rate, self.tables) { operation(at)? } else { Value::Null });
        }
        Ok(at(rate, Cells::collect(column_type(value_type), values)?))
    }

    /// What a node says as a condition.
    pub(super) fn truth(&mut self, node: &Node, rows: &Selection) -> Result<Truth> {
        let vector = self.eval(node, rows)?;
        let truth = match &vector {
            Vector::Constant(_) if rows.is_empty(self.tables) => return Ok(Truth::Constant(None)),
            Vector::Constant(value) => return Ok(Truth::Constant(scalar::truth(value).map_err(|e| e.at(node.span))?)),
            Vector::Table(Cells::Array(array)) | Vector::Row(Cells::Array(array)) => array.as_boolean_opt().cloned(),
            Vector::Table(_) | Vector::Row(_) => None,
        };
        let rate = vector.rate();
        let array = match truth {
            Some(array) => array,
            None => {
                let mut truths = Vec::with_capacity(self.tables.len_at(rate));
                for at in 0..self.tables.len_at(rate) {
                    truths.push(match rows.has(at, rate, self.tables) {
                        true => scalar::truth(&vector.value(at)).map_err(|error| error.at(node.span))?,
                        false => None,
                    });
                }
                BooleanArray::from(truths)
            }
        };
        Ok(if rate == Rate::Table { Truth::Table(array) } else { Truth::Row(array) })
    }

    fn logical(&mut self, operator: LogicalOperator, left: &Node, right: &Node, rows: &Selection) -> Result<Truth> {
        let (left_words, right_words) = match operator {
            LogicalOperator::And => ("the left operand of and", "the right operand of and"),
            LogicalOperator::Or => ("the left operand of or", "the right operand of or"),
        };
        let deciding = operator == LogicalOperator::Or;
        let left = self.truth(left, rows).map_err(|error| in_words(error, left, left_words))?;
        if left.is_all(deciding) {
            return Ok(Truth::Constant(Some(deciding)));
        }
        let open;
        let mut rest = rows;
        if right.may_fail {
            open = rows.and(!&left.rows(Some(deciding), self.tables));
            if open.is_empty(self.tables) {
                // Wherever it counts, the left side decides.
                return Ok(Truth::Constant(Some(deciding)));
            }
            rest = &open;
        }
        let right = self.truth(right, rest).map_err(|error| in_words(error, right, right_words))?;
        if let (Truth::Constant(left), Truth::Constant(right)) = (&left, &right) {
            return Ok(Truth::Constant(scalar::logical(operator, *left, *right)));
        }
        let rate = left.rate().max(right.rate());
        let (left, right) = (left.into_array(rate, self.tables)?, right.into_array(rate, self.tables)?);
        let array = if deciding { or_kleene(&left, &right)? } else { and_kleene(&left, &right)? };
        Ok(if rate == Rate::Table { Truth::Table(array) } else { Truth::Row(array) })
    }

    fn conditional(&mut self, node: &Node, parts: &[Node; 3], rows: &Selection) -> Result<Vector> {
        let [test_node, consequent, alternate] = parts;
        let test = self.truth(test_node, rows).map_err(|error| in_words(error, test_node, "the condition of if"))?;
        let yes = test.rows(Some(true), self.tables);
        let taken = rows.and(yes.clone());
        let other = rows.and(!&yes);
        if other.is_empty(self.tables) {
            return self.eval(consequent, &taken);
        }
        if taken.is_empty(self.tables) {
            return self.eval(alternate, &other);
        }
        let consequent = self.eval(consequent, &taken)?;
        let alternate = self.eval(alternate, &other)?;
        let rate = test.rate().max(consequent.rate()).max(alternate.rate()).max(Rate::Table);
        let test = test.into_array(rate, self.tables)?;
        if let Some(column_type) = column_type(node.value_type) {
            let column = |vector: &Vector| self.column_at(vector, column_type, rate);
            if let (Some(consequent), Some(alternate)) = (column(&consequent)?, column(&alternate)?) {
                // A condition that is null takes `else`, and so does `zip`.
                return Ok(at(rate, Cells::Array(zip(&test, &consequent, &alternate)?)));
            }
        }
        let (consequent, alternate) = (consequent.at_rate(rate, self.tables)?, alternate.at_rate(rate, self.tables)?);
        let chosen =
            |at: usize| if test.is_valid(at) && test.value(at) { consequent.value(at) } else { alternate.value(at) };
        let values = (0..self.tables.len_at(rate)).map(chosen).collect();
        Ok(at(rate, Cells::collect(column_type(node.value_type), values)?))
    }

    /// A vector as a column with one value per table or row.
    fn column_at(&self, vector: &Vector, column_type: ColumnType, rate: Rate) -> Result<Option<ArrayRef>> {
        match (vector, rate) {
            (Vector::Constant(value), _) => super::vector::constant(value, column_type, self.tables.len_at(rate)),
            (Vector::Table(cells), Rate::Table) => super::vector::as_column(cells, column_type),
            _ => vector.rows(column_type, self.tables),
        }
    }

    fn call(
        &mut self,
        node: &Node,
        function: &Function,
        arguments: &[(Name, Argument)],
        rows: &Selection,
    ) -> Result<Vector> {
        let mut given = Vec::with_capacity(arguments.len());
        for (name, argument) in arguments {
            given.push((name.clone(), self.argument(argument, rows)?));
        }
        if node.rate == Rate::Constant {
            if rows.is_empty(self.tables) {
                return Ok(Vector::Constant(Value::Null));
            }
            let arguments = given.iter().map(|(name, value)| (name.clone(), self.given(value, Rate::Constant, 0)));
            let arguments = arguments.collect();
            return Ok(Vector::Constant(self.host.call(function, arguments)?));
        }
        let rate = node.rate;
        let len = self.tables.len_at(rate);
        let mut values = Vec::with_capacity(len);
        for at in 0..len {
            if !rows.has(at, rate, self.tables) {
                values.push(Value::Null);
                continue;
            }
            let arguments = given.iter().map(|(name, value)| (name.clone(), self.given(value, rate, at))).collect();
            values.push(self.host.call(function, arguments)?);
        }
        Ok(at(rate, Cells::collect(column_type(node.value_type), values)?))
    }

    fn argument<'n>(&mut self, argument: &'n Argument, rows: &Selection) -> Result<Given<'n>> {
        Ok(match argument {
            Argument::Value(node) => Given::Vector(self.eval(node, rows)?),
            Argument::Row(columns) => Given::Row(columns),
            Argument::Record(properties) => {
                let mut given = Vec::with_capacity(properties.len());
                for (name, value) in properties {
                    given.push((name.clone(), self.argument(value, rows)?));
                }
                Given::Record(given)
            }
        })
    }

    /// An argument for one call, at a table or row.
    fn given(&self, given: &Given<'_>, rate: Rate, at: usize) -> Value {
        match given {
            Given::Vector(vector) => match (vector, rate) {
                (Vector::Table(cells), Rate::Row) => cells.value(self.tables.of_rows().value(at) as usize),
                _ => vector.value(at),
            },
            Given::Row(columns) => {
                let table = self.tables.of_rows().value(at) as usize;
                let key_row = self.chunk.segments[table].key_row as usize;
                let properties =
                    columns.iter().map(|(name, place)| (name.clone(), value_at(self.chunk, *place, key_row, at)));
                Value::Record(Arc::new(Record { properties: properties.collect() }))
            }
            Given::Record(properties) => {
                let properties = properties.iter().map(|(name, value)| (name.clone(), self.given(value, rate, at)));
                Value::Record(Arc::new(Record { properties: properties.collect() }))
            }
        }
    }
}

/// An argument of a call, evaluated for all rows.
enum Given<'n> {
    Vector(Vector),
    Row(&'n [(Name, Place)]),
    Record(Vec<(Name, Given<'n>)>),
}

pub(super) fn at(rate: Rate, cells: Cells) -> Vector {
    if rate == Rate::Table { Vector::Table(cells) } else { Vector::Row(cells) }
}

pub(super) fn column_type(value_type: ValueType) -> Option<ColumnType> {
    match value_type {
        ValueType::Column(column_type) => Some(column_type),
        ValueType::Null | ValueType::Other => None,
    }
}

/// The words for an operand that is no boolean; other errors have words of their own.
fn in_words(error: Error, node: &Node, words: &str) -> Error {
    let no_truth = matches!(node.value_type, ValueType::Column(own) if own != ColumnType::Bool);
    if no_truth && error.message().starts_with("expected bool") { error.context(words) } else { error }
}
