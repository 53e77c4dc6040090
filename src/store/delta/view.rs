//! What a scan reads of a table's files: the runs of the series, times and fields that it wants.
//!
//! Called when a scan starts. `_seq` is read only where rows of several runs may be versions of one point.

use std::sync::Arc;

use super::super::columns::FieldId;
use super::super::run::Run;
use super::super::series::SeriesId;
use super::super::table::TableView;
use super::data_file::DataFile;
use super::reader::FileRows;
use crate::error::Result;
use crate::name::Name;
use crate::table::scan::Bounds;

impl TableView {
    /// The files that may have rows within bounds. Their series are known to the table afterwards.
    pub(crate) async fn files_within(&self, bounds: Bounds) -> Result<Vec<Arc<DataFile>>> {
        let reader = &self.table.files.reader;
        let find = |tag_sets: &[Vec<(&Name, &str)>]| {
            let sets = tag_sets.iter().map(|tags| {
                let mut tags: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (&***key, *value)).collect();
                tags.sort_unstable();
                tags
            });
            self.table.find_series(sets)
        };
        let files: Vec<Arc<DataFile>> = self.files.within(bounds).cloned().collect();
        for file in &files {
            reader.series(file, &self.files.schema, &find).await?;
        }
        Ok(files)
    }

    /// The wanted series of files within bounds, a run for each file that has any of their rows; `fields` are those whose
    /// columns are read.
    pub(crate) async fn read_files(
        &self,
        files: &[Arc<DataFile>],
        wanted: &(dyn Fn(SeriesId) -> bool + Sync),
        bounds: Bounds,
        fields: &[FieldId],
    ) -> Result<Vec<Arc<Run>>> {
        let reader = &self.table.files.reader;
        let schema = &self.files.schema;
        let mut found: Vec<FileRows> = Vec::new();
        for file in files {
            found.extend(reader.rows(file, wanted, bounds).await?);
        }
        let with_seq = self.may_share_points(&found, wanted, bounds);
        let places: Vec<(usize, usize)> = fields
            .iter()
            .filter_map(|id| {
                let name = &self.columns.fields()[*id as usize].name;
                let place = schema.fields.iter().position(|column| column.name == *name)?;
                Some((place, *id as usize))
            })
            .collect();
        let mut runs = Vec::with_capacity(found.len());
        for rows in found {
            let count = self.columns.fields().len();
            runs.push(Arc::new(reader.read(rows, schema, &places, count, with_seq).await?));
        }
        Ok(runs)
    }

    /// Whether a point may stand in two rows: in a run that says so of itself, or in two runs that overlap in time.
    fn may_share_points(&self, files: &[FileRows], wanted: &(dyn Fn(SeriesId) -> bool + Sync), bounds: Bounds) -> bool {
        let runs = || files.iter().map(|rows| &rows.run).chain(self.runs.iter().map(|run| &**run));
        if runs().any(|run| !run.unique) {
            return true;
        }
        let mut spans: Vec<(SeriesId, i64, i64)> = Vec::new();
        for run in runs() {
            for rows in run.series.iter().filter(|rows| wanted(rows.series)) {
                let within = run.rows_within(*rows, bounds.start_ns, bounds.stop_ns);
                if !within.is_empty() {
                    spans.push((rows.series, run.time[within.start as usize], run.time[within.end as usize - 1]));
                }
            }
        }
        spans.sort_unstable();
        spans.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[0].2 >= pair[1].1)
    }
}
