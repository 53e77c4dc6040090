//! `:sql`: one statement of SQL, its rows as a table cut to the terminal.
//!
//! Used by the REPL. SQL knows nothing of what a session has defined.

use std::collections::HashMap;
use std::time::Instant;

use super::command::Format;
use super::show::{self, Layout};
use super::{ALL_ROWS, INPUT, Repl, Script, broken_off};
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::engine::session::{Event, RowLimits, Totals};
use crate::error::{Error, ErrorKind, Result};
use crate::table::csv::{self, PlainCsv};
use crate::table::json_lines::json_rows;

impl Repl {
    /// Runs a statement and shows its rows, or what is wrong with it.
    pub(super) async fn sql(&mut self, text: &str) -> Result<()> {
        let rows = self.settings.limit.map_or(ALL_ROWS, |rows| rows.max(1));
        let limits = RowLimits { per_table: rows, rows, tables: 1 };
        let (mut annotated, mut cut, mut end) = (String::new(), HashMap::new(), None);
        let mut tell = |event: Event| match event {
            Event::Csv(piece) => annotated.push_str(&piece),
            Event::Cut { table, rows } => drop(cut.insert(table, rows)),
            other => end = Some(other),
        };
        let began = Instant::now();
        let query = Script { text: text.to_string(), now_ns: self.settings.now_ns };
        self.backend.sql(&query, limits, &mut tell).await?;
        match end {
            Some(Event::Done(totals)) => {
                self.show_rows(&annotated, &cut, &totals)?;
                if self.settings.timing {
                    let rows = if totals.rows == 1 { "1 row".to_string() } else { format!("{} rows", totals.rows) };
                    self.output.remark(&format!("{rows}, {} ms", began.elapsed().as_millis()));
                }
                Ok(())
            }
            Some(Event::Failed { kind, message, hint, span }) => {
                let Some((start, end)) = span else {
                    let error = Error::new(ErrorKind::of_name(&kind), message);
                    return Err(match hint {
                        Some(hint) => error.with_hint(hint),
                        None => error,
                    });
                };
                self.failed = true;
                let mut diagnostic = Diagnostic::error("sql", message, Span { start, end: end.max(start) });
                diagnostic.help = hint;
                self.output.problems(&Source::new(INPUT, text), &[diagnostic]);
                Ok(())
            }
            _ => Err(broken_off()),
        }
    }

    fn show_rows(&mut self, annotated: &str, cut: &HashMap<usize, u64>, totals: &Totals) -> Result<()> {
        let results = csv::read(annotated.as_bytes())?;
        let chunks = || results.iter().flat_map(|(_, chunks)| chunks);
        match self.settings.format {
            Format::Csv => {
                let mut writer = PlainCsv::default();
                chunks().for_each(|chunk| writer.chunk(chunk));
                self.output.text(&writer.take());
            }
            Format::Json => chunks().for_each(|chunk| self.output.text(&json_rows(chunk))),
            Format::Table => {
                let layout = Layout { width: self.output.width(), rows: self.settings.limit.unwrap_or(ALL_ROWS) };
                self.output.text(&show::results(&results, cut, layout));
            }
        }
        let shown: usize = chunks().map(|chunk| chunk.len).sum();
        if (shown as u64) < totals.rows && self.settings.format != Format::Table {
            self.output
                .remark(&format!("the first {shown} of {} rows: `:set limit ROWS` or `:set limit off`", totals.rows));
        }
        Ok(())
    }
}
