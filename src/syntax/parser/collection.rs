//! Arrays, dictionaries and records.
//!
//! Called by the productions of expressions, each with its opening bracket as the next token.

use super::expression::expression;
use super::{Step, Tokens, Wanted, bracketed, comma_separated, identifier, literal};
use crate::diagnostic::Diagnostic;
use crate::syntax::ast::{Expr, ExprKind, Identifier, Property};
use crate::syntax::token::TokenKind;

/// `[a, b]`, `[k: v]`, `[:]`, from the bracket on.
pub(super) fn array_or_dict(input: Tokens) -> Step<ExprKind> {
    bracketed(input, array_or_dict_inside, || ExprKind::Bad)
}

fn array_or_dict_inside(input: Tokens) -> Step<ExprKind> {
    if input.is(TokenKind::Colon) && input.kind_at(1) == TokenKind::RightBracket {
        return Ok((input.skip(2), ExprKind::Dict(Vec::new())));
    }
    if input.is(TokenKind::RightBracket) {
        return Ok((input.skip(1), ExprKind::Array(Vec::new())));
    }
    match expression(input) {
        Ok((rest, first)) if rest.is(TokenKind::Colon) => dict_rest(input, rest, first),
        Ok((rest, first)) => array_rest(input, rest, first),
        Err(error) => Err(error),
    }
}

/// All of an array whose first element has been read up to `rest`.
fn array_rest<'a>(input: Tokens<'a>, rest: Tokens<'a>, first: Expr) -> Step<'a, ExprKind> {
    let mut first = Some((rest, Some(first)));
    let element = |input| match first.take() {
        Some(first) => Ok(first),
        None => expression(input).map(|(rest, element)| (rest, Some(element))),
    };
    let (rest, elements) = comma_separated(input, TokenKind::RightBracket, element, is_element)?;
    Ok((rest, ExprKind::Array(elements)))
}

/// All of a dictionary whose first key has been read up to `rest`.
fn dict_rest<'a>(input: Tokens<'a>, rest: Tokens<'a>, first: Expr) -> Step<'a, ExprKind> {
    let mut first = Some((rest, first));
    let entry = |input| {
        let key = first.take().map_or_else(|| expression(input), Ok);
        key.and_then(|(rest, key)| entry_rest(rest, key))
    };
    let (rest, entries) = comma_separated(input, TokenKind::RightBracket, entry, is_element)?;
    Ok((rest, ExprKind::Dict(entries)))
}

/// `: value` after `key`.
fn entry_rest<'a>(input: Tokens<'a>, key: Expr) -> Step<'a, Option<(Expr, Expr)>> {
    if !input.is(TokenKind::Colon) {
        return input.expected(TokenKind::Colon);
    }
    expression(input.skip(1)).map(|(rest, value)| (rest, Some((key, value))))
}

/// Whether another element starts here although no comma stands before it.
fn is_element(input: Tokens) -> bool {
    input.kind().is_literal() || matches!(input.kind(), TokenKind::StringBegin | TokenKind::LeftBrace)
}

/// `{a: 1}`, `{a, b}`, `{r with a: 1}`, from the brace on.
pub(super) fn record(input: Tokens) -> Step<ExprKind> {
    bracketed(input, record_inside, || ExprKind::Bad)
}

fn record_inside(input: Tokens) -> Step<ExprKind> {
    let is_with =
        input.is(TokenKind::Identifier) && input.skip(1).is(TokenKind::Identifier) && input.skip(1).text() == "with";
    let (rest, with) = if is_with {
        let (rest, base) = identifier(input)?;
        (rest.skip(1), Some(base))
    } else {
        (input, None)
    };
    if with.is_some() && rest.is(TokenKind::RightBrace) {
        return rest.expected(Wanted::Property).map_err(into_failure);
    }
    let (rest, properties) = comma_separated(rest, TokenKind::RightBrace, property, is_property)?;
    refuse_mixture(rest, &properties);
    Ok((rest, ExprKind::Record { with, properties }))
}

fn into_failure<E>(error: nom::Err<E>) -> nom::Err<E> {
    match error {
        nom::Err::Error(error) => nom::Err::Failure(error),
        other => other,
    }
}

/// `name: value`, `"name": value` or the shorthand `name`.
fn property(input: Tokens) -> Step<Option<Property>> {
    let next = input.peek();
    if !matches!(next.kind, TokenKind::Identifier | TokenKind::String) {
        return input.expected(Wanted::Property);
    }
    match input.kind_at(1) {
        TokenKind::Colon => {}
        TokenKind::Assign => {
            let equals = input.skip(1).peek().span;
            input.context.report(
                Diagnostic::error("assignment-in-record", "the properties of a record are written with `:`", equals)
                    .help(format!("write `{}: ...`", input.text())),
            );
        }
        TokenKind::Comma | TokenKind::RightBrace if next.kind == TokenKind::Identifier => return shorthand(input),
        _ => return input.skip(1).expected(TokenKind::Colon),
    }
    explicit(input)
}

/// `name: value` or `"name": value`, known to be one by its second token.
pub(super) fn explicit(input: Tokens) -> Step<Option<Property>> {
    let key = input.peek();
    let name = match key.kind {
        TokenKind::String => Identifier { name: literal::string(input.context, key), span: key.span },
        _ => input.context.identifier(key.span),
    };
    let (rest, value) = expression(input.skip(2))?;
    Ok((rest, Some(Property { name, value, shorthand: false })))
}

/// The shorthand `name`.
pub(super) fn shorthand(input: Tokens) -> Step<Option<Property>> {
    let (rest, name) = identifier(input)?;
    let value = input.context.expr(ExprKind::Identifier(name.name.clone()), name.span);
    Ok((rest, Some(Property { name, value, shorthand: true })))
}

/// Whether another property starts here although no comma stands before it.
pub(super) fn is_property(input: Tokens) -> bool {
    matches!(input.kind(), TokenKind::Identifier | TokenKind::String) && input.kind_at(1) == TokenKind::Colon
}

/// Reports `{a: 1, b}` and `f(a: 1, b)`: all properties are written out, or none.
pub(super) fn refuse_mixture(input: Tokens, properties: &[Property]) {
    let Some(shorthand) = properties.iter().find(|property| property.shorthand) else {
        return;
    };
    let Some(explicit) = properties.iter().find(|property| !property.shorthand) else {
        return;
    };
    let name = &shorthand.name.name;
    input.context.report(
        Diagnostic::error("mixed-properties", "cannot mix implicit and explicit properties", shorthand.name.span)
            .label("implicit")
            .also(explicit.name.span.to(explicit.value.span), "explicit")
            .help(format!("write `{name}: {name}`")),
    );
}
