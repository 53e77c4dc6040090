//! The integration tests, one binary: each link costs seconds and 400 MB. A module per capability.

mod commitlog;
mod floors;
