//! The line editor: several lines, history, completion, highlighting and hints over reedline.
//!
//! Used by the command line on a terminal. What completes, what is highlighted and when an input is whole is decided
//! elsewhere; here it meets the editor's traits.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nu_ansi_term::{Color, Style};
use parking_lot::Mutex;
use reedline::{
    Completer, CompletionResult, EditCommand, Emacs, FileBackedHistory, Highlighter, Hinter, History, IdeMenu, KeyCode,
    KeyModifiers, MenuBuilder, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline,
    ReedlineEvent, ReedlineMenu, SearchQuery, Signal, Span, StyledText, Suggestion, ValidationResult, Validator,
    default_emacs_keybindings,
};
use tokio::runtime::Handle;

use super::complete::{self, MeasurementNames, Schema};
use super::session::Session;
use super::{Backend, Next, Repl, command, hint};
use crate::error::{Error, Result};
use crate::functions::library;
use crate::syntax::ast::{ExprKind, Statement};
use crate::syntax::{PieceKind, is_unfinished, parse, pieces};

/// How many inputs the history holds.
const HISTORY_ENTRIES: usize = 10_000;
/// How long completion waits for names of the data.
const NAMES_WITHIN: Duration = Duration::from_millis(400);
/// How long names of the data are believed.
const NAMES_FRESH: Duration = Duration::from_secs(10);
/// The name of the completion menu.
const MENU: &str = "completion";
/// How many candidates are offered.
const MOST_CANDIDATES: usize = 200;

/// What an editor is made from.
pub struct EditorOptions {
    /// The file of earlier input; `None` keeps none.
    pub history: Option<PathBuf>,
    /// The runtime on which names of the data are asked for.
    pub runtime: Handle,
}

/// Reads inputs from the terminal until the user leaves.
///
/// Errors: `Unavailable` if the terminal does not do what an editor needs; whoever called may read plain lines then.
pub fn edit(repl: &mut Repl, options: EditorOptions, mut take: impl FnMut(&mut Repl, &str) -> Next) -> Result<()> {
    let mut editor = editor(repl, &options)?;
    loop {
        match editor.read_line(&FluxPrompt) {
            Ok(Signal::Success(text)) => {
                if take(repl, &text) == Next::Quit {
                    return Ok(());
                }
            }
            Ok(Signal::CtrlD) => return Ok(()),
            // The line is cleared, and the next one begins.
            Ok(_) => {}
            Err(error) => return Err(Error::unavailable(format!("the terminal: {error}"))),
        }
    }
}

fn editor(repl: &mut Repl, options: &EditorOptions) -> Result<Reedline> {
    let names = Names { backend: Arc::clone(&repl.backend), runtime: options.runtime.clone(), known: Mutex::default() };
    let completer = FluxCompleter { session: Arc::clone(&repl.session), names };
    let hinter = FluxHinter { session: Arc::clone(&repl.session), insert: String::new() };
    let mut keys = default_emacs_keybindings();
    let next = vec![ReedlineEvent::Menu(MENU.to_string()), ReedlineEvent::MenuNext];
    keys.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(next));
    keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    let new_line = ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
    keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, new_line);
    // What is typed while a query runs comes with line feeds.
    keys.add_binding(KeyModifiers::CONTROL, KeyCode::Char('j'), ReedlineEvent::Enter);
    let menu = IdeMenu::default().with_name(MENU).with_default_border().with_max_completion_height(10);
    let colored = repl.output.is_colored();
    let mut editor = Reedline::create()
        .with_edit_mode(Box::new(Emacs::new(keys)))
        .with_completer(Box::new(completer))
        .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
        .with_quick_completions(true)
        .with_partial_completions(true)
        .with_validator(Box::new(FluxValidator))
        .with_hinter(Box::new(hinter))
        .with_highlighter(Box::new(FluxHighlighter))
        .with_ansi_colors(colored)
        .use_bracketed_paste(true);
    if let Some(path) = &options.history {
        let made = path.parent().map_or(Ok(()), make_private_folder);
        let history = made.map_err(|error| error.to_string()).and_then(|()| {
            FileBackedHistory::with_file(HISTORY_ENTRIES, path.clone()).map_err(|error| error.to_string())
        });
        match history {
            Ok(history) => {
                editor = editor.with_history(Box::new(history));
                repl.history = Some(path.clone());
            }
            Err(error) => repl.output.warning(&format!("earlier input is not kept: {}: {error}", path.display())),
        }
    }
    Ok(editor)
}

/// Scripts may hold what is nobody else's business.
fn make_private_folder(folder: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Whether a line end in the editor begins another line of the input, not its evaluation.
fn wants_more(text: &str) -> bool {
    let last_is_blank = text.rsplit_once('\n').is_some_and(|(_, last)| last.trim().is_empty());
    if last_is_blank {
        return false;
    }
    if let Some(sql) = command::sql_of(text) {
        return command::is_unfinished_sql(sql);
    }
    if command::is_command(text) {
        return command::query_of(text).is_some_and(is_unfinished);
    }
    is_unfinished(text) || is_bare_from(text)
}

/// Whether it ends with `from(...)` alone, which cannot run: the pipe stands on the next line, as scripts are written.
fn is_bare_from(text: &str) -> bool {
    if !text.trim_end().ends_with(')') {
        return false;
    }
    let parsed = parse(text);
    let value = match parsed.file.body.last() {
        Some(Statement::Expression(expr)) => expr,
        Some(Statement::Variable(assignment)) => &assignment.value,
        _ => return false,
    };
    !parsed.has_errors()
        && matches!(&value.kind, ExprKind::Call(call)
            if matches!(&call.callee.kind, ExprKind::Identifier(name) if &**name == "from"))
}

struct FluxValidator;

impl Validator for FluxValidator {
    fn validate(&self, line: &str) -> ValidationResult {
        if wants_more(line) { ValidationResult::Incomplete } else { ValidationResult::Complete }
    }
}

struct FluxPrompt;

impl Prompt for FluxPrompt {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("flux")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("   | ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let found = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "not found ",
        };
        Cow::Owned(format!(" ({found}earlier: {}) ", search.term))
    }
}

struct FluxHighlighter;

impl Highlighter for FluxHighlighter {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut styled = StyledText::new();
        let mut at = 0;
        let flux = if command::is_command(line) { command::query_of(line).unwrap_or_default() } else { line };
        let offset = line.len() - flux.len();
        if offset > 0 {
            styled.push((Style::new().fg(Color::Cyan), line[..offset].to_string()));
            at = offset;
        }
        let all = pieces(flux);
        for (number, piece) in all.iter().enumerate() {
            let (start, end) = (piece.span.start as usize + offset, piece.span.end as usize + offset);
            if start < at {
                continue;
            }
            if start > at {
                styled.push((Style::new(), line[at..start].to_string()));
            }
            let followed_by = all.get(number + 1).map(|next| &flux[next.span.range()]);
            styled.push((style(piece.kind, followed_by == Some("(")), line[start..end].to_string()));
            at = end;
        }
        if at < line.len() {
            styled.push((Style::new(), line[at..].to_string()));
        }
        styled
    }
}

fn style(kind: PieceKind, is_call: bool) -> Style {
    match kind {
        PieceKind::Name if is_call => Style::new().fg(Color::Blue),
        PieceKind::Name => Style::new(),
        PieceKind::Keyword => Style::new().fg(Color::Purple),
        PieceKind::Number => Style::new().fg(Color::Yellow),
        PieceKind::String | PieceKind::Regexp => Style::new().fg(Color::Green),
        PieceKind::Comment => Style::new().dimmed(),
        PieceKind::Operator => Style::new().fg(Color::Cyan),
        PieceKind::Bracket => Style::new().bold(),
        PieceKind::Problem => Style::new().fg(Color::Red),
    }
}

struct FluxHinter {
    session: Arc<Mutex<Session>>,
    /// What is inserted when the hint is accepted: text of the history, never a signature.
    insert: String,
}

impl Hinter for FluxHinter {
    fn handle(&mut self, line: &str, pos: usize, history: &dyn History, colored: bool, _directory: &str) -> String {
        self.insert.clear();
        if pos != line.len() || line.is_empty() {
            return String::new();
        }
        let earlier = history.search(SearchQuery::last_with_prefix(line.to_string(), history.session()));
        if let Some(earlier) = earlier.ok().and_then(|mut found| found.pop()) {
            self.insert = earlier.command_line.get(line.len()..).unwrap_or_default().to_string();
        }
        let shown = match self.insert.is_empty() {
            true => hint::of_call(line, &self.session.lock(), library()).unwrap_or_default(),
            // Of several lines the first is shown.
            false => self.insert.lines().next().unwrap_or_default().to_string(),
        };
        match colored && !shown.is_empty() {
            true => Style::new().fg(Color::DarkGray).paint(shown).to_string(),
            false => String::new(),
        }
    }

    fn complete_hint(&self) -> String {
        self.insert.clone()
    }

    fn next_hint_token(&self) -> String {
        let end = self.insert.find(char::is_whitespace).map_or(self.insert.len(), |at| at + 1);
        self.insert[..end].to_string()
    }
}

struct FluxCompleter {
    session: Arc<Mutex<Session>>,
    names: Names,
}

impl Completer for FluxCompleter {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let pos = line.floor_char_boundary(pos);
        let (before, after) = line.split_at(pos);
        let session = self.session.lock();
        let found = complete::complete(before, after, &session, library(), &self.names);
        let span = Span::new(found.start, pos);
        let suggestions = found.candidates.into_iter().take(MOST_CANDIDATES).map(|candidate| Suggestion {
            value: candidate.text,
            description: Some(candidate.about).filter(|about| !about.is_empty()),
            span,
            ..Suggestion::default()
        });
        CompletionResult::fresh(suggestions.collect::<Vec<_>>())
    }
}

/// The names in the data, asked for when they are needed and kept for a while.
struct Names {
    backend: Arc<dyn Backend>,
    runtime: Handle,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    buckets: Option<(Instant, Vec<String>)>,
    measurements: HashMap<String, (Instant, Vec<MeasurementNames>)>,
}

impl Names {
    /// The answer to a question, or nothing if it takes too long: a key must not wait for a busy daemon.
    fn ask<T: Default>(&self, question: impl Future<Output = Result<T>>) -> T {
        let answer = async { tokio::time::timeout(NAMES_WITHIN, question).await };
        self.runtime.block_on(answer).ok().and_then(Result::ok).unwrap_or_default()
    }
}

impl Schema for Names {
    fn buckets(&self) -> Vec<String> {
        let mut known = self.known.lock();
        match &known.buckets {
            Some((since, buckets)) if since.elapsed() < NAMES_FRESH => buckets.clone(),
            _ => {
                let buckets = self.ask(self.backend.buckets());
                let names: Vec<String> = buckets.into_iter().map(|bucket| bucket.name).collect();
                known.buckets = Some((Instant::now(), names.clone()));
                names
            }
        }
    }

    fn measurements(&self, bucket: &str) -> Vec<MeasurementNames> {
        let mut known = self.known.lock();
        match known.measurements.get(bucket) {
            Some((since, measurements)) if since.elapsed() < NAMES_FRESH => measurements.clone(),
            _ => {
                let measurements = self.ask(self.backend.measurements(bucket));
                known.measurements.insert(bucket.to_string(), (Instant::now(), measurements.clone()));
                measurements
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parser_decides_when_an_input_is_whole() {
        for text in [
            "from(bucket: \"b\"",
            "from(bucket: \"b\")",
            "x = from(bucket: \"b\")",
            "a |>",
            ":plot a |>",
            "f = () => {",
        ] {
            assert!(wants_more(text), "{text:?}");
        }
        let whole = [
            "1 + 1",
            "from(bucket: \"b\") |> range(start: -1h)",
            "from(bucket: \"b\"\n",
            "a |>\n  ",
            ":help",
            ":plot",
            "",
            "(]",
        ];
        for text in whole {
            assert!(!wants_more(text), "{text:?}");
        }
    }

    #[test]
    fn highlighting_keeps_the_text() {
        for line in ["from(bucket: \"b\") // ü", ":plot a |> b(", "x = \"${a}\" ü & ´", "", ":help x"] {
            let styled = FluxHighlighter.highlight(line, 0);
            let text: String = styled.buffer.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(text, line);
        }
    }
}
