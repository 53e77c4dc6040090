//! Packages `json` and `experimental/json`: values to JSON and back.
//!
//! Properties stand in order of name. What JSON has no word for (NaN, functions, streams) is an error.

use crate::error::{Error, Result};
use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::flux::{Value, scalar};
use crate::functions::arguments::Arguments;
use crate::time::rfc3339;

static ENCODE: Builtin = Builtin {
    package: "json",
    name: "encode",
    signature: "(v: A) => bytes",
    doc: "The value as JSON: times as RFC 3339 text, durations as text, dictionaries as objects, bytes in base 64.",
    examples: &[
        "import \"array\"\nimport \"json\"\n\narray.from(rows: [{v: string(v: json.encode(v: {a: 1, b: [true]}))}])",
    ],
    body: |call| {
        let text = encode(call.required("v")?)?;
        Ok(Value::Bytes(text.into_bytes().into()))
    },
};

static PARSE: Builtin = Builtin {
    package: "experimental/json",
    name: "parse",
    signature: "(data: bytes) => A",
    doc: "The value that JSON stands for: objects become records, numbers floats.",
    examples: &["import \"array\"\nimport \"experimental/json\"\n\nr = json.parse(data: bytes(v: \"{\\\"a\\\": \
                 1}\"))\n\narray.from(rows: [{v: r.a}])"],
    body: |call| match call.required("data")? {
        Value::Null => Ok(Value::Null),
        Value::Bytes(bytes) => parse(bytes),
        other => Err(call.mismatch("data", "bytes", other)),
    },
};

/// The packages.
pub fn packages() -> [Package; 2] {
    let package = |path, builtin| Package { path, builtins: vec![builtin], ..Package::default() };
    [package("json", &ENCODE), package("experimental/json", &PARSE)]
}

/// The value that JSON stands for.
///
/// # Errors
/// Invalid for what is no JSON, or nested too deep.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    match serde_json::from_slice(bytes) {
        Ok(json) => Ok(value(json)),
        Err(error) => Err(Error::invalid(format!("cannot parse JSON: {error}"))),
    }
}

fn value(json: serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(truth) => Value::Bool(truth),
        serde_json::Value::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::string(text),
        serde_json::Value::Array(items) => Value::Array(items.into_iter().map(value).collect()),
        serde_json::Value::Object(object) => {
            let mut properties: Vec<(String, Value)> =
                object.into_iter().map(|(name, json)| (name, value(json))).collect();
            properties.sort_by(|left, right| left.0.cmp(&right.0));
            Value::record(properties)
        }
    }
}

/// A value as JSON.
///
/// # Errors
/// Invalid for what JSON has no word for.
pub fn encode(value: &Value) -> Result<String> {
    let mut text = String::new();
    write(&mut text, value)?;
    Ok(text)
}

fn write(text: &mut String, value: &Value) -> Result<()> {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Int(number) => text.push_str(&number.to_string()),
        Value::UInt(number) => text.push_str(&number.to_string()),
        Value::Float(number) if !number.is_finite() => {
            return Err(Error::invalid(format!("JSON has no word for the float {}", scalar::float_text(*number))));
        }
        Value::Float(number) => {
            let size = number.abs();
            if size == 0.0 || (1e-6..1e21).contains(&size) {
                text.push_str(&scalar::float_text(*number));
            } else {
                let short = format!("{number:e}");
                text.push_str(&if size < 1.0 { short } else { short.replace('e', "e+") });
            }
        }
        Value::String(own) => quote(text, own),
        Value::Time(time_ns) => quote(text, &rfc3339::to_short_text(*time_ns)),
        Value::Duration(duration) => quote(text, &duration.to_string()),
        Value::Regexp(pattern) => quote(text, pattern.as_str()),
        Value::Bytes(bytes) => quote(text, &base64(bytes)),
        Value::Dynamic(inner) => write(text, inner)?,
        Value::Array(items) => list(text, ('[', ']'), items.iter(), write)?,
        Value::Record(record) => {
            let mut properties: Vec<_> = record.properties.iter().collect();
            properties.sort_by(|left, right| left.0.cmp(&right.0));
            list(text, ('{', '}'), properties.into_iter(), |text, (name, value)| {
                quote(text, name);
                text.push(':');
                write(text, value)
            })?;
        }
        Value::Dict(entries) => {
            let mut entries: Vec<(String, &Value)> =
                entries.iter().map(|(key, value)| (scalar::display(&key.to_value()), value)).collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            list(text, ('{', '}'), entries.into_iter(), |text, (name, value)| {
                quote(text, &name);
                text.push(':');
                write(text, value)
            })?;
        }
        Value::Stream(_) | Value::Table(_) => {
            return Err(Error::invalid("got table stream instead of array")
                .with_hint("tableFind or findRecord take data out of a stream"));
        }
        Value::Function(_) => return Err(Error::invalid("cannot encode a function value")),
    }
    Ok(())
}

fn list<T>(
    text: &mut String,
    (open, close): (char, char),
    items: impl Iterator<Item = T>,
    mut item: impl FnMut(&mut String, T) -> Result<()>,
) -> Result<()> {
    text.push(open);
    for (at, own) in items.enumerate() {
        if at > 0 {
            text.push(',');
        }
        item(text, own)?;
    }
    text.push(close);
    Ok(())
}

fn quote(text: &mut String, own: &str) {
    text.push_str(&serde_json::Value::from(own).to_string());
}

/// Base 64 with the usual alphabet and padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place) & 63) as usize;
            text.push(if place > group.len() { '=' } else { ALPHABET[index].into() });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base_64_pads_its_last_group() {
        // RFC 4648, section 10.
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
