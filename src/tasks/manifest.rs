//! What a slot wrote, so that a later attempt at it replaces that: the manifest.
//!
//! Made with the records of a run's points (`super::output`), appended with them as control records, kept by [`super::run_store`] until the
//! slot is attempted again. It names points, not values: which of them a new attempt no longer writes is all that is asked.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::point::delete::{PointSet, SeriesName, points_of, portions, sets_of};

/// A part of what one attempt at a slot wrote. All parts are appended as one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The task.
    pub task: Name,
    /// The slot.
    #[serde(rename = "scheduledFor", with = "super::instant")]
    pub slot_ns: i64,
    /// The run.
    pub run: Name,
    /// Its attempt.
    pub attempt: u32,
    /// Which part, from 0.
    pub part: u32,
    /// How many there are.
    pub parts: u32,
    /// The points.
    pub written: Vec<Written>,
}

/// Points of one bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The bucket's id.
    pub bucket: Name,
    /// The points, by name.
    pub sets: Vec<PointSet>,
}

/// A manifest in parts that fit into a record each; at least one, so that an attempt that writes nothing says so.
pub fn parts(task: &Name, slot_ns: i64, run: &Name, attempt: u32, written: &[Written]) -> Vec<Manifest> {
    let mut portioned: Vec<Vec<Written>> = Vec::new();
    for of_bucket in written {
        let of = |sets| vec![Written { bucket: of_bucket.bucket.clone(), sets }];
        portioned.extend(portions(of_bucket.sets.clone()).into_iter().map(of));
    }
    if portioned.is_empty() {
        portioned.push(Vec::new());
    }
    let count = portioned.len() as u32;
    (0..)
        .zip(portioned)
        .map(|(part, written)| Manifest {
            task: task.clone(),
            slot_ns,
            run: run.clone(),
            attempt,
            part,
            parts: count,
            written,
        })
        .collect()
}

/// The points of an earlier attempt that a later one does not write.
pub fn gone(earlier: Vec<Written>, later: &[Written]) -> Vec<Written> {
    // A bucket without points is among what is written now, and not among what is known from records.
    if earlier.iter().eq(later.iter().filter(|of_bucket| !of_bucket.sets.is_empty())) {
        return Vec::new();
    }
    without(earlier, later)
}

/// Points without those that others name as well.
pub fn without<'w>(points: Vec<Written>, others: impl IntoIterator<Item = &'w Written>) -> Vec<Written> {
    let mut times: HashMap<(&Name, &SeriesName), BTreeSet<i64>> = HashMap::new();
    for of_bucket in &points {
        for (series, time_ns) in points_of(&of_bucket.sets) {
            times.entry((&of_bucket.bucket, series)).or_default().insert(time_ns);
        }
    }
    for other in others {
        for set in &other.sets {
            for series in &set.series {
                if let Some(times) = times.get_mut(&(&other.bucket, series)) {
                    set.times.iter().for_each(|time_ns| {
                        times.remove(time_ns);
                    });
                }
            }
        }
    }
    // In the order in which they were.
    let mut left: Vec<Written> = Vec::new();
    let mut seen: HashSet<(&Name, &SeriesName)> = HashSet::new();
    for of_bucket in &points {
        let series = of_bucket.sets.iter().flat_map(|set| &set.series);
        let new: Vec<&SeriesName> = series.filter(|series| seen.insert((&of_bucket.bucket, *series))).collect();
        let points = new.into_iter().flat_map(|series| {
            times[&(&of_bucket.bucket, series)].iter().map(move |time_ns| (series.clone(), *time_ns))
        });
        let sets = sets_of(points);
        if !sets.is_empty() {
            left.push(Written { bucket: of_bucket.bucket.clone(), sets });
        }
    }
    left
}

/// How many points there are.
pub fn count(written: &[Written]) -> usize {
    written.iter().flat_map(|of_bucket| &of_bucket.sets).map(|set| set.series.len() * set.times.len()).sum()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn written(buckets: &[(&str, &[(&str, i64)])]) -> Vec<Written> {
        let series = |tag: &str| SeriesName { measurement: "m".into(), tags: [("t".into(), tag.into())].into() };
        let of_bucket = |(bucket, points): &(&str, &[(&str, i64)])| Written {
            bucket: (*bucket).into(),
            sets: sets_of(points.iter().map(|(tag, time_ns)| (series(tag), *time_ns))),
        };
        buckets.iter().map(of_bucket).collect()
    }

    fn names(written: &[Written]) -> Vec<(String, String, i64)> {
        let mut names = Vec::new();
        for of_bucket in written {
            let named = |(series, time): (&SeriesName, i64)| (of_bucket.bucket.to_string(), series.key(), time);
            names.extend(points_of(&of_bucket.sets).map(named));
        }
        names
    }

    #[test]
    fn what_a_later_attempt_does_not_write_is_gone() {
        let earlier = written(&[("b", &[("x", 1), ("y", 1), ("x", 2)]), ("c", &[("x", 1)])]);
        assert_eq!(count(&earlier), 4);
        assert_eq!(gone(earlier.clone(), &earlier), []);
        let later = written(&[("b", &[("x", 2), ("z", 1)]), ("d", &[("x", 1)])]);
        let left = gone(earlier, &later);
        let expected = [("b", "m,t=x", 1), ("b", "m,t=y", 1), ("c", "m,t=x", 1)];
        assert_eq!(names(&left), expected.map(|(bucket, key, time)| (bucket.to_string(), key.to_string(), time)));
        assert_eq!(names(&without(left, &written(&[("b", &[("y", 1)]), ("c", &[("x", 1)])]))).len(), 1);
    }

    #[test]
    fn a_large_manifest_comes_in_parts_and_an_empty_one_in_one() {
        let many: Vec<(String, i64)> =
            (0..20_000).map(|n| (format!("a long value of a tag {}", n % 5_000), n)).collect();
        let many: Vec<(&str, i64)> = many.iter().map(|(tag, time)| (tag.as_str(), *time)).collect();
        let all = written(&[("b", &many)]);
        let divided = parts(&"task".into(), 60, &"run".into(), 1, &all);
        assert!(divided.len() > 2 && divided.iter().all(|part| part.parts == divided.len() as u32));
        assert_eq!(divided.iter().map(|part| count(&part.written)).sum::<usize>(), 20_000);
        assert!(divided.iter().all(|part| serde_json::to_vec(part).unwrap().len() < 512 << 10));
        assert_eq!(parts(&"task".into(), 60, &"run".into(), 1, &[]).len(), 1);
    }
}
