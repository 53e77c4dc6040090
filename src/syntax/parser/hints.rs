//! What people write who know another language or are in a hurry: recognised where it stands, said in words, with a hint.
//!
//! Called by the productions, mostly to go on as if the right thing had been written. What does not fit anywhere else is
//! put into words by `explain`.

use super::expression::Operator;
use super::{Context, Tokens};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast::{Expr, ExprKind, LogicalOperator, Statement};
use crate::syntax::lexer;
use crate::syntax::token::TokenKind;

/// Words that begin a statement elsewhere, and what to say about them.
const FOREIGN_STATEMENTS: [(&[&str], &str, &str); 7] = [
    (
        &["select", "show"],
        "this looks like SQL",
        "data is read with `from(bucket: \"name\") |> range(start: -1h) |> filter(fn: (r) => ...)`",
    ),
    (&["insert", "update"], "this looks like SQL", "rows are written with `|> to(bucket: \"name\")`"),
    (
        &["delete", "create", "alter"],
        "this looks like SQL",
        "buckets are created, and rows deleted, outside of scripts",
    ),
    (
        &["let", "var", "const", "set", "local"],
        "names are given values without a word in front",
        "write `name = value`",
    ),
    (&["def", "func", "function", "fn"], "functions are values", "write `name = (parameter) => value`"),
    (
        &["for", "while", "foreach", "loop"],
        "there are no loops",
        "`|> map(fn: (r) => ...)` computes something for every row",
    ),
    (
        &["from", "use", "using", "include", "require"],
        "packages are brought in by `import`",
        "write `import \"path/of/package\"`",
    ),
];

/// Words of SQL that follow an operand, and what to write for them.
const SQL_OPERATORS: [(&str, &str); 6] = [
    ("IS", "whether there is a value is asked with `exists r.name`"),
    ("IN", "membership is asked with `contains(value: x, set: [a, b])`"),
    ("LIKE", "patterns are matched with `=~ /pattern/`"),
    ("BETWEEN", "write `x >= a and x <= b`"),
    ("WHERE", "rows are selected with `|> filter(fn: (r) => ...)`"),
    ("AS", "columns are named with `|> rename(columns: {old: \"new\"})`"),
];

/// A statement of another language: a word such as `select` or `let` with another operand right behind it.
pub(super) fn foreign_statement(input: Tokens) -> Option<Diagnostic> {
    let second = input.skip(1).peek();
    if !input.is(TokenKind::Identifier) || second.first_on_line {
        return None;
    }
    let word = input.text();
    let all_columns = second.kind == TokenKind::Star && word.eq_ignore_ascii_case("select");
    if second.kind != TokenKind::Identifier && !second.kind.is_literal() && !all_columns {
        return None;
    }
    let lower = word.to_ascii_lowercase();
    let (_, message, help) = FOREIGN_STATEMENTS.iter().find(|(words, _, _)| words.contains(&lower.as_str()))?;
    Some(
        Diagnostic::error(
            "foreign-statement",
            format!("`{word}` is no statement of Flux: {message}"),
            input.peek().span,
        )
        .help(*help),
    )
}

/// The hint for a word of SQL, if the next token is one.
pub(super) fn sql_operator(input: Tokens) -> Option<&'static str> {
    if !input.is(TokenKind::Identifier) {
        return None;
    }
    let word = input.text();
    SQL_OPERATORS.iter().find(|(sql, _)| *sql == word || sql.to_ascii_lowercase() == word).map(|(_, help)| *help)
}

/// Reports a binary operator, the next token, if it is not written as it is meant.
pub(super) fn check_operator(input: Tokens, operator: &Operator) {
    match (input.kind(), operator) {
        (TokenKind::Assign, _) => input.context.report(assignment_for_comparison(input)),
        (TokenKind::Identifier, Operator::Logical(meant)) => {
            let lower = match meant {
                LogicalOperator::And => "and",
                LogicalOperator::Or => "or",
            };
            input.context.report(upper_case_operator(input, lower));
        }
        _ => {}
    }
}

/// What is meant by `AND` or `OR` between operands.
pub(super) fn upper_case_logical(input: Tokens) -> Option<LogicalOperator> {
    let meant = match input.text() {
        "AND" | "And" => LogicalOperator::And,
        "OR" | "Or" => LogicalOperator::Or,
        _ => return None,
    };
    let operand_follows = input.skip(1).kind().starts_expression() || input.kind_at(1) == TokenKind::End;
    operand_follows.then_some(meant)
}

/// Whether the next token is `NOT` before an operand.
pub(super) fn is_upper_case_not(input: Tokens) -> bool {
    matches!(input.text(), "NOT" | "Not")
        && (input.kind_at(1) == TokenKind::Identifier || matches!(input.kind_at(1), TokenKind::Exists | TokenKind::Not))
        && !input.skip(1).peek().first_on_line
}

/// That an operator is written in small letters.
pub(super) fn upper_case_operator(input: Tokens, lower: &str) -> Diagnostic {
    let written = input.text();
    Diagnostic::error("unknown-operator", format!("`{written}` is not an operator"), input.peek().span)
        .help(format!("operators are written in small letters: `{lower}`"))
}

/// `=` where an operator may stand.
fn assignment_for_comparison(input: Tokens) -> Diagnostic {
    let equals = input.peek().span;
    let diagnostic = Diagnostic::error("assignment-in-expression", "`=` within an expression", equals);
    // Directly in a statement nothing but that expression is open.
    if input.context.depth.get() > 1 {
        return diagnostic.help("equality is written `==`");
    }
    let last = input.at.saturating_sub(1);
    let tokens = input.context.tokens;
    if last >= 2 && tokens[last].kind == TokenKind::Identifier && tokens[last - 1].kind == TokenKind::Dot {
        let target = Span { start: tokens[last - 2].span.start, end: tokens[last].span.end };
        let written = input.context.text_of(target);
        return diagnostic.help(format!(
            "an option of a package is set with `option {written} = ...`, a property with `{{record with name: value}}`; \
             equality is written `==`"
        ));
    }
    diagnostic.help("`=` gives a value to a single name at the start of a statement; equality is written `==`")
}

/// The right side of `|>` is not a call.
pub(super) fn pipe_into_non_call(context: &Context, kind: &ExprKind, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::error("pipe-into-non-call", "pipe destination must be a function call", span);
    match kind {
        ExprKind::Identifier(_) | ExprKind::Member { .. } => {
            diagnostic.help(format!("write `{}()`", context.text_of(span)))
        }
        ExprKind::Function(_) => diagnostic.help("give the function a name and call that: `|> name()`"),
        _ => diagnostic.help("write `|> name(parameter: value)`"),
    }
}

/// Whether the brace after `=>` opens a record, not a block: `{r with`, `{name: value`, `{}`.
pub(super) fn looks_like_record(input: Tokens) -> bool {
    let inside = input.skip(1);
    match inside.kind() {
        TokenKind::RightBrace => true,
        TokenKind::String => inside.kind_at(1) == TokenKind::Colon,
        TokenKind::Identifier => {
            let second = inside.skip(1);
            matches!(second.kind(), TokenKind::Colon | TokenKind::Comma)
                || second.is(TokenKind::Identifier) && second.text() == "with"
        }
        _ => false,
    }
}

/// A record as the body of a function, without the parentheses that it needs.
pub(super) fn record_without_parentheses(context: &Context, brace: Span, record: Span) -> Diagnostic {
    let written = context.text_of(record);
    let help = if written.len() <= 60 && !written.contains('\n') {
        format!("write `({written})`")
    } else {
        "write `({` and `})`".to_string()
    };
    let brace = Span { end: brace.start + 1, ..brace };
    Diagnostic::error("record-without-parentheses", "a brace after `=>` opens a block of statements", brace)
        .label("a record is meant")
        .help(format!("a record as a function's value stands in parentheses: {help}"))
}

/// `if` without `else`, whose place is that of the `if`.
pub(super) fn missing_else(input: Tokens, start: Span) -> Diagnostic {
    if input.is(TokenKind::Identifier) && matches!(input.text(), "elif" | "elseif" | "elsif") {
        let message = format!("`{}` is not a keyword", input.text());
        return Diagnostic::error("missing-else", message, input.peek().span).help("write `else if`");
    }
    let last = input.end_of_last();
    Diagnostic::error("missing-else", "`if` without `else`", start)
        .also(Span { start: last.end, end: last.end }, "`else` is expected here")
        .help("every `if` has a value in both cases: `if test then a else b`")
}

/// The path of an import without quotes, read as a name.
pub(super) fn unquoted_path(input: Tokens, name: Span) -> Diagnostic {
    // All that touches: `influxdata/influxdb/tasks` was read as names and divisions.
    let line = &input.context.text[name.start as usize..];
    let path = line.split(char::is_whitespace).next().unwrap_or_default();
    let span = Span { start: name.start, end: name.start + path.len() as u32 };
    Diagnostic::error("unquoted-path", "the path of a package stands in double quotes", span)
        .help(format!("write `import \"{path}\"`"))
}

/// `import "path" as name`, with `input` at `as`.
pub(super) fn import_as(input: Tokens, path: Span) -> Diagnostic {
    let name = input.skip(1).text();
    Diagnostic::error("import-as", "the name of an import stands before its path", input.peek().span)
        .help(format!("write `import {name} {}`", input.context.text_of(path)))
}

/// A parameter without parentheses before `=>`.
pub(super) fn bare_parameter(input: Tokens) -> Diagnostic {
    let name = input.text();
    Diagnostic::error("bare-parameter", "the parameters of a function stand in parentheses", input.peek().span)
        .help(format!("write `({name}) => ...`"))
}

/// `name=value` among arguments.
pub(super) fn assignment_in_arguments(input: Tokens) -> Diagnostic {
    let equals = input.skip(1).peek().span;
    Diagnostic::error("assignment-in-arguments", "arguments are written with `:`", equals)
        .help(format!("write `{}: ...`", input.text()))
}

/// An argument without a name. `continues` tells that the parenthesis stands at the start of a line.
pub(super) fn positional_argument(input: Tokens, value: &Expr, continues: bool) -> Diagnostic {
    let written = input.context.text_of(value.span);
    let short = if written.len() <= 30 && !written.contains('\n') { written } else { "..." };
    let diagnostic = Diagnostic::error("positional-argument", "argument without a name", value.span);
    // `start -1h` was read as a subtraction.
    if let ExprKind::Binary { left, right, .. } = &value.kind
        && let ExprKind::Identifier(name) = &left.kind
        && input.context.text_of(Span { start: left.span.end, end: right.span.start }) == " -"
    {
        return diagnostic.help(format!("write `{name}: -{}`", input.context.text_of(right.span)));
    }
    if continues {
        return diagnostic.help("a line that starts with `(` goes on with the line before it, as a call");
    }
    diagnostic.help(format!("arguments are always named: `name: {short}`"))
}

/// The block of a function ends with `return`, and nothing follows that.
pub(super) fn check_returns(context: &Context, body: &[Statement], end: Span) {
    let first = body.iter().position(|statement| matches!(statement, Statement::Return { .. }));
    if let Some(first) = first {
        if let Some(after) = body.get(first + 1) {
            context.report(
                Diagnostic::error("statement-after-return", "statement after `return`", after.span())
                    .also(body[first].span(), "the block ends with this")
                    .help("`return` is the last statement of a block"),
            );
        }
        return;
    }
    match body.last() {
        // It may have been the `return`.
        Some(Statement::Bad(_)) => {}
        Some(Statement::Expression(value)) => {
            let start = Span { start: value.span.start, end: value.span.start };
            context.report(
                Diagnostic::error("missing-return", "missing `return` statement in block", start)
                    .label("`return` is expected here")
                    .help("the value of a block is what its last statement returns"),
            );
        }
        _ => context.report(
            Diagnostic::error("missing-return", "missing `return` statement in block", end)
                .label("`return` is expected before this")
                .help("the value of a block is what its last statement returns: `return value`"),
        ),
    }
}

/// Warns of a statement that looks like the continuation of the one before it. `input` is at its first token.
pub(super) fn check_neighbours(input: Tokens, last: Option<&Statement>, statement: &Statement) {
    let Statement::Expression(value) = statement else {
        return;
    };
    let last = match last {
        Some(Statement::Expression(last)) => last.span,
        Some(Statement::Variable(last)) => last.span,
        _ => return,
    };
    let next = input.peek();
    let call = first_call(value);
    if next.first_on_line {
        let apart = call.is_none_or(|name| name == "from") || is_given_tables(value);
        if !apart && input.indentation() > input.indentation_at(last) {
            input.context.report(missing_pipe(input, call));
        }
        return;
    }
    if let Some(help) = sql_operator(input) {
        let message = format!("`{}` is not an operator", input.text());
        input.context.report(Diagnostic::error("unknown-operator", message, next.span).help(help));
        return;
    }
    if call.is_some() {
        input.context.report(missing_pipe(input, call));
        return;
    }
    let count = input.context.tokens[input.at - 1];
    if count.kind == TokenKind::Integer
        && let Some(unit) = lexer::duration_unit(input.text())
    {
        let duration = format!("{}{unit}", input.context.text_of(count.span));
        let message = format!("`{}` is not a unit", input.text());
        input
            .context
            .report(Diagnostic::error("invalid-duration", message, next.span).help(format!("write `{duration}`")));
        return;
    }
    input.context.report(
        Diagnostic::warning("statement-on-same-line", "this starts another statement on the same line", value.span)
            .help("an operator, a `,` or a quote may be missing before it"),
    );
}

fn missing_pipe(input: Tokens, call: Option<&str>) -> Diagnostic {
    let name = call.unwrap_or("...");
    Diagnostic::warning("missing-pipe", format!("nothing is piped into `{name}`"), input.peek().span)
        .label("this starts a statement of its own")
        .help(format!("write `|> {name}(...)` to go on with the statement before it"))
}

/// Whether the call that an expression begins with is given its stream, as in `join(tables: {...})`.
fn is_given_tables(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Pipe { argument, .. } => is_given_tables(argument),
        ExprKind::Call(call) => call.arguments.iter().any(|argument| matches!(&*argument.name.name, "tables" | "left")),
        _ => false,
    }
}

/// The name of the call that an expression begins with.
fn first_call(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Pipe { argument, .. } => first_call(argument),
        ExprKind::Call(call) => match &call.callee.kind {
            ExprKind::Identifier(name) => Some(name),
            ExprKind::Member { property, .. } => Some(&property.name),
            _ => None,
        },
        _ => None,
    }
}
