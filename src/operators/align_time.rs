//! `experimental.alignTime`: tables moved in time so that all of them begin at one instant.
//!
//! Each row keeps its distance from the first one of its table. Tables without rows go, as they do in `map`.

use std::sync::Arc;

use arrow::array::{Array, AsArray, TimestampNanosecondBuilder};
use arrow::datatypes::TimestampNanosecondType;
use hashbrown::HashMap;

use super::keyed::{self, ChangesRows};
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::size;
use crate::table::{Chunk, ColumnType, Place, TableId};
use crate::time::rfc3339;

const TIME: &str = "_time";

/// `experimental.alignTime(alignTo)`.
#[derive(Clone, Copy, Debug)]
pub struct AlignTime {
    /// The time of the first row of each table.
    pub to_ns: i64,
}

impl Transform for AlignTime {
    fn name(&self) -> &'static str {
        "alignTime"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(keyed::run(&input[0], "alignTime", Running { to_ns: self.to_ns, open: HashMap::new() }))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        keyed::works_by_table(input)
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        keyed::gives(&input[0])
    }

    fn explain(&self) -> String {
        format!("alignTo: {}", rfc3339::to_short_text(self.to_ns))
    }
}

struct Running {
    to_ns: i64,
    /// Of tables that have had a row the first and the last time.
    open: HashMap<TableId, (i64, i64)>,
}

impl ChangesRows for Running {
    fn apply(&mut self, mut chunk: Chunk) -> Result<Option<Chunk>> {
        let index = match chunk.shape.column(TIME).map(|column| (column.place, column.column_type)) {
            Some((Place::Row(index), ColumnType::Time)) => index as usize,
            Some((Place::Key(_), ColumnType::Time)) => {
                return Err(Error::failed_precondition("alignTime: _time is part of the group key"));
            }
            Some((_, other)) => {
                let message = format!("alignTime: column \"_time\" is of type {}, expected time", other.flux_name());
                return Err(Error::failed_precondition(message));
            }
            None => return Err(Error::failed_precondition("column \"_time\" does not exist")),
        };
        let times = chunk.rows[index].as_primitive::<TimestampNanosecondType>();
        let mut moved = TimestampNanosecondBuilder::with_capacity(chunk.len);
        let mut segments = Vec::with_capacity(chunk.segments.len());
        for (segment, rows) in chunk.tables() {
            let mut span = self.open.remove(&segment.table);
            for row in rows {
                if times.is_null(row) {
                    return Err(Error::failed_precondition("alignTime found null time in time column"));
                }
                let time_ns = times.value(row);
                let (first, last) = span.unwrap_or((time_ns, time_ns));
                if time_ns < last {
                    return Err(Error::failed_precondition("alignTime found out-of-order times in time column")
                        .with_hint("sort(columns: [\"_time\"]) puts rows in order"));
                }
                span = Some((first, time_ns));
                moved.append_value(self.to_ns.wrapping_add(time_ns.wrapping_sub(first)));
            }
            if let Some(span) = span {
                segments.push(segment);
                if !segment.done {
                    self.open.insert(segment.table, span);
                }
            }
        }
        chunk.rows[index] = Arc::new(moved.finish());
        Ok((!segments.is_empty()).then_some(Chunk { segments, ..chunk }))
    }

    fn memory(&self) -> usize {
        size::of_map::<(TableId, (i64, i64))>(self.open.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    #[test]
    fn tables_begin_together() {
        let input = "h:string* _time:time\na T5\na T7\n\n= b\n\nc T9\n";
        expect(&AlignTime { to_ns: 1_000_000_000 }, input, "h:string* _time:time\na T1\na T3\n\nc T1\n");
        let error = expect_error(&AlignTime { to_ns: 0 }, "_time:time\nT5\nT4\n");
        assert_eq!(error.message(), "alignTime found out-of-order times in time column");
    }
}
