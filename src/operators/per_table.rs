//! What operators keep of tables that have not ended, and columns whose values depend on the rows before them.
//!
//! Used by operators that go through the rows of each table in order (`difference`, `cumulativeSum`, ...). State is made
//! for tables that go on in another chunk only: a chunk of many small tables costs no look-up and no allocation a table.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Float64Type, Int64Type, UInt64Type};
use hashbrown::HashMap;

use crate::error::{Error, Result};
use crate::table::gather::{Gather, Stretch};
use crate::table::size;
use crate::table::{Chunk, Column, ColumnType, Name, Place, Segment, Shape, TableId};

/// The state of tables of which more is to come.
#[derive(Debug)]
pub(super) struct OpenTables<S> {
    states: HashMap<TableId, S>,
}

impl<S> Default for OpenTables<S> {
    fn default() -> Self {
        OpenTables { states: HashMap::new() }
    }
}

impl<S> OpenTables<S> {
    /// What it takes, in bytes, without what states hold beside themselves.
    pub(super) fn memory(&self) -> usize {
        size::of_map::<(TableId, S)>(self.states.capacity())
    }

    /// How many tables there are.
    pub(super) fn len(&self) -> usize {
        self.states.len()
    }
}

impl<S: Default> OpenTables<S> {
    /// Goes on with a table: its state as the part before has left it, or a new one.
    pub(super) fn with<R>(&mut self, segment: &Segment, step: impl FnOnce(&mut S) -> R) -> R {
        let known = if self.states.is_empty() { None } else { self.states.remove(&segment.table) };
        let mut state = known.unwrap_or_default();
        let result = step(&mut state);
        if !segment.done {
            self.states.insert(segment.table, state);
        }
        result
    }
}

/// Numbers of the three types.
pub(super) trait Number: ArrowPrimitiveType {
    /// As a float, as a conversion by `float()` gives it.
    fn float(value: Self::Native) -> f64;
    /// As bits, for state that is of one type for all columns.
    fn bits(value: Self::Native) -> u64;
    /// From bits.
    fn of_bits(bits: u64) -> Self::Native;
}

impl Number for Int64Type {
    fn float(value: i64) -> f64 {
        value as f64
    }

    fn bits(value: i64) -> u64 {
        value as u64
    }

    fn of_bits(bits: u64) -> i64 {
        bits as i64
    }
}

impl Number for UInt64Type {
    fn float(value: u64) -> f64 {
        value as f64
    }

    fn bits(value: u64) -> u64 {
        value
    }

    fn of_bits(bits: u64) -> u64 {
        bits
    }
}

impl Number for Float64Type {
    fn float(value: f64) -> f64 {
        value
    }

    fn bits(value: f64) -> u64 {
        value.to_bits()
    }

    fn of_bits(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
}

/// A column of which each value follows from the state of the table and the row's own value: `next` is called for every
/// row, table after table.
pub(super) fn scan_column<T: Number, O: ArrowPrimitiveType, S: Default>(
    array: &PrimitiveArray<T>,
    chunk: &Chunk,
    open: &mut OpenTables<S>,
    mut next: impl FnMut(&mut S, usize, Option<T::Native>) -> Option<O::Native>,
) -> ArrayRef {
    let mut values: Vec<O::Native> = Vec::with_capacity(chunk.len);
    let mut valid: Vec<bool> = Vec::with_capacity(chunk.len);
    let given = array.values();
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    for (segment, rows) in chunk.tables() {
        open.with(&segment, |state| {
            for row in rows {
                let value = nulls.is_none_or(|nulls| nulls.is_valid(row)).then(|| given[row]);
                let value = next(state, row, value);
                valid.push(value.is_some());
                values.push(value.unwrap_or_default());
            }
        });
    }
    let nulls = NullBuffer::from(valid);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Arc::new(PrimitiveArray::<O>::new(values.into(), nulls))
}

/// The columns among `names` that a shape has in its rows, with their places there: (number in `names`, column, place).
///
/// # Errors
/// FailedPrecondition for a column of the group key: its values are those of the key.
pub(super) fn listed<'a>(operator: &str, names: &[Name], shape: &'a Shape) -> Result<Vec<(usize, &'a Column, usize)>> {
    let mut columns: Vec<(usize, &Column, usize)> = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let Some(column) = shape.column(name) else { continue };
        match column.place {
            Place::Row(place) if columns.iter().all(|(_, other, _)| other.name != *name) => {
                columns.push((number, column, place as usize));
            }
            Place::Row(_) => {}
            Place::Key(_) => {
                return Err(Error::failed_precondition(format!(
                    "{operator} cannot change column {name:?}: it is part of the group key"
                ))
                .with_hint("group by other columns first"));
            }
        }
    }
    Ok(columns)
}

/// The shape with other types for some of its columns; `columns` are places among the row columns.
pub(super) fn with_types(shape: &Shape, columns: &[(usize, ColumnType)]) -> Arc<Shape> {
    let of = |column: &Column| {
        let place = match column.place {
            Place::Row(place) => Some(place as usize),
            Place::Key(_) => None,
        };
        let changed = columns.iter().find(|(own, _)| Some(*own) == place);
        let column_type = changed.map_or(column.column_type, |(_, column_type)| *column_type);
        (column.name.clone(), column_type, place.is_none())
    };
    Shape::new(shape.columns.iter().map(of))
}

/// The values of a column with one per row, wherever it stands.
pub(super) fn row_values(chunk: &Chunk, column: &Column) -> Result<ArrayRef> {
    match column.place {
        Place::Row(place) => Ok(Arc::clone(&chunk.rows[place as usize])),
        Place::Key(place) => {
            let repeat =
                |(segment, rows): (Segment, Range<usize>)| Stretch::repeat(0, segment.key_row as usize, rows.len());
            let gather = Gather::new(chunk.tables().map(repeat));
            gather.column(column.column_type, |_| chunk.keys.columns.get(place as usize))
        }
    }
}
