//! How deep values hold values: a bound, so that whoever walks or drops a value may recurse.
//!
//! Called wherever the evaluator makes a value out of others. A script could otherwise build a record a million levels
//! deep in twenty lines.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::value::{Function, Scope};

/// The most levels of arrays, records, dictionaries and closures within each other.
pub(super) const MAX_NESTING: u32 = 200;

/// Refuses a value that is nested too deep.
///
/// # Errors
/// ResourceExhausted.
pub(super) fn check(value: Value) -> Result<Value> {
    if holds_composites(&value) && levels(&value, MAX_NESTING, &mut HashMap::new()).is_none() {
        let message = format!("values are nested more than {MAX_NESTING} levels deep");
        return Err(Error::resource_exhausted(message));
    }
    Ok(value)
}

fn is_composite(value: &Value) -> bool {
    matches!(
        value,
        Value::Array(_) | Value::Dict(_) | Value::Record(_) | Value::Dynamic(_) | Value::Function(Function::Closure(_))
    )
}

/// Asked for every record that a row function makes, so without an allocation.
fn holds_composites(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(is_composite),
        Value::Dict(entries) => entries.values().any(is_composite),
        Value::Record(record) => record.properties.iter().any(|(_, value)| is_composite(value)),
        Value::Dynamic(inner) => is_composite(inner),
        Value::Function(Function::Closure(closure)) => captured(&closure.scope).any(is_composite),
        _ => false,
    }
}

/// The values that a value holds.
fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Dict(entries) => Box::new(entries.values()),
        Value::Record(record) => Box::new(record.properties.iter().map(|(_, value)| value)),
        Value::Dynamic(inner) => Box::new(std::iter::once(&**inner)),
        Value::Function(Function::Closure(closure)) => Box::new(captured(&closure.scope)),
        _ => Box::new(std::iter::empty()),
    }
}

fn captured(scope: &Scope) -> impl Iterator<Item = &Value> {
    std::iter::successors(Some(scope), |scope| scope.outer.as_deref()).flat_map(|scope| scope.names.values())
}

/// The number of levels of a value, `None` if it is more than `most`. What is shared is looked at once: the same value
/// in many places would otherwise be looked at exponentially often.
fn levels(value: &Value, most: u32, known: &mut HashMap<usize, u32>) -> Option<u32> {
    if !is_composite(value) {
        return Some(0);
    }
    let deepest = most.checked_sub(1)?;
    let address = match value {
        Value::Array(items) => Arc::as_ptr(items).addr(),
        Value::Dict(entries) => Arc::as_ptr(entries).addr(),
        Value::Record(record) => Arc::as_ptr(record).addr(),
        Value::Dynamic(inner) => Arc::as_ptr(inner).addr(),
        Value::Function(Function::Closure(closure)) => Arc::as_ptr(closure).addr(),
        _ => return Some(0),
    };
    if let Some(found) = known.get(&address) {
        return (*found <= most).then_some(*found);
    }
    let mut found = 0;
    for child in children(value) {
        found = found.max(levels(child, deepest, known)?);
    }
    known.insert(address, found + 1);
    Some(found + 1)
}
