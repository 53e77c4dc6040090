//! The types in `builtin` statements: read to find where they end and whether they are well formed; no tree is made.
//!
//! Called by the production of `builtin` only; a user's script has no types.

use nom::Parser;
use nom::combinator::{cut, opt};

use super::{Expected, Step, Tokens, Wanted, identifier, token, word};
use crate::syntax::token::TokenKind;

/// A type with its constraints: `(<-tables: stream[A]) => stream[A] where A: Record`.
pub(super) fn type_expression(input: Tokens) -> Step<()> {
    let (input, ()) = monotype(input)?;
    let (mut input, first) = opt(word("where")).parse(input)?;
    if first.is_none() {
        return Ok((input, ()));
    }
    loop {
        let (rest, _) = cut((identifier, token(TokenKind::Colon), identifier)).parse(input)?;
        input = rest;
        while input.is(TokenKind::Plus) {
            let (rest, _) = cut(identifier).parse(input.skip(1))?;
            input = rest;
        }
        if !input.is(TokenKind::Comma) {
            return Ok((input, ()));
        }
        input = input.skip(1);
    }
}

/// A name, `[T]`, `[K: V]`, `stream[T]`, a record or a function.
fn monotype(input: Tokens) -> Step<()> {
    match input.kind() {
        TokenKind::Identifier => {
            let (rest, _) = identifier(input)?;
            if rest.is(TokenKind::LeftBracket) && matches!(input.text(), "stream" | "vector") {
                return input.skip(1).deeper(array_or_dict);
            }
            Ok((rest, ()))
        }
        TokenKind::LeftBracket => input.deeper(array_or_dict),
        TokenKind::LeftBrace => input.deeper(record),
        TokenKind::LeftParen => input.deeper(function),
        _ => input.expected(Wanted::Type),
    }
}

fn array_or_dict(input: Tokens) -> Step<()> {
    let (input, ()) = monotype(input.skip(1))?;
    let (input, _) = opt((token(TokenKind::Colon), cut(monotype))).parse(input)?;
    let (input, _) = cut(token(TokenKind::RightBracket)).parse(input)?;
    Ok((input, ()))
}

/// `{a: int, "b c": string}`, `{A with a: int}`.
fn record(input: Tokens) -> Step<()> {
    let mut input = input.skip(1);
    if input.is(TokenKind::Identifier) && word("with")(input.skip(1)).is_ok() {
        input = input.skip(2);
    }
    list(input, TokenKind::RightBrace, |input| {
        if !matches!(input.kind(), TokenKind::Identifier | TokenKind::String) {
            return input.expected(Wanted::Property);
        }
        named_type(input.skip(1))
    })
}

/// `(a: int, ?b: float, <-tables: stream[A]) => bool`; the pipe parameter may have no name.
fn function(input: Tokens) -> Step<()> {
    let (input, ()) = list(input.skip(1), TokenKind::RightParen, |input| match input.kind() {
        TokenKind::PipeReceive if input.kind_at(1) == TokenKind::Identifier => named_type(input.skip(2)),
        TokenKind::PipeReceive => named_type(input.skip(1)),
        TokenKind::Question => {
            let (input, _) = cut(identifier).parse(input.skip(1))?;
            named_type(input)
        }
        TokenKind::Identifier => named_type(input.skip(1)),
        _ => input.expected(Wanted::Parameter),
    })?;
    let (input, _) = cut(token(TokenKind::Arrow)).parse(input)?;
    monotype(input)
}

/// `: type`.
fn named_type(input: Tokens) -> Step<()> {
    let (input, _) = cut(token(TokenKind::Colon)).parse(input)?;
    monotype(input)
}

/// `item, item close`, a trailing comma allowed.
fn list<'a>(mut input: Tokens<'a>, close: TokenKind, item: impl Fn(Tokens<'a>) -> Step<'a, ()>) -> Step<'a, ()> {
    loop {
        if input.is(close) {
            return Ok((input.skip(1), ()));
        }
        let (rest, ()) = item(input)?;
        input = rest;
        if input.is(TokenKind::Comma) {
            input = input.skip(1);
        } else if !input.is(close) {
            return input.expected(Expected::from(TokenKind::Comma).or(close));
        }
    }
}
