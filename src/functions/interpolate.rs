//! Package `interpolate`: values between the rows of tables.

use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Interpolate;
use crate::time::{Duration, Location, WindowSpec};

static LINEAR: Builtin = Builtin {
    package: "interpolate",
    name: "linear",
    signature: "(<-tables: stream[{T with _time: time, _value: float}], every: duration) => stream[{T with _time: time, \
                _value: float}]",
    doc: "Adds a row for each multiple of every that lies between two rows of a table, on the straight line between them.",
    examples: &[
        "import \"array\"\nimport \"interpolate\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, _value: 0.0}, \
                 {_time: 2024-01-01T00:03:00Z, _value: 3.0}])\n    |> interpolate.linear(every: 1m)",
    ],
    body: |call| {
        let tables = call.stream("tables")?;
        let grid = WindowSpec::aligned(call.duration("every")?, Duration::ZERO, Location::UTC)?;
        Ok(transform(Interpolate { grid }, tables, call))
    },
};

/// The package.
pub fn package() -> Package {
    Package { path: "interpolate", builtins: vec![&LINEAR], ..Package::default() }
}
