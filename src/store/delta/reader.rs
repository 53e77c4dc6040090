//! Reading data files: the series in a file, the rows that a scan wants, and their columns.
//!
//! Called by scans. Two steps, so that only pages with wanted rows are decoded: first the times of the wanted series, then,
//! for the rows in range, the fields that are asked for. Only what is decided by a row's identity is decided here.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int16Array, StringViewArray, TimestampMicrosecondArray, UInt64Array, new_empty_array,
};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ParquetRecordBatchStreamBuilder, ProjectionMask};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::super::columns::{Columns, FieldId};
use super::super::convert::convert_column;
use super::super::run::{Run, SeriesRows};
use super::super::series::SeriesId;
use super::data_file::DataFile;
use super::names::{SEQ, TIME, TIME_NS};
use super::schema::TableSchema;
use crate::error::{Error, ErrorKind, Result};
use crate::name::Name;
use crate::table::ColumnType;
use crate::table::scan::Bounds;

/// The footer of a small file is in its last 64 KiB, as is most often all of the file.
const FOOTER_GUESS: usize = 64 << 10;

/// Reads the files of one table.
#[derive(Clone, Debug)]
pub(crate) struct FileReader {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The table's directory.
    pub(crate) root: Path,
}

/// Gives the numbers of tag sets: keys and values in any order, absent ones left out.
pub(crate) type FindSeries<'a> = dyn Fn(&[Vec<(&Name, &str)>]) -> Vec<SeriesId> + Sync + 'a;

/// The wanted rows of a file: their series and times are known, their columns not yet read.
pub(crate) struct FileRows {
    file: Arc<DataFile>,
    selected: Vec<Range<usize>>,
    /// Without columns and without `_seq`.
    pub(crate) run: Run,
}

/// A field whose column is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldToRead {
    /// Its place in the schema of the files.
    pub(crate) in_schema: usize,
    /// Its place among the registered fields.
    pub(crate) id: FieldId,
}

impl FieldToRead {
    /// The fields that files may have a column of.
    pub(crate) fn of(fields: impl Iterator<Item = FieldId>, columns: &Columns, schema: &TableSchema) -> Vec<Self> {
        let places: hashbrown::HashMap<&Name, usize> =
            schema.fields.iter().enumerate().map(|(place, column)| (&column.name, place)).collect();
        let place = |id: FieldId| {
            let in_schema = *places.get(&columns.fields()[id as usize].name)?;
            Some(FieldToRead { in_schema, id })
        };
        fields.filter_map(place).collect()
    }
}

impl FileReader {
    /// The series of a file, in the order of its rows.
    pub(crate) async fn series(
        &self,
        file: &Arc<DataFile>,
        schema: &TableSchema,
        find: &FindSeries<'_>,
    ) -> Result<Arc<Vec<SeriesRows>>> {
        let load = || async { Ok(Arc::new(self.read_series(file, schema, find).await?)) };
        file.series.get_or_try_init(load).await.cloned().map_err(|error| self.at_its_place(error))
    }

    async fn read_series(
        &self,
        file: &Arc<DataFile>,
        schema: &TableSchema,
        find: &FindSeries<'_>,
    ) -> Result<Vec<SeriesRows>> {
        let names: Vec<&str> = schema.tags.iter().map(|tag| tag.physical.as_str()).collect();
        let (rows, columns) = self.columns(file, &names, None).await?;
        let mut tags: Vec<(&Name, &StringViewArray)> = Vec::new();
        for (tag, column) in schema.tags.iter().zip(&columns) {
            if let Some(column) = column {
                tags.push((&tag.name, text(file, column)?));
            }
        }
        let mut sets: Vec<Vec<(&Name, &str)>> = Vec::new();
        let mut ends: Vec<u32> = Vec::new();
        let mut start = 0;
        while start < rows {
            let same = |row: usize| {
                tags.iter().all(|(_, column)| {
                    column.is_valid(row) == column.is_valid(start)
                        && (column.is_null(row) || column.value(row) == column.value(start))
                })
            };
            let end = (start + 1..rows).find(|row| !same(*row)).unwrap_or(rows);
            let present = tags.iter().filter(|(_, column)| column.is_valid(start));
            sets.push(present.map(|(key, column)| (*key, column.value(start))).collect());
            ends.push(end as u32);
            start = end;
        }
        let mut found: Vec<SeriesRows> = Vec::with_capacity(sets.len());
        for (series, end) in find(&sets).into_iter().zip(ends) {
            let start = found.last().map_or(0, |last| last.end);
            found.push(SeriesRows { series, start, end });
        }
        let distinct: hashbrown::HashSet<SeriesId> = found.iter().map(|rows| rows.series).collect();
        if distinct.len() < found.len() {
            return Err(unsorted(file));
        }
        Ok(found)
    }

    /// The rows of wanted series within bounds; `None` if there are none. The file's series must be known.
    pub(crate) async fn rows(
        &self,
        file: &Arc<DataFile>,
        wanted: &(dyn Fn(SeriesId) -> bool + Sync),
        bounds: Bounds,
    ) -> Result<Option<FileRows>> {
        self.find_rows(file, wanted, bounds).await.map_err(|error| self.at_its_place(error))
    }

    async fn find_rows(
        &self,
        file: &Arc<DataFile>,
        wanted: &(dyn Fn(SeriesId) -> bool + Sync),
        bounds: Bounds,
    ) -> Result<Option<FileRows>> {
        let all = file.series.get().cloned().unwrap_or_default();
        let series: Vec<SeriesRows> = all.iter().filter(|rows| wanted(rows.series)).copied().collect();
        let total: usize = series.iter().map(|rows| (rows.end - rows.start) as usize).sum();
        if total == 0 {
            return Ok(None);
        }
        let ranges: Vec<Range<usize>> = series.iter().map(|rows| rows.start as usize..rows.end as usize).collect();
        let selection = (series.len() < all.len()).then_some(ranges.as_slice());
        let times = self.times(file, selection, total).await?;

        let mut run = Run { unique: file.in_order, deletes: file.deletes, ..Run::default() };
        let mut selected = Vec::new();
        let mut offset = 0;
        for rows in &series {
            let len = (rows.end - rows.start) as usize;
            let own = &times[offset..offset + len];
            offset += len;
            // Where each point stands once, times ascend strictly.
            if !own.is_sorted_by(|left, right| left < right || (left == right && !file.in_order)) {
                return Err(unsorted(file));
            }
            let first = own.partition_point(|time| *time < bounds.start_ns);
            let end = first + own[first..].partition_point(|time| *time < bounds.stop_ns);
            if first == end {
                continue;
            }
            let start = run.time.len() as u32;
            run.time.extend_from_slice(&own[first..end]);
            run.series.push(SeriesRows { series: rows.series, start, end: run.time.len() as u32 });
            selected.push(rows.start as usize + first..rows.start as usize + end);
        }
        Ok((!selected.is_empty()).then(|| FileRows { file: Arc::clone(file), selected, run }))
    }

    /// Reads the fields of wanted rows, and their `_seq` if it is needed; the run has a place for each of `columns`.
    pub(crate) async fn read(
        &self,
        rows: FileRows,
        schema: &TableSchema,
        fields: &[FieldToRead],
        columns: &Columns,
        with_seq: bool,
    ) -> Result<Run> {
        let read = self.read_columns(rows, schema, fields, columns, with_seq);
        read.await.map_err(|error| self.at_its_place(error))
    }

    async fn read_columns(
        &self,
        rows: FileRows,
        schema: &TableSchema,
        fields: &[FieldToRead],
        columns: &Columns,
        with_seq: bool,
    ) -> Result<Run> {
        let FileRows { file, selected, mut run } = rows;
        let fields = if run.deletes { &[] } else { fields };
        let places = columns.fields().len();
        let mut names: Vec<&str> =
            fields.iter().map(|field| schema.fields[field.in_schema].physical.as_str()).collect();
        if with_seq {
            names.push(SEQ);
        }
        let all = selected.iter().map(Range::len).sum::<usize>() as u64 == file.rows;
        let (_, mut read) = self.columns(&file, &names, (!all).then_some(&selected)).await?;
        if with_seq {
            let seq = read.pop().flatten().ok_or_else(|| damaged(&file, "it has no column _seq"))?;
            let seq = seq.as_primitive_opt::<Int64Type>().ok_or_else(|| damaged(&file, "_seq is no integer"))?;
            // Left out where it is the time.
            run.seq = match seq.null_count() {
                0 => seq.values().to_vec(),
                _ => seq.iter().zip(&run.time).map(|(seq, time)| seq.unwrap_or(*time)).collect(),
            };
        }
        run.columns = vec![None; places];
        for (field, column) in fields.iter().zip(read) {
            // A column of nulls alone is as good as none, and says so cheaply.
            if let (Some(column), Some(field_type)) = (column, schema.fields[field.in_schema].field_type)
                && column.null_count() < column.len()
            {
                let column = from_file(&file, column, field_type)?;
                let registered = columns.fields()[field.id as usize].column_type;
                run.columns[field.id as usize] = Some(match registered == field_type {
                    true => column,
                    false => convert_column(&column, field_type, registered),
                });
            }
        }
        Ok(run)
    }

    /// How many field values a file has, by its footer.
    pub(crate) async fn values(&self, file: &Arc<DataFile>, schema: &TableSchema) -> Result<u64> {
        let footer = self.footer(file).await?;
        let fields: hashbrown::HashSet<&str> = schema.fields.iter().map(|field| field.physical.as_str()).collect();
        let mut values = 0;
        for column in footer.metadata().row_groups().iter().flat_map(|group| group.columns()) {
            if fields.contains(column.column_descr().name()) {
                let nulls = column.statistics().and_then(|statistics| statistics.null_count_opt()).unwrap_or(0);
                values += u64::try_from(column.num_values()).unwrap_or(0).saturating_sub(nulls);
            }
        }
        Ok(values)
    }

    /// Times in nanoseconds of some rows, or of all.
    async fn times(&self, file: &Arc<DataFile>, selected: Option<&[Range<usize>]>, rows: usize) -> Result<Vec<i64>> {
        let names: &[&str] = if file.whole_microseconds { &[TIME] } else { &[TIME, TIME_NS] };
        let (_, columns) = self.columns(file, names, selected).await?;
        let column = |place: usize| columns.get(place).and_then(Option::as_ref);
        let micros = column(0)
            .and_then(|column| column.as_any().downcast_ref::<TimestampMicrosecondArray>())
            .ok_or_else(|| damaged(file, "it has no column time"))?;
        if micros.len() != rows {
            return Err(damaged(file, "it has not the rows that its log speaks of"));
        }
        // Wrapping: the microsecond of the least nanosecond lies before it.
        let mut times: Vec<i64> = micros.values().iter().map(|micros| micros.wrapping_mul(1_000)).collect();
        if !file.whole_microseconds {
            let rest = column(1)
                .and_then(|column| column.as_any().downcast_ref::<Int16Array>())
                .ok_or_else(|| damaged(file, "it has no column time_ns"))?;
            for (time, rest) in times.iter_mut().zip(rest.values()) {
                *time = time.wrapping_add(i64::from(*rest));
            }
        }
        Ok(times)
    }

    /// Some columns of some rows (or of all), in the order of their names; `None` for those that the file has not.
    async fn columns(
        &self,
        file: &Arc<DataFile>,
        names: &[&str],
        selected: Option<&[Range<usize>]>,
    ) -> Result<(usize, Vec<Option<ArrayRef>>)> {
        let footer = self.footer(file).await?;
        let rows = footer.metadata().file_metadata().num_rows().max(0) as usize;
        let schema = footer.parquet_schema();
        let mask = ProjectionMask::columns(schema, names.iter().copied());
        if !footer.schema().fields().iter().any(|field| names.contains(&field.name().as_str())) {
            return Ok((rows, vec![None; names.len()]));
        }
        let reader = self.open(file);
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(reader, footer)
            .with_projection(mask)
            .with_batch_size(1 << 16);
        if let Some(selected) = selected {
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(selected.iter().cloned(), rows));
        }
        let stream = builder.build().map_err(|error| parquet_error(file, &error))?;
        let batches: Vec<_> = stream.try_collect().await.map_err(|error| parquet_error(file, &error))?;
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let parts: Vec<&ArrayRef> = batches.iter().filter_map(|batch| batch.column_by_name(name)).collect();
            columns.push(match parts.as_slice() {
                [] => None,
                [one] => Some(Arc::clone(one)),
                many => Some(concat(&many.iter().map(|part| &***part as &dyn Array).collect::<Vec<_>>())?),
            });
        }
        Ok((rows, columns))
    }

    async fn footer(&self, file: &Arc<DataFile>) -> Result<ArrowReaderMetadata> {
        let load = || async {
            let mut reader = self.open(file);
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let metadata = reader.get_metadata(Some(&options)).await.map_err(|error| parquet_error(file, &error))?;
            let inferred = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options.clone())
                .map_err(|error| parquet_error(file, &error))?;
            let fields: Vec<Field> = inferred.schema().fields().iter().map(|field| as_views(field)).collect();
            let options = options.with_schema(Arc::new(Schema::new(fields)));
            ArrowReaderMetadata::try_new(metadata, options).map_err(|error| parquet_error(file, &error))
        };
        file.footer.get_or_try_init(load).await.cloned()
    }

    fn open(&self, file: &DataFile) -> FileBytes {
        FileBytes { store: Arc::clone(&self.store), path: self.path(file), size: file.size }
    }

    /// An error with the table's directory, and with what makes files anew that cannot be read.
    fn at_its_place(&self, error: Error) -> Error {
        let is_damaged = error.kind() == ErrorKind::FailedPrecondition;
        let error = error.context(format!("/{}", self.root));
        // The directory of a table is in that of its bucket, which has the bucket's id.
        match self.root.parts().rev().nth(1) {
            Some(bucket) if is_damaged => error.with_hint(format!(
                "`fluxmill bucket rebuild {}` makes all files of the bucket anew from its topics",
                bucket.as_ref()
            )),
            _ => error,
        }
    }

    /// Where a file is.
    pub(crate) fn path(&self, file: &DataFile) -> Path {
        file.path.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }
}

/// Strings are read as views.
fn as_views(field: &Field) -> Field {
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => field.clone().with_data_type(DataType::Utf8View),
        _ => field.clone(),
    }
}

fn text<'a>(file: &DataFile, column: &'a ArrayRef) -> Result<&'a StringViewArray> {
    column.as_string_view_opt().ok_or_else(|| damaged(file, "a tag column is no string"))
}

/// A field's column as chunks hold it.
fn from_file(file: &DataFile, column: ArrayRef, field_type: ColumnType) -> Result<ArrayRef> {
    if field_type == ColumnType::UInt {
        let decimals = column
            .as_primitive_opt::<Decimal128Type>()
            .ok_or_else(|| damaged(file, "an unsigned field is no decimal"))?;
        let converted: UInt64Array =
            decimals.iter().map(|value| value.and_then(|value| u64::try_from(value).ok())).collect();
        return Ok(Arc::new(converted));
    }
    if *column.data_type() != field_type.arrow() {
        return Err(damaged(file, &format!("a field of type {} is {}", field_type.flux_name(), column.data_type())));
    }
    if column.is_empty() {
        return Ok(new_empty_array(&field_type.arrow()));
    }
    Ok(column)
}

fn damaged(file: &DataFile, what: &str) -> Error {
    Error::failed_precondition(format!("file {} cannot be read: {what}", file.path))
}

fn unsorted(file: &DataFile) -> Error {
    damaged(file, "its rows are not sorted by tags and time")
}

fn parquet_error(file: &DataFile, error: &ParquetError) -> Error {
    match error {
        ParquetError::External(_) => Error::unavailable(format!("file {}: {error}", file.path)),
        _ => damaged(file, &error.to_string()),
    }
}

/// The bytes of a file.
struct FileBytes {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size: u64,
}

fn external(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl AsyncFileReader for FileBytes {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        async move { self.store.get_range(&self.path, range).await.map_err(external) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        async move { self.store.get_ranges(&self.path, &ranges).await.map_err(external) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        async move {
            let size = self.size;
            let reader = ParquetMetaDataReader::new()
                .with_column_index_policy(PageIndexPolicy::Skip)
                .with_offset_index_policy(PageIndexPolicy::Optional)
                .with_prefetch_hint(Some(FOOTER_GUESS));
            Ok(Arc::new(reader.load_and_finish(&mut *self, size).await?))
        }
        .boxed()
    }
}
