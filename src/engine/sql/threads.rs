//! Threads of SQL's own, and answers that come from them.
//!
//! A statement may compute for long without ever waiting: a join of every row with every other one, a function that makes a
//! huge text. On the threads of the daemon that would stop devices, writes and health as well; here it keeps others from SQL
//! at most. Whoever asked has the answer, or that it was given up, without waiting for such a statement.

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::answer::Rows;
use crate::error::{Error, Result};
use crate::exec::available_cores;
use crate::table::Chunk;

/// Chunks that wait for whoever asked.
const CHUNKS_AHEAD: usize = 2;

/// The threads. Dropping them waits for nothing.
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    pub(super) fn start() -> Result<Threads> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(available_cores()).thread_name("sql").enable_all();
        let runtime = builder.build().map_err(|error| Error::internal(format!("SQL has no threads: {error}")))?;
        Ok(Threads(Some(runtime)))
    }

    /// Opens an answer on the threads, and waits until it is open.
    pub(super) async fn open(&self, opening: impl Future<Output = Result<Rows>> + Send + 'static) -> Result<SqlAnswer> {
        let runtime = self.0.as_ref().ok_or_else(|| Error::internal("SQL has ended"))?;
        let (chunks, received) = mpsc::channel(CHUNKS_AHEAD);
        let (opened, open) = oneshot::channel();
        let task = runtime.spawn(async move {
            let mut rows = match opening.await {
                Ok(rows) => rows,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            if opened.send(Ok(())).is_err() {
                return;
            }
            while let Some(chunk) = rows.next().await.transpose() {
                let failed = chunk.is_err();
                if chunks.send(chunk).await.is_err() || failed {
                    return;
                }
            }
        });
        let answer = SqlAnswer { received, task, ended: false };
        match open.await {
            Ok(opened) => opened.map(|()| answer),
            Err(_) => Err(broken_off()),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The rows of a query, as they come. Dropping it ends the query as soon as that waits for something.
#[derive(Debug)]
pub struct SqlAnswer {
    received: mpsc::Receiver<Result<Chunk>>,
    task: JoinHandle<()>,
    /// How the task has ended is known: it may be asked once.
    ended: bool,
}

impl SqlAnswer {
    /// The next rows; the last chunk ends the table and has none.
    ///
    /// Errors: FailedPrecondition for what cannot be computed of the rows, ResourceExhausted beyond the bound on memory,
    /// Internal where DataFusion panics.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        match self.received.recv().await {
            Some(chunk) => chunk.map(Some),
            None if self.ended => Ok(None),
            None => {
                self.ended = true;
                (&mut self.task).await.map(|()| None).map_err(|_| broken_off())
            }
        }
    }
}

fn broken_off() -> Error {
    Error::internal("the SQL engine failed at this statement")
        .with_hint("the daemon's log has more; a statement that makes smaller values may pass")
}

impl Drop for SqlAnswer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
