//! One table of a scan: the series that are asked for, and their rows in the range, merged.
//!
//! Made when a scan starts; read by the emitter. Filters on the series and on the time are done here.

use std::sync::Arc;

use super::super::columns::FieldId;
use super::super::merge::{FieldColumns, MergedRows, Part};
use super::super::predicate::{Identity, IdentityFilter, all_hold, all_hold_at};
use super::super::run::{Run, SeriesRows};
use super::super::series::{SeriesOrder, TagGroup};
use super::super::table::TableView;
use super::holds_for_field;
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
    pub(super) rows: std::ops::Range<usize>,
}

/// A field that is asked for.
#[derive(Debug)]
pub(super) struct PlannedField {
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

impl TablePlan {
    pub(super) fn new(view: TableView, filter: &IdentityFilter, bounds: Bounds) -> Self {
        let mut fields: Vec<(FieldId, &super::super::columns::Field)> = (0..).zip(view.columns.fields()).collect();
        fields.retain(|(id, field)| {
            holds_for_field(filter, &view.measurement, &field.name)
                && view.runs.iter().any(|run| run.column(*id as usize).is_some())
        });
        fields.sort_by(|left, right| left.1.name.cmp(&right.1.name));
        let fields = fields
            .into_iter()
            .map(|(id, field)| PlannedField {
                name: field.name.clone(),
                column_type: field.column_type,
                columns: FieldColumns::new(&view.runs, id as usize),
            })
            .collect();
        let mut plan = TablePlan {
            measurement: view.measurement,
            order: view.series,
            series: Vec::new(),
            fields,
            merged: MergedRows::default(),
        };
        plan.merge(&view.runs, filter, bounds);
        plan
    }

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

    /// Finds the series that are asked for and merges their rows, series after series.
    fn merge(&mut self, runs: &[Arc<Run>], filter: &IdentityFilter, bounds: Bounds) {
        const NOT_WANTED: u32 = u32::MAX;
        let mut place_of = vec![NOT_WANTED; self.order.sorted.len()];
        for (place, one) in self.order.sorted.iter().enumerate() {
            let group = &self.order.groups[one.group as usize];
            if filter.of_series.is_empty() || holds(&filter.of_series, &self.measurement, "", group, one.row) {
                place_of[one.series as usize] = place as u32;
            }
        }
        let mut parts: Vec<(u32, Part)> = Vec::new();
        for (run_index, run) in runs.iter().enumerate() {
            for rows in &run.series {
                let place = place_of[rows.series as usize];
                if place == NOT_WANTED {
                    continue;
                }
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
            self.merged.add_series(runs, &mut of_series);
            if !filter.of_time.is_empty() {
                self.merged.retain(start, |_, time_ns| all_hold_at(&filter.of_time, time_ns));
            }
            if self.merged.times.len() > start {
                let one = self.order.sorted[same[0].0 as usize];
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
