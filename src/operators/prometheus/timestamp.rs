//! `timestamp`: the time of each row, in seconds cut to milliseconds, as its `_value`.

use std::sync::Arc;

use arrow::array::Float64Array;

use super::missing;
use crate::error::{Error, Result};
use crate::operators::by_shape::ByShape;
use crate::operators::{Operator, Out, Transform};
use crate::table::scan::StreamProps;
use crate::table::{Cell, Chunk, ColumnType, ColumnView, Place, Shape};

/// `_time` (or `_stop`) as `_value`.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp;

impl Transform for Timestamp {
    fn name(&self) -> &'static str {
        "timestamp"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(TimestampOperator::default()))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }
}

#[derive(Default)]
struct TimestampOperator {
    /// The output's shape, the place of the time, the row column of the value.
    plans: ByShape<(Arc<Shape>, Place, usize)>,
}

impl Operator for TimestampOperator {
    fn push(&mut self, _port: usize, mut chunk: Chunk, out: &mut Out) -> Result<()> {
        let (shape, time, value) = self.plans.get(&chunk.shape, plan)?;
        let view = match time {
            Place::Key(index) => ColumnView::of(&chunk.keys.columns[*index as usize]),
            Place::Row(index) => ColumnView::of(&chunk.rows[*index as usize]),
        };
        let mut seconds: Vec<Option<f64>> = Vec::with_capacity(chunk.len);
        for (segment, rows) in chunk.tables() {
            seconds.extend(rows.map(|row| {
                let at = if matches!(time, Place::Key(_)) { segment.key_row as usize } else { row };
                match view.cell(at) {
                    Cell::Time(time_ns) => Some((time_ns / 1_000_000) as f64 / 1e3),
                    _ => None,
                }
            }));
        }
        chunk.rows[*value] = Arc::new(Float64Array::from(seconds));
        chunk.shape = Arc::clone(shape);
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}

fn plan(shape: &Shape) -> Result<(Arc<Shape>, Place, usize)> {
    let time = shape.column("_time").or_else(|| shape.column("_stop")).ok_or_else(|| missing("timestamp", "_time"))?;
    if time.column_type != ColumnType::Time {
        return Err(Error::failed_precondition(format!("timestamp: column {:?} is not of type time", time.name)));
    }
    let value = shape.row_columns().position(|column| &*column.name == "_value");
    let value = value.ok_or_else(|| missing("timestamp", "_value"))?;
    let mut changed = shape.clone();
    for column in changed.columns.iter_mut().filter(|column| &*column.name == "_value") {
        column.column_type = ColumnType::Float;
    }
    Ok((Arc::new(changed), time.place, value))
}
