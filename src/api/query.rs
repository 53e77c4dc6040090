//! `POST /api/v2/query`: one Flux script, its results as annotated CSV, streamed.
//!
//! The status is decided by the first bytes: an error before them is InfluxDB's error JSON, one after them an error table
//! at the end of the CSV. What `to()` staged is durable before the answer ends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::auth::Scope;
use super::error::{ApiError, ApiResult};
use super::{Api, Shared, orgs};
use crate::diagnostic::{Diagnostic, Severity, Source, render};
use crate::engine::{BucketWrite, DiscardResults, ResultSink, RunError, RunReport, RunRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::freshness;
use crate::name::Name;
use crate::table::Chunk;
use crate::table::csv::{Annotation, CsvWriter, Dialect};
use crate::tasks::output::{self, TopicWrite};

/// Pieces of CSV that may wait for a slow client; the run waits when they are full.
pub(super) const PIECES_IN_FLIGHT: usize = 8;
/// Who appends the rows of ad-hoc scripts (Kafka: the transactional id).
const PRODUCER: &str = "fluxmill-query";
/// How long an ad-hoc script waits for rows that were acknowledged before it.
const FRESH_WITHIN: Duration = Duration::from_millis(500);
/// A piece is handed over when it has this size.
pub(super) const PIECE_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
pub(super) struct Parameters {
    org: Option<String>,
    #[serde(rename = "orgID")]
    org_id: Option<String>,
}

/// The JSON body; keys that are not named here (`params`, `extern`, ...) are ignored, as InfluxDB ignores them.
#[derive(Deserialize)]
struct QueryBody {
    query: Option<String>,
    #[serde(rename = "type")]
    language: Option<String>,
    now: Option<String>,
    dialect: Option<DialectBody>,
    source_name: Option<String>,
}

#[derive(Default, Deserialize)]
struct DialectBody {
    header: Option<bool>,
    delimiter: Option<String>,
    annotations: Option<Vec<String>>,
}

/// A script and how its results are wanted.
struct Asked {
    source: Source,
    now_ns: Option<i64>,
    dialect: Dialect,
}

pub(super) async fn query(
    State(api): Shared,
    Extension(scope): Extension<Scope>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    body: Bytes,
) -> ApiResult<Response> {
    orgs::check(&api, parameters.org.as_deref(), parameters.org_id.as_deref())?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = read_body(content_type, &body)?;
    let now_ns = asked.now_ns.unwrap_or_else(|| api.clock.now_ns());
    let request = RunRequest::new(asked.source.clone(), now_ns, api.world.clone());
    let prefer = headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if prefer.starts_with("return-no-content") {
        return match run(&api, request, scope, &mut DiscardResults).await {
            Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
            Err(error) => Err(explain(&asked.source, error)),
        };
    }
    stream(api, request, scope, asked).await
}

fn read_body(content_type: &str, body: &[u8]) -> Result<Asked> {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/vnd.flux") {
        let script = std::str::from_utf8(body).map_err(|_| Error::invalid("the script is not valid UTF-8"))?;
        return Ok(Asked { source: Source::new("<query>", script), now_ns: None, dialect: Dialect::default() });
    }
    let body: QueryBody = serde_json::from_slice(body)
        .map_err(|error| Error::invalid(format!("failed parsing request body as JSON: {error}")))?;
    if let Some(language) = body.language.filter(|language| !language.is_empty() && language != "flux") {
        return Err(Error::invalid(format!("unknown query type: {language}, expected flux")));
    }
    let script = body.query.ok_or_else(|| Error::invalid("request body requires a query"))?;
    let now_ns = match body.now {
        Some(text) => Some(parse_now(&text)?),
        None => None,
    };
    let name = body.source_name.unwrap_or_else(|| "<query>".to_string());
    Ok(Asked { source: Source::new(name, script), now_ns, dialect: read_dialect(body.dialect.unwrap_or_default())? })
}

/// The `now` of a body.
pub(super) fn parse_now(text: &str) -> Result<i64> {
    crate::time::rfc3339::parse(text)
        .map_err(|_| Error::invalid(format!("now: expected an RFC 3339 time, found {text:?}")))
}

fn read_dialect(body: DialectBody) -> Result<Dialect> {
    let mut dialect = Dialect { header: body.header.unwrap_or(true), ..Dialect::default() };
    if let Some(delimiter) = body.delimiter.filter(|delimiter| !delimiter.is_empty()) {
        let mut characters = delimiter.chars();
        match (characters.next(), characters.next()) {
            (Some(only), None) => dialect.delimiter = only,
            _ => return Err(Error::invalid("invalid dialect delimeter: must be length 1")),
        }
    }
    for annotation in body.annotations.unwrap_or_default() {
        dialect.annotations.push(Annotation::parse(&annotation)?);
    }
    Ok(dialect)
}

/// Runs a script; what it staged is durable when this returns.
pub(super) async fn run(
    api: &Api,
    request: RunRequest,
    scope: Scope,
    results: &mut dyn ResultSink,
) -> Result<RunReport, RunError> {
    wait_for_acknowledged(api).await;
    let mut report = api.engine.run(request, results).await?;
    if report.writes.is_empty() {
        return Ok(report);
    }
    if !scope.write {
        let error = Error::new(ErrorKind::Unauthorized, "insufficient permissions for write")
            .with_hint("the token may only read, and the script writes with to()");
        return Err(RunError::failed(error, report));
    }
    match append(api, &mut report).await {
        Ok(()) => Ok(report),
        Err(error) => Err(RunError::failed(error, report)),
    }
}

/// What was acknowledged before a query can be read by it; a sink that is behind or a log that is away is no reason not to
/// answer with what there is.
pub(super) async fn wait_for_acknowledged(api: &Api) {
    if let Err(error) = freshness::wait(api.log.as_ref(), &api.store, None, FRESH_WITHIN).await {
        tracing::debug!(%error, "the log does not say how far it is");
    }
}

/// Appends what a script staged, all of it or nothing, and waits a moment until it can be read.
async fn append(api: &Api, report: &mut RunReport) -> Result<()> {
    let (writes, kept) = (std::mem::take(&mut report.writes), std::mem::take(&mut report.kept));
    let buckets: Vec<Name> = writes.iter().map(|write| write.bucket.clone()).collect();
    let with_topic = |write: BucketWrite| {
        let bucket = api.store.bucket(&write.bucket)?;
        let topic =
            bucket.topics.first().cloned().ok_or_else(|| {
                Error::failed_precondition(format!("bucket {:?} has no topic to write to", bucket.name))
            })?;
        Ok(TopicWrite { topic, write })
    };
    let writes = writes.into_iter().map(with_topic).collect::<Result<_>>()?;
    let (mut output, _) = output::records(writes, kept, None, api.accept.arrivals()).await?;
    if output.records.is_empty() {
        return Ok(());
    }
    api.log.append_atomic(PRODUCER, std::mem::take(&mut output.records)).await?;
    drop(output);
    for bucket in &buckets {
        // Being late is no failure: the rows are in the log.
        freshness::wait(api.log.as_ref(), &api.store, Some(bucket), api.visible_timeout).await?;
    }
    Ok(())
}

/// An error before the first byte of results.
pub(super) fn explain(source: &Source, error: RunError) -> ApiError {
    match error {
        RunError::Refused(diagnostics) => refused(source, &diagnostics),
        RunError::Failed { error, .. } => {
            // Limits and cancellation are InfluxDB's `invalid`, a missing bucket its `not found`.
            let rendered = error.span().map(|span| {
                let mut diagnostic = Diagnostic::error("run", error.message(), span);
                diagnostic.help = error.hint().map(str::to_string);
                render::to_text(source, &[diagnostic])
            });
            let denied = error.kind() == ErrorKind::Unauthorized;
            let mut answer = ApiError::from(error);
            if denied {
                answer = answer.status(StatusCode::FORBIDDEN);
            }
            match rendered {
                Some(rendered) => answer.with("rendered", rendered),
                None => answer,
            }
        }
    }
}

fn refused(source: &Source, diagnostics: &[Diagnostic]) -> ApiError {
    let sentences: Vec<String> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(|diagnostic| {
            let (line, column) = source.line_and_column(diagnostic.span.start);
            let (end_line, end_column) = source.line_and_column(diagnostic.span.end);
            format!("error @{line}:{column}-{end_line}:{end_column}: {}", diagnostic.message)
        })
        .collect();
    ApiError::from(Error::invalid(sentences.join("\n\n"))).with("rendered", render::to_text(source, diagnostics))
}

/// Starts the run and waits for its first piece: an error until then has a status of its own.
async fn stream(api: Arc<Api>, request: RunRequest, scope: Scope, asked: Asked) -> ApiResult<Response> {
    let (pieces, mut received) = mpsc::channel::<Result<Bytes, RunError>>(PIECES_IN_FLIGHT);
    let cancel = request.cancel.clone();
    let source = asked.source.clone();
    tokio::spawn(async move {
        let mut sink =
            CsvSink { writer: CsvWriter::new(Vec::new(), asked.dialect), pieces: pieces.clone(), sent: false };
        let outcome = tokio::select! {
            outcome = run(&api, request, scope, &mut sink) => outcome,
            // The client went away: nobody reads the rest.
            () = pieces.closed() => {
                cancel.cancel();
                return;
            }
        };
        let last = match outcome {
            Ok(_) => Ok(()),
            Err(error) if !sink.sent => Err(error),
            Err(error) => sink
                .writer
                .error(error.to_error().message())
                .map_err(|error| RunError::failed(error, RunReport::default())),
        };
        let piece = last.map(|()| sink.take());
        // A client that has left takes no last piece; there is nobody to tell.
        let _ = pieces.send(piece).await;
    });
    let first = match received.recv().await {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Err(explain(&source, error)),
        None => return Err(Error::new(ErrorKind::Canceled, "the query was canceled").into()),
    };
    let rest = futures::StreamExt::map(ReceiverStream::new(received), |piece| {
        // An error after the first piece stands in the CSV itself.
        piece.map_err(|error| std::io::Error::other(error.to_string()))
    });
    let whole = futures::StreamExt::chain(futures::stream::once(async { Ok::<_, std::io::Error>(first) }), rest);
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], Body::from_stream(whole)).into_response())
}

/// Writes results as CSV and hands it over piece by piece.
struct CsvSink {
    writer: CsvWriter<Vec<u8>>,
    pieces: mpsc::Sender<Result<Bytes, RunError>>,
    sent: bool,
}

impl CsvSink {
    fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(self.writer.get_mut()))
    }

    async fn hand_over(&mut self, at_least: usize) -> Result<()> {
        if self.writer.get_mut().len() < at_least {
            return Ok(());
        }
        self.sent = true;
        let piece = self.take();
        let sent = self.pieces.send(Ok(piece)).await;
        sent.map_err(|_| Error::new(ErrorKind::Canceled, "the client has gone away"))
    }
}

#[async_trait]
impl ResultSink for CsvSink {
    async fn begin_result(&mut self, name: &str) -> Result<()> {
        self.writer.begin_result(name);
        Ok(())
    }

    async fn chunk(&mut self, chunk: Chunk) -> Result<()> {
        self.writer.chunk(&chunk)?;
        self.hand_over(PIECE_BYTES).await
    }

    async fn end_result(&mut self) -> Result<()> {
        self.writer.end_result()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_real_clients_are_read() {
        // The Python client's body, the JavaScript client's content type, and a raw script.
        let python = br##"{"extern":null,"query":"x","dialect":{"header":true,"delimiter":",","annotations":
            ["datatype","group","default"],"commentPrefix":"#","dateTimeFormat":"RFC3339"},"type":"flux"}"##;
        let asked = read_body("application/json", python).unwrap();
        assert_eq!(asked.dialect, Dialect::annotated());
        let script = read_body("application/json; encoding=utf-8", br#"{"query":"y","quoteChar":"\""}"#).unwrap();
        assert_eq!(&*script.source.text, "y");
        assert_eq!(script.dialect, Dialect::default());
        let raw = read_body("application/vnd.flux; charset=utf-8", b"z").unwrap();
        assert_eq!(&*raw.source.text, "z");
    }

    #[test]
    fn bad_bodies_are_refused_with_influx_words() {
        let message = |body: &[u8]| read_body("application/json", body).err().unwrap().message().to_string();
        assert!(message(b"{").contains("failed parsing request body as JSON"));
        assert!(message(br#"{"query":"x","dialect":{"delimiter":";;"}}"#).contains("must be length 1"));
        assert!(message(br#"{"query":"x","dialect":{"annotations":["x"]}}"#).contains("unknown dialect annotation"));
        assert!(message(br#"{"query":"x","now":"yesterday"}"#).contains("RFC 3339"));
    }
}
