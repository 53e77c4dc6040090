//! Packages below `contrib`.
//!
//! Listed in `functions`; a file per package.

mod hash;
mod hex;
mod least_greatest;

use crate::flux::library::Package;

/// The packages.
pub fn packages() -> Vec<Package> {
    vec![hash::package(), hex::package(), least_greatest::package()]
}
