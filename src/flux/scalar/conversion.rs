//! The conversions `int uint float bool string time duration bytes` (flux-semantics 12.1). Null stays null.
//!
//! Called by the builtins of those names and by row programs. What cannot be converted is an Invalid error that says why.

use std::fmt;

use super::text::{float_text, plain_text};
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::time::{Duration, rfc3339};

/// To an integer: texts in base 10, floats towards zero, booleans 0 and 1, times and durations in nanoseconds; an
/// unsigned integer wraps around.
///
/// # Errors
/// Invalid for other texts and types, and for a float that no integer is near to.
pub fn to_int(value: &Value) -> Result<Value> {
    let value = bare(value);
    Ok(Value::Int(match value {
        Value::Null => return Ok(Value::Null),
        Value::Int(number) | Value::Time(number) => *number,
        Value::UInt(number) => *number as i64,
        Value::Bool(truth) => i64::from(*truth),
        Value::Duration(duration) => duration.flat_nanoseconds(),
        Value::Float(number) => {
            // The bounds are exact as floats: -2^63 is an integer, 2^63 is not.
            let truncated = number.trunc();
            if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&truncated) {
                return Err(refused(value, "int", "value out of range"));
            }
            truncated as i64
        }
        Value::String(text) => {
            text.parse::<i64>().map_err(|error| refused(value, "int", whole_number(error.kind())))?
        }
        _ => return Err(no_conversion(value, "int")),
    }))
}

/// To an unsigned integer, as [`to_int`]; what is negative wraps around.
///
/// # Errors
/// As [`to_int`].
pub fn to_uint(value: &Value) -> Result<Value> {
    let value = bare(value);
    Ok(Value::UInt(match value {
        Value::Null => return Ok(Value::Null),
        Value::UInt(number) => *number,
        Value::Int(number) | Value::Time(number) => *number as u64,
        Value::Bool(truth) => u64::from(*truth),
        Value::Duration(duration) => duration.flat_nanoseconds() as u64,
        Value::Float(number) => {
            let truncated = number.trunc();
            if (-9_223_372_036_854_775_808.0..0.0).contains(&truncated) {
                return Ok(Value::UInt(truncated as i64 as u64));
            }
            if !(0.0..18_446_744_073_709_551_616.0).contains(&truncated) {
                return Err(refused(value, "uint", "value out of range"));
            }
            truncated as u64
        }
        Value::String(text) => {
            let number = text.parse::<u64>();
            number.map_err(|error| refused(value, "uint", whole_number(error.kind())))?
        }
        _ => return Err(no_conversion(value, "uint")),
    }))
}

/// To a float: numbers, texts (also `NaN`, `Inf` and exponents), booleans 0 and 1.
///
/// # Errors
/// Invalid for other texts, for one that is too large, and for times, durations and composite values.
pub fn to_float(value: &Value) -> Result<Value> {
    let value = bare(value);
    Ok(Value::Float(match value {
        Value::Null => return Ok(Value::Null),
        Value::Float(number) => *number,
        Value::Int(number) => *number as f64,
        Value::UInt(number) => *number as f64,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::String(text) => {
            let number = text.parse::<f64>().map_err(|_| refused(value, "float", "invalid syntax"))?;
            if number.is_infinite() && text.contains(|character: char| character.is_ascii_digit()) {
                return Err(refused(value, "float", "value out of range"));
            }
            number
        }
        _ => return Err(no_conversion(value, "float")),
    }))
}

/// To a boolean: the texts `true` and `false`, numbers that are exactly 0 or 1.
///
/// # Errors
/// Invalid for everything else.
pub fn to_bool(value: &Value) -> Result<Value> {
    let value = bare(value);
    let truth = match value {
        Value::Null => return Ok(Value::Null),
        Value::Bool(truth) => Some(*truth),
        Value::String(text) => match &**text {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                return Err(
                    refused(value, "bool", "invalid syntax").with_hint("only \"true\" and \"false\" are booleans")
                );
            }
        },
        Value::Int(0) | Value::UInt(0) => Some(false),
        Value::Int(1) | Value::UInt(1) => Some(true),
        Value::Float(number) if *number == 0.0 => Some(false),
        Value::Float(number) if *number == 1.0 => Some(true),
        Value::Int(_) | Value::UInt(_) | Value::Float(_) => None,
        _ => return Err(no_conversion(value, "bool")),
    };
    match truth {
        Some(truth) => Ok(Value::Bool(truth)),
        None => Err(Error::invalid(format!("cannot convert {} to bool, must be 0 or 1", Shown(value)))),
    }
}

/// To a string: every basic type but regular expressions; bytes that are UTF-8.
///
/// # Errors
/// Invalid for everything else.
pub fn to_string(value: &Value) -> Result<Value> {
    let value = bare(value);
    match value {
        Value::Null => Ok(Value::Null),
        Value::String(_) => Ok(value.clone()),
        Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Value::string(text)),
            Err(_) => Err(Error::invalid("cannot convert bytes to string, they are not UTF-8")),
        },
        other => plain_text(other).map(Value::string).ok_or_else(|| no_conversion(value, "string")),
    }
}

/// To a time: RFC 3339 texts and dates, integers of either sign as nanoseconds since the epoch.
///
/// # Errors
/// Invalid for everything else.
pub fn to_time(value: &Value) -> Result<Value> {
    let value = bare(value);
    Ok(Value::Time(match value {
        Value::Null => return Ok(Value::Null),
        Value::Time(time_ns) | Value::Int(time_ns) => *time_ns,
        Value::UInt(number) => i64::try_from(*number).map_err(|_| refused(value, "time", "value out of range"))?,
        Value::String(text) => rfc3339::parse(text).map_err(|error| unreadable(value, "time", &error))?,
        _ => return Err(no_conversion(value, "time")),
    }))
}

/// To a duration: texts as in a script (`1h30m`, also with a sign), integers of either sign as nanoseconds.
///
/// # Errors
/// Invalid for everything else.
pub fn to_duration(value: &Value) -> Result<Value> {
    let value = bare(value);
    Ok(Value::Duration(match value {
        Value::Null => return Ok(Value::Null),
        Value::Duration(duration) => *duration,
        Value::Int(number) => Duration::from_nanoseconds(*number),
        Value::UInt(number) => {
            let nanoseconds = i64::try_from(*number).map_err(|_| refused(value, "duration", "value out of range"))?;
            Duration::from_nanoseconds(nanoseconds)
        }
        Value::String(text) => Duration::parse_signed(text).map_err(|error| unreadable(value, "duration", &error))?,
        _ => return Err(no_conversion(value, "duration")),
    }))
}

/// To bytes: the UTF-8 of a string.
///
/// # Errors
/// Invalid for everything else.
pub fn to_bytes(value: &Value) -> Result<Value> {
    if let Value::Dynamic(inner) = value {
        return match **inner {
            Value::Null => Err(no_conversion(inner, "bytes")),
            _ => to_bytes(inner),
        };
    }
    match value {
        Value::Null => Ok(Value::Null),
        Value::Bytes(_) => Ok(value.clone()),
        Value::String(text) => Ok(Value::Bytes(text.as_bytes().into())),
        _ => Err(no_conversion(value, "bytes")),
    }
}

/// What a dynamic value holds; any other value itself.
fn bare(value: &Value) -> &Value {
    if let Value::Dynamic(inner) = value { inner } else { value }
}

fn whole_number(kind: &std::num::IntErrorKind) -> &'static str {
    match kind {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    }
}

fn refused(value: &Value, target: &str, why: &str) -> Error {
    Error::invalid(format!("cannot convert {} to {target} due to {why}", Shown(value)))
}

/// A text that is no time or duration, with what was found wrong in it.
fn unreadable(value: &Value, target: &str, error: &Error) -> Error {
    let why = error.message().split_once(&format!("as a {target}: ")).map_or(error.message(), |(_, why)| why);
    Error::invalid(format!("cannot convert {} to {target}: {why}", Shown(value)))
}

fn no_conversion(value: &Value, target: &str) -> Error {
    Error::invalid(format!("cannot convert {} to {target}", value.type_name()))
}

/// A value with its type, as messages show it: `string "x"`, `int 2`.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) if text.chars().count() > 60 => {
                write!(formatter, "string \"{}...\"", text.chars().take(60).collect::<String>().escape_debug())
            }
            Value::String(text) => write!(formatter, "string {text:?}"),
            Value::Float(number) => write!(formatter, "float {}", float_text(*number)),
            other => write!(formatter, "{} {}", other.type_name(), plain_text(other).unwrap_or_default()),
        }
    }
}
