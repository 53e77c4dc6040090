//! `:as-task`: the last query as a task file. Its text, where it goes, whether it would run.
//!
//! Used by the REPL. A file that exists is never overwritten.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::session::{Query, Session};
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::flux::shown::quote;
use crate::flux::task_option;
use crate::syntax::ast::{Expr, ExprKind, UnaryOperator};
use crate::syntax::{parse, visit};
use crate::time::Duration;

/// How often a task runs if neither the command nor the query says so.
const USUAL_EVERY: &str = "1h";

/// The text of the task: imports, option, definitions, query.
///
/// # Errors
/// Invalid for a name that is empty.
pub(super) fn text(session: &Session, query: &Query, name: &str, every: Option<&str>) -> Result<String> {
    if name.trim().is_empty() {
        return Err(Error::invalid("a task needs a name"));
    }
    let every = every.map(str::to_string).or_else(|| range_of(&query.text)).unwrap_or_else(|| USUAL_EVERY.to_string());
    let mut quoted = String::new();
    quote(name, &mut quoted);
    let script = session.compose_task(query, &format!("option task = {{name: {quoted}, every: {every}}}"));
    Ok(format!("{}\n", script.trim()))
}

/// The span that a query looks back over, where it says `range(start: -5m)`: what a task over it usually runs every.
fn range_of(query: &str) -> Option<String> {
    let file = parse(query).file;
    let mut found = None;
    visit::file(&file, &mut |expr| {
        if let ExprKind::Call(call) | ExprKind::Pipe { call, .. } = &expr.kind
            && matches!(&call.callee.kind, ExprKind::Identifier(name) if &**name == "range")
            && let Some(start) = call.arguments.iter().find(|argument| &*argument.name.name == "start")
            && let Some(span) = looks_back(&start.value)
        {
            found.get_or_insert(span);
        }
        true
    });
    found.map(|span| span.to_string())
}

fn looks_back(expr: &Expr) -> Option<Duration> {
    match &expr.kind {
        ExprKind::Unary { operator: UnaryOperator::Minus, operand } => match &operand.kind {
            ExprKind::Duration(span) if !span.is_zero() && !span.is_negative() => Some(*span),
            _ => None,
        },
        ExprKind::Duration(span) if span.is_negative() => Some(span.negated()),
        _ => None,
    }
}

/// Where the file goes: to the path that was given (a directory takes the usual name), else to the tasks directory.
pub(super) fn path(name: &str, given: Option<&str>, tasks_dir: &Path) -> PathBuf {
    let letters = name.chars().map(|one| if one.is_alphanumeric() { one.to_ascii_lowercase() } else { '_' });
    let stem: String = letters.collect();
    let file = format!("{}.flux", stem.trim_matches('_'));
    match given {
        Some(given) if given.ends_with('/') || Path::new(given).is_dir() => Path::new(given).join(file),
        Some(given) => PathBuf::from(given),
        None => tasks_dir.join(file),
    }
}

/// What a check of the text found.
pub(super) struct Checked {
    /// The text.
    pub source: Source,
    /// Its problems.
    pub problems: Vec<Diagnostic>,
    /// Whether it writes rows anywhere.
    pub writes: bool,
}

impl Checked {
    /// Whether it would not run.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// Checks the text as the daemon will.
pub(super) fn check(path: &Path, text: &str) -> Checked {
    let source = Source::new(path.display().to_string(), text);
    let parsed = parse(text);
    let mut problems = Engine::new().check(&source);
    match task_option(&parsed.file) {
        Ok((_, warnings)) => problems.extend(warnings),
        Err(errors) => problems.extend(errors),
    }
    let mut writes = false;
    visit::file(&parsed.file, &mut |expr| {
        if let ExprKind::Call(call) | ExprKind::Pipe { call, .. } = &expr.kind {
            let name = match &call.callee.kind {
                ExprKind::Identifier(name) => name,
                ExprKind::Member { property, .. } => &property.name,
                _ => return true,
            };
            writes |= matches!(&**name, "to" | "wideTo");
        }
        true
    });
    Checked { source, problems, writes }
}

/// Writes the file, whole or not at all.
///
/// # Errors
/// Conflict if there is a file already; Unavailable if the disk refuses.
pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    let refused = |error: std::io::Error| Error::unavailable(format!("cannot write {}: {error}", path.display()));
    if path.exists() {
        return Err(Error::conflict(format!("{} exists already", path.display()))
            .with_hint("give the task another name, or a path: :as-task NAME EVERY PATH"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(refused)?;
    // The daemon watches the directory: it must not see half a file.
    let temporary = path.with_extension(format!("flux.{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link, unlike a rename, does not take the place of a file that came in between.
        match std::fs::hard_link(&temporary, path) {
            // Not every file system has links.
            Err(_) if !path.exists() => std::fs::rename(&temporary, path),
            linked => linked,
        }
    })();
    let _ = std::fs::remove_file(&temporary);
    written.map_err(refused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::session::Input;
    use super::*;

    fn task(inputs: &[&str], every: Option<&str>) -> String {
        let mut session = Session::default();
        for text in inputs {
            let parsed = parse(text);
            assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
            session.adopt(&Input { text, file: &parsed.file }, text.len(), |_| None);
        }
        let query = session.last.clone().unwrap();
        super::text(&session, &query, "Last \"reading\"", every).unwrap()
    }

    #[test]
    fn a_task_has_its_imports_its_option_its_definitions_and_the_query() {
        let inputs = [
            "import \"date\"",
            "unused = 1",
            "hour = (t) => date.hour(t: t)",
            "from(bucket: \"b\") |> range(start: -5m) |> map(fn: (r) => ({r with h: hour(t: r._time)})) |> to(bucket: \"c\")",
        ];
        let expected = "import \"date\"\n\noption task = {name: \"Last \\\"reading\\\"\", every: 5m}\n\n\
            hour = (t) => date.hour(t: t)\n\
            from(bucket: \"b\") |> range(start: -5m) |> map(fn: (r) => ({r with h: hour(t: r._time)})) |> to(bucket: \"c\")\n";
        let text = task(&inputs, None);
        assert_eq!(text, expected);
        let checked = check(Path::new("x.flux"), &text);
        assert!(checked.problems.is_empty() && checked.writes, "{:?}", checked.problems);
        assert!(task(&inputs, Some("30s")).contains("every: 30s"));
        assert!(task(&["from(bucket: \"b\") |> range(start: 2024-01-01T00:00:00Z)"], None).contains("every: 1h"));
    }

    #[test]
    fn what_would_not_run_is_seen() {
        let checked =
            check(Path::new("x.flux"), "option task = {name: \"a\"}\nfrom(bucket: \"b\") |> range(start: -1h)");
        assert!(checked.has_errors() && !checked.writes);
    }

    #[test]
    fn files_are_named_and_never_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let path = path("Last reading!", None, home.path());
        assert_eq!(path, home.path().join("last_reading.flux"));
        write(&path, "a").unwrap();
        assert!(write(&path, "b").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a");
        assert_eq!(super::path("n", Some("x/y.flux"), home.path()), Path::new("x/y.flux"));
        assert_eq!(super::path("n", Some("x/"), home.path()), Path::new("x/n.flux"));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left behind");
    }
}
