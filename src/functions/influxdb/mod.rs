//! Packages below `influxdata/influxdb`.
//!
//! Listed in `functions`. `influxdata/influxdb` itself holds the `from` and `to` of `universe` under a second name.

pub mod schema;
pub mod tasks;

use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::functions::universe::{from, to};

const PACKAGE: &str = "influxdata/influxdb";

static FROM: Builtin = from::from(PACKAGE);
static TO: Builtin = to::to(PACKAGE);

/// The packages.
pub fn packages() -> Vec<Package> {
    let options = vec![(tasks::LAST_SUCCESS_TIME, Value::Null)];
    let mut packages = vec![
        Package { path: PACKAGE, builtins: vec![&FROM, &TO], ..Package::default() },
        Package { path: tasks::PACKAGE, builtins: vec![&tasks::LAST_SUCCESS], options, ..Package::default() },
    ];
    packages.extend(schema::packages());
    packages
}
