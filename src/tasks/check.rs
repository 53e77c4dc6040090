//! What is wrong or odd about a task's text: the script, its task option, its schedule.
//!
//! Called by the loader of task files and by `fluxmill check`. It reads no file and starts nothing.

use super::definition::ScheduleSpec;
use super::schedule::Schedule;
use crate::diagnostic::{Diagnostic, Severity, Source, Span};
use crate::engine::Engine;
use crate::flux::task_option::{TaskOption, task_option};
use crate::syntax;
use crate::syntax::ast::{File, Statement};
use crate::time::rfc3339::to_short_text;

/// The option and schedule of a task as far as they can be read, and all problems of its text in their order.
pub fn check_task(engine: &Engine, source: &Source) -> (Option<(TaskOption, ScheduleSpec)>, Vec<Diagnostic>) {
    let parsed = syntax::parse(&source.text);
    if parsed.has_errors() {
        return (None, parsed.diagnostics);
    }
    let mut diagnostics = engine.check(source);
    let option = match task_option(&parsed.file) {
        Ok((option, warnings)) => {
            diagnostics.extend(warnings);
            Some(option)
        }
        Err(problems) => {
            diagnostics.extend(problems);
            None
        }
    };
    let schedule = option.map(|option| {
        let spec = spec(&option);
        (option, spec)
    });
    match schedule.as_ref().map(|(option, spec)| (option.span, spec.schedule())) {
        Some((span, Err(error))) => {
            let mut diagnostic = Diagnostic::error("task-option", error.message(), span);
            diagnostic.help = error.hint().map(str::to_string);
            diagnostics.push(diagnostic);
        }
        Some((span, Ok(schedule))) => diagnostics.extend(odd_days(&schedule, span)),
        None => {}
    }
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    (schedule, diagnostics)
}

/// All problems of a script that is no task, in their order. One that gives `task` a value without `option` was perhaps
/// meant to be one: a warning says so.
pub fn check_script(engine: &Engine, source: &Source, file: &File) -> Vec<Diagnostic> {
    let mut diagnostics = engine.check(source);
    let assigned = |statement: &Statement| matches!(statement, Statement::Variable(assignment) if &*assignment.name.name == "task");
    if file.body.iter().any(assigned) {
        let slip = task_option(file).err().unwrap_or_default();
        diagnostics.extend(slip.into_iter().map(|problem| Diagnostic { severity: Severity::Warning, ..problem }));
        diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    }
    diagnostics
}

/// Whether a file says that it is a task.
pub fn is_task(file: &File) -> bool {
    file.body.iter().any(|statement| {
        matches!(statement, Statement::Option(option) if option.package.is_none() && &*option.name.name == "task")
    })
}

fn spec(option: &TaskOption) -> ScheduleSpec {
    ScheduleSpec {
        every: option.every,
        cron: option.cron.clone(),
        offset: Some(option.offset).filter(|offset| !offset.is_zero()),
        location: option.location.clone(),
    }
}

/// InfluxDB wants both day fields of a cron pattern to match; who comes from another cron expects either.
fn odd_days(schedule: &Schedule, span: Span) -> Option<Diagnostic> {
    if !schedule.restricts_both_days() {
        return None;
    }
    let message = "the cron pattern restricts the day of the month and the day of the week: both must match";
    let next = schedule.next_slot_after(0).map(to_short_text).unwrap_or_default();
    Some(Diagnostic::warning("cron-days", message, span).help(format!("the first match since 1970 is {next}")))
}
