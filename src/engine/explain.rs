//! How a script is read and run, stage by stage: tokens, tree, names with types, plan; and what each step of it costs.
//!
//! Filled in by the engine for `fluxmill explain`, the REPL and the API; here it becomes text. Nothing parses that text;
//! programs read the same as JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::script::Script;
use crate::diagnostic::{Diagnostic, Severity, Source, Span};
use crate::exec::figures::Figures;
use crate::flux::check;
use crate::functions::library;
use crate::plan::explain::{StepText, lines};
use crate::syntax::outline::{self, Outline};

/// A stage on the way from text to rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The tokens of the text.
    Tokens,
    /// Its tree.
    Ast,
    /// Its names with their types, and its problems.
    Checked,
    /// What its scans take over and what its operators do.
    Plan,
}

/// The stages that were asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Explanation {
    /// The tokens.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub tokens: Option<Vec<Token>>,
    /// The tree: clauses and statements.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub ast: Option<Vec<Node>>,
    /// Names and problems.
    #[serde(skip_serializing_if = "Option::is_none", skip_deserializing)]
    pub checked: Option<Checked>,
    /// The plan.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub plan: Option<PlanText>,
}

/// A token.
#[derive(Clone, Debug, Serialize)]
pub struct Token {
    /// Its line, from 1.
    pub line: usize,
    /// Its column, from 1, in characters.
    pub column: usize,
    /// What it is.
    pub kind: &'static str,
    /// As it is written.
    pub text: String,
}

/// A node of the tree.
#[derive(Clone, Debug, Serialize)]
pub struct Node {
    /// What it is, with its own name or value.
    pub node: String,
    /// The line where it starts, from 1.
    pub line: usize,
    /// The column where it starts, from 1, in characters.
    pub column: usize,
    /// What it consists of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Node>,
}

/// What the checker knows of a script.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The names that the script binds at its top, in the order of the text.
    pub names: Vec<BoundName>,
    /// Its problems in words.
    pub problems: Vec<String>,
}

/// A name with its type.
#[derive(Clone, Debug, Serialize)]
pub struct BoundName {
    /// The name.
    pub name: String,
    /// Its line, from 1.
    pub line: usize,
    /// Its type, `?` where nothing is known of it.
    #[serde(rename = "type")]
    pub bound_type: String,
}

/// A plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PlanText {
    /// Its steps, inputs before consumers.
    pub steps: Vec<Step>,
    /// What the run has done, if the plan was run.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub totals: Option<Totals>,
}

/// A step of a plan, with its figures if the plan was run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    #[serde(flatten)]
    pub text: StepText,
    /// What it has cost.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub figures: Option<Figures>,
}

/// What a run has done that was measured step by step. Its points are not written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Rows read from buckets.
    pub rows_in: u64,
    /// Rows of results.
    pub rows_returned: u64,
    /// Points that `to()` would write.
    pub points: u64,
    /// From the first chunk to the last, in nanoseconds.
    pub time_ns: u64,
    /// What the run passed over.
    pub warnings: Vec<String>,
}

/// The stages that need the text alone.
pub fn of_text(script: &Script, stages: &[Stage]) -> Explanation {
    let places = Places::new(&script.source);
    Explanation {
        tokens: stages.contains(&Stage::Tokens).then(|| tokens(&script.source, &places)),
        ast: stages.contains(&Stage::Ast).then(|| nodes(outline::outline(&script.file), &places)),
        checked: stages.contains(&Stage::Checked).then(|| checked(script, &places)),
        plan: None,
    }
}

/// Lines and columns of a text, found by its line starts: asking the text itself for each token would take quadratic time.
struct Places<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    fn new(source: &'a Source) -> Self {
        let text = &*source.text;
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Places { text, lines: std::iter::once(0).chain(starts).collect() }
    }

    fn of(&self, span: Span) -> (usize, usize) {
        let at = span.start as usize;
        let line = self.lines.partition_point(|start| *start <= at);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

fn tokens(source: &Source, places: &Places<'_>) -> Vec<Token> {
    let tokens = outline::tokens(&source.text).into_iter();
    let shown = tokens.map(|(kind, span)| {
        let (line, column) = places.of(span);
        Token { line, column, kind, text: source.text[span.range()].to_string() }
    });
    shown.collect()
}

fn nodes(outlines: Vec<Outline>, places: &Places<'_>) -> Vec<Node> {
    let node = |outline: Outline| {
        let (line, column) = places.of(outline.span);
        Node { node: outline.node, line, column, parts: nodes(outline.parts, places) }
    };
    outlines.into_iter().map(node).collect()
}

fn checked(script: &Script, places: &Places<'_>) -> Checked {
    let names = check::names(&script.file, library()).into_iter();
    let names = names.map(|(name, span, bound_type)| BoundName {
        name: name.to_string(),
        line: places.of(span).0,
        bound_type: bound_type.to_string(),
    });
    let problem = |diagnostic: &Diagnostic| {
        let (line, column) = places.of(diagnostic.span);
        let severity = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        format!("{line}:{column}: {severity}: {}", diagnostic.message)
    };
    Checked { names: names.collect(), problems: script.diagnostics.iter().map(problem).collect() }
}

impl Explanation {
    /// All stages as text for people, a heading above each.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        if let Some(tokens) = &self.tokens {
            text.push_str("tokens\n");
            for token in tokens {
                let place = format!("{}:{}", token.line, token.column);
                text.push_str(&format!("  {place:<8}{:<22}{}\n", token.kind, on_one_line(&token.text)));
            }
        }
        if let Some(nodes) = &self.ast {
            text.push_str("ast\n");
            nodes.iter().for_each(|node| show_node(node, 1, &mut text));
        }
        if let Some(checked) = &self.checked {
            text.push_str("checked\n");
            for name in &checked.names {
                text.push_str(&format!("  {}: {}\n", name.name, name.bound_type));
            }
            for problem in &checked.problems {
                text.push_str(&format!("  {problem}\n"));
            }
        }
        if let Some(plan) = &self.plan {
            text.push_str("plan\n");
            plan.show(&mut text);
        }
        text
    }
}

fn show_node(node: &Node, depth: usize, text: &mut String) {
    text.push_str(&format!("{}{} ({}:{})\n", "  ".repeat(depth), on_one_line(&node.node), node.line, node.column));
    node.parts.iter().for_each(|part| show_node(part, depth + 1, text));
}

impl PlanText {
    fn show(&self, text: &mut String) {
        for (number, step) in self.steps.iter().enumerate() {
            for line in lines(number, &step.text) {
                text.push_str(&format!("  {line}\n"));
            }
            if let Some(figures) = &step.figures {
                text.push_str(&format!("       {}\n", shown(figures)));
            }
        }
        let Some(totals) = &self.totals else { return };
        let points = match totals.points {
            0 => String::new(),
            points => format!(", {points} points that are not written"),
        };
        text.push_str(&format!(
            "  {} rows read, {} rows returned{points}, {}\n",
            totals.rows_in,
            totals.rows_returned,
            time(totals.time_ns)
        ));
        totals.warnings.iter().for_each(|warning| text.push_str(&format!("  warning: {warning}\n")));
    }
}

fn shown(figures: &Figures) -> String {
    let Figures { rows_in, chunks_in, rows_out, chunks_out, tables_out, bytes_out, time_ns } = *figures;
    let coming = if chunks_in > 0 { format!("in {rows_in} rows in {chunks_in} chunks; ") } else { String::new() };
    let time = time(time_ns);
    format!("{coming}out {rows_out} rows in {chunks_out} chunks, {tables_out} tables, {bytes_out} bytes; {time}")
}

fn time(nanoseconds: u64) -> String {
    format!("{:.3} ms", Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3)
}

/// Text that holds line ends or control characters as it would be written with escapes.
fn on_one_line(text: &str) -> String {
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text.to_string() }
}
