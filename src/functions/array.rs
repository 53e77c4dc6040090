//! Package `array`: `array.from` (flux-semantics 12.7).
//!
//! Rows that a script holds become one table without a group key.

use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::flux::value::Record;
use crate::functions::arguments::{Arguments, stream};
use crate::plan::NodeKind;
use crate::table::builder::ChunkBuilder;
use crate::table::{Cell, ColumnType, Name, Shape};

/// `array.from`.
pub static FROM: Builtin = Builtin {
    package: "array",
    name: "from",
    signature: "(<-rows: [A]) => stream[A] where A: Record",
    doc: "One table without a group key from an array of records; the columns are those of the first record.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", load: 0.5}, {host: \"b\", load: 1.5}])"],
    body,
};

/// The package.
pub fn package() -> Package {
    Package { path: "array", builtins: vec![&FROM], ..Package::default() }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    let rows = call.array("rows")?;
    let mut records = Vec::with_capacity(rows.len());
    for row in rows.iter() {
        match row {
            Value::Record(record) => records.push(&**record),
            other => return Err(call.mismatch("rows", "an array of records", other)),
        }
    }
    let Some(first) = records.first() else {
        return Err(Error::invalid("rows must be non-empty"));
    };
    let mut columns = Vec::with_capacity(first.properties.len());
    for (label, _) in &first.properties {
        columns.push((label.clone(), column_type(label, &records)?, false));
    }
    let mut builder = ChunkBuilder::new(Shape::new(columns.iter().cloned()));
    builder.begin_table(0, [])?;
    for (number, record) in records.iter().enumerate() {
        if let Some((extra, _)) = record.properties.iter().find(|(label, _)| first.get(label).is_none()) {
            return Err(different(number, format!("found unexpected label {extra}"), extra, first));
        }
        for (place, (label, expected, _)) in columns.iter().enumerate() {
            let Some(value) = record.get(label) else {
                return Err(different(number, format!("record is missing label {label}"), label, record));
            };
            let cell = cell(value).filter(|cell| cell.column_type().is_none_or(|found| found == *expected));
            let Some(cell) = cell else {
                let (expected, found) = (expected.flux_name(), value.type_name());
                let text =
                    format!("expected {expected} but found {found} for {label} in record {number} of array.from");
                return Err(Error::invalid(text).with_hint("a column has one type in all records"));
            };
            builder.push_cell(place, cell)?;
        }
        builder.end_row();
    }
    builder.end_table();
    Ok(stream(NodeKind::Rows(builder.finish()), Vec::new(), call))
}

/// The type of a column: that of its first value that is not null.
fn column_type(label: &Name, records: &[&Record]) -> Result<ColumnType> {
    let value = records.iter().filter_map(|record| record.get(label)).find(|value| !matches!(value, Value::Null));
    let column_type = value.and_then(cell).and_then(Cell::column_type);
    column_type.ok_or_else(|| {
        let found = value.map_or("null", |value| value.type_name());
        Error::invalid(format!("cannot represent the type {found} as column data (column {label} of array.from)"))
            .with_hint("a column holds bool, int, uint, float, string or time")
    })
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

fn different(number: usize, message: String, label: &str, record: &Record) -> Error {
    let error = Error::invalid(format!("{message} (record {number} of array.from)"));
    match nearest(label, record.properties.iter().map(|(own, _)| &**own)) {
        Some(near) => error.with_hint(format!("did the script mean {near:?}? all records have the same labels")),
        None => error.with_hint("all records have the same labels"),
    }
}
