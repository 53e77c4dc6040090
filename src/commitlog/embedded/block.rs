//! The record block: consecutive records of one partition as bytes, and back.
//!
//! Written by the committer, one block per partition and group; read by `EmbeddedLog::read`. Pure: no I/O, no offsets
//! (a block's records have the offsets from its base on, without holes). Reading never panics, whatever the bytes are.
//!
//! Layout, integers as LEB128: the number of header names and each name; then per record the timestamp (zigzag, as the
//! difference to the record before), the key, the number of headers with name index and value each, and the payload.
//! Names stand once per block: devices send the same handful of headers with every message.

use std::sync::Arc;

use bytes::Bytes;

use crate::commitlog::{NewRecord, Record};
use crate::error::{Error, Result};
use crate::table::Name;

/// Encodes records, in order, onto the end of `out`.
pub(super) fn encode<'a>(records: impl Iterator<Item = &'a NewRecord> + Clone, out: &mut Vec<u8>) {
    // Few names per block: a linear search beats a map.
    let mut names: Vec<&str> = Vec::new();
    for record in records.clone() {
        for (name, _) in &record.headers {
            if !names.contains(&&**name) {
                names.push(name);
            }
        }
    }
    put_length(out, names.len());
    for name in &names {
        put_bytes(out, name.as_bytes());
    }
    let mut previous_ms = 0;
    for record in records {
        put_signed(out, record.timestamp_ms.wrapping_sub(previous_ms));
        previous_ms = record.timestamp_ms;
        put_bytes(out, &record.key);
        put_length(out, record.headers.len());
        for (name, value) in &record.headers {
            let index = names.iter().position(|known| *known == &**name).unwrap_or(0);
            put_length(out, index);
            put_bytes(out, value);
        }
        put_bytes(out, &record.payload);
    }
}

/// Decodes `count` records from a block whose first record has offset `base`, and appends those from offset `from` on,
/// at most `limit`. Keys, values and payloads are slices of the block: nothing is copied.
///
/// # Errors
/// `Internal` if the bytes are no block of so many records. Blocks are read after their checksum was, so that this is
/// a defect of the writer and not of the disk.
pub(super) fn decode(
    block: &Bytes,
    base: u64,
    count: u32,
    from: u64,
    limit: usize,
    out: &mut Vec<Record>,
) -> Result<()> {
    let mut reader = Reader { block, at: 0 };
    let name_count = reader.length()?;
    let mut names: Vec<Name> = Vec::new();
    for _ in 0..name_count {
        let name = reader.bytes()?;
        let text = std::str::from_utf8(&name).map_err(|_| malformed(reader.at))?;
        names.push(Arc::from(text));
    }
    let mut timestamp_ms = 0_i64;
    let mut taken = 0;
    for place in 0..u64::from(count) {
        if taken == limit {
            return Ok(());
        }
        timestamp_ms = timestamp_ms.wrapping_add(reader.signed()?);
        let offset = base + place;
        let wanted = offset >= from;
        let key = reader.bytes()?;
        let header_count = reader.length()?;
        let mut headers = Vec::with_capacity(if wanted { header_count.min(64) } else { 0 });
        for _ in 0..header_count {
            let index = reader.length()?;
            let value = reader.bytes()?;
            if wanted {
                let name = names.get(index).ok_or_else(|| malformed(reader.at))?;
                headers.push((Arc::clone(name), value));
            }
        }
        let payload = reader.bytes()?;
        if wanted {
            out.push(Record { offset, timestamp_ms, key, headers, payload });
            taken += 1;
        }
    }
    Ok(())
}

fn malformed(at: usize) -> Error {
    Error::internal(format!("a record block of the log is malformed at byte {at}, though its checksum is right"))
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    put_unsigned(out, length as u64);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_unsigned(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads a block from front to back.
struct Reader<'a> {
    block: &'a Bytes,
    at: usize,
}

impl Reader<'_> {
    fn unsigned(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *self.block.get(self.at).ok_or_else(|| malformed(self.at))?;
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed(self.at))
    }

    fn signed(&mut self) -> Result<i64> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn length(&mut self) -> Result<usize> {
        usize::try_from(self.unsigned()?).map_err(|_| malformed(self.at))
    }

    fn bytes(&mut self) -> Result<Bytes> {
        let length = self.length()?;
        let end =
            self.at.checked_add(length).filter(|end| *end <= self.block.len()).ok_or_else(|| malformed(self.at))?;
        let bytes = self.block.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn record(key: &[u8], headers: &[(&str, &[u8])], payload: &[u8], timestamp_ms: i64) -> NewRecord {
        NewRecord {
            topic: Arc::from("t"),
            partition: None,
            key: Bytes::copy_from_slice(key),
            headers: headers.iter().map(|(name, value)| (Arc::from(*name), Bytes::copy_from_slice(value))).collect(),
            payload: Bytes::copy_from_slice(payload),
            timestamp_ms,
        }
    }

    fn encoded(records: &[NewRecord]) -> Bytes {
        let mut out = Vec::new();
        encode(records.iter(), &mut out);
        Bytes::from(out)
    }

    fn check_same(read: &[Record], written: &[NewRecord], base: u64) {
        assert_eq!(read.len(), written.len());
        for (place, (read, written)) in read.iter().zip(written).enumerate() {
            assert_eq!(read.offset, base + place as u64);
            assert_eq!(read.timestamp_ms, written.timestamp_ms);
            assert_eq!(read.key, written.key);
            assert_eq!(read.headers, written.headers);
            assert_eq!(read.payload, written.payload);
        }
    }

    #[test]
    fn a_block_is_taken_from_an_offset_on_and_up_to_a_limit() {
        let records: Vec<_> = (0..10).map(|place| record(b"k", &[("h", b"v")], &[place], 1_000)).collect();
        let block = encoded(&records);
        let mut read = Vec::new();
        decode(&block, 100, 10, 103, 4, &mut read).unwrap();
        check_same(&read, &records[3..7], 103);
    }

    #[test]
    fn every_cut_is_refused_without_a_panic() {
        let records = [record(b"key", &[("fm-time", b"1"), ("fm-source", b"a/b")], b"payload", i64::MIN)];
        let block = encoded(&records);
        for end in 0..block.len() {
            assert!(decode(&block.slice(..end), 0, 1, 0, 10, &mut Vec::new()).is_err(), "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(
            records in prop::collection::vec(
                (
                    prop::collection::vec(any::<u8>(), 0..40),
                    prop::collection::vec(("[a-z-]{0,12}", prop::collection::vec(any::<u8>(), 0..20)), 0..5),
                    prop::collection::vec(any::<u8>(), 0..200),
                    any::<i64>(),
                ),
                0..30,
            ),
            base in 0..u64::MAX / 2,
        ) {
            let records: Vec<_> = records
                .iter()
                .map(|(key, headers, payload, timestamp_ms)| {
                    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
                    record(key, &headers, payload, *timestamp_ms)
                })
                .collect();
            let mut read = Vec::new();
            decode(&encoded(&records), base, records.len() as u32, 0, usize::MAX, &mut read).unwrap();
            check_same(&read, &records, base);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), count in 0..50_u32) {
            let _ = decode(&Bytes::from(bytes), 0, count, 0, usize::MAX, &mut Vec::new());
        }
    }
}
