//! Whether a text is the beginning of something: whoever reads scripts line by line waits for more.
//!
//! Called by the REPL after every line. The parser decides: a text is unfinished when nothing in it is wrong but that it
//! ends too early.

use super::brackets::{closed_by, is_closing};
use super::lexer;
use super::parser::{self, Context};
use super::token::{Token, TokenKind};

/// Whether a text ends within a string, a bracket, a block or an expression, so that further lines may finish it. A text
/// that is wrong before its end is not unfinished: more text would not mend it.
pub fn is_unfinished(text: &str) -> bool {
    if text.len() > super::MAX_TEXT_BYTES {
        return false;
    }
    let lexed = lexer::lex(text);
    // Of the lexer's problems the first counts: after an open string nothing is read as it is meant.
    if let Some(code) = lexed.problems.first_code() {
        return code == "unterminated-string" || is_open_interpolation(code, text);
    }
    let context = Context::new(text, &lexed.tokens);
    parser::parse(&context);
    context.ended_early() || ends_in_parameters(&lexed.tokens)
}

/// Whether the text ends within what may become the parameters of a function: without their closing parenthesis the parser
/// takes them for an expression, and finds it wrong at the first comma.
fn ends_in_parameters(tokens: &[Token]) -> bool {
    let mut open: Vec<usize> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if closed_by(token.kind).is_some() {
            open.push(index);
        } else if is_closing(token.kind) {
            match open.pop() {
                Some(opening) if closed_by(tokens[opening].kind) == Some(token.kind) => {}
                _ => return false,
            }
        }
    }
    let Some(&opening) = open.first() else { return false };
    let is_call = opening > 0 && tokens[opening - 1].kind.ends_expression();
    let inside = &tokens[opening + 1..tokens.len().saturating_sub(1)];
    let may_be_parameters = |token: &Token| {
        token.kind.is_literal()
            || closed_by(token.kind).is_some()
            || is_closing(token.kind)
            || matches!(
                token.kind,
                TokenKind::Identifier
                    | TokenKind::Comma
                    | TokenKind::Colon
                    | TokenKind::Dot
                    | TokenKind::Minus
                    | TokenKind::Assign
                    | TokenKind::PipeReceive
            )
    };
    tokens[opening].kind == TokenKind::LeftParen
        && !is_call
        && inside.first().is_some_and(|first| first.kind == TokenKind::Identifier)
        && inside.get(1).is_some_and(|second| matches!(second.kind, TokenKind::Comma | TokenKind::Assign))
        && inside.iter().all(may_be_parameters)
}

/// A `${` without its `}`, whose string ends with the line for the lexer.
fn is_open_interpolation(code: &str, text: &str) -> bool {
    code == "unclosed-bracket" && text.trim_end().ends_with("${")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_more_text_could_finish_is_unfinished() {
        let unfinished = [
            "from(bucket: \"b\"",
            "from(bucket: \"b",
            "from(bucket: \"b\") |>",
            "from(bucket: \"b\") |> // and then",
            "from(bucket: \"b\") |> filter(fn: (r) =>",
            "from(bucket: \"b\") |> filter(fn: (r) => r.a ==",
            "x =",
            "x = 1 +",
            "x = not",
            "x = a.",
            "x = [1, 2",
            "x = [1, 2,",
            "x = [1:",
            "x = {a: 1,",
            "x = {r with",
            "f = (a, b=2",
            "f = (a,",
            "f = (a=<-, b=[1, 2],",
            "f = (a) => {",
            "f = (a) => {\n  b = a\n",
            "f = (a) => {\n  return a +",
            "if a then",
            "if a then 1",
            "if a then 1 else",
            "x = \"n ${a",
            "import",
            "import \"arr",
            "option task = {name: \"n\",",
            "1 +\n\n2 *",
        ];
        for text in unfinished {
            assert!(is_unfinished(text), "{text:?} wants more");
        }
    }

    #[test]
    fn what_is_whole_or_wrong_is_not_unfinished() {
        let finished = [
            "",
            "   ",
            "// a remark",
            "1",
            "x = 1",
            "from(bucket: \"b\")",
            "from(bucket: \"b\") |> range(start: -1h)",
            "f = (a) => {\n  return a\n}",
            "import \"array\"",
            "x = \"n ${a}\"",
            "if a then 1 else 2",
            "f(]",
            "f(a: 1}",
            ")",
            "x = = 1",
            "from bucket: \"b\" |>",
            "select * from b",
            "import math",
            "x = /a",
            "a & b (",
            "|> range(start: -1h)",
        ];
        for text in finished {
            assert!(!is_unfinished(text), "{text:?} is not to be continued");
        }
    }
}
