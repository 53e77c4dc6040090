//! Points: one measurement, its tags, its fields, one time; and the ways from and to text (line protocol, JSON).
//!
//! Made by ingest's decoders and by `to()`, kept by the store. Pure: no I/O, no clock (a missing time is the caller's to
//! fill in from the record's arrival).

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
