//! Deletes against the oracle: whatever comes when, in memory or in files, before or after a restart, at every depth of
//! push-down.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::super::scan::tests::points;
use super::super::testing::{Fixture, Oracle, START, always, open_store, partition, read_all, row};
use super::super::{SeqDelete, SeqPoint, Store};
use crate::point::FieldValue::{Float, Int};
use crate::point::delete::{Deleted, PointSet, RangeDelete, SeriesName, parse_predicate, points_of};
use crate::table::scan::{Bounds, Comparison, Literal, Predicate, PushOp, SourceRef};

fn range(predicate: &str, start_ns: i64, stop_ns: i64) -> Deleted {
    Deleted::Range(RangeDelete { start_ns, stop_ns, predicate: parse_predicate(predicate).unwrap() })
}

fn series(measurement: &str, tags: &[(&str, &str)]) -> SeriesName {
    let tags = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    SeriesName { measurement: measurement.into(), tags }
}

fn left(fixture: &Fixture, bucket: &str) -> Vec<Vec<super::super::testing::Cell>> {
    fixture.read(bucket, always(), &[]).1.into_iter().flat_map(|table| table.rows).collect()
}

#[test]
fn a_delete_hides_what_is_older_and_nothing_else() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let source = partition("b", 0);
    let rows = [
        row(0, START + 10, "m", &[("host", "a")], &[("x", Int(1)), ("y", Float(1.0))], START),
        row(1, START + 11, "m", &[("host", "a")], &[("x", Int(2))], START + 5),
        row(2, START + 12, "m", &[("host", "b")], &[("x", Int(3))], START),
        row(3, START + 13, "n", &[], &[("x", Int(4))], START),
    ];
    assert_eq!(fixture.store.apply(&bucket, &source, &rows).unwrap(), []);
    let what = range("_measurement=m and host!=b", START, START + 5);
    fixture.store.delete(&bucket, &source, SeqDelete { offset: 4, seq: START + 20, what: &what }).unwrap();
    assert_eq!(left(&fixture, &bucket).len(), 3, "the stop is outside, other series stay");
    // What is newer stays; what is older and comes later, from another partition, does not.
    let other = partition("b", 1);
    fixture
        .store
        .apply(&bucket, &source, &[row(5, START + 21, "m", &[("host", "a")], &[("x", Int(5))], START)])
        .unwrap();
    fixture
        .store
        .apply(&bucket, &other, &[row(0, START + 19, "m", &[("host", "a")], &[("y", Float(2.0))], START)])
        .unwrap();
    fixture
        .store
        .apply(&bucket, &other, &[row(1, START + 19, "m", &[("host", "c")], &[("y", Float(2.0))], START)])
        .unwrap();
    let rows = left(&fixture, &bucket);
    assert_eq!(rows.len(), 4, "{rows:?}");
    assert!(!rows.iter().flatten().any(|cell| *cell == (&Float(2.0)).into()), "{rows:?}");
}

#[test]
fn points_are_deleted_by_name() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let source = partition("b", 0);
    let rows: Vec<SeqPoint> = (0..4)
        .map(|time| row(time, START + 10 + time as i64, "m", &[("host", "a")], &[("x", Int(1))], START + time as i64))
        .collect();
    assert_eq!(fixture.store.apply(&bucket, &source, &rows).unwrap(), []);
    let named = [series("m", &[("host", "a")]), series("m", &[("rack", "never seen")]), series("none", &[])];
    let what = Deleted::Points(vec![PointSet { series: named.into(), times: vec![START + 1, START + 3, START + 9] }]);
    fixture.store.delete(&bucket, &source, SeqDelete { offset: 4, seq: START + 20, what: &what }).unwrap();
    assert_eq!(left(&fixture, &bucket).len(), 2);
    fixture
        .store
        .apply(&bucket, &source, &[row(5, START + 21, "m", &[("host", "a")], &[("x", Int(7))], START + 1)])
        .unwrap();
    assert_eq!(left(&fixture, &bucket).len(), 3, "the point is written again");
}

#[test]
fn deletes_of_the_same_range_are_one_and_their_number_has_a_limit() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let source = partition("b", 0);
    let deleted = |seq: i64, start_ns: i64| {
        let what = range("", start_ns, i64::MAX);
        fixture.store.delete(&bucket, &source, SeqDelete { offset: 0, seq, what: &what })
    };
    for seq in 0..5 {
        deleted(seq, 0).unwrap();
    }
    assert_eq!(fixture.store.deletes_left(&bucket).unwrap(), super::MAX_MASKS - 1);
    let state = fixture.store.bucket_state(&bucket).unwrap();
    let full = (0..super::MAX_MASKS as i64).map(|start_ns| super::Mask {
        seq: 1,
        range: RangeDelete { start_ns, stop_ns: i64::MAX, predicate: Vec::new() },
    });
    *state.masks.write() = std::sync::Arc::new(super::Masks { masks: full.collect() });
    assert_eq!(deleted(9, -1).unwrap_err().kind(), crate::error::ErrorKind::Invalid);
    deleted(9, 5).unwrap();
}

/// Files of a series come in no order; a compaction that leaves out what is deleted by range sorts them like any other.
#[cfg(feature = "delta")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compaction_sorts_series_of_which_a_range_is_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(crate::clock::ManualClock::new(START));
    let store = open_store(directory.path(), Default::default(), clock.clone()).await;
    let bucket = store.create_bucket(super::super::NewBucket::named("b")).unwrap().id;
    let source = partition("b", 0);
    for offset in 0..8_u64 {
        let time_ns = START + (offset as i64 * 5 % 8);
        let rows = [row(offset, START + 10 + offset as i64, "m", &[("host", "a")], &[("x", Int(1))], time_ns)];
        assert_eq!(store.apply(&bucket, &source, &rows).unwrap(), []);
        store.advance(&source, offset + 1);
        store.flush_all().await.unwrap();
    }
    let what = range("host=a", START + 2, START + 4);
    store.delete(&bucket, &source, SeqDelete { offset: 8, seq: START + 20, what: &what }).unwrap();
    store.compact_bucket(&bucket).await.unwrap();
    let scanned = SourceRef { bucket, bounds: always() };
    let tables = read_all(store.offer(&scanned, &[], 0).unwrap()).await;
    let times: Vec<_> = tables.iter().flat_map(|table| &table.rows).map(|row| row[2].clone()).collect();
    let expected = [0, 1, 4, 5, 6, 7].map(|time| super::super::testing::Cell::Time(START + time));
    assert_eq!(times, expected);
}

#[derive(Clone, Debug)]
enum Step {
    /// So many of the next rows.
    Rows(usize),
    Delete(i64, Deleted),
    Flush,
    Compact,
    /// A kill, and the replay of everything.
    Restart,
}

/// Tag sets that deletes by name have.
const NAMED_TAGS: &[&[(&str, &str)]] =
    &[&[], &[("host", "u")], &[("host", "v")], &[("A", "u"), ("host", "u")], &[("region", "v")]];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let predicate = prop::sample::select(
        &["", "_measurement=m", "host=u", "host!=u", "_measurement!=m and region=v", "A=u and host=v"][..],
    );
    let by_range = (predicate, 0i64..20, 0i64..12)
        .prop_map(|(predicate, start, length)| range(predicate, START + start, START + start + length));
    let tags = prop::sample::select(NAMED_TAGS);
    let named = (prop::sample::select(&["m", "n"][..]), tags, prop::collection::btree_set(0i64..20, 1..12)).prop_map(
        |(measurement, tags, times)| {
            let times = times.into_iter().map(|time| START + time).collect();
            Deleted::Points(vec![PointSet { series: vec![series(measurement, tags)], times }])
        },
    );
    // Rows have even sequence numbers, deletes odd ones; see below.
    let delete = (0i64..40, prop_oneof![by_range, named]).prop_map(|(seq, what)| Step::Delete(seq, what));
    let step = prop_oneof![
        4 => (1usize..9).prop_map(Step::Rows),
        3 => delete,
        2 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..16)
}

/// Something applied: a row, or a delete with its sequence number.
#[derive(Clone, Debug)]
enum Applied {
    Row(SeqPoint),
    Delete(u64, i64, Deleted),
}

fn hides(what: &Deleted, point: &crate::point::Point) -> bool {
    let own = SeriesName::of(point);
    match what {
        Deleted::Range(range) => {
            let tag = |key: &str| own.tags.get(key).map(|value| &**value);
            range.start_ns <= point.time_ns
                && point.time_ns < range.stop_ns
                && range.predicate.iter().all(|condition| condition.holds(&own.measurement, tag))
        }
        Deleted::Points(sets) => points_of(sets).any(|(series, time_ns)| *series == own && time_ns == point.time_ns),
    }
}

fn oracle(applied: &[Applied]) -> Oracle {
    let mut oracle = Oracle::default();
    for one in applied {
        let Applied::Row(row) = one else { continue };
        let hidden = applied.iter().any(|other| match other {
            Applied::Delete(_, seq, what) => *seq > row.seq && hides(what, &row.point),
            Applied::Row(_) => false,
        });
        if !hidden {
            oracle.add(row);
        }
    }
    oracle
}

fn apply(store: &Store, bucket: &str, one: &Applied) {
    let source = partition("b", 0);
    match one {
        Applied::Row(row) => {
            assert_eq!(store.apply(bucket, &source, std::slice::from_ref(row)).unwrap(), []);
            store.advance(&source, row.offset + 1);
        }
        Applied::Delete(offset, seq, what) => {
            store.delete(bucket, &source, SeqDelete { offset: *offset, seq: *seq, what }).unwrap();
            store.advance(&source, offset + 1);
        }
    }
}

async fn check(store: &Store, bucket: &std::sync::Arc<str>, applied: &[Applied]) {
    let oracle = oracle(applied);
    let host = Predicate::Compare {
        column: "host".into(),
        comparison: Comparison::Equal,
        literal: Literal::String("u".into()),
    };
    let field = Predicate::Compare {
        column: "_field".into(),
        comparison: Comparison::Equal,
        literal: Literal::String("f".into()),
    };
    let bounds = Bounds { start_ns: START + 2, stop_ns: START + 18 };
    for (most, ops) in [(0, vec![]), (1, vec![field]), (2, vec![host])] {
        let mut ops: Vec<PushOp> = ops.into_iter().map(PushOp::Filter).collect();
        ops.push(PushOp::PivotWide);
        let taken = store.offer(&SourceRef { bucket: bucket.clone(), bounds }, &ops, most).unwrap();
        assert_eq!(taken.count, most);
        let keep = |_: &str, tags: &[(String, String)], name: &str, _: i64| match most {
            0 => true,
            1 => name == "f",
            _ => tags.iter().any(|(key, value)| key == "host" && value == "u"),
        };
        let expected = if most == 2 { oracle.wide(bounds, keep) } else { oracle.long(bounds, keep) };
        assert_eq!(read_all(taken).await, expected, "at depth {most}");
    }
    // What is remembered of the newest values as well.
    let mut expected = oracle.long(bounds, |_, _, _, _| true);
    expected.iter_mut().for_each(|table| drop(table.rows.drain(..table.rows.len() - 1)));
    let last = [PushOp::Last("_value".into())];
    let taken = store.offer(&SourceRef { bucket: bucket.clone(), bounds }, &last, 1).unwrap();
    assert_eq!(taken.count, 1);
    assert_eq!(read_all(taken).await, expected, "the last rows");
}

async fn run(rows: Vec<SeqPoint>, steps: Vec<Step>) {
    let Fixture { store, clock, directory } = Fixture::new();
    let bucket = store.create_bucket(super::super::NewBucket::named("b")).unwrap().id;
    let mut store = Some(store);
    // Measurements and tags are known, so that a delete by name may also come before what it hides.
    let known = ["A", "_a", "_g", "_z", "host", "region"].map(|key| (key, "known"));
    let mut applied: Vec<Applied> = ["m", "n"]
        .iter()
        .enumerate()
        .map(|(offset, name)| Applied::Row(row(offset as u64, START, name, &known, &[("f", Float(0.5))], START + 30)))
        .collect();
    applied.iter().for_each(|one| apply(store.as_ref().unwrap(), &bucket, one));
    let mut rows = rows.into_iter();
    for step in steps {
        match step {
            Step::Rows(count) => {
                for mut row in rows.by_ref().take(count) {
                    row.offset = applied.len() as u64;
                    row.seq = START + 2 * (row.seq - START);
                    applied.push(Applied::Row(row));
                    apply(store.as_ref().unwrap(), &bucket, &applied[applied.len() - 1]);
                }
            }
            Step::Delete(seq, what) => {
                applied.push(Applied::Delete(applied.len() as u64, START + 2 * seq + 1, what));
                apply(store.as_ref().unwrap(), &bucket, &applied[applied.len() - 1]);
            }
            Step::Flush => {
                store.as_ref().unwrap().flush_all().await.unwrap();
            }
            Step::Compact => {
                store.as_ref().unwrap().compact_bucket(&bucket).await.unwrap();
            }
            Step::Restart => {
                drop(store.take());
                let opened = open_store(directory.path(), Default::default(), clock.clone()).await;
                applied.iter().for_each(|one| apply(&opened, &bucket, one));
                store = Some(opened);
            }
        }
        check(store.as_ref().unwrap(), &bucket, &applied).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_left_equals_the_oracle(rows in points(40), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(rows, steps));
    }
}
