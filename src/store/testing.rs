//! For the store's tests: an oracle that keeps points in a map, and scans decoded into plain tables.
//!
//! The oracle states the meaning directly (a point is its identity; the newest `_seq` wins per field; a read gives one table
//! per series and field, ascending by key) and shares no code with the store.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "delta")]
pub(crate) mod wide;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use futures::executor::block_on;

use super::{NewBucket, SeqPoint, SourcePartition, Store, StoreOptions};
use crate::catalogue::Catalogue;
use crate::clock::ManualClock;
use crate::point::{FieldValue, Point};
use crate::table::scan::{Bounds, PushOp, SourceRef, Taken};
use crate::table::{Chunk, ColumnType, Place, TableId};

/// A cell of a decoded table; floats by their bits, so that -0.0 is not 0.0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(u64),
    String(String),
    Time(i64),
}

impl From<&FieldValue> for Cell {
    fn from(value: &FieldValue) -> Self {
        match value {
            FieldValue::Bool(value) => Cell::Bool(*value),
            FieldValue::Int(value) => Cell::Int(*value),
            FieldValue::UInt(value) => Cell::UInt(*value),
            FieldValue::Float(value) => Cell::Float(value.to_bits()),
            FieldValue::String(value) => Cell::String(value.to_string()),
        }
    }
}

/// A table: columns in order (name, type, whether in the key) and all cells of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlainTable {
    pub(crate) columns: Vec<(String, ColumnType, bool)>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl PlainTable {
    /// The table with its first or last row that has a value of a column, or, where none has, with its first or last row.
    pub(crate) fn one(&self, column: &str, last: bool) -> PlainTable {
        let place = self.columns.iter().position(|(name, _, _)| name == column);
        let has = |row: &Vec<Cell>| place.is_some_and(|place| row[place] != Cell::Null);
        let (found, end) = match last {
            false => (self.rows.iter().position(has), 0),
            true => (self.rows.iter().rposition(has), self.rows.len() - 1),
        };
        PlainTable { rows: vec![self.rows[found.unwrap_or(end)].clone()], ..self.clone() }
    }
}

/// Large scans read on threads of a runtime.
pub(crate) static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap());

/// The tables of a scan over memory in the order of their ids.
pub(crate) fn read(taken: Taken) -> Vec<PlainTable> {
    RUNTIME.block_on(read_all(taken))
}

/// Offers operators to a scan and reads it, at once and in small stretches: the answers have to be equal.
pub(crate) async fn offer_and_read(store: &Store, source: &SourceRef, ops: &[PushOp]) -> (usize, Vec<PlainTable>) {
    let taken = store.offer(source, ops, usize::MAX).unwrap();
    let count = taken.count;
    let tables = read_all(taken).await;
    // Last rows may be remembered where their files cannot be read any more.
    #[cfg(feature = "delta")]
    if !ops.iter().any(|op| matches!(op, PushOp::Last(_))) {
        wide::agrees_with_the_plain_read(store, source).await;
    }
    for stretch_rows in [1, 7] {
        let cut = store.offer_in_stretches(source, ops, usize::MAX, stretch_rows).unwrap();
        assert_eq!(cut.count, count);
        assert!(read_all(cut).await == tables, "in stretches of {stretch_rows} rows the scan gives other tables");
        let cut = store.offer_in_stretches(source, ops, usize::MAX, stretch_rows).unwrap();
        assert!(read_all(by_parts(cut).await).await == tables, "in parts of {stretch_rows} rows too");
    }
    (count, tables)
}

/// The same scan, each of its parts a partition of its own.
async fn by_parts(mut taken: Taken) -> Taken {
    let mut partitions = Vec::new();
    for mut partition in taken.scan.partitions {
        match partition.parts().await.unwrap() {
            Some(parts) => partitions.extend(parts.iter().map(|part| part.open())),
            None => partitions.push(partition),
        }
    }
    taken.scan.partitions = partitions;
    taken
}

/// The tables of a scan in the order of their ids. Checks the invariants of chunks on the way.
pub(crate) async fn read_all(taken: Taken) -> Vec<PlainTable> {
    let mut tables: BTreeMap<TableId, PlainTable> = BTreeMap::new();
    let mut finished: BTreeSet<TableId> = BTreeSet::new();
    let mut open: Option<TableId> = None;
    for mut partition in taken.scan.partitions {
        while let Some(chunk) = partition.next().await.unwrap() {
            assert!(chunk.len <= crate::table::chunk::MAX_CHUNK_ROWS, "a chunk of {} rows", chunk.len);
            assert_eq!(chunk.segments.last().map(|segment| segment.end as usize), Some(chunk.len));
            let columns = all_columns(&chunk);
            for (segment, rows) in chunk.tables() {
                assert!(open.is_none_or(|open| open == segment.table), "two tables are open at once");
                assert!(finished.last().is_none_or(|last| *last < segment.table), "ids do not ascend");
                open = (!segment.done).then_some(segment.table);
                if segment.done {
                    finished.insert(segment.table);
                }
                let table = tables
                    .entry(segment.table)
                    .or_insert_with(|| PlainTable { columns: columns.clone(), rows: Vec::new() });
                assert_eq!(table.columns, columns, "a table changed its shape");
                for row in rows {
                    table.rows.push(row_cells(&chunk, segment.key_row as usize, row));
                }
            }
        }
    }
    assert_eq!(open, None, "a table was not finished");
    assert!(tables.values().all(|table| !table.rows.is_empty()), "a read gave an empty table");
    tables.into_values().collect()
}

fn all_columns(chunk: &Chunk) -> Vec<(String, ColumnType, bool)> {
    let of = |column: &crate::table::Column| {
        let in_key = matches!(column.place, Place::Key(_));
        let array = match column.place {
            Place::Key(place) => &chunk.keys.columns[place as usize],
            Place::Row(place) => &chunk.rows[place as usize],
        };
        assert_eq!(*array.data_type(), column.column_type.arrow(), "column {}", column.name);
        assert!(in_key || array.len() == chunk.len, "column {}", column.name);
        (column.name.to_string(), column.column_type, in_key)
    };
    chunk.shape.columns.iter().map(of).collect()
}

fn row_cells(chunk: &Chunk, key_row: usize, row: usize) -> Vec<Cell> {
    let of = |column: &crate::table::Column| match column.place {
        Place::Key(place) => cell(&chunk.keys.columns[place as usize], column.column_type, key_row),
        Place::Row(place) => cell(&chunk.rows[place as usize], column.column_type, row),
    };
    chunk.shape.columns.iter().map(of).collect()
}

fn cell(array: &ArrayRef, column_type: ColumnType, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match column_type {
        ColumnType::Bool => Cell::Bool(array.as_boolean().value(row)),
        ColumnType::Int => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        ColumnType::UInt => Cell::UInt(array.as_primitive::<UInt64Type>().value(row)),
        ColumnType::Float => Cell::Float(array.as_primitive::<Float64Type>().value(row).to_bits()),
        ColumnType::String => Cell::String(array.as_string_view().value(row).to_string()),
        ColumnType::Time => Cell::Time(array.as_primitive::<TimestampNanosecondType>().value(row)),
    }
}

/// Measurement, tags.
type Series = (String, Vec<(String, String)>);

/// Fields with the sequence of their newest version.
type Fields = BTreeMap<String, (i64, Cell)>;

/// What a bucket should hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    points: BTreeMap<Series, BTreeMap<i64, Fields>>,
}

impl Oracle {
    /// Adds a point; the newest `_seq` wins per field, of equal ones the later.
    pub(crate) fn add(&mut self, row: &SeqPoint) {
        let tags = row.point.tags.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let series = self.points.entry((row.point.measurement.to_string(), tags)).or_default();
        let fields = series.entry(row.point.time_ns).or_default();
        for (name, value) in &row.point.fields {
            let known = fields.get(&**name).map(|(seq, _)| *seq);
            if known.is_none_or(|known| known <= row.seq) {
                fields.insert(name.to_string(), (row.seq, value.into()));
            }
        }
    }

    /// One table per series and field of what `keep` (measurement, tags, field, time) keeps within bounds.
    pub(crate) fn long(
        &self,
        bounds: Bounds,
        keep: impl Fn(&str, &[(String, String)], &str, i64) -> bool,
    ) -> Vec<PlainTable> {
        let mut tables: Vec<(BTreeMap<String, String>, PlainTable)> = Vec::new();
        for ((measurement, tags), times) in &self.points {
            let names: BTreeSet<&String> = times.values().flat_map(BTreeMap::keys).collect();
            for field in names {
                let rows: Vec<(i64, &Cell)> = times
                    .range(bounds.start_ns..bounds.stop_ns)
                    .filter_map(|(time, fields)| Some((*time, &fields.get(field)?.1)))
                    .filter(|(time, _)| keep(measurement, tags, field, *time))
                    .collect();
                let Some((_, first)) = rows.first() else { continue };
                let mut key: BTreeMap<String, String> = tags.iter().cloned().collect();
                key.insert("_field".into(), field.clone());
                key.insert("_measurement".into(), measurement.clone());
                let mut columns = time_columns();
                columns.push(("_value".into(), type_of(first), false));
                columns.extend(key.keys().map(|name| (name.clone(), ColumnType::String, true)));
                let row = |(time, value): &(i64, &Cell)| {
                    let mut cells = time_cells(bounds, *time);
                    cells.push((*value).clone());
                    cells.extend(key.values().map(|value| Cell::String(value.clone())));
                    cells
                };
                tables.push((key.clone(), PlainTable { columns, rows: rows.iter().map(row).collect() }));
            }
        }
        in_key_order(tables)
    }

    /// One table per series of what `keep` keeps within bounds, as pivot on time and field gives it.
    pub(crate) fn wide(
        &self,
        bounds: Bounds,
        keep: impl Fn(&str, &[(String, String)], &str, i64) -> bool,
    ) -> Vec<PlainTable> {
        let mut tables: Vec<(BTreeMap<String, String>, PlainTable)> = Vec::new();
        for ((measurement, tags), times) in &self.points {
            let mut cells: BTreeMap<i64, BTreeMap<&String, &Cell>> = BTreeMap::new();
            let mut types: BTreeMap<&String, ColumnType> = BTreeMap::new();
            for (time, fields) in times.range(bounds.start_ns..bounds.stop_ns) {
                for (field, (_, value)) in fields {
                    if keep(measurement, tags, field, *time) {
                        cells.entry(*time).or_default().insert(field, value);
                        types.insert(field, type_of(value));
                    }
                }
            }
            if cells.is_empty() {
                continue;
            }
            let mut key: BTreeMap<String, String> = tags.iter().cloned().collect();
            key.insert("_measurement".into(), measurement.clone());
            let mut columns = time_columns();
            columns.extend(key.keys().map(|name| (name.clone(), ColumnType::String, true)));
            columns.extend(types.iter().map(|(name, of)| (name.to_string(), *of, false)));
            let row = |(time, values): (&i64, &BTreeMap<&String, &Cell>)| {
                let mut row = time_cells(bounds, *time);
                row.extend(key.values().map(|value| Cell::String(value.clone())));
                row.extend(types.keys().map(|name| values.get(name).map_or(Cell::Null, |cell| (*cell).clone())));
                row
            };
            let rows = cells.iter().map(row).collect();
            tables.push((key, PlainTable { columns, rows }));
        }
        in_key_order(tables)
    }
}

fn time_columns() -> Vec<(String, ColumnType, bool)> {
    vec![
        ("_start".into(), ColumnType::Time, true),
        ("_stop".into(), ColumnType::Time, true),
        ("_time".into(), ColumnType::Time, false),
    ]
}

fn time_cells(bounds: Bounds, time: i64) -> Vec<Cell> {
    vec![Cell::Time(bounds.start_ns), Cell::Time(bounds.stop_ns), Cell::Time(time)]
}

fn type_of(cell: &Cell) -> ColumnType {
    match cell {
        Cell::Bool(_) => ColumnType::Bool,
        Cell::Int(_) => ColumnType::Int,
        Cell::UInt(_) => ColumnType::UInt,
        Cell::Float(_) => ColumnType::Float,
        Cell::String(_) => ColumnType::String,
        Cell::Null | Cell::Time(_) => panic!("no field value"),
    }
}

/// Sorts by key as flux-semantics 1.1 says; `_start` and `_stop` are labels of every key.
fn in_key_order(mut tables: Vec<(BTreeMap<String, String>, PlainTable)>) -> Vec<PlainTable> {
    let with_bounds = |key: &BTreeMap<String, String>| {
        let mut key = key.clone();
        key.insert("_start".into(), String::new());
        key.insert("_stop".into(), String::new());
        key
    };
    tables.sort_by(|(left, _), (right, _)| {
        let (left, right) = (with_bounds(left), with_bounds(right));
        for ((left_label, left_value), (right_label, right_value)) in left.iter().zip(&right) {
            // The key whose label is alphabetically greater is the lesser key.
            match right_label.cmp(left_label).then_with(|| left_value.cmp(right_value)) {
                Ordering::Equal => {}
                decided => return decided,
            }
        }
        left.len().cmp(&right.len())
    });
    tables.into_iter().map(|(_, table)| table).collect()
}

/// A store in a directory of its own.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) directory: tempfile::TempDir,
}

/// A time to begin with: 2026-11-01T00:00:00Z.
pub(crate) const START: i64 = 1_793_491_200_000_000_000;

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with_options(StoreOptions::default())
    }

    pub(crate) fn with_options(options: StoreOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let store = open(directory.path(), options, Arc::clone(&clock));
        Fixture { store, clock, directory }
    }

    /// The one of this thread, without any bucket: for tests of many cases, since making a catalogue takes longer than most
    /// of them.
    pub(crate) fn of_thread() -> Rc<Self> {
        thread_local! {
            static FIXTURE: Rc<Fixture> = Rc::new(Fixture::new());
        }
        let fixture = FIXTURE.with(Rc::clone);
        fixture.store.buckets().iter().for_each(|bucket| fixture.store.delete_bucket(&bucket.id).unwrap());
        fixture
    }

    /// Makes a bucket and returns its id.
    pub(crate) fn bucket(&self, name: &str) -> Arc<str> {
        self.store.create_bucket(NewBucket::named(name)).unwrap().id
    }

    /// Reads a bucket, offering some operators.
    pub(crate) fn read(&self, bucket: &str, bounds: Bounds, ops: &[PushOp]) -> (usize, Vec<PlainTable>) {
        let source = SourceRef { bucket: bucket.into(), bounds };
        RUNTIME.block_on(offer_and_read(&self.store, &source, ops))
    }
}

/// Opens the store of a directory without files.
pub(crate) fn open(directory: &std::path::Path, options: StoreOptions, clock: Arc<ManualClock>) -> Store {
    block_on(open_store(directory, options, clock))
}

/// Opens the store of a directory.
pub(crate) async fn open_store(directory: &std::path::Path, options: StoreOptions, clock: Arc<ManualClock>) -> Store {
    let catalogue = Arc::new(Catalogue::open(&directory.join("catalogue")).unwrap());
    Store::open(directory, options, catalogue, clock).await.unwrap()
}

/// A partition of a topic.
pub(crate) fn partition(topic: &str, partition: u32) -> SourcePartition {
    SourcePartition { topic: topic.into(), generation: 0, partition }
}

/// A point with its place in the log.
pub(crate) fn row(
    offset: u64,
    seq: i64,
    measurement: &str,
    tags: &[(&str, &str)],
    fields: &[(&str, FieldValue)],
    time_ns: i64,
) -> SeqPoint {
    let point = Point {
        measurement: measurement.into(),
        tags: tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        fields: fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
        time_ns,
    };
    SeqPoint { offset, seq, point }
}

/// Everything from long before to long after [`START`].
pub(crate) fn always() -> Bounds {
    Bounds { start_ns: 0, stop_ns: i64::MAX }
}
