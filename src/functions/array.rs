//! Package `array`: rows that a script holds become a table; arrays put together, mapped, filtered (flux-semantics 12.7).
//!
//! `experimental/array` has the same functions.

use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::flux::scalar::truth;
use crate::flux::value::Record;
use crate::functions::arguments::{Arguments, stream};
use crate::plan::NodeKind;
use crate::table::builder::ChunkBuilder;
use crate::table::{Cell, Chunk, ColumnType, Name, Shape};

const PACKAGE: &str = "array";

static FROM: Builtin =
    from(PACKAGE, &["import \"array\"\n\narray.from(rows: [{host: \"a\", load: 0.5}, {host: \"b\", load: 1.5}])"]);
static CONCAT: Builtin =
    concat(PACKAGE, &["import \"array\"\n\narray.from(rows: [{n: length(arr: array.concat(arr: [1], v: [2, 3]))}])"]);
static MAP: Builtin =
    map(PACKAGE, &["import \"array\"\n\narray.from(rows: array.map(arr: [1, 2], fn: (x) => ({v: x * 2})))"]);
static FILTER: Builtin =
    filter(PACKAGE, &["import \"array\"\n\narray.from(rows: array.filter(arr: [{v: 1}, {v: 2}], fn: (x) => x.v > 1))"]);

/// `from`, in a package.
pub const fn from(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin {
        package,
        name: "from",
        signature: "(<-rows: [A]) => stream[A] where A: Record",
        doc: "One table without a group key from an array of records; the columns are those of the first record.",
        examples,
        body,
    }
}

/// `concat`, in a package.
pub const fn concat(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin {
        package,
        name: "concat",
        signature: "(<-arr: [A], v: [A]) => [A]",
        doc: "The values of two arrays, one behind the other.",
        examples,
        body: |call| {
            let (first, second) = (call.array("arr")?, call.array("v")?);
            Ok(Value::Array(first.iter().chain(second.iter()).cloned().collect()))
        },
    }
}

/// `map`, in a package.
pub const fn map(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin {
        package,
        name: "map",
        signature: "(<-arr: [A], fn: (x: A) => B) => [B]",
        doc: "What a function makes of each value of an array.",
        examples,
        body: |call| {
            let (items, function) = (call.array("arr")?, call.function("fn")?);
            let mut mapped = Vec::with_capacity(items.len());
            for item in items.iter() {
                mapped.push(call.host.call(&function, vec![("x".into(), item.clone())])?);
            }
            Ok(Value::Array(mapped.into()))
        },
    }
}

/// `filter`, in a package.
pub const fn filter(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin {
        package,
        name: "filter",
        signature: "(<-arr: [A], fn: (x: A) => bool) => [A]",
        doc: "The values of an array for which a function is true.",
        examples,
        body: |call| {
            let (items, function) = (call.array("arr")?, call.function("fn")?);
            let mut kept = Vec::new();
            for item in items.iter() {
                let value = call.host.call(&function, vec![("x".into(), item.clone())])?;
                if truth(&value).map_err(|error| error.context("the function of array.filter"))? == Some(true) {
                    kept.push(item.clone());
                }
            }
            Ok(Value::Array(kept.into()))
        },
    }
}

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: vec![&CONCAT, &FILTER, &FROM, &MAP], ..Package::default() }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    let rows = call.array("rows")?;
    if let Some(other) = rows.iter().find(|row| !matches!(row, Value::Record(_))) {
        return Err(call.mismatch("rows", "an array of records", other));
    }
    Ok(stream(NodeKind::Rows(table_of("array.from", &rows)?), Vec::new(), call))
}

/// One table without a group key from records; `function` is for messages.
///
/// # Errors
/// Invalid if there is no record, if the records have different properties, or if one of them is nothing that a column
/// holds.
pub fn table_of(function: &str, rows: &[Value]) -> Result<Vec<Chunk>> {
    let mut records: Vec<&Record> = Vec::with_capacity(rows.len());
    for row in rows {
        match row {
            Value::Record(record) => records.push(record),
            other => return Err(Error::invalid(format!("expected record but found {}", other.type_name()))),
        }
    }
    let Some(first) = records.first() else {
        return Err(Error::invalid("rows must be non-empty"));
    };
    let mut columns = Vec::with_capacity(first.properties.len());
    for (label, _) in &first.properties {
        // What is null in all records has no type: there is no such column, as with map.
        if let Some(column_type) = column_type(function, label, &records)? {
            columns.push((label.clone(), column_type, false));
        }
    }
    let mut builder = ChunkBuilder::new(Shape::new(columns.iter().cloned()));
    builder.begin_table(0, [])?;
    for (number, record) in records.iter().enumerate() {
        let place = || format!("(record {number} of {function})");
        if let Some((extra, _)) = record.properties.iter().find(|(label, _)| first.get(label).is_none()) {
            return Err(different(&place(), format!("found unexpected label {extra}"), extra, first));
        }
        for (column, (label, expected, _)) in columns.iter().enumerate() {
            let Some(value) = record.get(label) else {
                return Err(different(&place(), format!("record is missing label {label}"), label, record));
            };
            let cell = cell(value).filter(|cell| cell.column_type().is_none_or(|found| found == *expected));
            let Some(cell) = cell else {
                let (expected, found) = (expected.flux_name(), value.type_name());
                let text =
                    format!("expected {expected} but found {found} for {label} in record {number} of {function}");
                return Err(Error::invalid(text).with_hint("a column has one type in all records"));
            };
            builder.push_cell(column, cell)?;
        }
        builder.end_row();
    }
    builder.end_table();
    Ok(builder.finish())
}

/// The type of a column: that of its first value that is not null; `None` if there is none.
fn column_type(function: &str, label: &Name, records: &[&Record]) -> Result<Option<ColumnType>> {
    let mut values = records.iter().filter_map(|record| record.get(label));
    let Some(value) = values.find(|value| !matches!(value, Value::Null)) else { return Ok(None) };
    match cell(value).and_then(Cell::column_type) {
        Some(column_type) => Ok(Some(column_type)),
        None => {
            let found = value.type_name();
            let text = format!("cannot represent the type {found} as column data (column {label} of {function})");
            Err(Error::invalid(text).with_hint("a column holds bool, int, uint, float, string or time"))
        }
    }
}

fn cell(value: &Value) -> Option<Cell<'_>> {
    Some(match value {
        Value::Null => Cell::Null,
        Value::Bool(value) => Cell::Bool(*value),
        Value::Int(value) => Cell::Int(*value),
        Value::UInt(value) => Cell::UInt(*value),
        Value::Float(value) => Cell::Float(*value),
        Value::String(value) => Cell::String(value),
        Value::Time(value) => Cell::Time(*value),
        _ => return None,
    })
}

fn different(place: &str, message: String, label: &str, record: &Record) -> Error {
    let error = Error::invalid(format!("{message} {place}"));
    match nearest(label, record.properties.iter().map(|(own, _)| &**own)) {
        Some(near) => error.with_hint(format!("did the script mean {near:?}? all records have the same labels")),
        None => error.with_hint("all records have the same labels"),
    }
}
