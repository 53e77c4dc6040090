//! `to()`: turns rows into points of a bucket, stages them, and passes the rows on (flux-semantics 5.3).
//!
//! Made by the network for each `to` of a plan. It writes nothing: the points of all `to()` of a script are handed back
//! when the whole script has succeeded.

mod names;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, BooleanArray};
use arrow::compute::filter;
use parking_lot::Mutex;

use self::names::{NameCache, NameOf, bytes_of};
use super::field_fn::{FieldFn, Made, columns_read};
use super::{BucketWrite, Memory, refusal};
use crate::error::{Error, Result};
use crate::operators::{Operator, Out};
use crate::plan::ToSpec;
use crate::point::{FieldValue, Point};
use crate::table::pool::{Kept, Reservation};
use crate::table::{Cell, Chunk, Column, ColumnType, ColumnView, Name, Place, Segment, Shape, TableId};

/// The points that all `to()` of a script have staged so far.
pub struct Staging {
    /// One per `to()`, in program order.
    staged: Vec<Arc<Mutex<Staged>>>,
    points: Arc<AtomicUsize>,
    max_points: usize,
    memory: Memory,
}

/// What one `to()` has staged.
struct Staged {
    spec: Arc<ToSpec>,
    points: Vec<Point>,
    /// Where the points of a table's part begin. Parts may have come in any order; table ids tell the logical one.
    parts: Vec<(TableId, usize)>,
    skipped: Skipped,
    /// What the points take beside their place in the list, in bytes.
    bytes: usize,
    held: Reservation,
}

impl Staging {
    /// An empty staging that refuses more points than these, or than memory has room for.
    pub fn new(max_points: usize, memory: Memory) -> Staging {
        Staging { staged: Vec::new(), points: Arc::default(), max_points, memory }
    }

    /// The operator of the next `to()` of the script. Without `stage` it only passes rows on.
    pub fn operator(&mut self, spec: &Arc<ToSpec>, stage: bool) -> Result<To> {
        let (spec, points, max_points) = (Arc::clone(spec), Arc::clone(&self.points), self.max_points);
        let staged = Staged {
            spec: Arc::clone(&spec),
            points: Vec::new(),
            parts: Vec::new(),
            skipped: Skipped::default(),
            bytes: 0,
            held: self.memory.reservation(),
        };
        let staged = stage.then(|| Arc::new(Mutex::new(staged)));
        self.staged.extend(staged.clone());
        let field_fn = spec.field_fn.as_ref().map(FieldFn::new).transpose()?;
        Ok(To { spec, staged, points, max_points, layout: None, field_fn })
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
    ///
    /// With them comes the memory that they take: it is given back when that is dropped.
    pub fn take_writes(&mut self) -> (Vec<BucketWrite>, Kept) {
        let mut writes: Vec<BucketWrite> = Vec::new();
        let mut kept = Kept::default();
        for staged in std::mem::take(&mut self.staged) {
            let mut staged = staged.lock();
            kept.keep(std::mem::replace(&mut staged.held, self.memory.reservation()));
            let mut points = staged.take_points();
            match writes.iter_mut().find(|write| write.bucket == staged.spec.bucket) {
                Some(write) => write.points.append(&mut points),
                None => {
                    let (bucket, bucket_name) = (staged.spec.bucket.clone(), staged.spec.bucket_name.clone());
                    writes.push(BucketWrite { bucket, bucket_name, points });
                }
            }
        }
        (writes, kept)
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

    /// Takes of the run's memory what the points take.
    fn settle(&mut self) -> Result<()> {
        let list = self.points.capacity() * size_of::<Point>() + self.parts.capacity() * size_of::<(TableId, usize)>();
        let bytes = list + self.bytes;
        self.held.set(bytes).map_err(|full| refusal("to wants", bytes, full))
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
    field_fn: Option<FieldFn>,
}

impl Operator for To {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let layout = match self.layout.take() {
            Some(layout) if Arc::ptr_eq(&layout.shape, &chunk.shape) => layout,
            _ => Layout::new(&self.spec, &chunk.shape)?,
        };
        let chunk = with_times(chunk, layout.time)?;
        if let Some(staged) = self.staged.clone() {
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
    fn stage(&mut self, staged: &mut Staged, layout: &Layout, chunk: &Chunk) -> Result<()> {
        let mut names = NameCache::default();
        let before = staged.points.len();
        let mut made = self.field_fn.as_mut().map(|field_fn| {
            let made = field_fn.of_chunk(chunk);
            (field_fn, made)
        });
        for (table, (segment, rows)) in chunk.tables().enumerate() {
            if !rows.is_empty() {
                staged.parts.push((segment.table, staged.points.len()));
            }
            for row in rows {
                let cells = Cells { chunk, table, segment: &segment, row };
                let made = made.as_mut().map(|(field_fn, made)| (&mut **field_fn, &*made));
                if let Some(point) = layout.point(&cells, made, &mut names, &mut staged.skipped)? {
                    staged.bytes += bytes_of(&point);
                    staged.points.push(point);
                }
            }
        }
        staged.bytes += names.bytes;
        staged.settle()?;
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

/// Where the fields of a row come from.
enum Fields {
    /// `_field` and `_value`.
    Narrow(Place, Place),
    /// A column each.
    Wide(Vec<(Name, Place)>),
    /// A `fieldFn` makes them.
    Function,
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
        let (tags, fields) = if spec.wide {
            let (tags, fields) = wide_columns(spec, shape)?;
            (tags, Fields::Wide(fields))
        } else if spec.field_fn.is_some() {
            (tag_columns(spec, shape)?, Fields::Function)
        } else {
            let (field, value) = narrow_fields(shape)?;
            (tag_columns(spec, shape)?, Fields::Narrow(field, value))
        };
        Ok(Layout { shape: Arc::clone(shape), measurement: measurement.place, time: time.place, tags, fields })
    }

    /// The point of a row; `None` if the row makes none.
    fn point(
        &self,
        cells: &Cells<'_>,
        made: Option<(&mut FieldFn, &Made)>,
        names: &mut NameCache,
        skipped: &mut Skipped,
    ) -> Result<Option<Point>> {
        let Some(time_ns) = cells.time(self.time) else { return Ok(None) };
        let Some(measurement) = cells.string(self.measurement).filter(|name| !name.is_empty()) else {
            skipped.measurement += 1;
            return Ok(None);
        };
        let fields = match (&self.fields, made) {
            (Fields::Narrow(field, value), _) => match cells.string(*field) {
                Some(field) => narrow_field(cells, field, *value, names)?,
                None => {
                    skipped.field += 1;
                    return Ok(None);
                }
            },
            (Fields::Wide(columns), _) => {
                let field = |(name, place): &(Name, Place)| Some((name.clone(), field_value(cells.cell(*place))?));
                columns.iter().filter_map(field).collect()
            }
            (Fields::Function, Some((field_fn, made))) => field_fn.fields(made, cells)?,
            (Fields::Function, None) => return Err(Error::internal("to without fields")),
        };
        if fields.is_empty() {
            return Ok(None);
        }
        let mut tags = Vec::with_capacity(self.tags.len());
        for (position, (key, place)) in self.tags.iter().enumerate() {
            if let Some(value) = cells.string(*place).filter(|value| !value.is_empty()) {
                tags.push((key.clone(), names.name(NameOf::Tag(position), value)));
            }
        }
        let measurement = names.name(NameOf::Measurement, measurement);
        Ok(Some(Point { measurement, tags, fields, time_ns }))
    }
}

/// `{<_field>: _value}`, or nothing where the value makes no field.
fn narrow_field(
    cells: &Cells<'_>,
    field: &str,
    value: Place,
    names: &mut NameCache,
) -> Result<Vec<(Name, FieldValue)>> {
    let Some(value) = field_value(cells.cell(value)) else { return Ok(Vec::new()) };
    if field.is_empty() {
        return Err(Error::failed_precondition("all fields must have non-empty names"));
    }
    Ok(vec![(names.name(NameOf::Field, field), value)])
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

fn narrow_fields(shape: &Shape) -> Result<(Place, Place)> {
    let column = |label: &str| {
        shape.column(label).ok_or_else(|| {
            Error::failed_precondition(format!("table has no {label} column"))
                .with_hint("after pivot, name the fields with fieldFn: (r) => ({name: r.name})")
        })
    };
    let field = column("_field")?;
    expect_type(field, ColumnType::String)?;
    Ok((field.place, column("_value")?.place))
}

/// Columns by name and where they stand.
type Placed = Vec<(Name, Place)>;

/// The tags and fields of pivoted rows (flux-semantics 5.4): the columns of the key, sorted, and all others.
fn wide_columns(spec: &ToSpec, shape: &Shape) -> Result<(Placed, Placed)> {
    let measurement = &spec.measurement_column;
    if !shape.is_key(measurement) {
        return Err(Error::failed_precondition(format!("required column {:?} not in group key", &**measurement))
            .with_hint(
                "wideTo takes tags and measurement from the group key: group(columns: [\"_measurement\", ...])",
            ));
    }
    let (mut tags, mut fields) = (Vec::new(), Vec::new());
    for column in &shape.columns {
        let bound = matches!(&*column.name, "_start" | "_stop");
        if bound || column.name == *measurement || column.name == spec.time_column {
            continue;
        }
        if matches!(column.place, Place::Row(_)) {
            fields.push((column.name.clone(), column.place));
            continue;
        }
        if &*column.name == "_field" {
            return Err(Error::failed_precondition(
                "found column \"_field\" in the group key; wideTo() expects pivoted data",
            )
            .with_hint("pivot first, as schema.fieldsAsCols() does it, or write with to()"));
        }
        if column.column_type != ColumnType::String {
            return Err(Error::failed_precondition(format!(
                "group key column {:?} has type {}; type string is required",
                &*column.name,
                column.column_type.flux_name()
            ))
            .with_hint("the key's columns become tags: group by others, or convert the column to a string"));
        }
        tags.push((column.name.clone(), column.place));
    }
    tags.sort_by(|left, right| left.0.cmp(&right.0));
    Ok((tags, fields))
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
            let read = spec.field_fn.as_ref().map(|function| columns_read(&function.closure.function));
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

/// The cells of one row.
pub(super) struct Cells<'a> {
    pub(super) chunk: &'a Chunk,
    /// Where the segment stands in the chunk.
    pub(super) table: usize,
    pub(super) segment: &'a Segment,
    pub(super) row: usize,
}

impl<'a> Cells<'a> {
    fn cell(&self, place: Place) -> Cell<'a> {
        match place {
            Place::Key(column) => {
                ColumnView::of(self.chunk.keys.columns[column as usize].as_ref()).cell(self.segment.key_row as usize)
            }
            Place::Row(column) => ColumnView::of(self.chunk.rows[column as usize].as_ref()).cell(self.row),
        }
    }

    fn string(&self, place: Place) -> Option<&'a str> {
        if let Cell::String(text) = self.cell(place) { Some(text) } else { None }
    }

    fn time(&self, place: Place) -> Option<i64> {
        if let Cell::Time(time_ns) = self.cell(place) { Some(time_ns) } else { None }
    }
}

/// A cell as a field's value: nulls and floats that are not finite make no field, a time becomes its nanoseconds.
fn field_value(cell: Cell<'_>) -> Option<FieldValue> {
    Some(match cell {
        Cell::Null => return None,
        Cell::Bool(value) => FieldValue::Bool(value),
        Cell::Int(value) | Cell::Time(value) => FieldValue::Int(value),
        Cell::UInt(value) => FieldValue::UInt(value),
        Cell::Float(value) if value.is_finite() => FieldValue::Float(value),
        Cell::Float(_) => return None,
        Cell::String(value) => FieldValue::String(value.into()),
    })
}

/// Rows that made no point although a point was meant.
#[derive(Default)]
struct Skipped {
    measurement: u64,
    field: u64,
}

#[cfg(test)]
mod tests;
