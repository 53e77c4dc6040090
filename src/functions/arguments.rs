//! Arguments of builtins as Rust values, with the messages for those of a wrong type.
//!
//! Used by the bodies of all builtins. The evaluator has checked the names already; types are checked here, since a
//! script may run before its types are known.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::Call;
use crate::flux::value::{Closure, Function, Record, Stream};
use crate::operators::Transform;
use crate::plan::Node;
use crate::plan::NodeKind;
use crate::table::Name;
use crate::time::Duration;

/// Reads arguments; every method names the argument in its error.
pub trait Arguments {
    /// A required string.
    fn string(&self, name: &str) -> Result<Name>;
    /// A string, if it was given.
    fn optional_string(&self, name: &str) -> Result<Option<Name>>;
    /// A required integer.
    fn int(&self, name: &str) -> Result<i64>;
    /// An integer, or the default.
    fn int_or(&self, name: &str, default: i64) -> Result<i64>;
    /// A required float.
    fn float(&self, name: &str) -> Result<f64>;
    /// A float, or the default.
    fn float_or(&self, name: &str, default: f64) -> Result<f64>;
    /// A boolean, or the default.
    fn bool_or(&self, name: &str, default: bool) -> Result<bool>;
    /// A required array of strings.
    fn strings(&self, name: &str) -> Result<Vec<Name>>;
    /// An array of strings, if it was given.
    fn optional_strings(&self, name: &str) -> Result<Option<Vec<Name>>>;
    /// A required duration.
    fn duration(&self, name: &str) -> Result<Duration>;
    /// A required array.
    fn array(&self, name: &str) -> Result<Arc<[Value]>>;
    /// A required record.
    fn record(&self, name: &str) -> Result<Arc<Record>>;
    /// A required function of either kind.
    fn function(&self, name: &str) -> Result<Function>;
    /// A required function that is written in Flux, as row functions must be.
    fn closure(&self, name: &str) -> Result<Arc<Closure>>;
    /// A function written in Flux, if one was given.
    fn optional_closure(&self, name: &str) -> Result<Option<Arc<Closure>>>;
    /// A required stream.
    fn stream(&self, name: &str) -> Result<Arc<Node>>;
    /// The error for an argument of another type than expected.
    fn mismatch(&self, name: &str, expected: &str, found: &Value) -> Error;
}

impl Arguments for Call<'_> {
    fn string(&self, name: &str) -> Result<Name> {
        match self.required(name)? {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.mismatch(name, "string", other)),
        }
    }

    fn optional_string(&self, name: &str) -> Result<Option<Name>> {
        match self.optional(name) {
            None => Ok(None),
            Some(_) => self.string(name).map(Some),
        }
    }

    fn int(&self, name: &str) -> Result<i64> {
        match self.required(name)? {
            Value::Int(number) => Ok(*number),
            other => Err(self.mismatch(name, "int", other)),
        }
    }

    fn int_or(&self, name: &str, default: i64) -> Result<i64> {
        match self.optional(name) {
            None => Ok(default),
            Some(_) => self.int(name),
        }
    }

    fn float(&self, name: &str) -> Result<f64> {
        match self.required(name)? {
            Value::Float(number) => Ok(*number),
            other => Err(self.mismatch(name, "float", other)),
        }
    }

    fn float_or(&self, name: &str, default: f64) -> Result<f64> {
        match self.optional(name) {
            None => Ok(default),
            Some(_) => self.float(name),
        }
    }

    fn bool_or(&self, name: &str, default: bool) -> Result<bool> {
        match self.optional(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(self.mismatch(name, "bool", other)),
        }
    }

    fn strings(&self, name: &str) -> Result<Vec<Name>> {
        let items = self.array(name)?;
        let mut strings = Vec::with_capacity(items.len());
        for item in items.iter() {
            match item {
                Value::String(text) => strings.push(text.clone()),
                other => return Err(self.mismatch(name, "an array of string", other)),
            }
        }
        Ok(strings)
    }

    fn optional_strings(&self, name: &str) -> Result<Option<Vec<Name>>> {
        match self.optional(name) {
            None => Ok(None),
            Some(_) => self.strings(name).map(Some),
        }
    }

    fn duration(&self, name: &str) -> Result<Duration> {
        match self.required(name)? {
            Value::Duration(duration) => Ok(*duration),
            other => Err(self.mismatch(name, "duration", other)),
        }
    }

    fn array(&self, name: &str) -> Result<Arc<[Value]>> {
        match self.required(name)? {
            Value::Array(items) => Ok(Arc::clone(items)),
            other => Err(self.mismatch(name, "array", other)),
        }
    }

    fn record(&self, name: &str) -> Result<Arc<Record>> {
        match self.required(name)? {
            Value::Record(record) => Ok(Arc::clone(record)),
            other => Err(self.mismatch(name, "record", other)),
        }
    }

    fn function(&self, name: &str) -> Result<Function> {
        match self.required(name)? {
            Value::Function(function) => Ok(function.clone()),
            other => Err(self.mismatch(name, "function", other)),
        }
    }

    fn closure(&self, name: &str) -> Result<Arc<Closure>> {
        match self.function(name)? {
            Function::Closure(closure) => Ok(closure),
            Function::Builtin(builtin) => Err(Error::unimplemented(format!(
                "argument {name} of {} as the function {}",
                self.builtin.name, builtin.name
            ))
            .with_hint(format!("write it as a function literal that calls {}", builtin.name))),
        }
    }

    fn optional_closure(&self, name: &str) -> Result<Option<Arc<Closure>>> {
        match self.optional(name) {
            None => Ok(None),
            Some(_) => self.closure(name).map(Some),
        }
    }

    fn stream(&self, name: &str) -> Result<Arc<Node>> {
        match self.required(name)? {
            Value::Stream(stream) => node(Arc::clone(stream)),
            other => Err(self.mismatch(name, "stream", other)),
        }
    }

    fn mismatch(&self, name: &str, expected: &str, found: &Value) -> Error {
        Error::invalid(format!(
            "expected {expected} but found {} (argument {name} of {})",
            found.type_name(),
            self.builtin.name
        ))
        .with_hint(format!("{}: {}", self.builtin.name, self.builtin.signature))
    }
}

/// A stream as the plan node that it is.
pub fn node(stream: Arc<dyn Stream>) -> Result<Arc<Node>> {
    stream.into_any().downcast::<Node>().map_err(|_| Error::internal("a stream that is not a plan node"))
}

/// A new node over inputs, as a value.
pub fn stream(kind: NodeKind, inputs: Vec<Arc<Node>>, call: &Call<'_>) -> Value {
    Value::Stream(Arc::new(Node { kind, inputs, span: call.span }))
}

/// A new node that runs an operator over one stream, as a value.
pub fn transform(transform: impl Transform + 'static, tables: Arc<Node>, call: &Call<'_>) -> Value {
    stream(NodeKind::Transform(Arc::new(transform)), vec![tables], call)
}

/// A new node that runs an operator over one stream, to be built upon.
pub fn append(transform: Arc<dyn Transform>, tables: Arc<Node>, call: &Call<'_>) -> Arc<Node> {
    Arc::new(Node { kind: NodeKind::Transform(transform), inputs: vec![tables], span: call.span })
}

/// A node as a value.
pub fn value(node: Arc<Node>) -> Value {
    Value::Stream(node)
}

/// A new node that runs an operator over one stream: for functions that are several operators.
pub fn transform_node(transform: impl Transform + 'static, tables: Arc<Node>, call: &Call<'_>) -> Arc<Node> {
    Arc::new(Node { kind: NodeKind::Transform(Arc::new(transform)), inputs: vec![tables], span: call.span })
}

/// The argument `columns`, or `_value` alone.
pub fn columns_or_value(call: &Call<'_>) -> Result<Vec<Name>> {
    Ok(call.optional_strings("columns")?.unwrap_or_else(|| vec!["_value".into()]))
}

/// A unit of time in nanoseconds, a month as its mean length; a second if it is not given.
pub fn unit_ns(call: &Call<'_>, name: &str) -> Result<i64> {
    if call.optional(name).is_none() {
        return Ok(1_000_000_000);
    }
    Ok(call.duration(name)?.flat_nanoseconds())
}

/// Whether an argument is null: most functions of single values give null for null.
pub fn is_null(call: &Call<'_>, name: &str) -> bool {
    matches!(call.optional(name), Some(Value::Null))
}

/// Whether one of the arguments is null: functions of single values then give null.
pub fn any_null(call: &Call<'_>) -> bool {
    call.arguments.iter().any(|(_, value)| matches!(value, Value::Null))
}

/// A time: the argument itself, or `now` plus it where it is a duration.
pub fn timeable(call: &mut Call<'_>, name: &str) -> Result<i64> {
    match call.required(name)? {
        Value::Time(time_ns) => Ok(*time_ns),
        Value::Duration(duration) => {
            let duration = *duration;
            let now_ns = call.host.now_ns()?;
            let outside = || Error::invalid(format!("argument {name} leads out of the years 1677 to 2262"));
            duration.checked_add_to(now_ns).ok_or_else(outside)
        }
        other => Err(call.mismatch(name, "time or duration", other)),
    }
}
