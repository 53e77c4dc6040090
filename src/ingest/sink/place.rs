//! A place in a partition: the offset, and what the order of rows from there on depends on.
//!
//! Kept by the sink per partition and committed with its position, so that a replay gives every row the same arrival time
//! and the same `_seq` as the first time.

use std::collections::VecDeque;

use crate::commitlog::{Committed, Record};
use crate::ingest::record;

/// Most places that are remembered between two commits; beyond it every other one is forgotten.
const REMEMBERED: usize = 4_096;

/// How times and sequence numbers go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// The last `_seq` that was given.
    seq: i64,
    /// The last record timestamp of a record without an arrival time, in milliseconds.
    timestamp_ms: i64,
    /// How many such records of that timestamp there were.
    equal: i64,
}

impl Order {
    /// The arrival time of the next record: its own, or for a record that others wrote its timestamp and its place among
    /// those of the same one.
    pub(super) fn arrival_ns(&mut self, record: &Record) -> i64 {
        if let Some(arrival_ns) = record::arrival_ns(record) {
            return arrival_ns;
        }
        if self.timestamp_ms == record.timestamp_ms {
            self.equal += 1;
        } else {
            self.timestamp_ms = record.timestamp_ms;
            self.equal = 0;
        }
        record.timestamp_ms.saturating_mul(1_000_000).saturating_add(self.equal)
    }

    /// The next `_seq` will be newer than this one, which is returned.
    pub(super) fn not_before(&mut self, seq: i64) -> i64 {
        self.seq = self.seq.max(seq);
        seq
    }

    /// The last `_seq` that was given.
    pub(super) fn newest_seq(&self) -> i64 {
        self.seq
    }

    /// The `_seq` of the next row of a record: its arrival time, or one more than the last if that is not newer.
    pub(super) fn seq(&mut self, arrival_ns: i64) -> i64 {
        self.seq = arrival_ns.max(self.seq.saturating_add(1));
        self.seq
    }
}

/// A place that a replay may begin at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The offset of the next record.
    pub offset: u64,
    /// How it goes on there.
    pub order: Order,
}

impl Place {
    /// The beginning.
    pub(super) fn at(offset: u64) -> Self {
        Place { offset, order: Order::default() }
    }

    /// As a committed position.
    pub(super) fn committed(&self, generation: u32) -> Committed {
        let Order { seq, timestamp_ms, equal } = self.order;
        Committed { offset: self.offset, metadata: format!("1 {generation} {seq} {timestamp_ms} {equal}") }
    }

    /// From a committed position; `None` if it is of another generation, or of another program.
    pub(super) fn read(committed: &Committed, generation: u32) -> Option<Self> {
        let mut parts = committed.metadata.split(' ');
        if parts.next()? != "1" || parts.next()?.parse() != Ok(generation) {
            return None;
        }
        let mut number = || parts.next()?.parse().ok();
        let order = Order { seq: number()?, timestamp_ms: number()?, equal: number()? };
        Some(Place { offset: committed.offset, order })
    }
}

/// Places after each batch, oldest first, until they are committed.
#[derive(Debug, Default)]
pub(super) struct Places(VecDeque<Place>);

impl Places {
    /// The place after a batch.
    pub(super) fn push(&mut self, place: Place) {
        if self.0.len() == REMEMBERED {
            let mut keep = false;
            self.0.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.0.push_back(place);
    }

    /// The newest place at or before an offset; older ones are forgotten.
    pub(super) fn at_or_before(&mut self, offset: u64) -> Option<Place> {
        let mut found = None;
        while let Some(first) = self.0.front()
            && first.offset <= offset
        {
            found = self.0.pop_front();
        }
        // It may be asked for again before there is a newer one.
        if let Some(place) = found {
            self.0.push_front(place);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::*;

    fn record(timestamp_ms: i64, arrival_ns: Option<i64>) -> Record {
        let headers = arrival_ns.map(|time| ("fm-time".into(), Bytes::from(time.to_string()))).into_iter().collect();
        Record { offset: 0, timestamp_ms, key: Bytes::new(), headers, payload: Bytes::new() }
    }

    #[test]
    fn records_of_others_have_their_timestamp_and_their_place_among_equal_ones() {
        let mut order = Order::default();
        let times: Vec<i64> = [(5, None), (5, None), (9, Some(77)), (5, None), (6, None), (5, None)]
            .map(|(timestamp, arrival)| order.arrival_ns(&record(timestamp, arrival)))
            .to_vec();
        assert_eq!(times, [5_000_000, 5_000_001, 77, 5_000_002, 6_000_000, 5_000_000]);
    }

    #[test]
    fn sequence_numbers_strictly_increase() {
        let mut order = Order::default();
        assert_eq!([10, 10, 5, 20].map(|arrival| order.seq(arrival)), [10, 11, 12, 20]);
    }

    #[test]
    fn a_place_is_committed_and_read_back() {
        let mut order = Order::default();
        order.arrival_ns(&record(5, None));
        order.arrival_ns(&record(5, None));
        order.seq(99);
        let place = Place { offset: 7, order };
        let committed = place.committed(3);
        assert_eq!(Place::read(&committed, 3), Some(place));
        assert_eq!(Place::read(&committed, 4), None, "another generation");
        assert_eq!(Place::read(&Committed { offset: 1, metadata: String::new() }, 1), None);
    }

    #[test]
    fn the_newest_place_that_is_durable_is_found() {
        let mut places = Places::default();
        for offset in [10, 20, 30] {
            places.push(Place::at(offset));
        }
        assert_eq!(places.at_or_before(5), None);
        assert_eq!(places.at_or_before(25), Some(Place::at(20)));
        assert_eq!(places.at_or_before(25), Some(Place::at(20)));
        assert_eq!(places.at_or_before(30), Some(Place::at(30)));
        for offset in 31..10_000 {
            places.push(Place::at(offset));
        }
        assert!(places.0.len() <= REMEMBERED);
        assert_eq!(places.at_or_before(9_999), Some(Place::at(9_999)));
    }
}
