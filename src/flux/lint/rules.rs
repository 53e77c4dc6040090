//! The rules, each a function over the chains of a file.
//!
//! Called by `lint` one after the other; each reports what it finds and knows nothing of the others.

use std::collections::HashSet;

use super::chain::{Chain, Names, Step, each};
use crate::diagnostic::{Diagnostic, Span};
use crate::flux::library::PRELUDE;
use crate::syntax::ast::{Expr, ExprKind, File, Statement, UnaryOperator};
use crate::syntax::visit;
use crate::time::Duration;

/// Functions that compute with `_value` and fail on a string or a boolean.
const NUMERIC: [&str; 17] = [
    "mean",
    "sum",
    "median",
    "quantile",
    "stddev",
    "spread",
    "skew",
    "integral",
    "derivative",
    "difference",
    "increase",
    "nonNegativeDerivative",
    "cumulativeSum",
    "movingAverage",
    "timedMovingAverage",
    "exponentialMovingAverage",
    "timeWeightedAvg",
];

/// Functions that leave `_value` and its type as they are, so that what follows still has fields of every type.
const KEEPS_VALUE: [&str; 14] = [
    "range",
    "filter",
    "group",
    "window",
    "sort",
    "limit",
    "tail",
    "yield",
    "set",
    "timeShift",
    "first",
    "last",
    "unique",
    "distinct",
];

/// The first step of a chain if it reads a bucket here and now.
fn reads_bucket<'a>(chain: &Chain<'a>) -> Option<Step<'a>> {
    chain.steps.first().copied().filter(|step| step.is("from"))
}

/// `mean` and its like where no filter has chosen the fields: one string field fails the whole run.
pub(super) fn mean_of_any_field(chains: &[Chain<'_>], found: &mut Vec<Diagnostic>) {
    for chain in chains {
        if reads_bucket(chain).is_none() {
            continue;
        }
        for (index, step) in chain.steps.iter().enumerate().skip(1) {
            if step.is("filter") && step.argument("fn").is_none_or(chooses_field) {
                break;
            }
            if let Some(numeric) = numeric_of(step) {
                if index >= chain.named && step.argument("column").is_none() {
                    found.push(
                        Diagnostic::warning(
                            "any-field",
                            format!("{numeric} of every field: one string or boolean field fails the whole script"),
                            step.span,
                        )
                        .help(
                            "choose the fields before it, |> filter(fn: (r) => r._field == \"name\"), or their type: \
                             types.isType(v: r._value, type: \"float\")",
                        ),
                    );
                }
                break;
            }
            if step.builtin.is_none_or(|(package, name)| package != PRELUDE || !KEEPS_VALUE.contains(&name)) {
                break;
            }
        }
    }
}

/// The function that computes with `_value`, called itself or handed to aggregateWindow.
fn numeric_of<'a>(step: &Step<'a>) -> Option<&'a str> {
    let (package, name) = step.builtin?;
    if package != PRELUDE {
        return None;
    }
    if NUMERIC.contains(&name) {
        return Some(name);
    }
    match &step.argument("fn").filter(|_| name == "aggregateWindow")?.kind {
        ExprKind::Identifier(function) => NUMERIC.contains(&&**function).then_some(&**function),
        _ => None,
    }
}

/// Whether a predicate looks at the field, its value or its type; one that calls something else may.
fn chooses_field(predicate: &Expr) -> bool {
    let mut chooses = false;
    visit::expr(predicate, &mut |expr| {
        chooses |= match &expr.kind {
            ExprKind::Member { property, .. } => matches!(&*property.name, "_field" | "_value"),
            ExprKind::Call(_) => true,
            _ => false,
        };
        true
    });
    // A function that stands elsewhere is not looked into.
    chooses || !matches!(predicate.kind, ExprKind::Function(_) | ExprKind::Paren(_))
}

/// A task that reads less than has passed since its last run.
pub(super) fn range_shorter_than_every(file: &File, chains: &[Chain<'_>], found: &mut Vec<Diagnostic>) {
    let Some((every, every_span)) = every_of(file) else { return };
    for step in chains.iter().flat_map(|chain| chain.steps.iter().skip(chain.named)) {
        if !step.is("range") || step.argument("stop").is_some() {
            continue;
        }
        let Some(start) = step.argument("start") else { continue };
        let ExprKind::Unary { operator: UnaryOperator::Minus, operand } = &start.kind else { continue };
        let ExprKind::Duration(back) = &operand.kind else { continue };
        if back.flat_nanoseconds() < every.flat_nanoseconds() {
            found.push(
                Diagnostic::warning(
                    "short-range",
                    format!("the range goes back {back}, but the task runs every {every} only"),
                    start.span,
                )
                .also(every_span, "what lies between is never read")
                .help("write -task.every, or tasks.lastSuccess(orTime: -task.every)"),
            );
        }
    }
}

/// `every` of the task option, if it is a literal.
fn every_of(file: &File) -> Option<(Duration, Span)> {
    let option = task_option_of(file)?;
    let ExprKind::Record { properties, .. } = &option.kind else { return None };
    let every = properties.iter().find(|property| &*property.name.name == "every")?;
    match &every.value.kind {
        ExprKind::Duration(duration) => Some((*duration, every.name.span.to(every.value.span))),
        _ => None,
    }
}

fn task_option_of(file: &File) -> Option<&Expr> {
    file.body.iter().find_map(|statement| match statement {
        Statement::Option(option) if option.package.is_none() && &*option.name.name == "task" => Some(&option.value),
        _ => None,
    })
}

/// `last` behind a pivot whose tables were merged into one: the rows of several series stand one behind the other.
pub(super) fn newest_row_of_merged_series(chains: &[Chain<'_>], found: &mut Vec<Diagnostic>) {
    for chain in chains {
        let mut pivoted = false;
        let mut merged: Option<Span> = None;
        for (index, step) in chain.steps.iter().enumerate() {
            match step.name() {
                "pivot" | "fieldsAsCols" => pivoted = true,
                // By columns that name the series each group is one of them; without columns all become one.
                "group" if pivoted && step.argument("columns").is_none_or(is_empty_array) => {
                    merged = step.argument("mode").is_none().then_some(step.span);
                }
                "group" | "sort" | "top" | "bottom" => merged = None,
                name @ ("last" | "first") if index >= chain.named => {
                    let Some(group) = merged.take() else { continue };
                    found.push(
                        Diagnostic::warning(
                            "merged-series",
                            format!("{name} of rows that are not in order of time"),
                            step.span,
                        )
                        .also(group, "the rows of all series stand one behind the other from here on")
                        .help(format!("write |> sort(columns: [\"_time\"]) before {name}")),
                    );
                }
                _ => {}
            }
        }
    }
}

fn is_empty_array(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Array(items) if items.is_empty())
}

/// `from` without `range` right behind it.
pub(super) fn unbounded_read(chains: &[Chain<'_>], found: &mut Vec<Diagnostic>) {
    for chain in chains {
        let Some(from) = reads_bucket(chain) else { continue };
        let Some(second) = chain.steps.get(1).filter(|_| chain.named <= 1) else { continue };
        if second.builtin.is_some_and(|(package, name)| package == PRELUDE && name != "range") {
            found.push(
                Diagnostic::warning("unbounded-read", "a bucket is read without bounds", second.span)
                    .also(from.span, "range comes directly after this")
                    .help("write from(bucket: \"...\") |> range(start: -1h) first, filters and the rest behind it"),
            );
        }
    }
}

/// A task that writes to the bucket that it reads, and does not tell its own rows from the others.
pub(super) fn own_output(file: &File, chains: &[Chain<'_>], found: &mut Vec<Diagnostic>) {
    if task_option_of(file).is_none() {
        return;
    }
    for chain in chains {
        let Some(read) = reads_bucket(chain).and_then(|from| from.text("bucket")) else { continue };
        for step in chain.steps.iter().skip(chain.named.max(1)) {
            let names_measurement = chain.steps.iter().any(|step| {
                let set = step.text("key") == Some("_measurement");
                let filtered = step.is("filter")
                    && step.argument("fn").is_none_or(|predicate| mentions(predicate, "_measurement"));
                set || filtered || step.builtin.is_none()
            });
            if matches!(step.name(), "to" | "wideTo") && step.text("bucket") == Some(read) && !names_measurement {
                found.push(
                    Diagnostic::warning(
                        "own-output",
                        format!("the task writes to the bucket that it reads, \"{read}\", and reads its own rows again"),
                        step.span,
                    )
                    .help("filter by r._measurement, and give the rows another one: |> set(key: \"_measurement\", value: \"...\")"),
                );
            }
        }
    }
}

fn mentions(expr: &Expr, name: &str) -> bool {
    let mut found = false;
    visit::expr(expr, &mut |expr| {
        found |= matches!(&expr.kind, ExprKind::Member { property, .. } if &*property.name == name);
        true
    });
    found
}

/// `=~ /.*/`, which every string matches.
pub(super) fn pattern_of_everything(file: &File, found: &mut Vec<Diagnostic>) {
    each(file, &mut |expr| {
        let ExprKind::Binary { operator, left, right } = &expr.kind else { return };
        let ExprKind::Regexp(pattern) = &right.kind else { return };
        let everything = matches!(&**pattern, ".*" | "^.*" | ".*$" | "^.*$" | "(.*)" | "^(.*)$");
        if everything && operator.symbol() == "=~" && matches!(left.kind, ExprKind::Member { .. }) {
            found.push(Diagnostic::warning("matches-everything", "every string matches this", right.span).help(
                "it only drops rows without a value, and slows the reading down: ask with exists, or leave it out",
            ));
        }
    });
}

/// What is fluxmill's own: a script that is to run on InfluxDB too had better not use it.
pub(super) fn not_in_influxdb<'a>(file: &'a File, names: &Names<'a>, found: &mut Vec<Diagnostic>) {
    const OWN: [(&str, &str); 1] = [("influxdata/influxdb/tasks", "lastFailure")];
    each(file, &mut |expr| {
        let Some((path, name)) = names.builtin(expr).filter(|builtin| OWN.contains(builtin)) else { return };
        let package = path.rsplit('/').next().unwrap_or(path);
        found.push(
            Diagnostic::warning("own-extension", format!("{package}.{name} is fluxmill's own addition"), expr.span)
                .help("InfluxDB has no such function: a script that runs there too must do without it"),
        );
    });
}

/// Imports that nothing uses, and chains that are named and never run.
pub(super) fn unused<'a>(file: &'a File, names: &Names<'a>, found: &mut Vec<Diagnostic>) {
    let mut used: HashSet<&str> = HashSet::new();
    each(file, &mut |expr| match &expr.kind {
        ExprKind::Identifier(name) => {
            used.insert(name);
        }
        ExprKind::Record { with: Some(with), .. } => {
            used.insert(&with.name);
        }
        _ => {}
    });
    let options = file.body.iter().filter_map(|statement| match statement {
        Statement::Option(option) => option.package.as_ref().map(|package| &*package.name),
        _ => None,
    });
    used.extend(options);
    for (name, (_, span)) in &names.imports {
        if !used.contains(name) {
            found.push(
                Diagnostic::warning("unused-import", format!("the import of {name} is not used"), *span)
                    .help("delete it"),
            );
        }
    }
    for statement in &file.body {
        let Statement::Variable(assignment) = statement else { continue };
        let name = &assignment.name.name;
        if !used.contains(&**name) && is_stream(&assignment.value, names) {
            found.push(
                Diagnostic::warning(
                    "unused-stream",
                    format!("nothing uses {name}: it does not run"),
                    assignment.name.span,
                )
                .help(format!("write {name} |> yield(), or the pipeline without `{name} =`")),
            );
        }
    }
}

/// Whether it is a pipeline that reads a bucket and ends neither in `to` nor in `yield`, which run without being used.
fn is_stream(expr: &Expr, names: &Names<'_>) -> bool {
    let mut first = expr;
    let mut runs = false;
    while let ExprKind::Pipe { argument, call, .. } = &first.kind {
        let name = match &call.callee.kind {
            ExprKind::Identifier(name) if !names.bound.contains(&**name) => &**name,
            // A function of the script or of a package may do anything.
            _ => return false,
        };
        runs |= matches!(name, "to" | "yield" | "wideTo" | "findRecord" | "findColumn" | "tableFind");
        first = argument;
    }
    !runs
        && matches!(&first.kind, ExprKind::Call(call) if matches!(&call.callee.kind, ExprKind::Identifier(name) if &**name == "from"))
}
