//! The types of Flux as data: what a signature says, what the checker knows of an expression.
//!
//! Made by `signature` and by the checker, printed in messages and in the function reference. The evaluator never reads
//! a type. [`Type::Unknown`] fits everything: a false rejection breaks a working task, a miss only postpones an error.

use std::fmt;

use super::Value;
use crate::table::Name;

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// One of the nine basic types.
    Ground(Ground),
    /// A type variable of a signature: `A`.
    Var(Name),
    /// `[T]`.
    Array(Box<Type>),
    /// `[K: V]`.
    Dict(Box<Type>, Box<Type>),
    /// `{a: int}`, `{R with a: int}`.
    Record(Row),
    /// `(a: int, ?b: string, <-c: T) => R`.
    Function(Box<FunctionType>),
    /// `stream[T]`, `T` being the type of a row.
    Stream(Box<Type>),
    /// Nothing is known.
    Unknown,
}

/// A basic type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ground {
    /// `bool`.
    Bool,
    /// `int`.
    Int,
    /// `uint`.
    UInt,
    /// `float`.
    Float,
    /// `string`.
    String,
    /// `time`.
    Time,
    /// `duration`.
    Duration,
    /// `regexp`.
    Regexp,
    /// `bytes`.
    Bytes,
}

impl Ground {
    const ALL: [Ground; 9] = [
        Ground::Bool,
        Ground::Int,
        Ground::UInt,
        Ground::Float,
        Ground::String,
        Ground::Time,
        Ground::Duration,
        Ground::Regexp,
        Ground::Bytes,
    ];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Ground::Bool => "bool",
            Ground::Int => "int",
            Ground::UInt => "uint",
            Ground::Float => "float",
            Ground::String => "string",
            Ground::Time => "time",
            Ground::Duration => "duration",
            Ground::Regexp => "regexp",
            Ground::Bytes => "bytes",
        }
    }

    /// The basic type of a name.
    pub fn named(name: &str) -> Option<Ground> {
        Ground::ALL.into_iter().find(|ground| ground.name() == name)
    }
}

/// The properties of a record type.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Row {
    /// Names and types, in the order in which they were written.
    pub properties: Vec<(Name, Type)>,
    /// Further properties may exist: the variable before `with`.
    pub rest: Option<Name>,
}

impl Row {
    /// The type of a property.
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.properties.iter().find(|(own, _)| &**own == name).map(|(_, property)| property)
    }
}

/// The type of a function.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionType {
    /// The parameters, in order.
    pub parameters: Vec<ParameterType>,
    /// The type of the result.
    pub result: Type,
    /// `where A: Addable + Comparable`: variables and what must hold of them.
    pub constraints: Vec<(Name, Vec<Name>)>,
}

/// A parameter of a function type.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterType {
    /// The name; empty for the nameless pipe parameter `<-: T` of a function type.
    pub name: Name,
    /// Whether it must be given, and how.
    pub kind: ParameterKind,
    /// Its type.
    pub parameter_type: Type,
}

/// How a parameter gets its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// By name, always.
    Required,
    /// By name, or it keeps its default.
    Optional,
    /// From the left side of a pipe, or by name.
    Pipe,
}

impl FunctionType {
    /// How it is called, for messages: `range(<-tables: stream, start, ?stop)`. Types that say nothing are left out.
    pub fn brief(&self, name: &str) -> String {
        let parameters = self.parameters.iter().map(|parameter| {
            let mark = parameter.kind.mark();
            match parameter.parameter_type.brief() {
                Some(brief) => format!("{mark}{}: {brief}", parameter.name),
                None => format!("{mark}{}", parameter.name),
            }
        });
        format!("{name}({})", parameters.collect::<Vec<_>>().join(", "))
    }

    /// A parameter by name.
    pub fn parameter(&self, name: &str) -> Option<&ParameterType> {
        self.parameters.iter().find(|parameter| &*parameter.name == name)
    }

    /// The parameter that takes the left side of a pipe.
    pub fn pipe(&self) -> Option<&ParameterType> {
        self.parameters.iter().find(|parameter| parameter.kind == ParameterKind::Pipe)
    }
}

impl ParameterKind {
    /// As it is written before the parameter's name.
    pub fn mark(self) -> &'static str {
        match self {
            ParameterKind::Required => "",
            ParameterKind::Optional => "?",
            ParameterKind::Pipe => "<-",
        }
    }
}

impl Type {
    /// The type for messages, where variables and the columns of streams would only be noise; `None` if nothing is left.
    pub fn brief(&self) -> Option<String> {
        Some(match self {
            Type::Var(_) | Type::Unknown => return None,
            Type::Stream(_) => "stream".to_string(),
            Type::Array(item) => item.brief().map_or_else(|| "array".to_string(), |item| format!("[{item}]")),
            Type::Dict(..) => "dictionary".to_string(),
            Type::Record(row) if row.properties.is_empty() => "record".to_string(),
            Type::Function(function) => {
                let parameters = function.parameters.iter().map(|parameter| match &*parameter.name {
                    "" => "tables=<-".to_string(),
                    name => name.to_string(),
                });
                let parameters = parameters.collect::<Vec<_>>().join(", ");
                match function.result.brief() {
                    Some(result) => format!("({parameters}) => {result}"),
                    None => format!("({parameters}) => ..."),
                }
            }
            other => other.to_string(),
        })
    }

    /// The type of a value as far as it is known without looking at every element.
    pub fn of(value: &Value) -> Type {
        let ground = match value {
            Value::Bool(_) => Ground::Bool,
            Value::Int(_) => Ground::Int,
            Value::UInt(_) => Ground::UInt,
            Value::Float(_) => Ground::Float,
            Value::String(_) => Ground::String,
            Value::Time(_) => Ground::Time,
            Value::Duration(_) => Ground::Duration,
            Value::Regexp(_) => Ground::Regexp,
            Value::Bytes(_) => Ground::Bytes,
            Value::Array(items) => return Type::Array(Box::new(items.first().map_or(Type::Unknown, Type::of))),
            Value::Dict(_) => return Type::Dict(Box::new(Type::Unknown), Box::new(Type::Unknown)),
            Value::Record(record) => {
                let properties = record.properties.iter().map(|(name, value)| (name.clone(), Type::of(value)));
                return Type::Record(Row { properties: properties.collect(), rest: None });
            }
            Value::Stream(_) => return Type::Stream(Box::new(Type::Unknown)),
            Value::Null | Value::Dynamic(_) | Value::Function(_) | Value::Table(_) => return Type::Unknown,
        };
        Type::Ground(ground)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Ground(ground) => formatter.write_str(ground.name()),
            Type::Var(name) => formatter.write_str(name),
            Type::Array(item) => write!(formatter, "[{item}]"),
            Type::Dict(key, value) => write!(formatter, "[{key}: {value}]"),
            Type::Record(row) => row.fmt(formatter),
            Type::Function(function) => function.fmt(formatter),
            Type::Stream(row) => write!(formatter, "stream[{row}]"),
            Type::Unknown => formatter.write_str("?"),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{")?;
        if let Some(rest) = &self.rest {
            write!(formatter, "{rest} with ")?;
        }
        for (index, (name, property)) in self.properties.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}{name}: {property}")?;
        }
        formatter.write_str("}")
    }
}

impl fmt::Display for FunctionType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(")?;
        for (index, parameter) in self.parameters.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(formatter, "{comma}{parameter}")?;
        }
        write!(formatter, ") => {}", self.result)?;
        for (index, (name, kinds)) in self.constraints.iter().enumerate() {
            let before = if index > 0 { ", " } else { " where " };
            write!(formatter, "{before}{name}: {}", kinds.join(" + "))?;
        }
        Ok(())
    }
}

impl fmt::Display for ParameterType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}: {}", self.kind.mark(), self.name, self.parameter_type)
    }
}
