//! Packages `date/boundaries` and `experimental/date/boundaries`: days, weeks and months near now as ranges of time.
//!
//! Each function gives a record `{start, stop}` on the clock of option `location`. The package moved in Flux's history,
//! and is the same under both paths.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::Arguments;
use crate::functions::location::location;
use crate::time::calendar::DAY_NS;
use crate::time::{Duration, Location, WindowSpec};

const OLD: &str = "date/boundaries";
const NEW: &str = "experimental/date/boundaries";

const RANGE: &str = "() => {start: time, stop: time}";

type Body = fn(&mut Call<'_>) -> Result<Value>;

const fn builtin(
    package: &'static str,
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: Body,
) -> Builtin {
    Builtin { package, name, signature, doc, examples, body }
}

macro_rules! functions {
    ($list:ident, $path:ident, $import:literal) => {
        static $list: &[Builtin] = &[
            functions!(day $path, $import, "friday", "The last Friday before today.", 5),
            functions!(day $path, $import, "monday", "The last Monday before today.", 1),
            builtin(
                $path,
                "month",
                "(?month_offset: int) => {start: time, stop: time}",
                "This month, or one month_offset months later (earlier if negative).",
                &[functions!(example $import, "month(month_offset: -1)")],
                month,
            ),
            functions!(day $path, $import, "saturday", "The last Saturday before today.", 6),
            functions!(day $path, $import, "sunday", "The last Sunday before today.", 0),
            functions!(day $path, $import, "thursday", "The last Thursday before today.", 4),
            functions!(day $path, $import, "tuesday", "The last Tuesday before today.", 2),
            functions!(day $path, $import, "wednesday", "The last Wednesday before today.", 3),
            builtin(
                $path,
                "week",
                "(?week_offset: int, ?start_sunday: bool) => {start: time, stop: time}",
                "This week from Monday (or Sunday) on, or one week_offset weeks later (earlier if negative).",
                &[functions!(example $import, "week(start_sunday: true)")],
                week,
            ),
            builtin(
                $path,
                "yesterday",
                RANGE,
                "The day before today.",
                &[functions!(example $import, "yesterday()")],
                yesterday,
            ),
        ];
    };
    (day $path:ident, $import:literal, $name:literal, $doc:literal, $day:literal) => {
        builtin(
            $path,
            $name,
            RANGE,
            $doc,
            &[functions!(example $import, concat!($name, "()"))],
            |call| day_before_today(call, $day),
        )
    };
    (example $import:literal, $call:expr) => {
        concat!(
            "import \"array\"\nimport \"",
            $import,
            "\"\n\noption now = () => 2024-05-17T10:30:00Z\n\narray.from(rows: [boundaries.",
            $call,
            "])"
        )
    };
}

functions!(OLD_FUNCTIONS, OLD, "date/boundaries");
functions!(NEW_FUNCTIONS, NEW, "experimental/date/boundaries");

/// The packages.
pub fn packages() -> [Package; 2] {
    let package = |path, functions: &'static [Builtin]| Package {
        path,
        builtins: functions.iter().collect(),
        ..Package::default()
    };
    [package(OLD, OLD_FUNCTIONS), package(NEW, NEW_FUNCTIONS)]
}

/// What the calls count with: the clock, and the start of today on it.
struct Days {
    location: Location,
    today_ns: i64,
}

impl Days {
    fn of(call: &mut Call<'_>) -> Result<Days> {
        let location = location(call)?;
        let now_ns = call.host.now_ns()?;
        Ok(Days { location, today_ns: truncate(now_ns, days(1), location)? })
    }

    /// The instant at which the clock reads what it reads at `time_ns`, some days or months later.
    fn add(&self, time_ns: i64, duration: Duration) -> Result<i64> {
        let local = duration.checked_add_to(self.location.to_local(time_ns));
        let local =
            local.ok_or_else(|| Error::invalid(format!("{duration} from there leads out of the years 1677 to 2262")));
        Ok(self.location.to_utc(local?))
    }

    /// The day of the week, 0 for Sunday.
    fn week_day(&self, time_ns: i64) -> i64 {
        // 1970-01-01 was a Thursday.
        (self.location.to_local(time_ns).div_euclid(DAY_NS) + 4).rem_euclid(7)
    }

    /// The start of the last day of that name before the one that `time_ns` begins.
    fn before(&self, time_ns: i64, week_day: i64) -> Result<i64> {
        let back = (self.week_day(time_ns) - week_day - 1).rem_euclid(7) + 1;
        truncate(self.add(time_ns, days(-back))?, days(1), self.location)
    }

    fn range(&self, start_ns: i64, length: Duration) -> Result<Value> {
        let stop_ns = self.add(start_ns, length)?;
        Ok(Value::record([("start", Value::Time(start_ns)), ("stop", Value::Time(stop_ns))]))
    }
}

fn days(count: i64) -> Duration {
    Duration::from_nanoseconds(count.saturating_mul(DAY_NS))
}

fn truncate(time_ns: i64, unit: Duration, location: Location) -> Result<i64> {
    Ok(WindowSpec::aligned(unit, Duration::ZERO, location)?.boundary_at_or_before(time_ns))
}

fn day_before_today(call: &mut Call<'_>, week_day: i64) -> Result<Value> {
    let clock = Days::of(call)?;
    clock.range(clock.before(clock.today_ns, week_day)?, days(1))
}

fn yesterday(call: &mut Call<'_>) -> Result<Value> {
    let clock = Days::of(call)?;
    clock.range(clock.add(clock.today_ns, days(-1))?, days(1))
}

fn month(call: &mut Call<'_>) -> Result<Value> {
    let offset = call.int_or("month_offset", 0)?;
    let clock = Days::of(call)?;
    let this = truncate(clock.today_ns, Duration::from_months(1), clock.location)?;
    clock.range(clock.add(this, Duration::from_months(offset))?, Duration::from_months(1))
}

fn week(call: &mut Call<'_>) -> Result<Value> {
    let offset = call.int_or("week_offset", 0)?;
    let first = if call.bool_or("start_sunday", false)? { 0 } else { 1 };
    let clock = Days::of(call)?;
    let then = clock.add(clock.today_ns, days(offset.saturating_mul(7)))?;
    let mut start_ns = clock.before(then, first)?;
    // Today may be the first day of its week.
    if clock.week_day(clock.today_ns) == first {
        start_ns = clock.add(start_ns, days(7))?;
    }
    clock.range(start_ns, days(7))
}
