//! A quantile of a cumulative histogram whose bucket bounds are texts, as Prometheus has them in the label `le`.

use arrow::array::{Array, AsArray};

use super::{OneFloat, PerTable, floats, gives};
use crate::error::{Error, Result};
use crate::operators::{Operator, Transform};
use crate::table::scan::StreamProps;
use crate::table::{Chunk, Name, Segment};

/// The quantile of the buckets of each table.
#[derive(Clone, Debug)]
pub struct BucketQuantile {
    /// The quantile.
    pub quantile: f64,
    /// The column with the cumulative counts.
    pub count_column: Name,
    /// The column with the upper bounds.
    pub bound_column: Name,
    /// The column of the result.
    pub value_column: Name,
}

impl Transform for BucketQuantile {
    fn name(&self) -> &'static str {
        OneFloat::name(self)
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(PerTable(self.clone()).operator(input))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        gives(input)
    }

    fn explain(&self) -> String {
        format!("quantile: {}", self.quantile)
    }
}

impl OneFloat for BucketQuantile {
    fn name(&self) -> &'static str {
        "promHistogramQuantile"
    }

    fn column(&self) -> Name {
        self.value_column.clone()
    }

    fn of(&self, chunk: &Chunk, _segment: &Segment, rows: std::ops::Range<usize>) -> Result<Option<f64>> {
        let counts = floats(chunk, OneFloat::name(self), &self.count_column)?;
        // Without bounds there is no histogram.
        let Some(bounds) = chunk.row_array(&self.bound_column) else { return Ok(None) };
        let bounds = bounds.as_string_view_opt().ok_or_else(|| {
            Error::failed_precondition(format!("upper bound column {:?} must be of type string", self.bound_column))
        })?;
        let mut buckets = Vec::with_capacity(rows.len());
        for row in rows {
            if counts.is_null(row) {
                return Err(Error::failed_precondition("unexpected null in the countColumn"));
            }
            if let Some(Ok(bound)) = bounds.is_valid(row).then(|| bounds.value(row).parse::<f64>()) {
                buckets.push((bound, counts.value(row)));
            }
        }
        Ok((!buckets.is_empty()).then(|| quantile(self.quantile, buckets)))
    }
}

/// The quantile of buckets (upper bound, cumulative count), on a straight line within a bucket.
fn quantile(quantile: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|left, right| left.0.total_cmp(&right.0));
    if buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        return f64::NAN;
    }
    // Buckets of one bound are one; counts never fall.
    let mut merged: Vec<(f64, f64)> = Vec::with_capacity(buckets.len());
    for (bound, count) in buckets {
        match merged.last_mut() {
            Some(last) if last.0 == bound => last.1 += count,
            _ => merged.push((bound, count)),
        }
    }
    let mut most = f64::NEG_INFINITY;
    for (_, count) in &mut merged {
        most = most.max(*count);
        *count = most;
    }
    let last = merged.len() - 1;
    if last == 0 {
        return f64::NAN;
    }
    let rank = quantile * merged[last].1;
    let at = merged[..last].iter().position(|(_, count)| *count >= rank).unwrap_or(last);
    if at == last {
        return merged[last - 1].0;
    }
    if at == 0 && merged[0].0 <= 0.0 {
        return merged[0].0;
    }
    let (start, below) = if at == 0 { (0.0, 0.0) } else { merged[at - 1] };
    let (end, count) = merged[at];
    start + (end - start) * ((rank - below) / (count - below))
}
