//! `now`: the time of the run (flux-semantics 3).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};

/// `now`.
pub static NOW: Builtin = Builtin {
    package: "universe",
    name: "now",
    signature: "() => time",
    doc: "The time of the run, the same wherever it is asked for: the scheduled time of a task's run, or `option now`.",
    examples: &["import \"array\"\n\narray.from(rows: [{_time: now()}])"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    Ok(Value::Time(call.host.now_ns()?))
}
