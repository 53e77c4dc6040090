//! `fluxmill fmt`: scripts in their usual form, on standard output, in place, or compared only.
//!
//! Called by `cli`. A file with errors is shown with them and left as it is; a file is replaced as a whole or not at all.

use std::io::Write;
use std::path::Path;

use super::arguments::FmtOptions;
use super::{Failure, Outcome, files, query};
use crate::diagnostic::{Diagnostic, Source, render};
use crate::error::{Error, Result};
use crate::syntax;

/// The exit status of a script that is wrong.
const SCRIPT_IS_WRONG: u8 = 2;

/// The exit status of `--check` when a file is not in its usual form.
const WOULD_CHANGE: u8 = 1;

pub(crate) fn run(options: &FmtOptions) -> Outcome {
    let sources = if options.paths.iter().any(|path| path.as_os_str() == "-") {
        if options.paths.len() > 1 || options.write {
            return Err(Error::invalid("`-` is standard input: it stands alone, and without -w").into());
        }
        vec![(None, files::read_stdin()?)]
    } else {
        let files = files::flux_files(&options.paths)?;
        let read = files.into_iter().map(|path| files::read_source(&path).map(|source| (Some(path), source)));
        read.collect::<Result<Vec<_>>>()?
    };
    let mut wrong = false;
    let mut differing = 0;
    for (path, source) in &sources {
        let formatted = match syntax::format(&source.text) {
            Ok(formatted) => formatted,
            Err(diagnostics) => {
                say_why_left(source, &diagnostics);
                wrong = true;
                continue;
            }
        };
        let differs = formatted != *source.text;
        differing += usize::from(differs);
        match path {
            _ if options.check && differs => print(&format!("{}\n", source.name))?,
            _ if options.check => {}
            Some(path) if options.write && differs => replace(path, &formatted)?,
            _ if options.write => {}
            _ => print(&formatted)?,
        }
    }
    match (wrong, options.check && differing > 0) {
        (true, _) => Err(Failure::Said(SCRIPT_IS_WRONG)),
        (false, true) => Err(Failure::Said(WOULD_CHANGE)),
        (false, false) => Ok(()),
    }
}

/// Prints; `fluxmill fmt ... | head` is no error.
fn print(text: &str) -> std::io::Result<()> {
    query::ignore_closed_pipe(std::io::stdout().lock().write_all(text.as_bytes()))
}

fn say_why_left(source: &Source, diagnostics: &[Diagnostic]) {
    eprint!("{}", render::to_text(source, diagnostics));
    eprintln!("{} is left as it is", source.name);
}

/// Writes the whole text beside the file and puts it in the file's place.
fn replace(path: &Path, text: &str) -> Result<()> {
    // The file itself where the path is a link to it.
    let path = std::fs::canonicalize(path)?;
    let permissions = std::fs::metadata(&path)?.permissions();
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| Error::from(error.error))?;
    Ok(())
}
