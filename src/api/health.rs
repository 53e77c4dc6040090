//! `/health`, `/ready`, `/ping`, `/metrics` and the map of links: what clients ask before they do anything else.
//!
//! No token is needed. The shapes are InfluxDB's.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::Shared;

/// The version that clients see; they parse it, so it is InfluxDB's form.
pub(super) const VERSION: &str = concat!("v2.9.1-fluxmill-", env!("CARGO_PKG_VERSION"));

pub(super) async fn health() -> Json<Value> {
    Json(json!({
        "name": "influxdb", "status": "pass", "message": "ready for queries and writes", "checks": [],
        "version": VERSION, "commit": "",
    }))
}

pub(super) async fn ready(State(api): Shared) -> Json<Value> {
    let up_ns = api.clock.now_ns().saturating_sub(api.started_ns);
    Json(json!({
        "status": "ready",
        "started": crate::time::rfc3339::to_short_text(api.started_ns),
        "up": crate::time::Duration::from_nanoseconds(up_ns).to_string(),
    }))
}

pub(super) async fn ping() -> StatusCode {
    StatusCode::NO_CONTENT
}

pub(super) async fn metrics(State(api): Shared) -> Response {
    api.metrics.run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], api.metrics.render()).into_response()
}

pub(super) async fn links() -> Json<Value> {
    Json(json!({
        "authorizations": "/api/v2/authorizations", "buckets": "/api/v2/buckets", "orgs": "/api/v2/orgs", "tasks": "/api/v2/tasks", "write": "/api/v2/write",
        "delete": "/api/v2/delete",
        "query": { "self": "/api/v2/query" },
        "system": { "health": "/health", "metrics": "/metrics" },
    }))
}
