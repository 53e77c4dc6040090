//! Locations: the wall clock of a zone, and the way from it back to UTC where clocks jump.
//!
//! Called by windows, date functions and schedules. The rules are the zone database's (chrono-tz, compiled in); no file
//! of the system is read.

use std::fmt;

use chrono::offset::{LocalResult, Offset};
use chrono::{DateTime, NaiveDateTime, TimeZone};
use chrono_tz::{GapInfo, Tz};

use super::Duration;
use super::calendar::{self, SECOND_NS};
use crate::diagnostic::nearest;
use crate::error::{Error, Result};

/// Flux's `{zone: "Europe/Berlin", offset: 0h}`: the wall clock reads the zone's time plus the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    zone: Tz,
    offset_ns: i64,
}

impl Default for Location {
    fn default() -> Self {
        Location::UTC
    }
}

/// The zone's name, and the offset where there is one: `Europe/Berlin`, `UTC+1h`.
impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.zone.name())?;
        if self.offset_ns != 0 {
            let sign = if self.offset_ns > 0 { "+" } else { "" };
            write!(formatter, "{sign}{}", Duration::from_nanoseconds(self.offset_ns))?;
        }
        Ok(())
    }
}

impl Location {
    /// The clock that everything is counted in.
    pub const UTC: Location = Location { zone: Tz::UTC, offset_ns: 0 };

    /// A zone of the IANA database, such as `Europe/Berlin`.
    ///
    /// # Errors
    /// Invalid if there is no such zone.
    pub fn named(name: &str) -> Result<Self> {
        match name.parse::<Tz>() {
            Ok(zone) => Ok(Location { zone, offset_ns: 0 }),
            Err(_) => {
                let error = Error::invalid(format!("unknown time zone {name:?}"));
                let near = nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
                Err(match near {
                    Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                    None => error.with_hint("zones have the names of the IANA database, such as \"Europe/Berlin\""),
                })
            }
        }
    }

    /// A clock that is always `offset_ns` ahead of UTC (behind it if negative).
    pub fn fixed(offset_ns: i64) -> Self {
        Location { zone: Tz::UTC, offset_ns }
    }

    /// From the two properties of Flux's location record.
    ///
    /// # Errors
    /// Invalid for an unknown zone and for an offset in months.
    pub fn from_record(zone: &str, offset: Duration) -> Result<Self> {
        if offset.months != 0 {
            return Err(Error::invalid(format!("the offset of a location cannot have months, found {offset}")));
        }
        Ok(Location { offset_ns: offset.flat_nanoseconds(), ..Self::named(zone)? })
    }

    /// Whether its clock never jumps.
    pub fn is_fixed(&self) -> bool {
        self.zone == Tz::UTC
    }

    /// How far its clock is ahead of UTC at an instant, in nanoseconds.
    pub fn offset_at(&self, time_ns: i64) -> i64 {
        if self.is_fixed() {
            return self.offset_ns;
        }
        let zone_seconds = self.zone.offset_from_utc_datetime(&calendar::naive(time_ns)).fix().local_minus_utc();
        self.offset_ns.saturating_add(i64::from(zone_seconds) * SECOND_NS)
    }

    /// What its clock reads at an instant, as if it were UTC.
    pub fn to_local(&self, time_ns: i64) -> i64 {
        time_ns.saturating_add(self.offset_at(time_ns))
    }

    /// The instant at which its clock reads `local_ns`: the first one where the clock reads it twice, the moment of the
    /// jump where it never does.
    pub fn to_utc(&self, local_ns: i64) -> i64 {
        calendar::clamp(self.exact_to_utc(i128::from(local_ns)))
    }

    /// As [`Location::to_utc`], beyond the ends of 64 bits.
    pub(super) fn exact_to_utc(&self, local_ns: i128) -> i128 {
        let zone_local = local_ns - i128::from(self.offset_ns);
        if self.is_fixed() {
            return zone_local;
        }
        match exact_naive(zone_local) {
            Some(local) => zone_local - i128::from(self.zone_offset_seconds(&local)) * i128::from(SECOND_NS),
            None => zone_local,
        }
    }

    /// The zone's offset that leads from a wall clock time back to UTC.
    fn zone_offset_seconds(&self, local: &NaiveDateTime) -> i64 {
        match self.zone.offset_from_local_datetime(local) {
            LocalResult::Single(offset) => i64::from(offset.fix().local_minus_utc()),
            LocalResult::Ambiguous(one, other) => {
                i64::from(one.fix().local_minus_utc().max(other.fix().local_minus_utc()))
            }
            LocalResult::None => match GapInfo::new(local, &self.zone).and_then(|gap| gap.end) {
                // Local time minus this offset is the jump itself, however far into the gap the local time lies.
                Some(end) => (*local - end.naive_utc()).num_seconds(),
                None => 0,
            },
        }
    }

    /// The first instant in `(after_ns, until_ns]` at which the clock's offset is the one it has at `until_ns`; the two
    /// offsets differ and the clock jumps once between them.
    pub(super) fn jump_between(&self, after_ns: i64, until_ns: i64) -> i64 {
        let offset = self.offset_at(until_ns);
        let (mut before, mut after) = (after_ns, until_ns);
        while after.saturating_sub(before) > 1 {
            let middle = before + (after - before) / 2;
            if self.offset_at(middle) == offset {
                after = middle;
            } else {
                before = middle;
            }
        }
        after
    }
}

/// The date of a number of nanoseconds, `None` beyond the years that chrono knows.
pub(super) fn exact_naive(time_ns: i128) -> Option<NaiveDateTime> {
    let second = i64::try_from(time_ns.div_euclid(i128::from(SECOND_NS))).ok()?;
    let nanosecond = time_ns.rem_euclid(i128::from(SECOND_NS)) as u32;
    Some(DateTime::from_timestamp(second, nanosecond)?.naive_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::time::calendar::{DAY_NS, HOUR_NS};
    use crate::time::rfc3339::{parse, to_short_text};

    fn utc(location: &Location, local: &str) -> String {
        to_short_text(location.to_utc(parse(local).unwrap()))
    }

    #[test]
    fn wall_clocks_lead_to_utc() {
        // The zone database: Berlin is UTC+1, +2 from 2024-03-31T01:00Z to 2024-10-27T01:00Z; Kolkata UTC+5:30.
        let berlin = Location::named("Europe/Berlin").unwrap();
        let kolkata = Location::named("Asia/Kolkata").unwrap();
        let cases = [
            (berlin, "2024-01-01T00:00:00Z", "2023-12-31T23:00:00Z"),
            (berlin, "2024-07-01T00:00:00Z", "2024-06-30T22:00:00Z"),
            (berlin, "2024-03-31T01:59:59Z", "2024-03-31T00:59:59Z"),
            (berlin, "2024-03-31T02:00:00Z", "2024-03-31T01:00:00Z"), // skipped: the jump
            (berlin, "2024-03-31T02:59:59Z", "2024-03-31T01:00:00Z"), // skipped: the jump
            (berlin, "2024-03-31T03:00:00Z", "2024-03-31T01:00:00Z"),
            (berlin, "2024-10-27T02:30:00Z", "2024-10-27T00:30:00Z"), // twice: the first
            (berlin, "2024-10-27T03:00:00Z", "2024-10-27T02:00:00Z"),
            (kolkata, "2024-01-01T00:00:00Z", "2023-12-31T18:30:00Z"),
            (Location::fixed(-8 * HOUR_NS), "2024-01-01T00:00:00Z", "2024-01-01T08:00:00Z"),
        ];
        for (location, local, expected) in cases {
            assert_eq!(utc(&location, local), expected, "{location:?} {local}");
        }
    }

    #[test]
    fn a_day_that_a_zone_skipped_is_the_jump() {
        // Samoa went from December 29 to December 31 in 2011, at 2011-12-30T10:00Z.
        let apia = Location::named("Pacific/Apia").unwrap();
        assert_eq!(utc(&apia, "2011-12-30T00:00:00Z"), "2011-12-30T10:00:00Z");
        assert_eq!(utc(&apia, "2011-12-30T12:34:00Z"), "2011-12-30T10:00:00Z");
        assert_eq!(utc(&apia, "2011-12-31T00:00:00Z"), "2011-12-30T10:00:00Z");
    }

    #[test]
    fn zone_and_offset_add_up() {
        let shifted = Location::from_record("Europe/Berlin", Duration::from_nanoseconds(-HOUR_NS)).unwrap();
        assert_eq!(shifted.offset_at(0), 0);
        assert_eq!(shifted.to_utc(DAY_NS), DAY_NS);
    }

    #[test]
    fn unknown_zones_get_a_suggestion() {
        let error = Location::named("Europe/Berln").unwrap_err();
        assert_eq!(error.message(), "unknown time zone \"Europe/Berln\"");
        assert_eq!(error.hint(), Some("did you mean \"Europe/Berlin\"?"));
        assert!(Location::from_record("UTC", Duration::from_months(1)).is_err());
    }

    proptest! {
        #[test]
        fn the_way_back_is_the_same_reading(index in 0..chrono_tz::TZ_VARIANTS.len(), time_ns: i64) {
            let location = Location { zone: chrono_tz::TZ_VARIANTS[index], offset_ns: 0 };
            let time_ns = time_ns.clamp(i64::MIN + 2 * DAY_NS, i64::MAX - 2 * DAY_NS);
            let local = location.to_local(time_ns);
            let back = location.to_utc(local);
            // The same instant, or the earlier one with the same reading.
            prop_assert!(back <= time_ns);
            prop_assert_eq!(location.to_local(back), local);
        }

        #[test]
        fn no_time_panics(index in 0..chrono_tz::TZ_VARIANTS.len(), offset_ns: i64, time_ns: i64, far: i128) {
            let location = Location { zone: chrono_tz::TZ_VARIANTS[index], offset_ns };
            for time_ns in [time_ns, i64::MIN, i64::MAX] {
                location.to_utc(location.to_local(time_ns));
                location.to_local(location.to_utc(time_ns));
            }
            location.exact_to_utc(far / 2);
        }
    }
}
