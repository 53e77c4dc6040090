//! How the subcommands print: columns for people, a line of JSON per row for programs, spans of time and numbers in words.
//!
//! Used by the subcommands. The only other places that print are `demo` and the daemon's announcements.

use std::io::{self, IsTerminal, Write};

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{ContentArrangement, Table, TableStyle};

use crate::error::{Error, Result};

/// Prints rows under headers, aligned, without borders; nothing but a remark if there are none.
pub(crate) fn print_columns(headers: &[&str], rows: Vec<Vec<String>>, if_empty: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if rows.is_empty() {
        return writeln!(out, "{if_empty}");
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headers.iter().map(|header| header.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Whether standard output is a terminal.
pub(crate) fn on_terminal() -> bool {
    io::stdout().is_terminal()
}

/// A time in nanoseconds as RFC 3339 in UTC, with as many digits as it needs.
pub(crate) fn time_text(nanoseconds: i64) -> String {
    DateTime::<Utc>::from_timestamp_nanos(nanoseconds).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// Reads a span of time such as `90s`; `what` names the argument in the error.
pub(crate) fn parse_span(what: &str, text: &str) -> Result<std::time::Duration> {
    use serde::de::IntoDeserializer;
    let deserializer: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    <crate::config::Age as serde::Deserialize>::deserialize(deserializer)
        .map(|age| age.0)
        .map_err(|_| Error::invalid(format!("{what}: expected a span of time such as 90s or 10m, found {text:?}")))
}
