//! `fluxmill repl`: a session over a daemon's API, or without any data.
//!
//! Called by `cli`. It connects, decides between editor and plain lines, and lets Ctrl-C end what runs; what a session does
//! stands in `repl`.

use std::io::{BufReader, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::arguments::ReplOptions;
use super::client::{Client, escape, events, unexpected, with_json};
use super::target::Connection;
use super::{Failure, INTERRUPTED, Outcome};
use crate::engine::session::{Event, RowLimits};
use crate::error::{Error, ErrorKind, Result};
use crate::repl::{
    Backend, BucketNames, EditorOptions, MeasurementNames, Next, NoData, Output, Repl, Script, edit, read_lines,
};
use crate::time::rfc3339;

/// The exit status of a session from a pipe in which an input failed.
const AN_INPUT_FAILED: u8 = 2;

pub(crate) async fn run(options: ReplOptions) -> Outcome {
    let interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let (connection, backend) = connect(&options, interactive).await?;
    let tasks_dir = options.tasks_dir.clone().unwrap_or_else(|| options.target.tasks_directory());
    let busy = Arc::new(AtomicBool::new(false));
    let own_busy = Arc::clone(&busy);
    let session = move || talk(backend, &tasks_dir, interactive, &Handle::current(), &own_busy);
    // The editor and the reader of lines block: they have a thread of their own.
    let talking = tokio::task::spawn_blocking(session);
    let outcome = match interactive {
        true => talking.await,
        false => tokio::select! {
            outcome = talking => outcome,
            () = interrupted_while_idle(&busy) => Ok(Err(Failure::Said(INTERRUPTED))),
        },
    };
    if let Some(connection) = connection {
        connection.close().await?;
    }
    outcome.map_err(|error| Error::internal(format!("the session ended early: {error}")))?
}

/// Returns when an interrupt comes while nothing runs; what runs takes its interrupts itself.
async fn interrupted_while_idle(busy: &AtomicBool) {
    loop {
        let heard = tokio::signal::ctrl_c().await;
        if heard.is_ok() && !busy.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// The daemon, the data directory, or neither where none was asked for.
async fn connect(options: &ReplOptions, interactive: bool) -> Result<(Option<Connection>, Arc<dyn Backend>)> {
    let target = &options.target;
    let explicit = target.url.is_some() || target.data_dir.is_some();
    if !explicit && !target.directory().is_dir() {
        if interactive {
            println!("no data directory {}: buckets cannot be read here", target.directory().display());
            println!("start `fluxmill serve`, or pass --data-dir DIR or --url URL");
        }
        return Ok((None, Arc::new(NoData::default())));
    }
    let connection = target.connect().await?;
    let backend = Arc::new(Daemon { client: connection.client.clone() });
    Ok((Some(connection), backend))
}

fn talk(
    backend: Arc<dyn Backend>,
    tasks_dir: &std::path::Path,
    interactive: bool,
    runtime: &Handle,
    busy: &AtomicBool,
) -> Outcome {
    let colored = interactive && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let output = Output {
        results: Box::new(std::io::stdout()),
        problems: Box::new(std::io::stderr()),
        interactive,
        colored,
        size: Box::new(move || size(interactive)),
    };
    let mut repl = Repl::new(backend, output, tasks_dir.to_path_buf());
    let mut interrupted = false;
    let mut take = |repl: &mut Repl, text: &str| {
        busy.store(true, Ordering::SeqCst);
        let next = runtime.block_on(async {
            tokio::select! {
                next = repl.take(text) => next,
                // The request is dropped, and with it the run at the daemon.
                _ = tokio::signal::ctrl_c() => {
                    eprintln!("interrupted");
                    interrupted = true;
                    if interactive { Next::Read } else { Next::Quit }
                }
            }
        });
        busy.store(false, Ordering::SeqCst);
        next
    };
    if interactive {
        println!("fluxmill {} — :help lists the commands, Tab completes, Ctrl-D leaves", env!("CARGO_PKG_VERSION"));
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let options = EditorOptions { history: history_file(), runtime: runtime.clone() };
        let edited = if dumb {
            Err(Error::unavailable("the terminal cannot edit"))
        } else {
            edit(&mut repl, options, &mut take)
        };
        return match edited {
            Ok(()) => Ok(()),
            Err(error) => {
                eprintln!("{error}: reading plain lines");
                read_lines(&mut repl, BufReader::new(std::io::stdin()), prompt, take);
                Ok(())
            }
        };
    }
    read_lines(&mut repl, BufReader::new(std::io::stdin()), |_| (), take);
    match (interrupted, repl.has_failed()) {
        (true, _) => Err(Failure::Said(INTERRUPTED)),
        (false, true) => Err(Failure::Said(AN_INPUT_FAILED)),
        (false, false) => Ok(()),
    }
}

fn prompt(goes_on: bool) {
    use std::io::Write;
    print!("{}", if goes_on { "   | " } else { "flux> " });
    // A closed terminal ends the input too.
    let _ = std::io::stdout().flush();
}

/// The size of the terminal; in a pipe, what `COLUMNS` says.
fn size(interactive: bool) -> Option<(u16, u16)> {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    match interactive {
        true => crossterm::terminal::size().ok().filter(|(columns, _)| *columns > 0),
        false => columns.map(|columns| (columns, 24)),
    }
}

/// Where earlier input is kept: `FLUXMILL_HISTORY` (empty: nowhere), else in the user's state directory.
fn history_file() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("FLUXMILL_HISTORY") {
        return (!path.is_empty()).then(|| path.into());
    }
    let state = std::env::var_os("XDG_STATE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    Some(state.or_else(home)?.join("fluxmill/history"))
}

/// A daemon behind its API.
struct Daemon {
    client: Client,
}

impl Daemon {
    fn body(script: &Script) -> Value {
        json!({ "script": script.text, "now": script.now_ns.map(rfc3339::to_text) })
    }
}

#[async_trait]
impl Backend for Daemon {
    async fn evaluate(&self, script: &Script, limits: RowLimits, tell: &mut (dyn FnMut(Event) + Send)) -> Result<()> {
        let mut body = Self::body(script);
        body["limits"] = json!(limits);
        let request = self.client.request(Method::POST, "/api/fluxmill/evaluate", &[]);
        let response = self.client.send(with_json(request, &body)).await.map_err(too_old)?;
        events(response, tell).await
    }

    async fn sql(&self, query: &Script, limits: RowLimits, tell: &mut (dyn FnMut(Event) + Send)) -> Result<()> {
        let now = query.now_ns.map(rfc3339::to_text);
        let body = json!({ "query": query.text, "now": now, "format": "annotated", "events": true, "limits": limits });
        let request = self.client.request(Method::POST, "/api/fluxmill/sql", &[]);
        let response = self.client.send(with_json(request, &body)).await.map_err(too_old)?;
        events(response, tell).await
    }

    async fn explain(&self, script: &Script) -> Result<Result<String, Event>> {
        let answer: Value =
            self.client.post("/api/fluxmill/evaluate/plan", &Self::body(script)).await.map_err(too_old)?;
        match answer["plan"].as_str() {
            Some(plan) => Ok(Ok(plan.to_string())),
            None => Ok(Err(serde_json::from_value(answer["problem"].clone()).map_err(|error| unexpected(&error))?)),
        }
    }

    async fn buckets(&self) -> Result<Vec<BucketNames>> {
        let mut found = Vec::new();
        loop {
            let offset = found.len().to_string();
            let page: Value = self.client.get("/api/v2/buckets", &[("limit", "100"), ("offset", &offset)]).await?;
            let shown: &[Value] = page["buckets"].as_array().map_or(&[], Vec::as_slice);
            found.extend(shown.iter().map(|bucket| BucketNames {
                name: bucket["name"].as_str().unwrap_or_default().to_string(),
                retention_s: bucket["retentionRules"][0]["everySeconds"].as_u64().filter(|seconds| *seconds > 0),
                topics: strings(&bucket["topics"]),
            }));
            if shown.len() < 100 {
                found.sort_by(|left, right| left.name.cmp(&right.name));
                return Ok(found);
            }
        }
    }

    async fn measurements(&self, bucket: &str) -> Result<Vec<MeasurementNames>> {
        let path = format!("/api/fluxmill/buckets/{}/measurements", escape(bucket));
        let shown: Vec<Value> = self.client.get(&path, &[]).await?;
        Ok(shown
            .iter()
            .map(|measurement| MeasurementNames {
                name: measurement["name"].as_str().unwrap_or_default().to_string(),
                tags: strings(&measurement["tags"]),
                fields: (measurement["fields"].as_array().into_iter().flatten())
                    .map(|field| {
                        let text = |key: &str| field[key].as_str().unwrap_or_default().to_string();
                        (text("name"), text("type"))
                    })
                    .collect(),
            })
            .collect())
    }
}

fn strings(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().filter_map(|value| value.as_str()).map(str::to_string).collect()
}

/// A daemon that has no such path is of an earlier version.
fn too_old(error: Error) -> Error {
    if error.kind() == ErrorKind::NotFound && error.message() == "path not found" {
        return Error::failed_precondition("the daemon is older than this program and does not serve this")
            .with_hint("restart it with this version");
    }
    error
}
