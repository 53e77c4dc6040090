//! `join` of the prelude: two streams side by side, on columns of equal name (flux-semantics 10).

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, node, stream};
use crate::operators::JoinColumns;
use crate::plan::NodeKind;

/// `join`.
pub static JOIN: Builtin = Builtin {
    package: PRELUDE,
    name: "join",
    signature: "(<-tables: A, ?method: string, ?on: [string]) => stream[B] where A: Record, B: Record",
    doc: "Rows of two streams that agree on the columns of on, as one row; a column that both have gets the stream's name \
          behind its own.",
    examples: &[
        "import \"array\"\n\na = array.from(rows: [{t: 1, v: 10}, {t: 2, v: 20}])\nb = array.from(rows: [{t: 2, v: \
                 200}])\n\njoin(tables: {a, b}, on: [\"t\"])",
    ],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let on = call.optional_strings("on")?.unwrap_or_default();
    if on.is_empty() {
        return Err(Error::invalid("at least one column in 'on' column list is required")
            .with_hint("join(tables: {a: ..., b: ...}, on: [\"_time\"])"));
    }
    if let Some(method) = call.optional_string("method")?.filter(|method| &**method != "inner") {
        return Err(Error::invalid(format!("{method} is not a valid join type"))
            .with_hint("join is inner; for the others import \"join\" and use join.left, join.right or join.full"));
    }
    let tables = call.record("tables")?;
    let mut sides = Vec::with_capacity(tables.properties.len());
    for (name, value) in &tables.properties {
        let Value::Stream(stream) = value else {
            let found = value.type_name();
            return Err(Error::invalid(format!("expected {name:?} to be stream type; instead got {found}"))
                .with_hint("join(tables: {a: ..., b: ...}, on: [\"_time\"])"));
        };
        sides.push((name.clone(), node(Arc::clone(stream))?));
    }
    // The names decide which is the left side, not their order in the script.
    sides.sort_by(|left, right| left.0.cmp(&right.0));
    let [(first, left), (second, right)] = &sides[..] else {
        return Err(Error::unimplemented("joins currently must only have two parents")
            .with_hint(format!("join takes two streams, found {}: join the first two, then the third", sides.len())));
    };
    let join = JoinColumns::new([first.clone(), second.clone()], on);
    let inputs = vec![Arc::clone(left), Arc::clone(right)];
    Ok(stream(NodeKind::Transform(Arc::new(join)), inputs, call))
}
