//! `fluxmill topic`: the topics of the log, and their records as they stand or as they come.
//!
//! Called by `cli`.

use std::io::{self, Write};

use serde::Deserialize;

use super::Outcome;
use super::arguments::{TopicAction, TopicOptions};
use super::client::Client;
use super::output::{print_columns, time_text};
use crate::error::Result;

/// A topic as the API shows it.
#[derive(Deserialize)]
struct Topic {
    name: String,
    partitions: Vec<Partition>,
}

#[derive(Deserialize)]
struct Partition {
    partition: u32,
    start: u64,
    end: u64,
}

/// A record as the API shows it.
#[derive(Deserialize)]
struct ShownRecord {
    partition: u32,
    offset: u64,
    timestamp_ms: i64,
    key: String,
    payload: String,
    headers: serde_json::Value,
}

#[derive(Deserialize)]
struct Page {
    records: Vec<ShownRecord>,
    next_offset: u64,
}

/// Records of one page.
const PAGE: &str = "500";
/// How many of the newest records of a partition are shown when no offset is given.
const NEWEST: u64 = 10;

pub(crate) async fn run(options: TopicOptions) -> Outcome {
    let connection = options.target.connect().await?;
    let outcome = match &options.action {
        TopicAction::List => list(&connection.client).await,
        TopicAction::Tail { name, from, follow, json } => tail(&connection.client, name, *from, *follow, *json).await,
    };
    connection.close().await?;
    Ok(outcome?)
}

async fn list(client: &Client) -> Result<()> {
    let topics: Vec<Topic> = client.get("/api/fluxmill/topics", &[]).await?;
    let mut rows = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            rows.push(vec![
                topic.name.clone(),
                partition.partition.to_string(),
                partition.start.to_string(),
                partition.end.to_string(),
            ]);
        }
    }
    print_columns(&["topic", "partition", "start", "end"], rows, "no topics yet")?;
    Ok(())
}

async fn tail(client: &Client, name: &str, from: Option<u64>, follow: bool, json: bool) -> Result<()> {
    let path = format!("/api/fluxmill/topics/{}", super::client::escape(name));
    let topic: Topic = client.get(&path, &[]).await?;
    let mut positions: Vec<(u32, u64, u64)> = topic
        .partitions
        .iter()
        .map(|one| {
            let newest = one.end.saturating_sub(NEWEST).max(one.start);
            (one.partition, from.map_or(newest, |from| from.max(one.start)), one.end)
        })
        .collect();
    let records = format!("{path}/records");
    loop {
        let mut open = false;
        let share_ms = (1000 / positions.len().max(1)).to_string();
        for (partition, position, end) in &mut positions {
            if !follow && *position >= *end {
                continue;
            }
            let number = partition.to_string();
            let start = position.to_string();
            let wait_ms = if follow { &*share_ms } else { "0" };
            let parameters = [("partition", &*number), ("from", &*start), ("limit", PAGE), ("wait_ms", wait_ms)];
            let page: Page = client.get(&records, &parameters).await?;
            for record in &page.records {
                if follow || record.offset < *end {
                    print(record, json)?;
                }
            }
            let stuck = page.next_offset <= *position;
            *position = page.next_offset.max(*position);
            open |= follow || (*position < *end && !stuck);
        }
        if !open {
            return Ok(());
        }
    }
}

fn print(record: &ShownRecord, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        let shown = serde_json::json!({
            "partition": record.partition, "offset": record.offset,
            "time": time_text(record.timestamp_ms.saturating_mul(1_000_000)),
            "key": record.key, "headers": record.headers, "payload": record.payload,
        });
        return writeln!(out, "{shown}");
    }
    let time = time_text(record.timestamp_ms.saturating_mul(1_000_000));
    writeln!(out, "{}/{}  {time}  {}  {}", record.partition, record.offset, record.key, record.payload.trim_end())
}
