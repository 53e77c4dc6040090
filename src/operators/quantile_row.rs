//! `quantile(method: "exact_selector")`: of each table the row whose value lies at the quantile (flux-semantics 8).
//!
//! The row is a row that is there, never between two. A table without a value becomes one row of its key and nulls. Each
//! table is held until it is whole.

use super::in_key_order::{gives, in_key_order};
use super::sort::SortKey;
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::gather::{Gather, Stretch};
use crate::table::scan::StreamProps;
use crate::table::whole::WholeTables;
use crate::table::{Chunk, ColumnView, Name, Place, Segment};

/// The row at a quantile of a column.
#[derive(Clone, Debug)]
pub struct QuantileRow {
    /// Between 0 and 1.
    pub q: f64,
    /// The column, of any type.
    pub column: Name,
}

impl Transform for QuantileRow {
    fn name(&self) -> &'static str {
        "quantile"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = QuantileRowOperator { quantile: self.clone(), whole: WholeTables::new() };
        Ok(in_key_order("quantile", &input[0], operator))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: true, ..gives(&input[0]) }
    }

    fn explain(&self) -> String {
        format!("column: {:?}, q: {:?}, method: \"exact_selector\"", self.column, self.q)
    }
}

struct QuantileRowOperator {
    quantile: QuantileRow,
    whole: WholeTables,
}

impl Operator for QuantileRowOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            out.chunks.extend(self.quantile.select(&chunk)?.cut());
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

impl QuantileRow {
    fn select(&self, chunk: &Chunk) -> Result<Chunk> {
        let Some(column) = chunk.shape.column(&self.column) else {
            return Err(Error::failed_precondition(format!("no column {:?} exists", self.column))
                .with_hint("quantile needs a column with values; which columns there are shows |> limit(n: 1)"));
        };
        let view = match column.place {
            Place::Key(index) => ColumnView::of(&chunk.keys.columns[index as usize]),
            Place::Row(index) => ColumnView::of(&chunk.rows[index as usize]),
        };
        let key = SortKey::new(view, false);
        let in_key = matches!(column.place, Place::Key(_));
        let mut rows = Vec::with_capacity(chunk.segments.len());
        let mut segments = Vec::with_capacity(chunk.segments.len());
        for (segment, range) in chunk.tables() {
            let value = |row: usize| if in_key { segment.key_row as usize } else { row };
            let mut own: Vec<usize> = range.filter(|row| !view.is_null(value(*row))).collect();
            rows.push(if own.is_empty() {
                // Of a source that has no columns: nulls.
                Stretch::rows(1, 0..1)
            } else {
                let place = ((self.q * own.len() as f64).ceil() as usize).saturating_sub(1).min(own.len() - 1);
                // By row where values are equal, as a stable sort has it.
                let order = |left: &usize, right: &usize| {
                    key.compare(value(*left), value(*right)).then_with(|| left.cmp(right))
                };
                let row = *own.select_nth_unstable_by(place, order).1;
                Stretch::rows(0, row..row + 1)
            });
            segments.push(Segment { end: segments.len() as u32 + 1, ..segment });
        }
        let len = rows.len();
        let gather = Gather::new(rows);
        let mut columns = Vec::with_capacity(chunk.rows.len());
        for (column, array) in chunk.shape.row_columns().zip(&chunk.rows) {
            columns.push(gather.column(column.column_type, |source| (source == 0).then_some(array))?);
        }
        Ok(Chunk { shape: chunk.shape.clone(), keys: chunk.keys.clone(), segments, rows: columns, len })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn quantile(q: f64, column: &str) -> QuantileRow {
        QuantileRow { q, column: column.into() }
    }

    /// flux-semantics 8: the row at ceil(q * n) - 1 in order; the named column decides (14, row 4).
    #[test]
    fn a_row_that_is_there() {
        let input = "h:string* v:int s:string\nb 4 p\nb 1 q\nb - r\nb 3 -\nb 2 s\n\na - x\n\n= c\n";
        let expected = "h:string* v:int s:string\na - -\n\nb 2 s\n\nc - -\n";
        expect(&quantile(0.5, "v"), input, expected);
        expect(&quantile(0.0, "v"), input, "h:string* v:int s:string\na - -\n\nb 1 q\n\nc - -\n");
        expect(&quantile(1.0, "v"), input, "h:string* v:int s:string\na - -\n\nb 4 p\n\nc - -\n");
        expect(&quantile(1.0, "s"), input, "h:string* v:int s:string\na - x\n\nb 2 s\n\nc - -\n");
        expect(&quantile(0.6, "h"), input, "h:string* v:int s:string\na - x\n\nb - r\n\nc - -\n");
        assert_eq!(expect_error(&quantile(0.5, "x"), input).message(), "no column \"x\" exists");
    }

    #[test]
    fn equal_values_keep_their_order() {
        let input = "v:int w:int\n1 10\n0 20\n1 30\n0 40\n";
        expect(&quantile(0.25, "v"), input, "v:int w:int\n0 20\n");
        expect(&quantile(0.75, "v"), input, "v:int w:int\n1 10\n");
    }
}
