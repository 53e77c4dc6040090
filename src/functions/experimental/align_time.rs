//! `experimental.alignTime`: tables that begin together.

use super::PACKAGE;
use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, transform};
use crate::operators::AlignTime;

/// `alignTime`.
pub static ALIGN_TIME: Builtin = Builtin {
    package: PACKAGE,
    name: "alignTime",
    signature: "(<-tables: stream[A], ?alignTo: time) => stream[A] where A: Record",
    doc: "Moves each table in time so that its first row is at alignTo (default 1970-01-01T00:00:00Z).",
    examples: &[
        "import \"array\"\nimport \"experimental\"\n\narray.from(rows: [{_time: 2024-01-01T00:01:00Z}])\n    |> \
                 experimental.alignTime(alignTo: 2000-01-01T00:00:00Z)",
    ],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let to_ns = match call.optional("alignTo") {
        None => 0,
        Some(Value::Time(time_ns)) => *time_ns,
        Some(other) => return Err(call.mismatch("alignTo", "time", other)),
    };
    Ok(transform(AlignTime { to_ns }, tables, call))
}
