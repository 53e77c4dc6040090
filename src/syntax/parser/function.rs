//! Functions and calls: parameters, bodies, arguments; and parentheses, which look alike at first.
//!
//! Called by the productions of expressions, each with its opening bracket as the next token.

use std::sync::Arc;

use super::collection::{explicit, is_property, record, refuse_mixture, shorthand};
use super::expression::{enclosed, expression};
use super::statement::block;
use super::{Expected, Step, Tokens, Wanted, bracketed, comma_separated, hints, identifier, token};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Expr, ExprKind, FunctionBody, FunctionExpr, Parameter, ParameterKind, Property};
use crate::syntax::token::TokenKind;

/// `(a, b=1, t=<-) => body` or `(inner)`: the first if `=>` follows the closing parenthesis.
pub(super) fn function_or_paren(input: Tokens) -> Step<Expr> {
    let closing = input.context.brackets.partner(input.at);
    match closing {
        Some(closing) if input.go_to(closing + 1).is(TokenKind::Arrow) => function(input),
        _ => paren(input),
    }
}

fn paren(input: Tokens) -> Step<Expr> {
    let start = input.peek().span;
    let inside = |input| enclosed(input, TokenKind::RightParen);
    let (rest, inner) = bracketed(input, inside, || input.context.expr(ExprKind::Bad, start))?;
    Ok((rest, rest.context.expr(ExprKind::Paren(Box::new(inner)), rest.span_from(start))))
}

fn function(input: Tokens) -> Step<Expr> {
    let start = input.peek().span;
    let list =
        |input| comma_separated(input, TokenKind::RightParen, parameter, |input| input.is(TokenKind::Identifier));
    let (input, parameters) = bracketed(input, list, Vec::new)?;
    let (input, _) = token(TokenKind::Arrow)(input)?;
    let (input, body) = body(input)?;
    let span = input.span_from(start);
    let function = FunctionExpr { parameters, body, span };
    Ok((input, input.context.expr(ExprKind::Function(Arc::new(function)), span)))
}

/// `name => body`, whose parentheses are missing: reported, and read as it is meant.
pub(super) fn function_without_parentheses(input: Tokens) -> Step<Expr> {
    let start = input.peek().span;
    input.context.report(hints::bare_parameter(input));
    let (input, name) = identifier(input)?;
    let (input, body) = body(input.skip(1))?;
    let span = input.span_from(start);
    let parameters = vec![Parameter { name, kind: ParameterKind::Required }];
    Ok((input, input.context.expr(ExprKind::Function(Arc::new(FunctionExpr { parameters, body, span })), span)))
}

/// `name`, `name=default` or `name=<-`.
fn parameter(input: Tokens) -> Step<Option<Parameter>> {
    if !input.is(TokenKind::Identifier) {
        return input.expected(Wanted::Parameter);
    }
    let (input, name) = identifier(input)?;
    let input = match input.kind() {
        TokenKind::Assign => input.skip(1),
        TokenKind::Colon => {
            input.context.report(
                Diagnostic::error(
                    "colon-in-parameter",
                    "the default of a parameter is written with `=`",
                    input.peek().span,
                )
                .help(format!("write `{}=...`", name.name)),
            );
            input.skip(1)
        }
        TokenKind::PipeReceive => {
            input.context.report(
                Diagnostic::error("pipe-parameter", "the pipe parameter is written `=<-`", input.peek().span)
                    .help(format!("write `{}=<-`", name.name)),
            );
            input
        }
        _ => return Ok((input, Some(Parameter { name, kind: ParameterKind::Required }))),
    };
    if input.is(TokenKind::PipeReceive) {
        return Ok((input.skip(1), Some(Parameter { name, kind: ParameterKind::Pipe })));
    }
    expression(input).map(|(input, default)| (input, Some(Parameter { name, kind: ParameterKind::Optional(default) })))
}

/// What follows `=>`: a block if it starts with a brace, else an expression.
fn body(input: Tokens) -> Step<FunctionBody> {
    if !input.is(TokenKind::LeftBrace) {
        return expression(input).map(|(input, body)| (input, FunctionBody::Expression(body)));
    }
    if hints::looks_like_record(input) {
        return record_body(input);
    }
    input.deeper(block).map(|(input, statements)| (input, FunctionBody::Block(statements)))
}

/// A record in place of a block: reported, and read as it is meant.
fn record_body(input: Tokens) -> Step<FunctionBody> {
    let start = input.peek().span;
    let (rest, kind) = input.deeper(record)?;
    let span = rest.span_from(start);
    input.context.report(hints::record_without_parentheses(input.context, start, span));
    Ok((rest, FunctionBody::Expression(rest.context.expr(kind, span))))
}

/// `(name: value, ...)`, from the parenthesis on.
pub(super) fn arguments(input: Tokens) -> Step<Vec<Property>> {
    let opening = input.peek();
    let continues = opening.first_on_line;
    let list = |input| {
        let (input, arguments) =
            comma_separated(input, TokenKind::RightParen, |input| argument(input, continues), is_property)?;
        refuse_mixture(input, &arguments);
        Ok((input, arguments))
    };
    bracketed(input, list, Vec::new)
}

fn argument(input: Tokens, continues: bool) -> Step<Option<Property>> {
    let next = input.kind();
    match (next, input.kind_at(1)) {
        (TokenKind::Identifier | TokenKind::String, TokenKind::Colon) => explicit(input),
        (TokenKind::Identifier, TokenKind::Comma | TokenKind::RightParen) => shorthand(input),
        (TokenKind::Identifier, TokenKind::Assign) => {
            input.context.report(hints::assignment_in_arguments(input));
            explicit(input)
        }
        _ if next.starts_expression() => positional(input, continues),
        _ => input.expected(Expected::from(Wanted::Argument).or(TokenKind::RightParen)),
    }
}

/// An argument without a name: reported and dropped.
fn positional(input: Tokens, continues: bool) -> Step<Option<Property>> {
    let (rest, value) = expression(input)?;
    input.context.report(hints::positional_argument(input, &value, continues));
    Ok((rest, None))
}
