//! From streams to values: `tableFind`, `findColumn`, `findRecord`, `getColumn`, `getRecord` (flux-semantics 11).
//!
//! They run their stream at once, while the script is evaluated. The first table in stream order whose group key
//! satisfies the predicate is the one.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::value::{Record, Stream};
use crate::functions::arguments::Arguments;
use crate::table::{Cell, Chunk, ColumnView, Place, Segment};

/// `tableFind`.
pub static TABLE_FIND: Builtin = Builtin {
    package: "universe",
    name: "tableFind",
    signature: "(<-tables: stream[B], fn: (key: A) => bool) => stream[B] where A: Record, B: Record",
    doc: "Reads the first table whose group key satisfies fn.",
    examples: &["import \"array\"\n\nt = array.from(rows: [{v: 1}]) |> tableFind(fn: (key) => true)\n\n\
                 array.from(rows: [{v: (t |> getRecord(idx: 0)).v}])"],
    body: table_find,
};

/// `findColumn`.
pub static FIND_COLUMN: Builtin = Builtin {
    package: "universe",
    name: "findColumn",
    signature: "(<-tables: stream[B], fn: (key: A) => bool, column: string) => [C] where A: Record, B: Record",
    doc: "The values of a column of the first table whose group key satisfies fn; empty if there is none.",
    examples: &["import \"array\"\n\nv = array.from(rows: [{v: 1}, {v: 2}]) |> findColumn(fn: (key) => true, column: \
                 \"v\")\narray.from(rows: [{n: length(arr: v)}])"],
    body: find_column,
};

/// `findRecord`.
pub static FIND_RECORD: Builtin = Builtin {
    package: "universe",
    name: "findRecord",
    signature: "(<-tables: stream[B], fn: (key: A) => bool, idx: int) => B where A: Record, B: Record",
    doc: "A row of the first table whose group key satisfies fn; an empty record if there is none.",
    examples: &["import \"array\"\n\nr = array.from(rows: [{v: 1}]) |> findRecord(fn: (key) => true, idx: 0)\n\
                 array.from(rows: [{v: r.v}])"],
    body: find_record,
};

/// `getColumn`.
pub static GET_COLUMN: Builtin = Builtin {
    package: "universe",
    name: "getColumn",
    signature: "(<-table: stream[A], column: string) => [B] where A: Record",
    doc: "The values of a column of a table that tableFind has read.",
    examples: &["import \"array\"\n\nv = array.from(rows: [{v: 1}, {v: 2}]) |> tableFind(fn: (key) => true) |> \
                 getColumn(column: \"v\")\n\narray.from(rows: [{second: v[1]}])"],
    body: get_column,
};

/// `getRecord`.
pub static GET_RECORD: Builtin = Builtin {
    package: "universe",
    name: "getRecord",
    signature: "(<-table: stream[A], idx: int) => A where A: Record",
    doc: "A row of a table that tableFind has read.",
    examples: &[
        "import \"array\"\n\nr = array.from(rows: [{v: 1}]) |> tableFind(fn: (key) => true) |> getRecord(idx: 0)\n\n\
                 array.from(rows: [{v: r.v}])",
    ],
    body: get_record,
};

fn table_find(call: &mut Call<'_>) -> Result<Value> {
    match find(call)? {
        Some(table) => Ok(Value::Table(Arc::new(table))),
        None => Err(Error::not_found("no table found")
            .with_hint("findRecord and findColumn give an empty record or array in this case")),
    }
}

fn find_column(call: &mut Call<'_>) -> Result<Value> {
    let column = call.string("column")?;
    let table = find(call)?;
    let values = table.and_then(|table| column_values(&table, &column)).unwrap_or_default();
    Ok(Value::Array(values.into()))
}

fn find_record(call: &mut Call<'_>) -> Result<Value> {
    let index = call.int("idx")?;
    let table = find(call)?;
    let record = table.and_then(|table| record_at(&table, index)).unwrap_or_default();
    Ok(Value::Record(Arc::new(record)))
}

fn get_column(call: &mut Call<'_>) -> Result<Value> {
    let table = piped_table(call)?;
    let column = call.string("column")?;
    match column_values(&table, &column) {
        Some(values) => Ok(Value::Array(values.into())),
        None => {
            let shape = table.first().map(|chunk| Arc::clone(&chunk.shape));
            let labels: Vec<&str> = shape.iter().flat_map(|shape| &shape.columns).map(|column| &*column.name).collect();
            let error = Error::invalid(format!("cannot find column {column}"));
            Err(match crate::diagnostic::nearest(&column, labels) {
                Some(near) => error.with_hint(format!("the table has a column {near:?}")),
                None => error,
            })
        }
    }
}

fn get_record(call: &mut Call<'_>) -> Result<Value> {
    let table = piped_table(call)?;
    let index = call.int("idx")?;
    match record_at(&table, index) {
        Some(record) => Ok(Value::Record(Arc::new(record))),
        None => Err(Error::out_of_range(format!("index out of bounds: {index}"))),
    }
}

fn piped_table(call: &Call<'_>) -> Result<Arc<Vec<Chunk>>> {
    match call.required("table")? {
        Value::Table(table) => Ok(Arc::clone(table)),
        other => Err(call.mismatch("table", "a table from tableFind", other)),
    }
}

/// The first table whose key satisfies the predicate, as chunks of that table alone.
fn find(call: &mut Call<'_>) -> Result<Option<Vec<Chunk>>> {
    let tables = call.stream("tables")?;
    let predicate = call.function("fn")?;
    let chunks = call.host.world().collect(tables as Arc<dyn Stream>)?;
    let mut seen = None;
    for (number, chunk) in chunks.iter().enumerate() {
        for (position, segment) in chunk.segments.iter().enumerate() {
            if seen.replace(segment.table) == Some(segment.table) {
                continue;
            }
            let key = Value::Record(Arc::new(key_record(chunk, segment)));
            match call.host.call(&predicate, vec![("key".into(), key)])? {
                Value::Bool(true) => return Ok(Some(only(&chunks[number..], position, segment.table))),
                Value::Bool(false) | Value::Null => {}
                other => {
                    return Err(Error::invalid(format!(
                        "table predicate function does not evaluate to a boolean but to {}",
                        other.type_name()
                    )));
                }
            }
        }
    }
    Ok(None)
}

/// The rows of one table, whose first part is segment `position` of the first chunk. The stream is clustered.
fn only(chunks: &[Chunk], mut position: usize, table: u64) -> Vec<Chunk> {
    let mut parts = Vec::new();
    for chunk in chunks {
        let Some((segment, rows)) = chunk.tables().nth(position).filter(|(segment, _)| segment.table == table) else {
            break;
        };
        position = 0;
        let length = rows.len();
        parts.push(Chunk {
            shape: Arc::clone(&chunk.shape),
            keys: Arc::clone(&chunk.keys),
            segments: vec![Segment { end: length as u32, ..segment }],
            rows: chunk.rows.iter().map(|array| array.slice(rows.start, length)).collect(),
            len: length,
        });
        if segment.done {
            break;
        }
    }
    parts
}

fn key_record(chunk: &Chunk, segment: &Segment) -> Record {
    let mut record = Record::default();
    for (column, array) in chunk.shape.key_columns().zip(&chunk.keys.columns) {
        let cell = ColumnView::of(array.as_ref()).cell(segment.key_row as usize);
        record.properties.push((column.name.clone(), value(cell)));
    }
    record
}

fn column_values(table: &[Chunk], column: &str) -> Option<Vec<Value>> {
    let place = table.first()?.shape.column(column)?.place;
    let mut values = Vec::new();
    for chunk in table {
        for (segment, rows) in chunk.tables() {
            values.extend(rows.map(|row| value(cell(chunk, place, &segment, row))));
        }
    }
    Some(values)
}

fn record_at(table: &[Chunk], index: i64) -> Option<Record> {
    let mut row = usize::try_from(index).ok()?;
    for chunk in table {
        if row >= chunk.len {
            row -= chunk.len;
            continue;
        }
        let (segment, _) = chunk.tables().find(|(_, rows)| rows.contains(&row))?;
        let mut record = Record::default();
        for column in &chunk.shape.columns {
            record.properties.push((column.name.clone(), value(cell(chunk, column.place, &segment, row))));
        }
        return Some(record);
    }
    None
}

fn cell<'a>(chunk: &'a Chunk, place: Place, segment: &Segment, row: usize) -> Cell<'a> {
    match place {
        Place::Key(column) => ColumnView::of(&*chunk.keys.columns[column as usize]).cell(segment.key_row as usize),
        Place::Row(column) => ColumnView::of(&*chunk.rows[column as usize]).cell(row),
    }
}

fn value(cell: Cell<'_>) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(value) => Value::Bool(value),
        Cell::Int(value) => Value::Int(value),
        Cell::UInt(value) => Value::UInt(value),
        Cell::Float(value) => Value::Float(value),
        Cell::String(value) => Value::String(value.into()),
        Cell::Time(value) => Value::Time(value),
    }
}
