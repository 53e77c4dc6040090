//! Any value as text: what `display` gives.
//!
//! Composites of more than three parts go over several lines. The text is for people and does not read back.

use std::fmt::Write;

use super::text::plain_text;
use crate::flux::Value;

/// Longer composites stand on several lines.
const MOST_ON_A_LINE: usize = 3;

/// Any value as text.
pub fn display(value: &Value) -> String {
    let mut text = String::new();
    write_value(&mut text, value, 0);
    text
}

fn write_value(text: &mut String, value: &Value, level: usize) {
    match value {
        Value::Null => text.push_str("<null>"),
        Value::Float(number) => text.push_str(&short_float(*number)),
        Value::Bytes(bytes) => {
            text.push_str("0x");
            bytes.iter().for_each(|byte| {
                let _ = write!(text, "{byte:02x}");
            });
        }
        Value::Regexp(pattern) => text.push_str(pattern.as_str()),
        Value::Array(items) => {
            write_list(text, ('[', ']'), items.len(), ",", level, |text, at| write_value(text, &items[at], level + 1));
        }
        Value::Record(record) => {
            let mut properties: Vec<_> = record.properties.iter().collect();
            properties.sort_by(|left, right| left.0.cmp(&right.0));
            write_list(text, ('{', '}'), properties.len(), ",", level, |text, at| {
                let (name, value) = properties[at];
                let _ = write!(text, "{name}: ");
                write_value(text, value, level + 1);
            });
        }
        Value::Dict(entries) if entries.is_empty() => text.push_str("[:]"),
        Value::Dict(entries) => {
            let entries: Vec<_> = entries.iter().collect();
            write_list(text, ('[', ']'), entries.len(), ", ", level, |text, at| {
                let (key, value) = entries[at];
                write_value(text, &key.to_value(), level + 1);
                text.push_str(": ");
                write_value(text, value, level + 1);
            });
        }
        Value::Dynamic(inner) => {
            text.push_str("dynamic(");
            write_value(text, inner, level);
            text.push(')');
        }
        Value::Function(_) => text.push_str("<function>"),
        Value::Stream(_) => text.push_str("<stream>"),
        Value::Table(_) => text.push_str("<table>"),
        other => text.push_str(&plain_text(other).unwrap_or_default()),
    }
}

/// Items between brackets; `comma` is what stands at the end of a line.
fn write_list(
    text: &mut String,
    (open, close): (char, char),
    len: usize,
    comma: &str,
    level: usize,
    mut item: impl FnMut(&mut String, usize),
) {
    let lines = len > MOST_ON_A_LINE;
    let line = |text: &mut String, level: usize| {
        text.push('\n');
        (0..level).for_each(|_| text.push_str("    "));
    };
    text.push(open);
    for at in 0..len {
        match (at, lines) {
            (0, false) => {}
            (_, false) => text.push_str(", "),
            (0, true) => line(text, level + 1),
            (_, true) => {
                text.push_str(comma);
                line(text, level + 1);
            }
        }
        item(text, at);
    }
    if lines {
        line(text, level);
    }
    text.push(close);
}

/// The shortest text of a float that reads back; with an exponent where it is very large or very small.
fn short_float(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() || number == 0.0 || (1e-4..1e21).contains(&size) {
        return super::float_text(number);
    }
    // Rust writes 1e-7, the language 1e-07.
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_get_an_exponent_at_the_ends() {
        let cases = [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-5, "1.5e-05"),
            (1e-4, "0.0001"),
            (-2e100, "-2e+100"),
            (f64::INFINITY, "+Inf"),
        ];
        for (number, text) in cases {
            assert_eq!(short_float(number), text);
        }
    }
}
