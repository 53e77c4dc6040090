//! When a task is due: pure functions from a schedule to its slots.
//!
//! Called by the scheduler, by `task plan` and by the API. A slot is the time that `now()` returns in its run; it lies on
//! a grid (`every`: multiples counted from 1970-01-01T00:00, months and years by the calendar) or matches a cron
//! pattern, on the wall clock of the task's zone (UTC by default). The offset moves when a slot is *due*, never the slot.
//! No clock, no files, no tokio: a schedule is a value, and all slots follow from it.
//!
//! Where the wall clock of a zone changes (daylight saving):
//! - a slot in the hour that is left out runs at the end of the jump: no slot is skipped;
//! - in the hour that comes twice, what runs at certain hours of a day (`every` of whole days or more, cron with hours
//!   given) runs the first time only; what runs through the day (shorter `every`, cron with `*` or `*/n` for the hour) runs
//!   both times, since both are real hours.

mod cron;
mod lines;
mod zone;

#[cfg(test)]
mod tests;

use chrono_tz::Tz;

use crate::error::{Error, Result};
use crate::time::Duration;
use lines::Lines;
use zone::Instants;

pub use cron::EVERY_PREFIX;

/// Nanoseconds in a second.
const SECOND_NS: i64 = 1_000_000_000;

/// The slots of a task.
#[derive(Clone, Debug)]
pub struct Schedule {
    lines: Lines,
    offset: Duration,
    zone: Option<Tz>,
}

impl Schedule {
    /// A slot at every multiple of `every` since 1970-01-01T00:00 in the zone.
    ///
    /// Errors, in InfluxDB's words: less than a second, parts of a second, a mix of months and smaller units.
    pub fn every(every: Duration, offset: Duration, zone: Option<Tz>) -> Result<Self> {
        Ok(Schedule { lines: Lines::every(every)?, offset: whole_seconds("offset", offset)?, zone })
    }

    /// A slot wherever the pattern matches: 5 fields, 6 with seconds first, 7 with years last, a macro such as `@daily`,
    /// or `@every 1h`. Day of month *and* day of week must match, as in InfluxDB.
    pub fn cron(pattern: &str, offset: Duration, zone: Option<Tz>) -> Result<Self> {
        let lines = cron::parse(pattern).map_err(|error| error.context("cron invalid"))?;
        Ok(Schedule { lines, offset: whole_seconds("offset", offset)?, zone })
    }

    /// The zone by its IANA name, with a suggestion when it is unknown.
    pub fn zone(name: &str) -> Result<Tz> {
        zone::by_name(name)
    }

    /// Days of month and days of week are both restricted: both must match, where most other crons take either.
    pub fn restricts_both_days(&self) -> bool {
        matches!(&self.lines, Lines::Cron(cron) if cron.restricts_both_days)
    }

    /// The first slot after `time_ns`; `None` after the last slot of a cron pattern with years, or beyond the year 2262.
    pub fn next_slot_after(&self, time_ns: i64) -> Option<i64> {
        let wall_ns = zone::wall(self.zone, time_ns)?;
        let next = self.first_line_later_than(wall_ns, time_ns);
        let Some((start_ns, _)) = zone::repeated_range(self.zone, time_ns) else {
            return next;
        };
        if !self.lines.runs_through_the_day() || zone::is_second_showing(self.zone, time_ns) {
            return next;
        }
        // The clock will show this range once more: its first line then may come before anything after the range.
        let again = self.lines.after(start_ns - 1).and_then(|line_ns| match zone::instants(self.zone, line_ns) {
            Some(Instants::Two(_, second_ns)) => Some(second_ns),
            _ => None,
        });
        [next, again].into_iter().flatten().min()
    }

    /// The last slot at or before `time_ns`.
    pub fn latest_slot(&self, time_ns: i64) -> Option<i64> {
        let wall_ns = zone::wall(self.zone, time_ns)?;
        let latest = self.lines.at_or_before(wall_ns).and_then(|line_ns| self.slot_of(line_ns, time_ns));
        if !zone::is_second_showing(self.zone, time_ns) {
            return latest;
        }
        // Lines later in this range were shown already, the first time around.
        let shown = zone::repeated_range(self.zone, time_ns)
            .and_then(|(_, end_ns)| self.lines.at_or_before(end_ns - 1))
            .and_then(|line_ns| zone::instants(self.zone, line_ns))
            .map(Instants::first);
        [latest, shown].into_iter().flatten().max()
    }

    /// Whether `time_ns` is a slot.
    pub fn is_slot(&self, time_ns: i64) -> bool {
        self.latest_slot(time_ns) == Some(time_ns)
    }

    /// The slots in `(after_ns, until_ns]`, ascending. There may be very many: take as many as are wanted.
    pub fn slots_between(&self, after_ns: i64, until_ns: i64) -> impl Iterator<Item = i64> + '_ {
        std::iter::successors(self.next_slot_after(after_ns), |slot_ns| self.next_slot_after(*slot_ns))
            .take_while(move |slot_ns| *slot_ns <= until_ns)
    }

    /// The newest `limit` slots in `(after_ns, until_ns]`, ascending.
    pub fn newest_slots_between(&self, after_ns: i64, until_ns: i64, limit: usize) -> Vec<i64> {
        let mut slots: Vec<i64> =
            std::iter::successors(self.latest_slot(until_ns), |slot_ns| self.latest_slot(slot_ns.checked_sub(1)?))
                .take_while(|slot_ns| *slot_ns > after_ns)
                .take(limit)
                .collect();
        slots.reverse();
        slots
    }

    /// When the slot's run may start: the slot plus the offset, which may be negative.
    pub fn due_at(&self, slot_ns: i64) -> i64 {
        zone::add(slot_ns, self.offset)
    }

    /// The newest slot that is due at `now_ns`.
    pub fn latest_due(&self, now_ns: i64) -> Option<i64> {
        // An offset in months has no fixed length: start from a time that is late enough and step back.
        let margin_ns =
            if self.offset.months == 0 { 0 } else { self.offset.months.saturating_mul(3 * 86_400 * SECOND_NS) };
        let from_ns = now_ns.saturating_sub(self.offset.flat_nanoseconds()).saturating_add(margin_ns);
        let mut slot_ns = self.latest_slot(from_ns)?;
        while self.due_at(slot_ns) > now_ns {
            slot_ns = self.latest_slot(slot_ns.checked_sub(1)?)?;
        }
        Some(slot_ns)
    }

    /// The time between a slot and the one after it; `None` at the last one.
    pub fn interval_after(&self, slot_ns: i64) -> Option<i64> {
        Some(self.next_slot_after(slot_ns)? - slot_ns)
    }

    fn first_line_later_than(&self, wall_ns: i64, time_ns: i64) -> Option<i64> {
        let mut line_ns = self.lines.after(wall_ns)?;
        loop {
            match zone::instants(self.zone, line_ns)? {
                Instants::Two(first_ns, _) if first_ns > time_ns => return Some(first_ns),
                Instants::Two(_, second_ns) if second_ns > time_ns && self.lines.runs_through_the_day() => {
                    return Some(second_ns);
                }
                Instants::One(instant_ns) if instant_ns > time_ns => return Some(instant_ns),
                _ => line_ns = self.lines.after(line_ns)?,
            }
        }
    }

    /// The slot of a line whose wall time has been reached at `time_ns`.
    fn slot_of(&self, line_ns: i64, time_ns: i64) -> Option<i64> {
        match zone::instants(self.zone, line_ns)? {
            Instants::Two(_, second_ns) if second_ns <= time_ns && self.lines.runs_through_the_day() => Some(second_ns),
            instants => Some(instants.first()),
        }
    }
}

fn whole_seconds(option: &str, duration: Duration) -> Result<Duration> {
    if duration.nanoseconds % SECOND_NS != 0 {
        return Err(Error::invalid(format!("{option} option must be expressible as whole seconds")));
    }
    Ok(duration)
}
