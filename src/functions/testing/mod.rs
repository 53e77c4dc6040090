//! Package `testing`: assertions for test cases.
//!
//! `fluxmill test` runs them. An assertion that compares gives its differences as the result `errorOutput`: a test case
//! passes when that has no table; others fail the run.

pub mod expect;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::flux::scalar::equal_values;
use crate::flux::value::{Function, Stream};
use crate::functions::arguments::{Arguments, transform};
use crate::functions::array::table_of;
use crate::functions::experimental::catch;
use crate::operators::diff::EPSILON;
use crate::operators::{Diff, ExpectEmpty, ExpectEqual};
use crate::plan::{Node, NodeKind};

const PACKAGE: &str = "testing";

/// The result that holds what is wrong.
pub const ERROR_OUTPUT: &str = "errorOutput";

static DIFF: Builtin = Builtin {
    package: PACKAGE,
    name: "diff",
    signature: "(<-got: stream[A], want: stream[B], ?verbose: bool, ?epsilon: float, ?nansEqual: bool) => stream[C] where \
                A: Record, B: Record, C: Record",
    doc: "Where two streams differ, as the result `errorOutput`: rows with `-` are missing, rows with `+` are too many; \
          floats may differ by epsilon (1e-6), NaN equals NaN, verbose and nansEqual have no effect.",
    examples: &["import \"array\"\nimport \"testing\"\n\narray.from(rows: [{v: 1.0}])\n    |> testing.diff(want: \
                 array.from(rows: [{v: 1.0}]))"],
    body: |call| {
        let epsilon = match call.optional("epsilon") {
            None => EPSILON,
            Some(Value::Float(epsilon)) if *epsilon >= 0.0 => *epsilon,
            Some(Value::Float(_)) => return Err(Error::invalid("epsilon of testing.diff has to be 0.0 or more")),
            Some(other) => return Err(call.mismatch("epsilon", "float", other)),
        };
        let (got, want) = (call.stream("got")?, call.stream("want")?);
        let node =
            Node { kind: NodeKind::Transform(Arc::new(Diff { epsilon })), inputs: vec![got, want], span: call.span };
        Ok(error_output(node, call))
    },
};

static LOAD: Builtin = Builtin {
    package: PACKAGE,
    name: "load",
    signature: "(<-tables: stream[A]) => stream[A] where A: Record",
    doc: "The stream as it is; an option, so that whoever runs a test case may write the stream to a bucket and read it back.",
    examples: &["import \"array\"\nimport \"testing\"\n\narray.from(rows: [{v: 1}])\n    |> testing.load()"],
    body: |call| call.required("tables").cloned(),
};

static ASSERT_EQUAL_VALUES: Builtin = Builtin {
    package: PACKAGE,
    name: "assertEqualValues",
    signature: "(got: A, want: A) => stream[{v: A, _diff: string}]",
    doc: "Compares two values as testing.diff compares rows.",
    examples: &["import \"testing\"\n\ntesting.assertEqualValues(got: 1 + 1, want: 2)"],
    body: |call| {
        let (got, want) = (call.required("got")?.clone(), call.required("want")?.clone());
        assert_equal_values(got, want, call)
    },
};

static SHOULD_ERROR: Builtin = Builtin {
    package: PACKAGE,
    name: "shouldError",
    signature: "(fn: () => A, want: regexp) => stream[{v: string}]",
    doc: "Calls fn, which has to fail with a message that the pattern matches.",
    examples: &["import \"testing\"\n\ntesting.shouldError(fn: () => die(msg: \"no data\"), want: /no data/)"],
    body: |call| {
        let function = call.function("fn")?;
        let want = match call.required("want")? {
            Value::Regexp(want) => Arc::clone(want),
            other => return Err(call.mismatch("want", "regexp", other)),
        };
        let message = failure(&function, call, "shouldError")?.message().to_string();
        let chunks = match want.is_match(&message) {
            true => Vec::new(),
            false => table_of("shouldError", &[Value::record([("v", Value::string(message))])])?,
        };
        Ok(error_output(Node { kind: NodeKind::Rows(chunks), inputs: Vec::new(), span: call.span }, call))
    },
};

static ASSERT_EMPTY: Builtin = Builtin {
    package: PACKAGE,
    name: "assertEmpty",
    signature: "(<-tables: stream[A]) => stream[A] where A: Record",
    doc: "Passes the stream on; fails the run at its first row.",
    examples: &[
        "import \"array\"\nimport \"testing\"\n\narray.from(rows: [{v: 1}])\n    |> filter(fn: (r) => r.v > 1)\n    \
                 |> testing.assertEmpty()",
    ],
    body: |call| Ok(transform(ExpectEmpty, call.stream("tables")?, call)),
};

static ASSERT_EQUALS: Builtin = Builtin {
    package: PACKAGE,
    name: "assertEquals",
    signature: "(name: string, <-got: stream[A], want: stream[A]) => stream[A] where A: Record",
    doc: "Passes the stream on; fails the run unless it is the other one exactly, order of tables and columns included.",
    examples: &[
        "import \"array\"\nimport \"testing\"\n\narray.from(rows: [{v: 1}])\n    |> testing.assertEquals(name: \
                 \"same\", want: array.from(rows: [{v: 1}]))",
    ],
    body: |call| {
        let (got, want) = (call.stream("got")?, call.stream("want")?);
        let expect = ExpectEqual { assertion: call.string("name")? };
        let kind = NodeKind::Transform(Arc::new(expect));
        Ok(Value::Stream(Arc::new(Node { kind, inputs: vec![got, want], span: call.span })))
    },
};

/// The package.
pub fn package() -> Package {
    Package {
        path: PACKAGE,
        builtins: vec![&ASSERT_EMPTY, &ASSERT_EQUAL_VALUES, &ASSERT_EQUALS, &DIFF, &SHOULD_ERROR],
        options: vec![("load", Value::Function(Function::Builtin(&LOAD))), ("tags", Value::Array(Vec::new().into()))],
        ..Package::default()
    }
}

/// Makes a stream the result that holds what is wrong.
fn error_output(node: Node, call: &mut Call<'_>) -> Value {
    let kind = NodeKind::Yield(ERROR_OUTPUT.into());
    let node = Arc::new(Node { kind, inputs: vec![Arc::new(node)], span: call.span });
    call.host.side_effect(Arc::clone(&node) as Arc<dyn Stream>);
    Value::Stream(node)
}

/// The stream of an assertion over two values.
pub fn assert_equal_values(got: Value, want: Value, call: &mut Call<'_>) -> Result<Value> {
    let tables = |value: Value| match value {
        Value::Null => Ok(Vec::new()),
        value => table_of(call.builtin.name, &[Value::record([("v", value)])]),
    };
    let same = equal_values(&got, &want);
    let (got, want) = if same { (Vec::new(), Vec::new()) } else { (tables(got)?, tables(want)?) };
    let rows = |chunks| Arc::new(Node { kind: NodeKind::Rows(chunks), inputs: Vec::new(), span: call.span });
    let inputs = vec![rows(got), rows(want)];
    let kind = NodeKind::Transform(Arc::new(Diff { epsilon: EPSILON }));
    Ok(error_output(Node { kind, inputs, span: call.span }, call))
}

/// The error that a function without arguments fails with.
///
/// # Errors
/// Invalid if it does not fail.
pub fn failure(function: &Function, call: &mut Call<'_>, assertion: &str) -> Result<Error> {
    match catch::caught(function, call)? {
        Ok(_) => Err(Error::invalid(format!("{assertion} expected an error"))),
        Err(error) => Ok(error),
    }
}
