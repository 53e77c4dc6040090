//! The file and its statements, the blocks of functions, test cases; and how parsing goes on after a broken statement.
//!
//! Called by `parser::parse` and, for blocks, by the productions of functions.

use std::sync::Arc;

use nom::Parser;
use nom::combinator::{cut, opt};

use super::expression::expression;
use super::types::type_expression;
use super::{Expected, Step, Tokens, Wanted, comma_separated, hints, identifier, literal, token, word};
use crate::diagnostic::{Diagnostic, Span};
use crate::syntax::ast::{Assignment, Attribute, Expr, File, Identifier, Import, OptionStatement, Statement, TestCase};
use crate::syntax::token::TokenKind;

/// What the statements stand in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    File,
    Function,
    TestCase,
}

/// What to do about a broken statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Recovery {
    /// Report it and go on with the next statement.
    NextStatement,
    /// Fail.
    None,
}

/// What is gathered on the way through a file.
#[derive(Default)]
struct Clauses {
    attributes: Vec<Attribute>,
    package: Option<Identifier>,
    imports: Vec<Import>,
}

/// The whole file.
pub(in crate::syntax) fn file(input: Tokens) -> File {
    let mut clauses = Clauses::default();
    let body = match statements(input, Place::File, Recovery::NextStatement, &mut clauses) {
        Ok((_, body)) => body,
        Err(_) => Vec::new(),
    };
    File {
        attributes: clauses.attributes,
        package: clauses.package,
        imports: clauses.imports,
        body,
        comments: Vec::new(),
        expr_count: input.context.expr_count(),
    }
}

/// `{ statements }` of a function, from the brace on. It must end with `return`.
pub(super) fn block(input: Tokens) -> Step<Vec<Statement>> {
    let (rest, (body, end)) = braces(input, Place::Function)?;
    hints::check_returns(input.context, &body, end);
    Ok((rest, body))
}

/// `{ statements }`, from the brace on, and the place of the closing brace.
fn braces(input: Tokens, place: Place) -> Step<(Vec<Statement>, Span)> {
    // Without a closing brace nobody knows where the block ends: then the statement around it is the one that is broken.
    let recovery = match input.context.brackets.partner(input.at) {
        Some(_) => Recovery::NextStatement,
        None => Recovery::None,
    };
    let (rest, _) = token(TokenKind::LeftBrace)(input)?;
    let (rest, body) = statements(rest, place, recovery, &mut Clauses::default())?;
    let (rest, end) = cut(token(TokenKind::RightBrace)).parse(rest)?;
    Ok((rest, (body, end.span)))
}

/// Statements up to the end, or to the brace that closes the block. With recovery it never fails: a broken statement is
/// reported, stands in the tree as [`Statement::Bad`], and parsing goes on with the next one.
fn statements<'a>(
    mut input: Tokens<'a>,
    place: Place,
    recovery: Recovery,
    clauses: &mut Clauses,
) -> Step<'a, Vec<Statement>> {
    let mut body: Vec<Statement> = Vec::new();
    loop {
        let next = input.peek();
        match next.kind {
            TokenKind::End => return Ok((input, body)),
            TokenKind::RightBrace if place != Place::File => return Ok((input, body)),
            TokenKind::Semicolon => {
                input.context.report(
                    Diagnostic::error("semicolon", "`;` does not end a statement", next.span)
                        .help("statements need no mark at their end: delete it"),
                );
                input = input.skip(1);
                continue;
            }
            _ => {}
        }
        if place == Place::File {
            input.context.too_deep.set(false);
        }
        let result = match next.kind {
            TokenKind::Package | TokenKind::Import | TokenKind::At if place == Place::File => {
                clause(input, clauses, &body).map(|(rest, ())| (rest, None))
            }
            _ => statement(input, place).map(|(rest, statement)| (rest, Some(statement))),
        };
        match result {
            Ok((rest, statement)) => {
                if let Some(statement) = statement {
                    hints::check_neighbours(input, body.last(), &statement);
                    body.push(statement);
                }
                input = rest;
            }
            Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) if recovery == Recovery::NextStatement => {
                let resume = next_statement(input, failure.at, place);
                input.context.report_failure(input.at, failure);
                body.push(Statement::Bad(resume.span_from(next.span)));
                input = resume;
            }
            Err(error) => return Err(error),
        }
    }
}

/// `package`, `import` and attributes, which come before the statements.
fn clause<'a>(input: Tokens<'a>, clauses: &mut Clauses, body: &[Statement]) -> Step<'a, ()> {
    let start = input.peek().span;
    let rest = input.skip(1);
    match input.kind() {
        TokenKind::Package => {
            let (rest, name) = cut(identifier).parse(rest)?;
            if clauses.package.is_some() || !clauses.imports.is_empty() || !body.is_empty() {
                let message = "the package clause stands once, at the start of the file";
                input.context.report(Diagnostic::error("late-package", message, rest.span_from(start)));
            }
            clauses.package.get_or_insert(name);
            Ok((rest, ()))
        }
        TokenKind::Import => {
            let (rest, alias) = opt(identifier).parse(rest)?;
            if let Some(name) = &alias
                && !rest.is(TokenKind::String)
            {
                return rest.fail(hints::unquoted_path(input, name.span));
            }
            let (mut rest, path) = cut(token(TokenKind::String)).parse(rest)?;
            let span = rest.span_from(start);
            if word("as")(rest).is_ok() && rest.kind_at(1) == TokenKind::Identifier {
                input.context.report(hints::import_as(rest, path.span));
                rest = rest.skip(2);
            }
            let import = Import { alias, path: literal::string(input.context, path), path_span: path.span, span };
            if let Some(first) = body.iter().find(|statement| !matches!(statement, Statement::Bad(_))) {
                input.context.report(
                    Diagnostic::error("late-import", "imports come before all other statements", span)
                        .also(first_line(input, first.span()), "the first statement")
                        .help("move it to the start of the file"),
                );
            }
            clauses.imports.push(import);
            Ok((rest, ()))
        }
        _ => {
            let (rest, name) = cut(identifier).parse(rest)?;
            let (rest, parameters) =
                if rest.is(TokenKind::LeftParen) { attribute_parameters(rest)? } else { (rest, Vec::new()) };
            clauses.attributes.push(Attribute { name, parameters, span: rest.span_from(start) });
            Ok((rest, ()))
        }
    }
}

fn first_line(input: Tokens, span: Span) -> Span {
    let length = input.context.text_of(span).find('\n').unwrap_or(span.end as usize - span.start as usize);
    Span { start: span.start, end: span.start + length as u32 }
}

fn attribute_parameters(input: Tokens) -> Step<Vec<Expr>> {
    let parameter = |input| expression(input).map(|(rest, value)| (rest, Some(value)));
    comma_separated(input.skip(1), TokenKind::RightParen, parameter, |_| false)
}

fn statement(input: Tokens, place: Place) -> Step<Statement> {
    let next = input.peek();
    match next.kind {
        TokenKind::Return => return_statement(input, place),
        TokenKind::Option if place != Place::Function => option(input),
        TokenKind::Builtin if place == Place::File => builtin(input),
        TokenKind::TestCase if place == Place::File => testcase(input),
        TokenKind::Identifier if input.kind_at(1) == TokenKind::Assign => {
            let (rest, assignment) = assignment(input)?;
            Ok((rest, Statement::Variable(assignment)))
        }
        kind if kind.starts_expression() => {
            if let Some(diagnostic) = hints::foreign_statement(input) {
                return input.fail(diagnostic);
            }
            let (rest, value) = expression(input)?;
            Ok((rest, Statement::Expression(value)))
        }
        _ => input.expected(Wanted::Statement),
    }
}

/// `name = value`.
fn assignment(input: Tokens) -> Step<Assignment> {
    let (rest, name) = identifier(input)?;
    let (rest, _) = token(TokenKind::Assign)(rest)?;
    let (rest, value) = expression(rest)?;
    let span = rest.span_from(name.span);
    Ok((rest, Assignment { name, value, span }))
}

/// `option name = value`, `option package.name = value`.
fn option(input: Tokens) -> Step<Statement> {
    let start = input.peek().span;
    let (rest, first) = cut(identifier).parse(input.skip(1))?;
    let (rest, second) = opt((token(TokenKind::Dot), cut(identifier))).parse(rest)?;
    let (rest, _) = cut(token(TokenKind::Assign)).parse(rest)?;
    let (rest, value) = expression(rest)?;
    let (package, name) = match second {
        Some((_, name)) => (Some(first), name),
        None => (None, first),
    };
    Ok((rest, Statement::Option(OptionStatement { package, name, value, span: rest.span_from(start) })))
}

fn return_statement(input: Tokens, place: Place) -> Step<Statement> {
    let start = input.peek().span;
    let (rest, value) = expression(input.skip(1))?;
    let span = rest.span_from(start);
    if place != Place::Function {
        input.context.report(
            Diagnostic::error("return-outside-function", "`return` outside the block of a function", start)
                .help("an expression on its own is a result of the script: delete `return`"),
        );
        return Ok((rest, Statement::Expression(value)));
    }
    Ok((rest, Statement::Return { value, span }))
}

/// `builtin name : type`.
fn builtin(input: Tokens) -> Step<Statement> {
    let start = input.peek().span;
    let (rest, name) = cut(identifier).parse(input.skip(1))?;
    let (rest, _) = cut(token(TokenKind::Colon)).parse(rest)?;
    let (rest, ()) = type_expression(rest)?;
    Ok((rest, Statement::Builtin { name, span: rest.span_from(start) }))
}

/// `testcase name extends "path" { statements }`.
fn testcase(input: Tokens) -> Step<Statement> {
    let start = input.peek().span;
    let (rest, name) = cut(identifier).parse(input.skip(1))?;
    let (rest, path) = opt((word("extends"), cut(token(TokenKind::String)))).parse(rest)?;
    let extends: Option<Arc<str>> = path.map(|(_, path)| literal::string(input.context, path));
    if !rest.is(TokenKind::LeftBrace) {
        return rest.expected(Expected::from(TokenKind::LeftBrace));
    }
    let (rest, (body, _)) = braces(rest, Place::TestCase)?;
    Ok((rest, Statement::TestCase(TestCase { name, extends, body, span: rest.span_from(start) })))
}

/// Where parsing goes on after the statement at `input` broke at the token `at`: at the next line that is indented no
/// further than the statement and starts like a statement, or at the brace that closes the block.
fn next_statement<'a>(input: Tokens<'a>, at: usize, place: Place) -> Tokens<'a> {
    let limit = input.indentation();
    let mut resume = input.go_to(at.max(input.at + 1));
    loop {
        let next = resume.peek();
        if next.kind == TokenKind::End {
            return resume;
        }
        let starts = next.first_on_line && starts_statement(resume);
        if starts && (resume.indentation() <= limit || is_statement_word(next.kind)) {
            return resume;
        }
        if place != Place::File && next.kind == TokenKind::RightBrace && closes_outside(resume, input.at) {
            return resume;
        }
        resume = resume.skip(1);
    }
}

/// Whether the bracket that the next token closes was opened before the token `start`.
fn closes_outside(input: Tokens, start: usize) -> bool {
    input.context.brackets.partner(input.at).is_none_or(|opening| opening < start)
}

fn starts_statement(input: Tokens) -> bool {
    match input.kind() {
        TokenKind::Identifier | TokenKind::Return | TokenKind::At | TokenKind::If => true,
        kind => is_statement_word(kind) || kind.is_literal(),
    }
}

fn is_statement_word(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Option | TokenKind::Import | TokenKind::Package | TokenKind::Builtin | TokenKind::TestCase
    )
}
