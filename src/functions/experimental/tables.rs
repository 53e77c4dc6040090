//! `experimental.group`, `experimental.preview`: tables cut anew.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Preview;
use crate::operators::group::{Group, GroupMode};

use super::PACKAGE;

/// `experimental.group`.
pub static GROUP: Builtin = Builtin {
    package: PACKAGE,
    name: "group",
    signature: "(<-tables: stream[A], mode: string, columns: [string]) => stream[A] where A: Record",
    doc: "Adds columns to the group key; mode is \"extend\".",
    examples: &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{host: \"a\", v: 1}, {host: \"b\", v: \
                 2}])\n    |> experimental.group(mode: \"extend\", columns: [\"host\"])",
    ],
    body: group,
};

/// `experimental.preview`.
pub static PREVIEW: Builtin = Builtin {
    package: PACKAGE,
    name: "preview",
    signature: "(<-tables: stream[A], ?nrows: int, ?ntables: int) => stream[A] where A: Record",
    doc: "The first nrows rows (default 5) of the first ntables tables (default 5).",
    examples: &["import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{v: 1}, {v: 2}])\n    |> \
                 experimental.preview(nrows: 1)"],
    body: preview,
};

fn group(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    if &*call.string("mode")? != "extend" {
        return Err(Error::invalid("mode parameter must be \"extend\"")
            .with_hint("group without the package has the modes \"by\" and \"except\""));
    }
    let group = Group { mode: GroupMode::Extend, columns: call.strings("columns")? };
    Ok(transform(group, tables, call))
}

fn preview(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let count = |name: &str| -> Result<usize> {
        let given = call.int_or(name, 5)?;
        usize::try_from(given)
            .map_err(|_| Error::invalid(format!("argument {name} of preview cannot be negative ({given})")))
    };
    let preview = Preview { rows: count("nrows")?, tables: count("ntables")? };
    Ok(transform(preview, tables, call))
}
