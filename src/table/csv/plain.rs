//! Plain CSV out: a header, then a line per row, as spreadsheets and other databases read it (RFC 4180).
//!
//! Used for answers of SQL, which are one table without keys. A null is an empty cell, an empty string one in quotes.

use std::fmt::Write;

use crate::table::{Cell, Chunk, ColumnView, Place};

/// Writes one table.
#[derive(Debug, Default)]
pub struct PlainCsv {
    text: String,
    headed: bool,
}

impl PlainCsv {
    /// Adds rows; all chunks have one shape. The header comes with the first chunk, whether it has rows or not.
    pub fn chunk(&mut self, chunk: &Chunk) {
        if !self.headed {
            self.headed = true;
            for (index, column) in chunk.shape.columns.iter().enumerate() {
                self.comma(index);
                self.string(&column.name);
            }
            self.text.push('\n');
        }
        let keys: Vec<ColumnView<'_>> = chunk.keys.columns.iter().map(|array| ColumnView::of(array)).collect();
        let rows: Vec<ColumnView<'_>> = chunk.rows.iter().map(|array| ColumnView::of(array)).collect();
        for (segment, range) in chunk.tables() {
            for row in range {
                for (index, column) in chunk.shape.columns.iter().enumerate() {
                    self.comma(index);
                    self.cell(match column.place {
                        Place::Key(place) => keys[place as usize].cell(segment.key_row as usize),
                        Place::Row(place) => rows[place as usize].cell(row),
                    });
                }
                self.text.push('\n');
            }
        }
    }

    /// What has been written since this was called last.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// How many bytes wait to be taken.
    pub fn waiting(&self) -> usize {
        self.text.len()
    }

    fn comma(&mut self, index: usize) {
        if index > 0 {
            self.text.push(',');
        }
    }

    fn cell(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::String(value) => self.string(value),
            // Writing to a string cannot fail.
            other => drop(write!(self.text, "{other}")),
        }
    }

    fn string(&mut self, value: &str) {
        if !value.is_empty() && !value.contains([',', '"', '\r', '\n']) {
            self.text.push_str(value);
            return;
        }
        self.text.push('"');
        self.text.push_str(&value.replace('"', "\"\""));
        self.text.push('"');
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::read;
    use super::*;

    /// RFC 4180: commas, quotes and line ends stand in quotes, quotes twice.
    #[test]
    fn a_null_and_an_empty_string_differ_and_what_is_special_is_quoted() {
        let annotated = "#datatype,string,long,string,double,dateTime:RFC3339\n#group,false,false,true,false,false\n\
            #default,r,,,,\n,result,table,a b,x,t\n,,0,\"q\"\"u,o\",1.5,1970-01-01T00:00:00.25Z\n,,0,\"q\"\"u,o\",,\n\
            ,,1,plain,+Inf,\n";
        let mut writer = PlainCsv::default();
        for (_, chunks) in read(annotated.as_bytes()).unwrap() {
            chunks.iter().for_each(|chunk| writer.chunk(chunk));
        }
        assert_eq!(writer.take(), "a b,x,t\n\"q\"\"u,o\",1.5,1970-01-01T00:00:00.25Z\n\"q\"\"u,o\",,\nplain,+Inf,\n");
        let mut writer = PlainCsv::default();
        writer.string("");
        assert_eq!(writer.take(), "\"\"");
    }
}
