//! Wide tables: their columns, and the conditions that their scan decides. That their rows are those of the plain read is
//! checked with every read of the store's tests (`store::testing::wide`).

use futures::TryStreamExt;
use proptest::prelude::*;

use super::super::super::testing::wide::{columns, wide_table};
use super::super::super::testing::{Fixture, RUNTIME, START, always, row};
use super::super::WideTable;
use super::{compare, equal, kept, points};
use crate::point::FieldValue::{Float, Int, String as Text};
use crate::table::ColumnType;
use crate::table::scan::{Comparison, Literal, Predicate};

/// A field that is named as a tag or as the time has the name that its column has in files (the hash is SHA-256 of
/// `field:host`, computed with `sha256sum`).
#[test]
fn columns_have_names_of_their_own() {
    let fixture = Fixture::new();
    let bucket = fixture.bucket("b");
    let tags = [("host", "a"), ("two words", "x")];
    let rows = [
        row(0, START, "m", &tags, &[("Host", Int(1)), ("host", Float(1.0)), ("time", Text("t".into()))], START),
        row(1, START, "m", &[("time", "z")], &[("n", Int(1))], START),
    ];
    let table = wide_table(&fixture.store, &bucket, &rows, "m");
    let columns = columns(&table);
    let names: Vec<&str> = columns.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["time", "host", "two words", "time__7abd3c81", "Host", "host__fff0817f", "time__1d44fa72", "n"]);
    assert_eq!(columns[5].1, ColumnType::Float);
}

#[test]
fn only_conditions_on_tags_and_on_the_time_are_decided() {
    let time = compare("_time", Comparison::Less, Literal::Time(5));
    assert!(WideTable::decides(&equal("host", "a")) && WideTable::decides(&time));
    for other in [
        equal("_field", "a"),
        equal("_measurement", "a"),
        Predicate::Or(vec![equal("_field", "a"), equal("host", "a")]),
        Predicate::Or(vec![time.clone(), equal("host", "a")]),
        equal("_value", "x"),
    ] {
        assert!(!WideTable::decides(&other), "{other:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The rows that a scan leaves out are those of which the condition is not true in three-valued logic.
    #[test]
    fn conditions_are_decided_as_they_mean(rows in points(60), filters in prop::collection::vec(kept(), 0..4)) {
        let fixture = Fixture::of_thread();
        let bucket = fixture.bucket("b");
        let Some(measurement) = rows.first().map(|row| row.point.measurement.clone()) else { return Ok(()) };
        let table = wide_table(&fixture.store, &bucket, &rows, &measurement);
        let filters: Vec<_> = filters.into_iter().filter(|one| WideTable::decides(&one.predicate())).collect();
        let predicates: Vec<Predicate> = filters.iter().map(|filter| filter.predicate()).collect();
        let mut expected: Vec<(Vec<(String, String)>, i64)> = rows
            .iter()
            .filter(|row| row.point.measurement == measurement)
            .map(|row| {
                let tags: Vec<_> = row.point.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
                (tags, row.point.time_ns)
            })
            .filter(|(tags, time)| filters.iter().all(|one| one.of(&measurement, tags, "", *time) == Some(true)))
            .collect();
        expected.sort();
        expected.dedup();
        let batches: Vec<_> = RUNTIME.block_on(table.scan(&[], always(), &predicates).unwrap().try_collect()).unwrap();
        let count: usize = batches.iter().map(arrow::array::RecordBatch::num_rows).sum();
        prop_assert_eq!(count, expected.len());
    }
}
