//! The catalogue of tasks, slots and runs: a view of the control topic, never more than that.
//!
//! Asked by the scheduler, the executor and the API. Whatever happens to a task is a record of the topic first; the view
//! reads it back from there and keeps, in one batch of the catalogue, what follows from it and the position behind it.
//! So a crash between append and view is harmless, and so is the loss of the view: it is read again from the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::manifest::{Manifest, Written};
use super::run::{ControlRecord, RunRecord};
use super::slots::SlotLedger;
use super::task_state::{Progress, TaskState};
use crate::catalogue::{Batch, Catalogue, Durability, Keyspace};
use crate::clock::Clock;
use crate::commitlog::{CommitLog, Committed, NewRecord, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Name;

/// The group whose position keeps the control topic's records from being dropped before the catalogue has them.
const GROUP: &str = "fluxmill-tasks";

/// The writer of outputs and control records (Kafka: the transactional id of the only shard there is).
pub const PRODUCER: &str = "fluxmill-tasks-0";

/// How many runs a task keeps; more are dropped when a quarter too many have gathered.
pub const RUNS_KEPT: usize = 100;

/// How many slots before the newest one keep their manifest: a task that runs every minute remembers five weeks, an hourly
/// one more than five years.
const MANIFESTS_KEPT: i64 = 50_000;

/// How many old manifests are dropped for a new one.
const MANIFESTS_DROPPED: usize = 8;

/// After so many records the catalogue is synced and the group's position follows.
const RECORDS_PER_COMMIT: u64 = 256;

/// How long one read of the topic may wait for what was just appended.
const READ_WAIT: Duration = Duration::from_secs(5);

/// The view.
pub struct RunStore {
    log: Arc<dyn CommitLog>,
    catalogue: Arc<Catalogue>,
    clock: Arc<dyn Clock>,
    /// The control topic.
    topic: Name,
    tasks: RwLock<BTreeMap<Name, TaskState>>,
    follower: tokio::sync::Mutex<Follower>,
}

/// How far the topic is read.
struct Follower {
    position: StoredPosition,
    committed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredPosition {
    generation: u32,
    offset: u64,
}

/// A task as the catalogue keeps it.
#[derive(Serialize, Deserialize)]
struct StoredTask {
    definition: Definition,
    progress: Progress,
}

impl RunStore {
    /// Opens the view: makes the control topic if there is none, takes what the catalogue holds and reads the topic to its
    /// end. What a killed process left open is settled first: a run that shows only later would be made again, and a task
    /// that shows only later would begin anew.
    pub async fn open(
        log: Arc<dyn CommitLog>,
        catalogue: Arc<Catalogue>,
        clock: Arc<dyn Clock>,
        topic: Name,
    ) -> Result<Self> {
        let made = log.create_topic(&topic, 1).await?;
        log.take_over(PRODUCER).await?;
        let range = log.offsets(&topic, 0).await?;
        let mut position: StoredPosition = catalogue.get(Keyspace::Positions, &*topic)?.unwrap_or_default();
        if position.generation != made.generation {
            // Another topic of that name: what the catalogue holds stays, and what the topic holds is added.
            position = StoredPosition { generation: made.generation, offset: range.start };
        }
        if position.offset < range.start {
            tracing::error!(
                %topic,
                from = position.offset,
                to = range.start,
                "records of tasks were dropped from the log before the catalogue had them"
            );
            position.offset = range.start;
        }
        let mut tasks = BTreeMap::new();
        for (_, stored) in catalogue.list::<StoredTask>(Keyspace::Tasks, "")? {
            let ledger: SlotLedger = catalogue.get(Keyspace::Slots, &*stored.definition.id)?.unwrap_or_default();
            let id = stored.definition.id.clone();
            match TaskState::restore(stored.definition, ledger, stored.progress) {
                Ok(task) => {
                    tasks.insert(id, task);
                }
                // Written by another version; its file makes it again, or says what is wrong.
                Err(error) => tracing::error!(task = %id, %error, "passing over a task that cannot be understood"),
            }
        }
        let follower = Follower { position, committed: position.offset };
        let store = RunStore {
            log,
            catalogue,
            clock,
            topic,
            tasks: RwLock::new(tasks),
            follower: tokio::sync::Mutex::new(follower),
        };
        store.follow(range.end).await?;
        Ok(store)
    }

    /// Appends output records and what happened, as one, and brings the view up to it.
    ///
    /// When the log cannot say whether it took the records, that is settled and the topic is asked: an append that is there
    /// was one.
    pub async fn append(&self, mut outputs: Vec<NewRecord>, happened: &[ControlRecord]) -> Result<()> {
        let Some(last) = happened.last() else {
            return Ok(());
        };
        for record in happened {
            outputs.push(self.encode(record)?);
        }
        let appended = self.log.append_atomic(PRODUCER, outputs).await;
        match appended {
            Ok(positions) => {
                let position = positions.last().ok_or_else(|| Error::internal("an append without a position"))?;
                self.follow(position.offset + 1).await
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                self.log.take_over(PRODUCER).await.map_err(|_| error.clone())?;
                let end = self.log.offsets(&self.topic, 0).await.map_err(|_| error.clone())?.end;
                self.follow(end).await.map_err(|_| error.clone())?;
                if self.holds(last)? { Ok(()) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }

    /// Reads what is in the topic and not in the view: after an append of which only the log knows that it succeeded.
    pub async fn catch_up(&self) -> Result<()> {
        let end = self.log.offsets(&self.topic, 0).await?.end;
        self.follow(end).await
    }

    /// All tasks, by id.
    pub fn tasks(&self) -> Vec<TaskState> {
        self.tasks.read().values().cloned().collect()
    }

    /// A task.
    pub fn task(&self, id: &str) -> Option<TaskState> {
        self.tasks.read().get(id).cloned()
    }

    /// Looks at a task without copying it.
    pub fn with_task<T>(&self, id: &str, look: impl FnOnce(&TaskState) -> T) -> Option<T> {
        self.tasks.read().get(id).map(look)
    }

    /// The ids of all tasks.
    pub fn ids(&self) -> Vec<Name> {
        self.tasks.read().keys().cloned().collect()
    }

    /// Runs of a task that have ended, the newest slot first and of one slot the newest attempt first.
    pub fn runs(&self, task: &str, limit: usize) -> Result<Vec<RunRecord>> {
        let runs = self.catalogue.list_last::<RunRecord>(Keyspace::Runs, task, limit)?;
        Ok(runs.into_iter().map(|(_, run)| run).collect())
    }

    /// What the newest successful attempt at a slot wrote, as far as it is known; `None` if it is not.
    pub fn manifest(&self, task: &str, slot_ns: i64) -> Result<Option<Vec<Written>>> {
        let parts = self.catalogue.list::<Manifest>(Keyspace::Manifests, slot_prefix(task, slot_ns))?;
        let Some((_, first)) = parts.first() else { return Ok(None) };
        // Of an earlier attempt with more parts some may be left.
        let belongs = |part: &Manifest| part.run == first.run && part.attempt == first.attempt;
        let known = parts.iter().map(|(_, part)| part).filter(|part| belongs(part));
        Ok(Some(known.flat_map(|part| part.written.clone()).collect()))
    }

    /// What the other slots of a task wrote.
    pub fn other_manifests(&self, task: &str, slot_ns: i64) -> Result<Vec<Written>> {
        let parts = self.catalogue.list::<Manifest>(Keyspace::Manifests, task)?;
        Ok(parts.into_iter().filter(|(_, part)| part.slot_ns != slot_ns).flat_map(|(_, part)| part.written).collect())
    }

    /// Before this instant nothing may arrive any more, since runs have counted on it.
    pub fn settled_ns(&self) -> Option<i64> {
        self.tasks.read().values().filter_map(|task| task.progress.settled_ns).max()
    }

    /// Makes the view durable. Called at the end; a crash without it costs a longer start.
    pub async fn close(&self) -> Result<()> {
        self.commit(&mut *self.follower.lock().await).await
    }

    fn encode(&self, record: &ControlRecord) -> Result<NewRecord> {
        let payload = serde_json::to_vec(record).map_err(|error| Error::internal(error.to_string()))?;
        Ok(NewRecord {
            topic: self.topic.clone(),
            partition: Some(0),
            key: Bytes::copy_from_slice(record.task().as_bytes()),
            headers: vec![("content-type".into(), Bytes::from_static(b"application/json"))],
            payload: payload.into(),
            timestamp_ms: self.clock.now_ns() / 1_000_000,
        })
    }

    /// Reads the topic up to `until` and folds what is there.
    async fn follow(&self, until: u64) -> Result<()> {
        let mut follower = self.follower.lock().await;
        while follower.position.offset < until {
            let fetched = self.log.read(&self.topic, 0, follower.position.offset, 1_000, READ_WAIT).await?;
            if fetched.next_offset <= follower.position.offset {
                return Err(Error::unavailable(format!("{} does not give what was appended to it", self.topic)));
            }
            let mut batch = Batch::new();
            let mut touched = BTreeSet::new();
            for record in &fetched.records {
                match self.fold(record, &mut batch) {
                    Ok(task) => touched.extend(task),
                    Err(error) if error.kind() == ErrorKind::Invalid => {
                        tracing::warn!(topic = %self.topic, offset = record.offset, %error, "passing over a record");
                    }
                    Err(error) => return Err(error),
                }
            }
            self.keep(&touched, &mut batch)?;
            follower.position.offset = fetched.next_offset;
            batch.put(Keyspace::Positions, &*self.topic, &follower.position)?;
            self.catalogue.commit(batch, Durability::Buffered)?;
        }
        if follower.position.offset >= follower.committed + RECORDS_PER_COMMIT {
            self.commit(&mut follower).await?;
        }
        Ok(())
    }

    async fn commit(&self, follower: &mut Follower) -> Result<()> {
        self.catalogue.put(Keyspace::Positions, &*self.topic, &follower.position, Durability::Synced)?;
        let committed = Committed { offset: follower.position.offset, metadata: String::new() };
        self.log.commit(GROUP, vec![(self.topic.clone(), 0, committed)]).await?;
        self.log.retain(&self.topic, 0, follower.position.offset).await?;
        follower.committed = follower.position.offset;
        Ok(())
    }

    /// Puts the tasks that have changed into a batch.
    fn keep(&self, touched: &BTreeSet<Name>, batch: &mut Batch) -> Result<()> {
        let tasks = self.tasks.read();
        for (id, task) in touched.iter().filter_map(|id| Some((id, tasks.get(id)?))) {
            let stored = StoredTask { definition: task.definition.clone(), progress: task.progress.clone() };
            batch.put(Keyspace::Tasks, &**id, &stored)?;
            batch.put(Keyspace::Slots, &**id, &task.ledger)?;
        }
        Ok(())
    }

    /// Takes in a record; returns the task that it changed. Errors: `Invalid` for a record that cannot be understood.
    fn fold(&self, record: &Record, batch: &mut Batch) -> Result<Option<Name>> {
        let control: ControlRecord =
            serde_json::from_slice(&record.payload).map_err(|error| Error::invalid(error.to_string()))?;
        let id = control.task().clone();
        let mut tasks = self.tasks.write();
        match &control {
            ControlRecord::Task(definition) => match tasks.get_mut(&id) {
                Some(task) => task.redefine((**definition).clone())?,
                None => {
                    tasks.insert(id.clone(), TaskState::new((**definition).clone())?);
                }
            },
            ControlRecord::Removed { .. } => {
                tasks.remove(&id);
                batch.remove(Keyspace::Tasks, &*id);
                batch.remove(Keyspace::Slots, &*id);
                for (key, _) in self.catalogue.list::<RunRecord>(Keyspace::Runs, &*id)? {
                    batch.remove(Keyspace::Runs, key);
                }
                for (key, _) in self.catalogue.list::<Manifest>(Keyspace::Manifests, &*id)? {
                    batch.remove(Keyspace::Manifests, key);
                }
                return Ok(None);
            }
            _ => {}
        }
        let Some(task) = tasks.get_mut(&id) else {
            return Ok(None);
        };
        match &control {
            ControlRecord::Run(run) => {
                task.run_ended(run)?;
                batch.put(Keyspace::Runs, run_key(&id, run.slot_ns, record.offset), run)?;
                if task.progress.runs % (RUNS_KEPT as u64 / 4) == 0 {
                    self.drop_old_runs(&id, batch)?;
                }
            }
            ControlRecord::Wrote(manifest) => {
                self.keep_manifest(manifest, batch)?;
                let interval_ns = task.schedule.interval_after(manifest.slot_ns).unwrap_or(i64::MAX);
                let kept_ns = manifest.slot_ns.saturating_sub(interval_ns.saturating_mul(MANIFESTS_KEPT));
                let oldest = self.catalogue.list_first::<Manifest>(Keyspace::Manifests, &*id, MANIFESTS_DROPPED)?;
                for (key, _) in oldest.into_iter().filter(|(_, part)| part.slot_ns < kept_ns) {
                    batch.remove(Keyspace::Manifests, key);
                }
                return Ok(None);
            }
            ControlRecord::Skipped(skipped) => task.skipped(skipped)?,
            ControlRecord::Requested(request) => task.requested(request),
            ControlRecord::Task(_) | ControlRecord::Removed { .. } => {}
        }
        Ok(Some(id))
    }

    fn keep_manifest(&self, manifest: &Manifest, batch: &mut Batch) -> Result<()> {
        let key = |part: u32| {
            let mut key = slot_prefix(&manifest.task, manifest.slot_ns);
            key.extend_from_slice(&part.to_be_bytes());
            key
        };
        if manifest.part == 0 {
            let prefix = slot_prefix(&manifest.task, manifest.slot_ns);
            for (old, part) in self.catalogue.list::<Manifest>(Keyspace::Manifests, prefix)? {
                if part.part >= manifest.parts {
                    batch.remove(Keyspace::Manifests, old);
                }
            }
        }
        batch.put(Keyspace::Manifests, key(manifest.part), manifest)
    }

    fn drop_old_runs(&self, task: &str, batch: &mut Batch) -> Result<()> {
        let kept = self.catalogue.list_last::<RunRecord>(Keyspace::Runs, task, usize::MAX)?;
        for (key, _) in kept.into_iter().skip(RUNS_KEPT) {
            batch.remove(Keyspace::Runs, key);
        }
        Ok(())
    }

    /// Whether the view has taken in a record.
    fn holds(&self, record: &ControlRecord) -> Result<bool> {
        let id = record.task();
        Ok(match record {
            ControlRecord::Run(run) => {
                let runs = self.catalogue.list::<RunRecord>(Keyspace::Runs, slot_prefix(id, run.slot_ns))?;
                runs.iter().any(|(_, other)| other.id == run.id && other.attempt == run.attempt)
            }
            ControlRecord::Wrote(manifest) => {
                self.manifest(id, manifest.slot_ns)?.is_some_and(|known| known == manifest.written)
            }
            ControlRecord::Task(definition) => self.with_task(id, |task| task.definition == **definition) == Some(true),
            ControlRecord::Removed { .. } => self.with_task(id, |_| ()).is_none(),
            ControlRecord::Skipped(skipped) => {
                self.with_task(id, |task| task.base_ns() >= skipped.last_ns).unwrap_or(false)
            }
            ControlRecord::Requested(request) => {
                self.with_task(id, |task| task.progress.requested.contains_key(&request.slot_ns)).unwrap_or(false)
            }
        })
    }
}

/// Runs of a task sort by slot, and runs of a slot by their place in the topic.
fn run_key(task: &str, slot_ns: i64, offset: u64) -> Vec<u8> {
    let mut key = slot_prefix(task, slot_ns);
    key.extend_from_slice(&offset.to_be_bytes());
    key
}

fn slot_prefix(task: &str, slot_ns: i64) -> Vec<u8> {
    let mut key = task.as_bytes().to_vec();
    // With the sign flipped, the bytes of an integer sort as the integer does.
    key.extend_from_slice(&((slot_ns as u64) ^ (1 << 63)).to_be_bytes());
    key
}
