//! What the embedded log knows in memory: topics, positions, segments; and the reads over it.
//!
//! Made by recovery, changed by the committer after each sync and by retention, read by everyone. What stands here is
//! durable: nothing is entered before its frame has been synced.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::block;
use super::cache::BlockCache;
use super::segment::{self, Index, PartitionId, Place, SegmentId, Summary};
use crate::commitlog::{Committed, Record, TopicInfo};
use crate::error::{Error, Result};
use crate::table::Name;

/// A read gives at most about so many bytes; there is always at least one record.
const READ_BYTES: usize = 1 << 20;
/// Indexes of sealed segments that are kept in memory.
const INDEXES_KEPT: usize = 8;

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: u32,
    pub(super) name: Name,
    pub(super) generation: u32,
    pub(super) partitions: Vec<Partition>,
}

/// A partition: its first offset, and one past its last.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) start: AtomicU64,
    pub(super) end: watch::Sender<u64>,
}

impl Topic {
    pub(super) fn new(id: u32, name: Name, generation: u32, partitions: u32) -> Self {
        let partition = |_| Partition { start: AtomicU64::new(0), end: watch::Sender::new(0) };
        Topic { id, name, generation, partitions: (0..partitions).map(partition).collect() }
    }

    pub(super) fn info(&self) -> TopicInfo {
        TopicInfo {
            name: Arc::clone(&self.name),
            partitions: self.partitions.len() as u32,
            generation: self.generation,
        }
    }

    pub(super) fn partition(&self, partition: u32) -> Result<&Partition> {
        self.partitions.get(partition as usize).ok_or_else(|| {
            Error::not_found(format!(
                "topic {:?} has no partition {partition}: it has {}",
                self.name,
                self.partitions.len()
            ))
        })
    }
}

/// A segment's file, shared by the committer and by reads; it lives on until the last read of it is done.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) id: SegmentId,
}

/// A segment that no longer grows.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) file: Arc<SegmentFile>,
    pub(super) summary: Summary,
    pub(super) bytes: u64,
}

/// The segment that grows.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Arc<SegmentFile>,
    pub(super) index: Index,
    pub(super) bytes: u64,
}

/// Everything that the committer and retention change.
pub(super) struct State {
    pub(super) topics: BTreeMap<Name, Arc<Topic>>,
    pub(super) by_id: HashMap<u32, Arc<Topic>>,
    pub(super) positions: HashMap<(Name, PartitionId), Committed>,
    /// Oldest first.
    pub(super) sealed: Vec<Arc<Sealed>>,
    pub(super) active: Active,
    /// What each partition's readers no longer need, as `retain` was told since the start.
    pub(super) not_needed_before: HashMap<PartitionId, u64>,
}

impl State {
    /// All segments together.
    pub(super) fn bytes(&self) -> u64 {
        self.active.bytes + self.sealed.iter().map(|segment| segment.bytes).sum::<u64>()
    }

    /// Enters a topic.
    pub(super) fn add_topic(&mut self, topic: &Arc<Topic>) {
        self.topics.insert(Arc::clone(&topic.name), Arc::clone(topic));
        self.by_id.insert(topic.id, Arc::clone(topic));
    }
}

/// What the handle, the committer and reads share.
pub(super) struct Shared {
    pub(super) state: RwLock<State>,
    pub(super) cache: BlockCache,
    indexes: Mutex<Vec<(u64, Arc<Index>)>>,
}

/// Where a read goes.
enum Source {
    /// The entries are known.
    Places(Arc<SegmentFile>, Vec<Place>),
    /// The segment's index has to be asked.
    Sealed(Arc<Sealed>),
}

impl Shared {
    pub(super) fn new(state: State, cache_bytes: usize) -> Self {
        Shared { state: RwLock::new(state), cache: BlockCache::new(cache_bytes), indexes: Mutex::new(Vec::new()) }
    }

    /// A topic by its name.
    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        let state = self.state.read();
        state.topics.get(name).cloned().ok_or_else(|| {
            let error = Error::not_found(format!("no topic {name:?} in the log"));
            match crate::diagnostic::nearest(name, state.topics.keys().map(|known| &**known)) {
                Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                None => error,
            }
        })
    }

    /// The offsets of a partition. Under the lock, so that nobody sees one half of an atomic append as its end.
    pub(super) fn range(&self, partition: &Partition) -> Range<u64> {
        let _state = self.state.read();
        let end = *partition.end.borrow();
        partition.start.load(Ordering::Acquire)..end
    }

    /// Keeps the index of a segment that was just sealed.
    pub(super) fn keep_index(&self, number: u64, index: Arc<Index>) {
        let mut indexes = self.indexes.lock();
        indexes.retain(|(kept, _)| *kept != number);
        indexes.insert(0, (number, index));
        indexes.truncate(INDEXES_KEPT);
    }

    /// Reads records from an offset that is inside of the partition. With `from_disk` unset it gives `None` when
    /// anything would have to be read from disk; with it set, `None` if the offset has been dropped meanwhile.
    pub(super) fn fetch(
        &self,
        partition: PartitionId,
        from: u64,
        max_records: usize,
        from_disk: bool,
    ) -> Result<Option<Vec<Record>>> {
        let (file, places) = match self.locate(partition, from, max_records) {
            None => return Ok(None),
            Some(Source::Places(file, places)) => (file, places),
            Some(Source::Sealed(sealed)) => {
                let kept = self.kept_index(sealed.file.id.number);
                let index = match kept {
                    Some(index) => index,
                    None if from_disk => self.load_index(&sealed)?,
                    None => return Ok(None),
                };
                let Some(list) = index.get(&partition) else { return Ok(None) };
                (Arc::clone(&sealed.file), places_from(list, from, max_records))
            }
        };
        let mut records = Vec::new();
        let mut bytes = 0;
        for place in &places {
            let block = match self.cache.get(partition, place.base) {
                Some(block) => block,
                None if !from_disk && records.is_empty() => return Ok(None),
                None if !from_disk => break,
                None => {
                    let block = Bytes::from(segment::read_block(&file.path, &file.file, place)?);
                    self.cache.insert(partition, place.base, block.clone());
                    block
                }
            };
            bytes += block.len();
            let wanted = max_records - records.len();
            block::decode(&block, place.base, place.count, from, wanted, &mut records)?;
            if records.len() >= max_records || bytes >= READ_BYTES {
                break;
            }
        }
        Ok(Some(records))
    }

    fn locate(&self, partition: PartitionId, from: u64, max_records: usize) -> Option<Source> {
        let state = self.state.read();
        if let Some(list) = state.active.index.get(&partition)
            && list.first().is_some_and(|first| first.base <= from)
        {
            return Some(Source::Places(Arc::clone(&state.active.file), places_from(list, from, max_records)));
        }
        let holds =
            |sealed: &&Arc<Sealed>| sealed.summary.held.get(&partition).is_some_and(|held| held.contains(&from));
        state.sealed.iter().rev().find(holds).map(|sealed| Source::Sealed(Arc::clone(sealed)))
    }

    fn kept_index(&self, number: u64) -> Option<Arc<Index>> {
        let mut indexes = self.indexes.lock();
        let at = indexes.iter().position(|(kept, _)| *kept == number)?;
        indexes[..=at].rotate_right(1);
        Some(Arc::clone(&indexes[0].1))
    }

    fn load_index(&self, sealed: &Sealed) -> Result<Arc<Index>> {
        let file = &sealed.file;
        let index = Arc::new(segment::read_index(&file.path, &file.file, &file.id, sealed.summary.index_at)?);
        self.keep_index(file.id.number, Arc::clone(&index));
        Ok(index)
    }
}

/// The entries from the one that holds `from` on, as many as so many records need.
fn places_from(list: &[Place], from: u64, max_records: usize) -> Vec<Place> {
    let first = list.partition_point(|place| place.base <= from).saturating_sub(1);
    let beyond = from.saturating_add(max_records as u64);
    let rest = &list[first..];
    let last = rest.partition_point(|place| place.base < beyond);
    rest[..last].to_vec()
}
