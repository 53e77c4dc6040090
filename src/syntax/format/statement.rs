//! Files, blocks and their statements: one a line, with the comments before, behind and after them.
//!
//! Called by `format` and, for blocks, by the printing of functions.

use std::cell::Cell;

use super::Printer;
use super::doc::Doc;
use super::list::Brackets;
use crate::diagnostic::Span;
use crate::syntax::ast::{Attribute, File, Identifier, Import, Statement, TestCase};

/// What stands on a line of its own in a file or a block.
#[derive(Clone, Copy)]
enum Item<'a> {
    Attribute(&'a Attribute),
    Package(&'a Identifier),
    Import(&'a Import),
    Statement(&'a Statement),
}

impl Item<'_> {
    fn span(&self) -> Span {
        match self {
            Item::Attribute(attribute) => attribute.span,
            Item::Package(name) => name.span,
            Item::Import(import) => import.span,
            Item::Statement(statement) => statement.span(),
        }
    }

    /// Whether an empty line stands between the two in any case.
    fn apart_from(&self, next: &Item<'_>) -> bool {
        match self {
            Item::Package(_) => true,
            Item::Import(_) => matches!(next, Item::Statement(_)),
            _ => false,
        }
    }
}

impl<'a> Printer<'a> {
    /// A whole file.
    pub(super) fn file(&mut self, file: &'a File) -> Doc<'a> {
        let mut items: Vec<Item<'a>> = file.attributes.iter().map(Item::Attribute).collect();
        items.extend(file.package.iter().map(Item::Package));
        items.extend(file.imports.iter().map(Item::Import));
        items.extend(file.body.iter().map(Item::Statement));
        items.sort_by_key(|item| item.span().start);
        let end = self.text.len() as u32;
        self.lines(&items, 0, end)
    }

    /// `{`, statements and `}`, each on a line; `open` is the place of the opening brace, `close` that of the closing one.
    pub(super) fn block(&mut self, body: &'a [Statement], open: u32, close: u32) -> Doc<'a> {
        let mut brace = vec![Doc::text("{")];
        let mut opened = open + 1;
        let first = body.first().map_or(close, |first| first.span().start);
        self.same_line(&mut brace, &mut opened, first);
        let items: Vec<Item<'a>> = body.iter().map(Item::Statement).collect();
        let lines = self.lines(&items, opened, close);
        brace.push(Doc::nest(Doc::concat(vec![Doc::hard(), lines])));
        brace.extend([Doc::fresh(), Doc::text("}")]);
        Doc::concat(brace)
    }

    /// Items, each on a line, with the comments from `start` to `close`.
    fn lines(&mut self, items: &[Item<'a>], start: u32, close: u32) -> Doc<'a> {
        let mut parts = Vec::new();
        let mut last = start;
        // An empty line has to stand before the next one.
        let apart = Cell::new(false);
        let line = |printer: &Self, parts: &mut Vec<Doc<'a>>, last: u32, start: u32| {
            let apart = apart.take();
            if parts.is_empty() {
                return;
            }
            parts.push(Doc::hard());
            if apart || printer.empty_line_between(last, start) {
                parts.push(Doc::hard());
            }
        };
        for (index, item) in items.iter().enumerate() {
            let span = item.span();
            self.own_lines(&mut parts, &mut last, span.start, line);
            line(self, &mut parts, last, span.start);
            parts.push(self.item(item));
            last = last.max(span.end);
            let next = items.get(index + 1);
            self.same_line(&mut parts, &mut last, next.map_or(close, |next| next.span().start));
            apart.set(next.is_some_and(|next| item.apart_from(next)));
        }
        self.own_lines(&mut parts, &mut last, close, line);
        Doc::concat(parts)
    }

    fn item(&mut self, item: &Item<'a>) -> Doc<'a> {
        match item {
            Item::Attribute(attribute) => self.attribute(attribute),
            Item::Package(name) => Doc::text(format!("package {}", name.name)),
            Item::Import(import) => {
                let alias = import.alias.as_ref().map(|alias| format!("{} ", alias.name)).unwrap_or_default();
                Doc::text(format!("import {alias}{}", self.text_of(import.path_span)))
            }
            Item::Statement(statement) => self.statement(statement),
        }
    }

    fn attribute(&mut self, attribute: &'a Attribute) -> Doc<'a> {
        let name = Doc::text(format!("@{}", attribute.name.name));
        if self.token_from(attribute.name.span.end).span.start >= attribute.span.end {
            return name;
        }
        let brackets = Brackets {
            open: "(",
            head: None,
            close: ")",
            opened: attribute.name.span.end,
            closes: attribute.span.end - 1,
        };
        Doc::concat(vec![name, self.items(brackets, &attribute.parameters)])
    }

    fn statement(&mut self, statement: &'a Statement) -> Doc<'a> {
        match statement {
            Statement::Expression(value) => self.expr(value),
            Statement::Variable(assignment) => {
                let name = Doc::text(format!("{} =", assignment.name.name));
                Doc::concat(vec![name, self.value(&assignment.value)])
            }
            Statement::Option(option) => {
                let package = option.package.as_ref().map(|package| format!("{}.", package.name)).unwrap_or_default();
                let name = Doc::text(format!("option {package}{} =", option.name.name));
                Doc::concat(vec![name, self.value(&option.value)])
            }
            Statement::Return { value, .. } => Doc::concat(vec![Doc::text("return"), self.value(value)]),
            Statement::Builtin { span, .. } | Statement::Bad(span) => {
                self.pass_comments(span.end);
                Doc::text(self.text_of(*span))
            }
            Statement::TestCase(case) => self.testcase(case),
        }
    }

    fn testcase(&mut self, case: &'a TestCase) -> Doc<'a> {
        let mut head = format!("testcase {} ", case.name.name);
        let mut open = self.token_from(case.name.span.end);
        if case.extends.is_some() {
            let path = self.token_from(open.span.end);
            head.push_str(&format!("extends {} ", self.text_of(path.span)));
            open = self.token_from(path.span.end);
        }
        let block = self.block(&case.body, open.span.start, case.span.end - 1);
        Doc::concat(vec![Doc::text(head), block])
    }
}
