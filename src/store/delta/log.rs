//! A table's Delta log: opening it, committing to it, checkpoints.
//!
//! Called by opening and by flushes; one writer at a time within the process. A commit is one file that appears whole or not
//! at all. Every commit of ours names the positions of *all* sources, so the newest of them tells what the table holds.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use deltalake::DeltaTable;
use deltalake::kernel::transaction::{CommitData, TransactionError};
use deltalake::kernel::{Action, Add, Protocol, Remove, Transaction, new_metadata};
use deltalake::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, default_logstore};
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;

use super::data_file::DataFile;
use super::names::DAY;
use super::schema::TableSchema;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::store::apply::SourcePartition;

/// How the ids of our transactions begin.
const APP_ID: &str = "fm:";

/// Under which name a commit carries the id of its operation.
const OPERATION_ID: &str = "fluxmillOperation";

/// Commits between checkpoints.
const CHECKPOINT_EVERY: u64 = 100;

/// Up to where a table holds the records of its sources: the offset of the next one.
pub(crate) type SourcePositions = BTreeMap<SourcePartition, u64>;

/// The log of one table.
#[derive(Clone, Debug)]
pub(crate) struct TableLog {
    store: LogStoreRef,
}

/// What a table's log says.
pub(crate) struct TableState {
    pub(crate) version: u64,
    pub(crate) schema: TableSchema,
    pub(crate) files: Vec<Arc<DataFile>>,
    pub(crate) positions: SourcePositions,
}

/// What a commit of maintenance does to the files.
#[derive(Clone, Debug)]
pub(crate) struct Replacement {
    /// New files.
    pub(crate) adds: Vec<Add>,
    /// Files that are no longer part of the table.
    pub(crate) removes: Vec<Remove>,
    /// What it is called in the log.
    pub(crate) operation: DeltaOperation,
    /// Another schema, where all files are replaced by ones that have it.
    pub(crate) schema: Option<TableSchema>,
}

/// What became of a commit.
pub(crate) enum Committed {
    /// It is durable.
    Done,
    /// Somebody else has committed this version; nothing was written.
    VersionTaken,
}

impl TableLog {
    /// The log of the table in a directory, which need not exist yet.
    pub(crate) fn new(files: Arc<dyn ObjectStore>, directory: &std::path::Path) -> Result<Self> {
        let location = url::Url::from_directory_path(directory)
            .map_err(|()| Error::internal(format!("{} is not absolute", directory.display())))?;
        let root = Path::from_absolute_path(directory).map_err(|error| Error::internal(error.to_string()))?;
        let prefixed = Arc::new(PrefixStore::new(Arc::clone(&files), root));
        Ok(TableLog { store: default_logstore(prefixed, files, &location, &StorageConfig::default()) })
    }

    /// Reads the log; `None` if there is no table.
    pub(crate) async fn load(&self) -> Result<Option<TableState>> {
        if !self.store.is_delta_table_location().await.map_err(delta_error)? {
            return Ok(None);
        }
        let mut table = DeltaTable::new(Arc::clone(&self.store));
        table.load().await.map_err(delta_error)?;
        let snapshot = table.snapshot().map_err(delta_error)?;
        let mut files = Vec::new();
        for view in snapshot.log_data().iter() {
            if view.deletion_vector_descriptor().is_some() {
                return Err(Error::failed_precondition(format!("file {} has a deletion vector", view.path())));
            }
            let size = u64::try_from(view.size()).unwrap_or(0);
            files.push(Arc::new(DataFile::new(view.path().into_owned(), size, view.stats().as_deref())));
        }
        let version = snapshot.version();
        let schema = TableSchema::from_delta(&snapshot.schema())?;
        let positions = self.positions(version).await?;
        Ok(Some(TableState { version, schema, files, positions }))
    }

    /// The positions that the newest commit of ours names. Where only commits of others are left the sources begin anew,
    /// which repeats rows and harms nothing.
    async fn positions(&self, newest: u64) -> Result<SourcePositions> {
        for version in (0..=newest).rev() {
            let Some(entry) = self.store.read_commit_entry(version).await.map_err(delta_error)? else { break };
            let found: SourcePositions = std::str::from_utf8(&entry)
                .unwrap_or_default()
                .lines()
                .filter_map(|line| serde_json::from_str::<Action>(line).ok())
                .filter_map(|action| match action {
                    Action::Txn(transaction) => source_position(&transaction),
                    _ => None,
                })
                .collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(SourcePositions::new())
    }

    /// Makes the table, as version 0.
    pub(crate) async fn create(&self, schema: &TableSchema) -> Result<Committed> {
        let protocol: Protocol =
            serde_json::from_value(serde_json::json!({"minReaderVersion": 1, "minWriterVersion": 2}))
                .map_err(|error| Error::internal(error.to_string()))?;
        let metadata = metadata(schema)?;
        let operation = DeltaOperation::Create {
            mode: SaveMode::ErrorIfExists,
            location: self.store.root_url().clone(),
            protocol: protocol.clone(),
            metadata: metadata.clone(),
        };
        self.write(0, vec![Action::Protocol(protocol), Action::Metadata(metadata)], operation, &SourcePositions::new())
            .await
    }

    /// Replaces the schema by one with more columns, as a version of its own.
    pub(crate) async fn change_schema(
        &self,
        version: u64,
        schema: &TableSchema,
        positions: &SourcePositions,
    ) -> Result<Committed> {
        let changed = self.metadata_with(schema).await?;
        let fields = schema.to_delta()?.fields().cloned().collect();
        self.write(version, vec![Action::Metadata(changed)], DeltaOperation::AddColumn { fields }, positions).await
    }

    /// Adds files and sets the positions that they bring the table to.
    pub(crate) async fn append(&self, version: u64, files: Vec<Add>, positions: &SourcePositions) -> Result<Committed> {
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![DAY.to_string()]),
            predicate: None,
        };
        self.write(version, files.into_iter().map(Action::Add).collect(), operation, positions).await
    }

    /// Replaces files by others; the positions are those that the table has already, but where it begins anew.
    pub(crate) async fn replace(
        &self,
        version: u64,
        replacement: &Replacement,
        positions: &SourcePositions,
    ) -> Result<Committed> {
        let mut actions = Vec::new();
        if let Some(schema) = &replacement.schema {
            actions.push(Action::Metadata(self.metadata_with(schema).await?));
        }
        actions.extend(replacement.removes.iter().cloned().map(Action::Remove));
        actions.extend(replacement.adds.iter().cloned().map(Action::Add));
        self.write(version, actions, replacement.operation.clone(), positions).await
    }

    /// The current metadata with another schema.
    async fn metadata_with(&self, schema: &TableSchema) -> Result<deltalake::kernel::Metadata> {
        let mut table = DeltaTable::new(Arc::clone(&self.store));
        table.load().await.map_err(delta_error)?;
        let current = table.snapshot().map_err(delta_error)?.metadata().clone();
        deltalake::kernel::MetadataExt::with_schema(current, &schema.to_delta()?)
            .map_err(|error| Error::internal(error.to_string()))
    }

    /// The files that the log remembers as removed, with the time of that in milliseconds since the epoch.
    pub(crate) async fn removed(&self) -> Result<HashMap<String, i64>> {
        let mut table = DeltaTable::new(Arc::clone(&self.store));
        table.load().await.map_err(delta_error)?;
        let snapshot = table.snapshot().map_err(delta_error)?;
        let tombstones = snapshot.all_tombstones(&*self.store);
        tombstones
            .map_ok(|removed| (removed.path().into_owned(), removed.deletion_timestamp().unwrap_or(i64::MAX)))
            .try_collect()
            .await
            .map_err(delta_error)
    }

    async fn write(
        &self,
        version: u64,
        actions: Vec<Action>,
        operation: DeltaOperation,
        positions: &SourcePositions,
    ) -> Result<Committed> {
        let transactions = positions
            .iter()
            .map(|(source, offset)| Transaction::new(app_id(source), i64::try_from(*offset).unwrap_or(i64::MAX)))
            .collect();
        let id = uuid::Uuid::new_v4();
        let named = HashMap::from([(OPERATION_ID.to_string(), id.to_string().into())]);
        let data = CommitData::new(actions, operation, named, transactions);
        let bytes = data.get_bytes().map_err(|error| Error::internal(error.to_string()))?;
        match self.store.write_commit_entry(version, CommitOrBytes::LogBytes(bytes), id).await {
            Ok(()) => Ok(Committed::Done),
            // A store that tries again by itself may find its own first try.
            Err(TransactionError::VersionAlreadyExists(_)) if self.is_ours(version, id).await? => Ok(Committed::Done),
            Err(TransactionError::VersionAlreadyExists(_)) => Ok(Committed::VersionTaken),
            Err(error) => Err(Error::unavailable(format!("committing version {version}: {error}"))),
        }
    }

    async fn is_ours(&self, version: u64, id: uuid::Uuid) -> Result<bool> {
        let entry = self.store.read_commit_entry(version).await.map_err(delta_error)?.unwrap_or_default();
        let text = std::str::from_utf8(&entry).unwrap_or_default();
        Ok(text.lines().filter_map(|line| serde_json::from_str::<Action>(line).ok()).any(|action| match action {
            Action::CommitInfo(info) => {
                info.info.get(OPERATION_ID).and_then(|own| own.as_str()) == Some(id.to_string().as_str())
            }
            _ => false,
        }))
    }

    /// Writes a checkpoint if `version` is due for one, and drops log files that it makes needless. The table is whole
    /// without it, so a failure is logged, not returned.
    pub(crate) async fn checkpoint_if_due(&self, version: u64) {
        if !(version + 1).is_multiple_of(CHECKPOINT_EVERY) {
            return;
        }
        if let Err(error) = self.checkpoint().await {
            tracing::warn!(%error, version, "no checkpoint was written");
        }
    }

    async fn checkpoint(&self) -> deltalake::DeltaResult<()> {
        let mut table = DeltaTable::new(Arc::clone(&self.store));
        table.load().await?;
        failpoint("checkpoint.begin");
        deltalake::checkpoints::create_checkpoint(&table, None).await?;
        failpoint("checkpoint.written");
        deltalake::checkpoints::cleanup_metadata(&table, None).await?;
        Ok(())
    }
}

fn metadata(schema: &TableSchema) -> Result<deltalake::kernel::Metadata> {
    let configuration = [
        ("delta.checkpointInterval", "100"),
        ("delta.logRetentionDuration", "interval 1 day"),
        ("delta.deletedFileRetentionDuration", "interval 24 hours"),
    ];
    new_metadata(&schema.to_delta()?, [DAY], configuration).map_err(|error| Error::internal(error.to_string()))
}

fn app_id(source: &SourcePartition) -> String {
    format!("{APP_ID}{}:{}:{}", source.topic, source.generation, source.partition)
}

fn source_position(transaction: &Transaction) -> Option<(SourcePartition, u64)> {
    let mut parts = transaction.app_id.strip_prefix(APP_ID)?.rsplitn(3, ':');
    let partition = parts.next()?.parse().ok()?;
    let generation = parts.next()?.parse().ok()?;
    let topic = parts.next()?.into();
    Some((SourcePartition { topic, generation, partition }, u64::try_from(transaction.version).ok()?))
}

fn delta_error(error: deltalake::DeltaTableError) -> Error {
    match error {
        deltalake::DeltaTableError::ObjectStore { .. } | deltalake::DeltaTableError::Io { .. } => {
            Error::unavailable(error.to_string())
        }
        error => Error::failed_precondition(error.to_string()),
    }
}
