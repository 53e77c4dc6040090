//! The `fieldFn` of `to()`: which columns its body reads, and the fields it makes of a row.
//!
//! Used by `to` alone. A string column that becomes a field must not become a tag as well.

use std::collections::HashSet;
use std::sync::Arc;

use super::to::Cells;
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::host::Host;
use crate::flux::value::{Function, Record};
use crate::name::Name;
use crate::operators::row_program::{Columns, RecordProgram, record_at};
use crate::plan::RowFunction;
use crate::point::FieldValue;
use crate::syntax::ast::{Expr, ExprKind, FunctionExpr};
use crate::syntax::visit;
use crate::table::{Chunk, Shape};

/// What it is called in messages.
const NAME: &str = "fieldFn of to";

/// A `fieldFn` with a host of its own.
pub struct FieldFn {
    function: RowFunction,
    parameter: Name,
    host: Box<dyn Host + Send>,
    /// For the shape that came last; `None` if only the evaluator can call it.
    program: Option<(Arc<Shape>, Option<RecordProgram>)>,
}

/// What a `fieldFn` makes of the rows of a chunk.
pub enum Made {
    /// All of it, property by property.
    Columns(Columns),
    /// The evaluator is asked for each row.
    ByRow,
}

impl FieldFn {
    /// A caller of the function.
    pub fn new(function: &RowFunction) -> Result<FieldFn> {
        let Some(parameter) = function.closure.function.parameters.first() else {
            return Err(Error::invalid("fieldFn of to has no parameter").with_hint("write fieldFn: (r) => ({...})"));
        };
        Ok(FieldFn {
            function: function.clone(),
            parameter: parameter.name.name.clone(),
            host: function.hosts.host(),
            program: None,
        })
    }

    /// What it makes of a chunk, as far as that can be said of all rows at once. It raises nothing: whether an error counts
    /// depends on the row, for some rows are passed over.
    pub fn of_chunk(&mut self, chunk: &Chunk) -> Made {
        let shape = &chunk.shape;
        let program = match self.program.take() {
            Some((own, program)) if Arc::ptr_eq(&own, shape) => program,
            _ => RecordProgram::compile(NAME, &self.function, shape)
                .ok()
                .filter(|program| program.properties().is_some()),
        };
        let (_, program) = self.program.insert((Arc::clone(shape), program));
        match program.as_ref().map(|program| program.columns(NAME, chunk, &mut self.host)) {
            Some(Ok(columns)) => Made::Columns(columns),
            Some(Err(_)) | None => Made::ByRow,
        }
    }

    /// The fields of a row, in the order of the record. Nulls and floats that are not finite make none.
    pub fn fields(&mut self, made: &Made, cells: &Cells<'_>) -> Result<Vec<(Name, FieldValue)>> {
        match made {
            Made::Columns(columns) => {
                let value = |at| columns.value(at, cells.table, cells.row);
                fields_of(columns.properties.iter().enumerate().map(|(at, (name, _))| (name, value(at))))
            }
            Made::ByRow => {
                let record = self.record(cells)?;
                fields_of(record.properties.iter().map(|(name, value)| (name, value.clone())))
            }
        }
    }

    /// What the evaluator makes of a row.
    fn record(&mut self, cells: &Cells<'_>) -> Result<Arc<Record>> {
        let row = record_at(cells.chunk, cells.segment.key_row as usize, cells.row);
        let function = Function::Closure(Arc::clone(&self.function.closure));
        let made = self.host.call(&function, vec![(self.parameter.clone(), row)]);
        match made.map_err(|error| error.context(NAME))? {
            Value::Record(made) => Ok(made),
            other => Err(Error::invalid(format!("{NAME} must return a record, got {}", other.type_name()))
                .with_hint("write a record in parentheses: fieldFn: (r) => ({name: r.name})")),
        }
    }
}

/// Properties as fields.
fn fields_of<'a>(properties: impl ExactSizeIterator<Item = (&'a Name, Value)>) -> Result<Vec<(Name, FieldValue)>> {
    let mut fields = Vec::with_capacity(properties.len());
    for (name, value) in properties {
        let Some(value) = field_value(name, value)? else { continue };
        if name.is_empty() {
            return Err(Error::failed_precondition("all fields must have non-empty names"));
        }
        fields.push((name.clone(), value));
    }
    Ok(fields)
}

fn field_value(name: &str, value: Value) -> Result<Option<FieldValue>> {
    Ok(match value {
        Value::Null => None,
        Value::Bool(value) => Some(FieldValue::Bool(value)),
        Value::Int(value) => Some(FieldValue::Int(value)),
        Value::UInt(value) => Some(FieldValue::UInt(value)),
        Value::Float(value) => value.is_finite().then_some(FieldValue::Float(value)),
        Value::String(value) => Some(FieldValue::String(value)),
        Value::Time(value) => Some(FieldValue::Int(value)),
        other => {
            return Err(Error::invalid(format!("unsupported field type {} for field {name:?}", other.type_name()))
                .with_hint("a field is a bool, int, uint, float, string or time"));
        }
    })
}

/// The columns that the body reads as members of the function's parameter: `r.fuel`, `r["fuel"]`.
pub fn columns_read(function: &FunctionExpr) -> HashSet<Arc<str>> {
    let mut columns = HashSet::new();
    let Some(row) = function.parameters.first() else { return columns };
    visit::function(function, &mut |expr| {
        if let ExprKind::Member { object, property, .. } = &expr.kind
            && matches!(&without_parens(object).kind, ExprKind::Identifier(name) if *name == row.name.name)
        {
            columns.insert(property.name.clone());
        }
        true
    });
    columns
}

fn without_parens(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}
