//! When a task is due: pure functions from a schedule to its slots.
//!
//! Called by the scheduler, by `task plan` and by the API. A slot is the time that `now()` returns in its run. With
//! `every` the slots are the boundaries of the windows that `aggregateWindow` makes of the same duration and location
//! (multiples counted from 1970-01-01T00:00, months and years by the calendar), so that a task's slots and its windows
//! agree; with `cron` they are what the pattern matches on the wall clock of the location. The offset moves when a slot is
//! *due*, never the slot. No clock, no files, no tokio: a schedule is a value, and all slots follow from it.
//!
//! Where a wall clock jumps, cron slots behave so:
//! - a slot in the hour that is left out runs at the end of the jump: none is skipped;
//! - in the hour that comes twice, a pattern that names hours runs the first time only; a pattern for all hours (`*` or
//!   `*/n`) runs both times, since both are real hours.

mod cron;

#[cfg(test)]
mod tests;

use cron::CronLines;

use crate::error::{Error, Result};
use crate::time::calendar::SECOND_NS;
use crate::time::{Duration, Location, WindowSpec};

/// The slots of a task.
#[derive(Clone, Debug)]
pub struct Schedule {
    slots: Slots,
    offset: Duration,
}

#[derive(Clone, Debug)]
enum Slots {
    Every(WindowSpec),
    Cron(Box<CronLines>, Location),
}

impl Schedule {
    /// A slot at every boundary of the windows of `every` in the location.
    ///
    /// Errors, in InfluxDB's words: less than a second, parts of a second, a mix of months and smaller units.
    pub fn every(every: Duration, offset: Duration, location: Location) -> Result<Self> {
        if every.is_mixed() {
            let message = "every option cannot mix months or years with smaller units";
            return Err(Error::invalid(message).with_hint("a day has a fixed length, a month has not: `1mo` or `30d`"));
        }
        if every.is_negative() || (every.months == 0 && every.nanoseconds < SECOND_NS) {
            return Err(Error::invalid("every option must be at least 1 second"));
        }
        let windows = WindowSpec::aligned(whole_seconds("every", every)?, Duration::ZERO, location)?;
        Ok(Schedule { slots: Slots::Every(windows), offset: whole_seconds("offset", offset)? })
    }

    /// A slot wherever the pattern matches: 5 fields, 6 with seconds first, 7 with years last, a macro such as `@daily`,
    /// or `@every 1h`. Day of month *and* day of week must match, as in InfluxDB.
    pub fn cron(pattern: &str, offset: Duration, location: Location) -> Result<Self> {
        let invalid = |error: Error| error.context("cron invalid");
        if let Some(every) = cron::every(pattern).map_err(invalid)? {
            return Self::every(every, offset, location);
        }
        let lines = Box::new(CronLines::parse(pattern).map_err(invalid)?);
        Ok(Schedule { slots: Slots::Cron(lines, location), offset: whole_seconds("offset", offset)? })
    }

    /// Days of month and days of week are both restricted: both must match, where most other crons take either.
    pub fn restricts_both_days(&self) -> bool {
        matches!(&self.slots, Slots::Cron(lines, _) if lines.restricts_both_days())
    }

    /// The first slot after `time_ns`; `None` after the last slot of a cron pattern with years, or beyond the year 2262.
    pub fn next_slot_after(&self, time_ns: i64) -> Option<i64> {
        match &self.slots {
            Slots::Every(windows) => windows.boundary_after(time_ns),
            Slots::Cron(lines, location) => lines.next_after(location, time_ns),
        }
    }

    /// The last slot at or before `time_ns`.
    pub fn latest_slot(&self, time_ns: i64) -> Option<i64> {
        match &self.slots {
            Slots::Every(windows) => Some(windows.boundary_at_or_before(time_ns)).filter(|slot_ns| *slot_ns <= time_ns),
            Slots::Cron(lines, location) => lines.latest(location, time_ns),
        }
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
        let before = |slot_ns: &i64| self.latest_slot(slot_ns.checked_sub(1)?);
        let mut slots: Vec<i64> = std::iter::successors(self.latest_slot(until_ns), before)
            .take_while(|slot_ns| *slot_ns > after_ns)
            .take(limit)
            .collect();
        slots.reverse();
        slots
    }

    /// When the slot's run may start: the slot plus the offset, which may be negative.
    pub fn due_at(&self, slot_ns: i64) -> i64 {
        self.offset.add_to(slot_ns)
    }

    /// The newest slot that is due at `now_ns`.
    pub fn latest_due(&self, now_ns: i64) -> Option<i64> {
        // An offset in months has no fixed length: start from a time that is late enough and step back.
        let margin_ns = self.offset.months.saturating_mul(3 * 86_400 * SECOND_NS);
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
}

fn whole_seconds(option: &str, duration: Duration) -> Result<Duration> {
    if duration.nanoseconds % SECOND_NS != 0 {
        return Err(Error::invalid(format!("{option} option must be expressible as whole seconds")));
    }
    Ok(duration)
}
