//! Results kept in memory: for the terminal, for tests, for callers that want all or nothing.
//!
//! A [`ResultSink`] for results of a known, small size. Whoever serves unknown sizes implements the sink itself.

use async_trait::async_trait;

use crate::error::Result;
use crate::exec::ResultSink;
use crate::table::{Chunk, Name};

/// One result: its name and its tables.
#[derive(Clone, Debug)]
pub struct CollectedResult {
    /// The name that `yield` gave it, or `_result`.
    pub name: Name,
    /// Its tables, clustered and in order.
    pub chunks: Vec<Chunk>,
    /// It came to its end; not so for the open result of a failed run.
    pub complete: bool,
}

/// All results of a run.
#[derive(Clone, Debug, Default)]
pub struct CollectedResults {
    /// The results in program order.
    pub results: Vec<CollectedResult>,
}

#[async_trait]
impl ResultSink for CollectedResults {
    async fn begin_result(&mut self, name: &str) -> Result<()> {
        self.results.push(CollectedResult { name: name.into(), chunks: Vec::new(), complete: false });
        Ok(())
    }

    async fn chunk(&mut self, chunk: Chunk) -> Result<()> {
        if let Some(result) = self.results.last_mut() {
            result.chunks.push(chunk);
        }
        Ok(())
    }

    async fn end_result(&mut self) -> Result<()> {
        if let Some(result) = self.results.last_mut() {
            result.complete = true;
        }
        Ok(())
    }
}
