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

use super::definition::{Definition, TaskStatus};
use super::executor::{Executor, WorldSource};
use super::file::{self, DirectoryWatch, Files};
use super::gate::Gate;
use super::loader::{Loaded, LoadedFile, Loader};
use super::output::RUNS_BUCKET;
use super::run::{ControlRecord, RequestedRun};
use super::run_store::RunStore;
use super::scheduler::{Scheduler, new_id};
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
use crate::store::{NewBucket, Store};
use crate::time::rfc3339::to_short_text;

/// How long the bucket of runs keeps them: 30 days.
const RUNS_RETENTION_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// How often the directory is scanned where nothing tells of changes.
const RESCAN: Duration = Duration::from_secs(10);

/// How many slots one backfill may ask for.
pub const BACKFILL_LIMIT: usize = 1_000;

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

/// Which slot a run is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The newest slot that is due.
    #[default]
    Latest,
    /// This slot.
    Slot(i64),
    /// This time, slot or not: its windows may be cut where no slot ends.
    Unaligned(i64),
}

/// All tasks.
#[derive(Clone)]
pub struct Tasks {
    parts: Parts,
    settings: Settings,
    runs: Arc<RunStore>,
    scheduler: Arc<Scheduler>,
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
        let bucket = parts
            .store
            .create_bucket(NewBucket { retention_ns: Some(RUNS_RETENTION_NS), ..NewBucket::named(RUNS_BUCKET) })?;
        for topic in &bucket.topics {
            parts.log.create_topic(topic, 1).await?;
        }
        let (log, catalogue, clock) = (parts.log.clone(), parts.catalogue.clone(), parts.clock.clone());
        let runs = Arc::new(RunStore::open(log, catalogue, clock).await?);
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

    /// The next slots of a task and when each is due.
    pub fn upcoming(&self, id_or_name: &str, count: usize) -> Result<Vec<(i64, i64)>> {
        let task = self.find(id_or_name)?;
        let slots = task.schedule.slots_between(self.parts.clock.now_ns().max(task.base_ns()), i64::MAX);
        Ok(slots.take(count).map(|slot_ns| (slot_ns, task.schedule.due_at(slot_ns))).collect())
    }

    /// Asks for a run; it is durable that it was asked for. Also for an inactive task.
    ///
    /// Errors: `Invalid` for a time that is no slot or not due yet; `Conflict` `run already queued`.
    pub async fn run(&self, id_or_name: &str, which: Which) -> Result<RunView> {
        let task = self.find(id_or_name)?;
        let slot_ns = self.slot_of(&task, which)?;
        if self.request(&task, &[slot_ns]).await? == 0 {
            return Err(Error::conflict("run already queued"));
        }
        self.scheduler.tick().await?;
        let id = &task.definition.id;
        if let Some(run) = self.scheduler.under_way(id).into_iter().find(|run| run.slot_ns == slot_ns) {
            return Ok(RunView::under_way(id, &run));
        }
        let mut runs = self.runs.runs(id, usize::MAX)?.into_iter();
        if let Some(run) = runs.find(|run| run.slot_ns == slot_ns) {
            return Ok(RunView::ended(run));
        }
        Err(Error::internal(format!("the run of {} does not start", to_short_text(slot_ns))))
    }

    /// Asks for the slot of a run once more.
    pub async fn retry(&self, id_or_name: &str, run: &str) -> Result<RunView> {
        let slot_ns = self.run_of(id_or_name, run)?.scheduled_for;
        let task = self.find(id_or_name)?;
        let which = if task.schedule.is_slot(slot_ns) { Which::Slot(slot_ns) } else { Which::Unaligned(slot_ns) };
        self.run(id_or_name, which).await
    }

    /// Asks for all slots in `[from_ns, until_ns)`, oldest first; returns how many. Slots under way are passed over.
    ///
    /// Errors: `Invalid` for more than [`BACKFILL_LIMIT`] slots.
    pub async fn backfill(&self, id_or_name: &str, from_ns: i64, until_ns: i64) -> Result<usize> {
        let task = self.find(id_or_name)?;
        let until_ns =
            until_ns.saturating_sub(1).min(task.schedule.latest_due(self.parts.clock.now_ns()).unwrap_or(i64::MIN));
        let slots: Vec<i64> =
            task.schedule.slots_between(from_ns.saturating_sub(1), until_ns).take(BACKFILL_LIMIT + 1).collect();
        if slots.len() > BACKFILL_LIMIT {
            let message = format!("the range has more than {BACKFILL_LIMIT} slots of {}", task.definition.name);
            return Err(Error::invalid(message).with_hint("ask for a part of it, then for the next"));
        }
        let asked = self.request(&task, &slots).await?;
        self.scheduler.wake.notify_one();
        Ok(asked)
    }

    /// Cancels a run; its slot is then decided.
    ///
    /// Errors: `NotFound` `run not found` when it has ended, or never was.
    pub fn cancel(&self, id_or_name: &str, run: &str) -> Result<()> {
        let id = self.find(id_or_name)?.definition.id;
        if self.scheduler.cancel(&id, run) { Ok(()) } else { Err(Error::not_found("run not found")) }
    }

    /// Stops running a task, at once: what runs is ended, and its slot runs when the task is resumed.
    pub async fn pause(&self, id_or_name: &str) -> Result<TaskView> {
        self.set_status(id_or_name, TaskStatus::Inactive).await
    }

    /// Runs a task again; what was missed is caught up as after a restart.
    pub async fn resume(&self, id_or_name: &str) -> Result<TaskView> {
        self.set_status(id_or_name, TaskStatus::Active).await
    }

    /// A number that changes whenever an attempt starts or ends, and when the directory has been loaded.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.scheduler.changes()
    }

    /// Waits until a run has ended for good, and returns it.
    pub async fn ended(&self, id_or_name: &str, run: &str) -> Result<RunView> {
        let mut changes = self.scheduler.changes();
        loop {
            changes.mark_unchanged();
            let view = self.run_of(id_or_name, run)?;
            if view.finished_at.is_some() && !view.will_retry {
                return Ok(view);
            }
            changes.changed().await.map_err(|_| Error::internal("the scheduler is gone"))?;
        }
    }

    async fn apply(&self, files: Files) -> Result<Loaded> {
        let _one = self.loading.lock().await;
        if self.files.lock().scanned.as_ref() == Some(&files) {
            return Ok(Loaded::default());
        }
        let loader = Loader {
            engine: &self.parts.engine,
            runs: &self.runs,
            store: &self.parts.store,
            log: self.parts.log.as_ref(),
            partitions: self.settings.partitions,
            now_ns: self.parts.clock.now_ns(),
        };
        let (loaded, states) = loader.load(&files).await?;
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

    fn find(&self, id_or_name: &str) -> Result<TaskState> {
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

    fn slot_of(&self, task: &TaskState, which: Which) -> Result<i64> {
        let now_ns = self.parts.clock.now_ns();
        let slot_ns = match which {
            Which::Latest => {
                let latest = task.schedule.latest_due(now_ns);
                latest.ok_or_else(|| Error::invalid("no slot of the task has been due yet"))?
            }
            Which::Slot(slot_ns) | Which::Unaligned(slot_ns) => slot_ns,
        };
        if matches!(which, Which::Slot(_)) && !task.schedule.is_slot(slot_ns) {
            let near = |slot: Option<i64>| slot.map_or("none".to_string(), to_short_text);
            let (before, after) = (task.schedule.latest_slot(slot_ns), task.schedule.next_slot_after(slot_ns));
            let message = format!("{} is no slot of {}", to_short_text(slot_ns), task.definition.name);
            return Err(Error::invalid(message).with_hint(format!(
                "the slots around it are {} and {}",
                near(before),
                near(after)
            )));
        }
        if task.schedule.due_at(slot_ns) > now_ns {
            let due = to_short_text(task.schedule.due_at(slot_ns));
            return Err(Error::invalid(format!("the slot {} is due at {due}", to_short_text(slot_ns))));
        }
        Ok(slot_ns)
    }

    /// Asks for those of the slots that are not asked for yet; returns how many that are.
    async fn request(&self, task: &TaskState, slots: &[i64]) -> Result<usize> {
        let id = &task.definition.id;
        let under_way = self.scheduler.under_way(id);
        let requested_ns = self.parts.clock.now_ns();
        let requests: Vec<ControlRecord> = slots
            .iter()
            .filter(|slot_ns| under_way.iter().all(|run| run.slot_ns != **slot_ns))
            .map(|slot_ns| RequestedRun { id: new_id(), task: id.clone(), slot_ns: *slot_ns, requested_ns })
            .map(ControlRecord::Requested)
            .collect();
        self.runs.append(Vec::new(), &requests).await?;
        Ok(requests.len())
    }

    async fn set_status(&self, id_or_name: &str, status: TaskStatus) -> Result<TaskView> {
        let task = self.find(id_or_name)?;
        let id = task.definition.id.clone();
        if task.definition.status != status {
            let definition = Definition { status, ..task.definition };
            self.runs.append(Vec::new(), &[ControlRecord::Task(Box::new(definition))]).await?;
            match status {
                TaskStatus::Active => self.scheduler.watch_from_now(&id),
                TaskStatus::Inactive => self.scheduler.withdraw(&id),
            }
            self.scheduler.wake.notify_one();
        }
        self.show(&id)
    }

    /// The directory of task files.
    pub fn directory(&self) -> &Path {
        &self.settings.directory
    }
}
