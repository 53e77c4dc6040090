//! The catalogue: small durable facts (buckets, column types, tasks, slots, runs, tokens, positions) in one embedded database.
//!
//! Used by `store` (buckets, columns, positions), `tasks` (tasks, slots, runs) and `api` (tokens). It is a database of its
//! own beside the log, so that neither's housekeeping stalls the other. It knows no record's meaning: a value is a version
//! byte and JSON, and a value of a newer version is refused, never guessed at.

use std::path::Path;

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// The version that this program writes as the first byte of every value.
const VALUE_VERSION: u8 = 1;

/// The tables of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keyspace {
    /// Facts about the data directory itself.
    Meta,
    /// Buckets by id.
    Buckets,
    /// The columns of measurements by bucket id and measurement.
    Columns,
    /// Tasks by id.
    Tasks,
    /// Slots of tasks as intervals.
    Slots,
    /// Runs of tasks.
    Runs,
    /// Access tokens, hashed.
    Tokens,
    /// Positions of consumers.
    Positions,
    /// What is deleted by range, by bucket id.
    Deletes,
    /// What slots of tasks wrote.
    Manifests,
}

impl Keyspace {
    const ALL: [Keyspace; 10] = [
        Keyspace::Meta,
        Keyspace::Buckets,
        Keyspace::Columns,
        Keyspace::Tasks,
        Keyspace::Slots,
        Keyspace::Runs,
        Keyspace::Tokens,
        Keyspace::Positions,
        Keyspace::Deletes,
        Keyspace::Manifests,
    ];

    fn name(self) -> &'static str {
        match self {
            Keyspace::Meta => "meta",
            Keyspace::Buckets => "buckets",
            Keyspace::Columns => "columns",
            Keyspace::Tasks => "tasks",
            Keyspace::Slots => "slots",
            Keyspace::Runs => "runs",
            Keyspace::Tokens => "tokens",
            Keyspace::Positions => "positions",
            Keyspace::Deletes => "deletes",
            Keyspace::Manifests => "manifests",
        }
    }
}

/// When a write counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After an fsync: it survives a power cut.
    Synced,
    /// When the system has it: it survives a crash of the process. For what can be rebuilt from the log.
    Buffered,
}

/// Changes that become visible and durable together, or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<(Keyspace, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Batch::default()
    }

    /// Sets a value.
    pub fn put<T: Serialize>(&mut self, keyspace: Keyspace, key: impl AsRef<[u8]>, value: &T) -> Result<()> {
        let value = encode(value).map_err(|error| error.context(keyspace.name()))?;
        self.changes.push((keyspace, key.as_ref().to_vec(), Some(value)));
        Ok(())
    }

    /// Removes a key; it may be absent.
    pub fn remove(&mut self, keyspace: Keyspace, key: impl AsRef<[u8]>) {
        self.changes.push((keyspace, key.as_ref().to_vec(), None));
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The open catalogue. Calls block for the length of a memory access, or of an fsync where one is asked for.
pub struct Catalogue {
    database: Database,
    keyspaces: Vec<fjall::Keyspace>,
}

impl Catalogue {
    /// Opens the catalogue of a directory, or makes it.
    ///
    /// Errors: `Conflict` when another process has it open, `Unavailable` when the disk refuses, `FailedPrecondition` when
    /// the files are damaged or of a newer format.
    pub fn open(directory: &Path) -> Result<Self> {
        let context = |error: fjall::Error| database_error(error).context(format!("catalogue {}", directory.display()));
        let database = Database::builder(directory).worker_threads(1).cache_size(8 << 20).open().map_err(context)?;
        let mut keyspaces = Vec::with_capacity(Keyspace::ALL.len());
        for keyspace in Keyspace::ALL {
            keyspaces.push(database.keyspace(keyspace.name(), KeyspaceCreateOptions::default).map_err(context)?);
        }
        Ok(Catalogue { database, keyspaces })
    }

    /// The value of a key.
    pub fn get<T: DeserializeOwned>(&self, keyspace: Keyspace, key: impl AsRef<[u8]>) -> Result<Option<T>> {
        match self.keyspace(keyspace).get(key.as_ref()).map_err(database_error)? {
            Some(value) => decode(keyspace, key.as_ref(), &value).map(Some),
            None => Ok(None),
        }
    }

    /// Sets a value.
    pub fn put<T: Serialize>(
        &self,
        keyspace: Keyspace,
        key: impl AsRef<[u8]>,
        value: &T,
        durability: Durability,
    ) -> Result<()> {
        let mut batch = Batch::new();
        batch.put(keyspace, key, value)?;
        self.commit(batch, durability)
    }

    /// Removes a key; it may be absent.
    pub fn remove(&self, keyspace: Keyspace, key: impl AsRef<[u8]>, durability: Durability) -> Result<()> {
        let mut batch = Batch::new();
        batch.remove(keyspace, key);
        self.commit(batch, durability)
    }

    /// All keys that begin with `prefix` and their values, in the byte order of keys.
    pub fn list<T: DeserializeOwned>(&self, keyspace: Keyspace, prefix: impl AsRef<[u8]>) -> Result<Vec<(Vec<u8>, T)>> {
        let mut found = Vec::new();
        for entry in self.keyspace(keyspace).prefix(prefix.as_ref()) {
            let (key, value) = entry.into_inner().map_err(database_error)?;
            found.push((key.to_vec(), decode(keyspace, &key, &value)?));
        }
        Ok(found)
    }

    /// The first `limit` keys that begin with `prefix` and their values, the least key first.
    pub fn list_first<T: DeserializeOwned>(
        &self,
        keyspace: Keyspace,
        prefix: impl AsRef<[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>> {
        let mut found = Vec::new();
        for entry in self.keyspace(keyspace).prefix(prefix.as_ref()).take(limit) {
            let (key, value) = entry.into_inner().map_err(database_error)?;
            found.push((key.to_vec(), decode(keyspace, &key, &value)?));
        }
        Ok(found)
    }

    /// The last `limit` keys that begin with `prefix` and their values, the greatest key first.
    pub fn list_last<T: DeserializeOwned>(
        &self,
        keyspace: Keyspace,
        prefix: impl AsRef<[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>> {
        let mut found = Vec::new();
        for entry in self.keyspace(keyspace).prefix(prefix.as_ref()).rev().take(limit) {
            let (key, value) = entry.into_inner().map_err(database_error)?;
            found.push((key.to_vec(), decode(keyspace, &key, &value)?));
        }
        Ok(found)
    }

    /// Applies all changes of a batch as one.
    ///
    /// Errors: `Unavailable` when the disk refused; after a failed sync every later write fails too, since what is on the
    /// disk is not known any more (the process must be restarted).
    pub fn commit(&self, batch: Batch, durability: Durability) -> Result<()> {
        let mode = match durability {
            Durability::Synced => PersistMode::SyncData,
            Durability::Buffered => PersistMode::Buffer,
        };
        let mut write = self.database.batch().durability(Some(mode));
        for (keyspace, key, value) in batch.changes {
            match value {
                Some(value) => write.insert(self.keyspace(keyspace), key, value),
                None => write.remove(self.keyspace(keyspace), key),
            }
        }
        write.commit().map_err(database_error)
    }

    fn keyspace(&self, keyspace: Keyspace) -> &fjall::Keyspace {
        &self.keyspaces[keyspace as usize]
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = vec![VALUE_VERSION];
    serde_json::to_writer(&mut bytes, value).map_err(|error| Error::internal(format!("cannot be encoded: {error}")))?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(keyspace: Keyspace, key: &[u8], bytes: &[u8]) -> Result<T> {
    let place = || format!("catalogue, {} {:?}", keyspace.name(), String::from_utf8_lossy(key));
    match bytes.split_first() {
        Some((&VALUE_VERSION, json)) => serde_json::from_slice(json)
            .map_err(|error| Error::failed_precondition(format!("damaged value: {error}")).context(place())),
        Some((version, _)) => Err(Error::failed_precondition(format!(
            "value of version {version}; this program reads version {VALUE_VERSION}"
        ))
        .with_hint("the data directory was written by a newer fluxmill")
        .context(place())),
        None => Err(Error::failed_precondition("empty value").context(place())),
    }
}

fn database_error(error: fjall::Error) -> Error {
    match error {
        fjall::Error::Locked => Error::conflict("another process has it open"),
        fjall::Error::Io(error) => Error::unavailable(error.to_string()),
        fjall::Error::Poisoned => Error::unavailable("an earlier write failed; restart to read what is on the disk"),
        fjall::Error::InvalidVersion(version) => {
            Error::failed_precondition(format!("written in a format that is not known ({version:?})"))
        }
        error => Error::failed_precondition(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
