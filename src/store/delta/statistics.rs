//! The statistics of a data file: rows, nulls, the least and greatest value of its first columns (Delta protocol, "Per-file
//! Statistics").
//!
//! Gathered while a file is made. For readers that prune; our own scans use the times alone, compaction the arrivals too.

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int16Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Float64Type, Int64Type};
use serde_json::{Value, json};

use super::data_file::FileStats;
use crate::error::{Error, Result};

/// Statistics cover this many columns, as Delta's own writers have it.
const STATS_COLUMNS: usize = 32;

/// Longer texts would have to be cut, and the greatest then made greater.
const LONGEST_TEXT: usize = 64;

/// What is known of the rows so far.
#[derive(Default)]
pub(crate) struct Statistics {
    rows: u64,
    columns: Vec<ColumnStatistics>,
}

struct ColumnStatistics {
    name: String,
    nulls: usize,
    range: Range,
}

/// The least and the greatest value.
#[derive(Clone, Debug, Default)]
enum Range {
    /// No value yet.
    #[default]
    Empty,
    Time(i64, i64),
    Int(i64, i64),
    Float(f64, f64),
    Decimal(i128, i128),
    Text(String, String),
    /// Of a type without one, or with a text that is too long.
    None,
}

impl Statistics {
    /// Adds rows.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        if self.columns.is_empty() {
            let schema = batch.schema();
            let names = schema.fields().iter().take(STATS_COLUMNS).map(|field| field.name().clone());
            self.columns = names.map(|name| ColumnStatistics { name, nulls: 0, range: Range::Empty }).collect();
        }
        self.rows += batch.num_rows() as u64;
        for (column, values) in self.columns.iter_mut().zip(batch.columns()) {
            column.nulls += values.null_count();
            column.range = std::mem::take(&mut column.range).unite(Range::of(values));
        }
    }

    /// As an `add` action has them.
    pub(crate) fn to_json(&self) -> Result<String> {
        let mut stats = FileStats { num_records: self.rows, ..FileStats::default() };
        for column in &self.columns {
            stats.null_count.insert(column.name.clone(), json!(column.nulls));
            if let Some((least, greatest)) = column.range.to_json() {
                stats.min_values.insert(column.name.clone(), least);
                stats.max_values.insert(column.name.clone(), greatest);
            }
        }
        serde_json::to_string(&stats).map_err(|error| Error::internal(error.to_string()))
    }
}

impl Range {
    fn of(column: &ArrayRef) -> Range {
        if column.null_count() == column.len() {
            return Range::Empty;
        }
        Range::of_values(column).unwrap_or(Range::None)
    }

    fn of_values(column: &ArrayRef) -> Option<Range> {
        use arrow::compute::{max, max_string_view, min, min_string_view};
        if let Some(values) = column.as_any().downcast_ref::<TimestampMicrosecondArray>() {
            return Some(Range::Time(*values.values().iter().min()?, *values.values().iter().max()?));
        }
        if let Some(values) = column.as_primitive_opt::<Int64Type>() {
            return Some(Range::Int(min(values)?, max(values)?));
        }
        if let Some(values) = column.as_any().downcast_ref::<Int16Array>() {
            return Some(Range::Int(i64::from(min(values)?), i64::from(max(values)?)));
        }
        if let Some(values) = column.as_primitive_opt::<Float64Type>() {
            return Some(Range::Float(min(values)?, max(values)?));
        }
        if let Some(values) = column.as_any().downcast_ref::<Decimal128Array>() {
            return Some(Range::Decimal(min(values)?, max(values)?));
        }
        let values = column.as_string_view_opt()?;
        let (least, greatest) = (min_string_view(values)?, max_string_view(values)?);
        (least.len() <= LONGEST_TEXT && greatest.len() <= LONGEST_TEXT)
            .then(|| Range::Text(least.to_string(), greatest.to_string()))
    }

    fn unite(self, other: Range) -> Range {
        match (self, other) {
            (Range::Empty, other) => other,
            (own, Range::Empty) => own,
            (Range::Time(least, greatest), Range::Time(low, high)) => Range::Time(least.min(low), greatest.max(high)),
            (Range::Int(least, greatest), Range::Int(low, high)) => Range::Int(least.min(low), greatest.max(high)),
            (Range::Float(least, greatest), Range::Float(low, high)) => {
                Range::Float(least.min(low), greatest.max(high))
            }
            (Range::Decimal(least, greatest), Range::Decimal(low, high)) => {
                Range::Decimal(least.min(low), greatest.max(high))
            }
            (Range::Text(least, greatest), Range::Text(low, high)) => Range::Text(least.min(low), greatest.max(high)),
            _ => Range::None,
        }
    }

    /// Both as JSON; `None` where there is none, or none that is worth its bytes.
    fn to_json(&self) -> Option<(Value, Value)> {
        let time = |micros: i64| {
            let time = chrono::DateTime::from_timestamp_micros(micros)?;
            Some(json!(time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
        };
        let unsigned = |value: i128| u64::try_from(value).ok().map(|value| json!(value));
        Some(match self {
            Range::Empty | Range::None => return None,
            Range::Time(least, greatest) => (time(*least)?, time(*greatest)?),
            Range::Int(least, greatest) => (json!(least), json!(greatest)),
            Range::Float(least, greatest) => (json!(least), json!(greatest)),
            Range::Decimal(least, greatest) => (unsigned(*least)?, unsigned(*greatest)?),
            Range::Text(least, greatest) => (json!(least), json!(greatest)),
        })
    }
}
