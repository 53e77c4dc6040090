//! For unit tests of ingest: a log in a directory of its own that can be told to stall.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::catalogue::Catalogue;
use crate::clock::{Clock, SystemClock};
use crate::commitlog::{
    CommitLog, Committed, EmbeddedLog, EmbeddedOptions, Fetched, NewRecord, OffsetRange, Position, Record, TopicInfo,
};
use crate::error::{Error, Result};
use crate::store::{Store, StoreOptions};
use crate::table::scan::{Bounds, SourceRef};
use crate::table::{Cell, ColumnView, Place};

/// The embedded log behind a switch.
pub(crate) struct TestLog {
    pub(crate) inner: EmbeddedLog,
    stalled: AtomicBool,
    pub(crate) refused: AtomicUsize,
    /// Payloads that the log refuses for ever.
    poison: &'static [u8],
    _directory: Option<tempfile::TempDir>,
}

impl TestLog {
    pub(crate) fn new() -> Arc<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Self::at(directory.path());
        Arc::get_mut(&mut log).unwrap()._directory = Some(directory);
        log
    }

    /// Over a directory that outlives it.
    pub(crate) fn at(directory: &std::path::Path) -> Arc<Self> {
        let inner = EmbeddedLog::open(directory, EmbeddedOptions::default(), Arc::new(SystemClock)).unwrap();
        Arc::new(TestLog {
            inner,
            stalled: AtomicBool::new(false),
            refused: AtomicUsize::new(0),
            poison: b"poison for the log",
            _directory: None,
        })
    }

    /// While stalled, appends are refused as if the disk were full.
    pub(crate) fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::SeqCst);
    }

    /// Everything in a partition.
    pub(crate) async fn all(&self, topic: &str, partition: u32) -> Vec<Record> {
        let range = self.inner.offsets(topic, partition).await.unwrap();
        let mut records = Vec::new();
        let mut next = range.start;
        while next < range.end {
            let fetched = self.inner.read(topic, partition, next, 10_000, Duration::from_secs(5)).await.unwrap();
            next = fetched.next_offset;
            records.extend(fetched.records);
        }
        records
    }
}

#[async_trait]
impl CommitLog for TestLog {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    async fn create_topic(&self, name: &str, partitions: u32) -> Result<TopicInfo> {
        self.inner.create_topic(name, partitions).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.inner.topics().await
    }

    async fn topic(&self, name: &str) -> Result<TopicInfo> {
        self.inner.topic(name).await
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        if self.stalled.load(Ordering::SeqCst) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(Error::resource_exhausted("the disk is full"));
        }
        if records.iter().any(|record| record.payload == self.poison) {
            return Err(Error::invalid("poison"));
        }
        self.inner.append(records).await
    }

    async fn append_atomic(&self, producer: &str, records: Vec<NewRecord>) -> Result<Vec<Position>> {
        self.inner.append_atomic(producer, records).await
    }

    async fn take_over(&self, producer: &str) -> Result<()> {
        self.inner.take_over(producer).await
    }

    async fn read(&self, topic: &str, partition: u32, from: u64, max: usize, wait: Duration) -> Result<Fetched> {
        self.inner.read(topic, partition, from, max, wait).await
    }

    async fn offsets(&self, topic: &str, partition: u32) -> Result<OffsetRange> {
        self.inner.offsets(topic, partition).await
    }

    async fn committed(&self, group: &str, topic: &str, partition: u32) -> Result<Option<Committed>> {
        self.inner.committed(group, topic, partition).await
    }

    async fn commit(&self, group: &str, positions: Vec<(crate::name::Name, u32, Committed)>) -> Result<()> {
        self.inner.commit(group, positions).await
    }

    async fn retain(&self, topic: &str, partition: u32, before: u64) -> Result<()> {
        self.inner.retain(topic, partition, before).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

/// Opens a store in a directory.
pub(crate) async fn store(directory: &std::path::Path, memory_bytes: usize) -> Arc<Store> {
    let catalogue = Arc::new(Catalogue::open(&directory.join("catalogue")).unwrap());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = StoreOptions { memory_bytes, ..StoreOptions::default() };
    Arc::new(Store::open(&directory.join("buckets"), options, catalogue, clock).await.unwrap())
}

/// Everything in a bucket, a line per value: `measurement,tag=value field=value time`, sorted.
pub(crate) async fn values(store: &Store, bucket: &str) -> Vec<String> {
    let bounds = Bounds { start_ns: i64::MIN / 2, stop_ns: i64::MAX };
    let taken = store.offer(&SourceRef { bucket: bucket.into(), bounds }, &[], 0).unwrap();
    let mut lines = Vec::new();
    for mut partition in taken.scan.partitions {
        while let Some(chunk) = partition.next().await.unwrap() {
            for (segment, rows) in chunk.tables() {
                for row in rows {
                    let mut tags = Vec::new();
                    let (mut measurement, mut field, mut value, mut time) = Default::default();
                    for column in &chunk.shape.columns {
                        let (array, at) = match column.place {
                            Place::Key(place) => (&chunk.keys.columns[place as usize], segment.key_row as usize),
                            Place::Row(place) => (&chunk.rows[place as usize], row),
                        };
                        let text = match ColumnView::of(array.as_ref()).cell(at) {
                            Cell::Null => continue,
                            Cell::Bool(value) => value.to_string(),
                            Cell::Int(value) => format!("{value}i"),
                            Cell::UInt(value) => format!("{value}u"),
                            Cell::Float(value) => value.to_string(),
                            Cell::String(value) => value.to_string(),
                            Cell::Time(value) => value.to_string(),
                        };
                        match &*column.name {
                            "_measurement" => measurement = text,
                            "_field" => field = text,
                            "_value" => value = text,
                            "_time" => time = text,
                            "_start" | "_stop" => {}
                            tag => tags.push(format!(",{tag}={text}")),
                        }
                    }
                    lines.push(format!("{measurement}{} {field}={value} {time}", tags.concat()));
                }
            }
        }
    }
    lines.sort();
    lines
}
