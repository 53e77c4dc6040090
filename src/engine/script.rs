//! Scripts, parsed and checked, and the cache of them.
//!
//! Used by the engine only. A task's script is the same text run after run; parsing and checking it once is enough.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::error::Result;
use crate::flux::check::parse_and_check;
use crate::flux::eval::{EvalRequest, Evaluation, evaluate};
use crate::flux::{Value, host};
use crate::functions::influxdb::tasks;
use crate::functions::library;
use crate::syntax::ast;

/// How many scripts are kept.
const CAPACITY: usize = 256;

/// A script with all that is known of it before it runs.
#[derive(Debug)]
pub struct Script {
    /// Its text and name.
    pub source: Source,
    /// Its tree.
    pub file: Arc<ast::File>,
    /// Its problems, warnings among them, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl Script {
    /// Parses and checks a text.
    pub fn new(source: &Source) -> Script {
        let parsed = parse_and_check(&source.text, library());
        Script { source: source.clone(), file: Arc::new(parsed.file), diagnostics: parsed.diagnostics }
    }

    /// Whether it may run: it has no errors.
    pub fn may_run(&self) -> bool {
        self.diagnostics.iter().all(|diagnostic| diagnostic.severity != Severity::Error)
    }

    /// Evaluates it: the streams that have to run, in program order, and what else a session shows.
    ///
    /// Errors: the first one, with its innermost place in the script; Canceled when `cancel` ends it.
    pub fn evaluate(
        &self,
        times: Times,
        world: Arc<dyn host::World>,
        cancel: &CancellationToken,
    ) -> Result<Evaluation> {
        let last_success = times.last_success_ns.map_or(Value::Null, Value::Time);
        let cancel = cancel.clone();
        let request = EvalRequest {
            now_ns: times.now_ns,
            options: vec![(tasks::PACKAGE.into(), tasks::LAST_SUCCESS_TIME.into(), last_success)],
            cancelled: Some(Arc::new(move || cancel.is_cancelled())),
            ..EvalRequest::default()
        };
        evaluate(&self.file, library(), request, world)
    }
}

/// The times that a run is given.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// `now()`, in nanoseconds since the epoch.
    pub now_ns: i64,
    /// `tasks.lastSuccessTime`, if there is one.
    pub last_success_ns: Option<i64>,
}

/// The scripts that were used last, by name and text.
#[derive(Debug, Default)]
pub struct ScriptCache {
    /// Most recently used last.
    scripts: Mutex<VecDeque<Arc<Script>>>,
}

impl ScriptCache {
    /// The script of a text, parsed and checked now or earlier.
    pub fn get(&self, source: &Source) -> Arc<Script> {
        if let Some(script) = self.take(source) {
            self.keep(Arc::clone(&script));
            return script;
        }
        // Outside of the lock: a long script must not hold up the others.
        let script = Arc::new(Script::new(source));
        self.keep(Arc::clone(&script));
        script
    }

    fn take(&self, source: &Source) -> Option<Arc<Script>> {
        let mut scripts = self.scripts.lock();
        let place = scripts.iter().rposition(|script| script.source == *source)?;
        scripts.remove(place)
    }

    fn keep(&self, script: Arc<Script>) {
        let mut scripts = self.scripts.lock();
        if scripts.len() == CAPACITY {
            scripts.pop_front();
        }
        scripts.push_back(script);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_parsed_once_and_the_least_used_one_is_forgotten() {
        let cache = ScriptCache::default();
        let first = cache.get(&Source::new("a", "x = 0"));
        assert!(Arc::ptr_eq(&first, &cache.get(&Source::new("a", "x = 0"))), "the same text is found again");
        assert!(!Arc::ptr_eq(&first, &cache.get(&Source::new("a", "x = 1"))), "another text is another script");
        for number in 0..CAPACITY {
            cache.get(&Source::new("b", format!("y = {number}")));
        }
        assert!(!Arc::ptr_eq(&first, &cache.get(&Source::new("a", "x = 0"))), "it was the least recently used");
        assert_eq!(cache.scripts.lock().len(), CAPACITY);
    }
}
