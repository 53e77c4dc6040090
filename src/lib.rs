//! fluxmill: devices speak MQTT to it, a durable log keeps every message, Flux tasks run over it on time.
#![doc = include_str!("ARCHITECTURE.md")]

pub mod api;
pub mod catalogue;
#[cfg(feature = "mqtt")]
pub mod cli;
pub mod clock;
pub mod commitlog;
pub mod config;
#[cfg(feature = "mqtt")]
pub mod daemon;
#[cfg(feature = "mqtt")]
pub mod demo;
pub mod diagnostic;
pub mod engine;
pub mod error;
pub mod exec;
mod failpoint;
pub mod flux;
pub mod functions;
pub mod ingest;
pub mod name;
pub mod operators;
pub mod plan;
pub mod point;
#[cfg(feature = "repl")]
pub mod repl;
#[cfg(feature = "mqtt")]
pub mod simulate;
pub mod store;
pub mod syntax;
pub mod table;
pub mod tasks;
pub mod telemetry;
pub mod time;
