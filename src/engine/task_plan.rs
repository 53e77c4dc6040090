//! Which buckets a script reads and writes, found without reading any.
//!
//! Called by `tasks`, which waits for the data of the buckets that a task reads. The script is evaluated over a world in
//! which every bucket exists; where that does not come to an end, the tree tells which buckets are named literally.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::request::TaskPlan;
use super::script::{Script, Times};
use crate::error::Result;
use crate::flux::host;
use crate::flux::value::Stream;
use crate::name::Name;
use crate::plan::graph::Graph;
use crate::plan::{Node, NodeKind};
use crate::syntax::ast::{CallExpr, ExprKind, File};
use crate::syntax::visit;
use crate::table::Chunk;

/// The buckets of a script that runs at these times.
pub fn task_plan(script: &Script, times: Times) -> TaskPlan {
    let world = Arc::new(NamesOnly::default());
    let evaluated = script.evaluate(times, Arc::clone(&world) as Arc<dyn host::World>, &CancellationToken::new());
    let mut plan = std::mem::take(&mut *world.found.lock());
    match evaluated.and_then(|evaluated| Graph::of_script(&evaluated.streams)) {
        Ok(graph) => {
            plan.complete = !*world.asked_for_data.lock();
            graph.nodes.iter().for_each(|node| note(node, &mut plan));
        }
        Err(_) => named_literally(script, &mut plan),
    }
    plan
}

fn add(names: &mut Vec<Name>, name: &Name) {
    if !names.contains(name) {
        names.push(name.clone());
    }
}

fn note(node: &Node, plan: &mut TaskPlan) {
    match &node.kind {
        NodeKind::Source(source) => add(&mut plan.reads, &source.bucket),
        NodeKind::To(spec) => add(&mut plan.writes, &spec.bucket_name),
        _ => {}
    }
}

/// Whether a file names a function that reads or writes buckets: `from` and `to` themselves, or anything of a package that
/// may hold one.
pub fn names_buckets(file: &File) -> bool {
    const FUNCTIONS: [&str; 4] = ["from", "to", "wideTo", "buckets"];
    let of_the_world =
        |path: &str| path.starts_with("influxdata/") || path == "experimental" || path.starts_with("kafka");
    let mut found = file.imports.iter().any(|import| of_the_world(&import.path) && !import.path.ends_with("/tasks"));
    visit::file(file, &mut |expr| {
        found |= matches!(&expr.kind, ExprKind::Identifier(name) if FUNCTIONS.contains(&&**name));
        true
    });
    found
}

/// Calls of `from` and `to`, in whatever package, with a literal `bucket` or `bucketID`.
fn named_literally(script: &Script, plan: &mut TaskPlan) {
    visit::file(&script.file, &mut |expr| {
        let call = match &expr.kind {
            ExprKind::Call(call) | ExprKind::Pipe { call, .. } => call,
            _ => return true,
        };
        let function = match &call.callee.kind {
            ExprKind::Identifier(name) => name,
            ExprKind::Member { property, .. } => &property.name,
            _ => return true,
        };
        let names = match &**function {
            "from" => &mut plan.reads,
            "to" => &mut plan.writes,
            _ => return true,
        };
        if let Some(bucket) = literal_bucket(call) {
            add(names, &bucket);
        }
        true
    });
}

fn literal_bucket(call: &CallExpr) -> Option<Name> {
    let bucket = call.arguments.iter().find(|argument| matches!(&*argument.name.name, "bucket" | "bucketID"))?;
    match &bucket.value.kind {
        ExprKind::String(name) => Some(name.clone()),
        _ => None,
    }
}

/// A world in which every bucket exists, under its own name as its id, and is empty.
#[derive(Default)]
struct NamesOnly {
    found: Mutex<TaskPlan>,
    asked_for_data: Mutex<bool>,
}

impl host::World for NamesOnly {
    fn collect(&self, stream: Arc<dyn Stream>) -> Result<Vec<Chunk>> {
        let graph = Graph::of_stream(&stream)?;
        let mut found = self.found.lock();
        graph.nodes.iter().for_each(|node| note(node, &mut found));
        *self.asked_for_data.lock() = true;
        Ok(Vec::new())
    }

    fn bucket_id(&self, name_or_id: &str) -> Result<Name> {
        Ok(name_or_id.into())
    }

    fn secret(&self, _name: &str) -> Option<String> {
        Some(String::new())
    }

    fn wall_clock_ns(&self) -> i64 {
        0
    }
}
