//! `fluxmill query`: one script, its results as text, annotated CSV or JSON.
//!
//! Called by `cli`. A script is checked here first, so that its problems are shown even when no daemon runs; a script
//! that reads no bucket runs here as well.

use std::io::{self, Write};

use futures::StreamExt;
use reqwest::Method;

use super::arguments::{OutputFormat, QueryOptions};
use super::client::{read_error, with_json};
use super::output::on_terminal;
use super::target::Target;
use super::{Failure, Outcome, files};
use crate::diagnostic::{Severity, Source, render};
use crate::engine::{CollectedResults, Engine, RunError, RunRequest};
use crate::error::{Error, ErrorKind, Result};
use crate::table::csv::{self, CsvWriter, Dialect};
use crate::table::json_lines::json_lines;
use crate::table::text::TextWriter;

/// The exit status of a script that is wrong.
const SCRIPT_IS_WRONG: u8 = 2;

pub(crate) async fn run(options: QueryOptions) -> Outcome {
    let source = files::read_script(options.file.as_deref(), options.text.as_deref())?;
    let engine = Engine::new();
    let diagnostics = engine.check(&source);
    if !diagnostics.is_empty() {
        eprint!("{}", render::to_text(&source, &diagnostics));
    }
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(Failure::Said(SCRIPT_IS_WRONG));
    }
    let now_ns = options.now.as_deref().map(parse_now).transpose()?;
    let format = options.format.unwrap_or(if on_terminal() { OutputFormat::Table } else { OutputFormat::Csv });
    if !needs_data(&engine, &source, now_ns, &options.target) {
        return run_here(&engine, source, now_ns, format).await;
    }
    let connection = options.target.connect().await?;
    let outcome = run_there(&connection.client, &source, now_ns, format).await;
    connection.close().await?;
    outcome
}

pub(super) fn parse_now(text: &str) -> Result<i64> {
    crate::time::rfc3339::parse(text)
        .map_err(|_| Error::invalid(format!("--now: expected a time such as 2024-01-01T00:00:00Z, found {text:?}")))
}

/// Whether a script has to run where the data is: it reads or writes a bucket, or the user says where.
pub(super) fn needs_data(engine: &Engine, source: &Source, now_ns: Option<i64>, target: &Target) -> bool {
    let plan = engine.plan_task(source, now_ns.unwrap_or(0)).ok();
    // Where the plan is not known (the script fails, or reads a stream of its own on the way), its words have to tell.
    let buckets = plan.is_none_or(|plan| {
        !plan.reads.is_empty() || !plan.writes.is_empty() || (!plan.complete && engine.names_buckets(source))
    });
    buckets || target.url.is_some() || target.data_dir.is_some()
}

/// Runs a script that needs no data in this process.
async fn run_here(engine: &Engine, source: Source, now_ns: Option<i64>, format: OutputFormat) -> Outcome {
    let world = std::sync::Arc::new(crate::engine::NoBuckets);
    let now_ns = now_ns.unwrap_or_else(|| crate::clock::Clock::now_ns(&crate::clock::SystemClock));
    let mut results = CollectedResults::default();
    match engine.run(RunRequest::new(source.clone(), now_ns, world), &mut results).await {
        Ok(report) => {
            for warning in &report.warnings {
                eprintln!("warning: {warning}");
            }
        }
        Err(error) => return Err(say(&source, error)),
    }
    let mut writer = CsvWriter::new(Vec::new(), Dialect::annotated());
    for result in &results.results {
        writer.begin_result(&result.name);
        for chunk in &result.chunks {
            writer.chunk(chunk)?;
        }
        writer.end_result()?;
    }
    let mut printer = Printer::new(format);
    printer.take(&writer.into_inner())?;
    printer.end()
}

/// Prints why a run failed, with its place in the script.
pub(super) fn say(source: &Source, error: RunError) -> Failure {
    match error {
        RunError::Refused(diagnostics) => {
            eprint!("{}", render::to_text(source, &diagnostics));
            Failure::Said(SCRIPT_IS_WRONG)
        }
        RunError::Failed { error, .. } => {
            let Some(span) = error.span() else { return Failure::Error(error) };
            let mut diagnostic = crate::diagnostic::Diagnostic::error("run", error.message(), span);
            diagnostic.help = error.hint().map(str::to_string);
            eprint!("{}", render::to_text(source, &[diagnostic]));
            Failure::Said(super::status_of(error.kind()))
        }
    }
}

/// Runs a script over the API and prints its answer as it comes.
async fn run_there(
    client: &super::client::Client,
    source: &Source,
    now_ns: Option<i64>,
    format: OutputFormat,
) -> Outcome {
    let mut body = serde_json::json!({
        "query": &*source.text,
        "type": "flux",
        "source_name": &*source.name,
        "dialect": { "header": true, "annotations": ["datatype", "group", "default"] },
    });
    if let Some(now_ns) = now_ns {
        body["now"] = crate::time::rfc3339::to_text(now_ns).into();
    }
    let response = send_script(client, "/api/v2/query", &body).await?;
    let mut printer = Printer::new(format);
    let mut bytes = response.bytes_stream();
    while let Some(piece) = bytes.next().await {
        let piece = piece.map_err(|error| Error::unavailable(format!("the answer broke off: {error}")))?;
        printer.take(&piece)?;
    }
    printer.end()
}

/// Sends a script to the daemon; its problems are printed as the daemon shows them.
pub(super) async fn send_script(
    client: &super::client::Client,
    path: &str,
    body: &serde_json::Value,
) -> std::result::Result<reqwest::Response, Failure> {
    let request = with_json(client.request(Method::POST, path, &[("org", "fluxmill")]), body);
    let response = request.send().await.map_err(|error| client.unreachable(&error))?;
    if response.status().is_success() {
        return Ok(response);
    }
    let (error, rendered) = read_error(response).await;
    let Some(rendered) = rendered else { return Err(error.into()) };
    eprint!("{rendered}");
    Err(Failure::Said(super::status_of(error.kind())))
}

/// Prints annotated CSV as it is, or turns it into text or JSON once it is whole.
struct Printer {
    format: OutputFormat,
    held: Vec<u8>,
}

impl Printer {
    fn new(format: OutputFormat) -> Self {
        Printer { format, held: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.format == OutputFormat::Csv {
            ignore_closed_pipe(io::stdout().lock().write_all(bytes))?;
        }
        self.held.extend_from_slice(bytes);
        // CSV is only held to see an error table at its end.
        const TAIL: usize = 64 * 1024;
        if self.format == OutputFormat::Csv && self.held.len() > 2 * TAIL {
            self.held.drain(..self.held.len() - TAIL);
        }
        Ok(())
    }

    fn end(self) -> Outcome {
        if let Some(message) = trailing_error(&self.held) {
            return Err(Error::new(ErrorKind::FailedPrecondition, message).into());
        }
        match self.format {
            OutputFormat::Csv => {}
            OutputFormat::Json => {
                let mut out = io::stdout().lock();
                for (result, chunks) in csv::read(&self.held[..])? {
                    for chunk in &chunks {
                        ignore_closed_pipe(out.write_all(json_lines(&result, chunk).as_bytes()))?;
                    }
                }
            }
            OutputFormat::Table => {
                let mut writer = TextWriter::new(Vec::new(), terminal_width());
                for (result, chunks) in csv::read(&self.held[..])? {
                    writer.begin_result(&result)?;
                    for chunk in &chunks {
                        writer.chunk(chunk)?;
                    }
                }
                ignore_closed_pipe(io::stdout().lock().write_all(&writer.into_inner()))?;
            }
        }
        Ok(())
    }
}

/// The message of an error table at the end of an answer (InfluxDB's form: a header `error,reference`, one row).
fn trailing_error(answer: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(answer);
    let at = text.rfind(",error,reference\r\n")?;
    let row = text[at..].lines().nth(1)?;
    let message = row.strip_prefix(',')?;
    let message = message.strip_suffix(',').unwrap_or(message);
    Some(message.trim_matches('"').replace("\"\"", "\""))
}

/// `fluxmill query ... | head` is no error.
pub(super) fn ignore_closed_pipe(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// The width of the terminal; in a pipe, lines are as long as they are.
pub(super) fn terminal_width() -> Option<u16> {
    std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok())
}
