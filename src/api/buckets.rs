//! `/api/v2/buckets`: list, show, create, change, delete; `/api/fluxmill/buckets`: what files they have.
//!
//! The shapes are InfluxDB's, with the key `topics` beside them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiResult;
use super::{Api, Shared, orgs};
use crate::error::{Error, Result};
use crate::store::{Bucket, NewBucket};
use crate::table::ColumnType;
use crate::time::rfc3339;

const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;
/// Buckets of one answer, at most and if nothing is said.
const MOST_BUCKETS: usize = 100;
const USUAL_BUCKETS: usize = 20;

#[derive(Deserialize)]
pub(super) struct Filter {
    name: Option<String>,
    id: Option<String>,
    org: Option<String>,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
    after: Option<String>,
    #[serde(default)]
    descending: bool,
}

pub(super) async fn list(State(api): Shared, Query(filter): Query<Filter>) -> ApiResult<Json<Value>> {
    orgs::check(&api, filter.org.as_deref(), filter.org_id.as_deref())?;
    let limit = filter.limit.unwrap_or(USUAL_BUCKETS);
    if !(1..=MOST_BUCKETS).contains(&limit) {
        return Err(Error::invalid(format!("limit must be between 1 and {MOST_BUCKETS}")).into());
    }
    let mut buckets = api.store.buckets();
    if let Some(name) = &filter.name {
        buckets.retain(|bucket| *bucket.name == **name);
        // InfluxDB tells a missing name from an empty list when the organisation is given too.
        if buckets.is_empty() && (filter.org.is_some() || filter.org_id.is_some()) {
            return Err(Error::not_found(format!("bucket \"{name}\" not found")).into());
        }
    }
    if let Some(id) = &filter.id {
        buckets.retain(|bucket| *bucket.id == **id);
    }
    buckets.sort_by(|left, right| left.id.cmp(&right.id));
    if filter.descending {
        buckets.reverse();
    }
    if let Some(after) = &filter.after {
        let found = buckets.iter().position(|bucket| *bucket.id == **after);
        buckets.drain(..found.map_or(buckets.len(), |at| at + 1));
    }
    let more = buckets.len() > filter.offset.saturating_add(limit);
    let shown: Vec<Value> =
        buckets.iter().skip(filter.offset).take(limit).map(|bucket| show_bucket(&api, bucket)).collect();
    let mut links = json!({ "self": format!("/api/v2/buckets?limit={limit}&offset={}", filter.offset) });
    if more {
        links["next"] = format!("/api/v2/buckets?limit={limit}&offset={}", filter.offset + limit).into();
    }
    Ok(Json(json!({ "links": links, "buckets": shown })))
}

pub(super) async fn show(State(api): Shared, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    Ok(Json(show_bucket(&api, &of_id(&api, &id)?)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewBody {
    #[serde(default)]
    name: String,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
    #[serde(default)]
    retention_rules: Vec<RetentionRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetentionRule {
    #[serde(default)]
    every_seconds: i64,
}

pub(super) async fn create(State(api): Shared, Json(body): Json<NewBody>) -> ApiResult<(StatusCode, Json<Value>)> {
    orgs::check(&api, None, body.org_id.as_deref())?;
    let new = new_bucket(&body)?;
    if api.store.buckets().iter().any(|bucket| bucket.name == new.name) {
        return Err(Error::conflict(format!("bucket with name {} already exists", new.name)).into());
    }
    let bucket = api.store.create_bucket(new)?;
    // Its topic is made and read before the answer.
    api.sink.refresh().await?;
    Ok((StatusCode::CREATED, Json(show_bucket(&api, &bucket))))
}

fn new_bucket(body: &NewBody) -> Result<NewBucket> {
    check_name(&body.name)?;
    Ok(NewBucket { retention_ns: retention_ns(&body.retention_rules)?, ..NewBucket::named(&body.name) })
}

/// What rules say; none, or one of 0 seconds, keeps rows for ever.
fn retention_ns(rules: &[RetentionRule]) -> Result<Option<i64>> {
    let seconds = match rules {
        [] => 0,
        [only] => only.every_seconds,
        _ => return Err(Error::invalid("a bucket has at most one retention rule")),
    };
    if seconds < 0 {
        return Err(Error::invalid("expiration seconds cannot be negative"));
    }
    Ok((seconds > 0).then(|| seconds.saturating_mul(NANOSECONDS_PER_SECOND)))
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid("bucket name cannot be empty"));
    }
    if name.starts_with('_') {
        return Err(Error::invalid(format!("bucket name {name} is invalid. Buckets may not start with underscore")));
    }
    if name.contains('"') {
        return Err(Error::invalid(format!(
            "bucket name {name} is invalid. Bucket names may not include quotation marks"
        )));
    }
    Ok(())
}

/// What a change may name; what it does not name stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChangeBody {
    name: Option<String>,
    retention_rules: Option<Vec<RetentionRule>>,
}

pub(super) async fn change(
    State(api): Shared,
    Path(id): Path<String>,
    Json(body): Json<ChangeBody>,
) -> ApiResult<Json<Value>> {
    let bucket = of_id(&api, &id)?;
    if let Some(name) = body.name.as_deref().filter(|name| **name != *bucket.name) {
        check_name(name)?;
    }
    let retention = body.retention_rules.as_deref().map(retention_ns).transpose()?;
    let changed = api.store.update_bucket(&bucket.id, |bucket| {
        if let Some(name) = body.name {
            bucket.name = name.into();
        }
        if let Some(retention) = retention {
            bucket.retention_ns = retention;
        }
    })?;
    Ok(Json(show_bucket(&api, &changed)))
}

/// What a bucket holds, by its name or id.
pub(super) async fn stats(State(api): Shared, Path(bucket): Path<String>) -> ApiResult<Json<Value>> {
    let bucket = api.store.bucket(&bucket)?;
    let stats = api.store.bucket_stats(&bucket.id).await?;
    let per_point = (stats.points > 0).then(|| stats.bytes as f64 / stats.points as f64);
    Ok(Json(json!({
        "id": &*bucket.id, "name": &*bucket.name, "measurements": stats.measurements, "series": stats.series,
        "files": stats.files, "rows": stats.rows, "points": stats.points, "bytes": stats.bytes,
        "bytesPerPoint": per_point, "hotRows": stats.hot_rows,
    })))
}

/// Makes one sorted group of files of each day of a bucket.
pub(super) async fn compact(State(api): Shared, Path(bucket): Path<String>) -> ApiResult<Json<Value>> {
    let bucket = api.store.bucket(&bucket)?;
    let (store, id) = (Arc::clone(&api.store), bucket.id.clone());
    let done = to_its_end(async move { store.compact_bucket(&id).await }).await?;
    Ok(Json(json!({
        "id": &*bucket.id, "name": &*bucket.name, "tables": done.tables, "filesBefore": done.files_before,
        "filesAfter": done.files_after, "rows": done.rows,
    })))
}

/// Work that goes on when the client does not wait for it: a handler is dropped with its connection, and a commit that is
/// dropped half way has to be found out about later.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(Error::internal(format!("the work ended early: {error}"))))
}

#[derive(Deserialize)]
pub(super) struct RetypeBody {
    measurement: String,
    field: String,
    #[serde(rename = "type")]
    type_name: String,
}

/// Gives a field another type and reads the bucket's topics again.
pub(super) async fn retype(
    State(api): Shared,
    Path(bucket): Path<String>,
    Json(body): Json<RetypeBody>,
) -> ApiResult<StatusCode> {
    let bucket = api.store.bucket(&bucket)?;
    let types = [ColumnType::Bool, ColumnType::Int, ColumnType::UInt, ColumnType::Float, ColumnType::String];
    let to = types.into_iter().find(|known| known.flux_name() == body.type_name).ok_or_else(|| {
        Error::invalid(format!("there is no type {:?}", body.type_name))
            .with_hint("a field is of type bool, int, uint, float or string")
    })?;
    let sink = Arc::clone(&api.sink);
    to_its_end(async move { sink.retype(&bucket, &body.measurement, &body.field, to).await }).await?;
    Ok(StatusCode::ACCEPTED)
}

#[derive(Deserialize)]
pub(super) struct RebuildBody {
    #[serde(default)]
    force: bool,
}

/// Drops a bucket's rows and reads its topics again.
pub(super) async fn rebuild(
    State(api): Shared,
    Path(bucket): Path<String>,
    Json(body): Json<RebuildBody>,
) -> ApiResult<StatusCode> {
    let bucket = api.store.bucket(&bucket)?;
    let sink = Arc::clone(&api.sink);
    to_its_end(async move { sink.rebuild(&bucket, body.force).await }).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn delete(State(api): Shared, Path(id): Path<String>) -> ApiResult<StatusCode> {
    let bucket = of_id(&api, &id)?;
    api.store.delete_bucket(&bucket.id)?;
    Ok(StatusCode::NO_CONTENT)
}

fn of_id(api: &Api, id: &str) -> Result<Bucket> {
    let found = api.store.buckets().into_iter().find(|bucket| *bucket.id == *id);
    found.ok_or_else(|| Error::not_found("bucket not found"))
}

fn show_bucket(api: &Api, bucket: &Bucket) -> Value {
    let seconds = bucket.retention_ns.map_or(0, |retention_ns| retention_ns / NANOSECONDS_PER_SECOND);
    let created = rfc3339::to_short_text(bucket.created_ns);
    let topics: Vec<&str> = bucket.topics.iter().map(|topic| &**topic).collect();
    json!({
        "id": &*bucket.id, "orgID": &*api.org_id, "type": "user", "name": &*bucket.name,
        "retentionRules": [{ "type": "expire", "everySeconds": seconds, "shardGroupDurationSeconds": 0 }],
        "createdAt": created, "updatedAt": created, "labels": [], "topics": topics,
        "links": {
            "self": format!("/api/v2/buckets/{}", bucket.id),
            "org": format!("/api/v2/orgs/{}", api.org_id),
            "write": format!("/api/v2/write?org={}&bucket={}", api.org_id, bucket.id),
        },
    })
}
