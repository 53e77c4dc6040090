//! Single values of columns: reading them out of arrays, comparing them as group keys do, collecting them into arrays.
//!
//! Called by whatever goes row by row: CSV, key tables, row functions on scalars. Whole columns go through Arrow's
//! kernels instead. Nothing here knows the language: its values become cells in `operators`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Float64Array, Float64Builder, Int64Array, Int64Builder,
    StringViewArray, StringViewBuilder, TimestampNanosecondArray, TimestampNanosecondBuilder, UInt64Array,
    UInt64Builder,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};

use super::ColumnType;
use crate::error::{Error, Result};
use crate::time::rfc3339;

/// One value of a column, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// An unsigned 64-bit integer.
    UInt(u64),
    /// A 64-bit float.
    Float(f64),
    /// A string.
    String(&'a str),
    /// Nanoseconds since the epoch.
    Time(i64),
}

impl Cell<'_> {
    /// The type of the value; `None` for a null.
    pub fn column_type(self) -> Option<ColumnType> {
        Some(match self {
            Cell::Null => return None,
            Cell::Bool(_) => ColumnType::Bool,
            Cell::Int(_) => ColumnType::Int,
            Cell::UInt(_) => ColumnType::UInt,
            Cell::Float(_) => ColumnType::Float,
            Cell::String(_) => ColumnType::String,
            Cell::Time(_) => ColumnType::Time,
        })
    }

    /// The order of key values (flux-semantics 1.1): null first, then by type, then by value; strings by bytes.
    ///
    /// Zeros of either sign are one value and NaN comes after all numbers, so that the order is total.
    pub fn compare(self, other: Cell<'_>) -> Ordering {
        match (self, other) {
            (Cell::Null, Cell::Null) => Ordering::Equal,
            (Cell::Null, _) => Ordering::Less,
            (_, Cell::Null) => Ordering::Greater,
            (Cell::Bool(left), Cell::Bool(right)) => left.cmp(&right),
            (Cell::Int(left), Cell::Int(right)) => left.cmp(&right),
            (Cell::UInt(left), Cell::UInt(right)) => left.cmp(&right),
            (Cell::Float(left), Cell::Float(right)) => compare_floats(left, right),
            (Cell::String(left), Cell::String(right)) => left.as_bytes().cmp(right.as_bytes()),
            (Cell::Time(left), Cell::Time(right)) => left.cmp(&right),
            (left, right) => left.column_type().cmp(&right.column_type()),
        }
    }

    /// Whether two cells are one key value: null is null, zeros of either sign are one, and all NaN are one (the
    /// reference makes a table of its own for every NaN row).
    pub fn same(self, other: Cell<'_>) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl fmt::Display for Cell<'_> {
    /// As in annotated CSV without quotes: nothing for a null, the shortest decimal of a float without an exponent, a
    /// time with as many digits as it takes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Null => Ok(()),
            Cell::Bool(value) => value.fmt(formatter),
            Cell::Int(value) => value.fmt(formatter),
            Cell::UInt(value) => value.fmt(formatter),
            Cell::Float(value) if *value == f64::INFINITY => formatter.write_str("+Inf"),
            Cell::Float(value) if *value == f64::NEG_INFINITY => formatter.write_str("-Inf"),
            Cell::Float(value) => value.fmt(formatter),
            Cell::String(value) => formatter.write_str(value),
            Cell::Time(value) => formatter.write_str(&rfc3339::to_short_text(*value)),
        }
    }
}

/// Floats by value, zeros of either sign equal, NaN equal to NaN and after everything else.
pub fn compare_floats(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan()))
}

/// A column of a chunk, its type known.
#[derive(Clone, Copy, Debug)]
pub enum ColumnView<'a> {
    /// Booleans.
    Bool(&'a BooleanArray),
    /// Integers.
    Int(&'a Int64Array),
    /// Unsigned integers.
    UInt(&'a UInt64Array),
    /// Floats.
    Float(&'a Float64Array),
    /// Strings.
    String(&'a StringViewArray),
    /// Times.
    Time(&'a TimestampNanosecondArray),
}

impl<'a> ColumnView<'a> {
    /// The view of an array of one of the six column types.
    ///
    /// # Panics
    /// On any other Arrow type: a chunk holds none ([`ColumnType::arrow`]).
    pub fn of(array: &'a dyn Array) -> ColumnView<'a> {
        match array.data_type() {
            DataType::Boolean => ColumnView::Bool(array.as_boolean()),
            DataType::Int64 => ColumnView::Int(array.as_primitive::<Int64Type>()),
            DataType::UInt64 => ColumnView::UInt(array.as_primitive::<UInt64Type>()),
            DataType::Float64 => ColumnView::Float(array.as_primitive::<Float64Type>()),
            DataType::Utf8View => ColumnView::String(array.as_string_view()),
            DataType::Timestamp(_, _) => ColumnView::Time(array.as_primitive::<TimestampNanosecondType>()),
            other => unreachable!("a chunk has no column of the Arrow type {other}"),
        }
    }

    /// The value of a row.
    pub fn cell(self, row: usize) -> Cell<'a> {
        if self.is_null(row) {
            return Cell::Null;
        }
        match self {
            ColumnView::Bool(array) => Cell::Bool(array.value(row)),
            ColumnView::Int(array) => Cell::Int(array.value(row)),
            ColumnView::UInt(array) => Cell::UInt(array.value(row)),
            ColumnView::Float(array) => Cell::Float(array.value(row)),
            ColumnView::String(array) => Cell::String(array.value(row)),
            ColumnView::Time(array) => Cell::Time(array.value(row)),
        }
    }

    /// Whether the row has no value.
    pub fn is_null(self, row: usize) -> bool {
        match self {
            ColumnView::Bool(array) => array.is_null(row),
            ColumnView::Int(array) => array.is_null(row),
            ColumnView::UInt(array) => array.is_null(row),
            ColumnView::Float(array) => array.is_null(row),
            ColumnView::String(array) => array.is_null(row),
            ColumnView::Time(array) => array.is_null(row),
        }
    }
}

/// A column in the making.
#[derive(Debug)]
pub enum ColumnBuilder {
    /// Booleans.
    Bool(BooleanBuilder),
    /// Integers.
    Int(Int64Builder),
    /// Unsigned integers.
    UInt(UInt64Builder),
    /// Floats.
    Float(Float64Builder),
    /// Strings.
    String(StringViewBuilder),
    /// Times.
    Time(TimestampNanosecondBuilder),
}

impl ColumnBuilder {
    /// An empty column.
    pub fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Bool => ColumnBuilder::Bool(BooleanBuilder::new()),
            ColumnType::Int => ColumnBuilder::Int(Int64Builder::new()),
            ColumnType::UInt => ColumnBuilder::UInt(UInt64Builder::new()),
            ColumnType::Float => ColumnBuilder::Float(Float64Builder::new()),
            ColumnType::String => ColumnBuilder::String(StringViewBuilder::new()),
            ColumnType::Time => ColumnBuilder::Time(TimestampNanosecondBuilder::new()),
        }
    }

    /// The type of its values.
    pub fn column_type(&self) -> ColumnType {
        match self {
            ColumnBuilder::Bool(_) => ColumnType::Bool,
            ColumnBuilder::Int(_) => ColumnType::Int,
            ColumnBuilder::UInt(_) => ColumnType::UInt,
            ColumnBuilder::Float(_) => ColumnType::Float,
            ColumnBuilder::String(_) => ColumnType::String,
            ColumnBuilder::Time(_) => ColumnType::Time,
        }
    }

    /// Appends a value or a null.
    ///
    /// # Errors
    /// Internal for a value of another type: callers know the type of what they append.
    pub fn push(&mut self, cell: Cell<'_>) -> Result<()> {
        match (&mut *self, cell) {
            (_, Cell::Null) => self.push_null(),
            (ColumnBuilder::Bool(builder), Cell::Bool(value)) => builder.append_value(value),
            (ColumnBuilder::Int(builder), Cell::Int(value)) => builder.append_value(value),
            (ColumnBuilder::UInt(builder), Cell::UInt(value)) => builder.append_value(value),
            (ColumnBuilder::Float(builder), Cell::Float(value)) => builder.append_value(value),
            (ColumnBuilder::String(builder), Cell::String(value)) => builder.append_value(value),
            (ColumnBuilder::Time(builder), Cell::Time(value)) => builder.append_value(value),
            (own, other) => {
                let own = own.column_type().flux_name();
                return Err(Error::internal(format!("a column of type {own} was given {other:?}")));
            }
        }
        Ok(())
    }

    /// Appends a null.
    pub fn push_null(&mut self) {
        match self {
            ColumnBuilder::Bool(builder) => builder.append_null(),
            ColumnBuilder::Int(builder) => builder.append_null(),
            ColumnBuilder::UInt(builder) => builder.append_null(),
            ColumnBuilder::Float(builder) => builder.append_null(),
            ColumnBuilder::String(builder) => builder.append_null(),
            ColumnBuilder::Time(builder) => builder.append_null(),
        }
    }

    /// The column; the builder is empty again.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Bool(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int(builder) => Arc::new(builder.finish()),
            ColumnBuilder::UInt(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float(builder) => Arc::new(builder.finish()),
            ColumnBuilder::String(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Time(builder) => Arc::new(builder.finish()),
        }
    }
}
