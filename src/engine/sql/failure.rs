//! What DataFusion says, for people: the class, a sentence, the place in the text, and what was probably meant.
//!
//! Used by `engine::sql`. DataFusion's own words are kept where they say what is wrong; what they say of its internals and
//! options is left out.

use std::sync::Arc;

use datafusion::common::{SchemaError, TableReference};
use datafusion::error::DataFusionError;

use super::catalog::{Buckets, CATALOG, NO_BUCKET};
use crate::diagnostic::{Source, Span, nearest};
use crate::error::{Error, ErrorKind};
use crate::name::Name;

/// Column names that a hint lists at most.
const MOST_NAMES: usize = 12;

/// Knows the text and the names of a query.
pub(super) struct Failures<'a> {
    pub(super) source: &'a Source,
    pub(super) buckets: &'a Arc<Buckets>,
}

impl Failures<'_> {
    /// An error of parsing or planning; `tables` are the tables that the statement names, where that is what was planned.
    pub(super) fn of(&self, error: &DataFusionError, tables: Option<&[TableReference]>) -> Error {
        // Of several problems the first is told.
        if let DataFusionError::Collection(all) = error
            && let Some(first) = all.first()
        {
            return self.of(first, tables);
        }
        let place = self.place(error);
        let in_quotes = place.is_some_and(|span| self.source.text[span.range()].starts_with('"'));
        let missing = || tables?.iter().find(|table| !self.exists(table));
        let told = match root(error) {
            DataFusionError::Plan(message) if message.starts_with("table '") && message.contains("' not found") => {
                match missing() {
                    Some(table) => self.no_table(table),
                    None => Error::not_found(first_line(message)),
                }
            }
            DataFusionError::SchemaError(problem, _) => of_columns(problem, in_quotes),
            _ => plain(error, ErrorKind::Invalid),
        };
        match place {
            Some(span) => told.at(span),
            None => told,
        }
    }

    fn exists(&self, table: &TableReference) -> bool {
        let table = table.clone().resolve(CATALOG, NO_BUCKET);
        let known = || self.buckets.measurements(&table.schema).iter().any(|own| **own == *table.table);
        &*table.catalog == CATALOG && (&*table.schema == "information_schema" || known())
    }

    /// A table that does not exist, with the one that was probably meant.
    fn no_table(&self, table: &TableReference) -> Error {
        let resolved = table.clone().resolve(CATALOG, NO_BUCKET);
        let (bucket, measurement) = (&*resolved.schema, &*resolved.table);
        if bucket == NO_BUCKET {
            let error = Error::not_found(format!("there is no table {}", quoted(measurement)));
            let holds = |bucket: &&Name| {
                self.buckets.measurements(bucket).iter().find(|own| own.eq_ignore_ascii_case(measurement)).cloned()
            };
            let found = self.buckets.names().find_map(|bucket| Some((bucket, holds(&bucket)?)));
            return error.with_hint(match found {
                Some((bucket, measurement)) => format!("did you mean {}?", qualified(bucket, &measurement)),
                None => "a table is named bucket.measurement; SHOW TABLES lists them".to_string(),
            });
        }
        if &*resolved.catalog != CATALOG || !self.buckets.names().any(|own| **own == *bucket) {
            let near = nearest(bucket, self.buckets.names().map(|name| &**name));
            let error = Error::not_found(format!("there is no bucket {}", quoted(bucket)));
            return error.with_hint(match near {
                Some(near) => format!("did you mean {}?", quoted(near)),
                None => "SHOW TABLES lists the buckets (table_schema) and their measurements".to_string(),
            });
        }
        let known = self.buckets.measurements(bucket);
        let near = nearest(measurement, known.iter().map(|name| &**name));
        let error = Error::not_found(format!("bucket {} has no measurement {}", quoted(bucket), quoted(measurement)));
        error.with_hint(match near {
            Some(near) => format!("did you mean {}?", qualified(bucket, near)),
            None if known.is_empty() => "the bucket holds nothing yet".to_string(),
            None => format!("it has {}", list(known.iter().map(|name| &**name))),
        })
    }

    /// Where in the text it is, if DataFusion says so.
    fn place(&self, error: &DataFusionError) -> Option<Span> {
        if let Some(span) = error.diagnostic().and_then(|diagnostic| diagnostic.span) {
            let start = self.byte(span.start.line, span.start.column)?;
            let end = self.byte(span.end.line, span.end.column)?;
            // The parser's place of a token is its first letter.
            return Some(Span::new(start, end.max(self.word_end(start))));
        }
        let text = error.strip_backtrace();
        if text.contains(", found: EOF") {
            let end = self.source.text.trim_end().len();
            return Some(Span::new(end, end));
        }
        let (_, at) = text.rsplit_once("at Line: ")?;
        let (line, column) = at.split_once(", Column: ")?;
        let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u64>().ok();
        let start = self.byte(number(line)?, number(column)?)?;
        Some(Span::new(start, self.word_end(start)))
    }

    /// The byte of a line and column, both from 1, the column in characters.
    fn byte(&self, line: u64, column: u64) -> Option<usize> {
        let text = &*self.source.text;
        let start = match line.checked_sub(2) {
            Some(before) => text.match_indices('\n').nth(before as usize)?.0 + 1,
            None => 0,
        };
        let rest = &text[start..];
        let within = rest.char_indices().nth((column as usize).checked_sub(1)?).map_or(rest.len(), |(at, _)| at);
        Some(start + within)
    }

    fn word_end(&self, start: usize) -> usize {
        let rest = &self.source.text[start..];
        let word = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let one = rest.chars().next().map_or(0, char::len_utf8);
        start + word.max(one)
    }
}

/// An error while rows are computed.
pub(super) fn while_running(error: &DataFusionError) -> Error {
    plain(error, ErrorKind::FailedPrecondition)
}

/// The innermost error.
fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        other => other,
    }
}

/// What is said of errors that are not about names.
fn plain(error: &DataFusionError, usual: ErrorKind) -> Error {
    let error = error.find_root();
    if let DataFusionError::External(inner) = error
        && let Some(own) = inner.downcast_ref::<Error>()
    {
        return own.clone();
    }
    let text = match error {
        DataFusionError::SQL(problem, _) => problem.to_string().into(),
        other => other.message(),
    };
    let (message, more) = text.split_once('\n').unwrap_or((&text, ""));
    let message = without_place(message.trim_end_matches('.'));
    match error {
        DataFusionError::ResourcesExhausted(_) => Error::resource_exhausted(
            "the query needs more memory than queries may have together: what it sorts, groups or joins is too large",
        )
        .with_hint("narrow it by time or tags, or let it group less"),
        DataFusionError::NotImplemented(_) if message.contains("supports a single SQL statement") => {
            Error::invalid("expected one statement, found several")
        }
        DataFusionError::NotImplemented(_) => Error::unimplemented(message),
        DataFusionError::Internal(_) => Error::internal(format!("the query cannot be run: {message}")),
        DataFusionError::SQL(..) => Error::invalid(message),
        _ => {
            let error = Error::new(usual, message);
            // DataFusion names the nearest function, however far it is.
            let near = more.trim().strip_prefix("Did you mean '").and_then(|rest| rest.split_once('\''));
            let meant = error.message().split('\'').nth(1).map(str::to_string);
            match (near, meant) {
                (Some((near, _)), Some(meant)) if nearest(&meant, [near]).is_some() => {
                    error.with_hint(format!("did you mean {near}?"))
                }
                _ => error,
            }
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The sentence without the place at its end, which is shown otherwise.
fn without_place(message: &str) -> String {
    let end = message.rfind(" at Line: ").unwrap_or(message.len());
    let message = &message[..end];
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    if let Some((expected, found)) = message.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: ")) {
        let found = if found == "EOF" { "the end" } else { found };
        return format!("expected {expected}, found {found}");
    }
    if message == "No SQL statements were provided in the query string" {
        return "expected a statement, found nothing".to_string();
    }
    let mut letters = message.chars();
    // Errors begin in lower case, unless the first word is a name or a keyword.
    match letters.next() {
        Some(first) if first.is_uppercase() && letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => message.to_string(),
    }
}

/// An error about columns; `in_quotes` says whether the name stands in double quotes.
fn of_columns(problem: &SchemaError, in_quotes: bool) -> Error {
    match problem {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let error = Error::invalid(format!("there is no column {}", quoted(&field.name)));
            let names: Vec<&str> = valid_fields.iter().map(|column| &*column.name).collect();
            let same = names.iter().find(|own| own.eq_ignore_ascii_case(&field.name)).copied();
            error.with_hint(match same.or_else(|| nearest(&field.name, names.iter().copied())) {
                Some(near) => format!("did you mean {}?", quoted(near)),
                None if names.is_empty() => "the query has no table here; strings stand in single quotes".to_string(),
                None if in_quotes => {
                    format!("strings stand in single quotes; there are {}", list(names.into_iter()))
                }
                None => format!("there are {}", list(names.into_iter())),
            })
        }
        SchemaError::AmbiguousReference { field } => {
            Error::invalid(format!("column {} is in several tables", quoted(&field.name)))
                .with_hint("name the table too, as in t.column")
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            Error::invalid(format!("two columns are called {}", quoted(name)))
                .with_hint("give one another name with AS")
        }
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.map(quoted).collect();
    if names.len() > MOST_NAMES {
        let more = names.len() - MOST_NAMES;
        names.truncate(MOST_NAMES);
        names.push(format!("{more} more"));
    }
    names.join(", ")
}

fn qualified(bucket: &str, measurement: &str) -> String {
    format!("{}.{}", quoted(bucket), quoted(measurement))
}

/// A name as SQL reads it: in quotes where it would be read as another one.
fn quoted(name: &str) -> String {
    let bare = name.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if bare { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
