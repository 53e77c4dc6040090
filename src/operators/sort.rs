//! `sort`: the rows of each table by columns (flux-semantics 9.1).
//!
//! Stable. Nulls come first, ascending and descending; NaN comes after all numbers ascending. Holds one table at a time;
//! tables that lie whole in a chunk are sorted together by one move of its rows.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;

use super::in_order::in_order;
use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::chunk::MAX_CHUNK_ROWS;
use crate::table::gather::{Gather, Stretch};
use crate::table::scan::{Parts, StreamProps};
use crate::table::{Chunk, ColumnView, Name, Place, Segment, Shape};

/// `sort(columns, desc)`.
#[derive(Clone, Debug)]
pub struct Sort {
    /// The columns, the most significant first; those that a table lacks or has in its key are passed over.
    pub columns: Vec<Name>,
    /// Largest first.
    pub descending: bool,
}

impl Transform for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(in_order(&input[0], SortOperator { sort: self.clone(), open: Vec::new() }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        let by_time = !self.descending && self.columns.first().is_some_and(|column| &**column == "_time");
        StreamProps { parts: Parts::Clustered, rows_by_time: by_time, ..input[0] }
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| format!("{name:?}")).collect();
        let descending = if self.descending { ", desc: true" } else { "" };
        format!("columns: [{}]{descending}", columns.join(", "))
    }
}

struct SortOperator {
    sort: Sort,
    /// The earlier parts of the table that is open.
    open: Vec<(Chunk, std::ops::Range<usize>)>,
}

impl Sort {
    /// The positions in the rows of the columns that count.
    fn rows(&self, shape: &Shape) -> Vec<usize> {
        let places = self.columns.iter().filter_map(|name| Some(shape.column(name)?.place));
        places.filter_map(|place| if let Place::Row(row) = place { Some(row as usize) } else { None }).collect()
    }

    fn compare(&self, views: &[ColumnView<'_>], left: u32, right: u32) -> Ordering {
        let (left, right) = (left as usize, right as usize);
        for view in views {
            let ordering = match (view.is_null(left), view.is_null(right)) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (false, false) => {
                    let ordering = view.cell(left).compare(view.cell(right));
                    if self.descending { ordering.reverse() } else { ordering }
                }
            };
            if ordering != Ordering::Equal {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

impl Operator for SortOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        // Tables that lie whole in this chunk, until one that does not.
        let mut whole = Vec::new();
        for (segment, range) in chunk.tables() {
            if segment.done && self.open.is_empty() {
                whole.push((segment, range));
                continue;
            }
            self.give_whole(&chunk, std::mem::take(&mut whole), out)?;
            self.open.push((chunk.clone(), range));
            if segment.done {
                self.give_open(segment, out)?;
            }
        }
        self.give_whole(&chunk, whole, out)
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}

impl SortOperator {
    fn give_whole(&self, chunk: &Chunk, tables: Vec<(Segment, std::ops::Range<usize>)>, out: &mut Out) -> Result<()> {
        if tables.is_empty() {
            return Ok(());
        }
        let views: Vec<ColumnView<'_>> =
            self.sort.rows(&chunk.shape).into_iter().map(|row| ColumnView::of(&chunk.rows[row])).collect();
        let mut order: Vec<u32> = Vec::with_capacity(chunk.len);
        let mut segments = Vec::with_capacity(tables.len());
        for (segment, range) in tables {
            let start = order.len();
            order.extend(range.start as u32..range.end as u32);
            order[start..].sort_by(|left, right| self.sort.compare(&views, *left, *right));
            segments.push(Segment { end: order.len() as u32, ..segment });
        }
        let len = order.len();
        let order = UInt32Array::from(order);
        let rows: Vec<ArrayRef> =
            chunk.rows.iter().map(|array| take(array, &order, None)).collect::<std::result::Result<_, _>>()?;
        let (shape, keys) = (Arc::clone(&chunk.shape), Arc::clone(&chunk.keys));
        out.push(Chunk { shape, keys, segments, rows, len });
        Ok(())
    }

    fn give_open(&mut self, last: Segment, out: &mut Out) -> Result<()> {
        let parts = std::mem::take(&mut self.open);
        let Some((final_part, _)) = parts.last() else { return Ok(()) };
        let (shape, keys) = (Arc::clone(&final_part.shape), Arc::clone(&final_part.keys));
        let stretches = parts.iter().enumerate().map(|(part, (_, range))| Stretch::rows(part as u32, range.clone()));
        let gather = Gather::new(stretches);
        let columns: Vec<ArrayRef> = shape
            .row_columns()
            .enumerate()
            .map(|(row, column)| gather.column(column.column_type, |part| Some(&parts[part as usize].0.rows[row])))
            .collect::<Result<_>>()?;
        let views: Vec<ColumnView<'_>> =
            self.sort.rows(&shape).into_iter().map(|row| ColumnView::of(&columns[row])).collect();
        let mut order: Vec<u32> = (0..gather.len() as u32).collect();
        order.sort_by(|left, right| self.sort.compare(&views, *left, *right));
        let mut pieces = order.chunks(MAX_CHUNK_ROWS).peekable();
        let mut next = Some(pieces.next().unwrap_or_default());
        while let Some(piece) = next {
            next = pieces.next();
            let indices = UInt32Array::from(piece.to_vec());
            let rows: Vec<ArrayRef> =
                columns.iter().map(|array| take(array, &indices, None)).collect::<std::result::Result<_, _>>()?;
            let segments = vec![Segment { end: piece.len() as u32, done: next.is_none(), ..last }];
            let (shape, keys) = (Arc::clone(&shape), Arc::clone(&keys));
            out.push(Chunk { shape, keys, segments, rows, len: piece.len() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn sort(columns: &[&str], descending: bool) -> Sort {
        Sort { columns: columns.iter().map(|name| Name::from(*name)).collect(), descending }
    }

    /// flux-semantics 9.1: nulls come first both ways.
    #[test]
    fn nulls_come_first_ascending_and_descending() {
        let input = "h:string* v:float w:int\na 3.0 1\na - 2\na 1.5 3\na NaN 4\n\n= b\n\nc 2.0 5\n";
        let up = "h:string* v:float w:int\na - 2\na 1.5 3\na 3.0 1\na NaN 4\n\n= b\n\nc 2.0 5\n";
        expect(&sort(&["v"], false), input, up);
        let down = "h:string* v:float w:int\na - 2\na NaN 4\na 3.0 1\na 1.5 3\n\n= b\n\nc 2.0 5\n";
        expect(&sort(&["v"], true), input, down);
    }

    #[test]
    fn equal_rows_keep_their_order() {
        let input = "k:string v:int n:int\nb 1 1\na 2 2\nb 1 3\na 1 4\na 2 5\n";
        expect(&sort(&["k", "v"], false), input, "k:string v:int n:int\na 1 4\na 2 2\na 2 5\nb 1 1\nb 1 3\n");
        expect(&sort(&["k"], true), input, "k:string v:int n:int\nb 1 1\nb 1 3\na 2 2\na 1 4\na 2 5\n");
    }

    #[test]
    fn columns_that_are_not_there_or_in_the_key_are_passed_over() {
        let input = "h:string* v:bool\na true\na false\na -\n";
        expect(&sort(&["none", "h", "v"], false), input, "h:string* v:bool\na -\na false\na true\n");
        expect(&sort(&["none"], false), input, input);
        expect(&sort(&[], false), input, input);
    }

    #[test]
    fn strings_are_compared_by_bytes_and_times_by_time() {
        expect(&sort(&["s"], false), "s:string\nb\na\nB\n''\n", "s:string\n''\nB\na\nb\n");
        expect(&sort(&["t"], true), "t:time\nT1\nT30\nT4\n", "t:time\nT30\nT4\nT1\n");
    }
}
