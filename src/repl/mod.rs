//! `fluxmill repl`: Flux by the line, with what earlier lines have defined, and commands that begin with a colon.
//!
//! Started by the command line, which gives it a [`Backend`] and the streams that it prints to. Every input becomes a whole
//! script (`session`) that the backend runs; problems are shown where the user wrote them. Nothing that is typed makes it
//! panic, and nothing but `:as-task` and the history touches a file.

pub mod backend;
mod command;
mod complete;
mod compose;
mod doc;
mod editor;
mod hint;
mod lines;
mod output;
mod plot;
mod session;
mod show;
mod sql;
mod task_file;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::diagnostic::{Diagnostic, Source, nearest};
use crate::engine::session::{Event, Problem, RowLimits, ShownValue, Totals};
use crate::error::{Error, Result};
use crate::functions::library;
use crate::syntax;
use crate::syntax::ast::Statement;
use crate::table::json_lines::json_lines;
use crate::table::{Chunk, Name, csv};
use crate::time::rfc3339;

pub use backend::{Backend, BucketNames, NoData, Script};
pub use complete::MeasurementNames;
pub use editor::{EditorOptions, edit};
pub use lines::read_lines;
pub use output::Output;

use command::{Command, Format, Setting};
use compose::{Composed, Origin};
use session::{Input, Session, Values};
use show::Layout;

/// The name of the input in messages.
const INPUT: &str = "<repl>";
/// How many rows are shown if nothing is set.
const USUAL_ROWS: usize = 100;
/// How many rows are fetched when all are wanted.
const ALL_ROWS: usize = 1_000_000;
/// How many points of a series are plotted.
const PLOTTED_ROWS: usize = 20_000;

/// What to do after an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the next one.
    Read,
    /// End.
    Quit,
}

/// What `:set` sets.
#[derive(Clone, Copy, Debug)]
struct Settings {
    now_ns: Option<i64>,
    limit: Option<usize>,
    format: Format,
    timing: bool,
}

/// A session.
pub struct Repl {
    backend: Arc<dyn Backend>,
    /// Shared with completion.
    session: Arc<Mutex<Session>>,
    settings: Settings,
    output: Output,
    tasks_dir: PathBuf,
    history: Option<PathBuf>,
    /// Whether an input has failed.
    failed: bool,
}

/// What a run told.
#[derive(Default)]
struct Told {
    csv: String,
    cut: HashMap<usize, u64>,
    values: Vec<ShownValue>,
    warnings: Vec<Problem>,
    end: Option<Event>,
}

impl Repl {
    /// A session over a backend that prints to `output`; `:as-task` writes to `tasks_dir`.
    pub fn new(backend: Arc<dyn Backend>, output: Output, tasks_dir: PathBuf) -> Repl {
        let settings =
            Settings { now_ns: None, limit: Some(USUAL_ROWS), format: Format::Table, timing: output.is_interactive() };
        let session = Arc::default();
        Repl { backend, session, settings, output, tasks_dir, history: None, failed: false }
    }

    /// Whether an input has failed so far.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Takes one input: Flux or a command. Dropping the future cancels what runs; nothing is defined then.
    pub async fn take(&mut self, text: &str) -> Next {
        if text.trim().is_empty() {
            return Next::Read;
        }
        let outcome = match command::is_command(text) {
            true => match command::parse(text) {
                Ok(Command::Quit) => return Next::Quit,
                Ok(command) => self.obey(command).await,
                Err(error) => Err(error),
            },
            false => self.run(text).await,
        };
        if let Err(error) = outcome {
            self.failed = true;
            self.output.error(&error);
        }
        self.output.flush();
        Next::Read
    }

    async fn obey(&mut self, command: Command) -> Result<()> {
        match command {
            Command::Help(None) => self.help(),
            Command::Help(Some(name)) => {
                let name = name.trim_start_matches(':');
                match command::COMMANDS.iter().find(|command| command.name == name) {
                    Some(known) => {
                        self.output.line(&format!(":{} {}\n    {}", known.name, known.arguments, known.does))
                    }
                    // Whoever asks for help on a function wants its page.
                    None => self.doc(name)?,
                }
            }
            Command::Doc(name) => self.doc(&name)?,
            Command::Buckets(None) => self.buckets().await?,
            Command::Buckets(Some(bucket)) => self.measurements(&bucket).await?,
            Command::Explain(query) => self.explain(query.as_deref()).await?,
            Command::Plot(query) => self.plot(query.as_deref()).await?,
            Command::Sql(query) => self.sql(&query).await?,
            Command::AsTask { name, every, path } => self.as_task(&name, every.as_deref(), path.as_deref())?,
            Command::Names => self.names(),
            Command::Set(None) => self.settings(),
            Command::Set(Some(setting)) => match setting {
                Setting::Now(now_ns) => self.settings.now_ns = now_ns,
                Setting::Limit(rows) => self.settings.limit = rows,
                Setting::Format(format) => self.settings.format = format,
                Setting::Timing(on) => self.settings.timing = on,
            },
            Command::Reset => self.session.lock().reset(),
            Command::History => match &self.history {
                Some(path) => self.output.line(&path.display().to_string()),
                None => self.output.line("earlier input is not kept"),
            },
            Command::Quit => {}
        }
        Ok(())
    }

    fn help(&mut self) {
        let mut text = String::new();
        for command in &command::COMMANDS {
            let usage = format!(":{} {}", command.name, command.arguments);
            text.push_str(&format!("{usage:<32} {}\n", command.does));
        }
        text.push_str(
            "\nAnything else is Flux. An input ends where the parser finds it whole; an empty line ends it anyway.\n\
             Names stay defined and may be defined again. A line that begins with |> goes on from the last query.\n\
             Tab completes, Alt-Enter begins a new line, Ctrl-C cancels, Ctrl-R searches earlier input, Ctrl-D leaves.",
        );
        self.output.line(&text);
    }

    fn doc(&mut self, name: &str) -> Result<()> {
        let text = doc::of(name, &self.session.lock(), library())?;
        self.output.line(&text);
        Ok(())
    }

    fn names(&mut self) {
        let session = self.session.lock();
        let shown = session.names().map(|one| {
            let what = if one.type_text.is_empty() { one.text.clone() } else { one.type_text.clone() };
            format!("{:<20} {}", one.name, what.replace('\n', " "))
        });
        let lines: Vec<String> = shown.collect();
        drop(session);
        let text = if lines.is_empty() { "nothing is defined yet".to_string() } else { lines.join("\n") };
        self.output.line(&text);
    }

    fn settings(&mut self) {
        let settings = self.settings;
        let now = settings.now_ns.map_or("off (the clock)".to_string(), rfc3339::to_short_text);
        let limit = settings.limit.map_or("off (all rows)".to_string(), |rows| rows.to_string());
        let timing = if settings.timing { "on" } else { "off" };
        self.output.line(&format!("format {}\nlimit  {limit}\nnow    {now}\ntiming {timing}", settings.format.name()));
    }

    async fn buckets(&mut self) -> Result<()> {
        let buckets = self.backend.buckets().await?;
        if buckets.is_empty() {
            self.output.line("no buckets yet");
        }
        let wide = buckets.iter().map(|bucket| bucket.name.chars().count()).max().unwrap_or(0);
        for bucket in buckets {
            let kept = bucket.retention_s.map_or("for ever".to_string(), |seconds| {
                crate::time::Duration::from_nanoseconds((seconds as i64).saturating_mul(1_000_000_000)).to_string()
            });
            self.output.line(&format!("{:<wide$}  kept {kept}  topics {}", bucket.name, bucket.topics.join(", ")));
        }
        Ok(())
    }

    async fn measurements(&mut self, bucket: &str) -> Result<()> {
        let measurements = self.backend.measurements(bucket).await?;
        if measurements.is_empty() {
            self.output.line(&format!("bucket {bucket} holds nothing yet"));
        }
        for measurement in measurements {
            let fields = measurement.fields.iter().map(|(name, kind)| format!("{name}:{kind}"));
            self.output.line(&format!(
                "{}\n    tags   {}\n    fields {}",
                measurement.name,
                measurement.tags.join(", "),
                fields.collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(())
    }

    fn script(&self, composed: &Composed) -> Script {
        Script { text: composed.script.clone(), now_ns: self.settings.now_ns }
    }

    /// The text that a command works on: what it was given, or the last query.
    fn query_text(&self, given: Option<&str>) -> Result<String> {
        if let Some(given) = given {
            return Ok(self.continued(given).0);
        }
        let session = self.session.lock();
        let last = session.last.as_ref().map(|query| query.text.clone());
        last.ok_or_else(|| {
            Error::failed_precondition("there is no query yet").with_hint("enter one, or give it after the command")
        })
    }

    /// The text with the last query in front of it if it begins with a pipe, and whether it does.
    fn continued(&self, text: &str) -> (String, bool) {
        let session = self.session.lock();
        match (&session.last, text.trim_start().starts_with("|>")) {
            (Some(last), true) => (format!("{}\n    {}", last.text, text.trim_start()), true),
            _ => (text.to_string(), false),
        }
    }

    async fn explain(&mut self, query: Option<&str>) -> Result<()> {
        let text = self.query_text(query)?;
        let Some((_, composed)) = self.read(&text) else { return Ok(()) };
        match self.backend.explain(&self.script(&composed)).await? {
            Ok(plan) => self.output.line(plan.trim_end()),
            Err(event) => self.say(&event, &text, &composed),
        }
        Ok(())
    }

    async fn plot(&mut self, query: Option<&str>) -> Result<()> {
        let text = self.query_text(query)?;
        let Some((file, composed)) = self.read(&text) else { return Ok(()) };
        let limits = RowLimits { per_table: PLOTTED_ROWS, rows: ALL_ROWS, tables: 1_000 };
        let told = self.told(&composed, limits).await?;
        match &told.end {
            Some(Event::Done(_)) => {}
            Some(event) => {
                self.say(event, &text, &composed);
                return Ok(());
            }
            None => return Err(broken_off()),
        }
        let results = csv::read(told.csv.as_bytes())?;
        let (width, height) = self.output.plot_size();
        let drawn = plot::draw(&results, width, height, self.output.is_colored())?;
        self.output.line(&drawn);
        let input = Input { text: &text, file: &file };
        self.session.lock().adopt(&input, text.len(), |_| None);
        Ok(())
    }

    fn as_task(&mut self, name: &str, every: Option<&str>, path: Option<&str>) -> Result<()> {
        let session = self.session.lock();
        let query = session.last.as_ref();
        let query = query.ok_or_else(|| {
            Error::failed_precondition("there is no query yet").with_hint("enter the query that the task is to run")
        })?;
        let text = task_file::text(&session, query, name, every)?;
        drop(session);
        self.output.line(text.trim_end());
        let path = task_file::path(name, path, &self.tasks_dir);
        let checked = task_file::check(&path, &text);
        if !checked.problems.is_empty() {
            self.output.problems(&checked.source, &checked.problems);
        }
        if checked.has_errors() {
            return Err(Error::invalid("the task was not written: it would not run"));
        }
        task_file::write(&path, &text)?;
        self.output.remark(&format!("written to {}", path.display()));
        if !checked.writes {
            self.output.remark("it writes nowhere: add |> to(bucket: \"...\") to keep its rows");
        }
        Ok(())
    }

    /// Parses an input and composes its script; shows what is wrong with it if something is.
    fn read(&mut self, text: &str) -> Option<(syntax::ast::File, Composed)> {
        let parsed = syntax::parse(text);
        if parsed.has_errors() {
            self.failed = true;
            self.output.problems(&Source::new(INPUT, text), &parsed.diagnostics);
            return None;
        }
        let composed = self.session.lock().compose(&Input { text, file: &parsed.file }, Values::Known);
        Some((parsed.file, composed))
    }

    async fn told(&self, composed: &Composed, limits: RowLimits) -> Result<Told> {
        let mut told = Told::default();
        let mut tell = |event: Event| match event {
            Event::Csv(piece) => told.csv.push_str(&piece),
            Event::Cut { table, rows } => {
                told.cut.insert(table, rows);
            }
            Event::Value(value) => told.values.push(value),
            Event::Warnings(problems) => told.warnings.extend(problems),
            end => told.end = Some(end),
        };
        self.backend.evaluate(&self.script(composed), limits, &mut tell).await?;
        Ok(told)
    }

    /// Runs an input and shows what comes of it.
    async fn run(&mut self, text: &str) -> Result<()> {
        let (text, is_continued) = self.continued(text);
        let Some((file, composed)) = self.read(&text) else { return Ok(()) };
        if file.body.is_empty() && file.imports.is_empty() {
            return Ok(());
        }
        let limits = match self.settings.limit {
            Some(rows) => {
                RowLimits { per_table: rows.max(1), rows: rows.saturating_mul(10).max(1), tables: rows.max(1) }
            }
            None => RowLimits { per_table: ALL_ROWS, rows: ALL_ROWS, tables: ALL_ROWS },
        };
        let began = Instant::now();
        let told = self.told(&composed, limits).await?;
        let took = began.elapsed();
        let warnings = self.placed(&told.warnings, &text, &composed);
        // What is odd about a definition was said when it was made.
        for (source, diagnostic) in warnings.iter().filter(|(source, _)| &*source.name == INPUT) {
            self.output.problems(source, std::slice::from_ref(diagnostic));
        }
        let input = Input { text: &text, file: &file };
        let totals = match &told.end {
            Some(Event::Done(totals)) => totals,
            Some(event) => {
                self.say(event, &text, &composed);
                self.keep_what_was_right(&input, event, &composed, is_continued);
                return Ok(());
            }
            None => return Err(broken_off()),
        };
        self.show(&told, totals, &composed, took)?;
        self.session.lock().adopt(&input, text.len(), |name| {
            let value = told.values.iter().rfind(|value| value.name.as_deref() == Some(name))?;
            let literal = value.is_literal.then(|| value.text.clone());
            Some((literal, value.type_text.clone()))
        });
        Ok(())
    }

    /// After a failure: the definitions before the statement that failed are kept, as if they had been entered one by one.
    fn keep_what_was_right(&mut self, input: &Input<'_>, event: &Event, composed: &Composed, is_continued: bool) {
        let span = match event {
            Event::Failed { span, .. } => *span,
            Event::Refused(problems) => problems.iter().find(|problem| !problem.is_warning).map(|problem| problem.span),
            _ => None,
        };
        let place =
            span.and_then(|(start, end)| composed.origin(crate::diagnostic::Span { start, end: end.max(start) }));
        let until = match place {
            Some((Origin::Input, span)) => span.start as usize,
            _ => 0,
        };
        let mut session = self.session.lock();
        let last = session.last.clone();
        session.adopt(input, until, |_| None);
        // A query that failed may be gone on from, but not one that failed while going on.
        let only = matches!(input.file.body.as_slice(), [Statement::Expression(_)]);
        match (only && !is_continued, input.file.body.last()) {
            (true, Some(_)) => session.adopt_query(input),
            _ => session.last = last,
        }
    }

    /// Shows values, tables and totals.
    fn show(&mut self, told: &Told, totals: &Totals, composed: &Composed, took: Duration) -> Result<()> {
        for value in told.values.iter().filter(|value| value.name.is_none() && !value.is_stream) {
            let place =
                composed.origin(crate::diagnostic::Span { start: value.start, end: value.end.max(value.start) });
            if !matches!(place, Some((Origin::Input, _))) {
                continue;
            }
            match &value.table_csv {
                Some(table) => {
                    let tables = csv::read(table.as_bytes())?;
                    self.tables(&tables, &HashMap::new())?;
                }
                None => self.output.value(&value.text, &value.type_text),
            }
        }
        match self.settings.format {
            Format::Csv => self.output.text(&told.csv),
            _ => self.tables(&csv::read(told.csv.as_bytes())?, &told.cut)?,
        }
        for warning in &totals.warnings {
            self.output.warning(warning);
        }
        let shown_all = told.cut.is_empty() && totals.tables_shown >= totals.tables;
        let limit = self.settings.limit.unwrap_or(ALL_ROWS);
        let mut remarks = Vec::new();
        if totals.tables > 0
            || totals.rows_out > 0
            || told.values.iter().any(|value| value.name.is_none() && value.is_stream)
        {
            let tables = if totals.tables == 1 { "1 table".to_string() } else { format!("{} tables", totals.tables) };
            let rows = if totals.rows == 1 { "1 row".to_string() } else { format!("{} rows", totals.rows) };
            if totals.tables == 0 && totals.rows_out == 0 {
                remarks.push("no tables".to_string());
            } else if self.settings.timing && totals.tables > 0 {
                remarks.push(format!("{rows} in {tables}"));
            }
            if !shown_all || (totals.rows > limit as u64 && self.settings.format == Format::Table) {
                remarks.push(format!("not all of {rows} in {tables} are shown: `:set limit ROWS` or `:set limit off`"));
            }
            if totals.rows_out > 0 {
                remarks.push(format!("{} points written", totals.rows_out));
            }
            if self.settings.timing {
                remarks.push(format!("{} ms", took.as_millis()));
            }
        }
        if !remarks.is_empty() {
            self.output.remark(&remarks.join(", "));
        }
        Ok(())
    }

    fn tables(&mut self, results: &[(Name, Vec<Chunk>)], cut: &HashMap<usize, u64>) -> Result<()> {
        if self.settings.format == Format::Json {
            for (name, chunks) in results {
                for chunk in chunks {
                    self.output.text(&json_lines(name, chunk));
                }
            }
            return Ok(());
        }
        let layout = Layout { width: self.output.width(), rows: self.settings.limit.unwrap_or(ALL_ROWS) };
        self.output.text(&show::results(results, cut, layout));
        Ok(())
    }

    /// Shows why a script did not run or did not end well, where the user wrote it.
    fn say(&mut self, event: &Event, text: &str, composed: &Composed) {
        self.failed = true;
        match event {
            Event::Refused(problems) => {
                for (source, diagnostic) in self.placed(problems, text, composed) {
                    self.output.problems(&source, &[diagnostic]);
                }
            }
            Event::Failed { message, hint, span, .. } => {
                let mut error = Error::failed_precondition(message.as_str());
                if let Some(hint) = hint {
                    error = error.with_hint(hint.as_str());
                }
                let Some((start, end)) = *span else { return self.output.error(&error) };
                let problem = Problem {
                    is_warning: false,
                    code: "run".to_string(),
                    message: message.clone(),
                    span: (start, end),
                    label: String::new(),
                    labels: Vec::new(),
                    help: hint.clone(),
                };
                match self.placed(&[problem], text, composed).pop() {
                    Some((source, diagnostic)) => self.output.problems(&source, &[diagnostic]),
                    None => self.output.error(&error),
                }
            }
            _ => {}
        }
    }

    /// Problems of a composed script as problems of the texts that it was composed of.
    fn placed(&self, problems: &[Problem], text: &str, composed: &Composed) -> Vec<(Source, Diagnostic)> {
        let session = self.session.lock();
        let placed = problems.iter().map(|problem| {
            let mut diagnostic = problem.to_diagnostic();
            let (origin, span) = composed.origin(diagnostic.span).unwrap_or((Origin::Input, Default::default()));
            diagnostic.span = span;
            diagnostic.labels.retain_mut(|label| match composed.origin(label.span) {
                Some((own, span)) if own == origin => {
                    label.span = span;
                    true
                }
                _ => false,
            });
            let source = match origin {
                Origin::Input => Source::new(INPUT, text),
                Origin::Definition(id) => match session.definition(id) {
                    Some(definition) => Source::new(format!("<repl: {}>", definition.name), definition.text.as_str()),
                    None => Source::new(INPUT, text),
                },
            };
            // The script that was checked holds only the names that the input uses.
            if diagnostic.help.is_none() && diagnostic.code == "undefined-identifier" {
                let written = source.text.get(diagnostic.span.range()).unwrap_or_default();
                let near = nearest(written, session.names().map(|known| &*known.name));
                diagnostic.help = near.map(|near| format!("did you mean {near}?"));
            }
            (source, diagnostic)
        });
        placed.collect()
    }
}

fn broken_off() -> Error {
    Error::unavailable("the answer broke off")
}
