//! `POST /api/v2/write`: line protocol into a bucket.
//!
//! Syntax is checked first: one bad line refuses the whole body (400). 204 comes after the log has the lines and, within
//! the visible timeout, after they can be read; if they cannot yet, `X-Fluxmill-Visible: pending` says so. A sink that is
//! far behind is told to the client before anything is appended (503, Retry-After).

use std::io::Read;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::error::{ApiError, ApiResult};
use super::{Shared, mark_pending, orgs};
use crate::error::{Error, Result};
use crate::ingest::write::{RefusedLine, write_lines};
use crate::point::line_protocol::{self, Options, Precision};
use crate::point::names::Names;

#[derive(Deserialize)]
pub(super) struct Parameters {
    org: Option<String>,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
    bucket: Option<String>,
    precision: Option<String>,
}

pub(super) async fn write(
    State(api): Shared,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Response> {
    orgs::check(&api, parameters.org.as_deref(), parameters.org_id.as_deref())?;
    let name = parameters.bucket.unwrap_or_default();
    let bucket = api.store.bucket(&name).map_err(|_| Error::not_found(format!("bucket \"{name}\" not found")))?;
    let precision = match parameters.precision.as_deref() {
        None | Some("") => Precision::default(),
        Some(name) => Precision::from_name(name)
            .ok_or_else(|| Error::invalid("invalid precision; valid precision units are ns, us, ms, and s"))?,
    };
    api.check_lag()?;
    let body = unpack(&headers, body, api.max_body)?;
    let options = Options { precision, default_time_ns: api.clock.now_ns() };
    let mut names = Names::default();
    let parsed = line_protocol::parse(&body, options, &mut names);
    if !parsed.errors.is_empty() {
        let sentences: Vec<&str> = parsed.errors.iter().map(|line| line.message.as_str()).collect();
        let lines: Vec<usize> = parsed.errors.iter().map(|line| line.number).collect();
        return Err(ApiError::from(Error::invalid(sentences.join("\n"))).with("lines", lines));
    }
    let mut refused: Vec<RefusedLine> = parsed
        .refused
        .into_iter()
        .map(|line| RefusedLine { number: line.number, code: "malformed", reason: line.message })
        .collect();
    let mut visible = true;
    if !parsed.lines.is_empty() {
        let written = write_lines(&api.accept, &api.sink, &bucket, parsed.lines, api.visible_timeout).await?;
        visible = written.visible;
        refused.extend(written.refused);
    }
    if !refused.is_empty() {
        return Err(partial(refused));
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if !visible {
        mark_pending(&mut response);
    }
    Ok(response)
}

/// Some lines were not kept, the others are: InfluxDB's words and status, with every line's reason beside them.
fn partial(mut refused: Vec<RefusedLine>) -> ApiError {
    refused.sort_by_key(|line| line.number);
    let dropped = refused.len();
    let message = format!(
        "failure writing points to database: partial write: {} dropped={dropped}",
        refused.first().map(|line| line.reason.as_str()).unwrap_or_default()
    );
    let lines: Vec<_> = refused
        .into_iter()
        .map(|line| json!({ "line": line.number, "code": line.code, "reason": line.reason }))
        .collect();
    ApiError::from(Error::invalid(message)).status(StatusCode::UNPROCESSABLE_ENTITY).with("lines", lines)
}

/// The body as it was before its compression, never more than the limit.
fn unpack(headers: &HeaderMap, body: Bytes, max_body: usize) -> ApiResult<Bytes> {
    let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if body.is_empty() || !matches!(encoding, "gzip" | "x-gzip") {
        return Ok(body);
    }
    let unpacked = gunzip(&body, max_body)?;
    if unpacked.len() > max_body {
        let message = format!("the body is larger than {max_body} bytes");
        return Err(ApiError::from(Error::invalid(message)).status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    Ok(unpacked.into())
}

fn gunzip(body: &[u8], max_body: usize) -> Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    // One byte more than allowed tells that there is more.
    let mut reader = flate2::read::MultiGzDecoder::new(body).take(max_body as u64 + 1);
    reader
        .read_to_end(&mut unpacked)
        .map_err(|error| Error::invalid(format!("the body does not decompress as gzip: {error}")))?;
    Ok(unpacked)
}
