//! Text to tokens in one pass: names, literals, operators, the parts of interpolated strings; comments are kept apart.
//!
//! Called by the parser only. Never fails: what is no token is reported, and the nearest sensible token stands in for it
//! (`&&` is read as `and`), so that the rest of the text is still read as meant.

mod number;
mod string;

pub(super) use number::meant_unit as duration_unit;

use std::sync::Arc;

use super::ast::Comment;
use super::problems::Problems;
use super::token::{Token, TokenKind};
use crate::diagnostic::{Diagnostic, Span};

/// What the lexer makes of a text.
pub(super) struct Lexed {
    /// The tokens; the last one is [`TokenKind::End`].
    pub tokens: Vec<Token>,
    pub comments: Vec<Comment>,
    pub problems: Problems,
}

/// All tokens and comments of `text`, which is at most `u32::MAX` bytes long.
pub(super) fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        first_on_line: true,
        interpolations: Vec::new(),
        several_lines: Vec::new(),
        moved_quote: false,
        endless_block_comment: false,
        lexed: Lexed {
            tokens: Vec::with_capacity(text.len() / 4 + 1),
            comments: Vec::new(),
            problems: Problems::default(),
        },
    };
    if text.starts_with('\u{feff}') {
        lexer.at = '\u{feff}'.len_utf8();
    }
    while lexer.at < lexer.bytes.len() {
        lexer.next();
    }
    lexer.lexed.tokens.push(Token {
        kind: TokenKind::End,
        first_on_line: true,
        span: Span::new(text.len(), text.len()),
    });
    lexer.lexed
}

/// A `${` whose `}` has not come yet.
struct Interpolation {
    /// How many `{` are open within it.
    braces: u32,
    /// Where the string around it opened.
    quote: usize,
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    first_on_line: bool,
    interpolations: Vec<Interpolation>,
    /// The strings outside any interpolation that span several lines, by token: where a closing quote may be missing.
    several_lines: Vec<usize>,
    /// A missing quote has been looked for further up once; a second time would make the lexer quadratic.
    moved_quote: bool,
    /// No `*/` follows any more: it need not be looked for again.
    endless_block_comment: bool,
    lexed: Lexed,
}

impl Lexer<'_> {
    fn push(&mut self, kind: TokenKind, start: usize, end: usize) {
        let first_on_line = std::mem::replace(&mut self.first_on_line, false);
        self.lexed.tokens.push(Token { kind, first_on_line, span: Span::new(start, end) });
        self.at = end;
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.lexed.problems.push(diagnostic);
    }

    /// A token for what is not Flux but has an obvious meaning, with the diagnostic that says so.
    fn stand_in(&mut self, kind: TokenKind, length: usize, help: &str) {
        let span = Span::new(self.at, self.at + length);
        let written = &self.text[span.range()];
        self.report(Diagnostic::error("unknown-operator", format!("`{written}` is not an operator"), span).help(help));
        self.push(kind, span.start as usize, span.end as usize);
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn next(&mut self) {
        let start = self.at;
        let byte = self.bytes[start];
        let (kind, length) = match byte {
            b'\n' => {
                self.first_on_line = true;
                self.at += 1;
                return;
            }
            b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {
                self.at += 1;
                return;
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => return self.name(),
            b'0'..=b'9' => return self.number(),
            b'.' if self.peek(1).is_ascii_digit() && !self.after_operand() => return self.number(),
            b'"' => return self.string(start),
            b'/' => return self.slash(),
            b'#' => return self.hash_comment(),
            b'\'' => return self.single_quoted(),
            b'(' => (TokenKind::LeftParen, 1),
            b')' => (TokenKind::RightParen, 1),
            b'[' => (TokenKind::LeftBracket, 1),
            b']' => (TokenKind::RightBracket, 1),
            b'{' => {
                if let Some(open) = self.interpolations.last_mut() {
                    open.braces += 1;
                }
                (TokenKind::LeftBrace, 1)
            }
            b'}' => return self.right_brace(),
            b',' => (TokenKind::Comma, 1),
            b'.' => (TokenKind::Dot, 1),
            b';' => (TokenKind::Semicolon, 1),
            b'?' => (TokenKind::Question, 1),
            b'@' => (TokenKind::At, 1),
            b'+' => (TokenKind::Plus, 1),
            b'-' => (TokenKind::Minus, 1),
            b'*' => (TokenKind::Star, 1),
            b'%' => (TokenKind::Percent, 1),
            b'^' => (TokenKind::Caret, 1),
            b':' if self.peek(1) == b'=' => {
                return self.stand_in(TokenKind::Assign, 2, "write `=`");
            }
            b':' => (TokenKind::Colon, 1),
            b'=' => match (self.peek(1), self.peek(2)) {
                (b'=', b'=') => return self.stand_in(TokenKind::Equal, 3, "write `==`"),
                (b'=', _) => (TokenKind::Equal, 2),
                (b'>', _) => (TokenKind::Arrow, 2),
                (b'~', _) => (TokenKind::Matches, 2),
                _ => (TokenKind::Assign, 1),
            },
            b'!' => match (self.peek(1), self.peek(2)) {
                (b'=', b'=') => return self.stand_in(TokenKind::NotEqual, 3, "write `!=`"),
                (b'=', _) => (TokenKind::NotEqual, 2),
                (b'~', _) => (TokenKind::NotMatches, 2),
                _ => return self.stand_in(TokenKind::Not, 1, "write `not`"),
            },
            b'<' => match self.peek(1) {
                b'=' => (TokenKind::LessEqual, 2),
                b'-' => (TokenKind::PipeReceive, 2),
                b'>' => return self.stand_in(TokenKind::NotEqual, 2, "write `!=`"),
                _ => (TokenKind::Less, 1),
            },
            b'>' => match self.peek(1) {
                b'=' => (TokenKind::GreaterEqual, 2),
                _ => (TokenKind::Greater, 1),
            },
            b'&' if self.peek(1) == b'&' => {
                return self.stand_in(TokenKind::And, 2, "write `and`");
            }
            b'|' => match self.peek(1) {
                b'>' => (TokenKind::PipeForward, 2),
                b'|' => return self.stand_in(TokenKind::Or, 2, "write `or`"),
                _ => return self.stand_in(TokenKind::PipeForward, 1, "the pipe is written `|>`"),
            },
            _ => return self.other(),
        };
        self.push(kind, start, start + length);
    }

    /// Whether the token before ends an expression, so that an operator may follow but no operand.
    fn after_operand(&self) -> bool {
        self.lexed.tokens.last().is_some_and(|token| token.kind.ends_expression())
    }

    fn name(&mut self) {
        let start = self.at;
        let end = name_end(self.text, start);
        let kind = TokenKind::keyword(&self.text[start..end]).unwrap_or(TokenKind::Identifier);
        self.push(kind, start, end);
    }

    fn number(&mut self) {
        let number = number::scan(self.text, self.at);
        if let Some(problem) = number.problem {
            self.report(problem);
        }
        self.push(number.kind, self.at, number.end);
    }

    /// `//`, `/*`, a regular expression, or division.
    fn slash(&mut self) {
        let start = self.at;
        match self.peek(1) {
            b'/' => {
                let end = self.line_end(start);
                let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
                let text = Arc::from(&self.text[start + 2..end]);
                self.lexed.comments.push(Comment { text, span: Span::new(start, end) });
                self.at = end;
            }
            // `*` has nothing to repeat at the start of a regular expression and is no operand: this is a comment.
            b'*' => {
                let closing = if self.endless_block_comment { None } else { self.text[start + 2..].find("*/") };
                self.endless_block_comment = closing.is_none();
                let end = closing.map_or_else(|| self.line_end(start), |length| start + 2 + length + 2);
                let opening = Span::new(start, start + 2);
                self.report(
                    Diagnostic::error("block-comment", "`/* */` does not make a comment", opening)
                        .help("a comment starts with `//` and ends with its line"),
                );
                self.first_on_line |= self.text[start..end].contains('\n');
                self.at = end;
            }
            _ if self.after_operand() => self.push(TokenKind::Slash, start, start + 1),
            _ => self.regexp(),
        }
    }

    fn regexp(&mut self) {
        let start = self.at;
        let mut end = start + 1;
        while end < self.bytes.len() {
            match self.bytes[end] {
                b'\n' => break,
                b'/' => return self.push(TokenKind::Regexp, start, end + 1),
                b'\\' if self.bytes.get(end + 1).is_some_and(|next| *next != b'\n') => end += 2,
                _ => end += 1,
            }
        }
        let end = self.likely_end(start);
        let span = Span::new(start, start + 1);
        self.report(
            Diagnostic::error("unterminated-regexp", "regular expression without its closing `/`", span)
                .label("opens here")
                .help("a `/` within the expression is written `\\/`"),
        );
        self.push(TokenKind::BadLiteral, start, end);
    }

    /// Reports a block of `#` comments once, at its first line.
    fn hash_comment(&mut self) {
        let span = Span::new(self.at, self.at + 1);
        self.report(
            Diagnostic::error("hash-comment", "`#` does not start a comment", span).help("comments start with `//`"),
        );
        loop {
            self.at = self.line_end(self.at);
            let rest = &self.text[self.at..];
            if !rest.trim_start().starts_with('#') {
                return;
            }
            self.at = self.text.len() - rest.trim_start().len();
            self.first_on_line = true;
        }
    }

    fn single_quoted(&mut self) {
        let start = self.at;
        let Some(end) = self.on_this_line(start + 1, &['\'']) else {
            return self.other();
        };
        let inner = &self.text[start + 1..end - 1];
        self.report(
            Diagnostic::error("single-quotes", "strings are written in double quotes", Span::new(start, end))
                .help(format!("write \"{}\"", inner.replace('"', "\\\""))),
        );
        self.push(TokenKind::BadLiteral, start, end);
    }

    fn back_quoted(&mut self) {
        let start = self.at;
        let end = self.on_this_line(start + 1, &['`']).unwrap_or(start + 1);
        self.report(
            Diagnostic::error("back-quotes", "back quotes have no meaning in Flux", Span::new(start, end))
                .help("strings are written in double quotes, names without any"),
        );
        self.push(TokenKind::BadLiteral, start, end);
    }

    /// The end of the line of `start`, less the closing brackets and commas that probably do not belong to the literal.
    fn likely_end(&self, start: usize) -> usize {
        let line = &self.text[start..self.line_end(start)];
        start + line.trim_end_matches([')', ']', '}', ',', ' ', '\t', '\r']).len().max(1).min(line.len())
    }

    /// The end of the line that holds `from`: the place of its line feed, or the end of the text.
    fn line_end(&self, from: usize) -> usize {
        self.text[from..].find('\n').map_or(self.text.len(), |length| from + length)
    }

    /// One past the first of these characters on the rest of the line from `from` on.
    fn on_this_line(&self, from: usize, characters: &[char]) -> Option<usize> {
        let rest = &self.text[from..];
        let (at, found) = rest.char_indices().find(|(_, next)| *next == '\n' || characters.contains(next))?;
        (found != '\n').then_some(from + at + found.len_utf8())
    }

    /// A name in another script, or a character that has no business here.
    fn other(&mut self) {
        let start = self.at;
        let character = self.text[start..].chars().next().unwrap_or(' ');
        let end = start + character.len_utf8();
        if character.is_alphabetic() {
            return self.name();
        }
        if character == '`' {
            return self.back_quoted();
        }
        if matches!(character, '\u{2028}' | '\u{2029}' | '\u{85}') {
            self.first_on_line = true;
            self.at = end;
            return;
        }
        let span = Span::new(start, end);
        let named = match character {
            '\u{a0}' | '\u{202f}' | '\u{2007}' => "a non-breaking space".to_string(),
            '\u{200b}' | '\u{feff}' => "an invisible character".to_string(),
            _ if character.is_control() => format!("a control character (U+{:04X})", u32::from(character)),
            _ if character.is_whitespace() => format!("an unusual space (U+{:04X})", u32::from(character)),
            _ => format!("`{character}`"),
        };
        let diagnostic = Diagnostic::error("unknown-character", format!("{named} has no meaning in Flux"), span);
        self.at = end;
        if let '\u{201c}' | '\u{201d}' | '\u{201e}' = character {
            let end = self.on_this_line(end, &['\u{201c}', '\u{201d}']).unwrap_or(end);
            self.report(diagnostic.help("strings are written in straight double quotes: \"...\""));
            return self.push(TokenKind::BadLiteral, start, end);
        }
        self.report(match character {
            '\'' => diagnostic.help("strings are written in double quotes"),
            '&' => diagnostic.help("a logical conjunction is written `and`"),
            '$' => diagnostic.help("`${...}` inserts a value within a string only"),
            _ if character.is_whitespace() || character == '\u{200b}' || character == '\u{feff}' => {
                diagnostic.help("it may have come along when the text was pasted: delete it")
            }
            _ => diagnostic,
        });
    }
}

/// The end of the name at `start`: letters, digits and `_` of any script.
fn name_end(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut end = start;
    while end < bytes.len() {
        if bytes[end].is_ascii_alphanumeric() || bytes[end] == b'_' {
            end += 1;
            continue;
        }
        if bytes[end].is_ascii() {
            break;
        }
        match text[end..].chars().next() {
            Some(character) if character.is_alphanumeric() => end += character.len_utf8(),
            _ => break,
        }
    }
    end
}
