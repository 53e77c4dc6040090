//! Which closing bracket belongs to which opening one, and which brackets are left over.
//!
//! Called by the parser before it starts: it decides between a function and parentheses by what follows the closing
//! bracket, and goes on behind the closing bracket where the inside is broken.

use super::token::{Token, TokenKind};

/// The other half of each bracket, by token.
pub(super) struct Brackets {
    /// The index of the token that is the other half, or [`NONE`].
    partner: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Brackets {
    /// Pairs the brackets of a file. A closing bracket closes the nearest open one of its kind, and leaves those that were
    /// opened after it open for ever. A word that only starts statements of a file shows, at the start of a line, that
    /// parentheses and square brackets which are still open there were never closed.
    pub(super) fn new(tokens: &[Token]) -> Brackets {
        let mut partner = vec![NONE; tokens.len()];
        let mut open: Vec<(TokenKind, u32)> = Vec::new();
        // How many of each kind are open: without it a text of closing brackets under many open ones of another kind
        // would take quadratic time.
        let mut counts = [0u32; 4];
        for (index, token) in tokens.iter().enumerate() {
            if let Some(closing) = closed_by(token.kind) {
                open.push((closing, index as u32));
                counts[slot(closing)] += 1;
                continue;
            }
            if starts_file_statement(token.kind) && token.first_on_line {
                let keep = open.iter().position(|(closing, _)| *closing != TokenKind::RightBrace).unwrap_or(open.len());
                for (closing, _) in open.drain(keep..) {
                    counts[slot(closing)] -= 1;
                }
                continue;
            }
            if !is_closing(token.kind) || counts[slot(token.kind)] == 0 {
                continue;
            }
            while let Some((closing, opening)) = open.pop() {
                counts[slot(closing)] -= 1;
                if closing == token.kind {
                    partner[opening as usize] = index as u32;
                    partner[index] = opening;
                    break;
                }
            }
        }
        Brackets { partner }
    }

    /// The other half of the bracket at `index`, if it has one.
    pub(super) fn partner(&self, index: usize) -> Option<usize> {
        self.partner.get(index).filter(|partner| **partner != NONE).map(|partner| *partner as usize)
    }
}

fn starts_file_statement(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Option | TokenKind::Import | TokenKind::Package | TokenKind::Builtin | TokenKind::TestCase
    )
}

/// The bracket that closes `kind`, if that is an opening one.
pub(super) fn closed_by(kind: TokenKind) -> Option<TokenKind> {
    Some(match kind {
        TokenKind::LeftParen => TokenKind::RightParen,
        TokenKind::LeftBracket => TokenKind::RightBracket,
        TokenKind::LeftBrace => TokenKind::RightBrace,
        TokenKind::InterpolationBegin => TokenKind::InterpolationEnd,
        _ => return None,
    })
}

/// Whether it is a closing bracket.
pub(super) fn is_closing(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::RightParen | TokenKind::RightBracket | TokenKind::RightBrace | TokenKind::InterpolationEnd
    )
}

fn slot(closing: TokenKind) -> usize {
    match closing {
        TokenKind::RightParen => 0,
        TokenKind::RightBracket => 1,
        TokenKind::RightBrace => 2,
        _ => 3,
    }
}
