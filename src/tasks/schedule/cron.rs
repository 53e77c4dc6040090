//! Cron patterns as text: fields, macros, `@every`, and what differs from croner's own dialect.
//!
//! Called by [`super::Schedule::cron`]. The matching itself is croner's, on a wall clock without a zone.

use croner::Cron;
use croner::parser::CronParser;

use super::lines::Lines;
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::time::Duration;

/// A cron option that starts with this is an `every` in disguise: `@every 1h30m`.
pub const EVERY_PREFIX: &str = "@every ";

/// The macros of InfluxDB's cron.
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

/// A parsed pattern.
#[derive(Clone, Debug)]
pub(super) struct CronLines {
    /// What croner matches.
    pub(super) pattern: Cron,
    /// The hour field is `*` or `*/n`.
    pub(super) any_hour: bool,
    /// Neither of the two day fields is `*`.
    pub(super) restricts_both_days: bool,
}

/// Reads a pattern.
pub(super) fn parse(text: &str) -> Result<Lines> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if let Some(duration) = lower.strip_prefix(EVERY_PREFIX) {
        return Lines::every(parse_duration(duration.trim())?);
    }
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
        let expected = "expected 5 fields (minute hour day month weekday), 6 with seconds first, or 7 with years last";
        return Err(Error::invalid(format!("{expected}, found {}", fields.len())));
    }
    // `0/15` (from 0 in steps of 15) is common, and croner takes it only when it is told to.
    let parser = CronParser::builder().dom_and_dow(true).sloppy_ranges(true).build();
    let parsed = parser.parse(pattern).map_err(|error| Error::invalid(lower_first(&error.to_string())))?;
    // A pattern that never matches (30 February) would make a task that silently never runs.
    let epoch = chrono::DateTime::UNIX_EPOCH.naive_utc();
    if parsed.find_next_occurrence(&epoch, true).is_err() {
        return Err(Error::invalid(format!("`{text}` never matches")));
    }

    let from_minutes = usize::from(fields.len() > 5);
    let (hour, day, weekday) = (fields[from_minutes + 1], fields[from_minutes + 2], fields[from_minutes + 4]);
    let any = |field: &str| field.starts_with('*') || field.starts_with('?');
    Ok(Lines::Cron(Box::new(CronLines {
        pattern: parsed,
        any_hour: any(hour),
        restricts_both_days: !any(day) && !any(weekday),
    })))
}

/// A duration as Flux writes it: `1h30m`, `2d`, `1mo`.
fn parse_duration(text: &str) -> Result<Duration> {
    const UNITS: [(&str, i64, i64); 11] = [
        ("y", 12, 0),
        ("mo", 1, 0),
        ("w", 0, 7 * 86_400_000_000_000),
        ("d", 0, 86_400_000_000_000),
        ("h", 0, 3_600_000_000_000),
        ("m", 0, 60_000_000_000),
        ("s", 0, 1_000_000_000),
        ("ms", 0, 1_000_000),
        ("us", 0, 1_000),
        ("µs", 0, 1_000),
        ("ns", 0, 1),
    ];
    let wrong = || Error::invalid(format!("expected a duration such as `1h30m` after @every, found `{text}`"));
    let mut duration = Duration::default();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).ok_or_else(wrong)?;
        let count: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        let after = &rest[digits..];
        let letters = after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len());
        let (_, months, nanoseconds) =
            UNITS.iter().find(|(unit, _, _)| *unit == &after[..letters]).ok_or_else(wrong)?;
        let add = |sum: i64, each: i64| sum.checked_add(count.checked_mul(each)?);
        duration.months = add(duration.months, *months).ok_or_else(wrong)?;
        duration.nanoseconds = add(duration.nanoseconds, *nanoseconds).ok_or_else(wrong)?;
        rest = &after[letters..];
    }
    if duration == Duration::default() {
        return Err(wrong());
    }
    Ok(duration)
}

fn lower_first(text: &str) -> String {
    let mut characters = text.trim_end_matches('.').chars();
    match characters.next() {
        Some(first) => first.to_lowercase().chain(characters).collect(),
        None => String::new(),
    }
}
