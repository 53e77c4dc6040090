//! `/api/v2/tasks/{id}/runs` and logs: what a task's slots came to, and operations on them; `/api/fluxmill/tasks`: plans and
//! backfills, which InfluxDB has not.
//!
//! The shapes are InfluxDB's, with our keys beside them.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiResult;
use super::tasks::{limit, not_found, tasks, to_json};
use super::{Shared, optional};
use crate::error::{Error, Result};
use crate::tasks::{Plan, RunView, Which};
use crate::time::rfc3339;

/// How long a cancel waits until the end of the run is on record.
const CANCEL_WAIT: Duration = Duration::from_secs(10);

/// Most slots of a plan.
const MOST_PLANNED: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<String>,
    after_time: Option<String>,
    before_time: Option<String>,
}

fn time(name: &str, text: &str) -> Result<i64> {
    rfc3339::parse(text).map_err(|_| Error::invalid(format!("{name}: expected an RFC 3339 time, found {text:?}")))
}

pub(super) async fn list(
    State(api): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> ApiResult<Json<Value>> {
    let limit = limit(page.limit)?;
    let after_ns = page.after_time.as_deref().map(|text| time("afterTime", text)).transpose()?;
    let before_ns = page.before_time.as_deref().map(|text| time("beforeTime", text)).transpose()?;
    let mut views = tasks(&api)?.runs(&id, usize::MAX).map_err(not_found)?;
    if let Some(after) = &page.after {
        let found = views.iter().position(|view| *view.id == **after);
        views.drain(..found.map_or(views.len(), |at| at + 1));
    }
    views.retain(|view| {
        after_ns.is_none_or(|after_ns| view.scheduled_for > after_ns)
            && before_ns.is_none_or(|before_ns| view.scheduled_for < before_ns)
    });
    views.truncate(limit);
    let shown = views.iter().map(show_run).collect::<Result<Vec<Value>>>()?;
    let links = json!({ "self": format!("/api/v2/tasks/{id}/runs"), "task": format!("/api/v2/tasks/{id}") });
    Ok(Json(json!({ "links": links, "runs": shown })))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RunBody {
    scheduled_for: Option<String>,
    /// Ours: answer when the run has ended, not when it has been asked for.
    wait: bool,
}

pub(super) async fn run_now(
    State(api): Shared,
    Path(id): Path<String>,
    body: Bytes,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let body: RunBody = optional(&body)?;
    let which = match &body.scheduled_for {
        None => Which::Latest,
        Some(text) => Which::Slot(time("scheduledFor", text)?),
    };
    let tasks = tasks(&api)?;
    let mut view = tasks.run(&id, which).await.map_err(not_found)?;
    if body.wait {
        view = tasks.ended(&id, &view.id).await?;
    }
    Ok((StatusCode::CREATED, Json(show_run(&view)?)))
}

pub(super) async fn show(State(api): Shared, Path((id, run)): Path<(String, String)>) -> ApiResult<Json<Value>> {
    let view = tasks(&api)?.run_of(&id, &run).map_err(not_found)?;
    Ok(Json(show_run(&view)?))
}

/// 200, as InfluxDB answers, once the run's end is on record.
pub(super) async fn cancel(State(api): Shared, Path((id, run)): Path<(String, String)>) -> ApiResult<StatusCode> {
    let tasks = tasks(&api)?;
    tasks.cancel(&id, &run).map_err(not_found)?;
    match tokio::time::timeout(CANCEL_WAIT, tasks.ended(&id, &run)).await {
        Ok(ended) => {
            ended?;
            Ok(StatusCode::OK)
        }
        Err(_) => Err(Error::unavailable("the run is canceled, but its end is not on record yet").into()),
    }
}

pub(super) async fn retry(
    State(api): Shared,
    Path((id, run)): Path<(String, String)>,
    body: Bytes,
) -> ApiResult<Json<Value>> {
    let body: RunBody = optional(&body)?;
    let tasks = tasks(&api)?;
    let mut view = tasks.retry(&id, &run).await.map_err(not_found)?;
    if body.wait {
        view = tasks.ended(&id, &view.id).await?;
    }
    Ok(Json(show_run(&view)?))
}

pub(super) async fn task_logs(State(api): Shared, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let views = tasks(&api)?.runs(&id, usize::MAX).map_err(not_found)?;
    Ok(Json(json!({ "events": events(views.iter()) })))
}

pub(super) async fn run_logs(State(api): Shared, Path((id, run)): Path<(String, String)>) -> ApiResult<Json<Value>> {
    let tasks = tasks(&api)?;
    tasks.run_of(&id, &run).map_err(not_found)?;
    let views = tasks.runs(&id, usize::MAX)?;
    Ok(Json(json!({ "events": events(views.iter().filter(|view| *view.id == *run)) })))
}

/// The lines of the logs of runs, oldest first.
fn events<'v>(views: impl Iterator<Item = &'v RunView>) -> Vec<Value> {
    let mut lines: Vec<(i64, Value)> = Vec::new();
    for view in views {
        lines.extend(view.log.iter().map(|line| {
            let time = rfc3339::to_short_text(line.time_ns);
            (line.time_ns, json!({ "runID": &*view.id, "time": time, "message": line.message }))
        }));
    }
    lines.sort_by_key(|(time_ns, _)| *time_ns);
    lines.into_iter().map(|(_, event)| event).collect()
}

#[derive(Deserialize)]
pub(super) struct PlanQuery {
    count: Option<usize>,
}

pub(super) async fn plan(
    State(api): Shared,
    Path(id): Path<String>,
    Query(query): Query<PlanQuery>,
) -> ApiResult<Json<Plan>> {
    let count = query.count.unwrap_or(5).min(MOST_PLANNED);
    Ok(Json(tasks(&api)?.plan(&id, count).map_err(not_found)?))
}

#[derive(Deserialize)]
pub(super) struct BackfillBody {
    from: String,
    to: Option<String>,
}

pub(super) async fn backfill(
    State(api): Shared,
    Path(id): Path<String>,
    Json(body): Json<BackfillBody>,
) -> ApiResult<Json<Value>> {
    let from_ns = time("from", &body.from)?;
    let until_ns = match &body.to {
        Some(text) => time("to", text)?,
        None => api.clock.now_ns(),
    };
    if until_ns <= from_ns {
        return Err(Error::invalid("the range ends before it begins").into());
    }
    let asked = tasks(&api)?.backfill(&id, from_ns, until_ns).await.map_err(not_found)?;
    Ok(Json(json!({ "asked": asked })))
}

fn show_run(view: &RunView) -> Result<Value> {
    let mut shown = to_json(view)?;
    let task = format!("/api/v2/tasks/{}", view.task_id);
    let path = format!("{task}/runs/{}", view.id);
    shown["links"] = json!({
        "self": path, "task": task, "logs": format!("{path}/logs"), "retry": format!("{path}/retry"),
    });
    Ok(shown)
}
