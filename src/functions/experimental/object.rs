//! `experimental.set`, `experimental.objectKeys`: records and the columns of their names.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, transform_node};
use crate::operators::Set;
use crate::operators::row_program::cell_of;

use super::PACKAGE;

/// `experimental.set`.
pub static SET: Builtin = Builtin {
    package: PACKAGE,
    name: "set",
    signature: "(<-tables: stream[A], o: B) => stream[C] where A: Record, B: Record, C: Record",
    doc: "Sets a column to a value in every row, for each property of o; new columns are appended.",
    examples: &["import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{v: 1}])\n    |> experimental.set(o: \
                 {region: \"US\", factor: 1.5})"],
    body: set,
};

/// `experimental.objectKeys`.
pub static OBJECT_KEYS: Builtin = Builtin {
    package: PACKAGE,
    name: "objectKeys",
    signature: "(o: A) => [string] where A: Record",
    doc: "The names of the properties of a record.",
    examples: &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{second: experimental.objectKeys(o: {a: 1, \
                 b: 2})[1]}])",
    ],
    body: object_keys,
};

fn set(call: &mut Call<'_>) -> Result<Value> {
    let mut tables = call.stream("tables")?;
    let properties = call.record("o")?;
    for (name, value) in &properties.properties {
        if matches!(value, Value::Null) || cell_of(value).is_none() {
            let found = value.type_name();
            return Err(Error::invalid(format!("cannot set column {name:?} to a value of type {found}"))
                .with_hint("a column holds bool, int, uint, float, string or time"));
        }
        let set = Set { key: name.clone(), value: value.clone() };
        tables = transform_node(set, tables, call);
    }
    Ok(Value::Stream(tables))
}

fn object_keys(call: &mut Call<'_>) -> Result<Value> {
    let object = call.record("o")?;
    let names: Vec<Value> = object.properties.iter().map(|(name, _)| Value::String(name.clone())).collect();
    Ok(Value::Array(names.into()))
}
