//! `stateCount`, `stateDuration`, `stateTracking`: for how many rows, and for how long, a condition has held.
//!
//! Both are -1 where it does not hold; a null condition does not hold. The first row of a state counts 1 and lasts 0. State
//! is kept per table, so that parts of many tables may alternate.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::TimestampNanosecondType;

use super::by_shape::ByShape;
use super::per_table::{OpenTables, row_values};
use super::row_program::{PredicateProgram, RowFunction};
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::flux::host::Host;
use crate::table::scan::StreamProps;
use crate::table::{Chunk, Column, ColumnType, Name, Place, Shape};

/// `stateTracking(fn, countColumn, durationColumn, durationUnit, timeColumn)` and its two short forms.
#[derive(Clone, Debug)]
pub struct StateTracking {
    /// The function's name, as the script has it.
    pub name: &'static str,
    /// The condition.
    pub function: RowFunction,
    /// Where the number of rows goes.
    pub count_column: Option<Name>,
    /// Where the duration goes.
    pub duration_column: Option<Name>,
    /// Durations are in so many nanoseconds, cut at the point.
    pub unit_ns: i64,
    /// The column with the time of each row.
    pub time_column: Name,
}

impl StateTracking {
    /// Checks the arguments.
    ///
    /// # Errors
    /// Invalid for a duration in a unit that is not greater than zero.
    pub fn checked(self) -> Result<StateTracking> {
        if self.duration_column.is_some() && self.unit_ns <= 0 {
            return Err(Error::invalid("state tracking duration unit must be greater than zero"));
        }
        Ok(self)
    }

    fn plan(&self, shape: &Shape) -> Result<Plan> {
        let program = PredicateProgram::compile(std::slice::from_ref(&self.function), shape)?.asked_by(self.name);
        let time = match &self.duration_column {
            None => None,
            Some(_) => {
                let column = shape.column(&self.time_column).ok_or_else(|| {
                    Error::failed_precondition(format!("column {:?} does not exist", self.time_column))
                        .with_hint(format!("{} needs the time of each row: name its column as timeColumn", self.name))
                })?;
                if column.column_type != ColumnType::Time {
                    return Err(Error::failed_precondition(format!(
                        "{}: time column {:?} is of type {}",
                        self.name,
                        column.name,
                        column.column_type.flux_name()
                    )));
                }
                Some(column.clone())
            }
        };
        let mut columns: Vec<(Name, ColumnType, bool)> = Vec::new();
        let added = [&self.count_column, &self.duration_column];
        for column in &shape.columns {
            let in_key = matches!(column.place, Place::Key(_));
            let column_type = match added.iter().any(|name| name.as_deref() == Some(&*column.name)) {
                true if in_key => {
                    let name = &column.name;
                    return Err(Error::failed_precondition(format!(
                        "{}: column {name:?} is part of the group key already",
                        self.name
                    ))
                    .with_hint("group by other columns first, or give another column name"));
                }
                true => ColumnType::Int,
                false => column.column_type,
            };
            columns.push((column.name.clone(), column_type, in_key));
        }
        for name in added.into_iter().flatten() {
            if columns.iter().all(|(own, _, _)| own != name) {
                columns.push((name.clone(), ColumnType::Int, false));
            }
        }
        let shape = Shape::new(columns);
        let place = |name: &Option<Name>| match shape.column(name.as_ref()?)?.place {
            Place::Row(place) => Some(place as usize),
            Place::Key(_) => None,
        };
        let (count, duration) = (place(&self.count_column), place(&self.duration_column));
        Ok(Plan { program, time, count, duration, shape })
    }
}

impl Transform for StateTracking {
    fn name(&self) -> &'static str {
        self.name
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(Tracking {
            host: self.function.hosts.host(),
            tracking: self.clone(),
            plans: ByShape::default(),
            states: OpenTables::default(),
        }))
    }

    fn works_by_table(&self, _input: &StreamProps) -> bool {
        true
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn explain(&self) -> String {
        "fn: (r) => ...".to_string()
    }
}

struct Plan {
    program: PredicateProgram,
    time: Option<Column>,
    /// Where the columns go among the row columns.
    count: Option<usize>,
    duration: Option<usize>,
    shape: Arc<Shape>,
}

/// The state of a table.
#[derive(Default)]
struct State {
    rows: i64,
    /// When it began, if it holds.
    since_ns: Option<i64>,
    last_ns: Option<i64>,
}

struct Tracking {
    tracking: StateTracking,
    host: Box<dyn Host + Send>,
    plans: ByShape<Plan>,
    states: OpenTables<State>,
}

impl Operator for Tracking {
    fn push(&mut self, _port: usize, mut chunk: Chunk, out: &mut Out) -> Result<()> {
        let tracking = &self.tracking;
        let plan = self.plans.get(&chunk.shape, |shape| tracking.plan(shape))?;
        let holds = plan.program.rows(&chunk, &mut self.host)?;
        let times = plan.time.as_ref().map(|column| row_values(&chunk, column)).transpose()?;
        let times = times.as_ref().map(|times| times.as_primitive::<TimestampNanosecondType>());
        if times.is_some_and(|times| times.null_count() > 0) {
            return Err(Error::failed_precondition("got a null timestamp").with_hint(format!(
                "{}: leave such rows out with filter(fn: (r) => exists r.{})",
                tracking.name, tracking.time_column
            )));
        }
        let mut counts = Vec::with_capacity(chunk.len);
        let mut durations = Vec::with_capacity(if times.is_some() { chunk.len } else { 0 });
        for (segment, rows) in chunk.tables() {
            self.states.with(&segment, |state| {
                for row in rows {
                    let holds = holds.value(row);
                    state.rows = if holds { state.rows + 1 } else { 0 };
                    counts.push(if holds { state.rows } else { -1 });
                    let Some(times) = times else { continue };
                    let time_ns = times.value(row);
                    if state.last_ns.replace(time_ns).is_some_and(|last| last > time_ns) {
                        return Err(Error::failed_precondition("got an out-of-order timestamp")
                            .with_hint(format!("sort(columns: [{:?}]) first", tracking.time_column)));
                    }
                    if !holds {
                        state.since_ns = None;
                        durations.push(-1);
                        continue;
                    }
                    let since = *state.since_ns.get_or_insert(time_ns);
                    durations.push(time_ns.wrapping_sub(since) / tracking.unit_ns);
                }
                Ok(())
            })?;
        }
        let counts: ArrayRef = Arc::new(Int64Array::from(counts));
        let durations: ArrayRef = Arc::new(Int64Array::from(durations));
        // New columns are appended, the count first.
        for (place, column) in [(plan.count, counts), (plan.duration, durations)] {
            let Some(place) = place else { continue };
            if place < chunk.rows.len() { chunk.rows[place] = column } else { chunk.rows.push(column) }
        }
        chunk.shape = Arc::clone(&plan.shape);
        out.push(chunk);
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.states.memory()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::testing::*;
    use super::*;

    fn of(count: Option<&str>, duration: Option<&str>) -> StateTracking {
        StateTracking {
            name: "stateTracking",
            function: row_function("(r) => r.v > 2"),
            count_column: count.map(Name::from),
            duration_column: duration.map(Name::from),
            unit_ns: 1_000_000_000,
            time_column: "_time".into(),
        }
    }

    #[test]
    fn rows_and_time_in_a_state() {
        let input = "h:string* _time:time v:int\na T0 1\na T5 3\na T9 4\na T20 -\na T21 5\n\nb T1 9\n\n= c\n";
        let head = "h:string* _time:time v:int";
        let expected = format!(
            "{head} n:int d:int\na T0 1 -1 -1\na T5 3 1 0\na T9 4 2 4\na T20 - -1 -1\na T21 5 1 0\n\nb T1 9 1 0\n\n= c\n"
        );
        expect(&of(Some("n"), Some("d")), input, &expected);
        let counts = "h:string* _time:time v:int n:int\na T0 1 -1\na T5 3 1\na T9 4 2\na T20 - -1\na T21 5 1\n\nb T1 9 1\n\n= c\n";
        expect(&of(Some("n"), None), input, counts);
        expect(&of(None, None), input, input);
    }

    #[test]
    fn a_column_of_that_name_is_replaced() {
        expect(&of(Some("v"), None), "h:string* v:int w:int\na 7 1\n", "h:string* v:int w:int\na 1 1\n");
        let error = expect_error(&of(Some("h"), None), "h:string* v:int\na 7\n");
        assert_eq!(error.message(), "stateTracking: column \"h\" is part of the group key already");
    }

    #[test]
    fn times_have_to_be_there_and_in_order() {
        let message = |input: &str| expect_error(&of(None, Some("d")), input).message().to_owned();
        assert_eq!(message("v:int\n1\n"), "column \"_time\" does not exist");
        assert_eq!(message("_time:time v:int\nT2 1\nT1 1\n"), "got an out-of-order timestamp");
        assert_eq!(message("_time:time v:int\nT2 1\n- 1\n"), "got a null timestamp");
        let error = StateTracking { unit_ns: 0, ..of(None, Some("d")) }.checked().unwrap_err();
        assert_eq!(error.message(), "state tracking duration unit must be greater than zero");
    }
}
