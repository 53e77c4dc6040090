//! What is offered to a scan and what becomes of it, with operators and a world that only tell.
#![allow(clippy::unwrap_used)]

use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::*;
use crate::flux::value::Stream;
use crate::operators::{Limit, Operator, Sort};
use crate::plan::Node;
use crate::plan::explain::explain;
use crate::table::Bounds;
use crate::table::scan::{ChunkSource, Taken};

/// An operator by name, which a store may take whole, in part, or not at all.
#[derive(Clone, Debug)]
struct Named(&'static str, Push);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Push {
    Whole,
    Part,
    No,
}

impl Transform for Named {
    fn name(&self) -> &'static str {
        self.0
    }

    fn operator(&self, _input: &[StreamProps]) -> Result<Box<dyn Operator>> {
        Err(Error::internal("not run here"))
    }

    fn gives(&self, input: &[StreamProps]) -> StreamProps {
        input[0]
    }

    fn split(&self) -> Option<Split> {
        let rest: Arc<dyn Transform> = Arc::new(Named("rest", Push::No));
        match self.1 {
            Push::No => None,
            push => Some(Split { push: PushOp::PivotWide, rest: (push == Push::Part).then_some(rest) }),
        }
    }
}

/// A world that takes up to `takes` operators and notes how many it was offered.
struct Taker {
    takes: usize,
    offered: Mutex<Vec<usize>>,
}

impl World for Taker {
    fn bucket_id(&self, name: &str) -> Result<Name> {
        Ok(name.into())
    }

    fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        self.offered.lock().push(ops.len());
        let props = StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: true,
            unique_keys: true,
            one_shape: false,
            bounds: Some(source.bounds),
        };
        let scan = Scan { partitions: vec![Box::new(Empty)], props, explain: String::new() };
        Ok(Taken { count: self.takes.min(max).min(ops.len()), scan })
    }

    fn secret(&self, _name: &str) -> Option<String> {
        None
    }

    fn wall_clock_ns(&self) -> i64 {
        0
    }
}

struct Empty;

impl ChunkSource for Empty {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        Box::pin(async { Ok(None) })
    }
}

fn node(kind: NodeKind, inputs: &[&Arc<Node>]) -> Arc<Node> {
    let inputs = inputs.iter().map(|input| Arc::clone(input)).collect();
    Arc::new(Node { kind, inputs, span: Span::new(3, 4) })
}

fn source(start_ns: i64, stop_ns: i64) -> Arc<Node> {
    node(NodeKind::Source(SourceRef { bucket: "b".into(), bounds: Bounds { start_ns, stop_ns } }), &[])
}

fn operator(name: &'static str, push: Push, input: &Arc<Node>) -> Arc<Node> {
    node(NodeKind::Transform(Arc::new(Named(name, push))), &[input])
}

/// The explained plan of streams for a world that takes `takes` operators, and how many it was offered.
fn planned(roots: &[&Arc<Node>], takes: usize, max_push_ops: usize) -> Result<(String, Vec<usize>)> {
    let streams: Vec<Arc<dyn Stream>> = roots.iter().map(|root| Arc::clone(root) as Arc<dyn Stream>).collect();
    let world = Taker { takes, offered: Mutex::new(Vec::new()) };
    let plan = plan(&Graph::of_script(&streams)?, &world, PlanOptions { max_push_ops, stage: true })?;
    // Just the heads of the lines: what is scanned stands in the fixtures of `explain`.
    let text = explain(&plan).replace("scan bucket b [1970-01-01T00:00:00Z, 1970-01-01T00:00:00.000000001Z)", "scan");
    Ok((text, world.offered.into_inner()))
}

#[test]
fn what_a_scan_takes_is_not_run_again() {
    let chain = operator("c", Push::Whole, &operator("b", Push::Whole, &operator("a", Push::Whole, &source(0, 1))));
    for (takes, expected) in [
        (0, "#0 scan\n#1 a() <- #0\n#2 b() <- #1\n#3 c() <- #2\n#4 result \"_result\" <- #3\n"),
        (2, "#0 scan\n     takes over a()\n     takes over b()\n#1 c() <- #0\n#2 result \"_result\" <- #1\n"),
        (3, "#0 scan\n     takes over a()\n     takes over b()\n     takes over c()\n#1 result \"_result\" <- #0\n"),
    ] {
        let (text, offered) = planned(&[&chain], takes, usize::MAX).unwrap();
        assert_eq!(text, expected);
        assert_eq!(offered, [3]);
    }
}

#[test]
fn a_setting_caps_what_is_taken() {
    let chain = operator("b", Push::Whole, &operator("a", Push::Whole, &source(0, 1)));
    let (text, _) = planned(&[&chain], 2, 1).unwrap();
    assert_eq!(text, "#0 scan\n     takes over a()\n#1 b() <- #0\n#2 result \"_result\" <- #1\n");
}

#[test]
fn the_rest_of_what_is_taken_in_part_runs_and_ends_the_offer() {
    let chain = operator("b", Push::Whole, &operator("a", Push::Part, &source(0, 1)));
    let (text, offered) = planned(&[&chain], 5, usize::MAX).unwrap();
    assert_eq!(
        text,
        "#0 scan\n     takes over a(), in part\n#1 rest() <- #0\n#2 b() <- #1\n#3 result \"_result\" <- #2\n"
    );
    assert_eq!(offered, [1]);
    let (text, _) = planned(&[&chain], 0, usize::MAX).unwrap();
    assert_eq!(text, "#0 scan\n#1 a() <- #0\n#2 b() <- #1\n#3 result \"_result\" <- #2\n");
}

#[test]
fn nothing_behind_a_branch_or_an_operator_that_stays_is_offered() {
    let shared = source(0, 1);
    let left = node(NodeKind::Yield("left".into()), &[&operator("a", Push::Whole, &shared)]);
    let right = node(NodeKind::Yield("right".into()), &[&operator("b", Push::Whole, &shared)]);
    let (text, offered) = planned(&[&left, &right], 5, usize::MAX).unwrap();
    assert_eq!(offered, [0], "the shared source is opened once and offered nothing");
    assert_eq!(text.matches("scan").count(), 1, "{text}");

    let chain = operator("b", Push::Whole, &operator("a", Push::No, &source(0, 1)));
    assert_eq!(planned(&[&chain], 5, usize::MAX).unwrap().1, [0]);
    let passed = operator("b", Push::Whole, &node(NodeKind::Yield("y".into()), &[&source(0, 1)]));
    assert_eq!(planned(&[&passed], 5, usize::MAX).unwrap().1, [0], "a yield shows the rows before what follows");
}

#[test]
fn an_operator_before_a_branch_is_offered() {
    let first = operator("a", Push::Whole, &source(0, 1));
    let left = node(NodeKind::Yield("left".into()), &[&operator("b", Push::Whole, &first)]);
    let right = node(NodeKind::Yield("right".into()), &[&first]);
    let (text, offered) = planned(&[&left, &right], 5, usize::MAX).unwrap();
    assert_eq!(offered, [1]);
    assert_eq!(
        text,
        "#0 scan\n     takes over a()\n#1 b() <- #0\n#2 result \"left\" <- #1\n#3 result \"right\" <- #0\n"
    );
}

#[test]
fn a_read_needs_bounds_that_are_not_empty() {
    let unbounded = node(NodeKind::From { bucket: "1".into(), bucket_name: "raw".into() }, &[]);
    let error = planned(&[&operator("a", Push::No, &unbounded)], 0, 0).unwrap_err();
    assert_eq!(error.message(), "cannot submit unbounded read to \"raw\"; try bounding 'from' with a call to 'range'");
    assert_eq!(error.span(), Some(Span::new(3, 4)));
    let error = planned(&[&source(5, 5)], 0, 0).unwrap_err();
    assert_eq!(error.message(), "cannot query an empty range");
}

fn transform(transform: impl Transform + 'static, input: &Arc<Node>) -> Arc<Node> {
    node(NodeKind::Transform(Arc::new(transform)), &[input])
}

fn sort(input: &Arc<Node>) -> Arc<Node> {
    transform(Sort { columns: vec!["v".into()], descending: true }, input)
}

/// Only where nobody else sees the sorted rows.
#[test]
fn sort_and_limit_become_one_operator() {
    let limit = || Limit::new(3, 0).unwrap();
    let both = transform(limit(), &sort(&source(0, 1)));
    let one = "#0 scan\n#1 sort |> limit(columns: [\"v\"], desc: true, n: 3) <- #0\n#2 result \"_result\" <- #1\n";
    assert_eq!(planned(&[&both], 0, usize::MAX).unwrap().0, one);

    let sorted = sort(&source(0, 1));
    let left = node(NodeKind::Yield("left".into()), &[&transform(limit(), &sorted)]);
    let right = node(NodeKind::Yield("right".into()), &[&sorted]);
    let (text, _) = planned(&[&left, &right], 0, usize::MAX).unwrap();
    assert!(text.contains("#1 sort(") && text.contains("#2 limit("), "{text}");

    let shown = transform(limit(), &node(NodeKind::Yield("sorted".into()), &[&sort(&source(0, 1))]));
    let (text, _) = planned(&[&shown], 0, usize::MAX).unwrap();
    assert!(text.contains("#1 sort(") && text.contains("limit(n: 3)"), "{text}");

    let other = transform(limit(), &operator("a", Push::No, &sort(&source(0, 1))));
    let (text, _) = planned(&[&other], 0, usize::MAX).unwrap();
    assert!(text.contains("#1 sort(") && text.contains("#3 limit("), "{text}");
}
