//! Tasks: files of Flux that run on time, slot by slot, each slot once.
//!
//! Started by the daemon, asked by the API and the command line. A slot is (task, scheduled time); everything that
//! happens to a task (restart, catch-up, edit, retry, manual run) is an operation on slots. Nothing here reads a bucket's
//! files or decodes a device's payload.

pub mod definition;
pub mod executor;
pub mod gate;
pub mod instant;
pub mod output;
pub mod problem;
pub mod run;
pub mod run_store;
pub mod schedule;
pub mod slots;
pub mod step;
pub mod task_state;
