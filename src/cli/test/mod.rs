//! `fluxmill test`: the test cases of Flux files.
//!
//! Called by `cli`. A case passes when it runs and its result `errorOutput` has no table; what is in that table is printed
//! for one that fails. No data directory is opened: a test case brings its rows along.

mod cases;

use std::sync::Arc;

use super::arguments::TestOptions;
use super::{Failure, Outcome};
use crate::clock::{Clock, SystemClock};
use crate::diagnostic::render;
use crate::engine::{CollectedResults, Engine, NoBuckets, RunError, RunRequest};
use crate::error::{Error, Result};
use crate::functions::testing::ERROR_OUTPUT;
use crate::table::text::TextWriter;
use cases::{Case, Found};

/// The exit status when a case has failed.
const SOME_FAILED: u8 = 1;

pub(crate) async fn run(options: TestOptions) -> Outcome {
    let files = cases::files(&options.paths)?;
    let engine = Engine::new();
    let (mut passed, mut failed, mut skipped) = (0_usize, 0_usize, 0_usize);
    for file in &files {
        let found = match cases::read(file)? {
            Found::Cases(found) => found,
            Found::Broken(source, diagnostics) => {
                eprint!("{}", render::to_text(&source, &diagnostics));
                failed += 1;
                continue;
            }
        };
        for case in found {
            if !is_wanted(&case, &options) {
                skipped += 1;
                continue;
            }
            match problem_of(&engine, &case).await? {
                None => {
                    passed += 1;
                    if options.verbose {
                        println!("ok    {}: {}", case.file, case.name);
                    }
                }
                Some(problem) => {
                    failed += 1;
                    println!("FAIL  {}: {}", case.file, case.name);
                    problem.trim_end().lines().for_each(|line| println!("      {}", line.trim_end()));
                }
            }
        }
    }
    if skipped > 0 {
        println!("{skipped} skipped");
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 { Err(Failure::Said(SOME_FAILED)) } else { Ok(()) }
}

/// A case runs if all of its tags are given; `--test` and `--skip` name cases.
fn is_wanted(case: &Case, options: &TestOptions) -> bool {
    let named = |names: &[String]| names.contains(&case.name);
    if !options.test.is_empty() {
        return named(&options.test);
    }
    let tagged = case.tags.iter().all(|tag| options.tags.contains(tag));
    tagged && !named(&options.skip) && !(options.skip_untagged && case.tags.is_empty())
}

/// What is wrong with a case, as it is printed.
async fn problem_of(engine: &Engine, case: &Case) -> Result<Option<String>> {
    let source = match &case.source {
        Ok(source) => source,
        Err(problem) => return Ok(Some(problem.clone())),
    };
    let request = RunRequest::new(source.clone(), SystemClock.now_ns(), Arc::new(NoBuckets));
    let mut results = CollectedResults::default();
    match engine.run(request, &mut results).await {
        Ok(_) => {}
        Err(RunError::Refused(diagnostics)) => return Ok(Some(render::to_text(source, &diagnostics))),
        Err(RunError::Failed { error, .. }) => return Ok(Some(failure(source, &error))),
    }
    let wrong = results.results.iter().filter(|result| &*result.name == ERROR_OUTPUT && !result.chunks.is_empty());
    let mut writer = TextWriter::new(Vec::new(), None);
    let mut any = false;
    for result in wrong {
        any = true;
        for chunk in &result.chunks {
            writer.chunk(chunk)?;
        }
    }
    Ok(any.then(|| String::from_utf8_lossy(&writer.into_inner()).into_owned()))
}

fn failure(source: &crate::diagnostic::Source, error: &Error) -> String {
    let hint = error.hint().map_or_else(String::new, |hint| format!("\n  help: {hint}"));
    match error.span() {
        Some(span) => {
            let mut diagnostic = crate::diagnostic::Diagnostic::error("run", error.message(), span);
            diagnostic.help = error.hint().map(str::to_string);
            render::to_text(source, &[diagnostic])
        }
        None => format!("error: {error}{hint}"),
    }
}
