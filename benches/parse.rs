//! How fast scripts are read: the task file and the golden scripts of the repository, over and over, as one text.

use std::path::{Path, PathBuf};

use crate::measure::{cost, middle};

/// The length of the text that is read, in bytes.
const BYTES: usize = 10 << 20;

/// How often; the middle counts.
const ROUNDS: usize = 7;

pub fn figures() {
    let script = scripts();
    // Definitions and pipelines of all files again and again: nothing in a text of this length is cached.
    let text = script.repeat(BYTES / script.len() + 1);
    println!("## Reading scripts\n\n{} MiB of {} bytes repeated, {ROUNDS} rounds\n", text.len() >> 20, script.len());
    println!("| what | CPU ms, middle (range) | MB a CPU second |\n|---|---:|---:|");
    measure("parse", &text, |text| {
        let parsed = fluxmill::syntax::parse(text);
        assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics.first());
        parsed.file.expr_count as usize
    });
    let part = script.repeat((1 << 20) / script.len() + 1);
    measure("format (1 MiB)", &part, |text| fluxmill::syntax::format(text).map_or(0, |formatted| formatted.len()));
    println!();
}

fn measure(what: &str, text: &str, mut work: impl FnMut(&str) -> usize) {
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let (made, cost) = cost(|| work(text));
        assert!(made > 0, "{what} made nothing");
        costs.push(cost);
    }
    let (middle, least, most) = middle(costs);
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let rate = text.len() as f64 / 1e6 / middle.cpu.as_secs_f64();
    println!("| {what} | {:.1} ({:.1}-{:.1}) | {rate:.1} |", ms(middle.cpu), ms(least), ms(most));
}

/// All scripts that have no errors, without what may stand once only or first.
fn scripts() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut whole = String::new();
    let mut paths: Vec<PathBuf> = vec![root.join("fixtures/query"), root.join("tasks")];
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if path.extension().is_none_or(|extension| extension != "flux") || fluxmill::syntax::parse(&text).has_errors() {
            continue;
        }
        for line in text.lines().filter(|line| !line.starts_with("import ") && !line.starts_with("package ")) {
            whole.push_str(line);
            whole.push('\n');
        }
    }
    whole
}
