//! Literals: from the text of a token to its value. What has no value is reported, and parsing goes on.
//!
//! Called by the productions of expressions. The lexer has found where a literal ends and what sort it is.

use std::sync::Arc;

use super::expression::enclosed;
use super::{Context, Step, Tokens, bracketed};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast::{ExprKind, StringPart};
use crate::syntax::token::{Token, TokenKind};
use crate::time::{Duration, rfc3339};

/// A literal of one token.
pub(super) fn literal(input: Tokens) -> Step<ExprKind> {
    let context = input.context;
    let token = input.peek();
    let text = context.text_of(token.span);
    let span = token.span;
    let kind = match token.kind {
        TokenKind::String => Some(ExprKind::String(string(context, token))),
        // The lexer has reported it.
        TokenKind::BadLiteral => None,
        TokenKind::Integer => integer(context, text, span),
        TokenKind::Float => float(context, text, span),
        TokenKind::Duration => duration(context, text, span),
        TokenKind::Time => time(context, text, span),
        TokenKind::Regexp => regexp(context, text, span),
        _ => None,
    };
    Ok((input.skip(1), kind.unwrap_or(ExprKind::Bad)))
}

/// The value of a string token without interpolation.
pub(super) fn string(context: &Context, token: Token) -> Arc<str> {
    unescape(context, Span { start: token.span.start + 1, end: token.span.end - 1 })
}

/// `"text ${expression} text"`, from the opening quote on.
pub(super) fn interpolated(input: Tokens) -> Step<ExprKind> {
    let mut parts = Vec::new();
    let mut input = input.skip(1);
    loop {
        let next = input.peek();
        match next.kind {
            TokenKind::StringText => {
                parts.push(StringPart::Text(unescape(input.context, next.span)));
                input = input.skip(1);
            }
            TokenKind::StringEnd => return Ok((input.skip(1), ExprKind::Interpolated(parts))),
            TokenKind::InterpolationBegin => {
                let part = |input| enclosed(input, TokenKind::InterpolationEnd);
                let bad = || input.context.expr(ExprKind::Bad, next.span);
                let (rest, inner) = bracketed(input, part, bad)?;
                parts.push(StringPart::Expr(inner));
                input = rest;
            }
            // The text ended within the string, which the lexer has reported.
            _ => return Ok((input, ExprKind::Interpolated(parts))),
        }
    }
}

fn integer(context: &Context, text: &str, span: Span) -> Option<ExprKind> {
    if let Ok(value) = text.parse() {
        return Some(ExprKind::Integer(value));
    }
    context.report(
        Diagnostic::error("integer-out-of-range", "integer out of range", span)
            .help(format!("integers have 64 bits: at most {}; a float may be larger: `{text}.0`", i64::MAX)),
    );
    None
}

fn float(context: &Context, text: &str, span: Span) -> Option<ExprKind> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Some(ExprKind::Float(value)),
        _ => {
            context.report(Diagnostic::error("float-out-of-range", "float out of range", span));
            None
        }
    }
}

/// The lexer has checked the units, so only the sum can be wrong.
fn duration(context: &Context, text: &str, span: Span) -> Option<ExprKind> {
    if let Ok(duration) = Duration::parse(text) {
        return Some(ExprKind::Duration(duration));
    }
    context.report(
        Diagnostic::error("duration-out-of-range", "duration out of range", span)
            .help("a duration has 64 bits of nanoseconds, about 292 years, beside its months"),
    );
    None
}

fn time(context: &Context, text: &str, span: Span) -> Option<ExprKind> {
    let error = match rfc3339::parse(text) {
        Ok(time_ns) => return Some(ExprKind::Time(time_ns)),
        Err(error) => error,
    };
    // The message repeats the text, to which the caret points already.
    let why = error.message().split_once("as a time: ").map_or(error.message(), |(_, why)| why);
    if why.contains("outside") {
        let diagnostic = Diagnostic::error("time-out-of-range", "time out of range", span);
        context.report(diagnostic.help("times are 64 bits of nanoseconds: from 1677 to 2262"));
        return None;
    }
    context.report(Diagnostic::error("invalid-time", format!("invalid time: {why}"), span));
    None
}

fn regexp(context: &Context, text: &str, span: Span) -> Option<ExprKind> {
    let inner = &text[1..text.len() - 1];
    let pattern = if inner.contains("\\/") { unescape_slashes(inner) } else { inner.to_string() };
    let Err(error) = regex::Regex::new(&pattern) else {
        return Some(ExprKind::Regexp(Arc::from(pattern)));
    };
    let reason = match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_string(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_string()
        }
    };
    context.report(Diagnostic::error("invalid-regexp", format!("invalid regular expression: {reason}"), span));
    None
}

/// `\/` as `/`; every other escape is the regular expression's own.
fn unescape_slashes(pattern: &str) -> String {
    let mut unescaped = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            unescaped.push(character);
            continue;
        }
        match characters.next() {
            Some('/') => unescaped.push('/'),
            Some(escaped) => unescaped.extend(['\\', escaped]),
            None => unescaped.push('\\'),
        }
    }
    unescaped
}

/// The text between quotes with its escapes resolved: `\n \r \t \" \\ \$ \xHH`.
fn unescape(context: &Context, span: Span) -> Arc<str> {
    let text = context.text_of(span);
    if !text.contains('\\') {
        return Arc::from(text);
    }
    // `\xHH` writes bytes, several of which may make one character.
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(backslash) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..backslash]);
        let escape = &rest[backslash + 1..];
        let Some(character) = escape.chars().next() else {
            break;
        };
        let mut length = character.len_utf8();
        match character {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '"' | '\\' | '$' => bytes.push(character as u8),
            'x' => match escape.get(1..3).and_then(hexadecimal) {
                Some(byte) => {
                    bytes.push(byte);
                    length = 3;
                }
                None => bad_escape(context, span, text.len() - escape.len(), length),
            },
            _ => {
                bytes.extend_from_slice(&escape.as_bytes()[..length]);
                bad_escape(context, span, text.len() - escape.len(), length);
            }
        }
        rest = &escape[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).map(Arc::from).unwrap_or_else(|error| {
        context.report(
            Diagnostic::error("invalid-escape", "the `\\x` escapes in this string do not make UTF-8", span).help(
                "each character outside ASCII takes all its bytes: `\\xc3\\xa9` is é; it may also stand as itself",
            ),
        );
        Arc::from(String::from_utf8_lossy(error.as_bytes()))
    })
}

fn hexadecimal(digits: &str) -> Option<u8> {
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// Reports the escape whose character is `offset` bytes into the text at `span`.
fn bad_escape(context: &Context, span: Span, offset: usize, length: usize) {
    let start = span.start as usize + offset - 1;
    let escape = Span::new(start, start + 1 + length);
    let written = context.text_of(escape);
    let help = match written {
        "\\x" => "`\\x` takes two hexadecimal digits: `\\x41` is A",
        "\\u" | "\\U" => "a character outside ASCII stands as itself, or as the bytes of its UTF-8: `\\xc3\\xa9`",
        "\\'" => "a single quote needs no escape",
        _ => "the escapes are \\n \\r \\t \\\" \\\\ \\${ and \\xHH; a backslash is written `\\\\`",
    };
    context.report(Diagnostic::error("invalid-escape", format!("unknown escape `{written}`"), escape).help(help));
}
