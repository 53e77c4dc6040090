//! `integral` and `timeWeightedAvg`: the area below the values of a table over time, one row each.
//!
//! Values lie on straight lines from one to the next. With `interpolate` the first and last lines go on to the bounds of
//! the table, which are then in its key. Of several rows of one time the first counts.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use hashbrown::HashMap;

use super::by_shape::ByShape;
use super::keyed::{self, ChangesRows};
use super::window::Times;
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::size;
use crate::table::{Cell, Chunk, ColumnType, ColumnView, Name, Place, Segment, Shape, TableId};
use crate::time::Duration;

/// `integral(unit, column, timeColumn, interpolate)`, `timeWeightedAvg(unit)`.
#[derive(Clone, Debug)]
pub struct Integral {
    /// The area is that of the value held for this long.
    pub unit: Duration,
    /// The column of values.
    pub column: Name,
    /// The column of times.
    pub time_column: Name,
    /// Whether the lines go on to the bounds.
    pub interpolate: bool,
    /// Whether the area is divided by the distance of the bounds (`timeWeightedAvg`).
    pub average: bool,
}

impl Transform for Integral {
    fn name(&self) -> &'static str {
        if self.average { "timeWeightedAvg" } else { "integral" }
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let running = Running { integral: self.clone(), plans: ByShape::default(), open: HashMap::new() };
        Ok(keyed::run(&input[0], self.name(), running))
    }

    fn works_by_table(&self, input: &StreamProps) -> bool {
        keyed::works_by_table(input)
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: true, ..keyed::gives(&input[0]) }
    }

    fn explain(&self) -> String {
        if self.average {
            return format!("unit: {}", self.unit);
        }
        let interpolate = if self.interpolate { ", interpolate: \"linear\"" } else { "" };
        let (unit, column, time) = (self.unit, &self.column, &self.time_column);
        format!("unit: {unit}, column: {column:?}, timeColumn: {time:?}{interpolate}")
    }
}

/// What tables of a shape become.
#[derive(Debug)]
struct Plan {
    start: usize,
    stop: usize,
    time: Place,
    value: usize,
    shape: Arc<Shape>,
}

impl Integral {
    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let bound = |name: &str| match shape.column(name) {
            Some(column) if column.column_type == ColumnType::Time && shape.is_key(name) => match column.place {
                Place::Key(index) | Place::Row(index) => Ok(index as usize),
            },
            _ => Err(Error::invalid(format!("integral function needs {name} column to be part of group key"))
                .with_hint("range and window put the bounds into the key; group has to keep them")),
        };
        let (start, stop) = (bound("_start")?, bound("_stop")?);
        let Some(column) = shape.column(&self.column) else {
            return Err(Error::failed_precondition(format!("column {:?} does not exist", self.column)));
        };
        let Place::Row(value) = column.place else {
            return Err(Error::failed_precondition("cannot aggregate columns that are part of the group key"));
        };
        if !matches!(column.column_type, ColumnType::Int | ColumnType::UInt | ColumnType::Float) {
            let found = column.column_type.flux_name();
            return Err(Error::failed_precondition(format!("cannot perform integral over {found}")));
        }
        let time = match shape.column(&self.time_column) {
            None => return Err(Error::failed_precondition(format!("no column {:?} exists", self.time_column))),
            Some(column) if column.column_type != ColumnType::Time => {
                let found = column.column_type.flux_name();
                let message = format!("integral: column {:?} is of type {found}, expected time", self.time_column);
                return Err(Error::failed_precondition(message));
            }
            Some(column) => column.place,
        };
        let keys = shape.key_columns().map(|key| (key.name.clone(), key.column_type, true));
        let shape = Shape::new(keys.chain([(self.column.clone(), ColumnType::Float, false)]));
        Ok(Plan { start, stop, time, value: value as usize, shape })
    }
}

struct Running {
    integral: Integral,
    plans: ByShape<Plan>,
    open: HashMap<TableId, Area>,
}

impl ChangesRows for Running {
    fn apply(&mut self, chunk: Chunk) -> Result<Option<Chunk>> {
        let integral = &self.integral;
        let plan = self.plans.get(&chunk.shape, |shape| integral.plan(shape))?;
        let times = Times::of(&chunk, plan.time);
        let values = ColumnView::of(&chunk.rows[plan.value]);
        let bound = |place: usize, row: u32| match ColumnView::of(&chunk.keys.columns[place]).cell(row as usize) {
            Cell::Time(time_ns) => time_ns,
            _ => 0,
        };
        let unit = integral.unit.flat_nanoseconds() as f64;
        let mut segments = Vec::new();
        let mut areas = Vec::new();
        for (segment, rows) in chunk.tables() {
            let mut area = self.open.remove(&segment.table).unwrap_or_default();
            let (start, stop) = (bound(plan.start, segment.key_row), bound(plan.stop, segment.key_row));
            for row in rows {
                let Some(time_ns) = times.at(segment.key_row, row) else {
                    return Err(Error::failed_precondition("integral found null time in time column"));
                };
                if area.last_row.is_some_and(|last| last > time_ns) {
                    return Err(Error::failed_precondition("integral found out-of-order times in time column")
                        .with_hint("sort(columns: [\"_time\"]) puts rows in order"));
                }
                if area.last_row.replace(time_ns) == Some(time_ns) {
                    continue;
                }
                let value = match values.cell(row) {
                    Cell::Float(value) => value,
                    Cell::Int(value) => value as f64,
                    Cell::UInt(value) => value as f64,
                    _ => continue,
                };
                area.add(time_ns, value, unit, integral.interpolate.then_some(start));
            }
            if !segment.done {
                self.open.insert(segment.table, area);
                continue;
            }
            let mut whole = area.whole(unit, integral.interpolate.then_some((start, stop)));
            if integral.average {
                whole = whole * unit / stop.wrapping_sub(start) as f64;
            }
            areas.push(whole);
            segments.push(Segment { end: areas.len() as u32, ..segment });
        }
        if segments.is_empty() {
            return Ok(None);
        }
        let (shape, keys, len) = (Arc::clone(&plan.shape), Arc::clone(&chunk.keys), areas.len());
        let rows: Vec<ArrayRef> = vec![Arc::new(Float64Array::from(areas))];
        Ok(Some(Chunk { shape, keys, segments, rows, len }))
    }

    fn memory(&self) -> usize {
        size::of_map::<(TableId, Area)>(self.open.capacity())
    }
}

/// The area so far.
#[derive(Clone, Copy, Debug, Default)]
struct Area {
    points: u8,
    /// The last two points, the older one first; of one point, that one.
    times: [i64; 2],
    values: [f64; 2],
    sum: f64,
    /// The time of the last row, with a value or without.
    last_row: Option<i64>,
}

fn distance(from_ns: i64, to_ns: i64) -> f64 {
    to_ns.wrapping_sub(from_ns) as f64
}

impl Area {
    fn add(&mut self, time_ns: i64, value: f64, unit: f64, start: Option<i64>) {
        match self.points {
            0 => {
                (self.times[0], self.values[0]) = (time_ns, value);
                self.points = 1;
            }
            1 => {
                self.sum += 0.5 * (value + self.values[0]) * distance(self.times[0], time_ns) / unit;
                (self.times[1], self.values[1]) = (time_ns, value);
                self.points = 2;
                if let Some(start) = start.filter(|start| *start < self.times[0]) {
                    let before = distance(start, self.times[0]);
                    let at_start = self.values[0] - self.slope() * before;
                    self.sum += 0.5 * (at_start + self.values[0]) * before / unit;
                }
            }
            _ => {
                self.sum += 0.5 * (value + self.values[1]) * distance(self.times[1], time_ns) / unit;
                self.times = [self.times[1], time_ns];
                self.values = [self.values[1], value];
            }
        }
    }

    fn slope(&self) -> f64 {
        (self.values[1] - self.values[0]) / distance(self.times[0], self.times[1])
    }

    fn whole(&self, unit: f64, bounds: Option<(i64, i64)>) -> f64 {
        match (self.points, bounds) {
            (0, _) | (1, None) => 0.0,
            // A single value held from one bound to the other.
            (1, Some((start, stop))) => self.values[0] * distance(start, stop) / unit,
            (_, None) => self.sum,
            (_, Some((_, stop))) => {
                let behind = distance(self.times[1], stop);
                let at_stop = self.values[1] + self.slope() * behind;
                self.sum + 0.5 * (at_stop + self.values[1]) * behind / unit
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn integral(interpolate: bool, average: bool) -> Integral {
        let unit = Duration::from_nanoseconds(10_000_000_000);
        Integral { unit, column: "v".into(), time_column: "_time".into(), interpolate, average }
    }

    const INPUT: &str = "_start:time* _stop:time* h:string* _time:time v:float\n\
        T0 T60 a T10 2.0\nT0 T60 a T20 4.0\nT0 T60 a T30 -\nT0 T60 a T40 0.0\nT0 T60 a T40 9.0\n\n\
        T0 T60 b T10 3.0\n\n= T0 T60 c\n";

    /// By hand: trapezoids of (2+4)/2 over one unit and (4+0)/2 over two; to the bounds (0+2)/2 over one, (0-4)/2 over two.
    #[test]
    fn the_area_is_made_of_trapezoids() {
        let head = "_start:time* _stop:time* h:string* v:float\n";
        expect(&integral(false, false), INPUT, &format!("{head}T0 T60 a 7.0\n\nT0 T60 b 0.0\n\nT0 T60 c 0.0\n"));
        expect(&integral(true, false), INPUT, &format!("{head}T0 T60 a 4.0\n\nT0 T60 b 18.0\n\nT0 T60 c 0.0\n"));
        let expected = format!("{head}T0 T60 a {:?}\n\nT0 T60 b 3.0\n\nT0 T60 c 0.0\n", 4.0 * 10.0 / 60.0);
        expect(&integral(true, true), INPUT, &expected);
    }

    #[test]
    fn what_it_needs() {
        let error = expect_error(&integral(false, false), "_time:time v:int\nT1 1\n");
        assert_eq!(error.message(), "integral function needs _start column to be part of group key");
        let head = "_start:time* _stop:time*";
        let error = expect_error(&integral(false, false), &format!("{head} _time:time v:string\nT0 T9 T1 x\n"));
        assert_eq!(error.message(), "cannot perform integral over string");
        let error =
            expect_error(&integral(false, false), &format!("{head} _time:time v:int\nT0 T9 T2 1\nT0 T9 T1 1\n"));
        assert_eq!(error.message(), "integral found out-of-order times in time column");
        let error = expect_error(&integral(false, false), &format!("{head} _time:time v:int\nT0 T9 - 1\n"));
        assert_eq!(error.message(), "integral found null time in time column");
        let error = expect_error(&integral(false, false), &format!("{head} _time:time w:int\nT0 T9 T2 1\n"));
        assert_eq!(error.message(), "column \"v\" does not exist");
    }
}
