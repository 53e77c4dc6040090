//! Hostile data: what arrives at a bucket, and what should be left of it.
//!
//! Everything follows from a seed. What is left is worked out here by an independent computation: arrivals in the order of
//! their `seq`, the newest value wins by series, field and time, a delete removes what stands then.

use std::collections::BTreeMap;

use fluxmill::name::Name;
use fluxmill::point::delete::{Condition, ConditionOp, Deleted, PointSet, RangeDelete, SeriesName};
use fluxmill::point::{FieldValue, Point};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

pub const SECOND: i64 = 1_000_000_000;
pub const MINUTE: i64 = 60 * SECOND;

/// 2026-03-29T00:20:00Z: forty minutes before clocks in Berlin go forward.
pub const START: i64 = 1_774_743_600 * SECOND;

/// What `now()` is, and what the store's clock shows.
pub const NOW: i64 = START + 60 * MINUTE;

/// Partitions that feed the bucket; what comes from one may be older than what has come from the other.
pub const PARTITIONS: usize = 2;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Float,
    Int,
    UInt,
    Bool,
    String,
}

/// A measurement with its fields and the tags that its series may have.
pub struct Measurement {
    pub name: &'static str,
    pub fields: &'static [(&'static str, Kind)],
    pub tags: &'static [&'static str],
}

/// One name, several types: `v` differs from measurement to measurement. `site` is a tag, and a field beside it.
const MEASUREMENTS: [Measurement; 4] = [
    Measurement {
        name: "cpu",
        fields: &[
            ("load", Kind::Float),
            ("v", Kind::Float),
            ("n", Kind::Int),
            ("ok", Kind::Bool),
            ("msg", Kind::String),
            // The name of a tag of another measurement.
            ("rack", Kind::Int),
        ],
        tags: &["host", "site"],
    },
    Measurement {
        name: "mem",
        fields: &[("v", Kind::Int), ("used", Kind::UInt), ("load", Kind::Float)],
        tags: &["host", "rack"],
    },
    Measurement {
        name: "größe é",
        fields: &[("v", Kind::String), ("x", Kind::Float), ("late", Kind::Float)],
        tags: &["host", "site"],
    },
    Measurement { name: "z", fields: &[("load", Kind::Float), ("site", Kind::String)], tags: &["site"] },
];

/// Tags that come into series of one measurement of some data: before `_field`, between `_field` and `_measurement`, behind both.
const MORE_TAGS: [&[&str]; 4] = [&[], &["Zone"], &["_id", "zz"], &["zz"]];

const TAG_VALUES: [&str; 6] = ["a", "b", "A", "é", "a b,c=\"d\"", "none"];

/// An arrival: a record with points, or a delete.
pub struct Arrival {
    pub partition: usize,
    pub offset: u64,
    pub seq: i64,
    pub what: What,
}

pub enum What {
    Points(Vec<Point>),
    Delete(Deleted),
}

/// A set of data.
pub struct Data {
    /// In the order in which they are applied.
    pub arrivals: Vec<Arrival>,
    pub retention_ns: Option<i64>,
    pub measurements: &'static [Measurement],
    /// Every tag that some series has.
    pub tags: Vec<&'static str>,
    /// Times at which points stand.
    pub times: Vec<i64>,
}

impl Data {
    pub fn new(rng: &mut StdRng, number: u64) -> Data {
        let more = MORE_TAGS[(number % MORE_TAGS.len() as u64) as usize];
        let mut series: Vec<(usize, Vec<(Name, Name)>)> = Vec::new();
        for (place, measurement) in MEASUREMENTS.iter().enumerate() {
            for _ in 0..rng.random_range(2..=4) {
                let more = if place == 2 { more } else { &[] };
                series.push((place, tags_of(rng, measurement, more)));
            }
        }
        series.sort();
        series.dedup();
        // Most points stand on a grid, so that they meet each other and the bounds of windows; some a nanosecond beside it.
        let mut times: Vec<i64> = Vec::new();
        for _ in 0..24 {
            // A few stand in the day before: files are of a day.
            let from = if rng.random_bool(0.1) { -40 } else { 0 };
            let grid = START + rng.random_range(from..=60) * MINUTE;
            times.push(grid + [0, 0, 0, -1, 1, 17 * SECOND][rng.random_range(0..6)]);
        }
        times.sort_unstable();
        times.dedup();
        let mut queues: [Vec<(i64, What)>; PARTITIONS] = Default::default();
        let count = rng.random_range(80..120);
        let mut named: Vec<(usize, usize, i64)> = Vec::new();
        // Newest values are remembered for as long as nothing is deleted.
        let deletes = !number.is_multiple_of(3);
        for arrival in 0..count {
            let seq = START + arrival as i64 * SECOND;
            let partition = usize::from(rng.random_bool(0.3));
            if deletes && arrival > 20 && rng.random_bool(0.04) {
                // A delete by range has one arrival time in every partition. Half of them meet what has just come.
                let from = if rng.random_bool(0.5) { named.last().map(|(_, _, time_ns)| *time_ns) } else { None };
                let from = from.unwrap_or_else(|| *times.choose(rng).unwrap() + rng.random_range(-1..=1));
                let delete = Deleted::Range(range_delete(rng, from, more));
                queues.iter_mut().for_each(|queue| queue.push((seq, What::Delete(delete.clone()))));
                continue;
            }
            let of_partition: Vec<_> = named.iter().filter(|(of, _, _)| *of == partition).collect();
            if let Some((_, place, time_ns)) = of_partition.choose(rng).filter(|_| deletes && rng.random_bool(0.05)) {
                let (measurement, tags) = &series[*place];
                let name = SeriesName {
                    measurement: MEASUREMENTS[*measurement].name.into(),
                    tags: tags.iter().cloned().collect(),
                };
                let set = PointSet { series: vec![name], times: vec![*time_ns] };
                queues[partition].push((seq, What::Delete(Deleted::Points(vec![set]))));
                continue;
            }
            let points = (0..rng.random_range(1..=2))
                .map(|_| {
                    // New series come midway.
                    let known = (series.len() * (arrival + 30) / (count + 10)).clamp(1, series.len());
                    let place = rng.random_range(0..known);
                    // Times ascend roughly; some are late.
                    let newest = times.len() * (arrival + 1) / count;
                    let from = if rng.random_bool(0.25) { 0 } else { newest.saturating_sub(4) };
                    let time_ns = times[rng.random_range(from..=newest.min(times.len() - 1))];
                    // Or one of the last points comes again, perhaps in another partition.
                    let recent = &named[named.len().saturating_sub(12)..];
                    let again = recent.choose(rng).filter(|_| rng.random_bool(0.25)).copied();
                    let (_, place, time_ns) = again.unwrap_or((partition, place, time_ns));
                    named.push((partition, place, time_ns));
                    let (measurement, tags) = &series[place];
                    point(rng, &MEASUREMENTS[*measurement], tags.clone(), time_ns, arrival * 2 > count)
                })
                .collect();
            queues[partition].push((seq, What::Points(points)));
        }
        let tags = MEASUREMENTS.iter().flat_map(|one| one.tags).chain(more).copied();
        let mut tags: Vec<&'static str> = tags.collect();
        tags.sort_unstable();
        tags.dedup();
        let retention_ns = rng.random_bool(0.3).then_some(50 * MINUTE + 1);
        Data { arrivals: interleaved(rng, queues), retention_ns, measurements: &MEASUREMENTS, tags, times }
    }

    /// What is left of it at the end: of each point the values that stand.
    pub fn left(&self) -> Vec<Point> {
        let mut stands: BTreeMap<(Name, Vec<(Name, Name)>, i64), BTreeMap<Name, FieldValue>> = BTreeMap::new();
        let mut arrivals: Vec<&Arrival> = self.arrivals.iter().collect();
        arrivals.sort_by_key(|arrival| arrival.seq);
        for arrival in arrivals {
            match &arrival.what {
                What::Points(points) => {
                    for point in points {
                        let name = (point.measurement.clone(), point.tags.clone(), point.time_ns);
                        stands.entry(name).or_default().extend(point.fields.iter().cloned());
                    }
                }
                What::Delete(Deleted::Range(range)) => stands.retain(|(measurement, tags, time_ns), _| {
                    let within = range.start_ns <= *time_ns && *time_ns < range.stop_ns;
                    !within || !range.predicate.iter().all(|one| holds(one, measurement, tags))
                }),
                What::Delete(Deleted::Points(sets)) => {
                    for set in sets {
                        for (series, time_ns) in
                            set.series.iter().flat_map(|one| set.times.iter().map(move |at| (one, at)))
                        {
                            let tags = series.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                            stands.remove(&(series.measurement.clone(), tags, *time_ns));
                        }
                    }
                }
            }
        }
        let keep_from_ns = self.retention_ns.map_or(i64::MIN, |retention_ns| NOW - retention_ns);
        stands.retain(|(_, _, time_ns), _| *time_ns >= keep_from_ns);
        let point = |((measurement, tags, time_ns), fields): (_, BTreeMap<Name, FieldValue>)| Point {
            measurement,
            tags,
            fields: fields.into_iter().collect(),
            time_ns,
        };
        stands.into_iter().map(point).collect()
    }
}

/// Whether a condition of a delete holds of a series; not of one without the tag.
fn holds(condition: &Condition, measurement: &Name, tags: &[(Name, Name)]) -> bool {
    let value = match &*condition.key {
        "_measurement" => Some(measurement),
        key => tags.iter().find(|(own, _)| &**own == key).map(|(_, value)| value),
    };
    value.is_some_and(|value| (*value == condition.value) == (condition.op == ConditionOp::Equal))
}

fn tags_of(rng: &mut StdRng, measurement: &Measurement, more: &[&str]) -> Vec<(Name, Name)> {
    let mut keys: Vec<&str> = measurement.tags.iter().chain(more).copied().collect();
    keys.sort_unstable();
    keys.retain(|_| rng.random_bool(0.75));
    keys.iter().map(|key| (Name::from(*key), Name::from(TAG_VALUES[rng.random_range(0..TAG_VALUES.len())]))).collect()
}

/// Fields are sparse; `late` comes in the second half only.
fn point(rng: &mut StdRng, measurement: &Measurement, tags: Vec<(Name, Name)>, time_ns: i64, late: bool) -> Point {
    let mut fields: Vec<(Name, FieldValue)> = Vec::new();
    let all: Vec<_> = measurement.fields.iter().filter(|(name, _)| late || *name != "late").collect();
    for (name, kind) in &all {
        if rng.random_bool(0.6) {
            fields.push(((*name).into(), value(rng, *kind)));
        }
    }
    if fields.is_empty() || rng.random_bool(0.03) {
        // At least one; rarely one stands twice, and the second counts.
        let (name, kind) = all[rng.random_range(0..all.len())];
        fields.push(((*name).into(), value(rng, *kind)));
    }
    Point { measurement: measurement.name.into(), tags, fields, time_ns }
}

/// Values that sums, comparisons and texts get wrong most easily. A bucket has no NaN and no infinity: pipelines make them.
fn value(rng: &mut StdRng, kind: Kind) -> FieldValue {
    const FLOATS: [f64; 10] = [0.0, -0.0, 0.1, -0.2, 1.5, 3.0, 1e17, f64::MAX, f64::MIN, f64::from_bits(1)];
    const INTS: [i64; 8] = [0, 1, -1, 7, 7, 1 << 53, i64::MAX, i64::MIN];
    const UINTS: [u64; 6] = [0, 1, 7, 7, 1 << 63, u64::MAX];
    const STRINGS: [&str; 8] = ["", "a", "b", "é", "a longer text than twelve bytes", "1.5", "line\nend", "x\"y\\z"];
    match kind {
        Kind::Float if rng.random_bool(0.4) => FieldValue::Float(f64::from(rng.random_range(-50i32..50)) / 10.0),
        Kind::Float => FieldValue::Float(*FLOATS.choose(rng).unwrap()),
        Kind::Int if rng.random_bool(0.4) => FieldValue::Int(rng.random_range(-9..9)),
        Kind::Int => FieldValue::Int(*INTS.choose(rng).unwrap()),
        Kind::UInt => FieldValue::UInt(*UINTS.choose(rng).unwrap()),
        Kind::Bool => FieldValue::Bool(rng.random_bool(0.5)),
        Kind::String if rng.random_bool(0.1) => FieldValue::String("long ".repeat(70).into()),
        Kind::String => FieldValue::String((*STRINGS.choose(rng).unwrap()).into()),
    }
}

fn range_delete(rng: &mut StdRng, start_ns: i64, more: &[&str]) -> RangeDelete {
    let stop_ns = start_ns + [1, 2, MINUTE, 5 * MINUTE, 20 * MINUTE][rng.random_range(0..5)];
    let mut predicate = Vec::new();
    let op = |rng: &mut StdRng| if rng.random_bool(0.7) { ConditionOp::Equal } else { ConditionOp::NotEqual };
    if rng.random_bool(0.6) {
        let value = MEASUREMENTS[rng.random_range(0..MEASUREMENTS.len())].name.into();
        predicate.push(Condition { key: "_measurement".into(), op: op(rng), value });
    }
    if rng.random_bool(0.4) {
        let keys: Vec<&str> = ["host", "rack", "nowhere"].iter().chain(more).copied().collect();
        let value = TAG_VALUES[rng.random_range(0..TAG_VALUES.len())].into();
        predicate.push(Condition { key: (*keys.choose(rng).unwrap()).into(), op: op(rng), value });
    }
    RangeDelete { start_ns, stop_ns, predicate }
}

/// The arrivals of all partitions, each in its own order: one of them always behind the other, or now this one and now that.
fn interleaved(rng: &mut StdRng, queues: [Vec<(i64, What)>; PARTITIONS]) -> Vec<Arrival> {
    let mut turns: Vec<(i64, usize)> = Vec::new();
    for (partition, queue) in queues.iter().enumerate() {
        turns.extend(queue.iter().map(|(seq, _)| (seq + partition as i64 * 8 * SECOND, partition)));
    }
    match rng.random_bool(0.6) {
        true => turns.sort_unstable(),
        false => turns.shuffle(rng),
    }
    let mut queues = queues.map(|queue| queue.into_iter().enumerate());
    let next = |(_, partition): (i64, usize)| {
        let (offset, (seq, what)) = queues[partition].next().unwrap();
        Arrival { partition, offset: offset as u64, seq, what }
    };
    turns.into_iter().map(next).collect()
}
