//! Generated pipelines: from a seed, with weights, mostly ones that work and some that do not. `filters`, `rows` and
//! `figures` have the stages.
//!
//! The generator keeps a rough picture of the stream (which fields are left, whether `_value` is a number, whether fields
//! have become columns), so that most of what it writes has rows to work on. Where the picture is wrong, the script fails,
//! and it has to fail alike everywhere.

use std::fmt::Write;

use fluxmill::time::rfc3339;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::data::{Data, Kind, MINUTE, NOW, START};
use super::script::{Branch, Form, Script, Stage, Stages};
use super::worlds::BUCKET;

/// How often the picture of the stream is ignored.
const CARELESS: f64 = 0.06;

/// Every kind of stage and of script that is made.
pub const KINDS: [&str; 46] = [
    "aggregateWindow",
    "bottom",
    "count",
    "cumulativeSum",
    "derivative",
    "difference",
    "distinct",
    "drop",
    "duplicate",
    "elapsed",
    "fill",
    "filter",
    "findColumn",
    "first",
    "group",
    "histogram",
    "join",
    "keep",
    "last",
    "limit",
    "map",
    "max",
    "mean",
    "median",
    "min",
    "of numbers",
    "of time series",
    "pivot",
    "quantile",
    "range",
    "reduce",
    "rename",
    "set",
    "sort",
    "spread",
    "stateCount",
    "stddev",
    "sum",
    "tail",
    "timeShift",
    "to",
    "top",
    "union",
    "unique",
    "window",
    "yields",
];

/// What is thought of a stream.
#[derive(Clone)]
pub struct Picture {
    /// Measurement, field and type of what may be left of the bucket.
    pub left: Vec<(&'static str, &'static str, Kind)>,
    /// Fields are columns.
    pub wide: bool,
    /// The type of `_value`, if it is one for all tables and not that of the field any more.
    pub value: Option<Kind>,
    /// `_time` is there.
    pub time: bool,
    /// `_start` and `_stop` are there.
    pub bounds: bool,
    /// Tags, `_measurement` and `_field` are there.
    pub labels: bool,
    /// Rows are in the order of time.
    pub in_order: bool,
}

impl Picture {
    /// The one type of `_value`, if there is one.
    pub fn kind(&self) -> Option<Kind> {
        if self.wide {
            return None;
        }
        self.value.or_else(|| {
            let first = self.left.first()?.2;
            self.left.iter().all(|(_, _, kind)| *kind == first).then_some(first)
        })
    }

    /// Every `_value` is a number.
    pub fn numbers(&self) -> bool {
        let number = |kind: Kind| matches!(kind, Kind::Float | Kind::Int | Kind::UInt);
        match self.value {
            _ if self.wide => false,
            Some(kind) => number(kind),
            None => self.left.iter().all(|(_, _, kind)| number(*kind)),
        }
    }
}

/// Makes scripts over some data.
pub struct Generator<'a> {
    pub data: &'a Data,
    pub rng: StdRng,
}

/// A time as a literal.
pub fn time(time_ns: i64) -> String {
    rfc3339::to_short_text(time_ns)
}

impl Generator<'_> {
    pub fn one_of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts.choose(&mut self.rng).copied().unwrap_or_default()
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    /// Whether to go on although the picture says that a stage will fail.
    pub fn may(&mut self, fits: bool) -> bool {
        fits || self.chance(CARELESS)
    }

    pub fn script(&mut self) -> Script {
        let left = self.data.measurements.iter();
        let left = left.flat_map(|one| one.fields.iter().map(|(field, kind)| (one.name, *field, *kind))).collect();
        let mut picture =
            Picture { left, wide: false, value: None, time: true, bounds: true, labels: true, in_order: true };
        let read = format!("from(bucket: {BUCKET:?})\n    |> {}", self.range());
        let mut shared = Vec::new();
        if self.chance(0.7) {
            shared.push(self.narrow(&mut picture));
        }
        if self.chance(0.4) {
            self.pushable(&mut picture, &mut shared);
        }
        let count = [0, 1, 1, 2, 2, 3, 3, 4, 5, 6][self.rng.random_range(0..10)];
        let form = match self.rng.random_range(0..20) {
            0..=14 => {
                self.stages(count, &mut picture, &mut shared);
                Form::One
            }
            15 => {
                self.stages(count, &mut picture, &mut shared);
                Form::Found(self.one_of(&["_value", "_time", "host"]))
            }
            16 | 17 => {
                self.stages(count / 3, &mut picture, &mut shared);
                Form::Yields((0..2 + count % 2).map(|_| self.branch(count / 2 + 1, &picture).0).collect())
            }
            18 => {
                self.stages(count / 3, &mut picture, &mut shared);
                let (left, mut picture) = self.branch(count / 2, &picture);
                let (right, _) = self.branch(count / 2, &picture);
                picture.in_order = false;
                let mut then = Vec::new();
                self.stages(count / 3, &mut picture, &mut then);
                let call = "union(tables: [left, right])".to_owned();
                Form::Together { kind: "union", call, branches: [left, right], then }
            }
            _ => {
                let (left, mut picture) = self.branch(count / 3, &picture);
                let (right, _) = self.branch(count / 3, &picture);
                let call = self.join(&mut picture);
                let mut then = Vec::new();
                self.stages(count / 3, &mut picture, &mut then);
                Form::Together { kind: "join", call, branches: [left, right], then }
            }
        };
        Script { read, shared, form }
    }

    /// Stages that a scan may take over, one behind the other.
    fn pushable(&mut self, picture: &mut Picture, stages: &mut Stages) {
        for _ in 0..self.rng.random_range(0..3) {
            stages.push(Stage::new("filter", format!("filter(fn: (r) => {})", self.identity_condition())));
        }
        let kind = self.rng.random_range(0..6);
        let last = match kind {
            0 | 1 => self.pivot(picture),
            2 => self.pick(picture),
            3 => self.aggregate(picture),
            4 => self.aggregate_window(picture),
            _ => None,
        };
        stages.extend(last);
        // A scan looks ahead at what will be picked of tables.
        if matches!(kind, 0 | 1 | 5) && self.chance(0.4) {
            for _ in 0..self.rng.random_range(0..3) {
                stages.push(self.group(picture));
            }
            stages.extend(self.pick(picture));
        }
    }

    fn branch(&mut self, count: usize, picture: &Picture) -> (Branch, Picture) {
        let (mut picture, mut stages) = (picture.clone(), Vec::new());
        // Sometimes a read of its own, with other bounds.
        let own = self.chance(0.15).then(|| format!("from(bucket: {BUCKET:?})\n    |> {}", self.range()));
        if own.is_some() {
            stages.push(self.narrow(&mut picture));
        }
        self.stages(count, &mut picture, &mut stages);
        (Branch { read: own, stages }, picture)
    }

    fn stages(&mut self, count: usize, picture: &mut Picture, stages: &mut Stages) {
        for _ in 0..count {
            // A stage that does not fit is drawn again.
            if let Some(stage) = (0..20).find_map(|_| self.stage(picture)) {
                stages.push(stage);
            }
        }
    }

    /// A time at which something may happen: a point's, a nanosecond beside it, or one of the grid.
    pub fn instant(&mut self) -> i64 {
        let times = &self.data.times;
        match self.rng.random_range(0..4) {
            0 => START + self.rng.random_range(-5..=65) * MINUTE,
            1 => times[self.rng.random_range(0..times.len())],
            2 => times[self.rng.random_range(0..times.len())] + 1,
            _ => times[self.rng.random_range(0..times.len())] - 1,
        }
    }

    pub fn range(&mut self) -> String {
        match self.rng.random_range(0..10) {
            0 => "range(start: -1h)".to_owned(),
            1 => "range(start: 0)".to_owned(),
            2 => format!("range(start: {})", time(START + 10 * MINUTE)),
            3 => "range(start: -70m, stop: -13m)".to_owned(),
            4..=6 => format!("range(start: {}, stop: {})", time(START), time(NOW)),
            _ => {
                let (one, other) = (self.instant(), self.instant());
                // Sometimes empty.
                let (start, stop) = if self.chance(0.02) {
                    (one.max(other), one.min(other))
                } else {
                    (one.min(other), one.max(other) + 1)
                };
                format!("range(start: {}, stop: {})", time(start), time(stop))
            }
        }
    }

    fn stage(&mut self, picture: &mut Picture) -> Option<Stage> {
        match self.rng.random_range(0..100) {
            0..=14 => self.filter(picture),
            15..=22 => Some(self.group(picture)),
            23..=31 => self.columns(picture),
            32..=42 => self.map(picture),
            43..=47 => self.pivot(picture),
            48..=53 => self.pick(picture),
            54..=62 => self.aggregate(picture),
            63..=65 => self.window(picture),
            66..=71 => self.aggregate_window(picture),
            72..=80 => self.in_row_order(picture),
            81..=89 => self.few_rows(picture),
            _ => self.other(picture),
        }
    }

    fn join(&mut self, picture: &mut Picture) -> String {
        picture.in_order = false;
        match self.rng.random_range(0..4) {
            0 | 1 => {
                picture.wide = true;
                let mut on = String::from("\"_time\"");
                for column in ["_field", "_measurement", "host"] {
                    if self.chance(0.5) {
                        write!(on, ", {column:?}").unwrap();
                    }
                }
                format!("join(tables: {{a: left, b: right}}, on: [{on}])")
            }
            2 => "join.left(left: left, right: right, on: (l, r) => l._time == r._time, as: (l, r) => ({l with other: r._value}))".to_owned(),
            _ => "join.inner(left: left, right: right, on: (l, r) => l._time == r._time, as: (l, r) => ({l with other: r._value}))".to_owned(),
        }
    }
}
