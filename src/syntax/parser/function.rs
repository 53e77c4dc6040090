//! Functions and calls: parameters, bodies, arguments; and parentheses, which look alike at first.
//!
//! Called by the productions of expressions, each with its opening bracket as the next token.

use std::sync::Arc;

use nom::Parser;
use nom::combinator::cut;

use super::collection::{explicit, is_property, record, refuse_mixture, shorthand};
use super::expression::expression;
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
    let inside = |input| {
        let (input, inner) = cut(expression).parse(input)?;
        let (input, _) = cut(token(TokenKind::RightParen)).parse(input)?;
        Ok((input, inner))
    };
    let (rest, inner) = bracketed(input, inside, || input.context.expr(ExprKind::Bad, start))?;
    Ok((rest, rest.context.expr(ExprKind::Paren(Box::new(inner)), rest.span_from(start))))
}

fn function(input: Tokens) -> Step<Expr> {
    let start = input.peek().span;
    let list =
        |input| comma_separated(input, TokenKind::RightParen, parameter, |input| input.is(TokenKind::Identifier));
    let (input, parameters) = bracketed(input, list, Vec::new)?;
    let (input, _) = token(TokenKind::Arrow)(input)?;
    let (input, body) = cut(body).parse(input)?;
    let span = input.span_from(start);
    let function = FunctionExpr { parameters, body, span };
    Ok((input, input.context.expr(ExprKind::Function(Arc::new(function)), span)))
}

/// `name => body`, whose parentheses are missing: reported, and read as it is meant.
pub(super) fn function_without_parentheses(input: Tokens) -> Step<Expr> {
    let start = input.peek().span;
    input.context.report(hints::bare_parameter(input));
    let (input, name) = identifier(input)?;
    let (input, body) = cut(body).parse(input.skip(1))?;
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
    let (input, default) = cut(expression).parse(input)?;
    Ok((input, Some(Parameter { name, kind: ParameterKind::Optional(default) })))
}

/// What follows `=>`: a block if it starts with a brace, else an expression.
fn body(input: Tokens) -> Step<FunctionBody> {
    if !input.is(TokenKind::LeftBrace) {
        let (input, body) = expression(input)?;
        return Ok((input, FunctionBody::Expression(body)));
    }
    if hints::looks_like_record(input) {
        let start = input.peek().span;
        let (rest, kind) = input.deeper(record)?;
        let span = rest.span_from(start);
        input.context.report(hints::record_without_parentheses(input.context, start, span));
        return Ok((rest, FunctionBody::Expression(rest.context.expr(kind, span))));
    }
    let (input, statements) = input.deeper(block)?;
    Ok((input, FunctionBody::Block(statements)))
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
    let next = input.peek();
    let second = input.kind_at(1);
    match next.kind {
        TokenKind::Identifier | TokenKind::String if second == TokenKind::Colon => return explicit(input),
        TokenKind::Identifier if matches!(second, TokenKind::Comma | TokenKind::RightParen) => return shorthand(input),
        TokenKind::Identifier if second == TokenKind::Assign => {
            let equals = input.skip(1).peek().span;
            input.context.report(
                Diagnostic::error("assignment-in-arguments", "arguments are written with `:`", equals)
                    .help(format!("write `{}: ...`", input.text())),
            );
            return explicit(input);
        }
        kind if kind.starts_expression() => {}
        _ => return input.expected(Expected::from(Wanted::Argument).or(TokenKind::RightParen)),
    }
    let (rest, value) = expression(input)?;
    input.context.report(hints::positional_argument(input, &value, continues));
    Ok((rest, None))
}
