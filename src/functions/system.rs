//! Package `system`: `system.time`.
//!
//! The one function that sees the wall clock; `now()` is the time of the run.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;

/// `system.time`.
pub static TIME: Builtin = Builtin {
    package: "system",
    name: "time",
    signature: "() => time",
    doc: "The wall clock at each call; `now` is the time of the run.",
    examples: &["import \"array\"\nimport \"system\"\n\narray.from(rows: [{_time: system.time()}])"],
    body,
};

/// The package.
pub fn package() -> Package {
    Package { path: "system", builtins: vec![&TIME], ..Package::default() }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    Ok(Value::Time(call.host.world().wall_clock_ns()))
}
