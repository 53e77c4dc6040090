//! The layout that others rely on: a Delta table of documented columns, growing schemas, checkpoints, one writer.

use std::path::Path;
use std::sync::Arc;

use super::super::super::{SeqPoint, Store, StoreOptions};
use super::{Bench, Cell, Oracle, START, always, files_below, partition, row, values};
use crate::clock::ManualClock;
use crate::error::ErrorKind;
use crate::point::FieldValue::{Float, Int, UInt};

/// What others read: a Delta table of protocol 1/2 with the documented columns, partitioned by day, sorted, with the
/// positions of the sources in each commit.
#[tokio::test(flavor = "multi_thread")]
async fn the_layout_is_the_documented_one() {
    let bench = Bench::new().await;
    let source = partition("b", 3);
    let rows = [
        row(5, START + 1, "m", &[("host", "z")], &[("a b", Float(1.5)), ("day", Int(4))], START + 1_234),
        // Its arrival is its time.
        row(6, START + 5_000, "m", &[("host", "a")], &[("u", UInt(7))], START + 5_000),
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
| 2026-11-01T00:00:00.000005Z | 0       |                     | a    |               |               | 7 |
| 2026-11-01T00:00:00Z        | 0       | 1793491200000000003 | z    | 2.5           |               |   |
| 2026-11-01T00:00:00.000001Z | 234     | 1793491200000000001 | z    | 1.5           | 4             |   |
+-----------------------------+---------+---------------------+------+---------------+---------------+---+";
    assert_eq!(shown, expected);
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

/// A table whose `_seq` may not be null is compacted as it is, and allows nulls with the next rows.
#[tokio::test(flavor = "multi_thread")]
async fn tables_in_which_every_arrival_is_said_go_on() {
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let mut oracle = Oracle::default();
    let log = bench.table_directory("m").join("_delta_log");
    let nullable = |version: usize| {
        let commit = std::fs::read_to_string(log.join(format!("{version:020}.json"))).unwrap();
        let schema = commit.lines().find_map(|line| {
            let action: serde_json::Value = serde_json::from_str(line).unwrap();
            serde_json::from_str::<serde_json::Value>(action["metaData"]["schemaString"].as_str()?).ok()
        })?;
        let of = |column: &&serde_json::Value| column["name"] == "_seq";
        schema["fields"].as_array()?.iter().find(of)?["nullable"].as_bool()
    };
    for (number, seq) in [START - 5, START].into_iter().enumerate() {
        let one = row(number as u64, seq, "m", &[], &[("x", Int(seq - START))], START);
        oracle.add(&one);
        bench.apply(&source, &[one]);
        bench.store().flush_all().await.unwrap();
        if number == 0 {
            let first = log.join(format!("{:020}.json", 0));
            let said = std::fs::read_to_string(&first).unwrap();
            let as_before = said.replace(
                r#"{\"name\":\"_seq\",\"type\":\"long\",\"nullable\":true"#,
                r#"{\"name\":\"_seq\",\"type\":\"long\",\"nullable\":false"#,
            );
            std::fs::write(&first, as_before).unwrap();
            assert_eq!(nullable(0), Some(false));
            bench.reopen().await;
            bench.store().compact_bucket(&bench.bucket).await.unwrap();
            assert_eq!((nullable(1), nullable(2)), (None, None));
        }
        assert_eq!(bench.read(always(), &[]).await, oracle.long(always(), |_, _, _, _| true));
    }
    assert_eq!(nullable(3), Some(true));
    bench.reopen().await;
    assert_eq!(bench.read(always(), &[]).await, oracle.long(always(), |_, _, _, _| true));
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
