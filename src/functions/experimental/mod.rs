//! Packages below `experimental`, and `experimental` itself.
//!
//! Listed in `functions`; a file per function or family.

pub mod align_time;
mod array;
pub mod catch;
pub mod diff;
pub mod durations;
mod dynamic;
pub mod object;
mod record;
pub mod table;
pub mod tables;
pub mod unpivot;
pub mod value;
pub mod window;

use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::functions::join;
use crate::functions::universe::to::wide_to;

/// The import path of the package itself.
pub const PACKAGE: &str = "experimental";

static TO: Builtin = wide_to(
    PACKAGE,
    "to",
    &[
        "import \"experimental\"\nimport \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, _measurement: \"m\", host: \"a\", load: \
     1.5}])\n    |> group(columns: [\"_measurement\", \"host\"])\n    |> experimental.to(bucket: \"example\")",
    ],
);

/// The packages.
pub fn packages() -> Vec<Package> {
    vec![
        Package {
            path: PACKAGE,
            builtins: vec![
                &durations::ADD_DURATION,
                &align_time::ALIGN_TIME,
                &catch::CATCH,
                &value::COUNT,
                &diff::DIFF,
                &value::DISTINCT,
                &value::FILL,
                &value::FIRST,
                &tables::GROUP,
                &value::HISTOGRAM,
                &value::HISTOGRAM_QUANTILE,
                &value::INTEGRAL,
                &join::EXPERIMENTAL_JOIN,
                &value::KAUFMANS_AMA,
                &value::LAST,
                &value::MAX,
                &value::MEAN,
                &value::MIN,
                &value::MODE,
                &object::OBJECT_KEYS,
                &tables::PREVIEW,
                &value::QUANTILE,
                &object::SET,
                &value::SKEW,
                &value::SPREAD,
                &value::STDDEV,
                &durations::SUB_DURATION,
                &value::SUM,
                &TO,
                &value::UNIQUE,
                &unpivot::UNPIVOT,
                &window::WINDOW,
            ],
            ..Package::default()
        },
        array::package(),
        dynamic::package(),
        record::package(),
        table::package(),
    ]
}
