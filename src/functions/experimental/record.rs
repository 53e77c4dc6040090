//! Package `experimental/record`: a property whose name is known at run time only.

use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::functions::arguments::Arguments;

const PACKAGE: &str = "experimental/record";

static GET: Builtin = Builtin {
    package: PACKAGE,
    name: "get",
    signature: "(r: A, key: string, default: B) => B where A: Record",
    doc: "The property of a name, or the default if the record has none.",
    examples: &[
        "import \"array\"\nimport \"experimental/record\"\n\narray.from(rows: [{v: record.get(r: {a: 1}, key: \
                 \"b\", default: 0)}])",
    ],
    body: |call| {
        let (record, key) = (call.record("r")?, call.string("key")?);
        let default = call.required("default")?;
        Ok(record.get(&key).unwrap_or(default).clone())
    },
};

/// The package.
pub fn package() -> Package {
    let constants = vec![("any", Value::record::<&str>([]))];
    Package { path: PACKAGE, builtins: vec![&GET], constants, ..Package::default() }
}
