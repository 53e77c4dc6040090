//! `limit`, `tail`: some rows of each table, by their place (flux-semantics 9.2).
//!
//! `limit` streams: it keeps one number per table. `tail` holds the rows that may still be among the last.

use std::sync::Arc;

use arrow::array::ArrayRef;
use hashbrown::HashMap;

use super::in_order::in_order;
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::gather::{Gather, Stretch};
use crate::table::scan::StreamProps;
use crate::table::{Chunk, Segment, TableId};

/// `limit(n, offset)`.
#[derive(Clone, Debug)]
pub struct Limit {
    /// How many rows; none if not positive.
    pub n: i64,
    /// How many rows before them are left out.
    pub offset: i64,
}

impl Limit {
    /// A limit.
    ///
    /// # Errors
    /// Invalid for a negative offset.
    pub fn new(n: i64, offset: i64) -> Result<Limit> {
        if offset < 0 {
            return Err(Error::invalid(format!("limit offset cannot be negative ({offset})")));
        }
        Ok(Limit { n, offset })
    }
}

impl Transform for Limit {
    fn name(&self) -> &'static str {
        "limit"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let first = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let count = usize::try_from(self.n).unwrap_or(0);
        Ok(Box::new(LimitOperator { first, end: first.saturating_add(count), open: HashMap::new() }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        if self.offset == 0 { format!("n: {}", self.n) } else { format!("n: {}, offset: {}", self.n, self.offset) }
    }
}

struct LimitOperator {
    first: usize,
    end: usize,
    /// Rows seen of tables of which more is to come.
    open: HashMap<TableId, usize>,
}

impl Operator for LimitOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let mut kept = Kept::default();
        for (segment, range) in chunk.tables() {
            let before = self.open.remove(&segment.table).unwrap_or(0);
            let after = before + range.len();
            // The window [first, end) of the table, in rows of this part.
            let from = self.first.clamp(before, after) - before;
            let to = self.end.clamp(before, after) - before;
            let rows = range.start + from..range.start + to.max(from);
            if !segment.done {
                self.open.insert(segment.table, after);
                if !rows.is_empty() {
                    kept.part(segment, rows);
                }
                continue;
            }
            // An offset beyond the rows makes the table vanish; a limit of nothing keeps it, empty.
            let vanishes = after > 0 && self.first >= after && self.end > self.first;
            if !vanishes {
                kept.part(segment, rows);
            }
        }
        kept.give(&chunk, out)
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}

/// `tail(n, offset)`.
#[derive(Clone, Debug)]
pub struct Tail {
    /// How many rows; none if not positive.
    pub n: i64,
    /// How many rows behind them are left out.
    pub offset: i64,
}

impl Tail {
    /// A tail.
    ///
    /// # Errors
    /// Invalid for a negative offset.
    pub fn new(n: i64, offset: i64) -> Result<Tail> {
        if offset < 0 {
            return Err(Error::invalid(format!("tail offset cannot be negative ({offset})")));
        }
        Ok(Tail { n, offset })
    }
}

impl Transform for Tail {
    fn name(&self) -> &'static str {
        "tail"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let count = usize::try_from(self.n).unwrap_or(0);
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        Ok(in_order(&input[0], TailOperator { count, offset, open: Vec::new(), rows: 0 }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { parts: crate::table::scan::Parts::Clustered, ..input[0] }
    }

    fn explain(&self) -> String {
        if self.offset == 0 { format!("n: {}", self.n) } else { format!("n: {}, offset: {}", self.n, self.offset) }
    }
}

struct TailOperator {
    count: usize,
    offset: usize,
    /// The earlier parts of the one table that is open, as far as they may still be needed.
    open: Vec<(Chunk, Segment, std::ops::Range<usize>)>,
    /// Rows of the parts in `open`, those that were let go not counted.
    rows: usize,
}

impl TailOperator {
    /// Lets go of parts that lie before everything that can be among the last.
    fn trim(&mut self) {
        let needed = self.count.saturating_add(self.offset);
        while let Some((_, _, first)) = self.open.first() {
            if self.rows - first.len() < needed {
                return;
            }
            self.rows -= first.len();
            self.open.remove(0);
        }
    }

    /// The rows of `range` of a part that has `after` rows of its table behind it.
    fn last_of(&self, range: std::ops::Range<usize>, after: usize) -> std::ops::Range<usize> {
        let end = range.end.saturating_sub(self.offset.saturating_sub(after)).max(range.start);
        let reach = self.count.saturating_add(self.offset).saturating_sub(after);
        let start = range.end.saturating_sub(reach).max(range.start);
        start.min(end)..end
    }
}

impl Operator for TailOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let mut kept = Kept::default();
        for (segment, range) in chunk.tables() {
            if !segment.done {
                self.rows += range.len();
                self.open.push((chunk.clone(), segment, range));
                self.trim();
                continue;
            }
            if !self.open.is_empty() {
                // What this chunk has given of earlier tables goes before this table's first rows.
                std::mem::take(&mut kept).give(&chunk, out)?;
            }
            let mut after = self.rows + range.len();
            for (part, part_segment, part_range) in std::mem::take(&mut self.open) {
                after -= part_range.len();
                let rows = self.last_of(part_range, after);
                if !rows.is_empty() {
                    let mut one = Kept::default();
                    one.part(part_segment, rows);
                    one.give(&part, out)?;
                }
            }
            self.rows = 0;
            let rows = self.last_of(range, 0);
            kept.part(segment, rows);
        }
        kept.give(&chunk, out)
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}

/// The parts of a chunk that stay.
#[derive(Default)]
struct Kept {
    segments: Vec<Segment>,
    stretches: Vec<Stretch>,
    len: usize,
}

impl Kept {
    fn part(&mut self, segment: Segment, rows: std::ops::Range<usize>) {
        self.len += rows.len();
        self.segments.push(Segment { end: self.len as u32, ..segment });
        self.stretches.push(Stretch::rows(0, rows));
    }

    fn give(self, chunk: &Chunk, out: &mut Out) -> Result<()> {
        if self.segments.is_empty() {
            return Ok(());
        }
        let gather = Gather::new(self.stretches);
        let columns = chunk.shape.row_columns().zip(&chunk.rows);
        let rows: Vec<ArrayRef> =
            columns.map(|(column, array)| gather.column(column.column_type, |_| Some(array))).collect::<Result<_>>()?;
        let (shape, keys) = (Arc::clone(&chunk.shape), Arc::clone(&chunk.keys));
        out.push(Chunk { shape, keys, segments: self.segments, rows, len: self.len });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    const INPUT: &str = "h:string* v:int\na 1\na 2\na 3\n\nb 4\n\n= c\n";

    fn limit(n: i64, offset: i64) -> Limit {
        Limit::new(n, offset).expect("an offset that is not negative")
    }

    fn tail(n: i64, offset: i64) -> Tail {
        Tail::new(n, offset).expect("an offset that is not negative")
    }

    /// flux-semantics 9.2 and 18 (19).
    #[test]
    fn limit_takes_a_window_of_each_table() {
        expect(&limit(2, 0), INPUT, "h:string* v:int\na 1\na 2\n\nb 4\n\n= c\n");
        expect(&limit(2, 1), INPUT, "h:string* v:int\na 2\na 3\n\n= c\n");
        expect(&limit(5, 3), INPUT, "h:string* v:int\n= c\n");
        expect(&limit(0, 0), INPUT, "h:string* v:int\n= a\n\n= b\n\n= c\n");
        expect(&limit(-3, 0), INPUT, "h:string* v:int\n= a\n\n= b\n\n= c\n");
        expect(&limit(i64::MAX, 1), INPUT, "h:string* v:int\na 2\na 3\n\n= c\n");
        let error = Limit::new(1, -1).expect_err("a negative offset");
        assert_eq!(error.message(), "limit offset cannot be negative (-1)");
    }

    #[test]
    fn tail_takes_the_last_rows_of_each_table() {
        expect(&tail(2, 0), INPUT, "h:string* v:int\na 2\na 3\n\nb 4\n\n= c\n");
        expect(&tail(1, 1), INPUT, "h:string* v:int\na 2\n\n= b\n\n= c\n");
        expect(&tail(9, 2), INPUT, "h:string* v:int\na 1\n\n= b\n\n= c\n");
        expect(&tail(0, 0), INPUT, "h:string* v:int\n= a\n\n= b\n\n= c\n");
        expect(&tail(i64::MAX, i64::MAX), INPUT, "h:string* v:int\n= a\n\n= b\n\n= c\n");
    }

    #[test]
    fn a_long_table_is_not_held_whole() {
        let mut operator = TailOperator { count: 2, offset: 1, open: Vec::new(), rows: 0 };
        let mut text = String::from("v:int\n");
        for value in 0..10 {
            text.push_str(&format!("{value}\n"));
        }
        for chunk in crate::table::testing::tables(&text) {
            for row in 0..chunk.len {
                let rows = chunk.rows.iter().map(|array| array.slice(row, 1)).collect();
                let segments = vec![Segment { end: 1, done: false, ..chunk.segments[0] }];
                let part = Chunk { segments, rows, len: 1, ..chunk.clone() };
                operator.push(0, part, &mut Out::default()).expect("a push");
                assert!(operator.open.len() <= 3, "{} parts are held", operator.open.len());
            }
        }
    }
}
