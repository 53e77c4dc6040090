//! The scan: what a bucket answers to "from |> range" and to the operators that it takes over.
//!
//! Called by `engine` through `World::offer`. An offer pins what it will read; the chunks are made when they are asked for.
//! The plain answer is one table per series and field (flux-semantics 5.1); whatever is taken over gives what the operators
//! would have made of that.

mod chunk_builder;
mod chunks;
mod order;
mod table_plan;

use futures::future::BoxFuture;

use self::chunks::Emitter;
use self::table_plan::TablePlan;
use super::Store;
use super::predicate::{Identity, IdentityFilter, all_hold};
use super::table::TableView;
use crate::error::Result;
use crate::table::Chunk;
use crate::table::scan::{Bounds, ChunkSource, Parts, PushOp, Scan, SourceRef, StreamProps, TableOrder, Taken};

impl Store {
    /// Opens a bounded read of a bucket and offers it the first operators of its pipeline, at most `max` of them. What is
    /// read is pinned here: what is applied later does not show.
    ///
    /// Errors: `NotFound` when the bucket does not exist.
    pub fn offer(&self, source: &SourceRef, ops: &[PushOp], max: usize) -> Result<Taken> {
        let bucket = self.bucket_state(&source.bucket)?;
        let mut count = 0;
        let mut filter = IdentityFilter::default();
        for op in ops.iter().take(max) {
            match op {
                PushOp::Filter(predicate) if filter.add(predicate) => count += 1,
                _ => break,
            }
        }
        let mut views = Vec::new();
        for table in bucket.tables() {
            if holds_for_measurement(&filter, &table.measurement) {
                views.push(table.view()?);
            }
        }
        let wide = matches!(ops.get(count), Some(PushOp::PivotWide))
            && count < max
            && views.iter().all(|view| pivots_without_collision(view, &filter));
        if wide {
            count += 1;
        }

        let rows: usize = views.iter().flat_map(|view| &view.runs).map(|run| run.len()).sum();
        let files: usize = views.iter().map(|view| view.files.count_within(source.bounds)).sum();
        let explain = format!(
            "bucket {}: {} measurements, {files} files, {rows} rows in memory; took {count} of {} operators{}",
            source.bucket,
            views.len(),
            ops.len(),
            if wide { ", wide" } else { "" },
        );
        let pinned = PinnedScan { bounds: source.bounds, filter, wide, views };
        let props = StreamProps {
            parts: Parts::Clustered,
            tables: TableOrder::KeySorted,
            rows_by_time: true,
            unique_keys: true,
            one_shape: false,
            bounds: Some(source.bounds),
        };
        let source: Box<dyn ChunkSource> = Box::new(ScanSource::Pinned(pinned));
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

/// What an offer pinned.
struct PinnedScan {
    bounds: Bounds,
    filter: IdentityFilter,
    wide: bool,
    views: Vec<TableView>,
}

impl PinnedScan {
    async fn start(self) -> Result<Emitter> {
        let mut tables = Vec::new();
        for view in &self.views {
            if let Some(plan) = TablePlan::read(view, &self.filter, self.bounds).await? {
                tables.push(plan);
            }
        }
        let make = if self.wide { Emitter::wide } else { Emitter::long };
        Ok(make(tables, &self.filter, self.bounds))
    }
}

/// The one partition of a scan.
enum ScanSource {
    Pinned(PinnedScan),
    Open(Emitter),
    Done,
}

impl ChunkSource for ScanSource {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Chunk>>> {
        Box::pin(async move {
            if let ScanSource::Pinned(_) = self
                && let ScanSource::Pinned(pinned) = std::mem::replace(self, ScanSource::Done)
            {
                *self = ScanSource::Open(pinned.start().await?);
            }
            let chunk = match self {
                ScanSource::Open(emitter) => emitter.next()?,
                _ => None,
            };
            if chunk.is_none() {
                *self = ScanSource::Done;
            }
            Ok(chunk)
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
