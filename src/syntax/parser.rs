//! The parser's ground: the token slice as an input of nom, failures with the furthest position and what was expected
//! there, and what all productions share.
//!
//! Called by `syntax::parse`. The productions stand in the modules below; none of them looks at the text, only at tokens.

mod collection;
mod explain;
mod expression;
mod function;
mod hints;
mod literal;
mod statement;
mod types;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use hashbrown::HashSet;
use nom::{IResult, Input, Needed};

use super::MAX_DEPTH;
use super::ast::{
    CallExpr, Expr, ExprId, ExprKind, File, FunctionBody, Identifier, ParameterKind, Property, Statement, StringPart,
};
use super::brackets::Brackets;
use super::problems::Problems;
use super::token::{Token, TokenKind};
use crate::diagnostic::{Diagnostic, Severity, Span};

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

/// What is known of the file, and what is collected while it is parsed.
pub(super) struct Context<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: &'a [Token],
    pub(super) brackets: Brackets,
    /// How deep the productions are nested now.
    depth: Cell<u32>,
    /// The height of each expression's tree, by its id: bounded, so that whoever walks a tree may recurse.
    heights: RefCell<Vec<u16>>,
    /// The names seen so far: one allocation for all uses of a name.
    names: RefCell<HashSet<Arc<str>>>,
    problems: RefCell<Problems>,
    /// A place that was asked for, and the start of its line.
    line_start: Cell<(usize, usize)>,
    /// The statement being parsed has been reported as too deep: once is enough, however wide it is.
    too_deep: Cell<bool>,
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
pub(super) struct Expected(pub(super) u128);

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
    fn peek(&self) -> Token {
        self.context.tokens[self.at.min(self.end)]
    }

    fn kind(&self) -> TokenKind {
        self.peek().kind
    }

    /// The kind of the token `ahead` tokens after the next one.
    fn kind_at(&self, ahead: usize) -> TokenKind {
        self.context.tokens[(self.at + ahead).min(self.end)].kind
    }

    fn is(&self, kind: TokenKind) -> bool {
        self.kind() == kind
    }

    /// Without the next `count` tokens.
    fn skip(&self, count: usize) -> Self {
        self.go_to(self.at + count)
    }

    /// From the token of this index on.
    fn go_to(&self, at: usize) -> Self {
        Tokens { at: at.min(self.end), ..*self }
    }

    /// The text of the next token.
    fn text(&self) -> &'a str {
        self.context.text_of(self.peek().span)
    }

    /// The place of the token before the next one: where a node ends that was read up to here.
    fn end_of_last(&self) -> Span {
        match self.at.checked_sub(1) {
            Some(last) => self.context.tokens[last].span,
            None => Span::new(0, 0),
        }
    }

    /// The place from `start` to the token before the next one.
    fn span_from(&self, start: Span) -> Span {
        let end = self.end_of_last().end.max(start.end);
        Span { start: start.start, end }
    }

    /// How many bytes of blanks the line of the next token starts with.
    fn indentation(&self) -> usize {
        self.indentation_at(self.peek().span)
    }

    /// How many bytes of blanks the line starts with on which `place` starts.
    fn indentation_at(&self, place: Span) -> usize {
        let line = self.context.line_start(place.start as usize);
        let rest = &self.context.text.as_bytes()[line..];
        rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count()
    }

    /// That the next token does not fit, so that another production may try.
    fn expected<T>(&self, expected: impl Into<Expected>) -> Step<'a, T> {
        Err(nom::Err::Error(Failure { at: self.at, expected: expected.into(), diagnostic: None }))
    }

    /// That nothing fits here, in words of its own.
    fn fail<T>(&self, diagnostic: Diagnostic) -> Step<'a, T> {
        let diagnostic = Some(Box::new(diagnostic));
        Err(nom::Err::Failure(Failure { at: self.at, expected: Expected::default(), diagnostic }))
    }

    /// Runs a production one level deeper; refuses beyond [`MAX_DEPTH`] levels.
    fn deeper<T>(&self, production: impl FnOnce(Tokens<'a>) -> Step<'a, T>) -> Step<'a, T> {
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

const TOO_DEEP: &str = "nested-too-deep";

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(TOO_DEEP, format!("nested more than {MAX_DEPTH} levels deep"), span)
        .help("give a part of it a name of its own: `part = ...`")
}

impl<'a> Context<'a> {
    pub(super) fn new(text: &'a str, tokens: &'a [Token]) -> Self {
        Context {
            text,
            tokens,
            brackets: Brackets::new(tokens),
            depth: Cell::new(0),
            heights: RefCell::new(Vec::with_capacity(tokens.len() / 2)),
            names: RefCell::new(HashSet::new()),
            problems: RefCell::new(Problems::default()),
            line_start: Cell::new((0, 0)),
            too_deep: Cell::new(false),
        }
    }

    pub(super) fn into_problems(self) -> Problems {
        self.problems.into_inner()
    }

    pub(super) fn text_of(&self, span: Span) -> &'a str {
        &self.text[span.range()]
    }

    pub(super) fn report(&self, diagnostic: Diagnostic) {
        if diagnostic.code == TOO_DEEP && self.too_deep.replace(true) {
            return;
        }
        self.problems.borrow_mut().push(diagnostic);
    }

    /// The start of the line that holds the byte `at`.
    fn line_start(&self, at: usize) -> usize {
        let (known, known_start) = self.line_start.get();
        // Only what has been added since the last call is searched: a long line would be searched for each statement.
        let (from, otherwise) = if at >= known { (known, known_start) } else { (0, 0) };
        let start = self.text[from..at].rfind('\n').map_or(otherwise, |line_feed| from + line_feed + 1);
        self.line_start.set((at, start));
        start
    }

    /// Reports in words why a production that began at the token `from` failed.
    fn report_failure(&self, from: usize, failure: Failure) {
        if self.problems.borrow().is_full() {
            self.problems.borrow_mut().count(Severity::Error);
            return;
        }
        self.report(explain::failure(self, from, failure));
    }

    /// The text of a name, one allocation for all its uses.
    fn name(&self, text: &str) -> Arc<str> {
        self.names.borrow_mut().get_or_insert_with(text, |text| Arc::from(text)).clone()
    }

    /// An identifier at a place.
    fn identifier(&self, span: Span) -> Identifier {
        Identifier { name: self.name(self.text_of(span)), span }
    }

    fn expr_count(&self) -> u32 {
        self.heights.borrow().len() as u32
    }

    /// A new expression. One that would make the tree too high becomes [`ExprKind::Bad`] and is reported.
    fn expr(&self, kind: ExprKind, span: Span) -> Expr {
        let mut heights = self.heights.borrow_mut();
        let mut height = 0;
        for_each_child(&kind, &mut |child| height = height.max(heights[child.id.0 as usize] + 1));
        let id = ExprId(heights.len() as u32);
        if u32::from(height) <= MAX_DEPTH {
            heights.push(height);
            return Expr { id, kind, span };
        }
        heights.push(0);
        self.report(too_deep(span));
        Expr { id, kind: ExprKind::Bad, span }
    }
}

/// Calls `visit` with every expression directly within `kind`, those in the statements of a block included.
fn for_each_child(kind: &ExprKind, visit: &mut impl FnMut(&Expr)) {
    match kind {
        ExprKind::Identifier(_)
        | ExprKind::Integer(_)
        | ExprKind::Float(_)
        | ExprKind::String(_)
        | ExprKind::Duration(_)
        | ExprKind::Time(_)
        | ExprKind::Regexp(_)
        | ExprKind::Bad => {}
        ExprKind::Interpolated(parts) => {
            for part in parts {
                if let StringPart::Expr(expr) = part {
                    visit(expr);
                }
            }
        }
        ExprKind::Array(elements) => elements.iter().for_each(visit),
        ExprKind::Dict(entries) => {
            for (key, value) in entries {
                visit(key);
                visit(value);
            }
        }
        ExprKind::Record { properties, .. } => visit_properties(properties, visit),
        ExprKind::Function(function) => {
            for parameter in &function.parameters {
                if let ParameterKind::Optional(default) = &parameter.kind {
                    visit(default);
                }
            }
            match &function.body {
                FunctionBody::Expression(body) => visit(body),
                FunctionBody::Block(statements) => {
                    for statement in statements {
                        visit_statement(statement, visit);
                    }
                }
            }
        }
        ExprKind::Call(call) => visit_call(call, visit),
        ExprKind::Pipe { argument, call, .. } => {
            visit(argument);
            visit_call(call, visit);
        }
        ExprKind::Member { object, .. } => visit(object),
        ExprKind::Index { array, index } => {
            visit(array);
            visit(index);
        }
        ExprKind::Unary { operand, .. } => visit(operand),
        ExprKind::Binary { left, right, .. } | ExprKind::Logical { left, right, .. } => {
            visit(left);
            visit(right);
        }
        ExprKind::Conditional { test, consequent, alternate } => {
            visit(test);
            visit(consequent);
            visit(alternate);
        }
        ExprKind::Paren(inner) => visit(inner),
    }
}

fn visit_properties(properties: &[Property], visit: &mut impl FnMut(&Expr)) {
    for property in properties {
        visit(&property.value);
    }
}

fn visit_call(call: &CallExpr, visit: &mut impl FnMut(&Expr)) {
    visit(&call.callee);
    visit_properties(&call.arguments, visit);
}

fn visit_statement(statement: &Statement, visit: &mut impl FnMut(&Expr)) {
    match statement {
        Statement::Expression(value) | Statement::Return { value, .. } => visit(value),
        Statement::Variable(assignment) => visit(&assignment.value),
        Statement::Option(option) => visit(&option.value),
        Statement::TestCase(case) => {
            for statement in &case.body {
                visit_statement(statement, visit);
            }
        }
        Statement::Builtin { .. } | Statement::Bad(_) => {}
    }
}

/// The next token, which must be of this kind.
fn token<'a>(kind: TokenKind) -> impl Fn(Tokens<'a>) -> Step<'a, Token> {
    move |input| {
        if input.is(kind) {
            return Ok((input.skip(1), input.peek()));
        }
        input.expected(kind)
    }
}

/// A name. A keyword in its place gets words of its own.
fn identifier(input: Tokens) -> Step<Identifier> {
    let next = input.peek();
    if next.kind == TokenKind::Identifier {
        return Ok((input.skip(1), input.context.identifier(next.span)));
    }
    input.expected(TokenKind::Identifier)
}

/// A name that must be this word, which is a name elsewhere.
fn word<'a>(expected: &'static str) -> impl Fn(Tokens<'a>) -> Step<'a, Token> {
    move |input| {
        if input.is(TokenKind::Identifier) && input.text() == expected {
            return Ok((input.skip(1), input.peek()));
        }
        input.expected(Expected::default())
    }
}

/// `production` inside the bracket pair whose opening half is the next token. Where it fails although the closing half is
/// known, the failure is reported, `otherwise` stands in, and parsing goes on behind the closing half.
fn bracketed<'a, T>(
    input: Tokens<'a>,
    production: impl FnOnce(Tokens<'a>) -> Step<'a, T>,
    otherwise: impl FnOnce() -> T,
) -> Step<'a, T> {
    let closing = input.context.brackets.partner(input.at);
    match production(input.skip(1)) {
        Err(nom::Err::Error(failure) | nom::Err::Failure(failure)) => match closing {
            Some(closing) if failure.at <= closing => {
                input.context.report_failure(input.at, failure);
                Ok((input.go_to(closing + 1), otherwise()))
            }
            _ => Err(nom::Err::Failure(failure)),
        },
        result => result,
    }
}

/// `item, item, ... close`: with a trailing comma allowed, the close included. `is_item` tells that another item starts
/// where a comma is missing.
fn comma_separated<'a, T>(
    mut input: Tokens<'a>,
    close: TokenKind,
    mut item: impl FnMut(Tokens<'a>) -> Step<'a, Option<T>>,
    is_item: impl Fn(Tokens<'a>) -> bool,
) -> Step<'a, Vec<T>> {
    let mut items = Vec::new();
    loop {
        if input.is(close) {
            return Ok((input.skip(1), items));
        }
        let (rest, parsed) = item(input)?;
        items.extend(parsed);
        input = rest;
        if input.is(TokenKind::Comma) {
            input = input.skip(1);
        } else if input.is(close) {
            continue;
        } else if is_item(input) {
            let message = format!("missing `,` before `{}`", input.text());
            input.context.report(Diagnostic::error("missing-comma", message, input.peek().span));
        } else {
            return Err(nom::Err::Failure(Failure {
                at: input.at,
                expected: Expected::from(TokenKind::Comma).or(close),
                diagnostic: None,
            }));
        }
    }
}

/// The file that these tokens make.
pub(super) fn parse(context: &Context) -> File {
    statement::file(Tokens::all(context))
}
