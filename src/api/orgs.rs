//! `/api/v2/orgs`: the one organisation.
//!
//! Clients look its id up by name before they make buckets.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::ApiResult;
use super::{Api, ORG_NAME, Shared};
use crate::error::Error;

#[derive(Deserialize)]
pub(super) struct Filter {
    org: Option<String>,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
}

pub(super) async fn list(State(api): Shared, Query(filter): Query<Filter>) -> ApiResult<Json<Value>> {
    check(&api, filter.org.as_deref(), filter.org_id.as_deref())?;
    Ok(Json(json!({ "links": { "self": "/api/v2/orgs" }, "orgs": [org(&api)] })))
}

pub(super) async fn show(State(api): Shared, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    check(&api, None, Some(&id))?;
    Ok(Json(org(&api)))
}

/// NotFound unless name and id, where given, are those of the one organisation. An id where a name belongs is accepted:
/// clients mix them up, and InfluxDB lets them.
pub(super) fn check(api: &Api, name: Option<&str>, id: Option<&str>) -> Result<(), Error> {
    if let Some(name) = name.filter(|name| !name.is_empty() && *name != ORG_NAME && **name != *api.org_id) {
        return Err(Error::not_found(format!("organization name \"{name}\" not found"))
            .with_hint(format!("the organisation here is called {ORG_NAME}")));
    }
    match id.filter(|id| !id.is_empty() && **id != *api.org_id) {
        Some(id) => Err(Error::not_found(format!("organization with id {id} not found"))),
        None => Ok(()),
    }
}

fn org(api: &Api) -> Value {
    json!({
        "id": &*api.org_id, "name": ORG_NAME, "description": "",
        "createdAt": crate::time::rfc3339::to_short_text(0), "updatedAt": crate::time::rfc3339::to_short_text(0),
        "links": {
            "self": format!("/api/v2/orgs/{}", api.org_id),
            "buckets": format!("/api/v2/buckets?org={ORG_NAME}"),
            "tasks": format!("/api/v2/tasks?org={ORG_NAME}"),
        },
    })
}
