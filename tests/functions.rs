//! Every function of the library: its examples run, and it has golden cases.

use std::path::Path;
use std::sync::Arc;

use fluxmill::diagnostic::Source;
use fluxmill::engine::memory::MemoryWorld;
use fluxmill::engine::{CollectedResults, Engine, RunRequest};
use fluxmill::functions::library;

#[tokio::test]
async fn every_example_runs_and_gives_a_result() {
    let engine = Engine::new();
    let mut failed = Vec::new();
    for builtin in library().builtins() {
        for example in builtin.examples {
            let world = Arc::new(MemoryWorld::new().bucket("example", Vec::new()));
            let name = format!("{}.{}", builtin.package, builtin.name);
            let request = RunRequest::new(Source::new(name.clone(), *example), 0, world);
            let mut results = CollectedResults::default();
            match engine.run(request, &mut results).await {
                Ok(_) if !results.results.is_empty() => {}
                Ok(_) => failed.push(format!("{name}: no result\n{example}")),
                Err(error) => failed.push(format!("{name}: {error}\n{example}")),
            }
        }
    }
    assert!(failed.is_empty(), "examples that do not run:\n{}", failed.join("\n"));
}

#[test]
fn every_function_has_an_example_that_names_it_and_golden_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scripts = scripts(&root.join("fixtures/query"));
    let mut bare = Vec::new();
    for builtin in library().builtins() {
        let call = format!("{}(", builtin.name);
        if !builtin.examples.iter().any(|example| example.contains(&call)) {
            bare.push(format!("{}.{} has no example", builtin.package, builtin.name));
        }
        if !scripts.iter().any(|script| script.contains(&call)) {
            bare.push(format!("{}.{} stands in no script of fixtures/query", builtin.package, builtin.name));
        }
    }
    assert!(bare.is_empty(), "{}", bare.join("\n"));
}

fn scripts(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(scripts(&path));
        } else if path.extension().is_some_and(|extension| extension == "flux") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
    found
}
