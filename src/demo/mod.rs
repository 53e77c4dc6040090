//! The demo: the whole way in a fresh directory on free ports, watched from outside.
//!
//! Run by `fluxmill demo`. It starts the daemon as `serve` does, lets the simulator's generators publish over real MQTT
//! sockets, and asks the HTTP API what became of it. Nothing is wired that `serve` could not do.

mod account;
mod outside;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::clock::SystemClock;
use crate::config::{Config, LogKind};
use crate::daemon::Daemon;
use crate::error::Result;
use crate::simulate::{self, Progress, SimulateOptions};
use account::Account;
use outside::Outside;

/// What the demo shows.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How long it goes on after its start.
    pub duration: Duration,
    /// How many generators publish.
    pub generators: usize,
    /// A Kafka cluster to keep the log on.
    pub kafka: Option<String>,
    /// Leave the directory in place.
    pub keep: bool,
}

/// The task of the demo: the same file that the daemon loads from the project's `tasks` folder.
const TASK: &str = include_str!("../../tasks/generator_downsample.flux");
/// How much history the generators have before the first run.
const HISTORY: Duration = Duration::from_secs(3600);
/// Pauses of a generator, as in the field: 5 to 15 seconds.
const INTERVAL: Duration = Duration::from_secs(15);
/// How often the account goes on.
const ACCOUNT_EVERY: Duration = Duration::from_secs(10);
/// How many rows are shown.
const ROWS_SHOWN: usize = 10;

/// Runs the demo to its end, or until `stop`; prints to `out`.
///
/// Errors: whatever keeps the daemon from starting or the first run from succeeding.
pub async fn run(options: DemoOptions, stop: CancellationToken, out: &mut (dyn Write + Send)) -> Result<()> {
    let home = tempfile::Builder::new().prefix("fluxmill-demo-").tempdir()?;
    let path = home.path().to_path_buf();
    let kept = if options.keep { Some(home.keep()) } else { None };
    let outcome = show(&options, &path, stop, out).await;
    if let Some(kept) = kept {
        writeln!(out, "\nkept: fluxmill query 'SCRIPT' --data-dir {}", kept.join("data").display())?;
    }
    outcome
}

async fn show(options: &DemoOptions, home: &Path, stop: CancellationToken, out: &mut (dyn Write + Send)) -> Result<()> {
    let began = Instant::now();
    let tasks = home.join("tasks");
    std::fs::create_dir_all(&tasks)?;
    let mut config = Config { data_dir: home.join("data"), ..Config::default() };
    config.tasks.dir = tasks.clone();
    config.http.listen = "127.0.0.1:0".into();
    config.mqtt.listen = "127.0.0.1:0".into();
    if let Some(brokers) = &options.kafka {
        config.log.kind = LogKind::Kafka;
        config.log.kafka.brokers = brokers.clone();
    }
    let daemon = Daemon::start(config, Arc::new(SystemClock)).await?;
    let outcome = watch(options, &daemon, &tasks, began, stop, out).await;
    let stopped = daemon.stop().await;
    outcome.and(stopped)
}

async fn watch(
    options: &DemoOptions,
    daemon: &Daemon,
    tasks: &Path,
    began: Instant,
    stop: CancellationToken,
    out: &mut (dyn Write + Send),
) -> Result<()> {
    let outside = Outside::new(&daemon.http_url().unwrap_or_default(), daemon.token())?;
    let mut account = Account::new(began, out);
    account.header(daemon, options.generators)?;

    let fleet = SimulateOptions {
        address: daemon.mqtt_address().map(|address| address.to_string()).unwrap_or_default(),
        generators: options.generators,
        duration: None,
        history: Some(HISTORY),
        interval: INTERVAL,
        qos: 1,
        seed: 1,
    };
    let progress = Arc::new(Progress::default());
    let end_of_fleet = stop.child_token();
    simulate::send_history(&fleet, &progress, &end_of_fleet).await?;
    account.history(progress.report().history, options.generators)?;

    // The task comes into the running daemon as a user's would: a file appears in the directory.
    std::fs::write(tasks.join("generator_downsample.flux"), TASK)?;
    account.task(tasks)?;
    let live = tokio::spawn({
        let (fleet, progress, end) = (fleet.clone(), Arc::clone(&progress), end_of_fleet.clone());
        async move { simulate::run_live(&fleet, &progress, &end).await }
    });
    let end = tokio::time::Instant::from_std(began + options.duration);
    let mut shown_rows = false;
    let mut seen_runs = 0;
    let mut next_account = tokio::time::Instant::now() + ACCOUNT_EVERY;
    while tokio::time::Instant::now() < end && !stop.is_cancelled() {
        let runs = outside.runs().await?;
        for run in runs.iter().rev().skip(seen_runs) {
            account.run(run)?;
        }
        seen_runs = runs.len().max(seen_runs);
        if !shown_rows && runs.iter().any(|run| run.succeeded()) {
            account.rows(&outside.downsampled(ROWS_SHOWN).await?)?;
            shown_rows = true;
        }
        if tokio::time::Instant::now() >= next_account {
            account.live(&progress.report())?;
            next_account += ACCOUNT_EVERY;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
            () = stop.cancelled() => {}
        }
    }
    end_of_fleet.cancel();
    live.await.map_err(|error| crate::error::Error::internal(format!("the fleet ended: {error}")))??;
    account.end(&progress.report(), &outside.totals().await?)
}
