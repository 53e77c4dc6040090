//! Compaction, retention and vacuum: files become fewer, what is too old or deleted goes, and no read shows a difference.

use super::super::super::{Bucket, CompactReport, MaintenanceReport, SeqDelete, SeqPoint, Snapshot};
use super::faulty_disk::Fault;
use super::{Bench, Cell, Oracle, START, always, files_below, partition, read_all, row, values};
use crate::clock::Clock;
use crate::point::FieldValue::Int;
use crate::point::delete::{Deleted, PointSet, RangeDelete, SeriesName};
use crate::table::scan::SourceRef;

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
    for i in 0..8u64 {
        assert_eq!(bench.store().maintain(bench.clock.now_ns()).await.unwrap(), MaintenanceReport::default());
        bench.apply(&source, &[row(i, START + i as i64, "m", &[], &[("x", Int(i as i64))], START + i as i64)]);
        bench.store().flush_all().await.unwrap();
    }
    let expected: Vec<Cell> = (0..8).map(Cell::Int).collect();
    let pinned = bench.store().offer(&SourceRef { bucket: bench.bucket.clone(), bounds: always() }, &[], 0).unwrap();
    let done = bench.store().maintain(bench.clock.now_ns()).await.unwrap();
    assert_eq!(done, MaintenanceReport { compacted: 8, written: 1, ..MaintenanceReport::default() });
    assert_eq!(values(&bench.read(always(), &[]).await), expected);
    assert_eq!(files(), 9);
    let later = bench.clock.advance(DAY_NS - 1);
    assert_eq!(bench.store().maintain(later).await.unwrap().vacuumed, 0);
    let later = bench.clock.advance(2 * 3_600_000_000_000);
    assert_eq!(bench.store().maintain(later).await.unwrap().vacuumed, 0, "a scan has them");
    assert_eq!(values(&read_all(pinned).await), expected);
    let later = bench.clock.advance(2 * 3_600_000_000_000);
    assert_eq!(bench.store().maintain(later).await.unwrap().vacuumed, 8);
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

/// A compaction that was reported as failed has happened all the same: what it wrote is no leftover, and what it replaced
/// stays while a scan has it.
#[tokio::test(flavor = "multi_thread")]
async fn vacuum_knows_a_commit_that_was_reported_as_failed() {
    const FAR_NS: i64 = 40 * 365 * 86_400_000_000_000;
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    for i in 0..2u64 {
        bench.apply(&source, &[row(i, START + i as i64, "m", &[], &[("x", Int(i as i64))], START + i as i64)]);
        bench.store().flush_all().await.unwrap();
    }
    let pinned = bench.store().offer(&SourceRef { bucket: bench.bucket.clone(), bounds: always() }, &[], 0).unwrap();
    // The first write is the file, the second the commit.
    bench.disk.fail(1, Fault::Unknown);
    bench.store().compact_bucket(&bench.bucket).await.unwrap_err();
    assert_eq!(files_below(&bench.table_directory("m"), ".parquet").len(), 3);
    bench.store().maintain(bench.clock.advance(FAR_NS)).await.unwrap();
    assert_eq!(values(&read_all(pinned).await), [0, 1].map(Cell::Int));
    bench.store().maintain(bench.clock.advance(FAR_NS)).await.unwrap();
    assert_eq!(values(&bench.read(always(), &[]).await), [0, 1].map(Cell::Int));
    assert_eq!(files_below(&bench.table_directory("m"), ".parquet").len(), 1);
    bench.reopen().await;
    assert_eq!(values(&bench.read(always(), &[]).await), [0, 1].map(Cell::Int));
}

/// Rows of deletes that are older than the bucket keeps stay where a file has younger rows too: its old rows are hidden by
/// them when the bucket keeps rows longer from then on.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_rows_stay_deleted_when_a_bucket_keeps_rows_longer() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let keep = |retention_ns| move |bucket: &mut Bucket| bucket.retention_ns = retention_ns;
    let point = |offset: u64, time_ns: i64| {
        row(offset, START + offset as i64, "m", &[("host", "a")], &[("x", Int(offset as i64))], time_ns)
    };
    let rows = [point(0, START), point(1, START + 1), point(2, START + 2 * HOUR_NS)];
    bench.apply(&source, &rows);
    bench.store().flush_all().await.unwrap();
    for (offset, time_ns) in [(3, START), (4, START + 1)] {
        let series = SeriesName { measurement: "m".into(), tags: [("host".into(), "a".into())].into() };
        let what = Deleted::Points(vec![PointSet { series: vec![series], times: vec![time_ns] }]);
        let delete = SeqDelete { offset, seq: START + 10, what: &what };
        bench.store().delete(&bench.bucket, &source, delete).unwrap();
        bench.store().advance(&source, offset + 1);
        bench.store().flush_all().await.unwrap();
    }
    bench.store().update_bucket(&bench.bucket, keep(Some(HOUR_NS))).unwrap();
    let now = bench.clock.advance(3 * HOUR_NS);
    assert_eq!(bench.store().maintain(now).await.unwrap().expired, 0);
    // Both files of deletes become one, the file of rows is left as it is.
    assert_eq!(bench.compact_files(|file| file.deletes).await, 2);
    bench.store().update_bucket(&bench.bucket, keep(None)).unwrap();
    assert_eq!(values(&bench.read(always(), &[]).await), [2].map(Cell::Int));
    bench.reopen().await;
    assert_eq!(values(&bench.read(always(), &[]).await), [2].map(Cell::Int));
    // When all rows are too old, the deletes go with them.
    bench.store().update_bucket(&bench.bucket, keep(Some(HOUR_NS))).unwrap();
    let now = bench.clock.advance(HOUR_NS);
    assert_eq!(bench.store().maintain(now).await.unwrap().expired, 2);
}

/// Rows older than the bucket keeps are not read, and files of such rows alone are dropped.
#[tokio::test(flavor = "multi_thread")]
async fn retention_hides_rows_and_drops_files() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let mut bench = Bench::new().await;
    let source = partition("b", 0);
    let keep = |retention_ns| move |bucket: &mut Bucket| bucket.retention_ns = Some(retention_ns);
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

/// Compaction leaves out what is deleted by range and by name. The deletes stay: older rows may still come.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_leaves_out_what_is_deleted() {
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
        let delete = SeqDelete { offset, seq: START + 10, what };
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
    let snapshot = Snapshot::default();
    let scanned = SourceRef { bucket: bench.bucket.clone(), bounds: always() };
    let read = || async { values(&read_all(bench.store().offer_at(&snapshot, &scanned, &[], 0).unwrap()).await) };
    assert_eq!(read().await, [0, 1].map(Cell::Int));
    bench.apply(&source, &[row(2, START + 2, "m", &[], &[("x", Int(2))], START + 2)]);
    bench.apply(&source, &[row(3, START + 3, "n", &[], &[("x", Int(3))], START + 3)]);
    bench.store().compact_bucket(&bench.bucket).await.unwrap();
    assert_eq!(read().await, [0, 1].map(Cell::Int));
    assert_eq!(values(&bench.read(always(), &[]).await), [0, 1, 2, 3].map(Cell::Int));
}
