//! Package `influxdata/influxdb/tasks`: `tasks.lastSuccess` (flux-semantics 5.5).
//!
//! The option `tasks.lastSuccessTime` is set by whoever runs a task, to the scheduled time of the newest slot before this
//! one that succeeded; without one, `orTime` is the answer.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::timeable;

/// The import path of the package.
pub const PACKAGE: &str = "influxdata/influxdb/tasks";
/// The option that holds the last success.
pub const LAST_SUCCESS_TIME: &str = "lastSuccessTime";

/// `tasks.lastSuccess`.
pub static LAST_SUCCESS: Builtin = Builtin {
    package: PACKAGE,
    name: "lastSuccess",
    signature: "(orTime: T) => time where T: Timeable",
    doc: "The scheduled time of the task's last successful run, or orTime if there is none: a time, or a duration relative \
          to now.",
    examples: &["import \"influxdata/influxdb/tasks\"\n\nfrom(bucket: \"example\") |> range(start: \
                 tasks.lastSuccess(orTime: -1h))"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let or_time = timeable(call, "orTime")?;
    match call.host.option(PACKAGE, LAST_SUCCESS_TIME) {
        Some(Value::Time(time_ns)) => Ok(Value::Time(time_ns)),
        None | Some(Value::Null) => Ok(Value::Time(or_time)),
        Some(other) => {
            Err(Error::invalid(format!("option tasks.lastSuccessTime is of type {}, expected time", other.type_name())))
        }
    }
}
