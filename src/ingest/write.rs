//! HTTP writes: parsed lines become records of their bucket's topic, and the writer waits until it can read them.
//!
//! Called by `/api/v2/write` with lines that are checked already. The records hold canonical line protocol with every time
//! spelled out, so that a replay needs nothing else; one record per partition and half megabyte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::accept::Accept;
use super::dead_letter::Reason;
use super::record::{self, Headers, header};
use super::sink::{Parcel, Sink};
use crate::clock::Arrival;
use crate::commitlog::NewRecord;
use crate::commitlog::murmur2::partition_of;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::point::line_protocol::{self, Line};
use crate::point::series_key;
use crate::store::Bucket;

/// Longest payload of a record.
const RECORD_BYTES: usize = 512 << 10;

/// What became of a write. The lines are in the log; what is refused is also a dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Whether everything can be read already; `false`: the sink is behind, and it will be.
    pub visible: bool,
    /// Lines that were not kept, as far as that is known yet.
    pub refused: Vec<RefusedLine>,
}

/// A line that the bucket did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    /// Its number in the body, from 1.
    pub number: usize,
    /// A stable name of the kind of reason.
    pub code: &'static str,
    /// The reason.
    pub reason: String,
}

/// A record under construction, with the numbers of its lines.
#[derive(Default)]
struct Chunk {
    payload: String,
    lines: Vec<Line>,
}

/// A record that waits to be applied.
struct Sent {
    numbers: Vec<usize>,
    applied: oneshot::Receiver<Vec<Reason>>,
}

/// Appends lines to a bucket's topic and waits, at most `max_wait`, until they can be read.
///
/// Errors: those of the log (some lines may be appended then; writing them again does no harm), `NotFound` if the bucket's
/// topic does not exist.
pub async fn write_lines(
    accept: &Accept,
    sink: &Sink,
    bucket: &Bucket,
    lines: Vec<Line>,
    max_wait: Duration,
) -> Result<Written> {
    let mut written = Written { visible: true, refused: Vec::new() };
    let Some(topic) = bucket.topics.first() else { return Ok(written) };
    let partitions = sink.log().topic(topic).await?.partitions;
    let chunks = divide(lines, partitions, &mut written.refused);
    if chunks.is_empty() {
        return Ok(written);
    }
    let mut records = Vec::with_capacity(chunks.len());
    let mut arrivals = Vec::with_capacity(chunks.len());
    let mut sent = Vec::with_capacity(chunks.len());
    for (partition, chunk) in chunks {
        let arrival = accept.arrivals().begin();
        records.push(new_record(topic, partition, chunk.payload, &arrival));
        let (applied, waiting) = oneshot::channel();
        let numbers = chunk.lines.iter().map(|line| line.number).collect();
        let points = chunk.lines.into_iter().map(|line| line.point).collect();
        sink.parcels().put(arrival.time_ns(), Parcel { points, applied });
        sent.push(Sent { numbers, applied: waiting });
        arrivals.push(arrival);
    }
    let times = arrivals.iter().map(Arrival::time_ns).collect();
    // Also when the request is dropped half-way: nobody waits for the parcels any more.
    let _taken_back = TakeBack { sink, times };
    // A task of its own, so that the arrivals count as in flight to the append's end even then.
    let log = Arc::clone(sink.log());
    let appended = tokio::spawn(async move {
        let appended = log.append(records).await;
        drop(arrivals);
        appended
    });
    appended.await.map_err(|error| Error::internal(format!("the append was lost: {error}")))??;
    let deadline = tokio::time::Instant::now() + max_wait;
    for Sent { numbers, applied } in sent {
        match tokio::time::timeout_at(deadline, applied).await {
            Ok(Ok(reasons)) => written.refused.extend(reasons.into_iter().map(|reason| {
                let number = reason.item.and_then(|item| numbers.get(item - 1)).or(numbers.first());
                RefusedLine { number: number.copied().unwrap_or(0), code: reason.code, reason: reason.detail }
            })),
            // The time is over, or the sink has stopped.
            Ok(Err(_)) | Err(_) => written.visible = false,
        }
    }
    written.refused.sort_by_key(|refused| refused.number);
    Ok(written)
}

struct TakeBack<'s> {
    sink: &'s Sink,
    times: Vec<i64>,
}

impl Drop for TakeBack<'_> {
    fn drop(&mut self) {
        for time_ns in &self.times {
            drop(self.sink.parcels().take(*time_ns));
        }
    }
}

/// Lines by the partition of their series, in order, in records of bounded size.
fn divide(lines: Vec<Line>, partitions: u32, refused: &mut Vec<RefusedLine>) -> Vec<(u32, Chunk)> {
    let mut open: BTreeMap<u32, Chunk> = BTreeMap::new();
    let mut full = Vec::new();
    for line in lines {
        let partition = match partitions {
            1 => 0,
            partitions => partition_of(series_key(&line.point.measurement, &line.point.tags).as_bytes(), partitions),
        };
        let chunk = open.entry(partition).or_default();
        let before = chunk.payload.len();
        if let Err(unwritable) = line_protocol::write(&mut chunk.payload, &line.point) {
            let reason = unwritable.to_string();
            refused.push(RefusedLine { number: line.number, code: "refused", reason });
            continue;
        }
        if chunk.payload.len() > RECORD_BYTES && before > 0 {
            let last = chunk.payload.split_off(before);
            full.push((partition, std::mem::replace(chunk, Chunk { payload: last, lines: Vec::new() })));
        }
        chunk.lines.push(line);
    }
    full.extend(open.into_iter().filter(|(_, chunk)| !chunk.lines.is_empty()));
    full
}

fn new_record(topic: &Name, partition: u32, payload: String, arrival: &Arrival) -> NewRecord {
    let mut headers = Headers::with_capacity(3);
    headers.add_number(header::TIME, arrival.time_ns());
    headers.add(header::SOURCE, "http");
    headers.add(header::CONTENT_TYPE, record::LINE_PROTOCOL);
    NewRecord {
        topic: Name::clone(topic),
        partition: Some(partition),
        key: Bytes::new(),
        headers: headers.into_vec(),
        payload: payload.into(),
        timestamp_ms: arrival.time_ns().div_euclid(1_000_000),
    }
}

#[cfg(test)]
mod tests;
