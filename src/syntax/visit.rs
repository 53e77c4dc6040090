//! Visits every expression of a tree.
//!
//! Called by whoever looks for calls or names without evaluating: `fieldFn`'s columns, a task's buckets. It decides nothing.

use super::ast::{CallExpr, Expr, ExprKind, File, FunctionBody, FunctionExpr, ParameterKind, Statement, StringPart};

/// Visits the expressions of a file in the order of the text, each before its parts; the parts only if `visit` says so.
pub fn file<'a>(file: &'a File, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    statements(&file.body, visit);
}

/// Visits a function's default values and its body.
pub fn function<'a>(function: &'a FunctionExpr, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    for parameter in &function.parameters {
        if let ParameterKind::Optional(default) = &parameter.kind {
            expr(default, visit);
        }
    }
    match &function.body {
        FunctionBody::Expression(body) => expr(body, visit),
        FunctionBody::Block(body) => statements(body, visit),
    }
}

fn statements<'a>(body: &'a [Statement], visit: &mut dyn FnMut(&'a Expr) -> bool) {
    for statement in body {
        match statement {
            Statement::Expression(value) | Statement::Return { value, .. } => expr(value, visit),
            Statement::Variable(assignment) => expr(&assignment.value, visit),
            Statement::Option(option) => expr(&option.value, visit),
            Statement::TestCase(case) => statements(&case.body, visit),
            Statement::Builtin { .. } | Statement::Bad(_) => {}
        }
    }
}

/// Visits an expression and its parts.
pub fn expr<'a>(expression: &'a Expr, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    if !visit(expression) {
        return;
    }
    match &expression.kind {
        ExprKind::Identifier(_)
        | ExprKind::Integer(_)
        | ExprKind::Float(_)
        | ExprKind::String(_)
        | ExprKind::Duration(_)
        | ExprKind::Time(_)
        | ExprKind::Regexp(_)
        | ExprKind::Bad => {}
        ExprKind::Interpolated(parts) => {
            for part in parts {
                if let StringPart::Expr(part) = part {
                    expr(part, visit);
                }
            }
        }
        ExprKind::Array(items) => items.iter().for_each(|item| expr(item, visit)),
        ExprKind::Dict(items) => {
            for (key, value) in items {
                expr(key, visit);
                expr(value, visit);
            }
        }
        ExprKind::Record { properties, .. } => properties.iter().for_each(|property| expr(&property.value, visit)),
        ExprKind::Function(literal) => function(literal, visit),
        ExprKind::Call(inner) => call(inner, visit),
        ExprKind::Pipe { argument, call: inner, .. } => {
            expr(argument, visit);
            call(inner, visit);
        }
        ExprKind::Member { object, .. } => expr(object, visit),
        ExprKind::Index { array, index } => {
            expr(array, visit);
            expr(index, visit);
        }
        ExprKind::Unary { operand, .. } => expr(operand, visit),
        ExprKind::Binary { left, right, .. } | ExprKind::Logical { left, right, .. } => {
            expr(left, visit);
            expr(right, visit);
        }
        ExprKind::Conditional { test, consequent, alternate } => {
            expr(test, visit);
            expr(consequent, visit);
            expr(alternate, visit);
        }
        ExprKind::Paren(inner) => expr(inner, visit),
    }
}

fn call<'a>(call: &'a CallExpr, visit: &mut dyn FnMut(&'a Expr) -> bool) {
    expr(&call.callee, visit);
    call.arguments.iter().for_each(|argument| expr(&argument.value, visit));
}
