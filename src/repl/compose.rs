//! A script put together from pieces of other texts, and the way back from its places to theirs.
//!
//! Used by the session when it composes, and by the REPL when it shows a problem where the user wrote it.

use std::ops::Range;

use super::session::DefinitionId;
use crate::diagnostic::Span;
use crate::syntax::{PieceKind, pieces};

/// Where a stretch of the script comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The new input.
    Input,
    /// The text of a definition.
    Definition(DefinitionId),
}

/// A place of a text that is written in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// What is replaced.
    pub span: Span,
    /// By what.
    pub text: String,
}

impl Edit {
    /// A replacement.
    pub fn new(span: Span, text: String) -> Edit {
        Edit { span, text }
    }
}

/// A stretch of the script.
#[derive(Debug)]
struct Stretch {
    /// Its place in the script.
    range: Range<usize>,
    origin: Origin,
    /// Its place in the text that it comes from; of another length where it was edited.
    own: Range<usize>,
}

/// A script with the origins of its stretches.
#[derive(Debug)]
pub(super) struct Composed {
    /// The script.
    pub script: String,
    stretches: Vec<Stretch>,
}

impl Composed {
    /// Where a place of the script comes from; `None` for what nobody wrote.
    pub fn origin(&self, span: Span) -> Option<(Origin, Span)> {
        let start = span.start as usize;
        let at = self.stretches.iter().rposition(|stretch| stretch.range.start <= start)?;
        let mut first = &self.stretches[at];
        // At a seam the stretch before is meant if the place is its end and nothing of the next one.
        if span.start == span.end && first.range.start == start && at > 0 {
            let before = &self.stretches[at - 1];
            if before.range.end == start && before.origin == first.origin {
                first = before;
            }
        }
        if start > first.range.end {
            return None;
        }
        let own = |stretch: &Stretch, place: usize| {
            let exact = stretch.range.len() == stretch.own.len();
            let within = place.saturating_sub(stretch.range.start);
            if exact { stretch.own.start + within } else { stretch.own.end.min(stretch.own.start + within) }
        };
        let own_start = if first.range.len() == first.own.len() { own(first, start) } else { first.own.start };
        let end = span.end as usize;
        let last = self.stretches.iter().rfind(|stretch| stretch.origin == first.origin && stretch.range.start < end);
        let own_end = match last {
            Some(last) if end >= last.range.end => last.own.end,
            Some(last) => own(last, end),
            None => own_start,
        };
        Some((first.origin, Span::new(own_start, own_end.max(own_start))))
    }
}

/// Puts a script together.
#[derive(Default)]
pub(super) struct Composer {
    script: String,
    stretches: Vec<Stretch>,
}

impl Composer {
    /// With nothing in it.
    pub fn new() -> Composer {
        Composer::default()
    }

    /// Text that nobody wrote.
    pub fn glue(&mut self, text: &str) {
        self.script.push_str(text);
    }

    /// What comes next begins a line.
    fn line(&mut self) {
        if !self.script.is_empty() && !self.script.ends_with('\n') {
            self.script.push('\n');
        }
    }

    /// Keeps an input that begins with a bracket or a sign from going on with the definition before it: statements have no
    /// separator, and a test case is one that nothing goes on with, and that does nothing.
    pub fn apart(&mut self, input: &str) {
        let first = pieces(input).into_iter().find(|piece| piece.kind != PieceKind::Comment);
        let first = first.map_or("", |piece| &input[piece.span.range()]);
        if !self.script.trim().is_empty() && (first.starts_with(['[', '(', '-', '+', '.', '/'])) {
            self.line();
            self.script.push_str("testcase input {}");
            if !input.starts_with('\n') {
                self.line();
            }
        }
    }

    /// A part of the input.
    pub fn input(&mut self, text: &str, range: Range<usize>, edits: &[Edit]) {
        if range.is_empty() {
            return;
        }
        if !text[range.clone()].starts_with('\n') {
            self.line();
        }
        self.copy(Origin::Input, text, range, edits);
    }

    /// A definition.
    pub fn definition(&mut self, id: DefinitionId, text: &str, edits: &[Edit]) {
        self.line();
        self.copy(Origin::Definition(id), text, 0..text.len(), edits);
        self.line();
    }

    /// A definition with its known value.
    pub fn literal(&mut self, id: DefinitionId, name: &str, literal: &str) {
        self.line();
        let start = self.script.len();
        self.script.push_str(&format!("{name} = {literal}"));
        let range = start..self.script.len();
        self.stretches.push(Stretch { range, origin: Origin::Definition(id), own: 0..name.len() });
        self.line();
    }

    /// An import; its name is written if it is not the last part of the path.
    pub fn import(&mut self, id: DefinitionId, name: &str, path: &str) {
        self.line();
        let start = self.script.len();
        let alias = if path.rsplit('/').next() == Some(name) { String::new() } else { format!("{name} ") };
        let mut quoted = String::new();
        crate::flux::shown::quote(path, &mut quoted);
        self.script.push_str(&format!("import {alias}{quoted}"));
        let range = start..self.script.len();
        self.stretches.push(Stretch { range, origin: Origin::Definition(id), own: 0..0 });
        self.line();
    }

    /// The script.
    pub fn finish(self) -> Composed {
        Composed { script: self.script, stretches: self.stretches }
    }

    fn copy(&mut self, origin: Origin, text: &str, range: Range<usize>, edits: &[Edit]) {
        let mut at = range.start;
        for edit in edits {
            let place = edit.span.range();
            if place.start < at || place.end > range.end {
                continue;
            }
            self.push(origin, &text[at..place.start], at..place.start);
            self.push(origin, &edit.text, place.clone());
            at = place.end;
        }
        self.push(origin, &text[at..range.end], at..range.end);
    }

    fn push(&mut self, origin: Origin, text: &str, own: Range<usize>) {
        if text.is_empty() {
            return;
        }
        let start = self.script.len();
        self.script.push_str(text);
        self.stretches.push(Stretch { range: start..self.script.len(), origin, own });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_lead_back_to_where_they_were_written() {
        let mut composer = Composer::new();
        composer.import(0, "m", "math");
        composer.definition(1, "y = x + 1", &[Edit::new(Span::new(4, 5), "x_1".into())]);
        composer.input("x = y\nz = x |> foo()", 0..20, &[]);
        let composed = composer.finish();
        assert_eq!(composed.script, "import m \"math\"\ny = x_1 + 1\nx = y\nz = x |> foo()");
        let place = |text: &str| {
            let start = composed.script.find(text).unwrap();
            composed.origin(Span::new(start, start + text.len())).unwrap()
        };
        assert_eq!(place("foo()"), (Origin::Input, Span::new(15, 20)));
        assert_eq!(place("x_1"), (Origin::Definition(1), Span::new(4, 5)));
        assert_eq!(place("1\nx"), (Origin::Definition(1), Span::new(8, 9)));
        assert_eq!(place("x_1 + 1"), (Origin::Definition(1), Span::new(4, 9)));
        assert_eq!(place("import").0, Origin::Definition(0));
        let end = composed.script.len();
        assert_eq!(composed.origin(Span::new(end, end)), Some((Origin::Input, Span::new(20, 20))));
    }
}
