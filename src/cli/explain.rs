//! `fluxmill explain`: tokens, tree, names and plan of a script, and with `--analyze` what each step costs.
//!
//! Called by `cli`. The text alone is read here; plans over buckets are made where the data is, by the daemon.

use std::io::Write;

use super::arguments::{ExplainFormat, ExplainOptions, ExplainStage};
use super::{Failure, Outcome, files, query};
use crate::diagnostic::{Severity, Source, render};
use crate::engine::{Engine, Explanation, RunRequest, Stage};
use crate::error::Result;

/// The exit status of a script that is wrong.
const SCRIPT_IS_WRONG: u8 = 2;

pub(crate) async fn run(options: ExplainOptions) -> Outcome {
    let source = files::read_script(options.file.as_deref(), options.text.as_deref())?;
    let engine = Engine::new();
    let now_ns = options.now.as_deref().map(query::parse_now).transpose()?;
    let mut stages = stages(options.stage);
    if options.analyze && !stages.contains(&Stage::Plan) {
        stages.push(Stage::Plan);
    }
    let of_text: Vec<Stage> = stages.iter().copied().filter(|stage| *stage != Stage::Plan).collect();
    let request = || {
        let now_ns = now_ns.unwrap_or_else(|| crate::clock::Clock::now_ns(&crate::clock::SystemClock));
        RunRequest::new(source.clone(), now_ns, std::sync::Arc::new(crate::engine::NoBuckets))
    };
    let mut explanation =
        engine.explain_stages(request(), &of_text, false).await.map_err(|error| query::say(&source, error))?;
    let diagnostics = engine.check(&source);
    if diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        // What can be shown of a wrong script is shown all the same.
        print(&explanation, options.format)?;
        eprint!("{}", render::to_text(&source, &diagnostics));
        return Err(Failure::Said(SCRIPT_IS_WRONG));
    }
    if stages.contains(&Stage::Plan) {
        explanation.plan = if query::needs_data(&engine, &source, now_ns, &options.target) {
            let connection = options.target.connect().await?;
            let plan = plan_there(&connection.client, &source, now_ns, options.analyze).await;
            connection.close().await?;
            plan?.plan
        } else {
            let explained = engine.explain_stages(request(), &[Stage::Plan], options.analyze).await;
            explained.map_err(|error| query::say(&source, error))?.plan
        };
    }
    print(&explanation, options.format)?;
    Ok(())
}

fn stages(stage: ExplainStage) -> Vec<Stage> {
    match stage {
        ExplainStage::Tokens => vec![Stage::Tokens],
        ExplainStage::Ast => vec![Stage::Ast],
        ExplainStage::Checked => vec![Stage::Checked],
        ExplainStage::Plan => vec![Stage::Plan],
        ExplainStage::All => vec![Stage::Tokens, Stage::Ast, Stage::Checked, Stage::Plan],
    }
}

/// Asks the daemon for the plan over its buckets.
async fn plan_there(
    client: &super::client::Client,
    source: &Source,
    now_ns: Option<i64>,
    analyze: bool,
) -> std::result::Result<Explanation, Failure> {
    let mut body = serde_json::json!({
        "query": &*source.text,
        "source_name": &*source.name,
        "stages": [Stage::Plan],
        "analyze": analyze,
    });
    if let Some(now_ns) = now_ns {
        body["now"] = crate::time::rfc3339::to_text(now_ns).into();
    }
    let response = query::send_script(client, "/api/fluxmill/explain", &body).await?;
    let answer = response.bytes().await.map_err(|error| client.unreachable(&error))?;
    serde_json::from_slice(&answer)
        .map_err(|error| crate::error::Error::unavailable(format!("an unexpected answer: {error}")).into())
}

fn print(explanation: &Explanation, format: ExplainFormat) -> Result<()> {
    let text = match format {
        ExplainFormat::Text => explanation.to_text(),
        ExplainFormat::Json => {
            let json = serde_json::to_string_pretty(explanation);
            let json =
                json.map_err(|error| crate::error::Error::internal(format!("it does not make JSON: {error}")))?;
            json + "\n"
        }
    };
    query::ignore_closed_pipe(std::io::stdout().lock().write_all(text.as_bytes()))?;
    Ok(())
}
