//! `POST /api/fluxmill/explain`: how a script is read and run, stage by stage; its points are never written.
//!
//! The body is JSON: `query`, and if wanted `now`, `source_name`, `stages` (`tokens`, `ast`, `checked`, `plan`; the plan
//! alone without them) and `analyze`, which runs the plan and measures its steps.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;

use super::Shared;
use super::error::ApiResult;
use super::query;
use crate::diagnostic::Source;
use crate::engine::{Explanation, RunRequest, Stage};
use crate::error::Error;

#[derive(Deserialize)]
struct ExplainBody {
    query: String,
    now: Option<String>,
    source_name: Option<String>,
    stages: Option<Vec<Stage>>,
    #[serde(default)]
    analyze: bool,
}

pub(super) async fn explain(State(api): Shared, body: Bytes) -> ApiResult<Json<Explanation>> {
    let body: ExplainBody = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid(format!("failed parsing request body as JSON: {error}")))?;
    let now_ns = match &body.now {
        Some(text) => query::parse_now(text)?,
        None => api.clock.now_ns(),
    };
    let source = Source::new(body.source_name.unwrap_or_else(|| "<query>".to_string()), body.query);
    if body.analyze {
        query::wait_for_acknowledged(&api).await;
    }
    let request = RunRequest::new(source.clone(), now_ns, api.world.clone());
    let stages = body.stages.unwrap_or_else(|| vec![Stage::Plan]);
    let explained = api.engine.explain_stages(request, &stages, body.analyze).await;
    explained.map(Json).map_err(|error| query::explain(&source, error))
}
