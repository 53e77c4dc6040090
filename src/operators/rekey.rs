//! Runs operators that give columns other names, places or values, and may thereby change keys: at once while keys stay
//! as they are, through a merger from the first table on whose key changes.
//!
//! Used by `set`, `map` (order of arrival) and `keep`, `drop`, `rename`, `duplicate` (order of keys). How little has to be
//! held follows from what is known of the input: see [`run`].

use std::cell::LazyCell;
use std::sync::Arc;

use super::by_shape::ByShape;
use super::in_order::in_order;
use super::{Operator, Out, copy_of};
use crate::error::Result;
use crate::table::cluster::Cluster;
use crate::table::gather::{Gather, Stretch};
use crate::table::merge::{Duplicates, MappingId, Merger, Target};
use crate::table::scan::{Parts, StreamProps, TableOrder};
use crate::table::{Chunk, KeyBlock, Place, Shape, TableId};

/// What becomes of the tables of a shape.
#[derive(Clone, Debug)]
pub(super) struct Rekeyed {
    /// The new columns in order, and where [`Rekeys::apply`] puts each.
    pub targets: Vec<Target>,
    /// The key columns and their values are those of the input, and no table of another shape can come to have the same
    /// key: tables need not be compared.
    pub keeps_keys: bool,
}

/// A chunk whose columns are where its targets say, in the key or among the rows. Its shape is that of the input.
pub(super) struct Applied {
    pub chunk: Chunk,
    pub rekeyed: Arc<Rekeyed>,
}

/// An operator of this kind.
pub(super) trait Rekeys: Send + 'static {
    /// Whether the tables of a shape keep their keys (see [`Rekeyed::keeps_keys`]).
    fn keeps_keys(&mut self, shape: &Arc<Shape>) -> Result<bool>;

    /// Whether they can also be given as they come, each by itself: their columns follow from the shape.
    fn works_by_table(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        self.keeps_keys(shape)
    }

    /// The chunk with its new columns; segments may be left out. What cannot be given yet comes later, still in order.
    fn apply(&mut self, chunk: Chunk) -> Result<Vec<Applied>>;

    /// The input has ended: what has been held back.
    fn finish(&mut self) -> Result<Vec<Applied>> {
        Ok(Vec::new())
    }

    /// As [`Operator::memory`].
    fn memory(&self) -> usize {
        0
    }

    /// How many bytes of memory there are for what [`Rekeys::apply`] gives next: for those that give more rows than they
    /// get.
    fn room(&mut self, _bytes: usize) {}
}

/// Whether copies may work on parts of a clustered input as long as keys stay.
pub(super) fn works_by_table(input: &StreamProps, order: TableOrder) -> bool {
    passes(input, order)
}

/// Whether tables whose keys stay may be passed on at once.
fn passes(input: &StreamProps, order: TableOrder) -> bool {
    order == TableOrder::Arrival || streams(input, order)
}

/// What is known of the output, if its tables come in this order.
pub(super) fn gives(input: &StreamProps, order: TableOrder) -> StreamProps {
    let parts = if streams(input, order) { input.parts } else { Parts::Clustered };
    StreamProps { parts, tables: order, rows_by_time: false, ..*input }
}

/// Whether tables of an input could be passed on without having seen all of them, so that a scattered one need not be put
/// in order: all are alike, so that the first tells what becomes of all keys, and they come in the order wanted.
fn streams(input: &StreamProps, order: TableOrder) -> bool {
    input.one_shape && (order == TableOrder::Arrival || input.tables == TableOrder::KeySorted)
}

/// Runs it. Tables whose keys stay are passed on at once, in the order of arrival until the first one whose key changes,
/// in the order of keys only if that is known to be the order in which they come. An input that is scattered is put in
/// order first, unless all of its tables are known to be of one shape whose keys stay.
pub(super) fn run(
    input: &StreamProps,
    order: TableOrder,
    duplicates: Duplicates,
    rekeys: impl Rekeys,
) -> Box<dyn Operator> {
    let streams = streams(input, order);
    let scattered = streams && input.parts == Parts::Scattered;
    let operator = RekeyOperator {
        rekeys,
        plans: Vec::new(),
        order,
        duplicates,
        passes: passes(input, order),
        merger: None,
        waiting: scattered.then(Cluster::default),
        next_id: 0,
    };
    if scattered { Box::new(operator) } else { in_order(input, operator) }
}

struct RekeyOperator<R> {
    rekeys: R,
    /// What has been made of each [`Rekeyed`] that has come.
    plans: Vec<(Arc<Rekeyed>, Plan)>,
    order: TableOrder,
    duplicates: Duplicates,
    /// Whether tables whose keys stay may be passed on at once.
    passes: bool,
    /// There as soon as a key has changed.
    merger: Option<Merger>,
    /// A scattered input whose keys change.
    waiting: Option<Cluster>,
    /// One more than the largest id that was passed on.
    next_id: TableId,
}

struct Plan {
    shape: Arc<Shape>,
    mapping: Option<MappingId>,
}

impl<R: Rekeys> RekeyOperator<R> {
    fn take(&mut self, applied: Vec<Applied>, out: &mut Out) -> Result<()> {
        for Applied { chunk, rekeyed } in applied {
            let plan = plan(&mut self.plans, &rekeyed);
            if rekeyed.keeps_keys && self.passes && self.merger.is_none() {
                let ids = chunk.segments.iter().map(|segment| segment.table + 1);
                self.next_id = ids.max().unwrap_or(0).max(self.next_id);
                out.push(project(chunk, &rekeyed.targets, &plan.shape)?);
                continue;
            }
            let merger = self.merger.get_or_insert_with(|| Merger::new(self.order, self.duplicates));
            let mapping = *plan.mapping.get_or_insert_with(|| merger.mapping(rekeyed.targets.clone()));
            merger.push(mapping, chunk)?;
        }
        Ok(())
    }
}

fn plan<'a>(plans: &'a mut Vec<(Arc<Rekeyed>, Plan)>, rekeyed: &Arc<Rekeyed>) -> &'a mut Plan {
    let known = plans.iter().rposition(|(own, _)| Arc::ptr_eq(own, rekeyed));
    let at = known.unwrap_or_else(|| {
        let columns = rekeyed.targets.iter().map(|target| (target.name.clone(), target.column_type, target.in_key));
        plans.push((Arc::clone(rekeyed), Plan { shape: Shape::new(columns), mapping: None }));
        plans.len() - 1
    });
    &mut plans[at].1
}

impl<R: Rekeys> Operator for RekeyOperator<R> {
    fn push(&mut self, _port: usize, chunk: Chunk, out: &mut Out) -> Result<()> {
        if let Some(cluster) = &mut self.waiting
            && !self.rekeys.keeps_keys(&chunk.shape)?
        {
            cluster.push(chunk);
            return Ok(());
        }
        self.rekeys.room(out.room);
        let applied = self.rekeys.apply(chunk)?;
        self.take(applied, out)
    }

    fn works_by_table(&mut self, shape: &Arc<Shape>) -> Result<bool> {
        Ok(self.passes && self.merger.is_none() && self.rekeys.works_by_table(shape)?)
    }

    fn absorb(&mut self, copy: Box<dyn Operator>) -> Result<()> {
        self.next_id = self.next_id.max(copy_of::<Self>(copy)?.next_id);
        Ok(())
    }

    fn finish(&mut self, _port: usize, out: &mut Out) -> Result<()> {
        if let Some(cluster) = self.waiting.take() {
            self.rekeys.room(out.room);
            for chunk in cluster.finish()? {
                let applied = self.rekeys.apply(chunk)?;
                self.take(applied, out)?;
            }
        }
        let applied = self.rekeys.finish()?;
        self.take(applied, out)?;
        if let Some(merger) = self.merger.take() {
            out.merge(merger.finish(self.next_id)?);
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        let merging = self.merger.as_ref().map_or(0, Merger::memory);
        self.rekeys.memory() + merging + self.waiting.as_ref().map_or(0, Cluster::memory)
    }
}

/// For operators that know what becomes of a shape when they see it.
#[derive(Default)]
pub(super) struct RekeyedShapes(ByShape<Arc<Rekeyed>>);

impl RekeyedShapes {
    /// What becomes of the tables of a shape; worked out when it comes for the first time.
    pub(super) fn get(
        &mut self,
        shape: &Arc<Shape>,
        make: impl FnOnce(&Shape) -> Result<Rekeyed>,
    ) -> Result<Arc<Rekeyed>> {
        Ok(Arc::clone(self.0.get(shape, |shape| Ok(Arc::new(make(shape)?)))?))
    }
}

/// The chunk with its columns in the order of the targets; the columns of the key stay those of the key, and one of them
/// may stand among the rows as well.
pub(super) fn project(chunk: Chunk, targets: &[Target], shape: &Arc<Shape>) -> Result<Chunk> {
    let mut keys = Vec::with_capacity(shape.key.len());
    let mut rows = Vec::with_capacity(targets.len());
    let mut same_keys = shape.key.len() == chunk.keys.columns.len();
    let spread = LazyCell::new(|| {
        let tables = chunk.tables();
        Gather::new(tables.map(|(segment, rows)| Stretch::repeat(0, segment.key_row as usize, rows.len())))
    });
    for target in targets {
        match target.from {
            Place::Key(index) if target.in_key => {
                same_keys &= index as usize == keys.len();
                keys.push(Arc::clone(&chunk.keys.columns[index as usize]));
            }
            Place::Key(index) => {
                rows.push(spread.column(target.column_type, |_| chunk.keys.columns.get(index as usize))?);
            }
            Place::Row(index) => rows.push(Arc::clone(&chunk.rows[index as usize])),
        }
    }
    let keys = if same_keys { Arc::clone(&chunk.keys) } else { Arc::new(KeyBlock { columns: keys }) };
    let len = chunk.len;
    drop(spread);
    Ok(Chunk { shape: Arc::clone(shape), keys, segments: chunk.segments, rows, len })
}
