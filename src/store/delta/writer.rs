//! Making data files: rows of a flush become Parquet, one file per day and order, with statistics for the log.
//!
//! Called by flushes, away from the runtime's threads. Nothing is put anywhere here: the caller puts the bytes, then commits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Int16Array, Int64Array, RecordBatch, StringViewBuilder,
    TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::{Float64Type, Int64Type, UInt64Type};
use deltalake::kernel::Add;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rand::Rng;
use serde_json::{Value, json};

use super::super::columns::Columns;
use super::super::run::{Run, SeriesRows};
use super::super::series::Tags;
use super::data_file::{DataFile, FileStats, IN_ORDER, LATE};
use super::names::{DAY, SEQ, TIME};
use super::schema::{TableSchema, file_type};
use crate::error::{Error, Result};
use crate::table::ColumnType;

const NS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// Statistics cover this many columns, as Delta's own writers have it.
const STATS_COLUMNS: usize = 32;

/// A file that is ready to be put.
pub(crate) struct NewFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) add: Add,
    pub(crate) file: DataFile,
}

/// Rows of a flush.
pub(crate) struct FlushRows {
    /// Sorted by series (in the order of their tags in files), then time, then `_seq`.
    pub(crate) run: Run,
    /// The tags of each series of the run, in the order of `run.series`.
    pub(crate) tags: Vec<Box<Tags>>,
    /// For each series of the run the newest time that it has in files.
    pub(crate) stored_until: Vec<i64>,
    /// The columns whose places the run's columns have.
    pub(crate) columns: Arc<Columns>,
}

/// Some rows of a flush: those of one file.
#[derive(Default)]
struct FileRows {
    rows: Vec<u32>,
    /// The place of the series in the flush, and its rows in the file.
    series: Vec<(usize, SeriesRows)>,
}

/// The files of a flush.
pub(crate) fn make_files(flush: &FlushRows, schema: &TableSchema, now_ms: i64) -> Result<Vec<NewFile>> {
    let mut files = Vec::new();
    for ((day, in_order), rows) in split(flush) {
        files.push(make_file(flush, schema, day, in_order, &rows, now_ms)?);
    }
    Ok(files)
}

/// Rows by day, and by whether they are newer than all that their series has in files and stand alone for their point.
fn split(flush: &FlushRows) -> BTreeMap<(i64, bool), FileRows> {
    let mut files: BTreeMap<(i64, bool), FileRows> = BTreeMap::new();
    let time = &flush.run.time;
    for (place, rows) in flush.run.series.iter().enumerate() {
        for row in rows.start..rows.end {
            let at = row as usize;
            let alone =
                (row == rows.start || time[at - 1] != time[at]) && (row + 1 == rows.end || time[at + 1] != time[at]);
            let in_order = alone && time[at] > flush.stored_until[place];
            let file = files.entry((time[at].div_euclid(NS_PER_DAY), in_order)).or_default();
            let next = file.rows.len() as u32;
            match file.series.last_mut() {
                Some((last, own)) if *last == place => own.end = next + 1,
                _ => file.series.push((place, SeriesRows { series: rows.series, start: next, end: next + 1 })),
            }
            file.rows.push(row);
        }
    }
    files
}

fn make_file(
    flush: &FlushRows,
    schema: &TableSchema,
    day: i64,
    in_order: bool,
    rows: &FileRows,
    now_ms: i64,
) -> Result<NewFile> {
    let batch = to_batch(flush, schema, rows)?;
    let bytes = encode(&batch)?;
    let stats = serde_json::to_string(&statistics(&batch)).map_err(|error| Error::internal(error.to_string()))?;
    let day = day_text(day)?;
    let prefix = if in_order { IN_ORDER } else { LATE };
    let path = format!("{DAY}={day}/{prefix}{:032x}.parquet", rand::rng().random::<u128>());
    let file = DataFile::new(path.clone(), bytes.len() as u64, Some(&stats));
    let index: Vec<SeriesRows> = rows.series.iter().map(|(_, own)| *own).collect();
    file.series.set(Arc::new(index)).map_err(|_| Error::internal("a new file has its series already"))?;
    let add = Add {
        path,
        partition_values: HashMap::from([(DAY.to_string(), Some(day))]),
        size: bytes.len() as i64,
        modification_time: now_ms,
        data_change: true,
        stats: Some(stats),
        ..Add::default()
    };
    Ok(NewFile { bytes, add, file })
}

fn day_text(day: i64) -> Result<String> {
    let date = i32::try_from(day)
        .ok()
        .and_then(chrono::NaiveDate::from_epoch_days)
        .ok_or_else(|| Error::internal(format!("no date for day {day}")))?;
    Ok(date.format("%Y-%m-%d").to_string())
}

fn to_batch(flush: &FlushRows, schema: &TableSchema, rows: &FileRows) -> Result<RecordBatch> {
    let run = &flush.run;
    let of = |values: &[i64], each: fn(i64) -> i64| {
        rows.rows.iter().map(|row| each(values[*row as usize])).collect::<Vec<i64>>()
    };
    let micros = of(&run.time, |time| time.div_euclid(1_000));
    let rest: Int16Array = of(&run.time, |time| time.rem_euclid(1_000)).into_iter().map(|ns| Some(ns as i16)).collect();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC")),
        Arc::new(rest),
        Arc::new(Int64Array::from(of(&run.seq, |seq| seq))),
    ];
    for tag in &schema.tags {
        let mut values = StringViewBuilder::with_capacity(rows.rows.len()).with_deduplicate_strings();
        for (place, own) in &rows.series {
            let value = flush.tags[*place].iter().find(|(key, _)| *key == tag.name).map(|(_, value)| &**value);
            for _ in own.start..own.end {
                values.append_option(value);
            }
        }
        columns.push(Arc::new(values.finish()));
    }
    let indices = UInt32Array::from(rows.rows.clone());
    for field in &schema.fields {
        let field_type = field.field_type.unwrap_or(ColumnType::String);
        let column = flush.columns.field(&field.name).and_then(|place| run.column(place as usize));
        columns.push(match column {
            None => new_null_array(&file_type(field_type), rows.rows.len()),
            Some(column) => to_file(take(column, &indices, None)?, field_type)?,
        });
    }
    Ok(RecordBatch::try_new(Arc::new(schema.to_arrow()), columns)?)
}

/// A field's column as files hold it.
fn to_file(column: ArrayRef, field_type: ColumnType) -> Result<ArrayRef> {
    if field_type != ColumnType::UInt {
        return Ok(column);
    }
    let values = column.as_primitive::<UInt64Type>();
    let decimals: Decimal128Array = values.iter().map(|value| value.map(i128::from)).collect();
    Ok(Arc::new(decimals.with_precision_and_scale(20, 0)?))
}

fn encode(batch: &RecordBatch) -> Result<Vec<u8>> {
    let parquet_error = |error: parquet::errors::ParquetError| Error::internal(format!("writing Parquet: {error}"));
    let level = ZstdLevel::try_new(1).map_err(parquet_error)?;
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("fluxmill ", env!("CARGO_PKG_VERSION")).to_string())
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(1 << 20));
    // Times and arrivals ascend within a series: their differences are small, a dictionary of them is not.
    for name in [TIME, SEQ] {
        let column = ColumnPath::from(name);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    let mut bytes = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties.build())).map_err(parquet_error)?;
    writer.write(batch).map_err(parquet_error)?;
    writer.close().map_err(parquet_error)?;
    Ok(bytes)
}

/// The statistics of the first columns; for readers that prune, of which our own scans use the times alone.
fn statistics(batch: &RecordBatch) -> FileStats {
    let mut stats = FileStats { num_records: batch.num_rows() as u64, ..FileStats::default() };
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()).take(STATS_COLUMNS) {
        stats.null_count.insert(field.name().clone(), json!(column.null_count()));
        if let Some((least, greatest)) = range(column) {
            stats.min_values.insert(field.name().clone(), least);
            stats.max_values.insert(field.name().clone(), greatest);
        }
    }
    stats
}

/// The least and the greatest value as JSON; `None` where there is none, or none that is worth its bytes.
fn range(column: &ArrayRef) -> Option<(Value, Value)> {
    /// Longer texts would have to be cut, and the greatest then made greater.
    const LONGEST_TEXT: usize = 64;
    if let Some(micros) = column.as_any().downcast_ref::<TimestampMicrosecondArray>() {
        let text = |micros: i64| {
            let time = chrono::DateTime::from_timestamp_micros(micros)?;
            Some(json!(time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
        };
        return Some((text(*micros.values().iter().min()?)?, text(*micros.values().iter().max()?)?));
    }
    if let Some(values) = column.as_primitive_opt::<Int64Type>() {
        return Some((json!(arrow::compute::min(values)?), json!(arrow::compute::max(values)?)));
    }
    if let Some(values) = column.as_any().downcast_ref::<Int16Array>() {
        return Some((json!(arrow::compute::min(values)?), json!(arrow::compute::max(values)?)));
    }
    if let Some(values) = column.as_primitive_opt::<Float64Type>() {
        return Some((json!(arrow::compute::min(values)?), json!(arrow::compute::max(values)?)));
    }
    if let Some(values) = column.as_any().downcast_ref::<Decimal128Array>() {
        let number = |value: i128| u64::try_from(value).ok().map(|value| json!(value));
        return Some((number(arrow::compute::min(values)?)?, number(arrow::compute::max(values)?)?));
    }
    if let Some(values) = column.as_string_view_opt() {
        let (least, greatest) = (arrow::compute::min_string_view(values)?, arrow::compute::max_string_view(values)?);
        return (least.len() <= LONGEST_TEXT && greatest.len() <= LONGEST_TEXT)
            .then(|| (json!(least), json!(greatest)));
    }
    None
}
