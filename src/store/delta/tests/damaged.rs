//! Files whose rows are not in their order: whoever reads one is told which it is and how to mend it, nothing is spread by a
//! compaction, and the bucket made anew from its topics is whole.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Bench, Cell, START, SeqPoint, always, files_below, partition, read_all, row, values};
use crate::error::{Error, ErrorKind};
use crate::point::FieldValue::Int;
use crate::table::scan::SourceRef;

/// Writes the only file of a table again with its rows in another order; its log says so.
fn rewrite(table: &Path, order: &[u32]) -> String {
    let path = files_below(table, ".parquet").remove(0);
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    let batch = concat_batches(&schema, &batches).unwrap();
    let batch = take_record_batch(&batch, &UInt32Array::from(order.to_vec())).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    std::fs::write(&path, &bytes).unwrap();
    let name = path.strip_prefix(table).unwrap().to_str().unwrap();
    for commit in files_below(&table.join("_delta_log"), ".json") {
        let text = std::fs::read_to_string(&commit).unwrap();
        let lines = text.lines().map(|line| {
            let mut action: serde_json::Value = serde_json::from_str(line).unwrap();
            if action["add"]["path"] == name {
                action["add"]["size"] = bytes.len().into();
            }
            action.to_string()
        });
        std::fs::write(&commit, lines.collect::<Vec<_>>().join("\n")).unwrap();
    }
    path.to_str().unwrap().to_string()
}

async fn read_error(bench: &Bench) -> Error {
    let source = SourceRef { bucket: bench.bucket.clone(), bounds: always() };
    let mut taken = bench.store().offer(&source, &[], 0).unwrap();
    loop {
        match taken.scan.partitions[0].next().await {
            Err(error) => return error,
            Ok(chunk) => assert!(chunk.is_some(), "the file is read"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_sorted_is_refused_and_a_rebuild_mends_it() {
    let point = |offset: u64, host: &str, time: i64| {
        row(offset, START + offset as i64, "m", &[("host", host)], &[("x", Int(offset as i64))], START + time)
    };
    let rows: Vec<SeqPoint> = vec![point(0, "a", 1), point(1, "a", 2), point(2, "b", 1), point(3, "b", 2)];
    let source = partition("b", 0);
    for (what, order) in [
        ("times of a series descend", [0, 1, 3, 2]),
        ("a series stands in two places", [0, 2, 1, 3]),
        ("a point stands twice in a file that says that none does", [0, 0, 2, 3]),
    ] {
        let mut bench = Bench::new().await;
        bench.apply(&source, &rows);
        bench.store().compact_bucket(&bench.bucket).await.unwrap();
        let path = rewrite_last(&mut bench, &order).await;
        let error = read_error(&bench).await;
        assert_eq!(error.kind(), ErrorKind::FailedPrecondition, "{what}: {error}");
        let (directory, name) = path.split_at(path.find("day=").unwrap());
        let directory = directory.trim_end_matches('/');
        let expected = format!("{directory}: file {name} cannot be read: its rows are not sorted by tags and time");
        assert_eq!(error.to_string(), expected, "{what}");
        let hint =
            format!("`fluxmill bucket rebuild {}` makes all files of the bucket anew from its topics", bench.bucket);
        assert_eq!(error.hint(), Some(hint.as_str()));

        // New rows are taken and written; a compaction leaves the file where it is.
        bench.apply(&source, &[point(4, "a", 3)]);
        assert_eq!(bench.store().flush_all().await.unwrap().rows, 1);
        let error = bench.store().compact_bucket(&bench.bucket).await.unwrap_err();
        assert!(error.to_string().contains("not sorted"), "{what}: {error}");
        assert_eq!(bench.store().tables()[0].file_list().files.len(), 2);

        // What a rebuild does: everything goes, and the topic is read from its beginning.
        bench.store().clear_bucket(&bench.bucket).await.unwrap();
        bench.store().restart_source(&source, 0);
        bench.apply(&source, &rows);
        bench.apply(&source, &[point(4, "a", 3)]);
        bench.store().compact_bucket(&bench.bucket).await.unwrap();
        let scanned = SourceRef { bucket: bench.bucket.clone(), bounds: always() };
        let tables = read_all(bench.store().offer(&scanned, &[], 0).unwrap()).await;
        assert_eq!(values(&tables), [0, 1, 4, 2, 3].map(Cell::Int), "{what}");
    }
}

async fn rewrite_last(bench: &mut Bench, order: &[u32]) -> String {
    for path in files_below(&bench.table_directory("m"), ".parquet") {
        if path.file_name().unwrap().to_string_lossy().starts_with("in-order-") {
            // What was compacted.
            std::fs::remove_file(path).unwrap();
        }
    }
    let path = rewrite(&bench.base().join(bench.table_directory("m")), order);
    bench.reopen().await;
    path
}
