//! Annotated CSV out: results chunk by chunk, as InfluxDB answers a query (flux-semantics 13).
//!
//! Called by the API and the command line. Streams: nothing is kept but the shape of the last table. Cells are quoted by
//! hand, since the rules are not those of the csv crate (a leading space is quoted, a lone empty cell is not, a line
//! feed within a cell becomes CRLF).

use std::io::Write;
use std::sync::Arc;

use super::{ERROR_LABEL, LEAD_COLUMNS};
use crate::error::{Error, Result};
use crate::table::cell::ColumnView;
use crate::table::{Cell, Chunk, Place, Shape, TableId};

/// An annotation row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Annotation {
    /// `#datatype`: the column types.
    Datatype,
    /// `#group`: which columns form the group key.
    Group,
    /// `#default`: the result's name; of an empty table also its number and key.
    Default,
}

impl Annotation {
    /// The annotation of a name: `datatype`, `group` or `default`.
    ///
    /// # Errors
    /// Invalid for another name.
    pub fn parse(name: &str) -> Result<Annotation> {
        match name {
            "datatype" => Ok(Annotation::Datatype),
            "group" => Ok(Annotation::Group),
            "default" => Ok(Annotation::Default),
            other => Err(Error::invalid(format!("unknown dialect annotation type: {other}"))
                .with_hint("the annotations are datatype, group and default")),
        }
    }
}

/// How results are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Whether a row of column names heads each block.
    pub header: bool,
    /// What stands between cells.
    pub delimiter: char,
    /// The annotation rows, in the order in which they are written.
    pub annotations: Vec<Annotation>,
}

impl Default for Dialect {
    /// InfluxDB's default: a header, commas, no annotations.
    fn default() -> Self {
        Dialect { header: true, delimiter: ',', annotations: Vec::new() }
    }
}

impl Dialect {
    /// With all three annotations: what reads back as it was.
    pub fn annotated() -> Self {
        let annotations = vec![Annotation::Datatype, Annotation::Group, Annotation::Default];
        Dialect { annotations, ..Dialect::default() }
    }
}

/// Writes results. Calls come as `begin_result (chunk)* end_result`, once per result; within a result at most one table
/// is open at a time.
#[derive(Debug)]
pub struct CsvWriter<W: Write> {
    out: W,
    dialect: Dialect,
    buffer: Vec<u8>,
    result: String,
    /// The number of the current table within its result.
    table: u64,
    /// The table of which parts have come, and whether any had rows.
    open: Option<(TableId, bool)>,
    /// The shape of the table written last in this result, and whether it was empty.
    last: Option<(Arc<Shape>, bool)>,
    /// Whether any table has been written, in any result.
    written: bool,
    /// The texts of the current table's key, one behind the other, and where each ends.
    key_text: Vec<u8>,
    key_ends: Vec<usize>,
}

impl<W: Write> CsvWriter<W> {
    /// A writer that has written nothing yet.
    pub fn new(out: W, dialect: Dialect) -> Self {
        CsvWriter {
            out,
            dialect,
            buffer: Vec::new(),
            result: String::new(),
            table: 0,
            open: None,
            last: None,
            written: false,
            key_text: Vec::new(),
            key_ends: Vec::new(),
        }
    }

    /// A result begins; its tables are numbered from 0.
    pub fn begin_result(&mut self, name: &str) {
        self.result = name.to_string();
        self.table = 0;
        self.open = None;
        self.last = None;
    }

    /// Writes the rows of a chunk.
    ///
    /// # Errors
    /// Unavailable if they cannot be written.
    pub fn chunk(&mut self, chunk: &Chunk) -> Result<()> {
        let columns = columns(chunk);
        for (segment, rows) in chunk.tables() {
            let mut has_rows = self.open.is_some_and(|(_, has_rows)| has_rows);
            if !rows.is_empty() {
                if !has_rows {
                    self.begin_table(chunk, None);
                    has_rows = true;
                }
                self.render_key(chunk, segment.key_row as usize);
                for row in rows {
                    self.write_row(&columns, row);
                }
            }
            self.open = Some((segment.table, has_rows));
            if segment.done {
                if !has_rows {
                    self.begin_table(chunk, Some(segment.key_row as usize));
                }
                self.last = Some((Arc::clone(&chunk.shape), !has_rows));
                self.open = None;
                self.table += 1;
            }
        }
        self.drain()
    }

    /// The result is complete.
    ///
    /// # Errors
    /// Unavailable if it cannot be written.
    pub fn end_result(&mut self) -> Result<()> {
        self.line_end();
        self.drain()
    }

    /// Writes the error table that takes the place of everything that would have followed.
    ///
    /// # Errors
    /// Unavailable if it cannot be written.
    pub fn error(&mut self, message: &str) -> Result<()> {
        if self.written {
            self.line_end();
        }
        for annotation in self.dialect.annotations.clone() {
            match annotation {
                Annotation::Datatype => self.record(&["#datatype", "string", "string"]),
                Annotation::Group => self.record(&["#group", "true", "true"]),
                Annotation::Default => self.record(&["#default", "", ""]),
            }
        }
        self.record(&["", ERROR_LABEL, "reference"]);
        self.record(&["", message, ""]);
        self.drain()
    }

    /// What is written to, for callers that take bytes out of it.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Ends the writer.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Annotations and header if the table needs a block of its own; `empty` is the key row of a table without rows.
    fn begin_table(&mut self, chunk: &Chunk, empty: Option<usize>) {
        let shape = &chunk.shape;
        if let Some((last, last_empty)) = &self.last {
            let same = Arc::ptr_eq(last, shape) || last == shape;
            if same && !last_empty && empty.is_none() {
                return;
            }
            self.line_end();
        }
        self.written = true;
        for annotation in self.dialect.annotations.clone() {
            match annotation {
                Annotation::Datatype => self.annotation("#datatype", ["string", "long"], shape, |column| {
                    shape.columns[column].column_type.csv_name()
                }),
                Annotation::Group => {
                    self.annotation("#group", ["false", "false"], shape, |column| match shape.columns[column].place {
                        Place::Key(_) => "true",
                        Place::Row(_) => "false",
                    })
                }
                Annotation::Default => self.default_annotation(chunk, empty),
            }
        }
        if self.dialect.header {
            let names = shape.columns.iter().map(|column| &*column.name);
            let header: Vec<&str> = ["", "result", "table"].into_iter().chain(names).collect();
            self.record(&header);
        }
    }

    fn annotation<'a>(
        &mut self,
        name: &'a str,
        lead: [&'a str; LEAD_COLUMNS - 1],
        shape: &Shape,
        text: impl Fn(usize) -> &'a str,
    ) {
        let cells = (0..shape.columns.len()).map(text);
        let row: Vec<&str> = [name].into_iter().chain(lead).chain(cells).collect();
        self.record(&row);
    }

    fn default_annotation(&mut self, chunk: &Chunk, empty: Option<usize>) {
        self.buffer.extend_from_slice(b"#default");
        self.delimiter();
        let result = std::mem::take(&mut self.result);
        self.field(&result);
        self.result = result;
        self.delimiter();
        if let Some(key_row) = empty {
            let table = self.table;
            self.render_key(chunk, key_row);
            self.number(table);
        }
        for column in &chunk.shape.columns {
            self.delimiter();
            if let (Some(_), Place::Key(index)) = (empty, column.place) {
                self.key_field(index as usize);
            }
        }
        self.line_end();
    }

    fn write_row(&mut self, columns: &[Source<'_>], row: usize) {
        self.delimiter();
        if !self.dialect.annotations.contains(&Annotation::Default) {
            let result = std::mem::take(&mut self.result);
            self.field(&result);
            self.result = result;
        }
        self.delimiter();
        self.number(self.table);
        for source in columns {
            self.delimiter();
            match source {
                Source::Key(index) => self.key_field(*index),
                Source::Row(view) => self.cell(view.cell(row)),
            }
        }
        self.line_end();
    }

    /// Renders a key once for all rows of its table.
    fn render_key(&mut self, chunk: &Chunk, key_row: usize) {
        let rows = std::mem::take(&mut self.buffer);
        self.key_ends.clear();
        self.buffer = std::mem::take(&mut self.key_text);
        self.buffer.clear();
        for column in &chunk.keys.columns {
            self.cell(ColumnView::of(column).cell(key_row));
            self.key_ends.push(self.buffer.len());
        }
        self.key_text = std::mem::replace(&mut self.buffer, rows);
    }

    fn key_field(&mut self, index: usize) {
        let start = if index == 0 { 0 } else { self.key_ends[index - 1] };
        self.buffer.extend_from_slice(&self.key_text[start..self.key_ends[index]]);
    }

    fn cell(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::String(value) => self.field(value),
            other => self.display(other),
        }
    }

    fn number(&mut self, number: u64) {
        self.display(number);
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing to a vector cannot fail.
        let _ = write!(self.buffer, "{value}");
    }

    fn record(&mut self, cells: &[&str]) {
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                self.delimiter();
            }
            self.field(cell);
        }
        self.line_end();
    }

    fn field(&mut self, text: &str) {
        let special = |character: char| character == self.dialect.delimiter || matches!(character, '"' | '\r' | '\n');
        if !text.starts_with(char::is_whitespace) && !text.contains(special) && text != "\\." {
            self.buffer.extend_from_slice(text.as_bytes());
            return;
        }
        self.buffer.push(b'"');
        let mut before = 0;
        for byte in text.bytes() {
            match byte {
                b'"' => self.buffer.push(b'"'),
                b'\n' if before != b'\r' => self.buffer.push(b'\r'),
                _ => {}
            }
            self.buffer.push(byte);
            before = byte;
        }
        self.buffer.push(b'"');
    }

    fn delimiter(&mut self) {
        let mut bytes = [0; 4];
        self.buffer.extend_from_slice(self.dialect.delimiter.encode_utf8(&mut bytes).as_bytes());
    }

    fn line_end(&mut self) {
        self.buffer.extend_from_slice(b"\r\n");
    }

    fn drain(&mut self) -> Result<()> {
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// Where a column's cells come from.
enum Source<'a> {
    /// Key column of that number.
    Key(usize),
    /// A row column.
    Row(ColumnView<'a>),
}

/// The columns of a chunk in the user's order.
fn columns(chunk: &Chunk) -> Vec<Source<'_>> {
    let source = |place| match place {
        Place::Key(index) => Source::Key(index as usize),
        Place::Row(index) => Source::Row(ColumnView::of(&chunk.rows[index as usize])),
    };
    chunk.shape.columns.iter().map(|column| source(column.place)).collect()
}
