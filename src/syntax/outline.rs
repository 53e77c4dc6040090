//! Tokens and tree of a text in words, for people who want to see how it is read.
//!
//! Called by `explain` only. The words are for people; nothing parses them.

use super::ast::{
    Attribute, CallExpr, Expr, ExprKind, File, FunctionBody, FunctionExpr, Identifier, LogicalOperator, ParameterKind,
    Property, Statement, StringPart, UnaryOperator,
};
use super::lexer;
use super::token::TokenKind;
use crate::diagnostic::Span;

/// The tokens of a text with their places, the end of the text left out: what each is, such as `a name` or `` `|>` ``.
pub fn tokens(text: &str) -> Vec<(&'static str, Span)> {
    let text = if text.len() > super::MAX_TEXT_BYTES { "" } else { text };
    let tokens = lexer::lex(text).tokens.into_iter().filter(|token| token.kind != TokenKind::End);
    tokens.map(|token| (token.kind.describe(), token.span)).collect()
}

/// A node of a tree in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// What it is, with its own name or value.
    pub node: String,
    /// Its place.
    pub span: Span,
    /// What it consists of, in the order of the text.
    pub parts: Vec<Outline>,
}

/// The tree of a file: its clauses and statements.
pub fn outline(file: &File) -> Vec<Outline> {
    let mut nodes: Vec<Outline> = file.attributes.iter().map(attribute).collect();
    nodes.extend(file.package.iter().map(|name| leaf(format!("package {}", name.name), name.span)));
    nodes.extend(file.imports.iter().map(|import| {
        let alias = import.alias.as_ref().map(|alias| format!(" as {}", alias.name)).unwrap_or_default();
        leaf(format!("import \"{}\"{alias}", import.path), import.span)
    }));
    nodes.extend(file.body.iter().map(statement));
    nodes.sort_by_key(|node| node.span.start);
    nodes
}

fn leaf(node: impl Into<String>, span: Span) -> Outline {
    Outline { node: node.into(), span, parts: Vec::new() }
}

fn node(node: impl Into<String>, span: Span, parts: Vec<Outline>) -> Outline {
    Outline { node: node.into(), span, parts }
}

fn attribute(attribute: &Attribute) -> Outline {
    node(format!("attribute {}", attribute.name.name), attribute.span, attribute.parameters.iter().map(expr).collect())
}

fn statement(statement: &Statement) -> Outline {
    let span = statement.span();
    match statement {
        Statement::Expression(value) => node("expression statement", span, vec![expr(value)]),
        Statement::Variable(assignment) => {
            node(format!("variable {}", assignment.name.name), span, vec![expr(&assignment.value)])
        }
        Statement::Option(option) => {
            let package = option.package.as_ref().map(|package| format!("{}.", package.name)).unwrap_or_default();
            node(format!("option {package}{}", option.name.name), span, vec![expr(&option.value)])
        }
        Statement::Return { value, .. } => node("return", span, vec![expr(value)]),
        Statement::Builtin { name, .. } => leaf(format!("builtin {}", name.name), span),
        Statement::TestCase(case) => {
            let extends = case.extends.as_ref().map(|path| format!(" extends \"{path}\"")).unwrap_or_default();
            let body = case.body.iter().map(self::statement).collect();
            node(format!("testcase {}{extends}", case.name.name), span, body)
        }
        Statement::Bad(_) => leaf("what is no statement", span),
    }
}

fn expr(expression: &Expr) -> Outline {
    let span = expression.span;
    match &expression.kind {
        ExprKind::Identifier(name) => leaf(format!("name {name}"), span),
        ExprKind::Integer(value) => leaf(format!("integer {value}"), span),
        ExprKind::Float(value) => leaf(format!("float {value:?}"), span),
        ExprKind::String(text) => leaf(format!("string {text:?}"), span),
        ExprKind::Duration(value) => leaf(format!("duration {value}"), span),
        ExprKind::Time(time_ns) => leaf(format!("time {}", crate::time::rfc3339::to_text(*time_ns)), span),
        ExprKind::Regexp(pattern) => leaf(format!("regular expression {pattern:?}"), span),
        ExprKind::Interpolated(parts) => {
            node("string with values", span, parts.iter().map(|part| part_of(part, span)).collect())
        }
        ExprKind::Array(items) => node("array", span, items.iter().map(expr).collect()),
        ExprKind::Dict(entries) => {
            let entry =
                |(key, value): &(Expr, Expr)| node("entry", key.span.to(value.span), vec![expr(key), expr(value)]);
            node("dictionary", span, entries.iter().map(entry).collect())
        }
        ExprKind::Record { with, properties: own } => {
            let with = with.as_ref().map(|with| format!(" with {}", with.name)).unwrap_or_default();
            node(format!("record{with}"), span, properties(own))
        }
        ExprKind::Function(literal) => function(literal),
        ExprKind::Call(inner) => node("call", span, call(inner)),
        ExprKind::Pipe { argument, call: inner, call_span } => {
            node("pipe", span, vec![expr(argument), node("call", *call_span, call(inner))])
        }
        ExprKind::Member { object, property, .. } => {
            node(format!("member {}", property.name), span, vec![expr(object)])
        }
        ExprKind::Index { array, index } => node("index", span, vec![expr(array), expr(index)]),
        ExprKind::Unary { operator, operand } => {
            let symbol = match operator {
                UnaryOperator::Minus => "-",
                UnaryOperator::Plus => "+",
                UnaryOperator::Not => "not",
                UnaryOperator::Exists => "exists",
            };
            node(format!("operator {symbol}"), span, vec![expr(operand)])
        }
        ExprKind::Binary { operator, left, right } => {
            node(format!("operator {}", operator.symbol()), span, vec![expr(left), expr(right)])
        }
        ExprKind::Logical { operator, left, right } => {
            let word = match operator {
                LogicalOperator::And => "and",
                LogicalOperator::Or => "or",
            };
            node(format!("operator {word}"), span, vec![expr(left), expr(right)])
        }
        ExprKind::Conditional { test, consequent, alternate } => {
            node("conditional", span, vec![expr(test), expr(consequent), expr(alternate)])
        }
        ExprKind::Paren(inner) => node("parentheses", span, vec![expr(inner)]),
        ExprKind::Bad => leaf("what is no expression", span),
    }
}

fn part_of(part: &StringPart, span: Span) -> Outline {
    match part {
        StringPart::Text(text) => leaf(format!("text {text:?}"), span),
        StringPart::Expr(inner) => expr(inner),
    }
}

fn call(call: &CallExpr) -> Vec<Outline> {
    let mut parts = vec![expr(&call.callee)];
    parts.extend(call.arguments.iter().map(|argument| named("argument", &argument.name, &argument.value)));
    parts
}

fn properties(properties: &[Property]) -> Vec<Outline> {
    properties.iter().map(|property| named("property", &property.name, &property.value)).collect()
}

fn named(what: &str, name: &Identifier, value: &Expr) -> Outline {
    node(format!("{what} {}", name.name), name.span.to(value.span), vec![expr(value)])
}

fn function(function: &FunctionExpr) -> Outline {
    let mut parts: Vec<Outline> = function
        .parameters
        .iter()
        .map(|parameter| match &parameter.kind {
            ParameterKind::Required => leaf(format!("parameter {}", parameter.name.name), parameter.name.span),
            ParameterKind::Pipe => leaf(format!("parameter {}=<-", parameter.name.name), parameter.name.span),
            ParameterKind::Optional(default) => named("parameter", &parameter.name, default),
        })
        .collect();
    match &function.body {
        FunctionBody::Expression(body) => parts.push(expr(body)),
        FunctionBody::Block(body) => parts.extend(body.iter().map(statement)),
    }
    node("function", function.span, parts)
}
