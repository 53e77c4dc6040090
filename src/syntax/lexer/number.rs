//! Numbers, durations and times: where such a literal ends, and what is wrong with one that other languages would read.
//!
//! Called by the lexer with the place of a digit, or of a `.` before one. The values are made by the parser.

use super::name_end;
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::token::TokenKind;

/// A literal that starts with a digit.
pub(super) struct Number {
    /// What it is; [`TokenKind::BadLiteral`] if there is a problem.
    pub kind: TokenKind,
    /// One past its last byte.
    pub end: usize,
    pub problem: Option<Diagnostic>,
}

/// The units of durations, the longer of two with one beginning first.
const UNITS: [&str; 12] = ["mo", "ms", "us", "µs", "μs", "ns", "y", "w", "d", "h", "m", "s"];

/// What people write for the units.
const OTHER_UNITS: [(&[&str], &str); 9] = [
    (&["yr", "yrs", "year", "years", "Y"], "y"),
    (&["mon", "month", "months", "M"], "mo"),
    (&["week", "weeks", "W"], "w"),
    (&["day", "days", "D"], "d"),
    (&["hr", "hrs", "hour", "hours", "H"], "h"),
    (&["min", "mins", "minute", "minutes"], "m"),
    (&["sec", "secs", "second", "seconds", "S"], "s"),
    (&["msec", "millis", "milliseconds", "MS"], "ms"),
    (&["usec", "micros", "microseconds"], "us"),
];

/// The literal that starts at `start`.
pub(super) fn scan(text: &str, start: usize) -> Number {
    let bytes = text.as_bytes();
    if is_date(bytes, start) {
        return time(text, start);
    }
    let digits = digits_end(bytes, start);
    if bytes.get(digits) == Some(&b'.') {
        let end = digits_end(bytes, digits + 1);
        return if name_end(text, end) == end { good(TokenKind::Float, end) } else { malformed(text, start, end) };
    }
    let mut end = digits;
    // One past the last digits: where the last unit starts.
    let mut tail = digits;
    while let Some(unit) = unit_at(text, end) {
        tail = end;
        end += unit.len();
        let next = digits_end(bytes, end);
        if next == end {
            break;
        }
        if unit_at(text, next).is_none() {
            return malformed(text, start, next);
        }
        end = next;
    }
    if name_end(text, end) != end {
        return malformed(text, start, tail);
    }
    if end > digits {
        return good(TokenKind::Duration, end);
    }
    if digits - start > 1 && bytes[start] == b'0' {
        let value = text[start..digits].trim_start_matches('0');
        let value = if value.is_empty() { "0" } else { value };
        let span = Span::new(start, digits);
        return bad(
            digits,
            Diagnostic::error("leading-zero", "an integer does not start with 0", span)
                .help(format!("write `{value}`")),
        );
    }
    good(TokenKind::Integer, end)
}

fn good(kind: TokenKind, end: usize) -> Number {
    Number { kind, end, problem: None }
}

fn bad(end: usize, problem: Diagnostic) -> Number {
    Number { kind: TokenKind::BadLiteral, end, problem: Some(problem) }
}

fn digits_end(bytes: &[u8], from: usize) -> usize {
    from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn unit_at(text: &str, at: usize) -> Option<&'static str> {
    UNITS.into_iter().find(|unit| text[at..].starts_with(unit))
}

/// Whether `pattern` stands at `at`, with `d` for any digit.
fn looks_like(bytes: &[u8], at: usize, pattern: &[u8]) -> bool {
    bytes.len() >= at + pattern.len()
        && pattern.iter().zip(&bytes[at..]).all(|(expected, byte)| match expected {
            b'd' => byte.is_ascii_digit(),
            _ => expected == byte,
        })
}

fn is_date(bytes: &[u8], at: usize) -> bool {
    looks_like(bytes, at, b"dddd-dd-dd") && !bytes.get(at + 10).is_some_and(u8::is_ascii_digit)
}

/// A date, or a date with a time of day; whether such a day exists is found out when its value is made.
fn time(text: &str, start: usize) -> Number {
    let bytes = text.as_bytes();
    let date = start + 10;
    let separator = bytes.get(date).copied().unwrap_or(0);
    if separator == b' ' && looks_like(bytes, date + 1, b"dd:dd") {
        let end = time_of_day_end(bytes, date + 1);
        let help = format!("write `{}T{}`", &text[start..date], with_offset(&text[date + 1..end]));
        let problem =
            Diagnostic::error("invalid-time", "date and time are joined by `T`", Span::new(start, end)).help(help);
        return bad(end, problem);
    }
    if separator != b'T' {
        let end = name_end(text, date);
        return if end == date { good(TokenKind::Time, end) } else { bad_time(text, start, end) };
    }
    let end = time_of_day_end(bytes, date + 1);
    let day_time = &text[date + 1..end];
    if !looks_like(bytes, date + 1, b"dd:dd:dd") || name_end(text, end) != end {
        return bad_time(text, start, name_end(text, end));
    }
    if day_time.ends_with('Z') || day_time.contains(['+', '-']) {
        return good(TokenKind::Time, end);
    }
    let problem = Diagnostic::error("missing-offset", "time without an offset from UTC", Span::new(start, end))
        .help(format!("write `{}Z` for UTC, or an offset such as `+02:00` in place of `Z`", &text[start..end]));
    bad(end, problem)
}

fn bad_time(text: &str, start: usize, end: usize) -> Number {
    let problem = Diagnostic::error("invalid-time", "invalid time", Span::new(start, end))
        .help(format!("a time is written like `{}T15:04:05Z`, a day alone like `{0}`", &text[start..start + 10]));
    bad(end, problem)
}

/// The end of `15:04:05.123+02:00` or what of it there is.
fn time_of_day_end(bytes: &[u8], from: usize) -> usize {
    let clock = |at: usize| {
        at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.')).count()
    };
    let end = clock(from);
    match bytes.get(end) {
        Some(b'Z') => end + 1,
        Some(b'+' | b'-') if end > from && looks_like(bytes, end + 1, b"dd:dd") => end + 6,
        _ => end,
    }
}

fn with_offset(day_time: &str) -> String {
    if day_time.ends_with('Z') || day_time.contains(['+', '-']) { day_time.to_string() } else { format!("{day_time}Z") }
}

/// Digits followed by letters that make no literal of Flux: says what they would have been elsewhere.
fn malformed(text: &str, start: usize, tail: usize) -> Number {
    let bytes = text.as_bytes();
    let mut end = name_end(text, tail);
    let letters = &text[tail..end];
    if letters.ends_with(['e', 'E'])
        && matches!(bytes.get(end), Some(b'+' | b'-'))
        && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
    {
        end = name_end(text, end + 1);
    }
    let written = &text[start..end];
    let span = Span::new(start, end);
    let number = |message: &str| Diagnostic::error("invalid-number", message.to_string(), span);
    let duration = |message: String| Diagnostic::error("invalid-duration", message, span);

    if letters.starts_with(['e', 'E'])
        && let Ok(value) = written.parse::<f64>()
    {
        let plain = format!("{value:?}");
        let diagnostic = number("numbers are written without exponent");
        return bad(
            end,
            if value.abs() < 1e15 && !plain.contains('e') {
                diagnostic.help(format!("write `{plain}`"))
            } else {
                diagnostic.help(format!("write `float(v: \"{written}\")`"))
            },
        );
    }
    if written.starts_with("0x") || written.starts_with("0X") || written.starts_with("0b") || written.starts_with("0o")
    {
        let radix = match bytes[start + 1] {
            b'b' => 2,
            b'o' => 8,
            _ => 16,
        };
        let diagnostic = number("integers are written in decimal");
        return bad(
            end,
            match u64::from_str_radix(&written[2..], radix) {
                Ok(value) => diagnostic.help(format!("write `{value}`")),
                Err(_) => diagnostic,
            },
        );
    }
    let plain = written.replace('_', "");
    if letters.starts_with('_') && plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return bad(end, number("digits are written without `_` between them").help(format!("write `{plain}`")));
    }
    match letters {
        "u" => {
            let help = format!("write `uint(v: {})`", &text[start..tail]);
            return bad(end, number("unsigned integers have no literal").help(help));
        }
        "i" | "f" | "L" | "l" => {
            let help = format!("write `{}`", &text[start..tail]);
            return bad(end, number("numbers carry no suffix").help(help));
        }
        "" => {
            let last = tail - text[..tail].bytes().rev().take_while(u8::is_ascii_digit).count();
            let message = format!("duration with no unit after `{}`", &text[last..tail]);
            return bad(end, duration(message).help("the units are y, mo, w, d, h, m, s, ms, us, ns"));
        }
        _ => {}
    }
    if text[start..tail].contains('.') && (UNITS.contains(&letters) || meant_unit(letters).is_some()) {
        let message = "durations are written without fractions".to_string();
        return bad(end, duration(message).help("write it in smaller units: `1h30m` for one and a half hours"));
    }
    let diagnostic = duration(format!("unknown unit `{letters}`"));
    bad(
        end,
        match meant_unit(letters) {
            Some(unit) => diagnostic.help(format!("write `{}{unit}`", &text[start..tail])),
            None => diagnostic.help(
                "the units of durations are y, mo, w, d, h, m, s, ms, us, ns; a name does not start with a digit",
            ),
        },
    )
}

/// The unit that a word such as `hours` stands for.
pub(in crate::syntax) fn meant_unit(letters: &str) -> Option<&'static str> {
    OTHER_UNITS.iter().find(|(written, _)| written.contains(&letters)).map(|(_, unit)| *unit)
}
