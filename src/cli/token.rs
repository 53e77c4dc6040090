//! `fluxmill token`: list, create, revoke.
//!
//! Called by `cli`. The operator's token, in the data directory's file `token`, is none of those.

use reqwest::Method;
use serde_json::{Value, json};

use super::Outcome;
use super::arguments::{TokenAction, TokenOptions};
use super::client::{Client, escape};
use super::output::print_columns;
use crate::error::Result;

pub(crate) async fn run(options: TokenOptions) -> Outcome {
    let connection = options.target.connect().await?;
    let outcome = act(&connection.client, &options.action).await;
    connection.close().await?;
    Ok(outcome?)
}

async fn act(client: &Client, action: &TokenAction) -> Result<()> {
    match action {
        TokenAction::List => list(client).await,
        TokenAction::Create { description, read_only, write_only } => {
            let permission = |action: &str| json!({ "action": action, "resource": { "type": "buckets" } });
            let mut permissions = Vec::new();
            if !write_only {
                permissions.push(permission("read"));
            }
            if !read_only {
                permissions.push(permission("write"));
            }
            let orgs: Value = client.get("/api/v2/orgs", &[]).await?;
            let body = json!({
                "orgID": orgs["orgs"][0]["id"], "description": description, "permissions": permissions,
            });
            let made: Value = client.post("/api/v2/authorizations", &body).await?;
            // The token alone on standard output: it can be piped to where it is kept.
            eprintln!("token {} made; it is shown only now", made["id"].as_str().unwrap_or_default());
            println!("{}", made["token"].as_str().unwrap_or_default());
            Ok(())
        }
        TokenAction::Revoke { id } => {
            let path = format!("/api/v2/authorizations/{}", escape(id));
            client.send(client.request(Method::DELETE, &path, &[])).await?;
            println!("token {id} revoked");
            Ok(())
        }
    }
}

async fn list(client: &Client) -> Result<()> {
    let all: Value = client.get("/api/v2/authorizations", &[]).await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let rows = all["authorizations"].as_array().into_iter().flatten().map(|token| {
        let permissions = token["permissions"].as_array().into_iter().flatten();
        let actions: Vec<String> = permissions.map(|permission| text(&permission["action"])).collect();
        vec![
            text(&token["id"]),
            text(&token["description"]),
            actions.join(", "),
            text(&token["status"]),
            text(&token["createdAt"]),
        ]
    });
    let headers = ["id", "description", "may", "status", "created"];
    print_columns(&headers, rows.collect(), "no tokens but the operator's")?;
    Ok(())
}
