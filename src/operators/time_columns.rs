//! `timeShift` and `truncateTimeColumn`: columns of times, each value made another (flux-semantics 9.9).
//!
//! Nulls stay. Columns of the key take the key along, and tables that then share one merge.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, TimestampNanosecondArray};
use arrow::datatypes::TimestampNanosecondType;
use hashbrown::HashSet;

use super::rekey::{self, Applied, Rekeyed, RekeyedShapes, Rekeys};
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::table::merge::{Duplicates, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::size;
use crate::table::{Chunk, ColumnType, KeyBlock, Name, Place, Shape, TableId};
use crate::time::{Duration, WindowSpec};

/// What becomes of the times.
#[derive(Clone, Debug)]
pub enum TimeColumns {
    /// `timeShift(duration, columns)`: later by a calendar duration; columns that a table lacks are passed over.
    Shift {
        /// How much.
        by: Duration,
        /// Which ones.
        columns: Vec<Name>,
    },
    /// `truncateTimeColumn(unit, timeColumn)`: the start of the window that holds the time. Tables without rows go.
    Truncate {
        /// The windows.
        to: WindowSpec,
        /// The column.
        column: Name,
    },
}

impl TimeColumns {
    fn changes(&self, name: &Name) -> bool {
        match self {
            TimeColumns::Shift { columns, .. } => columns.contains(name),
            TimeColumns::Truncate { column, .. } => column == name,
        }
    }

    fn rekeyed(&self, shape: &Shape) -> Result<Rekeyed> {
        let mut keeps_keys = true;
        for column in shape.columns.iter().filter(|column| self.changes(&column.name)) {
            if column.column_type != ColumnType::Time {
                let message = format!("column {:?} is not of type time", column.name);
                return Err(Error::failed_precondition(message).with_hint(format!(
                    "{} found type {}",
                    self.name(),
                    column.column_type.flux_name()
                )));
            }
            keeps_keys &= matches!(column.place, Place::Row(_));
        }
        Ok(Rekeyed { targets: Target::of_shape(shape), keeps_keys })
    }

    fn change(&self, times: &ArrayRef) -> ArrayRef {
        let times = times.as_primitive::<TimestampNanosecondType>();
        let changed: TimestampNanosecondArray = match self {
            TimeColumns::Shift { by, .. } => times.unary(|time_ns| by.add_to(time_ns)),
            TimeColumns::Truncate { to, .. } => times.unary(|time_ns| to.boundary_at_or_before(time_ns)),
        };
        Arc::new(changed)
    }
}

impl Transform for TimeColumns {
    fn name(&self) -> &'static str {
        match self {
            TimeColumns::Shift { .. } => "timeShift",
            TimeColumns::Truncate { .. } => "truncateTimeColumn",
        }
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let running =
            Running { of: self.clone(), shapes: RekeyedShapes::default(), blocks: None, with_rows: HashSet::new() };
        Ok(rekey::run(&input[0], TableOrder::Arrival, Duplicates::Merge, running))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        rekey::works_by_table(input, TableOrder::Arrival)
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        rekey::gives(&input[0], TableOrder::Arrival)
    }

    fn explain(&self) -> String {
        match self {
            TimeColumns::Shift { by, columns } => {
                let columns: Vec<String> = columns.iter().map(|name| format!("{name:?}")).collect();
                format!("duration: {by}, columns: [{}]", columns.join(", "))
            }
            TimeColumns::Truncate { to, column } => format!("unit: {}, timeColumn: {column:?}", to.every()),
        }
    }
}

struct Running {
    of: TimeColumns,
    shapes: RekeyedShapes,
    /// The key block seen last, and what became of it: chunks of a source share theirs.
    blocks: Option<(Arc<KeyBlock>, Arc<KeyBlock>)>,
    /// Tables that have had a row and are not done.
    with_rows: HashSet<TableId>,
}

impl Rekeys for Running {
    fn keeps_keys(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        Ok(self.shapes.get(shape, |shape| self.of.rekeyed(shape))?.keeps_keys)
    }

    fn apply(&mut self, mut chunk: Chunk) -> Result<Vec<Applied>> {
        let rekeyed = self.shapes.get(&chunk.shape, |shape| self.of.rekeyed(shape))?;
        let shape = Arc::clone(&chunk.shape);
        for column in shape.row_columns().filter(|column| self.of.changes(&column.name)) {
            if let Place::Row(index) = column.place {
                chunk.rows[index as usize] = self.of.change(&chunk.rows[index as usize]);
            }
        }
        if !rekeyed.keeps_keys {
            let known = self.blocks.as_ref().filter(|(from, _)| Arc::ptr_eq(from, &chunk.keys));
            let keys = match known {
                Some((_, to)) => Arc::clone(to),
                None => {
                    let columns = shape.key_columns().zip(&chunk.keys.columns);
                    let columns = columns.map(|(column, array)| match self.of.changes(&column.name) {
                        true => self.of.change(array),
                        false => Arc::clone(array),
                    });
                    let keys = Arc::new(KeyBlock { columns: columns.collect() });
                    self.blocks = Some((Arc::clone(&chunk.keys), Arc::clone(&keys)));
                    keys
                }
            };
            chunk.keys = keys;
        }
        if matches!(self.of, TimeColumns::Truncate { .. }) {
            self.drop_empty(&mut chunk);
        }
        Ok(vec![Applied { chunk, rekeyed }])
    }

    fn memory(&self) -> usize {
        size::of_map::<TableId>(self.with_rows.capacity())
    }
}

impl Running {
    fn drop_empty(&mut self, chunk: &mut Chunk) {
        let mut start = 0;
        let with_rows = &mut self.with_rows;
        chunk.segments.retain(|segment| {
            let empty = segment.end == start;
            start = segment.end;
            let had = with_rows.contains(&segment.table);
            match (segment.done, empty) {
                (true, _) => with_rows.remove(&segment.table),
                (false, false) => with_rows.insert(segment.table),
                (false, true) => true,
            };
            had || !empty
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing::*;
    use super::*;
    use crate::time::Location;

    fn shift(by: &str, columns: &[&str]) -> TimeColumns {
        let columns = columns.iter().map(|name| Name::from(*name)).collect();
        TimeColumns::Shift { by: Duration::parse_signed(by).unwrap(), columns }
    }

    #[test]
    fn times_are_moved_in_rows_and_keys() {
        let input = "_start:time* _time:time v:int\nT0 T5 1\nT0 - 2\n\n= T9\n";
        let expected = "_start:time* _time:time v:int\nT10 T15 1\nT10 - 2\n\n= T19\n";
        expect(&shift("10s", &["_start", "_stop", "_time"]), input, expected);
        expect(&shift("-1s", &["_time"]), "h:string* _time:time\na T5\n", "h:string* _time:time\na T4\n");
        // January 31 plus a month is February 28.
        expect(&shift("1mo", &["_time"]), "_time:time\nT2592000\n", "_time:time\nT5011200\n");
        let error = expect_error(&shift("1s", &["v"]), input);
        assert_eq!(error.message(), "column \"v\" is not of type time");
    }

    #[test]
    fn times_are_truncated_and_empty_tables_go() {
        let to =
            WindowSpec::aligned(Duration::from_nanoseconds(10_000_000_000), Duration::ZERO, Location::UTC).unwrap();
        let truncate = TimeColumns::Truncate { to, column: "_time".into() };
        let input = "h:string* _time:time v:int\na T5 1\na - 2\na T19 3\n\n= b\n\nc T20 4\n";
        expect(&truncate, input, "h:string* _time:time v:int\na T0 1\na - 2\na T10 3\n\nc T20 4\n");
        expect(&truncate, "v:int\n1\n", "v:int\n1\n");
        expect(&truncate, "_time:time* v:int\nT3 1\n\nT7 2\n", "_time:time* v:int\nT0 1\nT0 2\n");
    }
}
