//! `to`, `wideTo`: write a stream's rows to a bucket as points and pass them on (flux-semantics 5.3, 5.4).
//!
//! The points are staged while the script runs and appended by whoever runs it, after the whole script has succeeded.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::Arguments;
use crate::functions::universe::from::refuse_remote;
use crate::plan::{Node, NodeKind, RowFunction, ToSpec};
use crate::table::Name;

/// `to`, of `universe` and of `influxdata/influxdb`.
pub const fn to(package: &'static str) -> Builtin {
    Builtin {
        package,
        name: "to",
        signature: "(<-tables: stream[A], ?bucket: string, ?bucketID: string, ?org: string, ?orgID: string, \
                    ?host: string, ?token: string, ?timeColumn: string, ?measurementColumn: string, \
                    ?tagColumns: [string], ?fieldFn: (r: A) => B) => stream[A] where A: Record, B: Record",
        doc: "Writes the rows to a bucket as points and passes them on. Tags are the string columns, unless tagColumns \
              lists them; fields are `_field` and `_value`, unless fieldFn makes them.",
        examples: &["import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, _measurement: \"m\", \
                     _field: \"f\", _value: 1.5, host: \"a\"}]) |> to(bucket: \"example\")"],
        body,
    }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    refuse_remote(call)?;
    let tables = call.stream("tables")?;
    let bucket_name = bucket_name(call)?;
    let field_fn = match call.optional_closure("fieldFn")? {
        Some(closure) => Some(RowFunction { closure, hosts: call.host.row_hosts() }),
        None => None,
    };
    let spec = ToSpec {
        bucket: call.host.world().bucket_id(&bucket_name)?,
        bucket_name,
        time_column: call.optional_string("timeColumn")?.unwrap_or_else(|| "_time".into()),
        measurement_column: call.optional_string("measurementColumn")?.unwrap_or_else(|| "_measurement".into()),
        tag_columns: call.optional_strings("tagColumns")?,
        field_fn,
        wide: false,
    };
    write(call, tables, spec)
}

/// `wideTo` of `universe` and of `influxdata/influxdb`, `to` of `experimental`.
pub const fn wide_to(package: &'static str, name: &'static str, examples: &'static [&'static str]) -> Builtin {
    Builtin {
        package,
        name,
        signature: "(<-tables: stream[A], ?bucket: string, ?bucketID: string, ?org: string, ?orgID: string, \
                    ?host: string, ?token: string) => stream[A] where A: Record",
        doc: "Writes pivoted rows to a bucket as points and passes them on: the columns of the group key are tags, all \
              others but _time are fields.",
        examples,
        body: wide_body,
    }
}

fn wide_body(call: &mut Call<'_>) -> Result<Value> {
    refuse_remote(call)?;
    let tables = call.stream("tables")?;
    let bucket_name = bucket_name(call)?;
    let spec = ToSpec {
        bucket: call.host.world().bucket_id(&bucket_name)?,
        bucket_name,
        time_column: "_time".into(),
        measurement_column: "_measurement".into(),
        tag_columns: None,
        field_fn: None,
        wide: true,
    };
    write(call, tables, spec)
}

/// The bucket as the script names it.
fn bucket_name(call: &Call<'_>) -> Result<Name> {
    let name = call.builtin.name;
    match (call.optional_string("bucket")?, call.optional_string("bucketID")?) {
        (Some(bucket), None) | (None, Some(bucket)) => Ok(bucket),
        (None, None) => Err(Error::invalid(format!("missing required argument bucket (or bucketID) of {name}"))),
        (Some(_), Some(_)) => Err(Error::invalid(format!(
            "cannot provide both `bucket` and `bucketID` parameters to the `{name}` function"
        ))),
    }
}

fn write(call: &mut Call<'_>, tables: Arc<Node>, spec: ToSpec) -> Result<Value> {
    let node = Arc::new(Node { kind: NodeKind::To(Arc::new(spec)), inputs: vec![tables], span: call.span });
    call.host.side_effect(Arc::clone(&node) as Arc<dyn crate::flux::value::Stream>);
    Ok(Value::Stream(node))
}
