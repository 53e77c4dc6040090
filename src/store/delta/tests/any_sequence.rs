//! Any sequence of whatever can happen to a bucket leaves in it what its topics say.

use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::forgetful_disk::UnsyncedNames;
use super::sink::{Record, Seen, Sink, Step, arrival, arrival_of_delete, by_name, by_range, time};
use super::{START, SeqPoint, points, row};
use crate::point::FieldValue::Float;
use crate::point::delete::Deleted;

/// Tag sets of series of which points are deleted by name.
const NAMED: &[&[(&str, &str)]] =
    &[&[], &[("host", "u")], &[("host", "v")], &[("A", "u")], &[("A", "u"), ("host", "u")]];

/// Conditions of deletes by range.
const CONDITIONS: &[&[(&str, bool, &str)]] = &[
    &[],
    &[("_measurement", true, "m")],
    &[("host", true, "u")],
    &[("host", false, "u")],
    &[("_measurement", false, "m"), ("region", true, "v")],
];

/// A delete: its arrival, what it names, and where it stands in each partition that has it.
type PlacedDelete = (i64, Deleted, [Option<usize>; 2]);

fn deletes() -> impl Strategy<Value = Vec<PlacedDelete>> {
    let ranges = (prop::sample::select(CONDITIONS), 0i64..20, 1i64..12, 0usize..30, 0usize..30).prop_map(
        |(conditions, start, length, first, second)| {
            (by_range(start..start + length, conditions), [Some(first), Some(second)])
        },
    );
    let named = (prop::sample::select(&["m", "n"][..]), prop::sample::select(NAMED));
    let times = prop::collection::btree_set(0i64..20, 1..12);
    let named = (named, times, 0usize..2, 0usize..30).prop_map(|((measurement, tags), times, own, at)| {
        let mut places = [None; 2];
        places[own] = Some(at);
        (by_name(measurement, tags, times.into_iter()), places)
    });
    let delete = (0i64..80, prop_oneof![ranges, named]);
    prop::collection::vec(delete.prop_map(|(number, (what, places))| (arrival_of_delete(number), what, places)), 0..6)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let on_files = prop_oneof![
        3 => Just(Step::Flush),
        3 => any::<u64>().prop_map(Step::CompactSome),
        1 => Just(Step::CompactAll),
        1 => Just(Step::Maintain),
    ];
    let names = prop::sample::select(&[UnsyncedNames::Forgotten, UnsyncedNames::Kept][..]);
    let step = prop_oneof![
        5 => (0usize..2, 1usize..12).prop_map(|(own, records)| Step::Apply(own, records)),
        1 => (0usize..2, 1usize..12).prop_map(|(own, records)| Step::Again(own, records)),
        8 => on_files.clone(),
        2 => (0usize..40, names, on_files).prop_map(|(steps, names, step)| Step::PowerCut(steps, names, Box::new(step))),
        2 => (1i64..40).prop_map(Step::Age),
        1 => Just(Step::Restart),
    ];
    // Half of the sequences begin with files that overlap.
    let overlapping = [Step::Apply(0, 9), Step::Flush, Step::Apply(1, 9), Step::Flush];
    (any::<bool>(), prop::collection::vec(step, 1..16)).prop_map(move |(begun, steps)| match begun {
        true => overlapping.iter().cloned().chain(steps).collect(),
        false => steps,
    })
}

async fn run(sink: &mut Sink, rows: Vec<SeqPoint>, deletes: Vec<PlacedDelete>, steps: Vec<Step>) {
    sink.begin().await;
    // The tags that deletes by name have are known: such a delete counts for what its partition had before, and the store
    // knows all of that.
    let known = ["A", "host"].map(|key| (key, "known"));
    let known = ["m", "n"].map(|name| row(0, arrival(-1), name, &known, &[("f", Float(0.5))], time(30)));
    sink.append(0, Record::Rows(known.into()));
    sink.take(&Step::Apply(0, 1)).await;
    // Two partitions; each holds every other record.
    for (index, record) in rows.chunk_by(|left, right| left.offset == right.offset).enumerate() {
        let rows = record.iter().cloned().map(|mut row| {
            let number = row.seq - START;
            row.seq = arrival(number);
            // Some arrivals are the time of their point, of which the arrivals before and after bring versions too.
            row.point.time_ns = match number % 8 {
                0..3 => arrival(number - number % 8 + 1),
                _ => time(row.point.time_ns - START),
            };
            row
        });
        sink.append(index % 2, Record::Rows(rows.collect()));
    }
    for (seq, what, places) in deletes {
        for (own, place) in places.into_iter().enumerate() {
            if let Some(place) = place {
                sink.insert(own, place, Record::Delete(seq, what.clone()));
            }
        }
    }
    for (number, step) in steps.iter().enumerate() {
        sink.take(step).await;
        sink.check(number).await;
    }
    // At last the oldest days are too old.
    for (which, step) in [Step::CompactAll, Step::Restart, Step::Age(24), Step::Maintain].iter().enumerate() {
        sink.take(step).await;
        sink.check(which).await;
    }
}

/// Applies in any order, deletes by range and by name, flushes, compactions of any files, retention, vacuum, kills and power
/// cuts with a replay from the low-water.
#[test]
fn the_bucket_is_the_log_materialised() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let sink = Mutex::new(runtime.block_on(Sink::new()));
    let mut runner = TestRunner::new(ProptestConfig {
        source_file: Some(file!()),
        test_name: Some("the_bucket_is_the_log_materialised"),
        ..ProptestConfig::with_cases(28)
    });
    let done = runner.run(&(points(80), deletes(), steps()), |(rows, deletes, steps)| {
        runtime.block_on(run(&mut sink.lock(), rows, deletes, steps));
        Ok(())
    });
    if let Err(error) = done {
        panic!("{error}");
    }
    let seen = sink.lock().seen;
    println!("{seen:?}");
    let Seen { overlapping, deleted_in_files, replays, expired, vacuumed, cuts } = seen;
    for (happened, what) in [
        (overlapping, "compactions of overlapping files"),
        (deleted_in_files, "deletes of rows in files"),
        (replays, "replays"),
        (expired, "files that were too old"),
        (vacuumed, "files that left the disk"),
        (cuts, "power cuts within something"),
    ] {
        assert!(happened > 0, "there were no {what}");
    }
}
