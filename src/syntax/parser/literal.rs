//! Literals: from the text of a token to its value. What has no value is reported, and parsing goes on.
//!
//! Called by the productions of expressions. The lexer has found where a literal ends and what sort it is.

use std::sync::Arc;

use super::{Context, Step, Tokens, bracketed, token};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast::{ExprKind, StringPart};
use crate::syntax::parser::expression::expression;
use crate::syntax::token::{Token, TokenKind};
use crate::time::Duration;

/// The value of a literal of one token.
pub(super) fn value(context: &Context, token: Token) -> ExprKind {
    let text = context.text_of(token.span);
    let span = token.span;
    let kind = match token.kind {
        TokenKind::Integer => integer(text, span).map(ExprKind::Integer),
        TokenKind::Float => float(text, span).map(ExprKind::Float),
        TokenKind::Duration => duration(text, span).map(ExprKind::Duration),
        TokenKind::Time => time(text, span).map(ExprKind::Time),
        TokenKind::Regexp => regexp(text, span).map(ExprKind::Regexp),
        TokenKind::String => return ExprKind::String(string(context, token)),
        _ => return ExprKind::Bad,
    };
    kind.unwrap_or_else(|diagnostic| {
        context.report(diagnostic);
        ExprKind::Bad
    })
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
                let part = |input| {
                    let (input, inner) = expression(input)?;
                    let (input, _) = token(TokenKind::InterpolationEnd)(input)?;
                    Ok((input, inner))
                };
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

fn integer(text: &str, span: Span) -> Result<i64, Diagnostic> {
    text.parse().map_err(|_| {
        Diagnostic::error("integer-out-of-range", "integer out of range", span)
            .help(format!("integers have 64 bits: at most {}; a float may be larger: `{text}.0`", i64::MAX))
    })
}

fn float(text: &str, span: Span) -> Result<f64, Diagnostic> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Diagnostic::error("float-out-of-range", "float out of range", span)),
    }
}

fn duration(text: &str, span: Span) -> Result<Duration, Diagnostic> {
    sum_of_units(text).ok_or_else(|| Diagnostic::error("duration-out-of-range", "duration out of range", span))
}

fn sum_of_units(text: &str) -> Option<Duration> {
    let mut total = Duration::default();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let count: i64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, after) = rest.split_at(letters);
        rest = after;
        let (months, nanoseconds) = match unit {
            "y" => (12, 0),
            "mo" => (1, 0),
            "w" => (0, 7 * 24 * 3_600_000_000_000),
            "d" => (0, 24 * 3_600_000_000_000),
            "h" => (0, 3_600_000_000_000),
            "m" => (0, 60_000_000_000),
            "s" => (0, 1_000_000_000),
            "ms" => (0, 1_000_000),
            "us" | "µs" | "μs" => (0, 1_000),
            "ns" => (0, 1),
            _ => return None,
        };
        total.months = total.months.checked_add(count.checked_mul(months)?)?;
        total.nanoseconds = total.nanoseconds.checked_add(count.checked_mul(nanoseconds)?)?;
    }
    Some(total)
}

fn time(text: &str, span: Span) -> Result<i64, Diagnostic> {
    let parsed = if text.len() == "2006-01-02".len() {
        chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .map(|date| date.and_time(chrono::NaiveTime::MIN).and_utc())
    } else {
        chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
    };
    let Some(parsed) = parsed else {
        return Err(Diagnostic::error("invalid-time", "no such day, time of day or offset", span));
    };
    parsed.timestamp_nanos_opt().ok_or_else(|| {
        Diagnostic::error("time-out-of-range", "time out of range", span)
            .help("times lie between 1677-09-21 and 2262-04-11, in nanoseconds")
    })
}

fn regexp(text: &str, span: Span) -> Result<Arc<str>, Diagnostic> {
    let inner = &text[1..text.len() - 1];
    let pattern = if inner.contains("\\/") { unescape_slashes(inner) } else { inner.to_string() };
    let Err(error) = regex::Regex::new(&pattern) else {
        return Ok(Arc::from(pattern));
    };
    let reason = match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_string(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_string()
        }
    };
    Err(Diagnostic::error("invalid-regexp", format!("invalid regular expression: {reason}"), span))
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
