//! Writing a table's rows to files: merge, sort, Parquet, one Delta commit with the positions of the sources.
//!
//! Called by `Store::flush`. Rows stay visible in memory until the commit is durable, then they are in files, in one step. A
//! crash, or an error, before the commit leaves files that nothing names and rows that the log still has.

use std::cmp::Ordering;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use hashbrown::HashMap;
use object_store::{ObjectStoreExt, PutPayload};

use super::super::columns::Columns;
use super::super::merge::{consolidate, consolidate_deletes};
use super::super::run::Run;
use super::super::series::{SeriesId, Tags};
use super::super::table::{Table, TakenRows};
use super::FileList;
use super::data_file::DataFile;
use super::log::{Committed, SourcePositions, TableLog, TableState};
use super::maintain::MaintenanceContext;
use super::schema::TableSchema;
use super::writer::{NewFile, SortedRows, make_files};
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::table::ColumnType;

/// How often a commit is tried again after others have committed first.
pub(super) const MAX_RETRIES: usize = 10;

/// Files that are put at once.
const PUTS_AT_ONCE: usize = 4;

/// The right to write a table's files.
pub(crate) struct Writer {
    pub(super) log: TableLog,
    /// What the log says, as far as this process knows; `None` before it is read, and after a commit of which it is not
    /// known whether it happened.
    pub(super) known: Option<Known>,
    /// Files that are no longer part of the table and may still be read by scans that pinned them.
    pub(super) replaced: Vec<Arc<DataFile>>,
}

/// The state of the log after our last commit.
pub(super) struct Known {
    /// `None` while there is no table.
    version: Option<u64>,
    schema: TableSchema,
    pub(super) positions: SourcePositions,
}

impl Known {
    pub(super) fn is_no_table(&self) -> bool {
        self.version.is_none()
    }

    pub(super) fn next_version(&self) -> u64 {
        self.version.map_or(0, |version| version + 1)
    }
}

/// What a flush of a table did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TableFlush {
    pub(crate) rows: usize,
    pub(crate) files: usize,
    /// Bytes of memory that it freed.
    pub(crate) freed: usize,
}

impl Writer {
    pub(crate) fn new(log: TableLog) -> Self {
        Writer { log, known: None, replaced: Vec::new() }
    }

    /// Reads the log.
    pub(crate) async fn load(&mut self) -> Result<Option<TableState>> {
        let state = self.log.load().await?;
        self.known = Some(match &state {
            Some(state) => {
                Known { version: Some(state.version), schema: state.schema.clone(), positions: state.positions.clone() }
            }
            None => Known { version: None, schema: TableSchema::default(), positions: SourcePositions::new() },
        });
        Ok(state)
    }
}

impl Writer {
    pub(super) fn known(&self) -> Result<&Known> {
        self.known.as_ref().ok_or_else(|| Error::internal("the log of the table was not read"))
    }

    /// A commit of ours is version `version`.
    pub(super) fn committed(&mut self, version: u64, positions: SourcePositions, schema: Option<TableSchema>) {
        if let Some(known) = &mut self.known {
            known.version = Some(version);
            known.positions = positions;
            if let Some(schema) = schema {
                known.schema = schema;
            }
        }
    }
}

impl Table {
    /// Writes all rows in memory to files. `applied` was read before this call: every row below is in the table.
    ///
    /// Errors: `Unavailable` when the disk refuses (the rows stay in memory, and a later flush writes them), `Conflict` when
    /// another process writes the same rows.
    pub(crate) async fn flush_to_files(&self, applied: &SourcePositions, now_ns: i64) -> Result<TableFlush> {
        let context = MaintenanceContext {
            applied: applied.clone(),
            now_ns,
            keep_from_ns: i64::MIN,
            masks: Arc::default(),
            rest: 0.0,
        };
        self.rewrite_types(&context).await?;
        let mut writer = self.files.writer.lock().await;
        if self.load().rows == 0 {
            return Ok(TableFlush::default());
        }
        let flushed = self.write_rows(&mut writer, applied, now_ns).await;
        flushed.map_err(|error| error.context(format!("measurement {}", self.measurement)))
    }

    async fn write_rows(&self, writer: &mut Writer, applied: &SourcePositions, now_ns: i64) -> Result<TableFlush> {
        // Before the rows are taken: what the log says decides which of them are late.
        self.read_log_if_unknown(writer).await?;
        let Some(taken) = self.take_rows()? else { return Ok(TableFlush::default()) };
        let schema = self.prepare_schema(writer, &taken.columns, applied).await?;
        let newest = newest_times(&taken);
        let shared = schema.clone();
        let make = move || {
            let mut files = Vec::new();
            for (rows, stored_until) in sort_for_files(taken, &shared)? {
                files.extend(make_files(&rows, &stored_until, &shared, now_ns / 1_000_000)?);
            }
            Ok(files)
        };
        failpoint("flush.taken");
        let files = blocking(make).await?;
        failpoint("flush.before-put");
        let rows = files.iter().map(|file| file.file.rows as usize).sum();
        let (adds, added) = self.put(files).await?;
        failpoint("flush.after-put");

        for _ in 0..MAX_RETRIES {
            let known = writer.known()?;
            let positions = advanced(&known.positions, applied);
            let version = known.next_version();
            match writer.log.append(version, adds.clone(), &positions).await {
                Ok(Committed::Done) => {
                    failpoint("flush.committed");
                    writer.known =
                        Some(Known { version: Some(version), schema: schema.clone(), positions: positions.clone() });
                    let mut list = FileList { schema, files: self.file_list().files.clone() };
                    list.files.extend(added.iter().cloned());
                    let freed = self.finish_flush(Arc::new(list), &positions, newest.into_iter());
                    writer.log.checkpoint_if_due(version).await;
                    failpoint("flush.done");
                    return Ok(TableFlush { rows, files: added.len(), freed });
                }
                Ok(Committed::VersionTaken) => self.follow_others(writer, applied).await?,
                Err(error) => {
                    // Whether it happened is for the log to say, when it can be read again.
                    writer.known = None;
                    return Err(error);
                }
            }
        }
        Err(Error::unavailable("other writers of the table leave no version free"))
    }

    /// Makes the table if there is none, and gives it the columns of the rows; a commit of its own.
    async fn prepare_schema(
        &self,
        writer: &mut Writer,
        columns: &Columns,
        applied: &SourcePositions,
    ) -> Result<TableSchema> {
        for _ in 0..MAX_RETRIES {
            let known = writer.known()?;
            let (version, positions) = (known.next_version(), known.positions.clone());
            let mut schema = known.schema.clone();
            if schema.retyped(columns).1 {
                return Err(Error::unavailable("a field is being retyped").with_hint("the next flush writes the rows"));
            }
            if !schema.extend(columns) && version > 0 {
                return Ok(schema);
            }
            let committed = match version {
                0 => writer.log.create(&schema).await,
                _ => writer.log.change_schema(version, &schema, &positions).await,
            };
            match committed {
                Ok(Committed::Done) => {
                    failpoint("flush.schema-committed");
                    writer.known = Some(Known { version: Some(version), schema: schema.clone(), positions });
                    writer.log.checkpoint_if_due(version).await;
                    return Ok(schema);
                }
                Ok(Committed::VersionTaken) => self.follow_others(writer, applied).await?,
                Err(error) => {
                    writer.known = None;
                    return Err(error);
                }
            }
        }
        Err(Error::unavailable("other writers of the table leave no version free"))
    }

    /// Takes over what others have committed: files of other partitions' rows, or of compaction. If one of *our* sources
    /// has moved, another process does our work, and this one is fenced.
    pub(super) async fn follow_others(&self, writer: &mut Writer, applied: &SourcePositions) -> Result<()> {
        let expected = writer.known()?.positions.clone();
        let state = writer.load().await?.ok_or_else(|| Error::unavailable("the table has gone"))?;
        if let Some(source) = applied.keys().find(|source| state.positions.get(*source) != expected.get(*source)) {
            writer.known = None;
            return Err(Error::conflict(format!(
                "another process has written rows of topic {}, partition {}",
                source.topic, source.partition
            ))
            .with_hint("only one sink may read a partition"));
        }
        self.adopt(writer, state);
        Ok(())
    }

    /// Reads the log if it was never read, or if it may have a commit of ours that we do not know of.
    pub(super) async fn read_log_if_unknown(&self, writer: &mut Writer) -> Result<()> {
        if writer.known.is_none()
            && let Some(state) = writer.load().await?
        {
            self.adopt(writer, state);
        }
        Ok(())
    }

    /// Takes over what the log says; files that were known keep what was read of them.
    fn adopt(&self, writer: &mut Writer, state: TableState) {
        let earlier = self.file_list();
        let positions = state.positions.clone();
        let known: hashbrown::HashMap<&str, &Arc<DataFile>> =
            earlier.files.iter().map(|file| (file.path.as_str(), file)).collect();
        let mut list = FileList::from(state);
        for file in &mut list.files {
            if let Some(same) = known.get(file.path.as_str()) {
                *file = Arc::clone(same);
            }
        }
        let is_gone = |file: &&Arc<DataFile>| !list.files.iter().any(|other| other.path == file.path);
        writer.replaced.extend(earlier.files.iter().filter(is_gone).cloned());
        self.set_files(Arc::new(list), &positions);
    }

    /// Puts files where the table has them; nothing names them yet.
    pub(super) async fn put(&self, files: Vec<NewFile>) -> Result<(Vec<deltalake::kernel::Add>, Vec<Arc<DataFile>>)> {
        let reader = &self.files.reader;
        let put = |file: NewFile| async move {
            let path = reader.path(&file.file);
            reader
                .store
                .put(&path, PutPayload::from(file.bytes))
                .await
                .map_err(|error| Error::unavailable(format!("writing {path}: {error}")))?;
            Ok::<_, Error>((file.add, Arc::new(file.file)))
        };
        let done: Vec<_> = futures::stream::iter(files).map(put).buffered(PUTS_AT_ONCE).try_collect().await?;
        Ok(done.into_iter().unzip())
    }
}

fn advanced(known: &SourcePositions, applied: &SourcePositions) -> SourcePositions {
    let mut positions = known.clone();
    for (source, offset) in applied {
        let position = positions.entry(source.clone()).or_default();
        *position = (*offset).max(*position);
    }
    positions
}

/// The newest time of each series.
fn newest_times(taken: &TakenRows) -> Vec<(SeriesId, i64)> {
    let of_run = |run: &Arc<Run>| {
        run.series.iter().map(|rows| (rows.series, run.time[rows.end as usize - 1])).collect::<Vec<_>>()
    };
    taken.runs.iter().flat_map(of_run).collect()
}

/// Merges the runs of a flush, series in the order of files: by each tag of the schema in turn, absent ones last, so that
/// files from before a tag was known are in order too. Deletes are rows of files of their own.
fn sort_for_files(taken: TakenRows, schema: &TableSchema) -> Result<Vec<(SortedRows, Vec<i64>)>> {
    let TakenRows { columns, runs, mut series } = taken;
    let (deletes, runs): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.deletes);
    series.sort_by(|left, right| compare_in_files(&left.1, &right.1, schema));
    let types: Vec<Option<ColumnType>> = columns
        .fields()
        .iter()
        .enumerate()
        .map(|(place, field)| runs.iter().any(|run| run.column(place).is_some()).then_some(field.column_type))
        .collect();
    let order: Vec<SeriesId> = series.iter().map(|one| one.0).collect();
    let merged = [consolidate(&runs, &order, &types)?, consolidate_deletes(&deletes, &order)];
    // Both have their series in this order, each those that it has rows of.
    let places: HashMap<SeriesId, usize> = order.iter().enumerate().map(|(place, series)| (*series, place)).collect();
    let for_files = |run: Run| {
        let of_run = || run.series.iter().map(|rows| &series[places[&rows.series]]);
        let (tags, stored_until) = of_run().map(|(_, tags, until)| (tags.clone(), *until)).unzip();
        (SortedRows { tags, columns: Arc::clone(&columns), run }, stored_until)
    };
    Ok(merged.into_iter().filter(|run| run.len() > 0).map(for_files).collect())
}

/// The order of series in files.
pub(super) fn compare_in_files(left: &Tags, right: &Tags, schema: &TableSchema) -> Ordering {
    for tag in &schema.tags {
        let value_in = |tags: &Tags| tags.iter().position(|(key, _)| *key == tag.name);
        let by_tag = match (value_in(left), value_in(right)) {
            (Some(own), Some(other)) => left[own].1.cmp(&right[other].1),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if by_tag.is_ne() {
            return by_tag;
        }
    }
    Ordering::Equal
}

/// Runs work that takes the processor for long away from the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::internal(format!("writing files: {error}"))),
    }
}
