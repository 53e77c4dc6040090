//! The facade: a script, `now` and a world in; results, staged points and a report out.
//!
//! Called by `tasks`, the API, the REPL and the command line. It ties the language to plans, plans to execution and the
//! world to all of them. It appends nothing: what `to()` staged is in the report, and the caller makes it durable.

mod collected;
mod explain;
pub mod memory;
mod request;
mod run;
mod script;
pub mod session;
#[cfg(feature = "delta")]
pub mod sql;
mod store_world;
mod task_plan;

pub use collected::{CollectedResult, CollectedResults};
pub use explain::{Explanation, PlanText, Stage};
pub use request::{RunError, RunReport, RunRequest, TaskPlan};

pub use store_world::{NoBuckets, StoreWorld};

pub use crate::exec::sink::DiscardResults;
pub use crate::exec::{BucketWrite, Limits, Points, ResultSink, refusal};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::QueryConfig;
use crate::diagnostic::{Diagnostic, Source};
use crate::exec::Memory;
use crate::table::pool::Pool;
use script::{ScriptCache, Times};

/// Runs scripts. Cheap to share by `Arc`; it keeps the most recently used scripts parsed and checked, and the pools that all
/// of its runs draw on: a process has one.
#[derive(Debug)]
pub struct Engine {
    scripts: ScriptCache,
    memory: Arc<Pool>,
    memory_per_run: usize,
    disk: Arc<Pool>,
    folder: PathBuf,
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new()
    }
}

impl Engine {
    /// An engine with an empty cache and the default limits. Rows that do not fit in memory go to the system's temporary
    /// folder.
    pub fn new() -> Self {
        Engine::with_limits(&QueryConfig::default(), &std::env::temp_dir())
    }

    /// An engine with an empty cache. Rows that do not fit in memory go to this folder.
    pub fn with_limits(limits: &QueryConfig, folder: &Path) -> Self {
        Engine {
            scripts: ScriptCache::default(),
            memory: Pool::new(limits.memory.as_usize()),
            memory_per_run: limits.memory_per_run.as_usize(),
            disk: Pool::new(limits.disk.as_usize()),
            folder: folder.to_path_buf(),
        }
    }

    /// How many bytes of memory the runs hold now, those among them that have ended and whose points are not dropped yet.
    pub fn memory_taken(&self) -> usize {
        self.memory.taken()
    }

    /// How many bytes of rows the runs have on disk now.
    pub fn disk_taken(&self) -> usize {
        self.disk.taken()
    }

    /// What one run may take.
    fn memory_of_run(&self, limits: &Limits) -> Memory {
        Memory::of_run(&self.memory, self.memory_per_run.min(limits.memory), &self.disk, &self.folder)
    }

    /// Runs a script: checks it, evaluates it, runs its pipelines and hands the results to the sink in program order.
    /// Dropping the future cancels the run.
    ///
    /// Errors: [`RunError::Refused`] when the script has errors (nothing ran), else [`RunError::Failed`] with what was
    /// known when it failed. The points of a failed run are never in the report.
    pub async fn run(&self, request: RunRequest, results: &mut dyn ResultSink) -> Result<RunReport, RunError> {
        let script = self.scripts.get(&request.source);
        if !script.may_run() {
            return Err(RunError::Refused(script.diagnostics.clone()));
        }
        let memory = self.memory_of_run(&request.limits);
        run::run(script, request, memory, results).await
    }

    /// Parses and checks a script: all of its problems, in the order of the text.
    pub fn check(&self, source: &Source) -> Vec<Diagnostic> {
        self.scripts.get(source).diagnostics.clone()
    }

    /// The plan of a script as text: sources with what their scan takes over, operators, results. It opens scans and
    /// reads none, except for streams that the script itself reads while it is evaluated (`tableFind`).
    pub async fn explain(&self, request: RunRequest) -> Result<String, RunError> {
        let explanation = self.explain_stages(request, &[Stage::Plan], false).await?;
        let text = explanation.to_text();
        Ok(text.lines().skip(1).map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect())
    }

    /// How a script is read and run: the stages that are asked for. A plan opens scans and reads none; with `analyze` it
    /// also runs, its results and points are dropped, and each step tells what it has cost. Dropping the future ends it.
    ///
    /// Errors: for a plan, as for [`Engine::run`]; the other stages are there for every text.
    pub async fn explain_stages(
        &self,
        request: RunRequest,
        stages: &[Stage],
        analyze: bool,
    ) -> Result<Explanation, RunError> {
        let script = self.scripts.get(&request.source);
        let mut explanation = explain::of_text(&script, stages);
        if stages.contains(&Stage::Plan) {
            if !script.may_run() {
                return Err(RunError::Refused(script.diagnostics.clone()));
            }
            let memory = self.memory_of_run(&request.limits);
            explanation.plan = Some(run::explain(script, request, memory, analyze).await?);
        }
        Ok(explanation)
    }

    /// Which buckets a script reads and writes when it runs at `now_ns`, without reading any.
    ///
    /// Errors: the diagnostics of a script that does not run.
    pub fn plan_task(&self, source: &Source, now_ns: i64) -> Result<TaskPlan, Vec<Diagnostic>> {
        let script = self.scripts.get(source);
        if !script.may_run() {
            return Err(script.diagnostics.clone());
        }
        Ok(task_plan::task_plan(&script, Times { now_ns, last_success_ns: None }))
    }

    /// Whether a script has words that stand for buckets or other things of the world (`from`, `to`, a package of
    /// InfluxDB's), whatever becomes of them when it runs.
    pub fn names_buckets(&self, source: &Source) -> bool {
        task_plan::names_buckets(&self.scripts.get(source).file)
    }
}
