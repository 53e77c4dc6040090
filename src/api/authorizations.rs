//! `/api/v2/authorizations`: tokens; listed, made, switched off and on, revoked.
//!
//! The shapes are InfluxDB's. A token may read, or write, or both, in all buckets; permissions for one bucket are refused,
//! not widened. The token itself stands in the answer that makes it, and nowhere else.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::{MadeToken, Scope};
use super::error::ApiResult;
use super::{Api, ORG_NAME, Shared, orgs};
use crate::error::{Error, Result};
use crate::time::rfc3339;

pub(super) async fn list(State(api): Shared) -> Json<Value> {
    let shown: Vec<Value> = api.tokens.list().iter().map(|token| show_token(&api, token, None)).collect();
    Json(json!({ "links": { "self": "/api/v2/authorizations" }, "authorizations": shown }))
}

pub(super) async fn show(State(api): Shared, Path(id): Path<String>) -> ApiResult<Json<Value>> {
    let found = api.tokens.list().into_iter().find(|token| *token.id == *id);
    let token = found.ok_or_else(|| Error::not_found("authorization not found"))?;
    Ok(Json(show_token(&api, &token, None)))
}

#[derive(Deserialize)]
pub(super) struct NewBody {
    #[serde(rename = "orgID")]
    org_id: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    permissions: Vec<Permission>,
}

#[derive(Deserialize)]
struct Permission {
    action: String,
    resource: Resource,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    name: Option<String>,
}

pub(super) async fn create(State(api): Shared, Json(body): Json<NewBody>) -> ApiResult<(StatusCode, Json<Value>)> {
    orgs::check(&api, None, body.org_id.as_deref())?;
    let scope = scope_of(&body.permissions)?;
    let description = body.description.unwrap_or_default();
    let (mut made, token) = api.tokens.make(description, scope, api.clock.now_ns())?;
    if body.status.as_deref() == Some("inactive") {
        made = api.tokens.set_active(&made.id, false)?;
    }
    Ok((StatusCode::CREATED, Json(show_token(&api, &made, Some(&token)))))
}

/// Permissions for buckets decide; those for other kinds of resources follow them.
fn scope_of(permissions: &[Permission]) -> Result<Scope> {
    let mut scope = Scope { read: false, write: false };
    for Permission { action, resource } in permissions {
        let one = resource.id.as_ref().or(resource.name.as_ref()).filter(|one| !one.is_empty());
        if let (Some(one), "buckets") = (one, resource.kind.as_str()) {
            return Err(Error::unimplemented(format!("a permission for the bucket {one} alone is not supported"))
                .with_hint("leave out the resource's id and name: the token is for all buckets"));
        }
        match (resource.kind.as_str(), action.as_str()) {
            ("buckets", "read") => scope.read = true,
            ("buckets", "write") => scope.write = true,
            (_, "read" | "write") => {}
            (_, other) => {
                return Err(Error::invalid(format!("unknown action: expected read or write, found {other:?}")));
            }
        }
    }
    if !scope.read && !scope.write {
        return Err(Error::invalid("authorization must include permissions")
            .with_hint("name read or write of the resource type buckets"));
    }
    Ok(scope)
}

#[derive(Deserialize)]
pub(super) struct ChangedBody {
    status: Option<String>,
}

pub(super) async fn change(
    State(api): Shared,
    Path(id): Path<String>,
    Json(body): Json<ChangedBody>,
) -> ApiResult<Json<Value>> {
    let active = match body.status.as_deref() {
        Some("active") => true,
        Some("inactive") => false,
        other => return Err(Error::invalid(format!("status: expected active or inactive, found {other:?}")).into()),
    };
    let token = api.tokens.set_active(&id, active)?;
    Ok(Json(show_token(&api, &token, None)))
}

pub(super) async fn revoke(State(api): Shared, Path(id): Path<String>) -> ApiResult<StatusCode> {
    api.tokens.revoke(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

fn show_token(api: &Api, made: &MadeToken, token: Option<&str>) -> Value {
    let actions = [("read", made.scope.read), ("write", made.scope.write)];
    let permissions: Vec<Value> = actions
        .iter()
        .filter(|(_, may)| *may)
        .map(|(action, _)| {
            json!({ "action": action, "resource": { "type": "buckets", "orgID": &*api.org_id, "org": ORG_NAME } })
        })
        .collect();
    let created = rfc3339::to_short_text(made.created_ns);
    json!({
        "id": &*made.id, "token": token.unwrap_or("REDACTED"), "description": made.description,
        "status": if made.active { "active" } else { "inactive" }, "orgID": &*api.org_id, "org": ORG_NAME,
        "userID": &*api.org_id, "user": ORG_NAME, "permissions": permissions,
        "createdAt": created, "updatedAt": created,
        "links": { "self": format!("/api/v2/authorizations/{}", made.id) },
    })
}
