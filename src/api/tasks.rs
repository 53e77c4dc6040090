//! `/api/v2/tasks`: tasks; listed, made, changed, deleted.
//!
//! The shapes are InfluxDB's, with our keys beside them. A task is a file in the tasks directory: whatever changes a task
//! here changes its file. Runs of tasks are in `runs`.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiResult;
use super::{Api, ORG_NAME, Shared, orgs};
use crate::error::{Error, ErrorKind, Result};
use crate::tasks::{TaskView, Tasks};

/// Tasks and runs of one answer, at most and if nothing is said.
const MOST: usize = 500;
const USUAL: usize = 100;

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<String>,
    name: Option<String>,
    status: Option<String>,
    org: Option<String>,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
}

/// How many to show.
pub(super) fn limit(limit: Option<usize>) -> Result<usize> {
    match limit {
        None => Ok(USUAL),
        Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
        Some(limit) => Err(Error::conflict(format!("limit must be between 1 and {MOST}, found {limit}"))),
    }
}

pub(super) fn tasks(api: &Api) -> Result<&Tasks> {
    api.tasks.as_deref().ok_or_else(|| {
        Error::unavailable("tasks do not run here").with_hint("start `fluxmill serve` over this data directory")
    })
}

/// What is not found is said in InfluxDB's words.
pub(super) fn not_found(error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound || error.message() == "run not found" {
        return error;
    }
    let hint = error.hint().map(str::to_string);
    let own = Error::not_found(format!("failed to find task: {}", error.message()));
    match hint {
        Some(hint) => own.with_hint(hint),
        None => own,
    }
}

pub(super) async fn list(State(api): Shared, Query(page): Query<Page>) -> ApiResult<Json<Value>> {
    orgs::check(&api, page.org.as_deref(), page.org_id.as_deref())?;
    let limit = limit(page.limit)?;
    let mut views = tasks(&api)?.list();
    if let Some(name) = &page.name {
        views.retain(|view| view.name == *name);
    }
    if let Some(status) = &page.status {
        views.retain(|view| view.status == status);
    }
    if let Some(after) = &page.after {
        let found = views.iter().position(|view| view.id.as_deref() == Some(after));
        views.drain(..found.map_or(views.len(), |at| at + 1));
    }
    let more = views.len() > limit;
    views.truncate(limit);
    let mut links = json!({ "self": format!("/api/v2/tasks?limit={limit}") });
    if let (true, Some(id)) = (more, views.last().and_then(|view| view.id.as_deref())) {
        links["next"] = format!("/api/v2/tasks?limit={limit}&after={id}").into();
    }
    let shown = views.iter().map(|view| show_task(&api, view)).collect::<Result<Vec<Value>>>()?;
    Ok(Json(json!({ "links": links, "tasks": shown })))
}

pub(super) async fn show(State(api): Shared, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let view = tasks(&api)?.show(&id).map_err(not_found)?;
    Ok(Json(show_task(&api, &view)?))
}

#[derive(Deserialize)]
pub(super) struct NewBody {
    #[serde(default)]
    flux: String,
    org: Option<String>,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
    status: Option<String>,
}

pub(super) async fn create(State(api): Shared, Json(body): Json<NewBody>) -> ApiResult<(StatusCode, Json<Value>)> {
    orgs::check(&api, body.org.as_deref(), body.org_id.as_deref())?;
    if body.flux.is_empty() {
        return Err(Error::invalid("missing flux").into());
    }
    let active = is_active(body.status.as_deref())?;
    let tasks = tasks(&api)?;
    let mut view = tasks.create(&body.flux).await?;
    if active == Some(false)
        && let Some(id) = &view.id
    {
        view = tasks.pause(id).await?;
    }
    // The topic of a bucket that was made for the task is read before the answer.
    api.sink.refresh().await?;
    Ok((StatusCode::CREATED, Json(show_task(&api, &view)?)))
}

#[derive(Deserialize)]
pub(super) struct ChangedBody {
    flux: Option<String>,
    status: Option<String>,
    name: Option<String>,
    every: Option<String>,
    cron: Option<String>,
    offset: Option<String>,
}

pub(super) async fn change(
    State(api): Shared,
    Path(id): Path<String>,
    Json(body): Json<ChangedBody>,
) -> ApiResult<Json<Value>> {
    let tasks = tasks(&api)?;
    let active = is_active(body.status.as_deref())?;
    let mut view = tasks.show(&id).map_err(not_found)?;
    if let Some(flux) = body.flux.as_deref().filter(|flux| *flux != view.flux) {
        view = tasks.replace_script(&id, flux).await?;
    } else {
        options_stay(&body, &view)?;
    }
    match active {
        Some(true) => view = tasks.resume(&id).await?,
        Some(false) => view = tasks.pause(&id).await?,
        None => {}
    }
    Ok(Json(show_task(&api, &view)?))
}

/// Clients send a whole task to change its status, so that options which are as they were are no change.
fn options_stay(body: &ChangedBody, view: &TaskView) -> Result<()> {
    let stays = |new: &Option<String>, known: Option<&str>| {
        new.as_deref().is_none_or(|new| new.is_empty() || Some(new) == known)
    };
    let same_duration = |new: &Option<String>, known: Option<&str>| {
        let parse = |text: &str| crate::time::Duration::parse_signed(text).ok();
        stays(new, known) || new.as_deref().and_then(parse) == Some(known.and_then(parse).unwrap_or_default())
    };
    let all = stays(&body.name, Some(&view.name))
        && same_duration(&body.every, view.every.as_deref())
        && stays(&body.cron, view.cron.as_deref())
        && same_duration(&body.offset, view.offset.as_deref());
    if all {
        return Ok(());
    }
    Err(Error::invalid("name, every, cron and offset of a task stand in its script")
        .with_hint(format!("change `option task` in {}, or send the whole script as flux", view.file)))
}

fn is_active(status: Option<&str>) -> Result<Option<bool>> {
    match status {
        None | Some("") => Ok(None),
        Some("active") => Ok(Some(true)),
        Some("inactive") => Ok(Some(false)),
        Some(other) => {
            Err(Error::invalid(format!("invalid task status: expected active or inactive, found {other:?}")))
        }
    }
}

pub(super) async fn delete(State(api): Shared, Path(id): Path<String>) -> ApiResult<StatusCode> {
    tasks(&api)?.delete(&id).await.map_err(not_found)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Labels, members and owners: there are none, and clients ask.
pub(super) async fn labels(State(api): Shared, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    tasks(&api)?.show(&id).map_err(not_found)?;
    Ok(Json(json!({ "labels": [], "links": { "self": format!("/api/v2/tasks/{id}/labels") } })))
}

pub(super) async fn members(State(api): Shared, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    tasks(&api)?.show(&id).map_err(not_found)?;
    Ok(Json(json!({ "users": [], "links": { "self": format!("/api/v2/tasks/{id}/members") } })))
}

pub(super) async fn owners(State(api): Shared, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    tasks(&api)?.show(&id).map_err(not_found)?;
    Ok(Json(json!({ "users": [], "links": { "self": format!("/api/v2/tasks/{id}/owners") } })))
}

/// The keys that InfluxDB's clients insist on, beside those of the view.
fn show_task(api: &Api, view: &TaskView) -> Result<Value> {
    let mut shown = to_json(view)?;
    let path = format!("/api/v2/tasks/{}", view.id.as_deref().unwrap_or_default());
    shown["orgID"] = (&*api.org_id).into();
    shown["org"] = ORG_NAME.into();
    shown["ownerID"] = (&*api.org_id).into();
    shown["labels"] = json!([]);
    shown["links"] = json!({
        "self": path, "runs": format!("{path}/runs"), "logs": format!("{path}/logs"),
        "labels": format!("{path}/labels"), "members": format!("{path}/members"), "owners": format!("{path}/owners"),
    });
    Ok(shown)
}

pub(super) fn to_json(view: &impl Serialize) -> Result<Value> {
    serde_json::to_value(view).map_err(|error| Error::internal(format!("a view cannot be shown: {error}")))
}
