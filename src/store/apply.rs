//! What the sink calls: rows of a partition go in, its position moves on, and runs wait for it.
//!
//! Called by `ingest/sink` only. A row that does not fit is reported, never an error; an error means that the batch is to be
//! applied again. Rows that a table already has in files are passed over, so replay is harmless.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hashbrown::HashMap;
use tokio::sync::watch;

use super::columns::{Columns, Misfit};
use super::files::SourcePositions;
use super::table::{Append, Appended, Table};
use super::{BucketState, Store};
use crate::catalogue::{Batch, Durability, Keyspace};
use crate::error::{Error, Result};
use crate::name::Name;
use crate::point::{FieldValue, Point};

/// How far ahead of its arrival a point's time may lie: one day.
pub const MAX_AHEAD_NS: i64 = 86_400 * 1_000_000_000;

/// A partition of a topic as rows come from it. Offsets of different generations do not compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePartition {
    /// The topic.
    pub topic: Name,
    /// The topic's generation.
    pub generation: u32,
    /// The partition.
    pub partition: u32,
}

impl From<&SourcePartition> for SourcePartition {
    fn from(source: &SourcePartition) -> Self {
        source.clone()
    }
}

/// A point with its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct SeqPoint {
    /// The offset of its record.
    pub offset: u64,
    /// The arrival time of its record in nanoseconds since the epoch, made strictly increasing per partition. The newest
    /// wins, per field.
    pub seq: i64,
    /// The point.
    pub point: Point,
}

/// A row that was not taken, for the dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its index in the batch.
    pub index: usize,
    /// What kind of reason: `field-type-conflict`, `too-many-columns`, `outside-retention`, `too-far-ahead`,
    /// `not-finite`, `malformed`.
    pub code: &'static str,
    /// The reason as a sentence.
    pub reason: String,
}

impl std::fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Misfit::Conflict { field, expected, found } => write!(
                formatter,
                "field type conflict: field \"{field}\" is of type {expected}, this value is of type {found}",
                expected = expected.flux_name(),
                found = found.flux_name(),
            ),
            Misfit::TooMany => {
                write!(formatter, "the measurement would have more than {} columns", super::columns::MAX_COLUMNS)
            }
        }
    }
}

/// How far the sink has come in each partition.
#[derive(Default)]
pub(crate) struct Positions {
    applied: parking_lot::Mutex<HashMap<SourcePartition, watch::Sender<Option<u64>>>>,
}

impl Positions {
    fn of(&self, source: &SourcePartition) -> watch::Sender<Option<u64>> {
        self.applied.lock().entry_ref(source).or_insert_with(|| watch::Sender::new(None)).clone()
    }

    /// Every partition with which the sink has begun.
    pub(crate) fn all(&self) -> SourcePositions {
        let applied = self.applied.lock();
        applied.iter().filter_map(|(source, offset)| Some((source.clone(), (*offset.borrow())?))).collect()
    }
}

impl Store {
    /// Applies rows of one partition to a bucket, in the order of the partition; all rows of a record in one call. They are
    /// visible to scans that begin after this returns. Returns the rows that were not taken.
    ///
    /// Errors: `NotFound` when the bucket is gone; `ResourceExhausted` when the memory for rows is used up (nothing was
    /// applied: [`Store::flush`], or wait with [`Store::wait_for_memory`], and apply again); `Unavailable` when new columns
    /// could not be made durable (apply again: rows that were taken already do no harm).
    pub fn apply(&self, bucket: &str, source: &SourcePartition, rows: &[SeqPoint]) -> Result<Vec<Rejected>> {
        let bucket = self.bucket_state(bucket)?;
        let used = self.memory_used.load(Ordering::Acquire);
        if used >= self.options.memory_bytes {
            return Err(Error::resource_exhausted(format!(
                "rows that are not yet in files take {used} bytes; the limit is {}",
                self.options.memory_bytes
            )));
        }
        let now_ns = self.clock.now_ns();
        let retention_ns = bucket.retention_ns();
        let check = |row: &SeqPoint| check_row(row, retention_ns);
        let mut rejected = Vec::new();
        let mut start = 0;
        while start < rows.len() {
            let measurement = &rows[start].point.measurement;
            let alike = rows[start..].iter().take_while(|row| row.point.measurement == *measurement).count();
            let Some(table) = bucket.table(measurement) else {
                if !self.register(&bucket, &rows[start..], retention_ns)?.contains(measurement) {
                    // Every row of it is malformed: there is no table to ask.
                    for (index, row) in rows.iter().enumerate().skip(start).take(alike) {
                        let (code, reason) = check(row).err().unwrap_or(("malformed", Misfit::TooMany.to_string()));
                        rejected.push(Rejected { index, code, reason });
                    }
                    start += alike;
                }
                continue;
            };
            let mut append = Append { source, now_ns, memory_used: &self.memory_used, rejected: &mut rejected };
            match table.append(&mut append, &rows[start..start + alike], start, check)? {
                Appended::All => start += alike,
                Appended::NeedsColumns(taken) => {
                    start += taken;
                    self.register(&bucket, &rows[start..], retention_ns)?;
                    let columns = table.columns();
                    if let Err(misfit) = Columns::clone(&columns).admit(&rows[start].point) {
                        let code = match misfit {
                            Misfit::Conflict { .. } => "field-type-conflict",
                            Misfit::TooMany => "too-many-columns",
                        };
                        rejected.push(Rejected { index: start, code, reason: misfit.to_string() });
                        start += 1;
                    }
                }
            }
        }
        Ok(rejected)
    }

    /// Makes the columns of rows durable and known, all in one write. Returns the measurements that it looked at.
    fn register(
        &self,
        bucket: &Arc<BucketState>,
        rows: &[SeqPoint],
        retention_ns: Option<i64>,
    ) -> Result<hashbrown::HashSet<Name>> {
        // One at a time: the first writer of a field decides its type.
        let _one = self.registering.lock();
        let mut grown: HashMap<Name, (Columns, bool)> = HashMap::new();
        for row in rows {
            if check_row(row, retention_ns).is_err() {
                continue;
            }
            let (columns, changed) = grown.entry_ref(&*row.point.measurement).or_insert_with(|| {
                let known = bucket.table(&row.point.measurement).map(|table| Columns::clone(&table.columns()));
                (known.unwrap_or_default(), false)
            });
            // A point that does not fit is rejected when it is appended.
            *changed |= columns.admit(&row.point).unwrap_or(false);
        }
        let mut batch = Batch::new();
        for (measurement, (columns, changed)) in &grown {
            if *changed {
                batch.put(Keyspace::Columns, columns_key(&bucket.id, measurement), &columns.to_record())?;
            }
        }
        if !batch.is_empty() {
            self.catalogue.commit(batch, Durability::Synced)?;
        }
        let mut seen = hashbrown::HashSet::new();
        for (measurement, (columns, changed)) in grown {
            if changed {
                match bucket.table(&measurement) {
                    Some(table) => table.set_columns(columns),
                    None => {
                        let files = self.files.table(&bucket.id, &measurement)?;
                        bucket.add_table(Table::new(measurement.clone(), columns, files));
                    }
                }
                seen.insert(measurement);
            } else if bucket.table(&measurement).is_some() {
                seen.insert(measurement);
            }
        }
        Ok(seen)
    }

    /// The sink says that every record below `next_offset` of a partition is applied (or rejected). Never moves back.
    pub fn advance(&self, source: &SourcePartition, next_offset: u64) {
        self.positions.of(source).send_if_modified(|applied| {
            let moves = applied.is_none_or(|applied| applied < next_offset);
            if moves {
                *applied = Some(next_offset);
            }
            moves
        });
    }

    /// Every record below this offset is applied; `None` until the sink has begun with the partition.
    pub fn applied(&self, source: &SourcePartition) -> Option<u64> {
        *self.positions.of(source).borrow()
    }

    /// Waits until every record below `offset` is applied, at most `max_wait`; returns whether it is.
    pub async fn wait_applied(&self, source: &SourcePartition, offset: u64, max_wait: Duration) -> bool {
        let mut applied = self.positions.of(source).subscribe();
        let reached = applied.wait_for(|applied| applied.is_some_and(|applied| applied >= offset));
        matches!(tokio::time::timeout(max_wait, reached).await, Ok(Ok(_)))
    }

    /// The sink begins with a partition again, at an earlier offset: what is applied counts from there.
    pub fn restart_source(&self, source: &SourcePartition, offset: u64) {
        self.positions.of(source).send_replace(Some(offset));
    }

    /// Every record below this offset is durable in all tables: where the sink begins again after a restart. `None` until
    /// the sink has begun with the partition.
    pub fn low_water(&self, source: &SourcePartition) -> Option<u64> {
        // Read before the tables are: what is applied later is not yet claimed.
        let applied = self.applied(source)?;
        let in_memory = self.tables().into_iter().filter_map(|table| table.first_in_memory(source)).min();
        Some(in_memory.map_or(applied, |offset| offset.min(applied)))
    }
}

/// Where the catalogue keeps the columns of a measurement. The id has a fixed length, so the key is unambiguous.
pub(crate) fn columns_key(bucket: &str, measurement: &str) -> String {
    format!("{bucket}/{measurement}")
}

/// What can be said of a row without its table.
fn check_row(row: &SeqPoint, retention_ns: Option<i64>) -> Result<(), (&'static str, String)> {
    let point = &row.point;
    // Judged at the time of arrival, so that a replay judges alike.
    if point.time_ns > row.seq.saturating_add(MAX_AHEAD_NS) {
        return Err(("too-far-ahead", "the time is more than a day after the arrival".to_string()));
    }
    if retention_ns.is_some_and(|retention| point.time_ns < row.seq.saturating_sub(retention)) {
        return Err(("outside-retention", "the time is older than the bucket keeps rows".to_string()));
    }
    let malformed = |reason: String| Err(("malformed", reason));
    if point.measurement.is_empty() {
        return malformed("the measurement is empty".to_string());
    }
    if point.fields.is_empty() {
        return malformed("there is no field".to_string());
    }
    for (name, value) in &point.fields {
        if name.is_empty() {
            return malformed("a field name is empty".to_string());
        }
        if matches!(value, FieldValue::Float(value) if !value.is_finite()) {
            return Err(("not-finite", format!("field \"{name}\" is not a finite number")));
        }
    }
    check_tags(point).or_else(malformed)
}

fn check_tags(point: &Point) -> Result<(), String> {
    for (key, value) in &point.tags {
        if key.is_empty() || value.is_empty() {
            return Err("a tag key or value is empty".to_string());
        }
        if key.starts_with('_') && matches!(&**key, "_measurement" | "_field" | "_time" | "_value" | "_start" | "_stop")
        {
            return Err(format!("the tag key \"{key}\" is reserved"));
        }
    }
    if !point.tags.is_sorted_by(|left, right| left.0 < right.0) {
        return Err("the tags are not sorted by key, or a key stands twice".to_string());
    }
    Ok(())
}
