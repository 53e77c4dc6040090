//! The `fieldFn` of `to()`: which columns its body reads.
//!
//! Used by `to` alone. A string column that becomes a field must not become a tag as well.

use std::collections::HashSet;
use std::sync::Arc;

use crate::syntax::ast::{Expr, ExprKind, FunctionBody, FunctionExpr, ParameterKind, Statement, StringPart};

/// The columns that the body reads as members of the function's parameter: `r.fuel`, `r["fuel"]`.
pub fn columns_read(function: &FunctionExpr) -> HashSet<Arc<str>> {
    let mut columns = HashSet::new();
    if let Some(row) = function.parameters.first() {
        read_function(function, &row.name.name, &mut columns);
    }
    columns
}

fn read_function(function: &FunctionExpr, row: &str, columns: &mut HashSet<Arc<str>>) {
    for parameter in &function.parameters {
        if let ParameterKind::Optional(default) = &parameter.kind {
            read(default, row, columns);
        }
    }
    match &function.body {
        FunctionBody::Expression(body) => read(body, row, columns),
        FunctionBody::Block(statements) => {
            for statement in statements {
                match statement {
                    Statement::Expression(value) | Statement::Return { value, .. } => read(value, row, columns),
                    Statement::Variable(assignment) => read(&assignment.value, row, columns),
                    _ => {}
                }
            }
        }
    }
}

fn read(expr: &Expr, row: &str, columns: &mut HashSet<Arc<str>>) {
    match &expr.kind {
        ExprKind::Member { object, property, .. } => {
            if matches!(&without_parens(object).kind, ExprKind::Identifier(name) if **name == *row) {
                columns.insert(property.name.clone());
            } else {
                read(object, row, columns);
            }
        }
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
                if let StringPart::Expr(expr) = part {
                    read(expr, row, columns);
                }
            }
        }
        ExprKind::Array(items) => items.iter().for_each(|item| read(item, row, columns)),
        ExprKind::Dict(items) => {
            for (key, value) in items {
                read(key, row, columns);
                read(value, row, columns);
            }
        }
        ExprKind::Record { properties, .. } => {
            properties.iter().for_each(|property| read(&property.value, row, columns));
        }
        ExprKind::Function(function) => read_function(function, row, columns),
        ExprKind::Call(call) => {
            read(&call.callee, row, columns);
            call.arguments.iter().for_each(|argument| read(&argument.value, row, columns));
        }
        ExprKind::Pipe { argument, call, .. } => {
            read(argument, row, columns);
            read(&call.callee, row, columns);
            call.arguments.iter().for_each(|argument| read(&argument.value, row, columns));
        }
        ExprKind::Index { array, index } => {
            read(array, row, columns);
            read(index, row, columns);
        }
        ExprKind::Unary { operand, .. } => read(operand, row, columns),
        ExprKind::Binary { left, right, .. } | ExprKind::Logical { left, right, .. } => {
            read(left, row, columns);
            read(right, row, columns);
        }
        ExprKind::Conditional { test, consequent, alternate } => {
            read(test, row, columns);
            read(consequent, row, columns);
            read(alternate, row, columns);
        }
        ExprKind::Paren(inner) => read(inner, row, columns),
    }
}

fn without_parens(mut expr: &Expr) -> &Expr {
    while let ExprKind::Paren(inner) = &expr.kind {
        expr = inner;
    }
    expr
}
