//! The types of expressions, forward from literals and signatures; on the way every expression is checked.

use std::collections::HashSet;

use indexmap::IndexMap;

use super::{Bound, Checker};
use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::flux::call_errors::kind_of;
use crate::flux::types::{FunctionType, Ground, ParameterType, Row, Type};
use crate::syntax::ast::{Expr, ExprKind, FunctionBody, FunctionExpr, Identifier, ParameterKind, Property, StringPart};
use crate::table::Name;

/// A type with more parts than this is not followed any further: a script can double one with every line.
const MAX_PARTS: usize = 500;

impl<'a> Checker<'a> {
    /// The type of an expression, as far as it is known.
    pub(super) fn infer(&mut self, expr: &'a Expr) -> Type {
        match &expr.kind {
            ExprKind::Identifier(name) => self.identifier(name, expr.span),
            ExprKind::Integer(_) => Type::Ground(Ground::Int),
            ExprKind::Float(_) => Type::Ground(Ground::Float),
            ExprKind::String(_) => Type::Ground(Ground::String),
            ExprKind::Duration(_) => Type::Ground(Ground::Duration),
            ExprKind::Time(_) => Type::Ground(Ground::Time),
            ExprKind::Regexp(_) => Type::Ground(Ground::Regexp),
            ExprKind::Interpolated(parts) => {
                for part in parts {
                    if let StringPart::Expr(part) = part {
                        self.must_have_text(part);
                    }
                }
                Type::Ground(Ground::String)
            }
            ExprKind::Array(items) => {
                let item = self.common(items.iter());
                bounded(Type::Array(Box::new(item)))
            }
            ExprKind::Dict(entries) => {
                let key = self.common(entries.iter().map(|(key, _)| key));
                let value = self.common(entries.iter().map(|(_, value)| value));
                bounded(Type::Dict(Box::new(key), Box::new(value)))
            }
            ExprKind::Record { with, properties } => self.record(with.as_ref(), properties),
            ExprKind::Function(function) => self.function(function),
            ExprKind::Call(call) => self.call(call, None, expr.span),
            ExprKind::Pipe { argument, call, call_span } => {
                let piped = self.infer(argument);
                self.call(call, Some((argument, piped)), *call_span)
            }
            ExprKind::Member { object, property, .. } => self.member(object, property),
            ExprKind::Index { array, index } => self.index(array, index),
            ExprKind::Unary { operator, operand } => self.unary(*operator, operand, expr.span),
            ExprKind::Binary { operator, left, right } => self.binary(*operator, left, right, expr.span),
            ExprKind::Logical { operator, left, right } => self.logical(*operator, left, right),
            ExprKind::Conditional { test, consequent, alternate } => {
                self.must_be_bool(test, "the condition of if");
                let consequent = self.infer(consequent);
                let alternate = self.infer(alternate);
                if consequent == alternate { consequent } else { Type::Unknown }
            }
            ExprKind::Paren(inner) => self.infer(inner),
            ExprKind::Bad => Type::Unknown,
        }
    }

    /// The type that all expressions have, if they have one.
    fn common(&mut self, exprs: impl Iterator<Item = &'a Expr>) -> Type {
        let mut common = None;
        for expr in exprs {
            let found = self.infer(expr);
            common = match common {
                None => Some(found),
                Some(common) if common == found => Some(common),
                Some(_) => Some(Type::Unknown),
            };
        }
        common.unwrap_or(Type::Unknown)
    }

    fn record(&mut self, with: Option<&'a Identifier>, properties: &'a [Property]) -> Type {
        let mut row = Row::default();
        if let Some(with) = with {
            match self.identifier(&with.name, with.span) {
                Type::Record(base) => row = base,
                Type::Unknown | Type::Var(_) => row.rest = Some("R".into()),
                other => {
                    row.rest = Some("R".into());
                    let message = format!("expected record before with but found {}", shown(&other));
                    self.report(Diagnostic::error("type-mismatch", message, with.span));
                }
            }
        }
        let mut seen: HashSet<&str> = HashSet::new();
        for property in properties {
            let found = self.infer(&property.value);
            let name = &property.name;
            if !seen.insert(&name.name) {
                let message = format!("duplicate key in object: \"{}\"", name.name);
                self.report(Diagnostic::warning("duplicate-property", message, name.span).label("the last one counts"));
            }
            match row.properties.iter_mut().find(|(own, _)| *own == name.name) {
                Some((_, old)) => *old = found,
                None => row.properties.push((Name::clone(&name.name), found)),
            }
        }
        bounded(Type::Record(row))
    }

    /// The type of a function literal: names and kinds of its parameters, and its result where that is known. Types of
    /// parameters are not: a default does not pin one.
    fn function(&mut self, function: &'a FunctionExpr) -> Type {
        let mut parameters = Vec::new();
        let mut scope = IndexMap::new();
        for parameter in &function.parameters {
            if let ParameterKind::Optional(default) = &parameter.kind {
                self.infer(default);
            }
            let name = Name::clone(&parameter.name.name);
            let bound = Bound { bound_type: Type::Unknown, span: None, is_option: false };
            if scope.insert(Name::clone(&name), bound).is_some() {
                let message = format!("duplicate parameter {name}");
                self.report(Diagnostic::error("duplicate-parameter", message, parameter.name.span));
            }
            parameters.push(ParameterType { name, kind: kind_of(&parameter.kind), parameter_type: Type::Unknown });
        }
        self.scopes.push(scope);
        let result = match &function.body {
            FunctionBody::Expression(body) => self.infer(body),
            FunctionBody::Block(statements) => self.statements(statements, false),
        };
        self.scopes.pop();
        bounded(Type::Function(Box::new(FunctionType { parameters, result, constraints: Vec::new() })))
    }

    fn member(&mut self, object: &'a Expr, property: &'a Identifier) -> Type {
        if let ExprKind::Identifier(name) = &object.kind
            && let Some(path) = self.import(name)
        {
            return self.member_of_import(path, name, property);
        }
        match self.infer(object) {
            Type::Record(row) => match row.get(&property.name) {
                Some(found) => found.clone(),
                None => {
                    if row.rest.is_none() {
                        self.missing_label(&row, property);
                    }
                    Type::Unknown
                }
            },
            Type::Unknown | Type::Var(_) => Type::Unknown,
            other => {
                let message = format!("expected record but found {} (property {})", shown(&other), property.name);
                let diagnostic = Diagnostic::error("type-mismatch", message, object.span);
                self.report(match other {
                    Type::Dict(..) => diagnostic.help("import \"dict\" and call dict.get"),
                    _ => diagnostic,
                });
                Type::Unknown
            }
        }
    }

    fn missing_label(&mut self, row: &Row, property: &Identifier) {
        let message = format!("record is missing label {}", property.name);
        let diagnostic = Diagnostic::error("missing-label", message, property.span);
        let known = || row.properties.iter().map(|(name, _)| &**name);
        self.report(match nearest(&property.name, known()) {
            Some(near) => diagnostic.help(format!("did you mean {near}?")),
            None if row.properties.is_empty() => diagnostic,
            None => diagnostic.help(format!("it has {}", known().collect::<Vec<_>>().join(", "))),
        });
    }

    fn index(&mut self, array: &'a Expr, index: &'a Expr) -> Type {
        let found = self.infer(array);
        let place = self.infer(index);
        let mismatch = |expected: &str, found: &Type, span: Span| {
            Diagnostic::error("type-mismatch", format!("expected {expected} but found {}", shown(found)), span)
        };
        match (found, &place) {
            (Type::Array(item), Type::Ground(Ground::Int) | Type::Unknown | Type::Var(_)) => *item,
            (Type::Array(item), other) => {
                self.report(mismatch("int as an index", other, index.span));
                *item
            }
            (Type::Unknown | Type::Var(_), _) => Type::Unknown,
            (other, _) => {
                let diagnostic = mismatch("array", &other, array.span);
                self.report(match other {
                    Type::Record(_) => diagnostic.help("a property in brackets must be a string literal"),
                    Type::Dict(..) => diagnostic.help("import \"dict\" and call dict.get"),
                    _ => diagnostic,
                });
                Type::Unknown
            }
        }
    }
}

fn shown(found: &Type) -> String {
    found.brief().unwrap_or_default()
}

/// The type, or nothing known of it if it is too large to carry on.
fn bounded(found: Type) -> Type {
    if parts(&found) > MAX_PARTS { Type::Unknown } else { found }
}

fn parts(found: &Type) -> usize {
    1 + match found {
        Type::Array(item) | Type::Stream(item) => parts(item),
        Type::Dict(key, value) => parts(key) + parts(value),
        Type::Record(row) => row.properties.iter().map(|(_, property)| parts(property)).sum(),
        Type::Function(function) => {
            let parameters = function.parameters.iter().map(|parameter| parts(&parameter.parameter_type));
            parameters.sum::<usize>() + parts(&function.result)
        }
        Type::Ground(_) | Type::Var(_) | Type::Unknown => 0,
    }
}
