//! `POST /api/v2/delete`: rows of a range of time, by measurement and tags.
//!
//! The body, the statuses and the words of errors are InfluxDB's. 204 comes after the log has the delete and, within the
//! visible timeout, after it is applied; if it is not yet, `X-Fluxmill-Visible: pending` says so.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::error::ApiResult;
use super::{Shared, mark_pending, orgs};
use crate::error::{Error, Result};
use crate::ingest::delete;
use crate::point::TIME_RANGE_NS;
use crate::point::delete::{Deleted, RangeDelete, parse_predicate};
use crate::time::rfc3339;

#[derive(Deserialize)]
pub(super) struct Parameters {
    org: Option<String>,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
    bucket: Option<String>,
    #[serde(rename = "bucketID")]
    bucket_id: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    start: String,
    #[serde(default)]
    stop: String,
    #[serde(default)]
    predicate: Option<String>,
}

pub(super) async fn delete(
    State(api): Shared,
    Query(parameters): Query<Parameters>,
    body: Bytes,
) -> ApiResult<Response> {
    let range = read_body(&body)?;
    orgs::check(&api, parameters.org.as_deref(), parameters.org_id.as_deref())?;
    let name = parameters.bucket_id.or(parameters.bucket).unwrap_or_default();
    let bucket = api.store.bucket(&name).map_err(|_| Error::not_found(format!("bucket \"{name}\" not found")))?;
    api.check_lag()?;
    let visible = delete::delete(&api.accept, &api.sink, &bucket, Deleted::Range(range), api.visible_timeout).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if !visible {
        mark_pending(&mut response);
    }
    Ok(response)
}

fn read_body(body: &[u8]) -> Result<RangeDelete> {
    let bad =
        |why: &dyn std::fmt::Display| Error::invalid(format!("invalid request; error parsing request json: {why}"));
    let body: Body = serde_json::from_slice(body).map_err(|error| bad(&error))?;
    let time = |name: &str, text: &str| {
        rfc3339::parse(text).map_err(|_| {
            bad(&format!(
                "invalid RFC3339Nano for field {name}, please format your time with RFC3339Nano format, example: \
                 2009-01-02T23:00:00Z"
            ))
        })
    };
    let (start_ns, last_ns) = (time("start", &body.start)?, time("stop", &body.stop)?);
    let (first, last) = (*TIME_RANGE_NS.start(), *TIME_RANGE_NS.end());
    if start_ns < first {
        let first = rfc3339::to_short_text(first);
        return Err(bad(&format!("invalid start time, start time must not be before {first}")));
    }
    if last_ns > last {
        let last = rfc3339::to_short_text(last);
        return Err(bad(&format!("invalid stop time, stop time must not be after {last}")));
    }
    if last_ns < start_ns {
        return Err(Error::invalid("invalid request; the stop time lies before the start time"));
    }
    let predicate = parse_predicate(body.predicate.as_deref().unwrap_or_default())?;
    // InfluxDB deletes what stands at the stop time too.
    Ok(RangeDelete { start_ns, stop_ns: last_ns.saturating_add(1), predicate })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_read_and_refused_with_influx_words() {
        let body = br#"{"start":"1970-01-01T00:00:00Z","stop":"1970-01-01T00:00:00.000000009Z","predicate":"a=\"b\""}"#;
        let range = read_body(body).unwrap();
        assert_eq!((range.start_ns, range.stop_ns, range.predicate.len()), (0, 10, 1));
        let message = |body: &str| read_body(body.as_bytes()).unwrap_err().message().to_string();
        assert!(message("{").starts_with("invalid request; error parsing request json: "));
        assert!(message("{}").contains("invalid RFC3339Nano for field start"));
        assert!(message(r#"{"start":"1970-01-01T00:00:00Z"}"#).contains("field stop"));
        let backwards = r#"{"start":"1970-01-02T00:00:00Z","stop":"1970-01-01T00:00:00Z"}"#;
        assert!(message(backwards).contains("before the start"));
    }
}
