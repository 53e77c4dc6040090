//! `sample`: of each table every n-th row (flux-semantics 8).
//!
//! Streams. Without a position the first row of a table is drawn by its group key: the tables of a stream begin at
//! different places, and a query that runs again gives the same rows.

use std::collections::HashMap;
use std::hash::Hasher;

use arrow::array::BooleanBufferBuilder;

use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::select::keep_rows;
use crate::table::size;
use crate::table::{Chunk, ColumnView, Name, Segment, TableId};

/// `sample(n, pos, column)`.
#[derive(Clone, Debug)]
pub struct Sample {
    n: u64,
    position: Option<u64>,
    column: Name,
}

impl Sample {
    /// Every `n`-th row from the row number `position` on; tables have to have a column, whose values do not matter.
    ///
    /// # Errors
    /// Invalid unless `n` is positive and greater than the position.
    pub fn new(n: i64, position: Option<i64>, column: Name) -> Result<Sample> {
        let count = u64::try_from(n).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| Error::invalid(format!("n must be a positive integer, but was {n}")))?;
        if let Some(position) = position.filter(|position| *position >= n) {
            return Err(Error::invalid(format!("pos must be less than n, but {position} >= {n}")));
        }
        // A negative one is as good as none.
        Ok(Sample { n: count, position: position.and_then(|position| u64::try_from(position).ok()), column })
    }

    fn first(&self, chunk: &Chunk, segment: &Segment) -> u64 {
        self.position.unwrap_or_else(|| {
            let mut hash = Fnv::default();
            for column in &chunk.keys.columns {
                let cell = ColumnView::of(column).cell(segment.key_row as usize);
                hash.write(cell.to_string().as_bytes());
                hash.write_u8(0xff);
            }
            hash.finish() % self.n
        })
    }
}

/// FNV-1a: the same on every machine.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Transform for Sample {
    fn name(&self) -> &'static str {
        "sample"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(SampleOperator { sample: self.clone(), open: HashMap::new() }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        let position = self.position.map_or(String::new(), |position| format!(", pos: {position}"));
        format!("n: {}{position}, column: {:?}", self.n, self.column)
    }
}

struct SampleOperator {
    sample: Sample,
    /// Of tables that have not ended how many rows come before the next one that is kept.
    open: HashMap<TableId, u64>,
}

impl Operator for SampleOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let sample = &self.sample;
        if chunk.shape.column(&sample.column).is_none() {
            return Err(Error::failed_precondition(format!("no column {:?} exists", sample.column))
                .with_hint("sample needs a column; which columns there are shows |> limit(n: 1)"));
        }
        let mut kept = BooleanBufferBuilder::new(chunk.len);
        for (segment, range) in chunk.tables() {
            let mut left = self.open.remove(&segment.table).unwrap_or_else(|| sample.first(&chunk, &segment));
            for _ in range {
                kept.append(left == 0);
                left = if left == 0 { sample.n - 1 } else { left - 1 };
            }
            if !segment.done {
                self.open.insert(segment.table, left);
            }
        }
        out.push(keep_rows(chunk, &kept.finish())?);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        size::of_map::<(TableId, u64)>(self.open.capacity())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;
    use crate::table::scan::Parts;

    fn sample(n: i64, position: Option<i64>) -> Sample {
        Sample::new(n, position, "v".into()).unwrap()
    }

    #[test]
    fn every_nth_row_from_a_position() {
        let input = "h:string* v:int\na 0\na 1\na -\na 3\na 4\n\nb 0\n\n= c\n";
        expect(&sample(2, Some(0)), input, "h:string* v:int\na 0\na -\na 4\n\nb 0\n\n= c\n");
        expect(&sample(3, Some(1)), input, "h:string* v:int\na 1\na 4\n\n= b\n\n= c\n");
        expect(&sample(1, None), input, input);
        expect(&sample(9, Some(8)), input, "h:string* v:int\n= a\n\n= b\n\n= c\n");
    }

    /// How many rows there are does not depend on where the first one lies, and neither does the answer on the run.
    #[test]
    fn without_a_position_a_table_has_its_own() {
        let rows: String = (0..10).map(|row| format!("a {row}\n")).collect();
        let input = format!("h:string* v:int\n{rows}");
        let out = answer(&sample(5, None), props(Parts::Clustered), &input).unwrap();
        assert_eq!(out.chunks.iter().map(|chunk| chunk.len).sum::<usize>(), 2);
    }

    #[test]
    fn what_does_not_go_is_refused() {
        let refused = |n, position| Sample::new(n, position, "v".into()).unwrap_err().message().to_string();
        assert_eq!(refused(0, None), "n must be a positive integer, but was 0");
        assert_eq!(refused(2, Some(2)), "pos must be less than n, but 2 >= 2");
        assert_eq!(expect_error(&sample(1, None), "w:int\n1\n").message(), "no column \"v\" exists");
    }
}
