//! The free names of a function literal: what a closure has to take along from where it stands.
//!
//! Called by the evaluator when it makes a closure. A closure holds these names only, not everything around it: a row
//! function finds `float` in one step, and a script's other values are not kept alive by it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::syntax::ast::{Expr, ExprKind, FunctionBody, FunctionExpr, ParameterKind, Statement, StringPart};
use crate::table::Name;

/// The names that a function reads and does not bind itself, each once, in the order of the text.
pub fn free_names(function: &FunctionExpr) -> Vec<Name> {
    let mut walk = Walk::default();
    walk.function(function);
    walk.free
}

/// The names that an expression reads and does not bind itself.
pub fn free_names_of(expr: &Expr) -> Vec<Name> {
    let mut walk = Walk::default();
    walk.expr(expr);
    walk.free
}

#[derive(Default)]
struct Walk {
    /// Bound names, innermost last.
    bound: Vec<Name>,
    seen: HashSet<Name>,
    free: Vec<Name>,
}

impl Walk {
    fn name(&mut self, name: &Arc<str>) {
        if !self.bound.contains(name) && self.seen.insert(Arc::clone(name)) {
            self.free.push(Arc::clone(name));
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
        for statement in statements {
            match statement {
                Statement::Expression(expr) | Statement::Return { value: expr, .. } => self.expr(expr),
                Statement::Variable(assignment) => {
                    self.expr(&assignment.value);
                    self.bound.push(Arc::clone(&assignment.name.name));
                }
                Statement::Option(option) => self.expr(&option.value),
                Statement::Builtin { .. } | Statement::TestCase(_) | Statement::Bad(_) => {}
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Identifier(name) => self.name(name),
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
                    self.name(&with.name);
                }
                properties.iter().for_each(|property| self.expr(&property.value));
            }
            ExprKind::Function(function) => self.function(function),
            ExprKind::Call(call) => {
                self.expr(&call.callee);
                call.arguments.iter().for_each(|argument| self.expr(&argument.value));
            }
            ExprKind::Pipe { argument, call, .. } => {
                self.expr(argument);
                self.expr(&call.callee);
                call.arguments.iter().for_each(|argument| self.expr(&argument.value));
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
        let parsed = crate::syntax::parse(text);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
        let Some(Statement::Expression(expr)) = parsed.file.body.first() else { panic!("an expression") };
        free_names_of(expr).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_that_are_not_bound_inside_are_free() {
        // Lexical scope, flux-semantics 2.4.
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
}
