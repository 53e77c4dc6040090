//! `experimental.diff`: where two streams differ, as a stream.

use std::sync::Arc;

use super::PACKAGE;
use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::functions::arguments::Arguments;
use crate::operators::Diff;
use crate::operators::diff::EPSILON;
use crate::plan::{Node, NodeKind};

/// `experimental.diff`.
pub static DIFF: Builtin = Builtin {
    package: PACKAGE,
    name: "diff",
    signature: "(<-got: stream[A], want: stream[B]) => stream[C] where A: Record, B: Record, C: Record",
    doc: "The tables in which two streams differ, `_diff` in front: `-` for a row that got lacks, `+` for one that it has \
          too many; floats may differ by 1e-6.",
    examples: &[
        "import \"array\"\nimport \"experimental\"\n\nexperimental.diff(got: array.from(rows: [{v: 1}]), want: \
                 array.from(rows: [{v: 2}]))",
    ],
    body: |call| {
        let (got, want) = (call.stream("got")?, call.stream("want")?);
        let kind = NodeKind::Transform(Arc::new(Diff { epsilon: EPSILON }));
        Ok(Value::Stream(Arc::new(Node { kind, inputs: vec![got, want], span: call.span })))
    },
};
