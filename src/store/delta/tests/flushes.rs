//! Flushes: rows go to files by age, number and bytes, in order or late, and a replay adds nothing.

use std::sync::Arc;

use super::super::super::{FlushReport, NewBucket, SeqPoint, StoreOptions};
use super::{Bench, Cell, Oracle, PlainTable, START, always, files_below, open_store, partition, row, values};
use crate::clock::ManualClock;
use crate::error::ErrorKind;
use crate::point::FieldValue::{self, Float, Int, UInt};
use crate::table::scan::{Bounds, Comparison, Literal, Predicate, PushOp};

#[tokio::test(flavor = "multi_thread")]
async fn rows_survive_a_restart_once_they_are_flushed() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let rows = [
        row(
            0,
            START,
            "gen/Data",
            &[("generatorID", "g 1")],
            &[("fuel", Float(-0.0)), ("u", UInt(u64::MAX))],
            START - 1,
        ),
        row(1, START + 1, "gen/Data", &[], &[("ok", FieldValue::Bool(true)), ("s", FieldValue::String("é".into()))], 7),
        row(2, START + 2, "gen/Data", &[("zone", "z")], &[("n", Int(i64::MIN))], i64::MIN + 2),
    ];
    bench.apply(&source, &rows);
    assert_eq!(bench.store().low_water(&source), Some(0));
    let report = bench.store().flush_all().await.unwrap();
    // Three days: one file for each.
    assert_eq!(report, FlushReport { tables: 1, rows: 3, files: 3 });
    assert_eq!(bench.store().low_water(&source), Some(3));
    assert_eq!(bench.store().memory_used(), 0);

    let mut oracle = Oracle::default();
    rows.iter().for_each(|row| oracle.add(row));
    let everything = Bounds { start_ns: i64::MIN, stop_ns: i64::MAX };
    let expected = oracle.long(everything, |_, _, _, _| true);
    assert_eq!(bench.read(everything, &[]).await, expected);
    bench.reopen().await;
    assert_eq!(bench.read(everything, &[]).await, expected);
    assert_eq!(bench.read(everything, &[PushOp::PivotWide]).await, oracle.wide(everything, |_, _, _, _| true));
}

/// After a restart the sink begins again at its low-water; what a table has in files already is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_adds_nothing_to_a_table_that_has_it() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let rows: Vec<SeqPoint> =
        (0..4).map(|i| row(i, START + i as i64, "m", &[], &[("x", Int(i as i64))], START + i as i64)).collect();
    bench.apply(&source, &rows[..2]);
    bench.store().flush_all().await.unwrap();
    bench.apply(&source, &rows[2..]);
    bench.reopen().await;
    assert_eq!(bench.store().low_water(&source), None);
    bench.apply(&source, &rows);
    // Only the two rows that were not flushed are in memory now.
    assert_eq!(bench.store().flush_all().await.unwrap().rows, 2);
    assert_eq!(values(&bench.read(always(), &[]).await), [0, 1, 2, 3].map(Cell::Int));
}

/// A version that arrives late, with a `_seq` between two that are stored already, wins only where it is the newest.
#[tokio::test(flavor = "multi_thread")]
async fn versions_are_merged_per_field_across_memory_and_files() {
    let bench = Bench::new().await;
    let (first, second) = (partition("b", 0), partition("b", 1));
    bench.apply(&first, &[row(0, 1, "m", &[], &[("a", Int(1)), ("b", Int(1))], 9)]);
    bench.apply(&first, &[row(1, 3, "m", &[], &[("b", Int(3))], 9)]);
    bench.store().flush_all().await.unwrap();
    bench.apply(&second, &[row(0, 2, "m", &[], &[("a", Int(2)), ("b", Int(2)), ("c", Int(2))], 9)]);
    assert_eq!(values(&bench.read(always(), &[]).await), [2, 3, 2].map(Cell::Int));
    bench.store().flush_all().await.unwrap();
    assert_eq!(values(&bench.read(always(), &[]).await), [2, 3, 2].map(Cell::Int));
}

/// Rows not newer than what their series has in files go to a file of their own kind.
#[tokio::test(flavor = "multi_thread")]
async fn late_rows_go_to_late_files() {
    let bench = Bench::new().await;
    let source = partition("b", 0);
    let point = |offset: u64, host: &str, time: i64| {
        row(offset, START + offset as i64, "m", &[("host", host)], &[("x", Int(offset as i64))], START + time)
    };
    bench.apply(&source, &[point(0, "a", 10), point(1, "b", 20)]);
    bench.store().flush_all().await.unwrap();
    bench.apply(&source, &[point(2, "a", 10), point(3, "a", 11), point(4, "b", 15), point(5, "c", 1)]);
    assert_eq!(bench.store().flush_all().await.unwrap().files, 2);
    let names = files_below(&bench.table_directory("m"), ".parquet");
    let late = names.iter().filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("late-")).count();
    assert_eq!((names.len(), late), (3, 1));
    // The series c was not in files before the first flush of this process, so its old row is in order.
    assert_eq!(values(&bench.read(always(), &[]).await), [2, 3, 4, 1, 5].map(Cell::Int));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_limit_of_memory_rows_are_refused_until_a_flush() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { memory_bytes: 1, ..StoreOptions::default() };
    let store = open_store(directory.path(), options, Arc::new(ManualClock::new(START))).await;
    let bucket = store.create_bucket(NewBucket::named("b")).unwrap().id;
    let source = partition("b", 0);
    let rows = [row(0, START, "m", &[], &[("x", Int(1))], START)];
    store.apply(&bucket, &source, &rows).unwrap();
    assert_eq!(store.apply(&bucket, &source, &rows).unwrap_err().kind(), ErrorKind::ResourceExhausted);
    assert!(!store.wait_for_memory(std::time::Duration::ZERO).await);
    // Half of the memory is used, so the table is due although it is young.
    assert_eq!(store.flush(START).await.unwrap().rows, 1);
    assert!(store.wait_for_memory(std::time::Duration::ZERO).await);
    store.apply(&bucket, &source, &rows).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_flushed_by_age_and_by_rows() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let options = StoreOptions { flush_rows: 3, flush_age_ns: 1_000, ..StoreOptions::default() };
    let store = open_store(directory.path(), options, Arc::clone(&clock)).await;
    let bucket = store.create_bucket(NewBucket::named("b")).unwrap().id;
    let source = partition("b", 0);
    let point = |offset: u64, measurement: &str| {
        row(offset, START + offset as i64, measurement, &[], &[("x", Int(1))], START + offset as i64)
    };
    store.apply(&bucket, &source, &[point(0, "few"), point(1, "many"), point(2, "many"), point(3, "many")]).unwrap();
    store.advance(&source, 4);
    assert_eq!(store.flush(START + 999).await.unwrap(), FlushReport { tables: 1, rows: 3, files: 1 });
    assert_eq!(store.low_water(&source), Some(0), "the row in memory holds the low-water back");
    assert_eq!(store.flush(START + 1_000).await.unwrap(), FlushReport { tables: 1, rows: 1, files: 1 });
    assert_eq!(store.low_water(&source), Some(4));
    assert_eq!(store.flush(START + 9_000).await.unwrap(), FlushReport::default());
}

/// Last rows of live series come from memory: no file is opened for them.
#[tokio::test(flavor = "multi_thread")]
async fn last_rows_are_remembered() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let point = |offset: u64, host: &str, field: &str, time: i64| {
        row(offset, START + offset as i64, "m", &[("host", host)], &[(field, Int(offset as i64))], START + time)
    };
    let last = [PushOp::Last("_value".into())];
    bench.apply(&source, &[point(0, "a", "x", 1), point(1, "a", "y", 2), point(2, "b", "x", 3), point(3, "b", "x", 2)]);
    bench.store().flush_all().await.unwrap();
    let file = files_below(&bench.table_directory("m"), ".parquet").remove(0);
    let elsewhere = bench.directory.path().join("elsewhere");
    std::fs::rename(&file, &elsewhere).unwrap();
    assert_eq!(values(&bench.read(always(), &last).await), [0, 2, 1].map(Cell::Int));
    let later = Bounds { start_ns: START + 3, stop_ns: i64::MAX };
    assert_eq!(values(&bench.read(later, &last).await), [Cell::Int(2)]);
    std::fs::rename(&elsewhere, &file).unwrap();
    // What lies before the last value is read.
    let earlier = Bounds { start_ns: START, stop_ns: START + 3 };
    assert_eq!(values(&bench.read(earlier, &last).await), [0, 3, 1].map(Cell::Int));
    // After a restart nothing is known of what files hold, until newer rows come.
    bench.reopen().await;
    assert_eq!(values(&bench.read(always(), &last).await), [0, 2, 1].map(Cell::Int));
    bench.apply(&source, &[point(4, "a", "x", 9)]);
    assert_eq!(values(&bench.read(always(), &last).await), [4, 2, 1].map(Cell::Int));
}

/// Of wide rows too, as long as what decides is the newest of its series.
#[tokio::test(flavor = "multi_thread")]
async fn last_wide_rows_are_remembered() {
    let bench = Bench::new().await;
    let source = partition("b", 0);
    let point = |offset: u64, host: &str, fields: &[&str], time: i64| {
        let fields: Vec<(&str, FieldValue)> = fields.iter().map(|field| (*field, Int(offset as i64))).collect();
        row(offset, START + offset as i64, "m", &[("host", host)], &fields, START + time)
    };
    bench.apply(
        &source,
        &[
            point(0, "a", &["x", "y"], 1),
            point(1, "a", &["x", "y", "z"], 2),
            point(2, "a", &["x", "y"], 3),
            point(3, "b", &["x", "y"], 1),
            point(4, "b", &["y"], 2),
        ],
    );
    bench.store().flush_all().await.unwrap();
    let file = files_below(&bench.table_directory("m"), ".parquet").remove(0);
    let elsewhere = bench.directory.path().join("elsewhere");
    std::fs::rename(&file, &elsewhere).unwrap();
    let last = |column: &str| [PushOp::PivotWide, PushOp::GroupKeys(vec!["host".into()]), PushOp::Last(column.into())];
    let rows = |tables: Vec<PlainTable>| -> Vec<Vec<Cell>> {
        // Behind the bounds, the time and the key.
        tables.into_iter().flat_map(|table| table.rows).map(|row| row[5..].to_vec()).collect()
    };
    let (two, four) = (Cell::Int(2), Cell::Int(4));
    let expected = [vec![two.clone(), two.clone(), Cell::Null], vec![Cell::Null, four]];
    assert_eq!(rows(bench.read(always(), &last("y")).await), expected);
    assert_eq!(rows(bench.read(always(), &last("_time")).await), expected);
    // Of series b the row with the last x is not known: y has a newer value.
    std::fs::rename(&elsewhere, &file).unwrap();
    let expected = [vec![two.clone(), two, Cell::Null], vec![Cell::Int(3), Cell::Int(3)]];
    assert_eq!(rows(bench.read(always(), &last("x")).await), expected);
    std::fs::rename(&file, &elsewhere).unwrap();
    let of_a = PushOp::Filter(Predicate::Compare {
        column: "host".into(),
        comparison: Comparison::Equal,
        literal: Literal::String("a".into()),
    });
    let ops: Vec<PushOp> = [of_a].into_iter().chain(last("x")).collect();
    assert_eq!(rows(bench.read(always(), &ops).await), expected[..1]);
}
