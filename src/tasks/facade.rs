//! All tasks as one thing: opened and served by the daemon, asked and told by the API and the command line.
//!
//! Every method either reads the view or appends to the control topic; a status, a request or a removal is durable before
//! the method returns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::executor::{Executor, WorldSource};
use super::file::{self, DirectoryWatch, Files};
use super::gate::Gate;
use super::loader::{Loaded, LoadedFile, Loader};
use super::output::RUNS_BUCKET;
use super::run::{control_topic, of_installation};
use super::run_store::RunStore;
use super::scheduler::Scheduler;
use super::step::{CatchUp, Policy};
use super::task_state::TaskState;
use super::views::{RunView, TaskView};
use super::wake::Ticker;
use crate::catalogue::Catalogue;
use crate::clock::{ArrivalClock, Clock};
use crate::commitlog::CommitLog;
use crate::config::{CatchUpPolicy, TasksConfig};
use crate::diagnostic::nearest;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::store::{NewBucket, Store};

/// How long the bucket of runs keeps them: 30 days.
const RUNS_RETENTION_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// How often the directory is scanned where nothing tells of changes.
const RESCAN: Duration = Duration::from_secs(10);

/// What tasks are made of.
#[derive(Clone)]
pub struct Parts {
    /// The durable log.
    pub log: Arc<dyn CommitLog>,
    /// Where the view is kept.
    pub catalogue: Arc<Catalogue>,
    /// Buckets.
    pub store: Arc<Store>,
    /// Runs scripts.
    pub engine: Arc<Engine>,
    /// Makes a run's world.
    pub world: WorldSource,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The arrival times that ingest takes.
    pub arrivals: Arc<ArrivalClock>,
}

/// How tasks are run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The directory of task files.
    pub directory: PathBuf,
    /// Runs at once, over all tasks.
    pub concurrency: usize,
    /// How long a slot waits for its data.
    pub wait_for_data: Duration,
    /// How long a run may take; `None`: as long as its task's interval, at least a minute.
    pub run_limit: Option<Duration>,
    /// Missed slots.
    pub catch_up: CatchUp,
    /// How long after its due time a slot starts: zero, unless machines with other clocks write to the log.
    pub settle: Duration,
    /// Partitions of a topic that is made for a task's target bucket.
    pub partitions: u32,
    /// What keeps our control topic apart from those of other installations on the same Kafka cluster.
    pub installation: Option<Name>,
}

impl Settings {
    /// The defaults for a directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Settings {
            directory: directory.into(),
            concurrency: 8,
            wait_for_data: Duration::from_secs(60),
            run_limit: None,
            catch_up: CatchUp::All(1_000),
            settle: Duration::ZERO,
            partitions: 1,
            installation: None,
        }
    }
}

impl From<&TasksConfig> for Settings {
    fn from(config: &TasksConfig) -> Self {
        Settings {
            concurrency: config.concurrency,
            wait_for_data: config.wait_for_data.0,
            run_limit: config.run_limit.map(|limit| limit.0),
            catch_up: match config.catchup {
                CatchUpPolicy::None => CatchUp::None,
                CatchUpPolicy::Last => CatchUp::Last,
                CatchUpPolicy::All => CatchUp::All(config.catchup_limit),
            },
            ..Settings::new(&config.dir)
        }
    }
}

/// All tasks.
#[derive(Clone)]
pub struct Tasks {
    pub(super) parts: Parts,
    pub(super) settings: Settings,
    pub(super) runs: Arc<RunStore>,
    pub(super) scheduler: Arc<Scheduler>,
    files: Arc<Mutex<LoadedFiles>>,
    /// One load at a time.
    loading: Arc<tokio::sync::Mutex<()>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct LoadedFiles {
    scanned: Option<Files>,
    states: BTreeMap<String, LoadedFile>,
}

impl Tasks {
    /// Opens the view of tasks, slots and runs. Nothing runs yet, and no file is read.
    pub async fn open(parts: Parts, settings: Settings) -> Result<Self> {
        let installation = settings.installation.as_deref();
        let bucket = parts.store.create_bucket(NewBucket {
            retention_ns: Some(RUNS_RETENTION_NS),
            topics: vec![of_installation(RUNS_BUCKET, installation)],
            ..NewBucket::named(RUNS_BUCKET)
        })?;
        for topic in &bucket.topics {
            parts.log.create_topic(topic, 1).await?;
        }
        let (log, catalogue, clock) = (parts.log.clone(), parts.catalogue.clone(), parts.clock.clone());
        let runs = Arc::new(RunStore::open(log, catalogue, clock, control_topic(installation)).await?);
        // Slots that have run count on it that nothing arrives before their end any more, also if the clock was set back.
        if let Some(settled_ns) = runs.settled_ns() {
            parts.arrivals.not_before(settled_ns);
        }
        let executor = Executor {
            log: parts.log.clone(),
            store: parts.store.clone(),
            engine: parts.engine.clone(),
            world: parts.world.clone(),
            runs: runs.clone(),
            clock: parts.clock.clone(),
            arrivals: parts.arrivals.clone(),
            gate: Gate::new(settings.concurrency),
            wait_for_data: settings.wait_for_data,
            run_limit: settings.run_limit,
        };
        let settle_ns = i64::try_from(settings.settle.as_nanos()).unwrap_or(i64::MAX);
        let scheduler = Scheduler::new(executor, Policy { catch_up: settings.catch_up, settle_ns });
        Ok(Tasks {
            parts,
            settings,
            runs,
            scheduler,
            files: Arc::default(),
            loading: Arc::default(),
            changed: Arc::new(Notify::new()),
        })
    }

    /// Runs tasks until `stop`: loads the directory, follows its changes, starts what is due. On the way out what runs is
    /// ended without deciding its slot; the next start runs it again.
    pub async fn serve(&self, stop: CancellationToken) -> Result<()> {
        let watch = DirectoryWatch::start(&self.settings.directory, Arc::clone(&self.changed));
        self.load().await?;
        let ticker = Ticker::start(Arc::clone(&self.scheduler.wake)).await?;
        let follower = tokio::spawn(self.clone().follow_directory(stop.clone()));
        loop {
            if let Err(error) = self.scheduler.tick().await {
                tracing::error!(%error, "cannot start tasks");
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.scheduler.wake.notified() => {}
            }
        }
        drop(watch);
        ticker.stop().await;
        follower.abort();
        self.close().await
    }

    /// Ends what runs and makes the view durable.
    pub async fn close(&self) -> Result<()> {
        self.scheduler.close().await;
        self.runs.close().await
    }

    /// Reads the directory and makes the tasks what it says.
    pub async fn load(&self) -> Result<Loaded> {
        let files = file::scan_when_quiet(&self.settings.directory).await?;
        self.apply(files).await
    }

    /// Starts what is due now and waits until all of it, and what it makes due, has ended.
    pub async fn run_due(&self) -> Result<()> {
        self.scheduler.run_due().await
    }

    /// Starts what is due now.
    pub async fn start_due(&self) -> Result<()> {
        self.scheduler.tick().await
    }

    /// All tasks by name, and files that are broken.
    pub fn list(&self) -> Vec<TaskView> {
        let files = self.files.lock();
        let mut views: Vec<TaskView> = self.runs.tasks().iter().map(|task| self.view(task, &files)).collect();
        let known: Vec<String> = views.iter().map(|view| view.file.clone()).collect();
        let broken = files.states.iter().filter(|(path, file)| file.problem.is_some() && !known.contains(path));
        views.extend(broken.map(|(path, file)| TaskView::broken(path, file)));
        views.sort_by(|left, right| (&left.name, &left.file).cmp(&(&right.name, &right.file)));
        views
    }

    /// The task of an id or a name.
    ///
    /// Errors: `NotFound` with the nearest name; `Invalid` for a name that several tasks have.
    pub fn show(&self, id_or_name: &str) -> Result<TaskView> {
        let task = self.find(id_or_name)?;
        Ok(self.view(&task, &self.files.lock()))
    }

    /// Runs of a task: what is under way, then what has ended, the newest slot first.
    pub fn runs(&self, id_or_name: &str, limit: usize) -> Result<Vec<RunView>> {
        let id = self.find(id_or_name)?.definition.id;
        let under_way = self.scheduler.under_way(&id);
        let mut views: Vec<RunView> = under_way.iter().rev().map(|run| RunView::under_way(&id, run)).collect();
        views.extend(self.runs.runs(&id, limit)?.into_iter().map(RunView::ended));
        views.truncate(limit);
        Ok(views)
    }

    /// One run of a task, its newest attempt.
    ///
    /// Errors: `NotFound` in InfluxDB's words.
    pub fn run_of(&self, id_or_name: &str, run: &str) -> Result<RunView> {
        let runs = self.runs(id_or_name, usize::MAX)?;
        runs.into_iter().find(|view| &*view.id == run).ok_or_else(|| Error::not_found("run not found"))
    }

    /// A number that changes whenever an attempt starts or ends, and when the directory has been loaded.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.scheduler.changes()
    }

    async fn apply(&self, files: Files) -> Result<Loaded> {
        let _one = self.loading.lock().await;
        if self.files.lock().scanned.as_ref() == Some(&files) {
            return Ok(Loaded::default());
        }
        let (loaded, states) = self.loader().load(&files).await?;
        for id in &loaded.removed {
            self.scheduler.withdraw(id);
        }
        for id in &loaded.created {
            self.scheduler.watch_from_now(id);
        }
        for id in &loaded.changed {
            self.scheduler.forget_waits(id);
        }
        for path in &loaded.broken {
            if let Some(problem) = states.get(path).and_then(|state| state.problem.as_ref()) {
                tracing::error!(file = %path, "broken task file\n{problem}");
            }
        }
        *self.files.lock() = LoadedFiles { scanned: Some(files), states };
        self.scheduler.changed();
        self.scheduler.wake.notify_one();
        Ok(loaded)
    }

    pub(super) fn loader(&self) -> Loader<'_> {
        Loader {
            engine: &self.parts.engine,
            runs: &self.runs,
            store: &self.parts.store,
            log: self.parts.log.as_ref(),
            partitions: self.settings.partitions,
            now_ns: self.parts.clock.now_ns(),
        }
    }

    async fn follow_directory(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(RESCAN) => {}
            }
            if let Err(error) = self.load_if_changed().await {
                tracing::error!(%error, "cannot load the tasks directory");
            }
        }
    }

    async fn load_if_changed(&self) -> Result<()> {
        let files = file::scan(&self.settings.directory)?;
        if self.files.lock().scanned.as_ref() == Some(&files) {
            return Ok(());
        }
        self.load().await.map(|_| ())
    }

    fn view(&self, task: &TaskState, files: &LoadedFiles) -> TaskView {
        let under_way = self.scheduler.under_way(&task.definition.id);
        TaskView::of(task, files.states.get(&task.definition.file), &under_way)
    }

    pub(super) fn find(&self, id_or_name: &str) -> Result<TaskState> {
        if let Some(task) = self.runs.task(id_or_name) {
            return Ok(task);
        }
        let tasks = self.runs.tasks();
        let mut named = tasks.iter().filter(|task| task.definition.name == id_or_name);
        if let Some(task) = named.next() {
            if let Some(other) = named.next() {
                let (one, two) = (&task.definition.id, &other.definition.id);
                let message = format!("several tasks have the name \"{id_or_name}\"");
                return Err(Error::invalid(message).with_hint(format!("name one by its id: {one}, {two}")));
            }
            return Ok(task.clone());
        }
        let error = Error::not_found(format!("there is no task \"{id_or_name}\""));
        Err(match nearest(id_or_name, tasks.iter().map(|task| task.definition.name.as_str())) {
            Some(name) => error.with_hint(format!("did you mean \"{name}\"?")),
            None => error,
        })
    }

    /// The directory of task files.
    pub fn directory(&self) -> &Path {
        &self.settings.directory
    }
}
