//! The windows that a call describes: the arguments `every`, `period`, `offset` and `location`.
//!
//! Used by whatever cuts time into windows.

use crate::error::Result;
use crate::flux::builtin::Call;
use crate::functions::arguments::Arguments;
use crate::functions::location::location;
use crate::table::scan::Windows;
use crate::time::{Duration, WindowSpec};

/// The windows of a call.
///
/// # Errors
/// Invalid for arguments that describe none.
pub fn windows(call: &mut Call<'_>) -> Result<Windows> {
    let every = duration_or_zero(call, "every")?;
    let period = duration_or_zero(call, "period")?;
    let offset = duration_or_zero(call, "offset")?;
    if every.is_infinite() || (every.is_zero() && period.is_infinite()) {
        return Ok(Windows::Whole);
    }
    Ok(Windows::Family(WindowSpec::new(every, period, offset, location(call)?)?))
}

fn duration_or_zero(call: &Call<'_>, name: &str) -> Result<Duration> {
    match call.optional(name) {
        None => Ok(Duration::ZERO),
        Some(_) => call.duration(name),
    }
}
