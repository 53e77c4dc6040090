//! `to()`: turns rows into points of a bucket, stages them, and passes the rows on (flux-semantics 5.3).
//!
//! Made by the network for each `to` of a plan. It writes nothing: the points of all `to()` of a script are handed back
//! when the whole script has succeeded.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter;
use arrow::datatypes::{Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};
use parking_lot::Mutex;

use super::BucketWrite;
use crate::error::{Error, Result};
use crate::operators::{Operator, Out};
use crate::plan::ToSpec;
use crate::point::{FieldValue, Point};
use crate::table::{Chunk, Column, ColumnType, Name, Place, Segment, Shape};

/// The points that all `to()` of a script have staged so far.
pub struct Staging {
    shared: Arc<Mutex<Staged>>,
}

#[derive(Default)]
struct Staged {
    writes: Vec<BucketWrite>,
    points: usize,
    max_points: usize,
    skipped: Vec<(String, u64)>,
}

impl Staging {
    /// An empty staging that refuses more points than these.
    pub fn new(max_points: usize) -> Staging {
        Staging { shared: Arc::new(Mutex::new(Staged { max_points, ..Staged::default() })) }
    }

    /// How many points are staged.
    pub fn points(&self) -> usize {
        self.shared.lock().points
    }

    /// What rows were passed over, a sentence for each reason.
    pub fn warnings(&self) -> Vec<String> {
        let staged = self.shared.lock();
        staged.skipped.iter().map(|(reason, rows)| format!("{rows} row(s) not written: {reason}")).collect()
    }

    /// Takes the points, by bucket in the order in which the script names them.
    pub fn take_writes(&self) -> Vec<BucketWrite> {
        std::mem::take(&mut self.shared.lock().writes)
    }
}

/// The operator of one `to()`. Without `stage` it only passes rows on.
pub fn operator(spec: &Arc<ToSpec>, stage: bool, staging: &mut Staging) -> To {
    let mut staged = staging.shared.lock();
    let write = match staged.writes.iter().position(|write| write.bucket == spec.bucket) {
        _ if !stage => None,
        Some(write) => Some(write),
        None => {
            let (bucket, bucket_name) = (spec.bucket.clone(), spec.bucket_name.clone());
            staged.writes.push(BucketWrite { bucket, bucket_name, points: Vec::new() });
            Some(staged.writes.len() - 1)
        }
    };
    To { spec: Arc::clone(spec), write, shared: Arc::clone(&staging.shared), layout: None }
}

/// A running `to()`.
pub struct To {
    spec: Arc<ToSpec>,
    write: Option<usize>,
    shared: Arc<Mutex<Staged>>,
    layout: Option<Layout>,
}

impl Operator for To {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let layout = match self.layout.take() {
            Some(layout) if Arc::ptr_eq(&layout.shape, &chunk.shape) => layout,
            _ => Layout::new(&self.spec, &chunk.shape)?,
        };
        let chunk = with_times(chunk, layout.time)?;
        if let Some(write) = self.write {
            self.stage(write, &layout, &chunk)?;
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
    fn stage(&self, write: usize, layout: &Layout, chunk: &Chunk) -> Result<()> {
        let mut names = NameCache::default();
        let mut points = Vec::new();
        let mut skipped = Skipped::default();
        for (segment, rows) in chunk.tables() {
            for row in rows {
                if let Some(point) = layout.point(chunk, &segment, row, &mut names, &mut skipped)? {
                    points.push(point);
                }
            }
        }
        let mut staged = self.shared.lock();
        for (reason, rows) in skipped.reasons(&self.spec) {
            match staged.skipped.iter_mut().find(|(own, _)| *own == reason) {
                Some((_, count)) => *count += rows,
                None => staged.skipped.push((reason, rows)),
            }
        }
        staged.points += points.len();
        if staged.points > staged.max_points {
            let max = staged.max_points;
            return Err(Error::resource_exhausted(format!("to() has more than {max} points to write in one run"))
                .with_hint("write fewer fields or a shorter range per run"));
        }
        staged.writes[write].points.append(&mut points);
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

impl Skipped {
    fn reasons(&self, spec: &ToSpec) -> Vec<(String, u64)> {
        let bucket = &spec.bucket_name;
        let mut reasons = Vec::new();
        if self.measurement > 0 {
            let column = &spec.measurement_column;
            reasons.push((format!("to(bucket: {bucket:?}) found no measurement in {column:?}"), self.measurement));
        }
        if self.field > 0 {
            reasons.push((format!("to(bucket: {bucket:?}) found null in \"_field\""), self.field));
        }
        reasons
    }
}
