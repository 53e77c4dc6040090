//! The hot buffer's open end: rows in the order of arrival, a growing column per field.
//!
//! Filled by `Table::append`, sealed into sorted runs. Not visible to scans itself: they see the run that sealing it gives.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringViewBuilder, UInt64Builder};

use super::columns::FieldId;
use super::merge::{MergedRows, RowRef, Version};
use super::run::{Run, SeriesRows};
use super::series::SeriesId;
use crate::error::Result;
use crate::point::FieldValue;
use crate::table::ColumnType;

/// The values of one field in the order of arrival; rows after the last value are not yet filled with nulls.
enum FieldBuffer {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    UInt(UInt64Builder),
    Float(Float64Builder),
    String(StringViewBuilder),
}

macro_rules! each_builder {
    ($buffer:expr, $builder:ident => $body:expr) => {
        match $buffer {
            FieldBuffer::Bool($builder) => $body,
            FieldBuffer::Int($builder) => $body,
            FieldBuffer::UInt($builder) => $body,
            FieldBuffer::Float($builder) => $body,
            FieldBuffer::String($builder) => $body,
        }
    };
}

impl FieldBuffer {
    fn for_value(value: &FieldValue) -> Self {
        match value {
            FieldValue::Bool(_) => FieldBuffer::Bool(BooleanBuilder::new()),
            FieldValue::Int(_) => FieldBuffer::Int(Int64Builder::new()),
            FieldValue::UInt(_) => FieldBuffer::UInt(UInt64Builder::new()),
            FieldValue::Float(_) => FieldBuffer::Float(Float64Builder::new()),
            FieldValue::String(_) => FieldBuffer::String(StringViewBuilder::new().with_deduplicate_strings()),
        }
    }

    fn column_type(&self) -> ColumnType {
        match self {
            FieldBuffer::Bool(_) => ColumnType::Bool,
            FieldBuffer::Int(_) => ColumnType::Int,
            FieldBuffer::UInt(_) => ColumnType::UInt,
            FieldBuffer::Float(_) => ColumnType::Float,
            FieldBuffer::String(_) => ColumnType::String,
        }
    }

    /// Sets the value of a row; the rows between the last value and this one become null.
    fn set(&mut self, row: usize, value: &FieldValue) {
        each_builder!(self, builder => {
            for _ in arrow::array::ArrayBuilder::len(builder)..row {
                builder.append_null();
            }
        });
        match (self, value) {
            (FieldBuffer::Bool(builder), FieldValue::Bool(value)) => builder.append_value(*value),
            (FieldBuffer::Int(builder), FieldValue::Int(value)) => builder.append_value(*value),
            (FieldBuffer::UInt(builder), FieldValue::UInt(value)) => builder.append_value(*value),
            (FieldBuffer::Float(builder), FieldValue::Float(value)) => builder.append_value(*value),
            (FieldBuffer::String(builder), FieldValue::String(value)) => builder.append_value(&**value),
            (buffer, value) => unreachable!("a {value:?} for a {:?} column passed the registry", buffer.column_type()),
        }
    }

    /// The column of `rows` rows as it is now.
    fn column(&mut self, rows: usize) -> ArrayRef {
        each_builder!(self, builder => {
            for _ in arrow::array::ArrayBuilder::len(builder)..rows {
                builder.append_null();
            }
            Arc::new(builder.finish_cloned())
        })
    }
}

/// Rows in the order of arrival.
#[derive(Default)]
pub(crate) struct OpenRows {
    series: Vec<SeriesId>,
    time: Vec<i64>,
    seq: Vec<i64>,
    fields: Vec<Option<FieldBuffer>>,
}

impl OpenRows {
    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.time.len()
    }

    /// Adds a row. Its values have the types of their fields and each field stands once.
    pub(crate) fn push<'a>(
        &mut self,
        series: SeriesId,
        time_ns: i64,
        seq: i64,
        values: impl Iterator<Item = (FieldId, &'a FieldValue)>,
    ) {
        let row = self.len();
        for (field, value) in values {
            let field = field as usize;
            if self.fields.len() <= field {
                self.fields.resize_with(field + 1, || None);
            }
            self.fields[field].get_or_insert_with(|| FieldBuffer::for_value(value)).set(row, value);
        }
        self.series.push(series);
        self.time.push(time_ns);
        self.seq.push(seq);
    }

    /// The rows as a sorted run. Versions of one point with one `_seq` become one row; a version of which every field is
    /// in a newer one is left out; other versions stay side by side.
    pub(crate) fn take_run(&mut self) -> Result<Run> {
        let rows = self.len();
        let columns: Vec<Option<ArrayRef>> =
            self.fields.iter_mut().map(|field| field.as_mut().map(|field| field.column(rows))).collect();
        let unsorted = [Arc::new(Run { columns, ..Run::default() })];
        let mut order: Vec<(SeriesId, Version)> = (0..rows)
            .map(|row| {
                let at = RowRef { run: 0, row: row as u32 };
                (self.series[row], Version { time_ns: self.time[row], seq: self.seq[row], at })
            })
            .collect();
        order.sort_unstable_by_key(|(series, version)| (*series, version.order()));

        let mut merged = MergedRows::default();
        let mut series = Vec::new();
        let mut versions: Vec<Version> = Vec::new();
        for of_series in order.chunk_by(|left, right| left.0 == right.0) {
            let start = merged.len() as u32;
            versions.clear();
            versions.extend(of_series.iter().map(|(_, version)| *version));
            merged.add_versions(&unsorted, &versions);
            series.push(SeriesRows { series: of_series[0].0, start, end: merged.len() as u32 });
        }
        let types: Vec<Option<ColumnType>> =
            self.fields.iter().map(|field| field.as_ref().map(FieldBuffer::column_type)).collect();
        merged.into_run(&unsorted, series, &types)
    }
}
