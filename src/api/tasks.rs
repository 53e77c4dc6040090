//! `/api/v2/tasks`: tasks, their runs, and a run now.
//!
//! The shapes are InfluxDB's, with our keys beside them. Tasks are made by files in the directory, not here.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::ApiResult;
use super::{Api, ORG_NAME, Shared};
use crate::error::{Error, Result};
use crate::tasks::{Tasks, Which};
use crate::time::rfc3339;

/// Tasks and runs of one answer, at most and if nothing is said.
const MOST: usize = 500;
const USUAL: usize = 100;

#[derive(Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
    after: Option<String>,
    name: Option<String>,
    status: Option<String>,
}

impl Page {
    fn limit(&self) -> Result<usize> {
        match self.limit {
            None => Ok(USUAL),
            Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
            Some(limit) => Err(Error::conflict(format!("limit must be between 1 and {MOST}, found {limit}"))),
        }
    }
}

fn tasks(api: &Api) -> Result<&Tasks> {
    api.tasks.as_deref().ok_or_else(|| {
        Error::unavailable("tasks do not run here").with_hint("start `fluxmill serve` over this data directory")
    })
}

pub(super) async fn list(State(api): Shared, Query(page): Query<Page>) -> ApiResult<Json<Value>> {
    let limit = page.limit()?;
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
    let view = tasks(&api)?.show(&id)?;
    Ok(Json(show_task(&api, &view)?))
}

pub(super) async fn runs(
    State(api): Shared,
    Path(id): Path<String>,
    Query(page): Query<Page>,
) -> ApiResult<Json<Value>> {
    let views = tasks(&api)?.runs(&id, page.limit()?)?;
    let shown = views.iter().map(|view| show_run(view, &view.id, &view.task_id)).collect::<Result<Vec<Value>>>()?;
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
    body: Option<Json<RunBody>>,
) -> ApiResult<(StatusCode, Json<Value>)> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let which = match &body.scheduled_for {
        None => Which::Latest,
        Some(text) => Which::Slot(
            rfc3339::parse(text)
                .map_err(|_| Error::invalid(format!("scheduledFor: expected an RFC 3339 time, found {text:?}")))?,
        ),
    };
    let tasks = tasks(&api)?;
    let mut view = tasks.run(&id, which).await?;
    if body.wait {
        view = tasks.ended(&id, &view.id).await?;
    }
    let shown = show_run(&view, &view.id, &view.task_id)?;
    Ok((StatusCode::CREATED, Json(shown)))
}

/// The keys that InfluxDB's clients insist on, beside those of the view.
fn show_task(api: &Api, view: &crate::tasks::TaskView) -> Result<Value> {
    let mut shown = to_json(view)?;
    let path = format!("/api/v2/tasks/{}", view.id.as_deref().unwrap_or_default());
    shown["orgID"] = (&*api.org_id).into();
    shown["org"] = ORG_NAME.into();
    shown["ownerID"] = (&*api.org_id).into();
    shown["labels"] = json!([]);
    shown["links"] = json!({ "self": path, "runs": format!("{path}/runs"), "logs": format!("{path}/logs") });
    Ok(shown)
}

fn show_run(view: &impl Serialize, id: &str, task: &str) -> Result<Value> {
    let mut shown = to_json(view)?;
    let path = format!("/api/v2/tasks/{task}/runs/{id}");
    shown["links"] = json!({ "self": path, "task": format!("/api/v2/tasks/{task}"), "logs": format!("{path}/logs") });
    Ok(shown)
}

fn to_json(view: &impl Serialize) -> Result<Value> {
    serde_json::to_value(view).map_err(|error| Error::internal(format!("a view cannot be shown: {error}")))
}
