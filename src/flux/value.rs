//! Run-time values of Flux.
//!
//! Made by the evaluator and by builtins, read by both and by row programs. A stream is opaque here: the plan node behind
//! it is known to `functions` and `plan` only.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::builtin::Builtin;
use crate::syntax::ast::FunctionExpr;
use crate::table::{Chunk, Name};
use crate::time::Duration;

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// Null (of any type).
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// An unsigned 64-bit integer.
    UInt(u64),
    /// A 64-bit float.
    Float(f64),
    /// A string.
    String(Arc<str>),
    /// Nanoseconds since the epoch.
    Time(i64),
    /// A duration.
    Duration(Duration),
    /// A compiled regular expression.
    Regexp(Arc<regex::Regex>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// An array.
    Array(Arc<[Value]>),
    /// A dictionary, ordered by key.
    Dict(Arc<BTreeMap<DictKey, Value>>),
    /// A record.
    Record(Arc<Record>),
    /// A value whose type is known at run time only; what it holds is dynamic, too.
    Dynamic(Arc<Value>),
    /// A function.
    Function(Function),
    /// A stream of tables: not run yet.
    Stream(Arc<dyn Stream>),
    /// One table that has been read (`tableFind`).
    Table(Arc<Vec<Chunk>>),
}

/// A key of a dictionary: the comparable values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DictKey {
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A float, by its total order.
    Float(u64),
    /// A string.
    String(Arc<str>),
    /// A time.
    Time(i64),
}

impl DictKey {
    /// The key that a value is; `None` for null and for what cannot be a key. Zeros of either sign are one key, and all
    /// NaN are one.
    pub fn from_value(value: &Value) -> Option<DictKey> {
        Some(match value {
            Value::Bool(truth) => DictKey::Bool(*truth),
            Value::Int(number) => DictKey::Int(*number),
            Value::UInt(number) => DictKey::UInt(*number),
            Value::Float(number) => {
                let number = if number.is_nan() { f64::NAN } else { number + 0.0 };
                let bits = number.to_bits();
                // Positive floats order as their bits do; of negative ones all bits are turned round.
                DictKey::Float(if number.is_sign_negative() { !bits } else { bits | 1 << 63 })
            }
            Value::String(text) => DictKey::String(Arc::clone(text)),
            Value::Time(time_ns) => DictKey::Time(*time_ns),
            _ => return None,
        })
    }

    /// The key as a value again.
    pub fn to_value(&self) -> Value {
        match self {
            DictKey::Bool(truth) => Value::Bool(*truth),
            DictKey::Int(number) => Value::Int(*number),
            DictKey::UInt(number) => Value::UInt(*number),
            DictKey::Float(order) => {
                let bits = if order >> 63 == 1 { order & !(1 << 63) } else { !order };
                Value::Float(f64::from_bits(bits))
            }
            DictKey::String(text) => Value::String(Arc::clone(text)),
            DictKey::Time(time_ns) => Value::Time(*time_ns),
        }
    }
}

/// A record: properties in the order in which they were written.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Names and values; names are unique.
    pub properties: Vec<(Name, Value)>,
}

impl Record {
    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.properties.iter().find(|(own, _)| &**own == name).map(|(_, value)| value)
    }

    /// Sets a property: in place if it is there, else at the end.
    pub fn set(&mut self, name: Name, value: Value) {
        match self.properties.iter_mut().find(|(own, _)| *own == name) {
            Some((_, old)) => *old = value,
            None => self.properties.push((name, value)),
        }
    }
}

/// A function value.
#[derive(Clone, Debug)]
pub enum Function {
    /// Written in Flux.
    Closure(Arc<Closure>),
    /// Written in Rust.
    Builtin(&'static Builtin),
}

/// A function literal with the scope it was made in.
#[derive(Debug)]
pub struct Closure {
    /// Parameters and body.
    pub function: Arc<FunctionExpr>,
    /// The names visible where it stands.
    pub scope: Arc<Scope>,
}

/// Names visible at a place, innermost first. Never changed after it is shared.
#[derive(Debug, Default)]
pub struct Scope {
    /// The names bound in this block.
    pub names: indexmap::IndexMap<Name, Value>,
    /// The block around it.
    pub outer: Option<Arc<Scope>>,
}

impl Scope {
    /// The value of a name, from the innermost block outwards.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.names.get(name) {
                return Some(value);
            }
            scope = scope.outer.as_deref()?;
        }
    }
}

/// A stream of tables as the language sees it: something to hand from function to function.
///
/// The only implementation is `plan::Node`; builtins downcast through [`Stream::as_any`].
pub trait Stream: Any + Send + Sync + fmt::Debug {
    /// For downcasting.
    fn as_any(&self) -> &dyn Any;
    /// For downcasting, shared.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl Value {
    /// The name of its type in messages: `int`, `string`, `record`, `function`, `stream`, ...
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::UInt(_) => "uint",
            Value::Float(_) => "float",
            Value::String(_) => "string",
            Value::Time(_) => "time",
            Value::Duration(_) => "duration",
            Value::Regexp(_) => "regexp",
            Value::Bytes(_) => "bytes",
            Value::Array(_) => "array",
            Value::Dict(_) => "dictionary",
            Value::Record(_) => "record",
            Value::Dynamic(_) => "dynamic",
            Value::Function(_) => "function",
            Value::Stream(_) => "stream",
            Value::Table(_) => "table",
        }
    }

    /// A string value.
    pub fn string(text: impl Into<Arc<str>>) -> Value {
        Value::String(text.into())
    }

    /// A record from properties in order.
    pub fn record<N: Into<Name>>(properties: impl IntoIterator<Item = (N, Value)>) -> Value {
        Value::Record(Arc::new(Record {
            properties: properties.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn float_keys_order_by_value_and_come_back() {
        let numbers = [f64::NEG_INFINITY, -1.5, -1e-300, 0.0, 1e-300, 2.0, f64::INFINITY];
        let keys: Vec<_> = numbers.iter().map(|number| DictKey::from_value(&Value::Float(*number)).unwrap()).collect();
        assert!(keys.is_sorted());
        for (number, key) in numbers.iter().zip(&keys) {
            assert!(matches!(key.to_value(), Value::Float(back) if back == *number));
        }
        let key = |number| DictKey::from_value(&Value::Float(number));
        assert_eq!(key(-0.0), key(0.0));
        assert_eq!(key(f64::NAN), key(-f64::NAN));
        assert_eq!(DictKey::from_value(&Value::Null), None);
    }
}
