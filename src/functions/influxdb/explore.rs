//! What is in a bucket: `measurements`, `tagKeys`, `tagValues`, `fieldKeys` and their `measurement...` forms, of the
//! packages `schema` and `v1`; `influxdb.cardinality`.
//!
//! They read the series of a range, by default the last 30 days.

use std::sync::{Arc, LazyLock};

use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::value::{Closure, Scope};
use crate::functions::arguments::{Arguments, transform, transform_node};
use crate::functions::universe::from::refuse_remote;
use crate::functions::universe::range::instant;
use crate::operators::filter::{Filter, OnEmpty};
use crate::operators::{RowFunction, Survey};
use crate::plan::{Node, NodeKind};
use crate::syntax::ast::{ExprKind, FunctionExpr, Statement};
use crate::table::Bounds;
use crate::table::scan::SourceRef;

/// Where a range starts that a script does not give.
const DEFAULT_START_NS: i64 = -30 * 24 * 3600 * 1_000_000_000;

const BUCKET: &str = "(bucket: string, ?start: A, ?stop: B) => stream[{_value: string}]";
const WITH_PREDICATE: &str =
    "(bucket: string, ?predicate: (r: C) => bool, ?start: A, ?stop: B) => stream[{_value: string}] where C: Record";
const MEASUREMENT: &str = "(bucket: string, measurement: string, ?start: A, ?stop: B) => stream[{_value: string}]";

/// `measurements`.
pub const fn measurements(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    let doc = "The names of the measurements in a bucket, in a range (default the last 30 days).";
    Builtin {
        package,
        name: "measurements",
        signature: BUCKET,
        doc,
        examples,
        body: |call| values(call, "_measurement"),
    }
}

/// `tagKeys`.
pub const fn tag_keys(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    let doc = "The names of the columns of the group key in a bucket: tags, _field, _measurement, _start and _stop.";
    Builtin { package, name: "tagKeys", signature: WITH_PREDICATE, doc, examples, body: keys }
}

/// `tagValues`.
pub const fn tag_values(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin {
        package,
        name: "tagValues",
        signature: "(bucket: string, tag: string, ?predicate: (r: C) => bool, ?start: A, ?stop: B) => \
                    stream[{_value: string}] where C: Record",
        doc: "The values of a tag in a bucket, of the series for which predicate is true.",
        examples,
        body: |call| {
            let tag = call.string("tag")?;
            values(call, &tag)
        },
    }
}

/// `fieldKeys`.
pub const fn field_keys(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    let doc = "The names of the fields in a bucket, of the series for which predicate is true.";
    Builtin {
        package,
        name: "fieldKeys",
        signature: WITH_PREDICATE,
        doc,
        examples,
        body: |call| values(call, "_field"),
    }
}

/// `measurementTagKeys`.
pub const fn measurement_tag_keys(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    let doc = "The names of the columns of the group key of a measurement.";
    Builtin { package, name: "measurementTagKeys", signature: MEASUREMENT, doc, examples, body: keys }
}

/// `measurementTagValues`.
pub const fn measurement_tag_values(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin {
        package,
        name: "measurementTagValues",
        signature: "(bucket: string, measurement: string, tag: string, ?start: A, ?stop: B) => stream[{_value: string}]",
        doc: "The values of a tag of a measurement.",
        examples,
        body: |call| {
            let tag = call.string("tag")?;
            values(call, &tag)
        },
    }
}

/// `measurementFieldKeys`.
pub const fn measurement_field_keys(package: &'static str, examples: &'static [&'static str]) -> Builtin {
    let doc = "The names of the fields of a measurement.";
    let body: fn(&mut Call<'_>) -> Result<Value> = |call| values(call, "_field");
    Builtin { package, name: "measurementFieldKeys", signature: MEASUREMENT, doc, examples, body }
}

/// `influxdb.cardinality`.
pub static CARDINALITY: Builtin = Builtin {
    package: super::PACKAGE,
    name: "cardinality",
    signature: "(?bucket: string, ?bucketID: string, ?org: string, ?orgID: string, ?host: string, ?token: string, start: A, \
                ?stop: B, ?predicate: (r: C) => bool) => stream[{_start: time, _stop: time, _value: int}] where C: Record",
    doc: "The number of series (a measurement, its tags and a field) with points in a range.",
    examples: &["import \"influxdata/influxdb\"\n\ninfluxdb.cardinality(bucket: \"example\", start: -1h)"],
    body: cardinality,
};

fn values(call: &mut Call<'_>, column: &str) -> Result<Value> {
    let series = series(call)?;
    Ok(transform(Survey::Values(column.into()), series, call))
}

fn keys(call: &mut Call<'_>) -> Result<Value> {
    let series = series(call)?;
    Ok(transform(Survey::Keys, series, call))
}

fn cardinality(call: &mut Call<'_>) -> Result<Value> {
    refuse_remote(call)?;
    let series = series(call)?;
    Ok(transform(Survey::Tables, series, call))
}

/// The series that a call asks for: bucket, range, predicate, measurement.
fn series(call: &mut Call<'_>) -> Result<Arc<Node>> {
    let name = call.builtin.name;
    let bucket_name = match (call.optional_string("bucket")?, call.optional_string("bucketID")?) {
        (Some(bucket), None) | (None, Some(bucket)) => bucket,
        (None, None) => return Err(Error::invalid(format!("missing required argument bucket of {name}"))),
        (Some(_), Some(_)) => return Err(Error::invalid("must specify only one of bucket or bucketID")),
    };
    let bucket = call.host.world().bucket_id(&bucket_name)?;
    let now_ns = call.host.now_ns()?;
    let start_ns = match call.optional("start") {
        Some(start) => instant(start, now_ns)?,
        None => now_ns.saturating_add(DEFAULT_START_NS),
    };
    let stop_ns = match call.optional("stop") {
        Some(stop) => instant(stop, now_ns)?,
        None => now_ns,
    };
    let source = SourceRef { bucket, bounds: Bounds { start_ns, stop_ns } };
    let mut node = Arc::new(Node { kind: NodeKind::Source(source), inputs: Vec::new(), span: call.span });
    if let Some(measurement) = call.optional_string("measurement")? {
        let names = IndexMap::from([("measurement".into(), Value::String(measurement))]);
        let scope = Arc::new(Scope { names, outer: None });
        let closure = Arc::new(Closure { function: of_measurement()?, scope });
        let function = RowFunction { closure, hosts: call.host.row_hosts() };
        node = transform_node(Filter::new(function, OnEmpty::Drop), node, call);
    }
    if let Some(closure) = call.optional_closure("predicate")? {
        let function = RowFunction { closure, hosts: call.host.row_hosts() };
        node = transform_node(Filter::new(function, OnEmpty::Drop), node, call);
    }
    Ok(node)
}

/// The condition on the measurement, which a store can decide.
fn of_measurement() -> Result<Arc<FunctionExpr>> {
    static FUNCTION: LazyLock<Option<Arc<FunctionExpr>>> = LazyLock::new(|| {
        let parsed = crate::syntax::parse("(r) => r._measurement == measurement");
        parsed.file.body.iter().find_map(|statement| match statement {
            Statement::Expression(expr) => match &expr.kind {
                ExprKind::Function(function) => Some(Arc::clone(function)),
                _ => None,
            },
            _ => None,
        })
    });
    FUNCTION.clone().ok_or_else(|| Error::internal("a condition that is no function"))
}
