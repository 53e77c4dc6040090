//! `cov`, `pearsonr`: how the values of two streams vary together.
//!
//! A join of the two and the covariance of what each has as `_value`.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::{Covariance, JoinColumns};
use crate::plan::{Node, NodeKind};

/// `cov`.
pub static COV: Builtin = Builtin {
    package: PRELUDE,
    name: "cov",
    signature: "(x: A, y: B, on: [string], ?pearsonr: bool) => stream[C] where C: Record",
    doc: "The covariance of the _value of two streams, joined on columns; with pearsonr their correlation.",
    examples: &["import \"array\"\n\nx = array.from(rows: [{t: 1, _value: 1.0}, {t: 2, _value: 2.0}])\ny = \
                 array.from(rows: [{t: 1, _value: 2.0}, {t: 2, _value: 5.0}])\n\ncov(x: x, y: y, on: [\"t\"])"],
    body: |call| {
        let pearson = call.bool_or("pearsonr", false)?;
        body(call, pearson)
    },
};

/// `pearsonr`.
pub static PEARSONR: Builtin = Builtin {
    package: PRELUDE,
    name: "pearsonr",
    signature: "(x: A, y: B, on: [string]) => stream[C] where C: Record",
    doc: "The correlation of the _value of two streams, joined on columns.",
    examples: &["import \"array\"\n\nx = array.from(rows: [{t: 1, _value: 1.0}, {t: 2, _value: 2.0}])\ny = \
                 array.from(rows: [{t: 1, _value: 2.0}, {t: 2, _value: 5.0}])\n\npearsonr(x: x, y: y, on: [\"t\"])"],
    body: |call| body(call, true),
};

fn body(call: &mut Call<'_>, pearson: bool) -> Result<Value> {
    let inputs = vec![call.stream("x")?, call.stream("y")?];
    let on = call.strings("on")?;
    if on.is_empty() {
        return Err(Error::invalid("at least one column in 'on' column list is required"));
    }
    let join = JoinColumns::new(["x".into(), "y".into()], on);
    let joined = Node { kind: NodeKind::Transform(Arc::new(join)), inputs, span: call.span };
    let columns = ["_value_x".into(), "_value_y".into()];
    let covariance = Covariance { columns, pearson, value_column: "_value".into() };
    Ok(transform(covariance, Arc::new(joined), call))
}
