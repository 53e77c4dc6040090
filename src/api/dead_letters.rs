//! `/api/fluxmill/dead-letters`: records that could not be decoded or kept, and why; and their replay.
//!
//! Reads the `<topic>.dead-letter` topics; for `fluxmill dead-letter`.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiResult;
use super::{Api, Shared, optional};
use crate::commitlog::Record;
use crate::error::{Error, Result};
use crate::ingest::dead_letter::{Replayed, Which, replay_all};

/// The end of a dead-letter topic's name.
const SUFFIX: &str = ".dead-letter";
/// The most letters of one answer.
const MOST_LETTERS: usize = 1_000;

pub(super) async fn list(State(api): Shared) -> ApiResult<Json<Value>> {
    let mut summaries = Vec::new();
    for topic in api.log.topics().await? {
        let Some(origin) = topic.name.strip_suffix(SUFFIX) else { continue };
        let mut count = 0;
        for partition in 0..topic.partitions {
            let range = api.log.offsets(&topic.name, partition).await?;
            count += range.end - range.start;
        }
        let newest = newest(&api, &topic.name, topic.partitions, 1).await?.into_iter().next();
        summaries.push(json!({ "topic": origin, "count": count, "newest": newest }));
    }
    Ok(Json(summaries.into()))
}

#[derive(Deserialize)]
pub(super) struct Limit {
    limit: Option<usize>,
}

pub(super) async fn show(
    State(api): Shared,
    Path(topic): Path<String>,
    Query(limit): Query<Limit>,
) -> ApiResult<Json<Value>> {
    let name = format!("{topic}{SUFFIX}");
    let limit = limit.limit.unwrap_or(10).min(MOST_LETTERS);
    let letters = match api.log.topic(&name).await {
        Ok(info) => newest(&api, &name, info.partitions, limit).await?,
        Err(_) => {
            // No letter has come yet; an unknown topic is the caller's mistake and is named as such.
            api.log.topic(&topic).await?;
            Vec::new()
        }
    };
    Ok(Json(letters.into()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ReplayBody {
    all: bool,
    only: Option<String>,
}

pub(super) async fn replay(State(api): Shared, Path(topic): Path<String>, body: Bytes) -> ApiResult<Json<Value>> {
    let body: ReplayBody = optional(&body)?;
    let which = match &body.only {
        Some(text) => {
            let place = text.split_once('/');
            let parsed = place.and_then(|(partition, offset)| Some((partition.parse().ok()?, offset.parse().ok()?)));
            let (partition, offset) = parsed.ok_or_else(|| {
                Error::invalid(format!("only: expected PARTITION/OFFSET such as 0/17, found {text:?}"))
            })?;
            Which::Only { partition, offset }
        }
        None if body.all => Which::All,
        None => Which::New,
    };
    api.check_lag()?;
    let done = replay_all(api.log.as_ref(), &topic, which).await?;
    if matches!(which, Which::Only { .. }) && done == Replayed::default() {
        let place = body.only.unwrap_or_default();
        return Err(Error::not_found(format!("no dead letter of {topic} stood at {place}")).into());
    }
    Ok(Json(json!({ "replayed": done.replayed, "tooLong": done.too_long })))
}

/// The newest letters over all partitions, newest first.
async fn newest(api: &Api, topic: &str, partitions: u32, limit: usize) -> Result<Vec<Value>> {
    let mut found: Vec<(i64, Value)> = Vec::new();
    for partition in 0..partitions {
        let range = api.log.offsets(topic, partition).await?;
        let from = range.end.saturating_sub(limit as u64).max(range.start);
        if from < range.end {
            let fetched = api.log.read(topic, partition, from, limit, Duration::ZERO).await?;
            found.extend(fetched.records.iter().map(|record| (record.timestamp_ms, show_letter(record))));
        }
    }
    found.sort_by_key(|(timestamp_ms, _)| std::cmp::Reverse(*timestamp_ms));
    found.truncate(limit);
    Ok(found.into_iter().map(|(_, letter)| letter).collect())
}

fn show_letter(record: &Record) -> Value {
    let header =
        |name: &str| record.header(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    json!({
        "timestamp_ms": record.timestamp_ms, "code": header("fm-dl-code"), "detail": header("fm-dl-detail"),
        "partition": header("fm-dl-partition"), "offset": header("fm-dl-offset"), "line": header("fm-dl-line"),
        "payload": String::from_utf8_lossy(&record.payload),
    })
}
