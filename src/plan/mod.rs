//! The plan: streams as a graph of nodes, and the choice of what the store's scan takes over.
//!
//! Made by builtins in `functions`, planned and run by `exec`. Names no bucket file and no Kafka client.

pub mod explain;
pub mod graph;
pub mod planner;
pub mod world;

pub use world::World;

use std::any::Any;
use std::sync::Arc;

use crate::diagnostic::Span;
use crate::flux::value::Stream;
pub use crate::operators::RowFunction;
use crate::operators::Transform;
use crate::table::scan::SourceRef;
use crate::table::{Chunk, Name};

/// A stream: a source, or an operator over other streams. Immutable; sharing a node (a variable used twice) is sharing
/// its `Arc`, and it then runs once.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Where its rows come from, in the order of the operator's ports.
    pub inputs: Vec<Arc<Node>>,
    /// The call that made it.
    pub span: Span,
}

/// What a node does.
#[derive(Debug)]
pub enum NodeKind {
    /// `from(bucket: ...)` without a range yet: running it is an error ("unbounded read").
    From {
        /// The bucket's id.
        bucket: Name,
        /// The bucket as the script names it.
        bucket_name: Name,
    },
    /// `from |> range`.
    Source(SourceRef),
    /// Rows that the script itself holds (`array.from`, `csv.from`).
    Rows(Vec<Chunk>),
    /// An operator.
    Transform(Arc<dyn Transform>),
    /// `yield(name: ...)`: its input is a result of that name.
    Yield(Name),
    /// `to(...)`: its input's rows become points of a bucket, and pass on.
    To(Arc<ToSpec>),
}

/// The arguments of `to()`, resolved.
#[derive(Debug)]
pub struct ToSpec {
    /// The bucket's id.
    pub bucket: Name,
    /// The bucket as the script names it.
    pub bucket_name: Name,
    /// `timeColumn`.
    pub time_column: Name,
    /// `measurementColumn`.
    pub measurement_column: Name,
    /// `tagColumns`, if given.
    pub tag_columns: Option<Vec<Name>>,
    /// `fieldFn`, if given.
    pub field_fn: Option<RowFunction>,
    /// The rows are pivoted (`wideTo`): the key's columns are tags, all others fields.
    pub wide: bool,
}

impl Stream for Node {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
