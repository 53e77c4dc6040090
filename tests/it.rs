//! The integration tests, one binary: each link costs seconds and 400 MB. A module per capability.

#![allow(clippy::unwrap_used, clippy::type_complexity)]

mod api;
mod cli;
mod commitlog;
#[cfg(feature = "kafka")]
mod crash;
mod diagnostics;
mod engine;
#[cfg(feature = "mqtt")]
mod failpoints;
mod floors;
mod functions;
mod grammar;
#[cfg(feature = "mqtt")]
mod ingest;
mod memory;
#[cfg(all(feature = "delta", feature = "kafka"))]
mod operations;
mod query;
mod readme;
#[cfg(feature = "repl")]
mod repl;
#[cfg(all(feature = "delta", feature = "mqtt"))]
mod sql;
mod support;
#[cfg(feature = "delta")]
mod sweep;
#[cfg(feature = "mqtt")]
mod tables;
mod tasks;
