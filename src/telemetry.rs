//! Logs and metrics of the process: where log lines go, and the one recorder of counters.
//!
//! Set up by the rim once per process. Log lines go to standard error; nothing secret is ever put into one.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::error::{Error, Result};

/// Sends log lines to standard error: ours from the level `default` on, those of libraries from warnings on.
/// `FLUXMILL_LOG_LEVEL` (`debug`, `fluxmill::tasks=debug`, ...) overrides `default`.
pub fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_env("FLUXMILL_LOG_LEVEL")
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,fluxmill={default}")));
    // A second call (two daemons in one test process) keeps the first subscriber.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
}

/// The process's recorder of metrics, installed on first use.
///
/// Errors: `Internal` if another recorder was installed before.
pub fn metrics() -> Result<PrometheusHandle> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = HANDLE.get_or_init(|| recorder.handle()).clone();
    metrics::set_global_recorder(recorder)
        .map_err(|error| Error::internal(format!("metrics cannot be recorded: {error}")))?;
    Ok(handle)
}
