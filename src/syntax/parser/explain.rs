//! Failures in words: from the token that did not fit and the set of what would have, to a sentence and a hint.
//!
//! Called where the parser recovers, once per failure. Looks at tokens only to explain, never to parse.

use super::{Context, Expected, Failure, Tokens, Wanted, hints};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::brackets::{closed_by, is_closing};
use crate::syntax::token::{Token, TokenKind};

/// The diagnostic for a failure of a production that began at the token `from`.
pub(super) fn failure(context: &Context, from: usize, failure: Failure) -> Diagnostic {
    if let Some(diagnostic) = failure.diagnostic {
        return *diagnostic;
    }
    let input = Tokens::all(context).go_to(failure.at);
    let expected = failure.expected;
    if let Some(diagnostic) = unclosed(context, from, failure.at, expected) {
        return diagnostic;
    }
    let found = input.peek();
    if is_closing(found.kind) && context.brackets.partner(failure.at).is_none() {
        let message = format!("{} closes nothing", found.kind.describe());
        return Diagnostic::error("unmatched-bracket", message, found.span);
    }
    if unfinished(input, expected) {
        let last = input.end_of_last();
        let after = Span { start: last.end, end: last.end };
        let message =
            format!("expected {} after `{}`", wanted_after(context.tokens[failure.at - 1].kind), context.text_of(last));
        return Diagnostic::error("syntax", message, after).label("this is not finished");
    }
    let diagnostic = Diagnostic::error("syntax", sentence(input, expected), place(input));
    match hint(input, expected) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// A bracket that was opened since `from`, is never closed, and would have been closed at `at`.
fn unclosed(context: &Context, from: usize, at: usize, expected: Expected) -> Option<Diagnostic> {
    let mut index = at;
    while index > from {
        index -= 1;
        let kind = context.tokens[index].kind;
        match context.brackets.partner(index) {
            Some(opening) if is_closing(kind) => index = opening.max(from),
            Some(_) => {}
            None => {
                let Some(closing) = closed_by(kind) else {
                    continue;
                };
                if !expected.has(closing) {
                    return None;
                }
                let last = context.tokens[at - 1].span;
                let after = Span { start: last.end, end: last.end };
                return Some(
                    Diagnostic::error(
                        "unclosed-bracket",
                        format!("{} is never closed", kind.describe()),
                        context.tokens[index].span,
                    )
                    .label("opens here")
                    .also(after, format!("{} is expected here at the latest", closing.describe())),
                );
            }
        }
    }
    None
}

/// Where to point: at the token found; at the end of the text, behind the last token.
fn place(input: Tokens) -> Span {
    let found = input.peek();
    if found.kind != TokenKind::End {
        return found.span;
    }
    let last = input.end_of_last();
    Span { start: last.end, end: last.end }
}

/// Whether an expression is expected, and the next line or the end of the text comes first.
fn unfinished(input: Tokens, expected: Expected) -> bool {
    let found = input.peek();
    expected.has(Wanted::Expression)
        && input.at > 0
        && !is_closing(found.kind)
        && (found.first_on_line || found.kind == TokenKind::End)
        && is_operator_like(input.context.tokens[input.at - 1].kind)
}

/// What an operator or keyword is followed by.
fn wanted_after(last: TokenKind) -> &'static str {
    match last {
        TokenKind::PipeForward => "a call",
        _ => "an expression",
    }
}

/// "expected this or that, found something".
fn sentence(input: Tokens, expected: Expected) -> String {
    let last_kind = input.at.checked_sub(1).map_or(TokenKind::End, |last| input.context.tokens[last].kind);
    let mut choices: Vec<&str> = Vec::new();
    let wanted = [
        (Wanted::Expression, wanted_after(last_kind)),
        (Wanted::Argument, "an argument `name: value`"),
        (Wanted::Property, "a property `name: value`"),
        (Wanted::Parameter, "a parameter"),
        (Wanted::Type, "a type"),
    ];
    for (wanted, words) in wanted {
        if expected.has(wanted) {
            choices.push(words);
        }
    }
    let tokens = [
        (TokenKind::Identifier, "a name"),
        (TokenKind::String, "a string"),
        (TokenKind::Comma, "`,`"),
        (TokenKind::Colon, "`:`"),
        (TokenKind::Assign, "`=`"),
        (TokenKind::Arrow, "`=>`"),
        (TokenKind::Then, "`then`"),
        (TokenKind::RightParen, "`)`"),
        (TokenKind::RightBracket, "`]`"),
        (TokenKind::LeftBrace, "`{`"),
        (TokenKind::RightBrace, "`}`"),
        (TokenKind::InterpolationEnd, "`}`"),
    ];
    for (kind, words) in tokens {
        if expected.has(kind) {
            choices.push(words);
        }
    }
    let found = found(input);
    let after = if is_operator_like(last_kind) { format!(" after {}", last_kind.describe()) } else { String::new() };
    match choices.as_slice() {
        [] => format!("unexpected {found}"),
        [one] => format!("expected {one}{after}, found {found}"),
        [many @ .., last] => format!("expected {} or {last}{after}, found {found}", many.join(", ")),
    }
}

/// Whether naming it helps to see what the expected thing belongs to.
fn is_operator_like(kind: TokenKind) -> bool {
    !kind.ends_expression()
        && !matches!(
            kind,
            TokenKind::Comma | TokenKind::LeftParen | TokenKind::LeftBracket | TokenKind::LeftBrace | TokenKind::End
        )
}

/// What stands there, as messages name it.
fn found(input: Tokens) -> String {
    let token = input.peek();
    match token.kind {
        TokenKind::Identifier | TokenKind::Integer | TokenKind::Float | TokenKind::Duration | TokenKind::Time => {
            let text = input.text();
            if text.chars().count() > 40 { token.kind.describe().to_string() } else { format!("`{text}`") }
        }
        kind => kind.describe().to_string(),
    }
}

/// What may help.
fn hint(input: Tokens, expected: Expected) -> Option<String> {
    let found = input.peek();
    let last = input.at.checked_sub(1).map(|last| input.context.tokens[last]);
    let last_kind = last.map_or(TokenKind::End, |last| last.kind);
    if expected.has(TokenKind::Identifier) && found.kind.is_keyword() {
        let word = input.text();
        return Some(match last_kind {
            TokenKind::Dot => format!("`{word}` is a keyword: write `[\"{word}\"]`"),
            _ => format!("`{word}` is a keyword and cannot be a name"),
        });
    }
    if expected.has(TokenKind::Identifier) && last_kind.is_keyword() && found.kind == TokenKind::Assign {
        let word = last_kind.describe();
        return Some(format!("{word} is a keyword and cannot be a name"));
    }
    if expected.has(TokenKind::Identifier) && last_kind == TokenKind::Dot {
        return match found.kind {
            TokenKind::Integer => Some(format!("an element of an array is taken with `[{}]`", input.text())),
            TokenKind::String => Some("a property in quotes stands in brackets: `r[\"name\"]`".to_string()),
            _ => None,
        };
    }
    if expected.has(TokenKind::Then) {
        return Some("a condition is written `if test then a else b`".to_string());
    }
    if expected.has(Wanted::Property) || expected.has(TokenKind::Colon) {
        return property_hint(input, expected);
    }
    if let Some(help) = lost_quote(input, last) {
        return Some(help);
    }
    if expected.has(Wanted::Expression) {
        return expression_hint(found, last_kind).map(str::to_string);
    }
    if expected.has(Wanted::Statement) {
        return statement_hint(found.kind).map(str::to_string);
    }
    if expected.has(TokenKind::Comma) || expected.has(TokenKind::RightParen) {
        return separator_hint(input, last_kind);
    }
    None
}

fn property_hint(input: Tokens, expected: Expected) -> Option<String> {
    if expected.has(TokenKind::Colon) {
        return match input.kind() {
            TokenKind::Comma | TokenKind::RightBrace => Some("a list of values is an array: `[a, b]`".to_string()),
            _ => None,
        };
    }
    match input.kind() {
        TokenKind::RightBrace => Some("at least one property follows `with`".to_string()),
        kind if kind.is_keyword() => {
            Some(format!("`{0}` is a keyword: write it in quotes, `\"{0}\": value`", input.text()))
        }
        kind if kind.starts_expression() => Some("a list of values is an array: `[a, b]`".to_string()),
        _ => None,
    }
}

/// A string over several lines right before the failure: its closing quote may be the opening one of the next string.
fn lost_quote(input: Tokens, last: Option<Token>) -> Option<String> {
    let last = last.filter(|last| last.kind == TokenKind::String)?;
    let text = input.context.text_of(last.span);
    if !text.contains('\n') {
        return None;
    }
    let line = input.context.text[..last.span.start as usize].matches('\n').count() + 1;
    Some(format!("the string before it starts on line {line}: its closing quote may be missing there"))
}

fn expression_hint(found: Token, last: TokenKind) -> Option<&'static str> {
    Some(match (last, found.kind) {
        (_, TokenKind::Not | TokenKind::Exists) => {
            "`not` and `exists` bind less tightly than the operator before them: put them in parentheses"
        }
        (_, TokenKind::If) => "a condition within a larger expression stands in parentheses: `(if test then a else b)`",
        (TokenKind::InterpolationBegin, TokenKind::InterpolationEnd) => {
            "`${` and `}` enclose an expression; a plain `${` is written `\\${`"
        }
        (TokenKind::PipeForward, _) => "a call follows the pipe: `|> name(parameter: value)`",
        (_, TokenKind::Dot) => "labels such as `.name` are an experiment of Flux that is not supported",
        (TokenKind::Minus, TokenKind::Greater) => "the arrow of a function is written `=>`",
        (TokenKind::Plus | TokenKind::Minus | TokenKind::Star | TokenKind::Slash, TokenKind::Assign) => {
            "values never change: give the new value a name of its own"
        }
        (_, TokenKind::Arrow) => "the parameters of a function stand in parentheses: `(r) => ...`",
        (_, TokenKind::PipeReceive) => "`<-` stands for the piped argument in a parameter list: `(tables=<-) => ...`",
        (_, TokenKind::Assign) => "equality is written `==`",
        (_, TokenKind::Return) => "`return` stands in the block of a function: `(r) => { ... return value }`",
        _ => return None,
    })
}

fn statement_hint(found: TokenKind) -> Option<&'static str> {
    Some(match found {
        TokenKind::PipeForward => "`|>` goes on with an expression, and there is none before it",
        TokenKind::Else | TokenKind::Then => "a condition is written `if test then a else b`",
        TokenKind::Option | TokenKind::Import | TokenKind::Package | TokenKind::Builtin | TokenKind::TestCase => {
            "it stands at the top of a script, not within a block"
        }
        TokenKind::PipeReceive => "a comparison with a negative number needs a space: `a < -1`",
        TokenKind::Question | TokenKind::Colon => "a choice is written `if test then a else b`",
        TokenKind::Arrow => "the parameters of a function stand in parentheses: `(r) => ...`; `>=` compares",
        TokenKind::Dot => "a property follows the record directly: `r.name`",
        TokenKind::Comma => "a pipeline goes on with `|>`, and statements need no mark at their end: delete it",
        _ => return None,
    })
}

fn separator_hint(input: Tokens, last: TokenKind) -> Option<String> {
    if let Some(help) = hints::sql_operator(input) {
        return Some(help.to_string());
    }
    let hint = match input.kind() {
        TokenKind::Semicolon => "what stands in brackets is separated by `,`",
        TokenKind::Question => "a choice is written `if test then a else b`",
        TokenKind::Arrow if input.at >= 2 && input.context.tokens[input.at - 2].kind == TokenKind::Dot => {
            "`=>` separates the parameters of a function from its body; `>=` compares"
        }
        TokenKind::Arrow => "the parameters of a function stand in parentheses: `(r) => ...`",
        TokenKind::PipeReceive => "a comparison with a negative number needs a space: `a < -1`",
        TokenKind::Return => "`return` stands in the block of a function: `(r) => { ... return value }`",
        TokenKind::Else => "`else` belongs to an `if`: `if test then a else b`",
        kind if kind.starts_expression() && last.ends_expression() => "an operator or a `,` may be missing before it",
        _ => return None,
    };
    Some(hint.to_string())
}
