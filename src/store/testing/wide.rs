//! Wide tables against the plain read: the same rows, whatever is projected and however the scan is cut.
//!
//! Run with every read of the store's tests, so that it holds after flushes, compactions, deletes, restarts and retypings.

use std::collections::{BTreeMap, BTreeSet};

use arrow::record_batch::RecordBatch;
use futures::TryStreamExt;

use super::super::scan::{Snapshot, WideKind, WideTable};
use super::super::{SeqPoint, Store};
use super::{Cell, cell, read_all};
use crate::name::Name;
use crate::table::ColumnType;
use crate::table::scan::{Bounds, SourceRef};

/// Tags and time.
type Point = (BTreeMap<String, String>, i64);
/// The fields of points.
type Points = BTreeMap<Point, BTreeMap<String, Cell>>;

/// Reads every measurement of a bucket as a wide table, in several projections: the answers have to be those of the plain
/// read, which gives a table per series and field.
pub(super) async fn agrees_with_the_plain_read(store: &Store, source: &SourceRef) {
    let snapshot = Snapshot::default();
    let mut expected: BTreeMap<String, Points> = BTreeMap::new();
    for table in read_all(store.offer_at(&snapshot, source, &[], 0).unwrap()).await {
        for row in &table.rows {
            let mut tags = BTreeMap::new();
            let (mut measurement, mut field, mut time_ns, mut value) = (String::new(), String::new(), 0, Cell::Null);
            for ((name, _, _), cell) in table.columns.iter().zip(row) {
                match (name.as_str(), cell) {
                    ("_start" | "_stop", _) => {}
                    ("_time", Cell::Time(own)) => time_ns = *own,
                    ("_value", own) => value = own.clone(),
                    ("_measurement", Cell::String(own)) => measurement.clone_from(own),
                    ("_field", Cell::String(own)) => field.clone_from(own),
                    (_, Cell::String(own)) => drop(tags.insert(name.clone(), own.clone())),
                    (name, other) => panic!("column {name} holds {other:?}"),
                }
            }
            let points = expected.entry(measurement).or_default();
            points.entry((tags, time_ns)).or_default().insert(field, value);
        }
    }
    let measurements = store.measurements_at(&snapshot, &source.bucket).unwrap();
    assert!(expected.keys().all(|name| measurements.iter().any(|own| **own == **name)));
    for measurement in measurements {
        let expected = expected.remove(&*measurement).unwrap_or_default();
        let table = store.wide_table(&snapshot, &source.bucket, &measurement).unwrap().unwrap();
        check(&table, source.bounds, &expected).await;
        let all: Vec<usize> = (0..table.columns().len()).collect();
        let cut = rows(&table.in_stretches(3), &all, source.bounds).await;
        assert!(cut == expected, "in stretches of 3 rows a wide table has other rows");
    }
}

async fn check(table: &WideTable, bounds: Bounds, expected: &Points) {
    let all: Vec<usize> = (0..table.columns().len()).collect();
    assert!(rows(table, &all, bounds).await == *expected, "a wide table has other rows than the plain read");
    let none: Vec<RecordBatch> = table.scan(&[], bounds, &[]).unwrap().try_collect().await.unwrap();
    let count: usize = none.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(count, expected.len(), "without columns there are as many rows");
    let of_field = |place: &usize| matches!(table.columns()[*place].kind, WideKind::Field(_));
    // One field of those, in front of the identity: a row without a value of it is still a row.
    let fields: Vec<usize> = all.iter().copied().filter(of_field).collect();
    if let Some(field) = fields.get(count % fields.len().max(1)).copied() {
        let mut columns = vec![field];
        columns.extend(all.iter().copied().filter(|place| !of_field(place)));
        let WideKind::Field(name) = &table.columns()[field].kind else { unreachable!("it is a field") };
        let only = |fields: &BTreeMap<String, Cell>| {
            fields.iter().filter(|(own, _)| ***own == **name).map(|(own, cell)| (own.clone(), cell.clone())).collect()
        };
        let expected: Points = expected.iter().map(|(point, fields)| (point.clone(), only(fields))).collect();
        assert!(rows(table, &columns, bounds).await == expected, "field {name} alone has other rows");
    }
}

async fn rows(table: &WideTable, columns: &[usize], bounds: Bounds) -> Points {
    let batches: Vec<RecordBatch> = table.scan(columns, bounds, &[]).unwrap().try_collect().await.unwrap();
    let mut points = Points::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let (mut tags, mut time_ns, mut fields) = (BTreeMap::new(), 0, BTreeMap::new());
            for (place, array) in columns.iter().zip(batch.columns()) {
                let column = &table.columns()[*place];
                assert_eq!(*array.data_type(), column.column_type.arrow());
                match (&column.kind, cell(array, column.column_type, row)) {
                    (_, Cell::Null) => {}
                    (WideKind::Time, Cell::Time(own)) => time_ns = own,
                    (WideKind::Tag(key), Cell::String(own)) => drop(tags.insert(key.to_string(), own)),
                    (WideKind::Field(name), own) => drop(fields.insert(name.to_string(), own)),
                    (kind, other) => panic!("{kind:?} holds {other:?}"),
                }
            }
            assert!(points.insert((tags, time_ns), fields).is_none(), "a point stands twice");
        }
    }
    points
}

/// The names of a table's columns and their types.
pub(crate) fn columns(table: &WideTable) -> Vec<(Name, ColumnType)> {
    let names: BTreeSet<&Name> = table.columns().iter().map(|column| &column.name).collect();
    assert_eq!(names.len(), table.columns().len(), "two columns of one name");
    table.columns().iter().map(|column| (column.name.clone(), column.column_type)).collect()
}

/// A measurement of a bucket of rows in memory.
pub(crate) fn wide_table(store: &Store, bucket: &Name, rows: &[SeqPoint], measurement: &str) -> WideTable {
    assert_eq!(store.apply(bucket, &super::partition("b", 0), rows).unwrap(), []);
    store.wide_table(&Snapshot::default(), bucket, measurement).unwrap().unwrap()
}
