//! `table.fill` of `experimental/table`: a table without rows gets one, with the values of its key and nulls elsewhere.
//!
//! Streams. `aggregateWindow` ends with it where windows without rows have to show.

use hashbrown::HashSet;

use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::gather::{Gather, Stretch};
use crate::table::scan::StreamProps;
use crate::table::size;
use crate::table::{Chunk, Segment, TableId};

/// `table.fill()`.
#[derive(Clone, Copy, Debug)]
pub struct TableFill;

impl Transform for TableFill {
    fn name(&self) -> &'static str {
        "table.fill"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Filling { open: HashSet::new() }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }
}

struct Filling {
    /// Tables that have rows and are not done.
    open: HashSet<TableId>,
}

impl Operator for Filling {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let mut segments = Vec::with_capacity(chunk.segments.len());
        let mut stretches = Vec::new();
        let mut len = 0;
        for (segment, rows) in chunk.tables() {
            let filled = if !rows.is_empty() {
                stretches.push(Stretch::rows(0, rows.clone()));
                if segment.done {
                    self.open.remove(&segment.table);
                } else {
                    self.open.insert(segment.table);
                }
                rows.len()
            } else if segment.done && !self.open.remove(&segment.table) {
                stretches.push(Stretch::repeat(1, 0, 1));
                1
            } else {
                0
            };
            len += filled;
            segments.push(Segment { end: len as u32, ..segment });
        }
        if len == chunk.len {
            out.push(chunk);
            return Ok(());
        }
        let gather = Gather::new(stretches);
        let mut rows = Vec::with_capacity(chunk.rows.len());
        for (column, array) in chunk.shape.row_columns().zip(&chunk.rows) {
            rows.push(gather.column(column.column_type, |source| (source == 0).then_some(array))?);
        }
        out.chunks.extend(Chunk { segments, rows, len, ..chunk }.cut());
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        size::of_map::<TableId>(self.open.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn empty_tables_get_a_row() {
        let input = "h:string* _time:time v:int\n= a\n\nb T1 1\nb T2 -\n\n= c\n\n= -\n";
        let expected = "h:string* _time:time v:int\na - -\n\nb T1 1\nb T2 -\n\nc - -\n\n- - -\n";
        expect(&TableFill, input, expected);
        expect(&TableFill, "h:string*\n= a\n", "h:string*\na\n");
        expect(&TableFill, "", "");
    }
}
