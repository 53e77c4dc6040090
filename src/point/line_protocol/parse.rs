//! Line protocol to points: every good line, every bad line with its reason.
//!
//! Called with a whole body. Linear in its length; a bad line never harms its neighbours, unless it opens a string that
//! swallows them (a string may hold line feeds).

use std::borrow::Cow;

use super::Precision;
use crate::name::Name;
use crate::point::names::Names;
use crate::point::{FieldValue, MAX_KEY_BYTES, MAX_STRING_BYTES, Point, RESERVED_TAGS, TIME_RANGE_NS};

/// How a body is read.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The unit of its timestamps.
    pub precision: Precision,
    /// The time of lines without one, in nanoseconds; it is cut to the precision.
    pub default_time_ns: i64,
}

/// A line that is a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// The point.
    pub point: Point,
}

/// A line that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: usize,
    /// As InfluxDB says it: `unable to parse '<line>': <reason>`, or the plain reason of a refused point.
    pub message: String,
}

/// What a body holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The points, in order.
    pub lines: Vec<Line>,
    /// Lines with a syntax error. InfluxDB refuses the whole body for one of them (400).
    pub errors: Vec<BadLine>,
    /// Well-formed lines that no bucket takes (reserved names, sizes). InfluxDB writes the others (422).
    pub refused: Vec<BadLine>,
}

/// Room for the fields of most lines.
const USUAL_FIELDS: usize = 8;

/// The most of a bad line that its message repeats.
const SHOWN: usize = 1_024;

/// Reads a body.
pub fn parse(body: &[u8], options: Options, names: &mut Names) -> Parsed {
    let mut parsed = Parsed::default();
    let mut rest = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut number = 1;
    while !rest.is_empty() {
        let end = line_end(rest);
        let (line, after) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
        let first = number;
        number += 1 + line.iter().filter(|byte| **byte == b'\n').count();
        rest = after;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = skip_blanks(line);
        if line.is_empty() || line[0] == b'#' {
            continue;
        }
        match parse_line(line, options, names) {
            Ok(point) => parsed.lines.push(Line { number: first, point }),
            Err(Problem::Syntax(reason)) => {
                let shown = String::from_utf8_lossy(&line[..line.len().min(SHOWN)]);
                let dots = if line.len() > SHOWN { "..." } else { "" };
                let message = format!("unable to parse '{shown}{dots}': {reason}");
                parsed.errors.push(BadLine { number: first, message });
            }
            Err(Problem::Refused(message)) => parsed.refused.push(BadLine { number: first, message }),
        }
    }
    parsed
}

enum Problem {
    Syntax(Cow<'static, str>),
    Refused(String),
}

fn syntax<T>(reason: impl Into<Cow<'static, str>>) -> Result<T, Problem> {
    Err(Problem::Syntax(reason.into()))
}

fn skip_blanks(line: &[u8]) -> &[u8] {
    let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | 0)).count();
    &line[blanks..]
}

/// Where the first line ends: at a line feed outside of a string. A string can only open right after a field's equals
/// sign, so a quote in a measurement or a tag opens none; a comment holds none.
fn line_end(text: &[u8]) -> usize {
    let feed = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    if !text[..feed].contains(&b'"') || skip_blanks(text).first() == Some(&b'#') {
        return feed;
    }
    // From the space on; whatever is at `at` has a byte before it, or is the end.
    let mut at = key_end(text, 0, b"").max(1);
    while at < text.len() {
        match text[at] {
            b'\n' => return at,
            b'=' if text[at - 1] != b'\\' && text.get(at + 1) == Some(&b'"') => match string_end(text, at + 2) {
                Some(end) => at = end + 1,
                None => return text.len(),
            },
            _ => at += 1,
        }
    }
    text.len()
}

/// The end of the series (measurement and tags): the first space that no backslash precedes, or the end of the line.
fn key_end(text: &[u8], from: usize, also: &[u8]) -> usize {
    let blanks = if from == 0 { text.len() - skip_blanks(text).len() } else { 0 };
    let start = from + blanks;
    let mut at = start;
    while at < text.len() {
        let byte = text[at];
        if byte == b'\n' {
            return at;
        }
        if (byte == b' ' || also.contains(&byte)) && (at == start || text[at - 1] != b'\\') {
            return at;
        }
        at += 1;
    }
    at
}

/// The closing quote of a string whose text starts at `from`.
fn string_end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            b'\\' if matches!(text.get(at + 1), Some(b'"' | b'\\')) => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

fn parse_line(line: &[u8], options: Options, names: &mut Names) -> Result<Point, Problem> {
    let Ok(line) = std::str::from_utf8(line) else {
        return syntax("invalid UTF-8");
    };
    let (measurement, tags, at) = parse_series(line, names)?;
    let Fields { kept, refused, longest, rest } = parse_fields(&line[at..], names)?;
    let time_ns = parse_time(rest, options)?;
    if at + longest > MAX_KEY_BYTES {
        return Err(Problem::Refused(format!("max key length exceeded: {} > {MAX_KEY_BYTES}", at + longest)));
    }
    if let Some((key, _)) = tags.iter().find(|(key, _)| RESERVED_TAGS.contains(&&**key)) {
        return Err(Problem::Refused(format!("input tag key is reserved: {key}")));
    }
    if let Some(message) = refused {
        return Err(Problem::Refused(message));
    }
    if kept.is_empty() {
        return Err(Problem::Refused("input field key is reserved: time".into()));
    }
    Ok(Point { measurement, tags, fields: kept, time_ns })
}

type Tags = Vec<(Name, Name)>;

/// Measurement and tags; the place of the space that ends them.
fn parse_series(line: &str, names: &mut Names) -> Result<(Name, Tags, usize), Problem> {
    let text = line.as_bytes();
    let mut at = if text[0] == b',' || text[0] == b' ' { 0 } else { key_end(text, 0, b",") };
    if at == 0 {
        return syntax("missing measurement");
    }
    let measurement = names.share(&unescape(&line[..at], b", "));
    let mut tags: Tags = Vec::new();
    while text.get(at) == Some(&b',') {
        let start = at + 1;
        let equals = key_end(text, start, b"=,");
        if equals == start {
            return syntax("missing tag key");
        }
        if text.get(equals) != Some(&b'=') {
            return syntax("missing tag value");
        }
        at = key_end(text, equals + 1, b"=,");
        if at == equals + 1 {
            return syntax("missing tag value");
        }
        if text.get(at) == Some(&b'=') {
            return syntax("invalid tag format");
        }
        let key = names.share(&unescape(&line[start..equals], b",= "));
        let value = names.share(&unescape(&line[equals + 1..at], b",= "));
        tags.push((key, value));
    }
    tags.sort_by(|left, right| left.0.cmp(&right.0));
    if tags.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return syntax("duplicate tags");
    }
    Ok((measurement, tags, at))
}

/// The fields of a line.
struct Fields<'a> {
    /// Each once, with its last value; without `time`, which is no field.
    kept: Vec<(Name, FieldValue)>,
    /// Why no bucket takes the line, if none does.
    refused: Option<String>,
    /// The longest key as it is written, in bytes.
    longest: usize,
    /// What follows them.
    rest: &'a str,
}

/// The fields after the series.
fn parse_fields<'a>(line: &'a str, names: &mut Names) -> Result<Fields<'a>, Problem> {
    let line = line.trim_start_matches(' ');
    let text = line.as_bytes();
    if text.is_empty() {
        return syntax("missing fields");
    }
    let mut fields = Fields { kept: Vec::with_capacity(USUAL_FIELDS), refused: None, longest: 0, rest: "" };
    let mut at = 0;
    loop {
        let equals = key_end(text, at, b"=,");
        if equals == at {
            return syntax("missing field key");
        }
        if text.get(equals) != Some(&b'=') {
            return syntax("invalid field format");
        }
        let key = names.share(&unescape(&line[at..equals], b",= "));
        fields.longest = fields.longest.max(equals - at);
        let (value, end) = parse_value(line, equals + 1)?;
        fields.add(key, value);
        at = end;
        if text.get(at) != Some(&b',') {
            break;
        }
        at += 1;
    }
    fields.rest = &line[at..];
    Ok(fields)
}

impl Fields<'_> {
    fn add(&mut self, key: Name, value: FieldValue) {
        if &*key == "time" {
            return;
        }
        if let FieldValue::String(text) = &value
            && text.len() > MAX_STRING_BYTES
        {
            let length = text.len();
            let why = || format!("input field {key:?} is too long, {length} > {MAX_STRING_BYTES}");
            self.refused.get_or_insert_with(why);
            return;
        }
        match self.kept.iter_mut().find(|(own, _)| *own == key) {
            Some(earlier) => earlier.1 = value,
            None => self.kept.push((key, value)),
        }
    }
}

/// A field's value from `from` on, and where it ends.
fn parse_value(line: &str, from: usize) -> Result<(FieldValue, usize), Problem> {
    let text = line.as_bytes();
    if text.get(from) == Some(&b'"') {
        let Some(close) = string_end(text, from + 1) else {
            return syntax("unbalanced quotes");
        };
        if !matches!(text.get(close + 1), None | Some(b',' | b' ')) {
            return syntax("invalid field format");
        }
        let string = unescape(&line[from + 1..close], b"\"\\");
        return Ok((FieldValue::String(Name::from(&*string)), close + 1));
    }
    let end = text[from..].iter().position(|byte| matches!(byte, b',' | b' ')).map_or(text.len(), |at| from + at);
    let word = &line[from..end];
    if word.is_empty() {
        return syntax("missing field value");
    }
    Ok((scalar(word)?, end))
}

fn scalar(word: &str) -> Result<FieldValue, Problem> {
    match word {
        "t" | "T" | "true" | "True" | "TRUE" => return Ok(FieldValue::Bool(true)),
        "f" | "F" | "false" | "False" | "FALSE" => return Ok(FieldValue::Bool(false)),
        _ => {}
    }
    let bytes = word.as_bytes();
    if bytes[0].is_ascii_alphabetic() {
        return syntax(if matches!(bytes[0], b't' | b'T' | b'f' | b'F') {
            "invalid boolean"
        } else {
            "invalid number"
        });
    }
    let value = match bytes[bytes.len() - 1] {
        b'i' => integer(word).then(|| word[..word.len() - 1].parse().ok().map(FieldValue::Int)).flatten(),
        b'u' => integer(word).then(|| word[..word.len() - 1].parse().ok().map(FieldValue::UInt)).flatten(),
        _ => float(word).map(FieldValue::Float),
    };
    match value {
        Some(value) => Ok(value),
        None => syntax("invalid number"),
    }
}

/// Whether it is digits with at most a minus sign before and a suffix behind (Rust would also take a plus sign).
fn integer(word: &str) -> bool {
    let digits = &word[..word.len() - 1];
    let digits = digits.strip_prefix('-').unwrap_or(digits);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn float(word: &str) -> Option<f64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !plain || digits.starts_with('+') {
        return None;
    }
    word.parse().ok().filter(|value: &f64| value.is_finite())
}

fn parse_time(rest: &str, options: Options) -> Result<i64, Problem> {
    let word = rest.trim_matches([' ', '\t', '\0']);
    let unit = options.precision.nanoseconds();
    if word.is_empty() {
        let cut = options.default_time_ns.div_euclid(unit).checked_mul(unit);
        return Ok(cut.unwrap_or(options.default_time_ns));
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return syntax("bad timestamp");
    }
    let time = word.parse::<i64>().ok().and_then(|time| time.checked_mul(unit));
    match time.filter(|time| TIME_RANGE_NS.contains(time)) {
        Some(time) => Ok(time),
        None => syntax(format!("time outside range {} - {}", TIME_RANGE_NS.start(), TIME_RANGE_NS.end())),
    }
}

/// Drops the backslash before each of `special`; any other backslash stands for itself.
fn unescape<'a>(text: &'a str, special: &[u8]) -> Cow<'a, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let escapes =
            characters.peek().is_some_and(|next| u8::try_from(*next).is_ok_and(|next| special.contains(&next)));
        if character != '\\' || !escapes {
            plain.push(character);
            continue;
        }
        plain.extend(characters.next());
    }
    Cow::Owned(plain)
}
