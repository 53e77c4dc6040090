//! Packages `influxdata/influxdb/schema` and `influxdata/influxdb/v1`: `fieldsAsCols` (flux-semantics 6.2).
//!
//! Both packages have the function, and it is one function.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, transform};
use crate::operators::Pivot;

const SCHEMA: &str = "influxdata/influxdb/schema";
const V1: &str = "influxdata/influxdb/v1";

static FIELDS_AS_COLS: Builtin = fields_as_cols(
    SCHEMA,
    &[
        "import \"influxdata/influxdb/schema\"\n\nfrom(bucket: \"example\") |> range(start: -1h) |> schema.fieldsAsCols()",
    ],
);
static V1_FIELDS_AS_COLS: Builtin = fields_as_cols(
    V1,
    &["import \"influxdata/influxdb/v1\"\n\nfrom(bucket: \"example\") |> range(start: -1h) |> v1.fieldsAsCols()"],
);

const fn fields_as_cols(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin {
        package,
        name: "fieldsAsCols",
        signature: "(<-tables: stream[A]) => stream[B] where A: Record, B: Record",
        doc: "One row per time, one column per field: pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \
              \"_value\").",
        examples,
        body,
    }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    let tables = call.stream("tables")?;
    Ok(transform(Pivot::fields_as_columns(), tables, call))
}

/// The packages.
pub fn packages() -> [Package; 2] {
    [
        Package { path: SCHEMA, builtins: vec![&FIELDS_AS_COLS], ..Package::default() },
        Package { path: V1, builtins: vec![&V1_FIELDS_AS_COLS], ..Package::default() },
    ]
}
