//! `columns`, `keys`, `keyValues`: what tables are made of, as tables.
//!
//! Each table keeps its key and gets one row per column, per key column, or per value that some of its columns have. Order
//! of arrival.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, UInt32Array};
use arrow::compute::take;

use super::by_shape::ByShape;
use super::per_table::OpenTables;
use super::{Operator, Out, Transform};
use crate::error::{Error, Result};
use crate::table::scan::StreamProps;
use crate::table::{Cell, Chunk, ColumnBuilder, ColumnType, ColumnView, Name, Place, Segment, Shape};

/// `columns(column)` or `keys(column)`.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Only the columns of the group key.
    pub of_key: bool,
    /// The column that the names go to.
    pub column: Name,
}

impl Transform for Labels {
    fn name(&self) -> &'static str {
        if self.of_key { "keys" } else { "columns" }
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Ok(Box::new(LabelsOperator { labels: self.clone(), plans: ByShape::default() }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: false, ..input[0] }
    }

    fn explain(&self) -> String {
        format!("column: {:?}", self.column)
    }
}

struct LabelsOperator {
    labels: Labels,
    plans: ByShape<(Arc<Shape>, StringViewArray)>,
}

/// The key of a shape with new columns behind it.
pub(super) fn behind_key(operator: &str, shape: &Shape, added: &[(Name, ColumnType)]) -> Result<Arc<Shape>> {
    if let Some((name, _)) = added.iter().find(|(name, _)| shape.is_key(name)) {
        return Err(Error::failed_precondition(format!(
            "{operator}: column {name:?} is part of the group key already"
        ))
        .with_hint("group by other columns first, or give another column name"));
    }
    let keys = shape.key_columns().map(|key| (key.name.clone(), key.column_type, true));
    let added = added.iter().map(|(name, column_type)| (name.clone(), *column_type, false));
    Ok(Shape::new(keys.chain(added)))
}

impl Operator for LabelsOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let own = &self.labels;
        let (shape, labels) = self.plans.get(&chunk.shape, |shape| {
            let names: StringViewArray = match own.of_key {
                true => shape.key_columns().map(|column| Some(&*column.name)).collect(),
                false => shape.columns.iter().map(|column| Some(&*column.name)).collect(),
            };
            Ok((behind_key(own.name(), shape, &[(own.column.clone(), ColumnType::String)])?, names))
        })?;
        let count = arrow::array::Array::len(labels) as u32;
        // A table is described by its last part, of which there is one.
        let done = chunk.segments.iter().filter(|segment| segment.done);
        let segments: Vec<Segment> =
            done.zip(1..).map(|(segment, number)| Segment { end: number * count, ..*segment }).collect();
        if segments.is_empty() {
            return Ok(());
        }
        let len = segments.len() * count as usize;
        let rows = UInt32Array::from_iter_values(segments.iter().flat_map(|_| 0..count));
        let rows = vec![take(labels, &rows, None)?];
        let chunk = Chunk { shape: Arc::clone(shape), keys: chunk.keys, segments, rows, len };
        out.chunks.extend(chunk.cut());
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }
}

/// `keyValues(keyColumns)`.
#[derive(Clone, Debug)]
pub struct KeyValues {
    /// The columns; of those that a table has, one at least.
    pub columns: Vec<Name>,
}

impl Transform for KeyValues {
    fn name(&self) -> &'static str {
        "keyValues"
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        let (plans, seen) = (ByShape::default(), OpenTables::default());
        Ok(Box::new(KeyValuesOperator { columns: self.columns.clone(), plans, seen, seen_bytes: 0 }))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        StreamProps { rows_by_time: false, ..input[0] }
    }

    fn explain(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| format!("{name:?}")).collect();
        format!("keyColumns: [{}]", columns.join(", "))
    }
}

struct KeyValuesPlan {
    shape: Arc<Shape>,
    value_type: ColumnType,
    columns: Vec<(Name, Place)>,
}

struct KeyValuesOperator {
    columns: Vec<Name>,
    plans: ByShape<KeyValuesPlan>,
    seen: OpenTables<Seen>,
    /// What the values of open tables take, in bytes.
    seen_bytes: usize,
}

/// The values of a table that have been given.
#[derive(Default)]
struct Seen {
    null: bool,
    values: HashSet<(u32, Bits)>,
    /// What the values take, in bytes.
    bytes: usize,
}

/// A value that is no null, as it is compared.
#[derive(PartialEq, Eq, Hash)]
enum Bits {
    Fixed(u64),
    Text(Box<str>),
}

impl Bits {
    fn of(cell: Cell<'_>) -> Option<Bits> {
        Some(match cell {
            Cell::Null => return None,
            Cell::Bool(value) => Bits::Fixed(u64::from(value)),
            Cell::Int(value) | Cell::Time(value) => Bits::Fixed(value as u64),
            Cell::UInt(value) => Bits::Fixed(value),
            Cell::Float(value) if value.is_nan() => Bits::Fixed(f64::NAN.to_bits()),
            Cell::Float(value) => Bits::Fixed((value + 0.0).to_bits()),
            Cell::String(value) => Bits::Text(value.into()),
        })
    }
}

fn key_values_plan(names: &[Name], shape: &Shape) -> Result<KeyValuesPlan> {
    let columns: Vec<_> = names.iter().filter_map(|name| shape.column(name)).collect();
    let Some(first) = columns.first() else {
        let own: Vec<&str> = shape.columns.iter().map(|column| &*column.name).collect();
        let wanted: Vec<&str> = names.iter().map(|name| &**name).collect();
        return Err(Error::failed_precondition(format!(
            "received table with columns [{}] not having key columns [{}]",
            own.join(" "),
            wanted.join(" ")
        )));
    };
    let value_type = first.column_type;
    if let Some(other) = columns.iter().find(|column| column.column_type != value_type) {
        return Err(Error::failed_precondition("keyColumns must all be the same type").with_hint(format!(
            "{:?} is of type {}, {:?} of type {}",
            first.name,
            value_type.flux_name(),
            other.name,
            other.column_type.flux_name()
        )));
    }
    let added = [("_key".into(), ColumnType::String), ("_value".into(), value_type)];
    let columns = columns.iter().map(|column| (column.name.clone(), column.place)).collect();
    Ok(KeyValuesPlan { shape: behind_key("keyValues", shape, &added)?, value_type, columns })
}

impl Operator for KeyValuesOperator {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        let columns = &self.columns;
        let plan = self.plans.get(&chunk.shape, |shape| key_values_plan(columns, shape))?;
        let mut names = ColumnBuilder::new(ColumnType::String);
        let mut values = ColumnBuilder::new(plan.value_type);
        let mut end = 0;
        let mut segments = Vec::with_capacity(chunk.segments.len());
        let views: Vec<(bool, ColumnView<'_>)> = plan
            .columns
            .iter()
            .map(|(_, place)| match place {
                Place::Key(index) => (true, ColumnView::of(&chunk.keys.columns[*index as usize])),
                Place::Row(index) => (false, ColumnView::of(&chunk.rows[*index as usize])),
            })
            .collect();
        for (segment, rows) in chunk.tables() {
            let total = &mut self.seen_bytes;
            self.seen.with(&segment, |seen| {
                *total -= seen.bytes;
                for row in rows {
                    for (number, (in_key, view)) in views.iter().enumerate() {
                        let cell = view.cell(if *in_key { segment.key_row as usize } else { row });
                        let new = match Bits::of(cell) {
                            Some(bits) => {
                                let text = if let Bits::Text(text) = &bits { text.len() } else { 0 };
                                let new = seen.values.insert((number as u32, bits));
                                if new {
                                    seen.bytes += 2 * size_of::<(u32, Bits)>() + text;
                                }
                                new
                            }
                            None => !std::mem::replace(&mut seen.null, true),
                        };
                        if new {
                            names.push(Cell::String(&plan.columns[number].0))?;
                            values.push(cell)?;
                            end += 1;
                        }
                    }
                }
                if !segment.done {
                    *total += seen.bytes;
                }
                Ok::<(), Error>(())
            })?;
            segments.push(Segment { end, ..segment });
        }
        let rows: Vec<ArrayRef> = vec![names.finish(), values.finish()];
        let (shape, keys) = (Arc::clone(&plan.shape), Arc::clone(&chunk.keys));
        let chunk = Chunk { shape, keys, segments, rows, len: end as usize };
        out.chunks.extend(chunk.cut());
        Ok(())
    }

    fn finish(&mut self, _port: usize, _out: &mut Out) -> Result<()> {
        Ok(())
    }

    fn memory(&self) -> usize {
        self.seen.memory() + self.seen_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn labels(of_key: bool, column: &str) -> Labels {
        Labels { of_key, column: column.into() }
    }

    const TABLES: &str = "h:string* v:int k:int*\na 1 1\na 2 1\n\n= b 2\n\nv:int\n3\n";

    #[test]
    fn names_of_columns() {
        let expected =
            "h:string* k:int* _value:string\na 1 h\na 1 v\na 1 k\n\nb 2 h\nb 2 v\nb 2 k\n\n_value:string\nv\n";
        expect(&labels(false, "_value"), TABLES, expected);
        expect(&labels(false, "c"), "", "");
    }

    #[test]
    fn names_of_key_columns() {
        let expected = "h:string* k:int* c:string\na 1 h\na 1 k\n\nb 2 h\nb 2 k\n\nc:string\n=\n";
        expect(&labels(true, "c"), TABLES, expected);
        let error = expect_error(&labels(true, "h"), TABLES);
        assert_eq!(error.message(), "keys: column \"h\" is part of the group key already");
    }

    fn key_values(columns: &[&str]) -> KeyValues {
        KeyValues { columns: columns.iter().map(|name| Name::from(*name)).collect() }
    }

    /// A pair of column and value comes once, in the order of rows and then of columns; null once for all columns.
    #[test]
    fn values_of_columns() {
        let input = "h:string* v:string w:string\na x x\na x y\na - z\na y -\n\nb x x\n\n= c\n";
        let head = "h:string* _key:string _value:string\n";
        let expected = format!("{head}a v x\na w x\na w y\na v -\na w z\na v y\n\nb v x\nb w x\n\n= c\n");
        expect(&key_values(&["v", "w", "absent"]), input, &expected);
        expect(&key_values(&["h"]), input, &format!("{head}a h a\n\nb h b\n\n= c\n"));
    }

    #[test]
    fn values_of_no_column_or_of_two_types_are_refused() {
        let tables = "h:string* v:int k:int*\na 1 1\na 2 1\n\n= b 2\n";
        let error = expect_error(&key_values(&["x", "y"]), tables);
        assert_eq!(error.message(), "received table with columns [h v k] not having key columns [x y]");
        let error = expect_error(&key_values(&["h", "v"]), tables);
        assert_eq!(error.message(), "keyColumns must all be the same type");
    }
}
