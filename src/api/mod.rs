//! The HTTP API: InfluxDB 2's paths, statuses and bodies, and fluxmill's own under `/api/fluxmill`.
//!
//! Started by `daemon`, used by clients and by the command line. A file per resource. Nothing is answered with success
//! before it is durable, every body has a limit, and every error is InfluxDB's error JSON.

mod auth;
mod authorizations;
mod buckets;
mod dead_letters;
mod delete;
mod error;
mod evaluate;
mod explain;
mod health;
mod orgs;
mod query;
mod runs;
mod schema;
#[cfg(feature = "delta")]
mod sql;
mod tasks;
mod topics;
mod write;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, Request, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;

use crate::clock::Clock;
use crate::commitlog::CommitLog;
use crate::engine::Engine;
#[cfg(feature = "delta")]
use crate::engine::sql::Sql;
use crate::error::{Error, Result};
use crate::ingest::accept::Accept;
use crate::ingest::sink::Sink;
use crate::name::Name;
use crate::plan::World;
use crate::store::Store;
use crate::tasks::Tasks;

pub use auth::Tokens;

/// The organisation's name; there is one.
pub const ORG_NAME: &str = "fluxmill";

/// What the handlers work on.
pub struct Api {
    /// Buckets and their rows.
    pub store: Arc<Store>,
    /// The log.
    pub log: Arc<dyn CommitLog>,
    /// The door to the log.
    pub accept: Arc<Accept>,
    /// The consumer that fills buckets.
    pub sink: Arc<Sink>,
    /// Runs scripts.
    pub engine: Arc<Engine>,
    /// Runs SQL.
    #[cfg(feature = "delta")]
    pub sql: Sql,
    /// The world that ad-hoc scripts see.
    pub world: Arc<dyn World>,
    /// Tasks; `None` where a command opened the data directory for itself.
    pub tasks: Option<Arc<Tasks>>,
    /// Who may call.
    pub tokens: Tokens,
    /// The organisation's id, 16 hex digits.
    pub org_id: Name,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// When the daemon started, in nanoseconds since the epoch.
    pub started_ns: i64,
    /// How long a write waits until its rows can be read.
    pub visible_timeout: Duration,
    /// Records behind at which writes are asked to come back.
    pub max_lag: u64,
    /// Largest body, before and after decompression.
    pub max_body: usize,
}

impl Api {
    /// Refuses what would be appended while the buckets are too far behind the log.
    fn check_lag(&self) -> Result<()> {
        let lag = self.sink.lag();
        if lag > self.max_lag {
            let message = format!("the buckets are {lag} records behind the log; come back in a second");
            return Err(Error::unavailable(message));
        }
        Ok(())
    }
}

/// A JSON body that may be absent: clients say that they send JSON and then send nothing.
fn optional<T: Default + serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|error| Error::invalid(format!("failed parsing request body as JSON: {error}")))
}

/// Says on an answer that what was taken cannot be read yet.
fn mark_pending(response: &mut Response) {
    let name = HeaderName::from_static("x-fluxmill-visible");
    response.headers_mut().insert(name, HeaderValue::from_static("pending"));
}

/// What every handler is given.
type Shared = axum::extract::State<Arc<Api>>;

/// All paths.
fn router(api: Arc<Api>) -> Router {
    let max_body = api.max_body;
    let guarded = Router::new();
    #[cfg(feature = "delta")]
    let guarded = guarded.route("/api/fluxmill/sql", post(sql::sql));
    let guarded = guarded
        .route("/api/v2/write", post(write::write))
        .route("/api/v2/delete", post(delete::delete))
        .route("/api/v2/query", post(query::query))
        .route("/api/v2/authorizations", get(authorizations::list).post(authorizations::create))
        .route(
            "/api/v2/authorizations/{id}",
            get(authorizations::show).patch(authorizations::change).delete(authorizations::revoke),
        )
        .route("/api/v2/buckets", get(buckets::list).post(buckets::create))
        .route("/api/v2/buckets/{id}", get(buckets::show).patch(buckets::change).delete(buckets::delete))
        .route("/api/v2/orgs", get(orgs::list))
        .route("/api/v2/orgs/{id}", get(orgs::show))
        .route("/api/v2/tasks", get(tasks::list).post(tasks::create))
        .route("/api/v2/tasks/{id}", get(tasks::show).patch(tasks::change).delete(tasks::delete))
        .route("/api/v2/tasks/{id}/labels", get(tasks::labels))
        .route("/api/v2/tasks/{id}/members", get(tasks::members))
        .route("/api/v2/tasks/{id}/owners", get(tasks::owners))
        .route("/api/v2/tasks/{id}/logs", get(runs::task_logs))
        .route("/api/v2/tasks/{id}/runs", get(runs::list).post(runs::run_now))
        .route("/api/v2/tasks/{id}/runs/{run}", get(runs::show).delete(runs::cancel))
        .route("/api/v2/tasks/{id}/runs/{run}/logs", get(runs::run_logs))
        .route("/api/v2/tasks/{id}/runs/{run}/retry", post(runs::retry))
        .route("/api/fluxmill/tasks/{id}/plan", get(runs::plan))
        .route("/api/fluxmill/tasks/{id}/backfill", post(runs::backfill))
        .route("/api/fluxmill/buckets/{bucket}/compact", post(buckets::compact))
        .route("/api/fluxmill/buckets/{bucket}/rebuild", post(buckets::rebuild))
        .route("/api/fluxmill/buckets/{bucket}/retype", post(buckets::retype))
        .route("/api/fluxmill/buckets/{bucket}/stats", get(buckets::stats))
        .route("/api/fluxmill/buckets/{bucket}/measurements", get(schema::measurements))
        .route("/api/fluxmill/evaluate", post(evaluate::evaluate))
        .route("/api/fluxmill/evaluate/plan", post(evaluate::explain))
        .route("/api/fluxmill/explain", post(explain::explain))
        .route("/api/fluxmill/topics", get(topics::list))
        .route("/api/fluxmill/topics/{topic}", get(topics::show))
        .route("/api/fluxmill/topics/{topic}/records", get(topics::records))
        .route("/api/fluxmill/dead-letters", get(dead_letters::list))
        .route("/api/fluxmill/dead-letters/{topic}", get(dead_letters::show))
        .route("/api/fluxmill/dead-letters/{topic}/replay", post(dead_letters::replay))
        .route_layer(middleware::from_fn_with_state(api.clone(), auth::require_token));
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/ping", get(health::ping))
        .route("/metrics", get(health::metrics))
        .route("/api/v2", get(health::links))
        .merge(guarded)
        .fallback(error::path_not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::from_fn(version_headers))
        .layer(CompressionLayer::new())
        .layer(CorsLayer::very_permissive())
        .layer(DefaultBodyLimit::max(max_body))
        .with_state(api)
}

/// `X-Influxdb-Build` and `X-Influxdb-Version` stand on every answer: clients look for them.
async fn version_headers(request: Request<axum::body::Body>, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-influxdb-build"), HeaderValue::from_static("OSS"));
    headers.insert(HeaderName::from_static("x-influxdb-version"), HeaderValue::from_static(health::VERSION));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Serves until `shutdown`, then lets requests under way end.
///
/// Errors: `Unavailable` if the listener fails.
pub async fn serve(listener: TcpListener, api: Arc<Api>, shutdown: CancellationToken) -> Result<()> {
    let service = router(api).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(shutdown.cancelled_owned()).await?;
    Ok(())
}
