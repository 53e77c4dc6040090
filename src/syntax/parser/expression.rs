//! Expressions: conditionals, operators by their strength, pipes, calls and members, primaries.
//!
//! Called by statements and by everything that holds an expression. Decides by the next token, never by trying twice,
//! so that a text is read in linear time.
//!
//! The productions on the way from one expression to the expression within it are kept small, with what follows the first
//! operand in functions of their own (`..._rest`): their frames are what bounds how deep a text may be nested.

use nom::Parser;
use nom::combinator::cut;

use super::collection::{array_or_dict, record};
use super::function::{arguments, function_or_paren, function_without_parentheses};
use super::{Step, Tokens, Wanted, bracketed, hints, identifier, literal, token};
use crate::syntax::ast::{BinaryOperator, CallExpr, Expr, ExprKind, Identifier, LogicalOperator, UnaryOperator};
use crate::syntax::token::{Token, TokenKind};

/// How strongly an operator binds; the prefixes `not` and `exists` have a place among the binary ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Or,
    And,
    NotExists,
    Comparison,
    Additive,
    Multiplicative,
    Power,
    /// Pipes and all that binds more strongly.
    Pipe,
}

impl Strength {
    /// The next stronger one: what may stand at the right of a left-associative operator.
    fn above(self) -> Strength {
        match self {
            Strength::Or => Strength::And,
            Strength::And => Strength::NotExists,
            Strength::NotExists => Strength::Comparison,
            Strength::Comparison => Strength::Additive,
            Strength::Additive => Strength::Multiplicative,
            Strength::Multiplicative => Strength::Power,
            Strength::Power | Strength::Pipe => Strength::Pipe,
        }
    }
}

/// A binary operator.
pub(super) enum Operator {
    Logical(LogicalOperator),
    Binary(BinaryOperator),
}

/// Any expression.
pub(super) fn expression(input: Tokens) -> Step<Expr> {
    if input.is(TokenKind::If) {
        return input.deeper(conditional);
    }
    input.deeper(|input| binary(input, Strength::Or))
}

/// `if test then consequent else alternate`.
fn conditional(input: Tokens) -> Step<Expr> {
    let start = input.peek().span;
    let (input, test) = expression(input.skip(1))?;
    let (input, _) = cut(token(TokenKind::Then)).parse(input)?;
    let (input, consequent) = expression(input)?;
    if !input.is(TokenKind::Else) {
        return input.fail(hints::missing_else(input, start));
    }
    let input = input.skip(1);
    let (input, alternate) = expression(input)?;
    let kind = ExprKind::Conditional {
        test: Box::new(test),
        consequent: Box::new(consequent),
        alternate: Box::new(alternate),
    };
    Ok((input, input.context.expr(kind, input.span_from(start))))
}

/// Operators that bind at least as strongly as `least`; all of them are left-associative.
fn binary(input: Tokens, least: Strength) -> Step<Expr> {
    let first = match prefix(input) {
        Some(operator) if least <= Strength::NotExists => logical_prefix(input, operator),
        _ => pipe(input),
    };
    match first {
        Ok((input, left)) => binary_rest(input, left, least),
        failed => failed,
    }
}

fn binary_rest<'a>(mut input: Tokens<'a>, mut left: Expr, least: Strength) -> Step<'a, Expr> {
    while let Some((operator, strength)) = operator(input) {
        if strength < least {
            break;
        }
        hints::check_operator(input, &operator);
        let (rest, right) = input.skip(1).deeper(|input| binary(input, strength.above()))?;
        input = rest;
        let span = left.span.to(right.span);
        let (left_box, right_box) = (Box::new(left), Box::new(right));
        let kind = match operator {
            Operator::Logical(operator) => ExprKind::Logical { operator, left: left_box, right: right_box },
            Operator::Binary(operator) => ExprKind::Binary { operator, left: left_box, right: right_box },
        };
        left = input.context.expr(kind, span);
    }
    Ok((input, left))
}

fn prefix(input: Tokens) -> Option<UnaryOperator> {
    match input.kind() {
        TokenKind::Not => Some(UnaryOperator::Not),
        TokenKind::Exists => Some(UnaryOperator::Exists),
        TokenKind::Identifier if hints::is_upper_case_not(input) => {
            input.context.report(hints::upper_case_operator(input, "not"));
            Some(UnaryOperator::Not)
        }
        _ => None,
    }
}

/// `not a`, `exists a`: the operand is a whole comparison.
fn logical_prefix(input: Tokens, operator: UnaryOperator) -> Step<Expr> {
    let start = input.peek().span;
    let (input, operand) = input.skip(1).deeper(|input| binary(input, Strength::NotExists))?;
    let span = start.to(operand.span);
    Ok((input, input.context.expr(ExprKind::Unary { operator, operand: Box::new(operand) }, span)))
}

/// The binary operator that is the next token, if it is one.
fn operator(input: Tokens) -> Option<(Operator, Strength)> {
    use BinaryOperator as B;
    use Operator::{Binary, Logical};
    Some(match input.kind() {
        TokenKind::Or => (Logical(LogicalOperator::Or), Strength::Or),
        TokenKind::And => (Logical(LogicalOperator::And), Strength::And),
        TokenKind::Equal => (Binary(B::Equal), Strength::Comparison),
        TokenKind::NotEqual => (Binary(B::NotEqual), Strength::Comparison),
        TokenKind::Less => (Binary(B::Less), Strength::Comparison),
        TokenKind::LessEqual => (Binary(B::LessEqual), Strength::Comparison),
        TokenKind::Greater => (Binary(B::Greater), Strength::Comparison),
        TokenKind::GreaterEqual => (Binary(B::GreaterEqual), Strength::Comparison),
        TokenKind::Matches => (Binary(B::Matches), Strength::Comparison),
        TokenKind::NotMatches => (Binary(B::NotMatches), Strength::Comparison),
        TokenKind::Plus => (Binary(B::Add), Strength::Additive),
        TokenKind::Minus => (Binary(B::Subtract), Strength::Additive),
        TokenKind::Star => (Binary(B::Multiply), Strength::Multiplicative),
        TokenKind::Slash => (Binary(B::Divide), Strength::Multiplicative),
        TokenKind::Percent => (Binary(B::Modulo), Strength::Multiplicative),
        TokenKind::Caret => (Binary(B::Power), Strength::Power),
        // After an expression `=` starts nothing: a comparison was meant.
        TokenKind::Assign => (Binary(B::Equal), Strength::Comparison),
        TokenKind::Identifier => match hints::upper_case_logical(input)? {
            LogicalOperator::Or => (Logical(LogicalOperator::Or), Strength::Or),
            LogicalOperator::And => (Logical(LogicalOperator::And), Strength::And),
        },
        _ => return None,
    })
}

/// `argument |> call() |> call()`.
fn pipe(input: Tokens) -> Step<Expr> {
    match unary(input) {
        Ok((input, left)) if input.is(TokenKind::PipeForward) => pipe_rest(input, left),
        other => other,
    }
}

fn pipe_rest<'a>(mut input: Tokens<'a>, mut left: Expr) -> Step<'a, Expr> {
    while input.is(TokenKind::PipeForward) {
        let (rest, right) = unary(input.skip(1))?;
        input = rest;
        let call_span = right.span;
        let span = left.span.to(call_span);
        let call = match right.kind {
            ExprKind::Call(call) => call,
            kind => {
                input.context.report(hints::pipe_into_non_call(input.context, &kind, call_span));
                Box::new(CallExpr { callee: Expr { kind, ..right }, arguments: Vec::new() })
            }
        };
        left = input.context.expr(ExprKind::Pipe { argument: Box::new(left), call, call_span }, span);
    }
    Ok((input, left))
}

/// `-a`, `+a`, or what binds more strongly.
fn unary(input: Tokens) -> Step<Expr> {
    match input.kind() {
        TokenKind::Minus => sign(input, UnaryOperator::Minus),
        TokenKind::Plus => sign(input, UnaryOperator::Plus),
        _ => postfix(input),
    }
}

fn sign(input: Tokens, operator: UnaryOperator) -> Step<Expr> {
    let start = input.peek();
    let (input, operand) = input.skip(1).deeper(unary)?;
    let span = start.span.to(operand.span);
    Ok((input, input.context.expr(ExprKind::Unary { operator, operand: Box::new(operand) }, span)))
}

/// A primary with the calls, members and indices after it.
fn postfix(input: Tokens) -> Step<Expr> {
    match primary(input) {
        Ok((input, left)) if starts_postfix(input.kind()) => postfix_rest(input, left),
        other => other,
    }
}

fn starts_postfix(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Dot | TokenKind::LeftParen | TokenKind::LeftBracket)
}

fn postfix_rest<'a>(mut input: Tokens<'a>, mut left: Expr) -> Step<'a, Expr> {
    loop {
        let step = match input.kind() {
            TokenKind::Dot => member(input, left),
            TokenKind::LeftParen => call(input, left),
            TokenKind::LeftBracket => member_or_index(input, left),
            _ => return Ok((input, left)),
        };
        match step {
            Ok((rest, whole)) => (input, left) = (rest, whole),
            failed => return failed,
        }
    }
}

/// `.property` after `object`.
fn member<'a>(input: Tokens<'a>, object: Expr) -> Step<'a, Expr> {
    let start = object.span;
    let (rest, property) = cut(identifier).parse(input.skip(1))?;
    let kind = ExprKind::Member { object: Box::new(object), property, bracketed: false };
    Ok((rest, rest.context.expr(kind, rest.span_from(start))))
}

/// `(arguments)` after `callee`.
fn call<'a>(input: Tokens<'a>, callee: Expr) -> Step<'a, Expr> {
    let start = callee.span;
    let (rest, arguments) = arguments(input)?;
    let kind = ExprKind::Call(Box::new(CallExpr { callee, arguments }));
    Ok((rest, rest.context.expr(kind, rest.span_from(start))))
}

/// `["property"]` or `[index]` after `object`.
fn member_or_index<'a>(input: Tokens<'a>, object: Expr) -> Step<'a, Expr> {
    let start = object.span;
    let inside = input.skip(1);
    let (rest, kind) = if inside.is(TokenKind::String) && inside.kind_at(1) == TokenKind::RightBracket {
        let string = inside.peek();
        let property = Identifier { name: literal::string(input.context, string), span: string.span };
        (inside.skip(2), ExprKind::Member { object: Box::new(object), property, bracketed: true })
    } else {
        let (rest, index) = index(input)?;
        (rest, ExprKind::Index { array: Box::new(object), index: Box::new(index) })
    };
    Ok((rest, rest.context.expr(kind, rest.span_from(start))))
}

/// `[index]`.
fn index(input: Tokens) -> Step<Expr> {
    let inside = |input| enclosed(input, TokenKind::RightBracket);
    bracketed(input, inside, || input.context.expr(ExprKind::Bad, input.peek().span))
}

/// An expression and the token that closes the brackets around it.
pub(super) fn enclosed(input: Tokens, close: TokenKind) -> Step<Expr> {
    match expression(input) {
        Ok((rest, inner)) if rest.is(close) => Ok((rest.skip(1), inner)),
        Ok((rest, _)) => rest.expected(close),
        failed => failed,
    }
}

/// Names, literals and everything in brackets.
fn primary(input: Tokens) -> Step<Expr> {
    match input.kind() {
        TokenKind::Identifier => name(input),
        TokenKind::LeftParen => function_or_paren(input),
        TokenKind::LeftBracket => node(input, array_or_dict),
        TokenKind::LeftBrace => node(input, record),
        TokenKind::StringBegin => node(input, literal::interpolated),
        kind if kind.is_literal() => node(input, literal::literal),
        _ => input.expected(Wanted::Expression),
    }
}

/// The expression of what `kind` reads.
fn node<'a>(input: Tokens<'a>, kind: fn(Tokens<'a>) -> Step<'a, ExprKind>) -> Step<'a, Expr> {
    match kind(input) {
        Ok((rest, kind)) => Ok((rest, rest.context.expr(kind, rest.span_from(input.peek().span)))),
        Err(error) => Err(error),
    }
}

/// A name, or what begins with one by mistake.
fn name(input: Tokens) -> Step<Expr> {
    let name = input.peek();
    if starts_assignment(input, name) {
        return input.expected(Wanted::Expression);
    }
    if input.kind_at(1) == TokenKind::Arrow {
        return function_without_parentheses(input);
    }
    let kind = ExprKind::Identifier(input.context.name(input.context.text_of(name.span)));
    Ok((input.skip(1), input.context.expr(kind, name.span)))
}

/// Whether `next` begins a line `name = value`: then the expression before it was left unfinished.
fn starts_assignment(input: Tokens, next: Token) -> bool {
    next.first_on_line && input.kind_at(1) == TokenKind::Assign
}
