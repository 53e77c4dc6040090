//! Tables as aligned text for a terminal: a heading with the group key, column names with their types, rows.
//!
//! Called by the command line and the REPL. For eyes only: long cells are wrapped, and nothing reads it back.

use std::io::Write;

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};

use super::{Cell, Chunk, ColumnType, ColumnView, Place, TableId};
use crate::error::Result;

/// Rows of one table that are laid out together; a longer table repeats its header.
const BLOCK_ROWS: usize = 1_000;

/// A line under the header, two spaces between columns.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('-').junction(' '))
    .content_lines(ContentLineStyle::none().junction(' '));

/// Writes results as text. Calls come as for [`super::csv::CsvWriter`].
#[derive(Debug)]
pub struct TextWriter<W: Write> {
    out: W,
    width: Option<u16>,
    open: Option<(TableId, Vec<Vec<String>>)>,
    /// Whether the open table's heading has been written.
    headed: bool,
    /// Whether the names of results and the keys of tables are told.
    headings: bool,
}

impl<W: Write> TextWriter<W> {
    /// A writer for lines of at most `width` columns (as many as it takes if `None`).
    pub fn new(out: W, width: Option<u16>) -> Self {
        TextWriter { out, width, open: None, headed: false, headings: true }
    }

    /// Writes rows under their column names alone: for answers that are one table.
    pub fn without_headings(self) -> Self {
        TextWriter { headings: false, ..self }
    }

    /// A result begins.
    ///
    /// # Errors
    /// Unavailable if it cannot be written.
    pub fn begin_result(&mut self, name: &str) -> Result<()> {
        if self.headings {
            writeln!(self.out, "Result: {name}")?;
        }
        Ok(())
    }

    /// Writes the tables of a chunk, as far as they are complete.
    ///
    /// # Errors
    /// Unavailable if they cannot be written.
    pub fn chunk(&mut self, chunk: &Chunk) -> Result<()> {
        for (segment, rows) in chunk.tables() {
            let mut lines = self.open.take().map_or_else(Vec::new, |(_, lines)| lines);
            for row in rows {
                lines.push(texts(chunk, segment.key_row as usize, row));
                if lines.len() == BLOCK_ROWS {
                    self.block(chunk, &lines)?;
                    lines.clear();
                }
            }
            if !segment.done {
                self.open = Some((segment.table, lines));
                continue;
            }
            if !lines.is_empty() || !self.headed {
                self.block(chunk, &lines)?;
            }
            self.headed = false;
            if self.headings {
                writeln!(self.out)?;
            }
        }
        Ok(())
    }

    /// Ends the writer.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn block(&mut self, chunk: &Chunk, lines: &[Vec<String>]) -> Result<()> {
        let columns = &chunk.shape.columns;
        if !self.headed {
            if self.headings {
                let key: Vec<&str> = chunk.shape.key_columns().map(|column| &*column.name).collect();
                writeln!(self.out, "Table: keys: [{}]", key.join(", "))?;
            }
            self.headed = true;
        }
        if columns.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(STYLE);
        table.set_header(columns.iter().map(|column| format!("{}:{}", column.name, column.column_type.flux_name())));
        for line in lines {
            table.add_row(line);
        }
        if let Some(width) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        for (index, column) in columns.iter().enumerate() {
            let numeric = matches!(column.column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float);
            if let (true, Some(layout)) = (numeric, table.column_mut(index)) {
                layout.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The cells of a row, in the user's order.
fn texts(chunk: &Chunk, key_row: usize, row: usize) -> Vec<String> {
    let cell = |place: Place| match place {
        Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]).cell(key_row),
        Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]).cell(row),
    };
    chunk.shape.columns.iter().map(|column| text(cell(column.place))).collect()
}

fn text(cell: Cell<'_>) -> String {
    match cell {
        Cell::String(value) => printable(value),
        other => other.to_string(),
    }
}

/// The text without what a terminal would obey: devices send the strings.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::table::csv;

    fn show(csv: &str, width: Option<u16>) -> String {
        let mut writer = TextWriter::new(Vec::new(), width);
        for (name, chunks) in csv::read(csv.as_bytes()).unwrap() {
            writer.begin_result(&name).unwrap();
            for chunk in chunks {
                writer.chunk(&chunk).unwrap();
            }
        }
        String::from_utf8(writer.into_inner()).unwrap()
    }

    const TABLES: &str = "#datatype,string,long,string,long,string\n#group,false,false,true,false,false\n\
        #default,_result,,,,\n,result,table,host,n,note\n,,0,a,5,x\x1b[2J\n,,0,a,12,\n,,1,b,7,y\n";

    #[test]
    fn columns_are_aligned_under_names_and_types() {
        let expected = [
            "Result: _result",
            "Table: keys: [host]",
            " host:string   n:int   note:string",
            "------------- ------- -------------",
            " a                 5   x\\u{1b}[2J",
            " a                12",
            "",
            "Table: keys: [host]",
            " host:string   n:int   note:string",
            "------------- ------- -------------",
            " b                 7   y",
            "",
            "",
        ];
        assert_eq!(show(TABLES, None), expected.join("\n"));
    }

    #[test]
    fn lines_keep_to_the_width() {
        let long = TABLES.replace(",y\n", ",a note that is longer than the terminal is wide\n");
        let shown = show(&long, Some(40));
        assert!(shown.lines().all(|line| line.chars().count() <= 40), "{shown}");
        assert!(shown.contains("terminal"), "{shown}");
    }

    #[test]
    fn an_empty_table_shows_its_columns() {
        let empty = "#datatype,string,long,string\n#group,false,false,true\n#default,r,0,a\n,result,table,host\n";
        assert_eq!(show(empty, None), "Result: r\nTable: keys: [host]\n host:string\n-------------\n\n");
    }
}
