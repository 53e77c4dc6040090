//! `/api/fluxmill/topics`: the log's topics and records, for `fluxmill topic`.
//!
//! Reads only; a read waits for records when asked to.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::ApiResult;
use super::{Api, Shared};
use crate::commitlog::{Record, TopicInfo};
use crate::error::Result;

/// The longest wait for a record.
const MOST_WAIT_MS: u64 = 10_000;
/// The most records of one answer.
const MOST_RECORDS: usize = 10_000;

pub(super) async fn list(State(api): Shared) -> ApiResult<Json<Value>> {
    let mut shown = Vec::new();
    for topic in api.log.topics().await? {
        shown.push(show_topic(&api, &topic).await?);
    }
    Ok(Json(shown.into()))
}

pub(super) async fn show(State(api): Shared, Path(name): Path<String>) -> ApiResult<Json<Value>> {
    let topic = api.log.topic(&name).await?;
    Ok(Json(show_topic(&api, &topic).await?))
}

async fn show_topic(api: &Api, topic: &TopicInfo) -> Result<Value> {
    let mut partitions = Vec::new();
    for partition in 0..topic.partitions {
        let range = api.log.offsets(&topic.name, partition).await?;
        partitions.push(json!({ "partition": partition, "start": range.start, "end": range.end }));
    }
    Ok(json!({ "name": &*topic.name, "generation": topic.generation, "partitions": partitions }))
}

#[derive(Deserialize)]
pub(super) struct Read {
    #[serde(default)]
    partition: u32,
    #[serde(default)]
    from: u64,
    limit: Option<usize>,
    #[serde(default)]
    wait_ms: u64,
}

pub(super) async fn records(
    State(api): Shared,
    Path(name): Path<String>,
    Query(read): Query<Read>,
) -> ApiResult<Json<Value>> {
    let range = api.log.offsets(&name, read.partition).await?;
    let from = read.from.max(range.start);
    let limit = read.limit.unwrap_or(100).min(MOST_RECORDS);
    let wait = Duration::from_millis(read.wait_ms.min(MOST_WAIT_MS));
    let fetched = api.log.read(&name, read.partition, from, limit, wait).await?;
    let records: Vec<Value> = fetched.records.iter().map(|record| show_record(read.partition, record)).collect();
    Ok(Json(json!({ "records": records, "next_offset": fetched.next_offset })))
}

pub(super) fn show_record(partition: u32, record: &Record) -> Value {
    let headers: Map<String, Value> = record
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value).into_owned().into()))
        .collect();
    json!({
        "partition": partition, "offset": record.offset, "timestamp_ms": record.timestamp_ms,
        "key": String::from_utf8_lossy(&record.key), "payload": String::from_utf8_lossy(&record.payload),
        "headers": headers,
    })
}
