//! `to()`: turns rows into points of a bucket, stages them, and passes the rows on (flux-semantics 5.3).
//!
//! Made by the network for each `to` of a plan. It writes nothing: the points of all `to()` of a script are handed back
//! when the whole script has succeeded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter;
use arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use parking_lot::Mutex;

use super::BucketWrite;
use crate::error::{Error, Result};
use crate::operators::{Operator, Out};
use crate::plan::ToSpec;
use crate::point::{FieldValue, Point};
use crate::table::{Chunk, Column, ColumnType, Name, Place, Segment, Shape, TableId};

/// The points that all `to()` of a script have staged so far.
pub struct Staging {
    /// One per `to()`, in program order.
    staged: Vec<Arc<Mutex<Staged>>>,
    points: Arc<AtomicUsize>,
    max_points: usize,
}

/// What one `to()` has staged.
struct Staged {
    spec: Arc<ToSpec>,
    points: Vec<Point>,
    /// Where the points of a table's part begin. Parts may have come in any order; table ids tell the logical one.
    parts: Vec<(TableId, usize)>,
    skipped: Skipped,
}

impl Staging {
    /// An empty staging that refuses more points than these.
    pub fn new(max_points: usize) -> Staging {
        Staging { staged: Vec::new(), points: Arc::default(), max_points }
    }

    /// The operator of the next `to()` of the script. Without `stage` it only passes rows on.
    pub fn operator(&mut self, spec: &Arc<ToSpec>, stage: bool) -> To {
        let (spec, points, max_points) = (Arc::clone(spec), Arc::clone(&self.points), self.max_points);
        let staged =
            Staged { spec: Arc::clone(&spec), points: Vec::new(), parts: Vec::new(), skipped: Skipped::default() };
        let staged = stage.then(|| Arc::new(Mutex::new(staged)));
        self.staged.extend(staged.clone());
        To { spec, staged, points, max_points, layout: None }
    }

    /// How many points are staged.
    pub fn points(&self) -> usize {
        self.points.load(Ordering::Relaxed)
    }

    /// What rows were passed over, a sentence for each reason.
    pub fn warnings(&self) -> Vec<String> {
        self.staged.iter().flat_map(|staged| staged.lock().warnings()).collect()
    }

    /// Takes the points, by bucket in the order in which the script names them. The order within a bucket tells which of
    /// two points of one identity is the newer: `to()` after `to()` in program order, table after table, row after row.
    pub fn take_writes(&mut self) -> Vec<BucketWrite> {
        let mut writes: Vec<BucketWrite> = Vec::new();
        for staged in std::mem::take(&mut self.staged) {
            let mut staged = staged.lock();
            let mut points = staged.take_points();
            match writes.iter_mut().find(|write| write.bucket == staged.spec.bucket) {
                Some(write) => write.points.append(&mut points),
                None => {
                    let (bucket, bucket_name) = (staged.spec.bucket.clone(), staged.spec.bucket_name.clone());
                    writes.push(BucketWrite { bucket, bucket_name, points });
                }
            }
        }
        writes
    }
}

impl Staged {
    /// The points in the logical order of their tables.
    fn take_points(&mut self) -> Vec<Point> {
        let points = std::mem::take(&mut self.points);
        let parts = std::mem::take(&mut self.parts);
        if parts.is_sorted_by_key(|(table, _)| *table) {
            return points;
        }
        let ends = parts.iter().skip(1).map(|(_, start)| *start).chain([points.len()]);
        let mut points = points.into_iter();
        let mut by_table: Vec<(TableId, Vec<Point>)> = parts
            .iter()
            .zip(ends)
            .map(|((table, start), end)| (*table, points.by_ref().take(end - start).collect()))
            .collect();
        // Stable: the parts of a table stay in the order in which they came.
        by_table.sort_by_key(|(table, _)| *table);
        by_table.into_iter().flat_map(|(_, points)| points).collect()
    }

    fn warnings(&self) -> Vec<String> {
        let bucket = &self.spec.bucket_name;
        let mut warnings = Vec::new();
        if self.skipped.measurement > 0 {
            let (rows, column) = (self.skipped.measurement, &self.spec.measurement_column);
            warnings
                .push(format!("to(bucket: {bucket:?}) wrote no point for {rows} row(s) without a value in {column:?}"));
        }
        if self.skipped.field > 0 {
            let rows = self.skipped.field;
            warnings
                .push(format!("to(bucket: {bucket:?}) wrote no point for {rows} row(s) without a value in \"_field\""));
        }
        warnings
    }
}

/// A running `to()`.
pub struct To {
    spec: Arc<ToSpec>,
    staged: Option<Arc<Mutex<Staged>>>,
    /// Points of all `to()` of the script.
    points: Arc<AtomicUsize>,
    max_points: usize,
    layout: Option<Layout>,
}

impl Operator for To {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let layout = match self.layout.take() {
            Some(layout) if Arc::ptr_eq(&layout.shape, &chunk.shape) => layout,
            _ => Layout::new(&self.spec, &chunk.shape)?,
        };
        let chunk = with_times(chunk, layout.time)?;
        if let Some(staged) = &self.staged {
            self.stage(&mut staged.lock(), &layout, &chunk)?;
        }
        self.layout = Some(layout);
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}

impl To {
    fn stage(&self, staged: &mut Staged, layout: &Layout, chunk: &Chunk) -> Result<()> {
        let mut names = NameCache::default();
        let before = staged.points.len();
        for (segment, rows) in chunk.tables() {
            if !rows.is_empty() {
                staged.parts.push((segment.table, staged.points.len()));
            }
            for row in rows {
                if let Some(point) = layout.point(chunk, &segment, row, &mut names, &mut staged.skipped)? {
                    staged.points.push(point);
                }
            }
        }
        let new = staged.points.len() - before;
        let max = self.max_points;
        if self.points.fetch_add(new, Ordering::Relaxed) + new > max {
            return Err(Error::resource_exhausted(format!("to() has more than {max} points to write in one run"))
                .with_hint("write fewer fields or a shorter range per run"));
        }
        Ok(())
    }
}

/// Where the parts of a point stand in the tables of one shape.
struct Layout {
    shape: Arc<Shape>,
    measurement: Place,
    time: Place,
    /// Sorted by key.
    tags: Vec<(Name, Place)>,
    fields: Fields,
}

enum Fields {
    /// `{<_field>: _value}`.
    Narrow { field: Place, value: Place },
}

impl Layout {
    fn new(spec: &ToSpec, shape: &Arc<Shape>) -> Result<Layout> {
        let measurement = shape.column(&spec.measurement_column).ok_or_else(|| {
            Error::failed_precondition(format!("no column with label {} exists", spec.measurement_column))
        })?;
        expect_type(measurement, ColumnType::String)?;
        let time = shape.column(&spec.time_column).ok_or_else(|| {
            Error::failed_precondition("no time column detected")
                .with_hint(format!("to() takes the points' time from column {:?}", &*spec.time_column))
        })?;
        expect_type(time, ColumnType::Time)?;
        let fields = narrow_fields(shape)?;
        Ok(Layout {
            shape: Arc::clone(shape),
            measurement: measurement.place,
            time: time.place,
            tags: tag_columns(spec, shape)?,
            fields,
        })
    }

    /// The point of a row; `None` if the row makes none.
    fn point(
        &self,
        chunk: &Chunk,
        segment: &Segment,
        row: usize,
        names: &mut NameCache,
        skipped: &mut Skipped,
    ) -> Result<Option<Point>> {
        let Some(time_ns) = time_at(chunk, self.time, segment, row) else { return Ok(None) };
        let Some(measurement) = string_at(chunk, self.measurement, segment, row).filter(|name| !name.is_empty()) else {
            skipped.measurement += 1;
            return Ok(None);
        };
        let mut fields = Vec::with_capacity(1);
        match &self.fields {
            Fields::Narrow { field, value } => {
                let Some(field) = string_at(chunk, *field, segment, row) else {
                    skipped.field += 1;
                    return Ok(None);
                };
                let (array, index) = cell(chunk, *value, segment, row);
                if let Some(value) = field_value(array, index)? {
                    if field.is_empty() {
                        return Err(Error::failed_precondition("all fields must have non-empty names"));
                    }
                    fields.push((names.name(usize::MAX, field), value));
                }
            }
        }
        if fields.is_empty() {
            return Ok(None);
        }
        let mut tags = Vec::with_capacity(self.tags.len());
        for (position, (key, place)) in self.tags.iter().enumerate() {
            if let Some(value) = string_at(chunk, *place, segment, row).filter(|value| !value.is_empty()) {
                tags.push((key.clone(), names.name(position, value)));
            }
        }
        let measurement = names.name(usize::MAX - 1, measurement);
        Ok(Some(Point { measurement, tags, fields, time_ns }))
    }
}

fn expect_type(column: &Column, expected: ColumnType) -> Result<()> {
    if column.column_type == expected {
        return Ok(());
    }
    Err(Error::failed_precondition(format!(
        "column {} of type {} is not of type {}",
        column.name,
        column.column_type.flux_name(),
        expected.flux_name()
    )))
}

fn narrow_fields(shape: &Shape) -> Result<Fields> {
    let column = |label: &str| {
        shape.column(label).ok_or_else(|| {
            Error::failed_precondition(format!("table has no {label} column"))
                .with_hint("after pivot, name the fields with fieldFn: (r) => ({name: r.name})")
        })
    };
    let field = column("_field")?;
    expect_type(field, ColumnType::String)?;
    let value = column("_value")?;
    Ok(Fields::Narrow { field: field.place, value: value.place })
}

/// The columns that become tags, sorted by key. Group key membership does not matter.
fn tag_columns(spec: &ToSpec, shape: &Shape) -> Result<Vec<(Name, Place)>> {
    let reserved = |name: &Name| *name == spec.measurement_column || *name == spec.time_column;
    let mut tags = Vec::new();
    match &spec.tag_columns {
        Some(listed) => {
            for name in listed.iter().filter(|name| !reserved(name)) {
                let Some(column) = shape.column(name) else { continue };
                if column.column_type != ColumnType::String {
                    return Err(Error::invalid(format!(
                        "invalid type for tag column {name:?}: {}, expected string",
                        column.column_type.flux_name()
                    )));
                }
                tags.push((column.name.clone(), column.place));
            }
        }
        None => {
            let read = spec.field_fn.as_ref().map(|closure| super::field_fn::columns_read(&closure.function));
            for column in &shape.columns {
                let implicit = column.column_type == ColumnType::String
                    && !reserved(&column.name)
                    && !matches!(&*column.name, "_field" | "_value" | "_measurement")
                    && !read.as_ref().is_some_and(|read| read.contains(&column.name));
                if implicit {
                    tags.push((column.name.clone(), column.place));
                }
            }
        }
    }
    tags.sort_by(|left, right| left.0.cmp(&right.0));
    tags.dedup_by(|left, right| left.0 == right.0);
    Ok(tags)
}

/// The chunk without the rows whose time is null.
fn with_times(mut chunk: Chunk, time: Place) -> Result<Chunk> {
    let mask = match time {
        Place::Row(column) => {
            let times = &chunk.rows[column as usize];
            if times.null_count() == 0 {
                return Ok(chunk);
            }
            arrow::compute::is_not_null(times)?
        }
        Place::Key(column) => {
            let times = &chunk.keys.columns[column as usize];
            if times.null_count() == 0 {
                return Ok(chunk);
            }
            let mut mask = Vec::with_capacity(chunk.len);
            for (segment, rows) in chunk.tables() {
                mask.resize(rows.end, times.is_valid(segment.key_row as usize));
            }
            BooleanArray::from(mask)
        }
    };
    let mut kept = 0;
    let mut start = 0;
    for segment in &mut chunk.segments {
        let end = segment.end as usize;
        kept += mask.slice(start, end - start).true_count();
        start = end;
        segment.end = kept as u32;
    }
    for array in &mut chunk.rows {
        *array = filter(array, &mask)?;
    }
    chunk.len = kept;
    Ok(chunk)
}

/// The array and the index in it of a row's value.
fn cell<'a>(chunk: &'a Chunk, place: Place, segment: &Segment, row: usize) -> (&'a ArrayRef, usize) {
    match place {
        Place::Key(column) => (&chunk.keys.columns[column as usize], segment.key_row as usize),
        Place::Row(column) => (&chunk.rows[column as usize], row),
    }
}

fn string_at<'a>(chunk: &'a Chunk, place: Place, segment: &Segment, row: usize) -> Option<&'a str> {
    let (array, index) = cell(chunk, place, segment, row);
    array.is_valid(index).then(|| array.as_string_view().value(index))
}

fn time_at(chunk: &Chunk, place: Place, segment: &Segment, row: usize) -> Option<i64> {
    let (array, index) = cell(chunk, place, segment, row);
    array.is_valid(index).then(|| array.as_primitive::<TimestampNanosecondType>().value(index))
}

/// A cell as a field's value: nulls and floats that are not finite make no field, a time becomes its nanoseconds.
fn field_value(array: &ArrayRef, index: usize) -> Result<Option<FieldValue>> {
    use arrow::datatypes::{DataType, TimeUnit};
    if array.is_null(index) {
        return Ok(None);
    }
    Ok(match array.data_type() {
        DataType::Boolean => Some(FieldValue::Bool(array.as_boolean().value(index))),
        DataType::Int64 => Some(FieldValue::Int(array.as_primitive::<Int64Type>().value(index))),
        DataType::UInt64 => Some(FieldValue::UInt(array.as_primitive::<UInt64Type>().value(index))),
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(index);
            value.is_finite().then_some(FieldValue::Float(value))
        }
        DataType::Utf8View => Some(FieldValue::String(array.as_string_view().value(index).into())),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            Some(FieldValue::Int(array.as_primitive::<TimestampNanosecondType>().value(index)))
        }
        other => return Err(Error::internal(format!("unsupported field type {other}"))),
    })
}

/// Names of the row before, by column: neighbouring rows mostly agree, and then share one allocation.
#[derive(Default)]
struct NameCache {
    last: std::collections::HashMap<usize, Name>,
}

impl NameCache {
    fn name(&mut self, column: usize, text: &str) -> Name {
        match self.last.get(&column) {
            Some(name) if &**name == text => name.clone(),
            _ => {
                let name: Name = text.into();
                self.last.insert(column, name.clone());
                name
            }
        }
    }
}

/// Rows that made no point although a point was meant.
#[derive(Default)]
struct Skipped {
    measurement: u64,
    field: u64,
}

#[cfg(test)]
mod tests;
