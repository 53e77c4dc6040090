//! The columns of a measurement: its tag keys, its fields and their types, in the order in which they first came.
//!
//! Kept in the catalogue, so that the first write of a field fixes its type for good; read by every append and every scan.
//! Columns are only ever added; a type changes only where somebody asks for it (`bucket retype`). Nothing here knows rows.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::point::{FieldValue, Point};
use crate::table::ColumnType;

/// The place of a field among the fields of its measurement.
pub(crate) type FieldId = u32;

/// Most tag keys and fields together that a measurement may have.
pub(crate) const MAX_COLUMNS: usize = 4_096;

/// A field and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Name,
    pub(crate) column_type: ColumnType,
    /// Types that it had before; their values are converted where nothing is lost.
    pub(crate) former: Vec<ColumnType>,
}

impl Field {
    /// Whether a value of a type may be one of this field.
    pub(crate) fn takes(&self, found: ColumnType) -> bool {
        self.column_type == found || self.former.contains(&found)
    }
}

/// The columns of a measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns {
    tags: Vec<Name>,
    fields: Vec<Field>,
    tag_places: HashMap<Name, u32>,
    field_places: HashMap<Name, FieldId>,
}

/// Why a point does not fit the columns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// A field has another type than its first write.
    Conflict {
        /// The field.
        field: Name,
        /// The registered type.
        expected: ColumnType,
        /// The type that came.
        found: ColumnType,
    },
    /// The point would bring the measurement above [`MAX_COLUMNS`].
    TooMany,
}

impl Columns {
    pub(crate) fn tags(&self) -> &[Name] {
        &self.tags
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    pub(crate) fn field(&self, name: &str) -> Option<FieldId> {
        self.field_places.get(name).copied()
    }

    pub(crate) fn tag(&self, name: &str) -> Option<u32> {
        self.tag_places.get(name).copied()
    }

    /// Adds what a point brings. A point that does not fit adds nothing. Returns whether something was added.
    pub(crate) fn admit(&mut self, point: &Point) -> Result<bool, Misfit> {
        let mut new = 0;
        for (name, value) in &point.fields {
            let found = value_type(value);
            match self.field(name).map(|field| &self.fields[field as usize]) {
                None => new += 1,
                Some(field) if field.takes(found) => {}
                Some(field) => {
                    return Err(Misfit::Conflict { field: name.clone(), expected: field.column_type, found });
                }
            }
        }
        new += point.tags.iter().filter(|(key, _)| self.tag(key).is_none()).count();
        if new == 0 {
            return Ok(false);
        }
        if self.tags.len() + self.fields.len() + new > MAX_COLUMNS {
            return Err(Misfit::TooMany);
        }
        for (key, _) in &point.tags {
            self.add_tag(key.clone());
        }
        for (name, value) in &point.fields {
            self.add_field(name.clone(), value_type(value));
        }
        Ok(true)
    }

    pub(crate) fn add_tag(&mut self, key: Name) {
        if self.tag(&key).is_none() {
            self.tag_places.insert(key.clone(), self.tags.len() as u32);
            self.tags.push(key);
        }
    }

    pub(crate) fn add_field(&mut self, name: Name, column_type: ColumnType) {
        if self.field(&name).is_none() {
            self.field_places.insert(name.clone(), self.fields.len() as FieldId);
            self.fields.push(Field { name, column_type, former: Vec::new() });
        }
    }

    /// Gives a field another type; values of the one that it had are converted from now on. False if it has it already, or
    /// if there is no such field.
    pub(crate) fn retype(&mut self, name: &str, column_type: ColumnType) -> bool {
        let Some(field) = self.field(name).map(|place| &mut self.fields[place as usize]) else { return false };
        if field.column_type == column_type {
            return false;
        }
        field.former.retain(|former| *former != column_type);
        field.former.push(field.column_type);
        field.column_type = column_type;
        true
    }

    /// Adds what others have and these have not; an error names the first field of which the types differ.
    pub(crate) fn extend(&mut self, others: &Columns) -> Result<(), Misfit> {
        for field in &others.fields {
            let known = self.field(&field.name).map(|place| &self.fields[place as usize]);
            if let Some(known) = known.filter(|known| !known.takes(field.column_type)) {
                return Err(Misfit::Conflict {
                    field: field.name.clone(),
                    expected: known.column_type,
                    found: field.column_type,
                });
            }
            self.add_field(field.name.clone(), field.column_type);
        }
        others.tags.iter().for_each(|tag| self.add_tag(tag.clone()));
        Ok(())
    }

    /// As the catalogue keeps them.
    pub(crate) fn to_record(&self) -> ColumnsRecord {
        ColumnsRecord {
            tags: self.tags.iter().map(|tag| tag.to_string()).collect(),
            fields: self
                .fields
                .iter()
                .map(|field| (field.name.to_string(), field.column_type.flux_name().to_string()))
                .collect(),
            former: self
                .fields
                .iter()
                .filter(|field| !field.former.is_empty())
                .map(|field| {
                    let names = field.former.iter().map(|former| former.flux_name().to_string());
                    (field.name.to_string(), names.collect())
                })
                .collect(),
        }
    }

    /// From the catalogue; `None` names a type that this program does not know.
    pub(crate) fn from_record(record: &ColumnsRecord) -> Option<Columns> {
        let mut columns = Columns::default();
        for tag in &record.tags {
            columns.add_tag(tag.as_str().into());
        }
        for (name, type_name) in &record.fields {
            columns.add_field(name.as_str().into(), field_type(type_name)?);
        }
        for (name, names) in &record.former {
            let former = names.iter().map(|name| field_type(name)).collect::<Option<Vec<_>>>()?;
            let place = columns.field(name)?;
            columns.fields[place as usize].former = former;
        }
        Some(columns)
    }
}

/// The columns of a measurement in the catalogue.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ColumnsRecord {
    tags: Vec<String>,
    fields: Vec<(String, String)>,
    /// The former types of fields that were retyped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    former: BTreeMap<String, Vec<String>>,
}

/// The type of the column that holds a value.
pub(crate) fn value_type(value: &FieldValue) -> ColumnType {
    match value {
        FieldValue::Bool(_) => ColumnType::Bool,
        FieldValue::Int(_) => ColumnType::Int,
        FieldValue::UInt(_) => ColumnType::UInt,
        FieldValue::Float(_) => ColumnType::Float,
        FieldValue::String(_) => ColumnType::String,
    }
}

/// The field type of a name that [`ColumnType::flux_name`] gives; times are not field types.
pub(crate) fn field_type(name: &str) -> Option<ColumnType> {
    [ColumnType::Bool, ColumnType::Int, ColumnType::UInt, ColumnType::Float, ColumnType::String]
        .into_iter()
        .find(|column_type| column_type.flux_name() == name)
}
