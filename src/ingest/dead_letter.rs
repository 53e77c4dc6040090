//! Dead letters: records of which something could not be kept, with the reason, in a topic of their own.
//!
//! Written by the sink before its position passes the record; listed, shown and replayed by the API and the command line.
//! A dead letter holds the original bytes and headers, so that a replay is the same record with the same arrival time.

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::record::{self, Headers, header};
use crate::commitlog::{CommitLog, Committed, NewRecord, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::name::Name;

/// The end of a dead-letter topic's name.
pub const SUFFIX: &str = ".dead-letter";

/// Of a longer payload only so much of its head is kept, with the SHA-256 of all of it.
pub const KEPT_BYTES: usize = 256 << 10;

/// The longest detail.
const DETAIL_BYTES: usize = 2_048;

/// Most problems that one detail lists.
const LISTED: usize = 10;

/// The group whose position says which letters were replayed.
const REPLAY_GROUP: &str = "fluxmill-replay";

/// Letters that are appended again at once.
const REPLAYED_AT_ONCE: usize = 500;

/// How long one read of letters waits.
const REPLAY_WAIT: Duration = Duration::from_secs(5);

/// One thing of a record that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable name of the kind of problem.
    pub code: &'static str,
    /// The sentence.
    pub detail: String,
    /// Which line or element, from 1; `None`: the record.
    pub item: Option<usize>,
}

/// The topic of a topic's dead letters.
pub fn topic_of(topic: &str) -> Name {
    format!("{topic}{SUFFIX}").into()
}

/// The dead letter of a record, with all that is wrong with it (at least one reason).
pub fn letter(topic: &str, partition: u32, original: &Record, reasons: &[Reason]) -> NewRecord {
    let mut headers = Headers::with_capacity(7);
    let first = reasons.first();
    headers.add(header::DEAD_CODE, first.map_or("unknown", |reason| reason.code));
    headers.add(header::DEAD_DETAIL, record::ascii(&detail(reasons), DETAIL_BYTES));
    headers.add(header::DEAD_TOPIC, topic.to_string());
    headers.add_number(header::DEAD_PARTITION, partition);
    headers.add_number(header::DEAD_OFFSET, original.offset);
    if let Some(item) = reasons.iter().filter_map(|reason| reason.item).min() {
        headers.add_number(header::DEAD_LINE, item);
    }
    let mut payload = original.payload.clone();
    if payload.len() > KEPT_BYTES {
        let digest = Sha256::digest(&payload);
        headers.add(header::DEAD_SHA256, digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        payload.truncate(KEPT_BYTES);
    }
    let mut all = original.headers.clone();
    all.extend(headers.into_vec());
    NewRecord {
        topic: topic_of(topic),
        partition: None,
        key: original.key.clone(),
        headers: all,
        payload,
        timestamp_ms: original.timestamp_ms,
    }
}

fn detail(reasons: &[Reason]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for reason in reasons.iter().take(LISTED) {
        lines.push(match reason.item {
            Some(item) if reasons.len() > 1 => format!("{item}: {}", reason.detail),
            _ => reason.detail.clone(),
        });
    }
    if reasons.len() > LISTED {
        lines.push(format!("and {} more", reasons.len() - LISTED));
    }
    lines.join("; ")
}

/// The record that a dead letter was made of, to be appended again.
///
/// Errors: `FailedPrecondition` for a letter that holds only the head of its payload, `Invalid` for a record that is none.
pub fn replay(letter: &Record) -> Result<NewRecord> {
    let Some(topic) = record::text(letter, header::DEAD_TOPIC) else {
        return Err(Error::invalid("the record is no dead letter: it has no header fm-dl-topic"));
    };
    if letter.header(header::DEAD_SHA256).is_some() {
        let message = format!("the payload was longer than {KEPT_BYTES} bytes, and only its head was kept");
        return Err(Error::failed_precondition(message));
    }
    let of_letter = |name: &str| name.starts_with("fm-dl-");
    let headers: Vec<(Name, Bytes)> =
        letter.headers.iter().filter(|(name, _)| !of_letter(name)).map(Clone::clone).collect();
    Ok(NewRecord {
        topic: topic.into(),
        partition: None,
        key: letter.key.clone(),
        headers,
        payload: letter.payload.clone(),
        timestamp_ms: letter.timestamp_ms,
    })
}

/// Which dead letters of a topic are replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that were not replayed before.
    New,
    /// All that the log still has.
    All,
    /// The one whose record stood in this partition at this offset.
    Only {
        /// The partition of the topic.
        partition: u32,
        /// The offset in it.
        offset: u64,
    },
}

/// What a replay did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Records that were appended again.
    pub replayed: u64,
    /// Letters that hold only the head of their payload.
    pub too_long: u64,
}

/// Appends the records of a topic's dead letters again, each with its own headers and so with its own arrival time. Ends
/// at the letters that there were when it began: a record that is refused again becomes a new letter.
///
/// Errors: those of the log; what was appended until then counts as replayed.
pub async fn replay_all(log: &dyn CommitLog, topic: &str, which: Which) -> Result<Replayed> {
    let mut done = Replayed::default();
    let letters = match log.topic(&topic_of(topic)).await {
        Ok(letters) => letters,
        // No letter has come yet; an unknown topic is the caller's mistake.
        Err(error) if error.kind() == ErrorKind::NotFound => return log.topic(topic).await.map(|_| done),
        Err(error) => return Err(error),
    };
    for partition in 0..letters.partitions {
        let range = log.offsets(&letters.name, partition).await?;
        let committed = log.committed(REPLAY_GROUP, &letters.name, partition).await?;
        let replayed_before = committed.filter(|committed| committed.metadata == letters.generation.to_string());
        let mut next = match (which, replayed_before) {
            (Which::New, Some(committed)) => committed.offset.max(range.start),
            _ => range.start,
        };
        while next < range.end {
            let fetched = log.read(&letters.name, partition, next, REPLAYED_AT_ONCE, REPLAY_WAIT).await?;
            if fetched.next_offset <= next {
                return Err(Error::unavailable(format!("{} gives nothing at {next}", letters.name)));
            }
            let mut records = Vec::new();
            for letter in fetched.records.iter().filter(|letter| letter.offset < range.end) {
                if !is_meant(letter, which) {
                    continue;
                }
                match replay(letter) {
                    Ok(record) => records.push(record),
                    Err(error) if error.kind() == ErrorKind::FailedPrecondition => done.too_long += 1,
                    Err(error) => return Err(error),
                }
            }
            done.replayed += records.len() as u64;
            if !records.is_empty() {
                log.append(records).await?;
            }
            next = fetched.next_offset.min(range.end);
            if !matches!(which, Which::Only { .. }) {
                let position = Committed { offset: next, metadata: letters.generation.to_string() };
                log.commit(REPLAY_GROUP, vec![(letters.name.clone(), partition, position)]).await?;
            }
        }
    }
    Ok(done)
}

fn is_meant(letter: &Record, which: Which) -> bool {
    let Which::Only { partition, offset } = which else { return true };
    record::text(letter, header::DEAD_PARTITION) == Some(partition.to_string().as_str())
        && record::text(letter, header::DEAD_OFFSET) == Some(offset.to_string().as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn original(payload: Bytes) -> Record {
        let headers = vec![("fm-time".into(), "5".into()), ("custom".into(), "x".into())];
        Record { offset: 9, timestamp_ms: 3, key: "k".into(), headers, payload }
    }

    fn as_record(letter: NewRecord) -> Record {
        Record {
            offset: 0,
            timestamp_ms: letter.timestamp_ms,
            key: letter.key,
            headers: letter.headers,
            payload: letter.payload,
        }
    }

    #[test]
    fn a_letter_says_why_and_can_be_replayed() {
        let original = original("bad".into());
        let reasons = [
            Reason { code: "bad-time", detail: "too \u{e4}rly".into(), item: Some(4) },
            Reason { code: "no-fields", detail: "none".into(), item: Some(2) },
        ];
        let new = letter("t", 1, &original, &reasons);
        assert_eq!(&*new.topic, "t.dead-letter");
        let letter = as_record(new);
        let text = |name| record::text(&letter, name).unwrap();
        assert_eq!(text("fm-dl-code"), "bad-time");
        assert_eq!(text("fm-dl-detail"), "4: too ?rly; 2: none");
        assert_eq!(
            (text("fm-dl-topic"), text("fm-dl-partition"), text("fm-dl-offset"), text("fm-dl-line")),
            ("t", "1", "9", "2")
        );
        let again = replay(&letter).unwrap();
        assert_eq!(&*again.topic, "t");
        assert_eq!((again.headers, again.payload, again.key), (original.headers, original.payload, original.key));
        assert!(replay(&as_record(NewRecord { headers: vec![], ..again_of(&letter) })).is_err());
    }

    fn again_of(letter: &Record) -> NewRecord {
        replay(letter).unwrap()
    }

    #[test]
    fn of_a_long_payload_the_head_and_the_digest_are_kept() {
        let reasons = [Reason { code: "invalid-json", detail: "no".into(), item: None }];
        let letter = as_record(letter("t", 0, &original(vec![b'a'; KEPT_BYTES + 1].into()), &reasons));
        assert_eq!(letter.payload.len(), KEPT_BYTES);
        // Of 262145 times the letter a, by coreutils' sha256sum.
        assert_eq!(record::text(&letter, "fm-dl-sha256").unwrap(), DIGEST);
        assert!(replay(&letter).unwrap_err().message().contains("only its head"));
    }

    const DIGEST: &str = "c592f4a6b099700b5050ce8bc67367f0c8f44810203124e86405c3e7b6f1a2ba";
}
