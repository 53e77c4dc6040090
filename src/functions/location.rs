//! The location of a call: the argument `location`, or else the option of that name.
//!
//! Used by whatever counts in calendar days. A location is a record `{zone: string, offset: duration}`.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::Call;
use crate::flux::library::PRELUDE;
use crate::time::{Duration, Location};

/// The location that a call counts in.
pub fn location(call: &mut Call<'_>) -> Result<Location> {
    let value = match call.optional("location") {
        Some(value) => Some(value.clone()),
        None => call.host.option(PRELUDE, "location"),
    };
    let record = match value {
        None => return Ok(Location::UTC),
        Some(Value::Record(record)) => record,
        Some(other) => return Err(wrong(&format!("found {}", other.type_name()))),
    };
    let zone = match record.get("zone") {
        Some(Value::String(zone)) => zone.clone(),
        _ => return Err(wrong("zone is no string")),
    };
    let offset = match record.get("offset") {
        Some(Value::Duration(offset)) => *offset,
        None => Duration::ZERO,
        Some(_) => return Err(wrong("offset is no duration")),
    };
    Location::from_record(&zone, offset)
}

fn wrong(found: &str) -> Error {
    Error::invalid(format!("expected a location {{zone: string, offset: duration}}, {found}"))
        .with_hint("timezone.location(name: \"Europe/Berlin\") makes one")
}
