//! From the streams of a script to steps that can run: what a scan takes over, what the operators do, where results go.
//!
//! Called by `engine`. A pipeline's first operators are offered to its scan; whatever the scan does not take runs as an
//! operator, so that a plan's answer never depends on what was taken. Nothing here reads a row.

use std::sync::Arc;

use super::graph::Graph;
use super::{NodeKind, ToSpec, World};
use crate::diagnostic::Span;
use crate::error::{Error, Result};
use crate::operators::{Split, Transform};
use crate::table::scan::{Parts, PushOp, Scan, SourceRef, TableOrder};
use crate::table::{Chunk, Name, Segment, StreamProps};

/// What can run: steps in an order in which every input stands before its consumers.
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// The names of the results in program order.
    pub results: Vec<Name>,
    /// The bounded reads, each once, in program order.
    pub sources: Vec<SourceRef>,
}

/// One step of a plan.
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// The steps it takes rows from, in the order of its ports.
    pub inputs: Vec<usize>,
    /// The steps that take its rows: (step, port).
    pub consumers: Vec<(usize, usize)>,
    /// What is known of its rows.
    pub props: StreamProps,
    /// The call that made it.
    pub span: Span,
}

/// What a step does.
pub enum StepKind {
    /// Reads a bucket.
    Scan {
        /// What is read.
        source: SourceRef,
        /// The open scan.
        scan: Scan,
        /// The operators that it answers, as `explain` shows them.
        pushed: Vec<String>,
    },
    /// Gives rows that the script holds.
    Rows(Vec<Chunk>),
    /// Runs an operator.
    Transform(Arc<dyn Transform>),
    /// Stages points, or only passes rows on (`stage` is false while a stream runs during evaluation).
    To {
        /// The arguments.
        spec: Arc<ToSpec>,
        /// Whether points are staged.
        stage: bool,
    },
    /// Hands the rows to a result and passes them on.
    Result(usize),
}

/// How a plan is made.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    /// How many operators are offered to a scan at most.
    pub max_push_ops: usize,
    /// Whether `to()` stages points; not so for a stream that runs during evaluation.
    pub stage: bool,
}

/// Makes the plan of a graph and opens its scans.
///
/// Errors: a read without `range`, a range that is empty, a bucket that the world cannot read.
pub fn plan(graph: &Graph, world: &dyn World, options: PlanOptions) -> Result<Plan> {
    let mut planner = Planner { plan: Plan { steps: Vec::new(), results: Vec::new(), sources: Vec::new() }, options };
    // The step that gives the rows of each node; several nodes share the step of a scan that has taken them over.
    let mut step_of: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    // Operators that take the place of a node and of the one before it.
    let mut joined: Vec<Option<Arc<dyn Transform>>> = vec![None; graph.nodes.len()];
    for (number, node) in graph.nodes.iter().enumerate() {
        if step_of[number].is_some() {
            continue;
        }
        let inputs: Vec<usize> = graph.inputs[number].iter().filter_map(|input| step_of[*input]).collect();
        let result = graph.results.iter().position(|(own, _)| *own == number);
        let step = match &node.kind {
            NodeKind::From { bucket_name, .. } => return Err(unbounded(bucket_name).at(node.span)),
            NodeKind::Source(source) => {
                let pipeline = pipeline(graph, number);
                let (step, taken) = planner.scan(source, &pipeline, world, node.span)?;
                for absorbed in &pipeline[..taken] {
                    let span = graph.nodes[absorbed.node].span;
                    step_of[absorbed.node] = Some(match &absorbed.split.rest {
                        None => step,
                        Some(rest) => planner.transform(rest, vec![step], span),
                    });
                }
                step
            }
            NodeKind::Rows(chunks) => planner.rows(chunks.clone(), node.span),
            NodeKind::Transform(transform) => {
                match (join(graph, number, transform.as_ref()), inputs.first().copied()) {
                    (Some((next, both)), Some(input)) if joined[number].is_none() => {
                        joined[next] = Some(both);
                        input
                    }
                    _ => {
                        let transform = joined[number].as_ref().unwrap_or(transform);
                        let before = taker(graph, number).and_then(|(_, next)| transform.before(next.as_ref()));
                        planner.transform(before.as_ref().unwrap_or(transform), inputs, node.span)
                    }
                }
            }
            NodeKind::Yield(_) => match (result, inputs.first()) {
                (Some(result), _) => planner.pass(StepKind::Result(result), inputs, node.span)?,
                // A yield in a stream that runs during evaluation.
                (None, Some(input)) => *input,
                (None, None) => return Err(Error::internal("a yield without an input")),
            },
            NodeKind::To(spec) => {
                let kind = StepKind::To { spec: Arc::clone(spec), stage: options.stage };
                planner.pass(kind, inputs, node.span)?
            }
        };
        step_of[number] = Some(step);
    }
    for (index, (number, name)) in graph.results.iter().enumerate() {
        planner.plan.results.push(name.clone());
        let step = step_of[*number].ok_or_else(|| Error::internal("a result without a step"))?;
        if !matches!(planner.plan.steps[step].kind, StepKind::Result(own) if own == index) {
            planner.pass(StepKind::Result(index), vec![step], graph.nodes[*number].span)?;
        }
    }
    Ok(planner.plan)
}

struct Planner {
    plan: Plan,
    options: PlanOptions,
}

impl Planner {
    fn add(&mut self, kind: StepKind, inputs: Vec<usize>, props: StreamProps, span: Span) -> usize {
        let step = self.plan.steps.len();
        for (port, input) in inputs.iter().enumerate() {
            self.plan.steps[*input].consumers.push((step, port));
        }
        self.plan.steps.push(Step { kind, inputs, consumers: Vec::new(), props, span });
        step
    }

    fn transform(&mut self, transform: &Arc<dyn Transform>, inputs: Vec<usize>, span: Span) -> usize {
        let props = transform.gives(&self.props(&inputs));
        self.add(StepKind::Transform(Arc::clone(transform)), inputs, props, span)
    }

    /// A step that gives the rows of its one input as they are.
    fn pass(&mut self, kind: StepKind, inputs: Vec<usize>, span: Span) -> Result<usize> {
        let props = self.props(&inputs).first().copied().ok_or_else(|| Error::internal("a step without an input"))?;
        Ok(self.add(kind, inputs, props, span))
    }

    fn props(&self, inputs: &[usize]) -> Vec<StreamProps> {
        inputs.iter().map(|input| self.plan.steps[*input].props).collect()
    }

    fn rows(&mut self, chunks: Vec<Chunk>, span: Span) -> usize {
        let shapes = |other: &Chunk| chunks.first().is_none_or(|first| first.shape == other.shape);
        let tables = |segment: &Segment| chunks[0].segments.first().is_none_or(|first| first.table == segment.table);
        let props = StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::Arrival,
            rows_by_time: false,
            unique_keys: chunks.iter().flat_map(|chunk| &chunk.segments).all(tables),
            one_shape: chunks.iter().all(shapes),
            bounds: None,
        };
        self.add(StepKind::Rows(chunks), Vec::new(), props, span)
    }

    /// Opens a scan; returns its step and how many offers of the pipeline it has taken.
    fn scan(
        &mut self,
        source: &SourceRef,
        pipeline: &[Offer],
        world: &dyn World,
        span: Span,
    ) -> Result<(usize, usize)> {
        let bounds = source.bounds;
        if bounds.start_ns >= bounds.stop_ns {
            return Err(Error::invalid("cannot query an empty range")
                .with_hint("the start of a range must lie before its stop")
                .at(span));
        }
        let ops: Vec<PushOp> = pipeline.iter().map(|offer| offer.split.push.clone()).collect();
        let max = self.options.max_push_ops.min(ops.len());
        let taken = world.offer(source, &ops, max).map_err(|error| error.at(span))?;
        if taken.count > max {
            return Err(Error::internal(format!("a scan took {} of {max} operators", taken.count)));
        }
        if !self.plan.sources.contains(source) {
            self.plan.sources.push(source.clone());
        }
        let pushed = pipeline[..taken.count].iter().map(|offer| offer.text.clone()).collect();
        let props = taken.scan.props;
        let kind = StepKind::Scan { source: source.clone(), scan: taken.scan, pushed };
        Ok((self.add(kind, Vec::new(), props, span), taken.count))
    }
}

/// The node that alone takes the rows of a node, and the operator that does what both do, if there is one.
fn join(graph: &Graph, node: usize, transform: &dyn Transform) -> Option<(usize, Arc<dyn Transform>)> {
    let (next, after) = taker(graph, node)?;
    Some((next, transform.joined(after.as_ref())?))
}

/// The operator that alone takes the rows of a node, and nothing else.
fn taker(graph: &Graph, node: usize) -> Option<(usize, &Arc<dyn Transform>)> {
    let [(next, _)] = graph.consumers[node].as_slice() else { return None };
    let NodeKind::Transform(after) = &graph.nodes[*next].kind else { return None };
    let alone = graph.inputs[*next].len() == 1 && !graph.results.iter().any(|(own, _)| *own == node);
    alone.then_some((*next, after))
}

/// An operator, or a part of one, that a scan may take over.
struct Offer {
    node: usize,
    split: Split,
    text: String,
}

/// What may be offered to a source's scan: the operators of one input behind it, each the only consumer of the one before
/// (a node with two consumers has rows that somebody else wants as they are), up to the first that is taken in part only.
fn pipeline(graph: &Graph, source: usize) -> Vec<Offer> {
    let mut pipeline: Vec<Offer> = Vec::new();
    let mut node = source;
    while let [(consumer, _)] = graph.consumers[node].as_slice() {
        let NodeKind::Transform(transform) = &graph.nodes[*consumer].kind else { break };
        let Some(split) = transform.split() else { break };
        let mut text = call_text(transform.as_ref());
        let whole = split.rest.is_none();
        if !whole {
            text.push_str(", in part");
        }
        pipeline.push(Offer { node: *consumer, split, text });
        if !whole {
            break;
        }
        node = *consumer;
    }
    pipeline
}

/// An operator as a call: `limit(n: 10)`.
pub(super) fn call_text(transform: &dyn Transform) -> String {
    format!("{}({})", transform.name(), transform.explain())
}

fn unbounded(bucket_name: &str) -> Error {
    Error::invalid(format!(
        "cannot submit unbounded read to {bucket_name:?}; try bounding 'from' with a call to 'range'"
    ))
    .with_hint(format!("range comes directly after from: from(bucket: {bucket_name:?}) |> range(start: -1h)"))
}

#[cfg(test)]
mod tests;
