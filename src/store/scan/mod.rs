//! The scan: what a bucket answers to "from |> range" and to the operators that it takes over.
//!
//! Called by `engine` through `World::offer`. An offer pins what it will read; the chunks are made when they are asked for.
//! The plain answer is one table per series and field (flux-semantics 5.1); whatever is taken over gives what the operators
//! would have made of that.

mod chunk_builder;
mod chunks;
mod order;
mod remembered;
mod snapshot;
mod source;
mod table_plan;
#[cfg(feature = "delta")]
mod wide_table;

use std::sync::Arc;

pub use self::snapshot::Snapshot;
#[cfg(feature = "delta")]
pub use self::wide_table::{WideColumn, WideKind, WideTable};

use self::chunks::ScanFold;
use self::source::{PinnedScan, ScanSource, Wanted};
use super::Store;
use super::predicate::{Identity, IdentityFilter, all_hold};
use super::table::TableView;
use crate::error::Result;
use crate::table::scan::{Bounds, ChunkSource, Parts, PushOp, Scan, SourceRef, StreamProps, TableOrder, Taken};

impl Store {
    /// Opens a bounded read of a bucket and offers it the first operators of its pipeline, at most `max` of them. What is
    /// read is pinned here: what is applied later does not show.
    ///
    /// Errors: `NotFound` when the bucket does not exist.
    pub fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        self.offer_at(&Snapshot::default(), source, ops, max)
    }

    /// The same, with another size of stretches.
    #[cfg(test)]
    pub(crate) fn offer_in_stretches(
        &self,
        source: &SourceRef,
        ops: &[PushOp],
        max: usize,
        stretch_rows: u64,
    ) -> Result<Taken> {
        self.open_scan(&Snapshot::default(), source, (ops, max), stretch_rows)
    }

    /// The same of buckets as a snapshot has them; what it has not yet looked at it pins now.
    ///
    /// Errors: `NotFound` when the bucket does not exist.
    pub fn offer_at(&self, snapshot: &Snapshot, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        self.open_scan(snapshot, source, (ops, max), self.options.scan_stretch_rows)
    }

    fn open_scan(
        &self,
        snapshot: &Snapshot,
        source: &SourceRef,
        (ops, max): (&[PushOp], usize),
        stretch_rows: u64,
    ) -> Result<Taken> {
        let bucket = snapshot.bucket(self, &source.bucket)?;
        let mut count = 0;
        let mut filter = IdentityFilter::default();
        for op in ops.iter().take(max) {
            match op {
                PushOp::Filter(predicate) if filter.add(predicate) => count += 1,
                _ => break,
            }
        }
        let pick = match ops.get(count) {
            Some(PushOp::First(column)) if count < max && has_a_value_always(column) => Some(Pick::First),
            Some(PushOp::Last(column)) if count < max && has_a_value_always(column) => Some(Pick::Last),
            _ => None,
        };
        count += usize::from(pick.is_some());
        let mut views = Vec::new();
        for table in &bucket.tables {
            if holds_for_measurement(&filter, &table.measurement) {
                views.push(bucket.view(table, pick == Some(Pick::Last))?);
            }
        }
        let wide = pick.is_none()
            && matches!(ops.get(count), Some(PushOp::PivotWide))
            && count < max
            && views.iter().all(|view| pivots_without_collision(view, &filter));
        if wide {
            count += 1;
        }

        let fold = match ops.get(count) {
            Some(op) if count < max && !wide && pick.is_none() => ScanFold::new(op, source.bounds),
            _ => None,
        };
        let fold = fold.filter(|fold| views.iter().all(|view| fold.takes(view, &filter)));
        count += usize::from(fold.is_some());

        let rows: usize = views.iter().flat_map(|view| &view.runs).map(|run| run.len()).sum();
        // Rows that are too old are not there, whether their files are gone or not; `_start` stays what was asked for.
        let start_ns = source.bounds.start_ns.max(bucket.keep_from_ns);
        let kept = Bounds { start_ns, ..source.bounds };
        let files: usize = views.iter().map(|view| view.files.count_within(kept)).sum();
        let explain = format!(
            "bucket {}: {} measurements, {files} files, {rows} rows in memory; took {count} of {} operators{}",
            source.bucket,
            views.len(),
            ops.len(),
            match (wide, pick) {
                (true, _) => ", wide",
                (_, Some(Pick::First)) => ", first rows",
                (_, Some(Pick::Last)) => ", last rows",
                _ if fold.is_some() => ", folded",
                _ => "",
            },
        );
        let fold = fold.map(Arc::new);
        let what = Wanted { bounds: source.bounds, kept, filter, wide, pick, fold };
        let pinned = PinnedScan { what, views, stretch_rows };
        let props = StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: true,
            unique_keys: true,
            one_shape: false,
            bounds: Some(source.bounds),
        };
        let source: Box<dyn ChunkSource> = Box::new(ScanSource::new(pinned));
        Ok(Taken { count, scan: Scan { partitions: vec![source], props, explain } })
    }
}

fn holds_for_measurement(filter: &IdentityFilter, measurement: &str) -> bool {
    all_hold(&filter.of_measurement, &Identity { measurement, field: "", tag: &|_| None, time_ns: 0 })
}

fn holds_for_field(filter: &IdentityFilter, measurement: &str, field: &str) -> bool {
    all_hold(&filter.of_field, &Identity { measurement, field, tag: &|_| None, time_ns: 0 })
}

/// A pivot fails when a field has the name of a column that stays; the operator is to say so.
fn pivots_without_collision(view: &TableView, filter: &IdentityFilter) -> bool {
    let collides =
        |name: &str| matches!(name, "_start" | "_stop" | "_time" | "_measurement") || view.columns.tag(name).is_some();
    let mut fields = view.columns.fields().iter();
    !fields.any(|field| collides(&field.name) && holds_for_field(filter, &view.table.measurement, &field.name))
}

/// Which row of each table is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    First,
    Last,
}

/// Every row of a read has a value in it.
fn has_a_value_always(column: &str) -> bool {
    matches!(column, "_value" | "_time")
}

#[cfg(test)]
pub(crate) mod tests;
