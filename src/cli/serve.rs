//! `fluxmill serve`: the daemon in the foreground until it is told to stop.
//!
//! Called by `cli`. Prints where it listens, the next commands, and `ready`; log lines go to standard error.

use std::io::IsTerminal;
use std::sync::Arc;

use super::Outcome;
use super::arguments::ServeOptions;
use crate::clock::SystemClock;
use crate::config::{self, Config, LogKind};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::telemetry;

pub(crate) async fn run(options: ServeOptions) -> Outcome {
    telemetry::log_to_stderr("info");
    let config = configure(options)?;
    let daemon = Daemon::start(config, Arc::new(SystemClock)).await?;
    announce(&daemon);
    wait_for_signal().await?;
    tracing::info!("stopping");
    daemon.stop().await?;
    Ok(())
}

/// The file, the environment, then the flags.
fn configure(options: ServeOptions) -> Result<Config> {
    let mut config = config::load(options.config.as_deref())?;
    if let Some(data_dir) = options.data_dir {
        config.data_dir = data_dir;
    }
    if let Some(tasks_dir) = options.tasks_dir {
        config.tasks.dir = tasks_dir;
    }
    if let Some(listen) = options.http {
        config.http.listen = listen;
    }
    if let Some(listen) = options.mqtt {
        config.mqtt.listen = listen;
    }
    if let Some(brokers) = options.kafka {
        config.log.kind = LogKind::Kafka;
        config.log.kafka.brokers = brokers;
    }
    if let Ok(token) = std::env::var("FLUXMILL_TOKEN") {
        config.http.token = Some(token);
    }
    config.http.no_auth |= options.no_auth;
    config.mqtt.insecure |= options.insecure;
    Ok(config)
}

fn announce(daemon: &Daemon) {
    let directory = daemon.directory().display();
    println!("data       {directory}");
    println!("log        {}", daemon.describe_log());
    if let Some(tasks) = daemon.tasks_directory() {
        println!("tasks      {}", tasks.display());
    }
    if let Some(address) = daemon.mqtt_address() {
        println!("mqtt       mqtt://{address}");
    }
    if let Some(url) = daemon.http_url() {
        println!("http       {url}");
    }
    if daemon.is_fresh() && std::io::stdout().is_terminal() {
        // Shown to a person once; a journal never sees it.
        println!("token      {}  (also in {directory}/token)", daemon.token().unwrap_or_default());
        println!();
        println!("next:      fluxmill task list --data-dir {directory}");
        println!("           fluxmill topic list --data-dir {directory}");
        println!("           fluxmill bucket list --data-dir {directory}");
    }
    println!("ready");
}

/// Returns on SIGINT or SIGTERM.
async fn wait_for_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
