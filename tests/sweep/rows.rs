//! Generated stages that give rows for rows: grouping, columns, `map`, `pivot`, functions of a row and the one before.

use rand::Rng;

use super::data::Kind;
use super::pipelines::{Generator, Picture};
use super::script::Stage;

impl Generator<'_> {
    pub(super) fn group(&mut self, picture: &mut Picture) -> Stage {
        let (one, other) = (self.tag(), self.tag());
        // Rows of several series follow each other.
        picture.in_order = false;
        let text = match self.rng.random_range(0..10) {
            _ if picture.wide && self.chance(0.15) => {
                format!("group(columns: [{one:?}, {:?}])", self.one_of(&["load", "v", "_time"]))
            }
            0 | 1 => "group()".to_owned(),
            2..=4 => format!("group(columns: [{one:?}])"),
            5 => format!("group(columns: [{one:?}, {other:?}, \"_field\", \"_measurement\"])"),
            6 => "group(columns: [\"_measurement\", \"_field\"])".to_owned(),
            7 => "group(columns: [\"_field\", \"_start\", \"_stop\"])".to_owned(),
            8 => "group(columns: [\"_time\", \"_value\"], mode: \"except\")".to_owned(),
            _ => format!("group(columns: [\"_time\", \"_value\", {one:?}, \"_start\"], mode: \"except\")"),
        };
        Stage::new("group", text)
    }

    pub(super) fn columns(&mut self, picture: &mut Picture) -> Option<Stage> {
        let tag = self.tag();
        Some(match self.rng.random_range(0..12) {
            0 | 1 => {
                if tag == "nowhere" {
                    return Some(Stage::new("drop", "drop(fn: (column) => column =~ /^z/)"));
                }
                picture.in_order = false;
                Stage::new("drop", format!("drop(columns: [{tag:?}])"))
            }
            2 => {
                picture.bounds = false;
                Stage::new("drop", "drop(columns: [\"_start\", \"_stop\"])")
            }
            3 if !picture.wide => {
                (picture.bounds, picture.labels, picture.in_order) = (false, false, false);
                Stage::new("keep", format!("keep(columns: [\"_time\", \"_value\", {tag:?}])"))
            }
            4 => Stage::new("keep", "keep(fn: (column) => column !~ /^(host|zz)$/)"),
            5 => Stage::new("rename", "rename(fn: (column) => if column == \"host\" then \"machine\" else column)"),
            6 => {
                if !self.may(picture.labels && !picture.wide) {
                    return None;
                }
                picture.labels = false;
                Stage::new("rename", "rename(columns: {_measurement: \"Kind\"})")
            }
            7 | 8 => {
                if !self.may(picture.time) {
                    return None;
                }
                Stage::new("duplicate", "duplicate(column: \"_time\", as: \"when\")")
            }
            9 => {
                if !self.may(!picture.wide) {
                    return None;
                }
                Stage::new(
                    "duplicate",
                    format!("duplicate(column: \"_value\", as: {:?})", self.one_of(&["copy", "host"])),
                )
            }
            _ => {
                let value = self.one_of(&["a", "", "é"]);
                Stage::new("set", format!("set(key: {tag:?}, value: {value:?})"))
            }
        })
    }

    pub(super) fn map(&mut self, picture: &mut Picture) -> Option<Stage> {
        if picture.wide {
            let body = self.one_of(&[
                "{r with sum: r.load + r.load}",
                "{r with _value: r.load}",
                "{r with load: if exists r.load then r.load else 0.0}",
                "{_time: r._time, v: r.v, host: r.host}",
                "{r with both: r.load / r.v}",
            ]);
            return Some(Stage::new("map", format!("map(fn: (r) => ({body}))")));
        }
        let kind = picture.kind();
        let (body, value): (&str, Option<Kind>) = match self.rng.random_range(0..14) {
            0 | 1 => match kind? {
                Kind::Float => (
                    self.one_of(&[
                        "{r with _value: r._value * 2.5}",
                        "{r with _value: r._value / 0.0}",
                        "{r with _value: (r._value - r._value) / 0.0}",
                        "{r with _value: -r._value}",
                        "{r with _value: r._value + 0.1}",
                    ]),
                    Some(Kind::Float),
                ),
                Kind::Int => (
                    self.one_of(&[
                        "{r with _value: r._value * 3}",
                        "{r with _value: r._value + 1}",
                        "{r with _value: r._value / 7}",
                        "{r with _value: 7 / r._value}",
                    ]),
                    Some(Kind::Int),
                ),
                Kind::UInt => ("{r with _value: r._value + uint(v: 3)}", Some(Kind::UInt)),
                Kind::String => ("{r with _value: r._value + \"é\"}", Some(Kind::String)),
                Kind::Bool => ("{r with _value: not r._value}", Some(Kind::Bool)),
            },
            2 => {
                if !self.may(picture.numbers() || kind == Some(Kind::Bool)) {
                    return None;
                }
                ("{r with _value: float(v: r._value)}", Some(Kind::Float))
            }
            3 => ("{r with _value: string(v: r._value)}", Some(Kind::String)),
            4 => ("{r with _value: exists r.host}", Some(Kind::Bool)),
            5 => ("{r with extra: r._value, where: if exists r.host then r.host else \"none\"}", picture.value),
            6 => {
                picture.in_order = false;
                ("{r with host: \"all\"}", picture.value)
            }
            7 => {
                if !self.may(picture.labels) {
                    return None;
                }
                ("{r with _measurement: r._field, _field: \"f\"}", picture.value)
            }
            8 => match kind {
                Some(Kind::Float) => ("{r with host: if r._value > 0.0 then \"up\" else \"down\"}", Some(Kind::Float)),
                Some(Kind::Int) => ("{r with zz: if r._value > 0 then \"up\" else \"down\"}", Some(Kind::Int)),
                _ => return None,
            },
            9 => match kind {
                Some(Kind::Float) => {
                    ("{r with _value: if r._value > 0.0 then r._value else r.nowhere}", Some(Kind::Float))
                }
                Some(Kind::Int) => {
                    ("{r with _value: if r._value != 7 then float(v: r._value) else r.nowhere}", Some(Kind::Float))
                }
                _ => return None,
            },
            10 => {
                (picture.bounds, picture.labels, picture.in_order) = (false, false, false);
                ("{_time: r._time, _value: r._value}", picture.value)
            }
            11 => {
                (picture.bounds, picture.labels, picture.time) = (false, false, false);
                ("{_value: r._value, host: r.host}", picture.value)
            }
            12 => {
                picture.in_order = true;
                ("{r with _time: r._start}", picture.value)
            }
            _ => ("{r with from: r._start, _stop: r._time}", picture.value),
        };
        if !self.may(picture.time || !body.contains("_time")) {
            return None;
        }
        picture.value = value;
        Some(Stage::new("map", format!("map(fn: (r) => ({body}))")))
    }

    pub(super) fn pivot(&mut self, picture: &mut Picture) -> Option<Stage> {
        if !self.may(!picture.wide && picture.time && picture.labels) {
            return None;
        }
        picture.wide = true;
        let text = self.one_of(&[
            "pivot(rowKey: [\"_time\"], columnKey: [\"_field\"], valueColumn: \"_value\")",
            "v1.fieldsAsCols()",
            "schema.fieldsAsCols()",
            "pivot(rowKey: [\"_time\", \"host\"], columnKey: [\"_measurement\", \"_field\"], valueColumn: \"_value\")",
        ]);
        Some(Stage::new("pivot", text))
    }

    pub(super) fn in_row_order(&mut self, picture: &mut Picture) -> Option<Stage> {
        let kind =
            self.one_of(&["cumulativeSum", "difference", "derivative", "derivative", "elapsed", "stateCount", "fill"]);
        let fits = match kind {
            "derivative" => picture.numbers() && picture.time && picture.in_order,
            "elapsed" => picture.time,
            "cumulativeSum" | "difference" => picture.numbers(),
            "fill" => true,
            _ => !picture.wide,
        };
        if !self.may(fits) {
            return None;
        }
        let text = match kind {
            "cumulativeSum" => "cumulativeSum()".to_owned(),
            "difference" => format!("difference({})", self.one_of(&["", "nonNegative: true", "keepFirst: true"])),
            "derivative" => format!("derivative(unit: 1m{})", self.one_of(&["", ", nonNegative: true"])),
            "elapsed" => format!("elapsed(unit: {})", self.one_of(&["1s", "1ns", "1m"])),
            "stateCount" => {
                let condition = self.value_condition(picture).unwrap_or_else(|| "exists r._value".to_owned());
                format!("stateCount(fn: (r) => {condition})")
            }
            _ if picture.wide => "fill(column: \"load\", value: 0.5)".to_owned(),
            _ if self.chance(0.2) => "fill(column: \"host\", value: \"b\")".to_owned(),
            _ => match picture.kind() {
                Some(Kind::Float) if self.chance(0.6) => "fill(value: 0.0)".to_owned(),
                Some(Kind::Int) if self.chance(0.6) => "fill(value: -1)".to_owned(),
                _ => "fill(usePrevious: true)".to_owned(),
            },
        };
        picture.value = match (kind, picture.kind()) {
            ("derivative", _) => Some(Kind::Float),
            ("difference", Some(Kind::UInt)) => Some(Kind::Int),
            _ => picture.value,
        };
        Some(Stage::new(kind, text))
    }

    pub(super) fn few_rows(&mut self, picture: &mut Picture) -> Option<Stage> {
        let kind = self.one_of(&["limit", "limit", "tail", "sort", "sort", "top", "bottom", "distinct", "unique"]);
        let (n, offset) = (self.rng.random_range(0..6), self.one_of(&["", "", ", offset: 1", ", offset: 30"]));
        let text = match kind {
            "limit" | "tail" => format!("{kind}(n: {n}{offset})"),
            "sort" => {
                picture.in_order = false;
                let columns = if picture.wide {
                    "[\"load\", \"_time\"]"
                } else {
                    self.one_of(&["[\"_value\"]", "[\"_time\"]", "[\"host\", \"_value\"]", "[\"_value\", \"_time\"]"])
                };
                format!("sort(columns: {columns}, desc: {})", self.one_of(&["true", "false"]))
            }
            "top" | "bottom" => {
                picture.in_order = false;
                let columns = if picture.wide { ", columns: [\"load\"]" } else { "" };
                format!("{kind}(n: {n}{columns})")
            }
            _ => {
                let column = if picture.wide { "_time" } else { self.one_of(&["_value", "_value", "_field", "host"]) };
                if kind == "distinct" {
                    picture.time = false;
                    if column != "_value" {
                        (picture.value, picture.wide) = (Some(Kind::String), false);
                    }
                }
                format!("{kind}(column: {column:?})")
            }
        };
        Some(Stage::new(kind, text))
    }
}
