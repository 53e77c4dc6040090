//! Packages below `internal`: helpers of test cases.
//!
//! Listed in `functions`; a file per package.

mod debug;
mod influxql;
mod promql;
mod testing;

use crate::flux::Value;
use crate::flux::library::Package;

/// The packages.
pub fn packages() -> Vec<Package> {
    let constants = vec![("true", Value::Bool(true)), ("false", Value::Bool(false))];
    let boolean = Package { path: "internal/boolean", constants, ..Package::default() };
    vec![boolean, debug::package(), influxql::package(), promql::package(), testing::package()]
}
