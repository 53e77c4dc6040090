//! `hourSelection`: the rows of some hours of the day, both ends among them.
//!
//! A selection may go over midnight. Rows without a time go; tables without rows stay.

use arrow::buffer::BooleanBuffer;

use super::keyed::{self, ChangesRows};
use super::window::Times;
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::select::keep_rows;
use crate::table::{Chunk, ColumnType, Name, Place};
use crate::time::Location;
use crate::time::calendar::HOUR_NS;

/// `hourSelection(start, stop, location, timeColumn)`.
#[derive(Clone, Debug)]
pub struct HourSelection {
    start: i64,
    stop: i64,
    location: Location,
    time_column: Name,
}

impl HourSelection {
    /// The rows whose hour on the clock of `location` is one from `start` to `stop`.
    ///
    /// # Errors
    /// Invalid for hours that no day has.
    pub fn new(start: i64, stop: i64, location: Location, time_column: Name) -> Result<HourSelection> {
        for (name, hour) in [("start", start), ("stop", stop)] {
            if !(0..=23).contains(&hour) {
                return Err(Error::invalid(format!("{name} must be between 0 and 23, found {hour}")));
            }
        }
        Ok(HourSelection { start, stop, location, time_column })
    }

    fn selects(&self, time_ns: i64) -> bool {
        let hour = self.location.to_local(time_ns).div_euclid(HOUR_NS).rem_euclid(24);
        match self.start <= self.stop {
            true => (self.start..=self.stop).contains(&hour),
            false => hour >= self.start || hour <= self.stop,
        }
    }
}

impl Transform for HourSelection {
    fn name(&self) -> &'static str {
        "hourSelection"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(keyed::run(&input[0], "hourSelection", Running(self.clone())))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        keyed::works_by_table(input)
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        keyed::gives(&input[0])
    }

    fn explain(&self) -> String {
        let (start, stop, location) = (self.start, self.stop, self.location);
        format!("start: {start}, stop: {stop}, location: {location}, timeColumn: {:?}", self.time_column)
    }
}

struct Running(HourSelection);

impl ChangesRows for Running {
    fn apply(&mut self, chunk: Chunk) -> Result<Option<Chunk>> {
        let of = &self.0;
        let place = match chunk.shape.column(&of.time_column) {
            None => {
                let message = format!("invalid time column: there is no column {:?}", of.time_column);
                return Err(Error::failed_precondition(message));
            }
            Some(column) if column.column_type != ColumnType::Time => {
                return Err(Error::failed_precondition(format!(
                    "invalid time column: {:?} is of type {}",
                    of.time_column,
                    column.column_type.flux_name()
                )));
            }
            Some(column) => column.place,
        };
        let times = Times::of(&chunk, place);
        let selects = |key_row: u32, row: usize| times.at(key_row, row).is_some_and(|time_ns| of.selects(time_ns));
        let mask = match place {
            Place::Row(_) => BooleanBuffer::collect_bool(chunk.len, |row| selects(0, row)),
            Place::Key(_) => {
                let mut mask = arrow::array::BooleanBufferBuilder::new(chunk.len);
                for (segment, rows) in chunk.tables() {
                    mask.append_n(rows.len(), selects(segment.key_row, 0));
                }
                mask.finish()
            }
        };
        keep_rows(chunk, &mask).map(Some)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::*;
    use super::*;

    fn hours(start: i64, stop: i64) -> HourSelection {
        HourSelection::new(start, stop, Location::UTC, "_time".into()).unwrap()
    }

    #[test]
    fn both_hours_are_in_and_midnight_is_no_border() {
        let input = "h:string* _time:time\na T3599\na T3600\na T10799\na T10800\na -\na T82800\n\n= b\n";
        expect(&hours(1, 2), input, "h:string* _time:time\na T3600\na T10799\n\n= b\n");
        expect(&hours(23, 1), input, "h:string* _time:time\na T3599\na T3600\na T82800\n\n= b\n");
        expect(&hours(5, 5), input, "h:string* _time:time\n= a\n\n= b\n");
        let before = "_time:time* v:int\nT-1 1\n";
        expect(&hours(23, 23), before, before);
        assert_eq!(
            HourSelection::new(1, 24, Location::UTC, "t".into()).unwrap_err().message(),
            "stop must be between 0 and 23, found 24"
        );
    }
}
