//! The daemon: what is started in which order, how the parts are tied together, and how it ends.
//!
//! Started by `fluxmill serve`, by the demo, and without MQTT and tasks for a single command over a data directory. Parts
//! start from the log upwards and stop from the listeners downwards, so that nothing is accepted that cannot be kept.

mod directory;
mod listeners;
mod log;
mod topics;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api, Tokens};
use crate::catalogue::{Catalogue, Durability, Keyspace};
use crate::clock::{ArrivalClock, Clock, SystemClock};
use crate::commitlog::CommitLog;
use crate::config::Config;
#[cfg(feature = "delta")]
use crate::engine::sql::Sql;
use crate::engine::{Engine, StoreWorld};
use crate::error::{Error, Result};
use crate::ingest::accept::Accept;
use crate::ingest::freshness;
use crate::ingest::mqtt::{MqttOptions, MqttServer};
use crate::ingest::route::Routes;
use crate::ingest::sink::{Sink, SinkOptions};
use crate::name::Name;
use crate::plan::World;
use crate::store::{Store, StoreOptions};
use crate::table::spill;
use crate::tasks::{Parts, Settings, Tasks};
use crate::telemetry;

pub use directory::Announcement;
use directory::DataDirectory;

/// How long a command that opens a data directory waits until everything in its log can be read.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

/// A running daemon.
pub struct Daemon {
    directory: DataDirectory,
    log: Arc<dyn CommitLog>,
    store: Arc<Store>,
    accept: Arc<Accept>,
    sink: Arc<Sink>,
    tasks: Option<Arc<Tasks>>,
    mqtt: Option<MqttServer>,
    http: Option<SocketAddr>,
    token: Option<String>,
    /// Each with the signal that ends it, in the order in which they are stopped.
    running: Vec<(&'static str, CancellationToken, JoinHandle<Result<()>>)>,
}

/// What of the configuration a start uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Everything.
    Server,
    /// HTTP on a free port for one command, and whatever it takes to read the buckets.
    OneCommand,
}

impl Daemon {
    /// Starts everything that the configuration names and returns when it is ready.
    ///
    /// Errors: `Invalid` for a configuration that is unsafe or wrong, `Conflict` for a directory in use, `Unavailable`
    /// for a port, disk or broker that does not give way.
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Daemon> {
        listeners::check(&config)?;
        Self::open(config, clock, Role::Server).await
    }

    /// Opens a data directory for one command, with the configuration that was in effect last.
    pub async fn start_for_command(path: &Path) -> Result<Daemon> {
        let mut config = DataDirectory::kept_config(path)?;
        config.http.listen = "127.0.0.1:0".into();
        config.mqtt.listen = listeners::OFF.into();
        Self::open(config, Arc::new(SystemClock), Role::OneCommand).await
    }

    async fn open(config: Config, clock: Arc<dyn Clock>, role: Role) -> Result<Daemon> {
        // Ports first: what is taken is said before anything is made on disk.
        let http = listeners::bind(&config.http.listen, "--http").await?;
        let directory = DataDirectory::open(&config.data_dir)?;
        tracing::info!(directory = %directory.path.display(), "starting fluxmill");
        let metrics = telemetry::metrics()?;
        let log = log::open(&directory.path, &config.log, Arc::clone(&clock)).await?;
        let catalogue = Arc::new(Catalogue::open(&directory.path.join("catalogue"))?);
        let store_options = StoreOptions {
            memory_bytes: config.store.memory.as_usize(),
            flush_rows: config.sink.flush_rows,
            flush_bytes: config.sink.flush_bytes.as_usize(),
            flush_age_ns: config.sink.flush_age.nanoseconds(),
            vacuum_after_ns: config.store.vacuum_after.nanoseconds(),
            ..StoreOptions::default()
        };
        let store = Store::open(&directory.path, store_options, Arc::clone(&catalogue), Arc::clone(&clock)).await?;
        let store = Arc::new(store);
        let arrivals = Arc::new(ArrivalClock::new(Arc::clone(&clock), 0));
        let routes = Arc::new(Routes::new(&config.routes)?);
        let filled: Vec<Name> = store.buckets().into_iter().flat_map(|bucket| bucket.topics).collect();
        let (door_log, door_arrivals) = (Arc::clone(&log), Arc::clone(&arrivals));
        let partitions = config.log.partitions;
        let accept = Accept::open(Arc::clone(&routes), door_log, door_arrivals, partitions, &filled).await?;
        topics::make_buckets(&config, &store, log.as_ref()).await?;
        let sink_options =
            SinkOptions { group: config.log.kafka.group.as_str().into(), partitions: config.log.partitions };
        let (for_sink, sink_clock) = (Arc::clone(&log), Arc::clone(&clock));
        let sink = Sink::start(for_sink, Arc::clone(&store), routes, sink_clock, sink_options).await?;
        if role == Role::OneCommand && !freshness::wait(log.as_ref(), &store, None, CATCH_UP_WITHIN).await? {
            return Err(Error::unavailable("the buckets are still far behind the log")
                .with_hint("run `fluxmill serve` over this directory until it has caught up"));
        }

        let mut running = Vec::new();
        let staging = directory.path.join("staging");
        spill::sweep(&staging)?;
        let engine = Arc::new(Engine::with_limits(&config.query, &staging));
        let world = Arc::new(StoreWorld::new(Arc::clone(&store), Arc::clone(&clock)));
        let tasks = match role {
            Role::Server => {
                std::fs::create_dir_all(&config.tasks.dir)?;
                let parts = Parts {
                    log: Arc::clone(&log),
                    catalogue: Arc::clone(&catalogue),
                    store: Arc::clone(&store),
                    engine: Arc::clone(&engine),
                    world: {
                        let world = Arc::clone(&world);
                        Arc::new(move || Arc::clone(&world) as Arc<dyn World>)
                    },
                    clock: Arc::clone(&clock),
                    arrivals: Arc::clone(&arrivals),
                };
                let settings = Settings {
                    partitions: config.log.partitions,
                    installation: config.log.installation(),
                    ..Settings::from(&config.tasks)
                };
                Some(Arc::new(Tasks::open(parts, settings).await?))
            }
            Role::OneCommand => None,
        };
        let token = directory.token(config.http.token.as_deref())?;
        let tokens = if config.http.no_auth { Tokens::everybody() } else { Tokens::only([token.as_str()]) };
        let tokens = tokens.with_made(&catalogue)?;
        if role == Role::Server {
            directory.keep_config(&config)?;
        }

        let http_address = http.as_ref().map(TcpListener::local_addr).transpose()?;
        if let Some(listener) = http {
            let api = Api {
                store: Arc::clone(&store),
                log: Arc::clone(&log),
                accept: Arc::clone(&accept),
                sink: Arc::clone(&sink),
                engine,
                #[cfg(feature = "delta")]
                sql: Sql::new(Arc::clone(&store))?,
                world,
                tasks: tasks.clone(),
                tokens,
                org_id: org_id(&catalogue)?,
                metrics,
                clock: Arc::clone(&clock),
                started_ns: clock.now_ns(),
                visible_timeout: config.http.visible_timeout.0,
                max_lag: config.sink.max_lag,
                max_body: config.http.max_body.as_usize(),
            };
            let stop = CancellationToken::new();
            running.push(("http", stop.clone(), tokio::spawn(api::serve(listener, Arc::new(api), stop))));
        }
        let mqtt = if config.mqtt.listen == listeners::OFF {
            None
        } else {
            let options = MqttOptions::from(&config.mqtt);
            let started = MqttServer::start(options, Arc::clone(&accept)).await;
            Some(started.map_err(|error| listeners::with_flag(error, "--mqtt"))?)
        };
        if let Some(tasks) = &tasks {
            let (tasks, stop) = (Arc::clone(tasks), CancellationToken::new());
            let until = stop.clone();
            // Tasks stop before HTTP: a run that is ended may still be looked at.
            running.insert(0, ("tasks", stop, tokio::spawn(async move { tasks.serve(until).await })));
        }
        if let (Role::Server, Some(address)) = (role, http_address) {
            directory.announce(&format!("http://{address}"))?;
        }
        let http = http_address;
        Ok(Daemon { directory, log, store, accept, sink, tasks, mqtt, http, token: Some(token), running })
    }

    /// Stops from the listeners downwards; what was acknowledged is durable, what is in memory goes to files.
    ///
    /// Errors: the first part that did not end well.
    pub async fn stop(mut self) -> Result<()> {
        let mut outcome = Ok(());
        if let Some(mqtt) = self.mqtt.take() {
            mqtt.shutdown().await;
        }
        for (name, stop, task) in self.running {
            stop.cancel();
            let ended = match task.await {
                Ok(ended) => ended,
                Err(error) => Err(Error::internal(format!("{name} ended early: {error}"))),
            };
            if let Err(error) = ended {
                tracing::error!(%error, part = name, "did not end well");
                outcome = outcome.and(Err(error.context(name)));
            }
        }
        self.accept.close().await;
        // Rows in memory go to files, so that the next start has little to read again.
        if let Err(error) = self.store.flush_all().await {
            tracing::warn!(%error, "rows in memory were not written; the next start reads them from the log");
        }
        self.sink.shutdown().await;
        self.directory.withdraw();
        outcome.and(self.log.close().await)
    }

    /// The data directory.
    pub fn directory(&self) -> &Path {
        &self.directory.path
    }

    /// Whether the data directory was made by this start.
    pub fn is_fresh(&self) -> bool {
        self.directory.fresh
    }

    /// The log, for people.
    pub fn describe_log(&self) -> String {
        self.log.describe()
    }

    /// The directory of task files, if tasks run.
    pub fn tasks_directory(&self) -> Option<&Path> {
        self.tasks.as_deref().map(Tasks::directory)
    }

    /// Where MQTT is spoken.
    pub fn mqtt_address(&self) -> Option<SocketAddr> {
        self.mqtt.as_ref().map(MqttServer::address)
    }

    /// `http://address:port`, if HTTP is spoken.
    pub fn http_url(&self) -> Option<String> {
        self.http.map(|address| format!("http://{address}"))
    }

    /// The operator's token.
    pub fn token(&self) -> Option<String> {
        self.token.clone()
    }
}

#[cfg(feature = "repl")]
/// The configuration that was in effect last over a data directory; `None` if there was none that can be read.
pub(crate) fn kept_config(directory: &Path) -> Option<Config> {
    if !directory.is_dir() {
        return None;
    }
    DataDirectory::kept_config(directory).ok()
}

/// The organisation's id: made once, for ever.
fn org_id(catalogue: &Catalogue) -> Result<Name> {
    const KEY: &str = "org_id";
    if let Some(id) = catalogue.get::<String>(Keyspace::Meta, KEY)? {
        return Ok(id.into());
    }
    let id = format!("{:016x}", rand::rng().random_range(1..=u64::MAX));
    catalogue.put(Keyspace::Meta, KEY, &id, Durability::Synced)?;
    Ok(id.into())
}
