//! The text forms of times: `2020-01-01`, `2020-01-01T00:00:00Z`, with fraction and offset (RFC 3339, section 5.6).
//!
//! Called by the lexer, `time(v:)`, annotated CSV and the API. Both ways are exact to the nanosecond.

use chrono::{Datelike, NaiveDate, Timelike};

use super::calendar::{self, SECOND_NS};
use crate::error::{Error, Result};

/// Reads a date (midnight UTC) or a date and time with offset; a fraction beyond nine digits is cut off.
///
/// # Errors
/// Invalid for another form, a date that does not exist, a missing offset, or a time outside of 1677 to 2262.
pub fn parse(text: &str) -> Result<i64> {
    read(text.as_bytes()).map_err(|why| {
        let shown: String = text.chars().take(60).collect();
        Error::invalid(format!("cannot parse {shown:?} as a time: {why}"))
            .with_hint("a time is a date (2020-01-31) or RFC 3339 with an offset (2020-01-31T06:30:00Z)")
    })
}

/// With nine digits of fraction always: `2020-01-01T00:00:00.000000000Z`, as Flux's string form of a time.
pub fn to_text(time_ns: i64) -> String {
    let mut text = String::with_capacity(30);
    write_seconds(time_ns, &mut text);
    push_digits(&mut text, nanosecond(time_ns), 9);
    text.push('Z');
    text
}

/// With as many digits of fraction as it takes: `2020-01-01T00:00:00Z`, `2020-01-01T00:00:00.25Z`, as in annotated CSV.
pub fn to_short_text(time_ns: i64) -> String {
    let mut text = String::with_capacity(30);
    write_short(time_ns, &mut text);
    text
}

/// Appends what [`to_short_text`] gives.
pub fn write_short(time_ns: i64, text: &mut String) {
    write_seconds(time_ns, text);
    let fraction = nanosecond(time_ns);
    if fraction != 0 {
        push_digits(text, fraction, 9);
        while text.ends_with('0') {
            text.pop();
        }
    } else {
        text.pop(); // the point
    }
    text.push('Z');
}

fn nanosecond(time_ns: i64) -> u32 {
    time_ns.rem_euclid(SECOND_NS) as u32
}

/// `2020-01-01T00:00:00.`, the point included.
fn write_seconds(time_ns: i64, text: &mut String) {
    let date = calendar::naive(time_ns);
    push_digits(text, date.year() as u32, 4);
    text.push('-');
    push_digits(text, date.month(), 2);
    text.push('-');
    push_digits(text, date.day(), 2);
    text.push('T');
    push_digits(text, date.hour(), 2);
    text.push(':');
    push_digits(text, date.minute(), 2);
    text.push(':');
    push_digits(text, date.second(), 2);
    text.push('.');
}

fn push_digits(text: &mut String, number: u32, width: u32) {
    for place in (0..width).rev() {
        let digit = number / 10_u32.pow(place) % 10;
        text.push((b'0' + digit as u8) as char);
    }
}

/// A cursor over the bytes of a time.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// A number of exactly `width` digits.
    fn number(&mut self, width: usize, what: &str) -> Result<u32, String> {
        let digits = self.rest.get(..width).filter(|digits| digits.iter().all(u8::is_ascii_digit));
        let digits = digits.ok_or_else(|| format!("expected {width} digits of {what}"))?;
        self.rest = &self.rest[width..];
        Ok(digits.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    /// One of some bytes.
    fn mark(&mut self, mark: u8, what: &str) -> Result<(), String> {
        if self.rest.first() != Some(&mark) {
            return Err(format!("expected `{}` {what}", mark as char));
        }
        self.rest = &self.rest[1..];
        Ok(())
    }
}

fn read(text: &[u8]) -> Result<i64, String> {
    let mut reader = Reader { rest: text };
    let year = reader.number(4, "the year")?;
    reader.mark(b'-', "after the year")?;
    let month = reader.number(2, "the month")?;
    reader.mark(b'-', "after the month")?;
    let day = reader.number(2, "the day")?;
    let date = NaiveDate::from_ymd_opt(year as i32, month, day)
        .ok_or_else(|| format!("there is no day {year:04}-{month:02}-{day:02}"))?;
    if reader.rest.is_empty() {
        return fit(calendar::nanoseconds(date.into()));
    }
    reader.mark(b'T', "between date and time")?;
    let hour = reader.number(2, "the hour")?;
    reader.mark(b':', "after the hour")?;
    let minute = reader.number(2, "the minute")?;
    reader.mark(b':', "after the minute")?;
    let second = reader.number(2, "the second")?;
    let fraction = read_fraction(&mut reader)?;
    let time = date
        .and_hms_nano_opt(hour, minute, second, fraction)
        .ok_or_else(|| format!("there is no time of day {hour:02}:{minute:02}:{second:02}"))?;
    let offset_seconds = read_offset(&mut reader)?;
    if !reader.rest.is_empty() {
        return Err(format!("expected its end before `{}`", String::from_utf8_lossy(reader.rest)));
    }
    fit(calendar::nanoseconds(time) - i128::from(offset_seconds) * i128::from(SECOND_NS))
}

/// `.123` as nanoseconds; 0 if there is none.
fn read_fraction(reader: &mut Reader<'_>) -> Result<u32, String> {
    if reader.rest.first() != Some(&b'.') {
        return Ok(0);
    }
    reader.rest = &reader.rest[1..];
    let digits = reader.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err("expected digits after the point".to_string());
    }
    let mut fraction = 0;
    for place in 0..9 {
        let digit = if place < digits { reader.rest[place] - b'0' } else { 0 };
        fraction = fraction * 10 + u32::from(digit);
    }
    reader.rest = &reader.rest[digits..];
    Ok(fraction)
}

/// `Z` or `+01:00`, in seconds east of UTC.
fn read_offset(reader: &mut Reader<'_>) -> Result<i64, String> {
    let Some((mark, rest)) = reader.rest.split_first() else {
        return Err("missing time offset (`Z` for UTC)".to_string());
    };
    reader.rest = rest;
    let sign = match mark {
        b'Z' => return Ok(0),
        b'+' => 1,
        b'-' => -1,
        _ => return Err("expected a time offset (`Z` for UTC) after the seconds".to_string()),
    };
    let hours = reader.number(2, "the offset's hours")?;
    reader.mark(b':', "within the offset")?;
    let minutes = reader.number(2, "the offset's minutes")?;
    if hours > 23 || minutes > 59 {
        return Err(format!("there is no offset of {hours:02}:{minutes:02}"));
    }
    Ok(sign * i64::from(hours * 3600 + minutes * 60))
}

fn fit(time_ns: i128) -> Result<i64, String> {
    i64::try_from(time_ns)
        .map_err(|_| "it is outside of 1677-09-21T00:12:43.145224192Z to 2262-04-11T23:47:16.854775807Z".to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_and_times_are_read() {
        // Seconds from `date -u -d ... +%s`.
        let cases = [
            ("1970-01-01", 0),
            ("2020-01-01", 1_577_836_800 * SECOND_NS),
            ("2020-01-01T00:00:00Z", 1_577_836_800 * SECOND_NS),
            ("2020-02-29T12:30:45Z", 1_582_979_445 * SECOND_NS),
            ("2020-01-01T01:00:00+01:00", 1_577_836_800 * SECOND_NS),
            ("2019-12-31T16:00:00-08:00", 1_577_836_800 * SECOND_NS),
            ("2020-01-01T00:00:00.25Z", 1_577_836_800 * SECOND_NS + 250_000_000),
            ("2020-01-01T00:00:00.000000001Z", 1_577_836_800 * SECOND_NS + 1),
            ("2020-01-01T00:00:00.0000000019Z", 1_577_836_800 * SECOND_NS + 1),
            ("1969-12-31T23:59:59.999999999Z", -1),
            ("1677-09-21T00:12:43.145224192Z", i64::MIN),
            ("2262-04-11T23:47:16.854775807Z", i64::MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        let cases = [
            ("", "4 digits of the year"),
            ("2020", "expected `-` after the year"),
            ("2020-02-30", "there is no day 2020-02-30"),
            ("2020-13-01T00:00:00Z", "there is no day 2020-13-01"),
            ("2020-01-01T00:00:00", "missing time offset"),
            ("2020-01-01T24:00:00Z", "there is no time of day 24:00:00"),
            ("2020-01-01T00:00:60Z", "there is no time of day 00:00:60"),
            ("2020-01-01 00:00:00Z", "expected `T` between date and time"),
            ("2020-01-01T00:00:00.Z", "expected digits after the point"),
            ("2020-01-01T00:00:00+0100", "expected `:` within the offset"),
            ("2020-01-01T00:00:00+24:00", "there is no offset of 24:00"),
            ("2020-01-01T00:00:00Zx", "expected its end before `x`"),
            ("2020-01-01T00:00:00é", "expected a time offset"),
            ("1500-01-01", "outside of 1677"),
            ("2262-04-11T23:47:16.854775808Z", "outside of 1677"),
        ];
        for (text, reason) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.message().contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn both_forms_are_printed() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000000Z", "1970-01-01T00:00:00Z"),
            (250_000_000, "1970-01-01T00:00:00.250000000Z", "1970-01-01T00:00:00.25Z"),
            (-1, "1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z", "1677-09-21T00:12:43.145224192Z"),
        ];
        for (time_ns, long, short) in cases {
            assert_eq!(to_text(time_ns), long);
            assert_eq!(to_short_text(time_ns), short);
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(time_ns: i64) {
            prop_assert_eq!(parse(&to_text(time_ns)).unwrap(), time_ns);
            prop_assert_eq!(parse(&to_short_text(time_ns)).unwrap(), time_ns);
        }

        #[test]
        fn chrono_reads_the_same(time_ns: i64, hours in -23..=23i32) {
            let zone = chrono::FixedOffset::east_opt(hours * 3600).unwrap();
            let text = chrono::DateTime::from_timestamp_nanos(time_ns).with_timezone(&zone).to_rfc3339();
            prop_assert_eq!(parse(&text).unwrap(), time_ns);
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ:+.é-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
