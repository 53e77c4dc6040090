//! `POST /api/fluxmill/sql`: one statement of SQL, its rows as CSV or JSON lines, streamed; or as events, as `evaluate` has
//! them.
//!
//! The status is decided before the first row: an error until then has a body of its own, one after it breaks the answer
//! off. As events an answer tells also what ended it, which the command line and the REPL want. A client that goes away
//! cancels the query.

use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::error::ApiResult;
use super::evaluate::{EVENTS_IN_FLIGHT, MOST_ROWS, event_lines};
use super::query::{PIECE_BYTES, PIECES_IN_FLIGHT, explain, parse_now, wait_for_acknowledged};
use super::{Api, Shared};
use crate::diagnostic::Source;
use crate::engine::session::{Event, EventSink, RowLimits, Totals};
use crate::engine::{ResultSink, RunError, RunReport};
use crate::error::{Error, ErrorKind, Result};
use crate::table::Chunk;
use crate::table::csv::PlainCsv;
use crate::table::json_lines::json_rows;

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// A header, then a line per row.
    #[default]
    Csv,
    /// An object per row and line.
    Json,
    /// Annotated CSV, with the types of columns; in events only.
    Annotated,
}

/// The JSON body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    query: String,
    /// What `now()` gives.
    now: Option<String>,
    #[serde(default)]
    format: Format,
    /// An object per line: pieces of the answer in the format, and what ended it.
    #[serde(default)]
    events: bool,
    /// How many rows of an annotated answer are given; the others are counted.
    limits: Option<RowLimits>,
    /// The query is given up after so long.
    timeout_ms: Option<u64>,
}

/// A query and when it is asked.
struct Query {
    source: Source,
    now_ns: i64,
    timeout: Option<Duration>,
}

pub(super) async fn sql(State(api): Shared, body: Bytes) -> ApiResult<Response> {
    let asked: Asked = serde_json::from_slice(&body)
        .map_err(|error| Error::invalid(format!("failed parsing request body as JSON: {error}")))?;
    let now_ns = match &asked.now {
        Some(text) => parse_now(text)?,
        None => api.clock.now_ns(),
    };
    let timeout = asked.timeout_ms.map(Duration::from_millis);
    let query = Query { source: Source::new("<sql>", asked.query.as_str()), now_ns, timeout };
    match (asked.events, asked.format) {
        (true, _) => Ok(events(api, query, asked.format, asked.limits)),
        (false, Format::Annotated) => {
            Err(Error::invalid("format: expected csv or json, found annotated, which is for events").into())
        }
        (false, _) => stream(api, query, asked.format).await,
    }
}

/// Runs a query and gives its rows to a sink.
async fn run(api: &Api, query: &Query, sink: &mut dyn ResultSink) -> Result<RunReport, RunError> {
    let rows = async {
        wait_for_acknowledged(api).await;
        let mut answer = api.sql.open(&query.source, query.now_ns).await?;
        sink.begin_result("_result").await?;
        let mut report = RunReport::default();
        while let Some(chunk) = answer.next().await? {
            report.rows_returned += chunk.len as u64;
            sink.chunk(chunk).await?;
        }
        sink.end_result().await?;
        Ok(report)
    };
    let outcome = match query.timeout {
        None => rows.await,
        Some(timeout) => tokio::time::timeout(timeout, rows).await.unwrap_or_else(|_| {
            let message = format!("the query was given up after {} ms, as was asked for", timeout.as_millis());
            Err(Error::new(ErrorKind::Canceled, message))
        }),
    };
    outcome.map_err(|error| RunError::failed(error, RunReport::default()))
}

/// The rows as they come, after the first piece of them.
async fn stream(api: std::sync::Arc<Api>, query: Query, format: Format) -> ApiResult<Response> {
    let (pieces, mut received) = mpsc::channel::<Result<Bytes, RunError>>(PIECES_IN_FLIGHT);
    let source = query.source.clone();
    tokio::spawn(async move {
        let mut sink = RowSink { writer: Writer::new(format), to: pieces.clone(), wrap: |text| Ok(Bytes::from(text)) };
        let outcome = tokio::select! {
            outcome = run(&api, &query, &mut sink) => outcome,
            // The client went away: nobody reads the rest.
            () = pieces.closed() => return,
        };
        if let Err(error) = outcome {
            // A client that has left is not told.
            let _ = pieces.send(Err(error)).await;
        }
    });
    let first = match received.recv().await {
        Some(Ok(first)) => first,
        Some(Err(error)) => return Err(explain(&source, error)),
        None => return Err(Error::new(ErrorKind::Canceled, "the query was canceled").into()),
    };
    let rest =
        ReceiverStream::new(received).map(|piece| piece.map_err(|error| std::io::Error::other(error.to_string())));
    let whole = futures::stream::once(async { Ok::<_, std::io::Error>(first) }).chain(rest);
    let content_type = match format {
        Format::Json => "application/x-ndjson",
        Format::Csv | Format::Annotated => "text/csv; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, content_type)], Body::from_stream(whole)).into_response())
}

/// The answer as events, the last of which says how it ended.
fn events(api: std::sync::Arc<Api>, query: Query, format: Format, limits: Option<RowLimits>) -> Response {
    let (events, received) = mpsc::channel::<Event>(EVENTS_IN_FLIGHT);
    tokio::spawn(async move {
        let ended = async {
            if format == Format::Annotated {
                let mut limits = limits.unwrap_or(RowLimits { per_table: MOST_ROWS, rows: MOST_ROWS, tables: 1 });
                limits.rows = limits.rows.min(MOST_ROWS);
                let mut sink = EventSink::new(limits, events.clone());
                let outcome = run(&api, &query, &mut sink).await;
                return sink.finish(outcome).await;
            }
            let mut sink = RowSink { writer: Writer::new(format), to: events.clone(), wrap: Event::Csv };
            let last = match run(&api, &query, &mut sink).await {
                Ok(report) => Event::Done(Totals { tables: 1, rows: report.rows_returned, ..Totals::default() }),
                Err(error) => Event::failed(&error.to_error()),
            };
            // Whoever has gone away misses nothing.
            let _ = events.send(last).await;
        };
        tokio::select! {
            () = ended => {}
            // The client went away: nobody reads the rest.
            () = events.closed() => {}
        }
    });
    event_lines(received)
}

/// Writes rows.
enum Writer {
    Csv(PlainCsv),
    Json(String),
}

impl Writer {
    fn new(format: Format) -> Writer {
        match format {
            Format::Json => Writer::Json(String::new()),
            Format::Csv | Format::Annotated => Writer::Csv(PlainCsv::default()),
        }
    }

    fn chunk(&mut self, chunk: &Chunk) {
        match self {
            Writer::Csv(writer) => writer.chunk(chunk),
            Writer::Json(text) => text.push_str(&json_rows(chunk)),
        }
    }

    fn waiting(&self) -> usize {
        match self {
            Writer::Csv(writer) => writer.waiting(),
            Writer::Json(text) => text.len(),
        }
    }

    fn take(&mut self) -> String {
        match self {
            Writer::Csv(writer) => writer.take(),
            Writer::Json(text) => std::mem::take(text),
        }
    }
}

/// Hands rows over as text, piece by piece.
struct RowSink<T> {
    writer: Writer,
    to: mpsc::Sender<T>,
    wrap: fn(String) -> T,
}

impl<T: Send> RowSink<T> {
    async fn hand_over(&mut self) -> Result<()> {
        let piece = (self.wrap)(self.writer.take());
        let sent = self.to.send(piece).await;
        sent.map_err(|_| Error::new(ErrorKind::Canceled, "the client has gone away"))
    }
}

#[async_trait]
impl<T: Send> ResultSink for RowSink<T> {
    async fn begin_result(&mut self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn chunk(&mut self, chunk: Chunk) -> Result<()> {
        self.writer.chunk(&chunk);
        if self.writer.waiting() >= PIECE_BYTES { self.hand_over().await } else { Ok(()) }
    }

    async fn end_result(&mut self) -> Result<()> {
        self.hand_over().await
    }
}
