//! The commands that begin with a colon: their names, their help, their arguments. Pure text work.
//!
//! Used by the REPL, which carries them out, and by completion.

use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::time::{Duration, rfc3339};

/// A command as `:help` lists it.
pub(super) struct Description {
    /// Its name, without the colon.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: &'static str,
    /// What it does.
    pub does: &'static str,
}

/// All commands, in the order of `:help`.
pub(super) const COMMANDS: [Description; 12] = [
    Description { name: "help", arguments: "[COMMAND]", does: "this list, or one command" },
    Description { name: "doc", arguments: "NAME", does: "signature, meaning and examples of a function or package" },
    Description { name: "buckets", arguments: "[BUCKET]", does: "the buckets, or the measurements of one" },
    Description { name: "explain", arguments: "[QUERY]", does: "the plan of a query, of the last one without QUERY" },
    Description {
        name: "plot",
        arguments: "[QUERY]",
        does: "a query's numbers over time, of the last one without QUERY",
    },
    Description {
        name: "sql",
        arguments: "SELECT ...",
        does: "SQL over bucket.measurement; it goes on to the next line in quotes, brackets and after a comma",
    },
    Description {
        name: "as-task",
        arguments: "NAME [EVERY] [PATH]",
        does: "the last query as a task file: shown, checked, written to the tasks directory or to PATH",
    },
    Description { name: "names", arguments: "", does: "what this session has defined" },
    Description {
        name: "set",
        arguments: "[KEY VALUE]",
        does: "now TIME|off, limit ROWS|off, format table|csv|json, timing on|off",
    },
    Description { name: "reset", arguments: "", does: "forget all definitions" },
    Description { name: "history", arguments: "", does: "where earlier input is kept" },
    Description { name: "quit", arguments: "", does: "leave, as Ctrl-D does" },
];

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Grids.
    Table,
    /// Annotated CSV.
    Csv,
    /// A JSON object a row.
    Json,
}

impl Format {
    /// As `:set format` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Format::Table => "table",
            Format::Csv => "csv",
            Format::Json => "json",
        }
    }
}

/// A change of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// What `now()` is; `None` for the clock.
    Now(Option<i64>),
    /// How many rows are shown; `None` for all.
    Limit(Option<usize>),
    /// How results are printed.
    Format(Format),
    /// Whether times are told.
    Timing(bool),
}

/// A command with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help(Option<String>),
    Doc(String),
    Buckets(Option<String>),
    Explain(Option<String>),
    Plot(Option<String>),
    Sql(String),
    AsTask { name: String, every: Option<String>, path: Option<String> },
    Names,
    Set(Option<Setting>),
    Reset,
    History,
    Quit,
}

/// The names of settings.
pub(super) const SETTINGS: [&str; 4] = ["format", "limit", "now", "timing"];

/// Whether a line is a command, not Flux.
pub(super) fn is_command(text: &str) -> bool {
    text.trim_start().starts_with(':')
}

/// The command and the Flux that follows it, for commands that take a query.
pub(super) fn query_of(text: &str) -> Option<&str> {
    let rest = text.trim_start().strip_prefix(':')?;
    let (name, query) = rest.split_once(char::is_whitespace)?;
    matches!(name, "explain" | "plot").then_some(query)
}

/// The SQL of a command that takes some.
pub(super) fn sql_of(text: &str) -> Option<&str> {
    let rest = text.trim_start().strip_prefix(":sql")?;
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(rest)
}

/// Whether SQL goes on in the next line: there is none yet, something is open, or it ends with a comma. A semicolon ends
/// it in any case.
pub(super) fn is_unfinished_sql(text: &str) -> bool {
    let mut open: Option<char> = None;
    let mut depth = 0_i32;
    let mut last = ' ';
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (open, letter) {
            // A quote within quotes stands twice, which closes and opens them.
            (Some(quote), letter) if letter == quote => open = None,
            (None, '-') if letters.peek() == Some(&'-') => {
                letters.by_ref().find(|letter| *letter == '\n');
                continue;
            }
            (None, '\'' | '"') => open = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
        if !letter.is_whitespace() {
            last = letter;
        }
    }
    open.is_some() || (last != ';' && (depth > 0 || last == ',' || last == ' '))
}

/// Reads a command.
///
/// # Errors
/// Invalid, with what was probably meant.
pub(super) fn parse(text: &str) -> Result<Command> {
    let text = text.trim().trim_start_matches(':');
    let (name, rest) = match text.split_once(char::is_whitespace) {
        Some((name, rest)) => (name, rest.trim()),
        None => (text, ""),
    };
    let optional = || (!rest.is_empty()).then(|| rest.to_string());
    Ok(match name {
        "help" | "h" | "?" => Command::Help(optional()),
        "doc" => match optional() {
            Some(name) => Command::Doc(name),
            None => return Err(usage("doc")),
        },
        "buckets" => Command::Buckets(optional().map(|name| name.trim_matches('"').to_string())),
        "explain" => Command::Explain(optional()),
        "plot" => Command::Plot(optional()),
        "sql" => match optional() {
            Some(query) => Command::Sql(query),
            None => return Err(usage("sql").with_hint("for instance :sql SELECT * FROM bucket.measurement LIMIT 5")),
        },
        "as-task" => as_task(rest)?,
        "names" => Command::Names,
        "set" => Command::Set(set(rest)?),
        "reset" => Command::Reset,
        "history" => Command::History,
        "quit" | "q" | "exit" => Command::Quit,
        unknown => {
            let error = Error::invalid(format!("unknown command :{unknown}"));
            return Err(match nearest(unknown, COMMANDS.iter().map(|command| command.name)) {
                Some(near) => error.with_hint(format!("did you mean :{near}?")),
                None => error.with_hint(":help lists the commands"),
            });
        }
    })
}

fn usage(name: &str) -> Error {
    let command = COMMANDS.iter().find(|command| command.name == name);
    let arguments = command.map_or("", |command| command.arguments);
    Error::invalid(format!(":{name} expects {arguments}"))
}

fn as_task(rest: &str) -> Result<Command> {
    let words = words(rest)?;
    let mut words = words.into_iter();
    let Some(name) = words.next().filter(|name| !name.is_empty()) else {
        return Err(usage("as-task").with_hint("for instance :as-task downsample 5m"));
    };
    let (mut every, mut path) = (None, None);
    for word in words {
        let is_path = word.contains('/') || word.ends_with(".flux");
        if is_path && path.is_none() {
            path = Some(word);
        } else if !is_path && every.is_none() {
            let parsed = Duration::parse(&word).ok().filter(|every| !every.is_zero());
            if parsed.is_none() {
                return Err(Error::invalid(format!("expected a duration such as 5m, found {word:?}")));
            }
            every = Some(word);
        } else {
            return Err(
                usage("as-task").with_hint("a name of several words stands in quotes: :as-task \"last reading\" 1m")
            );
        }
    }
    Ok(Command::AsTask { name, every, path })
}

/// Words, some of them in double quotes.
fn words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| Error::invalid("a name without its closing quote"))?,
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_string());
        rest = after.trim_start();
    }
    Ok(words)
}

fn set(rest: &str) -> Result<Option<Setting>> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (key, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let value = value.trim();
    let is_off = matches!(value, "off" | "none");
    let wrong = |expected: &str| {
        let found = if value.is_empty() { "nothing".to_string() } else { format!("{value:?}") };
        Error::invalid(format!(":set {key} expects {expected}, found {found}"))
    };
    Ok(Some(match key {
        "now" if is_off => Setting::Now(None),
        "now" => match rfc3339::parse(value) {
            Ok(now_ns) => Setting::Now(Some(now_ns)),
            Err(_) => return Err(wrong("a time such as 2024-01-01T00:00:00Z, or off")),
        },
        "limit" if is_off || value == "0" => Setting::Limit(None),
        "limit" => match value.parse::<usize>() {
            Ok(rows) => Setting::Limit(Some(rows)),
            Err(_) => return Err(wrong("a number of rows, or off")),
        },
        "format" => match [Format::Table, Format::Csv, Format::Json].into_iter().find(|one| one.name() == value) {
            Some(format) => Setting::Format(format),
            None => return Err(wrong("table, csv or json")),
        },
        "timing" => match value {
            "on" => Setting::Timing(true),
            "off" => Setting::Timing(false),
            _ => return Err(wrong("on or off")),
        },
        unknown => {
            let error = Error::invalid(format!("unknown setting {unknown}"));
            return Err(match nearest(unknown, SETTINGS) {
                Some(near) => error.with_hint(format!("did you mean {near}?")),
                None => error.with_hint(format!("there are {}", SETTINGS.join(", "))),
            });
        }
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn commands_are_read() {
        let task = |name: &str, every: Option<&str>, path: Option<&str>| Command::AsTask {
            name: name.to_string(),
            every: every.map(str::to_string),
            path: path.map(str::to_string),
        };
        let cases = [
            (":help", Command::Help(None)),
            (":q", Command::Quit),
            ("  :doc range ", Command::Doc("range".into())),
            (":explain from(bucket: \"b\")\n |> f()", Command::Explain(Some("from(bucket: \"b\")\n |> f()".into()))),
            (":plot", Command::Plot(None)),
            (":sql SELECT 1,\n 2;", Command::Sql("SELECT 1,\n 2;".into())),
            (":as-task downsample", task("downsample", None, None)),
            (":as-task \"last reading\" 1m ./x.flux", task("last reading", Some("1m"), Some("./x.flux"))),
            (":set", Command::Set(None)),
            (":set limit off", Command::Set(Some(Setting::Limit(None)))),
            (":set limit 7", Command::Set(Some(Setting::Limit(Some(7))))),
            (":set now 1970-01-01T00:00:01Z", Command::Set(Some(Setting::Now(Some(1_000_000_000))))),
            (":set format csv", Command::Set(Some(Setting::Format(Format::Csv)))),
        ];
        for (text, command) in cases {
            assert_eq!(parse(text).unwrap(), command, "{text}");
        }
        assert_eq!(query_of(":plot a |> b()"), Some("a |> b()"));
        assert_eq!(query_of(":doc a"), None);
    }

    #[test]
    fn sql_goes_on_where_something_is_open() {
        assert_eq!(sql_of(":sql SELECT 1"), Some(" SELECT 1"));
        assert_eq!((sql_of(":sql"), sql_of(":sqlite"), sql_of("sql")), (Some(""), None, None));
        for open in
            ["", " ", "SELECT a,", "SELECT 'it''s", "SELECT (1", "SELECT \"a;", "SELECT a, -- why", "SELECT 1, '"]
        {
            assert!(is_unfinished_sql(open), "{open}");
        }
        for whole in ["SELECT 1", "SELECT '(' ", "SELECT (1)", "SELECT 1,;", "SELECT 1 -- (,", "SELECT \"a(\"", ")"] {
            assert!(!is_unfinished_sql(whole), "{whole}");
        }
    }

    #[test]
    fn wrong_commands_lead_to_right_ones() {
        let error = |text: &str| {
            let error = parse(text).unwrap_err();
            format!("{} ({})", error.message(), error.hint().unwrap_or_default())
        };
        assert_eq!(error(":expain x"), "unknown command :expain (did you mean :explain?)");
        assert_eq!(error(":xyzzy"), "unknown command :xyzzy (:help lists the commands)");
        assert!(error(":set limt 5").contains("did you mean limit?"));
        assert!(error(":set limit many").contains("a number of rows"));
        assert!(error(":set now yesterday").contains("2024-01-01T00:00:00Z"));
        assert!(error(":as-task").contains("NAME"));
        assert!(error(":as-task a b").contains("duration"));
        assert!(error(":").contains("unknown command"));
    }
}
