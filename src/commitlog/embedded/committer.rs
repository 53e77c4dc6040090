//! The committer: one thread that writes one frame and syncs once per group of requests, then answers them all.
//!
//! Started by `EmbeddedLog::open`; the only writer of segments. Nothing is answered with success, entered into the state
//! or seen by a reader before the sync has returned. A failed sync is never tried again: what the disk holds then is
//! unknown, so the log refuses everything until it is opened anew. A full disk is not that: the half frame is cut off, the
//! group is refused, and the next one may fit.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::EmbeddedOptions;
use super::block;
use super::frame::{Entry, FrameBuilder, Records};
use super::queue::{Queue, Queued, Request};
use super::recovery::{self, create_segment};
use super::segment::{Index, PartitionId, Place, SegmentId, seal_bytes};
use super::state::{Active, Sealed, SegmentFile, Shared, State, Topic};
use crate::clock::Clock;
use crate::commitlog::{Committed, NewRecord, Position, TopicInfo};
use crate::error::{Error, ErrorKind, Result};
use crate::table::Name;

/// A block is cut after about so many bytes, so that a reader of a few records does not decompress megabytes.
const BLOCK_BYTES: usize = 1 << 20;
/// Blocks shorter than this are not worth compressing.
const COMPRESS_FROM: usize = 128;

/// How the committer reaches the disk; tests put a failing one in.
pub(super) trait Disk: Send + Sync + 'static {
    /// Writes at a position.
    fn write(&self, file: &SegmentFile, bytes: &[u8], at: u64) -> io::Result<()> {
        file.file.write_all_at(bytes, at)
    }

    /// Makes everything written to the file survive a power cut.
    fn sync(&self, file: &SegmentFile) -> io::Result<()> {
        file.file.sync_data()
    }
}

/// The disk as it is.
pub(super) struct RealDisk;

impl Disk for RealDisk {}

/// The error for an I/O error on a log file: a full disk is its own class, since it passes.
pub(super) fn io_error(path: &Path, error: &io::Error) -> Error {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Error::resource_exhausted(format!("the disk under {} is full: {error}", path.display()));
    }
    Error::unavailable(format!("{}: {error}", path.display()))
}

/// The committer's own state.
pub(super) struct Committer {
    pub(super) dir: PathBuf,
    pub(super) options: EmbeddedOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    /// Set once, when the log has failed; then every request is refused with it.
    pub(super) failed: Arc<OnceLock<Error>>,
    pub(super) builder: FrameBuilder,
    pub(super) next_sequence: u64,
    pub(super) opened_ms: i64,
    pub(super) newest_ms: i64,
    /// A segment was to be closed and could not be: no frame may follow before it is.
    pub(super) must_roll: bool,
}

/// What a group adds, collected before it is written and entered into the state after it is synced.
#[derive(Default)]
struct Additions {
    topics: Vec<Arc<Topic>>,
    positions: Vec<((Name, PartitionId), Committed)>,
    index: Index,
    ends: HashMap<PartitionId, u64>,
    blocks: Vec<(PartitionId, u64, Bytes)>,
}

/// What a request is answered with, once its group is durable.
enum Answer {
    Positions(Vec<Position>),
    Topic(TopicInfo),
    Committed,
    Refused(Error),
}

impl Committer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let queue = Arc::clone(&self.queue);
        while let Some(group) = queue.take_group() {
            match self.commit(&group) {
                Ok(answers) => {
                    for (queued, answer) in group.into_iter().zip(answers) {
                        send(queued.request, answer);
                    }
                }
                Err(error) => {
                    for queued in group {
                        queued.request.refuse(error.clone());
                    }
                }
            }
        }
    }

    /// Makes a group durable; an error refuses the whole group.
    fn commit(&mut self, group: &[Queued]) -> Result<Vec<Answer>> {
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let now_ms = self.clock.now_ns().div_euclid(1_000_000);
        self.roll_if_due(now_ms)?;
        let (active, bytes, room) = {
            let state = self.shared.state.read();
            (Arc::clone(&state.active.file), state.active.bytes, self.room(&state))
        };
        self.builder.clear();
        let (answers, additions) = self.build(group, bytes, room);
        if self.builder.entries() == 0 {
            return Ok(answers);
        }
        let frame = self.builder.finish(active.id.mark, self.next_sequence, now_ms);
        let length = frame.len() as u64;
        if let Err(error) = self.disk.write(&active, frame, bytes) {
            return Err(self.undo_write(&active, bytes, &error));
        }
        if let Err(error) = self.disk.sync(&active) {
            return Err(self.fail(&active.path, "could not be synced", &error));
        }
        self.next_sequence += 1;
        self.newest_ms = self.newest_ms.max(now_ms);
        self.enter(additions, length);
        Ok(answers)
    }

    /// Bytes that may still be appended: for anyone, and for the control topics.
    fn room(&self, state: &State) -> (u64, u64) {
        let Some(cap) = self.options.disk_cap_bytes else { return (u64::MAX, u64::MAX) };
        let left = cap.saturating_sub(state.bytes());
        (left.saturating_sub(self.options.reserve_bytes()), left)
    }

    /// Puts the group's requests into the frame.
    fn build(&mut self, group: &[Queued], segment_end: u64, room: (u64, u64)) -> (Vec<Answer>, Additions) {
        let shared = Arc::clone(&self.shared);
        let state = shared.state.read();
        let mut additions = Additions::default();
        let mut batches: HashMap<PartitionId, Vec<&NewRecord>> = HashMap::new();
        let mut order: Vec<PartitionId> = Vec::new();
        let mut answers = Vec::with_capacity(group.len());
        let (mut room, mut reserved_room) = room;
        for queued in group {
            let answer = match &queued.request {
                Request::Append { records, places, .. } => {
                    let control = records.iter().all(|record| record.topic.starts_with(super::CONTROL_PREFIX));
                    let left = if control { reserved_room } else { room };
                    if queued.bytes as u64 > left {
                        answers.push(Answer::Refused(self.at_cap()));
                        continue;
                    }
                    room = room.saturating_sub(queued.bytes as u64);
                    reserved_room = reserved_room.saturating_sub(queued.bytes as u64);
                    let mut positions = Vec::with_capacity(records.len());
                    for (record, place) in records.iter().zip(places) {
                        let end = additions.ends.entry(*place).or_insert_with(|| end_of(&state, *place));
                        positions.push(Position { partition: place.1, offset: *end });
                        *end += 1;
                        let batch = batches.entry(*place).or_default();
                        if batch.is_empty() {
                            order.push(*place);
                        }
                        batch.push(record);
                    }
                    Answer::Positions(positions)
                }
                Request::CreateTopic { name, partitions, .. } => {
                    let known = state.topics.get(name);
                    let topic = match known.or_else(|| additions.topics.iter().find(|topic| topic.name == *name)) {
                        Some(topic) => Arc::clone(topic),
                        None => self.new_topic(&state, &mut additions, name, *partitions),
                    };
                    Answer::Topic(topic.info())
                }
                Request::Commit { group, positions, .. } => {
                    for (partition, position) in positions {
                        self.builder.push(&Entry::Position {
                            group,
                            topic: partition.0,
                            partition: partition.1,
                            offset: position.offset,
                            metadata: &position.metadata,
                        });
                        additions.positions.push(((Arc::clone(group), *partition), position.clone()));
                    }
                    Answer::Committed
                }
            };
            answers.push(answer);
        }
        for partition in order {
            let Some(records) = batches.get(&partition) else { continue };
            let base = additions.ends.get(&partition).map_or(0, |end| end - records.len() as u64);
            self.push_records(partition, base, records, segment_end, &mut additions);
        }
        (answers, additions)
    }

    fn new_topic(&mut self, state: &State, additions: &mut Additions, name: &Name, partitions: u32) -> Arc<Topic> {
        let newest_id = state.by_id.keys().copied().max().unwrap_or(0);
        let id = newest_id + 1 + additions.topics.len() as u32;
        // Seconds since 1970: also after the whole directory was removed, the same topic gets a newer generation.
        let generation = u32::try_from(self.clock.now_ns().div_euclid(1_000_000_000)).unwrap_or(1).max(1);
        let topic = Arc::new(Topic::new(id, Arc::clone(name), generation, partitions));
        self.builder.push(&Entry::Topic { id, partitions, generation, name });
        additions.topics.push(Arc::clone(&topic));
        topic
    }

    /// Puts the records of a partition into the frame, in blocks.
    fn push_records(
        &mut self,
        partition: PartitionId,
        base: u64,
        records: &[&NewRecord],
        segment_end: u64,
        additions: &mut Additions,
    ) {
        let places = additions.index.entry(partition).or_default();
        let mut base = base;
        let mut rest = records;
        while !rest.is_empty() {
            let (mut count, mut bytes) = (0, 0);
            while count < rest.len() && bytes < BLOCK_BYTES {
                bytes += super::size_of(rest[count]);
                count += 1;
            }
            let (head, tail) = rest.split_at(count);
            rest = tail;
            let mut raw = Vec::with_capacity(bytes);
            block::encode(head.iter().copied(), &mut raw);
            let compressed = compress(&raw);
            let (position, length) = self.builder.push(&Entry::Records(Records {
                topic: partition.0,
                partition: partition.1,
                base,
                count: count as u32,
                compressed: compressed.is_some(),
                raw_length: raw.len() as u32,
                stored: compressed.as_deref().unwrap_or(&raw),
            }));
            places.push(Place {
                base,
                count: count as u32,
                position: (segment_end + position as u64) as u32,
                length: length as u32,
            });
            additions.blocks.push((partition, base, Bytes::from(raw)));
            base += count as u64;
        }
    }

    /// Enters what is durable now into the state, all of it under one lock: no reader sees a part of a group.
    fn enter(&self, additions: Additions, frame_length: u64) {
        for (partition, base, block) in additions.blocks {
            self.shared.cache.insert(partition, base, block);
        }
        let mut state = self.shared.state.write();
        for topic in &additions.topics {
            state.add_topic(topic);
        }
        state.positions.extend(additions.positions);
        for (partition, places) in additions.index {
            state.active.index.entry(partition).or_default().extend(places);
        }
        state.active.bytes += frame_length;
        for ((topic, partition), end) in additions.ends {
            if let Some(partition) = state.by_id.get(&topic).and_then(|topic| topic.partitions.get(partition as usize))
            {
                partition.end.send_replace(end);
            }
        }
    }

    fn roll_if_due(&mut self, now_ms: i64) -> Result<()> {
        let age_ms = i64::try_from(self.options.segment_age.as_millis()).unwrap_or(i64::MAX);
        let due = {
            let active = &self.shared.state.read().active;
            let full = active.bytes >= self.options.segment_bytes;
            full || (!active.index.is_empty() && now_ms.saturating_sub(self.opened_ms) >= age_ms)
        };
        if !due && !self.must_roll {
            return Ok(());
        }
        self.must_roll = true;
        self.roll(now_ms)?;
        self.must_roll = false;
        self.opened_ms = now_ms;
        Ok(())
    }

    /// Seals the active segment and makes the next one, beginning with a snapshot of all that is not a record.
    fn roll(&mut self, now_ms: i64) -> Result<()> {
        let (old, end, summary, seal) = {
            let active = &self.shared.state.read().active;
            let summary = recovery::summarize(&active.index, active.bytes, self.newest_ms);
            let seal = seal_bytes(&active.file.id, self.next_sequence, &summary, &active.index);
            (Arc::clone(&active.file), active.bytes, summary, seal)
        };
        if let Err(error) = self.disk.write(&old, &seal, end) {
            return Err(self.undo_write(&old, end, &error));
        }
        if let Err(error) = self.disk.sync(&old) {
            return Err(self.fail(&old.path, "could not be synced", &error));
        }
        // The seal took two sequences.
        let first_sequence = self.next_sequence + 2;
        let id = SegmentId { number: old.id.number + 1, mark: rand::random(), first_sequence };
        self.builder.clear();
        push_snapshot(&mut self.builder, &self.shared.state.read());
        let snapshot = self.builder.finish(id.mark, first_sequence, now_ms);
        let (file, bytes) = create_segment(&self.dir, id, snapshot)?;
        self.next_sequence = first_sequence + 1;
        self.newest_ms = now_ms;
        let number = old.id.number;
        let mut state = self.shared.state.write();
        let sealed = std::mem::replace(&mut state.active, Active { file, index: Index::new(), bytes });
        let bytes = end + seal.len() as u64;
        state.sealed.push(Arc::new(Sealed { file: old, summary, bytes }));
        self.shared.keep_index(number, Arc::new(sealed.index));
        Ok(())
    }

    /// After a failed write: cuts the half frame off if the disk was only full, else the log has failed.
    fn undo_write(&mut self, file: &SegmentFile, end: u64, error: &io::Error) -> Error {
        let reason = io_error(&file.path, error);
        if reason.kind() != ErrorKind::ResourceExhausted {
            return self.fail(&file.path, "could not be written", error);
        }
        match file.file.set_len(end) {
            Ok(()) => reason,
            Err(error) => self.fail(&file.path, "could not be cut back", &error),
        }
    }

    fn fail(&self, path: &Path, what: &str, error: &io::Error) -> Error {
        let message =
            format!("log segment {} {what}: {error}; the log accepts nothing until it is opened again", path.display());
        tracing::error!(segment = %path.display(), %error, "the log has failed: {what}");
        let error = Error::unavailable(message).with_hint("check the disk, then restart");
        self.failed.get_or_init(|| error).clone()
    }

    fn at_cap(&self) -> Error {
        let cap = self.options.disk_cap_bytes.unwrap_or_default();
        Error::resource_exhausted(format!("the log has reached its disk cap of {cap} bytes"))
            .with_hint("raise the cap, shorten the retention, or see what holds the sink back")
    }
}

fn end_of(state: &State, (topic, partition): PartitionId) -> u64 {
    let known = state.by_id.get(&topic).and_then(|topic| topic.partitions.get(partition as usize));
    known.map_or(0, |partition| *partition.end.borrow())
}

/// Compresses a block, if that saves at least an eighth.
fn compress(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() < COMPRESS_FROM {
        return None;
    }
    let compressed = lz4_flex::block::compress(raw);
    (compressed.len() < raw.len() - raw.len() / 8).then_some(compressed)
}

/// Topics, ends and positions: all that recovery needs to know from before a segment.
fn push_snapshot(builder: &mut FrameBuilder, state: &State) {
    for topic in state.topics.values() {
        let partitions = topic.partitions.len() as u32;
        builder.push(&Entry::Topic { id: topic.id, partitions, generation: topic.generation, name: &topic.name });
        for (number, partition) in (0_u32..).zip(&topic.partitions) {
            builder.push(&Entry::End { topic: topic.id, partition: number, offset: *partition.end.borrow() });
        }
    }
    for ((group, partition), position) in &state.positions {
        builder.push(&Entry::Position {
            group,
            topic: partition.0,
            partition: partition.1,
            offset: position.offset,
            metadata: &position.metadata,
        });
    }
}

fn send(request: Request, answer: Answer) {
    match (request, answer) {
        (request, Answer::Refused(error)) => request.refuse(error),
        (Request::Append { answer, .. }, Answer::Positions(positions)) => drop(answer.send(Ok(positions))),
        (Request::CreateTopic { answer, .. }, Answer::Topic(info)) => drop(answer.send(Ok(info))),
        (Request::Commit { answer, .. }, Answer::Committed) => drop(answer.send(Ok(()))),
        (request, _) => request.refuse(Error::internal("the log mixed up its answers")),
    }
}
