//! Deletes: what a delete record says, and InfluxDB's predicate text.
//!
//! Written by `/api/v2/delete` and by runs that replace the output of an earlier attempt, read by the sink, applied by the
//! store. A delete hides what is older than itself; it is a record like any other, so that a replay repeats it.

use std::collections::BTreeMap;

use hashbrown::HashMap;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::problem::{Problem, ProblemCode};
use super::{Point, series_key};
use crate::error::{Error, Result};
use crate::name::Name;

/// The content type of delete records.
pub const CONTENT_TYPE: &str = "application/vnd.fluxmill.delete+json";

/// About how many bytes of series and times one record of points takes at most.
const RECORD_BYTES: usize = 256 << 10;

/// Most points that one record names: a few series and times make very many.
const RECORD_POINTS: usize = 1_000_000;

/// The longest text of a predicate.
const PREDICATE_BYTES: usize = 64 << 10;

/// A delete record's payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delete {
    /// The bucket by name: a topic may feed several.
    pub bucket: Name,
    /// What is deleted.
    #[serde(flatten)]
    pub what: Deleted,
}

/// What a delete hides of all that is older than itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deleted {
    /// Points by time, measurement and tags.
    Range(RangeDelete),
    /// Points by name.
    Points(Vec<PointSet>),
}

/// All points of some series in a range of time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RangeDelete {
    /// The first instant that is deleted, in nanoseconds since the epoch.
    #[serde(rename = "start")]
    pub start_ns: i64,
    /// The first instant after.
    #[serde(rename = "stop")]
    pub stop_ns: i64,
    /// All must hold of a series; none: every series.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predicate: Vec<Condition>,
}

/// One comparison of a predicate. It does not hold of a series without the tag, as in a filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Condition {
    /// `_measurement` or a tag.
    pub key: Name,
    /// How it is compared.
    pub op: ConditionOp,
    /// With what.
    pub value: Name,
}

/// How a condition compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConditionOp {
    /// Equal.
    #[serde(rename = "=")]
    Equal,
    /// Not equal.
    #[serde(rename = "!=")]
    NotEqual,
}

/// Points by name: each of the series at each of the times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointSet {
    /// The series.
    pub series: Vec<SeriesName>,
    /// The times in nanoseconds since the epoch, ascending.
    pub times: Vec<i64>,
}

/// A series by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesName {
    /// The measurement.
    pub measurement: Name,
    /// Keys and values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Name, Name>,
}

impl SeriesName {
    /// The series of a point.
    pub fn of(point: &Point) -> Self {
        SeriesName { measurement: point.measurement.clone(), tags: point.tags.iter().cloned().collect() }
    }

    /// The key of its records.
    pub fn key(&self) -> String {
        let tags: Vec<(Name, Name)> = self.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        series_key(&self.measurement, &tags)
    }

    fn bytes(&self) -> usize {
        let tags = self.tags.iter().map(|(key, value)| key.len() + value.len() + 6);
        self.measurement.len() + 32 + tags.sum::<usize>()
    }
}

impl Condition {
    /// Whether it holds of a series, given its measurement and a way to look up its tags.
    pub fn holds<'t>(&self, measurement: &'t str, tag: impl Fn(&str) -> Option<&'t str>) -> bool {
        let found = if &*self.key == "_measurement" { Some(measurement) } else { tag(&self.key) };
        found.is_some_and(|found| (found == &*self.value) == (self.op == ConditionOp::Equal))
    }
}

impl Delete {
    /// As a payload.
    pub fn write(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::internal(format!("a delete cannot be written: {error}")))
    }

    /// From a payload.
    ///
    /// Problems: `invalid-json` for what is no delete, `refused` for one that names too many points.
    pub fn read(payload: &[u8]) -> std::result::Result<Self, Problem> {
        let delete: Delete = serde_json::from_slice(payload)
            .map_err(|error| Problem::new(ProblemCode::InvalidJson, format!("this is no delete: {error}")))?;
        if let Deleted::Points(sets) = &delete.what {
            let of_set = |set: &PointSet| set.series.len().saturating_mul(set.times.len());
            let points = sets.iter().map(of_set).fold(0, usize::saturating_add);
            if points > RECORD_POINTS {
                let detail = format!("the delete names {points} points; a record has at most {RECORD_POINTS}");
                return Err(Problem::new(ProblemCode::Refused, detail));
            }
        }
        Ok(delete)
    }
}

/// Points by name as few sets: series with the same times share one. In the order in which the series first come.
pub fn sets_of(points: impl IntoIterator<Item = (SeriesName, i64)>) -> Vec<PointSet> {
    let mut by_series: IndexMap<SeriesName, Vec<i64>> = IndexMap::new();
    for (series, time_ns) in points {
        by_series.entry(series).or_default().push(time_ns);
    }
    let mut sets: Vec<PointSet> = Vec::new();
    let mut places: HashMap<Vec<i64>, usize> = HashMap::new();
    for (series, mut times) in by_series {
        times.sort_unstable();
        times.dedup();
        let place = *places.entry(times).or_insert_with_key(|times| {
            sets.push(PointSet { series: Vec::new(), times: times.clone() });
            sets.len() - 1
        });
        sets[place].series.push(series);
    }
    sets
}

/// The same points in portions that fit into a record each.
pub fn portions(sets: Vec<PointSet>) -> Vec<Vec<PointSet>> {
    let mut portions: Vec<Vec<PointSet>> = Vec::new();
    let (mut used, mut points) = (RECORD_BYTES, 0);
    for set in sets {
        // At most a quarter of a record are times, so that the series get on with them.
        for times in set.times.chunks(RECORD_BYTES / 4 / 20) {
            let mut open = false;
            for series in &set.series {
                let bytes = series.bytes();
                let more = bytes + if open { 0 } else { times.len() * 20 };
                if used + more > RECORD_BYTES || points + times.len() > RECORD_POINTS {
                    portions.push(Vec::new());
                    (used, points, open) = (0, 0, false);
                }
                if let Some(portion) = portions.last_mut() {
                    if !open {
                        portion.push(PointSet { series: Vec::new(), times: times.to_vec() });
                        (used, open) = (used + times.len() * 20, true);
                    }
                    if let Some(last) = portion.last_mut() {
                        last.series.push(series.clone());
                    }
                }
                used += bytes;
                points += times.len();
            }
        }
    }
    portions
}

/// The points of sets, one after the other.
pub fn points_of(sets: &[PointSet]) -> impl Iterator<Item = (&SeriesName, i64)> {
    sets.iter().flat_map(|set| set.series.iter().flat_map(|series| set.times.iter().map(move |time| (series, *time))))
}

/// Reads InfluxDB's predicate text: `key = "value"` joined by `and`, with `!=` besides.
///
/// Errors: `Invalid` with the position of what is wrong; `Unimplemented` for a condition on `_field`.
pub fn parse_predicate(text: &str) -> Result<Vec<Condition>> {
    let mut reader = Reader { text, at: 0, open: 0 };
    let mut conditions = Vec::new();
    if text.len() > PREDICATE_BYTES {
        let message = format!("the predicate has {} bytes: at most {PREDICATE_BYTES} are read", text.len());
        return Err(Error::invalid(message));
    }
    if reader.peek().is_none() {
        return Ok(conditions);
    }
    loop {
        while reader.take('(') {
            reader.open += 1;
        }
        let condition = reader.condition()?;
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
        while reader.take(')') {
            reader.open = reader.open.checked_sub(1).ok_or_else(|| reader.bad("extra ) seen"))?;
        }
        if reader.peek().is_none() {
            break;
        }
        let at = reader.at;
        match reader.word().map(|word| word.to_ascii_lowercase()).as_deref() {
            Some("and") => {}
            Some("or") => {
                return Err(Error::invalid("the logical operator OR is not supported for delete predicate yet")
                    .with_hint("send a request for each side"));
            }
            _ => {
                reader.at = at;
                return Err(reader.bad("bad logical expression"));
            }
        }
    }
    if reader.open > 0 {
        return Err(reader.bad("extra ( seen"));
    }
    Ok(conditions)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    open: usize,
}

impl<'t> Reader<'t> {
    fn bad(&self, what: &str) -> Error {
        Error::invalid(format!("{what}, at position {}", self.at))
            .with_hint("expected conditions like _measurement = \"m\" and tag = \"value\"")
    }

    /// The next character after white space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    /// A run of letters, digits and the marks of numbers.
    fn word(&mut self) -> Option<&'t str> {
        self.peek();
        let rest = &self.text[self.at..];
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.' | '-');
        let end = rest.find(|letter: char| !is_part(letter)).unwrap_or(rest.len());
        self.at += end;
        (end > 0).then(|| &rest[..end])
    }

    /// A word, or text in quotes with backslash escapes.
    fn word_or_text(&mut self, what: &str) -> Result<Name> {
        let Some(quote @ ('"' | '\'')) = self.peek() else {
            return self.word().map(Name::from).ok_or_else(|| self.bad(what));
        };
        let begin = self.at;
        let mut text = String::new();
        let mut letters = self.text[begin + 1..].char_indices();
        while let Some((place, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, letter @ ('\\' | '"' | '\''))) => text.push(letter),
                    _ => return Err(self.bad(what)),
                },
                letter if letter == quote => {
                    self.at = begin + 1 + place + 1;
                    return Ok(text.into());
                }
                letter => text.push(letter),
            }
        }
        Err(self.bad("a quote is not closed"))
    }

    fn condition(&mut self) -> Result<Condition> {
        let key = self.word_or_text("bad tag key")?;
        let op = match self.peek() {
            Some('=') if !self.text[self.at..].starts_with("=~") => {
                self.at += 1;
                ConditionOp::Equal
            }
            Some('!') if self.text[self.at..].starts_with("!=") => {
                self.at += 2;
                ConditionOp::NotEqual
            }
            _ => return Err(self.bad("invalid operator: only = and != are supported for delete predicate")),
        };
        let value = self.word_or_text("bad tag value")?;
        match &*key {
            "_field" => Err(Error::unimplemented("delete by a condition on _field is not supported")
                .with_hint("whole points are deleted: drop the condition")),
            "_time" | "time" | "_start" | "_stop" | "_value" => Err(self
                .bad(&format!("{key} is no tag"))
                .with_hint("the range of time is given by start and stop; values cannot be compared")),
            _ => Ok(Condition { key, op, value }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn condition(key: &str, op: ConditionOp, value: &str) -> Condition {
        Condition { key: key.into(), op, value: value.into() }
    }

    #[test]
    fn predicates_are_conditions_joined_by_and() {
        use ConditionOp::{Equal, NotEqual};
        let parse = |text: &str| parse_predicate(text).unwrap();
        assert_eq!(parse(" "), []);
        assert_eq!(parse("_measurement=\"m 1\""), [condition("_measurement", Equal, "m 1")]);
        let two = [condition("a", Equal, "x\"y"), condition("b c", NotEqual, "it's")];
        assert_eq!(parse(r#"(a = "x\"y" AND ("b c" != 'it\'s'))"#), two);
        assert_eq!(parse("n=10 and v=-1.5 and t=true and n=10").len(), 3);
    }

    #[test]
    fn what_is_no_predicate_is_refused_with_its_place() {
        let message = |text: &str| parse_predicate(text).unwrap_err().message().to_string();
        assert_eq!(message("a=1 or b=2"), "the logical operator OR is not supported for delete predicate yet");
        assert_eq!(message("a=1 b=2"), "bad logical expression, at position 4");
        assert_eq!(message("=1"), "bad tag key, at position 0");
        assert_eq!(message("a="), "bad tag value, at position 2");
        assert_eq!(message("(a=1"), "extra ( seen, at position 4");
        assert_eq!(message("a=1)"), "extra ) seen, at position 4");
        assert_eq!(message("a=\"b"), "a quote is not closed, at position 2");
        for text in ["a=~/x/", "a>1", "a", "a!~/x/", "time=1", "a=1 and"] {
            assert_eq!(parse_predicate(text).unwrap_err().kind(), crate::error::ErrorKind::Invalid, "{text}");
        }
        let field = parse_predicate("_field=\"fuel\"").unwrap_err();
        assert_eq!(field.kind(), crate::error::ErrorKind::Unimplemented);
    }

    #[test]
    fn a_condition_does_not_hold_without_the_tag() {
        let tag = |key: &str| (key == "host").then_some("a");
        let holds = |text: &str| parse_predicate(text).unwrap()[0].holds("m", tag);
        assert!(holds("host=a") && holds("host!=b") && holds("_measurement=m"));
        assert!(!holds("host!=a") && !holds("rack=a") && !holds("rack!=a") && !holds("_measurement!=m"));
    }

    fn series(tag: &str) -> SeriesName {
        SeriesName { measurement: "m".into(), tags: [("t".into(), tag.into())].into() }
    }

    #[test]
    fn points_share_sets_and_sets_fit_into_records() {
        let points = vec![(series("a"), 2), (series("b"), 2), (series("a"), 1), (series("b"), 1), (series("c"), 1)];
        let sets = sets_of(points);
        assert_eq!(sets.len(), 2);
        assert_eq!((sets[0].series.len(), &sets[0].times), (2, &vec![1, 2]));
        let many = sets_of((0..40).flat_map(|tag| (0..20_000).map(move |time| (series(&tag.to_string()), time))));
        assert_eq!(many.len(), 1);
        let portions = portions(many.clone());
        assert!(portions.len() > 1);
        let sparse = sets_of((0..3_000).flat_map(|tag| (0..500).map(move |time| (series(&tag.to_string()), time))));
        let divided = super::portions(sparse);
        assert!(divided.len() > 1 && divided.iter().all(|portion| points_of(portion).count() <= RECORD_POINTS));
        for portion in &portions {
            let delete = Delete { bucket: "b".into(), what: Deleted::Points(portion.clone()) };
            assert!(delete.write().unwrap().len() < 512 << 10);
        }
        let mut all: Vec<_> = portions.iter().flat_map(|portion| points_of(portion)).collect();
        all.sort();
        let mut expected: Vec<_> = points_of(&many).collect();
        expected.sort();
        assert!(all == expected);
    }

    #[test]
    fn a_delete_reads_back() {
        let conditions = parse_predicate("_measurement=m and host!=\"a\"").unwrap();
        let range = RangeDelete { start_ns: -5, stop_ns: 9, predicate: conditions };
        for what in [Deleted::Range(range), Deleted::Points(sets_of([(series("a"), 7)]))] {
            let delete = Delete { bucket: "plant".into(), what };
            assert_eq!(Delete::read(delete.write().unwrap().as_bytes()).unwrap(), delete);
        }
        let text = r#"{"bucket":"b","range":{"start":0,"stop":1,"predicate":[{"key":"a","op":"=","value":"x"}]}}"#;
        assert!(Delete::read(text.as_bytes()).is_ok(), "as the documentation shows it");
        assert_eq!(Delete::read(b"{}").unwrap_err().code, ProblemCode::InvalidJson);
        let many = PointSet { series: vec![series("a"); 1_001], times: (0..1_000).collect() };
        let many = Delete { bucket: "b".into(), what: Deleted::Points(vec![many]) };
        assert_eq!(Delete::read(many.write().unwrap().as_bytes()).unwrap_err().code, ProblemCode::Refused);
    }
}
