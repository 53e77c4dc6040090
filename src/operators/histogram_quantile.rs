//! `histogramQuantile`: the quantile of values of which only a histogram is left (flux-semantics 8).
//!
//! Between the bounds around it values are taken to lie evenly. Each table is held until it is whole.

use std::sync::Arc;

use super::by_shape::ByShape;
use super::histogram::with_columns;
use super::in_key_order::{gives, in_key_order};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::whole::WholeTables;
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnType, ColumnView, Name, Place, Segment, Shape};

/// What becomes of a table whose counts fall where its bounds rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFalling {
    /// It is an error.
    Error,
    /// A count is taken to be that of the bound below.
    Force,
    /// The table gives no row.
    Drop,
}

impl OnFalling {
    /// The value of the argument `onNonmonotonic`.
    ///
    /// # Errors
    /// Invalid for anything but `error`, `force` and `drop`.
    pub fn parse(text: &str) -> Result<OnFalling> {
        match text {
            "error" => Ok(OnFalling::Error),
            "force" => Ok(OnFalling::Force),
            "drop" => Ok(OnFalling::Drop),
            other => Err(Error::invalid(format!(
                "value provided to histogramQuantile parameter onNonmonotonic is invalid; must be one of \"error\", \
                 \"force\" or \"drop\", was {other:?}"
            ))),
        }
    }
}

/// `histogramQuantile(quantile, countColumn, upperBoundColumn, valueColumn, minValue, onNonmonotonic)`.
#[derive(Clone, Debug)]
pub struct HistogramQuantile {
    /// Between 0 and 1.
    pub quantile: f64,
    /// The column of the counts.
    pub count_column: Name,
    /// The column of the bounds.
    pub bound_column: Name,
    /// The column of the answer.
    pub value_column: Name,
    /// The bound below the first one.
    pub least: f64,
    /// What becomes of tables that are no histogram.
    pub on_falling: OnFalling,
}

impl Transform for HistogramQuantile {
    fn name(&self) -> &'static str {
        "histogramQuantile"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator =
            HistogramQuantileOperator { of: self.clone(), plans: ByShape::default(), whole: WholeTables::new() };
        Ok(in_key_order("histogramQuantile", &input[0], operator))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: true, ..gives(&input[0]) }
    }

    fn explain(&self) -> String {
        format!("quantile: {:?}", self.quantile)
    }
}

/// What a shape turns into.
struct Plan {
    count: Place,
    bound: Place,
    shape: Arc<Shape>,
}

/// A bound and the count of values up to it.
#[derive(Clone, Copy, Debug)]
struct Bin {
    bound: f64,
    count: f64,
}

struct HistogramQuantileOperator {
    of: HistogramQuantile,
    plans: ByShape<Plan>,
    whole: WholeTables,
}

impl HistogramQuantile {
    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let find = |name: &Name, what: &str| match shape.column(name) {
            None => Err(Error::failed_precondition(format!("table is missing {what} column {name:?}"))),
            Some(column) if column.column_type != ColumnType::Float => {
                Err(Error::failed_precondition(format!("{what} column {name:?} must be of type float")))
            }
            Some(column) => Ok(column.place),
        };
        let count = find(&self.count_column, "count")?;
        let bound = find(&self.bound_column, "upper bound")?;
        let shape = with_columns("histogramQuantile", shape, &[&self.value_column])?;
        Ok(Plan { count, bound, shape })
    }

    /// The answer for a table; `None` if it gives no row, null without any values.
    fn value(&self, bins: &mut [Bin]) -> Result<Option<Cell<'static>>> {
        if bins.is_empty() {
            return Err(Error::failed_precondition("histogram is empty"));
        }
        bins.sort_by(|left, right| left.bound.total_cmp(&right.bound));
        let mut before = 0.0;
        for bin in bins.iter_mut() {
            if bin.count >= before {
                before = bin.count;
                continue;
            }
            match self.on_falling {
                OnFalling::Error => {
                    return Err(Error::failed_precondition("histogram records counts are not monotonic")
                        .with_hint("onNonmonotonic: \"force\" or \"drop\" accepts such tables"));
                }
                OnFalling::Drop => return Ok(None),
                OnFalling::Force => bin.count = before,
            }
        }
        if before == 0.0 {
            return Ok(Some(Cell::Null));
        }
        let rank = self.quantile * before;
        let reached = bins.iter().rposition(|bin| rank >= bin.count);
        let (below, above) = match reached {
            None => (Bin { bound: self.least, count: 0.0 }, bins[0]),
            Some(last) if last == bins.len() - 1 => return Ok(Some(Cell::Float(bins[last].bound))),
            Some(at) => (bins[at], bins[at + 1]),
        };
        Ok(Some(Cell::Float(if rank == below.count {
            below.bound
        } else if below.bound == f64::NEG_INFINITY {
            above.bound
        } else if above.bound == f64::INFINITY {
            below.bound
        } else {
            below.bound + (above.bound - below.bound) * ((rank - below.count) / (above.count - below.count))
        })))
    }
}

impl Operator for HistogramQuantileOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let of = &self.of;
            let plan = self.plans.get(&chunk.shape, |shape| of.plan(shape))?;
            let mut values = ColumnBuilder::new(ColumnType::Float);
            let mut segments: Vec<Segment> = Vec::with_capacity(chunk.segments.len());
            let mut bins = Vec::new();
            for (segment, rows) in chunk.tables() {
                bins.clear();
                for row in rows {
                    let float = |place: Place, what: &str| match cell(&chunk, place, segment.key_row as usize, row) {
                        Cell::Float(value) => Ok(value),
                        _ => Err(Error::failed_precondition(format!("unexpected null in the {what}"))),
                    };
                    let count = float(plan.count, "countColumn")?;
                    bins.push(Bin { bound: float(plan.bound, "upperBoundColumn")?, count });
                }
                if let Some(value) = of.value(&mut bins)? {
                    values.push(value)?;
                    segments.push(Segment { end: segments.len() as u32 + 1, ..segment });
                }
            }
            if !segments.is_empty() {
                let (shape, keys, len) = (Arc::clone(&plan.shape), Arc::clone(&chunk.keys), segments.len());
                out.chunks.extend(Chunk { shape, keys, segments, rows: vec![values.finish()], len }.cut());
            }
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.whole.memory()
    }
}

fn cell(chunk: &Chunk, place: Place, key_row: usize, row: usize) -> Cell<'_> {
    match place {
        Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]).cell(key_row),
        Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]).cell(row),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn quantile(quantile: f64, on_falling: OnFalling) -> HistogramQuantile {
        let name = |text: &str| text.into();
        HistogramQuantile {
            quantile,
            count_column: name("n"),
            bound_column: name("le"),
            value_column: name("v"),
            least: 0.0,
            on_falling,
        }
    }

    /// By hand: 10 values, 4 of them up to 1, 8 up to 2.
    const TABLES: &str = "h:string* le:float n:float\nb 2.0 8.0\nb 1.0 4.0\nb inf 10.0\n\na 1.0 0.0\na inf 0.0\n";

    #[test]
    fn values_lie_evenly_between_bounds() {
        let expected = |value: &str| format!("h:string* v:float\na -\n\nb {value}\n");
        for (q, value) in [(0.0, "0.0"), (0.2, "0.5"), (0.4, "1.0"), (0.5, "1.25"), (0.9, "2.0"), (1.0, "inf")] {
            expect(&quantile(q, OnFalling::Error), TABLES, &expected(value));
        }
    }

    #[test]
    fn counts_that_fall_are_an_error_or_mended_or_dropped() {
        let input = "h:string* le:float n:float\na 1.0 4.0\na 2.0 3.0\na 3.0 8.0\n\nb 1.0 2.0\n";
        let error = expect_error(&quantile(0.5, OnFalling::Error), input);
        assert_eq!(error.message(), "histogram records counts are not monotonic");
        // 8 values, 4 up to 1 and 2: rank 5 lies 1 of 4 behind 2.
        expect(&quantile(0.625, OnFalling::Force), input, "h:string* v:float\na 2.25\n\nb 0.625\n");
        expect(&quantile(0.625, OnFalling::Drop), input, "h:string* v:float\nb 0.625\n");
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        let refused = |input: &str| expect_error(&quantile(0.5, OnFalling::Error), input).message().to_string();
        assert_eq!(refused("h:string* le:float n:float\n= a\n"), "histogram is empty");
        assert_eq!(refused("le:float n:float\n1.0 -\n"), "unexpected null in the countColumn");
        assert_eq!(refused("le:float n:float\n- 1.0\n"), "unexpected null in the upperBoundColumn");
        assert_eq!(refused("le:float\n1.0\n"), "table is missing count column \"n\"");
        assert_eq!(refused("le:int n:float\n1 1.0\n"), "upper bound column \"le\" must be of type float");
    }
}
