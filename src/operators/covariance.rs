//! `covariance`: how two columns of each table vary together, or their correlation by Pearson (flux-semantics 8).
//!
//! A row counts where both have a value. Fewer than two such rows give NaN.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};

use super::by_shape::ByShape;
use super::histogram::with_columns;
use super::in_key_order::{gives, in_key_order};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::size;
use crate::table::{Cell, Chunk, ColumnType, ColumnView, Name, Place, Segment, Shape, TableId};

/// `covariance(columns, pearsonr, valueDst)`.
#[derive(Clone, Debug)]
pub struct Covariance {
    /// The two columns, of floats.
    pub columns: [Name; 2],
    /// Whether the correlation is wanted.
    pub pearson: bool,
    /// The column of the answer.
    pub value_column: Name,
}

impl Transform for Covariance {
    fn name(&self) -> &'static str {
        "covariance"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = CovarianceOperator { of: self.clone(), plans: ByShape::default(), open: HashMap::new() };
        Ok(in_key_order("covariance", &input[0], operator))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: true, ..gives(&input[0]) }
    }

    fn explain(&self) -> String {
        let [x, y] = &self.columns;
        format!("columns: [{x:?}, {y:?}], pearsonr: {}, valueDst: {:?}", self.pearson, self.value_column)
    }
}

/// What a shape turns into.
struct Plan {
    from: [Place; 2],
    shape: Arc<Shape>,
}

/// Means and sums of products of distances from them, updated pair by pair.
#[derive(Clone, Copy, Debug, Default)]
struct Pairs {
    count: f64,
    mean: [f64; 2],
    squares: [f64; 2],
    products: f64,
}

impl Pairs {
    fn add(&mut self, x: f64, y: f64) {
        self.count += 1.0;
        let before = [x - self.mean[0], y - self.mean[1]];
        self.mean[0] += before[0] / self.count;
        self.mean[1] += before[1] / self.count;
        let after = [x - self.mean[0], y - self.mean[1]];
        self.squares[0] += before[0] * after[0];
        self.squares[1] += before[1] * after[1];
        self.products += before[0] * after[1];
    }

    fn value(self, pearson: bool) -> f64 {
        // Without any spread there is no correlation: not the sign that the processor gives to nothing by nothing.
        if self.count < 2.0 || (pearson && self.squares.contains(&0.0)) {
            f64::NAN
        } else if pearson {
            self.products / (self.squares[0] * self.squares[1]).sqrt()
        } else {
            self.products / (self.count - 1.0)
        }
    }
}

struct CovarianceOperator {
    of: Covariance,
    plans: ByShape<Plan>,
    open: HashMap<TableId, Pairs>,
}

impl Covariance {
    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let find = |name: &Name| {
            let message = || Error::failed_precondition(format!("specified column does not exist in table: {name}"));
            shape.column(name).ok_or_else(message)
        };
        let (x, y) = (find(&self.columns[0])?, find(&self.columns[1])?);
        let (x_type, y_type) = (x.column_type.flux_name(), y.column_type.flux_name());
        if x_type != y_type {
            let message = "cannot compute the covariance between different types";
            return Err(Error::failed_precondition(message)
                .with_hint(format!("{} is {x_type}, {} is {y_type}", self.columns[0], self.columns[1])));
        }
        if x.column_type != ColumnType::Float {
            return Err(Error::invalid(format!("covariance does not support {x_type}"))
                .with_hint("convert both columns to float first"));
        }
        let shape = with_columns("covariance", shape, &[&self.value_column])?;
        Ok(Plan { from: [x.place, y.place], shape })
    }
}

impl Operator for CovarianceOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let of = &self.of;
        let plan = self.plans.get(&chunk.shape, |shape| of.plan(shape))?;
        let view = |place: Place| match place {
            Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]),
            Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]),
        };
        let views = plan.from.map(view);
        let mut values = Vec::new();
        let mut segments: Vec<Segment> = Vec::new();
        for (segment, rows) in chunk.tables() {
            let mut pairs = self.open.remove(&segment.table).unwrap_or_default();
            let at =
                |place: Place, row: usize| if matches!(place, Place::Key(_)) { segment.key_row as usize } else { row };
            for row in rows {
                let cells = (views[0].cell(at(plan.from[0], row)), views[1].cell(at(plan.from[1], row)));
                if let (Cell::Float(x), Cell::Float(y)) = cells {
                    pairs.add(x, y);
                }
            }
            if segment.done {
                values.push(pairs.value(of.pearson));
                segments.push(Segment { end: values.len() as u32, ..segment });
            } else {
                self.open.insert(segment.table, pairs);
            }
        }
        if !segments.is_empty() {
            let (shape, keys, len) = (Arc::clone(&plan.shape), Arc::clone(&chunk.keys), values.len());
            let rows = vec![Arc::new(Float64Array::from(values)) as ArrayRef];
            out.push(Chunk { shape, keys, segments, rows, len });
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        size::of_map::<(TableId, Pairs)>(self.open.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn covariance(columns: [&str; 2], pearson: bool) -> Covariance {
        Covariance { columns: columns.map(Name::from), pearson, value_column: "c".into() }
    }

    /// By hand: (1, 2), (2, 4), (3, 9) have the means 2 and 5; products 3 + 0 + 4, squares 2 and 26.
    #[test]
    fn pairs_vary_together() {
        let input =
            "h:string* x:float y:float\nb 1.0 2.0\nb - 7.0\nb 2.0 4.0\nb 3.0 9.0\nb 5.0 -\n\na 1.0 1.0\n\n= c\n";
        expect(&covariance(["x", "y"], false), input, "h:string* c:float\na NaN\n\nb 3.5\n\nc NaN\n");
        expect(&covariance(["x", "x"], true), input, "h:string* c:float\na NaN\n\nb 1.0\n\nc NaN\n");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |input: &str| expect_error(&covariance(["x", "y"], false), input).message().to_string();
        assert_eq!(refused("x:float\n1.0\n"), "specified column does not exist in table: y");
        assert_eq!(refused("x:float y:int\n1.0 1\n"), "cannot compute the covariance between different types");
        assert_eq!(refused("x:int y:int\n1 1\n"), "covariance does not support int");
    }
}
