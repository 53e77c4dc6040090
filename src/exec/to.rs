//! `to()`: turns rows into points of a bucket, stages them, and passes the rows on (flux-semantics 5.3).
//!
//! Made by the network for each `to` of a plan. It writes nothing to a bucket: the points of all `to()` of a script are handed back
//! when the whole script has succeeded.

mod names;
mod staging;

pub use self::staging::Staging;

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::compute::filter;
use parking_lot::Mutex;

use self::names::{NameCache, NameOf};
use self::staging::{PointLimit, Skipped, Staged};
use super::field_fn::{FieldFn, Made, columns_read};
use crate::error::{Error, Result};
use crate::operators::{Operator, Out};
use crate::plan::ToSpec;
use crate::point::{FieldValue, Point};
use crate::table::spill::SpillSpace;
use crate::table::{Cell, Chunk, Column, ColumnType, ColumnView, Name, Place, Segment, Shape};

/// A running `to()`.
pub struct To {
    spec: Arc<ToSpec>,
    staged: Option<Arc<Mutex<Staged>>>,
    limit: PointLimit,
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

    fn memory(&self) -> usize {
        self.staged.as_ref().map_or(0, |staged| staged.lock().memory())
    }

    fn relieve(&mut self, space: &SpillSpace) -> Result<bool> {
        self.staged.as_ref().map_or(Ok(false), |staged| staged.lock().relieve(space))
    }
}

impl To {
    fn stage(&mut self, staged: &mut Staged, layout: &Layout, chunk: &Chunk) -> Result<()> {
        let mut names = NameCache::default();
        let before = staged.len();
        let mut made = self.field_fn.as_mut().map(|field_fn| {
            let made = field_fn.of_chunk(chunk);
            (field_fn, made)
        });
        for (table, (segment, rows)) in chunk.tables().enumerate() {
            if !rows.is_empty() {
                staged.begin_part(segment.table);
            }
            for row in rows {
                let cells = Cells { chunk, table, segment: &segment, row };
                let made = made.as_mut().map(|(field_fn, made)| (&mut **field_fn, &*made));
                if let Some(point) = layout.point(&cells, made, &mut names, &mut staged.skipped)? {
                    staged.push(point);
                }
            }
        }
        staged.count_names(&names);
        self.limit.count(staged.len() - before)
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

#[cfg(test)]
mod tests;
