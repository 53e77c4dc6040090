//! `histogram`: how many values of each table are no greater than each of some bounds (flux-semantics 8).
//!
//! A row for each bound: the key, the bound, the count of all values up to it. Nulls are passed over.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};

use super::by_shape::ByShape;
use super::in_key_order::{gives, in_key_order};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::size;
use crate::table::{Cell, Chunk, ColumnType, ColumnView, Name, Place, Segment, Shape, TableId};

/// `histogram(column, upperBoundColumn, countColumn, bins, normalize)`.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// The column that is counted, of floats.
    pub column: Name,
    /// The column of the bounds.
    pub bound_column: Name,
    /// The column of the counts, which are floats.
    pub count_column: Name,
    /// The bounds.
    pub bins: Vec<f64>,
    /// Whether counts are given as parts of all.
    pub normalize: bool,
}

impl Transform for Histogram {
    fn name(&self) -> &'static str {
        "histogram"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let mut histogram = self.clone();
        histogram.bins.sort_by(f64::total_cmp);
        let operator = HistogramOperator { histogram, plans: ByShape::default(), open: HashMap::new() };
        Ok(in_key_order("histogram", &input[0], operator))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        gives(&input[0])
    }

    fn explain(&self) -> String {
        format!("column: {:?}, bins: {:?}, normalize: {}", self.column, self.bins, self.normalize)
    }
}

/// What a shape turns into.
struct Plan {
    from: Place,
    shape: Arc<Shape>,
}

struct HistogramOperator {
    histogram: Histogram,
    plans: ByShape<Plan>,
    /// The counts of tables of which more is to come, bound by bound.
    open: HashMap<TableId, Vec<u64>>,
}

impl Histogram {
    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let Some(column) = shape.column(&self.column) else {
            return Err(Error::failed_precondition(format!("column {:?} is missing", self.column))
                .with_hint("histogram needs a column of floats; which columns there are shows |> limit(n: 1)"));
        };
        if column.column_type != ColumnType::Float {
            let found = column.column_type.flux_name();
            return Err(Error::failed_precondition(format!("column {:?} must be a float got {found}", self.column))
                .with_hint("convert the column first, as by toFloat()"));
        }
        let shape = with_columns("histogram", shape, &[&self.bound_column, &self.count_column])?;
        Ok(Plan { from: column.place, shape })
    }

    /// Counts values into bins.
    fn count(&self, counts: &mut [u64], value: f64) -> Result<()> {
        let bin = self.bins.partition_point(|bound| *bound < value);
        // NaN is not up to any bound.
        match counts.get_mut(bin).filter(|_| !value.is_nan()) {
            Some(count) => {
                *count += 1;
                Ok(())
            }
            None => Err(Error::out_of_range(format!("found value greater than any bin: {value}")).with_hint(
                "the last of the bins has to be as great as any value: linearBins and logarithmicBins end with +Inf",
            )),
        }
    }
}

/// The shape of tables with the key of another one and columns of floats.
///
/// # Errors
/// FailedPrecondition if a label would stand twice.
pub(super) fn with_columns(operator: &str, shape: &Shape, names: &[&Name]) -> Result<Arc<Shape>> {
    for (at, name) in names.iter().enumerate() {
        if shape.is_key(name) || names[..at].contains(name) {
            return Err(Error::failed_precondition(format!("{operator}: there would be two columns {name:?}"))
                .with_hint("give the new column another name, or take the old one out of the group key"));
        }
    }
    let keys = shape.key_columns().map(|key| (key.name.clone(), key.column_type, true));
    Ok(Shape::new(keys.chain(names.iter().map(|name| ((*name).clone(), ColumnType::Float, false)))))
}

impl Operator for HistogramOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let histogram = &self.histogram;
        let plan = self.plans.get(&chunk.shape, |shape| histogram.plan(shape))?;
        let view = match plan.from {
            Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]),
            Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]),
        };
        let bins = histogram.bins.len();
        let mut segments = Vec::new();
        let mut counted: Vec<f64> = Vec::new();
        for (segment, rows) in chunk.tables() {
            let mut counts = self.open.remove(&segment.table).unwrap_or_else(|| vec![0; bins]);
            for row in rows {
                let at = if matches!(plan.from, Place::Key(_)) { segment.key_row as usize } else { row };
                if let Cell::Float(value) = view.cell(at) {
                    histogram.count(&mut counts, value)?;
                }
            }
            if !segment.done {
                self.open.insert(segment.table, counts);
                continue;
            }
            let all: u64 = counts.iter().sum();
            let mut up_to = 0;
            for count in counts {
                up_to += count;
                counted.push(match (histogram.normalize, all) {
                    (false, _) => up_to as f64,
                    // Not the sign that the processor gives to nothing by nothing.
                    (true, 0) => f64::NAN,
                    (true, all) => up_to as f64 / all as f64,
                });
            }
            segments.push(Segment { end: counted.len() as u32, ..segment });
        }
        if !segments.is_empty() {
            let bounds = histogram.bins.iter().copied().cycle().take(counted.len());
            let bounds: ArrayRef = Arc::new(Float64Array::from_iter_values(bounds));
            let (shape, keys, len) = (Arc::clone(&plan.shape), Arc::clone(&chunk.keys), counted.len());
            let rows = vec![bounds, Arc::new(Float64Array::from(counted)) as ArrayRef];
            out.chunks.extend(Chunk { shape, keys, segments, rows, len }.cut());
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        let counts = self.histogram.bins.len() * size_of::<u64>();
        size::of_map::<(TableId, Vec<u64>)>(self.open.capacity()) + self.open.len() * counts
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn histogram(bins: &[f64], normalize: bool) -> Histogram {
        let name = |text: &str| text.into();
        Histogram {
            column: name("v"),
            bound_column: name("le"),
            count_column: name("n"),
            bins: bins.to_vec(),
            normalize,
        }
    }

    const TABLES: &str = "h:string* v:float\nb 1.0\nb -\nb 2.5\nb 2.0\nb 9.0\n\na 0.5\n\n= c\n";

    /// By hand: counts of all values up to a bound; bounds in order.
    #[test]
    fn values_up_to_each_bound_are_counted() {
        let expected = "h:string* le:float n:float\na 1.0 1.0\na 2.0 1.0\na inf 1.0\n\n\
            b 1.0 1.0\nb 2.0 2.0\nb inf 4.0\n\nc 1.0 0.0\nc 2.0 0.0\nc inf 0.0\n";
        expect(&histogram(&[2.0, 1.0, f64::INFINITY], false), TABLES, expected);
        let expected =
            "h:string* le:float n:float\na 2.0 1.0\na 9.0 1.0\n\nb 2.0 0.5\nb 9.0 1.0\n\nc 2.0 NaN\nc 9.0 NaN\n";
        expect(&histogram(&[2.0, 9.0], true), TABLES, expected);
        let in_key = histogram(&[2.0], false);
        expect(&in_key, "v:float* w:int\n1.0 1\n1.0 2\n", "v:float* le:float n:float\n1.0 2.0 2.0\n");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |input: &str, bins: &[f64]| expect_error(&histogram(bins, false), input).message().to_string();
        assert_eq!(refused(TABLES, &[2.0]), "found value greater than any bin: 2.5");
        assert_eq!(refused("v:float\nNaN\n", &[f64::INFINITY]), "found value greater than any bin: NaN");
        assert_eq!(refused("v:float\n1.0\n", &[]), "found value greater than any bin: 1");
        assert_eq!(refused("w:float\n1.0\n", &[2.0]), "column \"v\" is missing");
        assert_eq!(refused("v:int\n1\n", &[2.0]), "column \"v\" must be a float got int");
        assert_eq!(refused("le:int* v:float\n1 1.0\n", &[2.0]), "histogram: there would be two columns \"le\"");
    }
}
