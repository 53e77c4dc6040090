//! `fluxmill sql`: one statement of SQL over the buckets, its rows as text, CSV or JSON.
//!
//! Called by `cli`. The statement runs at the daemon of the target; CSV and JSON are printed as they come, a table when it
//! is whole. An interrupt drops the request, and with it the query.

use std::io::{self, Write};

use reqwest::Method;
use serde_json::json;

use super::arguments::{OutputFormat, SqlOptions};
use super::client::with_json;
use super::output::{on_terminal, parse_span};
use super::query::{ignore_closed_pipe, parse_now, terminal_width};
use super::{Failure, Outcome, files, status_of};
use crate::diagnostic::{Diagnostic, Source, Span, render};
use crate::engine::session::{Event, Totals};
use crate::error::{Error, ErrorKind};
use crate::table::csv;
use crate::table::text::TextWriter;

pub(crate) async fn run(options: SqlOptions) -> Outcome {
    let source = files::read_script(options.file.as_deref(), options.text.as_deref())?;
    let now_ns = options.now.as_deref().map(parse_now).transpose()?;
    let timeout = options.timeout.as_deref().map(|text| parse_span("--timeout", text)).transpose()?;
    let format = options.format.unwrap_or(if on_terminal() { OutputFormat::Table } else { OutputFormat::Csv });
    let body = json!({
        "query": &*source.text,
        "now": now_ns.map(crate::time::rfc3339::to_text),
        "format": match format {
            OutputFormat::Table => "annotated",
            OutputFormat::Csv => "csv",
            OutputFormat::Json => "json",
        },
        "events": true,
        "timeout_ms": timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
    });
    let connection = options.target.connect().await?;
    let outcome = run_there(&connection.client, &source, &body, format).await;
    connection.close().await?;
    outcome
}

async fn run_there(
    client: &super::client::Client,
    source: &Source,
    body: &serde_json::Value,
    format: OutputFormat,
) -> Outcome {
    let request = with_json(client.request(Method::POST, "/api/fluxmill/sql", &[]), body);
    let response = client.send(request).await?;
    let mut annotated = String::new();
    let mut printed: io::Result<()> = Ok(());
    let mut end = None;
    let mut tell = |event: Event| match event {
        Event::Csv(piece) if format == OutputFormat::Table => annotated.push_str(&piece),
        Event::Csv(piece) => {
            if printed.is_ok() {
                printed = ignore_closed_pipe(io::stdout().lock().write_all(piece.as_bytes()));
            }
        }
        other => end = Some(other),
    };
    super::client::events(response, &mut tell).await?;
    printed?;
    match end {
        Some(Event::Done(totals)) if format == OutputFormat::Table => print_table(&annotated, &totals),
        Some(Event::Done(_)) => Ok(()),
        Some(Event::Failed { kind, message, hint, span }) => {
            let kind = ErrorKind::of_name(&kind);
            let Some((start, end)) = span else {
                let error = Error::new(kind, message);
                return Err(match hint {
                    Some(hint) => error.with_hint(hint).into(),
                    None => error.into(),
                });
            };
            let mut diagnostic = Diagnostic::error("sql", message, Span { start, end: end.max(start) });
            diagnostic.help = hint;
            eprint!("{}", render::to_text(source, &[diagnostic]));
            Err(Failure::Said(status_of(kind)))
        }
        _ => Err(Error::unavailable("the answer broke off").into()),
    }
}

fn print_table(annotated: &str, totals: &Totals) -> Outcome {
    let mut writer = TextWriter::new(Vec::new(), terminal_width()).without_headings();
    let mut shown = 0;
    for (_, chunks) in csv::read(annotated.as_bytes())? {
        for chunk in &chunks {
            shown += chunk.len as u64;
            writer.chunk(chunk)?;
        }
    }
    ignore_closed_pipe(io::stdout().lock().write_all(&writer.into_inner()))?;
    if shown < totals.rows {
        eprintln!("the first {shown} of {} rows; --format csv gives all", totals.rows);
    }
    Ok(())
}
