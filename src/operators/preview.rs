//! `experimental.preview`: the first rows of the first tables.
//!
//! Used for a look at a stream. Tables count in their order.

use super::in_order::in_order;
use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::scan::{Parts, StreamProps};
use crate::table::select::keep_ranges;
use crate::table::{Chunk, TableId};

/// `preview(nrows, ntables)`.
#[derive(Clone, Copy, Debug)]
pub struct Preview {
    /// Rows of each table.
    pub rows: usize,
    /// Tables.
    pub tables: usize,
}

impl Transform for Preview {
    fn name(&self) -> &'static str {
        "preview"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(in_order(&input[0], Previewing { of: *self, tables: 0, last: None, rows: 0 }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { parts: Parts::Clustered, ..input[0] }
    }

    fn explain(&self) -> String {
        format!("nrows: {}, ntables: {}", self.rows, self.tables)
    }
}

struct Previewing {
    of: Preview,
    /// How many tables have begun, and which one last.
    tables: usize,
    last: Option<TableId>,
    /// How many rows of it have been given.
    rows: usize,
}

impl Operator for Previewing {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let mut kept = Vec::new();
        for (segment, mut rows) in chunk.tables() {
            if self.last.replace(segment.table) != Some(segment.table) {
                self.tables = self.tables.saturating_add(1);
                self.rows = 0;
            }
            if self.tables > self.of.tables {
                break;
            }
            rows.end = rows.end.min(rows.start + (self.of.rows - self.rows));
            self.rows += rows.len();
            kept.push((segment, rows));
        }
        if !kept.is_empty() {
            out.push(keep_ranges(chunk, &kept)?);
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn first_rows_of_first_tables() {
        let input = "h:string* v:int\nb 1\nb 2\nb 3\n\n= c\n\na 4\n";
        expect(&Preview { rows: 2, tables: 2 }, input, "h:string* v:int\nb 1\nb 2\n\n= c\n");
        expect(&Preview { rows: 9, tables: 9 }, input, input);
        expect(&Preview { rows: 9, tables: 0 }, input, "");
    }
}
