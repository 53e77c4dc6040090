//! Calendar time: durations with months, zones, windows, and the text forms of times.
//!
//! Called by the language, the operators, the schedule and the rim. Pure: no clock, no files. Times are nanoseconds
//! since 1970-01-01T00:00:00Z in an `i64` (1677-09-21 to 2262-04-11); nothing here panics at either end.

pub mod calendar;
pub mod duration;
pub mod rfc3339;
pub mod window;
pub mod zone;

pub use duration::Duration;
pub use window::{Window, WindowSpec};
pub use zone::Location;
