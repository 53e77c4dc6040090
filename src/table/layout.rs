//! The columns of tables that merge: first come the columns of the first table, new ones are appended as they are met.
//!
//! Called by [`super::merge`]. Layouts are numbered, and what two of them make together is remembered: merging a table
//! into another costs a look-up.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ColumnType, Name, Shape};
use crate::error::{Error, Result};

/// The number of a layout.
pub type LayoutId = u32;

/// A column: name, type, whether it is in the key.
pub type LayoutColumn = (Name, ColumnType, bool);

/// All layouts met so far.
#[derive(Debug, Default)]
pub struct Layouts {
    columns: Vec<Vec<LayoutColumn>>,
    /// One per layout, so that all chunks of a layout share it.
    shapes: Vec<Arc<Shape>>,
    unions: HashMap<(LayoutId, LayoutId), LayoutId>,
}

impl Layouts {
    /// The number of a layout.
    pub fn number(&mut self, columns: Vec<LayoutColumn>) -> LayoutId {
        let known = self.columns.iter().position(|own| *own == columns);
        let number = known.unwrap_or_else(|| {
            self.shapes.push(Shape::new(columns.iter().cloned()));
            self.columns.push(columns);
            self.columns.len() - 1
        });
        number as LayoutId
    }

    /// The number here of a layout of another list.
    pub fn number_of(&mut self, other: &Layouts, layout: LayoutId) -> LayoutId {
        self.number(other.columns[layout as usize].clone())
    }

    /// The shape of tables with a layout.
    pub fn shape(&self, layout: LayoutId) -> &Arc<Shape> {
        &self.shapes[layout as usize]
    }

    /// The layout of a table with the columns of both (flux-semantics 1.5).
    ///
    /// # Errors
    /// FailedPrecondition if a column has two types.
    pub fn union(&mut self, first: LayoutId, second: LayoutId) -> Result<LayoutId> {
        if first == second {
            return Ok(first);
        }
        if let Some(union) = self.unions.get(&(first, second)) {
            return Ok(*union);
        }
        let mut columns = self.columns[first as usize].clone();
        for (name, column_type, in_key) in &self.columns[second as usize] {
            match columns.iter().find(|(own, _, _)| own == name) {
                Some((_, own, _)) if own != column_type => return Err(collision(name, *own, *column_type)),
                Some(_) => {}
                None => columns.push((name.clone(), *column_type, *in_key)),
            }
        }
        let union = self.number(columns);
        self.unions.insert((first, second), union);
        Ok(union)
    }
}

/// A column with two types.
pub fn collision(name: &str, first: ColumnType, second: ColumnType) -> Error {
    Error::failed_precondition(format!(
        "schema collision detected: column {name:?} is both of type {} and {}",
        first.flux_name(),
        second.flux_name()
    ))
    .with_hint("tables with one key have one type per column: keep them apart with another group key, or convert the column first")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn columns(columns: &[(&str, ColumnType)]) -> Vec<LayoutColumn> {
        columns.iter().map(|(name, column_type)| (Name::from(*name), *column_type, false)).collect()
    }

    /// flux-semantics 1.5.
    #[test]
    fn new_columns_are_appended_as_they_are_met() {
        let mut layouts = Layouts::default();
        let first = layouts.number(columns(&[("a", ColumnType::Int), ("b", ColumnType::Int)]));
        let second = layouts.number(columns(&[("c", ColumnType::Float), ("b", ColumnType::Int)]));
        let union = layouts.union(first, second).unwrap();
        let expected = columns(&[("a", ColumnType::Int), ("b", ColumnType::Int), ("c", ColumnType::Float)]);
        assert_eq!(**layouts.shape(union), *Shape::new(expected.clone()));
        assert_eq!(layouts.union(union, second).unwrap(), union);
        assert_eq!(layouts.number(expected), union);
    }

    #[test]
    fn a_column_of_two_types_is_refused() {
        let mut layouts = Layouts::default();
        let first = layouts.number(columns(&[("_value", ColumnType::Float)]));
        let second = layouts.number(columns(&[("_value", ColumnType::Int)]));
        let error = layouts.union(first, second).unwrap_err();
        assert_eq!(error.message(), "schema collision detected: column \"_value\" is both of type float and int");
        assert_eq!(error.kind(), crate::error::ErrorKind::FailedPrecondition);
    }
}
