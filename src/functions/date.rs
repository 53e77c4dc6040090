//! Package `date`: parts of times, truncation, calendar sums (flux-semantics 12.2).
//!
//! Everything counts on the clock of a location: the argument, or else `option location`. Times may be given as durations
//! relative to now.

use chrono::{Datelike, NaiveDateTime, Timelike};

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, is_null, timeable};
use crate::functions::location::location;
use crate::time::{Duration, WindowSpec, calendar};

const PACKAGE: &str = "date";

const PART: &str = "(t: T, ?location: {zone: string, offset: duration}) => int where T: Timeable";
const FRACTION: &str = "(t: T) => int where T: Timeable";

const fn part(
    name: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature: PART, doc, examples, body }
}

const fn fraction(
    name: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature: FRACTION, doc, examples, body }
}

macro_rules! example {
    ($call:literal) => {
        &[concat!("import \"array\"\nimport \"date\"\n\narray.from(rows: [{v: ", $call, "}])")]
    };
}

static SECOND: Builtin =
    part("second", "The second of the minute, 0 to 59.", example!("date.second(t: 2024-01-31T12:30:45Z)"), |call| {
        local(call, |t| t.second().into())
    });
static MINUTE: Builtin =
    part("minute", "The minute of the hour, 0 to 59.", example!("date.minute(t: 2024-01-31T12:30:45Z)"), |call| {
        local(call, |t| t.minute().into())
    });
static HOUR: Builtin =
    part("hour", "The hour of the day, 0 to 23.", example!("date.hour(t: 2024-01-31T12:30:45Z)"), |call| {
        local(call, |t| t.hour().into())
    });
static WEEK_DAY: Builtin = part(
    "weekDay",
    "The day of the week, 0 (Sunday) to 6.",
    example!("date.weekDay(t: 2024-01-31T12:30:45Z)"),
    |call| local(call, |t| t.weekday().num_days_from_sunday().into()),
);
static MONTH_DAY: Builtin =
    part("monthDay", "The day of the month, 1 to 31.", example!("date.monthDay(t: 2024-01-31T12:30:45Z)"), |call| {
        local(call, |t| t.day().into())
    });
static YEAR_DAY: Builtin =
    part("yearDay", "The day of the year, 1 to 366.", example!("date.yearDay(t: 2024-01-31T12:30:45Z)"), |call| {
        local(call, |t| t.ordinal().into())
    });
static MONTH: Builtin =
    part("month", "The month of the year, 1 to 12.", example!("date.month(t: 2024-01-31T12:30:45Z)"), |call| {
        local(call, |t| t.month().into())
    });
static YEAR: Builtin =
    part("year", "The year.", example!("date.year(t: 2024-01-31T12:30:45Z)"), |call| local(call, |t| t.year().into()));
static WEEK: Builtin =
    part("week", "The ISO week of the year, 1 to 53.", example!("date.week(t: 2024-01-31T12:30:45Z)"), |call| {
        local(call, |t| t.iso_week().week().into())
    });
static QUARTER: Builtin =
    part("quarter", "The quarter of the year, 1 to 4.", example!("date.quarter(t: 2024-01-31T12:30:45Z)"), |call| {
        local(call, |t| i64::from(t.month0() / 3 + 1))
    });

static MILLISECOND: Builtin = fraction(
    "millisecond",
    "The milliseconds within the second, 0 to 999.",
    example!("date.millisecond(t: 2024-01-31T12:30:45.5Z)"),
    |call| within_second(call, 1_000_000),
);
static MICROSECOND: Builtin = fraction(
    "microsecond",
    "The microseconds within the second, 0 to 999999.",
    example!("date.microsecond(t: 2024-01-31T12:30:45.5Z)"),
    |call| within_second(call, 1_000),
);
static NANOSECOND: Builtin = fraction(
    "nanosecond",
    "The nanoseconds within the second, 0 to 999999999.",
    example!("date.nanosecond(t: 2024-01-31T12:30:45.5Z)"),
    |call| within_second(call, 1),
);

static TIME: Builtin = Builtin {
    package: PACKAGE,
    name: "time",
    signature: "(t: T, ?location: {zone: string, offset: duration}) => time where T: Timeable",
    doc: "What the location's clock reads at a time, or at now plus a duration, as a time.",
    examples: example!("date.time(t: -1h)"),
    body: |call| {
        if is_null(call, "t") {
            return Ok(Value::Null);
        }
        let time_ns = timeable(call, "t")?;
        Ok(Value::Time(location(call)?.to_local(time_ns)))
    },
};

static TRUNCATE: Builtin = Builtin {
    package: PACKAGE,
    name: "truncate",
    signature: "(t: T, unit: duration, ?location: {zone: string, offset: duration}) => time where T: Timeable",
    doc: "The start of the window of length unit that holds the time; weeks begin on Thursday, as windows do.",
    examples: example!("date.truncate(t: 2024-01-31T12:30:45Z, unit: 1mo)"),
    body: |call| {
        if is_null(call, "t") {
            return Ok(Value::Null);
        }
        let time_ns = timeable(call, "t")?;
        let windows = WindowSpec::aligned(call.duration("unit")?, Duration::ZERO, location(call)?)?;
        Ok(Value::Time(windows.boundary_at_or_before(time_ns)))
    },
};

static ADD: Builtin = Builtin {
    package: PACKAGE,
    name: "add",
    signature: "(d: duration, to: T, ?location: {zone: string, offset: duration}) => time where T: Timeable",
    doc: "The time that is d later on the clock of the location; a day that its month lacks becomes the last one.",
    examples: example!("date.add(d: 1mo, to: 2024-01-31T00:00:00Z)"),
    body: |call| moved(call, "to", false),
};

static SUB: Builtin = Builtin {
    package: PACKAGE,
    name: "sub",
    signature: "(d: duration, from: T, ?location: {zone: string, offset: duration}) => time where T: Timeable",
    doc: "The time that is d earlier on the clock of the location; a day that its month lacks becomes the last one.",
    examples: example!("date.sub(d: 1mo, from: 2024-03-31T00:00:00Z)"),
    body: |call| moved(call, "from", true),
};

static SCALE: Builtin = Builtin {
    package: PACKAGE,
    name: "scale",
    signature: "(d: duration, n: int) => duration",
    doc: "The duration n times.",
    examples: example!("string(v: date.scale(d: 1h, n: -3))"),
    body: |call| {
        if is_null(call, "d") || is_null(call, "n") {
            return Ok(Value::Null);
        }
        let (duration, factor) = (call.duration("d")?, call.int("n")?);
        let scaled = duration.checked_scale(factor);
        scaled.map(Value::Duration).ok_or_else(|| Error::invalid(format!("{duration} times {factor} is no duration")))
    },
};

/// The package.
pub fn package() -> Package {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let days = (0..).zip(DAYS).map(|(number, name)| (name, Value::Int(number)));
    let months = (1..).zip(MONTHS).map(|(number, name)| (name, Value::Int(number)));
    Package {
        path: PACKAGE,
        builtins: vec![
            &ADD,
            &HOUR,
            &MICROSECOND,
            &MILLISECOND,
            &MINUTE,
            &MONTH,
            &MONTH_DAY,
            &NANOSECOND,
            &QUARTER,
            &SCALE,
            &SECOND,
            &SUB,
            &TIME,
            &TRUNCATE,
            &WEEK,
            &WEEK_DAY,
            &YEAR,
            &YEAR_DAY,
        ],
        constants: days.chain(months).collect(),
        options: Vec::new(),
    }
}

/// A part of what the location's clock reads.
fn local(call: &mut Call<'_>, part: fn(NaiveDateTime) -> i64) -> Result<Value> {
    if is_null(call, "t") {
        return Ok(Value::Null);
    }
    let time_ns = timeable(call, "t")?;
    let local_ns = location(call)?.to_local(time_ns);
    Ok(Value::Int(part(calendar::naive(local_ns))))
}

fn within_second(call: &mut Call<'_>, unit_ns: i64) -> Result<Value> {
    if is_null(call, "t") {
        return Ok(Value::Null);
    }
    Ok(Value::Int(timeable(call, "t")?.rem_euclid(calendar::SECOND_NS) / unit_ns))
}

/// The time of an argument and the duration `d`, one after the other or one before.
pub(super) fn moved(call: &mut Call<'_>, from: &str, backwards: bool) -> Result<Value> {
    if is_null(call, "d") || is_null(call, from) {
        return Ok(Value::Null);
    }
    let time_ns = timeable(call, from)?;
    let duration = call.duration("d")?;
    shift(call, time_ns, if backwards { duration.negated() } else { duration })
}

/// The instant at which the location's clock reads what it reads at `time_ns`, plus a duration.
fn shift(call: &mut Call<'_>, time_ns: i64, duration: Duration) -> Result<Value> {
    let location = location(call)?;
    let outside = || Error::invalid(format!("{duration} from there leads out of the years 1677 to 2262"));
    let local_ns = duration.checked_add_to(location.to_local(time_ns)).ok_or_else(outside)?;
    Ok(Value::Time(location.to_utc(local_ns)))
}
