//! A measurement as one wide table: a row per point, a column per tag and field, absent values null.
//!
//! Opened by SQL (`engine::sql`). The rows are those that Flux reads and pivots: the same snapshot, the same merge (the
//! newest version wins per field, deletes and retention applied), the same stretches. Nothing here knows SQL.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, TimestampNanosecondArray, new_null_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use hashbrown::{HashMap, HashSet};

use super::super::Store;
use super::super::columns::FieldId;
use super::super::files::{TIME, hashed_name};
use super::super::merge::Gather;
use super::super::predicate::IdentityFilter;
use super::super::table::TableView;
use super::snapshot::Snapshot;
use super::table_plan::{TablePlan, TableScan};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::table::ColumnType;
use crate::table::scan::{Bounds, Predicate};

/// Most rows of a batch.
const BATCH_ROWS: usize = 8_192;
/// A stretch that is full of rows has this many fields; with more fields it has fewer rows.
const STRETCH_FIELDS: u64 = 4;
/// Stretches that are read while another's rows are given.
const READ_AHEAD: usize = 2;

/// What stands in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WideKind {
    /// The point's time.
    Time,
    /// The values of the tag of this key.
    Tag(Name),
    /// The values of the field of this name.
    Field(Name),
}

/// A column of a [`WideTable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WideColumn {
    /// Its name, unique in the table: the name of the tag or field. A field that is named as a tag, and a tag or field
    /// that is named `time`, has the name that its column has in files where its own is taken (`time__1a2b3c4d`).
    pub name: Name,
    /// What stands in it.
    pub kind: WideKind,
    /// The type of its values.
    pub column_type: ColumnType,
    /// Of a field, its place among the fields.
    field: Option<FieldId>,
}

/// A measurement of a bucket as a snapshot has it.
pub struct WideTable {
    view: TableView,
    keep_from_ns: i64,
    stretch_rows: u64,
    columns: Vec<WideColumn>,
    /// Every version of a point has a value of some field, whichever are read: no field ever had another type, whose
    /// values may have been lost.
    rows_have_values: bool,
}

impl std::fmt::Debug for WideTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WideTable").field("columns", &self.columns).finish_non_exhaustive()
    }
}

impl Store {
    /// The measurements of a bucket as a snapshot has it, by name.
    ///
    /// Errors: `NotFound` when the bucket does not exist.
    pub fn measurements_at(&self, snapshot: &Snapshot, bucket: &Name) -> Result<Vec<Name>> {
        let pinned = snapshot.bucket(self, bucket)?;
        Ok(pinned.tables.iter().map(|table| table.measurement.clone()).collect())
    }

    /// A measurement of a bucket as a snapshot has it; `None` if there is none of that name. It reads nothing yet.
    ///
    /// Errors: `NotFound` when the bucket does not exist.
    pub fn wide_table(&self, snapshot: &Snapshot, bucket: &Name, measurement: &str) -> Result<Option<WideTable>> {
        let pinned = snapshot.bucket(self, bucket)?;
        let Some(table) = pinned.tables.iter().find(|table| &*table.measurement == measurement) else {
            return Ok(None);
        };
        let view = pinned.view(table, false)?;
        let stretch_rows = self.options.scan_stretch_rows;
        Ok(Some(WideTable::new(view, pinned.keep_from_ns, stretch_rows)))
    }
}

impl WideTable {
    fn new(view: TableView, keep_from_ns: i64, stretch_rows: u64) -> Self {
        let mut columns =
            vec![WideColumn { name: TIME.into(), kind: WideKind::Time, column_type: ColumnType::Time, field: None }];
        let mut taken: HashSet<Name> = HashSet::from([TIME.into()]);
        let mut free = |name: &Name, is_tag: bool| match taken.insert(name.clone()) {
            true => name.clone(),
            false => {
                let hashed: Name = hashed_name(name, is_tag).into();
                taken.insert(hashed.clone());
                hashed
            }
        };
        for tag in view.columns.tags() {
            let (name, kind) = (free(tag, true), WideKind::Tag(tag.clone()));
            columns.push(WideColumn { name, kind, column_type: ColumnType::String, field: None });
        }
        for (id, field) in (0..).zip(view.columns.fields()) {
            let (name, kind) = (free(&field.name, false), WideKind::Field(field.name.clone()));
            columns.push(WideColumn { name, kind, column_type: field.column_type, field: Some(id) });
        }
        let rows_have_values = view.columns.fields().iter().all(|field| field.former.is_empty());
        WideTable { view, keep_from_ns, stretch_rows, columns, rows_have_values }
    }

    /// The columns: `time`, the tags and then the fields in the order in which they first came.
    pub fn columns(&self) -> &[WideColumn] {
        &self.columns
    }

    /// The columns as Arrow has them.
    pub fn schema(&self) -> SchemaRef {
        schema(&self.columns)
    }

    /// The same, read in stretches of another size.
    #[cfg(test)]
    pub(crate) fn in_stretches(self, stretch_rows: u64) -> Self {
        WideTable { stretch_rows, ..self }
    }

    /// Whether a scan decides a predicate, as [`Predicate`] says that it is to be decided: one over tags or over the time.
    pub fn decides(predicate: &Predicate) -> bool {
        filter_of(std::slice::from_ref(predicate)).is_some()
    }

    /// The rows within bounds for which all predicates hold: series after series, each by time. `columns` are places in
    /// [`WideTable::columns`], in the order that is wanted; there may be none. What is not asked for is not read.
    ///
    /// Errors: Invalid for a predicate that [`WideTable::decides`] refuses; in the stream, what reading files gives.
    pub fn scan(
        &self,
        columns: &[usize],
        bounds: Bounds,
        predicates: &[Predicate],
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let Some(filter) = filter_of(predicates) else {
            return Err(Error::invalid("a scan was given a condition that it cannot decide"));
        };
        let columns: Vec<WideColumn> = columns.iter().map(|place| self.columns[*place].clone()).collect();
        let mut fields: Vec<FieldId> = match self.rows_have_values {
            true => columns.iter().filter_map(|column| column.field).collect(),
            // Which rows there are only all fields together say.
            false => (0..self.view.columns.fields().len() as FieldId).collect(),
        };
        fields.sort_unstable();
        fields.dedup();
        let kept = Bounds { start_ns: bounds.start_ns.max(self.keep_from_ns), ..bounds };
        let schema = schema(&columns);
        let what = Wanted { columns, schema, fields, filter, kept, rows_have_values: self.rows_have_values };
        let (view, stretch_rows) = (self.view.clone(), self.stretch_rows);
        let plans = stream::once(open(view, what, stretch_rows)).try_flatten();
        Ok(plans.map_ok(stream::iter).try_flatten().boxed())
    }
}

/// The filter that predicates make; `None` if a scan of wide rows cannot decide one of them.
fn filter_of(predicates: &[Predicate]) -> Option<IdentityFilter> {
    let mut filter = IdentityFilter::default();
    let added = predicates.iter().all(|predicate| filter.add(predicate));
    let of_rows = filter.of_measurement.is_empty() && filter.of_field.is_empty() && filter.of_both.is_empty();
    (added && of_rows).then_some(filter)
}

fn schema(columns: &[WideColumn]) -> SchemaRef {
    let field = |column: &WideColumn| {
        Field::new(column.name.to_string(), column.column_type.arrow(), column.kind != WideKind::Time)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// What a scan gives.
struct Wanted {
    columns: Vec<WideColumn>,
    schema: SchemaRef,
    /// The fields that are read.
    fields: Vec<FieldId>,
    filter: IdentityFilter,
    kept: Bounds,
    rows_have_values: bool,
}

/// Finds out how much there is to read, and reads it stretch by stretch on other threads.
async fn open(
    view: TableView,
    what: Wanted,
    stretch_rows: u64,
) -> Result<impl stream::Stream<Item = Result<Batches>> + Send> {
    let scan = TableScan::open_fields(view, what.fields.clone(), &what.filter, what.kept).await?;
    let fields = (what.fields.len() as u64).max(STRETCH_FIELDS);
    let stretches = scan.stretches(stretch_rows.saturating_mul(STRETCH_FIELDS) / fields);
    let shared = Arc::new((scan, what));
    let read = move |series: Range<u32>| {
        let shared = Arc::clone(&shared);
        let reading = tokio::spawn(async move {
            let (scan, what) = &*shared;
            let mut plan = scan.read_rows(&what.fields, series, &what.filter, what.kept, None).await?;
            if !what.rows_have_values {
                let all: Vec<u32> = (0..plan.fields.len() as u32).collect();
                let present = vec![all; plan.series.len()];
                plan.drop_empty_rows(&present);
            }
            let (columns, schema) = (what.columns.clone(), Arc::clone(&what.schema));
            Ok(Batches { plan, columns, schema, next: 0, series: 0 })
        });
        async move { reading.await.map_err(|error| Error::internal(format!("a part of a scan ended early: {error}")))? }
    };
    Ok(stream::iter(stretches).map(read).buffered(READ_AHEAD))
}

/// The rows of a stretch, batch by batch.
struct Batches {
    plan: TablePlan,
    columns: Vec<WideColumn>,
    schema: SchemaRef,
    /// The next row.
    next: usize,
    /// The series that it is of, or one before.
    series: usize,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.plan.merged.times.len().min(self.next + BATCH_ROWS);
        if self.next >= end {
            return None;
        }
        let rows = self.next..end;
        self.next = end;
        Some(self.batch(rows))
    }
}

impl Batches {
    fn batch(&mut self, rows: Range<usize>) -> Result<RecordBatch> {
        let parts = self.parts(&rows);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            arrays.push(match &column.kind {
                WideKind::Time => {
                    Arc::new(TimestampNanosecondArray::from(self.plan.merged.times[rows.clone()].to_vec()))
                }
                WideKind::Tag(key) => self.tag(key, &parts)?,
                WideKind::Field(_) => self.field(column, rows.clone())?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?)
    }

    /// The series of a range of rows, each with how many of the rows are its own.
    fn parts(&mut self, rows: &Range<usize>) -> Vec<(usize, usize)> {
        let mut parts = Vec::new();
        let mut at = rows.start;
        while at < rows.end {
            let of_series = &self.plan.series[self.series].rows;
            if of_series.end <= at {
                self.series += 1;
                continue;
            }
            let end = of_series.end.min(rows.end);
            parts.push((self.series, end - at));
            at = end;
        }
        parts
    }

    fn tag(&self, key: &Name, parts: &[(usize, usize)]) -> Result<ArrayRef> {
        let mut gather = Gather::new(ColumnType::String);
        // Series with the same tag keys share columns of values.
        let mut arrays: HashMap<u32, usize> = HashMap::new();
        for (series, count) in parts {
            let series = &self.plan.series[*series];
            let array = *arrays.entry(series.group).or_insert_with(|| {
                let group = &self.plan.order.groups[series.group as usize];
                let place = group.keys.iter().position(|own| own == key);
                place.map_or(0, |place| gather.add_array(Arc::clone(&group.values[place]) as ArrayRef))
            });
            // Where the group has no such tag, the array of one null stands in.
            let row = if array == 0 { 0 } else { series.row as usize };
            (0..*count).for_each(|_| gather.push(array, row));
        }
        gather.finish()
    }

    fn field(&self, column: &WideColumn, rows: Range<usize>) -> Result<ArrayRef> {
        let planned = self.plan.fields.iter().find(|planned| Some(planned.id) == column.field);
        let Some(planned) = planned else { return Ok(new_null_array(&column.column_type.arrow(), rows.len())) };
        let mut gather = Gather::new(column.column_type);
        let arrays = planned.columns.add_to(&mut gather);
        planned.columns.for_each(&self.plan.merged, rows, |_, at| {
            gather.push_at(&arrays, at);
            true
        });
        gather.finish()
    }
}
