//! What a plan may ask of the world: buckets by name, scans, secrets, the wall clock.
//!
//! Implemented by `engine` over the store and by tests over points in memory; called by the planner and by builtins
//! (through the evaluator). It is the only door from the language to a bucket, and nothing behind it is named here.

use std::sync::Arc;

use crate::error::Result;
use crate::flux::host::BucketInfo;
use crate::table::Name;
use crate::table::scan::{PushOp, SourceRef, Taken};

/// The world around a script.
pub trait World: Send + Sync {
    /// The id of a bucket by its name or id; NotFound `could not find bucket "b"`.
    fn bucket_id(&self, name_or_id: &str) -> Result<Name>;

    /// Opens a bounded read of a bucket and offers it the first operators of its pipeline, at most `max` of them. What the
    /// world takes it answers exactly as the operators would. With `max` 0 the scan gives one table per series and field
    /// (flux-semantics 5.1), and that is what a read means.
    fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken>;

    /// The world for one run: what it reads stands still from the first read on. `None` where it always does.
    fn for_run(&self) -> Option<Arc<dyn World>> {
        None
    }

    /// All buckets, by name. Worlds without buckets have none.
    fn buckets(&self) -> Vec<BucketInfo> {
        Vec::new()
    }

    /// A secret; `None` if there is none of that name.
    fn secret(&self, name: &str) -> Option<String>;

    /// The wall clock in nanoseconds since the epoch, for `system.time()` only.
    fn wall_clock_ns(&self) -> i64;
}
