//! The series of which a scan for last rows knows all that it wants without reading: as a run of those rows.
//!
//! Used when a plan is made. A series is remembered if every wanted field of it is: what of it is not known is read with
//! all of its rows. Where the last row with a value of one field is wanted whole, no other field may have a newer value: what
//! that field had at the time of the row is not known.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringViewBuilder, UInt64Builder};

use super::super::columns::FieldId;
use super::super::latest::{Known, Latest, Newest};
use super::super::run::{Run, SeriesRows};
use super::super::series::SeriesId;
use super::super::table::TableView;
use super::table_plan::Selection;
use crate::error::Result;
use crate::point::FieldValue;
use crate::table::ColumnType;
use crate::table::scan::Bounds;

/// Remembered series.
#[derive(Default)]
pub(super) struct Remembered {
    /// By series.
    series: Vec<bool>,
    /// Nothing has to be read.
    pub(super) all: bool,
    /// Their last rows.
    pub(super) run: Option<Arc<Run>>,
}

impl Remembered {
    /// What a table remembers of the wanted fields within bounds; `by_column` decides which row is the last one, if it is one
    /// of them.
    pub(super) fn new(
        latest: &Latest,
        selection: &Selection,
        fields: &[FieldId],
        view: &TableView,
        bounds: Bounds,
        by_column: &str,
    ) -> Result<Remembered> {
        let columns = view.columns.fields();
        let decides = fields.iter().position(|field| *columns[*field as usize].name == *by_column);
        let mut remembered = Remembered { series: vec![false; selection.order.sorted.len()], all: true, run: None };
        let mut run = Run { unique: true, ..Run::default() };
        // For each wanted field its values with their rows.
        let mut values: Vec<Vec<(usize, &FieldValue)>> = vec![Vec::new(); fields.len()];
        let mut found: Vec<(usize, &Newest)> = Vec::new();
        for one in &selection.order.sorted {
            if selection.place(one.series).is_none() {
                continue;
            }
            found.clear();
            let mut known = true;
            for (place, field) in fields.iter().enumerate() {
                match latest.last(one.series, *field, bounds.start_ns, bounds.stop_ns) {
                    Known::Value(newest) => found.push((place, newest)),
                    Known::Nothing => {}
                    Known::Unknown => known = false,
                }
            }
            if let Some((_, deciding)) = found.iter().find(|(place, _)| Some(*place) == decides) {
                known &= found.iter().all(|(_, newest)| newest.time_ns <= deciding.time_ns);
            }
            remembered.all &= known;
            if !known {
                continue;
            }
            remembered.series[one.series as usize] = true;
            found.sort_by_key(|(_, newest)| newest.time_ns);
            let start = run.len() as u32;
            for (place, newest) in &found {
                if run.len() as u32 == start || run.time.last() != Some(&newest.time_ns) {
                    run.time.push(newest.time_ns);
                }
                values[*place].push((run.len() - 1, &newest.value));
            }
            if run.len() as u32 > start {
                run.series.push(SeriesRows { series: one.series, start, end: run.len() as u32 });
            }
        }
        run.columns = vec![None; columns.len()];
        for (field, values) in fields.iter().zip(values).filter(|(_, values)| !values.is_empty()) {
            let column_type = columns[*field as usize].column_type;
            run.columns[*field as usize] = Some(column(column_type, run.len(), &values));
        }
        remembered.run = (run.len() > 0).then(|| Arc::new(run));
        Ok(remembered)
    }

    pub(super) fn has(&self, series: SeriesId) -> bool {
        self.series.get(series as usize).copied().unwrap_or(false)
    }
}

/// A column with values in some rows, ascending; the others are null.
fn column(column_type: ColumnType, rows: usize, values: &[(usize, &FieldValue)]) -> ArrayRef {
    macro_rules! filled {
        ($builder:expr, $kind:ident, $value:ident => $append:expr) => {{
            let mut builder = $builder;
            let mut next = 0;
            for (row, value) in values {
                for _ in next..*row {
                    builder.append_null();
                }
                match value {
                    FieldValue::$kind($value) => builder.append_value($append),
                    // The registry gives a field one type.
                    _ => builder.append_null(),
                }
                next = row + 1;
            }
            for _ in next..rows {
                builder.append_null();
            }
            Arc::new(builder.finish())
        }};
    }
    match column_type {
        ColumnType::Bool => filled!(BooleanBuilder::new(), Bool, value => *value),
        ColumnType::Int => filled!(Int64Builder::new(), Int, value => *value),
        ColumnType::UInt => filled!(UInt64Builder::new(), UInt, value => *value),
        ColumnType::Float => filled!(Float64Builder::new(), Float, value => *value),
        ColumnType::String | ColumnType::Time => filled!(StringViewBuilder::new(), String, value => &**value),
    }
}
