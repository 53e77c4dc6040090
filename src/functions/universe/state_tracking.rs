//! `stateCount`, `stateDuration`, `stateTracking`: how long a condition has held.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::functions::arguments::{Arguments, transform, unit_ns};
use crate::operators::{RowFunction, StateTracking};
use crate::table::Name;

/// `stateCount`.
pub static STATE_COUNT: Builtin = Builtin {
    package: PRELUDE,
    name: "stateCount",
    signature: "(<-tables: stream[A], fn: (r: A) => bool, ?column: string) => stream[B] where A: Record, B: Record",
    doc: "For how many rows in a row fn has been true, in a column (default stateCount); -1 where it is not.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{v: 1}, {v: 5}, {v: 6}])\n    |> stateCount(fn: (r) => r.v > 3)",
    ],
    body: state_count,
};

/// `stateDuration`.
pub static STATE_DURATION: Builtin = Builtin {
    package: PRELUDE,
    name: "stateDuration",
    signature: "(<-tables: stream[A], fn: (r: A) => bool, ?column: string, ?timeColumn: string, ?unit: duration) => \
                stream[B] where A: Record, B: Record",
    doc: "For how long fn has been true, in units (default 1s), in a column (default stateDuration); -1 where it is not.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, v: 5}, {_time: 2024-01-01T00:01:00Z, v: \
                 6}])\n    |> stateDuration(fn: (r) => r.v > 3)",
    ],
    body: state_duration,
};

/// `stateTracking`.
pub static STATE_TRACKING: Builtin = Builtin {
    package: PRELUDE,
    name: "stateTracking",
    signature: "(<-tables: stream[A], fn: (r: A) => bool, ?countColumn: string, ?durationColumn: string, ?durationUnit: \
                duration, ?timeColumn: string) => stream[B] where A: Record, B: Record",
    doc: "For how many rows and for how long fn has been true, each in a column if it is named; -1 where it is not.",
    examples: &[
        "import \"array\"\n\narray.from(rows: [{_time: 2024-01-01T00:00:00Z, v: 5}, {_time: 2024-01-01T00:01:00Z, v: \
                 6}])\n    |> stateTracking(fn: (r) => r.v > 3, countColumn: \"n\", durationColumn: \"s\")",
    ],
    body: state_tracking,
};

fn state_count(call: &mut Call<'_>) -> Result<Value> {
    let count = call.optional_string("column")?.unwrap_or_else(|| "stateCount".into());
    track(call, Some(count), None, "unit")
}

fn state_duration(call: &mut Call<'_>) -> Result<Value> {
    let duration = call.optional_string("column")?.unwrap_or_else(|| "stateDuration".into());
    track(call, None, Some(duration), "unit")
}

fn state_tracking(call: &mut Call<'_>) -> Result<Value> {
    let given = |name: Option<Name>| name.filter(|name| !name.is_empty());
    let count = given(call.optional_string("countColumn")?);
    let duration = given(call.optional_string("durationColumn")?);
    track(call, count, duration, "durationUnit")
}

fn track(call: &mut Call<'_>, count: Option<Name>, duration: Option<Name>, unit: &str) -> Result<Value> {
    let tables = call.stream("tables")?;
    let tracking = StateTracking {
        name: call.builtin.name,
        function: RowFunction { closure: call.closure("fn")?, hosts: call.host.row_hosts() },
        count_column: count,
        duration_column: duration,
        unit_ns: unit_ns(call, unit)?,
        time_column: call.optional_string("timeColumn")?.unwrap_or_else(|| "_time".into()),
    };
    Ok(transform(tracking.checked()?, tables, call))
}
