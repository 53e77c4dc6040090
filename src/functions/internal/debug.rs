//! Package `internal/debug`: streams passed on or dropped, null values, options by name.
//!
//! What keeps another engine's planner from rewriting a pipeline passes its stream on here: push-down never changes an
//! answer.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Discard;

const PACKAGE: &str = "internal/debug";

const fn identity(name: &'static str, doc: &'static str, examples: &'static [&'static str]) -> Builtin {
    let signature = "(<-tables: stream[A]) => stream[A] where A: Record";
    Builtin { package: PACKAGE, name, signature, doc, examples, body: same }
}

fn same(call: &mut Call<'_>) -> Result<Value> {
    call.stream("tables")?;
    call.required("tables").cloned()
}

static OPAQUE: Builtin = identity(
    "opaque",
    "The stream as it is.",
    &["import \"array\"\nimport \"internal/debug\"\n\narray.from(rows: [{v: 1}]) |> debug.opaque()"],
);
static PASS: Builtin = identity(
    "pass",
    "The stream as it is.",
    &["import \"array\"\nimport \"internal/debug\"\n\narray.from(rows: [{v: 1}]) |> debug.pass()"],
);
static SLURP: Builtin = identity(
    "slurp",
    "The stream as it is.",
    &["import \"array\"\nimport \"internal/debug\"\n\narray.from(rows: [{v: 1}]) |> debug.slurp()"],
);

static SINK: Builtin = Builtin {
    package: PACKAGE,
    name: "sink",
    signature: "(<-tables: stream[A]) => stream[A] where A: Record",
    doc: "Reads the stream and gives no table.",
    examples: &["import \"array\"\nimport \"internal/debug\"\n\narray.from(rows: [{v: 1}]) |> debug.sink()"],
    body: |call| Ok(transform(Discard, call.stream("tables")?, call)),
};

static NULL: Builtin = Builtin {
    package: PACKAGE,
    name: "null",
    signature: "(?type: string) => A",
    doc: "Null.",
    examples: &[
        "import \"array\"\nimport \"internal/debug\"\n\narray.from(rows: [{a: 1, v: exists debug.null(type: \"int\")}])",
    ],
    body: |call| {
        const TYPES: [&str; 10] =
            ["string", "bytes", "int", "uint", "float", "bool", "time", "duration", "regexp", "dynamic"];
        match call.optional_string("type")? {
            Some(name) if !TYPES.contains(&&*name) => Err(Error::invalid(format!("invalid null type {name:?}"))
                .with_hint(format!("the types are {}", TYPES.join(", ")))),
            _ => Ok(Value::Null),
        }
    },
};

static GET_OPTION: Builtin = Builtin {
    package: PACKAGE,
    name: "getOption",
    signature: "(pkg: string, name: string) => A",
    doc: "The value of an option of a package.",
    examples: &["import \"array\"\nimport \"internal/debug\"\n\n\
                 l = debug.getOption(pkg: \"universe\", name: \"location\")\n\narray.from(rows: [{zone: l.zone}])"],
    body: |call| {
        let (package, name) = (call.string("pkg")?, call.string("name")?);
        call.host
            .option(&package, &name)
            .ok_or_else(|| Error::invalid(format!("option {package}.{name} does not exist")))
    },
};

/// The package.
pub fn package() -> Package {
    Package {
        path: PACKAGE,
        builtins: vec![&GET_OPTION, &NULL, &OPAQUE, &PASS, &SINK, &SLURP],
        options: vec![("vectorize", Value::Bool(false))],
        ..Package::default()
    }
}
