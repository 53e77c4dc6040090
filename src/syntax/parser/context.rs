//! What the productions share: the text, the brackets, the problems, and the making of expressions, whose trees are bounded.
//!
//! Used by all productions through their input.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use hashbrown::HashSet;

use super::explain;
use super::input::Failure;
use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::syntax::MAX_DEPTH;
use crate::syntax::ast::{
    CallExpr, Expr, ExprId, ExprKind, FunctionBody, Identifier, ParameterKind, Property, Statement, StringPart,
};
use crate::syntax::brackets::Brackets;
use crate::syntax::problems::Problems;
use crate::syntax::token::Token;

/// What is known of the file, and what is collected while it is parsed.
pub(in crate::syntax) struct Context<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: &'a [Token],
    pub(super) brackets: Brackets,
    /// How deep the productions are nested now.
    pub(super) depth: Cell<u32>,
    /// The height of each expression's tree, by its id: bounded, so that whoever walks a tree may recurse.
    heights: RefCell<Vec<u16>>,
    /// The names seen so far: one allocation for all uses of a name.
    names: RefCell<HashSet<Arc<str>>>,
    problems: RefCell<Problems>,
    /// A place that was asked for, and the start of its line.
    line_start: Cell<(usize, usize)>,
    /// The statement being parsed has been reported as too deep: once is enough, however wide it is.
    pub(super) too_deep: Cell<bool>,
    /// Whether a failure was found at the end of the text only, or before it.
    fails: Cell<Fails>,
}

/// Where a text fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fails {
    Nowhere,
    AtEnd,
    Before,
}

const TOO_DEEP: &str = "nested-too-deep";

/// That a text is nested beyond [`MAX_DEPTH`].
pub(super) fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(TOO_DEEP, format!("nested more than {MAX_DEPTH} levels deep"), span)
        .help("give a part of it a name of its own: `part = ...`")
}

impl<'a> Context<'a> {
    pub(in crate::syntax) fn new(text: &'a str, tokens: &'a [Token]) -> Self {
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
            fails: Cell::new(Fails::Nowhere),
        }
    }

    /// Whether all that is wrong with the text is that it ends too early.
    pub(in crate::syntax) fn ended_early(&self) -> bool {
        self.fails.get() == Fails::AtEnd
    }

    pub(in crate::syntax) fn into_problems(self) -> Problems {
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
    pub(super) fn line_start(&self, at: usize) -> usize {
        let (known, known_start) = self.line_start.get();
        // Only what has been added since the last call is searched: a long line would be searched for each statement.
        let (from, otherwise) = if at >= known { (known, known_start) } else { (0, 0) };
        let start = self.text[from..at].rfind('\n').map_or(otherwise, |line_feed| from + line_feed + 1);
        self.line_start.set((at, start));
        start
    }

    /// Reports in words why a production that began at the token `from` failed.
    pub(super) fn report_failure(&self, from: usize, failure: Failure) {
        let at_end = failure.at + 1 >= self.tokens.len() && self.fails.get() == Fails::Nowhere;
        // Words of its own mean that it is wrong as it stands, but for an `else` that may follow.
        let may_go_on = failure.diagnostic.as_ref().is_none_or(|diagnostic| diagnostic.code == "missing-else");
        self.fails.set(if at_end && may_go_on { Fails::AtEnd } else { Fails::Before });
        if self.problems.borrow().is_full() {
            self.problems.borrow_mut().count(Severity::Error);
            return;
        }
        self.report(explain::failure(self, from, failure));
    }

    /// The text of a name, one allocation for all its uses.
    pub(super) fn name(&self, text: &str) -> Arc<str> {
        self.names.borrow_mut().get_or_insert_with(text, |text| Arc::from(text)).clone()
    }

    /// An identifier at a place.
    pub(super) fn identifier(&self, span: Span) -> Identifier {
        Identifier { name: self.name(self.text_of(span)), span }
    }

    pub(super) fn expr_count(&self) -> u32 {
        self.heights.borrow().len() as u32
    }

    /// A new expression. One that would make the tree too high becomes [`ExprKind::Bad`] and is reported.
    pub(super) fn expr(&self, kind: ExprKind, span: Span) -> Expr {
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
