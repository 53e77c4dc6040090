//! `tail`: of each table the last rows, before some at its end that are left out (flux-semantics 9.2).
//!
//! Holds of each table that has not ended no more than it may have to give. Tables come out in the order of their keys.

use super::in_order::in_order;
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::Chunk;
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::select::keep_ranges;
use crate::table::whole::WholeTables;

use super::by_shape::ByShape;

/// `tail(n, offset)`.
#[derive(Clone, Copy, Debug)]
pub struct Tail {
    n: usize,
    offset: usize,
}

impl Tail {
    /// The last `n` rows of each table (none if it is negative) before its last `offset` rows.
    ///
    /// # Errors
    /// Invalid if the offset is negative.
    pub fn new(n: i64, offset: i64) -> Result<Tail> {
        let offset = usize::try_from(offset)
            .map_err(|_| Error::invalid(format!("tail offset cannot be negative ({offset})")))?;
        Ok(Tail { n: usize::try_from(n).unwrap_or(0), offset })
    }
}

impl Transform for Tail {
    fn name(&self) -> &'static str {
        "tail"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = TailOperator {
            tail: *self,
            whole: WholeTables::of_last(self.n.saturating_add(self.offset)),
            merger: Merger::new(TableOrder::KeySorted, Duplicates::Refuse("tail")),
            mappings: ByShape::default(),
        };
        Ok(in_order(&input[0], operator))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { parts: Parts::Clustered, tables: TableOrder::KeySorted, unique_keys: true, ..input[0] }
    }

    fn explain(&self) -> String {
        let offset = if self.offset > 0 { format!(", offset: {}", self.offset) } else { String::new() };
        format!("n: {}{offset}", self.n)
    }
}

struct TailOperator {
    tail: Tail,
    whole: WholeTables,
    merger: Merger,
    mappings: ByShape<MappingId>,
}

impl Operator for TailOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let last = |rows: std::ops::Range<usize>| {
                let end = rows.end.saturating_sub(self.tail.offset).max(rows.start);
                end.saturating_sub(self.tail.n).max(rows.start)..end
            };
            let kept: Vec<_> = chunk.tables().map(|(segment, rows)| (segment, last(rows))).collect();
            let chunk = keep_ranges(chunk, &kept)?.compact()?;
            let merger = &mut self.merger;
            let mapping = *self.mappings.get(&chunk.shape, |shape| Ok(merger.mapping(Target::of_shape(shape))))?;
            merger.push(mapping, chunk)?;
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let merger = std::mem::replace(&mut self.merger, Merger::new(TableOrder::KeySorted, Duplicates::Merge));
        out.merge(merger.finish(0)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.whole.memory() + self.merger.memory()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;

    const TABLES: &str = "h:string* v:int w:string\nb 1 x\nb - y\nb 3 -\n\na 4 z\n\n= c\n";

    fn tail(n: i64, offset: i64) -> Tail {
        Tail::new(n, offset).unwrap()
    }

    /// flux-semantics 9.2; tables in the order of their keys.
    #[test]
    fn each_table_keeps_its_last_rows() {
        expect(&tail(2, 0), TABLES, "h:string* v:int w:string\na 4 z\n\nb - y\nb 3 -\n\n= c\n");
        expect(&tail(1, 1), TABLES, "h:string* v:int w:string\n= a\n\nb - y\n\n= c\n");
        expect(&tail(9, 2), TABLES, "h:string* v:int w:string\n= a\n\nb 1 x\n\n= c\n");
        expect(&tail(0, 0), TABLES, "h:string* v:int w:string\n= a\n\n= b\n\n= c\n");
        expect(&tail(-1, 0), "", "");
    }

    #[test]
    fn many_rows_in_many_parts() {
        let rows: String = (0..200).map(|row| format!("a {row}\n")).collect();
        let last: String = (187..197).map(|row| format!("a {row}\n")).collect();
        expect(&tail(10, 3), &format!("h:string* v:int\n{rows}"), &format!("h:string* v:int\n{last}"));
    }

    #[test]
    fn two_tables_of_one_key_are_refused() {
        let error = expect_error(&tail(1, 0), "h:string* v:int\na 1\n\na 2\n");
        assert_eq!(error.message(), "tail found duplicate table with key: {h=a}");
        assert_eq!(Tail::new(1, -2).unwrap_err().message(), "tail offset cannot be negative (-2)");
    }
}
