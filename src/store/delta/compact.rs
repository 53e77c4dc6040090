//! Compaction: files of one day become one sorted group, in which versions that newer ones hide are gone.
//!
//! Called in the background for a few files at a time and by `bucket compact` for whole days. Series after series in the
//! order of files, so that memory holds a stretch of series of all inputs, never a day. Nothing that a read would show
//! changes: versions of a point stay side by side where each has a field that is nowhere newer (`merge::add_versions`).

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deltalake::kernel::Add;
use deltalake::protocol::DeltaOperation;
use hashbrown::HashMap;

use super::FileList;
use super::choose;
use super::data_file::{COMPACT, DELETES, DataFile, VERSIONS};
use super::flush::{blocking, compare_in_files};
use super::maintain::{Exchange, Maintainer, MaintenanceContext, TableMaintenance};
use super::reader::FieldToRead;
use super::schema::TableSchema;
use super::writer::{FileBuilder, FileRows, SortedRows};
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::store::columns::{Columns, FieldId};
use crate::store::deletes::{Hidden, Masks};
use crate::store::merge::{consolidate_deletes, consolidate_shown};
use crate::store::run::Run;
use crate::store::series::{SeriesId, Tags};
use crate::store::table::Table;
use crate::table::ColumnType;
use crate::table::scan::Bounds;

/// Rows of the inputs that are merged at a time.
const STRETCH_ROWS: usize = 256 << 10;

/// How hard compaction compresses: its files are written seldom and read often.
const LEVEL: i32 = 3;

/// Everything: a time that a row may have lies before the last nanosecond there is.
const ALWAYS: Bounds = Bounds { start_ns: i64::MIN, stop_ns: i64::MAX };

impl Table {
    /// Compacts some files if some are due.
    pub(crate) async fn compact_due(&self, context: &MaintenanceContext) -> Result<TableMaintenance> {
        self.rewrite_types(context).await?;
        if choose::due(&self.file_list().files).is_none() {
            return Ok(TableMaintenance::default());
        }
        let mut maintainer = self.files.maintainer.lock().await;
        let list = self.file_list();
        match choose::due(&list.files) {
            Some(inputs) => self.compact(&mut maintainer, &list, inputs, context).await,
            None => Ok(TableMaintenance::default()),
        }
    }

    /// Compacts every day that is not one sorted group of files.
    pub(crate) async fn compact_all(&self, context: &MaintenanceContext) -> Result<TableMaintenance> {
        self.rewrite_types(context).await?;
        let mut maintainer = self.files.maintainer.lock().await;
        let mut all = TableMaintenance::default();
        let list = self.file_list();
        for inputs in choose::whole_days(&list.files, |file| self.may_have_deleted(&list, file, context)) {
            let list = self.file_list();
            let done = self.compact(&mut maintainer, &list, inputs, context).await?;
            all.files_before += done.files_before;
            all.files_after += done.files_after;
            all.rows += done.rows;
        }
        Ok(all)
    }

    /// Compacts files of one day.
    pub(super) async fn compact(
        &self,
        maintainer: &mut Maintainer,
        list: &FileList,
        inputs: Vec<Arc<DataFile>>,
        context: &MaintenanceContext,
    ) -> Result<TableMaintenance> {
        failpoint("compact.begin");
        let columns = self.columns();
        if list.schema.retyped(&columns).1 {
            // A field was retyped just now: the next round rewrites it first.
            return Ok(TableMaintenance::default());
        }
        let (adds, added) = self.rewrite(list, &inputs, &columns, list.schema.clone(), context).await?;
        let rows = added.iter().map(|file| file.rows as usize).sum();
        let done = TableMaintenance { files_before: inputs.len(), files_after: added.len(), rows };
        // Our own reads show the same rows as before; those of others lose what is deleted or too old.
        let changes_rows =
            inputs.iter().any(|file| file.times.0 < context.keep_from_ns || self.may_have_deleted(list, file, context));
        let operation = DeltaOperation::Optimize { predicate: None, target_size: choose::LARGE_BYTES as i64 };
        let exchange = Exchange { adds, added, changes_rows, ..Exchange::new(inputs, operation) };
        failpoint("compact.before-commit");
        let committed = self.exchange(maintainer, exchange, context).await?;
        failpoint("compact.after-commit");
        Ok(if committed { done } else { TableMaintenance::default() })
    }

    /// Whether rows of a file may be deleted.
    fn may_have_deleted(&self, list: &FileList, file: &DataFile, context: &MaintenanceContext) -> bool {
        let bounds = Bounds { start_ns: file.times.0, stop_ns: file.times.1.saturating_add(1) };
        let by_range = context.masks.within(&self.measurement, bounds).newest_seq();
        let by_name =
            list.files.iter().filter(|other| other.deletes && other.may_hold(bounds.start_ns, bounds.stop_ns));
        !file.deletes && by_name.map(|other| other.seqs.1).chain(by_range).any(|seq| seq >= file.seqs.0)
    }

    /// Writes the rows of files of one day as new files of a schema that has the types of `columns`; nothing names them yet.
    pub(super) async fn rewrite(
        &self,
        list: &FileList,
        inputs: &[Arc<DataFile>],
        columns: &Arc<Columns>,
        schema: TableSchema,
        context: &MaintenanceContext,
    ) -> Result<(Vec<Add>, Vec<Arc<DataFile>>)> {
        self.load_series(inputs, &list.schema).await?;
        // Rows of deletes are of the day of what they hide. They stay: older rows may still come from another partition.
        let of_day = |file: &&Arc<DataFile>| file.deletes && !inputs[0].deletes && file.day() == inputs[0].day();
        let deletes: Vec<Arc<DataFile>> = list.files.iter().filter(of_day).cloned().collect();
        self.load_series(&deletes, &list.schema).await?;
        let masks = context.masks.within(&self.measurement, ALWAYS);
        let stretches = self.stretches(inputs, &schema);
        let now_ms = context.now_ns / 1_000_000;
        let mut day = Day { schema, name: inputs[0].day().to_string(), deletes: inputs[0].deletes, now_ms, open: None };
        let (mut adds, mut added) = (Vec::new(), Vec::new());
        for stretch in stretches {
            let began = Instant::now();
            let mut runs = self.read_stretch(inputs, &list.schema, columns, &stretch).await?;
            runs.extend(self.read_stretch(&deletes, &list.schema, columns, &stretch).await?);
            let hidden = self.hidden(&masks, &stretch);
            // Deletes go with what they hide, by file.
            let keep_from_ns = if inputs[0].deletes { i64::MIN } else { context.keep_from_ns };
            let shared = Arc::clone(columns);
            let full;
            (day, full) = blocking(move || {
                let rows = sort_stretch(&runs, stretch.series, shared, &hidden)?;
                let full = day.push(&rows, keep_from_ns)?;
                Ok((day, full))
            })
            .await?;
            if let Some(file) = full {
                let (new_adds, new_files) = self.put(vec![file]).await?;
                adds.extend(new_adds);
                added.extend(new_files);
            }
            // Not longer than a moment: whoever waits for the maintainer should not wait for its rest.
            tokio::time::sleep(began.elapsed().mul_f64(context.rest).min(Duration::from_secs(2))).await;
        }
        if let Some(file) = day.finish()? {
            failpoint("compact.before-put");
            let (new_adds, new_files) = self.put(vec![file]).await?;
            adds.extend(new_adds);
            added.extend(new_files);
            failpoint("compact.after-put");
        }
        Ok((adds, added))
    }

    /// What is deleted by range of the series of a stretch.
    fn hidden(&self, masks: &Masks, stretch: &Stretch) -> HashMap<SeriesId, Vec<Hidden>> {
        if masks.is_empty() {
            return HashMap::new();
        }
        let of = |(series, tags): &(SeriesId, Box<Tags>)| {
            let tag = |key: &str| tags.iter().find(|(own, _)| &**own == key).map(|(_, value)| &**value);
            (*series, masks.of_series(&self.measurement, tag))
        };
        stretch.series.iter().map(of).filter(|(_, hidden)| !hidden.is_empty()).collect()
    }

    /// The series of files in their order, cut where a stretch has enough rows.
    fn stretches(&self, inputs: &[Arc<DataFile>], schema: &TableSchema) -> Vec<Stretch> {
        let mut rows_of: HashMap<SeriesId, usize> = HashMap::new();
        for rows in inputs.iter().filter_map(|file| file.series.get()).flat_map(|series| series.iter()) {
            *rows_of.entry(rows.series).or_default() += (rows.end - rows.start) as usize;
        }
        let mut series = self.with_tags(rows_of.keys().copied());
        series.sort_by(|left, right| compare_in_files(&left.1, &right.1, schema).then(left.0.cmp(&right.0)));
        let mut stretches: Vec<Stretch> = Vec::new();
        for one in series {
            let rows = rows_of[&one.0];
            match stretches.last_mut() {
                Some(last) if last.rows + rows <= STRETCH_ROWS => {
                    last.rows += rows;
                    last.series.push(one);
                }
                _ => stretches.push(Stretch { rows, series: vec![one] }),
            }
        }
        stretches
    }

    async fn read_stretch(
        &self,
        inputs: &[Arc<DataFile>],
        schema: &TableSchema,
        columns: &Columns,
        stretch: &Stretch,
    ) -> Result<Vec<Arc<Run>>> {
        let reader = &self.files.reader;
        let wanted: hashbrown::HashSet<SeriesId> = stretch.series.iter().map(|one| one.0).collect();
        let fields = FieldToRead::of(0..columns.fields().len() as FieldId, columns, schema);
        let mut runs = Vec::new();
        for file in inputs {
            if let Some(rows) = reader.rows(file, &|series| wanted.contains(&series), ALWAYS).await? {
                runs.push(Arc::new(reader.read(rows, schema, &fields, columns, true).await?));
            }
        }
        Ok(runs)
    }
}

/// Series that are merged together.
struct Stretch {
    rows: usize,
    series: Vec<(SeriesId, Box<Tags>)>,
}

/// Merges runs, series in the given order.
fn sort_stretch(
    runs: &[Arc<Run>],
    series: Vec<(SeriesId, Box<Tags>)>,
    columns: Arc<Columns>,
    hidden: &HashMap<SeriesId, Vec<Hidden>>,
) -> Result<SortedRows> {
    let types: Vec<Option<ColumnType>> = columns
        .fields()
        .iter()
        .enumerate()
        .map(|(place, field)| runs.iter().any(|run| run.column(place).is_some()).then_some(field.column_type))
        .collect();
    let order: Vec<SeriesId> = series.iter().map(|one| one.0).collect();
    let run = match runs.iter().all(|run| run.deletes) {
        true => consolidate_deletes(runs, &order),
        false => consolidate_shown(runs, &order, &types, hidden)?,
    };
    // The run has its series in this order, but for those of which nothing is left.
    let mut left = run.series.iter().peekable();
    let mut tags = Vec::with_capacity(run.series.len());
    for (id, own) in series {
        if left.next_if(|rows| rows.series == id).is_some() {
            tags.push(own);
        }
    }
    Ok(SortedRows { run, tags, columns })
}

/// The files of a day in the making.
struct Day {
    schema: TableSchema,
    name: String,
    /// All of its rows are deletes.
    deletes: bool,
    now_ms: i64,
    open: Option<(FileBuilder, bool)>,
}

impl Day {
    /// Adds a stretch; gives the file that it filled.
    fn push(&mut self, rows: &SortedRows, keep_from_ns: i64) -> Result<Option<super::writer::NewFile>> {
        let mut kept = FileRows::default();
        for (place, series) in rows.run.series.iter().enumerate() {
            for row in series.start..series.end {
                if rows.run.time[row as usize] >= keep_from_ns {
                    kept.push(place, series.series, row);
                }
            }
        }
        if kept.len() == 0 {
            return Ok(None);
        }
        if self.open.is_none() {
            self.open = Some((FileBuilder::new(&self.schema, LEVEL)?, true));
        }
        let Some((builder, unique)) = &mut self.open else { return Ok(None) };
        builder.push(rows, &kept)?;
        *unique &= rows.run.unique;
        let full = builder.size().cmp(&(choose::LARGE_BYTES as usize)) != Ordering::Less;
        if full { self.finish() } else { Ok(None) }
    }

    /// The open file.
    fn finish(&mut self) -> Result<Option<super::writer::NewFile>> {
        let Some((builder, unique)) = self.open.take() else { return Ok(None) };
        let prefix = match (self.deletes, unique) {
            (true, _) => DELETES,
            (false, true) => COMPACT,
            (false, false) => VERSIONS,
        };
        builder.finish(&self.name, prefix, self.now_ms).map(Some)
    }
}
