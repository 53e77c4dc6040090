//! The integration tests, one binary: each link costs seconds and 400 MB. A module per capability.

#![allow(clippy::unwrap_used)]

mod commitlog;
mod diagnostics;
mod floors;
mod functions;
mod query;
mod support;
mod tasks;
