//! Results as plain tables: what a reader of annotated CSV would see, comparable and printable.

use std::fmt;

use fluxmill::name::Name;
use fluxmill::table::{Cell, Chunk, ColumnType, ColumnView, Place, TableId};

/// A value; floats by their bits, so that -0.0 is not 0.0; NaN is one value (its sign and its payload are the processor's,
/// and no reader of CSV sees them).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(u64),
    String(String),
    Time(i64),
}

impl From<Cell<'_>> for Value {
    fn from(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Value::Null,
            Cell::Bool(value) => Value::Bool(value),
            Cell::Int(value) => Value::Int(value),
            Cell::UInt(value) => Value::UInt(value),
            Cell::Float(value) if value.is_nan() => Value::Float(f64::NAN.to_bits()),
            Cell::Float(value) => Value::Float(value.to_bits()),
            Cell::String(value) => Value::String(value.to_owned()),
            Cell::Time(value) => Value::Time(value),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => formatter.write_str("-"),
            Value::Bool(value) => write!(formatter, "{value}"),
            Value::Int(value) => write!(formatter, "{value}"),
            Value::UInt(value) => write!(formatter, "{value}"),
            Value::Float(bits) => write!(formatter, "{:?}", f64::from_bits(*bits)),
            Value::String(value) if value.is_empty() => formatter.write_str("\"\""),
            Value::String(value) => formatter.write_str(value),
            Value::Time(value) => formatter.write_str(&fluxmill::time::rfc3339::to_short_text(*value)),
        }
    }
}

/// A table: columns in order (label, type, part of the group key), its key's values, its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub columns: Vec<(String, ColumnType, bool)>,
    pub key: Vec<Value>,
    pub rows: Vec<Vec<Value>>,
}

/// A result: its name and its tables in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Result {
    pub name: String,
    pub tables: Vec<Table>,
}

impl fmt::Display for Result {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "result {}", self.name)?;
        for table in &self.tables {
            let labels: Vec<String> = table
                .columns
                .iter()
                .map(|(name, kind, in_key)| format!("{name}:{}{}", kind.flux_name(), if *in_key { "*" } else { "" }))
                .collect();
            writeln!(formatter, "  {}", labels.join(" | "))?;
            if table.rows.is_empty() {
                let key: Vec<String> = table.key.iter().map(Value::to_string).collect();
                writeln!(formatter, "    no rows, key {}", key.join(" | "))?;
            }
            for row in &table.rows {
                let cells: Vec<String> = row.iter().map(Value::to_string).collect();
                writeln!(formatter, "    {}", cells.join(" | "))?;
            }
        }
        Ok(())
    }
}

impl Result {
    /// As CSV has it: an empty string is a null, the two cannot be told apart.
    pub fn into_csv(mut self) -> Result {
        for table in &mut self.tables {
            let empty = |value: &&mut Value| matches!(&**value, Value::String(text) if text.is_empty());
            table
                .key
                .iter_mut()
                .chain(table.rows.iter_mut().flatten())
                .filter(empty)
                .for_each(|value| *value = Value::Null);
        }
        self
    }
}

/// The tables of a result's chunks. Panics where chunks break the promises that a sink is given: tables one at a time, ids
/// ascending, parts of one shape, arrays of the declared types and lengths.
pub fn result(name: &Name, chunks: &[Chunk]) -> Result {
    let mut tables: Vec<Table> = Vec::new();
    let mut open: Option<(TableId, bool)> = None;
    for chunk in chunks {
        check(chunk);
        for (segment, rows) in chunk.tables() {
            let columns: Vec<(String, ColumnType, bool)> = (chunk.shape.columns.iter())
                .map(|column| (column.name.to_string(), column.column_type, matches!(column.place, Place::Key(_))))
                .collect();
            let key: Vec<Value> = (chunk.keys.columns.iter())
                .map(|array| ColumnView::of(array.as_ref()).cell(segment.key_row as usize).into())
                .collect();
            match open {
                Some((table, done)) if table == segment.table => {
                    assert!(!done, "a part of table {table} after its last in {name}");
                    let last = tables.last().unwrap();
                    assert_eq!((&last.columns, &last.key), (&columns, &key), "a table changed in {name}");
                }
                Some((table, done)) => {
                    assert!(done, "table {table} of {name} was left open");
                    assert!(table < segment.table, "table {} after {table} in {name}", segment.table);
                    tables.push(Table { columns, key, rows: Vec::new() });
                }
                None => tables.push(Table { columns, key, rows: Vec::new() }),
            }
            open = Some((segment.table, segment.done));
            let views: Vec<(ColumnView<'_>, bool)> = (chunk.shape.columns.iter())
                .map(|column| match column.place {
                    Place::Key(place) => (ColumnView::of(chunk.keys.columns[place as usize].as_ref()), true),
                    Place::Row(place) => (ColumnView::of(chunk.rows[place as usize].as_ref()), false),
                })
                .collect();
            for row in rows {
                let at = |in_key: bool| if in_key { segment.key_row as usize } else { row };
                let cells = views.iter().map(|(view, in_key)| view.cell(at(*in_key)).into()).collect();
                tables.last_mut().unwrap().rows.push(cells);
            }
        }
    }
    assert!(open.is_none_or(|(_, done)| done), "the last table of {name} was left open");
    Result { name: name.to_string(), tables }
}

fn check(chunk: &Chunk) {
    assert_eq!(chunk.segments.last().map_or(0, |segment| segment.end as usize), chunk.len);
    for column in &chunk.shape.columns {
        let (array, length) = match column.place {
            Place::Key(place) => (&chunk.keys.columns[place as usize], None),
            Place::Row(place) => (&chunk.rows[place as usize], Some(chunk.len)),
        };
        assert_eq!(*array.data_type(), column.column_type.arrow(), "column {}", column.name);
        assert!(length.is_none_or(|length| array.len() == length), "column {}", column.name);
    }
}
