//! `today`: midnight before `now` (flux-semantics 3).

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::location::location;
use crate::time::calendar::DAY_NS;
use crate::time::{Duration, WindowSpec};

/// `today`.
pub static TODAY: Builtin = Builtin {
    package: PRELUDE,
    name: "today",
    signature: "() => time",
    doc: "The start of the day of now, in the zone of option location.",
    examples: &["import \"array\"\n\noption now = () => 2024-05-17T10:30:00Z\n\narray.from(rows: [{_time: today()}])"],
    body,
};

fn body(call: &mut Call<'_>) -> Result<Value> {
    let days = WindowSpec::aligned(Duration::from_nanoseconds(DAY_NS), Duration::ZERO, location(call)?)?;
    let now_ns = call.host.now_ns()?;
    Ok(Value::Time(days.boundary_at_or_before(now_ns)))
}
