//! The evaluator as builtins see it, and hosts for row functions that run when the script has been evaluated.
//!
//! Called by builtins during evaluation and by operators while rows stream. A row host has its own counters and caches
//! and shares only what never changes, so that every running operator has one to itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Evaluator, Session};
use crate::error::Result;
use crate::flux::Value;
use crate::flux::host::{Host, PIPED, RowHosts, World};
use crate::flux::value::{Function, Stream};
use crate::table::Name;

/// `now` and all options as the script has set them.
pub(super) struct Resolved {
    pub(super) now_ns: i64,
    pub(super) options: HashMap<(String, String), Value>,
}

/// Makes hosts for row functions.
pub(super) struct Rows {
    session: Arc<Session>,
    resolved: Arc<Resolved>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Rows").field("now_ns", &self.resolved.now_ns).finish_non_exhaustive()
    }
}

impl RowHosts for Rows {
    fn host(&self) -> Box<dyn Host + Send> {
        let mut evaluator = Evaluator::new(Arc::clone(&self.session), None);
        evaluator.resolved = Some(Arc::clone(&self.resolved));
        Box::new(evaluator)
    }
}

impl Evaluator {
    /// `now` and all options as they are now.
    fn resolve(&mut self) -> Result<Resolved> {
        let now_ns = self.script_now()?;
        let library = self.session.library;
        let mut options = HashMap::new();
        for (path, members) in library.packages() {
            for (name, _) in members.iter().filter(|(_, member)| member.is_option) {
                if let Some(value) = self.option_value(path, name)? {
                    options.insert((path.to_string(), name.to_string()), value);
                }
            }
        }
        Ok(Resolved { now_ns, options })
    }

    /// Takes what could not be returned as an error, for the builtin that is running to fail with.
    fn defer<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.deferred.get_or_insert(error);
                None
            }
        }
    }
}

impl Host for Evaluator {
    fn now_ns(&mut self) -> Result<i64> {
        self.script_now()
    }

    fn option(&mut self, package: &str, name: &str) -> Option<Value> {
        let value = self.option_value(package, name);
        self.defer(value).flatten()
    }

    fn call(&mut self, function: &Function, mut arguments: Vec<(Name, Value)>) -> Result<Value> {
        if self.depth == 0 {
            // A row function: every row has all steps for itself.
            self.steps = 0;
        }
        let piped = arguments.iter().position(|(name, _)| &**name == PIPED).map(|at| arguments.swap_remove(at).1);
        self.apply(function, arguments, piped, "", None)
    }

    fn side_effect(&mut self, stream: Arc<dyn Stream>) {
        // In a row function nobody runs streams; the stream that it made goes nowhere.
        if let Some(program) = &mut self.program {
            program.note_stream(stream);
        }
    }

    fn world(&self) -> &dyn World {
        self.session.world.as_ref()
    }

    fn row_hosts(&mut self) -> Arc<dyn RowHosts> {
        if let Some(rows) = &self.rows {
            return Arc::clone(rows) as Arc<dyn RowHosts>;
        }
        let resolved = match &self.resolved {
            Some(resolved) => Arc::clone(resolved),
            None => {
                let resolved = self.resolve();
                let resolved = self.defer(resolved);
                Arc::new(resolved.unwrap_or(Resolved { now_ns: self.session.now_ns, options: HashMap::new() }))
            }
        };
        let rows = Arc::new(Rows { session: Arc::clone(&self.session), resolved });
        // While options are still being evaluated the next one may be different.
        if self.resolved.is_some() || self.options_are_settled() {
            self.rows = Some(Arc::clone(&rows));
        }
        rows
    }
}
