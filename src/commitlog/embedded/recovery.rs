//! Opening a log's directory: lock, segments, and the state they describe.
//!
//! Called once by `EmbeddedLog::open`. The newest segment is walked over from its head (it begins with a snapshot of all
//! topics, positions and ends); older ones tell what they hold in their summaries. What was not acknowledged is cut off;
//! what was acknowledged and is damaged stops the opening with its place, and is never cut off.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::frame::{Entry, FrameBuilder};
use super::segment::{self, Index, Place, SegmentId, Summary};
use super::state::{Active, Sealed, SegmentFile, State, Topic};
use crate::commitlog::Committed;
use crate::error::{Error, Result};

const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What the committer goes on from.
pub(super) struct Opened {
    pub(super) state: State,
    /// The sequence of the next frame.
    pub(super) next_sequence: u64,
    /// The time of the active segment's first frame.
    pub(super) opened_ms: i64,
    /// The time of its newest frame.
    pub(super) newest_ms: i64,
    /// Held locked as long as the log is open.
    pub(super) lock: File,
}

/// Opens the directory, or makes it.
///
/// # Errors
/// `Conflict` if another process has it open, `Internal` for damage to acknowledged records, `Unavailable` for I/O.
pub(super) fn open(dir: &Path, now_ms: i64) -> Result<Opened> {
    make_dir(dir).map_err(|error| Error::from(error).context(dir.display()))?;
    let lock = lock(dir)?;
    let numbers = segment_numbers(dir)?;
    let Some((newest, older)) = numbers.split_last() else { return create(dir, now_ms, lock) };
    for pair in numbers.windows(2) {
        if pair[1] != pair[0] + 1 {
            let missing = segment::path_of(dir, pair[0] + 1);
            return Err(Error::internal(format!(
                "log segment {} is missing, though an older one is there",
                missing.display()
            ))
            .with_hint("restore it, or move all older segments out of the directory to go on without their records"));
        }
    }
    let mut sealed = Vec::new();
    for number in older {
        sealed.push(Arc::new(open_sealed(dir, *number)?));
    }
    recover_newest(dir, *newest, sealed, lock)
}

/// Makes the directory and what is missing above it, durably: a power cut must not take away the folder that
/// acknowledged records lie in.
fn make_dir(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_dir(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

/// Locks the directory. A lock is waited for a moment: a process that is ending, or a child between its fork and its exec
/// (it has a copy of every open file), holds one that is about to go.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("LOCK");
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|error| Error::from(error).context(path.display()))?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(Error::from(error).context(path.display())),
        }
    }
    Err(Error::conflict(format!("the log in {} is open in another process", dir.display()))
        .with_hint("stop it, or name another data directory"))
}

/// The numbers of the segment files, ascending. Files that a crash left half made are removed.
fn segment_numbers(dir: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "new") {
            fs::remove_file(&path)?;
        } else if let Some(number) = segment::number_of(&path) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn create(dir: &Path, now_ms: i64, lock: File) -> Result<Opened> {
    let id = SegmentId { number: 1, mark: rand::random(), first_sequence: 1 };
    let mut builder = FrameBuilder::default();
    builder.clear();
    let (file, bytes) = create_segment(dir, id, builder.finish(id.mark, 1, now_ms))?;
    let state = State {
        topics: BTreeMap::new(),
        by_id: HashMap::new(),
        positions: HashMap::new(),
        sealed: Vec::new(),
        active: Active { file, index: Index::new(), bytes },
        not_needed_before: HashMap::new(),
    };
    Ok(Opened { state, next_sequence: 2, opened_ms: now_ms, newest_ms: now_ms, lock })
}

/// Makes a segment with its first frame; it is there under its name as a whole, and synced, or not at all.
pub(super) fn create_segment(dir: &Path, id: SegmentId, snapshot: &[u8]) -> Result<(Arc<SegmentFile>, u64)> {
    let path = segment::path_of(dir, id.number);
    let new_path = path.with_extension("new");
    let make = || -> std::io::Result<(File, u64)> {
        let mut bytes = id.header();
        bytes.extend_from_slice(snapshot);
        fs::write(&new_path, &bytes)?;
        let file = OpenOptions::new().read(true).write(true).open(&new_path)?;
        file.sync_all()?;
        fs::rename(&new_path, &path)?;
        File::open(dir)?.sync_all()?;
        Ok((file, bytes.len() as u64))
    };
    let (file, bytes) = make().map_err(|error| super::committer::io_error(&path, &error))?;
    Ok((Arc::new(SegmentFile { path, file, id }), bytes))
}

fn open_sealed(dir: &Path, number: u64) -> Result<Sealed> {
    let path = segment::path_of(dir, number);
    let (file, id) = segment::open(&path)?;
    let summary = segment::read_summary(&path, &file, &id)?;
    let bytes = file.metadata()?.len();
    Ok(Sealed { file: Arc::new(SegmentFile { path, file, id }), summary, bytes })
}

fn recover_newest(dir: &Path, number: u64, sealed: Vec<Arc<Sealed>>, lock: File) -> Result<Opened> {
    let path = segment::path_of(dir, number);
    let (file, id) = segment::open(&path)?;
    let mut found = Found::default();
    let scanned = segment::scan(&path, &file, &id, |position, length, entry| found.visit(position, length, entry))?;
    if scanned.next_sequence == id.first_sequence {
        return Err(segment::damaged(
            &path,
            segment::SEGMENT_HEADER,
            "its snapshot of topics and positions is not whole",
        ));
    }
    if let Some(reason) = found.contradiction {
        return Err(segment::damaged(&path, scanned.end, &reason));
    }
    // A seal on the newest segment: the process stopped before it made the next one. It is taken off and grows on.
    let (end, next_sequence) = match found.seal {
        Some(index_at) => (index_at, scanned.next_sequence - 2),
        None => (scanned.end, scanned.next_sequence),
    };
    if file.metadata()?.len() > end {
        tracing::info!(segment = %path.display(), "cut off what was being written when the log was last stopped");
        file.set_len(end)?;
        file.sync_all()?;
    }
    let mut state = State {
        topics: BTreeMap::new(),
        by_id: HashMap::new(),
        positions: found.positions,
        sealed,
        active: Active { file: Arc::new(SegmentFile { path, file, id }), index: found.index, bytes: end },
        not_needed_before: HashMap::new(),
    };
    for topic in found.topics.into_values() {
        state.add_topic(&Arc::new(topic));
    }
    set_starts(&state);
    Ok(Opened { state, next_sequence, opened_ms: scanned.oldest_ms, newest_ms: scanned.newest_ms, lock })
}

/// A partition starts where the oldest segment that holds it does; at its end, if none holds any of it.
fn set_starts(state: &State) {
    for topic in state.topics.values() {
        for (number, partition) in (0_u32..).zip(&topic.partitions) {
            let id = (topic.id, number);
            let sealed = state.sealed.iter().find_map(|segment| segment.summary.held.get(&id).map(|held| held.start));
            let active = || state.active.index.get(&id).and_then(|places| places.first()).map(|place| place.base);
            let start = sealed.or_else(active).unwrap_or_else(|| *partition.end.borrow());
            partition.start.store(start, Ordering::Release);
        }
    }
}

/// What the entries of the newest segment add up to.
#[derive(Default)]
struct Found {
    topics: BTreeMap<u32, Topic>,
    positions: HashMap<(crate::table::Name, segment::PartitionId), Committed>,
    index: Index,
    /// Where the index frame of the seal stands, if there is one.
    seal: Option<u64>,
    contradiction: Option<String>,
}

impl Found {
    fn visit(&mut self, position: u64, length: usize, entry: Entry<'_>) {
        match entry {
            Entry::Topic { id, partitions, generation, name } => {
                self.topics.insert(id, Topic::new(id, name.into(), generation, partitions));
            }
            Entry::End { topic, partition, offset } => self.set_end(topic, partition, offset),
            Entry::Position { group, topic, partition, offset, metadata } => {
                let position = Committed { offset, metadata: metadata.to_owned() };
                self.positions.insert((group.into(), (topic, partition)), position);
            }
            Entry::Records(records) => {
                let place = Place {
                    base: records.base,
                    count: records.count,
                    position: u32::try_from(position).unwrap_or(u32::MAX),
                    length: u32::try_from(length).unwrap_or(u32::MAX),
                };
                self.index.entry((records.topic, records.partition)).or_default().push(place);
                self.set_end(records.topic, records.partition, records.base.saturating_add(u64::from(records.count)));
            }
            Entry::Seal { index, .. } => self.seal = Some(index),
            Entry::Index { .. } | Entry::Held { .. } => {}
        }
    }

    fn set_end(&mut self, topic: u32, partition: u32, end: u64) {
        let known = self.topics.get(&topic).and_then(|topic| topic.partitions.get(partition as usize));
        match known {
            Some(partition) => {
                partition.end.send_replace(end);
            }
            None => {
                self.contradiction =
                    Some(format!("it holds records of a partition that it does not know: {topic}/{partition}"));
            }
        }
    }
}

/// The summary of a segment that is about to be sealed.
pub(super) fn summarize(index: &Index, index_at: u64, newest_ms: i64) -> Summary {
    let mut held = HashMap::new();
    for (partition, places) in index {
        if let (Some(first), Some(last)) = (places.first(), places.last()) {
            held.insert(*partition, first.base..last.base + u64::from(last.count));
        }
    }
    Summary { held, index_at, newest_ms }
}
