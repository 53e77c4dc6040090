//! `fluxmill task`: tasks, their slots and runs.
//!
//! Called by `cli`.

use reqwest::Method;
use serde_json::{Value, json};

use super::Outcome;
use super::arguments::{TaskAction, TaskOptions};
use super::client::{Client, escape, with_json};
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
        TaskAction::Plan { task, count } => plan(client, task, *count).await,
        TaskAction::Backfill { task, from, to } => backfill(client, task, from, to.as_deref()).await,
        TaskAction::Retry { task, run } => retry(client, task, run.as_deref()).await,
        TaskAction::Cancel { task, run } => cancel(client, task, run.as_deref()).await,
        TaskAction::Pause { task } => set_status(client, task, "inactive", "paused").await,
        TaskAction::Resume { task } => set_status(client, task, "active", "resumed").await,
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
    let keys = [
        "scheduledFor",
        "status",
        "attempt",
        "windowStart",
        "windowStop",
        "rowsIn",
        "rowsOut",
        "durationMs",
        "id",
        "error",
    ];
    let rows = page["runs"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|run| keys.iter().map(|key| text(run, key).lines().next().unwrap_or_default().to_string()).collect())
        .collect();
    let headers = ["slot", "status", "attempt", "from", "to", "rows in", "rows out", "ms", "run", "error"];
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
    say_end(&task, &run)
}

/// Says how a run has ended.
fn say_end(task: &Value, run: &Value) -> Result<()> {
    println!("slot {} of {}: {}", text(run, "scheduledFor"), text(task, "name"), text(run, "status"));
    let deleted = run["log"].as_array().into_iter().flatten().map(|line| text(line, "message"));
    for line in deleted.filter(|line| line.contains("of an earlier attempt")) {
        println!("  {line}");
    }
    match run["error"].as_str() {
        Some(error) => Err(Error::failed_precondition(error)),
        None => Ok(()),
    }
}

async fn plan(client: &Client, wanted: &str, count: usize) -> Result<()> {
    let task = find(client, wanted).await?;
    let path = format!("/api/fluxmill/tasks/{}/plan", escape(&text(&task, "id")));
    let plan: Value = client.get(&path, &[("count", &count.to_string())]).await?;
    let of = |key: &str| plan[key].as_array().cloned().unwrap_or_default();
    println!("{} at {}, catch-up {}", text(&plan, "name"), text(&plan, "now"), text(&plan, "catchUp"));
    if plan["active"] == false {
        println!("paused: what follows runs after `fluxmill task resume {wanted}`");
    }
    for span in of("skipped") {
        let (from, to) = (text(&span, "from"), text(&span, "to"));
        println!("passes over {} slots from {from} to {to}: {}", text(&span, "count"), text(&span, "reason"));
    }
    let row = |slot: &Value| ["slot", "due", "state"].iter().map(|key| text(slot, key)).collect::<Vec<String>>();
    let mut rows: Vec<Vec<String>> = of("due").iter().map(row).collect();
    let unlisted = plan["dueCount"].as_u64().unwrap_or_default().saturating_sub(rows.len() as u64);
    rows.extend(of("upcoming").iter().map(row));
    print_columns(&["slot", "due", "state"], rows, "no slot is to come")?;
    if unlisted > 0 {
        println!("and {unlisted} more that are due");
    }
    Ok(())
}

async fn backfill(client: &Client, wanted: &str, from: &str, to: Option<&str>) -> Result<()> {
    let task = find(client, wanted).await?;
    let path = format!("/api/fluxmill/tasks/{}/backfill", escape(&text(&task, "id")));
    let answer: Value = client.post(&path, &json!({ "from": from, "to": to })).await?;
    println!(
        "asked for {} slots of {}; `fluxmill task runs {wanted}` shows them",
        text(&answer, "asked"),
        text(&task, "name")
    );
    Ok(())
}

/// The runs of a task, the newest slot first.
async fn all_runs(client: &Client, task: &Value) -> Result<Vec<Value>> {
    let path = format!("/api/v2/tasks/{}/runs", escape(&text(task, "id")));
    let page: Value = client.get(&path, &[("limit", "500")]).await?;
    Ok(page["runs"].as_array().cloned().unwrap_or_default())
}

async fn retry(client: &Client, wanted: &str, run: Option<&str>) -> Result<()> {
    let task = find(client, wanted).await?;
    let run = match run {
        Some(run) => run.to_string(),
        None => {
            let runs = all_runs(client, &task).await?;
            let failed = runs.iter().find(|run| run["status"] == "failed");
            text(failed.ok_or_else(|| Error::not_found(format!("no run of {wanted} has failed")))?, "id")
        }
    };
    let path = format!("/api/v2/tasks/{}/runs/{}/retry", escape(&text(&task, "id")), escape(&run));
    let run: Value = client.post(&path, &json!({ "wait": true })).await?;
    say_end(&task, &run)
}

async fn cancel(client: &Client, wanted: &str, run: Option<&str>) -> Result<()> {
    let task = find(client, wanted).await?;
    let runs = match run {
        Some(run) => vec![run.to_string()],
        None => {
            let runs = all_runs(client, &task).await?;
            let under_way = runs.iter().filter(|run| run["finishedAt"].is_null());
            under_way.map(|run| text(run, "id")).collect()
        }
    };
    if runs.is_empty() {
        println!("no run of {wanted} is under way");
    }
    for run in runs {
        let path = format!("/api/v2/tasks/{}/runs/{}", escape(&text(&task, "id")), escape(&run));
        client.send(client.request(Method::DELETE, &path, &[])).await?;
        println!("run {run} of {} canceled", text(&task, "name"));
    }
    Ok(())
}

async fn set_status(client: &Client, wanted: &str, status: &str, said: &str) -> Result<()> {
    let task = find(client, wanted).await?;
    let path = format!("/api/v2/tasks/{}", escape(&text(&task, "id")));
    let request = client.request(Method::PATCH, &path, &[]);
    client.send(with_json(request, &json!({ "status": status }))).await?;
    println!("{} {said}", text(&task, "name"));
    Ok(())
}
