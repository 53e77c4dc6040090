//! A plan as text, for `explain`: one entry per step, inputs before consumers.
//!
//! Called by `engine`. The text is for people; nothing parses it.

use serde::{Deserialize, Serialize};

use super::planner::{Plan, StepKind, call_text};
use crate::table::scan::Parts;
use crate::time::rfc3339;

/// A step in words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepText {
    /// What it does: `scan bucket b [..)`, `limit(n: 10)`, `result "_result"`.
    pub operation: String,
    /// The operators that a scan answers, as calls.
    pub takes_over: Vec<String>,
    /// What a scan says of itself; empty for other steps.
    pub scan: String,
    /// The steps that it takes rows from.
    pub inputs: Vec<usize>,
    /// Whether parts of its tables come in any order.
    pub scattered: bool,
}

/// The steps of a plan with what their scans have taken over.
pub fn steps(plan: &Plan) -> Vec<StepText> {
    let text_of = |step: &super::planner::Step| {
        let mut text = StepText {
            inputs: step.inputs.clone(),
            scattered: step.props.parts == Parts::Scattered,
            ..StepText::default()
        };
        text.operation = match &step.kind {
            StepKind::Scan { source, scan, pushed } => {
                text.takes_over = pushed.clone();
                text.scan = scan.explain.clone();
                let (start, stop) = (source.bounds.start_ns, source.bounds.stop_ns);
                let (start, stop) = (rfc3339::to_short_text(start), rfc3339::to_short_text(stop));
                format!("scan bucket {} [{start}, {stop})", source.bucket)
            }
            StepKind::Rows(chunks) => {
                format!("rows of the script ({})", chunks.iter().map(|chunk| chunk.len).sum::<usize>())
            }
            StepKind::Transform(transform) => call_text(transform.as_ref()),
            StepKind::To { spec, .. } => format!("to(bucket: {:?})", spec.bucket_name),
            StepKind::Result(result) => format!("result {:?}", plan.results[*result]),
        };
        text
    };
    plan.steps.iter().map(text_of).collect()
}

/// The lines of one step: what it does, and below it what its scan takes over.
pub fn lines(number: usize, step: &StepText) -> Vec<String> {
    let inputs: Vec<String> = step.inputs.iter().map(|input| format!("#{input}")).collect();
    let from = if inputs.is_empty() { String::new() } else { format!(" <- {}", inputs.join(", ")) };
    let scattered = if step.scattered { " (scattered)" } else { "" };
    let mut lines = vec![format!("#{number} {}{scattered}{from}", step.operation)];
    lines.extend(step.takes_over.iter().map(|op| format!("     takes over {op}")));
    if !step.scan.is_empty() {
        lines.push(format!("     {}", step.scan));
    }
    lines
}

/// All of a plan as text.
pub fn explain(plan: &Plan) -> String {
    let steps = steps(plan);
    let lines = steps.iter().enumerate().flat_map(|(number, step)| lines(number, step));
    lines.map(|line| line + "\n").collect()
}
