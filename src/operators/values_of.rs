//! Tables of the group key and one column `_value`, made from a column that may be anywhere: what `distinct` and `mode`
//! give (flux-semantics 8).

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::table::{ColumnType, Name, Place, Shape};

/// The label of the values.
const VALUE: &str = "_value";

/// Where the values of a table come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Origin {
    /// A column of the rows.
    Rows(usize),
    /// A column of the key: one value for the table.
    Key(usize),
    /// Nowhere: the table has no such column, and gives the empty string.
    Nowhere,
}

/// What a shape turns into.
#[derive(Debug)]
pub(super) struct Values {
    pub from: Origin,
    pub value_type: ColumnType,
    pub shape: Arc<Shape>,
}

impl Values {
    /// For tables of a shape.
    ///
    /// # Errors
    /// FailedPrecondition if the key has a column `_value` already.
    pub(super) fn of(operator: &str, column: &Name, shape: &Shape) -> Result<Values> {
        let (from, value_type) = match shape.column(column) {
            None => (Origin::Nowhere, ColumnType::String),
            Some(column) => match column.place {
                Place::Row(index) => (Origin::Rows(index as usize), column.column_type),
                Place::Key(index) => (Origin::Key(index as usize), column.column_type),
            },
        };
        if shape.is_key(VALUE) {
            return Err(Error::failed_precondition(format!("{operator}: column \"{VALUE}\" is in the group key"))
                .with_hint(format!("{operator} gives its values in a column \"{VALUE}\": rename or regroup first")));
        }
        let keys = shape.key_columns().map(|key| (key.name.clone(), key.column_type, true));
        let value = std::iter::once((VALUE.into(), value_type, false));
        Ok(Values { from, value_type, shape: Shape::new(keys.chain(value)) })
    }
}
