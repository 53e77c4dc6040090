//! `mode`: of each table the value that occurs most often (flux-semantics 8 and 18).
//!
//! Several that occur equally often come in ascending order, a row each; null if all values do, one value alone included.
//! Nulls are passed over. Each table is held until it is whole.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};

use super::by_shape::ByShape;
use super::in_key_order::{gives, in_key_order};
use super::sort::SortKey;
use super::values_of::{Origin, Values};
use super::{Operator, Out, Transform};
use crate::error::Result;
use crate::table::gather::{Gather, Stretch};
use crate::table::key::equal_runs;
use crate::table::scan::StreamProps;
use crate::table::whole::WholeTables;
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnView, Name, Segment};

/// `mode(column)`.
#[derive(Clone, Debug)]
pub struct Mode {
    /// The column; the values come out as `_value`.
    pub column: Name,
}

impl Transform for Mode {
    fn name(&self) -> &'static str {
        "mode"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator =
            ModeOperator { column: self.column.clone(), plans: ByShape::default(), whole: WholeTables::new() };
        Ok(in_key_order("mode", &input[0], operator))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        gives(&input[0])
    }

    fn explain(&self) -> String {
        format!("column: {:?}", self.column)
    }
}

struct ModeOperator {
    column: Name,
    plans: ByShape<Values>,
    whole: WholeTables,
}

impl Operator for ModeOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let column = &self.column;
            let plan = self.plans.get(&chunk.shape, |shape| Values::of("mode", column, shape))?;
            let mut segments = Vec::with_capacity(chunk.segments.len());
            let values: ArrayRef = match plan.from {
                Origin::Rows(index) => {
                    let array = &chunk.rows[index];
                    let view = ColumnView::of(array);
                    let key = SortKey::new(view, false);
                    let mut rows: Vec<Stretch> = Vec::new();
                    for (segment, range) in chunk.tables() {
                        let own: Vec<u32> = range.filter(|row| !view.is_null(*row)).map(|row| row as u32).collect();
                        let before = rows.len();
                        modes(&key, own, |row| rows.push(Stretch::rows(0, row..row + 1)));
                        if rows.len() == before {
                            // Of a source that has no such column: null.
                            rows.push(Stretch::rows(1, 0..1));
                        }
                        segments.push(Segment { end: rows.len() as u32, ..segment });
                    }
                    Gather::new(rows).column(plan.value_type, |source| (source == 0).then_some(array))?
                }
                Origin::Key(_) | Origin::Nowhere => {
                    let mut builder = ColumnBuilder::new(plan.value_type);
                    for (number, segment) in chunk.segments.iter().enumerate() {
                        builder.push(match plan.from {
                            Origin::Key(index) => {
                                ColumnView::of(&chunk.keys.columns[index]).cell(segment.key_row as usize)
                            }
                            _ => Cell::String(""),
                        })?;
                        segments.push(Segment { end: number as u32 + 1, ..*segment });
                    }
                    builder.finish()
                }
            };
            let (shape, keys, len) = (Arc::clone(&plan.shape), Arc::clone(&chunk.keys), values.len());
            out.chunks.extend(Chunk { shape, keys, segments, rows: vec![values], len }.cut());
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

/// The rows with values that occur most often, one for each value; none if all values occur equally often.
fn modes(key: &SortKey, mut rows: Vec<u32>, mut take: impl FnMut(usize)) {
    let compare = |left: u32, right: u32| key.compare(left as usize, right as usize);
    rows.sort_by(|left, right| compare(*left, *right));
    let runs = || equal_runs(0..rows.len(), |left, right| compare(rows[left], rows[right]).is_eq());
    let most = runs().map(|run| run.len()).max().unwrap_or(0);
    if runs().all(|run| run.len() == most) {
        return;
    }
    runs().filter(|run| run.len() == most).for_each(|run| take(rows[run.start] as usize));
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn mode(column: &str) -> Mode {
        Mode { column: column.into() }
    }

    /// flux-semantics 18, row 7, and by hand: ties in ascending order; null where all values are equally frequent.
    #[test]
    fn the_most_frequent_values() {
        let input = "h:string* v:int\nb 3\nb 1\nb 3\nb 1\nb 2\nb -\nb -\nb -\n\na 1\na 2\n\nc 5\nc 5\n\nd -\n\n= e\n";
        expect(&mode("v"), input, "h:string* _value:int\na -\n\nb 1\nb 3\n\nc -\n\nd -\n\ne -\n");
        expect(&mode("s"), "s:string\ny\nx\ny\n", "_value:string\ny\n");
        expect(&mode("b"), "b:bool\ntrue\nfalse\ntrue\n", "_value:bool\ntrue\n");
        expect(&mode("t"), "t:time\nT3\nT1\nT3\n", "_value:time\nT3\n");
    }

    #[test]
    fn a_key_column_and_a_missing_one_give_one_row() {
        let input = "h:string* v:int\nb 3\nb 1\n\n= a\n";
        expect(&mode("h"), input, "h:string* _value:string\na a\n\nb b\n");
        expect(&mode("x"), input, "h:string* _value:string\na ''\n\nb ''\n");
    }
}
