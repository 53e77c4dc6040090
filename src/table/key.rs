//! Group keys as values: their order, and an index from keys to dense numbers.
//!
//! Called by every operator that sorts or merges tables. Keys of many schemas live in one index; a key costs a hash, a
//! look-up and its cells, and no allocation of its own.

use std::cmp::Ordering;
use std::hash::BuildHasher;
use std::ops::Range;

use arrow::array::ArrayRef;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Cell, ColumnBuilder, ColumnType, Name, size};
use crate::error::Result;

/// The number of a key within a [`KeyIndex`]: 0, 1, 2, ... in the order of first appearance.
pub type KeyNumber = u32;

/// The number of a key schema within a [`KeyIndex`].
pub type KeySchemaId = u32;

/// A column of values that can be read while it grows.
#[derive(Debug)]
struct KeyColumn {
    column_type: ColumnType,
    valid: Vec<bool>,
    /// The bits of fixed-size values; of strings the end within `bytes`.
    values: Vec<u64>,
    bytes: Vec<u8>,
}

impl KeyColumn {
    fn new(column_type: ColumnType) -> Self {
        KeyColumn { column_type, valid: Vec::new(), values: Vec::new(), bytes: Vec::new() }
    }

    fn push(&mut self, cell: Cell<'_>) {
        self.valid.push(cell != Cell::Null);
        self.values.push(match cell {
            Cell::Null if self.column_type == ColumnType::String => self.bytes.len() as u64,
            Cell::Null => 0,
            Cell::Bool(value) => u64::from(value),
            Cell::Int(value) | Cell::Time(value) => value as u64,
            Cell::UInt(value) => value,
            Cell::Float(value) => value.to_bits(),
            Cell::String(value) => {
                self.bytes.extend_from_slice(value.as_bytes());
                self.bytes.len() as u64
            }
        });
    }

    fn memory(&self) -> usize {
        self.valid.capacity() + self.values.capacity() * size_of::<u64>() + self.bytes.capacity()
    }

    fn cell(&self, row: usize) -> Cell<'_> {
        if !self.valid[row] {
            return Cell::Null;
        }
        let bits = self.values[row];
        match self.column_type {
            ColumnType::Bool => Cell::Bool(bits != 0),
            ColumnType::Int => Cell::Int(bits as i64),
            ColumnType::UInt => Cell::UInt(bits),
            ColumnType::Float => Cell::Float(f64::from_bits(bits)),
            ColumnType::String => {
                let start = if row == 0 { 0 } else { self.values[row - 1] as usize };
                let text = std::str::from_utf8(&self.bytes[start..bits as usize]);
                Cell::String(text.expect("only whole strings are put behind one another"))
            }
            ColumnType::Time => Cell::Time(bits as i64),
        }
    }
}

/// The keys of one set of columns.
#[derive(Debug)]
struct Schema {
    /// Labels and types, ascending by label: what identifies a key schema, whatever the order of its columns.
    labels: Vec<(Name, ColumnType)>,
    columns: Vec<KeyColumn>,
}

/// Gives every distinct key a number. Two keys are one if they have the same labels, types and values; the order of
/// their columns does not matter (flux-semantics 1.1).
#[derive(Debug, Default)]
pub struct KeyIndex {
    schemas: Vec<Schema>,
    /// Of each key its schema and its row there.
    keys: Vec<(KeySchemaId, u32)>,
    table: HashTable<KeyNumber>,
    hasher: DefaultHashBuilder,
}

impl KeyIndex {
    /// The number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key yet.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What it takes, in bytes.
    pub fn memory(&self) -> usize {
        let columns = self.schemas.iter().flat_map(|schema| &schema.columns);
        columns.map(KeyColumn::memory).sum::<usize>()
            + self.keys.capacity() * size_of::<(KeySchemaId, u32)>()
            + size::of_map::<KeyNumber>(self.table.capacity())
    }

    /// The schema of keys with these columns. Gives its number and, for each of its columns in label order, the place of
    /// the column in `columns`: the order in which [`KeyIndex::number`] wants the cells.
    pub fn schema(&mut self, columns: &[(Name, ColumnType)]) -> (KeySchemaId, Vec<usize>) {
        let mut order: Vec<usize> = (0..columns.len()).collect();
        order.sort_by(|left, right| columns[*left].0.cmp(&columns[*right].0));
        let labels: Vec<(Name, ColumnType)> = order.iter().map(|at| columns[*at].clone()).collect();
        let known = self.schemas.iter().position(|schema| schema.labels == labels);
        let number = known.unwrap_or_else(|| {
            let columns = labels.iter().map(|(_, column_type)| KeyColumn::new(*column_type)).collect();
            self.schemas.push(Schema { labels, columns });
            self.schemas.len() - 1
        });
        (number as KeySchemaId, order)
    }

    /// The number of a key, and whether it is new; `cell(i)` is its value in the schema's column `i` (in label order).
    pub fn number<'a>(&mut self, schema: KeySchemaId, cell: impl Fn(usize) -> Cell<'a>) -> (KeyNumber, bool) {
        let own = &self.schemas[schema as usize];
        let mut hash = self.hasher.hash_one(schema);
        for column in 0..own.columns.len() {
            hash = hash_cell(&self.hasher, hash, cell(column));
        }
        let same = |number: &KeyNumber| {
            let (other, row) = self.keys[*number as usize];
            other == schema && (0..own.columns.len()).all(|at| own.columns[at].cell(row as usize).same(cell(at)))
        };
        if let Some(number) = self.table.find(hash, same) {
            return (*number, false);
        }
        let number = self.keys.len() as KeyNumber;
        let own = &mut self.schemas[schema as usize];
        let mut row = 0;
        for (at, column) in own.columns.iter_mut().enumerate() {
            row = column.valid.len();
            column.push(cell(at));
        }
        self.keys.push((schema, row as u32));
        let (schemas, keys, hasher) = (&self.schemas, &self.keys, &self.hasher);
        self.table.insert_unique(hash, number, |number| hash_key(hasher, schemas, keys[*number as usize]));
        (number, true)
    }

    /// Takes in the keys of another index; gives the number that each of them has here, and whether it is new.
    pub fn append(&mut self, other: &KeyIndex) -> Vec<(KeyNumber, bool)> {
        // Labels are in order already, so that columns stand where they stood.
        let schemas: Vec<KeySchemaId> = other.schemas.iter().map(|schema| self.schema(&schema.labels).0).collect();
        let key = |(schema, row): &(KeySchemaId, u32)| {
            let columns = &other.schemas[*schema as usize].columns;
            self.number(schemas[*schema as usize], |at| columns[at].cell(*row as usize))
        };
        other.keys.iter().map(key).collect()
    }

    /// The order of two keys (flux-semantics 1.1, "Key ordering").
    ///
    /// Labels are walked in order, side by side: where they differ, the key with the greater label is the lesser key; where
    /// they agree, the type decides, then the value with null first. A key that is another one's beginning is the lesser.
    pub fn compare(&self, left: KeyNumber, right: KeyNumber) -> Ordering {
        let (left_schema, left_row) = self.keys[left as usize];
        let (right_schema, right_row) = self.keys[right as usize];
        let (left, right) = (&self.schemas[left_schema as usize], &self.schemas[right_schema as usize]);
        for at in 0..left.labels.len().min(right.labels.len()) {
            let ((left_label, left_type), (right_label, right_type)) = (&left.labels[at], &right.labels[at]);
            let order = right_label.cmp(left_label).then(left_type.cmp(right_type)).then_with(|| {
                left.columns[at].cell(left_row as usize).compare(right.columns[at].cell(right_row as usize))
            });
            if order.is_ne() {
                return order;
            }
        }
        left.labels.len().cmp(&right.labels.len())
    }

    /// All keys in ascending order.
    pub fn sorted(&self) -> Vec<KeyNumber> {
        let mut numbers: Vec<KeyNumber> = (0..self.keys.len() as KeyNumber).collect();
        numbers.sort_by(|left, right| self.compare(*left, *right));
        numbers
    }

    /// One key column of the given keys, which all have a column of that name and type.
    pub fn gather(
        &self,
        name: &str,
        column_type: ColumnType,
        keys: impl Iterator<Item = KeyNumber>,
    ) -> Result<ArrayRef> {
        let mut builder = ColumnBuilder::new(column_type);
        let mut place = (KeySchemaId::MAX, 0);
        for number in keys {
            let (schema, row) = self.keys[number as usize];
            let own = &self.schemas[schema as usize];
            if place.0 != schema {
                let at = own.labels.iter().position(|(label, _)| &**label == name);
                place = (schema, at.expect("a key is asked for its own columns only"));
            }
            builder.push(own.columns[place.1].cell(row as usize))?;
        }
        Ok(builder.finish())
    }

    /// The value of a key in a column; `None` if it has no such column.
    pub fn value(&self, key: KeyNumber, name: &str) -> Option<Cell<'_>> {
        let (schema, row) = self.keys[key as usize];
        let own = &self.schemas[schema as usize];
        let at = own.labels.iter().position(|(label, _)| &**label == name)?;
        Some(own.columns[at].cell(row as usize))
    }

    /// The schema of a key.
    pub fn schema_of(&self, key: KeyNumber) -> KeySchemaId {
        self.keys[key as usize].0
    }

    /// A key as text for messages: `{host=a, room=1}`.
    pub fn describe(&self, key: KeyNumber) -> String {
        let (schema, row) = self.keys[key as usize];
        let own = &self.schemas[schema as usize];
        let parts = own.labels.iter().zip(&own.columns);
        let parts: Vec<String> =
            parts.map(|((label, _), column)| format!("{label}={}", column.cell(row as usize))).collect();
        format!("{{{}}}", parts.join(", "))
    }
}

fn hash_key(hasher: &DefaultHashBuilder, schemas: &[Schema], (schema, row): (KeySchemaId, u32)) -> u64 {
    let columns = schemas[schema as usize].columns.iter();
    columns.fold(hasher.hash_one(schema), |hash, column| hash_cell(hasher, hash, column.cell(row as usize)))
}

/// Cells that are the same hash alike.
fn hash_cell(hasher: &DefaultHashBuilder, hash: u64, cell: Cell<'_>) -> u64 {
    match cell {
        Cell::Null => hasher.hash_one((hash, 0_u8)),
        Cell::Bool(value) => hasher.hash_one((hash, value)),
        Cell::Int(value) | Cell::Time(value) => hasher.hash_one((hash, value)),
        Cell::UInt(value) => hasher.hash_one((hash, value)),
        Cell::Float(value) if value.is_nan() => hasher.hash_one((hash, 1_u8)),
        // Adding zero turns the negative zero into the positive one.
        Cell::Float(value) => hasher.hash_one((hash, (value + 0.0).to_bits())),
        Cell::String(value) => hasher.hash_one((hash, value)),
    }
}

/// The stretches of `rows` over which no cell changes, in order: runs of equal keys.
pub fn equal_runs<'a>(
    rows: Range<usize>,
    same: impl Fn(usize, usize) -> bool + 'a,
) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut start = rows.start;
    std::iter::from_fn(move || {
        if start == rows.end {
            return None;
        }
        let mut end = start + 1;
        while end < rows.end && same(end - 1, end) {
            end += 1;
        }
        let run = start..end;
        start = end;
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(index: &mut KeyIndex, columns: &[(&str, ColumnType)]) -> (KeySchemaId, Vec<usize>) {
        let columns: Vec<(Name, ColumnType)> = columns.iter().map(|(name, kind)| (Name::from(*name), *kind)).collect();
        index.schema(&columns)
    }

    /// Numbers a key of strings given in the order of `labels`.
    fn strings(index: &mut KeyIndex, labels: &[&str], values: &[&str]) -> (KeyNumber, bool) {
        let columns: Vec<_> = labels.iter().map(|label| (*label, ColumnType::String)).collect();
        let (schema, order) = schema(index, &columns);
        index.number(schema, |at| Cell::String(values[order[at]]))
    }

    #[test]
    fn keys_are_one_whatever_the_order_of_their_columns() {
        let mut index = KeyIndex::default();
        assert_eq!(strings(&mut index, &["a", "b"], &["1", "2"]), (0, true));
        assert_eq!(strings(&mut index, &["b", "a"], &["2", "1"]), (0, false));
        assert_eq!(strings(&mut index, &["a", "b"], &["2", "1"]), (1, true));
        assert_eq!(strings(&mut index, &["a"], &["1"]), (2, true));
        assert_eq!(index.describe(0), "{a=1, b=2}");
    }

    #[test]
    fn null_is_null_zeros_are_one_and_not_a_number_is_one() {
        let mut index = KeyIndex::default();
        let (schema, _) = schema(&mut index, &[("f", ColumnType::Float)]);
        assert_eq!(index.number(schema, |_| Cell::Null), (0, true));
        assert_eq!(index.number(schema, |_| Cell::Float(0.0)), (1, true));
        assert_eq!(index.number(schema, |_| Cell::Float(-0.0)), (1, false));
        assert_eq!(index.number(schema, |_| Cell::Float(f64::NAN)), (2, true));
        assert_eq!(index.number(schema, |_| Cell::Float(-f64::NAN)), (2, false));
        assert_eq!(index.number(schema, |_| Cell::Null), (0, false));
    }

    /// flux-semantics 1.1: the greater label at the first difference makes the lesser key; then type; then value, null
    /// first; then the number of columns.
    #[test]
    fn keys_are_ordered_as_the_reference_orders_them() {
        let mut index = KeyIndex::default();
        let (b, _) = strings(&mut index, &["a", "c"], &["x", "x"]);
        let (a, _) = strings(&mut index, &["a", "b"], &["x", "x"]);
        let (short, _) = strings(&mut index, &["a"], &["x"]);
        let (other, _) = strings(&mut index, &["a"], &["w"]);
        let (int, _) = schema(&mut index, &[("a", ColumnType::Int)]);
        let (int, _) = index.number(int, |_| Cell::Int(9));
        let (text, _) = schema(&mut index, &[("a", ColumnType::String)]);
        let (null, _) = index.number(text, |_| Cell::Null);
        let (none, _) = schema(&mut index, &[]);
        let (none, _) = index.number(none, |_| Cell::Null);
        assert_eq!(index.sorted(), [none, int, null, other, short, b, a]);
    }

    #[test]
    fn runs_end_where_a_value_changes() {
        let values = [1, 1, 2, 2, 2, 1];
        let runs: Vec<_> = equal_runs(1..6, |left, right| values[left] == values[right]).collect();
        assert_eq!(runs, [1..2, 2..5, 5..6]);
        assert_eq!(equal_runs(3..3, |_, _| true).count(), 0);
    }
}
