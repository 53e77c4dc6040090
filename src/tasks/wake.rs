//! The tick: once a second the loop of the scheduler is woken.
//!
//! Used by [`super::Tasks::serve`]. All that tokio-cron-scheduler does here is to tick: which slots are due is worked out
//! by [`super::schedule`], since its own job queue drops jobs when many are due at once and catches nothing up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::error::{Error, Result};

/// How often the loop is woken.
const TICK: Duration = Duration::from_secs(1);

/// Ticks until it is stopped.
pub struct Ticker {
    jobs: JobScheduler,
}

impl Ticker {
    /// Wakes `wake` once a second from now on.
    pub async fn start(wake: Arc<Notify>) -> Result<Self> {
        let jobs = JobScheduler::new().await.map_err(failed)?;
        let tick = Job::new_repeated(TICK, move |_, _| wake.notify_one()).map_err(failed)?;
        jobs.add(tick).await.map_err(failed)?;
        jobs.start().await.map_err(failed)?;
        Ok(Ticker { jobs })
    }

    /// Stops ticking.
    pub async fn stop(mut self) {
        if let Err(error) = self.jobs.shutdown().await {
            tracing::warn!(%error, "the tick did not stop");
        }
    }
}

fn failed(error: JobSchedulerError) -> Error {
    Error::internal(format!("cannot start the tick: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn it_ticks_again_and_again() {
        let wake = Arc::new(Notify::new());
        let ticker = Ticker::start(Arc::clone(&wake)).await.unwrap();
        for _ in 0..2 {
            tokio::time::timeout(Duration::from_secs(20), wake.notified()).await.unwrap();
        }
        ticker.stop().await;
    }
}
