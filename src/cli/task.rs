//! `fluxmill task`: tasks, their slots and runs.
//!
//! Called by `cli`.

use serde_json::{Value, json};

use super::Outcome;
use super::arguments::{TaskAction, TaskOptions};
use super::client::{Client, escape};
use super::output::print_columns;
use crate::error::{Error, Result};

pub(crate) async fn run(options: TaskOptions) -> Outcome {
    let connection = options.target.connect().await?;
    let outcome = act(&connection.client, &options.action).await;
    connection.close().await?;
    Ok(outcome?)
}

async fn act(client: &Client, action: &TaskAction) -> Result<()> {
    match action {
        TaskAction::List => list(client).await,
        TaskAction::Show { task } => show(client, task).await,
        TaskAction::Run { task, slot } => run_now(client, task, slot.as_deref()).await,
        TaskAction::Runs { task, limit } => runs(client, task, *limit).await,
    }
}

fn text(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

async fn all(client: &Client) -> Result<Vec<Value>> {
    let page: Value = client.get("/api/v2/tasks", &[("limit", "500")]).await?;
    Ok(page["tasks"].as_array().cloned().unwrap_or_default())
}

/// The task of that id or name.
async fn find(client: &Client, wanted: &str) -> Result<Value> {
    let tasks = all(client).await?;
    if let Some(task) = tasks.iter().find(|task| task["id"] == wanted || task["name"] == wanted) {
        return Ok(task.clone());
    }
    let error = Error::not_found(format!("there is no task {wanted:?}"));
    let names: Vec<String> = tasks.iter().map(|task| text(task, "name")).collect();
    Err(match crate::diagnostic::nearest(wanted, names.iter().map(String::as_str)) {
        Some(name) => error.with_hint(format!("did you mean {name:?}?")),
        None => error.with_hint("fluxmill task list"),
    })
}

async fn list(client: &Client) -> Result<()> {
    let mut rows = Vec::new();
    for task in all(client).await? {
        let schedule = match (&task["every"], &task["cron"]) {
            (Value::String(every), _) => format!("every {every}"),
            (_, Value::String(cron)) => format!("cron {cron}"),
            _ => String::new(),
        };
        let state = match task["broken"].as_bool() {
            Some(true) => "broken".to_string(),
            _ => text(&task, "status"),
        };
        let cells = [text(&task, "id"), text(&task, "name"), schedule, state];
        let last = ["latestSuccess", "lastRunStatus", "file"].map(|key| text(&task, key));
        rows.push(cells.into_iter().chain(last).collect());
    }
    let headers = ["id", "name", "schedule", "state", "latest success", "last run", "file"];
    print_columns(&headers, rows, "no tasks: put a .flux file with an `option task` into the tasks directory")?;
    Ok(())
}

async fn show(client: &Client, wanted: &str) -> Result<()> {
    let task = find(client, wanted).await?;
    let keys = [
        "id",
        "name",
        "file",
        "status",
        "every",
        "cron",
        "offset",
        "location",
        "latestScheduled",
        "latestSuccess",
        "latestFailure",
        "lastRunStatus",
        "lastRunError",
        "nextDue",
    ];
    for key in keys {
        let value = text(&task, key);
        if !value.is_empty() {
            println!("{key:<16} {}", value.replace('\n', &format!("\n{:<17}", "")));
        }
    }
    if let Some(problem) = task["problem"].as_str() {
        println!("\nthe file is broken, the version below still runs:\n{problem}");
    }
    println!("\n{}", text(&task, "flux"));
    Ok(())
}

async fn runs(client: &Client, wanted: &str, limit: usize) -> Result<()> {
    let task = find(client, wanted).await?;
    let limit = limit.clamp(1, 500).to_string();
    let path = format!("/api/v2/tasks/{}/runs", escape(&text(&task, "id")));
    let page: Value = client.get(&path, &[("limit", &limit)]).await?;
    let keys =
        ["scheduledFor", "status", "attempt", "windowStart", "windowStop", "rowsIn", "rowsOut", "durationMs", "error"];
    let rows = page["runs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|run| keys.iter().map(|key| text(run, key).lines().next().unwrap_or_default().to_string()).collect())
        .collect();
    let headers = ["slot", "status", "attempt", "from", "to", "rows in", "rows out", "ms", "error"];
    print_columns(&headers, rows, "no runs yet")?;
    Ok(())
}

async fn run_now(client: &Client, wanted: &str, slot: Option<&str>) -> Result<()> {
    let task = find(client, wanted).await?;
    let path = format!("/api/v2/tasks/{}/runs", escape(&text(&task, "id")));
    let body = match slot {
        Some(slot) => json!({ "scheduledFor": slot, "wait": true }),
        None => json!({ "wait": true }),
    };
    let run: Value = client.post(&path, &body).await?;
    println!("slot {} of {}: {}", text(&run, "scheduledFor"), text(&task, "name"), text(&run, "status"));
    match run["error"].as_str() {
        Some(error) => Err(Error::failed_precondition(error)),
        None => Ok(()),
    }
}
