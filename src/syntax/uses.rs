//! Where code uses names from outside of itself: what a closure takes along, and what a session looks at when it joins texts.
//!
//! Called by `flux` and by the REPL's sessions. Lexical scope as the evaluator has it: parameters and names of blocks hide
//! outer ones (flux-semantics 2.4).

use std::sync::Arc;

use super::ast::{
    CallExpr, Expr, ExprKind, FunctionBody, FunctionExpr, ParameterKind, Property, Statement, StringPart,
};
use crate::diagnostic::Span;

/// A place where a name is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The name.
    pub name: Arc<str>,
    /// Its place.
    pub span: Span,
    /// It stands for both name and value of a property: `{a}` is `{a: a}`.
    pub shorthand: bool,
    /// Of a shorthand, all properties around it, itself included: either all of them are shorthands or none.
    pub siblings: Vec<(Arc<str>, Span)>,
}

/// The names that a statement of a file uses and does not bind within itself, in the order of the text.
pub fn of_statement(statement: &Statement) -> Vec<Use> {
    let mut walk = Walk::default();
    match statement {
        Statement::Expression(expr) | Statement::Return { value: expr, .. } => walk.expr(expr),
        Statement::Variable(assignment) => walk.expr(&assignment.value),
        Statement::Option(option) => {
            if let Some(package) = &option.package {
                walk.name(&package.name, package.span);
            }
            walk.expr(&option.value);
        }
        Statement::TestCase(case) => walk.block(&case.body),
        Statement::Builtin { .. } | Statement::Bad(_) => {}
    }
    walk.found
}

/// The names that a function uses and does not bind itself, in the order of the text.
pub fn of_function(function: &FunctionExpr) -> Vec<Use> {
    let mut walk = Walk::default();
    walk.function(function);
    walk.found
}

/// The names that an expression uses and does not bind itself, in the order of the text.
pub fn of_expr(expr: &Expr) -> Vec<Use> {
    let mut walk = Walk::default();
    walk.expr(expr);
    walk.found
}

#[derive(Default)]
struct Walk {
    /// Bound names, innermost last.
    bound: Vec<Arc<str>>,
    found: Vec<Use>,
}

impl Walk {
    fn name(&mut self, name: &Arc<str>, span: Span) {
        if !self.bound.contains(name) {
            self.found.push(Use { name: Arc::clone(name), span, shorthand: false, siblings: Vec::new() });
        }
    }

    fn function(&mut self, function: &FunctionExpr) {
        // Defaults are read outside of the function: parameters are not visible in them.
        for parameter in &function.parameters {
            if let ParameterKind::Optional(default) = &parameter.kind {
                self.expr(default);
            }
        }
        let outer = self.bound.len();
        self.bound.extend(function.parameters.iter().map(|parameter| Arc::clone(&parameter.name.name)));
        match &function.body {
            FunctionBody::Expression(body) => self.expr(body),
            FunctionBody::Block(statements) => self.block(statements),
        }
        self.bound.truncate(outer);
    }

    fn block(&mut self, statements: &[Statement]) {
        let outer = self.bound.len();
        for statement in statements {
            match statement {
                Statement::Expression(expr) | Statement::Return { value: expr, .. } => self.expr(expr),
                Statement::Variable(assignment) => {
                    self.expr(&assignment.value);
                    self.bound.push(Arc::clone(&assignment.name.name));
                }
                Statement::Option(option) => self.expr(&option.value),
                Statement::TestCase(_) | Statement::Builtin { .. } | Statement::Bad(_) => {}
            }
        }
        self.bound.truncate(outer);
    }

    fn properties(&mut self, properties: &[Property]) {
        let siblings = || {
            let shorthands = properties.iter().filter(|property| property.shorthand);
            shorthands.map(|property| (Arc::clone(&property.name.name), property.value.span)).collect()
        };
        for property in properties {
            match &property.value.kind {
                ExprKind::Identifier(name) if property.shorthand => {
                    if !self.bound.contains(name) {
                        let (name, span) = (Arc::clone(name), property.value.span);
                        self.found.push(Use { name, span, shorthand: true, siblings: siblings() });
                    }
                }
                _ => self.expr(&property.value),
            }
        }
    }

    fn call(&mut self, call: &CallExpr) {
        self.expr(&call.callee);
        self.properties(&call.arguments);
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Identifier(name) => self.name(name, expr.span),
            ExprKind::Interpolated(parts) => {
                for part in parts {
                    if let StringPart::Expr(part) = part {
                        self.expr(part);
                    }
                }
            }
            ExprKind::Array(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Dict(entries) => {
                for (key, value) in entries {
                    self.expr(key);
                    self.expr(value);
                }
            }
            ExprKind::Record { with, properties } => {
                if let Some(with) = with {
                    self.name(&with.name, with.span);
                }
                self.properties(properties);
            }
            ExprKind::Function(function) => self.function(function),
            ExprKind::Call(call) => self.call(call),
            ExprKind::Pipe { argument, call, .. } => {
                self.expr(argument);
                self.call(call);
            }
            ExprKind::Member { object, .. } => self.expr(object),
            ExprKind::Index { array, index } => {
                self.expr(array);
                self.expr(index);
            }
            ExprKind::Unary { operand, .. } => self.expr(operand),
            ExprKind::Binary { left, right, .. } | ExprKind::Logical { left, right, .. } => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Conditional { test, consequent, alternate } => {
                self.expr(test);
                self.expr(consequent);
                self.expr(alternate);
            }
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Integer(_)
            | ExprKind::Float(_)
            | ExprKind::String(_)
            | ExprKind::Duration(_)
            | ExprKind::Time(_)
            | ExprKind::Regexp(_)
            | ExprKind::Bad => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn free(text: &str) -> Vec<String> {
        let parsed = super::super::parse(text);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let Some(Statement::Expression(expr)) = parsed.file.body.first() else { panic!("an expression") };
        of_expr(expr).iter().map(|one| one.name.to_string()).collect()
    }

    #[test]
    fn names_that_are_not_bound_inside_are_free() {
        let cases: [(&str, &[&str]); 8] = [
            ("(r) => r.a + b", &["b"]),
            ("(r, limit=limit) => r.a > limit", &["limit"]),
            ("(a) => (b) => a + b + c", &["c"]),
            ("() => { x = y z = x return z }", &["y"]),
            ("() => { x = x return x }", &["x"]),
            ("(r) => ({r with a: f(v: r.a), s: \"${t}\"})", &["f", "t"]),
            (
                "(tables=<-) => tables |> range(start: -d) |> map(fn: (r) => ({a: [k: r[\"x\"]], b: q[0]}))",
                &["range", "d", "map", "k", "q"],
            ),
            ("({base with a})", &["base", "a"]),
        ];
        for (text, expected) in cases {
            assert_eq!(free(text), expected, "{text}");
        }
    }

    #[test]
    fn only_names_from_outside_are_found_and_each_use_of_them() {
        let text = "f = (r, n=m) => { a = r.x + b\n return [{a, b}, {c: {r with d: b}, e: \"${g}\"}] }";
        let parsed = super::super::parse(text);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let uses = of_statement(&parsed.file.body[0]);
        let shown: Vec<(&str, bool)> = uses.iter().map(|one| (&text[one.span.range()], one.shorthand)).collect();
        assert_eq!(uses[2].siblings.len(), 2);
        assert_eq!(shown, [("m", false), ("b", false), ("b", true), ("b", false), ("g", false)]);
    }
}
