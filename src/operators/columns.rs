//! `keep`, `drop`, `rename`, `duplicate`: which columns tables have and what they are called (flux-semantics 6.7).
//!
//! Rows stay as they are; keys follow their columns, and tables that come to share a key merge. Tables come out in the
//! order of their keys.

use std::fmt;
use std::sync::Arc;

use super::rekey::{self, Applied, Rekeyed, RekeyedShapes, Rekeys};
use super::{Operator, Transform};
use crate::error::{Error, Result};
use crate::flux::host::RowHosts;
use crate::flux::value::{Function, Value};
use crate::table::merge::{Duplicates, Target};
use crate::table::scan::{StreamProps, TableOrder};
use crate::table::{Chunk, Name, Shape};

/// Columns by name, or by a function of the name.
#[derive(Clone)]
pub enum Selection {
    /// The names; those that a table lacks are ignored.
    Columns(Vec<Name>),
    /// `fn: (column) => bool`; null counts as false.
    Predicate(NameFunction),
}

/// A function of a column's name.
#[derive(Clone)]
pub struct NameFunction {
    /// The function; its parameter is `column`.
    pub function: Function,
    /// The hosts that call it.
    pub hosts: Arc<dyn RowHosts>,
}

impl NameFunction {
    fn call(&self, name: &Name) -> Result<Value> {
        self.hosts.host().call(&self.function, vec![("column".into(), Value::String(Arc::clone(name)))])
    }
}

impl Selection {
    /// The selection that the arguments `columns` and `fn` of `operator` describe.
    ///
    /// # Errors
    /// Invalid if both are given, or neither is.
    pub fn from_arguments(operator: &str, columns: Option<Vec<Name>>, predicate: Option<NameFunction>) -> Result<Self> {
        match (columns, predicate) {
            (Some(columns), None) => Ok(Selection::Columns(columns)),
            (None, Some(predicate)) => Ok(Selection::Predicate(predicate)),
            (None, None) => {
                Err(Error::invalid(format!("{operator} error: neither column list nor predicate function provided")))
            }
            (Some(_), Some(_)) => {
                Err(Error::invalid(format!("{operator} error: both column list and predicate provided")))
            }
        }
    }

    fn selects(&self, name: &Name) -> Result<bool> {
        match self {
            Selection::Columns(columns) => Ok(columns.contains(name)),
            Selection::Predicate(function) => match function.call(name)? {
                Value::Bool(selected) => Ok(selected),
                Value::Null => Ok(false),
                other => Err(Error::invalid(format!(
                    "the predicate of a column has to give a bool, found {}",
                    other.type_name()
                ))),
            },
        }
    }
}

/// What columns are called from now on.
#[derive(Clone)]
pub enum Renaming {
    /// Old and new names. A table that lacks an old one is an error.
    Columns(Vec<(Name, Name)>),
    /// `fn: (column) => string`.
    Function(NameFunction),
}

impl Renaming {
    /// The renaming that the arguments `columns` (a record) and `fn` of `rename` describe.
    ///
    /// # Errors
    /// Invalid if both are given, or neither is, or a new name is no string.
    pub fn from_arguments(columns: Option<&Value>, function: Option<NameFunction>) -> Result<Self> {
        match (columns, function) {
            (Some(Value::Record(record)), None) => {
                let mut names = Vec::new();
                for (old, new) in &record.properties {
                    let Value::String(new) = new else {
                        return Err(Error::invalid(format!(
                            "rename error: columns object contains non-string value of type {}",
                            new.type_name()
                        )));
                    };
                    names.push((old.clone(), Arc::clone(new)));
                }
                Ok(Renaming::Columns(names))
            }
            (Some(other), None) => {
                Err(Error::invalid(format!("rename error: columns has to be a record, found {}", other.type_name())))
            }
            (None, Some(function)) => Ok(Renaming::Function(function)),
            (None, None) => Err(Error::invalid("rename error: neither column list nor map function provided")),
            (Some(_), Some(_)) => Err(Error::invalid("rename error: both column list and map function provided")),
        }
    }
}

/// `keep`, `drop`, `rename`, `duplicate` with their arguments.
#[derive(Clone)]
pub enum Columns {
    /// `keep(columns | fn)`.
    Keep(Selection),
    /// `drop(columns | fn)`.
    Drop(Selection),
    /// `rename(columns | fn)`.
    Rename(Renaming),
    /// `duplicate(column, as)`.
    Duplicate {
        /// The column that is copied.
        column: Name,
        /// The name of the copy.
        copy: Name,
    },
}

impl Columns {
    fn targets(&self, shape: &Shape) -> Result<Vec<Target>> {
        let targets = Target::of_shape(shape);
        match self {
            Columns::Keep(selection) => select(targets, |name| selection.selects(name)),
            Columns::Drop(selection) => select(targets, |name| Ok(!selection.selects(name)?)),
            Columns::Rename(renaming) => rename(targets, renaming),
            Columns::Duplicate { column, copy } => duplicate(targets, column, copy),
        }
    }
}

fn select(targets: Vec<Target>, stays: impl Fn(&Name) -> Result<bool>) -> Result<Vec<Target>> {
    let mut kept = Vec::new();
    for target in targets {
        if stays(&target.name)? {
            kept.push(target);
        }
    }
    Ok(kept)
}

fn rename(mut targets: Vec<Target>, renaming: &Renaming) -> Result<Vec<Target>> {
    match renaming {
        Renaming::Columns(names) => {
            let places = names.iter().map(|(old, new)| {
                let at = targets.iter().position(|target| target.name == *old);
                Ok((at.ok_or_else(|| missing("rename", old, &targets))?, new))
            });
            for (at, new) in places.collect::<Result<Vec<_>>>()? {
                targets[at].name = new.clone();
            }
        }
        Renaming::Function(function) => {
            for target in &mut targets {
                target.name = match function.call(&target.name)? {
                    Value::String(name) => name,
                    other => {
                        return Err(Error::invalid(format!(
                            "rename error: the function has to give a string, found {}",
                            other.type_name()
                        )));
                    }
                };
            }
        }
    }
    for (at, target) in targets.iter().enumerate() {
        if let Some(before) = targets[..at].iter().position(|other| other.name == target.name) {
            return Err(Error::failed_precondition(format!(
                "column {before} and {at} have the same name ({:?}) which is not allowed",
                target.name
            )));
        }
    }
    Ok(targets)
}

fn duplicate(mut targets: Vec<Target>, column: &Name, copy: &Name) -> Result<Vec<Target>> {
    let Some(original) = targets.iter().find(|target| target.name == *column).cloned() else {
        return Err(missing("duplicate", column, &targets));
    };
    match targets.iter_mut().find(|target| target.name == *copy) {
        // A key column that is overwritten by a column of the rows leaves the key.
        Some(target) => {
            target.in_key &= original.in_key;
            target.column_type = original.column_type;
            target.from = original.from;
        }
        None => targets.push(Target { name: copy.clone(), in_key: false, ..original }),
    }
    Ok(targets)
}

fn missing(operator: &str, column: &str, targets: &[Target]) -> Error {
    let error = Error::failed_precondition(format!("{operator} error: column {column:?} doesn't exist"));
    match crate::diagnostic::nearest(column, targets.iter().map(|target| &*target.name)) {
        Some(near) => error.with_hint(format!("did the script mean {near:?}?")),
        None => error,
    }
}

struct Running {
    columns: Columns,
    shapes: RekeyedShapes,
}

impl Columns {
    fn rekeyed(&self, shape: &Shape) -> Result<Rekeyed> {
        let targets = self.targets(shape)?;
        let kept = targets.iter().filter(|target| target.in_key);
        let same = kept.filter(|target| shape.column(&target.name).is_some_and(|own| own.place == target.from)).count();
        let in_key = targets.iter().filter(|target| target.in_key).count();
        let keeps_keys = same == shape.key.len() && in_key == same;
        Ok(Rekeyed { targets, keeps_keys })
    }
}

impl Rekeys for Running {
    fn keeps_keys(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        Ok(self.shapes.get(shape, |shape| self.columns.rekeyed(shape))?.keeps_keys)
    }

    fn apply(&mut self, chunk: Chunk) -> Result<Vec<Applied>> {
        let rekeyed = self.shapes.get(&chunk.shape, |shape| self.columns.rekeyed(shape))?;
        Ok(vec![Applied { chunk, rekeyed }])
    }
}

impl Transform for Columns {
    fn name(&self) -> &'static str {
        match self {
            Columns::Keep(_) => "keep",
            Columns::Drop(_) => "drop",
            Columns::Rename(_) => "rename",
            Columns::Duplicate { .. } => "duplicate",
        }
    }

    fn operator(&self, input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let running = Running { columns: self.clone(), shapes: RekeyedShapes::default() };
        Ok(rekey::run(&input[0], TableOrder::KeySorted, Duplicates::Merge, running))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { unique_keys: true, ..rekey::gives(&input[0], TableOrder::KeySorted) }
    }

    fn explain(&self) -> String {
        match self {
            Columns::Keep(selection) | Columns::Drop(selection) => match selection {
                Selection::Columns(columns) => {
                    let columns: Vec<String> = columns.iter().map(|name| format!("{name:?}")).collect();
                    format!("columns: [{}]", columns.join(", "))
                }
                Selection::Predicate(_) => "fn: (column) => ...".to_string(),
            },
            Columns::Rename(Renaming::Columns(names)) => {
                let names: Vec<String> = names.iter().map(|(old, new)| format!("{old}: {new:?}")).collect();
                format!("columns: {{{}}}", names.join(", "))
            }
            Columns::Rename(Renaming::Function(_)) => "fn: (column) => ...".to_string(),
            Columns::Duplicate { column, copy } => format!("column: {column:?}, as: {copy:?}"),
        }
    }
}

impl fmt::Debug for Columns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}({})", self.name(), self.explain())
    }
}

#[cfg(test)]
mod tests;
