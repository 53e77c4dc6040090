//! `POST /api/fluxmill/evaluate`: a script of a session, as a sequence of events, one JSON object a line; and
//! `POST /api/fluxmill/evaluate/plan`: what it would do.
//!
//! Used by the REPL. Unlike `/api/v2/query`, the answer tells the values of expressions that are no streams, the places of
//! problems, and of long results only the beginning. A client that goes away cancels the run.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::auth::Scope;
use super::error::ApiResult;
use super::{Api, Shared, query};
use crate::diagnostic::Source;
use crate::engine::session::{Event, EventSink, Problem, RowLimits};
use crate::engine::{RunError, RunRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::time::rfc3339;

/// Events that may wait for a slow client; the run waits when they are full.
pub(super) const EVENTS_IN_FLIGHT: usize = 16;
/// The most rows that an answer holds.
pub(super) const MOST_ROWS: usize = 1_000_000;

/// What is to be run.
#[derive(Deserialize)]
struct Asked {
    script: String,
    now: Option<String>,
    limits: Option<RowLimits>,
}

fn read(body: &[u8]) -> Result<Asked> {
    serde_json::from_slice(body)
        .map_err(|error| Error::invalid(format!("failed parsing request body as JSON: {error}")))
}

fn request(api: &Api, asked: &Asked) -> Result<RunRequest> {
    let now_ns = match &asked.now {
        Some(text) => rfc3339::parse(text)
            .map_err(|_| Error::invalid(format!("now: expected an RFC 3339 time, found {text:?}")))?,
        None => api.clock.now_ns(),
    };
    Ok(RunRequest::new(Source::new("<session>", asked.script.as_str()), now_ns, api.world.clone()))
}

pub(super) async fn evaluate(
    State(api): Shared,
    Extension(scope): Extension<Scope>,
    body: Bytes,
) -> ApiResult<Response> {
    let asked = read(&body)?;
    let mut limits = asked.limits.unwrap_or(RowLimits { per_table: 100, rows: 1_000, tables: 100 });
    limits.rows = limits.rows.min(MOST_ROWS);
    limits.tables = limits.tables.min(MOST_ROWS);
    let mut request = request(&api, &asked)?;
    request.show_values = Some(limits.per_table);
    let (events, received) = mpsc::channel::<Event>(EVENTS_IN_FLIGHT);
    let cancel = request.cancel.clone();
    tokio::spawn(async move {
        let mut sink = EventSink::new(limits, events.clone());
        let warnings: Vec<Problem> = match api.engine.check(&request.source) {
            diagnostics if diagnostics.iter().all(is_warning) => diagnostics.iter().map(Problem::from).collect(),
            _ => Vec::new(),
        };
        if !warnings.is_empty() {
            let _ = events.send(Event::Warnings(warnings)).await;
        }
        let outcome = tokio::select! {
            outcome = query::run(&api, request, scope, &mut sink) => outcome,
            // The client went away: nobody reads the rest.
            () = events.closed() => {
                cancel.cancel();
                return;
            }
        };
        sink.finish(outcome).await;
    });
    Ok(event_lines(received))
}

/// Events as they come, an object a line.
pub(super) fn event_lines(received: mpsc::Receiver<Event>) -> Response {
    let lines = ReceiverStream::new(received).map(|event| {
        let mut line = serde_json::to_vec(&event).unwrap_or_default();
        line.push(b'\n');
        Ok::<_, Infallible>(line)
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

fn is_warning(diagnostic: &crate::diagnostic::Diagnostic) -> bool {
    diagnostic.severity == crate::diagnostic::Severity::Warning
}

pub(super) async fn explain(State(api): Shared, body: Bytes) -> ApiResult<Json<Value>> {
    let asked = read(&body)?;
    let request = request(&api, &asked)?;
    Ok(Json(match api.engine.explain(request).await {
        Ok(plan) => json!({ "plan": plan }),
        Err(RunError::Refused(diagnostics)) => {
            json!({ "problem": Event::Refused(diagnostics.iter().map(Problem::from).collect()) })
        }
        Err(RunError::Failed { error, .. }) if error.kind() == ErrorKind::Internal => return Err(error.into()),
        Err(RunError::Failed { error, .. }) => json!({ "problem": Event::failed(&error) }),
    }))
}
