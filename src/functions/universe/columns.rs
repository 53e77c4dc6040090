//! `keep`, `drop`, `rename`, `duplicate`: which columns tables have and what they are called (flux-semantics 6.7).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{Columns, NameFunction, Renaming, Selection};

/// `keep`.
pub static KEEP: Builtin = Builtin {
    package: PRELUDE,
    name: "keep",
    signature: "(<-tables: stream[A], ?columns: [string], ?fn: (column: string) => bool) => stream[B] \
                where A: Record, B: Record",
    doc: "Drops all columns but those that are listed or for which fn is true.",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", v: 1, w: 2}])\n    |> keep(columns: [\"host\", \
                 \"v\"])"],
    body: keep,
};

/// `drop`.
pub static DROP: Builtin = Builtin {
    package: PRELUDE,
    name: "drop",
    signature: "(<-tables: stream[A], ?columns: [string], ?fn: (column: string) => bool) => stream[B] \
                where A: Record, B: Record",
    doc: "Drops the columns that are listed, or for which fn is true.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{host: \"a\", v: 1, w: 2}])\n    |> drop(fn: (column) => column \
                 =~ /^h/)",
    ],
    body: drop,
};

/// `rename`.
pub static RENAME: Builtin = Builtin {
    package: PRELUDE,
    name: "rename",
    signature: "(<-tables: stream[A], ?columns: B, ?fn: (column: string) => string) => stream[C] \
                where A: Record, B: Record, C: Record",
    doc: "Gives columns new names: those of a record {old: \"new\"}, or what fn makes of each name.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{host: \"a\", v: 1}])\n    |> rename(columns: {host: \"node\"})",
    ],
    body: rename,
};

/// `duplicate`.
pub static DUPLICATE: Builtin = Builtin {
    package: PRELUDE,
    name: "duplicate",
    signature: "(<-tables: stream[A], column: string, as: string) => stream[B] where A: Record, B: Record",
    doc: "Copies a column under another name; a column of that name is replaced.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}])\n    |> duplicate(column: \"v\", as: \"w\")"],
    body: duplicate,
};

fn keep(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    Ok(transform(Columns::Keep(selection(call)?), tables, call))
}

fn drop(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    Ok(transform(Columns::Drop(selection(call)?), tables, call))
}

fn rename(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let function = name_function(call)?;
    let renaming = Renaming::from_arguments(call.optional("columns"), function)?;
    Ok(transform(Columns::Rename(renaming), tables, call))
}

fn duplicate(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let (column, copy) = (call.string("column")?, call.string("as")?);
    Ok(transform(Columns::Duplicate { column, copy }, tables, call))
}

fn selection(call: &mut Call<'_>) -> Result<Selection> {
    let predicate = name_function(call)?;
    Selection::from_arguments(call.builtin.name, call.optional_strings("columns")?, predicate)
}

fn name_function(call: &mut Call<'_>) -> Result<Option<NameFunction>> {
    if call.optional("fn").is_none() {
        return Ok(None);
    }
    Ok(Some(NameFunction { function: call.function("fn")?, hosts: call.host.row_hosts() }))
}
