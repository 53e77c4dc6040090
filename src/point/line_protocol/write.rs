//! Points as canonical line protocol: tags sorted, every special character escaped, time in nanoseconds.
//!
//! Called where a point becomes a record of the log or a line on a terminal. What it writes, `parse` reads back exactly;
//! what the format cannot say is refused, never bent.

use std::fmt;
use std::fmt::Write as _;

use super::{IN_KEY, IN_MEASUREMENT, escape_into};
use crate::point::{FieldValue, Point, RESERVED_TAGS, TIME_RANGE_NS};

/// Why a point has no line: the format has no spelling for one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwritable(String);

impl fmt::Display for Unwritable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

/// Appends a point's line and a line feed to `target`; appends nothing on an error.
///
/// Errors: a name that is empty, ends in a backslash or holds a line feed; a measurement that starts a comment; a point
/// without fields; a number that is not finite; a time outside of InfluxDB's range.
pub fn write(target: &mut String, point: &Point) -> Result<(), Unwritable> {
    let start = target.len();
    let written = write_line(target, point);
    if written.is_err() {
        target.truncate(start);
    }
    written
}

fn write_line(target: &mut String, point: &Point) -> Result<(), Unwritable> {
    writable("measurement", &point.measurement)?;
    if point.measurement.starts_with('#') {
        return Err(Unwritable("a measurement that starts with # would read as a comment".into()));
    }
    if point.measurement.starts_with(LEADING) {
        return Err(Unwritable("a measurement that starts with white space cannot be written".into()));
    }
    escape_into(target, &point.measurement, IN_MEASUREMENT);
    for (key, value) in &point.tags {
        writable("tag key", key)?;
        writable("tag value", value)?;
        if RESERVED_TAGS.contains(&&**key) {
            return Err(Unwritable(format!("the tag key {key} is reserved")));
        }
        target.push(',');
        escape_into(target, key, IN_KEY);
        target.push('=');
        escape_into(target, value, IN_KEY);
    }
    if point.fields.is_empty() {
        return Err(Unwritable("a point has at least one field".into()));
    }
    let mut separator = ' ';
    for (key, value) in &point.fields {
        writable("field key", key)?;
        if &**key == "time" {
            return Err(Unwritable("the field key time is reserved".into()));
        }
        target.push(separator);
        separator = ',';
        escape_into(target, key, IN_KEY);
        target.push('=');
        write_value(target, key, value)?;
    }
    if !TIME_RANGE_NS.contains(&point.time_ns) {
        return Err(Unwritable(format!("the time {} is outside of the range of line protocol", point.time_ns)));
    }
    let _ = writeln!(target, " {}", point.time_ns);
    Ok(())
}

/// What `parse` skips before a measurement.
const LEADING: &[char] = &[' ', '\t', '\0', '\u{feff}'];

fn writable(what: &str, name: &str) -> Result<(), Unwritable> {
    let problem = if name.is_empty() {
        "is empty"
    } else if name.ends_with('\\') {
        "ends in a backslash, which would escape what follows it"
    } else if name.contains('\n') {
        "holds a line feed"
    } else {
        return Ok(());
    };
    Err(Unwritable(format!("the {what} {name:?} {problem}")))
}

fn write_value(target: &mut String, key: &str, value: &FieldValue) -> Result<(), Unwritable> {
    // Writing to a string does not fail.
    let _ = match value {
        FieldValue::Bool(value) => write!(target, "{value}"),
        FieldValue::Int(value) => write!(target, "{value}i"),
        FieldValue::UInt(value) => write!(target, "{value}u"),
        FieldValue::Float(value) if value.is_finite() => write!(target, "{value:?}"),
        FieldValue::Float(value) => {
            return Err(Unwritable(format!("the field {key} is {value}, which line protocol cannot say")));
        }
        FieldValue::String(text) => {
            target.push('"');
            escape_into(target, text, &['"', '\\']);
            target.push('"');
            Ok(())
        }
    };
    Ok(())
}
