//! One table of a scan: the series that are asked for, and their rows in the range, merged.
//!
//! Made when a scan starts; read by the emitter. Filters on the series and on the time are done here.

use std::ops::Range;
use std::sync::Arc;

use super::super::columns::{Field, FieldId};
use super::super::deletes::Masks;
use super::super::files::DataFile;
use super::super::merge::{FieldColumns, MergedRows, Part};
use super::super::predicate::{Identity, IdentityFilter, all_hold, all_hold_at};
use super::super::run::{Run, SeriesRows};
use super::super::series::{SeriesId, SeriesOrder, TagGroup};
use super::super::table::TableView;
use super::remembered::Remembered;
use super::{Pick, Picked, holds_for_field};
use crate::error::Result;
use crate::name::Name;
use crate::table::ColumnType;
use crate::table::scan::Bounds;

/// A series with rows in the range.
#[derive(Clone, Debug)]
pub(super) struct PlannedSeries {
    /// The group of series with the same tag keys, and the row in it.
    pub(super) group: u32,
    pub(super) row: u32,
    /// Its merged rows.
    pub(super) rows: Range<usize>,
}

/// A field that is asked for.
#[derive(Debug)]
pub(super) struct PlannedField {
    pub(super) id: FieldId,
    pub(super) name: Name,
    pub(super) column_type: ColumnType,
    pub(super) columns: FieldColumns,
}

/// What a scan gives of one measurement.
pub(super) struct TablePlan {
    pub(super) measurement: Name,
    pub(super) order: Arc<SeriesOrder>,
    /// Ascending by tags.
    pub(super) series: Vec<PlannedSeries>,
    /// Ascending by name.
    pub(super) fields: Vec<PlannedField>,
    pub(super) merged: MergedRows,
}

/// What a scan wants of a table: the series, the fields, and the files that may have them. It is read in one go or, where
/// that would be too much at once, in stretches of series.
pub(super) struct TableScan {
    view: TableView,
    /// Ascending by name.
    pub(super) fields: Vec<FieldId>,
    files: Vec<Arc<DataFile>>,
    selection: Selection,
    /// At most so many rows has each series in the range, by its place in the order; 0 where it is not wanted.
    rows: Vec<u32>,
}

/// The series of a measurement that are asked for.
pub(super) struct Selection {
    pub(super) order: Arc<SeriesOrder>,
    /// For each series its place in the order, or [`NOT_WANTED`].
    places: Arc<[u32]>,
    /// Places in the order that are looked at.
    within: Range<u32>,
}

const NOT_WANTED: u32 = u32::MAX;

impl Selection {
    fn new(order: Arc<SeriesOrder>, measurement: &str, filter: &IdentityFilter) -> Self {
        let mut places = vec![NOT_WANTED; order.sorted.len()];
        for (place, one) in order.sorted.iter().enumerate() {
            let group = &order.groups[one.group as usize];
            if filter.of_series.is_empty() || holds(&filter.of_series, measurement, "", group, one.row) {
                places[one.series as usize] = place as u32;
            }
        }
        let within = 0..order.sorted.len() as u32;
        Selection { order, places: places.into(), within }
    }

    pub(super) fn place(&self, series: SeriesId) -> Option<u32> {
        self.places.get(series as usize).copied().filter(|place| self.within.contains(place))
    }

    /// Of those, the series at some places of the order.
    fn of(&self, within: Range<u32>) -> Self {
        Selection { order: Arc::clone(&self.order), places: Arc::clone(&self.places), within }
    }
}

impl TableScan {
    /// What a scan wants of a table: `None` if there is nothing.
    pub(super) async fn open(view: TableView, filter: &IdentityFilter, bounds: Bounds) -> Result<Option<Self>> {
        let measurement = &view.table.measurement;
        let mut fields: Vec<(FieldId, &Field)> = (0..).zip(view.columns.fields()).collect();
        fields.retain(|(_, field)| holds_for_field(filter, measurement, &field.name));
        fields.sort_by(|left, right| left.1.name.cmp(&right.1.name));
        if fields.is_empty() {
            return Ok(None);
        }
        let fields = fields.into_iter().map(|(id, _)| id).collect();
        Self::open_fields(view, fields, filter, bounds).await.map(Some)
    }

    /// The same for fields that are known already, or for none: then only the times of rows are read.
    pub(super) async fn open_fields(
        view: TableView,
        fields: Vec<FieldId>,
        filter: &IdentityFilter,
        bounds: Bounds,
    ) -> Result<Self> {
        let measurement = &view.table.measurement;
        // Series of files become known first, so that the order has them all.
        let files = view.files_within(bounds).await?;
        let selection = Selection::new(view.table.series_order(), measurement, filter);
        let mut rows = vec![0u32; selection.order.sorted.len()];
        let of_files = files.iter().flat_map(|file| file.known_series());
        for one in view.runs.iter().flat_map(|run| &run.series).chain(of_files) {
            if let Some(place) = selection.place(one.series) {
                let rows = &mut rows[place as usize];
                *rows = rows.saturating_add(one.end - one.start);
            }
        }
        Ok(TableScan { view, fields, files, selection, rows })
    }

    /// The most rows that it can have.
    pub(super) fn most_rows(&self) -> u64 {
        self.rows.iter().map(|rows| u64::from(*rows)).sum()
    }

    /// All of its series: places in their order.
    pub(super) fn all(&self) -> Range<u32> {
        0..self.rows.len() as u32
    }

    /// Stretches of series, in order, of about so many rows each; a series is never split.
    pub(super) fn stretches(&self, rows: u64) -> Vec<Range<u32>> {
        let mut stretches = Vec::new();
        let mut start = 0;
        let mut sum = 0;
        for (place, of_series) in (0..).zip(&self.rows) {
            if sum > 0 && sum + u64::from(*of_series) > rows {
                stretches.push(start..place);
                (start, sum) = (place, 0);
            }
            sum += u64::from(*of_series);
        }
        if sum > 0 {
            stretches.push(start..self.rows.len() as u32);
        }
        stretches
    }

    /// The order of the series.
    pub(super) fn order(&self) -> &SeriesOrder {
        &self.selection.order
    }

    /// The name of a field.
    pub(super) fn field_name(&self, field: FieldId) -> &Name {
        &self.view.columns.fields()[field as usize].name
    }

    /// Reads some of the series and fields: `None` if there is nothing.
    pub(super) async fn read(
        &self,
        fields: &[FieldId],
        series: Range<u32>,
        filter: &IdentityFilter,
        bounds: Bounds,
        pick: Option<&Picked>,
    ) -> Result<Option<TablePlan>> {
        let plan = self.read_rows(fields, series, filter, bounds, pick).await?;
        Ok((!plan.series.is_empty() && !plan.fields.is_empty()).then_some(plan))
    }

    /// Reads the rows of some of the series, whether some of the fields have a value in them or not.
    pub(super) async fn read_rows(
        &self,
        fields: &[FieldId],
        series: Range<u32>,
        filter: &IdentityFilter,
        bounds: Bounds,
        pick: Option<&Picked>,
    ) -> Result<TablePlan> {
        let (view, files) = (&self.view, &self.files);
        let measurement = &view.table.measurement;
        let selection = self.selection.of(series);

        let masks = view.masks.within(measurement, bounds);
        // What is remembered does not know of deletes.
        let deleted = !masks.is_empty()
            || view.runs.iter().any(|run| run.deletes)
            || files.iter().any(|file| file.holds_deletes());
        let last = pick.filter(|pick| pick.which == Pick::Last && filter.of_time.is_empty() && !deleted);
        let remembered = match (&view.latest, last) {
            (Some(latest), Some(last)) => Remembered::new(latest, &selection, fields, view, bounds, &last.column)?,
            _ => Remembered::default(),
        };
        let wanted = |series: SeriesId| selection.place(series).is_some() && !remembered.has(series);
        let mut runs = Vec::new();
        if !remembered.all {
            runs = view.read_files(files, &wanted, bounds, fields).await?;
            runs.extend(view.runs.iter().cloned());
        }
        let remembered_run = runs.len();
        runs.extend(remembered.run.iter().cloned());

        let mut plan = TablePlan {
            measurement: measurement.clone(),
            order: Arc::clone(&selection.order),
            series: Vec::new(),
            fields: Vec::new(),
            merged: MergedRows::default(),
        };
        let counts = |run: usize, series: SeriesId| (run == remembered_run) == remembered.has(series);
        plan.merge(&runs, &selection, filter, bounds, (&masks, counts));
        for id in fields {
            if runs.iter().any(|run| run.column(*id as usize).is_some()) {
                let field = &view.columns.fields()[*id as usize];
                let columns = FieldColumns::new(&runs, *id as usize);
                let (name, column_type) = (field.name.clone(), field.column_type);
                plan.fields.push(PlannedField { id: *id, name, column_type, columns });
            }
        }
        Ok(plan)
    }
}

impl TablePlan {
    /// The tags of a series.
    pub(super) fn tags(&self, series: &PlannedSeries) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.order.groups[series.group as usize].tags(series.row)
    }

    /// Whether the conditions on fields and tags together hold.
    pub(super) fn holds_for_both(&self, filter: &IdentityFilter, series: &PlannedSeries, field: &str) -> bool {
        let group = &self.order.groups[series.group as usize];
        filter.of_both.is_empty() || holds(&filter.of_both, &self.measurement, field, group, series.row)
    }

    /// Leaves out merged rows in which none of the series' present fields has a value.
    pub(super) fn drop_empty_rows(&mut self, present: &[Vec<u32>]) {
        let mut keep = vec![false; self.merged.times.len()];
        for (series, present) in self.series.iter().zip(present) {
            for field in present {
                let columns = &self.fields[*field as usize].columns;
                columns.for_each(&self.merged, series.rows.clone(), |row, at| {
                    keep[row] |= at.is_some();
                    true
                });
            }
        }
        self.merged.retain(0, |row, _| keep[row]);
        let mut kept = 0;
        for series in &mut self.series {
            let start = kept;
            kept += keep[series.rows.clone()].iter().filter(|keep| **keep).count();
            series.rows = start..kept;
        }
    }

    /// Merges the rows of the series that are asked for, series after series; `counts` says whether a run is to be looked at
    /// for a series.
    fn merge(
        &mut self,
        runs: &[Arc<Run>],
        selection: &Selection,
        filter: &IdentityFilter,
        bounds: Bounds,
        (masks, counts): (&Masks, impl Fn(usize, SeriesId) -> bool),
    ) {
        let mut parts: Vec<(u32, Part)> = Vec::new();
        for (run_index, run) in runs.iter().enumerate() {
            for rows in run.series.iter().filter(|rows| counts(run_index, rows.series)) {
                let Some(place) = selection.place(rows.series) else { continue };
                let within = run.rows_within(*rows, bounds.start_ns, bounds.stop_ns);
                if !within.is_empty() {
                    let rows = SeriesRows { series: rows.series, start: within.start, end: within.end };
                    parts.push((place, Part { run: run_index as u32, rows }));
                }
            }
        }
        parts.sort_by_key(|(place, _)| *place);
        let mut of_series: Vec<Part> = Vec::new();
        for same in parts.chunk_by(|left, right| left.0 == right.0) {
            of_series.clear();
            of_series.extend(same.iter().map(|(_, part)| *part));
            let start = self.merged.times.len();
            let one = self.order.sorted[same[0].0 as usize];
            let hidden = if masks.is_empty() {
                Vec::new()
            } else {
                let group = &self.order.groups[one.group as usize];
                masks.of_series(&self.measurement, |key| group.tag(key, one.row))
            };
            self.merged.add_points(runs, &mut of_series, &hidden);
            if !filter.of_time.is_empty() {
                self.merged.retain(start, |_, time_ns| all_hold_at(&filter.of_time, time_ns));
            }
            if self.merged.times.len() > start {
                let rows = start..self.merged.times.len();
                self.series.push(PlannedSeries { group: one.group, row: one.row, rows });
            }
        }
    }
}

fn holds(
    predicates: &[crate::table::scan::Predicate],
    measurement: &str,
    field: &str,
    group: &TagGroup,
    row: u32,
) -> bool {
    all_hold(predicates, &Identity { measurement, field, tag: &|key| group.tag(key, row), time_ns: 0 })
}
