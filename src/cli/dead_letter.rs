//! `fluxmill dead-letter`: what could not be decoded or kept, and why.
//!
//! Called by `cli`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Outcome;
use super::arguments::{DeadLetterAction, DeadLetterOptions};
use super::client::{Client, escape};
use super::output::{print_columns, time_text};
use crate::error::Result;

#[derive(Deserialize)]
struct Summary {
    topic: String,
    count: u64,
    newest: Option<Letter>,
}

#[derive(Deserialize)]
struct Letter {
    timestamp_ms: i64,
    code: String,
    detail: String,
    partition: String,
    offset: String,
    payload: String,
}

pub(crate) async fn run(options: DeadLetterOptions) -> Outcome {
    let connection = options.target.connect().await?;
    let outcome = match &options.action {
        DeadLetterAction::List => list(&connection.client).await,
        DeadLetterAction::Show { topic, limit } => show(&connection.client, topic, *limit).await,
        DeadLetterAction::Replay { topic, all, only } => replay(&connection.client, topic, *all, only.as_deref()).await,
    };
    connection.close().await?;
    Ok(outcome?)
}

async fn list(client: &Client) -> Result<()> {
    let summaries: Vec<Summary> = client.get("/api/fluxmill/dead-letters", &[]).await?;
    let rows = summaries
        .into_iter()
        .map(|summary| {
            let (time, why) = match summary.newest {
                Some(letter) => {
                    (time_text(letter.timestamp_ms * 1_000_000), format!("{}: {}", letter.code, letter.detail))
                }
                None => Default::default(),
            };
            vec![summary.topic, summary.count.to_string(), time, why]
        })
        .collect();
    print_columns(&["topic", "count", "newest", "reason"], rows, "no dead letters")?;
    Ok(())
}

async fn replay(client: &Client, topic: &str, all: bool, only: Option<&str>) -> Result<()> {
    let path = format!("/api/fluxmill/dead-letters/{}/replay", escape(topic));
    let done: Value = client.post(&path, &json!({ "all": all, "only": only })).await?;
    println!("{} dead letters of {topic} replayed", done["replayed"]);
    if let Some(too_long @ 1..) = done["tooLong"].as_u64() {
        println!("{too_long} could not be: only the heads of their payloads were kept");
    }
    Ok(())
}

async fn show(client: &Client, topic: &str, limit: usize) -> Result<()> {
    let limit = limit.to_string();
    let path = format!("/api/fluxmill/dead-letters/{}", escape(topic));
    let letters: Vec<Letter> = client.get(&path, &[("limit", &limit)]).await?;
    if letters.is_empty() {
        println!("no dead letters of {topic}");
    }
    for letter in letters {
        println!("{topic} {}/{}  {}", letter.partition, letter.offset, time_text(letter.timestamp_ms * 1_000_000));
        println!("  {}: {}", letter.code, letter.detail);
        println!("  {}", letter.payload);
    }
    Ok(())
}
