//! Packages `influxdata/influxdb/schema` and `influxdata/influxdb/v1`: `fieldsAsCols` (flux-semantics 6.2), and what is in
//! a bucket ([`super::explore`]).
//!
//! Both packages have the functions, and they are the same functions.

use super::explore;
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

static MEASUREMENTS: Builtin = explore::measurements(
    SCHEMA,
    &["import \"influxdata/influxdb/schema\"\n\nschema.measurements(bucket: \"example\")"],
);
static TAG_KEYS: Builtin =
    explore::tag_keys(SCHEMA, &["import \"influxdata/influxdb/schema\"\n\nschema.tagKeys(bucket: \"example\")"]);
static TAG_VALUES: Builtin = explore::tag_values(
    SCHEMA,
    &["import \"influxdata/influxdb/schema\"\n\nschema.tagValues(bucket: \"example\", tag: \"host\")"],
);
static FIELD_KEYS: Builtin =
    explore::field_keys(SCHEMA, &["import \"influxdata/influxdb/schema\"\n\nschema.fieldKeys(bucket: \"example\")"]);
static MEASUREMENT_TAG_KEYS: Builtin = explore::measurement_tag_keys(
    SCHEMA,
    &["import \"influxdata/influxdb/schema\"\n\nschema.measurementTagKeys(bucket: \"example\", measurement: \"m\")"],
);
static MEASUREMENT_TAG_VALUES: Builtin = explore::measurement_tag_values(
    SCHEMA,
    &[
        "import \"influxdata/influxdb/schema\"\n\nschema.measurementTagValues(bucket: \"example\", measurement: \"m\", tag: \"host\")",
    ],
);
static MEASUREMENT_FIELD_KEYS: Builtin = explore::measurement_field_keys(
    SCHEMA,
    &["import \"influxdata/influxdb/schema\"\n\nschema.measurementFieldKeys(bucket: \"example\", measurement: \"m\")"],
);
static V1_MEASUREMENTS: Builtin =
    explore::measurements(V1, &["import \"influxdata/influxdb/v1\"\n\nv1.measurements(bucket: \"example\")"]);
static V1_TAG_KEYS: Builtin =
    explore::tag_keys(V1, &["import \"influxdata/influxdb/v1\"\n\nv1.tagKeys(bucket: \"example\")"]);
static V1_TAG_VALUES: Builtin =
    explore::tag_values(V1, &["import \"influxdata/influxdb/v1\"\n\nv1.tagValues(bucket: \"example\", tag: \"host\")"]);
static V1_FIELD_KEYS: Builtin =
    explore::field_keys(V1, &["import \"influxdata/influxdb/v1\"\n\nv1.fieldKeys(bucket: \"example\")"]);
static V1_MEASUREMENT_TAG_KEYS: Builtin = explore::measurement_tag_keys(
    V1,
    &["import \"influxdata/influxdb/v1\"\n\nv1.measurementTagKeys(bucket: \"example\", measurement: \"m\")"],
);
static V1_MEASUREMENT_TAG_VALUES: Builtin = explore::measurement_tag_values(
    V1,
    &[
        "import \"influxdata/influxdb/v1\"\n\nv1.measurementTagValues(bucket: \"example\", measurement: \"m\", tag: \"host\")",
    ],
);
static V1_MEASUREMENT_FIELD_KEYS: Builtin = explore::measurement_field_keys(
    V1,
    &["import \"influxdata/influxdb/v1\"\n\nv1.measurementFieldKeys(bucket: \"example\", measurement: \"m\")"],
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
        Package {
            path: SCHEMA,
            builtins: vec![
                &FIELDS_AS_COLS,
                &FIELD_KEYS,
                &MEASUREMENTS,
                &MEASUREMENT_FIELD_KEYS,
                &MEASUREMENT_TAG_KEYS,
                &MEASUREMENT_TAG_VALUES,
                &TAG_KEYS,
                &TAG_VALUES,
            ],
            ..Package::default()
        },
        Package {
            path: V1,
            builtins: vec![
                &V1_FIELDS_AS_COLS,
                &V1_FIELD_KEYS,
                &V1_MEASUREMENTS,
                &V1_MEASUREMENT_FIELD_KEYS,
                &V1_MEASUREMENT_TAG_KEYS,
                &V1_MEASUREMENT_TAG_VALUES,
                &V1_TAG_KEYS,
                &V1_TAG_VALUES,
            ],
            ..Package::default()
        },
    ]
}
