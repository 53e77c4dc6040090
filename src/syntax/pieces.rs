//! A text in coloured pieces: what each stretch of it is, for highlighting and for completion at a cursor.
//!
//! Called by the REPL (and whoever else shows Flux to people) on every key: one pass of the lexer, no tree. Blanks are in no
//! piece. Broken text has pieces too.

use super::lexer;
use super::token::TokenKind;
use crate::diagnostic::Span;

/// What a stretch of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PieceKind {
    /// A name of a variable, function, parameter, property or package.
    Name,
    /// A word that cannot be a name.
    Keyword,
    /// An integer, float, duration or time.
    Number,
    /// A string, or a literal part of one with `${...}`; one without its closing quote as well.
    String,
    /// A regular expression.
    Regexp,
    /// A comment.
    Comment,
    /// An operator or a comma.
    Operator,
    /// A bracket, those of `${...}` included.
    Bracket,
    /// What is no token.
    Problem,
}

/// A stretch of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its place.
    pub span: Span,
    /// What it is.
    pub kind: PieceKind,
}

/// All pieces of a text, in order. Never fails; a text that is too long to be parsed has none.
pub fn pieces(text: &str) -> Vec<Piece> {
    if text.len() > super::MAX_TEXT_BYTES {
        return Vec::new();
    }
    let lexed = lexer::lex(text);
    let comments = lexed.comments.iter().map(|comment| Piece { span: comment.span, kind: PieceKind::Comment });
    let tokens = lexed.tokens.iter().filter(|token| token.kind != TokenKind::End);
    let tokens = tokens.map(|token| Piece { span: token.span, kind: kind_of(token.kind, &text[token.span.range()]) });
    let mut pieces: Vec<Piece> = comments.chain(tokens).filter(|piece| piece.span.start < piece.span.end).collect();
    pieces.sort_by_key(|piece| piece.span.start);
    pieces
}

fn kind_of(kind: TokenKind, text: &str) -> PieceKind {
    match kind {
        TokenKind::Identifier => PieceKind::Name,
        TokenKind::Integer | TokenKind::Float | TokenKind::Duration | TokenKind::Time => PieceKind::Number,
        TokenKind::Regexp => PieceKind::Regexp,
        TokenKind::String | TokenKind::StringBegin | TokenKind::StringText | TokenKind::StringEnd => PieceKind::String,
        TokenKind::BadLiteral if text.starts_with('"') => PieceKind::String,
        TokenKind::BadLiteral => PieceKind::Problem,
        TokenKind::LeftParen
        | TokenKind::RightParen
        | TokenKind::LeftBracket
        | TokenKind::RightBracket
        | TokenKind::LeftBrace
        | TokenKind::RightBrace
        | TokenKind::InterpolationBegin
        | TokenKind::InterpolationEnd => PieceKind::Bracket,
        kind if kind.is_keyword() => PieceKind::Keyword,
        _ => PieceKind::Operator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stretch_has_its_kind() {
        let text = "import \"a\" // b\nx = f(r: -1.5, s: \"n${t}\") |> g(e: 1h, p: /q/) and \"open";
        let pieces = pieces(text);
        let shown: Vec<(&str, PieceKind)> =
            pieces.iter().map(|piece| (&text[piece.span.range()], piece.kind)).collect();
        let kind = |wanted: &str| shown.iter().find(|(text, _)| *text == wanted).map(|(_, kind)| *kind);
        assert_eq!(kind("import"), Some(PieceKind::Keyword));
        assert_eq!(kind("// b"), Some(PieceKind::Comment));
        assert_eq!(kind("x"), Some(PieceKind::Name));
        assert_eq!(kind("("), Some(PieceKind::Bracket));
        assert_eq!(kind("1.5"), Some(PieceKind::Number));
        assert_eq!(kind("${"), Some(PieceKind::Bracket));
        assert_eq!(kind("|>"), Some(PieceKind::Operator));
        assert_eq!(kind("1h"), Some(PieceKind::Number));
        assert_eq!(kind("/q/"), Some(PieceKind::Regexp));
        assert_eq!(kind("and"), Some(PieceKind::Keyword));
        assert_eq!(kind("\"open"), Some(PieceKind::String));
        assert!(pieces.is_sorted_by_key(|piece| piece.span.start));
    }
}
