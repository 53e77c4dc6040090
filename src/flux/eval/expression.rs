//! Expressions to values, one function per kind.
//!
//! Called by the other parts of the evaluator. What an operator does to values is in [`crate::flux::scalar`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::program::undefined;
use super::{Env, Evaluator, nesting};
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::scalar;
use crate::flux::value::{DictKey, Record};
use crate::syntax::ast::{Expr, ExprKind, Identifier, LogicalOperator, Property, StringPart};

impl Evaluator {
    /// The value of an expression; an error has the innermost place.
    pub(super) fn eval(&mut self, expr: &Expr, env: &mut Env<'_>) -> Result<Value> {
        self.enter()?;
        let value = self.eval_kind(expr, env);
        self.leave();
        value.map_err(|error| error.at(expr.span))
    }

    fn eval_kind(&mut self, expr: &Expr, env: &mut Env<'_>) -> Result<Value> {
        match &expr.kind {
            ExprKind::Identifier(name) => self.identifier(name, env),
            ExprKind::Integer(number) => Ok(Value::Int(*number)),
            ExprKind::Float(number) => Ok(Value::Float(*number)),
            ExprKind::String(text) => Ok(Value::String(Arc::clone(text))),
            ExprKind::Duration(duration) => Ok(Value::Duration(*duration)),
            ExprKind::Time(time_ns) => Ok(Value::Time(*time_ns)),
            ExprKind::Regexp(pattern) => self.pattern(pattern).map(Value::Regexp),
            ExprKind::Interpolated(parts) => self.interpolated(parts, env),
            ExprKind::Array(items) => self.array(items, env),
            ExprKind::Dict(entries) => self.dict(entries, env),
            ExprKind::Record { with, properties } => self.record(with.as_ref(), properties, env),
            ExprKind::Function(function) => self.closure(function, env),
            ExprKind::Call(call) => self.call(call, None, expr.span, env),
            ExprKind::Pipe { argument, call, call_span } => {
                let piped = self.eval(argument, env)?;
                self.call(call, Some(piped), *call_span, env).map_err(|error| error.at(*call_span))
            }
            ExprKind::Member { object, property, .. } => self.member(object, property, env),
            ExprKind::Index { array, index } => self.index(array, index, env),
            ExprKind::Unary { operator, operand } => {
                let operand = self.eval(operand, env)?;
                scalar::unary(*operator, &operand)
            }
            ExprKind::Binary { operator, left, right } => {
                let left = self.eval(left, env)?;
                let right = self.eval(right, env)?;
                scalar::binary(*operator, &left, &right)
            }
            ExprKind::Logical { operator, left, right } => self.logical(*operator, left, right, env),
            ExprKind::Conditional { test, consequent, alternate } => {
                // A condition that is null takes `else`.
                let condition = self.truth(test, "the condition of if", env)?;
                self.eval(if condition == Some(true) { consequent } else { alternate }, env)
            }
            ExprKind::Paren(inner) => self.eval(inner, env),
            ExprKind::Bad => Err(Error::invalid("invalid expression")),
        }
    }

    /// What a name stands for; `None` if nothing binds it.
    pub(super) fn lookup(&mut self, name: &str, env: &Env<'_>) -> Result<Option<Value>> {
        match env.local(name) {
            Some(value) => Ok(Some(value.clone())),
            None if env.captured.is_some() => Ok(None),
            None => self.global(name, env.statement),
        }
    }

    fn identifier(&mut self, name: &str, env: &Env<'_>) -> Result<Value> {
        self.lookup(name, env)?.ok_or_else(|| undefined(name))
    }

    /// An operand that must be a boolean or null.
    #[inline(never)]
    fn truth(&mut self, expr: &Expr, what: &str, env: &mut Env<'_>) -> Result<Option<bool>> {
        let value = self.eval(expr, env)?;
        scalar::truth(&value).map_err(|error| error.context(what).at(expr.span))
    }

    #[inline(never)]
    fn logical(&mut self, operator: LogicalOperator, left: &Expr, right: &Expr, env: &mut Env<'_>) -> Result<Value> {
        let (left_side, right_side) = match operator {
            LogicalOperator::And => ("the left operand of and", "the right operand of and"),
            LogicalOperator::Or => ("the left operand of or", "the right operand of or"),
        };
        let left = self.truth(left, left_side, env)?;
        if let Some(decided) = scalar::decided_by_left(operator, left) {
            return Ok(Value::Bool(decided));
        }
        let right = self.truth(right, right_side, env)?;
        Ok(scalar::from_truth(scalar::logical(operator, left, right)))
    }

    #[inline(never)]
    fn interpolated(&mut self, parts: &[StringPart], env: &mut Env<'_>) -> Result<Value> {
        let mut text = String::new();
        for part in parts {
            match part {
                StringPart::Text(literal) => text.push_str(literal),
                StringPart::Expr(expr) => {
                    let value = self.eval(expr, env)?;
                    let shown = scalar::interpolate(&value);
                    let shown = shown.map_err(|error| match described(expr) {
                        Some(name) => error.context(name).at(expr.span),
                        None => error.at(expr.span),
                    })?;
                    scalar::bounded_text(text.len() + shown.len()).map_err(|error| error.at(expr.span))?;
                    text.push_str(&shown);
                }
            }
        }
        Ok(Value::string(text))
    }

    #[inline(never)]
    fn array(&mut self, items: &[Expr], env: &mut Env<'_>) -> Result<Value> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.eval(item, env)?);
        }
        nesting::check(Value::Array(values.into()))
    }

    #[inline(never)]
    fn dict(&mut self, entries: &[(Expr, Expr)], env: &mut Env<'_>) -> Result<Value> {
        let mut values = BTreeMap::new();
        for (key_expr, value) in entries {
            let key = self.eval(key_expr, env)?;
            let key = DictKey::from_value(&key).ok_or_else(|| {
                Error::invalid(format!("{} cannot be the key of a dictionary", key.type_name())).at(key_expr.span)
            })?;
            values.insert(key, self.eval(value, env)?);
        }
        nesting::check(Value::Dict(Arc::new(values)))
    }

    #[inline(never)]
    fn record(&mut self, with: Option<&Identifier>, properties: &[Property], env: &mut Env<'_>) -> Result<Value> {
        let mut record = match with {
            None => Record { properties: Vec::with_capacity(properties.len()) },
            Some(with) => match self.identifier(&with.name, env).map_err(|error| error.at(with.span))? {
                Value::Record(record) => Record { properties: record.properties.clone() },
                other => {
                    let message = format!("expected record before with but found {}", other.type_name());
                    return Err(Error::invalid(message).at(with.span));
                }
            },
        };
        for property in properties {
            let value = self.eval(&property.value, env)?;
            record.set(Arc::clone(&property.name.name), value);
        }
        nesting::check(Value::Record(Arc::new(record)))
    }

    #[inline(never)]
    fn member(&mut self, object: &Expr, property: &Identifier, env: &mut Env<'_>) -> Result<Value> {
        if let ExprKind::Identifier(name) = &object.kind {
            if let Some(value) = env.local(name) {
                return property_of(value, &property.name);
            }
            let program = self.program.as_ref().filter(|_| env.captured.is_none());
            if let Some(path) = program.and_then(|program| program.import(name, env.statement)) {
                return self.member_of_import(&path, name, &property.name);
            }
        }
        let value = self.eval(object, env)?;
        property_of(&value, &property.name)
    }

    fn member_of_import(&mut self, path: &str, package: &str, name: &str) -> Result<Value> {
        if let Some(value) = self.member_of_package(path, name)? {
            return Ok(value);
        }
        let Some(members) = self.session.library.package(path) else {
            return Err(Error::invalid(format!("invalid import path {path}")));
        };
        let error = Error::invalid(format!("package {path} has no member {name}"));
        Err(match nearest(name, members.keys().map(|known| &**known)) {
            Some(near) => error.with_hint(format!("did you mean {package}.{near}?")),
            None => error,
        })
    }

    #[inline(never)]
    fn index(&mut self, array: &Expr, index: &Expr, env: &mut Env<'_>) -> Result<Value> {
        match (self.eval(array, env)?, self.eval(index, env)?) {
            (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
            (Value::Array(items), Value::Int(index)) => {
                let item = usize::try_from(index).ok().and_then(|index| items.get(index));
                item.cloned().ok_or_else(|| {
                    let length = items.len();
                    Error::out_of_range(format!("cannot access element {index} of array of length {length}"))
                })
            }
            (Value::Array(_), other) => {
                Err(Error::invalid(format!("expected int as an index but found {}", other.type_name())))
            }
            (Value::Record(_), _) => Err(Error::invalid("a property in brackets must be a string literal")
                .with_hint("write r[\"name\"] or r.name")),
            (Value::Dict(_), _) => {
                Err(Error::invalid("a dictionary has no index").with_hint("import \"dict\" and call dict.get"))
            }
            (other, _) => Err(Error::invalid(format!("expected array but found {}", other.type_name()))),
        }
    }
}

/// A property; null where the record has none of that name, and of null.
fn property_of(value: &Value, name: &str) -> Result<Value> {
    match value {
        Value::Record(record) => Ok(record.get(name).cloned().unwrap_or(Value::Null)),
        Value::Null => Ok(Value::Null),
        Value::Dynamic(inner) => match &**inner {
            Value::Record(record) => {
                Ok(record.get(name).cloned().unwrap_or_else(|| Value::Dynamic(Arc::new(Value::Null))))
            }
            other => {
                let found = other.type_name();
                Err(Error::invalid(format!("cannot access property {name:?} of a dynamic value that is {found}")))
            }
        },
        other => Err(Error::invalid(format!("expected record but found {} (property {name})", other.type_name()))),
    }
}

/// How a name or a property is written, for messages.
fn described(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Identifier(name) => Some(name.to_string()),
        ExprKind::Member { object, property, .. } => Some(format!("{}.{}", described(object)?, property.name)),
        ExprKind::Paren(inner) => described(inner),
        _ => None,
    }
}
