//! Turns diagnostics into text for people (with carets, through miette) and into JSON for programs.
//!
//! Called by the rim only. Nothing here decides what is an error, and nothing here prints.

use std::borrow::Cow;
use std::fmt;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan,
    SpanContents,
};
use serde::Serialize;

use super::{Diagnostic, Severity, Source, Span};

/// Text is wrapped at this many columns, on a terminal too: what is shown does not depend on where.
const WIDTH: usize = 100;

/// How much of an overlong line is shown on either side of the place, in bytes.
const LINE_BYTES: usize = 400;

/// All diagnostics of one source as text with carets, without colour, one after the other.
///
/// The text is the same everywhere: no terminal is asked for its width, its colours or its letters.
pub fn to_text(source: &Source, diagnostics: &[Diagnostic]) -> String {
    render(source, diagnostics, GraphicalTheme::unicode_nocolor())
}

/// All diagnostics of one source as text with carets and colours, for a terminal.
pub fn to_text_colored(source: &Source, diagnostics: &[Diagnostic]) -> String {
    render(source, diagnostics, GraphicalTheme::unicode())
}

/// All diagnostics of one source as a JSON array, one object each: file, line, column, end_line, end_column, severity,
/// code, message, help. Lines and columns count from 1, columns in characters; the end is the place after the last one.
pub fn to_json(source: &Source, diagnostics: &[Diagnostic]) -> String {
    #[derive(Serialize)]
    struct Problem<'a> {
        file: &'a str,
        line: usize,
        column: usize,
        end_line: usize,
        end_column: usize,
        severity: &'static str,
        code: &'static str,
        message: &'a str,
        help: Option<&'a str>,
    }
    let problems: Vec<Problem> = diagnostics
        .iter()
        .map(|diagnostic| {
            let (line, column) = source.line_and_column(diagnostic.span.start);
            let (end_line, end_column) = source.line_and_column(diagnostic.span.end);
            Problem {
                file: &source.name,
                line,
                column,
                end_line,
                end_column,
                severity: match diagnostic.severity {
                    Severity::Warning => "warning",
                    Severity::Error => "error",
                },
                code: diagnostic.code,
                message: &diagnostic.message,
                help: diagnostic.help.as_deref(),
            }
        })
        .collect();
    serde_json::to_string(&problems).expect("strings and numbers always make JSON")
}

fn render(source: &Source, diagnostics: &[Diagnostic], theme: GraphicalTheme) -> String {
    let handler =
        GraphicalReportHandler::new_themed(theme).with_links(false).with_width(WIDTH).without_syntax_highlighting();
    let excerpt = Excerpt { name: visible(&source.name).into_owned(), text: visible(&source.text) };
    let mut text = String::new();
    for diagnostic in diagnostics {
        let report = Report::new(diagnostic, &excerpt);
        handler
            .render_report(&mut text, &report)
            .expect("writing to a string does not fail, and all spans lie within the text");
        text.push('\n');
    }
    text
}

/// The same text, as long in bytes, with control characters shown as `?`: a script may hold escape sequences that a
/// terminal would obey.
fn visible(text: &str) -> Cow<'_, str> {
    let is_control = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            character if !is_control(character) => visible.push(character),
            character => visible.extend(std::iter::repeat_n('?', character.len_utf8())),
        }
    }
    Cow::Owned(visible)
}

/// A diagnostic with its text, as miette wants to see it.
struct Report<'a> {
    diagnostic: &'a Diagnostic,
    message: Cow<'a, str>,
    help: Option<Cow<'a, str>>,
    labels: Vec<LabeledSpan>,
    excerpt: &'a Excerpt<'a>,
}

impl<'a> Report<'a> {
    fn new(diagnostic: &'a Diagnostic, excerpt: &'a Excerpt<'a>) -> Self {
        let words = |text: &str| if text.is_empty() { None } else { Some(visible(text).into_owned()) };
        let primary = excerpt.within_line(diagnostic.span);
        let mut labels = vec![LabeledSpan::new_primary_with_span(words(&diagnostic.label), primary)];
        for label in &diagnostic.labels {
            labels.push(LabeledSpan::new_with_span(words(&label.text), excerpt.within_line(label.span)));
        }
        Report {
            diagnostic,
            message: visible(&diagnostic.message),
            help: diagnostic.help.as_deref().map(visible),
            labels,
            excerpt,
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for Report<'_> {}

impl miette::Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.diagnostic.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// The text of a source. miette's own reading counts columns in bytes and shows whole lines, however long.
struct Excerpt<'t> {
    name: String,
    text: Cow<'t, str>,
}

impl Excerpt<'_> {
    /// The part of a span that lies on its first line and within the text. Where a construct starts is what helps; all
    /// its lines would push the other problems off the screen.
    fn within_line(&self, span: Span) -> SourceSpan {
        let start = self.boundary(span.start as usize);
        let end = self.boundary(span.end as usize).max(start);
        let end = self.text[start..end].find('\n').map_or(end, |length| start + length);
        SourceSpan::new(start.into(), end - start)
    }

    /// The nearest boundary of a character at or before `at`.
    fn boundary(&self, at: usize) -> usize {
        self.text.floor_char_boundary(at)
    }

    /// The start of the line of `at`, and of `before` lines before it; and how many of these there are.
    fn first_line(&self, at: usize, before: usize) -> usize {
        let mut start = self.text[..at].rfind('\n').map_or(0, |line_feed| line_feed + 1);
        for _ in 0..before {
            if start == 0 {
                break;
            }
            start = self.text[..start - 1].rfind('\n').map_or(0, |line_feed| line_feed + 1);
        }
        start
    }

    /// The end of the line of `at`, and of `after` lines after it, line feed included.
    fn last_line(&self, at: usize, after: usize) -> usize {
        let mut end = at;
        for _ in 0..=after {
            end = self.text[end..].find('\n').map_or(self.text.len(), |length| end + length + 1);
        }
        end
    }
}

impl SourceCode for Excerpt<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let start = span.offset();
        let end = start + span.len();
        if end > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        // Without context the place itself is asked for: its line and column stand in the header.
        let (from, to) = if before == 0 && after == 0 {
            (start, end)
        } else {
            let from = self.first_line(start, before).max(self.boundary(start.saturating_sub(LINE_BYTES)));
            let to = self.last_line(end, after).min(self.boundary(end + LINE_BYTES));
            (from, to)
        };
        let line = self.text[..from].matches('\n').count();
        let line_start = self.first_line(from, 0);
        let column = self.text[line_start..from].chars().count();
        let contents = &self.text[from..to];
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            contents.as_bytes(),
            (from, to - from).into(),
            line,
            column,
            contents.matches('\n').count(),
        )))
    }
}
