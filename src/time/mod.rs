//! Calendar time: durations with months, zones, windows, and the text forms of times.
//!
//! Called by the language, the operators, the schedule and the rim. Pure: no clock, no files. Times are nanoseconds
//! since 1970-01-01T00:00:00Z in an `i64`.

pub mod duration;

pub use duration::Duration;
