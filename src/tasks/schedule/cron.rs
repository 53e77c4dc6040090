//! Cron patterns: their text, with what differs from croner's own dialect, and their slots on a wall clock that may jump.
//!
//! Called by [`super::Schedule`] only. The matching itself is croner's, on wall times without a zone; this file says when
//! the clock of a location shows them.

use chrono::NaiveDateTime;
use croner::Cron;
use croner::parser::CronParser;

use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::time::calendar::{self, SECOND_NS};
use crate::time::{Duration, Location};

/// The macros of InfluxDB's cron, besides `@every`.
const MACROS: [(&str, &str); 9] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
    ("@every_minute", "* * * * *"),
    ("@every_second", "* * * * * *"),
];

/// Longer than any change of a clock: Samoa left out a whole day.
const LONGEST_CHANGE_NS: i64 = 25 * 3_600 * SECOND_NS;

/// The duration of `@every 1h30m`; `None` for any other pattern.
pub(super) fn every(text: &str) -> Result<Option<Duration>> {
    match text.trim().split_once(char::is_whitespace) {
        Some((name, duration)) if name.eq_ignore_ascii_case("@every") => Duration::parse(duration.trim()).map(Some),
        _ => Ok(None),
    }
}

/// A parsed pattern.
#[derive(Clone, Debug)]
pub(super) struct CronLines {
    pattern: Cron,
    /// The hour field is `*` or `*/n`.
    any_hour: bool,
    restricts_both_days: bool,
}

impl CronLines {
    /// Reads a pattern.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        let mut pattern = text;
        if lower.starts_with('@') {
            let Some((_, fields)) = MACROS.iter().find(|(name, _)| *name == lower) else {
                let error = Error::invalid(format!("unknown macro {text}"));
                return Err(match nearest(&lower, MACROS.iter().map(|(name, _)| *name)) {
                    Some(name) => error.with_hint(format!("did you mean {name}?")),
                    None => error.with_hint("known are @every 1h, @hourly, @daily, @weekly, @monthly, @yearly"),
                });
            };
            pattern = fields;
        }

        let fields: Vec<&str> = pattern.split_whitespace().collect();
        if !(5..=7).contains(&fields.len()) {
            let expected =
                "expected 5 fields (minute hour day month weekday), 6 with seconds first, or 7 with years last";
            return Err(Error::invalid(format!("{expected}, found {}", fields.len())));
        }
        // `0/15` (from 0 in steps of 15) is common, and croner takes it only when it is told to.
        let parser = CronParser::builder().dom_and_dow(true).sloppy_ranges(true).build();
        let parsed = parser.parse(pattern).map_err(|error| Error::invalid(lower_first(&error.to_string())))?;
        // A pattern that never matches (30 February) would make a task that silently never runs.
        if parsed.find_next_occurrence(&calendar::naive(0), true).is_err() {
            return Err(Error::invalid(format!("`{text}` never matches")));
        }

        let hour_at = if fields.len() > 5 { 2 } else { 1 };
        let any = |field: &str| field.starts_with('*') || field.starts_with('?');
        let restricts_both_days = !any(fields[hour_at + 1]) && !any(fields[hour_at + 3]);
        Ok(CronLines { pattern: parsed, any_hour: any(fields[hour_at]), restricts_both_days })
    }

    /// Neither of the two day fields is `*`.
    pub(super) fn restricts_both_days(&self) -> bool {
        self.restricts_both_days
    }

    /// The first slot after an instant.
    pub(super) fn next_after(&self, location: &Location, time_ns: i64) -> Option<i64> {
        let next = self.first_line_shown_after(location, time_ns);
        if !self.any_hour || is_second_showing(location, time_ns) {
            return next;
        }
        // If the clock will show this range once more, the range's first line then may come before all others.
        let again = repeated_range(location, time_ns)
            .and_then(|(start_ns, _)| self.after(start_ns - 1))
            .and_then(|line_ns| second_showing(location, line_ns));
        [next, again].into_iter().flatten().min()
    }

    /// The last slot at or before an instant.
    pub(super) fn latest(&self, location: &Location, time_ns: i64) -> Option<i64> {
        let latest =
            self.at_or_before(location.to_local(time_ns)).map(|line_ns| match second_showing(location, line_ns) {
                Some(second_ns) if second_ns <= time_ns && self.any_hour => second_ns,
                _ => location.to_utc(line_ns),
            });
        if !is_second_showing(location, time_ns) {
            return latest;
        }
        // Lines later in this range were shown already, the first time around.
        let shown = repeated_range(location, time_ns)
            .and_then(|(_, end_ns)| self.at_or_before(end_ns - 1))
            .map(|line_ns| location.to_utc(line_ns));
        [latest, shown].into_iter().flatten().max()
    }

    fn first_line_shown_after(&self, location: &Location, time_ns: i64) -> Option<i64> {
        let mut line_ns = self.after(location.to_local(time_ns))?;
        loop {
            let first_ns = location.to_utc(line_ns);
            if first_ns > time_ns {
                return Some(first_ns);
            }
            match second_showing(location, line_ns) {
                Some(second_ns) if second_ns > time_ns && self.any_hour => return Some(second_ns),
                _ => line_ns = self.after(line_ns)?,
            }
        }
    }

    /// The first wall time after another that matches.
    fn after(&self, wall_ns: i64) -> Option<i64> {
        nanoseconds(self.pattern.find_next_occurrence(&to_the_second(wall_ns), false).ok()?)
    }

    /// The last wall time at or before another that matches.
    fn at_or_before(&self, wall_ns: i64) -> Option<i64> {
        nanoseconds(self.pattern.find_previous_occurrence(&to_the_second(wall_ns), true).ok()?)
    }
}

/// Rounded down, since a pattern has no finer unit.
fn to_the_second(wall_ns: i64) -> NaiveDateTime {
    calendar::naive(wall_ns.saturating_sub(wall_ns.rem_euclid(SECOND_NS)))
}

fn nanoseconds(wall: NaiveDateTime) -> Option<i64> {
    i64::try_from(calendar::nanoseconds(wall)).ok()
}

/// When the clock shows a wall time for the second time, if it does.
fn second_showing(location: &Location, wall_ns: i64) -> Option<i64> {
    if location.is_fixed() {
        return None;
    }
    let first_ns = location.to_utc(wall_ns);
    let second_ns = wall_ns.checked_sub(location.offset_at(first_ns.checked_add(LONGEST_CHANGE_NS)?))?;
    (second_ns > first_ns && location.to_local(second_ns) == wall_ns).then_some(second_ns)
}

/// Whether the clock shows this instant's wall time for the second time.
fn is_second_showing(location: &Location, time_ns: i64) -> bool {
    !location.is_fixed() && location.to_utc(location.to_local(time_ns)) < time_ns
}

/// If the clock shows this instant's wall time twice: the wall times `[start, end)` that it shows twice.
fn repeated_range(location: &Location, time_ns: i64) -> Option<(i64, i64)> {
    let wall_ns = location.to_local(time_ns);
    let second_ns = second_showing(location, wall_ns)?;
    let (old_ns, new_ns) = (location.offset_at(location.to_utc(wall_ns)), location.offset_at(second_ns));
    // The clock goes back between the two showings, on a whole second.
    let (mut before, mut after) = (location.to_utc(wall_ns).div_euclid(SECOND_NS), second_ns.div_euclid(SECOND_NS));
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if location.offset_at(middle * SECOND_NS) == old_ns {
            before = middle;
        } else {
            after = middle;
        }
    }
    Some((after * SECOND_NS + new_ns, after * SECOND_NS + old_ns))
}

fn lower_first(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
