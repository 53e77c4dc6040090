//! Results and their names, against flux-semantics 4.1 and 18 (row 17).
#![allow(clippy::unwrap_used)]

use super::*;
use crate::plan::ToSpec;
use crate::table::Bounds;
use crate::table::scan::SourceRef;

fn node(kind: NodeKind, inputs: &[&Arc<Node>]) -> Arc<Node> {
    let inputs = inputs.iter().map(|input| Arc::clone(input)).collect();
    Arc::new(Node { kind, inputs, span: Span::new(0, 1) })
}

fn source() -> Arc<Node> {
    node(NodeKind::Source(SourceRef { bucket: "1".into(), bounds: Bounds { start_ns: 0, stop_ns: 1 } }), &[])
}

fn named(name: &str, input: &Arc<Node>) -> Arc<Node> {
    node(NodeKind::Yield(name.into()), &[input])
}

fn to(input: &Arc<Node>) -> Arc<Node> {
    let spec = ToSpec {
        bucket: "2".into(),
        bucket_name: "out".into(),
        time_column: "_time".into(),
        measurement_column: "_measurement".into(),
        tag_columns: None,
        field_fn: None,
        wide: false,
    };
    node(NodeKind::To(Arc::new(spec)), &[input])
}

fn graph(roots: &[&Arc<Node>]) -> Result<Graph> {
    let streams: Vec<Arc<dyn Stream>> = roots.iter().map(|root| Arc::clone(root) as Arc<dyn Stream>).collect();
    Graph::of_script(&streams)
}

fn names(roots: &[&Arc<Node>]) -> Vec<String> {
    graph(roots).unwrap().results.iter().map(|(_, name)| name.to_string()).collect()
}

fn refusal(roots: &[&Arc<Node>]) -> String {
    graph(roots).err().unwrap().message().to_owned()
}

#[test]
fn a_terminal_stream_is_result_and_a_yield_has_its_name_and_passes_on() {
    let (first, second) = (source(), source());
    assert_eq!(names(&[&first]), ["_result"]);
    assert_eq!(names(&[&named("a", &first), &second]), ["a", "_result"]);
    let passed = to(&named("a", &first));
    assert_eq!(names(&[&passed]), ["a", "_result"], "the yield and what comes of it");
}

#[test]
fn a_stream_that_something_consumes_is_no_result_of_its_own() {
    let shared = source();
    assert_eq!(names(&[&shared, &named("a", &shared)]), ["a"]);
}

#[test]
fn results_stand_in_program_order_and_a_shared_node_once() {
    let shared = source();
    let (first, second) = (named("z", &shared), named("a", &shared));
    let graph = graph(&[&first, &second, &first]).unwrap();
    assert_eq!(graph.results.iter().map(|(_, name)| &**name).collect::<Vec<_>>(), ["z", "a"]);
    assert_eq!(graph.nodes.len(), 3);
    assert_eq!(graph.consumers[0], [(1, 0), (2, 0)]);
}

#[test]
fn names_must_differ() {
    let (first, second) = (source(), source());
    assert_eq!(refusal(&[&first, &second]), "tried to produce more than one result with the name \"_result\"");
    assert_eq!(
        refusal(&[&named("a", &first), &named("a", &second)]),
        "found more than one call to yield() with the name \"a\""
    );
    assert_eq!(
        refusal(&[&named("_result", &first), &second]),
        "tried to produce more than one result with the name \"_result\""
    );
}

#[test]
fn terminal_writes_are_numbered_around_the_names_that_are_taken() {
    let shared = source();
    assert_eq!(names(&[&to(&shared)]), ["_result"]);
    assert_eq!(names(&[&to(&shared), &to(&shared), &to(&shared)]), ["_result", "_result2", "_result3"]);
    assert_eq!(names(&[&to(&shared), &named("_result", &shared)]), ["_result2", "_result"]);
}

#[test]
fn a_script_without_a_stream_is_refused() {
    assert_eq!(refusal(&[]), "this Flux script returns no streaming data");
}

#[test]
fn one_stream_alone_is_one_result_and_its_yields_are_none() {
    let stream = to(&named("a", &source()));
    let graph = Graph::of_stream(&(stream as Arc<dyn Stream>)).unwrap();
    assert_eq!(graph.results.len(), 1);
    assert!(matches!(graph.nodes[graph.results[0].0].kind, NodeKind::To(_)));
}

#[test]
fn a_long_chain_needs_no_deep_stack() {
    let mut last = source();
    for number in 0..20_000 {
        last = named(&number.to_string(), &last);
    }
    assert_eq!(graph(&[&last]).unwrap().results.len(), 20_000);
    // Dropping the chain link by link keeps the test's own stack small.
    let mut rest = Some(last);
    while let Some(node) = rest.take() {
        rest = Arc::into_inner(node).and_then(|mut node| node.inputs.pop());
    }
}
