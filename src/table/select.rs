//! Keeps some rows of a chunk: by a mask over all rows, or by ranges of rows.
//!
//! Called by `filter`, `range`, `limit`. Tables stay where they are; whoever wants to be rid of empty ones drops their
//! segments.

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::compute::FilterBuilder;

use super::gather::{Gather, Stretch};
use super::{Chunk, Segment};
use crate::error::Result;

/// The rows whose bit is set. Every segment stays, possibly with no rows.
pub fn keep_rows(mut chunk: Chunk, mask: &BooleanBuffer) -> Result<Chunk> {
    let kept = mask.count_set_bits();
    if kept == chunk.len {
        return Ok(chunk);
    }
    let mut start = 0;
    let mut end = 0;
    for segment in &mut chunk.segments {
        let len = segment.end as usize - start;
        end += mask.slice(start, len).count_set_bits();
        start = segment.end as usize;
        segment.end = end as u32;
    }
    let mask = BooleanArray::new(mask.clone(), None);
    let mut filter = FilterBuilder::new(&mask);
    if chunk.rows.len() > 1 {
        filter = filter.optimize();
    }
    let filter = filter.build();
    for column in &mut chunk.rows {
        *column = filter.filter(column)?;
    }
    chunk.len = kept;
    Ok(chunk)
}

/// The rows of some ranges: each segment with the rows that it keeps, in order; tables that are not named are left out.
pub fn keep_ranges(chunk: Chunk, kept: &[(Segment, std::ops::Range<usize>)]) -> Result<Chunk> {
    let mut end = 0;
    let mut segments = Vec::with_capacity(kept.len());
    for (segment, rows) in kept {
        end += rows.len() as u32;
        segments.push(Segment { end, ..*segment });
    }
    if end as usize == chunk.len {
        return Ok(Chunk { segments, ..chunk });
    }
    let gather = Gather::new(kept.iter().map(|(_, rows)| Stretch::rows(0, rows.clone())));
    let mut rows = Vec::with_capacity(chunk.rows.len());
    for (column, array) in chunk.shape.row_columns().zip(&chunk.rows) {
        rows.push(gather.column(column.column_type, |_| Some(array))?);
    }
    Ok(Chunk { segments, rows, len: end as usize, ..chunk })
}
