//! Why a run failed, or a file is broken, as text for people and for the record of the run.
//!
//! Called by the executor and by the loader of task files.

use super::run::RunProblem;
use crate::diagnostic::{Diagnostic, Severity, Source, render};
use crate::engine::RunError;
use crate::error::{Error, ErrorKind};

/// The problem of a run of `source`.
pub fn of(error: &RunError, source: &Source) -> RunProblem {
    let first = error.to_error();
    let place = first.span().map(|span| source.line_and_column(span.start));
    let rendered = match error {
        RunError::Refused(diagnostics) => text(source, diagnostics),
        RunError::Failed { error, .. } => error_text(source, error),
    };
    RunProblem {
        class: class(first.kind()).to_string(),
        message: first.message().to_string(),
        rendered,
        line: place.map(|(line, _)| line),
        column: place.map(|(_, column)| column),
    }
}

/// The errors among diagnostics, with carets.
pub fn text(source: &Source, diagnostics: &[Diagnostic]) -> String {
    let errors: Vec<Diagnostic> =
        diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).cloned().collect();
    render::to_text(source, &errors).trim_end().to_string()
}

/// An error, with a caret if its place is known.
pub fn error_text(source: &Source, error: &Error) -> String {
    if let Some(span) = error.span() {
        let mut diagnostic = Diagnostic::error(class(error.kind()), error.message(), span);
        diagnostic.help = error.hint().map(str::to_string);
        return render::to_text(source, &[diagnostic]).trim_end().to_string();
    }
    match error.hint() {
        Some(hint) => format!("{}: {}\nhelp: {hint}", source.name, error.message()),
        None => format!("{}: {}", source.name, error.message()),
    }
}

fn class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "invalid",
        ErrorKind::FailedPrecondition => "failed_precondition",
        ErrorKind::NotFound => "not_found",
        ErrorKind::OutOfRange => "out_of_range",
        ErrorKind::Unimplemented => "unimplemented",
        ErrorKind::Unauthorized => "unauthorized",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::ResourceExhausted => "resource_exhausted",
        ErrorKind::Canceled => "canceled",
        ErrorKind::Internal => "internal",
    }
}
