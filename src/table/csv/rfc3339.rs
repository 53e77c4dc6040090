//! The text form of times in CSV, until the calendar's own is there.
//!
//! Called by this module only.

use chrono::{DateTime, NaiveDate, NaiveTime};

use crate::error::{Error, Result};

/// Reads a date or an RFC 3339 time.
pub fn parse(text: &str) -> Result<i64> {
    let wrong = || Error::invalid(format!("cannot parse {text:?} as a time"));
    let time = match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(date) => date.and_time(NaiveTime::MIN).and_utc(),
        Err(_) => DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?.to_utc(),
    };
    time.timestamp_nanos_opt().ok_or_else(wrong)
}

/// `2020-01-01T00:00:00.25Z`: as many digits of fraction as it takes.
pub fn to_short_text(time_ns: i64) -> String {
    let time = DateTime::from_timestamp_nanos(time_ns);
    let text = time.format("%Y-%m-%dT%H:%M:%S%.9f").to_string();
    format!("{}Z", text.trim_end_matches('0').trim_end_matches('.'))
}
