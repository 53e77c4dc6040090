//! Package `internal/influxql`: the times at the ends of what InfluxQL knows.

use crate::flux::Value;
use crate::flux::library::Package;

/// The package.
pub fn package() -> Package {
    let constants =
        vec![("epoch", Value::Time(0)), ("maxTime", Value::Time(i64::MAX - 1)), ("minTime", Value::Time(i64::MIN + 2))];
    Package { path: "internal/influxql", constants, ..Package::default() }
}
