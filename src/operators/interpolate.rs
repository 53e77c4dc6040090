//! `interpolate.linear`: rows on the grid of a duration between the rows of each table, on the straight line between them.
//!
//! A table has `_time`, `_value` and its key, nothing else. Its own rows stay; between two of them a row is added for each
//! boundary of the grid. Tables come out in the order of their keys.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, TimestampNanosecondArray};
use arrow::datatypes::{Float64Type, TimestampNanosecondType};

use super::by_shape::ByShape;
use super::in_order::in_order;
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::whole::WholeTables;
use crate::table::{Chunk, ColumnType, Name, Shape};
use crate::time::WindowSpec;

/// The most rows that are added to one table.
const MOST_ROWS: usize = 10_000_000;

/// `interpolate.linear(every)`.
#[derive(Clone, Debug)]
pub struct Interpolate {
    /// The grid.
    pub grid: WindowSpec,
}

impl Transform for Interpolate {
    fn name(&self) -> &'static str {
        "interpolate.linear"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let operator = InterpolateOperator {
            grid: self.grid.clone(),
            whole: WholeTables::new(),
            merger: Merger::new(TableOrder::KeySorted, Duplicates::Refuse("interpolate.linear")),
            mappings: ByShape::default(),
        };
        Ok(in_order(&input[0], operator))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { parts: Parts::Clustered, tables: TableOrder::KeySorted, unique_keys: true, ..input[0] }
    }

    fn explain(&self) -> String {
        format!("every: {}", self.grid.every())
    }
}

struct InterpolateOperator {
    grid: WindowSpec,
    whole: WholeTables,
    merger: Merger,
    mappings: ByShape<MappingId>,
}

impl Operator for InterpolateOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, _out: &mut Out) -> Result<()> {
        for chunk in self.whole.push(chunk)? {
            let chunk = self.filled(chunk)?;
            let merger = &mut self.merger;
            let mapping = *self.mappings.get(&chunk.shape, |shape| Ok(merger.mapping(Target::of_shape(shape))))?;
            merger.push(mapping, chunk)?;
        }
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        let merger = std::mem::replace(&mut self.merger, Merger::new(TableOrder::KeySorted, Duplicates::Merge));
        out.merge(merger.finish(0)?);
        Ok(())
    }

    fn memory(&self) -> usize {
        self.whole.memory() + self.merger.memory()
    }
}

impl InterpolateOperator {
    fn filled(&self, mut chunk: Chunk) -> Result<Chunk> {
        fits(&chunk.shape)?;
        let time_first = chunk.shape.row_columns().next().is_some_and(|column| &*column.name == "_time");
        let (time_at, value_at) = if time_first { (0, 1) } else { (1, 0) };
        let times = chunk.rows[time_at].as_primitive::<TimestampNanosecondType>();
        let values = chunk.rows[value_at].as_primitive::<Float64Type>();
        for (name, nulls) in [("_time", times.null_count()), ("_value", values.null_count())] {
            if nulls > 0 {
                return Err(Error::failed_precondition(format!("null {name} found during linear interpolation")));
            }
        }
        let (mut new_times, mut new_values) = (Vec::with_capacity(chunk.len), Vec::with_capacity(chunk.len));
        let mut ends = Vec::with_capacity(chunk.segments.len());
        for (_, rows) in chunk.tables() {
            let first = new_times.len();
            for row in rows.clone() {
                let (time, value) = (times.value(row), values.value(row));
                if row > rows.start {
                    let (from, start) = (times.value(row - 1), values.value(row - 1));
                    let slope = (value - start) / (time - from) as f64;
                    let mut next = self.grid.boundary_after(from);
                    while let Some(between) = next.filter(|between| *between < time) {
                        new_times.push(between);
                        new_values.push(start + slope * (between - from) as f64);
                        next = self.grid.boundary_after(between);
                        if new_times.len() - first > MOST_ROWS {
                            return Err(Error::resource_exhausted(format!(
                                "interpolate.linear would make more than {MOST_ROWS} rows of one table"
                            )));
                        }
                    }
                }
                new_times.push(time);
                new_values.push(value);
            }
            ends.push(new_times.len() as u32);
        }
        for (segment, end) in chunk.segments.iter_mut().zip(ends) {
            segment.end = end;
        }
        chunk.len = new_times.len();
        chunk.rows[time_at] = Arc::new(TimestampNanosecondArray::from(new_times));
        chunk.rows[value_at] = Arc::new(Float64Array::from(new_values));
        Ok(chunk)
    }
}

/// A table has `_time` and `_value` and otherwise its key only.
fn fits(shape: &Shape) -> Result<()> {
    if let Some(column) = shape.row_columns().find(|column| !matches!(&*column.name, "_time" | "_value")) {
        let name: &Name = &column.name;
        return Err(Error::failed_precondition(format!(
            "interpolate.linear requires column {name:?} to be in group key"
        )));
    }
    let row_column = |name: &str, wanted: ColumnType| {
        let column = shape.row_columns().find(|column| &*column.name == name);
        match column.map(|column| column.column_type) {
            None => Err(Error::failed_precondition(format!("{name} column does not exist"))),
            Some(found) if found == wanted => Ok(()),
            Some(found) => {
                let (found, wanted) = (found.flux_name(), wanted.flux_name());
                Err(Error::failed_precondition(format!(
                    "cannot interpolate {found} values; expected {wanted} values in {name}"
                )))
            }
        }
    };
    row_column("_time", ColumnType::Time)?;
    row_column("_value", ColumnType::Float)
}
