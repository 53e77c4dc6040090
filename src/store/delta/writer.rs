//! Making data files: sorted rows become Parquet with statistics for the log; those of a flush one file per day and order.
//!
//! Called by flushes and by compaction, away from the runtime's threads. Nothing is put anywhere here: the caller puts the
//! bytes, then commits.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Int16Array, Int64Array, RecordBatch, StringViewBuilder,
    TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use arrow::compute::take;
use arrow::datatypes::UInt64Type;
use deltalake::kernel::Add;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use rand::Rng;

use super::super::columns::Columns;
use super::super::run::{Run, SeriesRows};
use super::super::series::{SeriesId, Tags};
use super::data_file::{DELETES, DataFile, IN_ORDER, LATE};
use super::names::{DAY, SEQ, TIME};
use super::schema::{TableSchema, file_type};
use super::statistics::Statistics;
use crate::error::{Error, Result};
use crate::table::ColumnType;

const NS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// How hard flushes compress: they are read soon, and soon compacted.
const FLUSH_LEVEL: i32 = 1;

/// A file that is ready to be put.
pub(crate) struct NewFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) add: Add,
    pub(crate) file: DataFile,
}

/// Rows for files.
pub(crate) struct SortedRows {
    /// Sorted by series (in the order of their tags in files), then time, then `_seq`.
    pub(crate) run: Run,
    /// The tags of each series of the run, in the order of `run.series`.
    pub(crate) tags: Vec<Box<Tags>>,
    /// The columns whose places the run's columns have.
    pub(crate) columns: Arc<Columns>,
}

/// Some of the rows: those of one file, or of a stretch of it.
#[derive(Default)]
pub(crate) struct FileRows {
    rows: Vec<u32>,
    /// The place of the series among those of the run, and its rows in the file.
    series: Vec<(usize, SeriesRows)>,
}

impl FileRows {
    /// Adds a row of the series at a place of the run; rows come in their order.
    pub(crate) fn push(&mut self, place: usize, series: SeriesId, row: u32) {
        let next = self.rows.len() as u32;
        match self.series.last_mut() {
            Some((last, own)) if *last == place => own.end = next + 1,
            _ => self.series.push((place, SeriesRows { series, start: next, end: next + 1 })),
        }
        self.rows.push(row);
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// The files of a flush; `stored_until` is for each series of the run the newest time that it has in files.
pub(crate) fn make_files(
    flush: &SortedRows,
    stored_until: &[i64],
    schema: &TableSchema,
    now_ms: i64,
) -> Result<Vec<NewFile>> {
    let mut files = Vec::new();
    for ((day, in_order), rows) in split(flush, stored_until) {
        let mut builder = FileBuilder::new(schema, FLUSH_LEVEL)?;
        builder.push(flush, &rows)?;
        let prefix = match (flush.run.deletes, in_order) {
            (true, _) => DELETES,
            (false, true) => IN_ORDER,
            (false, false) => LATE,
        };
        files.push(builder.finish(&day_text(day)?, prefix, now_ms)?);
    }
    Ok(files)
}

/// Rows by day, and by whether they are newer than all that their series has in files and stand alone for their point.
fn split(flush: &SortedRows, stored_until: &[i64]) -> BTreeMap<(i64, bool), FileRows> {
    let mut files: BTreeMap<(i64, bool), FileRows> = BTreeMap::new();
    let time = &flush.run.time;
    for (place, rows) in flush.run.series.iter().enumerate() {
        for row in rows.start..rows.end {
            let at = row as usize;
            let alone =
                (row == rows.start || time[at - 1] != time[at]) && (row + 1 == rows.end || time[at + 1] != time[at]);
            let in_order = flush.run.deletes || alone && time[at] > stored_until[place];
            let file = files.entry((time[at].div_euclid(NS_PER_DAY), in_order)).or_default();
            file.push(place, rows.series, row);
        }
    }
    files
}

/// A data file in the making: stretches of sorted rows go in, bytes and statistics come out.
pub(crate) struct FileBuilder {
    schema: TableSchema,
    writer: ArrowWriter<Vec<u8>>,
    statistics: Statistics,
    series: Vec<SeriesRows>,
    rows: u32,
}

impl FileBuilder {
    /// An empty file; `level` is zstd's.
    pub(crate) fn new(schema: &TableSchema, level: i32) -> Result<Self> {
        let writer = ArrowWriter::try_new(Vec::new(), Arc::new(schema.to_arrow()), Some(properties(level)?));
        Ok(FileBuilder {
            schema: schema.clone(),
            writer: writer.map_err(parquet_error)?,
            statistics: Statistics::default(),
            series: Vec::new(),
            rows: 0,
        })
    }

    /// Adds rows; they follow those before in the order of files.
    pub(crate) fn push(&mut self, from: &SortedRows, rows: &FileRows) -> Result<()> {
        let batch = to_batch(from, &self.schema, rows)?;
        self.statistics.add(&batch);
        self.writer.write(&batch).map_err(parquet_error)?;
        for (_, own) in &rows.series {
            let own = SeriesRows { start: own.start + self.rows, end: own.end + self.rows, ..*own };
            match self.series.last_mut() {
                Some(last) if last.series == own.series => last.end = own.end,
                _ => self.series.push(own),
            }
        }
        self.rows += rows.len() as u32;
        Ok(())
    }

    /// About how many bytes it has.
    pub(crate) fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// The file; `prefix` says of what kind it is.
    pub(crate) fn finish(self, day: &str, prefix: &str, now_ms: i64) -> Result<NewFile> {
        let bytes = self.writer.into_inner().map_err(parquet_error)?;
        let stats = self.statistics.to_json()?;
        let path = format!("{DAY}={day}/{prefix}{:032x}.parquet", rand::rng().random::<u128>());
        let file = DataFile::new(path.clone(), bytes.len() as u64, Some(&stats));
        file.series.set(Arc::new(self.series)).map_err(|_| Error::internal("a new file has its series already"))?;
        let add = Add {
            path,
            partition_values: HashMap::from([(DAY.to_string(), Some(day.to_string()))]),
            size: bytes.len() as i64,
            modification_time: now_ms,
            data_change: true,
            stats: Some(stats),
            ..Add::default()
        };
        Ok(NewFile { bytes, add, file })
    }
}

fn day_text(day: i64) -> Result<String> {
    let date = i32::try_from(day)
        .ok()
        .and_then(chrono::NaiveDate::from_epoch_days)
        .ok_or_else(|| Error::internal(format!("no date for day {day}")))?;
    Ok(date.format("%Y-%m-%d").to_string())
}

fn to_batch(from: &SortedRows, schema: &TableSchema, rows: &FileRows) -> Result<RecordBatch> {
    let run = &from.run;
    let of = |values: &[i64], each: fn(i64) -> i64| {
        rows.rows.iter().map(|row| each(values[*row as usize])).collect::<Vec<i64>>()
    };
    let micros = of(&run.time, |time| time.div_euclid(1_000));
    let rest: Int16Array = of(&run.time, |time| time.rem_euclid(1_000)).into_iter().map(|ns| Some(ns as i16)).collect();
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC")),
        Arc::new(rest),
        Arc::new(arrivals(run, schema, rows)),
    ];
    for tag in &schema.tags {
        let mut values = StringViewBuilder::with_capacity(rows.rows.len()).with_deduplicate_strings();
        for (place, own) in &rows.series {
            let value = from.tags[*place].iter().find(|(key, _)| *key == tag.name).map(|(_, value)| &**value);
            for _ in own.start..own.end {
                values.append_option(value);
            }
        }
        columns.push(Arc::new(values.finish()));
    }
    let indices = UInt32Array::from(rows.rows.clone());
    for field in &schema.fields {
        let field_type = field.field_type.unwrap_or(ColumnType::String);
        let column = from.columns.field(&field.name).and_then(|place| run.column(place as usize));
        columns.push(match column {
            None => new_null_array(&file_type(field_type), rows.rows.len()),
            Some(column) => to_file(take(column, &indices, None)?, field_type)?,
        });
    }
    Ok(RecordBatch::try_new(Arc::new(schema.to_arrow()), columns)?)
}

/// The column `_seq`. A message without a time of its own has that of its arrival, which need not be said twice.
fn arrivals(run: &Run, schema: &TableSchema, rows: &FileRows) -> Int64Array {
    let rows = rows.rows.iter().map(|row| *row as usize);
    match schema.arrivals_left_out {
        true => rows.map(|row| (run.seq[row] != run.time[row]).then_some(run.seq[row])).collect(),
        false => rows.map(|row| run.seq[row]).collect(),
    }
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

fn parquet_error(error: parquet::errors::ParquetError) -> Error {
    Error::internal(format!("writing Parquet: {error}"))
}

fn properties(level: i32) -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(level).map_err(parquet_error)?;
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
    Ok(properties.build())
}
