//! What stands in brackets with commas between: arguments, parameters, properties, elements, entries.
//!
//! Called by the printing of expressions. On one line where that fits and where it was written so, else an item a line
//! with a comma behind each.

use super::Printer;
use super::doc::Doc;
use crate::diagnostic::Span;
use crate::syntax::ast::{Expr, ExprKind, FunctionBody, Parameter, ParameterKind, Property};
use crate::syntax::token::TokenKind;

/// The brackets around a list.
pub(super) struct Brackets<'a> {
    pub open: &'static str,
    /// What stands behind the opening one before the first item: `r with`.
    pub head: Option<Doc<'a>>,
    pub close: &'static str,
    /// Where the text behind the opening one (and the head) begins.
    pub opened: u32,
    /// Where the closing one stands.
    pub closes: u32,
}

impl<'a> Printer<'a> {
    /// A list of items at these places.
    pub(super) fn list(
        &mut self,
        brackets: Brackets<'a>,
        places: &[Span],
        mut item: impl FnMut(&mut Self, usize) -> Doc<'a>,
    ) -> Doc<'a> {
        let Brackets { open, head, close, opened, closes } = brackets;
        if places.is_empty() && head.is_none() && self.comment_before(closes).is_none() {
            return Doc::text(format!("{open}{close}"));
        }
        let has_head = head.is_some();
        let mut parts = Vec::new();
        let mut last = opened;
        if places.first().is_some_and(|first| self.line_end_between(opened, first.start)) {
            parts.push(Doc::broken());
        }
        let place_of = |index: usize| places.get(index).map_or(closes, |place| place.start);
        self.same_line(&mut parts, &mut last, place_of(0));
        // The first line within the brackets needs nothing before it, and no empty line.
        let mut begun = false;
        let mut line = |printer: &Self, parts: &mut Vec<Doc<'a>>, last: u32, start: u32| {
            if begun && printer.empty_line_between(last, start) {
                parts.push(Doc::hard());
            }
            parts.push(if begun || has_head { Doc::line() } else { Doc::soft() });
            begun = true;
        };
        for (index, place) in places.iter().enumerate() {
            self.own_lines(&mut parts, &mut last, place.start, &mut line);
            line(self, &mut parts, last, place.start);
            parts.push(item(self, index));
            parts.push(if index + 1 < places.len() { Doc::text(",") } else { Doc::if_broken(",") });
            last = last.max(place.end);
            self.same_line(&mut parts, &mut last, place_of(index + 1));
        }
        self.own_lines(&mut parts, &mut last, closes, &mut line);
        let mut whole = vec![Doc::text(open)];
        whole.extend(head);
        whole.extend([Doc::nest(Doc::concat(parts)), Doc::soft(), Doc::text(close)]);
        Doc::group(Doc::concat(whole))
    }

    /// The arguments of a call. `opened` is the end of the callee, `closes` the place of the closing parenthesis. A single
    /// argument that brings brackets of its own needs no lines for those of the call.
    pub(super) fn arguments(&mut self, arguments: &'a [Property], opened: u32, closes: u32) -> Doc<'a> {
        if let [only] = arguments
            && brings_brackets(&only.value)
            && !self.line_end_between(opened, only.name.span.start)
            && self.comment_before(only.value.span.start).is_none()
            && !self.comment_between(only.value.span.end, closes)
        {
            return Doc::concat(vec![Doc::text("("), self.property(only), Doc::text(")")]);
        }
        let brackets = Brackets { open: "(", head: None, close: ")", opened, closes };
        self.properties(brackets, arguments)
    }

    /// `name: value`s, or names alone.
    pub(super) fn properties(&mut self, brackets: Brackets<'a>, properties: &'a [Property]) -> Doc<'a> {
        let places: Vec<Span> = properties.iter().map(|property| property.name.span.to(property.value.span)).collect();
        self.list(brackets, &places, |printer, index| printer.property(&properties[index]))
    }

    fn property(&mut self, property: &'a Property) -> Doc<'a> {
        let name = Doc::text(self.text_of(property.name.span));
        if property.shorthand {
            return name;
        }
        let value = self.value(&property.value);
        Doc::concat(vec![name, Doc::text(":"), value])
    }

    /// The parameters of a function that starts at `start`.
    pub(super) fn parameters(&mut self, parameters: &'a [Parameter], start: u32) -> Doc<'a> {
        let places: Vec<Span> = parameters
            .iter()
            .map(|parameter| match &parameter.kind {
                ParameterKind::Optional(default) => parameter.name.span.to(default.span),
                ParameterKind::Pipe => {
                    let equals = self.token_from(parameter.name.span.end);
                    parameter.name.span.to(self.token_from(equals.span.end).span)
                }
                ParameterKind::Required => parameter.name.span,
            })
            .collect();
        let mut closing = self.token_from(places.last().map_or(start + 1, |last| last.end));
        if closing.kind == TokenKind::Comma {
            closing = self.token_from(closing.span.end);
        }
        let brackets = Brackets { open: "(", head: None, close: ")", opened: start + 1, closes: closing.span.start };
        self.list(brackets, &places, |printer, index| {
            let parameter = &parameters[index];
            let name = Doc::text(&*parameter.name.name);
            match &parameter.kind {
                ParameterKind::Required => name,
                ParameterKind::Pipe => Doc::concat(vec![name, Doc::text("=<-")]),
                ParameterKind::Optional(default) => {
                    let default = Doc::nest(printer.expr(default));
                    Doc::concat(vec![name, Doc::text("="), default])
                }
            }
        })
    }

    /// `k: v`s of a dictionary.
    pub(super) fn entries(&mut self, brackets: Brackets<'a>, entries: &'a [(Expr, Expr)]) -> Doc<'a> {
        let places: Vec<Span> = entries.iter().map(|(key, value)| key.span.to(value.span)).collect();
        self.list(brackets, &places, |printer, index| {
            let (key, value) = &entries[index];
            let key = printer.expr(key);
            Doc::concat(vec![key, Doc::text(":"), printer.value(value)])
        })
    }

    /// Expressions.
    pub(super) fn items(&mut self, brackets: Brackets<'a>, items: &'a [Expr]) -> Doc<'a> {
        let places: Vec<Span> = items.iter().map(|item| item.span).collect();
        self.list(brackets, &places, |printer, index| printer.expr(&items[index]))
    }
}

/// Whether a value has brackets that may hold its lines: a record, a list, a function with a block or such a value.
pub(super) fn brings_brackets(value: &Expr) -> bool {
    match &value.kind {
        ExprKind::Record { properties, .. } => !properties.is_empty(),
        ExprKind::Array(items) => !items.is_empty(),
        ExprKind::Dict(entries) => !entries.is_empty(),
        ExprKind::Paren(inner) => brings_brackets(inner),
        ExprKind::Function(function) => match &function.body {
            FunctionBody::Block(_) => true,
            FunctionBody::Expression(body) => brings_brackets(body),
        },
        _ => false,
    }
}
