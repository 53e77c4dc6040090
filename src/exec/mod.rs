//! Runs a plan: sources are pulled, chunks are pushed through the operators, results go to a sink with back-pressure.
//!
//! Called by `engine`. Nothing here decides what an operator means or what a scan takes over, and nothing here writes to
//! a bucket: the points of `to()` are staged and handed back.

mod at_work;
mod copies;
mod field_fn;
pub mod figures;
pub mod gate;
mod memory;
mod network;
mod parallel;
pub mod points;
pub mod run;
pub mod sink;
mod sorted_run;
mod to;

pub use memory::{Memory, refusal};
pub use points::{BucketWrite, Points};
pub use run::{Context, Outcome, run};
pub use sink::ResultSink;

use std::num::NonZeroUsize;
use std::sync::OnceLock;

/// What one run may use before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows read from sources.
    pub rows_read: u64,
    /// Bytes of result chunks that wait for their turn, because results are given one after the other.
    pub waiting_bytes: usize,
    /// Points staged by all `to()` of a script together.
    pub staged_points: usize,
    /// Bytes of memory, if that is less than the engine gives every run.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { rows_read: u64::MAX, waiting_bytes: 256 << 20, staged_points: 10_000_000, memory: usize::MAX }
    }
}

/// On how many cores the process may run; looked up once.
pub fn available_cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}
