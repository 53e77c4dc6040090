//! `elapsed`: the time since the row before, as a number of units (flux-semantics 9.6).
//!
//! The first row of each table goes. Counted in whole nanoseconds, not in floats as the reference does. A row without a
//! time has no distance, and none is counted from it.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Builder};
use arrow::datatypes::TimestampNanosecondType;
use hashbrown::HashMap;

use super::by_shape::ByShape;
use super::keyed::{self, ChangesRows};
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::select::keep_ranges;
use crate::table::size;
use crate::table::{Chunk, ColumnType, Name, Place, Shape, TableId};
use crate::time::Duration;

/// `elapsed(unit, timeColumn, columnName)`.
#[derive(Clone, Debug)]
pub struct Elapsed {
    unit_ns: i64,
    time_column: Name,
    column: Name,
}

impl Elapsed {
    /// The distances in `time_column`, counted in `unit`, as a new column.
    ///
    /// # Errors
    /// Invalid if the unit is no time at all.
    pub fn new(unit: Duration, time_column: Name, column: Name) -> Result<Elapsed> {
        if unit.is_zero() {
            return Err(Error::invalid("elapsed: unit cannot be zero"));
        }
        Ok(Elapsed { unit_ns: unit.flat_nanoseconds(), time_column, column })
    }

    fn plan(&self, shape: &Shape) -> Result<(Place, Arc<Shape>)> {
        let time = match shape.column(&self.time_column) {
            None => {
                let message = format!("column {:?} does not exist", self.time_column);
                return Err(Error::failed_precondition(message));
            }
            Some(column) if column.column_type != ColumnType::Time => {
                return Err(Error::failed_precondition(format!(
                    "elapsed: column {:?} is of type {}, expected time",
                    self.time_column,
                    column.column_type.flux_name()
                )));
            }
            Some(column) => column.place,
        };
        if shape.column(&self.column).is_some() {
            return Err(Error::failed_precondition(format!("elapsed: there is a column {:?} already", self.column))
                .with_hint("columnName names the new column"));
        }
        let columns = shape.columns.iter();
        let columns = columns.map(|one| (one.name.clone(), one.column_type, matches!(one.place, Place::Key(_))));
        Ok((time, Shape::new(columns.chain([(self.column.clone(), ColumnType::Int, false)]))))
    }
}

impl Transform for Elapsed {
    fn name(&self) -> &'static str {
        "elapsed"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let running = Running { elapsed: self.clone(), plans: ByShape::default(), open: HashMap::new() };
        Ok(keyed::run(&input[0], "elapsed", running))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        keyed::works_by_table(input)
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        keyed::gives(&input[0])
    }

    fn explain(&self) -> String {
        format!(
            "unit: {}, timeColumn: {:?}, columnName: {:?}",
            Duration::from_nanoseconds(self.unit_ns),
            self.time_column,
            self.column
        )
    }
}

struct Running {
    elapsed: Elapsed,
    plans: ByShape<(Place, Arc<Shape>)>,
    /// Of tables that have had a row the last time, if one had a time.
    open: HashMap<TableId, Option<i64>>,
}

impl ChangesRows for Running {
    fn apply(&mut self, chunk: Chunk) -> Result<Option<Chunk>> {
        let elapsed = &self.elapsed;
        let (place, shape) = self.plans.get(&chunk.shape, |shape| elapsed.plan(shape))?;
        let array = match place {
            Place::Row(index) => &chunk.rows[*index as usize],
            Place::Key(index) => &chunk.keys.columns[*index as usize],
        };
        let times = array.as_primitive::<TimestampNanosecondType>();
        let by_key = matches!(place, Place::Key(_));
        let mut distances = Int64Builder::with_capacity(chunk.len);
        let mut kept = Vec::with_capacity(chunk.segments.len());
        for (segment, rows) in chunk.tables() {
            let mut before = self.open.remove(&segment.table);
            let first = usize::from(before.is_none() && !rows.is_empty());
            for row in rows.clone() {
                let at = if by_key { segment.key_row as usize } else { row };
                let time = times.is_valid(at).then(|| times.value(at));
                if let Some(last) = before {
                    let distance = time.zip(last).map(|(time, last)| time.wrapping_sub(last) / elapsed.unit_ns);
                    distances.append_option(distance);
                }
                before = Some(time.or(before.flatten()));
            }
            kept.push((segment, rows.start + first..rows.end));
            if let (Some(last), false) = (before, segment.done) {
                self.open.insert(segment.table, last);
            }
        }
        let shape = Arc::clone(shape);
        let mut chunk = keep_ranges(chunk, &kept)?;
        chunk.rows.push(Arc::new(distances.finish()));
        Ok(Some(Chunk { shape, ..chunk }))
    }

    fn memory(&self) -> usize {
        size::of_map::<(TableId, Option<i64>)>(self.open.capacity())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::*;
    use super::*;

    fn elapsed(unit: &str) -> Elapsed {
        Elapsed::new(Duration::parse_signed(unit).unwrap(), "_time".into(), "elapsed".into()).unwrap()
    }

    /// flux-semantics 9.6: the first row of each table goes; whole units.
    #[test]
    fn each_row_tells_how_long_it_has_been() {
        let input = "h:string* _time:time v:int\nb T1 1\nb T4 2\nb T6 3\n\na T9 4\n\n= c\n";
        let head = "h:string* _time:time v:int elapsed:int\n";
        expect(&elapsed("1s"), input, &format!("{head}= a\n\nb T4 2 3\nb T6 3 2\n\n= c\n"));
        expect(&elapsed("2s"), input, &format!("{head}= a\n\nb T4 2 1\nb T6 3 1\n\n= c\n"));
    }

    #[test]
    fn a_row_without_a_time_has_no_distance() {
        let input = "_time:time\nT1\n-\nT5\nT3\n";
        expect(&elapsed("1s"), input, "_time:time elapsed:int\n- -\nT5 4\nT3 -2\n");
        expect(&elapsed("1s"), "_time:time\n-\nT5\nT6\n", "_time:time elapsed:int\nT5 -\nT6 1\n");
        expect(&elapsed("1s"), "_time:time* v:int\nT5 1\nT5 2\n", "_time:time* v:int elapsed:int\nT5 2 0\n");
    }

    #[test]
    fn what_it_needs() {
        assert_eq!(expect_error(&elapsed("1s"), "t:time\nT1\n").message(), "column \"_time\" does not exist");
        let error = expect_error(&elapsed("1s"), "_time:int\n1\n");
        assert_eq!(error.message(), "elapsed: column \"_time\" is of type int, expected time");
        let error = expect_error(&elapsed("1s"), "_time:time elapsed:int\nT1 1\n");
        assert_eq!(error.message(), "elapsed: there is a column \"elapsed\" already");
        assert!(Elapsed::new(Duration::ZERO, "t".into(), "e".into()).is_err());
    }
}
