//! Power cuts at each step of the disk, in flush, compaction, delete, retention and vacuum: the table opens at its last
//! commit, nothing is lost, and what a cut leaves behind leaves the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::forgetful_disk::UnsyncedNames;
use super::sink::{Record, Sink, Step, arrival, arrival_of_delete, by_name, by_range, time};
use super::{Bench, Cell, START, always, files_below, partition, row, values};
use crate::point::FieldValue::Int;

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

/// Rows, late rows, a new field, deletes by range and by name, and what happens to their files.
async fn begin_script(sink: &mut Sink) -> Vec<Step> {
    sink.begin().await;
    let point = |number: i64, host: &str, field: &str, at: i64| {
        row(0, arrival(number), "m", &[("host", host)], &[(field, Int(number))], time(at))
    };
    sink.append(0, Record::Rows(vec![point(0, "a", "x", 0), point(1, "a", "x", 1), point(2, "b", "x", 1)]));
    sink.append(1, Record::Rows(vec![point(3, "a", "x", 1), point(4, "b", "y", 0), point(5, "a", "x", 9)]));
    sink.append(0, Record::Delete(arrival_of_delete(5), by_range(1..2, &[("host", true, "b")])));
    sink.append(0, Record::Delete(arrival_of_delete(6), by_name("m", &[("host", "a")], [1].into_iter())));
    sink.append(0, Record::Rows(vec![point(8, "a", "y", 10), point(9, "a", "x", 2)]));
    vec![
        Step::Apply(0, 1),
        Step::Flush,
        Step::Apply(1, 1),
        Step::Flush,
        Step::CompactAll,
        Step::Apply(0, 2),
        Step::Flush,
        Step::CompactAll,
        // The first day is too old, and what was replaced goes.
        Step::Age(27),
        Step::Maintain,
        Step::Apply(0, 1),
        Step::Flush,
        Step::CompactAll,
        Step::Maintain,
    ]
}

/// Power is lost between any two steps of all that.
#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_nothing() {
    let mut sink = Sink::new().await;
    let steps = begin_script(&mut sink).await;
    for step in &steps {
        sink.take(step).await;
        sink.check(0).await;
    }
    assert!(sink.seen.expired > 0 && sink.seen.vacuumed > 0 && sink.seen.deleted_in_files > 0, "{:?}", sink.seen);
    let all = sink.disk.done();
    assert!(all > 80, "{all} steps");
    let mut differ = 0;
    for cut in 0..all {
        let kept_too = power_fails(&mut sink, cut, UnsyncedNames::Forgotten).await;
        if kept_too {
            differ += 1;
            power_fails(&mut sink, cut, UnsyncedNames::Kept).await;
        }
    }
    assert!(differ > 10, "{differ} steps");
}

/// Cuts the power once, does what was under way again, and looks at what is shown and at what is on the disk. Returns
/// whether the other kind of unsynced names would make a difference.
async fn power_fails(sink: &mut Sink, cut: usize, names: UnsyncedNames) -> bool {
    let steps = begin_script(sink).await;
    sink.disk.fail_after(cut);
    for step in &steps {
        if !sink.take_until_the_power_fails(step).await {
            let others_differ = sink.disk.named_last();
            sink.disk.come_back(names);
            sink.restart().await;
            sink.check_everything().await;
            sink.take(step).await;
            sink.check_everything().await;
            only_what_the_log_names_is_left(sink).await;
            sink.take(&Step::Restart).await;
            sink.check_everything().await;
            return others_differ;
        }
    }
    panic!("there is no step {cut}");
}

async fn only_what_the_log_names_is_left(sink: &mut Sink) {
    age_files(&sink.bench.files_on_disk());
    sink.take(&Step::Maintain).await;
    let table = sink.bench.store().tables().remove(0);
    let directory = sink.bench.table_directory("m");
    let mut expected: BTreeSet<_> = table.file_list().files.iter().map(|file| directory.join(&file.path)).collect();
    expected.extend(files_below(&directory.join("_delta_log"), ".json"));
    let on_disk: BTreeSet<_> = sink.bench.files_on_disk().into_iter().collect();
    assert_eq!(on_disk, expected);
}

/// Power is lost between any two steps of a flush whose commit is followed by a checkpoint, and by the removal of what it
/// makes needless in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_within_a_checkpoint_loses_nothing() {
    // Version 0 is the table; version 99 gets a checkpoint.
    const FLUSHES: i64 = 99;
    let mut sink = Sink::new().await;
    sink.begin().await;
    for number in 0..FLUSHES {
        let rows = vec![row(0, arrival(number), "m", &[("host", "a")], &[("x", Int(number))], time(number % 8))];
        sink.append(0, Record::Rows(rows));
    }
    for _ in 0..FLUSHES - 1 {
        sink.take(&Step::Apply(0, 1)).await;
        sink.take(&Step::Flush).await;
    }
    let (table, before) = (sink.bench.table_directory("m"), tempfile::tempdir().unwrap());
    let log = table.join("_delta_log");
    // Commits are dropped from the log a day after they were made.
    let commits = files_below(&log, ".json");
    age_files(&commits);
    copy_files(&table, before.path());
    let positions = sink.positions();

    sink.take(&Step::Apply(0, 1)).await;
    let began = sink.disk.done();
    sink.take(&Step::Flush).await;
    let all = sink.disk.done() - began;
    assert_eq!(files_below(&log, ".checkpoint.parquet").len(), 1);
    assert!(commits.iter().all(|path| !path.exists()), "the log begins with the checkpoint");
    assert!(all > commits.len() + 10, "{all} steps");
    // Of the many commits that are dropped the first few and the last, each removal being like the others.
    let cuts = (0..all).filter(|cut| *cut + commits.len() < all + 3 || *cut + 2 > all);
    for cut in cuts {
        for names in [UnsyncedNames::Forgotten, UnsyncedNames::Kept] {
            std::fs::remove_dir_all(&table).unwrap();
            copy_files(before.path(), &table);
            sink.back_to(positions).await;
            sink.take(&Step::Apply(0, 1)).await;
            sink.disk.fail_after(cut);
            // A checkpoint that fails does not make a flush fail.
            sink.take_until_the_power_fails(&Step::Flush).await;
            assert!(sink.disk.has_failed(), "there is no step {cut}");
            let others_differ = sink.disk.named_last();
            sink.disk.come_back(names);
            sink.take(&Step::Restart).await;
            sink.check_everything().await;
            if !others_differ {
                break;
            }
        }
    }
    sink.take(&Step::Flush).await;
    sink.take(&Step::Restart).await;
    sink.check(0).await;
}

/// Copies files with their times.
fn copy_files(from: &Path, to: &Path) {
    for path in files_below(from, "") {
        let copy = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(&path, &copy).unwrap();
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::File::options().write(true).open(&copy).unwrap().set_modified(modified).unwrap();
    }
}

/// Files are old from now on.
fn age_files(paths: &[PathBuf]) {
    for path in paths {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
}
