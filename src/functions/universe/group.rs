//! `group`: tables by other columns (flux-semantics 6.3).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::group::{Group, GroupMode};

/// `group`.
pub static GROUP: Builtin = Builtin {
    package: PRELUDE,
    name: "group",
    signature: "(<-tables: stream[A], ?mode: string, ?columns: [string]) => stream[A] where A: Record",
    doc: "One table per value of the columns (mode \"by\"), or of all columns but these (mode \"except\").",
    examples: &["import \"array\"\n\narray.from(rows: [{host: \"a\", v: 1}, {host: \"b\", v: 2}])\n    |> \
                 group(columns: [\"host\"])"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let mode = match call.optional_string("mode")? {
        Some(mode) => GroupMode::parse(&mode)?,
        None => GroupMode::By,
    };
    let columns = call.optional_strings("columns")?.unwrap_or_default();
    Ok(transform(Group { mode, columns }, tables, call))
}
