//! Test cases as scripts: what stands around a `testcase` block, and the block's statements at file level.
//!
//! Called by `fluxmill test`. The text of a case is its file with everything that is not its own blanked out, so that lines
//! and columns stay what they are; a case that extends another one has the other's statements inserted.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Source};
use crate::error::{Error, Result};
use crate::syntax::ast::{Expr, ExprKind, File, Statement, TestCase};
use crate::syntax::{Parsed, parse};

/// One test case.
pub(super) struct Case {
    /// The path of its file.
    pub file: String,
    /// Its name.
    pub name: String,
    /// It runs only if all of these are given.
    pub tags: Vec<String>,
    /// The script, or why there is none.
    pub source: Result<Source, String>,
}

/// What a file holds.
pub(super) enum Found {
    /// Its cases, in the order of the text.
    Cases(Vec<Case>),
    /// It does not parse.
    Broken(Source, Vec<Diagnostic>),
}

/// The files themselves, and every `*_test.flux` below directories, in order of path.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(Error::not_found(format!("{} does not exist", path.display())));
        }
        match path.is_dir() {
            true => collect(path, &mut files)?,
            false => files.push(path.clone()),
        }
    }
    if files.is_empty() {
        return Err(Error::not_found("no file *_test.flux was found"));
    }
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("_test.flux")) {
            files.push(path);
        }
    }
    Ok(())
}

/// The cases of a file.
pub(super) fn read(path: &Path) -> Result<Found> {
    let (text, parsed) = read_file(path)?;
    let name = path.display().to_string();
    if parsed.has_errors() {
        return Ok(Found::Broken(Source::new(name, text), parsed.diagnostics));
    }
    let mut cases = Vec::new();
    for case in test_cases(&parsed.file) {
        let parent = case.extends.as_deref().map(|target| Parent::read(path, target)).transpose();
        let source = parent.map(|parent| {
            let script = script(&text, &parsed.file, case, parent.as_ref());
            Source::new(name.clone(), script)
        });
        let tags = source.as_ref().map(|source| tags(&parse(&source.text).file)).unwrap_or_default();
        let source = source.map_err(|error| error.to_string());
        cases.push(Case { file: name.clone(), name: case.name.name.to_string(), tags, source });
    }
    Ok(Found::Cases(cases))
}

fn read_file(path: &Path) -> Result<(String, Parsed)> {
    let bytes =
        std::fs::read(path).map_err(|error| Error::not_found(format!("cannot read {}: {error}", path.display())))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Error::invalid(format!("{} is not valid UTF-8", path.display())))?;
    let parsed = parse(&text);
    Ok((text, parsed))
}

fn test_cases(file: &File) -> impl Iterator<Item = &TestCase> {
    file.body.iter().filter_map(|statement| match statement {
        Statement::TestCase(case) => Some(case),
        _ => None,
    })
}

/// The case that another one extends.
struct Parent {
    /// Import clauses by path.
    imports: Vec<(String, String)>,
    /// The statements around the case.
    preamble: String,
    /// The statements of the case.
    body: String,
}

impl Parent {
    /// Finds `module/path/file.name`, seen from a file.
    fn read(from: &Path, target: &str) -> Result<Parent> {
        let not_found = |why: &str| Error::not_found(format!("cannot extend {target:?}: {why}"));
        let (file, name) = target.rsplit_once('.').ok_or_else(|| not_found("expected \"path/of/file.case\""))?;
        let path = find(from, file).ok_or_else(|| not_found("there is no such file"))?;
        let (text, parsed) = read_file(&path)?;
        if parsed.has_errors() {
            return Err(not_found("the file does not parse"));
        }
        let case = test_cases(&parsed.file).find(|case| &*case.name.name == name);
        let case = case.ok_or_else(|| not_found("the file has no such test case"))?;
        let slice = |statement: &Statement| &text[statement.span().range()];
        let own = parsed.file.body.iter().filter(|statement| !matches!(statement, Statement::TestCase(_)));
        let imports = parsed.file.imports.iter();
        Ok(Parent {
            imports: imports.map(|import| (import.path.to_string(), text[import.span.range()].to_string())).collect(),
            preamble: own.map(slice).collect::<Vec<_>>().join("\n"),
            body: text[body(&text, &parsed.file, case)].to_string(),
        })
    }
}

/// A file by its path without `.flux`: below a folder around the file that asks, or below a folder whose `fluxtest.root` has
/// the first part of the path as its name.
fn find(from: &Path, file: &str) -> Option<PathBuf> {
    let absolute = std::fs::canonicalize(from).ok()?;
    for folder in absolute.ancestors().skip(1) {
        let mut candidates = vec![folder.join(format!("{file}.flux"))];
        if let Some((module, rest)) = file.split_once('/')
            && module_of(folder).as_deref() == Some(module)
        {
            candidates.push(folder.join(format!("{rest}.flux")));
        }
        if let Some(found) = candidates.into_iter().find(|path| path.is_file()) {
            return Some(found);
        }
    }
    None
}

/// The name in `fluxtest.root`: a bare word, or JSON with `name`.
fn module_of(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("fluxtest.root")).ok()?;
    match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) => value.get("name")?.as_str().map(str::to_string),
        Err(_) => Some(text.trim().to_string()),
    }
}

/// The statements between the braces of a case.
fn body(text: &str, file: &File, case: &TestCase) -> Range<usize> {
    let header = case.name.span.end as usize;
    let in_comment = |at: usize| file.comments.iter().any(|comment| comment.span.range().contains(&at));
    let mut quoted = false;
    let mut start = case.span.end as usize;
    for (at, byte) in text.bytes().enumerate().skip(header) {
        match byte {
            _ if in_comment(at) => {}
            b'"' => quoted = !quoted,
            b'{' if !quoted => {
                start = at + 1;
                break;
            }
            _ => {}
        }
    }
    start..(case.span.end as usize).saturating_sub(1).max(start)
}

/// The script of a case.
fn script(text: &str, file: &File, case: &TestCase, parent: Option<&Parent>) -> String {
    let body = body(text, file, case);
    let mut blank: Vec<Range<usize>> =
        test_cases(file).filter(|other| other.span != case.span).map(|other| other.span.range()).collect();
    blank.push(case.span.start as usize..body.start);
    blank.push(body.end..case.span.end as usize);
    // Insertions behind bytes, and what they replace.
    let mut insert: Vec<(Range<usize>, String)> = Vec::new();
    if let Some(parent) = parent {
        let known: BTreeSet<&str> = file.imports.iter().map(|import| &*import.path).collect();
        let missing = parent.imports.iter().filter(|(path, _)| !known.contains(&**path));
        let missing: Vec<&str> = missing.map(|(_, clause)| clause.as_str()).collect();
        let after = file.imports.last().map(|import| import.span.end);
        let after = after.or_else(|| file.package.as_ref().map(|package| package.span.end)).unwrap_or(0) as usize;
        insert.push((after..after, format!(" {}\n", missing.join(" "))));
        let header = case.span.start as usize;
        insert.push((header..header, format!("{}\n", parent.preamble)));
        if let Some(call) = case.body.iter().find(|statement| is_super(statement)) {
            insert.push((call.span().range(), parent.body.clone()));
        }
    }
    let mut bytes: Vec<u8> = text.bytes().collect();
    for range in blank {
        for byte in &mut bytes[range] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }
    insert.sort_by_key(|(range, _)| range.start);
    for (range, text) in insert.into_iter().rev() {
        bytes.splice(range, text.into_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn is_super(statement: &Statement) -> bool {
    let Statement::Expression(Expr { kind: ExprKind::Call(call), .. }) = statement else { return false };
    call.arguments.is_empty() && matches!(&call.callee.kind, ExprKind::Identifier(name) if &**name == "super")
}

/// The strings of `option testing.tags = [...]`.
fn tags(file: &File) -> Vec<String> {
    let mut tags = Vec::new();
    for statement in &file.body {
        if let Statement::Option(option) = statement
            && option.package.as_ref().is_some_and(|package| &*package.name == "testing")
            && &*option.name.name == "tags"
            && let ExprKind::Array(items) = &option.value.kind
        {
            tags.extend(items.iter().filter_map(|item| match &item.kind {
                ExprKind::String(tag) => Some(tag.to_string()),
                _ => None,
            }));
        }
    }
    tags
}
