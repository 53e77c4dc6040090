//! The `fieldFn` of `to()`: which columns its body reads, and the fields it makes of a row.
//!
//! Used by `to` alone. A string column that becomes a field must not become a tag as well.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::host::Host;
use crate::flux::value::{Function, Record};
use crate::name::Name;
use crate::plan::RowFunction;
use crate::point::FieldValue;
use crate::syntax::ast::{Expr, ExprKind, FunctionExpr};
use crate::syntax::visit;
use crate::table::{Cell, Chunk, ColumnView, Place, Segment};

/// A `fieldFn` with a host of its own.
pub struct FieldFn {
    function: Function,
    parameter: Name,
    host: Box<dyn Host + Send>,
}

impl FieldFn {
    /// A caller of the function.
    pub fn new(function: &RowFunction) -> Result<FieldFn> {
        let Some(parameter) = function.closure.function.parameters.first() else {
            return Err(Error::invalid("fieldFn of to has no parameter").with_hint("write fieldFn: (r) => ({...})"));
        };
        Ok(FieldFn {
            function: Function::Closure(Arc::clone(&function.closure)),
            parameter: parameter.name.name.clone(),
            host: function.hosts.host(),
        })
    }

    /// The fields of a row, in the order of the record. Nulls and floats that are not finite make none.
    pub fn fields(&mut self, chunk: &Chunk, segment: &Segment, row: usize) -> Result<Vec<(Name, FieldValue)>> {
        let mut record = Record::default();
        for column in &chunk.shape.columns {
            let cell = match column.place {
                Place::Key(place) => {
                    ColumnView::of(chunk.keys.columns[place as usize].as_ref()).cell(segment.key_row as usize)
                }
                Place::Row(place) => ColumnView::of(chunk.rows[place as usize].as_ref()).cell(row),
            };
            record.properties.push((column.name.clone(), value(cell)));
        }
        let arguments = vec![(self.parameter.clone(), Value::Record(Arc::new(record)))];
        let made = self.host.call(&self.function, arguments).map_err(|error| error.context("fieldFn of to"))?;
        let Value::Record(made) = made else {
            return Err(Error::invalid(format!("fieldFn of to must return a record, got {}", made.type_name()))
                .with_hint("write a record in parentheses: fieldFn: (r) => ({name: r.name})"));
        };
        let mut fields: Vec<(Name, FieldValue)> = Vec::with_capacity(made.properties.len());
        for (name, value) in &made.properties {
            let Some(value) = field_value(name, value)? else { continue };
            if name.is_empty() {
                return Err(Error::failed_precondition("all fields must have non-empty names"));
            }
            fields.push((name.clone(), value));
        }
        Ok(fields)
    }
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(value) => Value::Bool(value),
        Cell::Int(value) => Value::Int(value),
        Cell::UInt(value) => Value::UInt(value),
        Cell::Float(value) => Value::Float(value),
        Cell::String(value) => Value::String(value.into()),
        Cell::Time(value) => Value::Time(value),
    }
}

fn field_value(name: &str, value: &Value) -> Result<Option<FieldValue>> {
    Ok(match value {
        Value::Null => None,
        Value::Bool(value) => Some(FieldValue::Bool(*value)),
        Value::Int(value) => Some(FieldValue::Int(*value)),
        Value::UInt(value) => Some(FieldValue::UInt(*value)),
        Value::Float(value) => value.is_finite().then_some(FieldValue::Float(*value)),
        Value::String(value) => Some(FieldValue::String(value.clone())),
        Value::Time(value) => Some(FieldValue::Int(*value)),
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
