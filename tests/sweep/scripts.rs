//! Random pipelines of Flux over the columns that the points have, and some that they have not.

use std::fmt::Write;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A stage of a pipeline: what it is counted as, and its text.
#[derive(Clone, Debug)]
pub struct Stage {
    pub kind: &'static str,
    pub text: String,
}

/// A script: a source, and what is made of it.
#[derive(Clone, Debug)]
pub struct Script {
    /// `range` and the filters behind it.
    pub source: Vec<Stage>,
    /// One or two branches.
    pub branches: Vec<Vec<Stage>>,
    pub end: End,
}

/// What becomes of branches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// A result each.
    Results,
    /// `union` of two.
    Union,
    /// `join` of two by time and host.
    Join,
}

impl Script {
    /// All stages.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.source.iter().chain(self.branches.iter().flatten())
    }

    /// The script without its `number`th stage; `range` stays.
    pub fn without(&self, mut number: usize) -> Option<Script> {
        let mut script = self.clone();
        for stages in std::iter::once(&mut script.source).chain(&mut script.branches) {
            if number >= stages.len() {
                number -= stages.len();
                continue;
            }
            if stages.remove(number).kind == "range" {
                return None;
            }
            return Some(script);
        }
        None
    }

    /// Its text.
    pub fn text(&self) -> String {
        let mut text = String::from("import \"influxdata/influxdb/schema\"\n\ndata = from(bucket: \"plant\")");
        let pipe = |text: &mut String, stages: &[Stage]| {
            stages.iter().for_each(|stage| write!(text, "\n    |> {}", stage.text).unwrap());
        };
        pipe(&mut text, &self.source);
        for (number, branch) in self.branches.iter().enumerate() {
            let begin = if self.end == End::Results { "" } else { ["a = ", "b = "][number] };
            write!(text, "\n\n{begin}data").unwrap();
            pipe(&mut text, branch);
            if self.end == End::Results {
                write!(text, "\n    |> yield(name: \"{number}\")").unwrap();
            }
        }
        match self.end {
            End::Results => {}
            End::Union => text.push_str("\n\nunion(tables: [a, b])"),
            End::Join => text.push_str("\n\njoin(tables: {a: a, b: b}, on: [\"_time\", \"host\"])"),
        }
        text.push('\n');
        text
    }
}

/// A random script.
pub fn script(random: &mut StdRng) -> Script {
    let (range, long) = range(random);
    let mut source = vec![stage("range", range)];
    let mut writer = Writer { random, pivoted: false, long };
    // Mostly one field, for most operators want values of one type.
    if writer.random.random_bool(0.7) {
        let (measurement, field) =
            *[("m", "f"), ("m", "f"), ("m", "g"), ("m", "i"), ("m", "u"), ("m", "s"), ("n", "x")]
                .choose(writer.random)
                .unwrap();
        let of = format!("r._measurement == \"{measurement}\" and r._field == \"{field}\"");
        source.push(stage("filter", format!("filter(fn: (r) => {of})")));
    } else if writer.random.random_bool(0.6) {
        source.push(stage("filter", "filter(fn: (r) => r._measurement == \"m\")".into()));
    }
    if writer.random.random_bool(0.3) {
        source.push(writer.filter());
    }
    let end = match writer.random.random_range(0..20) {
        0..=1 => End::Union,
        2 => End::Join,
        _ => End::Results,
    };
    let two = end != End::Results || writer.random.random_bool(0.1);
    let mut branches = Vec::new();
    for _ in 0..if two { 2 } else { 1 } {
        writer.pivoted = false;
        let count = *[0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6].choose(writer.random).unwrap();
        branches.push((0..count).map(|_| writer.stage()).collect());
    }
    Script { source, branches, end }
}

fn stage(kind: &'static str, text: String) -> Stage {
    Stage { kind, text }
}

/// And whether it is days long: then there are few windows.
fn range(random: &mut StdRng) -> (String, bool) {
    let times = [
        "2023-12-30T00:00:00Z",
        "2024-01-01T00:00:00Z",
        "2024-01-01T00:01:00Z",
        "2024-01-01T00:02:30.000000001Z",
        "2024-01-01T00:05:00Z",
        "2024-01-01T00:10:00Z",
        "2024-03-01T00:00:00Z",
    ];
    // Mostly all of the ten minutes.
    let (start, stop) = match random.random_range(0..10) {
        0..=5 => (1, 5),
        6 => (0, 6),
        _ => {
            let start = random.random_range(0..times.len() - 1);
            (start, random.random_range(start + 1..times.len()))
        }
    };
    let long = start == 0 || stop == times.len() - 1;
    (format!("range(start: {}, stop: {})", times[start], times[stop]), long)
}

struct Writer<'a> {
    random: &'a mut StdRng,
    /// Fields are columns.
    pivoted: bool,
    /// The range is days long.
    long: bool,
}

/// Values of each row that is compared, and a column that no row has.
const TEXTS: [(&str, &str); 8] = [
    ("_measurement", "m"),
    ("_measurement", "n"),
    ("_field", "f"),
    ("host", "a"),
    ("host", "é"),
    ("site", "z,w"),
    ("A", "x"),
    ("absent", "a"),
];

const COLUMNS: [&str; 9] = ["_measurement", "_field", "host", "site", "A", "late", "absent", "_start", "_stop"];

impl Writer<'_> {
    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of.choose(self.random).unwrap()
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    /// The column with values.
    fn value(&mut self) -> &'static str {
        match self.pivoted {
            true => self.one(&["f", "f", "g", "i", "x"]),
            false => {
                if self.chance(0.95) {
                    "_value"
                } else {
                    self.one(&["_time", "host", "f"])
                }
            }
        }
    }

    fn columns(&mut self) -> String {
        let count = self.random.random_range(0..4);
        let mut columns: Vec<&str> = COLUMNS.choose_multiple(self.random, count).copied().collect();
        if self.chance(0.2) {
            columns.push(self.value());
        }
        columns.dedup();
        format!("{columns:?}")
    }

    fn atom(&mut self) -> String {
        let (column, text) = *TEXTS.choose(self.random).unwrap();
        match self.random.random_range(0..12) {
            0..=2 => format!("r.{column} == {text:?}"),
            3 => format!("r[{column:?}] != {text:?}"),
            4 => format!("exists r.{column}"),
            5 => format!("r.{column} =~ /{}/", self.one(&["^m", "a|b", "^.$", "é", "x y"])),
            6 => format!("r.{column} !~ /{}/", self.one(&["^n", "b", "w$"])),
            7 => format!(
                "r._time {} 2024-01-01T00:0{}:00Z",
                self.one(&["<", "<=", ">", ">=", "=="]),
                self.random.random_range(0..10)
            ),
            8 => format!("{text:?} {} r.{column}", self.one(&["==", "<", ">="])),
            _ => {
                let (value, operator) = (self.value(), self.one(&["<", ">", "<=", ">=", "==", "!="]));
                format!("r.{value} {operator} {}", self.one(&["0", "1.5", "-3.0", "0.0", "3"]))
            }
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        match self.random.random_range(0..if depth == 0 { 1 } else { 6 }) {
            1 | 2 => format!("({} and {})", self.condition(depth - 1), self.condition(depth - 1)),
            3 => format!("({} or {})", self.condition(depth - 1), self.condition(depth - 1)),
            4 => format!("not {}", self.condition(depth - 1)),
            _ => self.atom(),
        }
    }

    fn filter(&mut self) -> Stage {
        let keep = if self.chance(0.15) { ", onEmpty: \"keep\"" } else { "" };
        stage("filter", format!("filter(fn: (r) => {}{keep})", self.condition(2)))
    }

    /// A function of a table's values, and its arguments.
    fn aggregate(&mut self) -> (&'static str, String) {
        let name = self.one(&[
            "count", "sum", "mean", "min", "max", "first", "last", "spread", "stddev", "median", "mode", "distinct",
        ]);
        let column =
            if self.pivoted || self.chance(0.1) { format!("column: {:?}", self.value()) } else { String::new() };
        (name, column)
    }

    fn every(&mut self) -> &'static str {
        match self.long {
            true => self.one(&["1d", "12h", "1w", "1mo"]),
            false => self.one(&["1m", "2m", "90s", "5m", "1h", "1d", "7s"]),
        }
    }

    fn stage(&mut self) -> Stage {
        let value = self.value();
        match self.random.random_range(0..40) {
            0..=3 => self.filter(),
            4..=6 => {
                let mode = self.one(&["", "", ", mode: \"by\"", ", mode: \"except\""]);
                let columns = self.columns();
                if self.chance(0.2) {
                    stage("group", "group()".into())
                } else {
                    stage("group", format!("group(columns: {columns}{mode})"))
                }
            }
            7 => stage(
                "keep",
                format!(
                    "keep(columns: [\"_time\", \"_value\", \"host\", {}])",
                    &self.columns().trim_matches(['[', ']'])
                )
                .replace(", ])", "])"),
            ),
            8 => {
                let columns = self.columns();
                match self.chance(0.7) {
                    true => stage("drop", format!("drop(columns: {columns})")),
                    false => stage(
                        "drop",
                        format!("drop(fn: (column) => column =~ /{}/)", self.one(&["^_st", "host", "^[A-Z]"])),
                    ),
                }
            }
            9 => stage(
                "rename",
                format!(
                    "rename(columns: {{{}: \"{}\"}})",
                    self.one(&["host", "_field", "A", "_value"]),
                    self.one(&["renamed", "Z", "site"])
                ),
            ),
            10 => stage(
                "duplicate",
                format!("duplicate(column: {value:?}, as: \"{}\")", self.one(&["copy", "host", "_value"])),
            ),
            11 => stage(
                "set",
                format!(
                    "set(key: \"{}\", value: \"{}\")",
                    self.one(&["host", "new", "_field", "A"]),
                    self.one(&["a", "", "é"])
                ),
            ),
            12..=15 => {
                let body = match self.random.random_range(0..8) {
                    0 => format!("{{r with {value}: r.{value} * 2.0}}"),
                    1 => format!("{{r with {value}: float(v: r.{value}) / 0.0}}"),
                    2 => format!("{{r with text: string(v: r.{value})}}"),
                    3 => "{r with host: if exists r.host then r.host + \"!\" else \"none\"}".to_string(),
                    4 => format!("{{r with level: if r.{value} > 1.0 then \"high\" else \"low\"}}"),
                    5 => format!("{{_time: r._time, _value: r.{value}, host: r.host}}"),
                    6 => "{r with at: int(v: r._time) / 60000000000}".to_string(),
                    _ => format!("{{r with {value}: 0.0 - r.{value}, _field: \"minus\"}}"),
                };
                stage("map", format!("map(fn: (r) => ({body}))"))
            }
            16 | 17 if !self.pivoted => {
                self.pivoted = true;
                match self.chance(0.3) {
                    true => stage("pivot", "schema.fieldsAsCols()".into()),
                    false => {
                        let row = self.one(&["\"_time\"", "\"_time\", \"host\"", "\"_time\", \"_measurement\""]);
                        let column = self.one(&["\"_field\"", "\"_field\"", "\"host\", \"_field\""]);
                        stage(
                            "pivot",
                            format!("pivot(rowKey: [{row}], columnKey: [{column}], valueColumn: \"_value\")"),
                        )
                    }
                }
            }
            18..=21 => {
                let (name, arguments) = self.aggregate();
                stage("aggregate", format!("{name}({arguments})"))
            }
            22 => stage(
                "quantile",
                format!(
                    "quantile(q: {}, method: \"{}\")",
                    self.one(&["0.5", "0.0", "0.9", "1.0"]),
                    self.one(&["exact_mean", "exact_selector", "estimate_tdigest"])
                ),
            ),
            23 => stage(
                "limit",
                format!("limit(n: {}, offset: {})", self.random.random_range(0..4), self.random.random_range(0..2)),
            ),
            24 => stage("tail", format!("tail(n: {})", self.random.random_range(1..4))),
            25 => {
                let by = if self.pivoted { value } else { "_value" };
                stage("sort", format!("sort(columns: [{by:?}, \"_time\"], desc: {})", self.chance(0.5)))
            }
            26 => stage(
                "top",
                format!(
                    "{}(n: {}, columns: [{value:?}])",
                    self.one(&["top", "bottom"]),
                    self.random.random_range(1..4)
                ),
            ),
            27 => {
                let (every, create) = (self.every(), self.chance(0.3));
                let period = if self.chance(0.2) { ", period: 3m" } else { "" };
                stage("window", format!("window(every: {every}{period}, createEmpty: {create})"))
            }
            28..=33 => {
                let (every, create) = (self.every(), self.chance(0.4));
                let (name, _) = self.aggregate();
                let function = match self.random.random_range(0..5) {
                    0 => format!("(column, tables=<-) => tables |> {name}(column: column)"),
                    1 => "(column, tables=<-) => tables |> quantile(q: 0.75, column: column)".to_string(),
                    _ => name.to_string(),
                };
                let column = if self.pivoted { format!(", column: {value:?}") } else { String::new() };
                let more = self.one(&["", "", "", ", offset: 30s", ", period: 3m", ", timeSrc: \"_start\""]);
                stage(
                    "aggregateWindow",
                    format!("aggregateWindow(every: {every}, fn: {function}{column}, createEmpty: {create}{more})"),
                )
            }
            34 => stage(
                "fill",
                match self.chance(0.5) {
                    true => format!("fill(column: {value:?}, usePrevious: true)"),
                    false => format!("fill(column: {value:?}, value: 7.5)"),
                },
            ),
            35 => {
                let text = self.one(&[
                    "cumulativeSum()",
                    "difference()",
                    "derivative(unit: 1s)",
                    "elapsed(unit: 1s)",
                    "increase()",
                    "movingAverage(n: 2)",
                    "difference(nonNegative: true, keepFirst: true)",
                ]);
                stage("changes", text.into())
            }
            36 => stage(
                "reduce",
                format!(
                    "reduce(fn: (r, accumulator) => ({{n: accumulator.n + 1, of: accumulator.of + float(v: r.{value})}}), identity: {{n: 0, of: 0.0}})"
                ),
            ),
            37 => stage(
                "states",
                match self.chance(0.5) {
                    true => format!("stateCount(fn: (r) => r.{value} > 0.0)"),
                    false => format!("stateDuration(fn: (r) => r.{value} > 0.0, unit: 1s)"),
                },
            ),
            38 => stage("timeShift", format!("timeShift(duration: {})", self.one(&["1m", "-30s", "1mo"]))),
            _ => {
                let text = self.one(&[
                    "unique(column: \"host\")",
                    "histogram(bins: [-1.0, 0.0, 1.0, 10.0])",
                    "to(bucket: \"out\", tagColumns: [\"host\"])",
                    "keys()",
                    "window(every: inf)",
                ]);
                stage("others", text.into())
            }
        }
    }
}
