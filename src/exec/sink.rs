//! Where results go: one after the other, each as whole tables in their order.
//!
//! Implemented by the rim (CSV over HTTP, the terminal) and by [`crate::engine::CollectedResults`]. A sink that is slow
//! holds the run back: a chunk is handed over only when the one before it has been taken.

use async_trait::async_trait;

use crate::error::Result;
use crate::table::Chunk;

/// Takes the results of a run.
///
/// Calls come as `begin_result (chunk)* end_result`, once per result, in program order. Within a result at most one table
/// is open at a time and table ids ascend. When the run fails, the result that is open is not ended. An error from a sink
/// ends the run.
#[async_trait]
pub trait ResultSink: Send {
    /// A result begins.
    async fn begin_result(&mut self, name: &str) -> Result<()>;

    /// Rows of the result's next tables.
    async fn chunk(&mut self, chunk: Chunk) -> Result<()>;

    /// The result is complete.
    async fn end_result(&mut self) -> Result<()>;
}

/// Drops all results, as a task does.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiscardResults;

#[async_trait]
impl ResultSink for DiscardResults {
    async fn begin_result(&mut self, _name: &str) -> Result<()> {
        Ok(())
    }

    async fn chunk(&mut self, _chunk: Chunk) -> Result<()> {
        Ok(())
    }

    async fn end_result(&mut self) -> Result<()> {
        Ok(())
    }
}
