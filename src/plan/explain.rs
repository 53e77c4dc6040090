//! A plan as text, for `explain`: one line per step, inputs before consumers.
//!
//! Called by `engine`. The text is for people; nothing parses it.

use super::planner::{Plan, StepKind, call_text};
use crate::table::scan::Parts;
use crate::time::rfc3339;

/// The steps of a plan with what their scans have taken over.
pub fn explain(plan: &Plan) -> String {
    let mut text = String::new();
    for (number, step) in plan.steps.iter().enumerate() {
        let mut lines = Vec::new();
        match &step.kind {
            StepKind::Scan { source, scan, pushed } => {
                let (start, stop) = (source.bounds.start_ns, source.bounds.stop_ns);
                lines.push(format!(
                    "scan bucket {} [{}, {})",
                    source.bucket,
                    rfc3339::to_short_text(start),
                    rfc3339::to_short_text(stop)
                ));
                for op in pushed {
                    lines.push(format!("  takes over {op}"));
                }
                if !scan.explain.is_empty() {
                    lines.push(format!("  {}", scan.explain));
                }
            }
            StepKind::Rows(chunks) => {
                lines.push(format!("rows of the script ({})", chunks.iter().map(|chunk| chunk.len).sum::<usize>()));
            }
            StepKind::Transform(transform) => lines.push(call_text(transform.as_ref())),
            StepKind::To { spec, .. } => lines.push(format!("to(bucket: {:?})", spec.bucket_name)),
            StepKind::Result(result) => lines.push(format!("result {:?}", plan.results[*result])),
        }
        let inputs: Vec<String> = step.inputs.iter().map(|input| format!("#{input}")).collect();
        let from = if inputs.is_empty() { String::new() } else { format!(" <- {}", inputs.join(", ")) };
        let scattered = if step.props.parts == Parts::Scattered { " (scattered)" } else { "" };
        text.push_str(&format!("#{number} {}{scattered}{from}\n", lines[0]));
        for line in &lines[1..] {
            text.push_str(&format!("   {line}\n"));
        }
    }
    text
}
