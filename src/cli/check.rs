//! `fluxmill check`: every problem of task files and scripts, with carets or as JSON.
//!
//! Called by `cli`. Opens no data directory: what is checked is the text alone.

use std::io::Write;

use super::arguments::CheckOptions;
use super::{Failure, Outcome, files, query};
use crate::diagnostic::{Diagnostic, Severity, Source, render};
use crate::engine::Engine;
use crate::error::Error;
use crate::tasks::check;

pub(crate) fn run(options: &CheckOptions) -> Outcome {
    let files = files::flux_files(&options.paths)?;
    let engine = Engine::new();
    let mut found: Vec<(Source, Vec<Diagnostic>)> = Vec::new();
    for file in &files {
        let text = std::fs::read(file)
            .map_err(|error| Error::not_found(format!("cannot read {}: {error}", file.display())))?;
        let source = Source::new(file.display().to_string(), String::from_utf8_lossy(&text).into_owned());
        let script = crate::syntax::parse(&source.text).file;
        let diagnostics = match check::is_task(&script) {
            true => check::check_task(&engine, &source).1,
            false => check::check_script(&engine, &source, &script),
        };
        found.push((source, diagnostics));
    }
    let count =
        |severity| found.iter().flat_map(|(_, diagnostics)| diagnostics).filter(|one| one.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let summary = if options.json {
        format!("{}\n", json_of(&found))
    } else {
        for (source, diagnostics) in found.iter().filter(|(_, diagnostics)| !diagnostics.is_empty()) {
            eprint!("{}", render::to_text(source, diagnostics));
        }
        format!("{} files checked: {errors} errors, {warnings} warnings\n", files.len())
    };
    query::ignore_closed_pipe(std::io::stdout().lock().write_all(summary.as_bytes()))?;
    let denied = options.deny.is_some() && warnings > 0;
    if errors > 0 || denied { Err(Failure::Said(2)) } else { Ok(()) }
}

/// One JSON array over all files.
fn json_of(found: &[(Source, Vec<Diagnostic>)]) -> serde_json::Value {
    let arrays = found.iter().map(|(source, diagnostics)| render::to_json(source, diagnostics));
    let parsed = arrays.filter_map(|text| serde_json::from_str::<Vec<serde_json::Value>>(&text).ok());
    parsed.flatten().collect()
}
