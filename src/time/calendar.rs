//! The step between a number of nanoseconds and a date: fields of a time, and months added to it.
//!
//! Called by `duration`, `window`, `zone` and by the date functions. Everything here is UTC or a wall clock that has
//! been made a number already; zones are applied by [`super::zone`].

use chrono::{DateTime, Datelike, Months, NaiveDateTime};

/// Nanoseconds of a second.
pub const SECOND_NS: i64 = 1_000_000_000;
/// Nanoseconds of a minute.
pub const MINUTE_NS: i64 = 60 * SECOND_NS;
/// Nanoseconds of an hour.
pub const HOUR_NS: i64 = 60 * MINUTE_NS;
/// Nanoseconds of a day of 24 hours.
pub const DAY_NS: i64 = 24 * HOUR_NS;

/// The date and time of day of a number of nanoseconds since the epoch; every `i64` has one.
pub fn naive(time_ns: i64) -> NaiveDateTime {
    DateTime::from_timestamp_nanos(time_ns).naive_utc()
}

/// The inverse of [`naive`], exact for every date that chrono knows (the years -262143 to 262142).
pub fn nanoseconds(date: NaiveDateTime) -> i128 {
    let date = date.and_utc();
    i128::from(date.timestamp()) * i128::from(SECOND_NS) + i128::from(date.timestamp_subsec_nanos())
}

/// Months since January of the year 0: the number that a calendar grid counts in.
pub fn month_number(date: NaiveDateTime) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

/// The same day of the month and time of day `months` later (earlier if negative); a day that the month does not have
/// becomes its last one (January 31 plus a month is February 28 or 29). `None` outside of chrono's years.
pub fn add_months(date: NaiveDateTime, months: i64) -> Option<NaiveDateTime> {
    let count = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 { date.checked_sub_months(count) } else { date.checked_add_months(count) }
}

/// The nearest `i64` to a number of nanoseconds that may lie outside of it.
pub fn clamp(time_ns: i128) -> i64 {
    time_ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        text.parse().unwrap()
    }

    #[test]
    fn months_keep_the_day_or_take_the_last_one() {
        // The calendar itself: 2024 is a leap year, 2023 is not.
        let cases = [
            ("2024-01-31T05:00:00", 1, "2024-02-29T05:00:00"),
            ("2023-01-31T05:00:00", 1, "2023-02-28T05:00:00"),
            ("2024-03-31T00:00:00", -1, "2024-02-29T00:00:00"),
            ("2024-02-29T00:00:00", 12, "2025-02-28T00:00:00"),
            ("2024-11-30T00:00:00", 3, "2025-02-28T00:00:00"),
            ("1970-01-01T00:00:00", -1, "1969-12-01T00:00:00"),
        ];
        for (from, months, to) in cases {
            assert_eq!(add_months(at(from), months), Some(at(to)), "{from} + {months}mo");
        }
    }

    #[test]
    fn months_beyond_the_calendar_are_none() {
        assert_eq!(add_months(at("2024-01-01T00:00:00"), i64::MAX), None);
        assert_eq!(add_months(at("2024-01-01T00:00:00"), i64::MIN), None);
        assert_eq!(add_months(at("2024-01-01T00:00:00"), i64::from(u32::MAX)), None);
    }

    #[test]
    fn every_time_has_a_date_and_comes_back() {
        for time_ns in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(nanoseconds(naive(time_ns)), i128::from(time_ns));
        }
        assert_eq!(naive(i64::MAX).to_string(), "2262-04-11 23:47:16.854775807");
    }
}
