//! Flux's duration: months and nanoseconds side by side with one sign (Flux spec, "Duration types").
//!
//! Called wherever a duration is written or added to a time. Years are 12 months, weeks 7 days, days 24 hours exactly.

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
pub const NANOSECONDS_PER_FLAT_MONTH: i64 = 2_629_800 * 1_000_000_000;

impl Duration {
    /// A duration of nanoseconds, negative or not.
    pub fn from_nanoseconds(nanoseconds: i64) -> Self {
        Duration { months: 0, nanoseconds: nanoseconds.saturating_abs(), negative: nanoseconds < 0 }
    }

    /// As one number of nanoseconds, a month counted as a twelfth of 365.25 days.
    pub fn flat_nanoseconds(self) -> i64 {
        let magnitude = self.months.saturating_mul(NANOSECONDS_PER_FLAT_MONTH).saturating_add(self.nanoseconds);
        if self.negative { -magnitude } else { magnitude }
    }
}
