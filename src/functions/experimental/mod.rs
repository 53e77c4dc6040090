//! Packages below `experimental`, and `experimental` itself.
//!
//! Listed in `functions`; a file per function or family.

pub mod align_time;
pub mod durations;
pub mod table;
pub mod window;

use crate::flux::library::Package;

/// The import path of the package itself.
pub const PACKAGE: &str = "experimental";

/// The packages.
pub fn packages() -> Vec<Package> {
    vec![
        Package {
            path: PACKAGE,
            builtins: vec![
                &align_time::ALIGN_TIME,
                &durations::ADD_DURATION,
                &durations::SUB_DURATION,
                &window::WINDOW,
            ],
            ..Package::default()
        },
        table::package(),
    ]
}
