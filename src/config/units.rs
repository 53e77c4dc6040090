//! Sizes and ages as a configuration file spells them: `64MiB`, `30s`.
//!
//! Called by serde while the configuration is read. A bare number is a size in bytes; an age needs its unit.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A size in bytes: `512`, `512KiB`, `64MiB`, `2GiB`, also `KB MB GB` (powers of ten).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Kibibytes.
    pub const fn kib(count: u64) -> Self {
        Bytes(count << 10)
    }

    /// Mebibytes.
    pub const fn mib(count: u64) -> Self {
        Bytes(count << 20)
    }

    /// Gibibytes.
    pub const fn gib(count: u64) -> Self {
        Bytes(count << 30)
    }

    /// As `usize`, saturating.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const SIZE_UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

fn parse_bytes(text: &str) -> Option<Bytes> {
    let (number, factor) = SIZE_UNITS
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, *factor)))
        .unwrap_or((text, 1));
    number.trim().parse::<u64>().ok()?.checked_mul(factor).map(Bytes)
}

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, factor) = SIZE_UNITS[..3]
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&("B", 1));
        write!(formatter, "{}{unit}", self.0 / factor)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Bytes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a size such as 64MiB")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Bytes, E> {
                Ok(Bytes(value))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Bytes, E> {
                u64::try_from(value).map(Bytes).map_err(|_| E::custom("a size is not negative"))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                parse_bytes(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// A span of time: `500ms`, `30s`, `10m`, `24h`, `7d`, `2w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub Duration);

impl Age {
    /// Seconds.
    pub const fn seconds(count: u64) -> Self {
        Age(Duration::from_secs(count))
    }

    /// Hours.
    pub const fn hours(count: u64) -> Self {
        Age::seconds(count * 3600)
    }

    /// Days of 24 hours.
    pub const fn days(count: u64) -> Self {
        Age::hours(count * 24)
    }

    /// In nanoseconds, saturating.
    pub fn nanoseconds(self) -> i64 {
        i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX)
    }
}

const AGE_UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

fn parse_age(text: &str) -> Option<Age> {
    let mut rest = text.trim();
    let mut milliseconds: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_alphabetic()).len();
        let (_, factor) = AGE_UNITS.iter().find(|(unit, _)| *unit == &rest[..letters])?;
        milliseconds = milliseconds.checked_add(count.checked_mul(*factor)?)?;
        rest = &rest[letters..];
    }
    Some(Age(Duration::from_millis(milliseconds)))
}

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, factor) = AGE_UNITS
            .iter()
            .find(|(_, factor)| milliseconds >= *factor && milliseconds.is_multiple_of(*factor))
            .unwrap_or(&("ms", 1));
        write!(formatter, "{}{unit}", milliseconds / factor)
    }
}

impl Serialize for Age {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Age;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a span of time with its unit, such as 30s or 7d")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Age, E> {
                parse_age(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes) in [("7", 7), ("7B", 7), ("512KiB", 524_288), ("64MiB", 67_108_864), ("2 GB", 2_000_000_000)]
        {
            assert_eq!(parse_bytes(text), Some(Bytes(bytes)), "{text}");
        }
        assert_eq!(Bytes::mib(64).to_string(), "64MiB");
        assert_eq!(Bytes(1000).to_string(), "1000B");
        for text in ["", "MiB", "-1", "1.5GiB", "99999999999GiB", "5 parsecs"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn ages_read_and_print() {
        for (text, milliseconds) in [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("7d", 604_800_000)] {
            assert_eq!(parse_age(text), Some(Age(Duration::from_millis(milliseconds))), "{text}");
        }
        assert_eq!(Age::days(7).to_string(), "1w");
        assert_eq!(Age::seconds(90).to_string(), "90s");
        for text in ["", "30", "s", "1y", "-1s", "99999999999999999999s"] {
            assert_eq!(parse_age(text), None, "{text}");
        }
    }
}
