//! The productions of Flux over the tokens: what all of them share stands here, a module for each sort of thing below.
//!
//! Called by `syntax::parse`. Productions decide by the next token or two and look at tokens only; the text is read for
//! names, values and messages. Operands are not wrapped in `cut`: no production offers an alternative to an expression.

mod collection;
mod context;
mod explain;
mod expression;
mod function;
mod hints;
mod input;
mod literal;
mod statement;
mod types;

use super::ast::{File, Identifier};
use super::token::{Token, TokenKind};
use crate::diagnostic::Diagnostic;

pub(super) use context::Context;
use input::{Expected, Failure, Step, Tokens, Wanted};

/// The file that these tokens make.
pub(super) fn parse(context: &Context) -> File {
    statement::file(Tokens::all(context))
}

/// The next token, which must be of this kind.
fn token<'a>(kind: TokenKind) -> impl Fn(Tokens<'a>) -> Step<'a, Token> {
    move |input| {
        if input.is(kind) {
            return Ok((input.skip(1), input.peek()));
        }
        input.expected(kind)
    }
}

/// A name. A keyword in its place gets words of its own.
fn identifier(input: Tokens) -> Step<Identifier> {
    let next = input.peek();
    if next.kind == TokenKind::Identifier {
        return Ok((input.skip(1), input.context.identifier(next.span)));
    }
    input.expected(TokenKind::Identifier)
}

/// A name that must be this word, which is a name elsewhere.
fn word<'a>(expected: &'static str) -> impl Fn(Tokens<'a>) -> Step<'a, Token> {
    move |input| {
        if input.is(TokenKind::Identifier) && input.text() == expected {
            return Ok((input.skip(1), input.peek()));
        }
        input.expected(Expected::default())
    }
}

/// `production` inside the bracket pair whose opening half is the next token. Where it fails although the closing half is
/// known, the failure is reported, `otherwise` stands in, and parsing goes on behind the closing half.
fn bracketed<'a, T>(
    input: Tokens<'a>,
    production: impl FnOnce(Tokens<'a>) -> Step<'a, T>,
    otherwise: impl FnOnce() -> T,
) -> Step<'a, T> {
    let closing = input.context.brackets.partner(input.at);
    match production(input.skip(1)) {
        Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) => match closing {
            Some(closing) if failure.at <= closing => {
                input.context.report_failure(input.at, failure);
                Ok((input.go_to(closing + 1), otherwise()))
            }
            _ => Err(nom::Err::Failure(failure)),
        },
        result => result,
    }
}

/// `item, item, ... close`: with a trailing comma allowed, the close included. `is_item` tells that another item starts
/// where a comma is missing.
fn comma_separated<'a, T>(
    mut input: Tokens<'a>,
    close: TokenKind,
    mut item: impl FnMut(Tokens<'a>) -> Step<'a, Option<T>>,
    is_item: impl Fn(Tokens<'a>) -> bool,
) -> Step<'a, Vec<T>> {
    let mut items = Vec::new();
    loop {
        if input.is(close) {
            return Ok((input.skip(1), items));
        }
        let (rest, parsed) = item(input)?;
        items.extend(parsed);
        input = rest;
        if input.is(TokenKind::Comma) {
            input = input.skip(1);
        } else if input.is(close) {
            continue;
        } else if is_item(input) {
            let message = format!("missing `,` before `{}`", input.text());
            input.context.report(Diagnostic::error("missing-comma", message, input.peek().span));
        } else {
            return Err(nom::Err::Failure(Failure {
                at: input.at,
                expected: Expected::from(TokenKind::Comma).or(close),
                diagnostic: None,
            }));
        }
    }
}
