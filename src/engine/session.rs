//! A run as a session sees it: a sequence of events, with the values of expressions beside the tables of streams.
//!
//! Used by the API's `/api/fluxmill/evaluate` and by the REPL, which reads the same events over HTTP or makes them itself.
//! Places are bytes of the script as it was sent; whoever composed the script knows what stands there.

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::request::{RunError, RunReport};
use crate::diagnostic::{Diagnostic, Label, Severity, Span};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::ResultSink;
use crate::flux::Value;
use crate::flux::shown::{Shown, show};
use crate::name::Name;
use crate::table::csv::{CsvWriter, Dialect};
use crate::table::select::keep_ranges;
use crate::table::{Chunk, Segment, TableId};

/// The value of an expression statement, or of a name that the script binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownValue {
    /// The name; `None` for an expression statement.
    pub name: Option<Name>,
    /// Where the expression statement stands.
    pub start: u32,
    /// One past its end.
    pub end: u32,
    /// The value, as Flux writes it.
    pub text: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_text: String,
    /// Whether the text, read as Flux, is the value again.
    pub is_literal: bool,
    /// Whether it is a stream, whose tables come as results.
    pub is_stream: bool,
    /// The rows of a table that was read during evaluation (`tableFind`), as annotated CSV.
    pub table_csv: Option<String>,
}

impl ShownValue {
    /// Shows a value. Of a table, the first `rows` rows.
    pub fn new(name: Option<Name>, span: Span, value: &Value, script: &str, rows: usize) -> ShownValue {
        let Shown { text, type_text, is_literal } = show(value, script);
        let table_csv = match value {
            Value::Table(chunks) => table_csv(chunks, rows).ok(),
            _ => None,
        };
        let is_stream = matches!(value, Value::Stream(_));
        ShownValue { name, start: span.start, end: span.end, text, type_text, is_literal, is_stream, table_csv }
    }
}

fn table_csv(chunks: &[Chunk], rows: usize) -> Result<String> {
    let mut cutter = Cutter::new(RowLimits { per_table: rows, rows, tables: 1 });
    let mut writer = CsvWriter::new(Vec::new(), Dialect::annotated());
    writer.begin_result("table");
    for chunk in chunks {
        if let Some(kept) = cutter.cut(chunk.clone(), &mut Vec::new())? {
            writer.chunk(&kept)?;
        }
    }
    writer.end_result()?;
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned())
}

/// How many rows of results are handed over; the rest is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLimits {
    /// Of each table.
    pub per_table: usize,
    /// Of all tables together.
    pub rows: usize,
    /// How many tables.
    pub tables: usize,
}

/// A problem of the script at a place, as [`Diagnostic`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A warning, and no error.
    pub is_warning: bool,
    /// The short name of its kind.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// Start and end of its place.
    pub span: (u32, u32),
    /// Words at the place.
    pub label: String,
    /// Further places with their words.
    pub labels: Vec<(u32, u32, String)>,
    /// What may help.
    pub help: Option<String>,
}

impl From<&Diagnostic> for Problem {
    fn from(diagnostic: &Diagnostic) -> Self {
        Problem {
            is_warning: diagnostic.severity == Severity::Warning,
            code: diagnostic.code.to_string(),
            message: diagnostic.message.clone(),
            span: (diagnostic.span.start, diagnostic.span.end),
            label: diagnostic.label.clone(),
            labels: (diagnostic.labels.iter())
                .map(|label| (label.span.start, label.span.end, label.text.clone()))
                .collect(),
            help: diagnostic.help.clone(),
        }
    }
}

impl Problem {
    /// The diagnostic again.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let span = |start: u32, end: u32| Span { start, end: end.max(start) };
        let labels =
            self.labels.iter().map(|(start, end, text)| Label { span: span(*start, *end), text: text.clone() });
        Diagnostic {
            severity: if self.is_warning { Severity::Warning } else { Severity::Error },
            code: known_code(&self.code),
            message: self.message.clone(),
            span: span(self.span.0, self.span.1),
            label: self.label.clone(),
            labels: labels.collect(),
            help: self.help.clone(),
        }
    }
}

/// The code as diagnostics hold it, for as long as the process lives: there are some dozens, and a daemon that makes up more
/// is not believed.
fn known_code(code: &str) -> &'static str {
    static KNOWN: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());
    const MOST: usize = 500;
    let mut known = KNOWN.lock();
    if let Some(known) = known.iter().find(|known| **known == code) {
        return known;
    }
    if known.len() >= MOST || code.len() > 100 {
        return "script";
    }
    let code: &'static str = Box::leak(code.to_string().into_boxed_str());
    known.push(code);
    code
}

/// What happens in a run, in order. The last event is `Done`, `Refused` or `Failed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A piece of annotated CSV; of an answer to SQL a piece of the text that was asked for.
    Csv(String),
    /// Of the table that was handed over as number `table` (from 0, over all results), so many rows were not.
    Cut {
        /// Which table.
        table: usize,
        /// Its rows that were not handed over.
        rows: u64,
    },
    /// The value of an expression statement, or a name that was bound.
    Value(ShownValue),
    /// Problems of a script that runs nevertheless.
    Warnings(Vec<Problem>),
    /// The script has errors; nothing ran.
    Refused(Vec<Problem>),
    /// The run failed.
    Failed {
        /// The class.
        kind: String,
        /// The sentence.
        message: String,
        /// What may help.
        hint: Option<String>,
        /// Where in the script.
        span: Option<(u32, u32)>,
    },
    /// The run has ended well, and what it wrote is durable.
    Done(Totals),
}

/// What a run did, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Tables of all results.
    pub tables: u64,
    /// Rows of all results.
    pub rows: u64,
    /// Tables that were handed over.
    pub tables_shown: u64,
    /// Rows read from buckets.
    pub rows_in: u64,
    /// Points written to buckets.
    pub rows_out: u64,
    /// What somebody should know.
    pub warnings: Vec<String>,
}

/// Results as events: the first rows as CSV, the rest counted.
#[derive(Debug)]
pub struct EventSink {
    writer: CsvWriter<Vec<u8>>,
    cutter: Cutter,
    events: mpsc::Sender<Event>,
}

/// A piece of CSV is handed over when it has this size.
const PIECE_BYTES: usize = 64 * 1024;

impl EventSink {
    /// A sink that hands events over to `events`.
    pub fn new(limits: RowLimits, events: mpsc::Sender<Event>) -> EventSink {
        EventSink { writer: CsvWriter::new(Vec::new(), Dialect::annotated()), cutter: Cutter::new(limits), events }
    }

    /// Hands over what is left, and what the run did or why it failed.
    pub async fn finish(&mut self, outcome: std::result::Result<RunReport, RunError>) {
        // Whoever has gone away misses nothing.
        let _ = self.flush(0).await;
        let last = match outcome {
            Ok(report) => {
                for value in report.values {
                    let _ = self.send(Event::Value(value)).await;
                }
                Event::Done(Totals {
                    tables: self.cutter.tables,
                    rows: self.cutter.rows,
                    tables_shown: self.cutter.tables_kept as u64,
                    rows_in: report.rows_in,
                    rows_out: report.rows_out,
                    warnings: report.warnings,
                })
            }
            Err(RunError::Refused(diagnostics)) => Event::Refused(diagnostics.iter().map(Problem::from).collect()),
            Err(RunError::Failed { error, .. }) => Event::failed(&error),
        };
        let _ = self.send(last).await;
    }

    async fn send(&mut self, event: Event) -> Result<()> {
        let sent = self.events.send(event).await;
        sent.map_err(|_| Error::new(ErrorKind::Canceled, "the client has gone away"))
    }

    async fn flush(&mut self, at_least: usize) -> Result<()> {
        if self.writer.get_mut().is_empty() || self.writer.get_mut().len() < at_least {
            return Ok(());
        }
        // The writer is between rows: what it has written is whole text.
        let text = String::from_utf8_lossy(&std::mem::take(self.writer.get_mut())).into_owned();
        self.send(Event::Csv(text)).await
    }
}

impl Event {
    /// That a run failed.
    pub fn failed(error: &Error) -> Event {
        Event::Failed {
            kind: format!("{:?}", error.kind()),
            message: error.message().to_string(),
            hint: error.hint().map(str::to_string),
            span: error.span().map(|span| (span.start, span.end)),
        }
    }
}

#[async_trait]
impl ResultSink for EventSink {
    async fn begin_result(&mut self, name: &str) -> Result<()> {
        self.writer.begin_result(name);
        Ok(())
    }

    async fn chunk(&mut self, chunk: Chunk) -> Result<()> {
        let mut cuts = Vec::new();
        if let Some(kept) = self.cutter.cut(chunk, &mut cuts)? {
            self.writer.chunk(&kept)?;
        }
        self.flush(PIECE_BYTES).await?;
        for (table, rows) in cuts {
            self.send(Event::Cut { table, rows }).await?;
        }
        Ok(())
    }

    async fn end_result(&mut self) -> Result<()> {
        self.writer.end_result()?;
        self.cutter.open = None;
        self.flush(PIECE_BYTES).await
    }
}

/// Keeps the first rows of the first tables, and counts.
#[derive(Debug)]
struct Cutter {
    limits: RowLimits,
    /// The table that is open: its id, whether it is kept, its rows that were kept and that were not.
    open: Option<(TableId, bool, usize, u64)>,
    rows: u64,
    tables: u64,
    rows_kept: usize,
    tables_kept: usize,
}

impl Cutter {
    fn new(limits: RowLimits) -> Cutter {
        Cutter { limits, open: None, rows: 0, tables: 0, rows_kept: 0, tables_kept: 0 }
    }

    /// What of a chunk is kept; notes tables that came to their end with rows left out.
    fn cut(&mut self, chunk: Chunk, cuts: &mut Vec<(usize, u64)>) -> Result<Option<Chunk>> {
        let mut kept: Vec<(Segment, std::ops::Range<usize>)> = Vec::new();
        for (segment, rows) in chunk.tables() {
            let (_, keep, mut taken, mut left) = match self.open {
                Some(open) if open.0 == segment.table => open,
                _ => {
                    self.tables += 1;
                    let keep = self.tables_kept < self.limits.tables && self.rows_kept < self.limits.rows;
                    self.tables_kept += usize::from(keep);
                    (segment.table, keep, 0, 0)
                }
            };
            self.rows += rows.len() as u64;
            if keep {
                let room = (self.limits.per_table - taken).min(self.limits.rows - self.rows_kept);
                let count = rows.len().min(room);
                taken += count;
                left += (rows.len() - count) as u64;
                self.rows_kept += count;
                kept.push((segment, rows.start..rows.start + count));
            }
            self.open = Some((segment.table, keep, taken, left));
            if segment.done {
                if keep && left > 0 {
                    cuts.push((self.tables_kept - 1, left));
                }
                self.open = None;
            }
        }
        if kept.is_empty() { Ok(None) } else { keep_ranges(chunk, &kept).map(Some) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::csv;

    const TABLES: &str = "#datatype,string,long,string,long\n#group,false,false,true,false\n#default,r,,,\n\
        ,result,table,host,n\n,,0,a,1\n,,0,a,2\n,,0,a,3\n,,1,b,4\n,,2,c,5\n,,2,c,6\n";

    async fn told(limits: RowLimits) -> (String, Vec<(usize, u64)>, Totals) {
        let (events, mut received) = mpsc::channel(100);
        let mut sink = EventSink::new(limits, events);
        for (name, chunks) in csv::read(TABLES.as_bytes()).unwrap() {
            sink.begin_result(&name).await.unwrap();
            for chunk in chunks {
                sink.chunk(chunk).await.unwrap();
            }
            sink.end_result().await.unwrap();
        }
        sink.finish(Ok(RunReport::default())).await;
        drop(sink);
        let (mut text, mut cuts, mut totals) = (String::new(), Vec::new(), Totals::default());
        while let Some(event) = received.recv().await {
            match event {
                Event::Csv(piece) => text.push_str(&piece),
                Event::Cut { table, rows } => cuts.push((table, rows)),
                Event::Done(done) => totals = done,
                other => panic!("{other:?}"),
            }
        }
        (text, cuts, totals)
    }

    #[tokio::test]
    async fn the_first_rows_of_the_first_tables_are_handed_over_and_the_rest_is_counted() {
        let (text, cuts, totals) = told(RowLimits { per_table: 2, rows: 3, tables: 10 }).await;
        assert_eq!(cuts, [(0, 1)]);
        assert_eq!((totals.tables, totals.rows, totals.tables_shown), (3, 6, 2));
        assert!(text.contains("a,2") && text.contains("b,4"), "{text}");
        assert!(!text.contains("a,3") && !text.contains("c,"), "{text}");
        let (_, cuts, totals) = told(RowLimits { per_table: 9, rows: 4, tables: 10 }).await;
        assert_eq!((cuts.len(), totals.tables_shown), (0, 2), "the third table found no room");
        let (_, cuts, totals) = told(RowLimits { per_table: 9, rows: 100, tables: 1 }).await;
        assert_eq!((cuts.len(), totals.tables_shown), (0, 1));
        let (text, cuts, _) = told(RowLimits { per_table: 9, rows: 100, tables: 10 }).await;
        assert!(cuts.is_empty() && text.contains("c,6"), "{text}");
    }

    #[test]
    fn problems_come_back_as_diagnostics() {
        let diagnostic =
            Diagnostic::warning("x", "odd", Span::new(3, 5)).also(Span::new(0, 1), "because").help("mend it");
        let back = Problem::from(&diagnostic).to_diagnostic();
        assert_eq!(diagnostic, back);
    }
}
