//! A tree as text with a bracket around every node, for tests to compare with what was written by hand.

use crate::syntax::ast::*;

/// One statement a line, clauses first.
pub(in crate::syntax) fn show_file(file: &File) -> String {
    let mut lines = Vec::new();
    for attribute in &file.attributes {
        let parameters: String = attribute.parameters.iter().map(|value| format!(" {}", show_expr(value))).collect();
        lines.push(format!("(@ {}{parameters})", attribute.name.name));
    }
    lines.extend(file.package.iter().map(|name| format!("(package {})", name.name)));
    for import in &file.imports {
        let alias = import.alias.iter().map(|name| format!("{} ", name.name)).collect::<String>();
        lines.push(format!("(import {alias}{})", import.path));
    }
    lines.extend(file.body.iter().map(show_statement));
    lines.join("\n")
}

fn show_statement(statement: &Statement) -> String {
    match statement {
        Statement::Expression(value) => show_expr(value),
        Statement::Variable(assignment) => format!("(= {} {})", assignment.name.name, show_expr(&assignment.value)),
        Statement::Option(option) => {
            let package = option.package.iter().map(|name| format!("{}.", name.name)).collect::<String>();
            format!("(option {package}{} {})", option.name.name, show_expr(&option.value))
        }
        Statement::Return { value, .. } => format!("(return {})", show_expr(value)),
        Statement::Builtin { name, .. } => format!("(builtin {})", name.name),
        Statement::TestCase(case) => {
            let extends = case.extends.iter().map(|path| format!("extends {path} ")).collect::<String>();
            format!("(testcase {} {extends}{})", case.name.name, show_block(&case.body))
        }
        Statement::Bad(_) => "(bad)".to_string(),
    }
}

fn show_block(statements: &[Statement]) -> String {
    format!("{{{}}}", statements.iter().map(show_statement).collect::<Vec<_>>().join(" "))
}

pub(super) fn show_expr(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Identifier(name) => name.to_string(),
        ExprKind::Integer(value) => value.to_string(),
        ExprKind::Float(value) => format!("{value:?}f"),
        ExprKind::String(text) => format!("{text:?}"),
        ExprKind::Interpolated(parts) => {
            let parts = parts.iter().map(|part| match part {
                StringPart::Text(text) => format!(" {text:?}"),
                StringPart::Expr(inner) => format!(" {}", show_expr(inner)),
            });
            format!("(string{})", parts.collect::<String>())
        }
        ExprKind::Duration(duration) => {
            assert!(!duration.negative);
            format!("duration {}mo {}ns", duration.months, duration.nanoseconds)
        }
        ExprKind::Time(time_ns) => format!("time {time_ns}"),
        ExprKind::Regexp(pattern) => format!("/{pattern}/"),
        ExprKind::Array(elements) => format!("[{}]", elements.iter().map(show_expr).collect::<Vec<_>>().join(" ")),
        ExprKind::Dict(entries) if entries.is_empty() => "[:]".to_string(),
        ExprKind::Dict(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}:{}", show_expr(key), show_expr(value)));
            format!("[{}]", entries.collect::<Vec<_>>().join(" "))
        }
        ExprKind::Record { with, properties } => {
            let with = with.iter().map(|name| format!(" {} with", name.name)).collect::<String>();
            format!("(record{with}{})", show_properties(properties))
        }
        ExprKind::Function(function) => {
            let parameters = function.parameters.iter().map(|parameter| match &parameter.kind {
                ParameterKind::Required => parameter.name.name.to_string(),
                ParameterKind::Optional(default) => format!("{}={}", parameter.name.name, show_expr(default)),
                ParameterKind::Pipe => format!("{}=<-", parameter.name.name),
            });
            let parameters = parameters.collect::<Vec<_>>().join(" ");
            let body = match &function.body {
                FunctionBody::Expression(body) => show_expr(body),
                FunctionBody::Block(statements) => show_block(statements),
            };
            format!("(fn ({parameters}) {body})")
        }
        ExprKind::Call(call) => format!("(call {}{})", show_expr(&call.callee), show_properties(&call.arguments)),
        ExprKind::Pipe { argument, call, .. } => {
            format!("(|> {} ({}{}))", show_expr(argument), show_expr(&call.callee), show_properties(&call.arguments))
        }
        ExprKind::Member { object, property, bracketed } => {
            let dot = if *bracketed { "[.]" } else { "." };
            format!("({dot} {} {})", show_expr(object), property.name)
        }
        ExprKind::Index { array, index } => format!("(index {} {})", show_expr(array), show_expr(index)),
        ExprKind::Unary { operator, operand } => {
            let symbol = match operator {
                UnaryOperator::Minus => "-",
                UnaryOperator::Plus => "+",
                UnaryOperator::Not => "not",
                UnaryOperator::Exists => "exists",
            };
            format!("({symbol} {})", show_expr(operand))
        }
        ExprKind::Binary { operator, left, right } => {
            format!("({} {} {})", operator.symbol(), show_expr(left), show_expr(right))
        }
        ExprKind::Logical { operator, left, right } => {
            let word = match operator {
                LogicalOperator::And => "and",
                LogicalOperator::Or => "or",
            };
            format!("({word} {} {})", show_expr(left), show_expr(right))
        }
        ExprKind::Conditional { test, consequent, alternate } => {
            format!("(if {} {} {})", show_expr(test), show_expr(consequent), show_expr(alternate))
        }
        ExprKind::Paren(inner) => format!("(paren {})", show_expr(inner)),
        ExprKind::Bad => "(bad)".to_string(),
    }
}

fn show_properties(properties: &[Property]) -> String {
    properties
        .iter()
        .map(|property| match property.shorthand {
            true => format!(" {}", property.name.name),
            false => format!(" {}:{}", property.name.name, show_expr(&property.value)),
        })
        .collect()
}

/// The ids of all expressions of a file.
pub(super) fn ids(file: &File) -> Vec<u32> {
    // The debug text of a tree holds every id exactly once: a walk of its own would have to be tested itself.
    let text = format!("{:?}", file.body);
    text.split("ExprId(").skip(1).map(|rest| rest.split(')').next().unwrap().parse().unwrap()).collect()
}
