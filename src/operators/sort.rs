//! `sort`: the rows of each table by some of its columns (flux-semantics 9.1).
//!
//! Stable. Nulls come first whichever the direction; columns that a table lacks or has in its key are passed over. Tables
//! stay in their order; each is held until it is whole, on disk if memory is short.

mod merge;
mod spill;

use std::any::Any;
use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringViewArray, UInt32Array};
use arrow::compute::take;

use self::spill::Spilled;
use super::limit::Limit;
use super::top_n::TopN;
use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::scan::StreamProps;
use crate::table::spill::SpillSpace;
use crate::table::whole::WholeTables;
use crate::table::{Chunk, ColumnView, Name, Place, Shape};

/// What a row takes while its table is sorted, beside the row: its key in one column and its place, twice.
const SORTING_BYTES: usize = size_of::<(bool, u64)>() + 2 * size_of::<u32>();

/// `sort(columns, desc)`.
#[derive(Clone, Debug)]
pub struct Sort {
    /// The columns, the first one first.
    pub columns: Vec<Name>,
    /// Greatest first.
    pub descending: bool,
}

impl Transform for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(SortOperator { sort: self.clone(), whole: WholeTables::new(), spilled: None }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        let rows_by_time = !self.descending && self.columns.first().is_some_and(|name| &**name == "_time");
        StreamProps { rows_by_time, ..input[0] }
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| format!("{name:?}")).collect();
        format!("columns: [{}]{}", columns.join(", "), if self.descending { ", desc: true" } else { "" })
    }

    fn joined(&self, next: &dyn Transform) -> Option<Arc<dyn Transform>> {
        let limit = (next as &dyn Any).downcast_ref::<Limit>()?;
        Some(Arc::new(TopN::new(self.clone(), *limit)))
    }
}

struct SortOperator {
    sort: Sort,
    whole: WholeTables,
    /// There as soon as rows have gone to disk.
    spilled: Option<Spilled>,
}

impl SortOperator {
    /// Gives what is next of tables that have rows on disk.
    fn give(&mut self, out: &mut Out) -> Result<()> {
        if let Some(spilled) = &mut self.spilled {
            spilled.give(out)?;
        }
        Ok(())
    }
}

impl Operator for SortOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let chunk = self.sort.sorted(chunk)?;
            match &mut self.spilled {
                None => out.chunks.extend(chunk.cut()),
                Some(spilled) => spilled.whole(&chunk),
            }
        }
        self.give(out)
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn resume(&mut self, out: &mut Out) -> Result<()> {
        self.give(out)
    }

    fn memory(&self) -> usize {
        // A table that becomes whole is put together and put in order: twice what is held, and the keys and places of its
        // rows.
        let held = self.whole.memory();
        2 * held + self.whole.rows() * SORTING_BYTES + self.spilled.as_ref().map_or(0, Spilled::memory)
    }

    fn relieve(&mut self, space: &SpillSpace) -> Result<bool> {
        let open = self.whole.take_open()?;
        if open.is_empty() {
            return Ok(false);
        }
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            None => self.spilled.insert(Spilled::new(&self.sort, space)?),
        };
        for chunk in open {
            spilled.run(&self.sort.sorted(chunk)?)?;
        }
        Ok(true)
    }
}

impl Sort {
    /// The chunk with the rows of each of its tables in their new order.
    fn sorted(&self, mut chunk: Chunk) -> Result<Chunk> {
        if let Some(order) = self.order(&chunk) {
            let order = UInt32Array::from(order);
            for column in &mut chunk.rows {
                *column = take(column, &order, None)?;
            }
        }
        Ok(chunk)
    }

    /// What rows of tables of a shape are compared by.
    pub(super) fn keys(&self, shape: &Shape, rows: &[ArrayRef]) -> Vec<SortKey> {
        let places = self.columns.iter().filter_map(|name| shape.column(name)).map(|column| column.place);
        let columns = places.filter_map(|place| match place {
            Place::Row(index) => rows.get(index as usize),
            Place::Key(_) => None,
        });
        columns.map(|array| SortKey::new(ColumnView::of(array), self.descending)).collect()
    }

    /// The rows of a chunk of whole tables in their new order; `None` if they are in it already.
    fn order(&self, chunk: &Chunk) -> Option<Vec<u32>> {
        let keys = self.keys(&chunk.shape, &chunk.rows);
        let mut rows: Vec<u32> = (0..chunk.len as u32).collect();
        let mut moved = false;
        for (_, range) in chunk.tables() {
            let own = &mut rows[range];
            match &keys[..] {
                [] => {}
                _ if own.is_sorted_by(|left, right| compare(&keys, *left, *right).is_le()) => {}
                [SortKey::Fixed(key)] => {
                    moved = true;
                    own.sort_by_key(|row| key[*row as usize]);
                }
                keys => {
                    moved = true;
                    own.sort_by(|left, right| compare(keys, *left, *right));
                }
            }
        }
        moved.then_some(rows)
    }
}

pub(super) fn compare(keys: &[SortKey], left: u32, right: u32) -> Ordering {
    let orders = keys.iter().map(|key| key.compare(left as usize, right as usize));
    orders.reduce(Ordering::then).unwrap_or(Ordering::Equal)
}

/// A column, ready to be compared often.
pub(super) enum SortKey {
    /// Values of fixed size as numbers of the same order, behind "is not null".
    Fixed(Vec<(bool, u64)>),
    /// Strings, and whether the greatest come first.
    Strings(StringViewArray, bool),
}

const SIGN: u64 = 1 << 63;

impl SortKey {
    pub(super) fn new(view: ColumnView<'_>, desc: bool) -> SortKey {
        match view {
            ColumnView::Bool(array) => fixed(array, desc, |row| u64::from(array.value(row))),
            ColumnView::Int(array) => fixed(array, desc, |row| array.value(row) as u64 ^ SIGN),
            ColumnView::UInt(array) => fixed(array, desc, |row| array.value(row)),
            ColumnView::Float(array) => fixed(array, desc, |row| float_rank(array.value(row))),
            ColumnView::Time(array) => fixed(array, desc, |row| array.value(row) as u64 ^ SIGN),
            ColumnView::String(array) => SortKey::Strings(array.clone(), desc),
        }
    }

    pub(super) fn compare(&self, left: usize, right: usize) -> Ordering {
        self.compare_with(left, self, right)
    }

    /// Compares a value with one of another array of the same column.
    pub(super) fn compare_with(&self, left: usize, other: &SortKey, right: usize) -> Ordering {
        match (self, other) {
            (SortKey::Fixed(key), SortKey::Fixed(other)) => key[left].cmp(&other[right]),
            (SortKey::Strings(array, desc), SortKey::Strings(other, _)) => {
                match (array.is_null(left), other.is_null(right)) {
                    (false, false) if *desc => other.value(right).as_bytes().cmp(array.value(left).as_bytes()),
                    (false, false) => array.value(left).as_bytes().cmp(other.value(right).as_bytes()),
                    (left, right) => right.cmp(&left),
                }
            }
            // A column has one type in all parts of a table.
            (SortKey::Fixed(_), SortKey::Strings(..)) => Ordering::Less,
            (SortKey::Strings(..), SortKey::Fixed(_)) => Ordering::Greater,
        }
    }

    /// What it takes beside the column, in bytes.
    fn memory(&self) -> usize {
        match self {
            SortKey::Fixed(key) => key.capacity() * size_of::<(bool, u64)>(),
            SortKey::Strings(..) => 0,
        }
    }
}

fn fixed(array: &dyn Array, desc: bool, rank: impl Fn(usize) -> u64) -> SortKey {
    let key = |row: usize| match (array.is_null(row), desc) {
        (true, _) => (false, 0),
        (false, false) => (true, rank(row)),
        (false, true) => (true, !rank(row)),
    };
    SortKey::Fixed((0..array.len()).map(key).collect())
}

/// A number with the order of floats: zeros of either sign are equal, NaN comes after everything else.
pub(super) fn float_rank(value: f64) -> u64 {
    if value.is_nan() {
        return u64::MAX;
    }
    let bits = (value + 0.0).to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

#[cfg(test)]
mod on_disk;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;
    use crate::table::chunk::MAX_CHUNK_ROWS;
    use crate::table::testing::tables;

    fn sort(columns: &[&str], desc: bool) -> Sort {
        Sort { columns: columns.iter().map(|name| Name::from(*name)).collect(), descending: desc }
    }

    #[test]
    fn rows_are_sorted_within_their_tables() {
        let input = "h:string* v:int w:string\na 3 x\na 1 y\na 2 z\n\nb 2 p\nb 1 q\n\n= c\n";
        let expected = "h:string* v:int w:string\na 1 y\na 2 z\na 3 x\n\nb 1 q\nb 2 p\n\n= c\n";
        expect(&sort(&["v"], false), input, expected);
        expect(&sort(&["h", "v", "absent"], false), input, expected);
        expect(&sort(&["h"], true), input, input);
        expect(&sort(&["w"], true), input, "h:string* v:int w:string\na 2 z\na 1 y\na 3 x\n\nb 1 q\nb 2 p\n\n= c\n");
    }

    /// flux-semantics 9.1 and 17: nulls first in both directions.
    #[test]
    fn nulls_come_first_in_both_directions() {
        let input = "v:float s:string\n2.0 b\n- -\n1.0 a\n";
        expect(&sort(&["v"], false), input, "v:float s:string\n- -\n1.0 a\n2.0 b\n");
        expect(&sort(&["v"], true), input, "v:float s:string\n- -\n2.0 b\n1.0 a\n");
        expect(&sort(&["s"], true), input, "v:float s:string\n- -\n2.0 b\n1.0 a\n");
        expect(&sort(&["s"], false), input, "v:float s:string\n- -\n1.0 a\n2.0 b\n");
    }

    #[test]
    fn equal_rows_keep_their_order_in_both_directions() {
        let input = "v:int w:int\n1 10\n0 20\n1 30\n0 40\n";
        expect(&sort(&["v"], false), input, "v:int w:int\n0 20\n0 40\n1 10\n1 30\n");
        expect(&sort(&["v"], true), input, "v:int w:int\n1 10\n1 30\n0 20\n0 40\n");
        expect(&sort(&["v", "w"], true), input, "v:int w:int\n1 30\n1 10\n0 40\n0 20\n");
    }

    /// Bytewise strings, false before true, NaN after all numbers, zeros equal (flux-semantics 9.1).
    #[test]
    fn each_type_has_its_order() {
        let input = "f:float i:int u:uint b:bool s:string t:time\n\
            NaN -1 18446744073709551615 true b T2\n-inf 5 0 false B T-1\n0.0 0 7 true é T0\n-0.0 1 7 false bb T1\ninf -9 3 true a T3\n";
        let order = |column: &str| {
            let out = answer(&sort(&[column], false), props(crate::table::scan::Parts::Clustered), input).unwrap();
            let shown = crate::table::testing::show(&out.chunks);
            let at = ["f", "i", "u", "b", "s", "t"].iter().position(|name| *name == column).unwrap();
            shown.lines().skip(2).map(|line| line.split(' ').nth(at).unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(order("f"), ["-inf", "0.0", "-0.0", "inf", "NaN"]);
        assert_eq!(order("i"), ["-9", "-1", "0", "1", "5"]);
        assert_eq!(order("u"), ["0", "3", "7", "7", "18446744073709551615"]);
        assert_eq!(order("b"), ["false", "false", "true", "true", "true"]);
        assert_eq!(order("s"), ["B", "a", "b", "bb", "é"]);
        assert_eq!(order("t"), ["T-1", "T0", "T1", "T2", "T3"]);
    }

    #[test]
    fn a_long_table_is_given_in_chunks() {
        let rows = 2 * MAX_CHUNK_ROWS + 7;
        let input: String = (0..rows).rev().map(|row| format!("{row}\n")).collect();
        let chunks = tables(&format!("v:int\n{input}"));
        let out = run(&sort(&["v"], false), props(crate::table::scan::Parts::Clustered), chunks).unwrap();
        let mut next = 0;
        for chunk in &out.chunks {
            let ColumnView::Int(values) = ColumnView::of(&chunk.rows[0]) else { panic!("ints") };
            for value in values.values() {
                assert_eq!(*value, next);
                next += 1;
            }
        }
        assert_eq!(next as usize, rows);
    }
}
