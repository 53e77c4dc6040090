//! `columns`, `keys`, `keyValues`: what tables are made of.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{KeyValues, Labels};

const SIGNATURE: &str = "(<-tables: stream[A], ?column: string) => stream[B] where A: Record, B: Record";

/// `columns`.
pub static COLUMNS: Builtin = Builtin {
    package: PRELUDE,
    name: "columns",
    signature: SIGNATURE,
    doc: "The names of the columns of each table, a row each, behind its group key.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", v: 1}])\n    |> columns()"],
    body: |call| labels(call, false),
};

/// `keys`.
pub static KEYS: Builtin = Builtin {
    package: PRELUDE,
    name: "keys",
    signature: SIGNATURE,
    doc: "The names of the group key's columns of each table, a row each, behind the key.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{host: \"a\", v: 1}])\n    |> group(columns: [\"host\"])\n    |> \
                 keys()",
    ],
    body: |call| labels(call, true),
};

/// `keyValues`.
pub static KEY_VALUES: Builtin = Builtin {
    package: PRELUDE,
    name: "keyValues",
    signature: "(<-tables: stream[A], ?keyColumns: [string]) => stream[{C with _key: string, _value: B}] \
                where A: Record, C: Record",
    doc: "The values that the columns have in each table, each once: names in _key, values in _value.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{host: \"a\", zone: \"x\"}, {host: \"b\", zone: \"x\"}])\n    |> \
                 keyValues(keyColumns: [\"host\", \"zone\"])",
    ],
    body: key_values,
};

fn labels(call: &mut Call<'_>, of_key: bool) -> Result<Value> {
    let tables = call.stream("tables")?;
    let column = call.optional_string("column")?.unwrap_or_else(|| "_value".into());
    Ok(transform(Labels { of_key, column }, tables, call))
}

fn key_values(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let Some(columns) = call.optional_strings("keyColumns")? else {
        return Err(Error::invalid("missing required argument keyColumns of keyValues")
            .with_hint("keyValues(keyColumns: [\"host\"])"));
    };
    Ok(transform(KeyValues { columns }, tables, call))
}
