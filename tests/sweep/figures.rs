//! Generated stages that make few rows of many: aggregates, selectors, windows, histograms; and what fits nowhere else.

use rand::Rng;

use super::data::Kind;
use super::pipelines::{Generator, Picture};
use super::script::Stage;
use super::worlds::BUCKET;

impl Generator<'_> {
    /// The column that a function works on, as an argument.
    pub(super) fn column(&mut self, picture: &Picture) -> String {
        if picture.wide { format!("column: {:?}", self.one_of(&["load", "v", "_time", "host"])) } else { String::new() }
    }

    pub(super) fn pick(&mut self, picture: &mut Picture) -> Option<Stage> {
        let kind = self.one_of(&["first", "last", "first", "last", "min", "max"]);
        if matches!(kind, "min" | "max") && !self.may(picture.numbers()) {
            return None;
        }
        let column = match self.rng.random_range(0..6) {
            0 => format!("column: {:?}", self.one_of(&["_time", "_time", "host"])),
            _ => self.column(picture),
        };
        Some(Stage::new(kind, format!("{kind}({column})")))
    }

    pub(super) fn aggregate(&mut self, picture: &mut Picture) -> Option<Stage> {
        let kind =
            self.one_of(&["count", "sum", "mean", "spread", "stddev", "median", "quantile", "count", "sum", "mean"]);
        let fits = if picture.wide { self.chance(0.4) } else { kind == "count" || picture.numbers() };
        if !self.may(fits) {
            return None;
        }
        let column = self.column(picture);
        let text = match (kind, column.is_empty()) {
            ("quantile", true) => format!(
                "quantile(q: {}, method: {:?})",
                self.one_of(&["0.0", "0.25", "0.9", "1.0"]),
                self.one_of(&["estimate_tdigest", "exact_mean", "exact_selector"])
            ),
            ("quantile", false) => format!("quantile(q: 0.5, {column})"),
            ("stddev", true) => format!("stddev(mode: {:?})", self.one_of(&["sample", "population"])),
            _ => format!("{kind}({column})"),
        };
        let selects = text.contains("exact_selector");
        picture.time &= selects;
        picture.value = match kind {
            "count" => Some(Kind::Int),
            "mean" | "stddev" | "median" | "quantile" if !selects => Some(Kind::Float),
            _ => picture.value,
        };
        Some(Stage::new(kind, text))
    }

    pub(super) fn windows(&mut self) -> String {
        let mut text = match self.rng.random_range(0..10) {
            0 => "every: 1m".to_owned(),
            1 | 2 => "every: 10m".to_owned(),
            3 => "every: 7m, offset: 3m".to_owned(),
            4 => "every: 20m, offset: -1ns".to_owned(),
            5 => "every: 10m, period: 25m".to_owned(),
            6 => "every: 10m, period: 4m".to_owned(),
            7 => "every: inf".to_owned(),
            8 => self.one_of(&["every: 1mo", "every: 1d", "every: 1w", "every: 1h"]).to_owned(),
            _ => "every: 15m".to_owned(),
        };
        if self.chance(0.1) {
            text.push_str(", location: timezone.location(name: \"Europe/Berlin\")");
        }
        text
    }

    pub(super) fn window(&mut self, picture: &mut Picture) -> Option<Stage> {
        if !self.may(picture.time) {
            return None;
        }
        picture.bounds = true;
        let empty = self.one_of(&["", "", ", createEmpty: true"]);
        Some(Stage::new("window", format!("window({}{empty})", self.windows())))
    }

    pub(super) fn aggregate_window(&mut self, picture: &mut Picture) -> Option<Stage> {
        if !self.may(picture.time && !picture.wide) {
            return None;
        }
        let mut fns = vec!["count", "first", "last"];
        if self.may(picture.numbers()) {
            fns.extend(["sum", "mean", "min", "max", "spread", "median", "stddev"]);
            fns.push("(tables=<-, column) => tables |> quantile(q: 0.9, column: column)");
            fns.push("(tables=<-, column) => tables |> limit(n: 2) |> sum(column: column)");
        }
        let function = self.one_of(&fns);
        let mut text = format!("aggregateWindow({}, fn: {function}", self.windows());
        text.push_str(self.one_of(&["", "", ", createEmpty: false", ", createEmpty: false", ", createEmpty: true"]));
        text.push_str(self.one_of(&["", "", "", ", timeSrc: \"_start\"", ", timeDst: \"when\""]));
        text.push(')');
        picture.value = match function {
            "count" => Some(Kind::Int),
            "mean" | "median" | "stddev" => Some(Kind::Float),
            _ => picture.value,
        };
        picture.time &= !text.contains("timeDst");
        Some(Stage::new("aggregateWindow", text))
    }

    pub(super) fn other(&mut self, picture: &mut Picture) -> Option<Stage> {
        match self.rng.random_range(0..10) {
            0 | 1 => {
                if !self.may(picture.time) {
                    return None;
                }
                let by = self.one_of(&["1h", "-90s", "1mo"]);
                Some(Stage::new("timeShift", format!("timeShift(duration: {by})")))
            }
            2 | 3 => {
                if !self.may(picture.kind() == Some(Kind::Float)) {
                    return None;
                }
                (picture.time, picture.value) = (false, Some(Kind::Float));
                let bins = self.one_of(&["2.5", "math.mInf(sign: 1)", "math.mInf(sign: 1)"]);
                Some(Stage::new("histogram", format!("histogram(bins: [-1.0, 0.0, {bins}])")))
            }
            4 | 5 => {
                picture.time = false;
                let (folds, identity) = match picture.kind() {
                    Some(Kind::Float) => ("s: accumulator.s + r._value, n: accumulator.n + 1", "s: 0.0, n: 0"),
                    Some(Kind::Int) => ("s: accumulator.s + r._value, n: accumulator.n + 1", "s: 0, n: 0"),
                    _ => ("n: accumulator.n + 1", "n: 0"),
                };
                picture.wide = true;
                let text = format!("reduce(fn: (r, accumulator) => ({{{folds}}}), identity: {{{identity}}})");
                Some(Stage::new("reduce", text))
            }
            6 => {
                if !self.may(picture.time && picture.labels) {
                    return None;
                }
                Some(Stage::new("to", format!("to(bucket: {BUCKET:?})")))
            }
            7 => {
                if !self.may(picture.kind() == Some(Kind::Float) && picture.in_order && picture.time) {
                    return None;
                }
                picture.value = Some(Kind::Float);
                let text = self.one_of(&[
                    "interpolate.linear(every: 5m)",
                    "exponentialMovingAverage(n: 2)",
                    "relativeStrengthIndex(n: 2)",
                    "integral(unit: 1m)",
                    "timedMovingAverage(every: 10m, period: 20m)",
                ]);
                picture.time &= !text.starts_with("integral");
                Some(Stage::new("of time series", text))
            }
            8 => Some(Stage::new("range", self.range())),
            _ => {
                if !self.may(picture.numbers()) {
                    return None;
                }
                let text = self.one_of(&[
                    "mode()",
                    "movingAverage(n: 2)",
                    "toFloat()",
                    "toString()",
                    "hourSelection(start: 0, stop: 0)",
                    "truncateTimeColumn(unit: 10m)",
                    "increase()",
                    "skew()",
                    "sample(n: 2, pos: 0)",
                ]);
                picture.value = match text {
                    "movingAverage(n: 2)" | "toFloat()" | "skew()" => Some(Kind::Float),
                    "toString()" => Some(Kind::String),
                    "increase()" if picture.kind() == Some(Kind::UInt) => Some(Kind::Int),
                    _ => picture.value,
                };
                picture.time &= !matches!(text, "mode()" | "skew()");
                Some(Stage::new("of numbers", text))
            }
        }
    }
}
