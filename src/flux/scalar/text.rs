//! Values as text: string interpolation and the printed form of floats.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::time::rfc3339;

/// The shortest plain decimal that reads back as the same float, never with an exponent: `1`, `0.1`, `-0`, `NaN`, `+Inf`.
pub fn float_text(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_string();
    }
    number.to_string()
}

/// The longest text that an operator makes of shorter ones, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// Whether a text of so many bytes may be made of others.
///
/// # Errors
/// ResourceExhausted beyond 64 MiB: a text that doubles with every row would take all there is.
pub fn bounded_text(bytes: usize) -> Result<()> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::resource_exhausted(format!("a text longer than {} MiB would be made of others", MOST_BYTES >> 20)))
}

/// What a part `${value}` of a string becomes.
///
/// # Errors
/// Invalid for null and for what has no text: bytes, regular expressions, arrays, records, functions, streams. The
/// caller knows which expression it was and says so.
pub fn interpolate(value: &Value) -> Result<String> {
    match value {
        Value::Null => Err(Error::invalid("interpolated expression produced a null value")
            .with_hint("guard it: if exists x then string(v: x) else \"\"")),
        other => plain_text(other).ok_or_else(|| {
            Error::invalid(format!("invalid interpolation type {}, expected a basic type", other.type_name()))
        }),
    }
}

/// The text of a value of a basic type that has one.
pub(super) fn plain_text(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Int(number) => number.to_string(),
        Value::UInt(number) => number.to_string(),
        Value::Float(number) => float_text(*number),
        Value::String(text) => text.to_string(),
        Value::Time(time_ns) => rfc3339::to_text(*time_ns),
        Value::Duration(duration) => duration.to_string(),
        _ => return None,
    })
}
