//! Package `experimental/table`: `table.fill`.

use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::TableFill;

const PACKAGE: &str = "experimental/table";

static FILL: Builtin = Builtin {
    package: PACKAGE,
    name: "fill",
    signature: "(<-tables: stream[A]) => stream[A] where A: Record",
    doc: "Gives each table without rows a row, with the values of its key and null elsewhere.",
    examples: &["import \"experimental/table\"\n\nfrom(bucket: \"example\")\n    |> range(start: -1h)\n    |> \
                 window(every: 5m, createEmpty: true)\n    |> last()\n    |> table.fill()"],
    body: |call| {
        let tables = call.stream("tables")?;
        Ok(transform(TableFill, tables, call))
    },
};

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: vec![&FILL], ..Package::default() }
}
