//! The tokens as an input of nom, and failures: the furthest position and what was expected there.
//!
//! Used by all productions. Going through tokens never copies them: an input is an index.

use nom::{IResult, Input, Needed};

use super::context::{Context, too_deep};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::MAX_DEPTH;
use crate::syntax::token::{Token, TokenKind};

/// What every production returns: the rest of the tokens and the node, or a failure.
///
/// `Err::Error` lets another production try; `Err::Failure` (after `cut`) says that no other one can succeed.
pub(super) type Step<'a, T> = IResult<Tokens<'a>, T, Failure>;

/// The tokens from one on to the end, with all that the productions share.
#[derive(Clone, Copy)]
pub(super) struct Tokens<'a> {
    pub(super) context: &'a Context<'a>,
    /// The index of the next token.
    pub(super) at: usize,
    /// One past the last token to read, the end token excluded.
    end: usize,
}

/// Why a production did not succeed, and how far it came.
#[derive(Debug)]
pub(super) struct Failure {
    /// The index of the token that did not fit.
    pub(super) at: usize,
    /// All that would have fitted there.
    pub(super) expected: Expected,
    /// What to say instead of "expected ...", where the production knows better.
    pub(super) diagnostic: Option<Box<Diagnostic>>,
}

/// A set of what may stand at a place: kinds of tokens, and the [`Wanted`] above them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected(u128);

/// Larger things than tokens that may be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Wanted {
    Expression = 96,
    Statement,
    Argument,
    Property,
    Parameter,
    Type,
}

impl From<TokenKind> for Expected {
    fn from(kind: TokenKind) -> Self {
        Expected(1 << kind as u8)
    }
}

impl From<Wanted> for Expected {
    fn from(wanted: Wanted) -> Self {
        Expected(1 << wanted as u8)
    }
}

impl Expected {
    pub(super) fn or(self, other: impl Into<Expected>) -> Self {
        Expected(self.0 | other.into().0)
    }

    pub(super) fn has(self, one: impl Into<Expected>) -> bool {
        self.0 & one.into().0 != 0
    }
}

impl<'a> nom::error::ParseError<Tokens<'a>> for Failure {
    fn from_error_kind(input: Tokens<'a>, _: nom::error::ErrorKind) -> Self {
        Failure { at: input.at, expected: Expected::default(), diagnostic: None }
    }

    fn append(_: Tokens<'a>, _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }

    /// The failure that came further; of two at one place, both.
    fn or(self, other: Self) -> Self {
        if self.at != other.at {
            return if self.at > other.at { self } else { other };
        }
        Failure {
            at: self.at,
            expected: self.expected.or(other.expected),
            diagnostic: self.diagnostic.or(other.diagnostic),
        }
    }
}

impl<'a> Input for Tokens<'a> {
    type Item = Token;
    type Iter = std::iter::Copied<std::slice::Iter<'a, Token>>;
    type IterIndices = std::iter::Enumerate<Self::Iter>;

    fn input_len(&self) -> usize {
        self.end - self.at
    }

    fn take(&self, index: usize) -> Self {
        Tokens { end: self.at + index, ..*self }
    }

    fn take_from(&self, index: usize) -> Self {
        self.skip(index)
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.iter_elements().position(predicate)
    }

    fn iter_elements(&self) -> Self::Iter {
        self.context.tokens[self.at..self.end].iter().copied()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if count <= self.input_len() { Ok(count) } else { Err(Needed::new(count - self.input_len())) }
    }
}

impl<'a> Tokens<'a> {
    /// All tokens of the file.
    pub(super) fn all(context: &'a Context<'a>) -> Self {
        Tokens { context, at: 0, end: context.tokens.len().saturating_sub(1) }
    }

    /// The next token; at the end, the end token.
    pub(super) fn peek(&self) -> Token {
        self.context.tokens[self.at.min(self.end)]
    }

    pub(super) fn kind(&self) -> TokenKind {
        self.peek().kind
    }

    /// The kind of the token `ahead` tokens after the next one.
    pub(super) fn kind_at(&self, ahead: usize) -> TokenKind {
        self.context.tokens[(self.at + ahead).min(self.end)].kind
    }

    pub(super) fn is(&self, kind: TokenKind) -> bool {
        self.kind() == kind
    }

    /// Without the next `count` tokens.
    pub(super) fn skip(&self, count: usize) -> Self {
        self.go_to(self.at + count)
    }

    /// From the token of this index on.
    pub(super) fn go_to(&self, at: usize) -> Self {
        Tokens { at: at.min(self.end), ..*self }
    }

    /// The text of the next token.
    pub(super) fn text(&self) -> &'a str {
        self.context.text_of(self.peek().span)
    }

    /// The place of the token before the next one: where a node ends that was read up to here.
    pub(super) fn end_of_last(&self) -> Span {
        match self.at.checked_sub(1) {
            Some(last) => self.context.tokens[last].span,
            None => Span::new(0, 0),
        }
    }

    /// The place from `start` to the token before the next one.
    pub(super) fn span_from(&self, start: Span) -> Span {
        let end = self.end_of_last().end.max(start.end);
        Span { start: start.start, end }
    }

    /// How many bytes of blanks the line of the next token starts with.
    pub(super) fn indentation(&self) -> usize {
        self.indentation_at(self.peek().span)
    }

    /// How many bytes of blanks the line starts with on which `place` starts.
    pub(super) fn indentation_at(&self, place: Span) -> usize {
        let line = self.context.line_start(place.start as usize);
        let rest = &self.context.text.as_bytes()[line..];
        rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
    }

    /// That the next token does not fit, so that another production may try.
    pub(super) fn expected<T>(&self, expected: impl Into<Expected>) -> Step<'a, T> {
        Err(nom::Err::Error(Failure { at: self.at, expected: expected.into(), diagnostic: None }))
    }

    /// That nothing fits here, in words of its own.
    pub(super) fn fail<T>(&self, diagnostic: Diagnostic) -> Step<'a, T> {
        let diagnostic = Some(Box::new(diagnostic));
        Err(nom::Err::Failure(Failure { at: self.at, expected: Expected::default(), diagnostic }))
    }

    /// Runs a production one level deeper; refuses beyond [`MAX_DEPTH`] levels.
    pub(super) fn deeper<T>(&self, production: impl FnOnce(Tokens<'a>) -> Step<'a, T>) -> Step<'a, T> {
        let depth = self.context.depth.get();
        if depth >= MAX_DEPTH {
            return self.fail(too_deep(self.peek().span));
        }
        self.context.depth.set(depth + 1);
        let result = production(*self);
        self.context.depth.set(depth);
        result
    }
}
