//! The schema of a table's files: which physical column holds which tag or field, in Delta's and Arrow's words.
//!
//! Made from the registered columns when a table is first written, grown by a commit of its own when columns are added, and
//! read back from the table's metadata. Physical names, once given, stay.

use std::collections::{HashMap, HashSet};

use arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};
use deltalake::kernel::{DataType, MetadataValue, PrimitiveType, StructField, StructType};

use super::super::columns::{Columns, field_type};
use super::names::{DAY, SEQ, TIME, TIME_NS, physical_name};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::table::ColumnType;

/// Metadata keys of a Delta column.
const LOGICAL_NAME: &str = "fluxmill.name";
const KIND: &str = "fluxmill.kind";

/// A column of the files that holds a tag or a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhysicalColumn {
    /// The name in files.
    pub(crate) physical: String,
    /// The tag key or field name.
    pub(crate) name: Name,
    /// The field's type; `None` for a tag.
    pub(crate) field_type: Option<ColumnType>,
}

/// The columns of a table's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableSchema {
    /// Tags in the order in which they were registered: the order in which files are sorted.
    pub(crate) tags: Vec<PhysicalColumn>,
    /// Fields in the order in which they were registered.
    pub(crate) fields: Vec<PhysicalColumn>,
    /// `_seq` is null where it equals the row's time. Tables that were made before this came allow no nulls there until
    /// they are written again.
    pub(crate) arrivals_left_out: bool,
}

impl TableSchema {
    /// Adds what is registered and not yet here. Returns whether the schema is another one then.
    pub(crate) fn extend(&mut self, columns: &Columns) -> bool {
        let before = self.tags.len() + self.fields.len();
        let were_left_out = std::mem::replace(&mut self.arrivals_left_out, true);
        let known: HashSet<Name> = self.tags.iter().map(|column| column.name.clone()).collect();
        for tag in columns.tags().iter().filter(|tag| !known.contains(*tag)) {
            let physical = physical_name(tag, true, |name| self.is_taken(name));
            self.tags.push(PhysicalColumn { physical, name: tag.clone(), field_type: None });
        }
        let known: HashSet<Name> = self.fields.iter().map(|column| column.name.clone()).collect();
        for field in columns.fields().iter().filter(|field| !known.contains(&field.name)) {
            let physical = physical_name(&field.name, false, |name| self.is_taken(name));
            let field_type = Some(field.column_type);
            self.fields.push(PhysicalColumn { physical, name: field.name.clone(), field_type });
        }
        !were_left_out || self.tags.len() + self.fields.len() > before
    }

    /// The same with the registered types, and whether that is another one.
    pub(crate) fn retyped(&self, columns: &Columns) -> (TableSchema, bool) {
        let mut schema = self.clone();
        for column in &mut schema.fields {
            if let Some(field) = columns.field(&column.name) {
                column.field_type = Some(columns.fields()[field as usize].column_type);
            }
        }
        let differs = schema != *self;
        (schema, differs)
    }

    fn is_taken(&self, lower_case: &str) -> bool {
        self.tags.iter().chain(&self.fields).any(|column| column.physical.eq_ignore_ascii_case(lower_case))
    }

    /// As the table's metadata has it.
    pub(crate) fn to_delta(&self) -> Result<StructType> {
        let mut fields = vec![
            StructField::new(TIME, DataType::TIMESTAMP, false),
            StructField::new(TIME_NS, DataType::SHORT, false),
            StructField::new(SEQ, DataType::LONG, self.arrivals_left_out),
            StructField::new(DAY, DataType::DATE, false),
        ];
        for column in self.tags.iter().chain(&self.fields) {
            let (delta_type, kind) = match column.field_type {
                None => (DataType::STRING, "tag"),
                Some(field_type) => (delta_type(field_type)?, "field"),
            };
            let metadata = [(LOGICAL_NAME, column.name.to_string()), (KIND, kind.to_string())];
            fields.push(
                StructField::new(column.physical.as_str(), delta_type, true)
                    .with_metadata(metadata.map(|(key, value)| (key.to_string(), MetadataValue::String(value)))),
            );
        }
        StructType::try_new(fields).map_err(|error| Error::internal(format!("the schema of a table: {error}")))
    }

    /// From a table's metadata. Columns that others have added are passed over.
    ///
    /// Errors: `FailedPrecondition` when it is not the schema of a table of ours.
    pub(crate) fn from_delta(schema: &StructType) -> Result<TableSchema> {
        let text = |field: &StructField, key: &str| match field.metadata.get(key) {
            Some(MetadataValue::String(text)) => Some(text.clone()),
            _ => None,
        };
        for name in [TIME, TIME_NS, SEQ, DAY] {
            if schema.field(name).is_none() {
                return Err(Error::failed_precondition(format!("the table has no column {name}")));
            }
        }
        let arrivals_left_out = schema.field(SEQ).is_some_and(StructField::is_nullable);
        let mut found = TableSchema { arrivals_left_out, ..TableSchema::default() };
        for field in schema.fields() {
            let (Some(name), Some(kind)) = (text(field, LOGICAL_NAME), text(field, KIND)) else { continue };
            let mut column =
                PhysicalColumn { physical: field.name.clone(), name: name.as_str().into(), field_type: None };
            if kind == "tag" {
                found.tags.push(column);
                continue;
            }
            column.field_type = Some(column_type(&field.data_type).ok_or_else(|| {
                Error::failed_precondition(format!("field {name} has the unknown type {}", field.data_type))
            })?);
            found.fields.push(column);
        }
        Ok(found)
    }

    /// The registered columns that a table's metadata implies.
    pub(crate) fn columns(&self) -> Columns {
        let mut columns = Columns::default();
        for tag in &self.tags {
            columns.add_tag(tag.name.clone());
        }
        for field in &self.fields {
            if let Some(field_type) = field.field_type {
                columns.add_field(field.name.clone(), field_type);
            }
        }
        columns
    }

    /// The columns of a file, in order; `day` stands in the path.
    pub(crate) fn to_arrow(&self) -> ArrowSchema {
        let mut fields = vec![
            ArrowField::new(TIME, ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            ArrowField::new(TIME_NS, ArrowType::Int16, false),
            ArrowField::new(SEQ, ArrowType::Int64, self.arrivals_left_out),
        ];
        let of = |column: &PhysicalColumn| {
            let arrow_type = column.field_type.map_or(ArrowType::Utf8View, file_type);
            ArrowField::new(&column.physical, arrow_type, true)
        };
        fields.extend(self.tags.iter().chain(&self.fields).map(of));
        ArrowSchema::new_with_metadata(fields, HashMap::new())
    }
}

/// The type of a field in files.
pub(crate) fn file_type(field_type: ColumnType) -> ArrowType {
    match field_type {
        ColumnType::UInt => ArrowType::Decimal128(20, 0),
        other => other.arrow(),
    }
}

fn delta_type(field_type: ColumnType) -> Result<DataType> {
    Ok(match field_type {
        ColumnType::Bool => DataType::BOOLEAN,
        ColumnType::Int => DataType::LONG,
        ColumnType::UInt => DataType::decimal(20, 0).map_err(|error| Error::internal(error.to_string()))?,
        ColumnType::Float => DataType::DOUBLE,
        ColumnType::String => DataType::STRING,
        ColumnType::Time => return Err(Error::internal("a field of type time")),
    })
}

fn column_type(data_type: &DataType) -> Option<ColumnType> {
    let name = match data_type {
        DataType::Primitive(PrimitiveType::Boolean) => "bool",
        DataType::Primitive(PrimitiveType::Long) => "int",
        DataType::Primitive(PrimitiveType::Decimal(_)) => "uint",
        DataType::Primitive(PrimitiveType::Double) => "float",
        DataType::Primitive(PrimitiveType::String) => "string",
        _ => return None,
    };
    field_type(name)
}
