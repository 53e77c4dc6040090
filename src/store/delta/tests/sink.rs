//! A sink in small: two partitions of rows and deletes, applied to a bucket, read again from the committed position after a
//! restart. What the bucket then shows is computed anew from the log, without the store's code.
//!
//! Its disk forgets what was not synced when the power fails (`forgetful_disk`).

use std::ops::Range;
use std::sync::Arc;

use super::forgetful_disk::{ForgetfulDisk, UnsyncedNames};
use super::{Bench, Clock, Oracle, PlainTable, START, SeqPoint, SourcePartition, overlap, partition, read_all};
use crate::error::ErrorKind;
use crate::point::Point;
use crate::point::delete::{Condition, ConditionOp, Deleted, PointSet, RangeDelete, SeriesName};
use crate::store::{MaintenanceReport, NewBucket, SeqDelete};
use crate::table::scan::{Bounds, PushOp, SourceRef};

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;

/// How long the bucket keeps rows. Its clock begins so long after [`START`].
const RETENTION_NS: i64 = 20 * DAY_NS;

/// The time of a point: they are three hours apart, so that a few fill several days, and have nanoseconds.
pub(super) fn time(number: i64) -> i64 {
    START + number * (3 * HOUR_NS + 1)
}

/// The arrival of a row: even numbers, among the times that are deleted; those of deletes lie in between.
pub(super) fn arrival(number: i64) -> i64 {
    START + 67 * HOUR_NS + 2 * number
}

/// The arrival of a delete: after the row of that number.
pub(super) fn arrival_of_delete(number: i64) -> i64 {
    arrival(number) + 1
}

/// A delete by range, its conditions as key, whether the value is to be equal, and value.
pub(super) fn by_range(times: Range<i64>, conditions: &[(&str, bool, &str)]) -> Deleted {
    let condition = |(key, equal, value): &(&str, bool, &str)| Condition {
        key: (*key).into(),
        op: if *equal { ConditionOp::Equal } else { ConditionOp::NotEqual },
        value: (*value).into(),
    };
    let predicate = conditions.iter().map(condition).collect();
    Deleted::Range(RangeDelete { start_ns: time(times.start), stop_ns: time(times.end), predicate })
}

/// A delete of points of one series by name.
pub(super) fn by_name(measurement: &str, tags: &[(&str, &str)], times: impl Iterator<Item = i64>) -> Deleted {
    let tags = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    let series = vec![SeriesName { measurement: measurement.into(), tags }];
    Deleted::Points(vec![PointSet { series, times: times.map(time).collect() }])
}

/// A record of a partition.
#[derive(Clone, Debug)]
pub(super) enum Record {
    /// Rows; their offsets are set when it is appended.
    Rows(Vec<SeqPoint>),
    /// A delete with its arrival.
    Delete(i64, Deleted),
}

/// What is done to the bucket.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Apply the next records of a partition.
    Apply(usize, usize),
    /// Begin again, so many records before.
    Again(usize, usize),
    Flush,
    /// Merge some files of a day, whatever they are.
    CompactSome(u64),
    /// Merge all files of each day.
    CompactAll,
    /// Retention, compaction of what is due, vacuum.
    Maintain,
    /// Hours go by.
    Age(i64),
    /// A kill, and a restart.
    Restart,
    /// The power fails so many steps of the disk after this begins, or after it has ended.
    PowerCut(usize, UnsyncedNames, Box<Step>),
}

/// What has happened: tests assert that they did not miss it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Compactions of files that overlap in time.
    pub(super) overlapping: usize,
    /// Rows that were below the committed position, in files that is, when a read left them out as deleted.
    pub(super) deleted_in_files: usize,
    /// Restarts that read records again.
    pub(super) replays: usize,
    /// Files that were dropped as too old.
    pub(super) expired: usize,
    /// Files that left the disk.
    pub(super) vacuumed: usize,
    /// Power cuts that fell into something.
    pub(super) cuts: usize,
}

/// The sink, its log, and the bucket that it fills.
pub(super) struct Sink {
    pub(super) bench: Bench,
    pub(super) disk: Arc<ForgetfulDisk>,
    pub(super) seen: Seen,
    logs: [Vec<Record>; 2],
    sources: [SourcePartition; 2],
    at: Positions,
}

/// How far the sink is, in each partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Positions {
    /// The record that comes next.
    next: [usize; 2],
    /// The greatest that this was.
    furthest: [usize; 2],
    /// Where a restart begins.
    committed: [usize; 2],
}

impl Sink {
    /// A sink without a bucket: [`Sink::begin`] makes one.
    pub(super) async fn new() -> Self {
        let mut bench = Bench::new().await;
        bench.options.vacuum_after_ns = 0;
        Sink {
            bench,
            disk: ForgetfulDisk::new(),
            seen: Seen::default(),
            logs: Default::default(),
            sources: [partition("b", 0), partition("b", 1)],
            at: Positions::default(),
        }
    }

    /// Begins with an empty bucket and an empty log, in the place of those before: making a catalogue anew takes far longer.
    /// Replaced files leave the disk at the next vacuum.
    pub(super) async fn begin(&mut self) {
        let store = self.bench.store();
        store.delete_bucket(&self.bench.bucket).unwrap();
        let bucket = NewBucket { retention_ns: Some(RETENTION_NS), ..NewBucket::named("b") };
        self.bench.bucket = store.create_bucket(bucket).unwrap().id;
        self.bench.clock.set(START + RETENTION_NS);
        self.disk = ForgetfulDisk::new();
        self.logs = Default::default();
        self.at = Positions::default();
        self.restart().await;
    }

    /// How far it is.
    pub(super) fn positions(&self) -> Positions {
        self.at
    }

    /// Opens the bucket again whose files are as they were when the sink was at these positions.
    pub(super) async fn back_to(&mut self, positions: Positions) {
        self.at = positions;
        self.restart().await;
    }

    /// Appends a record to a partition.
    pub(super) fn append(&mut self, own: usize, mut record: Record) {
        if let Record::Rows(rows) = &mut record {
            rows.iter_mut().for_each(|row| row.offset = self.logs[own].len() as u64);
        }
        self.logs[own].push(record);
    }

    /// Appends a record in the midst of what is not yet applied.
    pub(super) fn insert(&mut self, own: usize, at: usize, record: Record) {
        let at = at.clamp(self.at.furthest[own], self.logs[own].len());
        let later = self.logs[own].split_off(at);
        self.append(own, record);
        later.into_iter().for_each(|record| self.append(own, record));
    }

    /// Does a step, all of it.
    pub(super) async fn take(&mut self, step: &Step) {
        match step {
            Step::Restart => self.restart().await,
            Step::PowerCut(steps, names, inner) => {
                self.disk.fail_after(*steps);
                Box::pin(self.take_until_the_power_fails(inner)).await;
                self.seen.cuts += usize::from(self.disk.has_failed());
                self.disk.come_back(*names);
                self.restart().await;
            }
            step => assert!(self.take_until_the_power_fails(step).await, "{step:?} failed"),
        }
    }

    /// Does a step; returns whether it came to its end.
    pub(super) async fn take_until_the_power_fails(&mut self, step: &Step) -> bool {
        let store = self.bench.store();
        let done = match step {
            Step::Apply(own, records) => {
                let end = (self.at.next[*own] + records).min(self.logs[*own].len());
                self.apply(*own, end);
                Ok(())
            }
            Step::Again(own, records) => {
                self.at.next[*own] = self.at.next[*own].saturating_sub(*records);
                store.restart_source(&self.sources[*own], self.at.next[*own] as u64);
                Ok(())
            }
            Step::Flush => store.flush_all().await.map(drop),
            Step::CompactSome(choice) => {
                let done = self.bench.compact_some(*choice).await;
                done.map(|overlapping| self.seen.overlapping += usize::from(overlapping))
            }
            Step::CompactAll => {
                let overlapping = store.tables().iter().any(|table| overlap(&table.file_list().files));
                self.seen.overlapping += usize::from(overlapping);
                store.compact_bucket(&self.bench.bucket).await.map(drop)
            }
            Step::Maintain => store.maintain(self.bench.clock.advance(1)).await.map(|report| {
                let MaintenanceReport { expired, vacuumed, .. } = report;
                self.seen.expired += expired;
                self.seen.vacuumed += vacuumed;
            }),
            Step::Age(hours) => {
                self.bench.clock.advance(hours * HOUR_NS);
                Ok(())
            }
            Step::Restart | Step::PowerCut(..) => {
                self.restart().await;
                Ok(())
            }
        };
        if let Err(error) = &done {
            assert!(self.disk.has_failed(), "an error that is not the disk's: {error}");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
        for own in 0..2 {
            let low_water = self.bench.store().low_water(&self.sources[own]);
            self.at.committed[own] = low_water.map_or(self.at.committed[own], |at| at as usize);
        }
        done.is_ok()
    }

    /// Opens the bucket again and reads the log from where everything before is durable.
    pub(super) async fn restart(&mut self) {
        self.bench.reopen_on(self.disk.files(&self.bench.base())).await;
        self.seen.replays += usize::from((0..2).any(|own| self.at.committed[own] < self.at.furthest[own]));
        for own in 0..2 {
            self.at.next[own] = self.at.committed[own];
            self.bench.store().restart_source(&self.sources[own], self.at.committed[own] as u64);
            self.apply(own, self.at.furthest[own]);
        }
    }

    fn apply(&mut self, own: usize, end: usize) {
        let (store, bucket, source) = (self.bench.store(), &self.bench.bucket, &self.sources[own]);
        for offset in self.at.next[own]..end {
            match &self.logs[own][offset] {
                Record::Rows(rows) => assert_eq!(store.apply(bucket, source, rows).unwrap(), []),
                Record::Delete(seq, what) => {
                    store.delete(bucket, source, SeqDelete { offset: offset as u64, seq: *seq, what }).unwrap();
                }
            }
            store.advance(source, offset as u64 + 1);
        }
        self.at.next[own] = end;
        self.at.furthest[own] = self.at.furthest[own].max(end);
    }

    /// What the log says that the bucket holds: rows that no delete of a later arrival names; and how many rows below the
    /// committed positions one does name.
    fn oracle(&self) -> (Oracle, usize) {
        let (mut oracle, mut deleted_in_files) = (Oracle::default(), 0);
        let read = || (0..2).flat_map(|own| self.logs[own][..self.at.furthest[own]].iter().map(move |one| (own, one)));
        for (own, record) in read() {
            let Record::Rows(rows) = record else { continue };
            for row in rows {
                let is_deleted = read().any(
                    |(_, other)| matches!(other, Record::Delete(seq, what) if *seq > row.seq && names(what, &row.point)),
                );
                match is_deleted {
                    true => deleted_in_files += usize::from((row.offset as usize) < self.at.committed[own]),
                    false => oracle.add(row),
                }
            }
        }
        (oracle, deleted_in_files)
    }

    /// Compares a read of everything with the log.
    pub(super) async fn check_everything(&mut self) {
        self.compare(None).await;
    }

    /// Compares reads of the bucket with the log: of everything, and of one of several ranges at one of several depths, which
    /// is also read in pieces and as wide tables.
    pub(super) async fn check(&mut self, which: usize) {
        self.compare(Some(which)).await;
    }

    async fn compare(&mut self, which: Option<usize>) {
        let (oracle, deleted_in_files) = self.oracle();
        self.seen.deleted_in_files += deleted_in_files;
        let keep_from_ns = self.bench.clock.now_ns() - RETENTION_NS;
        let keep = |_: &str, _: &[(String, String)], _: &str, time_ns: i64| time_ns >= keep_from_ns;
        let everything = Bounds { start_ns: 0, stop_ns: i64::MAX };
        let source = SourceRef { bucket: self.bench.bucket.clone(), bounds: everything };
        let all = read_all(self.bench.store().offer(&source, &[], 0).unwrap()).await;
        assert_eq!(all, oracle.long(everything, keep), "everything");
        let Some(which) = which else { return };
        let bounds = [
            Bounds { start_ns: time(3), stop_ns: time(17) },
            everything,
            Bounds { start_ns: time(9), stop_ns: i64::MAX },
        ][which % 3];
        let long = oracle.long(bounds, keep);
        let one = |tables: Vec<PlainTable>, column: &str, last| -> Vec<PlainTable> {
            tables.iter().map(|table| table.one(column, last)).collect()
        };
        let wide = || oracle.wide(bounds, keep);
        let column = ["f", "i", "g", "absent", "_time"][which / 3 % 5];
        let group = |column: &str| PushOp::GroupKeys(vec![column.into()]);
        let (ops, expected) = match which % 7 {
            0 => (vec![], long),
            1 => (vec![PushOp::PivotWide], wide()),
            2 => (vec![PushOp::First("_value".into())], one(long, "_value", false)),
            3 => (vec![PushOp::Last("_value".into())], one(long, "_value", true)),
            4 => (vec![group("_field"), PushOp::Last("_value".into())], one(long, "_value", true)),
            5 => (vec![PushOp::PivotWide, group("host"), PushOp::First(column.into())], one(wide(), column, false)),
            _ => (vec![PushOp::PivotWide, group("host"), PushOp::Last(column.into())], one(wide(), column, true)),
        };
        assert_eq!(self.bench.read(bounds, &ops).await, expected, "{ops:?} within {bounds:?}");
    }
}

/// Whether a delete names a point.
fn names(what: &Deleted, point: &Point) -> bool {
    let tag = |key: &str| point.tags.iter().find(|(own, _)| &**own == key).map(|(_, value)| value.to_string());
    match what {
        Deleted::Range(range) => {
            let holds = |condition: &Condition| {
                let own = if &*condition.key == "_measurement" {
                    Some(point.measurement.to_string())
                } else {
                    tag(&condition.key)
                };
                own.is_some_and(|own| (own == *condition.value) == (condition.op == ConditionOp::Equal))
            };
            (range.start_ns..range.stop_ns).contains(&point.time_ns) && range.predicate.iter().all(holds)
        }
        Deleted::Points(sets) => sets.iter().any(|set| {
            let is_series = |series: &SeriesName| {
                let tags: Vec<(String, String)> =
                    series.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
                let own: Vec<(String, String)> =
                    point.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
                series.measurement == point.measurement && tags == own
            };
            set.times.contains(&point.time_ns) && set.series.iter().any(is_series)
        }),
    }
}
