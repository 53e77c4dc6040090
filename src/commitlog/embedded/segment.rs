//! A segment file: its header, its frames, and the index that closes it.
//!
//! Used by the committer (make, seal), by recovery (scan) and by reads (index, entries). A segment is one file that only
//! grows; it is sealed once, by an index frame, a summary frame and a trailer, and later removed as a whole. Nothing here
//! decides when.
//!
//! ```text
//! segment: header (40 bytes) | snapshot frame | frames ... | index frame | summary frame | trailer (16 bytes)
//! header:  "fmlogseg" | version u32 | mark u32 | number u64 | first sequence u64 | crc u32 | 4 bytes
//! trailer: "fmsealed" | position of the summary frame u64
//! ```

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::frame::{ALIGNMENT, Entry, FRAME_HEADER, FrameBuilder, FrameHeader, parse_entry};
use crate::error::{Error, Result};

const HEADER_MAGIC: &[u8; 8] = b"fmlogseg";
const TRAILER_MAGIC: &[u8; 8] = b"fmsealed";
const VERSION: u32 = 1;
/// Bytes before the first frame.
pub(super) const SEGMENT_HEADER: u64 = 40;
const TRAILER: u64 = 16;
/// No frame is longer; what claims to be is damage.
pub(super) const MAX_FRAME: usize = 256 << 20;

/// A partition of a topic, by the topic's number in this log.
pub(super) type PartitionId = (u32, u32);

/// Where a records entry stands in its segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// The offset of its first record.
    pub(super) base: u64,
    /// How many records it has.
    pub(super) count: u32,
    pub(super) position: u32,
    pub(super) length: u32,
}

/// Bytes of a place in an index entry.
const PLACE: usize = 20;

/// The records entries of a segment, by partition, in offset order.
pub(super) type Index = HashMap<PartitionId, Vec<Place>>;

/// What identifies a segment file; the same in memory as in its header.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SegmentId {
    pub(super) number: u64,
    pub(super) mark: u32,
    pub(super) first_sequence: u64,
}

impl SegmentId {
    /// The header's bytes.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut bytes = HEADER_MAGIC.to_vec();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.mark.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.first_sequence.to_le_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.resize(SEGMENT_HEADER as usize, 0);
        bytes
    }

    fn parse(bytes: &[u8; SEGMENT_HEADER as usize]) -> Result<SegmentId, &'static str> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        if &bytes[..8] != HEADER_MAGIC {
            return Err("it does not begin as a segment");
        }
        if word(8) != VERSION {
            return Err("it is of another version of fluxmill");
        }
        if crc32fast::hash(&bytes[..32]) != word(32) {
            return Err("its header is damaged");
        }
        Ok(SegmentId { mark: word(12), number: long(16), first_sequence: long(24) })
    }
}

/// The file of a segment.
pub(super) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.segment"))
}

/// The number in a segment's file name; `None` for other files.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".segment")?.parse().ok()
}

/// Opens a segment file and reads its header.
pub(super) fn open(path: &Path) -> Result<(File, SegmentId)> {
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(|error| at_path(path, error.into()))?;
    let mut header = [0; SEGMENT_HEADER as usize];
    file.read_exact_at(&mut header, 0).map_err(|error| at_path(path, error.into()))?;
    let id = SegmentId::parse(&header).map_err(|reason| damaged(path, 0, reason))?;
    Ok((file, id))
}

fn at_path(path: &Path, error: Error) -> Error {
    error.context(path.display())
}

/// The error for a segment that cannot be read; nothing is dropped without being told to.
pub(super) fn damaged(path: &Path, position: u64, reason: &str) -> Error {
    Error::internal(format!("log segment {} is damaged at byte {position}: {reason}", path.display()))
        .with_hint("restore the file from a copy, or move it and all older segments out of the log's directory to go on without their records")
}

/// What a walk over a segment's frames ended with.
#[derive(Debug)]
pub(super) struct Scanned {
    /// One past the last whole frame: what follows was never acknowledged.
    pub(super) end: u64,
    /// The sequence that the next frame must have.
    pub(super) next_sequence: u64,
    /// The time of the first frame.
    pub(super) oldest_ms: i64,
    /// The time of the newest frame.
    pub(super) newest_ms: i64,
}

/// Walks over the frames of a segment from its head on, and gives each entry of a whole frame to `visit` with its
/// position and length.
///
/// A bad frame with nothing behind it is a group that was being written when the process or the machine stopped: it was
/// never acknowledged, and the walk ends before it. A bad frame with good ones behind it is damage to acknowledged
/// records, since a group is synced before the next is written.
///
/// # Errors
/// `Internal` for such damage, `Unavailable` if the file cannot be read.
pub(super) fn scan(
    path: &Path,
    file: &File,
    id: &SegmentId,
    mut visit: impl FnMut(u64, usize, Entry<'_>),
) -> Result<Scanned> {
    let length = file.metadata().map_err(|error| at_path(path, error.into()))?.len();
    let mut at = SEGMENT_HEADER;
    let mut scanned = Scanned { end: at, next_sequence: id.first_sequence, oldest_ms: i64::MAX, newest_ms: i64::MIN };
    let mut frame = Vec::new();
    while let Some(header) =
        read_frame(file, id.mark, at, length, &mut frame).map_err(|error| at_path(path, error.into()))?
    {
        let Some(entries) = header.entries(&frame).filter(|_| header.sequence == scanned.next_sequence) else { break };
        for (position, entry_length, entry) in entries {
            visit(at + position as u64, entry_length, entry);
        }
        at += header.length() as u64;
        scanned.end = at;
        scanned.next_sequence += 1;
        scanned.oldest_ms = scanned.oldest_ms.min(header.time_ms);
        scanned.newest_ms = scanned.newest_ms.max(header.time_ms);
    }
    if let Some(later) = find_frame(path, file, id, scanned.end, length, scanned.next_sequence)? {
        return Err(damaged(path, scanned.end, &format!("the frame at byte {later} behind it is whole")));
    }
    Ok(scanned)
}

/// Reads a whole frame at a position; `None` if there is none (the checksum is not looked at).
fn read_frame(file: &File, mark: u32, at: u64, length: u64, frame: &mut Vec<u8>) -> io::Result<Option<FrameHeader>> {
    let mut head = [0; FRAME_HEADER];
    if at + FRAME_HEADER as u64 > length {
        return Ok(None);
    }
    file.read_exact_at(&mut head, at)?;
    let Some(header) = FrameHeader::parse(mark, &head) else { return Ok(None) };
    if header.length() > MAX_FRAME || at + header.length() as u64 > length {
        return Ok(None);
    }
    frame.resize(header.length(), 0);
    file.read_exact_at(frame, at)?;
    Ok(Some(header))
}

/// Looks behind `from` for a whole frame that was written later.
fn find_frame(path: &Path, file: &File, id: &SegmentId, from: u64, length: u64, sequence: u64) -> Result<Option<u64>> {
    let mark = id.mark.to_le_bytes();
    let mut chunk = vec![0; 1 << 20];
    let mut frame = Vec::new();
    let mut at = from;
    while at + FRAME_HEADER as u64 <= length {
        let size = usize::try_from(length - at).unwrap_or(usize::MAX).min(chunk.len());
        file.read_exact_at(&mut chunk[..size], at).map_err(|error| at_path(path, error.into()))?;
        for place in (0..size.saturating_sub(3)).step_by(ALIGNMENT) {
            if chunk[place..place + 4] != mark {
                continue;
            }
            let position = at + place as u64;
            let header = read_frame(file, id.mark, position, length, &mut frame);
            if let Some(header) = header.map_err(|error| at_path(path, error.into()))?
                && header.sequence >= sequence
                && header.entries(&frame).is_some()
            {
                return Ok(Some(position));
            }
        }
        at += (size as u64).next_multiple_of(ALIGNMENT as u64);
    }
    Ok(None)
}

/// What is known about a sealed segment without its index.
#[derive(Debug)]
pub(super) struct Summary {
    /// The offsets that it holds of each partition.
    pub(super) held: HashMap<PartitionId, Range<u64>>,
    /// Where its index frame stands.
    pub(super) index_at: u64,
    /// The time of its newest frame.
    pub(super) newest_ms: i64,
}

/// The bytes that seal a segment; they go where its frames end, which is where the summary says the index will stand.
pub(super) fn seal_bytes(id: &SegmentId, sequence: u64, summary: &Summary, index: &Index) -> Vec<u8> {
    let mut builder = FrameBuilder::default();
    builder.clear();
    let mut places_bytes = Vec::new();
    for ((topic, partition), places) in index {
        places_bytes.clear();
        for place in places {
            places_bytes.extend_from_slice(&place.base.to_le_bytes());
            places_bytes.extend_from_slice(&place.count.to_le_bytes());
            places_bytes.extend_from_slice(&place.position.to_le_bytes());
            places_bytes.extend_from_slice(&place.length.to_le_bytes());
        }
        builder.push(&Entry::Index { topic: *topic, partition: *partition, places: &places_bytes });
    }
    let mut bytes = builder.finish(id.mark, sequence, summary.newest_ms).to_vec();
    let summary_at = summary.index_at + bytes.len() as u64;
    builder.clear();
    for ((topic, partition), held) in &summary.held {
        builder.push(&Entry::Held { topic: *topic, partition: *partition, start: held.start, end: held.end });
    }
    builder.push(&Entry::Seal { index: summary.index_at, newest_ms: summary.newest_ms });
    bytes.extend_from_slice(builder.finish(id.mark, sequence + 1, summary.newest_ms));
    bytes.extend_from_slice(TRAILER_MAGIC);
    bytes.extend_from_slice(&summary_at.to_le_bytes());
    bytes
}

/// Reads the summary of a sealed segment.
pub(super) fn read_summary(path: &Path, file: &File, id: &SegmentId) -> Result<Summary> {
    let failed = |error: io::Error| at_path(path, error.into());
    let length = file.metadata().map_err(failed)?.len();
    let trailer_at = length.checked_sub(TRAILER).ok_or_else(|| damaged(path, length, "it was never sealed"))?;
    let mut trailer = [0; TRAILER as usize];
    file.read_exact_at(&mut trailer, trailer_at).map_err(failed)?;
    let (magic, position) = trailer.split_at(8);
    if magic != TRAILER_MAGIC {
        return Err(damaged(path, trailer_at, "it was never sealed, or has lost its end"));
    }
    let summary_at = position.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    let mut frame = Vec::new();
    let no_summary = || damaged(path, summary_at, "its summary is not whole");
    let header = read_frame(file, id.mark, summary_at.min(length), length, &mut frame).map_err(failed)?;
    let entries = header.as_ref().and_then(|header| header.entries(&frame)).ok_or_else(no_summary)?;
    let mut summary = Summary { held: HashMap::new(), index_at: 0, newest_ms: i64::MIN };
    for (_, _, entry) in entries {
        match entry {
            Entry::Held { topic, partition, start, end } => {
                summary.held.insert((topic, partition), start..end);
            }
            Entry::Seal { index, newest_ms } => {
                summary.index_at = index;
                summary.newest_ms = newest_ms;
            }
            _ => return Err(no_summary()),
        }
    }
    Ok(summary)
}

/// Reads the index of a sealed segment.
pub(super) fn read_index(path: &Path, file: &File, id: &SegmentId, index_at: u64) -> Result<Index> {
    let failed = |error: io::Error| at_path(path, error.into());
    let length = file.metadata().map_err(failed)?.len();
    let mut frame = Vec::new();
    let no_index = || damaged(path, index_at, "its index is not whole");
    let header = read_frame(file, id.mark, index_at.min(length), length, &mut frame).map_err(failed)?;
    let entries = header.as_ref().and_then(|header| header.entries(&frame)).ok_or_else(no_index)?;
    let mut index = Index::new();
    for (_, _, entry) in entries {
        let Entry::Index { topic, partition, places } = entry else { return Err(no_index()) };
        let (chunks, []) = places.as_chunks::<PLACE>() else { return Err(no_index()) };
        let mut list = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            let number =
                |range: Range<usize>| chunk[range].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
            list.push(Place {
                base: number(0..8),
                count: number(8..12) as u32,
                position: number(12..16) as u32,
                length: number(16..20) as u32,
            });
        }
        index.insert((topic, partition), list);
    }
    Ok(index)
}

/// Reads one records entry: the stored bytes of its block, decompressed.
pub(super) fn read_block(path: &Path, file: &File, place: &Place) -> Result<Vec<u8>> {
    let mut bytes = vec![0; place.length as usize];
    file.read_exact_at(&mut bytes, u64::from(place.position)).map_err(|error| at_path(path, error.into()))?;
    let bad = |reason: &str| damaged(path, u64::from(place.position), reason);
    let Some((_, Entry::Records(records))) = parse_entry(&bytes) else {
        return Err(bad("the checksum of a record batch is wrong"));
    };
    if records.base != place.base || records.count != place.count {
        return Err(bad("another record batch stands there"));
    }
    if !records.compressed {
        return Ok(records.stored.to_vec());
    }
    if records.raw_length as usize > MAX_FRAME {
        return Err(bad("a record batch claims an impossible length"));
    }
    let raw = lz4_flex::block::decompress(records.stored, records.raw_length as usize)
        .map_err(|error| bad(&format!("a record batch does not decompress: {error}")))?;
    Ok(raw)
}
