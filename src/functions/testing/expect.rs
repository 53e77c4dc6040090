//! Package `testing/expect`: what a test case expects of the planner.
//!
//! Its rules are another engine's; they are accepted and say nothing here.

use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::functions::arguments::Arguments;

static PLANNER: Builtin = Builtin {
    package: "testing/expect",
    name: "planner",
    signature: "(rules: [string: int]) => {}",
    doc: "Accepted without effect: how often a rule of another engine's planner is expected to apply.",
    examples: &["import \"array\"\nimport \"testing/expect\"\n\nexpect.planner(rules: [\"PushDownRule\": 1])\n\n\
                 array.from(rows: [{v: 1}])"],
    body: |call| match call.required("rules")? {
        Value::Dict(_) => Ok(Value::record::<&str>([])),
        other => Err(call.mismatch("rules", "dictionary", other)),
    },
};

/// The package.
pub fn package() -> Package {
    Package { path: "testing/expect", builtins: vec![&PLANNER], ..Package::default() }
}
