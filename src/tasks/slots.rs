//! What became of a task's slots, as intervals: which succeeded, failed, were canceled or skipped.
//!
//! Kept by [`super::run_store`], asked by the executor for `tasks.lastSuccess`. An interval stands for all slots of its
//! schedule from its first to its last; a task that runs well for a year is one interval. Pure; no slot is ever invented:
//! an interval grows only by the slot that follows its last one.

use serde::{Deserialize, Serialize};

use super::definition::ScheduleSpec;
use crate::error::Result;

/// How many intervals a task keeps; the oldest are forgotten beyond that.
const MAX_INTERVALS: usize = 1_000;

/// What became of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotOutcome {
    /// Its output is durable.
    Succeeded,
    /// All its attempts failed.
    Failed,
    /// Somebody canceled it.
    Canceled,
    /// It was missed, and the catch-up policy passed over it.
    Skipped,
}

/// Consecutive slots of one schedule with one outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The first slot.
    #[serde(with = "super::instant")]
    pub first_ns: i64,
    /// The last slot.
    #[serde(with = "super::instant")]
    pub last_ns: i64,
    /// How many slots.
    pub count: u64,
    /// What became of each.
    pub outcome: SlotOutcome,
    /// What `tasks.lastSuccess` was in the first slot, if it succeeded; in each later slot it was the slot before it.
    #[serde(default, with = "super::instant::option", skip_serializing_if = "Option::is_none")]
    pub last_success_ns: Option<i64>,
    /// The schedule that the slots follow.
    pub schedule: ScheduleSpec,
}

/// The intervals of a task, ascending, not overlapping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlotLedger {
    intervals: Vec<Interval>,
}

impl SlotLedger {
    /// All intervals, ascending.
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// What became of a slot, if anything has yet.
    pub fn outcome(&self, slot_ns: i64) -> Option<SlotOutcome> {
        self.find(slot_ns).map(|index| self.intervals[index].outcome)
    }

    /// The newest slot before `slot_ns` that succeeded.
    pub fn last_success_before(&self, slot_ns: i64) -> Result<Option<i64>> {
        for interval in self.intervals.iter().rev() {
            if interval.outcome != SlotOutcome::Succeeded || interval.first_ns >= slot_ns {
                continue;
            }
            if interval.last_ns < slot_ns {
                return Ok(Some(interval.last_ns));
            }
            return Ok(interval.schedule.schedule()?.latest_slot(slot_ns - 1));
        }
        Ok(None)
    }

    /// What `tasks.lastSuccess` is in a slot: what it was at the slot's first success, else the newest success before it.
    pub fn last_success_for(&self, slot_ns: i64) -> Result<Option<i64>> {
        match self.find(slot_ns).map(|index| &self.intervals[index]) {
            Some(interval) if interval.outcome == SlotOutcome::Succeeded && interval.first_ns == slot_ns => {
                Ok(interval.last_success_ns)
            }
            _ => self.last_success_before(slot_ns),
        }
    }

    /// Notes what became of a slot. A success stays one: a later attempt that fails leaves the earlier one's output.
    pub fn decide(
        &mut self,
        slot_ns: i64,
        outcome: SlotOutcome,
        last_success_ns: Option<i64>,
        schedule: &ScheduleSpec,
    ) -> Result<()> {
        if let Some(index) = self.find(slot_ns) {
            if self.intervals[index].outcome == SlotOutcome::Succeeded || self.intervals[index].outcome == outcome {
                return Ok(());
            }
            self.cut_out(index, slot_ns)?;
        }
        let last_success_ns = last_success_ns.filter(|_| outcome == SlotOutcome::Succeeded);
        let single = Interval {
            first_ns: slot_ns,
            last_ns: slot_ns,
            count: 1,
            outcome,
            last_success_ns,
            schedule: schedule.clone(),
        };
        self.insert(single)
    }

    /// Notes that `count` slots from `first_ns` to `last_ns` were skipped. None of them has an outcome yet.
    pub fn skip(&mut self, first_ns: i64, last_ns: i64, count: u64, schedule: &ScheduleSpec) -> Result<()> {
        self.insert(Interval {
            first_ns,
            last_ns,
            count,
            outcome: SlotOutcome::Skipped,
            last_success_ns: None,
            schedule: schedule.clone(),
        })
    }

    fn find(&self, slot_ns: i64) -> Option<usize> {
        let index = self.intervals.partition_point(|interval| interval.last_ns < slot_ns);
        (self.intervals.get(index)?.first_ns <= slot_ns).then_some(index)
    }

    fn insert(&mut self, interval: Interval) -> Result<()> {
        let index = self.intervals.partition_point(|other| other.last_ns < interval.first_ns);
        match index.checked_sub(1).map(|before| &mut self.intervals[before]) {
            Some(before) if follows(before, &interval)? => {
                before.last_ns = interval.last_ns;
                before.count += interval.count;
            }
            _ => self.intervals.insert(index, interval),
        }
        let excess = self.intervals.len().saturating_sub(MAX_INTERVALS);
        self.intervals.drain(..excess);
        Ok(())
    }

    /// Takes one slot out of an interval that does not succeed, leaving what lies before and after it.
    fn cut_out(&mut self, index: usize, slot_ns: i64) -> Result<()> {
        let whole = self.intervals.remove(index);
        let schedule = whole.schedule.schedule()?;
        if whole.last_ns > slot_ns
            && let Some(first_ns) = schedule.next_slot_after(slot_ns)
        {
            let count = schedule.slots_between(slot_ns, whole.last_ns).count() as u64;
            self.intervals.insert(index, Interval { first_ns, count, ..whole.clone() });
        }
        if whole.first_ns < slot_ns
            && let Some(last_ns) = schedule.latest_slot(slot_ns - 1)
        {
            let count = schedule.slots_between(whole.first_ns - 1, last_ns).count() as u64;
            self.intervals.insert(index, Interval { last_ns, count, ..whole });
        }
        Ok(())
    }
}

/// Whether `next` goes on where `before` ends: the same outcome and schedule, the very next slot, and for successes each
/// slot's last success is the slot before it.
fn follows(before: &Interval, next: &Interval) -> Result<bool> {
    if before.outcome != next.outcome || before.schedule != next.schedule {
        return Ok(false);
    }
    if next.outcome == SlotOutcome::Succeeded && next.last_success_ns != Some(before.last_ns) {
        return Ok(false);
    }
    Ok(next.schedule.schedule()?.next_slot_after(before.last_ns) == Some(next.first_ns))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::SlotOutcome::{Canceled, Failed, Skipped, Succeeded};
    use super::*;
    use crate::time::Duration;

    const MINUTE_NS: i64 = 60_000_000_000;

    fn minutely() -> ScheduleSpec {
        ScheduleSpec { every: Some(Duration::from_nanoseconds(MINUTE_NS)), ..ScheduleSpec::default() }
    }

    #[test]
    fn slots_in_a_row_are_one_interval() {
        let mut ledger = SlotLedger::default();
        for minute in 1..=1_000 {
            let last_success_ns = (minute > 1).then_some((minute - 1) * MINUTE_NS);
            ledger.decide(minute * MINUTE_NS, Succeeded, last_success_ns, &minutely()).unwrap();
        }
        assert_eq!(ledger.intervals().len(), 1);
        assert_eq!(ledger.intervals()[0].count, 1_000);
        assert_eq!(ledger.last_success_for(MINUTE_NS).unwrap(), None);
        assert_eq!(ledger.last_success_for(500 * MINUTE_NS).unwrap(), Some(499 * MINUTE_NS));
        assert_eq!(ledger.last_success_for(2_000 * MINUTE_NS).unwrap(), Some(1_000 * MINUTE_NS));
    }

    #[test]
    fn last_success_stays_what_it_was_when_an_earlier_slot_succeeds_later() {
        let mut ledger = SlotLedger::default();
        ledger.decide(MINUTE_NS, Succeeded, None, &minutely()).unwrap();
        ledger.decide(2 * MINUTE_NS, Failed, None, &minutely()).unwrap();
        ledger.decide(3 * MINUTE_NS, Succeeded, Some(MINUTE_NS), &minutely()).unwrap();
        // The slot of minute 2 is retried by hand. Minute 3 has read what minute 2 missed, and keeps its range.
        assert_eq!(ledger.last_success_for(2 * MINUTE_NS).unwrap(), Some(MINUTE_NS));
        ledger.decide(2 * MINUTE_NS, Succeeded, Some(MINUTE_NS), &minutely()).unwrap();
        assert_eq!(ledger.last_success_for(3 * MINUTE_NS).unwrap(), Some(MINUTE_NS));
        assert_eq!(ledger.last_success_for(4 * MINUTE_NS).unwrap(), Some(3 * MINUTE_NS));
    }

    #[test]
    fn a_changed_schedule_begins_a_new_interval() {
        let hourly =
            ScheduleSpec { every: Some(Duration::from_nanoseconds(60 * MINUTE_NS)), ..ScheduleSpec::default() };
        let mut ledger = SlotLedger::default();
        ledger.decide(60 * MINUTE_NS, Succeeded, None, &minutely()).unwrap();
        ledger.decide(120 * MINUTE_NS, Succeeded, Some(60 * MINUTE_NS), &hourly).unwrap();
        ledger.decide(180 * MINUTE_NS, Succeeded, Some(120 * MINUTE_NS), &hourly).unwrap();
        assert_eq!(ledger.intervals().len(), 2);
        // Inside the second interval the slot before it follows the hourly schedule.
        assert_eq!(ledger.last_success_for(180 * MINUTE_NS).unwrap(), Some(120 * MINUTE_NS));
    }

    #[test]
    fn the_oldest_intervals_are_forgotten() {
        let mut ledger = SlotLedger::default();
        for minute in 0..3 * MAX_INTERVALS as i64 {
            let outcome = if minute % 2 == 0 { Failed } else { Canceled };
            ledger.decide(minute * MINUTE_NS, outcome, None, &minutely()).unwrap();
        }
        assert_eq!(ledger.intervals().len(), MAX_INTERVALS);
        assert_eq!(ledger.outcome(0), None);
    }

    proptest! {
        /// Against a map from slot to outcome and frozen last success.
        #[test]
        fn the_ledger_agrees_with_a_plain_map(
            decisions in prop::collection::vec((0_i64..40, 0_usize..4), 0..120),
        ) {
            let mut ledger = SlotLedger::default();
            let mut plain: BTreeMap<i64, (SlotOutcome, Option<i64>)> = BTreeMap::new();
            for (minute, outcome) in decisions {
                let slot_ns = minute * MINUTE_NS;
                let outcome = [Succeeded, Failed, Canceled, Skipped][outcome];
                let newest = plain.range(..slot_ns).rev().find(|(_, (other, _))| *other == Succeeded).map(|(at, _)| *at);
                let last_success_ns = match plain.get(&slot_ns) {
                    Some((Succeeded, frozen)) => *frozen,
                    _ => newest,
                };
                prop_assert_eq!(ledger.last_success_for(slot_ns).unwrap(), last_success_ns);
                ledger.decide(slot_ns, outcome, last_success_ns, &minutely()).unwrap();
                if !matches!(plain.get(&slot_ns), Some((Succeeded, _))) {
                    plain.insert(slot_ns, (outcome, last_success_ns));
                }
            }
            for minute in 0..40 {
                let slot_ns = minute * MINUTE_NS;
                prop_assert_eq!(ledger.outcome(slot_ns), plain.get(&slot_ns).map(|(outcome, _)| *outcome));
                if let Some((Succeeded, frozen)) = plain.get(&slot_ns) {
                    prop_assert_eq!(ledger.last_success_for(slot_ns).unwrap(), *frozen);
                }
            }
            let total: u64 = ledger.intervals().iter().map(|interval| interval.count).sum();
            prop_assert_eq!(total, plain.len() as u64);
            prop_assert!(ledger.intervals().windows(2).all(|pair| pair[0].last_ns < pair[1].first_ns));
        }
    }
}
