//! What all `to()` of a script have staged so far.
//!
//! Made by the network, filled by the operators of [`super`], emptied when the whole script has succeeded. A `to()` whose
//! points take much of the run's memory, or that others need, has them on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use indexmap::IndexMap;
use parking_lot::Mutex;

use super::To;
use super::names::{NameCache, bytes_of};
use crate::diagnostic::Span;
use crate::error::{Error, Result};
use crate::exec::field_fn::FieldFn;
use crate::exec::points::{BucketWrite, Points};
use crate::exec::sorted_run::{self, SortedRun};
use crate::exec::{Memory, refusal};
use crate::plan::ToSpec;
use crate::point::Point;
use crate::table::pool::{Kept, Reservation};
use crate::table::spill::SpillSpace;
use crate::table::{Name, TableId};

/// The points that all `to()` of a script have staged so far.
pub struct Staging {
    /// One per `to()`, in program order.
    staged: Vec<(Call, Arc<Mutex<Staged>>)>,
    limit: PointLimit,
    memory: Memory,
}

/// A `to()` of the script.
struct Call {
    spec: Arc<ToSpec>,
    span: Span,
}

/// How many points all `to()` of a script may stage.
#[derive(Clone)]
pub(super) struct PointLimit {
    staged: Arc<AtomicUsize>,
    max: usize,
}

/// What one `to()` has staged.
#[derive(Default)]
pub(super) struct Staged {
    /// Those that are in memory.
    points: Vec<Point>,
    /// Where the points of a table's part begin. Parts may have come in any order; table ids tell the logical one.
    parts: Vec<(TableId, usize)>,
    /// What the points in memory take beside their place in the list, in bytes.
    bytes: usize,
    /// Those that are on disk.
    runs: Vec<Arc<SortedRun>>,
    /// How many points have gone to disk.
    on_disk: usize,
    pub(super) skipped: Skipped,
}

/// Rows that made no point although a point was meant.
#[derive(Default)]
pub(super) struct Skipped {
    pub(super) measurement: u64,
    pub(super) field: u64,
}

impl Staging {
    /// An empty staging that refuses more points than these, or than memory and disk have room for.
    pub fn new(max_points: usize, memory: Memory) -> Staging {
        let limit = PointLimit { staged: Arc::default(), max: max_points };
        Staging { staged: Vec::new(), limit, memory }
    }

    /// The operator of the next `to()` of the script. Without `stage` it only passes rows on.
    pub fn operator(&mut self, spec: &Arc<ToSpec>, span: Span, stage: bool) -> Result<To> {
        let staged = stage.then(|| Arc::new(Mutex::new(Staged::default())));
        let call = |staged| (Call { spec: Arc::clone(spec), span }, Arc::clone(staged));
        self.staged.extend(staged.iter().map(call));
        let field_fn = spec.field_fn.as_ref().map(FieldFn::new).transpose()?;
        Ok(To { spec: Arc::clone(spec), staged, limit: self.limit.clone(), layout: None, field_fn })
    }

    /// How many points are staged.
    pub fn points(&self) -> usize {
        self.limit.staged.load(Ordering::Relaxed)
    }

    /// What rows were passed over, a sentence for each reason.
    pub fn warnings(&self) -> Vec<String> {
        self.staged.iter().flat_map(|(call, staged)| staged.lock().skipped.warnings(&call.spec)).collect()
    }

    /// Takes the points, by bucket in the order in which the script names them. The order within a bucket tells which of
    /// two points of one identity is the newer: `to()` after `to()` in program order, table after table, row after row.
    ///
    /// `held` is what each `to()` that stages has reserved for its points, in program order. What they take from now on comes
    /// with them: it is given back when that is dropped.
    ///
    /// # Errors
    /// ResourceExhausted if there is room neither in memory nor on disk, Unavailable if the disk fails.
    pub fn take_writes(self, held: Vec<Reservation>) -> Result<(Vec<BucketWrite>, Kept)> {
        let in_memory: usize = self.staged.iter().map(|(_, staged)| staged.lock().in_memory()).sum();
        // Records will be made of them, which take about twice as much beside them.
        let much = in_memory > self.memory.share() / 2;
        let mut by_bucket: IndexMap<Name, Vec<(Call, Staged, Reservation)>> = IndexMap::new();
        for ((call, staged), held) in self.staged.into_iter().zip(held) {
            let staged = std::mem::take(&mut *staged.lock());
            by_bucket.entry(call.spec.bucket.clone()).or_default().push((call, staged, held));
        }
        let (mut writes, mut kept, mut to_read) = (Vec::with_capacity(by_bucket.len()), Kept::default(), 0);
        for (bucket, mut calls) in by_bucket {
            let bucket_name = calls[0].0.spec.bucket_name.clone();
            let on_disk = much || calls.iter().any(|(_, staged, _)| staged.on_disk > 0);
            for (call, staged, held) in &mut calls {
                if on_disk {
                    staged.go_to_disk(self.memory.space()).map_err(|error| error.at(call.span))?;
                }
                let bytes = staged.memory();
                held.set(bytes).map_err(|full| refusal("to wants", bytes, full).at(call.span))?;
            }
            let (staged, held): (Vec<Staged>, Vec<Reservation>) =
                calls.into_iter().map(|(_, staged, held)| (staged, held)).unzip();
            held.into_iter().for_each(|held| kept.keep(held));
            let points = if on_disk {
                let runs: Vec<_> = staged.into_iter().map(|staged| staged.runs).collect();
                to_read = to_read.max(runs.iter().flatten().map(|run| run.memory_to_read()).sum());
                Points::on_disk(runs)
            } else {
                Points::from(take_points(staged))
            };
            writes.push(BucketWrite { bucket, bucket_name, points });
        }
        // Buckets are read one after the other.
        let mut reading = self.memory.reservation();
        reading.set(to_read).map_err(|full| refusal("to wants", to_read, full))?;
        kept.keep(reading);
        Ok((writes, kept))
    }
}

/// The points of some `to()`, all in memory.
fn take_points(mut staged: Vec<Staged>) -> Vec<Point> {
    let mut points = staged.first_mut().map(Staged::take_points).unwrap_or_default();
    staged.iter_mut().skip(1).for_each(|call| points.append(&mut call.take_points()));
    points
}

#[cfg(test)]
impl Staging {
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// How many `to()` stage points.
    pub(super) fn calls(&self) -> usize {
        self.staged.len()
    }

    /// Whether some run on disk was merged of others.
    pub(super) fn has_merged_runs(&self) -> bool {
        self.staged.iter().any(|(_, staged)| staged.lock().runs.iter().any(|run| run.is_merged()))
    }
}

impl PointLimit {
    /// Counts points that are staged.
    pub(super) fn count(&self, points: usize) -> Result<()> {
        let max = self.max;
        if self.staged.fetch_add(points, Ordering::Relaxed) + points <= max {
            return Ok(());
        }
        Err(Error::resource_exhausted(format!("to() has more than {max} points to write in one run"))
            .with_hint("write fewer fields or a shorter range per run"))
    }
}

impl Staged {
    /// How many points are in memory.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// What follows are rows of a table.
    pub(super) fn begin_part(&mut self, table: TableId) {
        self.parts.push((table, self.points.len()));
    }

    /// Takes a point of the table whose part has begun last.
    pub(super) fn push(&mut self, point: Point) {
        self.bytes += bytes_of(&point);
        self.points.push(point);
    }

    /// Counts what names of points take.
    pub(super) fn count_names(&mut self, names: &NameCache) {
        self.bytes += names.bytes;
    }

    /// What it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.in_memory() + self.runs.iter().map(|run| run.memory()).sum::<usize>()
    }

    fn in_memory(&self) -> usize {
        let parts = self.parts.capacity() * size_of::<(TableId, usize)>();
        self.points.capacity() * size_of::<Point>() + parts + self.bytes
    }

    /// Goes to disk, unless that is not worth it. Says whether it has.
    pub(super) fn relieve(&mut self, space: &SpillSpace) -> Result<bool> {
        let worth_it = !self.points.is_empty() && self.in_memory() >= space.piece_bytes();
        if worth_it {
            self.go_to_disk(space)?;
        }
        Ok(worth_it)
    }

    fn go_to_disk(&mut self, space: &SpillSpace) -> Result<()> {
        let (points, parts) = (std::mem::take(&mut self.points), std::mem::take(&mut self.parts));
        self.bytes = 0;
        if points.is_empty() {
            return Ok(());
        }
        let ends = parts.iter().skip(1).map(|(_, start)| *start).chain([points.len()]);
        let tables = parts.iter().zip(ends).flat_map(|((table, start), end)| (*start..end).map(|_| *table));
        let numbers = self.on_disk as u64..;
        let numbered = tables.zip(numbers).zip(&points).map(|((table, number), point)| (table, number, point));
        sorted_run::add(&mut self.runs, numbered.collect(), space)?;
        self.on_disk += points.len();
        Ok(())
    }

    /// The points in memory, in the logical order of their tables.
    fn take_points(&mut self) -> Vec<Point> {
        let points = std::mem::take(&mut self.points);
        let parts = std::mem::take(&mut self.parts);
        if parts.is_sorted_by_key(|(table, _)| *table) {
            return points;
        }
        let ends = parts.iter().skip(1).map(|(_, start)| *start).chain([points.len()]);
        let mut points = points.into_iter();
        let mut by_table: Vec<(TableId, Vec<Point>)> = parts
            .iter()
            .zip(ends)
            .map(|((table, start), end)| (*table, points.by_ref().take(end - start).collect()))
            .collect();
        // Stable: the parts of a table stay in the order in which they came.
        by_table.sort_by_key(|(table, _)| *table);
        by_table.into_iter().flat_map(|(_, points)| points).collect()
    }
}

impl Skipped {
    fn warnings(&self, spec: &ToSpec) -> Vec<String> {
        let bucket = &spec.bucket_name;
        let mut warnings = Vec::new();
        if self.measurement > 0 {
            let (rows, column) = (self.measurement, &spec.measurement_column);
            warnings
                .push(format!("to(bucket: {bucket:?}) wrote no point for {rows} row(s) without a value in {column:?}"));
        }
        if self.field > 0 {
            let rows = self.field;
            warnings
                .push(format!("to(bucket: {bucket:?}) wrote no point for {rows} row(s) without a value in \"_field\""));
        }
        warnings
    }
}
