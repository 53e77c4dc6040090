//! Expressions: pipes one a line, operators and conditionals broken before what they continue with.
//!
//! Called by the printing of statements and lists. Parentheses are neither added nor taken away.

use super::Printer;
use super::doc::Doc;
use super::list::{Brackets, brings_brackets};
use crate::diagnostic::Span;
use crate::syntax::ast::{
    BinaryOperator, CallExpr, Expr, ExprKind, FunctionBody, FunctionExpr, Identifier, LogicalOperator, Property,
    UnaryOperator,
};
use crate::syntax::token::TokenKind;

/// A chain of operators that bind equally, from left to right.
struct Chain<'a> {
    first: &'a Expr,
    /// Operators with their right operands.
    rest: Vec<(&'static str, &'a Expr)>,
}

impl<'a> Printer<'a> {
    /// What follows `=`, `:`, `=>` or `return`, the blank or the line end before it included.
    pub(super) fn value(&mut self, value: &'a Expr) -> Doc<'a> {
        let own_line =
            matches!(value.kind, ExprKind::Binary { .. } | ExprKind::Logical { .. } | ExprKind::Conditional { .. });
        if let Some(comments) = self.before_expression(value.span.start) {
            let printed = self.kind(value);
            return Doc::nest(Doc::concat(vec![Doc::text(" "), comments, printed]));
        }
        let printed = self.kind(value);
        if own_line {
            return Doc::group(Doc::nest(Doc::concat(vec![Doc::line(), printed])));
        }
        Doc::concat(vec![Doc::text(" "), printed])
    }

    /// An expression with the comments before it.
    pub(super) fn expr(&mut self, expr: &'a Expr) -> Doc<'a> {
        let comments = self.before_expression(expr.span.start);
        let printed = self.kind(expr);
        match comments {
            Some(comments) => Doc::concat(vec![comments, printed]),
            None => printed,
        }
    }

    /// An expression by its kind. Small, as all that print expressions within others: a text may be nested deep.
    fn kind(&mut self, expr: &'a Expr) -> Doc<'a> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Identifier(name) => Doc::text(&**name),
            ExprKind::Integer(_)
            | ExprKind::Float(_)
            | ExprKind::String(_)
            | ExprKind::Duration(_)
            | ExprKind::Time(_)
            | ExprKind::Regexp(_)
            | ExprKind::Interpolated(_)
            | ExprKind::Bad => {
                self.pass_comments(span.end);
                Doc::text(self.text_of(span))
            }
            ExprKind::Array(items) => self.items(brackets("[", "]", span), items),
            ExprKind::Dict(entries) if entries.is_empty() => self.empty_dict(span),
            ExprKind::Dict(entries) => self.entries(brackets("[", "]", span), entries),
            ExprKind::Record { with, properties } => self.record(span, with.as_ref(), properties),
            ExprKind::Function(function) => self.function(function),
            ExprKind::Call(call) => self.call(span, call),
            ExprKind::Pipe { .. } => self.pipe(expr),
            ExprKind::Member { object, property, bracketed } => self.member(object, property, *bracketed),
            ExprKind::Index { array, index } => {
                let array = self.expr(array);
                let index = self.enclosed(index, span.end - 1);
                Doc::concat(vec![array, Doc::text("["), index, Doc::text("]")])
            }
            ExprKind::Unary { operator, operand } => self.unary(*operator, operand),
            ExprKind::Binary { .. } | ExprKind::Logical { .. } => self.chain(expr),
            ExprKind::Conditional { .. } => self.conditionals(expr),
            ExprKind::Paren(inner) => {
                let inner = self.enclosed(inner, span.end - 1);
                Doc::concat(vec![Doc::text("("), inner, Doc::text(")")])
            }
        }
    }

    fn record(&mut self, span: Span, with: Option<&'a Identifier>, properties: &'a [Property]) -> Doc<'a> {
        let mut brackets = brackets("{", "}", span);
        if let Some(with) = with {
            let word = self.token_from(with.span.end);
            brackets.head = Some(Doc::text(format!("{} with", with.name)));
            brackets.opened = word.span.end;
        }
        self.properties(brackets, properties)
    }

    fn call(&mut self, span: Span, call: &'a CallExpr) -> Doc<'a> {
        let callee = self.expr(&call.callee);
        let arguments = self.arguments(&call.arguments, call.callee.span.end, span.end - 1);
        Doc::concat(vec![callee, arguments])
    }

    fn member(&mut self, object: &'a Expr, property: &'a Identifier, bracketed: bool) -> Doc<'a> {
        let left = self.expr(object);
        let right = self.text_of(property.span);
        let right = match bracketed {
            true => format!("[{right}]"),
            // `1.a` would be a float and a name.
            false if is_number(object) => format!(" .{right}"),
            false => format!(".{right}"),
        };
        Doc::concat(vec![left, Doc::text(right)])
    }

    fn unary(&mut self, operator: UnaryOperator, operand: &'a Expr) -> Doc<'a> {
        let symbol = match operator {
            UnaryOperator::Minus => "-",
            UnaryOperator::Plus => "+",
            UnaryOperator::Not => "not ",
            UnaryOperator::Exists => "exists ",
        };
        Doc::concat(vec![Doc::text(symbol), self.expr(operand)])
    }

    fn conditionals(&mut self, expr: &'a Expr) -> Doc<'a> {
        let mut parts = Vec::new();
        self.conditional(expr, &mut parts);
        Doc::group(Doc::concat(parts))
    }

    /// What stands between two brackets, up to the closing one at `closes`.
    fn enclosed(&mut self, inner: &'a Expr, closes: u32) -> Doc<'a> {
        let plain = self.comment_before(inner.span.start).is_none();
        let printed = self.expr(inner);
        let mut parts = vec![printed];
        let mut last = inner.span.end;
        self.same_line(&mut parts, &mut last, closes);
        self.own_lines(&mut parts, &mut last, closes, |_, parts, _, _| parts.push(Doc::hard()));
        if parts.len() == 1 && plain && (brings_brackets(inner) || matches!(inner.kind, ExprKind::Function(_))) {
            return Doc::concat(parts);
        }
        let inside = Doc::nest(Doc::concat(vec![Doc::soft(), Doc::concat(parts)]));
        Doc::group(Doc::concat(vec![inside, Doc::soft()]))
    }

    /// `[:]`, whatever comments stand in it.
    fn empty_dict(&mut self, span: Span) -> Doc<'a> {
        if self.comment_before(span.end).is_none() {
            return Doc::text("[:]");
        }
        let mut parts = vec![Doc::text("[:")];
        let mut last = span.start;
        self.same_line(&mut parts, &mut last, span.end);
        self.own_lines(&mut parts, &mut last, span.end, |_, parts, _, _| parts.push(Doc::hard()));
        parts.extend([Doc::hard(), Doc::text("]")]);
        Doc::concat(parts)
    }

    fn function(&mut self, function: &'a FunctionExpr) -> Doc<'a> {
        let parameters = self.parameters(&function.parameters, function.span.start);
        let body = match &function.body {
            FunctionBody::Block(statements) => {
                let close = function.span.end - 1;
                let open = self.open_of_block(function, statements.first().map_or(close, |first| first.span().start));
                let comments = self.before_expression(open);
                let block = self.block(statements, open, close);
                let mut parts = vec![Doc::text(" ")];
                parts.extend(comments);
                parts.push(block);
                Doc::concat(parts)
            }
            FunctionBody::Expression(body) if self.is_broken_pipe(body) => {
                let body = self.expr(body);
                Doc::nest(Doc::concat(vec![Doc::fresh(), body]))
            }
            FunctionBody::Expression(body) => self.value(body),
        };
        Doc::concat(vec![parameters, Doc::text(" =>"), body])
    }

    /// The place of the brace that opens the block of a function, which is the last one before its first statement.
    fn open_of_block(&self, function: &FunctionExpr, before: u32) -> u32 {
        let end = self.tokens.partition_point(|token| token.span.start < before);
        let within = self.tokens[..end].iter().rev();
        let mut within = within.take_while(|token| token.span.start >= function.span.start);
        let brace = within.find(|token| token.kind == TokenKind::LeftBrace);
        brace.map_or(function.span.start, |token| token.span.start)
    }

    /// The pipes of a chain with what is piped first.
    fn pipes(expr: &'a Expr) -> (&'a Expr, Vec<(&'a CallExpr, Span)>) {
        let mut calls = Vec::new();
        let mut first = expr;
        while let ExprKind::Pipe { argument, call, call_span } = &first.kind {
            calls.push((&**call, *call_span));
            first = argument;
        }
        calls.reverse();
        (first, calls)
    }

    /// Whether it is a chain of pipes that takes several lines: two pipes or more, or one that was written so.
    fn is_broken_pipe(&self, expr: &'a Expr) -> bool {
        let (first, calls) = Self::pipes(expr);
        match calls.as_slice() {
            [] => false,
            [(_, call)] => self.line_end_between(first.span.end, call.start),
            _ => true,
        }
    }

    fn pipe(&mut self, expr: &'a Expr) -> Doc<'a> {
        let broken = self.is_broken_pipe(expr);
        let (first, calls) = Self::pipes(expr);
        let base = self.expr(first);
        let mut last = first.span.end;
        let mut parts = Vec::new();
        for (call, span) in calls {
            self.same_line(&mut parts, &mut last, span.start);
            self.own_lines(&mut parts, &mut last, span.start, |printer, parts, last, start| {
                printer.pipe_line(parts, last, start, true);
            });
            self.pipe_line(&mut parts, last, span.start, broken);
            parts.push(Doc::text("|> "));
            parts.push(self.expr(&call.callee));
            parts.push(self.arguments(&call.arguments, call.callee.span.end, span.end - 1));
            last = span.end;
        }
        Doc::group(Doc::concat(vec![base, Doc::nest(Doc::concat(parts))]))
    }

    fn pipe_line(&self, parts: &mut Vec<Doc<'a>>, last: u32, start: u32, broken: bool) {
        if self.empty_line_between(last, start) {
            parts.push(Doc::hard());
        }
        parts.push(if broken { Doc::hard() } else { Doc::line() });
    }

    /// Operators that bind equally break together.
    fn chain(&mut self, expr: &'a Expr) -> Doc<'a> {
        let Chain { first, rest } = chain_of(expr);
        let mut parts = vec![self.expr(first)];
        let mut last = first.span.end;
        for (operator, operand) in rest {
            self.same_line(&mut parts, &mut last, operand.span.start);
            self.own_lines(&mut parts, &mut last, operand.span.start, |_, parts, _, _| parts.push(Doc::hard()));
            parts.push(Doc::line());
            parts.push(Doc::text(format!("{operator} ")));
            parts.push(self.expr(operand));
            last = operand.span.end;
        }
        Doc::group(Doc::concat(parts))
    }

    /// `if`, `then`, `else if`, ..., `else`: all on one line, or every value on its own.
    fn conditional(&mut self, expr: &'a Expr, parts: &mut Vec<Doc<'a>>) {
        let ExprKind::Conditional { test, consequent, alternate } = &expr.kind else { return };
        parts.push(Doc::text("if "));
        parts.push(Doc::nest(self.expr(test)));
        parts.push(Doc::text(" then"));
        let consequent = self.expr(consequent);
        parts.push(Doc::nest(Doc::concat(vec![Doc::line(), consequent])));
        parts.push(Doc::line());
        parts.push(Doc::text("else"));
        if matches!(alternate.kind, ExprKind::Conditional { .. }) && self.comment_before(alternate.span.start).is_none()
        {
            parts.push(Doc::text(" "));
            self.conditional(alternate, parts);
            return;
        }
        let alternate = self.expr(alternate);
        parts.push(Doc::nest(Doc::concat(vec![Doc::line(), alternate])));
    }
}

/// The brackets of an expression that begins and ends with them.
fn brackets<'a>(open: &'static str, close: &'static str, span: Span) -> Brackets<'a> {
    Brackets { open, head: None, close, opened: span.start + 1, closes: span.end - 1 }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Integer(_) | ExprKind::Float(_) | ExprKind::Duration(_) | ExprKind::Time(_))
}

fn chain_of(expr: &Expr) -> Chain<'_> {
    let strength = operator_of(expr).map(|(_, strength, _, _)| strength);
    let mut rest = Vec::new();
    let mut first = expr;
    while let Some((symbol, own, left, right)) = operator_of(first) {
        if Some(own) != strength {
            break;
        }
        rest.push((symbol, right));
        first = left;
    }
    rest.reverse();
    Chain { first, rest }
}

/// The operator of an expression, how strongly it binds, and its operands.
fn operator_of(expr: &Expr) -> Option<(&'static str, u8, &Expr, &Expr)> {
    match &expr.kind {
        ExprKind::Logical { operator, left, right } => match operator {
            LogicalOperator::Or => Some(("or", 0, left, right)),
            LogicalOperator::And => Some(("and", 1, left, right)),
        },
        ExprKind::Binary { operator, left, right } => {
            let strength = match operator {
                BinaryOperator::Add | BinaryOperator::Subtract => 3,
                BinaryOperator::Multiply | BinaryOperator::Divide | BinaryOperator::Modulo => 4,
                BinaryOperator::Power => 5,
                _ => 2,
            };
            Some((operator.symbol(), strength, left, right))
        }
        _ => None,
    }
}
