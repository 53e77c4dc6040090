//! Puts rows of several chunks behind one another: the one way in which rows move.
//!
//! Called by whatever merges, orders or re-cuts tables. Works on stretches of rows over whole columns; an array is
//! sliced where that is enough, and copied by Arrow's `take` or `interleave` where it is not.

use std::cell::OnceCell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array, new_empty_array, new_null_array};
use arrow::compute::{interleave, take};

use super::ColumnType;
use crate::error::Result;

/// A stretch of rows of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Which source; what a source is, the caller knows.
    pub source: u32,
    /// Its first row.
    pub start: u32,
    /// How many rows.
    pub count: u32,
    /// Whether it is the first row over and over (a key's value for all rows of its table).
    pub repeated: bool,
}

impl Stretch {
    /// Consecutive rows.
    pub fn rows(source: u32, rows: std::ops::Range<usize>) -> Stretch {
        Stretch { source, start: rows.start as u32, count: rows.len() as u32, repeated: false }
    }

    /// One row, `count` times.
    pub fn repeat(source: u32, row: usize, count: usize) -> Stretch {
        Stretch { source, start: row as u32, count: count as u32, repeated: true }
    }

    fn row(&self, index: u32) -> u32 {
        if self.repeated { self.start } else { self.start + index }
    }
}

/// The rows to be put behind one another, for as many columns as there are.
#[derive(Debug)]
pub struct Gather {
    stretches: Vec<Stretch>,
    len: usize,
    /// The sources that are used, each once.
    used: Vec<u32>,
    single: OnceCell<UInt32Array>,
    several: OnceCell<Vec<(usize, usize)>>,
}

impl Gather {
    /// Rows in the order of the stretches; neighbours that continue each other become one.
    pub fn new(stretches: impl IntoIterator<Item = Stretch>) -> Gather {
        let mut merged: Vec<Stretch> = Vec::new();
        let mut len = 0;
        for stretch in stretches {
            if stretch.count == 0 {
                continue;
            }
            len += stretch.count as usize;
            match merged.last_mut() {
                Some(last)
                    if last.source == stretch.source
                        && last.repeated == stretch.repeated
                        && stretch.start == if last.repeated { last.start } else { last.start + last.count } =>
                {
                    last.count += stretch.count;
                }
                _ => merged.push(stretch),
            }
        }
        let mut used: Vec<u32> = merged.iter().map(|stretch| stretch.source).collect();
        used.sort_unstable();
        used.dedup();
        Gather { stretches: merged, len, used, single: OnceCell::new(), several: OnceCell::new() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// One column: `array(source)` is the source's array of it, of the given type; rows of a source that has none are
    /// null.
    pub fn column<'a>(&self, column_type: ColumnType, array: impl Fn(u32) -> Option<&'a ArrayRef>) -> Result<ArrayRef> {
        let sources: Vec<Option<&ArrayRef>> = self.used.iter().map(|source| array(*source)).collect();
        if sources.iter().all(Option::is_none) {
            return Ok(nulls(column_type, self.len));
        }
        if let ([Some(only)], [stretch]) = (&sources[..], &self.stretches[..])
            && !stretch.repeated
        {
            return Ok(only.slice(stretch.start as usize, stretch.count as usize));
        }
        if let [Some(only)] = &sources[..] {
            return Ok(take(only, self.single.get_or_init(|| self.rows()), None)?);
        }
        let absent: Vec<Option<ArrayRef>> =
            self.used.iter().zip(&sources).map(|(source, array)| self.stand_in(*source, *array, column_type)).collect();
        let arrays: Vec<&dyn Array> = sources
            .iter()
            .zip(&absent)
            .filter_map(|(array, absent)| array.or(absent.as_ref()))
            .map(|a| a.as_ref())
            .collect();
        Ok(interleave(&arrays, self.several.get_or_init(|| self.places()))?)
    }

    /// Nulls in the place of an array that a source does not have.
    fn stand_in(&self, source: u32, array: Option<&ArrayRef>, column_type: ColumnType) -> Option<ArrayRef> {
        if array.is_some() {
            return None;
        }
        let own = self.stretches.iter().filter(|stretch| stretch.source == source);
        let rows = own.map(|stretch| stretch.row(stretch.count - 1) as usize + 1).max().unwrap_or(0);
        Some(nulls(column_type, rows))
    }

    fn rows(&self) -> UInt32Array {
        let rows = self.stretches.iter().flat_map(|stretch| (0..stretch.count).map(|index| stretch.row(index)));
        UInt32Array::from_iter_values(rows)
    }

    fn places(&self) -> Vec<(usize, usize)> {
        let mut places = Vec::with_capacity(self.len);
        for stretch in &self.stretches {
            let source = self.used.binary_search(&stretch.source).expect("every source of a stretch is listed");
            places.extend((0..stretch.count).map(|index| (source, stretch.row(index) as usize)));
        }
        places
    }
}

/// A column of nulls.
pub fn nulls(column_type: ColumnType, len: usize) -> ArrayRef {
    if len == 0 {
        return new_empty_array(&column_type.arrow());
    }
    new_null_array(&column_type.arrow(), len)
}

/// The same values without hold on buffers that are much larger than they need: what state keeps beyond its chunk.
///
/// A slice, and rows of strings that were taken out of many, otherwise keep all of what they were taken from.
pub fn compact(array: &ArrayRef) -> Result<ArrayRef> {
    if let Some(strings) = array.as_string_view_opt() {
        return Ok(Arc::new(strings.gc()));
    }
    let data = array.to_data();
    if data.buffers().iter().map(|buffer| buffer.capacity()).sum::<usize>() <= 2 * data.get_slice_memory_size()? + 1024
    {
        return Ok(Arc::clone(array));
    }
    let rows = UInt32Array::from_iter_values(0..array.len() as u32);
    Ok(take(array, &rows, None)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Int64Array, StringViewArray};

    use super::*;

    fn ints(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
        Arc::new(Int64Array::from_iter(values))
    }

    #[test]
    fn rows_come_in_the_order_of_the_stretches() {
        let sources = [ints([Some(0), Some(1), None, Some(3)]), ints([Some(10), Some(11)])];
        let stretches =
            [Stretch::rows(1, 1..2), Stretch::rows(0, 2..4), Stretch::repeat(1, 0, 2), Stretch::rows(0, 0..1)];
        let gathered = Gather::new(stretches).column(ColumnType::Int, |source| sources.get(source as usize)).unwrap();
        assert_eq!(&gathered, &ints([Some(11), None, Some(3), Some(10), Some(10), Some(0)]));
    }

    #[test]
    fn a_source_without_the_column_gives_nulls() {
        let source = ints([Some(1), Some(2)]);
        let gather = Gather::new([Stretch::rows(0, 0..2), Stretch::rows(1, 5..7), Stretch::repeat(1, 9, 1)]);
        let gathered = gather.column(ColumnType::Int, |number| (number == 0).then_some(&source)).unwrap();
        assert_eq!(&gathered, &ints([Some(1), Some(2), None, None, None]));
        assert_eq!(gather.column(ColumnType::Int, |_| None).unwrap().null_count(), 5);
    }

    #[test]
    fn one_stretch_is_a_slice_and_neighbours_are_one_stretch() {
        let source = ints((0..10).map(Some));
        let gather = Gather::new([Stretch::rows(0, 2..4), Stretch::rows(0, 4..4), Stretch::rows(0, 4..7)]);
        assert_eq!(gather.stretches.len(), 1);
        assert_eq!(&gather.column(ColumnType::Int, |_| Some(&source)).unwrap(), &source.slice(2, 5));
        let repeated = Gather::new([Stretch::repeat(0, 3, 2), Stretch::repeat(0, 3, 1), Stretch::repeat(0, 1, 1)]);
        assert_eq!(
            &repeated.column(ColumnType::Int, |_| Some(&source)).unwrap(),
            &ints([Some(3), Some(3), Some(3), Some(1)])
        );
        assert!(Gather::new([]).column(ColumnType::Time, |_| None).unwrap().is_empty());
    }

    #[test]
    fn compacted_strings_let_go_of_what_they_were_taken_from() {
        let long = "x".repeat(1_000);
        let all: ArrayRef = Arc::new(StringViewArray::from_iter_values((0..100).map(|_| long.as_str())));
        let one = compact(&all.slice(7, 1)).unwrap();
        assert_eq!(&one, &all.slice(7, 1));
        assert!(one.get_array_memory_size() < 4_000, "{}", one.get_array_memory_size());
        let numbers = ints((0..10_000).map(Some));
        let few = compact(&numbers.slice(5_000, 3)).unwrap();
        assert!(few.get_array_memory_size() < 1_000);
        assert_eq!(&few, &ints([Some(5_000), Some(5_001), Some(5_002)]));
    }
}
