//! The formatter: a script as people like to read it, with the same meaning and all of its comments.
//!
//! Called by `fluxmill fmt` and the REPL. One pipe a line, four blanks a level, records, calls and lists broken where a
//! line would be longer than a hundred characters; a list whose first item stands on a line of its own stays broken, and
//! an empty line between two things stays. Literals stay as they are written. It reads and writes no files, and it never
//! gives a text that has other tokens or comments than the one it was given.

mod comments;
mod doc;
mod expression;
mod list;
mod statement;
#[cfg(test)]
mod tests;

use super::ast::Comment;
use super::lexer::{self, Lexed};
use super::token::{Token, TokenKind};
use super::{MAX_TEXT_BYTES, parse};
use crate::diagnostic::{Diagnostic, Severity, Span};

/// The text in its usual form. An empty text stays empty; any other ends with a line end.
///
/// # Errors
/// The problems of a text that does not parse, warnings among them: it is left as it is.
pub fn format(text: &str) -> Result<String, Vec<Diagnostic>> {
    let mut formatted = once(text)?;
    // A comment in an odd place moves to one where it may stand, which can bring others to rest elsewhere.
    for _ in 1..MAX_PASSES {
        let again = once(&formatted)?;
        if again == formatted {
            break;
        }
        formatted = again;
    }
    Ok(formatted)
}

/// How often a text is formatted at most until nothing changes any more. Nearly always the second time changes nothing.
const MAX_PASSES: usize = 8;

fn once(text: &str) -> Result<String, Vec<Diagnostic>> {
    let parsed = parse(text);
    if parsed.has_errors() || text.len() > MAX_TEXT_BYTES {
        return Err(parsed.diagnostics);
    }
    let lexed = lexer::lex(text);
    let mut printer = Printer { text, tokens: &lexed.tokens, comments: &lexed.comments, next: 0 };
    let mut formatted = printer.file(&parsed.file).render();
    if !formatted.is_empty() {
        formatted.push('\n');
    }
    match same(text, &lexed, &formatted) {
        true => Ok(formatted),
        false => Err(vec![Diagnostic {
            severity: Severity::Error,
            help: Some("it is left as it is; this is a defect of the formatter".to_string()),
            ..Diagnostic::error("format", "the formatted text would not mean the same", Span::default())
        }]),
    }
}

/// What is known while a file is printed.
struct Printer<'a> {
    text: &'a str,
    tokens: &'a [Token],
    comments: &'a [Comment],
    /// The first comment that has not been printed.
    next: usize,
}

impl<'a> Printer<'a> {
    fn text_of(&self, span: Span) -> &'a str {
        &self.text[span.range()]
    }

    /// The first token that starts at this byte or behind it.
    fn token_from(&self, at: u32) -> Token {
        let index = self.tokens.partition_point(|token| token.span.start < at);
        self.tokens[index.min(self.tokens.len() - 1)]
    }
}

/// Whether two texts have the same tokens, but for commas before a closing bracket, and the same comments: then they make
/// the same tree.
fn same(before: &str, lexed: &Lexed, after: &str) -> bool {
    let formatted = lexer::lex(after);
    let comments = |text: &'_ Lexed| text.comments.iter().map(|comment| comment.text.trim_end().to_string()).collect();
    let (old, new): (Vec<String>, Vec<String>) = (comments(lexed), comments(&formatted));
    old == new && meaningful(before, &lexed.tokens).eq(meaningful(after, &formatted.tokens))
}

fn meaningful<'t>(text: &'t str, tokens: &'t [Token]) -> impl Iterator<Item = (TokenKind, &'t str)> {
    let trailing = |index: usize| {
        let next = tokens.get(index + 1).map(|next| next.kind);
        matches!(next, Some(TokenKind::RightParen | TokenKind::RightBracket | TokenKind::RightBrace))
    };
    let kept = move |(index, token): &(usize, &Token)| token.kind != TokenKind::Comma || !trailing(*index);
    tokens.iter().enumerate().filter(kept).map(|(_, token)| (token.kind, &text[token.span.range()]))
}
