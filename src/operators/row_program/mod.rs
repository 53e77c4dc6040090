//! Row functions: `fn: (r) => ...` specialised for the columns of a shape and run over whole chunks.
//!
//! Called by `filter`, `map` and their like. A function is compiled once per shape (`compile`) into nodes whose types
//! and rates are known; `eval` runs them over the columns of a chunk: what depends on the key only once per table, what
//! depends on nothing once. What has no vector form calls the language's evaluator, row by row. The meaning of every
//! operator is that of [`crate::flux::scalar`]; a property test compares both ways. `and`, `or` and `if` evaluate their
//! sides only where they count, so that an error on a side that does not count is none.

mod builtins;
mod compile;
mod eval;
mod inline;
mod kernels;
mod node;
mod predicate;
mod record;
mod reduce;
mod scalars;
mod vector;

use std::sync::Arc;

pub use node::{Rate, ValueType};
pub use predicate::{PredicateProgram, conjuncts, part_of};
pub use record::{Columns, Property, RecordProgram};
pub use reduce::{Accumulators, ReduceProgram};
pub use vector::{Cells, Tables, Vector};

use crate::error::{Error, ErrorKind};
use crate::flux::Value;
use crate::flux::host::{Host, RowHosts};
use crate::flux::value::{Closure, Function, Record};
use crate::table::{Cell, Chunk, ColumnView, Name, Place};

/// The parameter that the row has in every row function.
const ROW: &str = "r";

/// A function that is called for every row, with what it takes to call it.
#[derive(Clone, Debug)]
pub struct RowFunction {
    /// The function.
    pub closure: Arc<Closure>,
    /// Makes the host that calls it.
    pub hosts: Arc<dyn RowHosts>,
}

/// The value of a cell.
pub fn value_of(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(value) => Value::Bool(value),
        Cell::Int(value) => Value::Int(value),
        Cell::UInt(value) => Value::UInt(value),
        Cell::Float(value) => Value::Float(value),
        Cell::String(value) => Value::string(value),
        Cell::Time(value) => Value::Time(value),
    }
}

/// The cell of a value; `None` for values that no column can hold.
pub fn cell_of(value: &Value) -> Option<Cell<'_>> {
    Some(match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Bool(*value),
        Value::Int(value) => Cell::Int(*value),
        Value::UInt(value) => Cell::UInt(*value),
        Value::Float(value) => Cell::Float(*value),
        Value::String(value) => Cell::String(value),
        Value::Time(value) => Cell::Time(*value),
        _ => return None,
    })
}

/// The value of a column in a row of a chunk.
fn value_at(chunk: &Chunk, place: Place, key_row: usize, row: usize) -> Value {
    value_of(match place {
        Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]).cell(key_row),
        Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]).cell(row),
    })
}

/// A row of a chunk as a record.
pub fn record_at(chunk: &Chunk, key_row: usize, row: usize) -> Value {
    let columns = chunk.shape.columns.iter();
    let properties = columns.map(|column| (column.name.clone(), value_at(chunk, column.place, key_row, row)));
    Value::Record(Arc::new(Record { properties: properties.collect() }))
}

/// The error that the functions, called one after the other for one row after the other, meet first; so that the error
/// which a user sees does not depend on how rows were cut into chunks. A function that gives something else than `true`
/// ends its row.
fn first_error(functions: &[Function], chunk: &Chunk, host: &mut (dyn Host + Send)) -> Option<Error> {
    for (segment, rows) in chunk.tables() {
        for row in rows {
            let record = record_at(chunk, segment.key_row as usize, row);
            for function in functions {
                match host.call(function, vec![(ROW.into(), record.clone())]) {
                    Ok(Value::Bool(true)) => {}
                    Ok(_) => break,
                    Err(error) => return Some(error),
                }
            }
        }
    }
    None
}

/// The error of a program with the words that tell which operator failed.
fn failed(operator: &str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Canceled | ErrorKind::ResourceExhausted => error,
        _ => error.context(format_args!("failed to evaluate {operator} function")),
    }
}

/// A function of the name by which it is known in messages.
fn not_a_row_function(operator: &str) -> Error {
    Error::invalid(format!("the function of {operator} has to take the row as its parameter {ROW}"))
        .with_hint(format!("{operator}(fn: (r) => ...)"))
}

type RowHost = Box<dyn Host + Send>;

fn names<T>(pairs: &[(Name, T)]) -> impl Iterator<Item = &str> {
    pairs.iter().map(|(name, _)| &**name)
}
