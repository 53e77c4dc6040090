//! The demo's view from outside: the daemon's HTTP API, as any client sees it.
//!
//! Used by the demo only.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::table::Chunk;
use crate::table::csv;

/// A client of the daemon.
pub(super) struct Outside {
    url: String,
    token: String,
    http: reqwest::Client,
}

/// A run as the API shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    /// The slot.
    pub scheduled_for: String,
    /// `success`, `failed`, ...
    pub status: String,
    /// Rows read.
    #[serde(default)]
    pub rows_in: u64,
    /// Rows written.
    #[serde(default)]
    pub rows_out: u64,
    /// Milliseconds from start to durable result.
    #[serde(default)]
    pub duration_ms: f64,
    /// Why it failed.
    pub error: Option<String>,
}

impl Run {
    pub(super) fn succeeded(&self) -> bool {
        self.status == "success"
    }
}

/// Where everything has come to.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Topic name and records in it.
    pub topics: Vec<(String, u64)>,
}

impl Outside {
    pub(super) fn new(url: &str, token: Option<String>) -> Result<Self> {
        let http = reqwest::Client::builder()
            .build()
            .map_err(|error| Error::internal(format!("the HTTP client does not start: {error}")))?;
        Ok(Outside { url: url.to_string(), token: token.unwrap_or_default(), http })
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let request =
            self.http.get(format!("{}{path}", self.url)).header("Authorization", format!("Token {}", self.token));
        let answer = async { request.send().await?.error_for_status()?.bytes().await }.await;
        let body = answer.map_err(|error: reqwest::Error| Error::unavailable(format!("{path}: {error}")))?;
        serde_json::from_slice(&body).map_err(|error| Error::unavailable(format!("{path}: {error}")))
    }

    /// The runs of the task, newest first; none before the task is known.
    pub(super) async fn runs(&self) -> Result<Vec<Run>> {
        let tasks = self.get("/api/v2/tasks").await?;
        let Some(id) = tasks["tasks"][0]["id"].as_str() else { return Ok(Vec::new()) };
        let page = self.get(&format!("/api/v2/tasks/{id}/runs?limit=500")).await?;
        let runs: Vec<Run> = serde_json::from_value(page["runs"].clone())
            .map_err(|error| Error::internal(format!("an unexpected list of runs: {error}")))?;
        // A run that is still going on is shown when it has ended.
        Ok(runs.into_iter().filter(|run| run.status == "success" || run.status == "failed").collect())
    }

    /// The newest downsampled row of some generators, pivoted back into one row each.
    pub(super) async fn downsampled(&self, generators: usize) -> Result<Vec<Chunk>> {
        let script = format!(
            r#"from(bucket: "kafka_downsampled")
                |> range(start: -1h)
                |> last()
                |> drop(columns: ["_start", "_stop", "_measurement"])
                |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
                |> group()
                |> sort(columns: ["fuel"])
                |> limit(n: {generators})
                |> keep(columns: ["_time", "generatorID", "region", "alarm", "fuel", "load", "power", "temperature"])"#
        );
        let body = json!({
            "query": script, "type": "flux",
            "dialect": { "annotations": ["datatype", "group", "default"] },
        });
        let request = self
            .http
            .post(format!("{}/api/v2/query?org=fluxmill", self.url))
            .header("Authorization", format!("Token {}", self.token))
            .header("Content-Type", "application/json")
            .body(body.to_string());
        let answer = async { request.send().await?.text().await }.await;
        let text = answer.map_err(|error: reqwest::Error| Error::unavailable(format!("query: {error}")))?;
        Ok(csv::read(text.as_bytes())?.into_iter().flat_map(|(_, chunks)| chunks).collect())
    }

    /// The records of every topic.
    pub(super) async fn totals(&self) -> Result<Totals> {
        let topics = self.get("/api/fluxmill/topics").await?;
        let mut totals = Totals::default();
        for topic in topics.as_array().into_iter().flatten() {
            let records = topic["partitions"].as_array().into_iter().flatten().fold(0, |sum, partition| {
                let end = partition["end"].as_u64().unwrap_or_default();
                sum + end.saturating_sub(partition["start"].as_u64().unwrap_or_default())
            });
            totals.topics.push((topic["name"].as_str().unwrap_or_default().to_string(), records));
        }
        Ok(totals)
    }
}
