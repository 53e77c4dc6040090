//! Packages `planner` and `profiler`: options of another engine that scripts set; they are accepted and change nothing.

use crate::flux::Value;
use crate::flux::library::Package;

/// The packages.
pub fn packages() -> [Package; 2] {
    let names = || Value::Array(vec![Value::string("")].into());
    [
        Package {
            path: "planner",
            options: vec![("disableLogicalRules", names()), ("disablePhysicalRules", names())],
            ..Package::default()
        },
        Package { path: "profiler", options: vec![("enabledProfilers", names())], ..Package::default() },
    ]
}
