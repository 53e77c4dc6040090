//! `from`: a bucket as a stream (flux-semantics 5.1).
//!
//! The bucket is resolved here; the read is bounded by `range`, and a read without one fails when it is planned.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, stream};
use crate::plan::NodeKind;
use crate::table::Name;

/// `from`, of `universe` and of `influxdata/influxdb`.
pub const fn from(package: &'static str) -> Builtin {
    Builtin {
        package,
        name: "from",
        signature: "(?bucket: string, ?bucketID: string, ?org: string, ?orgID: string, ?host: string, ?token: string) \
                    => stream[{B with _measurement: string, _field: string, _time: time, _value: A}]",
        doc: "Reads a bucket: one table per series and field. range must follow directly.",
        examples: &["from(bucket: \"example\") |> range(start: -1h)"],
        body,
    }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    refuse_remote(call)?;
    let bucket_name = match (call.optional_string("bucket")?, call.optional_string("bucketID")?) {
        (Some(name), None) | (None, Some(name)) => name,
        (None, None) => return Err(Error::invalid("must specify bucket or bucketID")),
        (Some(_), Some(_)) => return Err(Error::invalid("must specify only one of bucket or bucketID")),
    };
    let bucket: Name = call.host.world().bucket_id(&bucket_name)?;
    Ok(stream(NodeKind::From { bucket, bucket_name }, Vec::new(), call))
}

/// Reads and writes go to this server only: `host` and `token` would go to another one. An organization may be named and
/// is ignored, since there is one.
pub fn refuse_remote(call: &Call<'_>) -> Result<()> {
    if call.optional("org").is_some() && call.optional("orgID").is_some() {
        return Err(Error::invalid("must specify only one of org or orgID"));
    }
    for argument in ["host", "token"] {
        if call.optional(argument).is_some() {
            return Err(Error::unimplemented(format!(
                "{}({argument}: ...) to reach another server",
                call.builtin.name
            ))
            .with_hint(format!("without {argument} the bucket of this server is used")));
        }
    }
    call.optional_string("org")?;
    call.optional_string("orgID")?;
    Ok(())
}
