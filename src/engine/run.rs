//! One run: a blocking thread evaluates the script and drives its plan, the caller's task feeds the sink.
//!
//! Used by the engine only. Between the two stands a channel of a few chunks: a slow sink holds the run back, and the
//! operators never compute on a thread that serves the network.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::explain::{PlanText, Step, Totals};
use super::request::{RunError, RunReport, RunRequest};
use super::script::{Script, Times};
use super::session::ShownValue;
use crate::diagnostic::Span;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::gate::Event;
use crate::exec::{self, Context, Memory, Outcome, ResultSink};
use crate::flux::host;
use crate::flux::value::Stream;
use crate::plan::World;
use crate::plan::graph::Graph;
use crate::plan::planner::{Plan, PlanOptions, plan};
use crate::table::pool::Kept;
use crate::table::scan::SourceRef;
use crate::table::{Chunk, Name, size};

/// How many events may wait between the run and the sink.
const EVENTS_IN_FLIGHT: usize = 4;

/// Runs a script that has no errors.
pub async fn run(
    script: Arc<Script>,
    request: RunRequest,
    memory: Memory,
    results: &mut dyn ResultSink,
) -> std::result::Result<RunReport, RunError> {
    let (events, mut told) = mpsc::channel(EVENTS_IN_FLIGHT);
    // Whoever drops this future cancels the run.
    let cancel = request.cancel.child_token();
    let _guard = cancel.clone().drop_guard();
    let context = Context { limits: request.limits, memory, cores: request.cores, cancel, runtime: Handle::current() };
    let world = Arc::new(ScriptWorld::new(&request, context));
    let worker = {
        let world = Arc::clone(&world);
        let times = Times { now_ns: request.now_ns, last_success_ns: request.last_success_ns };
        tokio::task::spawn_blocking(move || {
            let _running = Running::begin();
            let Some(plan) = world.plan_script(&script, times)? else { return Ok(()) };
            world.execute(plan, &mut |event| events.blocking_send(event).map_err(|_| gone()))
        })
    };
    let mut refused = None;
    while let Some(event) = told.recv().await {
        if let Err(error) = tell(results, event).await {
            refused = Some(error);
            break;
        }
    }
    drop(told);
    let done = worker.await.unwrap_or_else(|panic| Err(defect(panic)));
    let report = world.report();
    match (refused, done) {
        (Some(error), _) | (None, Err(error)) => Err(RunError::failed(error, report)),
        (None, Ok(())) => Ok(report),
    }
}

/// The plan of a script in words; its scans are opened, and read only to `analyze` it.
pub async fn explain(
    script: Arc<Script>,
    request: RunRequest,
    memory: Memory,
    analyze: bool,
) -> std::result::Result<PlanText, RunError> {
    let cancel = request.cancel.child_token();
    let _guard = cancel.clone().drop_guard();
    let context = Context { limits: request.limits, memory, cores: request.cores, cancel, runtime: Handle::current() };
    let world = Arc::new(ScriptWorld::new(&request, context));
    let times = Times { now_ns: request.now_ns, last_success_ns: request.last_success_ns };
    let worker = {
        let world = Arc::clone(&world);
        tokio::task::spawn_blocking(move || {
            let plan = world.plan_script(&script, times)?;
            let Some(plan) = plan else { return Ok((Vec::new(), None)) };
            let steps = crate::plan::explain::steps(&plan);
            let time = if analyze { Some(world.analyze(plan)?) } else { None };
            Ok((steps, time))
        })
    };
    let done = worker.await.unwrap_or_else(|panic| Err(defect(panic)));
    let figures = world.outcome.lock().figures.take();
    let report = world.report();
    let (steps, time) = done.map_err(|error| RunError::failed(error, report.clone()))?;
    let figures = figures.unwrap_or_default();
    let steps = steps.into_iter().enumerate();
    let steps = steps.map(|(number, text)| Step { text, figures: figures.get(number).copied() }).collect();
    let totals = time.map(|time| Totals {
        rows_in: report.rows_in,
        rows_returned: report.rows_returned,
        points: report.rows_out,
        time_ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
        warnings: report.warnings,
    });
    Ok(PlanText { steps, totals })
}

/// Counts the scripts whose threads run, for as long as they do: also of one that nobody waits for any more.
struct Running;

impl Running {
    fn begin() -> Running {
        metrics::gauge!("fluxmill_scripts_running").increment(1.0);
        Running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!("fluxmill_scripts_running").decrement(1.0);
    }
}

async fn tell(results: &mut dyn ResultSink, event: Event) -> Result<()> {
    match event {
        Event::Begin(name) => results.begin_result(&name).await,
        Event::Chunk(chunk) => results.chunk(chunk).await,
        Event::End => results.end_result().await,
    }
}

fn gone() -> Error {
    Error::new(ErrorKind::Canceled, "nobody takes the results any more")
}

fn defect(panic: tokio::task::JoinError) -> Error {
    let text = match panic.try_into_panic() {
        Ok(payload) => match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast::<&str>().map_or_else(|_| "unknown".to_owned(), |text| text.to_string()),
        },
        Err(error) => error.to_string(),
    };
    Error::internal(format!("panic: {text}"))
}

/// The world of one run as the language sees it. It counts what is read on the way, also during evaluation.
struct ScriptWorld {
    world: Arc<dyn World>,
    context: Context,
    max_push_ops: usize,
    outcome: Mutex<Outcome>,
    sources: Mutex<Vec<SourceRef>>,
    show_values: Option<usize>,
    values: Mutex<Vec<ShownValue>>,
    /// What streams that the script reads while it is evaluated take of its memory. Its values may hold their rows until
    /// the end.
    collected: Mutex<Kept>,
}

impl ScriptWorld {
    fn new(request: &RunRequest, context: Context) -> ScriptWorld {
        ScriptWorld {
            world: request.world.for_run().unwrap_or_else(|| Arc::clone(&request.world)),
            context,
            max_push_ops: request.max_push_ops,
            outcome: Mutex::new(Outcome::default()),
            sources: Mutex::new(Vec::new()),
            show_values: request.show_values,
            values: Mutex::new(Vec::new()),
            collected: Mutex::default(),
        }
    }

    /// The plan of a script; `None` for one of a session that has values only.
    fn plan_script(self: &Arc<Self>, script: &Script, times: Times) -> Result<Option<Plan>> {
        let evaluated = script.evaluate(times, Arc::clone(self) as Arc<dyn host::World>, &self.context.cancel)?;
        if let Some(rows) = self.show_values {
            let text = &script.source.text;
            let expressions = evaluated.values.iter().map(|(span, value)| (None, *span, value));
            let names = evaluated.names.iter().map(|(name, value)| (Some(name.clone()), Span::default(), value));
            let shown =
                expressions.chain(names).map(|(name, span, value)| ShownValue::new(name, span, value, text, rows));
            *self.values.lock() = shown.collect();
            if evaluated.streams.is_empty() {
                return Ok(None);
            }
        }
        self.plan(&Graph::of_script(&evaluated.streams)?, true).map(Some)
    }

    fn plan(&self, graph: &Graph, stage: bool) -> Result<Plan> {
        let options = PlanOptions { max_push_ops: self.max_push_ops, stage };
        let plan = plan(graph, self.world.as_ref(), options)?;
        let mut sources = self.sources.lock();
        for source in &plan.sources {
            if !sources.contains(source) {
                sources.push(source.clone());
            }
        }
        Ok(plan)
    }

    fn execute(&self, plan: Plan, events: &mut dyn FnMut(Event) -> Result<()>) -> Result<()> {
        let mut outcome = std::mem::take(&mut *self.outcome.lock());
        let done = exec::run(plan, &self.context, &mut outcome, events);
        *self.outcome.lock() = outcome;
        done
    }

    /// Runs a plan whose results nobody wants, and measures each of its steps.
    fn analyze(&self, plan: Plan) -> Result<std::time::Duration> {
        self.outcome.lock().figures = Some(Vec::new());
        let began = std::time::Instant::now();
        self.execute(plan, &mut |_| Ok(()))?;
        Ok(began.elapsed())
    }

    fn report(&self) -> RunReport {
        let outcome = std::mem::take(&mut *self.outcome.lock());
        RunReport {
            writes: outcome.writes,
            kept: outcome.kept,
            rows_in: outcome.rows_in,
            rows_out: outcome.rows_out,
            rows_returned: outcome.rows_returned,
            warnings: outcome.warnings,
            sources: std::mem::take(&mut *self.sources.lock()),
            values: std::mem::take(&mut *self.values.lock()),
        }
    }
}

impl host::World for ScriptWorld {
    fn collect(&self, stream: Arc<dyn Stream>) -> Result<Vec<Chunk>> {
        let plan = self.plan(&Graph::of_stream(&stream)?, false)?;
        let mut chunks = Vec::new();
        let mut bytes = 0;
        let mut held = self.context.memory.reservation();
        let returned = self.outcome.lock().rows_returned;
        self.execute(plan, &mut |event| {
            if let Event::Chunk(chunk) = event {
                bytes += size::of_rows(&chunk);
                if bytes > self.context.limits.waiting_bytes {
                    return Err(too_large(self.context.limits.waiting_bytes));
                }
                let refused = |full| exec::refusal("a stream that is read during evaluation wants", bytes, full);
                held.set(bytes).map_err(refused)?;
                chunks.push(chunk);
            }
            Ok(())
        })?;
        self.outcome.lock().rows_returned = returned;
        self.collected.lock().keep(held);
        Ok(chunks)
    }

    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        self.world.bucket_id(name_or_id)
    }

    fn buckets(&self) -> Vec<host::BucketInfo> {
        self.world.buckets()
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.world.secret(name)
    }

    fn wall_clock_ns(&self) -> i64 {
        self.world.wall_clock_ns()
    }
}

fn too_large(max: usize) -> Error {
    Error::resource_exhausted(format!("a stream that is read during evaluation takes more than {max} bytes"))
        .with_hint("narrow it before tableFind, findRecord or findColumn, for instance with last() or limit(n: 1)")
}
