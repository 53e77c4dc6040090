//! Replacing and dropping files of a table in one commit: the part that compaction, retention and retyping share.
//!
//! Called by them with the maintainer's lock held: one of them at a time per table. Flushes go on meanwhile; what they
//! commit in between is kept, and a replacement whose files others have replaced is given up, its output left to vacuum.

use std::sync::Arc;

use deltalake::kernel::{Add, Remove};
use deltalake::protocol::DeltaOperation;

use super::FileList;
use super::data_file::DataFile;
use super::flush::MAX_RETRIES;
use super::log::{Committed, Replacement, SourcePositions};
use super::names::DAY;
use super::schema::TableSchema;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::store::deletes::Masks;
use crate::store::table::Table;

/// What is remembered from one maintenance of a table to the next.
#[derive(Default)]
pub(crate) struct Maintainer {
    /// When vacuum last looked, by the store's clock.
    pub(super) vacuumed_ns: Option<i64>,
}

/// What maintenance of a table did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableMaintenance {
    /// Files that were replaced or dropped.
    pub(crate) files_before: usize,
    /// Files that stand in their place.
    pub(crate) files_after: usize,
    /// Rows in those.
    pub(crate) rows: usize,
}

/// How maintenance is done.
#[derive(Clone, Debug)]
pub(crate) struct MaintenanceContext {
    /// Up to where the sink has come: tells which sources are ours.
    pub(crate) applied: SourcePositions,
    /// The store's clock.
    pub(crate) now_ns: i64,
    /// Rows before this time are no longer kept.
    pub(crate) keep_from_ns: i64,
    /// What of the bucket is deleted by range.
    pub(crate) masks: Arc<Masks>,
    /// Of each second that it works, how many it rests: its share of a processor.
    pub(crate) rest: f64,
}

/// Files for others.
pub(super) struct Exchange {
    pub(super) inputs: Vec<Arc<DataFile>>,
    pub(super) adds: Vec<Add>,
    pub(super) added: Vec<Arc<DataFile>>,
    pub(super) operation: DeltaOperation,
    /// Another schema, where the files in exchange are all that there are.
    pub(super) schema: Option<TableSchema>,
    /// Whether the table's rows are others afterwards.
    pub(super) changes_rows: bool,
    /// The table takes rows of every offset again: a replay is to bring what it does not have.
    pub(super) takes_all_again: bool,
}

impl Exchange {
    /// Files for none, with nothing else changed.
    pub(super) fn new(inputs: Vec<Arc<DataFile>>, operation: DeltaOperation) -> Self {
        Exchange {
            inputs,
            adds: Vec::new(),
            added: Vec::new(),
            operation,
            schema: None,
            changes_rows: false,
            takes_all_again: false,
        }
    }
}

impl Table {
    /// Drops the files of which every row is older than the bucket keeps.
    pub(crate) async fn expire(&self, context: &MaintenanceContext) -> Result<TableMaintenance> {
        let expired = |list: &FileList| -> Vec<Arc<DataFile>> {
            let is_old = |file: &DataFile| file.times.1 < context.keep_from_ns;
            // Deletes stay as long as a file with younger rows may have what they hide: should the bucket keep rows longer
            // from now on, they would be back.
            let kept = list.files.iter().filter(|file| !file.deletes && !is_old(file)).map(|file| file.times.0).min();
            let goes =
                |file: &DataFile| is_old(file) && !(file.deletes && kept.is_some_and(|kept| kept <= file.times.1));
            list.files.iter().filter(|file| goes(file)).cloned().collect()
        };
        if expired(&self.file_list()).is_empty() {
            return Ok(TableMaintenance::default());
        }
        let mut maintainer = self.files.maintainer.lock().await;
        let inputs = expired(&self.file_list());
        let files_before = inputs.len();
        let before = context.keep_from_ns.div_euclid(1_000);
        let before = chrono::DateTime::from_timestamp_micros(before).map(|time| time.to_rfc3339()).unwrap_or_default();
        let operation = DeltaOperation::Delete { predicate: Some(format!("time < '{before}'")) };
        let exchange = Exchange { changes_rows: true, ..Exchange::new(inputs, operation) };
        failpoint("expire.before-commit");
        let done = self.exchange(&mut maintainer, exchange, context).await?;
        failpoint("expire.after-commit");
        Ok(TableMaintenance { files_before: if done { files_before } else { 0 }, ..TableMaintenance::default() })
    }

    /// Commits an exchange; false if an input is no longer part of the table.
    ///
    /// Errors: `Unavailable` when the disk refuses, `Conflict` when another process does the sink's work.
    pub(super) async fn exchange(
        &self,
        _maintainer: &mut Maintainer,
        exchange: Exchange,
        context: &MaintenanceContext,
    ) -> Result<bool> {
        let mut writer = self.files.writer.lock().await;
        self.read_log_if_unknown(&mut writer).await?;
        let Exchange { inputs, adds, added, operation, schema, changes_rows, takes_all_again } = exchange;
        let removes = inputs.iter().map(|file| remove(file, context.now_ns, changes_rows)).collect();
        let adds = adds.into_iter().map(|add| Add { data_change: changes_rows, ..add }).collect();
        let replacement = Replacement { adds, removes, operation, schema };
        let is_input = |file: &DataFile| inputs.iter().any(|input| input.path == file.path);
        for _ in 0..MAX_RETRIES {
            let list = self.file_list();
            let present = list.files.iter().filter(|file| is_input(file)).count();
            if present < inputs.len() || (replacement.schema.is_some() && present < list.files.len()) {
                return Ok(false);
            }
            let known = writer.known()?;
            if known.is_no_table() {
                return Ok(true);
            }
            let (version, mut positions) = (known.next_version(), known.positions.clone());
            if takes_all_again {
                positions.values_mut().for_each(|offset| *offset = 0);
            }
            match writer.log.replace(version, &replacement, &positions).await {
                Ok(Committed::Done) => {
                    failpoint("exchange.committed");
                    writer.committed(version, positions, replacement.schema.clone());
                    if takes_all_again {
                        self.take_all_again();
                    }
                    let schema = replacement.schema.clone().unwrap_or_else(|| list.schema.clone());
                    let mut files: Vec<_> = list.files.iter().filter(|file| !is_input(file)).cloned().collect();
                    files.extend(added);
                    self.replace_files(Arc::new(FileList { schema, files }));
                    writer.replaced.extend(inputs);
                    writer.log.checkpoint_if_due(version).await;
                    return Ok(true);
                }
                Ok(Committed::VersionTaken) => self.follow_others(&mut writer, &context.applied).await?,
                Err(error) => {
                    // Whether it happened is for the log to say, when it can be read again.
                    writer.known = None;
                    return Err(error);
                }
            }
        }
        Err(Error::unavailable("other writers of the table leave no version free"))
    }
}

fn remove(file: &DataFile, now_ns: i64, changes_rows: bool) -> Remove {
    let day = (!file.day().is_empty()).then(|| file.day().to_string());
    Remove {
        path: file.path.clone(),
        data_change: changes_rows,
        deletion_timestamp: Some(now_ns / 1_000_000),
        extended_file_metadata: Some(true),
        partition_values: Some([(DAY.to_string(), day)].into()),
        size: i64::try_from(file.size).ok(),
        ..Remove::default()
    }
}
