//! The graph that has to run: every node reachable from the streams a script leaves behind, each once, and its results.
//!
//! Called by the planner. It finds out what is a result and what it is called (flux-semantics 4.1); it opens nothing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Node, NodeKind};
use crate::diagnostic::Span;
use crate::error::{Error, Result};
use crate::flux::value::Stream;
use crate::table::Name;

/// The name of a result that no `yield` names.
pub const DEFAULT_RESULT: &str = "_result";

/// Nodes in an order in which every input stands before its consumers: program order otherwise.
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Arc<Node>>,
    /// The inputs of each node, as indices, in the order of its ports.
    pub inputs: Vec<Vec<usize>>,
    /// The consumers of each node: (consumer, port), in program order.
    pub consumers: Vec<Vec<(usize, usize)>>,
    /// The results in program order: the node that gives the rows, and the name.
    pub results: Vec<(usize, Name)>,
}

impl Graph {
    /// The graph of a whole script. `streams` are those that its expression statements, `yield` and `to` left behind, in
    /// program order; one may be named more than once.
    ///
    /// Errors: no stream at all; two results of one name.
    pub fn of_script(streams: &[Arc<dyn Stream>]) -> Result<Graph> {
        let roots = nodes_of(streams)?;
        if roots.is_empty() {
            return Err(Error::invalid("this Flux script returns no streaming data").with_hint(
                "pipe a stream into yield() or to(), or write it as an expression of its own without assigning it",
            ));
        }
        let mut graph = Graph::reachable(&roots);
        graph.results = graph.name_results()?;
        Ok(graph)
    }

    /// The graph of one stream that is run on its own, during evaluation (`tableFind`): one result, yields are skipped.
    pub fn of_stream(stream: &Arc<dyn Stream>) -> Result<Graph> {
        let roots = nodes_of(std::slice::from_ref(stream))?;
        let mut graph = Graph::reachable(&roots);
        graph.results = vec![(graph.nodes.len() - 1, DEFAULT_RESULT.into())];
        Ok(graph)
    }

    /// Numbers all nodes reachable from the roots, inputs first. Without recursion: a script may make long chains.
    fn reachable(roots: &[Arc<Node>]) -> Graph {
        let mut graph = Graph { nodes: Vec::new(), inputs: Vec::new(), consumers: Vec::new(), results: Vec::new() };
        let mut numbers: HashMap<*const Node, usize> = HashMap::new();
        for root in roots {
            let mut stack = vec![(Arc::clone(root), 0)];
            while let Some((node, next_input)) = stack.pop() {
                if numbers.contains_key(&Arc::as_ptr(&node)) {
                    continue;
                }
                if let Some(input) = node.inputs.get(next_input).map(Arc::clone) {
                    stack.push((node, next_input + 1));
                    stack.push((input, 0));
                    continue;
                }
                let number = graph.nodes.len();
                let inputs: Vec<usize> = node.inputs.iter().map(|input| numbers[&Arc::as_ptr(input)]).collect();
                for (port, input) in inputs.iter().enumerate() {
                    graph.consumers[*input].push((number, port));
                }
                numbers.insert(Arc::as_ptr(&node), number);
                graph.nodes.push(node);
                graph.inputs.push(inputs);
                graph.consumers.push(Vec::new());
            }
        }
        graph
    }

    /// Every `yield`, and every other node without a consumer, is a result. A `to` without a consumer is `_result` too,
    /// but never in anybody's way: where the name is taken it gets a number.
    fn name_results(&self) -> Result<Vec<(usize, Name)>> {
        let mut spans: HashMap<Name, Span> = HashMap::new();
        let mut results: Vec<(usize, Option<Name>)> = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let terminal = self.consumers[number].is_empty();
            let name = match &node.kind {
                NodeKind::Yield(name) => name.clone(),
                NodeKind::To(_) if terminal => {
                    results.push((number, None));
                    continue;
                }
                _ if terminal => DEFAULT_RESULT.into(),
                _ => continue,
            };
            if spans.insert(name.clone(), node.span).is_some() {
                return Err(duplicate(&name, matches!(node.kind, NodeKind::Yield(_))).at(node.span));
            }
            results.push((number, Some(name)));
        }
        let mut taken: HashSet<Name> = spans.into_keys().collect();
        let named = results.into_iter().map(|(number, name)| (number, name.unwrap_or_else(|| free_name(&mut taken))));
        Ok(named.collect())
    }
}

/// `_result`, or `_result2`, `_result3`, ... if that is taken.
fn free_name(taken: &mut HashSet<Name>) -> Name {
    let numbered = (2..).map(|number| format!("{DEFAULT_RESULT}{number}"));
    for candidate in std::iter::once(DEFAULT_RESULT.to_owned()).chain(numbered) {
        let name: Name = candidate.into();
        if taken.insert(name.clone()) {
            return name;
        }
    }
    DEFAULT_RESULT.into()
}

fn duplicate(name: &str, by_yield: bool) -> Error {
    let hint = format!("end each stream with yield(name: ...) of a name of its own; {DEFAULT_RESULT:?} is the default");
    if by_yield && name != DEFAULT_RESULT {
        return Error::invalid(format!("found more than one call to yield() with the name {name:?}")).with_hint(hint);
    }
    Error::invalid(format!("tried to produce more than one result with the name {name:?}")).with_hint(hint)
}

fn nodes_of(streams: &[Arc<dyn Stream>]) -> Result<Vec<Arc<Node>>> {
    let mut nodes = Vec::new();
    for stream in streams {
        let node = Arc::clone(stream)
            .into_any()
            .downcast::<Node>()
            .map_err(|_| Error::internal("a stream that is not a plan node"))?;
        nodes.push(node);
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests;
