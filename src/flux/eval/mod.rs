//! The evaluator: a checked file becomes the streams that have to run.
//!
//! Called by the engine (whole files) and, through `Host`, by builtins and operators that call functions. It is pure
//! but for what the [`World`] does, and bounded: steps, depth of calls and expressions, nesting of values. What a user
//! writes never makes it panic or run for ever.

mod call;
mod captures;
mod expression;
mod nesting;
mod program;
mod row_host;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

pub use captures::{free_names, free_names_of};

use super::Value;
use super::host::World;
use super::library::Library;
use super::value::{Scope, Stream};
use crate::diagnostic::Span;
use crate::error::{Error, ErrorKind, Result};
use crate::syntax::ast::{File, FunctionExpr};
use crate::table::Name;
use program::Program;
use row_host::{Resolved, Rows};

/// What an evaluation may use before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvalLimits {
    /// Expressions that are evaluated; of a row function, for each call.
    pub steps: u64,
    /// Levels of expressions and calls within each other.
    pub depth: u32,
}

impl Default for EvalLimits {
    fn default() -> Self {
        EvalLimits { steps: 20_000_000, depth: 512 }
    }
}

/// Asked now and then during an evaluation; true ends it.
pub type Cancelled = Arc<dyn Fn() -> bool + Send + Sync>;

/// What an evaluation is given.
#[derive(Clone, Default)]
pub struct EvalRequest {
    /// `now()`, in nanoseconds since the epoch, unless the script has an `option now`.
    pub now_ns: i64,
    /// Values of options, by import path and name (`influxdata/influxdb/tasks`, `lastSuccessTime`). An option statement
    /// of the script goes before them.
    pub options: Vec<(Name, Name, Value)>,
    /// Names that the script sees as if it had bound them first: what earlier input of a session bound.
    pub names: IndexMap<Name, Value>,
    /// What it may use.
    pub limits: EvalLimits,
    /// Whether somebody wants it to end.
    pub cancelled: Option<Cancelled>,
}

/// What an evaluation leaves behind.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// The streams that have to run, in program order, each once: of expression statements, and of `yield` and `to`.
    pub streams: Vec<Arc<dyn Stream>>,
    /// The expression statements with their values, in order.
    pub values: Vec<(Span, Value)>,
    /// The names that the file has bound, options among them, in the order of the text.
    pub names: IndexMap<Name, Value>,
}

/// Evaluates a file that has been checked.
///
/// # Errors
/// The first error, with its innermost place in the script.
pub fn evaluate(
    file: &Arc<File>,
    library: &'static Library,
    request: EvalRequest,
    world: Arc<dyn World>,
) -> Result<Evaluation> {
    let session = Session {
        library,
        world,
        now_ns: request.now_ns,
        options: request.options,
        limits: request.limits,
        cancelled: request.cancelled,
    };
    let program = Program::new(Arc::clone(file), request.names)?;
    Evaluator::new(Arc::new(session), Some(program)).run()
}

/// What stays the same for all of an evaluation and for the row functions that outlive it.
struct Session {
    library: &'static Library,
    world: Arc<dyn World>,
    now_ns: i64,
    options: Vec<(Name, Name, Value)>,
    limits: EvalLimits,
    cancelled: Option<Cancelled>,
}

/// The state of an evaluation: of a whole file, or of row functions when the file has been evaluated.
struct Evaluator {
    session: Arc<Session>,
    /// The file; `None` for row functions, which have taken along all names that they need.
    program: Option<Program>,
    /// For row functions: `now` and the options as the file left them.
    resolved: Option<Arc<Resolved>>,
    /// Hosts for row functions, made when the first operator asks for them.
    rows: Option<Arc<Rows>>,
    steps: u64,
    depth: u32,
    /// An error in a place whose interface has no room for one; raised as soon as the builtin returns.
    deferred: Option<Error>,
    /// Compiled regular expressions by pattern.
    patterns: HashMap<Arc<str>, Arc<regex::Regex>>,
    /// Free names of function literals by address; the literal is kept so that the address stays its own.
    captures: HashMap<usize, (Arc<FunctionExpr>, Arc<[Name]>)>,
}

/// The names visible to an expression: those bound in the function or block, then those the function took along. Where
/// nothing was taken along, at file level, the rest is found in the program.
struct Env<'a> {
    names: Vec<(Name, Value)>,
    captured: Option<&'a Scope>,
    /// The statement of the file that is evaluated: it sees what the ones before it have bound.
    statement: usize,
}

impl<'a> Env<'a> {
    /// File level, in a statement.
    fn file(statement: usize) -> Self {
        Env { names: Vec::new(), captured: None, statement }
    }

    /// The body of a function.
    fn function(captured: &'a Scope) -> Self {
        Env { names: Vec::new(), captured: Some(captured), statement: usize::MAX }
    }

    /// A name that is bound in the function or taken along by it.
    fn local(&self, name: &str) -> Option<&Value> {
        match self.names.iter().rev().find(|(own, _)| &**own == name) {
            Some((_, value)) => Some(value),
            None => self.captured?.get(name),
        }
    }
}

/// How many steps pass between two questions whether to end.
const STEPS_PER_QUESTION: u64 = 4096;

impl Evaluator {
    fn new(session: Arc<Session>, program: Option<Program>) -> Self {
        Evaluator {
            session,
            program,
            resolved: None,
            rows: None,
            steps: 0,
            depth: 0,
            deferred: None,
            patterns: HashMap::new(),
            captures: HashMap::new(),
        }
    }

    /// Counts one more step and one more level; [`Evaluator::leave`] takes the level back.
    fn enter(&mut self) -> Result<()> {
        let limits = self.session.limits;
        if self.depth >= limits.depth {
            let message = format!("expressions and calls are nested more than {} levels deep", limits.depth);
            return Err(Error::resource_exhausted(message).with_hint("a function that is handed to itself never ends"));
        }
        self.depth += 1;
        self.steps += 1;
        if self.steps > limits.steps {
            self.depth -= 1;
            return Err(Error::resource_exhausted(format!("the script takes more than {} steps", limits.steps)));
        }
        if self.steps.is_multiple_of(STEPS_PER_QUESTION) && self.session.cancelled.as_ref().is_some_and(|ask| ask()) {
            self.depth -= 1;
            return Err(Error::new(ErrorKind::Canceled, "the evaluation was canceled"));
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// A compiled regular expression.
    fn pattern(&mut self, text: &Arc<str>) -> Result<Arc<regex::Regex>> {
        if let Some(pattern) = self.patterns.get(text) {
            return Ok(Arc::clone(pattern));
        }
        let compiled = regex::Regex::new(text);
        let compiled = compiled.map_err(|error| Error::invalid(format!("regex parse error: {error}")))?;
        let pattern = Arc::new(compiled);
        self.patterns.insert(Arc::clone(text), Arc::clone(&pattern));
        Ok(pattern)
    }
}

impl fmt::Debug for EvalRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EvalRequest")
            .field("now_ns", &self.now_ns)
            .field("options", &self.options)
            .field("names", &self.names.keys())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
