//! InfluxDB line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.
//!
//! Read by `/api/v2/write`, by routes of that format and by the sink; written for records of the log. The rules are
//! InfluxDB 2's (spec page "Line protocol"), with two changes that only turn errors into successes: one carriage return
//! before a line's end is dropped, and so is a byte order mark. Pure: the time of a line without one is handed in.

mod parse;
mod write;

#[cfg(test)]
mod tests;

pub use parse::{BadLine, Line, Options, Parsed, parse};
pub use write::{Unwritable, write};

/// Characters that a measurement escapes.
pub(super) const IN_MEASUREMENT: &[char] = &[',', ' '];

/// Characters that tag keys, tag values and field keys escape.
pub(super) const IN_KEY: &[char] = &[',', '=', ' '];

/// Appends `text` with a backslash before each of `special`.
pub(super) fn escape_into(target: &mut String, text: &str, special: &[char]) {
    for character in text.chars() {
        if special.contains(&character) {
            target.push('\\');
        }
        target.push(character);
    }
}

/// The unit of the timestamps of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Nanoseconds.
    #[default]
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Precision {
    /// The precision of an API parameter: `ns`, `us`, `ms`, `s`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "ns" => Precision::Nanoseconds,
            "us" => Precision::Microseconds,
            "ms" => Precision::Milliseconds,
            "s" => Precision::Seconds,
            _ => return None,
        })
    }

    /// Nanoseconds of one unit.
    pub fn nanoseconds(self) -> i64 {
        match self {
            Precision::Nanoseconds => 1,
            Precision::Microseconds => 1_000,
            Precision::Milliseconds => 1_000_000,
            Precision::Seconds => 1_000_000_000,
        }
    }
}
