//! `fluxmill bucket`: list, create, delete, delete rows, compact, rebuild, retype, stats.
//!
//! Called by `cli`.

use reqwest::Method;
use serde_json::{Value, json};

use super::Outcome;
use super::arguments::{BucketAction, BucketOptions};
use super::client::{Client, escape, with_json};
use super::output::{parse_span, print_columns};
use crate::error::{Error, Result};

pub(crate) async fn run(options: BucketOptions) -> Outcome {
    let connection = options.target.connect().await?;
    let outcome = act(&connection.client, options.action).await;
    connection.close().await?;
    Ok(outcome?)
}

async fn act(client: &Client, action: BucketAction) -> Result<()> {
    match action {
        BucketAction::List => list(client).await,
        BucketAction::Create { name, retention } => {
            let seconds = match &retention {
                Some(text) => parse_span("--retention", text)?.as_secs(),
                None => 0,
            };
            let orgs: Value = client.get("/api/v2/orgs", &[]).await?;
            let rules = if seconds == 0 { json!([]) } else { json!([{ "type": "expire", "everySeconds": seconds }]) };
            let body = json!({ "name": name, "orgID": orgs["orgs"][0]["id"], "retentionRules": rules });
            let made: Value = client.post("/api/v2/buckets", &body).await?;
            println!("bucket {name} made, id {}", made["id"].as_str().unwrap_or_default());
            Ok(())
        }
        BucketAction::Delete { name } => {
            let found: Value = client.get("/api/v2/buckets", &[("name", &name)]).await?;
            let Some(id) = found["buckets"][0]["id"].as_str() else {
                return Err(Error::not_found(format!("could not find bucket {name:?}")));
            };
            client.send(client.request(Method::DELETE, &format!("/api/v2/buckets/{id}"), &[])).await?;
            println!("bucket {name} deleted");
            Ok(())
        }
        BucketAction::DeleteRows { name, start, stop, predicate } => {
            let body = json!({ "start": start, "stop": stop, "predicate": predicate });
            let request = client.request(Method::POST, "/api/v2/delete", &[("bucket", &name)]);
            let answer = client.send(with_json(request, &body)).await?;
            let pending = answer.headers().contains_key("x-fluxmill-visible");
            let shows = if pending { "; it shows when the buckets have caught up with the log" } else { "" };
            println!("deleted from bucket {name}{shows}");
            Ok(())
        }
        BucketAction::Compact { name } => {
            let path = format!("/api/fluxmill/buckets/{}/compact", escape(&name));
            let done: Value = client.post(&path, &json!({})).await?;
            if done["filesBefore"] == 0 {
                println!("bucket {name} is compact already");
            } else {
                println!(
                    "bucket {name}: {} files became {}, {} rows",
                    done["filesBefore"], done["filesAfter"], done["rows"]
                );
            }
            Ok(())
        }
        BucketAction::Rebuild { name, force } => {
            let path = format!("/api/fluxmill/buckets/{}/rebuild", escape(&name));
            client.send(with_json(client.request(Method::POST, &path, &[]), &json!({ "force": force }))).await?;
            println!("bucket {name} is read again from its topics");
            Ok(())
        }
        BucketAction::Retype { name, measurement, field, to } => {
            let path = format!("/api/fluxmill/buckets/{}/retype", escape(&name));
            let body = json!({ "measurement": measurement, "field": field, "type": to });
            client.send(with_json(client.request(Method::POST, &path, &[]), &body)).await?;
            println!("field {field} of {measurement} is of type {to} now; bucket {name} is read again from its topics");
            Ok(())
        }
        BucketAction::Stats { name } => {
            let stats: Value = client.get(&format!("/api/fluxmill/buckets/{}/stats", escape(&name)), &[]).await?;
            let per_point = stats["bytesPerPoint"].as_f64().map_or("-".to_string(), |bytes| format!("{bytes:.2}"));
            let row = ["measurements", "series", "files", "rows", "points", "bytes"].map(|key| stats[key].to_string());
            let rows = vec![row.into_iter().chain([per_point, stats["hotRows"].to_string()]).collect()];
            let titles =
                ["measurements", "series", "files", "rows", "points", "bytes", "bytes per point", "rows in memory"];
            print_columns(&titles, rows, "")?;
            Ok(())
        }
    }
}

async fn list(client: &Client) -> Result<()> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let mut parameters = vec![("limit", "100")];
        if !after.is_empty() {
            parameters.push(("after", &after));
        }
        let page: Value = client.get("/api/v2/buckets", &parameters).await?;
        let buckets = page["buckets"].as_array().cloned().unwrap_or_default();
        let whole = buckets.len() == 100;
        for bucket in &buckets {
            let text = |key: &str| bucket[key].as_str().unwrap_or_default().to_string();
            let retention = match bucket["retentionRules"][0]["everySeconds"].as_u64() {
                Some(seconds) if seconds > 0 => crate::config::Age::seconds(seconds).to_string(),
                _ => "for ever".to_string(),
            };
            let topics = bucket["topics"]
                .as_array()
                .map(|topics| topics.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
            rows.push(vec![text("id"), text("name"), retention, topics.unwrap_or_default()]);
        }
        after = rows.last().map(|row| row[0].clone()).unwrap_or_default();
        if !whole {
            break;
        }
    }
    print_columns(&["id", "name", "retention", "topics"], rows, "no buckets yet")?;
    Ok(())
}
