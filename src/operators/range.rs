//! `range` over tables that are there already: rows by `_time`, bounds into `_start` and `_stop` (flux-semantics 5.2).
//!
//! `from |> range` is a source and does not come here. Tables come out in the order of their keys, those without rows
//! among them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, TimestampNanosecondArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::TimestampNanosecondType;

use super::rekey::{self, Applied, Rekeyed, RekeyedShapes, Rekeys};
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::table::merge::{Duplicates, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::select::keep_rows;
use crate::table::{Bounds, Chunk, ColumnType, KeyBlock, Place, Shape};

const TIME: &str = "_time";
const START: &str = "_start";
const STOP: &str = "_stop";

/// `range(start, stop)`, the bounds resolved.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    bounds: Bounds,
}

impl Range {
    /// The rows from `bounds.start_ns` up to, but not including, `bounds.stop_ns`.
    ///
    /// # Errors
    /// Invalid if the start does not lie before the stop.
    pub fn new(bounds: Bounds) -> Result<Range> {
        if bounds.start_ns >= bounds.stop_ns {
            return Err(Error::invalid("cannot query an empty range")
                .with_hint("the start of a range must lie before its stop"));
        }
        Ok(Range { bounds })
    }

    /// The bounds within those of a `range` upstream. Bounds that have nothing in common give the empty range of 1970.
    fn effective(&self, upstream: Option<Bounds>) -> Bounds {
        let Some(upstream) = upstream else { return self.bounds };
        intersection(self.bounds, upstream).unwrap_or(Bounds { start_ns: 0, stop_ns: 0 })
    }
}

fn intersection(left: Bounds, right: Bounds) -> Option<Bounds> {
    let start_ns = left.start_ns.max(right.start_ns);
    let stop_ns = left.stop_ns.min(right.stop_ns);
    (start_ns < stop_ns).then_some(Bounds { start_ns, stop_ns })
}

impl Transform for Range {
    fn name(&self) -> &'static str {
        "range"
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let bounds = self.effective(input[0].bounds);
        let ranging = Ranging { bounds, shapes: RekeyedShapes::default(), blocks: None };
        Ok(rekey::run(&input[0], TableOrder::KeySorted, Duplicates::Refuse("range"), ranging))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        let props = rekey::gives(&input[0], TableOrder::KeySorted);
        StreamProps {
            rows_by_time: input[0].rows_by_time,
            unique_keys: true,
            bounds: Some(self.effective(input[0].bounds)),
            ..props
        }
    }

    fn explain(&self) -> String {
        use crate::time::rfc3339::to_short_text;
        format!("start: {}, stop: {}", to_short_text(self.bounds.start_ns), to_short_text(self.bounds.stop_ns))
    }
}

struct Ranging {
    bounds: Bounds,
    shapes: RekeyedShapes,
    /// The key block seen last, and what became of it: chunks of a source share theirs.
    blocks: Option<(Arc<KeyBlock>, Arc<KeyBlock>)>,
}

/// Where the columns come from once [`Ranging::keys`] has put the bounds into the key.
fn rekeyed(shape: &Shape) -> Result<Rekeyed> {
    match shape.column(TIME) {
        None => {
            return Err(Error::failed_precondition(format!("range error: supplied time column {TIME} doesn't exist")));
        }
        Some(column) => check_type("supplied time", TIME, column.column_type)?,
    }
    for (what, name) in [("provided start", START), ("provided stop", STOP)] {
        if let Some(column) = shape.column(name) {
            check_type(what, name, column.column_type)?;
        }
    }
    // Columns that are not there yet go in front; all others keep their places. Both bounds come from the key.
    let key_columns = shape.key.len() as u32;
    let bound = |name: &str, offset: u32| match shape.column(name).map(|column| column.place) {
        Some(Place::Key(index)) => Place::Key(index),
        _ => Place::Key(key_columns + offset),
    };
    let bounds = [(START, bound(START, 0)), (STOP, bound(STOP, 1))];
    let mut targets = Target::of_shape(shape);
    let mut added = Vec::new();
    for (name, from) in bounds {
        let target = Target { name: name.into(), column_type: ColumnType::Time, in_key: true, from };
        match targets.iter_mut().find(|target| &*target.name == name) {
            Some(old) => *old = target,
            None => added.push(target),
        }
    }
    added.extend(targets);
    // Two equal values more do not change how keys compare.
    let keeps_keys = shape.column(START).is_none() && shape.column(STOP).is_none();
    Ok(Rekeyed { targets: added, keeps_keys })
}

impl Rekeys for Ranging {
    fn keeps_keys(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        Ok(self.shapes.get(shape, rekeyed)?.keeps_keys)
    }

    fn apply(&mut self, chunk: Chunk) -> Result<Vec<Applied>> {
        let rekeyed = self.shapes.get(&chunk.shape, rekeyed)?;
        let mask = self.mask(&chunk);
        let mut chunk = keep_rows(chunk, &mask)?;
        let known = self.blocks.as_ref().filter(|(from, _)| Arc::ptr_eq(from, &chunk.keys));
        let keys = match known {
            Some((_, to)) => Arc::clone(to),
            None => {
                let keys = Arc::new(self.keys(&chunk));
                self.blocks = Some((Arc::clone(&chunk.keys), Arc::clone(&keys)));
                keys
            }
        };
        chunk.keys = keys;
        Ok(vec![Applied { chunk, rekeyed }])
    }
}

impl Ranging {
    /// The rows that stay; a null time is in no range.
    fn mask(&self, chunk: &Chunk) -> BooleanBuffer {
        let inside = |times: &TimestampNanosecondArray, row: usize| {
            times.is_valid(row) && (self.bounds.start_ns..self.bounds.stop_ns).contains(&times.value(row))
        };
        if let Some(times) = chunk.row_array(TIME) {
            let times = times.as_primitive::<TimestampNanosecondType>();
            return BooleanBuffer::collect_bool(chunk.len, |row| inside(times, row));
        }
        let mut mask = BooleanBufferBuilder::new(chunk.len);
        if let Some(times) = chunk.key_array(TIME) {
            let times = times.as_primitive::<TimestampNanosecondType>();
            for (segment, rows) in chunk.tables() {
                mask.append_n(rows.len(), inside(times, segment.key_row as usize));
            }
        }
        mask.finish()
    }

    /// The key columns with the bounds where [`rekeyed`] says. A key that has both already keeps what it has in
    /// common with the new ones; one that has a single one of them keeps that as it is.
    fn keys(&self, chunk: &Chunk) -> KeyBlock {
        let mut columns = chunk.keys.columns.clone();
        let place = |name: &str| match chunk.shape.column(name)?.place {
            Place::Key(index) => Some(index as usize),
            Place::Row(_) => None,
        };
        if let (Some(start), Some(stop)) = (place(START), place(STOP)) {
            let old = |index: usize| columns[index].as_primitive::<TimestampNanosecondType>();
            let bounds: Vec<Bounds> =
                old(start).iter().zip(old(stop)).map(|(start, stop)| self.common(start, stop)).collect();
            columns[start] = times(bounds.iter().map(|bounds| bounds.start_ns));
            columns[stop] = times(bounds.iter().map(|bounds| bounds.stop_ns));
            return KeyBlock { columns };
        }
        let rows = columns.first().map_or_else(|| key_rows(chunk), |array| array.len());
        columns.push(times(std::iter::repeat_n(self.bounds.start_ns, rows)));
        columns.push(times(std::iter::repeat_n(self.bounds.stop_ns, rows)));
        KeyBlock { columns }
    }

    fn common(&self, start: Option<i64>, stop: Option<i64>) -> Bounds {
        let (Some(start_ns), Some(stop_ns)) = (start, stop) else { return self.bounds };
        intersection(self.bounds, Bounds { start_ns, stop_ns }).unwrap_or(self.bounds)
    }
}

/// How many rows the key block of a chunk has to have if the key has no columns.
fn key_rows(chunk: &Chunk) -> usize {
    chunk.segments.iter().map(|segment| segment.key_row as usize + 1).max().unwrap_or(0)
}

fn times(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter_values(values))
}

fn check_type(what: &str, name: &str, column_type: ColumnType) -> Result<()> {
    if column_type == ColumnType::Time {
        return Ok(());
    }
    Err(Error::failed_precondition(format!("range error: {what} column {name} is not of type time")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;
    use crate::table::scan::Parts;
    use crate::table::testing::{normal, show};

    const SECOND_NS: i64 = 1_000_000_000;

    fn range(start: i64, stop: i64) -> Range {
        Range::new(Bounds { start_ns: start * SECOND_NS, stop_ns: stop * SECOND_NS }).unwrap()
    }

    /// The example of flux-semantics 5.2.
    #[test]
    fn rows_outside_and_without_time_go_and_bounds_come() {
        let input = "host:string* _time:time _value:int\na T5 1\na T10 2\na - 3\na T30 4\n";
        let expected = "_start:time* _stop:time* host:string* _time:time _value:int\nT10 T30 a T10 2\n";
        expect(&range(10, 30), input, expected);
    }

    #[test]
    fn a_table_that_loses_all_rows_stays() {
        let input = "h:string* _time:time v:int\nb T1 1\nb T2 2\n\na T50 3\n\n= c\n";
        let expected = "_start:time* _stop:time* h:string* _time:time v:int\n= T2 T9 a\n\nT2 T9 b T2 2\n\n= T2 T9 c\n";
        expect(&range(2, 9), input, expected);
        expect(&range(2, 9), "", "");
    }

    /// flux-semantics 5.2: columns that are not in the key join it; both in the key are cut; one of them stays.
    #[test]
    fn bounds_that_are_there_are_overwritten_or_cut() {
        let input = "_time:time _stop:time v:int _start:time\nT5 T1 7 -\nT6 T2 8 T3\n";
        let expected = "_time:time _stop:time* v:int _start:time*\nT5 T9 7 T0\nT6 T9 8 T0\n";
        expect(&range(0, 9), input, expected);
        let input = "_start:time* _stop:time* _time:time\nT2 T20 T5\n\nT30 T40 T6\n\n- T9 T7\n";
        let expected = "_start:time* _stop:time* _time:time\nT0 T8 T6\n\nT2 T8 T5\n";
        let cut = input.replace("\n\n- T9 T7", "");
        expect(&range(0, 8), &cut, expected);
        let input = "_start:time* _time:time\nT2 T5\n";
        expect(&range(0, 9), input, "_stop:time* _start:time* _time:time\nT9 T2 T5\n");
    }

    #[test]
    fn time_in_the_key_decides_for_the_table() {
        let input = "_time:time* v:int\nT1 1\nT1 2\n\nT5 3\n";
        let expected = "_start:time* _stop:time* _time:time* v:int\n= T2 T9 T1\n\nT2 T9 T5 3\n";
        expect(&range(2, 9), input, expected);
    }

    /// flux-semantics 5.2: within the bounds of a range upstream; those that have nothing in common leave nothing.
    #[test]
    fn bounds_of_a_range_upstream_hold_as_well() {
        let input = "_time:time v:int\nT5 1\nT15 2\nT25 3\n";
        let upstream = |start, stop| bounded(Parts::Clustered, start, stop);
        let out = answer(&range(0, 20), upstream(10, 30), input).unwrap();
        assert_eq!(show(&out.chunks), normal("_start:time* _stop:time* _time:time v:int\nT10 T20 T15 2\n"));
        let out = answer(&range(0, 9), upstream(10, 30), input).unwrap();
        assert_eq!(show(&out.chunks), normal("_start:time* _stop:time* _time:time v:int\n= T0 T0\n"));
        let gives = range(0, 20).gives(&[upstream(10, 30)]);
        assert_eq!(gives.bounds, Some(Bounds { start_ns: 10 * SECOND_NS, stop_ns: 20 * SECOND_NS }));
    }

    #[test]
    fn sorted_tables_of_one_shape_stream() {
        let input = "h:string* _time:time v:int\na T1 1\na T3 2\n\nb T4 3\n";
        let props = StreamProps { one_shape: true, tables: TableOrder::KeySorted, ..props(Parts::Clustered) };
        let out = answer(&range(2, 9), props, input).unwrap();
        let expected = "_start:time* _stop:time* h:string* _time:time v:int\nT2 T9 a T3 2\n\nT2 T9 b T4 3\n";
        assert_eq!(show(&out.chunks), normal(expected));
    }

    #[test]
    fn refusals_name_the_column() {
        let error = expect_error(&range(0, 9), "h:string* v:int\na 1\n");
        assert_eq!(error.message(), "range error: supplied time column _time doesn't exist");
        let error = expect_error(&range(0, 9), "_time:int v:int\n1 1\n");
        assert_eq!(error.message(), "range error: supplied time column _time is not of type time");
        let error = expect_error(&range(0, 9), "_time:time _start:int\nT1 1\n");
        assert_eq!(error.message(), "range error: provided start column _start is not of type time");
        let error = expect_error(&range(0, 9), "h:string* _time:time\na T1\n\na T2\n");
        assert_eq!(
            error.message(),
            "range found duplicate table with key: {_start=1970-01-01T00:00:00Z, \
            _stop=1970-01-01T00:00:09Z, h=a}"
        );
        let bounds = Bounds { start_ns: 5, stop_ns: 5 };
        assert_eq!(Range::new(bounds).unwrap_err().message(), "cannot query an empty range");
    }
}
