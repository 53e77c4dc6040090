//! `yield`: makes a stream a result of a name and passes it on (flux-semantics 4.1).
//!
//! Whether names collide is seen when the script is planned.

use std::sync::Arc;

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::Arguments;
use crate::plan::graph::DEFAULT_RESULT;
use crate::plan::{Node, NodeKind};

/// `yield`.
pub static YIELD: Builtin = Builtin {
    package: "universe",
    name: "yield",
    signature: "(<-tables: stream[A], ?name: string) => stream[A] where A: Record",
    doc: "Gives the stream as a result of the name (default `_result`) and passes it on.",
    examples: &["import \"array\"\n\narray.from(rows: [{v: 1}]) |> yield(name: \"one\")"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    let name = call.optional_string("name")?.unwrap_or_else(|| DEFAULT_RESULT.into());
    let node = Arc::new(Node { kind: NodeKind::Yield(name), inputs: vec![tables], span: call.span });
    call.host.side_effect(Arc::clone(&node) as Arc<dyn crate::flux::value::Stream>);
    Ok(Value::Stream(node))
}
