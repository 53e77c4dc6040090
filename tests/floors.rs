//! The shape of the source tree: imports run downstairs, every file says what it is, no file is too long to proofread.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floor of each top-level module, as `src/ARCHITECTURE.md` draws them. Floor 0 is in order: a leaf may use the
/// leaves before it. Elsewhere modules of one floor do not import each other, but for the pairs in `NEIGHBOURS`.
const FLOORS: [(u32, &[&str]); 10] = [
    (0, &["name", "diagnostic", "error", "clock", "time", "telemetry", "config", "failpoint"]),
    (1, &["syntax", "point", "table", "catalogue"]),
    (2, &["flux", "store", "commitlog"]),
    (3, &["operators", "plan"]),
    (4, &["functions", "exec"]),
    (5, &["engine"]),
    (6, &["ingest", "tasks"]),
    (7, &["api", "repl"]),
    (8, &["daemon", "demo", "simulate"]),
    (9, &["cli"]),
];

/// Edges within a floor that the design wants: a plan holds operators; the demo drives a daemon and the simulator.
const NEIGHBOURS: [(&str, &str); 3] = [("plan", "operators"), ("demo", "daemon"), ("demo", "simulate")];

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src can be listed") {
            let path = entry.expect("src can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "the sources were not found");
    found
}

fn top_module(path: &Path) -> String {
    let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a file under src");
    let first = relative.iter().next().expect("a path").to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_string()
}

/// The top-level modules that a source text names as `crate::name`, outside of comments.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let grouped = rest.strip_prefix('{').map(|inner| inner.trim_end_matches([';', '}']));
            let names = match grouped {
                Some(inner) => inner.split(',').map(str::trim).collect::<Vec<_>>(),
                None => vec![rest],
            };
            for name in names {
                let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !name.is_empty() {
                    found.push((number + 1, name));
                }
            }
        }
    }
    found
}

#[test]
fn imports_run_downstairs() {
    let floor_of: BTreeMap<&str, (u32, usize)> = FLOORS
        .iter()
        .flat_map(|(floor, modules)| modules.iter().enumerate().map(|(place, module)| (*module, (*floor, place))))
        .collect();
    let mut wrong = Vec::new();
    for path in sources() {
        let module = top_module(&path);
        if module == "lib" || module == "main" {
            continue;
        }
        let Some((floor, place)) = floor_of.get(module.as_str()).copied() else {
            wrong.push(format!("{}: module {module} stands on no floor", path.display()));
            continue;
        };
        for (line, target) in imports(&fs::read_to_string(&path).expect("a readable source")) {
            let Some((target_floor, target_place)) = floor_of.get(target.as_str()).copied() else { continue };
            let allowed = target == module
                || target_floor < floor
                || (floor == 0 && target_floor == 0 && target_place < place)
                || NEIGHBOURS.contains(&(module.as_str(), target.as_str()));
            if !allowed {
                wrong.push(format!(
                    "{}:{line}: {module} (floor {floor}) imports {target} (floor {target_floor})",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "imports that do not run downstairs:\n{}", wrong.join("\n"));
}

/// DataFusion, a large library that others may replace, is named where it is used and nowhere else.
#[test]
fn datafusion_is_named_in_two_places() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed = [root.join("store"), root.join("engine/sql")];
    let names = |path: &&PathBuf| {
        let text = fs::read_to_string(path).expect("a readable source");
        let code = |line: &&str| !line.trim_start().starts_with("//");
        text.lines().filter(code).any(|line| line.contains("datafusion::") || line.contains("deltalake::"))
    };
    let all = sources();
    let (inside, outside): (Vec<&PathBuf>, Vec<&PathBuf>) =
        all.iter().filter(names).partition(|path| allowed.iter().any(|folder| path.starts_with(folder)));
    assert!(outside.is_empty(), "DataFusion or deltalake is named in {outside:?}");
    assert!(inside.iter().any(|path| path.ends_with("sql/mod.rs")), "the reader of sources sees none of it");
}

#[test]
fn the_import_reader_sees_what_it_should() {
    let text =
        "use crate::store::Store;\nuse crate::{clock, table::Chunk};\n// crate::api\nlet a = crate::time::now();\n";
    let names: Vec<String> = imports(text).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["store", "clock", "table", "time"]);
}

#[test]
fn every_source_file_says_what_lives_in_it() {
    let bare: Vec<_> = sources()
        .into_iter()
        .filter(|path| !fs::read_to_string(path).expect("a readable source").starts_with("//!"))
        .collect();
    assert!(bare.is_empty(), "files without //! in their first line: {bare:?}");
}

#[test]
fn every_source_file_can_be_proofread_in_one_sitting() {
    let long: Vec<_> = sources()
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs"))
        .filter_map(|path| {
            let text = fs::read_to_string(&path).expect("a readable source");
            let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
            (lines > 600).then(|| format!("{lines} {}", path.display()))
        })
        .collect();
    assert!(long.is_empty(), "files of more than 600 lines before their tests:\n{}", long.join("\n"));
}
