//! `option task = {name: ..., every: ...}`: read from the tree alone, never by evaluation (InfluxDB's `task/options`).
//!
//! Called by `tasks` when a file is loaded and by `check`. All problems are reported at once, each at its place, with
//! InfluxDB's words. Whether a cron text names a schedule is the schedule's business, not decided here.

use crate::diagnostic::{Diagnostic, Span, nearest};
use crate::syntax::ast::{Expr, ExprKind, File, Property, Statement, UnaryOperator};
use crate::time::Duration;

/// Most runs of one task at once.
const MOST_CONCURRENCY: i64 = 100;
/// Most attempts of one slot.
const MOST_RETRIES: i64 = 10;
/// What may stand in the option; other names are ignored, as InfluxDB does, with a warning.
const FIELDS: [&str; 7] = ["name", "every", "cron", "offset", "concurrency", "retry", "location"];

/// A task's option.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskOption {
    /// The name, not empty.
    pub name: String,
    /// The interval; exactly one of `every` and `cron` is there.
    pub every: Option<Duration>,
    /// The cron text.
    pub cron: Option<String>,
    /// How long after (or before) its slot a run is due; zero if not given.
    pub offset: Duration,
    /// Runs of this task at once, 1 to 100.
    pub concurrency: Option<u32>,
    /// Attempts of a slot, 1 to 10.
    pub retry: Option<u32>,
    /// The IANA zone of the schedule (fluxmill's own field; UTC without it).
    pub location: Option<String>,
    /// The whole statement.
    pub span: Span,
}

/// The task option of a file, and what is odd about it but does no harm.
///
/// Errors: every problem of the option; one that says so if there is none or more than one.
pub fn task_option(file: &File) -> Result<(TaskOption, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut statements = file.body.iter().filter_map(|statement| match statement {
        Statement::Option(option) if option.package.is_none() && &*option.name.name == "task" => Some(option),
        _ => None,
    });
    let Some(statement) = statements.next() else {
        let mut diagnostic = Diagnostic::error("task-option", "no task options defined", Span::default())
            .help("a task begins with: option task = {name: \"...\", every: 1m}");
        if let Some(assignment) = assigned_task(file) {
            diagnostic.span = assignment;
            diagnostic.help = Some("write `option task = {...}`: without `option` this is an ordinary variable".into());
        }
        return Err(vec![diagnostic]);
    };
    if let Some(second) = statements.next() {
        return Err(vec![
            Diagnostic::error("task-option", "multiple task options defined", second.span)
                .also(statement.span, "the first one stands here"),
        ]);
    }
    let ExprKind::Record { with: None, properties } = &unwrap(&statement.value).kind else {
        let message = format!("task option expected to be object literal, but found {}", kind_name(&statement.value));
        return Err(vec![Diagnostic::error("task-option", message, statement.value.span)]);
    };
    let mut reader = Reader { problems: Vec::new(), warnings: Vec::new() };
    let option = reader.read(properties, statement.span);
    if reader.problems.is_empty() { Ok((option, reader.warnings)) } else { Err(reader.problems) }
}

/// `task = {...}` without `option`: a likely mistake.
fn assigned_task(file: &File) -> Option<Span> {
    file.body.iter().find_map(|statement| match statement {
        Statement::Variable(assignment) if &*assignment.name.name == "task" => Some(assignment.span),
        _ => None,
    })
}

struct Reader {
    problems: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

impl Reader {
    fn read(&mut self, properties: &[Property], span: Span) -> TaskOption {
        for property in properties {
            self.warn_if_unknown(property);
        }
        let mut find = |name: &str| {
            let mut found = properties.iter().filter(|property| &*property.name.name == name);
            let first = found.next();
            if let Some(second) = found.next() {
                let message = format!("{name} stands twice in task options");
                self.problems.push(Diagnostic::error("task-option", message, second.name.span));
            }
            first
        };
        let (name, every, cron) = (find("name"), find("every"), find("cron"));
        let (offset, location) = (find("offset"), find("location"));
        let (concurrency, retry) = (find("concurrency"), find("retry"));

        match (every, cron) {
            (None, None) => self.problem("missing required option: cron or every", span),
            (Some(_), Some(cron)) => self.problem("cannot use both cron and every in task options", cron.name.span),
            _ => {}
        }
        TaskOption {
            name: self.name(name, span),
            every: every.and_then(|property| self.every(property)),
            cron: cron.and_then(|property| self.string(property)),
            offset: offset.and_then(|property| self.offset(property)).unwrap_or_default(),
            concurrency: concurrency.and_then(|property| self.count(property, MOST_CONCURRENCY)),
            retry: retry.and_then(|property| self.count(property, MOST_RETRIES)),
            location: location.and_then(|property| self.string(property)),
            span,
        }
    }

    fn problem(&mut self, message: impl Into<String>, span: Span) {
        self.problems.push(Diagnostic::error("task-option", message, span));
    }

    fn warn_if_unknown(&mut self, property: &Property) {
        let name = &*property.name.name;
        if FIELDS.contains(&name) {
            return;
        }
        let message = format!("{name} is no task option and has no effect on the schedule");
        let mut warning = Diagnostic::warning("task-option", message, property.name.span);
        warning.help = Some(match nearest(name, FIELDS) {
            _ if name == "delay" => "the field that delays a run is called offset".to_string(),
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("task options are {}", FIELDS.join(", ")),
        });
        self.warnings.push(warning);
    }

    fn name(&mut self, property: Option<&Property>, span: Span) -> String {
        let Some(property) = property else {
            self.problem("missing required option: name", span);
            return String::new();
        };
        let name = self.string(property).unwrap_or_default();
        if name.is_empty() && matches!(unwrap(&property.value).kind, ExprKind::String(_)) {
            self.problem("name required", property.value.span);
        }
        name
    }

    fn every(&mut self, property: &Property) -> Option<Duration> {
        let every = self.duration(property, false)?;
        if every.months == 0 && every.nanoseconds < NANOSECONDS_PER_SECOND {
            self.problem("every option must be at least 1 second", property.value.span);
            return None;
        }
        self.whole_seconds(property, every)
    }

    fn offset(&mut self, property: &Property) -> Option<Duration> {
        let offset = self.duration(property, true)?;
        self.whole_seconds(property, offset)
    }

    fn whole_seconds(&mut self, property: &Property, duration: Duration) -> Option<Duration> {
        if duration.nanoseconds % NANOSECONDS_PER_SECOND == 0 {
            return Some(duration);
        }
        let message = format!("{} option must be expressible as whole seconds", property.name.name);
        self.problem(message, property.value.span);
        None
    }

    fn unreadable<T>(&mut self, property: &Property, expected: &str) -> Option<T> {
        let message = format!("failed to parse field '{}' in task options", property.name.name);
        let found = kind_name(&property.value);
        let diagnostic = Diagnostic::error("task-option", message, property.value.span)
            .label(format!("expected {expected}, found {found}"))
            .help("task options are read before the script runs: only literals are understood here");
        self.problems.push(diagnostic);
        None
    }

    fn string(&mut self, property: &Property) -> Option<String> {
        match &unwrap(&property.value).kind {
            ExprKind::String(text) => Some(text.to_string()),
            _ => self.unreadable(property, "a string without interpolation"),
        }
    }

    fn duration(&mut self, property: &Property, may_be_negative: bool) -> Option<Duration> {
        match &unwrap(&property.value).kind {
            ExprKind::Duration(duration) => Some(*duration),
            ExprKind::Unary { operator: UnaryOperator::Minus, operand } if may_be_negative => {
                match &unwrap(operand).kind {
                    ExprKind::Duration(duration) => Some(Duration { negative: !duration.negative, ..*duration }),
                    _ => self.unreadable(property, "a duration such as 1m"),
                }
            }
            _ => self.unreadable(property, "a duration such as 1m"),
        }
    }

    fn count(&mut self, property: &Property, most: i64) -> Option<u32> {
        let name = &property.name.name;
        match &unwrap(&property.value).kind {
            ExprKind::Integer(count) if *count < 1 => {
                self.problem(format!("{name} must be at least 1"), property.value.span);
                None
            }
            ExprKind::Integer(count) if *count > most => {
                self.problem(format!("{name} exceeded max of {most}"), property.value.span);
                None
            }
            ExprKind::Integer(count) => u32::try_from(*count).ok(),
            _ => self.unreadable(property, "an integer"),
        }
    }
}

const NANOSECONDS_PER_SECOND: i64 = 1_000_000_000;

fn unwrap(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Paren(inner) => unwrap(inner),
        _ => expr,
    }
}

/// What an expression is, in words.
fn kind_name(expr: &Expr) -> &'static str {
    match &unwrap(expr).kind {
        ExprKind::Identifier(_) => "a name",
        ExprKind::Integer(_) => "an integer",
        ExprKind::Float(_) => "a float",
        ExprKind::String(_) => "a string",
        ExprKind::Interpolated(_) => "a string with interpolation",
        ExprKind::Duration(_) => "a duration",
        ExprKind::Time(_) => "a time",
        ExprKind::Regexp(_) => "a regular expression",
        ExprKind::Array(_) => "an array",
        ExprKind::Dict(_) => "a dictionary",
        ExprKind::Record { .. } => "a record that extends another",
        ExprKind::Function(_) => "a function",
        ExprKind::Call(_) | ExprKind::Pipe { .. } => "a call",
        ExprKind::Member { .. } | ExprKind::Index { .. } => "a member",
        _ => "an expression",
    }
}
