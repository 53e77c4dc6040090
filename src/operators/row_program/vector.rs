//! Values of many rows: one for all, one per table, or one per row of a chunk; and selections of rows.
//!
//! Made and used by [`super::eval`] and the programs.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;

use super::node::Rate;
use super::{cell_of, value_of};
use crate::error::Result;
use crate::flux::Value;
use crate::table::gather::nulls;
use crate::table::{Chunk, ColumnBuilder, ColumnType, ColumnView};

/// Values in a line: as a column, or as they are where no column can hold them.
#[derive(Clone, Debug)]
pub enum Cells {
    /// A column.
    Array(ArrayRef),
    /// Values of any kind.
    Values(Arc<[Value]>),
}

impl Cells {
    /// The value of a row.
    pub fn value(&self, row: usize) -> Value {
        match self {
            Cells::Array(array) => value_of(ColumnView::of(array).cell(row)),
            Cells::Values(values) => values[row].clone(),
        }
    }

    /// Values as a column of a type; as they are if one of them is of another type.
    pub(super) fn collect(column_type: Option<ColumnType>, values: Vec<Value>) -> Result<Cells> {
        let Some(column_type) = column_type else { return Ok(Cells::Values(values.into())) };
        let fits =
            |value: &Value| cell_of(value).is_some_and(|cell| cell.column_type().is_none_or(|own| own == column_type));
        if !values.iter().all(fits) {
            return Ok(Cells::Values(values.into()));
        }
        let mut builder = ColumnBuilder::new(column_type);
        for value in &values {
            match cell_of(value) {
                Some(cell) => builder.push(cell)?,
                None => builder.push_null(),
            }
        }
        Ok(Cells::Array(builder.finish()))
    }

    fn take(&self, rows: &UInt32Array) -> Result<Cells> {
        Ok(match self {
            Cells::Array(array) => Cells::Array(take(array, rows, None)?),
            Cells::Values(values) => {
                Cells::Values(rows.values().iter().map(|row| values[*row as usize].clone()).collect())
            }
        })
    }
}

/// The values of an expression over a chunk.
#[derive(Clone, Debug)]
pub enum Vector {
    /// The same everywhere.
    Constant(Value),
    /// One for each segment of the chunk.
    Table(Cells),
    /// One for each row.
    Row(Cells),
}

impl Vector {
    pub(super) fn rate(&self) -> Rate {
        match self {
            Vector::Constant(_) => Rate::Constant,
            Vector::Table(_) => Rate::Table,
            Vector::Row(_) => Rate::Row,
        }
    }

    /// The value at a place that counts tables or rows, as the vector does.
    pub(super) fn value(&self, at: usize) -> Value {
        match self {
            Vector::Constant(value) => value.clone(),
            Vector::Table(cells) | Vector::Row(cells) => cells.value(at),
        }
    }

    /// The same values at a rate that is no lower.
    pub(super) fn at_rate(self, rate: Rate, tables: &Tables) -> Result<Vector> {
        Ok(match (self, rate) {
            (Vector::Table(cells), Rate::Row) => Vector::Row(cells.take(tables.of_rows())?),
            (own, _) => own,
        })
    }

    /// The values of all rows as a column of a type; `None` if one of them is of another type.
    pub fn rows(&self, column_type: ColumnType, tables: &Tables) -> Result<Option<ArrayRef>> {
        let array = match self {
            Vector::Constant(value) => return constant(value, column_type, tables.rows),
            Vector::Row(cells) => as_column(cells, column_type)?,
            Vector::Table(cells) => match as_column(cells, column_type)? {
                Some(array) => Some(take(&array, tables.of_rows(), None)?),
                None => None,
            },
        };
        Ok(array)
    }
}

/// Cells as a column of a type; a column of another type that is all null is a column of nulls.
pub(super) fn as_column(cells: &Cells, column_type: ColumnType) -> Result<Option<ArrayRef>> {
    Ok(match cells {
        Cells::Array(array) if *array.data_type() == column_type.arrow() => Some(Arc::clone(array)),
        Cells::Array(array) if array.null_count() == array.len() => Some(nulls(column_type, array.len())),
        Cells::Array(_) => None,
        Cells::Values(values) => match Cells::collect(Some(column_type), values.to_vec())? {
            Cells::Array(array) => Some(array),
            Cells::Values(_) => None,
        },
    })
}

/// A column that has one value in all rows.
pub(super) fn constant(value: &Value, column_type: ColumnType, rows: usize) -> Result<Option<ArrayRef>> {
    if matches!(value, Value::Null) {
        return Ok(Some(nulls(column_type, rows)));
    }
    let Cells::Array(one) = Cells::collect(Some(column_type), vec![value.clone()])? else { return Ok(None) };
    Ok(Some(take(&one, &UInt32Array::from_value(0, rows), None)?))
}

/// The tables of a chunk: which rows belong to which of its segments.
#[derive(Debug)]
pub struct Tables {
    /// One past the last row of each segment.
    ends: Vec<u32>,
    rows: usize,
    of_rows: std::cell::OnceCell<UInt32Array>,
}

impl Tables {
    /// The tables of a chunk.
    pub fn new(chunk: &Chunk) -> Tables {
        let ends = chunk.segments.iter().map(|segment| segment.end).collect();
        Tables { ends, rows: chunk.len, of_rows: std::cell::OnceCell::new() }
    }

    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The number of values at a rate.
    pub(super) fn len_at(&self, rate: Rate) -> usize {
        match rate {
            Rate::Constant => 1,
            Rate::Table => self.count(),
            Rate::Row => self.rows,
        }
    }

    /// The rows of a segment.
    pub(super) fn range(&self, table: usize) -> std::ops::Range<usize> {
        let start = if table == 0 { 0 } else { self.ends[table - 1] };
        start as usize..self.ends[table] as usize
    }

    /// Of each row the number of its segment.
    pub(super) fn of_rows(&self) -> &UInt32Array {
        self.of_rows.get_or_init(|| {
            let tables = (0..self.count()).flat_map(|table| std::iter::repeat_n(table as u32, self.range(table).len()));
            UInt32Array::from_iter_values(tables)
        })
    }

    /// Bits of tables as bits of their rows.
    pub(super) fn spread(&self, tables: &BooleanBuffer) -> BooleanBuffer {
        let mut rows = arrow::array::BooleanBufferBuilder::new(self.rows);
        for table in 0..self.count() {
            rows.append_n(self.range(table).len(), tables.value(table));
        }
        rows.finish()
    }
}

/// The rows for which something counts.
#[derive(Clone, Debug)]
pub(super) enum Selection {
    All,
    Rows(BooleanBuffer),
}

impl Selection {
    pub(super) fn is_empty(&self, tables: &Tables) -> bool {
        match self {
            Selection::All => tables.rows() == 0,
            Selection::Rows(rows) => rows.count_set_bits() == 0,
        }
    }

    pub(super) fn has_row(&self, row: usize) -> bool {
        match self {
            Selection::All => true,
            Selection::Rows(rows) => rows.value(row),
        }
    }

    /// Whether a place at a rate has rows that count.
    pub(super) fn has(&self, at: usize, rate: Rate, tables: &Tables) -> bool {
        match rate {
            Rate::Constant => !self.is_empty(tables),
            Rate::Row => self.has_row(at),
            Rate::Table => match self {
                Selection::All => !tables.range(at).is_empty(),
                Selection::Rows(rows) => tables.range(at).any(|row| rows.value(row)),
            },
        }
    }

    /// Those of the rows that are in `rows`.
    pub(super) fn and(&self, rows: BooleanBuffer) -> Selection {
        match self {
            Selection::All => Selection::Rows(rows),
            Selection::Rows(own) => Selection::Rows(own & &rows),
        }
    }
}

/// What a condition says: true, false or unknown.
#[derive(Clone, Debug)]
pub(super) enum Truth {
    Constant(Option<bool>),
    Table(BooleanArray),
    Row(BooleanArray),
}

impl Truth {
    /// The rows in which it is `value`.
    pub(super) fn rows(&self, value: Option<bool>, tables: &Tables) -> BooleanBuffer {
        match self {
            Truth::Constant(own) if *own == value => BooleanBuffer::new_set(tables.rows()),
            Truth::Constant(_) => BooleanBuffer::new_unset(tables.rows()),
            Truth::Table(array) => tables.spread(&bits(array, value)),
            Truth::Row(array) => bits(array, value),
        }
    }

    /// Whether it is `value` everywhere.
    pub(super) fn is_all(&self, value: bool) -> bool {
        match self {
            Truth::Constant(own) => *own == Some(value),
            Truth::Table(array) | Truth::Row(array) => {
                let set = array.values().count_set_bits();
                array.null_count() == 0 && set == if value { array.len() } else { 0 }
            }
        }
    }

    pub(super) fn into_vector(self) -> Vector {
        match self {
            Truth::Constant(value) => Vector::Constant(crate::flux::scalar::from_truth(value)),
            Truth::Table(array) => Vector::Table(Cells::Array(Arc::new(array))),
            Truth::Row(array) => Vector::Row(Cells::Array(Arc::new(array))),
        }
    }

    /// As booleans per row or, if `rate` is that of tables, per table.
    pub(super) fn into_array(self, rate: Rate, tables: &Tables) -> Result<BooleanArray> {
        Ok(match (self, rate) {
            (Truth::Constant(Some(value)), _) => {
                let len = tables.len_at(rate);
                let values = if value { BooleanBuffer::new_set(len) } else { BooleanBuffer::new_unset(len) };
                BooleanArray::new(values, None)
            }
            (Truth::Constant(None), _) => BooleanArray::new_null(tables.len_at(rate)),
            (Truth::Table(array), Rate::Row) => take(&array, tables.of_rows(), None)?.as_boolean().clone(),
            (Truth::Table(array) | Truth::Row(array), _) => array,
        })
    }

    pub(super) fn rate(&self) -> Rate {
        match self {
            Truth::Constant(_) => Rate::Constant,
            Truth::Table(_) => Rate::Table,
            Truth::Row(_) => Rate::Row,
        }
    }
}

/// The places in which an array is `value`.
fn bits(array: &BooleanArray, value: Option<bool>) -> BooleanBuffer {
    let valid = |array: &BooleanArray| array.nulls().map(|nulls| nulls.inner().clone());
    match (value, valid(array)) {
        (Some(true), None) => array.values().clone(),
        (Some(true), Some(valid)) => array.values() & &valid,
        (Some(false), None) => !array.values(),
        (Some(false), Some(valid)) => &!array.values() & &valid,
        (None, None) => BooleanBuffer::new_unset(array.len()),
        (None, Some(valid)) => !&valid,
    }
}
