//! Package `runtime`: what runs the script.

use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::Package;

static VERSION: Builtin = Builtin {
    package: "runtime",
    name: "version",
    signature: "() => string",
    doc: "The version of fluxmill.",
    examples: &["import \"array\"\nimport \"runtime\"\n\narray.from(rows: [{v: runtime.version()}])"],
    body: |_| Ok(Value::string(concat!("fluxmill ", env!("CARGO_PKG_VERSION")))),
};

/// The package.
pub fn package() -> Package {
    Package { path: "runtime", builtins: vec![&VERSION], ..Package::default() }
}
