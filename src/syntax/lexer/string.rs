//! Strings with their `${...}`, and what to do about a quote that is missing.
//!
//! Called by the lexer at a quote and at each `}`. Escapes stay as they are: the parser resolves them.

use super::{Interpolation, Lexer};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::token::TokenKind;

/// Where the text of a string stops.
enum TextEnd {
    /// At a closing quote, whose place this is.
    Quote(usize),
    /// At `${`, whose place this is.
    Interpolation(usize),
    /// The file ends first.
    None,
}

impl Lexer<'_> {
    /// From the quote at `start`.
    pub(super) fn string(&mut self, start: usize) {
        match self.text_end(start + 1) {
            TextEnd::Quote(end) => {
                if self.interpolations.is_empty() && self.text[start..end].contains('\n') {
                    self.several_lines.push(self.lexed.tokens.len());
                }
                self.push(TokenKind::String, start, end + 1);
            }
            TextEnd::Interpolation(end) => {
                self.push(TokenKind::StringBegin, start, start + 1);
                self.interpolation(start, end);
            }
            TextEnd::None => self.unterminated(start, start),
        }
    }

    /// The text before `${` and the `${` itself, which is at `end`, of the string that opened at `quote`.
    fn interpolation(&mut self, quote: usize, end: usize) {
        if self.at < end {
            self.push(TokenKind::StringText, self.at, end);
        }
        self.push(TokenKind::InterpolationBegin, end, end + 2);
        self.interpolations.push(Interpolation { braces: 0, quote });
    }

    pub(super) fn right_brace(&mut self) {
        let start = self.at;
        match self.interpolations.last_mut() {
            None => self.push(TokenKind::RightBrace, start, start + 1),
            Some(open) if open.braces > 0 => {
                open.braces -= 1;
                self.push(TokenKind::RightBrace, start, start + 1);
            }
            Some(open) => {
                let quote = open.quote;
                self.interpolations.pop();
                self.push(TokenKind::InterpolationEnd, start, start + 1);
                self.string_rest(quote);
            }
        }
    }

    /// What follows an interpolation, up to the closing quote or the next `${`.
    fn string_rest(&mut self, quote: usize) {
        let start = self.at;
        match self.text_end(start) {
            TextEnd::Quote(end) => {
                if start < end {
                    self.push(TokenKind::StringText, start, end);
                }
                self.push(TokenKind::StringEnd, end, end + 1);
            }
            TextEnd::Interpolation(end) => self.interpolation(quote, end),
            TextEnd::None => self.unterminated(quote, start),
        }
    }

    /// Where the text of a string ends that goes on at `from`.
    fn text_end(&self, from: usize) -> TextEnd {
        let mut at = from;
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'"' => return TextEnd::Quote(at),
                b'\\' => at += 2,
                b'$' if self.bytes.get(at + 1) == Some(&b'{') => return TextEnd::Interpolation(at),
                _ => at += 1,
            }
        }
        TextEnd::None
    }

    /// Reports the string that opened at `quote` and has no end; its text from `from` on is taken to end with the line.
    ///
    /// A forgotten quote turns all later strings inside out, and the text ends in the middle of the last one. So the
    /// first string of several lines that is followed by something which cannot follow a string is the likelier place:
    /// the lexer goes back there, ends that string with its line, and reads on.
    fn unterminated(&mut self, quote: usize, from: usize) {
        if self.quote_of_outer_string(quote) {
            return;
        }
        let earlier = if self.moved_quote { None } else { self.suspicious_string(quote) };
        self.moved_quote = true;
        let report = |lexer: &mut Self, quote: usize| {
            lexer.report(
                Diagnostic::error(
                    "unterminated-string",
                    "string without its closing quote",
                    Span::new(quote, quote + 1),
                )
                .label("opens here")
                .help("a quote within a string is written `\\\"`"),
            );
        };
        if let Some(token) = earlier {
            let start = self.lexed.tokens[token].span.start as usize;
            self.first_on_line = self.lexed.tokens[token].first_on_line;
            self.lexed.tokens.truncate(token);
            self.lexed.comments.retain(|comment| (comment.span.start as usize) < start);
            self.lexed.problems.forget_from(start as u32);
            self.several_lines.clear();
            self.interpolations.clear();
            report(self, start);
            let end = self.likely_end(start);
            return self.push(TokenKind::BadLiteral, start, end);
        }
        report(self, quote);
        let end = self.likely_end(from);
        if from == quote {
            self.push(TokenKind::BadLiteral, from, end);
            return;
        }
        if from < end {
            self.push(TokenKind::StringText, from, end);
        }
        self.push(TokenKind::StringEnd, end, end);
    }

    /// Whether the quote at `quote` was meant to end the string around it, in which a `${` on the same line is still open.
    /// If so, reports that `${` and makes one literal of all of that string.
    fn quote_of_outer_string(&mut self, quote: usize) -> bool {
        let Some(open) = self.interpolations.last() else {
            return false;
        };
        let outer = open.quote;
        if self.text[outer..quote].contains('\n') {
            return false;
        }
        let tokens = &self.lexed.tokens;
        let begin = tokens.partition_point(|token| (token.span.start as usize) < outer);
        let opening = tokens[begin..].iter().rfind(|token| token.kind == TokenKind::InterpolationBegin);
        let Some(opening) = opening.map(|token| token.span) else {
            return false;
        };
        self.report(
            Diagnostic::error("unclosed-bracket", "`${` is never closed", opening)
                .label("opens here")
                .help("a plain `${` is written `\\${`"),
        );
        self.first_on_line = self.lexed.tokens[begin].first_on_line;
        self.lexed.tokens.truncate(begin);
        self.interpolations.pop();
        self.push(TokenKind::BadLiteral, outer, quote + 1);
        true
    }

    /// The first string of several lines before `quote` that something touches which cannot follow a string.
    fn suspicious_string(&self, quote: usize) -> Option<usize> {
        let tokens = &self.lexed.tokens;
        self.several_lines.iter().copied().find(|index| {
            let end = tokens[*index].span.end;
            match tokens.get(index + 1) {
                Some(next) => {
                    next.span.start == end && (next.kind.starts_expression() || next.kind == TokenKind::BadLiteral)
                }
                None => end as usize == quote,
            }
        })
    }
}
