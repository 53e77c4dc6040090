//! Flux's duration: months and nanoseconds side by side with one sign (Flux spec, "Duration types").
//!
//! Called wherever a duration is written or added to a time. Years are 12 months, weeks 7 days, days 24 hours exactly.

use std::fmt;

use super::calendar::{self, DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS};
use crate::error::{Error, Result};

/// A duration: months and nanoseconds (both not negative) and one sign for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Duration {
    /// Whole months.
    pub months: i64,
    /// Nanoseconds beside the months.
    pub nanoseconds: i64,
    /// Both parts count backwards.
    pub negative: bool,
}

/// A month where a duration must become one number: a twelfth of 365.25 days.
pub const NANOSECONDS_PER_FLAT_MONTH: i64 = 2_629_800 * SECOND_NS;

/// The units with what one of them counts, largest first: months, then nanoseconds.
const UNITS: [(&str, i64, i64); 10] = [
    ("y", 12, 0),
    ("mo", 1, 0),
    ("w", 0, 7 * DAY_NS),
    ("d", 0, DAY_NS),
    ("h", 0, HOUR_NS),
    ("m", 0, MINUTE_NS),
    ("s", 0, SECOND_NS),
    ("ms", 0, 1_000_000),
    ("us", 0, 1_000),
    ("ns", 0, 1),
];

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration { months: 0, nanoseconds: 0, negative: false };

    /// The longest duration: `inf` in Flux. As `every` of a window it means one window over the whole range.
    pub const INFINITE: Duration = Duration { months: 0, nanoseconds: i64::MAX, negative: false };

    /// A duration of nanoseconds, negative or not.
    pub fn from_nanoseconds(nanoseconds: i64) -> Self {
        Duration { months: 0, nanoseconds: nanoseconds.saturating_abs(), negative: nanoseconds < 0 }
    }

    /// A duration of months, negative or not.
    pub fn from_months(months: i64) -> Self {
        Duration { months: months.saturating_abs(), nanoseconds: 0, negative: months < 0 }
    }

    /// Reads what a Flux literal may hold: one or more of whole number and unit, `1h30m`. The units are
    /// `y mo w d h m s ms us µs ns`, in any order; a repeated unit adds up. No sign: see [`Duration::parse_signed`].
    ///
    /// # Errors
    /// Invalid for anything else, and for a sum that does not fit.
    pub fn parse(text: &str) -> Result<Self> {
        let mut duration = Duration::ZERO;
        let mut rest = text;
        if rest.is_empty() {
            return Err(unreadable(text, "it is empty"));
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(unreadable(text, format!("expected a whole number before `{rest}`")));
            }
            let letters = rest[digits..].find(|character: char| !character.is_alphabetic());
            let end = letters.map_or(rest.len(), |length| digits + length);
            let unit = match &rest[digits..end] {
                // U+00B5 (micro sign) and U+03BC (Greek mu) look alike and are both typed.
                "µs" | "μs" => "us",
                unit => unit,
            };
            let Some((_, months, nanoseconds)) = UNITS.iter().find(|(name, ..)| *name == unit) else {
                let found = if unit.is_empty() { "no unit".to_string() } else { format!("unknown unit `{unit}`") };
                return Err(unreadable(text, format!("{found} after `{}`", &rest[..digits])));
            };
            let sum = rest[..digits].parse::<i64>().ok().and_then(|count| {
                Some(Duration {
                    months: duration.months.checked_add(count.checked_mul(*months)?)?,
                    nanoseconds: duration.nanoseconds.checked_add(count.checked_mul(*nanoseconds)?)?,
                    negative: false,
                })
            });
            duration = sum.ok_or_else(|| unreadable(text, "it is too long for 64 bits of nanoseconds"))?;
            rest = &rest[end..];
        }
        Ok(duration)
    }

    /// As [`Duration::parse`], with an optional `-` or `+` before it.
    ///
    /// # Errors
    /// As [`Duration::parse`].
    pub fn parse_signed(text: &str) -> Result<Self> {
        match text.strip_prefix('-') {
            Some(magnitude) => Ok(Self::parse(magnitude)?.negated()),
            None => Self::parse(text.strip_prefix('+').unwrap_or(text)),
        }
    }

    /// Whether it is no time at all.
    pub fn is_zero(self) -> bool {
        self.months == 0 && self.nanoseconds == 0
    }

    /// Whether it counts backwards and is not zero.
    pub fn is_negative(self) -> bool {
        self.negative && !self.is_zero()
    }

    /// Whether it has both months and nanoseconds.
    pub fn is_mixed(self) -> bool {
        self.months != 0 && self.nanoseconds != 0
    }

    /// Whether it is `inf`.
    pub fn is_infinite(self) -> bool {
        self == Self::INFINITE
    }

    /// The same length in the other direction; zero has no sign.
    pub fn negated(self) -> Self {
        Duration { negative: !self.negative && !self.is_zero(), ..self }
    }

    /// `factor` times as long, both parts scaled. `None` if a part does not fit.
    pub fn checked_scale(self, factor: i64) -> Option<Self> {
        let magnitude = i64::try_from(factor.unsigned_abs()).ok()?;
        let scaled = Duration {
            months: self.months.checked_mul(magnitude)?,
            nanoseconds: self.nanoseconds.checked_mul(magnitude)?,
            negative: false,
        };
        Some(if self.negative == (factor < 0) { scaled } else { scaled.negated() })
    }

    /// As one number of nanoseconds, a month counted as a twelfth of 365.25 days; saturates.
    pub fn flat_nanoseconds(self) -> i64 {
        let magnitude = self.months.saturating_mul(NANOSECONDS_PER_FLAT_MONTH).saturating_add(self.nanoseconds);
        if self.negative { -magnitude } else { magnitude }
    }

    /// A time plus this duration: months first, a day that the month lacks becoming its last, then nanoseconds.
    /// `None` if the result is no 64-bit time.
    pub fn checked_add_to(self, time_ns: i64) -> Option<i64> {
        i64::try_from(self.exact_add_to(time_ns)?).ok()
    }

    /// As [`Duration::checked_add_to`], but the first or last time there is where the result is none.
    pub fn add_to(self, time_ns: i64) -> i64 {
        match self.exact_add_to(time_ns) {
            Some(sum) => calendar::clamp(sum),
            None if self.negative => i64::MIN,
            None => i64::MAX,
        }
    }

    /// The sum before it is fitted into 64 bits; `None` outside of the calendar.
    pub(super) fn exact_add_to(self, time_ns: i64) -> Option<i128> {
        let sign = if self.negative { -1 } else { 1 };
        let month = match self.months {
            0 => i128::from(time_ns),
            months => calendar::nanoseconds(calendar::add_months(calendar::naive(time_ns), sign * months)?),
        };
        Some(month + i128::from(sign) * i128::from(self.nanoseconds))
    }
}

/// Canonical: largest units first, each at most once, `1h30m`; weeks before days (`14d` is `2w`); zero is `0ns`.
impl fmt::Display for Duration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return formatter.write_str("0ns");
        }
        if self.negative {
            formatter.write_str("-")?;
        }
        let (mut months, mut nanoseconds) = (self.months, self.nanoseconds);
        for (unit, unit_months, unit_nanoseconds) in UNITS {
            let (rest, size) =
                if unit_months > 0 { (&mut months, unit_months) } else { (&mut nanoseconds, unit_nanoseconds) };
            if *rest >= size {
                write!(formatter, "{}{unit}", *rest / size)?;
                *rest %= size;
            }
        }
        Ok(())
    }
}

fn unreadable(text: &str, why: impl fmt::Display) -> Error {
    let shown: String = text.chars().take(60).collect();
    Error::invalid(format!("cannot parse {shown:?} as a duration: {why}"))
        .with_hint("a duration is whole numbers with units, such as 1h30m; units are y mo w d h m s ms us ns")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn parts(months: i64, nanoseconds: i64) -> Duration {
        Duration { months, nanoseconds, negative: false }
    }

    fn time(text: &str) -> i64 {
        crate::time::rfc3339::parse(text).unwrap()
    }

    #[test]
    fn literals_read_as_flux_reads_them() {
        // Flux spec "Duration literals" and flux-semantics 2.1 (order and repetition are free).
        let cases = [
            ("1s", parts(0, SECOND_NS)),
            ("1h30m", parts(0, 90 * MINUTE_NS)),
            ("1y2mo", parts(14, 0)),
            ("1y3w", parts(12, 21 * DAY_NS)),
            ("5d1mo", parts(1, 5 * DAY_NS)),
            ("1h1h", parts(0, 2 * HOUR_NS)),
            ("10ms5us3ns", parts(0, 10_005_003)),
            ("7µs", parts(0, 7_000)),
            ("7μs", parts(0, 7_000)),
            ("0s", parts(0, 0)),
            ("9223372036854775807ns", parts(0, i64::MAX)),
        ];
        for (text, expected) in cases {
            assert_eq!(Duration::parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let cases = [
            ("", "it is empty"),
            ("5", "no unit after `5`"),
            ("h", "expected a whole number before `h`"),
            ("1.5h", "no unit after `1`"),
            ("1x", "unknown unit `x` after `1`"),
            ("1H", "unknown unit `H` after `1`"),
            ("-1h", "expected a whole number before `-1h`"),
            ("1h 30m", "expected a whole number before ` 30m`"),
            ("9223372036854775808ns", "too long"),
            ("300y9223372036854775807w", "too long"),
        ];
        for (text, reason) in cases {
            let error = Duration::parse(text).unwrap_err();
            assert!(error.message().contains(reason), "{text}: {error}");
        }
        assert!(Duration::parse_signed("--1h").is_err());
        assert!(Duration::parse_signed("-").is_err());
    }

    #[test]
    fn signs_are_read_where_asked_for() {
        assert_eq!(Duration::parse_signed("-90m").unwrap(), parts(0, 90 * MINUTE_NS).negated());
        assert_eq!(Duration::parse_signed("+90m").unwrap(), parts(0, 90 * MINUTE_NS));
        assert!(!Duration::parse_signed("-0s").unwrap().negative);
    }

    #[test]
    fn printing_is_canonical() {
        // Observed with InfluxDB 2.9.1: 14d prints as 2w, zero as 0ns (flux-semantics 2.5, 18 row 20).
        let cases = [
            ("90m", "1h30m"),
            ("14d", "2w"),
            ("0h", "0ns"),
            ("13mo", "1y1mo"),
            ("8d", "1w1d"),
            ("36h", "1d12h"),
            ("1500ms", "1s500ms"),
            ("7µs", "7us"),
        ];
        for (text, printed) in cases {
            assert_eq!(Duration::parse(text).unwrap().to_string(), printed);
        }
        assert_eq!(Duration::parse_signed("-1mo12h").unwrap().to_string(), "-1mo12h");
    }

    #[test]
    fn months_are_added_before_nanoseconds() {
        // Flux spec: months first with clamping, then nanoseconds.
        let duration = Duration::parse("1mo1d").unwrap();
        assert_eq!(duration.add_to(time("2024-01-31T00:00:00Z")), time("2024-03-01T00:00:00Z"));
        assert_eq!(duration.add_to(time("2023-01-31T00:00:00Z")), time("2023-03-01T00:00:00Z"));
        assert_eq!(duration.negated().add_to(time("2024-03-31T00:00:00Z")), time("2024-02-28T00:00:00Z"));
    }

    #[test]
    fn the_ends_of_time_hold() {
        for duration in [Duration::INFINITE, parts(i64::MAX, i64::MAX), parts(1, 0), parts(4_000_000_000_000, 5)] {
            assert_eq!(duration.add_to(i64::MAX), i64::MAX);
            assert_eq!(duration.negated().add_to(i64::MIN), i64::MIN);
            assert_eq!(duration.checked_add_to(i64::MAX), None);
        }
        assert_eq!(parts(0, 5).checked_add_to(i64::MAX - 5), Some(i64::MAX));
        assert_eq!(Duration::from_nanoseconds(i64::MIN).nanoseconds, i64::MAX);
        assert_eq!(parts(i64::MAX, 0).negated().flat_nanoseconds(), -i64::MAX);
    }

    #[test]
    fn flat_months_are_a_twelfth_of_a_julian_year() {
        // flux-semantics 15: -1mo with now 2024-03-31T00:00Z starts 2024-02-29T13:30:00Z.
        let flat = Duration::parse_signed("-1mo").unwrap().flat_nanoseconds();
        assert_eq!(time("2024-03-31T00:00:00Z") + flat, time("2024-02-29T13:30:00Z"));
    }

    #[test]
    fn scaling_takes_both_parts_and_the_sign() {
        let duration = Duration::parse("1mo2h").unwrap();
        assert_eq!(duration.checked_scale(3), Duration::parse("3mo6h").ok());
        assert_eq!(duration.checked_scale(-1), Some(duration.negated()));
        assert_eq!(duration.negated().checked_scale(-2), Duration::parse("2mo4h").ok());
        assert_eq!(duration.checked_scale(0), Some(Duration::ZERO));
        assert_eq!(duration.checked_scale(i64::MIN), None);
        assert_eq!(Duration::INFINITE.checked_scale(2), None);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(months in 0..=i64::MAX, nanoseconds in 0..=i64::MAX, negative: bool) {
            let duration = Duration { months, nanoseconds, negative: negative && (months | nanoseconds) != 0 };
            prop_assert_eq!(Duration::parse_signed(&duration.to_string()).unwrap(), duration);
        }

        #[test]
        fn no_text_panics(text in "[0-9a-zµ.\\- ]{0,24}") {
            let _ = Duration::parse_signed(&text);
        }

        #[test]
        fn adding_nanoseconds_is_plain_addition(time_ns: i64, nanoseconds: i64) {
            let sum = Duration::from_nanoseconds(nanoseconds.max(-i64::MAX)).checked_add_to(time_ns);
            prop_assert_eq!(sum, time_ns.checked_add(nanoseconds.max(-i64::MAX)));
        }
    }
}
