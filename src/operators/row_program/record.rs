//! Row functions that give records: the columns of the new rows.
//!
//! Called by `map`. Which columns there are follows from the function and the shape. A property whose type only the rows
//! can tell waits for the first one that has a value.

use std::cell::OnceCell;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::compile::{Compiled, Compiler, PairSide};
use super::eval::Run;
use super::node::{Kind, Node, Rate, Slot, ValueType};
use super::vector::{Cells, Selection, Tables, Vector};
use super::{RowFunction, RowHost, cell_of, failed, first_error, not_a_row_function};
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::value::Function;
use crate::table::{Chunk, ColumnType, Name, Place, Shape};

/// A property of the records that a program gives.
#[derive(Clone, Debug)]
pub struct Property {
    /// Its name.
    pub name: Name,
    /// What is known of its type.
    pub value_type: ValueType,
    /// How often its value may differ.
    pub rate: Rate,
    /// It is this column of the row, unchanged.
    pub column: Option<Place>,
}

/// What a row function that gives records becomes for a shape.
pub struct RecordProgram {
    body: Body,
    slots: usize,
    /// The function for the evaluator, and whether it may be asked again.
    function: Function,
    pure: bool,
}

enum Body {
    /// Property by property.
    Record { slots: Vec<(Slot, Node)>, properties: Vec<(Name, Node)>, extends_row: bool },
    /// A value that turns out to be a record when it is there: then with the properties of the first one.
    Value { slots: Vec<(Slot, Node)>, node: Node, names: OnceCell<Vec<Name>> },
}

/// The values of the properties over a chunk, in order.
pub struct Columns {
    /// Names and values.
    pub properties: Vec<(Name, Vector)>,
    /// The tables of the chunk.
    pub tables: Tables,
}

impl RecordProgram {
    /// Compiles a function.
    ///
    /// # Errors
    /// Invalid if it does not take the row.
    pub fn compile(operator: &str, function: &RowFunction, shape: &Shape) -> Result<RecordProgram> {
        let mut compiler = Compiler::new(shape);
        let (mut env, slots) = compiler.row_env(&function.closure).ok_or_else(|| not_a_row_function(operator))?;
        let body = body(compiler.body(&function.closure.function, &mut env), slots);
        let function = Function::Closure(Arc::clone(&function.closure));
        Ok(RecordProgram { body, slots: compiler.slots.len(), function, pure: compiler.pure })
    }

    /// Compiles a function of two rows. `sides` are the names of its parameters, each with the columns of its row; both
    /// stand in chunks of `shape`.
    ///
    /// # Errors
    /// Invalid if the function does not take the two.
    pub fn compile_pair(
        operator: &str,
        function: &RowFunction,
        shape: &Shape,
        sides: &[PairSide<'_>; 2],
    ) -> Result<RecordProgram> {
        let mut compiler = Compiler::new(shape);
        let (mut env, slots) = compiler.pair_env(&function.closure, sides).ok_or_else(|| {
            let [(left, _), (right, _)] = sides;
            Error::invalid(format!(
                "the function of {operator} has to take the rows as its parameters {left} and {right}"
            ))
            .with_hint(format!("write ({left}, {right}) => ({{{left} with ...}})"))
        })?;
        let compiled = compiler.body(&function.closure.function, &mut env);
        let body = body(compiled, slots);
        let function = Function::Closure(Arc::clone(&function.closure));
        // The evaluator cannot be asked for a pair of rows again.
        Ok(RecordProgram { body, slots: compiler.slots.len(), function, pure: false })
    }

    /// The properties in order; `None` if they are known only when the rows are there.
    pub fn properties(&self) -> Option<Vec<Property>> {
        let Body::Record { properties, .. } = &self.body else { return None };
        let property = |(name, node): &(Name, Node)| {
            let column = if let Kind::Column(place) = node.kind { Some(place) } else { None };
            Property { name: name.clone(), value_type: node.value_type, rate: node.rate, column }
        };
        Some(properties.iter().map(property).collect())
    }

    /// Whether the records are the rows with changes: `{r with ...}`.
    pub fn extends_row(&self) -> bool {
        matches!(self.body, Body::Record { extends_row: true, .. })
    }

    /// The values of all properties, in the order of [`RecordProgram::properties`].
    ///
    /// # Errors
    /// What the evaluation of a row raises, for the first row of which it does.
    pub fn columns(&self, operator: &str, chunk: &Chunk, host: &mut RowHost) -> Result<Columns> {
        let tables = Tables::new(chunk);
        let properties = self.evaluate(operator, chunk, &tables, host).map_err(|error| {
            let function = std::slice::from_ref(&self.function);
            let first = if self.pure { first_error(function, chunk, host.as_mut()) } else { None };
            failed(operator, first.unwrap_or(error))
        })?;
        Ok(Columns { properties, tables })
    }

    fn evaluate(
        &self,
        operator: &str,
        chunk: &Chunk,
        tables: &Tables,
        host: &mut RowHost,
    ) -> Result<Vec<(Name, Vector)>> {
        let mut run = Run::new(chunk, tables, host.as_mut(), self.slots);
        match &self.body {
            Body::Record { slots, properties, .. } => {
                run.fill(slots, &Selection::All)?;
                let mut columns = Vec::with_capacity(properties.len());
                for (name, node) in properties {
                    columns.push((name.clone(), run.eval(node, &Selection::All)?));
                }
                Ok(columns)
            }
            Body::Value { slots, node, names } => {
                run.fill(slots, &Selection::All)?;
                let vector = run.eval(node, &Selection::All)?.at_rate(Rate::Row, tables)?;
                take_apart(operator, &vector, tables.rows(), names)
            }
        }
    }
}

fn body(compiled: Compiled, slots: Vec<(Slot, Node)>) -> Body {
    match compiled {
        Compiled::Record(record) => {
            let slots = slots.into_iter().chain(record.slots).collect();
            Body::Record { slots, properties: record.properties, extends_row: record.extends_row }
        }
        Compiled::Value(node) => Body::Value { slots, node, names: OnceCell::new() },
    }
}

/// Records of rows, property by property: those of the first record, which fixes them for all.
fn take_apart(
    operator: &str,
    records: &Vector,
    rows: usize,
    names: &OnceCell<Vec<Name>>,
) -> Result<Vec<(Name, Vector)>> {
    let mut properties: Vec<Vec<Value>> = Vec::new();
    for row in 0..rows {
        let value = records.value(row);
        let Value::Record(record) = &value else { return Err(no_record(operator, &value)) };
        let names = names.get_or_init(|| record.properties.iter().map(|(name, _)| name.clone()).collect());
        properties.resize(names.len(), Vec::new());
        for (name, values) in names.iter().zip(&mut properties) {
            values.push(record.get(name).cloned().unwrap_or(Value::Null));
        }
        if let Some((extra, _)) = record.properties.iter().find(|(name, _)| !names.contains(name)) {
            return Err(Error::failed_precondition(format!(
                "{operator} function gives the property {extra:?} for some rows only"
            )));
        }
    }
    let vector = |values: Vec<Value>| Vector::Row(Cells::Values(values.into()));
    let names = names.get().map_or(&[][..], Vec::as_slice);
    Ok(names.iter().cloned().zip(properties.into_iter().map(vector)).collect())
}

fn no_record(operator: &str, value: &Value) -> Error {
    let found = value.type_name();
    Error::invalid(format!("{operator} function must return an object, got {found}"))
        .with_hint(format!("wrap the record in parentheses, as in {operator}(fn: (r) => ({{r with a: 1}}))"))
}

impl Columns {
    /// The value of a property in a row, which lies in a segment of the chunk.
    pub fn value(&self, property: usize, table: usize, row: usize) -> Value {
        match &self.properties[property].1 {
            Vector::Constant(value) => value.clone(),
            Vector::Table(cells) => cells.value(table),
            Vector::Row(cells) => cells.value(row),
        }
    }

    /// The column type of the first value of a property that is no null; `None` if there is none.
    ///
    /// # Errors
    /// Invalid if no column can hold it.
    pub fn type_of(&self, operator: &str, property: usize) -> Result<Option<ColumnType>> {
        let (name, vector) = &self.properties[property];
        let values: &[Value] = match vector {
            Vector::Constant(value) => std::slice::from_ref(value),
            Vector::Table(Cells::Array(array)) | Vector::Row(Cells::Array(array)) => {
                let some = array.null_count() < array.len();
                return Ok(some.then(|| column_type_of(array)).flatten());
            }
            Vector::Table(Cells::Values(values)) | Vector::Row(Cells::Values(values)) => values,
        };
        let Some(value) = values.iter().find(|value| !matches!(value, Value::Null)) else { return Ok(None) };
        match cell_of(value) {
            Some(cell) => Ok(cell.column_type()),
            None => Err(unsupported(operator, name, value)),
        }
    }

    /// A property as a column with one value per row.
    ///
    /// # Errors
    /// FailedPrecondition if it has a value of another type, Invalid if no column can hold one of its values.
    pub fn column(&self, operator: &str, property: usize, column_type: ColumnType) -> Result<ArrayRef> {
        let (name, vector) = &self.properties[property];
        match vector.rows(column_type, &self.tables)? {
            Some(array) => Ok(array),
            None => Err(self.other_type(operator, name, vector, column_type)),
        }
    }

    /// A property as a column with one value per segment of the chunk, if it does not differ within tables.
    ///
    /// # Errors
    /// As [`Columns::column`].
    pub fn key_column(&self, operator: &str, property: usize, column_type: ColumnType) -> Result<Option<ArrayRef>> {
        let (name, vector) = &self.properties[property];
        let array = match vector {
            Vector::Constant(value) => super::vector::constant(value, column_type, self.tables.count())?,
            Vector::Table(cells) => super::vector::as_column(cells, column_type)?,
            Vector::Row(_) => return Ok(None),
        };
        array.map(Some).ok_or_else(|| self.other_type(operator, name, vector, column_type))
    }

    fn other_type(&self, operator: &str, name: &str, vector: &Vector, expected: ColumnType) -> Error {
        let len = self.tables.len_at(vector.rate());
        for value in (0..len).map(|at| vector.value(at)) {
            match cell_of(&value).map(|cell| cell.column_type()) {
                None => return unsupported(operator, name, &value),
                Some(Some(found)) if found != expected => {
                    return Error::failed_precondition(format!(
                        "{operator} object property {name:?} is of type {} in some rows and {} in others",
                        expected.flux_name(),
                        found.flux_name()
                    ));
                }
                Some(_) => {}
            }
        }
        Error::internal(format!("{operator} object property {name:?} is no column of type {}", expected.flux_name()))
    }
}

fn column_type_of(array: &ArrayRef) -> Option<ColumnType> {
    use ColumnType::{Bool, Float, Int, String, Time, UInt};
    [Bool, Int, UInt, Float, String, Time].into_iter().find(|own| own.arrow() == *array.data_type())
}

fn unsupported(operator: &str, name: &str, value: &Value) -> Error {
    Error::invalid(format!(
        "{operator} object property {name:?} is {} type which is not supported in a flux table",
        value.type_name()
    ))
}
