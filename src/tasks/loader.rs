//! From files to tasks: a file that is new, changed or gone makes, changes or removes its task.
//!
//! Called by [`super::Tasks`] at the start and whenever the directory has changed. A broken file changes nothing: the last
//! good version of its task goes on, and the problem is shown. Nothing here starts a run.

use std::collections::{BTreeMap, HashMap};

use super::check::check_task;
use super::definition::{DEFAULT_RETRY, Definition, ScheduleSpec, TaskStatus};
use super::file::{Files, task_id};
use super::problem;
use super::run::ControlRecord;
use super::run_store::RunStore;
use crate::commitlog::CommitLog;
use crate::diagnostic::{Severity, Source, nearest, render};
use crate::engine::Engine;
use crate::error::{ErrorKind, Result};
use crate::flux::task_option::TaskOption;
use crate::name::Name;
use crate::store::{NewBucket, Store};

/// How many changes one append takes: scripts are up to a megabyte each.
const CHANGES_PER_APPEND: usize = 32;

/// A file as it was last loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedFile {
    /// The id of its task.
    pub id: Option<Name>,
    /// What is wrong with it, with carets; its task goes on in its last good version, if there is one.
    pub problem: Option<String>,
    /// What is odd about it.
    pub warnings: Vec<String>,
}

/// What a load did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Ids of tasks that were made.
    pub created: Vec<Name>,
    /// Ids of tasks that have a new version.
    pub changed: Vec<Name>,
    /// Ids of tasks that were removed.
    pub removed: Vec<Name>,
    /// Paths of files that are broken.
    pub broken: Vec<String>,
}

/// Everything a load needs.
pub struct Loader<'a> {
    /// Checks scripts.
    pub engine: &'a Engine,
    /// The tasks that there are.
    pub runs: &'a RunStore,
    /// Where a script's target buckets are made.
    pub store: &'a Store,
    /// Where their topics are.
    pub log: &'a dyn CommitLog,
    /// How many partitions a topic has that is made here.
    pub partitions: u32,
    /// Now.
    pub now_ns: i64,
}

/// A script that is in order, before it becomes a version of a task.
struct Checked {
    option: TaskOption,
    schedule: ScheduleSpec,
    warnings: Vec<String>,
}

impl Loader<'_> {
    /// Makes the tasks what the files say. Returns what changed, and every file as it was loaded.
    pub async fn load(&self, files: &Files) -> Result<(Loaded, BTreeMap<String, LoadedFile>)> {
        let mut loaded = Loaded::default();
        let mut states: BTreeMap<String, LoadedFile> = BTreeMap::new();
        let mut owners: HashMap<Name, String> = HashMap::new();
        let mut changes: Vec<ControlRecord> = Vec::new();
        for (path, text) in files {
            let state = self.load_file(path, text, &mut owners, &mut loaded, &mut changes).await?;
            if state.problem.is_some() {
                loaded.broken.push(path.clone());
            }
            states.insert(path.clone(), state);
        }
        for id in self.runs.ids() {
            if !owners.contains_key(&id) {
                changes.push(ControlRecord::Removed { task: id.clone(), at_ns: self.now_ns });
                loaded.removed.push(id);
            }
        }
        // A thousand files are a thousand records, and few appends.
        for part in changes.chunks(CHANGES_PER_APPEND) {
            self.runs.append(Vec::new(), part).await?;
        }
        self.warn_of_shared_names(&mut states);
        Ok((loaded, states))
    }

    async fn load_file(
        &self,
        path: &str,
        text: &std::result::Result<std::sync::Arc<str>, String>,
        owners: &mut HashMap<Name, String>,
        loaded: &mut Loaded,
        changes: &mut Vec<ControlRecord>,
    ) -> Result<LoadedFile> {
        let broken =
            |id: Option<Name>, problem: String| LoadedFile { id, problem: Some(problem), warnings: Vec::new() };
        let read = text.as_ref().map_err(String::clone).and_then(|text| Ok((text, task_id(path, text)?)));
        let (text, id) = match read {
            Ok(read) => read,
            Err(problem) => {
                // The file does not say whose it is: the task that came from it stays.
                let task = self.runs.tasks().into_iter().find(|task| task.definition.file == path);
                let id = task.map(|task| task.definition.id);
                owners.extend(id.clone().map(|id| (id, path.to_string())));
                return Ok(broken(id, format!("{path}: {problem}")));
            }
        };
        if let Some(other) = owners.get(&id) {
            return Ok(broken(None, format!("{path}: its id {id} is that of {other}")));
        }
        owners.insert(id.clone(), path.to_string());
        let mut checked = match self.check(path, text) {
            Ok(checked) => checked,
            Err(problem) => return Ok(broken(Some(id), problem)),
        };
        let known = self.runs.task(&id);
        let is_known = known.is_some();
        let known = known.map(|task| task.definition);
        let definition = self.define(id.clone(), path, text, &checked, known.as_ref())?;
        if known.as_ref() != Some(&definition) {
            changes.push(ControlRecord::Task(Box::new(definition)));
            let list = if is_known { &mut loaded.changed } else { &mut loaded.created };
            list.push(id.clone());
        }
        let source = Source::new(path, &**text);
        self.make_targets(&source, &mut checked.warnings).await?;
        Ok(LoadedFile { id: Some(id), problem: None, warnings: checked.warnings })
    }

    /// What is wrong with a script, with carets.
    pub(super) fn problem_of(&self, path: &str, text: &str) -> Option<String> {
        self.check(path, text).err()
    }

    /// Parses and checks a script with its option and schedule; a problem comes back as text with carets.
    fn check(&self, path: &str, text: &str) -> std::result::Result<Checked, String> {
        let source = Source::new(path, text);
        let (schedule, diagnostics) = check_task(self.engine, &source);
        let (errors, warnings): (Vec<_>, Vec<_>) =
            diagnostics.into_iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
        match schedule {
            Some((option, schedule)) if errors.is_empty() => Ok(Checked {
                option,
                schedule,
                warnings: warnings
                    .iter()
                    .map(|warning| render::to_text(&source, std::slice::from_ref(warning)).trim_end().to_string())
                    .collect(),
            }),
            _ => Err(problem::text(&source, &errors)),
        }
    }

    /// The version of a task that a file says; equal to the known one if nothing changed.
    fn define(
        &self,
        id: Name,
        path: &str,
        text: &str,
        checked: &Checked,
        known: Option<&Definition>,
    ) -> Result<Definition> {
        let first_slot_ns = match known {
            Some(known) if known.schedule == checked.schedule => known.first_slot_ns,
            // A new task, or a new schedule, begins with the newest slot that is due: there is a result at once.
            _ => {
                let schedule = checked.schedule.schedule()?;
                let first = schedule.latest_due(self.now_ns).or_else(|| schedule.next_slot_after(self.now_ns));
                first.unwrap_or(i64::MAX)
            }
        };
        let definition = Definition {
            id,
            name: checked.option.name.clone(),
            file: path.to_string(),
            flux: text.to_string(),
            schedule: checked.schedule.clone(),
            concurrency: checked.option.concurrency.unwrap_or(1),
            retry: checked.option.retry.unwrap_or(DEFAULT_RETRY),
            status: known.map_or(TaskStatus::Active, |known| known.status),
            created_ns: known.map_or(self.now_ns, |known| known.created_ns),
            updated_ns: known.map_or(self.now_ns, |known| known.updated_ns),
            first_slot_ns,
        };
        match known {
            Some(known) if *known != definition => Ok(Definition { updated_ns: self.now_ns, ..definition }),
            _ => Ok(definition),
        }
    }

    /// Makes the buckets that a script writes to, and warns of those that it reads and that are not there.
    async fn make_targets(&self, source: &Source, warnings: &mut Vec<String>) -> Result<()> {
        let Ok(plan) = self.engine.plan_task(source, self.now_ns) else {
            return Ok(());
        };
        for name in &plan.writes {
            let missing = matches!(self.store.bucket(name), Err(error) if error.kind() == ErrorKind::NotFound);
            if missing {
                let bucket = match self.store.create_bucket(NewBucket::named(name)) {
                    Ok(bucket) => bucket,
                    // A name that no bucket can have fails this task's runs; the other files load.
                    Err(error) if error.kind() == ErrorKind::Invalid => {
                        warnings.push(format!("{}: {error}", source.name));
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                for topic in &bucket.topics {
                    self.log.create_topic(topic, self.partitions).await?;
                }
                tracing::info!(bucket = %name, task = %source.name, "made the bucket that a task writes to");
            }
        }
        for name in &plan.reads {
            if self.store.bucket(name).is_err() {
                let buckets = self.store.buckets();
                let near = nearest(name, buckets.iter().map(|bucket| &*bucket.name));
                let hint = near.map_or(String::new(), |near| format!(" (did you mean \"{near}\"?)"));
                warnings.push(format!("{}: there is no bucket \"{name}\" yet{hint}", source.name));
            }
        }
        Ok(())
    }

    fn warn_of_shared_names(&self, states: &mut BTreeMap<String, LoadedFile>) {
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for task in self.runs.tasks() {
            by_name.entry(task.definition.name).or_default().push(task.definition.file);
        }
        for (name, files) in by_name.into_iter().filter(|(_, files)| files.len() > 1) {
            for file in &files {
                let others: Vec<&str> = files.iter().filter(|other| *other != file).map(String::as_str).collect();
                if let Some(state) = states.get_mut(file) {
                    state.warnings.push(format!("{file}: the name \"{name}\" is also that of {}", others.join(", ")));
                }
            }
        }
    }
}
