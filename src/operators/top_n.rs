//! `sort` with the `limit` behind it, as one operator: of each table no more rows are held than may have to be given.
//!
//! Made by the plan out of the two (see [`super::Transform::joined`]), and answers exactly as they do. Of every part of a
//! table only its first rows in the new order are kept, in their old order; so a stable sort of what is left gives the
//! same rows first as one of all.

use arrow::array::BooleanBufferBuilder;

use super::limit::Limit;
use super::sort::{Sort, compare};
use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::Chunk;
use crate::table::scan::StreamProps;
use crate::table::select::keep_rows;
use crate::table::spill::SpillSpace;

/// `sort(columns, desc) |> limit(n, offset)`.
#[derive(Clone, Debug)]
pub struct TopN {
    sort: Sort,
    limit: Limit,
}

impl TopN {
    /// The two as one.
    pub fn new(sort: Sort, limit: Limit) -> TopN {
        TopN { sort, limit }
    }
}

impl Transform for TopN {
    fn name(&self) -> &'static str {
        "sort |> limit"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let sorted = [self.sort.gives(input)];
        Ok(Box::new(TopNOperator {
            sort: self.sort.clone(),
            most: self.limit.reach(),
            sorter: self.sort.operator(input)?,
            limiter: self.limit.operator(&sorted)?,
        }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        self.limit.gives(&[self.sort.gives(input)])
    }

    fn explain(&self) -> String {
        format!("{}, {}", self.sort.explain(), self.limit.explain())
    }
}

struct TopNOperator {
    sort: Sort,
    /// So many rows of a table count, those that are skipped among them.
    most: usize,
    sorter: Box<dyn Operator>,
    limiter: Box<dyn Operator>,
}

impl TopNOperator {
    /// Of each part of a table the rows that come first, where they are.
    fn reduce(&self, chunk: Chunk) -> Result<Chunk> {
        let long = |rows: &std::ops::Range<usize>| rows.len() > self.most;
        if !chunk.tables().any(|(_, rows)| long(&rows)) {
            return Ok(chunk);
        }
        let keys = self.sort.keys(&chunk.shape, &chunk.rows);
        let mut kept = BooleanBufferBuilder::new(chunk.len);
        kept.append_n(chunk.len, false);
        let mut own: Vec<u32> = Vec::new();
        for (_, rows) in chunk.tables() {
            if long(&rows) {
                own.clear();
                own.extend(rows.start as u32..rows.end as u32);
                if self.most > 0 {
                    let order = |left: &u32, right: &u32| compare(&keys, *left, *right).then(left.cmp(right));
                    own.select_nth_unstable_by(self.most - 1, order);
                }
                own[..self.most].iter().for_each(|row| kept.set_bit(*row as usize, true));
            } else {
                rows.for_each(|row| kept.set_bit(row, true));
            }
        }
        drop(keys);
        keep_rows(chunk, &kept.finish())
    }

    /// Hands what the sorting gives to the limit.
    fn pass(&mut self, mut sorted: Out, out: &mut Out) -> Result<()> {
        out.more |= sorted.more;
        for chunk in sorted.take_chunks()? {
            self.limiter.push(0, chunk, out)?;
        }
        out.warnings.extend(sorted.warnings);
        Ok(())
    }
}

impl Operator for TopNOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let mut sorted = Out::default();
        self.sorter.push(0, self.reduce(chunk)?, &mut sorted)?;
        self.pass(sorted, out)
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let mut sorted = Out::default();
        self.sorter.finish(0, &mut sorted)?;
        self.pass(sorted, out)?;
        self.limiter.finish(0, out)
    }

    fn resume(&mut self, out: &mut Out) -> Result<()> {
        let mut sorted = Out::default();
        self.sorter.resume(&mut sorted)?;
        self.pass(sorted, out)
    }

    fn memory(&self) -> usize {
        self.sorter.memory() + self.limiter.memory()
    }

    fn relieve(&mut self, space: &SpillSpace) -> Result<bool> {
        self.sorter.relieve(space)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fmt::Write;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::super::testing::*;
    use super::*;
    use crate::table::scan::Parts;
    use crate::table::testing::{normal, show};

    fn top(columns: &[&str], descending: bool, n: i64, offset: i64) -> TopN {
        let columns = columns.iter().map(|name| (*name).into()).collect();
        TopN::new(Sort { columns, descending }, Limit::new(n, offset).unwrap())
    }

    #[test]
    fn the_first_rows_in_order() {
        let input = "h:string* v:int w:string\na 3 x\na 1 y\na - z\na 2 p\n\nb 2 q\n\n= c\n";
        let head = "h:string* v:int w:string\n";
        expect(&top(&["v"], true, 2, 0), input, &format!("{head}a - z\na 3 x\n\nb 2 q\n\n= c\n"));
        expect(&top(&["v"], false, 1, 1), input, &format!("{head}a 1 y\n\n= c\n"));
        expect(&top(&["v"], false, 0, 0), input, &format!("{head}= a\n\n= b\n\n= c\n"));
        assert_eq!(top(&["v"], true, 2, 1).explain(), "columns: [\"v\"], desc: true, n: 2, offset: 1");
    }

    /// Random tables with few different values: exactly what the two operators give, one behind the other.
    #[test]
    fn it_is_sort_and_limit() {
        for seed in 0..60 {
            let random = &mut StdRng::seed_from_u64(seed);
            let mut input = "h:string* v:float s:string i:int\n".to_string();
            for table in 0..random.random_range(1..6) {
                let rows = random.random_range(0..40);
                if rows == 0 {
                    writeln!(input, "= {table}").unwrap();
                }
                for row in 0..rows {
                    let v = ["1.5", "-", "NaN", "-0.0", "0.0", "inf"][random.random_range(0..6)];
                    let s = ["a", "b", "-", "''"][random.random_range(0..4)];
                    writeln!(input, "{table} {v} {s} {row}").unwrap();
                }
                input.push('\n');
            }
            let columns = [&["v"][..], &["s", "v"], &["v", "i"], &["h"], &[]][random.random_range(0..5)];
            let descending = random.random_bool(0.5);
            let (n, offset) = (random.random_range(-1..12), random.random_range(0..8));
            let one = top(columns, descending, n, offset);
            let clustered = props(Parts::Clustered);
            let sorted = answer(&one.sort, clustered, &input).unwrap();
            let both = run(&one.limit, clustered, sorted.chunks).unwrap();
            let out = answer(&one, clustered, &input).unwrap();
            assert_eq!(show(&out.chunks), show(&both.chunks), "{}\n{}", one.explain(), normal(&input));
        }
    }
}
