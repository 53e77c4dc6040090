//! The problems of one text as they are found: so many are kept as a person reads, the rest is counted.
//!
//! Used within `syntax` only. A text of a million mistakes takes no more memory and hardly more time than a correct one.

use crate::diagnostic::{Diagnostic, Severity, Span};

/// How many problems of one text are reported.
pub(super) const MAX_DIAGNOSTICS: usize = 100;

/// Warnings that a statement looks like a part of the one before it. An error on the same line explains it better.
pub(super) const SECONDARY_WARNINGS: [&str; 2] = ["statement-on-same-line", "missing-pipe"];

/// Problems in the order in which they were found.
#[derive(Default)]
pub(super) struct Problems {
    list: Vec<Diagnostic>,
    /// How many more there were, and whether one of them was an error.
    more: usize,
    more_errors: bool,
}

impl Problems {
    /// Whether no further problem is kept: then its words need not be found.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MAX_DIAGNOSTICS
    }

    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if self.is_full() {
            self.count(diagnostic.severity);
            return;
        }
        self.list.push(diagnostic);
    }

    /// One more problem that is not kept.
    pub(super) fn count(&mut self, severity: Severity) {
        self.more += 1;
        self.more_errors |= severity == Severity::Error;
    }

    /// The code of the first problem that was found.
    pub(super) fn first_code(&self) -> Option<&'static str> {
        self.list.first().map(|diagnostic| diagnostic.code)
    }

    /// Forgets the problems at or after the byte `start`.
    pub(super) fn forget_from(&mut self, start: u32) {
        self.list.retain(|diagnostic| diagnostic.span.start < start);
    }

    /// All problems in the order of their places, at most [`MAX_DIAGNOSTICS`] and one that tells how many more there are.
    pub(super) fn finish(mut self, later: Problems, text: &str) -> Vec<Diagnostic> {
        let mut list = self.list;
        list.extend(later.list);
        list.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        drop_secondary_warnings(text, &mut list);
        self.more += later.more;
        self.more_errors |= later.more_errors;
        for dropped in list.drain(list.len().min(MAX_DIAGNOSTICS)..) {
            self.more += 1;
            self.more_errors |= dropped.severity == Severity::Error;
        }
        if self.more > 0 {
            let end = Span::new(text.len(), text.len());
            let message = format!("{} more problems are not shown", self.more);
            list.push(match self.more_errors {
                true => Diagnostic::error("more-problems", message, end),
                false => Diagnostic::warning("more-problems", message, end),
            });
        }
        list
    }
}

/// Drops the warnings that a statement looks like a part of the one before it where an error earlier on that line has
/// split the statement.
fn drop_secondary_warnings(text: &str, diagnostics: &mut Vec<Diagnostic>) {
    // The end of the line of the last error.
    let mut error_line_end = 0;
    diagnostics.retain(|diagnostic| {
        let start = diagnostic.span.start as usize;
        if diagnostic.severity == Severity::Error {
            if start >= error_line_end {
                error_line_end = text[start..].find('\n').map_or(text.len(), |length| start + length);
            }
            return true;
        }
        start >= error_line_end || !SECONDARY_WARNINGS.contains(&diagnostic.code)
    });
}
