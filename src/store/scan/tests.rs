//! Scans over rows in memory against the oracle: tables, order, columns, filters, the wide pivot.

#![allow(clippy::unwrap_used)]

mod fold;
#[cfg(feature = "delta")]
mod wide_table;

use std::sync::Arc;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::testing::{Cell, Fixture, Oracle, PlainTable, START, always, partition, row};
use super::super::{Rejected, SeqPoint};
use crate::point::FieldValue::{self, Float, Int};
use crate::table::ColumnType;
use crate::table::scan::{Bounds, Comparison, Literal, Predicate, PushOp};

fn columns(table: &PlainTable) -> Vec<&str> {
    table.columns.iter().map(|(name, _, _)| name.as_str()).collect()
}

fn column(table: &PlainTable, name: &str) -> Vec<Cell> {
    let place = table.columns.iter().position(|(own, _, _)| own == name).unwrap();
    table.rows.iter().map(|row| row[place].clone()).collect()
}

fn equal(column: &str, value: &str) -> Predicate {
    compare(column, Comparison::Equal, Literal::String(value.into()))
}

fn compare(column: &str, comparison: Comparison, literal: Literal) -> Predicate {
    Predicate::Compare { column: column.into(), comparison, literal }
}

/// The tags of flux-semantics 5.1: `_field` and `_measurement` stand among the tags in byte order.
#[test]
fn a_read_gives_one_table_per_series_and_field() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let source = partition("b", 0);
    let rows = [
        row(0, START, "m", &[("Zone", "z"), ("host", "a")], &[("x", Float(1.0)), ("n", Int(7))], START),
        row(1, START + 1, "m", &[("Zone", "z"), ("host", "a")], &[("x", Float(-0.0))], START - 5),
    ];
    assert_eq!(fixture.store.apply(&bucket, &source, &rows).unwrap(), []);
    let (_, tables) = fixture.read(&bucket, always(), &[]);
    assert_eq!(tables.len(), 2);
    assert_eq!(columns(&tables[0]), ["_start", "_stop", "_time", "_value", "Zone", "_field", "_measurement", "host"]);
    assert_eq!(column(&tables[0], "_field"), [Cell::String("n".into())]);
    assert_eq!(tables[0].columns[3], ("_value".to_string(), ColumnType::Int, false));
    assert_eq!(column(&tables[1], "_time"), [Cell::Time(START - 5), Cell::Time(START)]);
    assert_eq!(column(&tables[1], "_value"), [Cell::Float((-0.0f64).to_bits()), Cell::Float(1.0f64.to_bits())]);
}

/// The bounds are [start, stop), and a series without a row in them has no table.
#[test]
fn bounds_are_half_open() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let rows: Vec<SeqPoint> = (0..4)
        .map(|i| row(i, START + i as i64, "m", &[("host", "a")], &[("x", Int(i as i64))], START + i as i64))
        .chain([row(4, START + 4, "m", &[("host", "b")], &[("x", Int(9))], START + 3)])
        .collect();
    fixture.store.apply(&bucket, &partition("b", 0), &rows).unwrap();
    let (_, tables) = fixture.read(&bucket, Bounds { start_ns: START + 1, stop_ns: START + 3 }, &[]);
    assert_eq!(tables.len(), 1);
    assert_eq!(column(&tables[0], "_value"), [Cell::Int(1), Cell::Int(2)]);
}

#[test]
fn a_scan_sees_what_was_applied_when_it_was_offered() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let source = partition("b", 0);
    fixture.store.apply(&bucket, &source, &[row(0, START, "m", &[], &[("x", Int(1))], START)]).unwrap();
    let scanned = crate::table::scan::SourceRef { bucket: bucket.clone(), bounds: always() };
    let taken = fixture.store.offer(&scanned, &[], 0).unwrap();
    fixture.store.apply(&bucket, &source, &[row(1, START + 1, "m", &[], &[("x", Int(2))], START + 1)]).unwrap();
    assert_eq!(super::super::testing::read(taken)[0].rows.len(), 1);
    assert_eq!(fixture.read(&bucket, always(), &[]).1[0].rows.len(), 2);
}

/// A table longer than a chunk comes in parts, and nothing is lost at the cut, where another shape waits.
#[test]
fn long_tables_come_in_parts() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let mut rows: Vec<SeqPoint> = Vec::new();
    for i in 0..150_000u64 {
        let time = START + i as i64;
        let fields: &[(&str, FieldValue)] =
            if i % 3 == 0 { &[("a", Int(i as i64)), ("b", Float(0.5))] } else { &[("a", Int(i as i64))] };
        rows.push(row(i, time, "m", &[("host", "a")], fields, time));
    }
    for i in 0..10 {
        rows.push(row(150_000 + i, START + 1_000_000 + i as i64, "m", &[], &[("a", Int(1))], START + i as i64));
    }
    fixture.store.apply(&bucket, &partition("b", 0), &rows).unwrap();
    let mut oracle = Oracle::default();
    rows.iter().for_each(|row| oracle.add(row));
    assert!(fixture.read(&bucket, always(), &[]).1 == oracle.long(always(), |_, _, _, _| true));
    assert!(fixture.read(&bucket, always(), &[PushOp::PivotWide]).1 == oracle.wide(always(), |_, _, _, _| true));
}

/// A field with the name of a tag makes pivot fail; that is the operator's to say.
#[test]
fn a_pivot_that_would_fail_is_not_taken() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let rows = [row(0, START, "m", &[("host", "a")], &[("host", Int(1)), ("x", Int(2))], START)];
    fixture.store.apply(&bucket, &partition("b", 0), &rows).unwrap();
    assert_eq!(fixture.read(&bucket, always(), &[PushOp::PivotWide]).0, 0);
    let without = PushOp::Filter(equal("_field", "x"));
    assert_eq!(fixture.read(&bucket, always(), &[without, PushOp::PivotWide]).0, 2);
}

/// What is not decided by a row's identity alone is left to the operators.
#[test]
fn other_predicates_are_not_taken() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let taken = |predicate: Predicate| fixture.read(&bucket, always(), &[PushOp::Filter(predicate)]).0;
    assert_eq!(taken(equal("_value", "x")), 0);
    assert_eq!(taken(equal("_start", "x")), 0);
    assert_eq!(taken(equal("_time", "x")), 0);
    assert_eq!(taken(compare("host", Comparison::Equal, Literal::Time(0))), 0);
    let time = compare("_time", Comparison::Less, Literal::Time(5));
    assert_eq!(taken(Predicate::Or(vec![equal("host", "a"), time.clone()])), 0);
    assert_eq!(taken(Predicate::And(vec![equal("host", "a"), time])), 1);
}

fn rejected(index: usize, code: &'static str, reason: &str) -> Rejected {
    Rejected { index, code, reason: reason.to_string() }
}

#[test]
fn rows_that_do_not_fit_are_reported_and_their_neighbours_kept() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let day = 86_400_000_000_000;
    let rows = [
        row(0, START, "m", &[], &[("x", Int(1))], START),
        row(1, START + 1, "m", &[], &[("x", Float(1.0)), ("new", Int(1))], START + 1),
        row(2, START + 2, "m", &[], &[("y", Float(f64::NAN))], START + 2),
        row(3, START + 3, "m", &[], &[("x", Int(1))], START + 3 + day + 1),
        row(4, START + 4, "m", &[("_field", "a")], &[("x", Int(1))], START + 4),
        row(5, START + 5, "", &[], &[("x", Int(1))], START + 5),
        row(6, START + 6, "m", &[("b", "1"), ("a", "1")], &[("x", Int(1))], START + 6),
        row(7, START + 7, "m", &[], &[("new", Float(2.0))], START + 3 + day),
    ];
    let reported = fixture.store.apply(&bucket, &partition("b", 0), &rows).unwrap();
    assert_eq!(
        reported,
        [
            rejected(
                1,
                "field-type-conflict",
                "field type conflict: field \"x\" is of type int, this value is of type float"
            ),
            rejected(2, "not-finite", "field \"y\" is not a finite number"),
            rejected(3, "too-far-ahead", "the time is more than a day after the arrival"),
            rejected(4, "malformed", "the tag key \"_field\" is reserved"),
            rejected(5, "malformed", "the measurement is empty"),
            rejected(6, "malformed", "the tags are not sorted by key, or a key stands twice"),
        ]
    );
    let (_, tables) = fixture.read(&bucket, always(), &[]);
    let fields: Vec<Cell> = tables.iter().flat_map(|table| column(table, "_field")).collect();
    assert_eq!(fields, [Cell::String("new".into()), Cell::String("x".into())]);
}

#[test]
fn rows_before_the_retention_are_rejected() {
    let fixture = Fixture::new();
    let mut new = super::super::NewBucket::named("short");
    new.retention_ns = Some(1_000);
    let bucket = fixture.store.create_bucket(new).unwrap().id;
    let rows = [
        row(0, START, "m", &[], &[("x", Int(1))], START - 1_001),
        row(1, START, "m", &[], &[("x", Int(1))], START - 1_000),
    ];
    let reported = fixture.store.apply(&bucket, &partition("short", 0), &rows).unwrap();
    assert_eq!(reported, [rejected(0, "outside-retention", "the time is older than the bucket keeps rows")]);
}

/// The first write of a field fixes its type, for later runs of the program too.
#[test]
fn field_types_are_durable() {
    let Fixture { store, clock, directory } = Fixture::new();
    let bucket = store.create_bucket(super::super::NewBucket::named("b")).unwrap().id;
    store.apply(&bucket, &partition("b", 0), &[row(0, START, "m", &[], &[("x", Int(1))], START)]).unwrap();
    drop(store);
    let store = super::super::testing::open(directory.path(), Default::default(), clock);
    let rows = [row(1, START + 1, "m", &[], &[("x", Float(1.0))], START)];
    assert_eq!(store.apply(&bucket, &partition("b", 0), &rows).unwrap().len(), 1);
}

#[derive(Clone, Debug)]
enum Kept {
    Tag(&'static str, Comparison, &'static str),
    Field(Comparison, &'static str),
    Measurement(&'static str),
    After(i64),
    Pattern(&'static str, &'static str),
    Exists(&'static str),
    AnyOf(Box<Kept>, Box<Kept>),
    Both(Box<Kept>, Box<Kept>),
    Not(Box<Kept>),
}

impl Kept {
    fn predicate(&self) -> Predicate {
        match self {
            Kept::Tag(key, comparison, value) => compare(key, *comparison, Literal::String((*value).into())),
            Kept::Field(comparison, value) => compare("_field", *comparison, Literal::String((*value).into())),
            Kept::Measurement(value) => equal("_measurement", value),
            Kept::After(time) => compare("_time", Comparison::Greater, Literal::Time(*time)),
            Kept::Pattern(column, pattern) => {
                Predicate::Matches { column: (*column).into(), pattern: Arc::new(regex::Regex::new(pattern).unwrap()) }
            }
            Kept::Exists(column) => Predicate::Exists((*column).into()),
            Kept::AnyOf(left, right) => Predicate::Or(vec![left.predicate(), right.predicate()]),
            Kept::Both(left, right) => Predicate::And(vec![left.predicate(), right.predicate()]),
            Kept::Not(inner) => Predicate::Not(Box::new(inner.predicate())),
        }
    }

    /// The meaning, in SQL's three values.
    fn of(&self, measurement: &str, tags: &[(String, String)], field: &str, time: i64) -> Option<bool> {
        let text = |column: &str| match column {
            "_measurement" => Some(measurement.to_string()),
            "_field" => Some(field.to_string()),
            key => tags.iter().find(|(own, _)| own == key).map(|(_, value)| value.clone()),
        };
        let compared = |left: Option<String>, comparison: &Comparison, right: &str| {
            let ordering = left?.as_str().cmp(right);
            Some(match comparison {
                Comparison::Equal => ordering.is_eq(),
                Comparison::NotEqual => ordering.is_ne(),
                Comparison::Less => ordering.is_lt(),
                Comparison::LessEqual => ordering.is_le(),
                Comparison::Greater => ordering.is_gt(),
                Comparison::GreaterEqual => ordering.is_ge(),
            })
        };
        match self {
            Kept::Tag(key, comparison, value) => compared(text(key), comparison, value),
            Kept::Field(comparison, value) => compared(text("_field"), comparison, value),
            Kept::Measurement(value) => compared(text("_measurement"), &Comparison::Equal, value),
            Kept::After(than) => Some(time > *than),
            Kept::Pattern(column, pattern) => {
                text(column).map(|value| regex::Regex::new(pattern).unwrap().is_match(&value))
            }
            Kept::Exists(column) => Some(text(column).is_some()),
            Kept::AnyOf(left, right) => {
                let sides = [left, right].map(|side| side.of(measurement, tags, field, time));
                if sides.contains(&Some(true)) {
                    Some(true)
                } else if sides.contains(&None) {
                    None
                } else {
                    Some(false)
                }
            }
            Kept::Both(left, right) => {
                let sides = [left, right].map(|side| side.of(measurement, tags, field, time));
                if sides.contains(&Some(false)) {
                    Some(false)
                } else if sides.contains(&None) {
                    None
                } else {
                    Some(true)
                }
            }
            Kept::Not(inner) => inner.of(measurement, tags, field, time).map(|value| !value),
        }
    }
}

const TAG_KEYS: [&str; 6] = ["A", "_a", "_g", "_z", "host", "region"];

fn kept() -> impl Strategy<Value = Kept> {
    let comparison = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::GreaterEqual)
    ];
    let leaf = prop_oneof![
        (prop::sample::select(&TAG_KEYS[..]), comparison.clone(), prop::sample::select(&["u", "v", "w"][..]))
            .prop_map(|(key, comparison, value)| Kept::Tag(key, comparison, value)),
        (comparison, prop::sample::select(&["f", "g", "i"][..]))
            .prop_map(|(comparison, value)| Kept::Field(comparison, value)),
        prop::sample::select(&["m", "n"][..]).prop_map(Kept::Measurement),
        (0i64..20).prop_map(|time| Kept::After(START + time)),
        prop::sample::select(&["host", "_field", "_measurement"][..]).prop_map(|column| Kept::Pattern(column, "[mfu]")),
        prop::sample::select(&TAG_KEYS[..]).prop_map(Kept::Exists),
    ];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Kept::AnyOf(Box::new(left), Box::new(right))),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Kept::Both(Box::new(left), Box::new(right))),
            inner.prop_map(|inner| Kept::Not(Box::new(inner))),
        ]
    })
}

/// Records of few series and times, so that versions collide, also within a record; `_seq` in any order, as several
/// partitions give it.
pub(crate) fn points(most: usize) -> impl Strategy<Value = Vec<SeqPoint>> {
    let tags = prop::collection::btree_map(
        prop::sample::select(&TAG_KEYS[..]),
        prop::sample::select(&["u", "v", "w, with a long value"][..]),
        0..3,
    );
    let value = |name: &'static str| {
        (0i64..50).prop_map(move |value| match name {
            "f" => Float(if value == 0 { -0.0 } else { value as f64 / 8.0 }),
            "g" => FieldValue::String(if value % 2 == 0 { "short" } else { "longer than a view holds inline" }.into()),
            "h" => FieldValue::Bool(value % 2 == 0),
            "u" => FieldValue::UInt(u64::MAX - value as u64),
            _ => Int(value - 25),
        })
    };
    let fields = prop::sample::subsequence(&["f", "g", "h", "i", "u"][..], 1..4)
        .prop_flat_map(move |names| names.into_iter().map(|name| (Just(name), value(name))).collect::<Vec<_>>());
    let point = (prop::sample::select(&["m", "n"][..]), tags, fields, 0i64..20);
    let record = prop::collection::vec(point, 1..3);
    prop::collection::vec(record, 1..most).prop_flat_map(|records| {
        let seqs: Vec<i64> = (0..records.len() as i64).collect();
        (Just(records), Just(seqs).prop_shuffle()).prop_map(|(records, seqs)| {
            let mut rows = Vec::new();
            for (offset, (record, seq)) in records.into_iter().zip(seqs).enumerate() {
                for (measurement, tags, fields, time) in record {
                    let tags: Vec<_> = tags.iter().map(|(key, value)| (*key, *value)).collect();
                    rows.push(row(offset as u64, START + seq, measurement, &tags, &fields, START + time));
                }
            }
            rows
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn scans_equal_the_oracle(rows in points(60), filters in prop::collection::vec(kept(), 0..3)) {
        let fixture = Fixture::of_thread();
        let bucket = fixture.bucket("b");
        let mut oracle = Oracle::default();
        for batch in rows.chunks(7) {
            prop_assert_eq!(fixture.store.apply(&bucket, &partition("b", 0), batch).unwrap(), vec![]);
            batch.iter().for_each(|row| oracle.add(row));
        }
        let bounds = Bounds { start_ns: START + 2, stop_ns: START + 18 };
        let mut ops: Vec<PushOp> = filters.iter().map(|filter| PushOp::Filter(filter.predicate())).collect();
        ops.push(PushOp::PivotWide);
        for most in 0..=ops.len() {
            let source = crate::table::scan::SourceRef { bucket: bucket.clone(), bounds };
            let taken = fixture.store.offer(&source, &ops, most).unwrap();
            let count = taken.count;
            prop_assert!(count <= most);
            let keep = |measurement: &str, tags: &[(String, String)], field: &str, time: i64| {
                filters.iter().take(count).all(|filter| filter.of(measurement, tags, field, time) == Some(true))
            };
            let expected = if count == ops.len() { oracle.wide(bounds, keep) } else { oracle.long(bounds, keep) };
            prop_assert_eq!(super::super::testing::read(taken), expected);
        }
    }
}

/// Of each table the one row that is picked of it, whatever it is grouped by, and however much of it is remembered. Where a
/// group cuts tables, or somebody else wants the rows, they all come.
#[test]
fn picked_rows_of_wide_tables_equal_the_oracle() {
    let tags = ["u", "v", "x", "y"];
    for seed in 0..60 {
        let random = &mut StdRng::seed_from_u64(seed);
        let fixture = Fixture::of_thread();
        let bucket = fixture.bucket("b");
        let mut oracle = Oracle::default();
        for number in 0..random.random_range(1..40) {
            let fields: Vec<(&str, FieldValue)> = ["f", "g", "h"]
                .into_iter()
                .filter(|_| random.random_bool(0.6))
                .map(|name| (name, Int(number as i64)))
                .collect();
            if fields.is_empty() {
                continue;
            }
            // Mostly in order, so that much is remembered.
            let time = START + random.random_range(number as i64 / 4..number as i64 / 4 + 4);
            let tags = [("t", tags[random.random_range(0..4)])];
            let batch =
                [row(number, START + number as i64, ["m", "n"][random.random_range(0..2)], &tags, &fields, time)];
            fixture.store.apply(&bucket, &partition("b", 0), &batch).unwrap();
            oracle.add(&batch[0]);
        }
        let bounds =
            Bounds { start_ns: START + random.random_range(0..6), stop_ns: START + random.random_range(6..18) };
        let wide = oracle.wide(bounds, |_, _, _, _| true);
        for column in ["f", "g", "h", "absent", "t", "_time", "_measurement"] {
            let picked = |last| -> Vec<PlainTable> { wide.iter().map(|table| table.one(column, last)).collect() };
            let (first, last) = (PushOp::First(column.into()), PushOp::Last(column.into()));
            let by = |columns: &[&str]| PushOp::GroupKeys(columns.iter().map(|column| (*column).into()).collect());
            for (ops, expected) in [
                (vec![first.clone()], picked(false)),
                (vec![last.clone()], picked(true)),
                (vec![by(&["t"]), last.clone()], picked(true)),
                (vec![by(&[]), last.clone()], picked(true)),
                (vec![by(&["_measurement", "absent"]), by(&["t", "_start"]), first.clone()], picked(false)),
                (vec![by(&["g"]), last.clone()], wide.clone()),
                (vec![by(&["t", "_time"]), last.clone()], wide.clone()),
                (vec![by(&["f"]), by(&["t"]), first.clone()], wide.clone()),
                (vec![by(&["t"])], wide.clone()),
            ] {
                let ops: Vec<PushOp> = std::iter::once(PushOp::PivotWide).chain(ops).collect();
                let (count, found) = fixture.read(&bucket, bounds, &ops);
                assert_eq!(count, 1, "{ops:?}");
                assert_eq!(found, expected, "seed {seed}: {ops:?}");
                // A scan may take the pick into account only if it may take all operators up to it.
                let source = crate::table::scan::SourceRef { bucket: bucket.clone(), bounds };
                let taken = fixture.store.offer(&source, &ops, ops.len() - 1).unwrap();
                assert_eq!(super::super::testing::read(taken), wide, "seed {seed}: {ops:?}");
            }
        }
    }
}

#[test]
fn picked_rows_of_grouped_tables_equal_the_oracle() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let mut oracle = Oracle::default();
    for number in 0..30 {
        let fields = [("f", Int(number)), ("g", Int(-number))];
        let fields = &fields[..1 + usize::from(number % 3 == 0)];
        let of =
            row(number as u64, START + number, "m", &[("t", ["u", "v"][number as usize % 2])], fields, START + number);
        fixture.store.apply(&bucket, &partition("b", 0), std::slice::from_ref(&of)).unwrap();
        oracle.add(&of);
    }
    let long = oracle.long(always(), |_, _, _, _| true);
    let one = |last| -> Vec<PlainTable> { long.iter().map(|table| table.one("_value", last)).collect() };
    let by = |column: &str| PushOp::GroupKeys(vec![column.into()]);
    let cases = [
        (vec![by("t"), PushOp::Last("_value".into())], one(true)),
        (vec![by("_field"), by("t"), PushOp::First("_time".into())], one(false)),
        (vec![by("_value"), PushOp::Last("_value".into())], long.clone()),
        (vec![by("_time"), PushOp::Last("_value".into())], long.clone()),
        (vec![by("t"), PushOp::Last("t".into())], long.clone()),
    ];
    for (ops, expected) in cases {
        let (count, found) = fixture.read(&bucket, always(), &ops);
        assert_eq!((count, &found), (0, &expected), "{ops:?}");
    }
}
