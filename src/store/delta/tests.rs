//! Files of a bucket: they hold what was applied, whatever the order of flushes, restarts and replays; and their layout is
//! the one that others rely on.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::BoxStream;
use object_store::ObjectStore;
use parking_lot::Mutex;
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::scan::tests::points;
use super::super::testing::{
    Cell, Oracle, PlainTable, START, always, offer_and_read, open_store, partition, read_all, row,
};
use super::super::{
    CompactReport, FlushReport, MaintenanceReport, NewBucket, SeqPoint, SourcePartition, Store, StoreOptions,
};
use super::{DurableFiles, FileStore, MaintenanceContext};
use crate::catalogue::Catalogue;
use crate::clock::{Clock, ManualClock};
use crate::error::ErrorKind;
use crate::point::FieldValue::{self, Float, Int, UInt};
use crate::table::scan::{Bounds, PushOp, SourceRef};

/// A bucket `b`, fed by the topic `b`, in a store that can be closed and opened again, on a disk that can fail.
struct Bench {
    directory: TempDir,
    clock: Arc<ManualClock>,
    disk: Arc<FaultyDisk>,
    catalogue: Arc<Catalogue>,
    store: Option<Store>,
    bucket: Arc<str>,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(START));
        let inner = DurableFiles::below(&directory.path().canonicalize().unwrap());
        let disk = Arc::new(FaultyDisk { inner, fault: Mutex::new(None) });
        let catalogue = Arc::new(Catalogue::open(&directory.path().join("catalogue")).unwrap());
        let mut bench = Bench { directory, clock, disk, catalogue, store: None, bucket: "".into() };
        bench.reopen().await;
        bench.bucket = bench.store().create_bucket(NewBucket::named("b")).unwrap().id;
        bench
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Stops without a word, as a kill does: what was not flushed is gone.
    async fn reopen(&mut self) {
        let disk: Arc<dyn ObjectStore> = Arc::clone(&self.disk) as _;
        self.reopen_on(disk).await;
    }

    async fn reopen_on(&mut self, disk: Arc<dyn ObjectStore>) {
        self.store = None;
        let catalogue = Arc::clone(&self.catalogue);
        let files = FileStore::with_store(self.directory.path(), disk).unwrap();
        let clock: Arc<ManualClock> = Arc::clone(&self.clock);
        self.store = Some(Store::open_with(files, StoreOptions::default(), catalogue, clock).await.unwrap());
    }

    fn apply(&self, source: &SourcePartition, rows: &[SeqPoint]) {
        assert_eq!(self.store().apply(&self.bucket, source, rows).unwrap(), []);
        if let Some(last) = rows.last() {
            self.store().advance(source, last.offset + 1);
        }
    }

    async fn read(&self, bounds: Bounds, ops: &[PushOp]) -> Vec<PlainTable> {
        let source = SourceRef { bucket: self.bucket.clone(), bounds };
        offer_and_read(self.store(), &source, ops).await.1
    }

    fn context(&self) -> MaintenanceContext {
        let applied = self.store().positions.all();
        let masks = self.store().bucket_state(&self.bucket).unwrap().masks();
        MaintenanceContext { applied, now_ns: self.clock.now_ns(), keep_from_ns: i64::MIN, masks, rest: 0.0 }
    }

    /// Compacts those files of one day that a number says.
    async fn compact_some(&self, choice: u64) {
        for table in self.store().tables() {
            let list = table.file_list();
            let Some(first) = list.files.get(choice as usize % list.files.len().max(1)) else { continue };
            let of_day = list.files.iter().filter(|file| file.day() == first.day());
            let inputs: Vec<_> =
                of_day.enumerate().filter(|(at, _)| choice >> (at % 32) & 1 == 1).map(|it| it.1.clone()).collect();
            if !inputs.is_empty() {
                let mut maintainer = table.files.maintainer.lock().await;
                table.compact(&mut maintainer, &list, inputs, &self.context()).await.unwrap();
            }
        }
    }

    fn table_directory(&self, measurement: &str) -> PathBuf {
        self.directory.path().join("buckets").join(&*self.bucket).join(measurement)
    }
}

/// What goes wrong with a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing is written, and the writer is told.
    Refused,
    /// It is written, and the writer is told that it is not.
    Unknown,
}

/// A disk of which one write, counted from now, fails.
#[derive(Debug)]
struct FaultyDisk {
    inner: DurableFiles,
    fault: Mutex<Option<(usize, Fault)>>,
}

impl FaultyDisk {
    fn fail(&self, write: usize, fault: Fault) {
        *self.fault.lock() = Some((write, fault));
    }

    /// Whether the fault has happened.
    fn has_failed(&self) -> bool {
        self.fault.lock().is_none()
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut fault = self.fault.lock();
        match &mut *fault {
            Some((0, _)) => fault.take().map(|(_, fault)| fault),
            Some((writes, _)) => {
                *writes -= 1;
                None
            }
            None => None,
        }
    }
}

impl std::fmt::Display for FaultyDisk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("faulty disk")
    }
}

#[async_trait::async_trait]
impl ObjectStore for FaultyDisk {
    async fn put_opts(
        &self,
        location: &object_store::path::Path,
        payload: object_store::PutPayload,
        options: object_store::PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        let fault = self.next_fault();
        if fault != Some(Fault::Refused) {
            self.inner.put_opts(location, payload, options).await?;
        }
        match fault {
            None => Ok(object_store::PutResult { e_tag: None, version: None }),
            Some(fault) => {
                Err(object_store::Error::Generic { store: "faulty disk", source: format!("{fault:?}").into() })
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &object_store::path::Path,
        options: object_store::PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &object_store::path::Path,
        options: object_store::GetOptions,
    ) -> object_store::Result<object_store::GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<object_store::path::Path>>,
    ) -> BoxStream<'static, object_store::Result<object_store::path::Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&object_store::path::Path>,
    ) -> BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&object_store::path::Path>,
    ) -> object_store::Result<object_store::ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &object_store::path::Path,
        to: &object_store::path::Path,
        options: object_store::CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn files_below(directory: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, suffix));
        } else if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn values(tables: &[PlainTable]) -> Vec<Cell> {
    tables.iter().flat_map(|table| table.rows.iter().map(|row| row[3].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_survive_a_restart_once_they_are_flushed() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let rows = [
        row(
            0,
            START,
            "gen/Data",
            &[("generatorID", "g 1")],
            &[("fuel", Float(-0.0)), ("u", UInt(u64::MAX))],
            START - 1,
        ),
        row(1, START + 1, "gen/Data", &[], &[("ok", FieldValue::Bool(true)), ("s", FieldValue::String("é".into()))], 7),
        row(2, START + 2, "gen/Data", &[("zone", "z")], &[("n", Int(i64::MIN))], i64::MIN + 2),
    ];
    bench.apply(&source, &rows);
    assert_eq!(bench.store().low_water(&source), Some(0));
    let report = bench.store().flush_all().await.unwrap();
    // Three days: one file for each.
    assert_eq!(report, FlushReport { tables: 1, rows: 3, files: 3 });
    assert_eq!(bench.store().low_water(&source), Some(3));
    assert_eq!(bench.store().memory_used(), 0);

    let mut oracle = Oracle::default();
    rows.iter().for_each(|row| oracle.add(row));
    let everything = Bounds { start_ns: i64::MIN, stop_ns: i64::MAX };
    let expected = oracle.long(everything, |_, _, _, _| true);
    assert_eq!(bench.read(everything, &[]).await, expected);
    bench.reopen().await;
    assert_eq!(bench.read(everything, &[]).await, expected);
    assert_eq!(bench.read(everything, &[PushOp::PivotWide]).await, oracle.wide(everything, |_, _, _, _| true));
}

/// After a restart the sink begins again at its low-water; what a table has in files already is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_adds_nothing_to_a_table_that_has_it() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let rows: Vec<SeqPoint> =
        (0..4).map(|i| row(i, START + i as i64, "m", &[], &[("x", Int(i as i64))], START + i as i64)).collect();
    bench.apply(&source, &rows[..2]);
    bench.store().flush_all().await.unwrap();
    bench.apply(&source, &rows[2..]);
    bench.reopen().await;
    assert_eq!(bench.store().low_water(&source), None);
    bench.apply(&source, &rows);
    // Only the two rows that were not flushed are in memory now.
    assert_eq!(bench.store().flush_all().await.unwrap().rows, 2);
    assert_eq!(values(&bench.read(always(), &[]).await), [0, 1, 2, 3].map(Cell::Int));
}

/// A version that arrives late, with a `_seq` between two that are stored already, wins only where it is the newest.
#[tokio::test(flavor = "multi_thread")]
async fn versions_are_merged_per_field_across_memory_and_files() {
    let bench = Bench::new().await;
    let (first, second) = (partition("b", 0), partition("b", 1));
    bench.apply(&first, &[row(0, 1, "m", &[], &[("a", Int(1)), ("b", Int(1))], 9)]);
    bench.apply(&first, &[row(1, 3, "m", &[], &[("b", Int(3))], 9)]);
    bench.store().flush_all().await.unwrap();
    bench.apply(&second, &[row(0, 2, "m", &[], &[("a", Int(2)), ("b", Int(2)), ("c", Int(2))], 9)]);
    assert_eq!(values(&bench.read(always(), &[]).await), [2, 3, 2].map(Cell::Int));
    bench.store().flush_all().await.unwrap();
    assert_eq!(values(&bench.read(always(), &[]).await), [2, 3, 2].map(Cell::Int));
}

/// What others read: a Delta table of protocol 1/2 with the documented columns, partitioned by day, sorted, with the
/// positions of the sources in each commit.
#[tokio::test(flavor = "multi_thread")]
async fn the_layout_is_the_documented_one() {
    let bench = Bench::new().await;
    let source = partition("b", 3);
    let rows = [
        row(5, START + 1, "m", &[("host", "z")], &[("a b", Float(1.5)), ("day", Int(4))], START + 1_234),
        row(6, START + 2, "m", &[("host", "a")], &[("u", UInt(7))], START + 5_000),
        row(7, START + 3, "m", &[("host", "z")], &[("a b", Float(2.5))], START),
    ];
    bench.apply(&source, &rows);
    bench.store().flush_all().await.unwrap();
    let directory = bench.table_directory("m");

    let log = std::fs::read_to_string(directory.join("_delta_log/00000000000000000000.json")).unwrap();
    let actions: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let protocol = actions.iter().find_map(|action| action.get("protocol")).unwrap();
    assert_eq!(protocol, &serde_json::json!({"minReaderVersion": 1, "minWriterVersion": 2}));
    let metadata = actions.iter().find_map(|action| action.get("metaData")).unwrap();
    assert_eq!(metadata["partitionColumns"], serde_json::json!(["day"]));
    let schema: serde_json::Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let columns: Vec<(&str, &str, &str)> = schema["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| {
            let logical = field["metadata"]["fluxmill.name"].as_str().unwrap_or("");
            (field["name"].as_str().unwrap(), field["type"].as_str().unwrap(), logical)
        })
        .collect();
    assert_eq!(
        columns,
        [
            ("time", "timestamp", ""),
            ("time_ns", "short", ""),
            ("_seq", "long", ""),
            ("day", "date", ""),
            ("host", "string", "host"),
            ("a_b__e977f295", "double", "a b"),
            ("day__21b3ea6b", "long", "day"),
            ("u", "decimal(20,0)", "u"),
        ]
    );

    let log = std::fs::read_to_string(directory.join("_delta_log/00000000000000000001.json")).unwrap();
    let actions: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let transaction = actions.iter().find_map(|action| action.get("txn")).unwrap();
    assert_eq!((&transaction["appId"], &transaction["version"]), (&"fm:b:0:3".into(), &8.into()));
    let add = actions.iter().find_map(|action| action.get("add")).unwrap();
    assert_eq!(add["partitionValues"], serde_json::json!({"day": "2026-11-01"}));
    assert!(add["path"].as_str().unwrap().starts_with("day=2026-11-01/in-order-"), "{add}");
    let stats: serde_json::Value = serde_json::from_str(add["stats"].as_str().unwrap()).unwrap();
    assert_eq!(stats["numRecords"], 3);
    assert_eq!(stats["minValues"]["time"], "2026-11-01T00:00:00.000000Z");
    assert_eq!(stats["maxValues"]["time"], "2026-11-01T00:00:00.000005Z");
    assert_eq!(stats["maxValues"]["time_ns"], 234);
    assert_eq!(stats["nullCount"]["u"], 2);

    let file = std::fs::File::open(&files_below(&directory, ".parquet")[0]).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    let shown = arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
    let expected = "\
+-----------------------------+---------+---------------------+------+---------------+---------------+---+
| time                        | time_ns | _seq                | host | a_b__e977f295 | day__21b3ea6b | u |
+-----------------------------+---------+---------------------+------+---------------+---------------+---+
| 2026-11-01T00:00:00.000005Z | 0       | 1793491200000000002 | a    |               |               | 7 |
| 2026-11-01T00:00:00Z        | 0       | 1793491200000000003 | z    | 2.5           |               |   |
| 2026-11-01T00:00:00.000001Z | 234     | 1793491200000000001 | z    | 1.5           | 4             |   |
+-----------------------------+---------+---------------------+------+---------------+---------------+---+";
    assert_eq!(shown, expected);
}

/// Rows not newer than what their series has in files go to a file of their own kind.
#[tokio::test(flavor = "multi_thread")]
async fn late_rows_go_to_late_files() {
    let bench = Bench::new().await;
    let source = partition("b", 0);
    let point = |offset: u64, host: &str, time: i64| {
        row(offset, START + offset as i64, "m", &[("host", host)], &[("x", Int(offset as i64))], START + time)
    };
    bench.apply(&source, &[point(0, "a", 10), point(1, "b", 20)]);
    bench.store().flush_all().await.unwrap();
    bench.apply(&source, &[point(2, "a", 10), point(3, "a", 11), point(4, "b", 15), point(5, "c", 1)]);
    assert_eq!(bench.store().flush_all().await.unwrap().files, 2);
    let names = files_below(&bench.table_directory("m"), ".parquet");
    let late = names.iter().filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("late-")).count();
    assert_eq!((names.len(), late), (3, 1));
    // The series c was not in files before the first flush of this process, so its old row is in order.
    assert_eq!(values(&bench.read(always(), &[]).await), [2, 3, 4, 1, 5].map(Cell::Int));
}

/// A new tag or field is a commit of its own, and files from before go on being read.
#[tokio::test(flavor = "multi_thread")]
async fn schemas_grow_while_running() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let mut oracle = Oracle::default();
    let rows = [
        row(0, START, "m", &[("host", "a")], &[("x", Int(1))], START),
        row(1, START + 1, "m", &[("host", "a"), ("region", "r")], &[("x", Int(2)), ("y", Float(2.0))], START + 1),
        row(2, START + 2, "m", &[("area", "q")], &[("y", Float(3.0))], START + 2),
        row(3, START + 3, "m", &[("host", "a")], &[("x", Int(4))], START + 3),
    ];
    for one in &rows {
        oracle.add(one);
        bench.apply(&source, std::slice::from_ref(one));
        bench.store().flush_all().await.unwrap();
        assert_eq!(bench.read(always(), &[]).await, oracle.long(always(), |_, _, _, _| true));
    }
    // The table, three schemas, four times rows: the first schema comes with the table.
    assert_eq!(files_below(&bench.table_directory("m").join("_delta_log"), ".json").len(), 7);
    bench.reopen().await;
    assert_eq!(bench.read(always(), &[]).await, oracle.long(always(), |_, _, _, _| true));
}

/// What a crash between Parquet and commit leaves, and what one within a write leaves, is never read.
#[tokio::test(flavor = "multi_thread")]
async fn leftovers_of_a_crash_are_not_read() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    bench.apply(&source, &[row(0, START, "m", &[], &[("x", Int(1))], START)]);
    bench.store().flush_all().await.unwrap();
    let directory = bench.table_directory("m");
    let file = files_below(&directory, ".parquet").remove(0);
    std::fs::copy(&file, file.with_file_name("in-order-0123.parquet")).unwrap();
    std::fs::write(directory.join("_delta_log/00000000000000000002.json#99000000001"), "{\"add\":{").unwrap();
    std::fs::write(file.with_file_name("late-0123.parquet#99000000002"), "PAR1").unwrap();
    bench.reopen().await;
    assert_eq!(values(&bench.read(always(), &[]).await), [Cell::Int(1)]);
    bench.apply(&source, &[row(1, START + 1, "m", &[], &[("x", Int(2))], START + 1)]);
    bench.store().flush_all().await.unwrap();
    assert_eq!(values(&bench.read(always(), &[]).await), [1, 2].map(Cell::Int));
}

/// Two processes that fill one bucket from the same source: the one that comes second to a commit stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_of_the_same_rows_is_fenced() {
    let bench = Bench::new().await;
    let source = partition("b", 0);
    let rows: Vec<SeqPoint> =
        (0..3).map(|i| row(i, START + i as i64, "m", &[], &[("x", Int(i as i64))], START + i as i64)).collect();
    bench.apply(&source, &rows[..1]);
    bench.store().flush_all().await.unwrap();

    // The other one has a catalogue of its own, and the same files.
    let other_catalogue = tempfile::tempdir().unwrap();
    copy_catalogue(&bench, other_catalogue.path());
    let catalogue = Arc::new(crate::catalogue::Catalogue::open(other_catalogue.path()).unwrap());
    let clock: Arc<ManualClock> = Arc::clone(&bench.clock);
    let other = Store::open(bench.directory.path(), StoreOptions::default(), catalogue, clock).await.unwrap();
    other.apply(&bench.bucket, &source, &rows).unwrap();
    other.advance(&source, 3);
    other.flush_all().await.unwrap();

    bench.apply(&source, &rows[1..]);
    let error = bench.store().flush_all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(files_below(&bench.table_directory("m").join("_delta_log"), ".json").len(), 3);
}

fn copy_catalogue(bench: &Bench, to: &Path) {
    use crate::catalogue::{Catalogue, Durability, Keyspace};
    let copy = Catalogue::open(to).unwrap();
    for keyspace in [Keyspace::Buckets, Keyspace::Columns] {
        for (key, value) in bench.store().catalogue.list::<serde_json::Value>(keyspace, "").unwrap() {
            copy.put(keyspace, key, &value, Durability::Synced).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_limit_of_memory_rows_are_refused_until_a_flush() {
    let directory = tempfile::tempdir().unwrap();
    let options = StoreOptions { memory_bytes: 1, ..StoreOptions::default() };
    let store = open_store(directory.path(), options, Arc::new(ManualClock::new(START))).await;
    let bucket = store.create_bucket(NewBucket::named("b")).unwrap().id;
    let source = partition("b", 0);
    let rows = [row(0, START, "m", &[], &[("x", Int(1))], START)];
    store.apply(&bucket, &source, &rows).unwrap();
    assert_eq!(store.apply(&bucket, &source, &rows).unwrap_err().kind(), ErrorKind::ResourceExhausted);
    assert!(!store.wait_for_memory(std::time::Duration::ZERO).await);
    // Half of the memory is used, so the table is due although it is young.
    assert_eq!(store.flush(START).await.unwrap().rows, 1);
    assert!(store.wait_for_memory(std::time::Duration::ZERO).await);
    store.apply(&bucket, &source, &rows).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_flushed_by_age_and_by_rows() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START));
    let options = StoreOptions { flush_rows: 3, flush_age_ns: 1_000, ..StoreOptions::default() };
    let store = open_store(directory.path(), options, Arc::clone(&clock)).await;
    let bucket = store.create_bucket(NewBucket::named("b")).unwrap().id;
    let source = partition("b", 0);
    let point = |offset: u64, measurement: &str| {
        row(offset, START + offset as i64, measurement, &[], &[("x", Int(1))], START + offset as i64)
    };
    store.apply(&bucket, &source, &[point(0, "few"), point(1, "many"), point(2, "many"), point(3, "many")]).unwrap();
    store.advance(&source, 4);
    assert_eq!(store.flush(START + 999).await.unwrap(), FlushReport { tables: 1, rows: 3, files: 1 });
    assert_eq!(store.low_water(&source), Some(0), "the row in memory holds the low-water back");
    assert_eq!(store.flush(START + 1_000).await.unwrap(), FlushReport { tables: 1, rows: 1, files: 1 });
    assert_eq!(store.low_water(&source), Some(4));
    assert_eq!(store.flush(START + 9_000).await.unwrap(), FlushReport::default());
}

/// A hundred commits: a checkpoint is written, and the table opens from it.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_written_and_opened() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    for i in 0..101u64 {
        bench.apply(&source, &[row(i, START + i as i64, "m", &[], &[("x", Int(i as i64))], START + i as i64)]);
        bench.store().flush_all().await.unwrap();
    }
    let log = bench.table_directory("m").join("_delta_log");
    assert_eq!(files_below(&log, ".checkpoint.parquet").len(), 1);
    bench.reopen().await;
    assert_eq!(values(&bench.read(always(), &[]).await), (0..101).map(Cell::Int).collect::<Vec<_>>());
}

/// A disk of a machine that loses power after a number of steps: what was not synced by then is gone, or torn.
#[derive(Debug)]
struct ForgetfulDisk {
    state: Mutex<Unsynced>,
}

#[derive(Debug, Default)]
struct Unsynced {
    /// Steps until the power fails; then every step fails.
    left: usize,
    /// Names that their directory may forget, with what had the name before.
    names: Vec<(PathBuf, Option<Vec<u8>>)>,
    /// Files whose bytes are not synced.
    files: Vec<PathBuf>,
}

impl ForgetfulDisk {
    fn step(&self) -> std::io::Result<parking_lot::MutexGuard<'_, Unsynced>> {
        let mut state = self.state.lock();
        if state.left == 0 {
            return Err(std::io::Error::other("the power is gone"));
        }
        state.left -= 1;
        Ok(state)
    }

    /// The power comes back: what was not synced is not there, or empty.
    fn forget(&self) {
        let mut state = self.state.lock();
        for path in state.files.drain(..) {
            if path.exists() {
                std::fs::write(path, "").unwrap();
            }
        }
        for (path, before) in std::mem::take(&mut state.names).into_iter().rev() {
            match before {
                Some(bytes) => std::fs::write(path, bytes).unwrap(),
                None if path.is_dir() => std::fs::remove_dir_all(path).unwrap(),
                None => drop(std::fs::remove_file(path)),
            }
        }
        state.left = usize::MAX;
    }
}

impl super::disk::Disk for ForgetfulDisk {
    fn write(&self, path: &Path, payload: &object_store::PutPayload) -> std::io::Result<std::fs::File> {
        let mut state = self.step()?;
        state.names.push((path.into(), None));
        state.files.push(path.into());
        super::disk::RealDisk.write(path, payload)
    }

    fn sync_file(&self, _: &std::fs::File, path: &Path) -> std::io::Result<()> {
        self.step()?.files.retain(|unsynced| unsynced != path);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        let mut state = self.step()?;
        super::disk::RealDisk.link(from, to)?;
        state.names.push((to.into(), None));
        if state.files.contains(&from.to_path_buf()) {
            state.files.push(to.into());
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        let mut state = self.step()?;
        let before = std::fs::read(to).ok();
        super::disk::RealDisk.rename(from, to)?;
        state.names.push((to.into(), before));
        for unsynced in state.files.iter_mut().filter(|unsynced| *unsynced == from) {
            *unsynced = to.into();
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> std::io::Result<()> {
        let _state = self.step()?;
        super::disk::RealDisk.remove(path)
    }

    fn create_directory(&self, path: &Path) -> std::io::Result<()> {
        let mut state = self.step()?;
        super::disk::RealDisk.create_directory(path)?;
        state.names.push((path.into(), None));
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> std::io::Result<()> {
        self.step()?.names.retain(|(unsynced, _)| unsynced.parent() != Some(path));
        Ok(())
    }
}

/// Power is lost between any two steps of two flushes and a compaction: the table opens at the last commit, and with the
/// log from the last low-water nothing is lost or counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_nothing() {
    let mut steps = 0;
    while power_fails(steps).await {
        steps += 1;
    }
    assert!(steps > 40, "{steps} steps");
}

/// Returns whether the power failed after so many steps.
async fn power_fails(steps: usize) -> bool {
    let mut bench = Bench::new().await;
    let base = bench.directory.path().canonicalize().unwrap();
    let disk = Arc::new(ForgetfulDisk { state: Mutex::new(Unsynced { left: steps, ..Unsynced::default() }) });
    let on_disk = |disk: &Arc<ForgetfulDisk>| Arc::new(DurableFiles::on(Arc::clone(disk) as _, &base));
    bench.reopen_on(on_disk(&disk)).await;
    let source = partition("b", 0);
    let mut oracle = Oracle::default();
    let (mut log, mut low_water, mut failed) = (Vec::new(), 0, false);
    for round in 0..3u64 {
        let point = |place: u64, time: i64| {
            let offset = round * 2 + place;
            row(offset, START + offset as i64, "m", &[("host", "a")], &[("x", Int(offset as i64))], START + time)
        };
        let rows = [point(0, 5), point(1, 7 + round as i64)];
        rows.iter().for_each(|row| oracle.add(row));
        log.extend(rows.iter().cloned());
        bench.apply(&source, &rows);
        let done = match bench.store().flush_all().await {
            Ok(_) if round == 1 => bench.store().compact_bucket(&bench.bucket).await.map(|_| ()),
            done => done.map(|_| ()),
        };
        low_water = low_water.max(bench.store().low_water(&source).unwrap() as usize);
        if done.is_err() {
            failed = true;
            disk.forget();
            bench.reopen_on(on_disk(&disk)).await;
            bench.apply(&source, &log[low_water..]);
        }
        assert_eq!(bench.read(always(), &[]).await, oracle.long(always(), |_, _, _, _| true), "after {steps} steps");
    }
    bench.reopen_on(on_disk(&disk)).await;
    bench.apply(&source, &log[low_water..]);
    assert_eq!(bench.read(always(), &[]).await, oracle.long(always(), |_, _, _, _| true), "after {steps} steps");
    failed
}

/// Each write of two flushes (schema, Parquet, commit) fails once, in each way; the program goes on, or is killed there and
/// replays. Nothing is lost, nothing counts twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_loses_nothing() {
    for fault in [Fault::Refused, Fault::Unknown] {
        for killed in [false, true] {
            let mut write = 0;
            while one_write_fails(write, fault, killed).await {
                write += 1;
            }
            // Version 0, a file, version 1; schema, two files, a commit.
            assert_eq!(write, 7, "{fault:?}, killed: {killed}");
        }
    }
}

/// Returns whether there was a write of that number.
async fn one_write_fails(write: usize, fault: Fault, killed: bool) -> bool {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let point = |offset: u64, field: &str, time: i64| {
        row(offset, START + offset as i64, "m", &[("host", "a")], &[(field, Int(offset as i64))], START + time)
    };
    let flushes = [vec![point(0, "x", 5), point(1, "x", 7)], vec![point(2, "x", 5), point(3, "y", 9)]];
    let mut oracle = Oracle::default();
    let mut log = Vec::new();
    let mut committed = 0;
    bench.disk.fail(write, fault);
    for rows in flushes {
        rows.iter().for_each(|row| oracle.add(row));
        log.extend(rows.iter().cloned());
        bench.apply(&source, &rows);
        let expected = oracle.long(always(), |_, _, _, _| true);
        if let Err(error) = bench.store().flush_all().await {
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            assert!(bench.disk.has_failed(), "an error that is not the disk's: {error}");
            if killed {
                bench.reopen().await;
                bench.apply(&source, &log[committed..]);
            }
            // A commit that happened unbeknown to the writer is found on opening.
            let found = if killed && fault == Fault::Unknown { log.len() } else { committed };
            let low_water = bench.store().low_water(&source).unwrap() as usize;
            assert!([committed, found].contains(&low_water), "low-water {low_water}");
            assert_eq!(bench.read(always(), &[]).await, expected);
            bench.store().flush_all().await.unwrap();
        }
        committed = bench.store().low_water(&source).unwrap() as usize;
        assert_eq!(committed, log.len());
        assert_eq!(bench.store().memory_used(), 0);
        assert_eq!(bench.read(always(), &[]).await, expected);
    }
    bench.reopen().await;
    assert_eq!(bench.read(always(), &[]).await, oracle.long(always(), |_, _, _, _| true));
    bench.disk.has_failed()
}

/// Compaction merges what flushes left apart, drops what newer versions hide, and keeps what a version in between could
/// still need.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_makes_one_sorted_file_of_a_day() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let mut oracle = Oracle::default();
    let mut offset = 0;
    for round in 0..5i64 {
        let rows: Vec<SeqPoint> = (0..6i64)
            .map(|i| {
                let host = ["b", "a", "c"][(i % 3) as usize];
                let field = if i < 3 { "x" } else { "y" };
                offset += 1;
                // Every second round says the same times again.
                let time = START + (round / 2) * 10 + i;
                row(offset - 1, START + offset as i64, "m", &[("host", host)], &[(field, Int(offset as i64))], time)
            })
            .collect();
        rows.iter().for_each(|row| oracle.add(row));
        bench.apply(&source, &rows);
        bench.store().flush_all().await.unwrap();
    }
    let expected = oracle.long(always(), |_, _, _, _| true);
    let report = bench.store().compact_bucket(&bench.bucket).await.unwrap();
    assert_eq!((report.tables, report.files_before, report.files_after, report.rows), (1, 5, 1, 18));
    assert_eq!(bench.read(always(), &[]).await, expected);
    let again = bench.store().compact_bucket(&bench.bucket).await.unwrap();
    assert_eq!(again, CompactReport::default(), "a sorted day is left alone");
    let stats = bench.store().bucket_stats(&bench.bucket).await.unwrap();
    assert_eq!((stats.files, stats.rows, stats.points, stats.series, stats.hot_rows), (1, 18, 18, 3, 0));
    bench.reopen().await;
    assert_eq!(bench.read(always(), &[]).await, expected);
    // Rows go on, and what is compacted has the positions still.
    bench.apply(&source, &[row(3, START, "m", &[("host", "a")], &[("x", Int(-1))], START)]);
    assert_eq!(bench.store().flush_all().await.unwrap().rows, 0, "a replay adds nothing");
}

/// The background loop compacts small files when they are many, and what it replaces leaves the disk a day later, but for
/// what a scan has pinned.
#[tokio::test(flavor = "multi_thread")]
async fn replaced_files_stay_a_day_and_while_they_are_pinned() {
    const DAY_NS: i64 = 86_400_000_000_000;
    let bench = Bench::new().await;
    let source = partition("b", 0);
    let files = || files_below(&bench.table_directory("m"), ".parquet").len();
    for i in 0..16u64 {
        assert_eq!(bench.store().maintain(bench.clock.now_ns()).await.unwrap(), MaintenanceReport::default());
        bench.apply(&source, &[row(i, START + i as i64, "m", &[], &[("x", Int(i as i64))], START + i as i64)]);
        bench.store().flush_all().await.unwrap();
    }
    let expected: Vec<Cell> = (0..16).map(Cell::Int).collect();
    let pinned = bench.store().offer(&SourceRef { bucket: bench.bucket.clone(), bounds: always() }, &[], 0).unwrap();
    let done = bench.store().maintain(bench.clock.now_ns()).await.unwrap();
    assert_eq!(done, MaintenanceReport { compacted: 16, written: 1, ..MaintenanceReport::default() });
    assert_eq!(values(&bench.read(always(), &[]).await), expected);
    assert_eq!(files(), 17);
    let later = bench.clock.advance(DAY_NS - 1);
    assert_eq!(bench.store().maintain(later).await.unwrap().vacuumed, 0);
    let later = bench.clock.advance(2 * 3_600_000_000_000);
    assert_eq!(bench.store().maintain(later).await.unwrap().vacuumed, 0, "a scan has them");
    assert_eq!(values(&read_all(pinned).await), expected);
    let later = bench.clock.advance(2 * 3_600_000_000_000);
    assert_eq!(bench.store().maintain(later).await.unwrap().vacuumed, 16);
    assert_eq!(files(), 1);
    assert_eq!(values(&bench.read(always(), &[]).await), expected);
}

/// What a crash left before it was named goes too, and files that a restart knows from the log only.
#[tokio::test(flavor = "multi_thread")]
async fn vacuum_finds_what_a_crash_left() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    for i in 0..2u64 {
        bench.apply(&source, &[row(i, START + i as i64, "m", &[], &[("x", Int(i as i64))], START + i as i64)]);
        bench.store().flush_all().await.unwrap();
    }
    bench.store().compact_bucket(&bench.bucket).await.unwrap();
    let file = files_below(&bench.table_directory("m"), ".parquet").remove(0);
    std::fs::copy(&file, file.with_file_name("in-order-0123.parquet")).unwrap();
    std::fs::copy(&file, bench.table_directory("m").join("notes.txt")).unwrap();
    bench.reopen().await;
    assert_eq!(bench.store().maintain(bench.clock.now_ns()).await.unwrap().vacuumed, 0);
    // The stray file is as old as the disk says.
    let far = 40 * 365 * 86_400_000_000_000;
    assert_eq!(bench.store().maintain(bench.clock.advance(far)).await.unwrap().vacuumed, 3);
    assert_eq!(files_below(&bench.table_directory("m"), ".parquet").len(), 1);
    assert_eq!(values(&bench.read(always(), &[]).await), [0, 1].map(Cell::Int));
}

/// Rows older than the bucket keeps are not read, and files of such rows alone are dropped.
#[tokio::test(flavor = "multi_thread")]
async fn retention_hides_rows_and_drops_files() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let keep = |retention_ns| move |bucket: &mut super::super::Bucket| bucket.retention_ns = Some(retention_ns);
    bench.store().update_bucket(&bench.bucket, keep(2 * HOUR_NS)).unwrap();
    let rows: Vec<SeqPoint> = (0..4i64)
        .map(|i| row(i as u64, START + i, "m", &[], &[("x", Int(i))], START - HOUR_NS + i * HOUR_NS / 2))
        .collect();
    bench.apply(&source, &rows[..2]);
    bench.store().flush_all().await.unwrap();
    bench.apply(&source, &rows[2..]);
    bench.store().flush_all().await.unwrap();
    let tables = bench.read(always(), &[]).await;
    assert_eq!(values(&tables), [0, 1, 2, 3].map(Cell::Int));

    // The first row is an hour old; it goes when it is more than two hours old.
    let now = bench.clock.advance(HOUR_NS);
    assert_eq!(values(&bench.read(always(), &[]).await), [0, 1, 2, 3].map(Cell::Int));
    bench.clock.advance(1);
    let tables = bench.read(always(), &[]).await;
    assert_eq!(values(&tables), [1, 2, 3].map(Cell::Int));
    assert_eq!(tables[0].rows[0][0], Cell::Time(0), "_start is what was asked for");
    assert_eq!(bench.store().maintain(now + 1).await.unwrap().expired, 0, "a file with a row that is kept stays");
    let now = bench.clock.advance(HOUR_NS);
    assert_eq!(bench.store().maintain(now).await.unwrap().expired, 1);
    assert_eq!(values(&bench.read(always(), &[]).await), [3].map(Cell::Int));
    // A row that is too old and shares a file with others goes when the file is compacted.
    assert_eq!(bench.store().bucket_stats(&bench.bucket).await.unwrap().rows, 2);
    assert_eq!(bench.store().compact_bucket(&bench.bucket).await.unwrap().rows, 1);
    bench.reopen().await;
    assert_eq!(values(&bench.read(always(), &[]).await), [3].map(Cell::Int));
}

/// Last rows of live series come from memory: no file is opened for them.
#[tokio::test(flavor = "multi_thread")]
async fn last_rows_are_remembered() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let point = |offset: u64, host: &str, field: &str, time: i64| {
        row(offset, START + offset as i64, "m", &[("host", host)], &[(field, Int(offset as i64))], START + time)
    };
    let last = [PushOp::Last("_value".into())];
    bench.apply(&source, &[point(0, "a", "x", 1), point(1, "a", "y", 2), point(2, "b", "x", 3), point(3, "b", "x", 2)]);
    bench.store().flush_all().await.unwrap();
    let file = files_below(&bench.table_directory("m"), ".parquet").remove(0);
    let elsewhere = bench.directory.path().join("elsewhere");
    std::fs::rename(&file, &elsewhere).unwrap();
    assert_eq!(values(&bench.read(always(), &last).await), [0, 2, 1].map(Cell::Int));
    let later = Bounds { start_ns: START + 3, stop_ns: i64::MAX };
    assert_eq!(values(&bench.read(later, &last).await), [Cell::Int(2)]);
    std::fs::rename(&elsewhere, &file).unwrap();
    // What lies before the last value is read.
    let earlier = Bounds { start_ns: START, stop_ns: START + 3 };
    assert_eq!(values(&bench.read(earlier, &last).await), [0, 3, 1].map(Cell::Int));
    // After a restart nothing is known of what files hold, until newer rows come.
    bench.reopen().await;
    assert_eq!(values(&bench.read(always(), &last).await), [0, 2, 1].map(Cell::Int));
    bench.apply(&source, &[point(4, "a", "x", 9)]);
    assert_eq!(values(&bench.read(always(), &last).await), [4, 2, 1].map(Cell::Int));
}

/// Compaction leaves out what is deleted by range and by name. The deletes stay: older rows may still come.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_leaves_out_what_is_deleted() {
    use crate::point::delete::{Deleted, PointSet, RangeDelete, SeriesName};
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let point = |offset: u64, seq: i64, host: &str, time: i64| {
        row(offset, START + seq, "m", &[("host", host)], &[("x", Int(seq))], START + time)
    };
    bench.apply(&source, &(0..6).map(|i| point(i, i as i64, "a", i as i64)).collect::<Vec<_>>());
    bench.apply(&source, &[point(6, 6, "b", 0)]);
    bench.store().compact_bucket(&bench.bucket).await.unwrap();
    let by_range = Deleted::Range(RangeDelete { start_ns: START, stop_ns: START + 2, predicate: Vec::new() });
    let series = SeriesName { measurement: "m".into(), tags: [("host".into(), "a".into())].into() };
    let by_name = Deleted::Points(vec![PointSet { series: vec![series], times: vec![START + 4] }]);
    for (offset, what) in [(7, &by_range), (8, &by_name)] {
        let delete = super::super::SeqDelete { offset, seq: START + 10, what };
        bench.store().delete(&bench.bucket, &source, delete).unwrap();
        bench.store().advance(&source, offset + 1);
    }
    let expected = [2, 3, 5].map(Cell::Int);
    assert_eq!(values(&bench.read(always(), &[]).await), expected);
    let report = bench.store().compact_bucket(&bench.bucket).await.unwrap();
    assert_eq!((report.files_before, report.rows), (1, 3));
    assert_eq!(bench.store().bucket_stats(&bench.bucket).await.unwrap().points, 3);
    bench.reopen().await;
    assert_eq!(values(&bench.read(always(), &[]).await), expected);
    // Older than the deletes, and later than the compaction.
    let other = partition("b", 1);
    bench.apply(&other, &[point(0, 8, "a", 1), point(1, 9, "a", 4), point(2, 11, "a", 4)]);
    let expected = [2, 3, 11, 5].map(Cell::Int);
    assert_eq!(values(&bench.read(always(), &[]).await), expected);
    bench.store().compact_bucket(&bench.bucket).await.unwrap();
    assert_eq!(values(&bench.read(always(), &[]).await), expected);
    assert_eq!(bench.store().bucket_stats(&bench.bucket).await.unwrap().points, 4);
}

/// A run reads what stood there at its first look, in every later read of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_stands_still() {
    let bench = Bench::new().await;
    let source = partition("b", 0);
    bench.apply(&source, &[row(0, START, "m", &[], &[("x", Int(0))], START)]);
    bench.store().flush_all().await.unwrap();
    bench.apply(&source, &[row(1, START + 1, "m", &[], &[("x", Int(1))], START + 1)]);
    let snapshot = super::super::Snapshot::default();
    let scanned = SourceRef { bucket: bench.bucket.clone(), bounds: always() };
    let read = || async { values(&read_all(bench.store().offer_at(&snapshot, &scanned, &[], 0).unwrap()).await) };
    assert_eq!(read().await, [0, 1].map(Cell::Int));
    bench.apply(&source, &[row(2, START + 2, "m", &[], &[("x", Int(2))], START + 2)]);
    bench.apply(&source, &[row(3, START + 3, "n", &[], &[("x", Int(3))], START + 3)]);
    bench.store().compact_bucket(&bench.bucket).await.unwrap();
    assert_eq!(read().await, [0, 1].map(Cell::Int));
    assert_eq!(values(&bench.read(always(), &[]).await), [0, 1, 2, 3].map(Cell::Int));
}

#[derive(Clone, Debug)]
enum Step {
    /// Apply the next records of a partition.
    Apply(usize, usize),
    Flush,
    /// Merge some files of a day, whatever they are.
    CompactSome(u64),
    /// Merge all files of each day.
    CompactAll,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        prop_oneof![
            4 => (0usize..2, 1usize..12).prop_map(|(partition, records)| Step::Apply(partition, records)),
            3 => Just(Step::Flush),
            3 => any::<u64>().prop_map(Step::CompactSome),
            1 => Just(Step::CompactAll),
            1 => Just(Step::Reopen),
        ],
        1..18,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any sequence of applies, flushes, compactions of any files, and kills with a replay from the low-water gives what the log holds, in order.
    #[test]
    fn the_bucket_is_the_log_materialised(rows in points(80), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut bench = Bench::new().await;
            let mut oracle = Oracle::default();
            // Two partitions; each holds every other record, with offsets of its own.
            let mut logs: [Vec<Vec<SeqPoint>>; 2] = Default::default();
            for (index, record) in rows.chunk_by(|left, right| left.offset == right.offset).enumerate() {
                let log = &mut logs[index % 2];
                let offset = log.len() as u64;
                log.push(record.iter().cloned().map(|row| SeqPoint { offset, ..row }).collect());
            }
            let sources = [partition("b", 0), partition("b", 1)];
            // What the sink has committed, and how far it is.
            let mut committed = [0usize; 2];
            let mut position = [0usize; 2];
            let mut furthest = [0usize; 2];
            for step in steps {
                match step {
                    Step::Apply(own, records) => {
                        let end = (position[own] + records).min(logs[own].len());
                        bench.apply(&sources[own], &logs[own][position[own]..end].concat());
                        for row in logs[own][furthest[own].min(end)..end].iter().flatten() {
                            oracle.add(row);
                        }
                        position[own] = end;
                        furthest[own] = furthest[own].max(end);
                    }
                    Step::Flush => {
                        bench.store().flush_all().await.unwrap();
                        for own in 0..2 {
                            committed[own] = bench.store().low_water(&sources[own]).map_or(committed[own], |at| at as usize);
                        }
                    }
                    Step::CompactSome(choice) => bench.compact_some(choice).await,
                    Step::CompactAll => {
                        for table in bench.store().tables() {
                            table.compact_all(&bench.context()).await.unwrap();
                        }
                    }
                    Step::Reopen => {
                        bench.reopen().await;
                        for own in 0..2 {
                            bench.apply(&sources[own], &logs[own][committed[own]..furthest[own]].concat());
                            bench.store().advance(&sources[own], furthest[own] as u64);
                        }
                        position = furthest;
                    }
                }
                let bounds = Bounds { start_ns: START + 3, stop_ns: START + 17 };
                for bounds in [bounds, Bounds { start_ns: START + 9, stop_ns: i64::MAX }, always()] {
                    let one = |mut table: PlainTable, at: usize| {
                        table.rows = vec![table.rows.swap_remove(at)];
                        table
                    };
                    let long = oracle.long(bounds, |_, _, _, _| true);
                    let first: Vec<PlainTable> = long.iter().map(|table| one(table.clone(), 0)).collect();
                    let last: Vec<PlainTable> = long.iter().map(|table| one(table.clone(), table.rows.len() - 1)).collect();
                    prop_assert_eq!(bench.read(bounds, &[PushOp::First("_value".into())]).await, first);
                    prop_assert_eq!(bench.read(bounds, &[PushOp::Last("_value".into())]).await, last);
                    prop_assert_eq!(bench.read(bounds, &[]).await, oracle.long(bounds, |_, _, _, _| true));
                    prop_assert_eq!(
                        bench.read(bounds, &[PushOp::PivotWide]).await,
                        oracle.wide(bounds, |_, _, _, _| true)
                    );
                }
            }
            Ok(())
        })?;
    }
}
