//! Deletes on their way in: a record for every partition of the bucket's topics, and the wait until they are applied.
//!
//! Called by `/api/v2/delete`. All records of one delete have one arrival time, so that the delete is older or newer than a
//! row whichever partition either stands in.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::accept::Accept;
use super::record::{self, Headers, header};
use super::sink::Sink;
use crate::commitlog::NewRecord;
use crate::error::{Error, Result};
use crate::point::delete::{Delete, Deleted};
use crate::store::{Bucket, MAX_AHEAD_NS, SourcePartition};

/// Appends a delete to a bucket's topics and waits, at most `max_wait`, until it is applied. Returns whether it is.
///
/// Errors: those of the log (the delete may be appended in part; a repetition does no harm), `Invalid` when the bucket has
/// too many deletes already.
pub async fn delete(accept: &Accept, sink: &Sink, bucket: &Bucket, what: Deleted, max_wait: Duration) -> Result<bool> {
    if sink.store().deletes_left(&bucket.id)? == 0 {
        return Err(Error::invalid("the bucket has as many deletes of ranges as it may have")
            .with_hint("delete the bucket, or write to a new one"));
    }
    let mut partitions: Vec<SourcePartition> = Vec::new();
    for name in &bucket.topics {
        let topic = sink.log().topic(name).await?;
        partitions.extend((0..topic.partitions).map(|partition| SourcePartition {
            topic: topic.name.clone(),
            generation: topic.generation,
            partition,
        }));
    }
    let payload = Bytes::from(Delete { bucket: bucket.name.clone(), what }.write()?);
    // Rows of one record may be dated a little ahead of its arrival; whatever is applied is older than the delete, unless
    // somebody whose clock is wrong wrote it.
    let (newest, latest) = (sink.newest_seq(), accept.arrivals().next_ns().saturating_add(MAX_AHEAD_NS));
    if newest <= latest {
        accept.arrivals().not_before(newest.saturating_add(1));
    }
    let arrival = accept.arrivals().begin();
    let mut records = Vec::with_capacity(partitions.len());
    for place in &partitions {
        let mut headers = Headers::with_capacity(3);
        headers.add_number(header::TIME, arrival.time_ns());
        headers.add(header::SOURCE, "http");
        headers.add(header::CONTENT_TYPE, record::DELETE);
        records.push(NewRecord {
            topic: place.topic.clone(),
            partition: Some(place.partition),
            key: Bytes::new(),
            headers: headers.into_vec(),
            payload: payload.clone(),
            timestamp_ms: arrival.time_ns().div_euclid(1_000_000),
        });
    }
    let log = std::sync::Arc::clone(sink.log());
    // A task of its own, so that the arrival counts as in flight to the append's end even if the request is dropped.
    let appended = tokio::spawn(async move {
        let appended = log.append(records).await;
        drop(arrival);
        appended
    });
    let positions = appended.await.map_err(|error| Error::internal(format!("the append was lost: {error}")))??;
    let deadline = Instant::now() + max_wait;
    for (source, position) in partitions.iter().zip(positions) {
        let left = deadline.saturating_duration_since(Instant::now());
        if !sink.store().wait_applied(source, position.offset + 1, left).await {
            return Ok(false);
        }
    }
    Ok(true)
}
