//! `union`: several streams as one (flux-semantics 10).

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, node, stream};
use crate::operators::Union;
use crate::plan::{Node, NodeKind};

/// `union`.
pub static UNION: Builtin = Builtin {
    package: PRELUDE,
    name: "union",
    signature: "(tables: [stream[A]]) => stream[A] where A: Record",
    doc: "The tables of all streams; tables with equal keys become one, rows in the order of the streams. A stream that is \
          listed twice counts once.",
    examples: &["import \"array\"\n\na = array.from(rows: [{v: 1}])\nb = array.from(rows: [{v: 2}])\n\nunion(tables: \
                 [a, b])"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.array("tables")?;
    if tables.len() < 2 {
        return Err(
            Error::invalid("union must have at least two streams as input").with_hint("union(tables: [first, second])")
        );
    }
    let mut inputs: Vec<Arc<Node>> = Vec::with_capacity(tables.len());
    for table in tables.iter() {
        let Value::Stream(table) = table else { return Err(call.mismatch("tables", "an array of streams", table)) };
        let table = node(Arc::clone(table))?;
        if !inputs.iter().any(|known| Arc::ptr_eq(known, &table)) {
            inputs.push(table);
        }
    }
    Ok(stream(NodeKind::Transform(Arc::new(Union)), inputs, call))
}
