//! `limit`: of each table the first rows, after some that are skipped (flux-semantics 9.2).
//!
//! Streams; keeps a count per table that has not ended. A table of which everything is skipped disappears, one that had no
//! rows stays.

use std::collections::HashMap;

use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::select::keep_ranges;
use crate::table::size;
use crate::table::{Chunk, TableId};

/// `limit(n, offset)`.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    n: u64,
    offset: u64,
}

impl Limit {
    /// At most `n` rows of each table (none if it is negative), from the row number `offset` on.
    ///
    /// # Errors
    /// Invalid if the offset is negative.
    pub fn new(n: i64, offset: i64) -> Result<Limit> {
        let offset =
            u64::try_from(offset).map_err(|_| Error::invalid(format!("limit offset cannot be negative ({offset})")))?;
        Ok(Limit { n: u64::try_from(n).unwrap_or(0), offset })
    }

    /// How many rows of a table it looks at, those that it skips among them.
    pub fn reach(&self) -> usize {
        usize::try_from(self.offset.saturating_add(self.n)).unwrap_or(usize::MAX)
    }
}

impl Transform for Limit {
    fn name(&self) -> &'static str {
        "limit"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(LimitOperator { limit: *self, open: HashMap::new() }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        let offset = if self.offset > 0 { format!(", offset: {}", self.offset) } else { String::new() };
        format!("n: {}{offset}", self.n)
    }
}

struct LimitOperator {
    limit: Limit,
    open: HashMap<TableId, Seen>,
}

/// What has come of a table, and whether anything of it was given.
#[derive(Clone, Copy, Default)]
struct Seen {
    rows: u64,
    given: bool,
}

impl Operator for LimitOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let Limit { n, offset } = self.limit;
        let last = offset.saturating_add(n);
        let mut kept = Vec::with_capacity(chunk.segments.len());
        for (segment, rows) in chunk.tables() {
            let mut seen = self.open.remove(&segment.table).unwrap_or_default();
            let (start, len) = (rows.start, rows.len() as u64);
            // Row numbers within the table, brought into this part.
            let from = offset.clamp(seen.rows, seen.rows + len) - seen.rows;
            let to = last.clamp(seen.rows, seen.rows + len) - seen.rows;
            seen.rows += len;
            let part = start + from as usize..start + to as usize;
            let empty = segment.done && !seen.given && (seen.rows == 0 || n == 0);
            if !part.is_empty() || empty || (segment.done && seen.given) {
                seen.given = true;
                kept.push((segment, part));
            }
            if !segment.done {
                self.open.insert(segment.table, seen);
            }
        }
        if !kept.is_empty() {
            out.push(keep_ranges(chunk, &kept)?);
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        size::of_map::<(TableId, Seen)>(self.open.capacity())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;

    const TABLES: &str = "h:string* v:int w:string\na 1 x\na - y\na 3 -\n\nb 4 z\n\n= c\n";

    fn limit(n: i64, offset: i64) -> Limit {
        Limit::new(n, offset).unwrap()
    }

    #[test]
    fn each_table_keeps_its_first_rows() {
        expect(&limit(2, 0), TABLES, "h:string* v:int w:string\na 1 x\na - y\n\nb 4 z\n\n= c\n");
        expect(&limit(i64::MAX, 0), TABLES, TABLES);
        expect(&limit(1, 0), "", "");
    }

    /// flux-semantics 9.2: a table with rows, all of them skipped, disappears; an empty one stays.
    #[test]
    fn a_table_that_is_skipped_as_a_whole_disappears() {
        expect(&limit(1, 1), TABLES, "h:string* v:int w:string\na - y\n\n= c\n");
        expect(&limit(5, 2), TABLES, "h:string* v:int w:string\na 3 -\n\n= c\n");
        expect(&limit(5, 3), TABLES, "h:string* v:int w:string\n= c\n");
    }

    /// flux-semantics 9.2: n of none or less keeps all tables, empty.
    #[test]
    fn no_rows_at_all_keep_the_tables() {
        let empty = "h:string* v:int w:string\n= a\n\n= b\n\n= c\n";
        expect(&limit(0, 0), TABLES, empty);
        expect(&limit(-3, 2), TABLES, empty);
    }

    #[test]
    fn a_negative_offset_is_refused() {
        assert_eq!(Limit::new(1, -1).unwrap_err().message(), "limit offset cannot be negative (-1)");
        assert_eq!(limit(3, 2).explain(), "n: 3, offset: 2");
    }
}
