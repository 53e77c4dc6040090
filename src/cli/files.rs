//! The scripts that a command line names: files, directories with all that is in them, standard input.
//!
//! Used by `check`, `fmt`, `query` and `explain`.

use std::path::{Path, PathBuf};

use crate::diagnostic::Source;
use crate::error::{Error, Result};

/// How deep directories are followed: a link to a directory above would have no end.
const MAX_DEPTH: usize = 32;

/// The files of all paths, those of a directory in order of path.
///
/// # Errors
/// NotFound for a path that does not exist, and if no `.flux` file was found at all.
pub(crate) fn flux_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, &mut files, 0)?;
    }
    if files.is_empty() {
        return Err(Error::not_found("no .flux file was found"));
    }
    Ok(files)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>, depth: usize) -> Result<()> {
    if !path.is_dir() {
        if !path.exists() {
            return Err(Error::not_found(format!("{} does not exist", path.display())));
        }
        files.push(path.to_path_buf());
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(Error::invalid(format!("{}: directories are nested too deep", path.display())));
    }
    let mut entries = std::fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(|entry| entry.path());
    for entry in entries {
        let path = entry.path();
        if path.is_dir() || path.extension().is_some_and(|extension| extension == "flux") {
            collect(&path, files, depth + 1)?;
        }
    }
    Ok(())
}

/// A file's text under its path.
///
/// # Errors
/// NotFound if it cannot be read, Invalid if it is not UTF-8.
pub(crate) fn read_source(path: &Path) -> Result<Source> {
    let bytes =
        std::fs::read(path).map_err(|error| Error::not_found(format!("cannot read {}: {error}", path.display())))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Error::invalid(format!("{} is not valid UTF-8", path.display())))?;
    Ok(Source::new(path.display().to_string(), text))
}

/// The script of a command that takes one as a file or as text, where `-` is standard input.
///
/// # Errors
/// NotFound if the file cannot be read, Invalid if the text is not UTF-8 or there is none.
pub(crate) fn read_script(file: Option<&Path>, text: Option<&str>) -> Result<Source> {
    match (file, text) {
        (Some(path), _) => read_source(path),
        (None, Some("-")) => read_stdin(),
        (None, Some(text)) => Ok(Source::new("<query>", text)),
        (None, None) => Err(Error::invalid("no script given")),
    }
}

/// The text on standard input.
///
/// # Errors
/// Invalid if it is not UTF-8.
pub(crate) fn read_stdin() -> Result<Source> {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::stdin(), &mut text)?;
    Ok(Source::new("<stdin>", text))
}
