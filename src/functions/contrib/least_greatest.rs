//! Package `contrib/jsternberg/math`: the lesser and the greater of two numbers of one type.

use crate::error::Result;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::flux::{Value, scalar};
use crate::functions::arguments::any_null;
use crate::syntax::ast::BinaryOperator;

const PACKAGE: &str = "contrib/jsternberg/math";

static MINIMUM: Builtin = Builtin {
    package: PACKAGE,
    name: "min",
    signature: "(a: A, b: A) => A where A: Numeric",
    doc: "The lesser of two numbers.",
    examples: &[
        "import \"array\"\nimport \"contrib/jsternberg/math\"\n\narray.from(rows: [{v: math.min(a: 2, b: 1)}])",
    ],
    body: |call| chosen(call, BinaryOperator::Less),
};

static MAXIMUM: Builtin = Builtin {
    package: PACKAGE,
    name: "max",
    signature: "(a: A, b: A) => A where A: Numeric",
    doc: "The greater of two numbers.",
    examples: &[
        "import \"array\"\nimport \"contrib/jsternberg/math\"\n\narray.from(rows: [{v: math.max(a: 2, b: 1)}])",
    ],
    body: |call| chosen(call, BinaryOperator::Greater),
};

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: vec![&MAXIMUM, &MINIMUM], ..Package::default() }
}

fn chosen(call: &mut Call<'_>, operator: BinaryOperator) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    let (a, b) = (call.required("a")?, call.required("b")?);
    let first = matches!(scalar::binary(operator, a, b)?, Value::Bool(true));
    Ok(if first { a.clone() } else { b.clone() })
}
