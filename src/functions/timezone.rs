//! Package `timezone`: locations for `option location` and the argument of that name (flux-semantics 12.8).
//!
//! A location is a record `{zone, offset}`; whether there is such a zone is seen here already.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::Arguments;
use crate::time::{Duration, Location};

const PACKAGE: &str = "timezone";

static FIXED: Builtin = Builtin {
    package: PACKAGE,
    name: "fixed",
    signature: "(offset: duration) => {zone: string, offset: duration}",
    doc: "A clock that is always offset ahead of UTC.",
    examples: &["import \"array\"\nimport \"date\"\nimport \"timezone\"\n\narray.from(rows: [{h: date.hour(t: \
                 2024-01-01T00:00:00Z, location: timezone.fixed(offset: 5h))}])"],
    body: |call: &mut Call<'_>| Ok(location("UTC", call.duration("offset")?)),
};

static LOCATION: Builtin = Builtin {
    package: PACKAGE,
    name: "location",
    signature: "(name: string) => {zone: string, offset: duration}",
    doc: "A zone of the IANA database.",
    examples: &[
        "import \"array\"\nimport \"timezone\"\n\noption location = timezone.location(name: \"Europe/Berlin\")\n\n\
                 array.from(rows: [{_time: today()}])",
    ],
    body: named,
};

/// The package.
pub fn package() -> Package {
    Package {
        path: PACKAGE,
        builtins: vec![&FIXED, &LOCATION],
        constants: vec![("utc", location("UTC", Duration::ZERO))],
        options: Vec::new(),
    }
}

fn named(call: &mut Call<'_>) -> Result<Value> {
    let name = call.string("name")?;
    Location::named(&name)?;
    Ok(location(&name, Duration::ZERO))
}

/// A location as a record.
pub fn location(zone: &str, offset: Duration) -> Value {
    Value::record([("zone", Value::string(zone)), ("offset", Value::Duration(offset))])
}
