//! Hostile points: what happens to a bucket step by step, stores in several states after it, and the points that are left,
//! worked out without a store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fluxmill::catalogue::Catalogue;
use fluxmill::clock::ManualClock;
use fluxmill::engine::StoreWorld;
use fluxmill::name::Name;
use fluxmill::point::delete::{Condition, ConditionOp, Deleted, PointSet, RangeDelete, SeriesName};
use fluxmill::point::{FieldValue, Point};
use fluxmill::store::{NewBucket, SeqDelete, SeqPoint, SourcePartition, Store, StoreOptions};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// 2024-01-01T00:00:00Z.
pub const START_NS: i64 = 1_704_067_200_000_000_000;

pub const SECOND_NS: i64 = 1_000_000_000;

/// Rows lie in so many seconds, but for a few.
pub const SECONDS: i64 = 600;

/// One thing that happens to a bucket.
pub enum Step {
    Write(Vec<Point>),
    Delete(Deleted),
}

/// Tags, their values. The first one sorts before `_field` and `_measurement`, so that tables of several fields take turns
/// and scans are not cut: half of the buckets do without it.
const TAGS: [(&str, &[&str]); 4] = [
    ("A", &["x", "y"]),
    ("host", &["a", "b", "B", "é", "a much longer value than fits in a view"]),
    ("site", &["x y", "z,w", "="]),
    ("late", &["new"]),
];

/// Measurements and the fields that they have: a name has one type in a measurement, and another one elsewhere.
const MEASUREMENTS: [(&str, &[(&str, Kind)]); 3] = [
    (
        "m",
        &[
            ("f", Kind::Float),
            ("g", Kind::Float),
            ("i", Kind::Int),
            ("u", Kind::UInt),
            ("b", Kind::Bool),
            ("s", Kind::String),
        ],
    ),
    ("n", &[("f", Kind::Int), ("x", Kind::Float), ("late", Kind::Float)]),
    ("m 2", &[("f", Kind::Float)]),
];

#[derive(Clone, Copy)]
enum Kind {
    Float,
    Int,
    UInt,
    Bool,
    String,
}

/// What happens to a bucket, from a seed.
pub fn steps(random: &mut StdRng) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut written: Vec<Point> = Vec::new();
    let count = random.random_range(6..16);
    let tags = &TAGS[random.random_range(0..2)..];
    for number in 0..count {
        if number > 2 && random.random_bool(0.2) {
            steps.push(Step::Delete(delete(&written, random)));
            continue;
        }
        // New tags and fields come late.
        let late = number > count / 2;
        let mut points: Vec<Point> = (0..random.random_range(1..24)).map(|_| point(tags, late, random)).collect();
        if let Some(known) = written.choose(random)
            && random.random_bool(0.5)
        {
            // An identity again, with other values.
            let (measurement, fields) = MEASUREMENTS.iter().find(|(name, _)| **name == *known.measurement).unwrap();
            let fields = some_fields(fields, late, random);
            points.push(Point { measurement: (*measurement).into(), fields, ..known.clone() });
        }
        written.extend(points.iter().cloned());
        steps.push(Step::Write(points));
    }
    steps
}

fn point(all_tags: &[(&str, &[&str])], late: bool, random: &mut StdRng) -> Point {
    let (measurement, fields) =
        *[MEASUREMENTS[0], MEASUREMENTS[0], MEASUREMENTS[1], MEASUREMENTS[2]].choose(random).unwrap();
    let mut tags: Vec<(Name, Name)> = Vec::new();
    for (tag, values) in all_tags {
        if (late || *tag != "late") && random.random_bool(if *tag == "host" { 0.9 } else { 0.3 }) {
            tags.push(((*tag).into(), (*values.choose(random).unwrap()).into()));
        }
    }
    tags.sort();
    Point { measurement: measurement.into(), tags, fields: some_fields(fields, late, random), time_ns: time(random) }
}

fn time(random: &mut StdRng) -> i64 {
    match random.random_range(0..20) {
        // On the bounds of windows and ranges, and beside them.
        0..=5 => START_NS + random.random_range(0..=10) * 60 * SECOND_NS,
        6 => START_NS + random.random_range(0..=10) * 60 * SECOND_NS - 1,
        7 => START_NS - 86_400 * SECOND_NS,
        8 => START_NS + 40 * 86_400 * SECOND_NS,
        // Few different ones, so that series share them.
        _ => START_NS + random.random_range(0..60) * 10 * SECOND_NS,
    }
}

fn some_fields(fields: &[(&str, Kind)], late: bool, random: &mut StdRng) -> Vec<(Name, FieldValue)> {
    let fields: Vec<_> = fields.iter().filter(|(name, _)| late || *name != "late").collect();
    let mut some: Vec<(Name, FieldValue)> = Vec::new();
    for (name, kind) in &fields {
        if random.random_bool(0.5) {
            some.push(((*name).into(), value(*kind, random)));
        }
    }
    if some.is_empty() {
        let (name, kind) = fields[0];
        some.push(((*name).into(), value(*kind, random)));
    }
    some
}

fn value(kind: Kind, random: &mut StdRng) -> FieldValue {
    let one_of: i32 = random.random_range(0..12);
    match kind {
        Kind::Float => FieldValue::Float(match one_of {
            0 => -0.0,
            1 => 0.0,
            2 => f64::MAX,
            3 => f64::MIN_POSITIVE / 2.0,
            4 => 0.1 + 0.2,
            other => (other - 7) as f64 * 1.5,
        }),
        Kind::Int => FieldValue::Int(match one_of {
            0 => i64::MIN,
            1 => i64::MAX,
            other => i64::from(other) - 6,
        }),
        Kind::UInt => FieldValue::UInt(if one_of == 0 { u64::MAX } else { one_of.unsigned_abs().into() }),
        Kind::Bool => FieldValue::Bool(one_of < 6),
        Kind::String => FieldValue::String(
            ["", "a", "é", "refuel", "12", "a text of more than twelve bytes"][one_of as usize % 6].into(),
        ),
    }
}

fn delete(written: &[Point], random: &mut StdRng) -> Deleted {
    if random.random_bool(0.4) {
        let some = written.choose_multiple(random, 5);
        let sets = some.map(|point| PointSet { series: vec![SeriesName::of(point)], times: vec![point.time_ns] });
        return Deleted::Points(sets.collect());
    }
    let start_ns = START_NS + random.random_range(-1..10) * 60 * SECOND_NS;
    let condition = |key: &str, op, value: &str| Condition { key: key.into(), op, value: value.into() };
    let predicate = match random.random_range(0..5) {
        0 => Vec::new(),
        1 => vec![condition("_measurement", ConditionOp::Equal, "m")],
        2 => vec![condition("_measurement", ConditionOp::NotEqual, "m"), condition("host", ConditionOp::Equal, "a")],
        3 => vec![condition("A", ConditionOp::NotEqual, "x")],
        _ => vec![condition("host", ConditionOp::Equal, "b")],
    };
    Deleted::Range(RangeDelete { start_ns, stop_ns: start_ns + random.random_range(1..180) * SECOND_NS, predicate })
}

/// Measurement, tags, field, time.
type Identity = (Name, Vec<(Name, Name)>, Name, i64);

/// The points that are left: of one identity the newest, and none that a later delete names.
pub fn left(steps: &[Step]) -> Vec<Point> {
    let mut left: BTreeMap<Identity, FieldValue> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Write(points) => {
                for point in points {
                    for (field, value) in &point.fields {
                        let identity = (point.measurement.clone(), point.tags.clone(), field.clone(), point.time_ns);
                        left.insert(identity, value.clone());
                    }
                }
            }
            Step::Delete(Deleted::Range(range)) => left.retain(|(measurement, tags, _, time_ns), _| {
                let of = |key: &str| match key {
                    "_measurement" => Some(measurement.clone()),
                    _ => tags.iter().find(|(own, _)| &**own == key).map(|(_, value)| value.clone()),
                };
                let holds = |one: &Condition| {
                    of(&one.key).is_some_and(|found| (found == one.value) == (one.op == ConditionOp::Equal))
                };
                let within = (range.start_ns..range.stop_ns).contains(time_ns);
                !(within && range.predicate.iter().all(holds))
            }),
            Step::Delete(Deleted::Points(sets)) => left.retain(|(measurement, tags, _, time_ns), _| {
                let named = |series: &SeriesName| {
                    series.measurement == *measurement && series.tags == tags.iter().cloned().collect()
                };
                !sets.iter().any(|set| set.times.contains(time_ns) && set.series.iter().any(named))
            }),
        }
    }
    let point = |((measurement, tags, field, time_ns), value): (Identity, FieldValue)| Point {
        measurement,
        tags,
        fields: vec![(field, value)],
        time_ns,
    };
    left.into_iter().map(point).collect()
}

/// How a store keeps what has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// In memory only.
    Memory,
    /// In many files, written step by step.
    Files,
    /// In few sorted ones.
    Compacted,
    /// The first half compacted, then files, the last steps in memory.
    Mixed,
}

pub const ALL_KEPT: [Kept; 4] = [Kept::Memory, Kept::Files, Kept::Compacted, Kept::Mixed];

/// A store in which the steps have happened, in a bucket `plant`; and an empty bucket `out`.
pub async fn store(directory: &Path, steps: &[Step], kept: Kept) -> StoreWorld {
    let catalogue = Arc::new(Catalogue::open(&directory.join("catalogue")).unwrap());
    let clock = Arc::new(ManualClock::new(START_NS + 60 * 86_400 * SECOND_NS));
    // Few rows a stretch, so that scans are cut: parts of at least an eighth of this.
    let options = StoreOptions { scan_stretch_rows: 160, ..StoreOptions::default() };
    let store = Arc::new(Store::open(directory, options, catalogue, Arc::clone(&clock) as _).await.unwrap());
    let bucket = store.create_bucket(NewBucket::named("plant")).unwrap().id;
    store.create_bucket(NewBucket::named("out")).unwrap();
    let source = SourcePartition { topic: "plant".into(), generation: 0, partition: 0 };
    let mut offset = 0;
    // Newer than any point's time: a store refuses points far ahead of their arrival.
    let seq = |offset: u64| i64::MAX / 2 + offset as i64;
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Write(points) => {
                let rows: Vec<SeqPoint> = (offset..)
                    .zip(points)
                    .map(|(offset, point)| SeqPoint { offset, seq: seq(offset), point: point.clone() })
                    .collect();
                let rejected = store.apply(&bucket, &source, &rows).unwrap();
                assert!(rejected.is_empty(), "{rejected:?}");
                offset += points.len() as u64;
            }
            Step::Delete(what) => {
                store.delete(&bucket, &source, SeqDelete { offset, seq: seq(offset), what }).unwrap();
                offset += 1;
            }
        }
        store.advance(&source, offset);
        let (half, last) = (number == steps.len() / 2, number + 3 > steps.len());
        let flush = match kept {
            Kept::Memory => false,
            Kept::Files => number % 4 == 3 || number + 1 == steps.len(),
            Kept::Compacted => half || number + 1 == steps.len(),
            Kept::Mixed => !last && number % 3 == 2 || half,
        };
        if flush {
            store.flush_all().await.unwrap();
        }
        if kept == Kept::Mixed && half {
            store.compact_bucket(&bucket).await.unwrap();
        }
    }
    if kept == Kept::Compacted {
        store.compact_bucket(&bucket).await.unwrap();
    }
    StoreWorld::new(store, clock)
}
