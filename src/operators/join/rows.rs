//! Rows of two tables side by side, by the values of some of their columns.
//!
//! Used by both joins. Rows with a null among the values match nothing. Both sides are brought into the order of the
//! values, which costs nothing where they are in it, and walked once.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, StringViewArray};
use arrow::buffer::NullBuffer;

use super::super::sort::float_rank;
use super::side::Batch;
use crate::error::Result;
use crate::table::{Column, ColumnView};

/// The values of a column that rows are compared by, whatever the type.
enum Values {
    /// Numbers of the same order.
    Fixed(Vec<u64>),
    Strings(StringViewArray),
}

struct Key {
    values: Values,
    nulls: Option<NullBuffer>,
}

const SIGN: u64 = 1 << 63;

impl Key {
    fn new(array: &ArrayRef) -> Key {
        let rows = 0..array.len();
        let values = match ColumnView::of(array) {
            ColumnView::Bool(array) => Values::Fixed(rows.map(|row| u64::from(array.value(row))).collect()),
            ColumnView::Int(array) => Values::Fixed(array.values().iter().map(|value| *value as u64 ^ SIGN).collect()),
            ColumnView::UInt(array) => Values::Fixed(array.values().to_vec()),
            ColumnView::Float(array) => Values::Fixed(array.values().iter().map(|value| float_rank(*value)).collect()),
            ColumnView::Time(array) => Values::Fixed(array.values().iter().map(|value| *value as u64 ^ SIGN).collect()),
            ColumnView::String(array) => Values::Strings(array.clone()),
        };
        Key { values, nulls: array.nulls().filter(|nulls| nulls.null_count() > 0).cloned() }
    }

    fn compare(&self, row: usize, other: &Key, other_row: usize) -> Ordering {
        match (&self.values, &other.values) {
            (Values::Fixed(left), Values::Fixed(right)) => left[row].cmp(&right[other_row]),
            (Values::Strings(left), Values::Strings(right)) => {
                left.value(row).as_bytes().cmp(right.value(other_row).as_bytes())
            }
            // Columns of two types are refused before.
            (Values::Fixed(_), Values::Strings(_)) => Ordering::Less,
            (Values::Strings(_), Values::Fixed(_)) => Ordering::Greater,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

/// The rows of a batch in the order of some of its columns, table by table.
pub(super) struct Ordered {
    keys: Vec<Key>,
    rows: Vec<u32>,
    /// Of each table the range in `rows`, and how many of it have no null.
    tables: Vec<(Range<usize>, usize)>,
}

impl Ordered {
    /// By these columns, the first one first. Rows with a null among the values come last, in their order.
    pub(super) fn new(batch: &Batch, columns: &[&Column]) -> Result<Ordered> {
        let mut keys = Vec::with_capacity(columns.len());
        for column in columns {
            keys.push(Key::new(&batch.spread(column)?));
        }
        let any_null = keys.iter().any(|key| key.nulls.is_some());
        let compare = |left: &u32, right: &u32| {
            let orders = keys.iter().map(|key| key.compare(*left as usize, key, *right as usize));
            orders.reduce(Ordering::then).unwrap_or(Ordering::Equal)
        };
        let mut rows: Vec<u32> = Vec::with_capacity(batch.tables.last().map_or(0, |range| range.end));
        let mut tables = Vec::with_capacity(batch.tables.len());
        for range in &batch.tables {
            let start = rows.len();
            let mut valid = range.len();
            if any_null {
                let null = |row: &usize| keys.iter().any(|key| key.is_null(*row));
                rows.extend(range.clone().filter(|row| !null(row)).map(|row| row as u32));
                valid = rows.len() - start;
                rows.extend(range.clone().filter(null).map(|row| row as u32));
            } else {
                rows.extend(range.start as u32..range.end as u32);
            }
            let own = &mut rows[start..start + valid];
            if !own.is_sorted_by(|left, right| compare(left, right).is_le()) {
                own.sort_by(compare);
            }
            tables.push((start..rows.len(), valid));
        }
        Ok(Ordered { keys, rows, tables })
    }

    /// The rows of a table with values in all columns, and those with a null.
    fn table(&self, table: usize) -> (&[u32], &[u32]) {
        let (range, valid) = &self.tables[table];
        self.rows[range.clone()].split_at(*valid)
    }

    fn compare(&self, row: u32, other: &Ordered, other_row: u32) -> Ordering {
        let keys = self.keys.iter().zip(&other.keys);
        let orders = keys.map(|(key, other)| key.compare(row as usize, other, other_row as usize));
        orders.reduce(Ordering::then).unwrap_or(Ordering::Equal)
    }
}

/// Rows that belong together.
pub(super) enum Match<'a> {
    /// Each of the one with each of the other.
    Both(&'a [u32], &'a [u32]),
    /// Rows of the left side alone.
    Left(&'a [u32]),
    /// Rows of the right side alone.
    Right(&'a [u32]),
}

/// Walks the rows of two tables in the order of their values. A side without a table has no rows.
pub(super) fn walk<'a>(
    left: Option<(&'a Ordered, usize)>,
    right: Option<(&'a Ordered, usize)>,
    mut found: impl FnMut(Match<'a>),
) {
    let (mut lefts, left_nulls) = left.map_or((&[][..], &[][..]), |(left, table)| left.table(table));
    let (mut rights, right_nulls) = right.map_or((&[][..], &[][..]), |(right, table)| right.table(table));
    if let (Some((left, _)), Some((right, _))) = (left, right) {
        while let (Some(first), Some(other)) = (lefts.first(), rights.first()) {
            match left.compare(*first, right, *other) {
                Ordering::Less => {
                    let (own, rest) = lefts.split_at(1);
                    found(Match::Left(own));
                    lefts = rest;
                }
                Ordering::Greater => {
                    let (own, rest) = rights.split_at(1);
                    found(Match::Right(own));
                    rights = rest;
                }
                Ordering::Equal => {
                    let same = |ordered: &Ordered, rows: &[u32]| {
                        let first = rows[0];
                        1 + rows[1..].iter().take_while(|row| ordered.compare(first, ordered, **row).is_eq()).count()
                    };
                    let (own, rest) = lefts.split_at(same(left, lefts));
                    let (others, other_rest) = rights.split_at(same(right, rights));
                    found(Match::Both(own, others));
                    (lefts, rights) = (rest, other_rest);
                }
            }
        }
    }
    found(Match::Left(lefts));
    found(Match::Right(rights));
    found(Match::Left(left_nulls));
    found(Match::Right(right_nulls));
}
