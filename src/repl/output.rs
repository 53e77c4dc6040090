//! What a session prints, and how: results to one stream, problems and remarks to the other, colours on a terminal only.
//!
//! Made by the command line, used by the REPL. A closed pipe is no error.

use std::io::Write;

use crate::diagnostic::{Diagnostic, Source, render};
use crate::error::Error;

/// The streams of a session.
pub struct Output {
    /// Results.
    pub results: Box<dyn Write + Send>,
    /// Problems and remarks.
    pub problems: Box<dyn Write + Send>,
    /// Whether a person sits at a terminal.
    pub interactive: bool,
    /// Whether colours are wanted.
    pub colored: bool,
    /// The size of the terminal in columns and lines, asked anew each time; `None` where there is none.
    pub size: Box<dyn Fn() -> Option<(u16, u16)> + Send>,
}

/// Printable text that keeps its lines.
fn lines(text: &str) -> String {
    text.lines().map(super::show::printable).collect::<Vec<_>>().join("\n")
}

/// Columns that a plot takes where there is no terminal.
const PLOT_WIDTH: usize = 80;

impl Output {
    /// Whether a person sits at a terminal.
    pub(super) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether colours are wanted.
    pub(super) fn is_colored(&self) -> bool {
        self.colored
    }

    /// The width of the terminal.
    pub(super) fn width(&self) -> Option<usize> {
        (self.size)().map(|(columns, _)| usize::from(columns).max(20))
    }

    /// Columns and lines for plots.
    pub(super) fn plot_size(&self) -> (usize, usize) {
        let (columns, lines) =
            (self.size)().map_or((PLOT_WIDTH, 24), |(columns, lines)| (columns.into(), lines.into()));
        (columns.clamp(40, 200), (lines / 2).clamp(8, 24))
    }

    /// Results as they are.
    pub(super) fn text(&mut self, text: &str) {
        let _ = self.results.write_all(text.as_bytes());
    }

    /// A line of results.
    pub(super) fn line(&mut self, text: &str) {
        self.text(text);
        self.text("\n");
    }

    /// A value with its type.
    pub(super) fn value(&mut self, text: &str, type_text: &str) {
        match self.colored {
            true => self.line(&format!("{text} \u{1b}[2m: {type_text}\u{1b}[0m")),
            false => self.line(&format!("{text} : {type_text}")),
        }
    }

    /// Something about the results, for people.
    pub(super) fn remark(&mut self, text: &str) {
        self.flush();
        let _ = match self.colored {
            true => writeln!(self.problems, "\u{1b}[2m{text}\u{1b}[0m"),
            false => writeln!(self.problems, "{text}"),
        };
    }

    /// A warning.
    pub(super) fn warning(&mut self, text: &str) {
        self.flush();
        let _ = writeln!(self.problems, "warning: {}", lines(text));
    }

    /// An error without a place.
    pub(super) fn error(&mut self, error: &Error) {
        self.flush();
        let red = if self.colored { ("\u{1b}[31m", "\u{1b}[0m") } else { ("", "") };
        let _ = writeln!(self.problems, "{}error:{} {}", red.0, red.1, lines(error.message()));
        if let Some(hint) = error.hint() {
            let _ = writeln!(self.problems, "  help: {}", lines(hint));
        }
    }

    /// Problems of a text, with carets.
    pub(super) fn problems(&mut self, source: &Source, problems: &[Diagnostic]) {
        self.flush();
        let text = match self.colored {
            true => render::to_text_colored(source, problems),
            false => render::to_text(source, problems),
        };
        let _ = self.problems.write_all(text.as_bytes());
    }

    /// Sends on what is held back.
    pub(super) fn flush(&mut self) {
        let _ = self.results.flush();
        let _ = self.problems.flush();
    }
}
