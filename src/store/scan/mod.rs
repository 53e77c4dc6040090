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
use crate::name::Name;
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
        let (all, ops) = (ops, &ops[..max.min(ops.len())]);
        for op in ops {
            match op {
                PushOp::Filter(predicate) if filter.add(predicate) => count += 1,
                _ => break,
            }
        }
        let mut pick = Picked::by(&ops[count..]).filter(|pick| has_a_value_always(&pick.column));
        let narrow = pick.is_some();
        match ops.get(count) {
            Some(PushOp::First(_) | PushOp::Last(_)) if narrow => count += 1,
            Some(PushOp::PivotWide) => pick = Picked::by(&ops[count + 1..]),
            _ => {}
        }
        let mut views = Vec::new();
        for table in &bucket.tables {
            if holds_for_measurement(&filter, &table.measurement) {
                views.push(bucket.view(table, pick.as_ref().is_some_and(|pick| pick.which == Pick::Last))?);
            }
        }
        let wide = matches!(ops.get(count), Some(PushOp::PivotWide))
            && views.iter().all(|view| pivots_without_collision(view, &filter));
        if wide {
            count += 1;
        }
        let varies = |column: &Name| match wide {
            true => views.iter().any(|view| view.columns.fields().iter().any(|field| field.name == *column)),
            false => &**column == "_value",
        };
        pick = pick.filter(|pick| {
            (narrow || wide) && pick.grouped_by.iter().all(|column| &**column != "_time" && !varies(column))
        });

        let fold = match ops.get(count) {
            Some(op) if !wide && !narrow => ScanFold::new(op, source.bounds),
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
            all.len(),
            match (wide, pick.as_ref().map(|pick| pick.which)) {
                (true, None) => ", wide",
                (true, Some(Pick::First)) => ", wide, first rows",
                (true, Some(Pick::Last)) => ", wide, last rows",
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

/// The one row of each table that matters to operators which pick the first or the last one with a value of a column. They
/// may group before: what is picked of some tables together is what would be picked of one of them alone, as long as the
/// rows of a table stay together. Where a table has no such row any row of it will do, as nothing is picked of it.
#[derive(Clone, Debug)]
struct Picked {
    which: Pick,
    column: Name,
    /// Columns that have to have one value in a table.
    grouped_by: Vec<Name>,
}

impl Picked {
    /// What the first of some operators pick.
    fn by(mut ops: &[PushOp]) -> Option<Picked> {
        let mut grouped_by = Vec::new();
        while let [PushOp::GroupKeys(columns), rest @ ..] = ops {
            grouped_by.extend_from_slice(columns);
            ops = rest;
        }
        let (which, column) = match ops.first()? {
            PushOp::First(column) => (Pick::First, column),
            PushOp::Last(column) => (Pick::Last, column),
            _ => return None,
        };
        Some(Picked { which, column: column.clone(), grouped_by })
    }
}

/// Every row of a read has a value in it.
fn has_a_value_always(column: &str) -> bool {
    matches!(column, "_value" | "_time")
}

#[cfg(test)]
pub(crate) mod tests;
