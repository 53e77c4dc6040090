//! Package `generate`: a table of made-up values over a range of time.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, stream, timeable};
use crate::plan::NodeKind;
use crate::table::builder::ChunkBuilder;
use crate::table::{Cell, ColumnType, Shape};

/// The most rows of one call.
const MOST_ROWS: i64 = 10_000_000;

static FROM: Builtin = Builtin {
    package: "generate",
    name: "from",
    signature: "(start: A, stop: A, count: int, fn: (n: int) => int) => stream[{_start: time, _stop: time, _time: time, \
                _value: int}] where A: Timeable",
    doc: "One table of count rows at equal steps from start; the value of row n is fn(n).",
    examples: &[
        "import \"generate\"\n\ngenerate.from(start: 2024-01-01T00:00:00Z, stop: 2024-01-01T00:01:00Z, count: 6, fn: \
                 (n) => n * n)",
    ],
    body,
};

/// The package.
pub fn package() -> Package {
    Package { path: "generate", builtins: vec![&FROM], ..Package::default() }
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    let (start_ns, stop_ns) = (timeable(call, "start")?, timeable(call, "stop")?);
    let (count, function) = (call.int("count")?, call.function("fn")?);
    if !(0..=MOST_ROWS).contains(&count) {
        return Err(Error::invalid(format!("generate.from makes 0 to {MOST_ROWS} rows, found count {count}")));
    }
    let columns = [
        ("_start", ColumnType::Time, true),
        ("_stop", ColumnType::Time, true),
        ("_time", ColumnType::Time, false),
        ("_value", ColumnType::Int, false),
    ];
    let mut builder =
        ChunkBuilder::new(Shape::new(columns.into_iter().map(|(name, kind, in_key)| (name.into(), kind, in_key))));
    builder.begin_table(0, [Cell::Time(start_ns), Cell::Time(stop_ns)])?;
    let span = i128::from(stop_ns) - i128::from(start_ns);
    let step = if count > 0 { span / i128::from(count) } else { 0 };
    for number in 0..count {
        let time_ns = i64::try_from(i128::from(start_ns) + step * i128::from(number));
        let time_ns = time_ns.map_err(|_| Error::invalid("generate.from leads out of the years 1677 to 2262"))?;
        let value = match call.host.call(&function, vec![("n".into(), Value::Int(number))])? {
            Value::Int(value) => Cell::Int(value),
            Value::Null => Cell::Null,
            other => {
                let found = other.type_name();
                return Err(Error::invalid(format!("function must return type integer, but got {found}")));
            }
        };
        builder.push_row([Cell::Time(time_ns), value])?;
    }
    builder.end_table();
    Ok(stream(NodeKind::Rows(builder.finish()), Vec::new(), call))
}
