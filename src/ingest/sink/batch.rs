//! The batches of a partition: records as they are read, decoded to rows with their `_seq`, and to deletes.
//!
//! Called by a partition's reader, also ahead of what it applies. Nothing is applied here, and no position moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::parcels::Parcel;
use super::partition::{FIRST_PAUSE, Progress, Shared, pause_for};
use super::place::Place;
use crate::commitlog::{Fetched, Record};
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::dead_letter::Reason;
use crate::ingest::decode::{self, Content};
use crate::point::delete::{Delete, Deleted};
use crate::point::mapping::Decoded;
use crate::point::names::Names;
use crate::store::{SeqPoint, SourcePartition};

/// Most records of one read.
const RECORDS: usize = 2_000;

/// How long a read waits for records.
const READ_WAIT: Duration = Duration::from_secs(1);

/// Records between decoding and applying.
#[derive(Default)]
pub(super) struct Batch {
    pub records: Vec<Record>,
    pub rows: Vec<SeqPoint>,
    /// For each row its record's place in the batch, and its own place in the record, from 1.
    pub origins: Vec<(usize, usize)>,
    /// What is wrong, by the record's place in the batch.
    pub reasons: BTreeMap<usize, Vec<Reason>>,
    /// Deletes, with their records' places in the batch and their `_seq`.
    pub deletes: Vec<(usize, i64, Delete)>,
    /// Who waits for which record.
    pub waiting: Vec<(usize, tokio::sync::oneshot::Sender<Vec<Reason>>)>,
    /// Where reading goes on behind it.
    pub next: Place,
}

/// Reads a partition batch by batch.
pub(super) struct Batches {
    shared: Arc<Shared>,
    progress: Arc<Progress>,
    place: Place,
    names: Names,
    stop: CancellationToken,
}

impl Batches {
    /// The batches from a place on, until `stop`.
    pub(super) fn new(shared: Arc<Shared>, progress: Arc<Progress>, place: Place, stop: CancellationToken) -> Self {
        Batches { shared, progress, place, names: Names::default(), stop }
    }

    /// The next batch, as soon as there is a record; `None` when it is stopped.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>> {
        let SourcePartition { topic, partition, .. } = &self.progress.source;
        let mut pause = FIRST_PAUSE;
        loop {
            let fetched = tokio::select! {
                fetched = self.read(READ_WAIT) => fetched,
                () = self.stop.cancelled() => return Ok(None),
            };
            match fetched {
                Ok(Some(fetched)) => return Ok(Some(self.decode(fetched))),
                Ok(None) => pause = FIRST_PAUSE,
                Err(error) if error.kind().may_retry() => {
                    tracing::warn!(%topic, partition, %error, "the sink cannot read; it tries again");
                    pause_for(&mut pause, &self.stop).await?;
                }
                Err(error) => return Err(self.explain(error)),
            }
        }
    }

    /// What can be read without waiting, to be decoded next. What is wrong with the log is for [`Batches::next`] to say.
    pub(super) async fn ready(&self) -> Option<Fetched> {
        self.read(Duration::ZERO).await.ok().flatten()
    }

    async fn read(&self, wait: Duration) -> Result<Option<Fetched>> {
        let SourcePartition { topic, partition, .. } = &self.progress.source;
        let fetched = self.shared.log.read(topic, *partition, self.place.offset, RECORDS, wait).await?;
        Ok((fetched.next_offset > self.place.offset).then_some(fetched))
    }

    fn explain(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::OutOfRange {
            return error;
        }
        let SourcePartition { topic, partition, .. } = &self.progress.source;
        error.context(format!("the position {} of {topic}/{partition} is not in the log", self.place.offset))
    }

    /// Turns what was read last into a batch; the next read goes on behind it.
    pub(super) fn decode(&mut self, fetched: Fetched) -> Batch {
        let Fetched { records, next_offset } = fetched;
        let topic = &self.progress.source.topic;
        let order = &mut self.place.order;
        let mut batch = Batch::default();
        for (place, record) in records.iter().enumerate() {
            let arrival_ns = order.arrival_ns(record);
            let decoded = match self.shared.parcels.take(arrival_ns) {
                Some(Parcel { points, applied }) => {
                    batch.waiting.push((place, applied));
                    Decoded { points, problems: Vec::new() }
                }
                None => match decode::record(record, topic, &self.shared.routes, arrival_ns, &mut self.names) {
                    Content::Points(decoded) => decoded,
                    Content::Delete(delete) => {
                        let seq = match delete.what {
                            // One `_seq` in every partition; what stands after it in any is newer.
                            Deleted::Range(_) => order.not_before(arrival_ns),
                            // What it names stands in this partition, and all of that before it is older.
                            Deleted::Points(_) => order.seq(arrival_ns),
                        };
                        batch.deletes.push((place, seq, delete));
                        continue;
                    }
                },
            };
            for (item, point) in decoded.points.into_iter().enumerate() {
                batch.rows.push(SeqPoint { offset: record.offset, seq: order.seq(arrival_ns), point });
                batch.origins.push((place, item + 1));
            }
            if !decoded.problems.is_empty() {
                let reasons = decoded.problems.into_iter().map(|problem| Reason {
                    code: problem.code.as_str(),
                    detail: problem.detail,
                    item: problem.item,
                });
                batch.reasons.entry(place).or_default().extend(reasons);
            }
        }
        self.place.offset = next_offset;
        Batch { records, next: self.place, ..batch }
    }
}
