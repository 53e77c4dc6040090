//! Flux text to tree: lexer, parser (nom over tokens), AST; and back to text: the formatter.
//!
//! Called by `flux` (check, eval), `tasks/file` (the task option) and the rim. The parser never fails: it returns a tree
//! and diagnostics. No I/O, no clock, no knowledge of which functions exist.

pub mod ast;
mod brackets;
mod format;
mod lexer;
pub mod outline;
mod parser;
mod pieces;
mod problems;
#[cfg(test)]
mod tests;
mod token;
mod unfinished;
pub mod uses;
pub mod visit;

pub use format::format;
pub use pieces::{Piece, PieceKind, pieces};
pub use unfinished::is_unfinished;

use crate::diagnostic::{Diagnostic, Severity, Span};

/// How deep expressions and brackets may be nested, and how high a tree may be: whoever walks it may recurse.
///
/// The reference stops at 180 levels of its own tree, which has more levels for the same text.
pub const MAX_DEPTH: u32 = 200;

/// The longest text that is parsed, in bytes: 64 MiB.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// Whether a word cannot be a name.
pub fn is_keyword(word: &str) -> bool {
    token::TokenKind::keyword(word).is_some()
}

/// What a text was read as.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The tree. Where the text could not be read it holds `Bad` nodes.
    pub file: ast::File,
    /// All problems, in the order of their places; beyond a hundred they are only counted.
    pub diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    /// Whether the text cannot run: one of the diagnostics is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

/// Reads a script. Never fails and never panics, whatever the text: problems come back as diagnostics, beside the tree
/// of all that could be read.
pub fn parse(text: &str) -> Parsed {
    if text.len() > MAX_TEXT_BYTES {
        let message = format!("the text is longer than {} MiB", MAX_TEXT_BYTES >> 20);
        let diagnostics = vec![Diagnostic::error("text-too-long", message, Span::new(0, 0))];
        return Parsed { file: parser::parse(&parser::Context::new("", &lexer::lex("").tokens)), diagnostics };
    }
    let lexed = lexer::lex(text);
    let context = parser::Context::new(text, &lexed.tokens);
    let mut file = parser::parse(&context);
    file.comments = lexed.comments;
    let diagnostics = lexed.problems.finish(context.into_problems(), text);
    Parsed { file, diagnostics }
}
