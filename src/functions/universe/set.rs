//! `set`: one string for all rows of a column (flux-semantics 6.6).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Set;

/// `set`.
pub static SET: Builtin = Builtin {
    package: PRELUDE,
    name: "set",
    signature: "(<-tables: stream[A], key: string, value: string) => stream[A] where A: Record",
    doc: "Sets a column to a string in every row; a new column is appended.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}])\n    |> set(key: \"region\", value: \"US\")"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let (key, value) = (call.string("key")?, Value::String(call.string("value")?));
    Ok(transform(Set { key, value }, tables, call))
}
