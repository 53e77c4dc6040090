//! How many bytes chunks take while they are held: what operators answer when they are asked for their memory.
//!
//! Called by whatever holds chunks. Rows count as what they hold of their own: slices of one buffer, and strings that
//! several rows share, count for each. Keys are shared by the chunks of a source, and count once for neighbours.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};

use super::{Chunk, ColumnView, KeyBlock, Segment};

/// About what an array takes beside its values: itself, its buffers' heads, and what an allocation is rounded up to. For
/// arrays of a few rows this is most of it.
const ARRAY: usize = 256;

/// The longest string that a view holds within itself.
const SHORT_STRING: usize = 12;

/// What an array takes, in bytes.
pub fn of_array(array: &dyn Array) -> usize {
    let nulls = array.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
    let values = match ColumnView::of(array) {
        ColumnView::Bool(array) => array.len().div_ceil(8),
        ColumnView::String(array) => {
            // The low half of a view's first word is the length.
            let lengths = array.views().iter().map(|view| *view as u32 as usize);
            let long: usize = lengths.filter(|length| *length > SHORT_STRING).sum();
            array.len() * size_of::<u128>() + long
        }
        ColumnView::Int(_) | ColumnView::UInt(_) | ColumnView::Float(_) | ColumnView::Time(_) => {
            array.len() * size_of::<u64>()
        }
    };
    ARRAY + nulls + values
}

/// What some arrays take, in bytes.
pub fn of_arrays(arrays: &[ArrayRef]) -> usize {
    arrays.iter().map(|array| of_array(array)).sum()
}

/// What the rows of a chunk take, in bytes, with its list of tables and without its keys.
pub fn of_rows(chunk: &Chunk) -> usize {
    of_arrays(&chunk.rows) + chunk.segments.len() * size_of::<Segment>()
}

/// What keys take, in bytes.
pub fn of_keys(keys: &KeyBlock) -> usize {
    keys.columns.iter().map(|array| ARRAY + array.get_buffer_memory_size()).sum()
}

/// What held chunks take together. Keys that a chunk shares with the one before it are counted once.
#[derive(Debug, Default)]
pub struct Tally {
    bytes: usize,
    /// The keys that came last; held, so that no other ones can come to lie where they are.
    keys: Option<Arc<KeyBlock>>,
}

impl Tally {
    /// A chunk is held from now on; gives what it adds, in bytes.
    pub fn add(&mut self, chunk: &Chunk) -> usize {
        let mut bytes = size_of::<Chunk>() + of_rows(chunk);
        if !self.keys.as_ref().is_some_and(|keys| Arc::ptr_eq(keys, &chunk.keys)) {
            bytes += of_keys(&chunk.keys);
            self.keys = Some(Arc::clone(&chunk.keys));
        }
        self.bytes += bytes;
        bytes
    }

    /// So many bytes are held no more.
    pub fn sub(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// The sum, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// About what a hash map or set takes with room for so many entries of this type, in bytes: one byte of control for each.
pub fn of_map<T>(capacity: usize) -> usize {
    capacity * (size_of::<T>() + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{BooleanArray, Int64Array, StringViewArray};

    use super::super::testing::tables;
    use super::*;

    /// Eight bytes a number, sixteen a string and its length beyond twelve, a bit a truth and a null: Arrow's layout.
    #[test]
    fn values_count_by_their_layout() {
        assert_eq!(of_array(&Int64Array::from(vec![1, 2, 3])), ARRAY + 24);
        assert_eq!(of_array(&Int64Array::from(vec![Some(1), None, Some(3)])), ARRAY + 25);
        assert_eq!(of_array(&BooleanArray::from(vec![true; 9])), ARRAY + 2);
        assert_eq!(of_array(&StringViewArray::from(vec!["short", "thirteen....."])), ARRAY + 32 + 13);
    }

    #[test]
    fn a_slice_counts_as_what_it_shows() {
        let array = Int64Array::from((0..100).collect::<Vec<_>>());
        assert_eq!(of_array(&array.slice(10, 5)), ARRAY + 40);
    }

    #[test]
    fn shared_keys_count_once() {
        let chunk = tables("h:string* v:int\na 1\na 2\n").remove(0);
        let mut tally = Tally::default();
        let first = tally.add(&chunk);
        let second = tally.add(&chunk.clone());
        assert_eq!(first - second, of_keys(&chunk.keys));
        tally.sub(second);
        assert_eq!(tally.bytes(), first);
    }
}
