//! Instants in JSON as RFC 3339 text with nanoseconds, for `#[serde(with = "...")]`.
//!
//! Used by the records of the control topic and by what the API shows. Inside the program an instant is a number.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

use crate::time::rfc3339;

/// Writes an instant.
pub fn serialize<S: Serializer>(time_ns: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339::to_short_text(*time_ns))
}

/// Reads an instant.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let text = String::deserialize(deserializer)?;
    rfc3339::parse(&text).map_err(D::Error::custom)
}

/// The same for an instant that may be absent.
pub mod option {
    use super::{Deserialize, Deserializer, Serializer};

    /// Writes an instant or null.
    pub fn serialize<S: Serializer>(time_ns: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
        match time_ns {
            Some(time_ns) => super::serialize(time_ns, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads an instant or null.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| super::rfc3339::parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}
