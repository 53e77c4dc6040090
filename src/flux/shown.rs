//! Values as Flux writes them, with their types: what a session shows of an expression that is no stream.
//!
//! Called by the engine for sessions. What is marked as a literal reads back as the same value; everything else is for
//! eyes only. The text is bounded, however large the value is.

use std::fmt::Write;

use super::Value;
use super::scalar::float_text;
use super::types::{Ground, Row, Type};
use super::value::{Closure, Function};
use crate::syntax::ast::{FunctionExpr, ParameterKind};
use crate::syntax::is_keyword;
use crate::time::rfc3339;

/// The longest text of a value; what is longer is cut and is no literal.
const MAX_BYTES: usize = 64 * 1024;
/// The longest text of a type.
const MAX_TYPE_BYTES: usize = 2_000;

/// A value in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The value, as Flux writes it.
    pub text: String,
    /// Its type, as Flux writes it.
    pub type_text: String,
    /// Whether the text, read as Flux, is the value again.
    pub is_literal: bool,
}

/// Shows a value. `script` is the text of the script in which its functions stand.
pub fn show(value: &Value, script: &str) -> Shown {
    let mut writer = Writer { text: String::new(), script, is_literal: true };
    writer.value(value);
    if writer.text.len() > MAX_BYTES {
        writer.text.truncate(writer.text.floor_char_boundary(MAX_BYTES));
        writer.text.push('…');
        writer.is_literal = false;
    }
    let mut type_text = type_text(value);
    if type_text.len() > MAX_TYPE_BYTES {
        type_text.truncate(type_text.floor_char_boundary(MAX_TYPE_BYTES));
        type_text.push('…');
    }
    Shown { text: writer.text, type_text, is_literal: writer.is_literal }
}

struct Writer<'a> {
    text: String,
    script: &'a str,
    is_literal: bool,
}

impl Writer<'_> {
    /// What Flux cannot write as a literal.
    fn remark(&mut self, text: &str) {
        self.text.push_str(text);
        self.is_literal = false;
    }

    fn value(&mut self, value: &Value) {
        if self.text.len() > MAX_BYTES {
            return;
        }
        match value {
            Value::Null => self.remark("null"),
            Value::Bool(truth) => self.text.push_str(if *truth { "true" } else { "false" }),
            Value::Int(number) => self.text.push_str(&number.to_string()),
            Value::UInt(number) => {
                let _ = write!(self.text, "uint(v: {number})");
            }
            Value::Float(number) => self.float(*number),
            Value::String(text) => quote(text, &mut self.text),
            Value::Time(time_ns) => self.text.push_str(&rfc3339::to_short_text(*time_ns)),
            Value::Duration(duration) => self.text.push_str(&duration.to_string()),
            Value::Regexp(pattern) => {
                let _ = write!(self.text, "/{}/", escape_slashes(pattern.as_str()));
            }
            Value::Bytes(bytes) => self.bytes(bytes),
            Value::Array(items) => self.list('[', ']', items.iter(), |writer, item| writer.value(item)),
            Value::Dict(entries) if entries.is_empty() => self.text.push_str("[:]"),
            Value::Dict(entries) => self.list('[', ']', entries.iter(), |writer, (key, value)| {
                writer.value(&key.to_value());
                writer.text.push_str(": ");
                writer.value(value);
            }),
            Value::Record(record) => self.list('{', '}', record.properties.iter(), |writer, (name, value)| {
                property_name(name, &mut writer.text);
                writer.text.push_str(": ");
                writer.value(value);
            }),
            Value::Dynamic(inner) => {
                self.remark("dynamic(");
                self.value(inner);
                self.text.push(')');
            }
            Value::Function(Function::Builtin(builtin)) => {
                let name = match builtin.package {
                    super::library::PRELUDE => builtin.name.to_string(),
                    path => format!("{}.{}", path.rsplit('/').next().unwrap_or(path), builtin.name),
                };
                self.remark(&name);
            }
            Value::Function(Function::Closure(closure)) => self.closure(closure),
            Value::Stream(_) => self.remark("<stream of tables>"),
            Value::Table(chunks) => {
                let rows: usize = chunks.iter().map(|chunk| chunk.len).sum();
                self.remark(&format!("<table of {rows} rows>"));
            }
        }
    }

    fn float(&mut self, number: f64) {
        let text = float_text(number);
        let finite = number.is_finite();
        match (finite, text.contains('.')) {
            (false, _) => {
                let _ = write!(self.text, "float(v: \"{text}\")");
            }
            (true, true) => self.text.push_str(&text),
            (true, false) => {
                let _ = write!(self.text, "{text}.0");
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                self.text.push_str("bytes(v: ");
                quote(text, &mut self.text);
                self.text.push(')');
            }
            Err(_) => {
                let shown: String = bytes.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
                self.remark(&format!("<{} bytes: {shown}>", bytes.len()));
            }
        }
    }

    fn list<T>(&mut self, open: char, close: char, items: impl Iterator<Item = T>, mut item: impl FnMut(&mut Self, T)) {
        self.text.push(open);
        for (index, one) in items.enumerate() {
            if self.text.len() > MAX_BYTES {
                break;
            }
            if index > 0 {
                self.text.push_str(", ");
            }
            item(self, one);
        }
        self.text.push(close);
    }

    /// A function as it stands in the script; one from elsewhere by its parameters.
    fn closure(&mut self, closure: &Closure) {
        let function = &closure.function;
        match self.script.get(function.span.range()) {
            Some(text) if text.starts_with('(') => {
                let text = text.to_string();
                self.remark(&text);
            }
            _ => self.remark(&format!("({}) => ...", parameters(function))),
        }
    }
}

fn parameters(function: &FunctionExpr) -> String {
    let shown = function.parameters.iter().map(|parameter| match &parameter.kind {
        ParameterKind::Required => parameter.name.name.to_string(),
        ParameterKind::Optional(_) => format!("{}=...", parameter.name.name),
        ParameterKind::Pipe => format!("{}=<-", parameter.name.name),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// A string literal.
pub fn quote(text: &str, into: &mut String) {
    into.push('"');
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            '$' if rest.peek() == Some(&'{') => into.push_str("\\$"),
            character if character.is_control() => {
                let mut buffer = [0u8; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    let _ = write!(into, "\\x{byte:02x}");
                }
            }
            character => into.push(character),
        }
    }
    into.push('"');
}

fn escape_slashes(pattern: &str) -> String {
    let mut escaped = String::with_capacity(pattern.len());
    let mut after_backslash = false;
    for character in pattern.chars() {
        if character == '/' && !after_backslash {
            escaped.push('\\');
        }
        after_backslash = character == '\\' && !after_backslash;
        escaped.push(character);
    }
    escaped
}

/// A property's name, in quotes if it is no name.
fn property_name(name: &str, into: &mut String) {
    let is_name = name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_alphanumeric() || character == '_')
        && !is_keyword(name);
    if is_name { into.push_str(name) } else { quote(name, into) }
}

/// The type of a value.
fn type_text(value: &Value) -> String {
    match value {
        Value::Table(_) => "table".to_string(),
        Value::Stream(_) => "stream".to_string(),
        Value::Dynamic(_) => "dynamic".to_string(),
        Value::Function(Function::Builtin(builtin)) => builtin.signature.to_string(),
        Value::Function(Function::Closure(closure)) => {
            let shown = closure.function.parameters.iter().map(|parameter| {
                let mark = match &parameter.kind {
                    ParameterKind::Required => "",
                    ParameterKind::Optional(_) => "?",
                    ParameterKind::Pipe => "<-",
                };
                format!("{mark}{}", parameter.name.name)
            });
            format!("function ({})", shown.collect::<Vec<_>>().join(", "))
        }
        other => type_of(other).to_string(),
    }
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Array(items) => Type::Array(Box::new(items.first().map_or(Type::Unknown, type_of))),
        Value::Dict(entries) => match entries.first_key_value() {
            Some((key, value)) => Type::Dict(Box::new(type_of(&key.to_value())), Box::new(type_of(value))),
            None => Type::of(value),
        },
        Value::Record(record) => {
            let properties = record.properties.iter().map(|(name, value)| (name.clone(), type_of(value)));
            Type::Record(Row { properties: properties.collect(), rest: None })
        }
        Value::Bytes(_) => Type::Ground(Ground::Bytes),
        other => Type::of(other),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::flux::value::DictKey;

    fn shown(value: &Value) -> (String, String, bool) {
        let shown = show(value, "");
        (shown.text, shown.type_text, shown.is_literal)
    }

    #[test]
    fn values_are_shown_as_flux_writes_them() {
        let dict = BTreeMap::from([(DictKey::Int(1), Value::string("a"))]);
        let cases: [(Value, &str, &str, bool); 12] = [
            (Value::Int(-3), "-3", "int", true),
            (Value::UInt(3), "uint(v: 3)", "uint", true),
            (Value::Float(1.0), "1.0", "float", true),
            (Value::Float(0.1), "0.1", "float", true),
            (Value::Float(f64::NAN), "float(v: \"NaN\")", "float", true),
            (Value::string("a \"b\" ${c} \n\u{1b}"), "\"a \\\"b\\\" \\${c} \\n\\x1b\"", "string", true),
            (Value::Time(0), "1970-01-01T00:00:00Z", "time", true),
            (Value::Null, "null", "?", false),
            (Value::Array(Arc::from([Value::Int(1), Value::Int(2)])), "[1, 2]", "[int]", true),
            (Value::Dict(Arc::new(dict)), "[1: \"a\"]", "[int: string]", true),
            (
                Value::record([("a", Value::Bool(true)), ("b c", Value::Float(2.5)), ("or", Value::Int(1))]),
                "{a: true, \"b c\": 2.5, \"or\": 1}",
                "{a: bool, b c: float, or: int}",
                true,
            ),
            (Value::record([("a", Value::Null)]), "{a: null}", "{a: ?}", false),
        ];
        for (value, text, type_text, is_literal) in cases {
            assert_eq!(shown(&value), (text.to_string(), type_text.to_string(), is_literal));
        }
    }

    #[test]
    fn a_large_value_is_cut_and_no_literal() {
        let many: Vec<Value> = (0..1_000_000).map(Value::Int).collect();
        let (text, _, is_literal) = shown(&Value::Array(Arc::from(many)));
        assert!(text.len() < MAX_BYTES + 100 && text.ends_with('…') && !is_literal);
    }
}
