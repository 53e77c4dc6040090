//! A world of points in memory: what a read means, without a store.
//!
//! Used by tests as the plain path that every store must agree with, and by `query` for scripts that need no data. It
//! takes over no operator, ever: one table per series and field, rows by time (flux-semantics 5.1).

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, TimestampNanosecondArray};
use futures::future::BoxFuture;
use parking_lot::RwLock;

use super::store_world::with_near;
use crate::error::{Error, Result};
use crate::flux::host::BucketInfo;
use crate::plan::World;
use crate::point::{FieldValue, Point};
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::scan::{ChunkSource, Parts, PushOp, Scan, SourceRef, TableOrder, Taken};
use crate::table::{
    Bounds, Cell, Chunk, ColumnBuilder, ColumnType, KeyBlock, Name, Segment, Shape, StreamProps, TableId,
};

/// Tags, sorted by key.
type Tags = Vec<(Name, Name)>;

/// Buckets of points in memory.
#[derive(Default)]
pub struct MemoryWorld {
    buckets: RwLock<Vec<MemoryBucket>>,
    secrets: Vec<(String, String)>,
    wall_clock_ns: i64,
    max_chunk_rows: Option<usize>,
}

struct MemoryBucket {
    id: Name,
    name: Name,
    points: Vec<Point>,
}

impl MemoryWorld {
    /// A world without buckets.
    pub fn new() -> MemoryWorld {
        MemoryWorld::default()
    }

    /// With a bucket of these points; of several points of one identity the later one wins, field by field. A bucket of
    /// that name keeps its points and gets these as well. Its id is made from the order of creation.
    pub fn bucket(self, name: &str, points: Vec<Point>) -> MemoryWorld {
        self.write(name, points);
        self
    }

    /// With a secret.
    pub fn secret(mut self, name: &str, value: &str) -> MemoryWorld {
        self.secrets.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another wall clock than 1970-01-01.
    pub fn wall_clock(mut self, wall_clock_ns: i64) -> MemoryWorld {
        self.wall_clock_ns = wall_clock_ns;
        self
    }

    /// With chunks of at most so many rows: where chunks are cut must never change an answer.
    pub fn chunks_of(mut self, rows: usize) -> MemoryWorld {
        self.max_chunk_rows = Some(rows.max(1));
        self
    }

    /// Adds points to a bucket, which is made if it does not exist.
    pub fn write(&self, name: &str, points: Vec<Point>) {
        let mut buckets = self.buckets.write();
        if let Some(bucket) = buckets.iter_mut().find(|bucket| &*bucket.name == name) {
            bucket.points.extend(points);
            return;
        }
        let id = format!("{:016x}", buckets.len() + 1).into();
        buckets.push(MemoryBucket { id, name: name.into(), points });
    }
}

impl World for MemoryWorld {
    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        let buckets = self.buckets.read();
        let bucket = buckets.iter().find(|bucket| &*bucket.name == name_or_id || &*bucket.id == name_or_id);
        bucket.map(|bucket| bucket.id.clone()).ok_or_else(|| {
            let error = Error::not_found(format!("could not find bucket {name_or_id:?}"));
            with_near(error, name_or_id, buckets.iter().map(|bucket| &*bucket.name))
        })
    }

    fn offer(&self, source: &SourceRef, _ops: &[PushOp], _max: usize) -> Result<Taken> {
        let buckets = self.buckets.read();
        let bucket = buckets
            .iter()
            .find(|bucket| bucket.id == source.bucket)
            .ok_or_else(|| Error::not_found(format!("could not find bucket {:?}", &*source.bucket)))?;
        let chunks = tables(&bucket.points, source, self.max_chunk_rows.unwrap_or(usize::MAX))?;
        let props = StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: true,
            unique_keys: true,
            one_shape: false,
            bounds: Some(source.bounds),
        };
        let explain = format!("points in memory: {}", bucket.points.len());
        Ok(Taken { count: 0, scan: Scan { partitions: vec![Box::new(Chunks(chunks))], props, explain } })
    }

    fn buckets(&self) -> Vec<BucketInfo> {
        let buckets = self.buckets.read();
        let info = |own: &MemoryBucket| BucketInfo { id: own.id.clone(), name: own.name.clone(), retention_ns: None };
        let mut buckets: Vec<BucketInfo> = buckets.iter().map(info).collect();
        buckets.sort_by(|left, right| left.name.cmp(&right.name));
        buckets
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.secrets.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone())
    }

    fn wall_clock_ns(&self) -> i64 {
        self.wall_clock_ns
    }
}

/// Chunks that are there already.
struct Chunks(VecDeque<Chunk>);

impl ChunkSource for Chunks {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        let chunk = self.0.pop_front();
        Box::pin(async move { Ok(chunk) })
    }
}

/// The rows of a field of a series, by time.
type Rows<'a> = BTreeMap<i64, &'a FieldValue>;

/// One table per series and field, in the order of their group keys, cut into chunks of at most `max_rows` rows.
fn tables(points: &[Point], source: &SourceRef, max_rows: usize) -> Result<VecDeque<Chunk>> {
    let range = source.bounds.start_ns..source.bounds.stop_ns;
    let mut tables: HashMap<(&Name, &Tags, &Name), Rows<'_>> = HashMap::new();
    for point in points.iter().filter(|point| range.contains(&point.time_ns)) {
        for (field, value) in &point.fields {
            let rows = tables.entry((&point.measurement, &point.tags, field)).or_default();
            rows.insert(point.time_ns, value);
        }
    }
    let mut tables: Vec<(Labels<'_>, Rows<'_>)> =
        tables.into_iter().map(|((measurement, tags, field), rows)| (labels(measurement, tags, field), rows)).collect();
    tables.sort_by(|(left, _), (right, _)| compare_keys(left, right));
    let mut chunks = VecDeque::new();
    for (table, (labels, rows)) in tables.iter().enumerate() {
        push_table(source.bounds, labels, rows, (table as TableId, max_rows), &mut chunks)?;
    }
    Ok(chunks)
}

/// The string columns of a table, sorted by label.
type Labels<'a> = Vec<(Name, &'a Name)>;

fn labels<'a>(measurement: &'a Name, tags: &'a Tags, field: &'a Name) -> Labels<'a> {
    let mut labels: Labels<'a> = tags.iter().map(|(key, value)| (key.clone(), value)).collect();
    labels.push(("_field".into(), field));
    labels.push(("_measurement".into(), measurement));
    labels.sort();
    labels
}

/// The order of group keys (flux-semantics 1.1): at the first difference the table with the greater label comes first (it
/// lacks the smaller one), then the lesser value, then the shorter key. `_start` and `_stop` have equal values in all
/// tables, but take part in the walk over the labels.
fn compare_keys(left: &Labels<'_>, right: &Labels<'_>) -> Ordering {
    let with_bounds = |labels: &Labels<'_>| -> Vec<(Name, Name)> {
        let bounds = ["_start", "_stop"].map(|label| (Name::from(label), Name::from("")));
        let mut all: Vec<(Name, Name)> =
            labels.iter().map(|(label, value)| (label.clone(), Name::clone(value))).chain(bounds).collect();
        all.sort();
        all
    };
    let (left, right) = (with_bounds(left), with_bounds(right));
    for ((left_label, left_value), (right_label, right_value)) in left.iter().zip(&right) {
        let order = right_label.cmp(left_label).then_with(|| left_value.cmp(right_value));
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

fn push_table(
    bounds: Bounds,
    labels: &Labels<'_>,
    rows: &Rows<'_>,
    (table, max_rows): (TableId, usize),
    chunks: &mut VecDeque<Chunk>,
) -> Result<()> {
    let Some(first) = rows.values().next() else { return Ok(()) };
    let value_type = cell(first).column_type().unwrap_or(ColumnType::Float);
    let conventional = [
        ("_start", ColumnType::Time, true),
        ("_stop", ColumnType::Time, true),
        ("_time", ColumnType::Time, false),
        ("_value", value_type, false),
    ];
    let conventional = conventional.into_iter().map(|(label, kind, in_key)| (Name::from(label), kind, in_key));
    let shape =
        Shape::new(conventional.chain(labels.iter().map(|(label, _)| (label.clone(), ColumnType::String, true))));
    let mut keys: Vec<ArrayRef> = vec![
        Arc::new(TimestampNanosecondArray::from(vec![bounds.start_ns])),
        Arc::new(TimestampNanosecondArray::from(vec![bounds.stop_ns])),
    ];
    for (_, value) in labels {
        keys.push(Arc::new(StringViewArray::from(vec![&***value])));
    }
    let keys = Arc::new(KeyBlock { columns: keys });
    let rows: Vec<(&i64, &&FieldValue)> = rows.iter().collect();
    let parts = rows.chunks(max_rows.min(MAX_CHUNK_ROWS));
    let last = parts.len().saturating_sub(1);
    for (number, part) in parts.enumerate() {
        let mut times = ColumnBuilder::new(ColumnType::Time);
        let mut values = ColumnBuilder::new(value_type);
        for (time, value) in part {
            times.push(Cell::Time(**time))?;
            // One of another type than the field's has no place here; a real store refuses it when it is written.
            values
                .push(Some(cell(value)).filter(|cell| cell.column_type() == Some(value_type)).unwrap_or(Cell::Null))?;
        }
        chunks.push_back(Chunk {
            shape: Arc::clone(&shape),
            keys: Arc::clone(&keys),
            segments: vec![Segment { table, key_row: 0, end: part.len() as u32, done: number == last }],
            rows: vec![times.finish(), values.finish()],
            len: part.len(),
        });
    }
    Ok(())
}

fn cell(value: &FieldValue) -> Cell<'_> {
    match value {
        FieldValue::Bool(value) => Cell::Bool(*value),
        FieldValue::Int(value) => Cell::Int(*value),
        FieldValue::UInt(value) => Cell::UInt(*value),
        FieldValue::Float(value) => Cell::Float(*value),
        FieldValue::String(value) => Cell::String(value),
    }
}
