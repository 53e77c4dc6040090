//! Generated filters: on what a row is called, on its value, on both.

use rand::Rng;

use super::data::Kind;
use super::pipelines::{Generator, Picture, time};
use super::script::Stage;

impl Generator<'_> {
    /// A filter on measurement or field that leaves little.
    pub(super) fn narrow(&mut self, picture: &mut Picture) -> Stage {
        let (measurement, field, kind) = picture.left[self.rng.random_range(0..picture.left.len())];
        let (condition, keeps): (String, Box<dyn Fn(&(&str, &str, Kind)) -> bool>) = match self.rng.random_range(0..6) {
            0 | 1 => (
                format!("r._measurement == {measurement:?} and r._field == {field:?}"),
                Box::new(move |one| one.0 == measurement && one.1 == field),
            ),
            2 => (format!("r._field == {field:?}"), Box::new(move |one| one.1 == field)),
            3 => (format!("r._measurement == {measurement:?}"), Box::new(move |one| one.0 == measurement)),
            4 => ("r._field =~ /^(load|x)$/".to_owned(), Box::new(|one| one.1 == "load" || one.1 == "x")),
            _ => {
                let all = &self.data.measurements;
                let of_kind = all.iter().flat_map(|one| one.fields.iter().map(move |field| (one.name, field)));
                let parts: Vec<String> = of_kind
                    .filter(|(_, (_, own))| *own == kind)
                    .map(|(measurement, (field, _))| {
                        format!("(r._measurement == {measurement:?} and r._field == {field:?})")
                    })
                    .collect();
                (parts.join(" or "), Box::new(move |one| one.2 == kind))
            }
        };
        picture.left.retain(|one| keeps(one));
        if picture.left.is_empty() {
            picture.left.push((measurement, field, kind));
        }
        Stage::new("filter", format!("filter(fn: (r) => {condition})"))
    }

    pub(super) fn tag(&mut self) -> String {
        let tags = &self.data.tags;
        match self.rng.random_range(0..12) {
            0 => "nowhere".to_owned(),
            _ => tags[self.rng.random_range(0..tags.len())].to_owned(),
        }
    }

    pub(super) fn tag_condition(&mut self) -> String {
        let tag = self.tag();
        let value = self.one_of(&["a", "b", "A", "é", "", "none"]);
        match self.rng.random_range(0..9) {
            0..=2 => format!("r[{tag:?}] == {value:?}"),
            3 => format!("r[{tag:?}] != {value:?}"),
            4 => format!("exists r[{tag:?}]"),
            5 => format!("not exists r[{tag:?}]"),
            6 => format!("r[{tag:?}] =~ /^[aAé]/"),
            7 => format!("r[{tag:?}] !~ /b/"),
            _ => format!("not (r[{tag:?}] == {value:?})"),
        }
    }

    /// A condition on what a row is called: measurement, field, tags, time.
    pub(super) fn identity_condition(&mut self) -> String {
        let comparison = self.one_of(&[">=", "<", ">", "<=", "==", "!="]);
        let of_time = format!("r._time {comparison} {}", time(self.instant()));
        let (one, other) = (self.tag_condition(), self.tag_condition());
        match self.rng.random_range(0..9) {
            0 | 1 => one,
            2 => format!("{one} and {other}"),
            3 => format!("{one} or {other}"),
            4 => of_time,
            5 => format!("{of_time} and {one}"),
            6 => format!("{one} or {of_time}"),
            7 => format!("r._field == \"load\" or {one}"),
            _ => format!("(r._field =~ /^[lv]/ and {one}) or not (r._measurement == \"cpu\")"),
        }
    }

    /// A comparison of `_value` that holds of some rows.
    pub(super) fn value_condition(&mut self, picture: &Picture) -> Option<String> {
        let literal = match picture.kind() {
            Some(Kind::Float) => self.one_of(&["0.0", "-0.2", "1.5", "100000000000000000.0"]),
            Some(Kind::Int) => self.one_of(&["0", "7", "-1"]),
            Some(Kind::UInt) => self.one_of(&["uint(v: 7)", "0", "1"]),
            Some(Kind::Bool) => return Some(self.one_of(&["r._value", "not r._value", "r._value == true"]).to_owned()),
            Some(Kind::String) => self.one_of(&["\"a\"", "\"\"", "\"é\""]),
            None => return None,
        };
        let comparison = self.one_of(&["==", "!=", "<", "<=", ">", ">="]);
        Some(format!("r._value {comparison} {literal}"))
    }

    pub(super) fn filter(&mut self, picture: &mut Picture) -> Option<Stage> {
        let condition = match self.rng.random_range(0..12) {
            0 | 1 if !picture.wide && picture.labels && picture.value.is_none() => return Some(self.narrow(picture)),
            0..=2 => self.tag_condition(),
            3..=9 if !picture.wide => self.identity_condition(),
            3..=7 => self.tag_condition(),
            8 | 9 => self
                .one_of(&["exists r.load", "r.load > 0.0", "r.load > 0.0 or exists r.v", "not exists r.x"])
                .to_owned(),
            10 => format!("{} and {}", self.value_condition(picture)?, self.tag_condition()),
            _ => match self.value_condition(picture) {
                Some(condition) => condition,
                None if picture.wide => return None,
                None => self
                    .one_of(&[
                        "exists r._value",
                        "r._field == \"load\" and r._value > 0.0",
                        "r._field == \"n\" and r._value != 7 or r._field == \"msg\"",
                    ])
                    .to_owned(),
            },
        };
        let on_empty = if self.chance(0.08) { ", onEmpty: \"keep\"" } else { "" };
        Some(Stage::new("filter", format!("filter(fn: (r) => {condition}{on_empty})")))
    }
}
