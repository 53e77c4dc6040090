//! The tokens of Flux: what the lexer makes of the text and what the parser reads.
//!
//! Used within `syntax` only. Tokens carry no text of their own, only their place; comments are kept apart.

use crate::diagnostic::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum TokenKind {
    Identifier,
    Integer,
    Float,
    Duration,
    Time,
    Regexp,
    /// A whole string without interpolation, quotes included.
    String,
    /// The opening quote of a string with interpolation.
    StringBegin,
    /// Literal text between the parts of a string with interpolation.
    StringText,
    /// The closing quote of a string with interpolation.
    StringEnd,
    /// `${`.
    InterpolationBegin,
    /// The `}` that ends `${`.
    InterpolationEnd,
    /// A literal that is wrong and has been reported; it stands where an expression may.
    BadLiteral,
    And,
    Or,
    Not,
    Exists,
    If,
    Then,
    Else,
    Return,
    Import,
    Package,
    Option,
    Builtin,
    TestCase,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Caret,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Matches,
    NotMatches,
    Assign,
    Arrow,
    PipeForward,
    PipeReceive,
    Comma,
    Colon,
    Dot,
    Question,
    At,
    Semicolon,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    LeftBrace,
    RightBrace,
    /// The end of the text: always there, always last.
    End,
}

/// A token and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: TokenKind,
    /// Nothing but blanks stands before it on its line.
    pub first_on_line: bool,
    pub span: Span,
}

impl TokenKind {
    /// The keyword that `word` is, if it is one.
    pub(super) fn keyword(word: &str) -> Option<TokenKind> {
        Some(match word {
            "and" => TokenKind::And,
            "or" => TokenKind::Or,
            "not" => TokenKind::Not,
            "exists" => TokenKind::Exists,
            "if" => TokenKind::If,
            "then" => TokenKind::Then,
            "else" => TokenKind::Else,
            "return" => TokenKind::Return,
            "import" => TokenKind::Import,
            "package" => TokenKind::Package,
            "option" => TokenKind::Option,
            "builtin" => TokenKind::Builtin,
            "testcase" => TokenKind::TestCase,
            _ => return None,
        })
    }

    /// Whether it is a word that cannot be a name.
    pub(super) fn is_keyword(self) -> bool {
        self as u8 >= TokenKind::And as u8 && self as u8 <= TokenKind::TestCase as u8
    }

    /// Whether an expression may end with it. After such a token `/` divides; elsewhere it opens a regular expression.
    pub(super) fn ends_expression(self) -> bool {
        matches!(
            self,
            TokenKind::Identifier
                | TokenKind::Integer
                | TokenKind::Float
                | TokenKind::Duration
                | TokenKind::Time
                | TokenKind::Regexp
                | TokenKind::String
                | TokenKind::StringEnd
                | TokenKind::BadLiteral
                | TokenKind::RightParen
                | TokenKind::RightBracket
                | TokenKind::RightBrace
        )
    }

    /// Whether it is a literal that consists of this one token.
    pub(super) fn is_literal(self) -> bool {
        matches!(
            self,
            TokenKind::Integer
                | TokenKind::Float
                | TokenKind::Duration
                | TokenKind::Time
                | TokenKind::Regexp
                | TokenKind::String
                | TokenKind::BadLiteral
        )
    }

    /// Whether an expression may start with it.
    pub(super) fn starts_expression(self) -> bool {
        self.is_literal()
            || matches!(
                self,
                TokenKind::Identifier
                    | TokenKind::StringBegin
                    | TokenKind::LeftParen
                    | TokenKind::LeftBracket
                    | TokenKind::LeftBrace
                    | TokenKind::Minus
                    | TokenKind::Plus
                    | TokenKind::Not
                    | TokenKind::Exists
                    | TokenKind::If
            )
    }

    /// As it stands in messages: the text of a fixed token in back quotes, or what sort of literal it is.
    pub(super) fn describe(self) -> &'static str {
        match self {
            TokenKind::Identifier => "a name",
            TokenKind::Integer => "an integer",
            TokenKind::Float => "a float",
            TokenKind::Duration => "a duration",
            TokenKind::Time => "a time",
            TokenKind::Regexp => "a regular expression",
            TokenKind::String | TokenKind::StringBegin | TokenKind::StringText => "a string",
            TokenKind::StringEnd => "the end of the string",
            TokenKind::InterpolationBegin => "`${`",
            TokenKind::BadLiteral => "a value",
            TokenKind::And => "`and`",
            TokenKind::Or => "`or`",
            TokenKind::Not => "`not`",
            TokenKind::Exists => "`exists`",
            TokenKind::If => "`if`",
            TokenKind::Then => "`then`",
            TokenKind::Else => "`else`",
            TokenKind::Return => "`return`",
            TokenKind::Import => "`import`",
            TokenKind::Package => "`package`",
            TokenKind::Option => "`option`",
            TokenKind::Builtin => "`builtin`",
            TokenKind::TestCase => "`testcase`",
            TokenKind::Plus => "`+`",
            TokenKind::Minus => "`-`",
            TokenKind::Star => "`*`",
            TokenKind::Slash => "`/`",
            TokenKind::Percent => "`%`",
            TokenKind::Caret => "`^`",
            TokenKind::Equal => "`==`",
            TokenKind::NotEqual => "`!=`",
            TokenKind::Less => "`<`",
            TokenKind::LessEqual => "`<=`",
            TokenKind::Greater => "`>`",
            TokenKind::GreaterEqual => "`>=`",
            TokenKind::Matches => "`=~`",
            TokenKind::NotMatches => "`!~`",
            TokenKind::Assign => "`=`",
            TokenKind::Arrow => "`=>`",
            TokenKind::PipeForward => "`|>`",
            TokenKind::PipeReceive => "`<-`",
            TokenKind::Comma => "`,`",
            TokenKind::Colon => "`:`",
            TokenKind::Dot => "`.`",
            TokenKind::Question => "`?`",
            TokenKind::At => "`@`",
            TokenKind::Semicolon => "`;`",
            TokenKind::LeftParen => "`(`",
            TokenKind::RightParen => "`)`",
            TokenKind::LeftBracket => "`[`",
            TokenKind::RightBracket => "`]`",
            TokenKind::LeftBrace => "`{`",
            TokenKind::RightBrace | TokenKind::InterpolationEnd => "`}`",
            TokenKind::End => "the end of the text",
        }
    }
}
