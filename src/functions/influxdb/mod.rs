//! Packages below `influxdata/influxdb`.
//!
//! Listed in `functions`. `influxdata/influxdb` itself holds the `from` and `to` of `universe` under a second name.

pub mod explore;
pub mod schema;
pub mod tasks;

use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::functions::universe::{buckets, from, to};

const PACKAGE: &str = "influxdata/influxdb";

static BUCKETS: Builtin = buckets::buckets(PACKAGE);
static FROM: Builtin = from::from(PACKAGE);
static TO: Builtin = to::to(PACKAGE);
static WIDE_TO: Builtin = to::wide_to(
    PACKAGE,
    "wideTo",
    &[
        "import \"influxdata/influxdb\"\nimport \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, _measurement: \"m\", host: \"a\", load: \
     1.5}])\n    |> group(columns: [\"_measurement\", \"host\"])\n    |> influxdb.wideTo(bucket: \"example\")",
    ],
);

/// The packages.
pub fn packages() -> Vec<Package> {
    let options = vec![(tasks::LAST_SUCCESS_TIME, Value::Null)];
    let mut packages = vec![
        Package {
            path: PACKAGE,
            builtins: vec![&BUCKETS, &explore::CARDINALITY, &FROM, &TO, &WIDE_TO],
            ..Package::default()
        },
        Package { path: tasks::PACKAGE, builtins: vec![&tasks::LAST_SUCCESS], options, ..Package::default() },
    ];
    packages.extend(schema::packages());
    packages
}
