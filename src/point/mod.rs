//! Points: one measurement, its tags, its fields, one time; and the ways from and to text (line protocol, JSON).
//!
//! Made by ingest's decoders and by `to()`, kept by the store. Pure: no I/O, no clock (a missing time is the caller's to
//! fill in from the record's arrival).

pub mod delete;
pub mod json;
pub mod line_protocol;
pub mod mapping;
pub mod names;
pub mod problem;
pub mod result_json;
pub mod template;

use crate::name::Name;

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// `true`, `false`.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// An unsigned 64-bit integer.
    UInt(u64),
    /// A finite 64-bit float.
    Float(f64),
    /// A string.
    String(Name),
}

impl FieldValue {
    /// The type's name in messages: `bool`, `int`, `uint`, `float`, `string`.
    pub fn type_name(&self) -> &'static str {
        match self {
            FieldValue::Bool(_) => "bool",
            FieldValue::Int(_) => "int",
            FieldValue::UInt(_) => "uint",
            FieldValue::Float(_) => "float",
            FieldValue::String(_) => "string",
        }
    }
}

/// One point. Its identity is (measurement, tags, time); tags are sorted by key, unique, and never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The measurement.
    pub measurement: Name,
    /// Tag keys and values, sorted by key.
    pub tags: Vec<(Name, Name)>,
    /// Field keys and values; at least one.
    pub fields: Vec<(Name, FieldValue)>,
    /// Nanoseconds since the epoch.
    pub time_ns: i64,
}

/// Most bytes that measurement, tags and one field key may take together (InfluxDB's limit on a series key).
pub const MAX_KEY_BYTES: usize = 65_535;

/// Most bytes of a string field (InfluxDB's limit).
pub const MAX_STRING_BYTES: usize = 1 << 20;

/// Tag keys that a point cannot have: in a table they are other columns.
pub const RESERVED_TAGS: [&str; 3] = ["_field", "_measurement", "time"];

/// The first and the last time that a point may have, in nanoseconds (InfluxDB's range).
pub const TIME_RANGE_NS: std::ops::RangeInclusive<i64> = i64::MIN + 2..=i64::MAX - 1;

/// The canonical name of a point's series, the key of its record: `measurement,tag=value,...`, tags sorted by key,
/// commas, spaces and equals signs escaped by a backslash (the equals sign of a measurement is not).
pub fn series_key(measurement: &str, tags: &[(Name, Name)]) -> String {
    let mut key = String::with_capacity(measurement.len() + tags.len() * 16);
    line_protocol::escape_into(&mut key, measurement, line_protocol::IN_MEASUREMENT);
    for (tag, value) in tags {
        key.push(',');
        line_protocol::escape_into(&mut key, tag, line_protocol::IN_KEY);
        key.push('=');
        line_protocol::escape_into(&mut key, value, line_protocol::IN_KEY);
    }
    key
}
