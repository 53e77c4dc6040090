//! Frames and their entries: what stands in a segment file, as bytes, and back.
//!
//! Used by the committer (one frame per group commit), by recovery and by reads. Pure: bytes in, values out; nothing here
//! touches a file, and damaged bytes give `None`, never a panic.
//!
//! A frame is the unit of atomicity: its checksum covers everything in it, so a frame is there as a whole or not at all.
//! An entry has a checksum of its own as well, so that one entry can be read without its frame. All integers are little
//! endian; a frame begins at a multiple of eight bytes.
//!
//! ```text
//! frame: mark u32 | crc u32 of all that follows | sequence u64 | time_ms i64 | body length u32 | entries u32 | body
//! entry: length u32 of what follows the checksum | crc u32 | kind u8 | fields by kind
//! ```
//!
//! The mark is a random number of the segment's own. Recovery looks for frames behind damage; a payload that imitates a
//! frame, which any device may send, must not be taken for one.

/// Bytes of a frame before its body.
pub(super) const FRAME_HEADER: usize = 32;
/// Frames begin at multiples of this, which bounds the search for a next one after damage.
pub(super) const ALIGNMENT: usize = 8;
/// Bytes of an entry before its kind.
const ENTRY_HEADER: usize = 8;

/// Memory that a frame builder keeps between frames.
const KEPT_BYTES: usize = 16 << 20;

const KIND_RECORDS: u8 = 1;
const KIND_TOPIC: u8 = 2;
const KIND_POSITION: u8 = 3;
const KIND_END: u8 = 4;
const KIND_INDEX: u8 = 5;
const KIND_HELD: u8 = 6;
const KIND_SEAL: u8 = 7;

/// One entry of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Entry<'a> {
    /// Records of one partition with offsets from `base` on.
    Records(Records<'a>),
    /// A topic was made.
    Topic { id: u32, partitions: u32, generation: u32, name: &'a str },
    /// A group's position was committed.
    Position { group: &'a str, topic: u32, partition: u32, offset: u64, metadata: &'a str },
    /// The next offset of a partition, as of the head of a segment.
    End { topic: u32, partition: u32, offset: u64 },
    /// The places of a partition's entries in a sealed segment: see `segment::Place`.
    Index { topic: u32, partition: u32, places: &'a [u8] },
    /// The offsets of a partition that a sealed segment holds: `start` to before `end`.
    Held { topic: u32, partition: u32, start: u64, end: u64 },
    /// Where a sealed segment's index frame stands, and the time of its newest frame.
    Seal { index: u64, newest_ms: i64 },
}

/// The records entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Records<'a> {
    pub(super) topic: u32,
    pub(super) partition: u32,
    /// The first record's offset.
    pub(super) base: u64,
    pub(super) count: u32,
    /// Whether `stored` is compressed (LZ4) or the block itself.
    pub(super) compressed: bool,
    /// The block's length before compression.
    pub(super) raw_length: u32,
    pub(super) stored: &'a [u8],
}

/// Builds one frame.
#[derive(Default)]
pub(super) struct FrameBuilder {
    bytes: Vec<u8>,
    entries: u32,
}

impl FrameBuilder {
    /// Empties it for the next frame; the memory stays, but for that of an unusually large one.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.bytes.resize(FRAME_HEADER, 0);
        self.entries = 0;
    }

    /// Appends an entry; returns its position in the frame and its length there.
    pub(super) fn push(&mut self, entry: &Entry<'_>) -> (usize, usize) {
        let start = self.bytes.len();
        let out = &mut self.bytes;
        out.extend_from_slice(&[0; ENTRY_HEADER]);
        match *entry {
            Entry::Records(records) => {
                out.push(KIND_RECORDS);
                put_u32(out, records.topic);
                put_u32(out, records.partition);
                put_u64(out, records.base);
                put_u32(out, records.count);
                out.push(u8::from(records.compressed));
                put_u32(out, records.raw_length);
                out.extend_from_slice(records.stored);
            }
            Entry::Topic { id, partitions, generation, name } => {
                out.push(KIND_TOPIC);
                put_u32(out, id);
                put_u32(out, partitions);
                put_u32(out, generation);
                put_text(out, name);
            }
            Entry::Position { group, topic, partition, offset, metadata } => {
                out.push(KIND_POSITION);
                put_text(out, group);
                put_u32(out, topic);
                put_u32(out, partition);
                put_u64(out, offset);
                put_text(out, metadata);
            }
            Entry::End { topic, partition, offset } => {
                out.push(KIND_END);
                put_u32(out, topic);
                put_u32(out, partition);
                put_u64(out, offset);
            }
            Entry::Index { topic, partition, places } => {
                out.push(KIND_INDEX);
                put_u32(out, topic);
                put_u32(out, partition);
                out.extend_from_slice(places);
            }
            Entry::Held { topic, partition, start, end } => {
                out.push(KIND_HELD);
                put_u32(out, topic);
                put_u32(out, partition);
                put_u64(out, start);
                put_u64(out, end);
            }
            Entry::Seal { index, newest_ms } => {
                out.push(KIND_SEAL);
                put_u64(out, index);
                put_u64(out, newest_ms as u64);
            }
        }
        let end = out.len();
        let length = (end - start - ENTRY_HEADER) as u32;
        let crc = crc32fast::hash(&out[start + ENTRY_HEADER..]);
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        self.entries += 1;
        (start, end - start)
    }

    /// How many entries it has.
    pub(super) fn entries(&self) -> u32 {
        self.entries
    }

    /// Finishes the frame: pads it, fills in its header and returns it.
    pub(super) fn finish(&mut self, mark: u32, sequence: u64, time_ms: i64) -> &[u8] {
        let padded = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(padded, 0);
        let body_length = (padded - FRAME_HEADER) as u32;
        let header = &mut self.bytes[..FRAME_HEADER];
        header[0..4].copy_from_slice(&mark.to_le_bytes());
        header[8..16].copy_from_slice(&sequence.to_le_bytes());
        header[16..24].copy_from_slice(&time_ms.to_le_bytes());
        header[24..28].copy_from_slice(&body_length.to_le_bytes());
        header[28..32].copy_from_slice(&self.entries.to_le_bytes());
        let crc = crc32fast::hash(&self.bytes[8..]);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        &self.bytes
    }
}

/// The header of a frame, not yet held against its checksum.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    crc: u32,
    pub(super) sequence: u64,
    pub(super) time_ms: i64,
    /// Bytes that follow the header.
    pub(super) body_length: usize,
    entries: u32,
}

impl FrameHeader {
    /// Reads a header; `None` if these bytes begin no frame of the segment with this mark.
    pub(super) fn parse(mark: u32, bytes: &[u8]) -> Option<FrameHeader> {
        let mut fields = Fields(bytes);
        if fields.u32()? != mark {
            return None;
        }
        let crc = fields.u32()?;
        let sequence = fields.u64()?;
        let time_ms = fields.u64()? as i64;
        let body_length = fields.u32()? as usize;
        let entries = fields.u32()?;
        body_length.is_multiple_of(ALIGNMENT).then_some(FrameHeader { crc, sequence, time_ms, body_length, entries })
    }

    /// The whole length of the frame.
    pub(super) fn length(&self) -> usize {
        FRAME_HEADER + self.body_length
    }

    /// The entries of a whole frame (header and body) with their position in it and their length; `None` if its checksum
    /// or its structure is wrong.
    pub(super) fn entries<'a>(&self, frame: &'a [u8]) -> Option<Vec<(usize, usize, Entry<'a>)>> {
        let covered = frame.get(8..self.length())?;
        if crc32fast::hash(covered) != self.crc {
            return None;
        }
        let mut entries = Vec::new();
        let mut at = FRAME_HEADER;
        for _ in 0..self.entries {
            let (length, entry) = parse_entry(frame.get(at..self.length())?)?;
            entries.push((at, length, entry));
            at += length;
        }
        Some(entries)
    }
}

/// Reads the entry at the beginning of `bytes`, held against its checksum; returns its whole length too.
pub(super) fn parse_entry(bytes: &[u8]) -> Option<(usize, Entry<'_>)> {
    let mut fields = Fields(bytes);
    let length = fields.u32()? as usize;
    let crc = fields.u32()?;
    let covered = fields.0.get(..length)?;
    if crc32fast::hash(covered) != crc {
        return None;
    }
    let mut fields = Fields(covered);
    let entry = match fields.u8()? {
        KIND_RECORDS => Entry::Records(Records {
            topic: fields.u32()?,
            partition: fields.u32()?,
            base: fields.u64()?,
            count: fields.u32()?,
            compressed: fields.u8()? != 0,
            raw_length: fields.u32()?,
            stored: fields.0,
        }),
        KIND_TOPIC => Entry::Topic {
            id: fields.u32()?,
            partitions: fields.u32()?,
            generation: fields.u32()?,
            name: fields.text()?,
        },
        KIND_POSITION => Entry::Position {
            group: fields.text()?,
            topic: fields.u32()?,
            partition: fields.u32()?,
            offset: fields.u64()?,
            metadata: fields.text()?,
        },
        KIND_END => Entry::End { topic: fields.u32()?, partition: fields.u32()?, offset: fields.u64()? },
        KIND_INDEX => Entry::Index { topic: fields.u32()?, partition: fields.u32()?, places: fields.0 },
        KIND_HELD => {
            Entry::Held { topic: fields.u32()?, partition: fields.u32()?, start: fields.u64()?, end: fields.u64()? }
        }
        KIND_SEAL => Entry::Seal { index: fields.u64()?, newest_ms: fields.u64()? as i64 },
        _ => return None,
    };
    Some((ENTRY_HEADER + length, entry))
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Text of at most 65,535 bytes; callers check names, groups and metadata before.
fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Takes fields off the front of some bytes.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (head, rest) = self.0.split_first_chunk::<LENGTH>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.take().map(u16::from_le_bytes)?);
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(head).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const MARK: u32 = 0x1234_5678;

    const SAMPLES: [Entry<'static>; 7] = [
        Entry::Records(Records {
            topic: 3,
            partition: 9,
            base: 1 << 40,
            count: 7,
            compressed: true,
            raw_length: 99,
            stored: b"abc",
        }),
        Entry::Topic { id: 3, partitions: 10, generation: 4, name: "emergency_generator" },
        Entry::Position { group: "sink", topic: 3, partition: 9, offset: u64::MAX, metadata: "floor=7" },
        Entry::End { topic: 3, partition: 9, offset: 5 },
        Entry::Index { topic: 3, partition: 9, places: &[1, 2, 3] },
        Entry::Held { topic: 3, partition: 9, start: 5, end: 6 },
        Entry::Seal { index: 4096, newest_ms: -1 },
    ];

    fn frame() -> Vec<u8> {
        let mut builder = FrameBuilder::default();
        builder.clear();
        for entry in &SAMPLES {
            builder.push(entry);
        }
        builder.finish(MARK, 42, 1_700_000_000_000).to_vec()
    }

    #[test]
    fn a_frame_reads_as_it_was_written() {
        let frame = frame();
        assert_eq!(frame.len() % ALIGNMENT, 0);
        let header = FrameHeader::parse(MARK, &frame).unwrap();
        assert_eq!((header.sequence, header.time_ms, header.length()), (42, 1_700_000_000_000, frame.len()));
        let entries = header.entries(&frame).unwrap();
        assert_eq!(entries.iter().map(|(_, _, entry)| *entry).collect::<Vec<_>>(), SAMPLES);
        for (position, length, entry) in entries {
            assert_eq!(parse_entry(&frame[position..]).unwrap(), (length, entry), "an entry reads alone too");
        }
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_noticed() {
        let whole = frame();
        for byte in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[byte] ^= 1 << bit;
                let entries =
                    FrameHeader::parse(MARK, &damaged).and_then(|header| header.entries(&damaged).map(|_| ()));
                assert!(entries.is_none(), "bit {bit} of byte {byte}");
            }
            let cut = &whole[..byte];
            assert!(
                FrameHeader::parse(MARK, cut).and_then(|header| header.entries(cut).map(|_| ())).is_none(),
                "cut at {byte}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_entry(&bytes);
            let mut with_magic = MARK.to_le_bytes().to_vec();
            with_magic.extend(bytes);
            let _ = FrameHeader::parse(MARK, &with_magic).and_then(|header| header.entries(&with_magic).map(|_| ()));
        }
    }
}
