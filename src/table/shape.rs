//! The shape of tables: column names and types, and which of them form the group key.
//!
//! Called by everything that reads or makes chunks. A shape is made once per (schema, key) and shared by `Arc`.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

pub use crate::name::Name;

/// The six column types of Flux (flux-semantics: "Column types"); every column may hold nulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ColumnType {
    /// `BooleanArray`.
    Bool,
    /// `Int64Array`.
    Int,
    /// `UInt64Array`.
    UInt,
    /// `Float64Array`.
    Float,
    /// `StringViewArray`, the only encoding of strings in chunks.
    String,
    /// `TimestampNanosecondArray` without a zone: nanoseconds since the epoch, UTC.
    Time,
}

impl ColumnType {
    /// The Arrow type of a column of this type; operators may rely on exactly this one.
    pub fn arrow(self) -> DataType {
        match self {
            ColumnType::Bool => DataType::Boolean,
            ColumnType::Int => DataType::Int64,
            ColumnType::UInt => DataType::UInt64,
            ColumnType::Float => DataType::Float64,
            ColumnType::String => DataType::Utf8View,
            ColumnType::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
        }
    }

    /// The name in Flux's messages: `bool int uint float string time`.
    pub fn flux_name(self) -> &'static str {
        match self {
            ColumnType::Bool => "bool",
            ColumnType::Int => "int",
            ColumnType::UInt => "uint",
            ColumnType::Float => "float",
            ColumnType::String => "string",
            ColumnType::Time => "time",
        }
    }

    /// The name in `#datatype` of annotated CSV: `boolean long unsignedLong double string dateTime:RFC3339`.
    pub fn csv_name(self) -> &'static str {
        match self {
            ColumnType::Bool => "boolean",
            ColumnType::Int => "long",
            ColumnType::UInt => "unsignedLong",
            ColumnType::Float => "double",
            ColumnType::String => "string",
            ColumnType::Time => "dateTime:RFC3339",
        }
    }
}

/// Where a column's values stand in a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// In the key block, column number `i` (one value per table).
    Key(u32),
    /// In the rows, column number `i` (one value per row).
    Row(u32),
}

/// A column of a shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// Its label, unique within the shape.
    pub name: Name,
    /// Its type.
    pub column_type: ColumnType,
    /// Where its values stand.
    pub place: Place,
}

/// The schema of tables and their group key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// All columns in the order in which a user sees them.
    pub columns: Vec<Column>,
    /// The group key: `key[i]` is the index in `columns` of key block column `i`.
    pub key: Vec<u32>,
}

impl Shape {
    /// A shape from columns in the user's order, each with the mark "part of the group key".
    pub fn new(columns: impl IntoIterator<Item = (Name, ColumnType, bool)>) -> Arc<Shape> {
        let mut shape = Shape { columns: Vec::new(), key: Vec::new() };
        let mut rows = 0;
        for (index, (name, column_type, in_key)) in columns.into_iter().enumerate() {
            let place = if in_key {
                shape.key.push(index as u32);
                Place::Key(shape.key.len() as u32 - 1)
            } else {
                rows += 1;
                Place::Row(rows - 1)
            };
            shape.columns.push(Column { name, column_type, place });
        }
        Arc::new(shape)
    }

    /// The column of a name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| &*column.name == name)
    }

    /// The index in `columns` of a name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| &*column.name == name)
    }

    /// The key columns in the order of the key block.
    pub fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key.iter().map(|index| &self.columns[*index as usize])
    }

    /// The columns that stand in the rows, in the order of a chunk's `rows`.
    pub fn row_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| matches!(column.place, Place::Row(_)))
    }

    /// Whether the column of that name is part of the group key.
    pub fn is_key(&self, name: &str) -> bool {
        self.column(name).is_some_and(|column| matches!(column.place, Place::Key(_)))
    }
}
