//! Completion at the end of a text, over data that stands still.
//!
//! Run with the library's own tests.

#![allow(clippy::unwrap_used)]

use super::super::session::Input;
use super::*;
use crate::functions::library;

struct Plant;

impl Schema for Plant {
    fn buckets(&self) -> Vec<String> {
        vec!["plant".to_string(), "plant_latest".to_string(), "other".to_string()]
    }

    fn measurements(&self, bucket: &str) -> Vec<MeasurementNames> {
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let fields = |names: &[&str]| names.iter().map(|name| (name.to_string(), "float".to_string())).collect();
        if bucket != "plant" {
            return Vec::new();
        }
        vec![
            MeasurementNames {
                name: "press".into(),
                tags: strings(&["hall", "machine"]),
                fields: fields(&["bar", "state_temp"]),
            },
            MeasurementNames { name: "oven".into(), tags: strings(&["line"]), fields: fields(&["celsius"]) },
        ]
    }
}

fn session() -> Session {
    let mut session = Session::default();
    let text = "import \"array\"\nlimits = {high: 1, low: 2}\nscale = (tables=<-, by) => tables\n\
        data = from(bucket: \"plant\") |> filter(fn: (r) => r._measurement == \"oven\")\n\
        from(bucket: \"plant\") |> range(start: -1h)";
    let parsed = crate::syntax::parse(text);
    assert!(!parsed.has_errors(), "{:?}", parsed.diagnostics);
    let input = Input { text, file: &parsed.file };
    session.adopt(&input, text.len(), |name| match name {
        "limits" => Some((None, "{high: int, low: int}".to_string())),
        _ => None,
    });
    session
}

/// The candidates where `|` stands.
fn at(text: &str) -> Vec<String> {
    let (before, after) = text.rsplit_once('§').unwrap();
    let completion = complete(before, after, &session(), library(), &Plant);
    completion.candidates.into_iter().map(|candidate| candidate.text).collect()
}

#[test]
fn parameters_are_offered_within_calls() {
    assert_eq!(at("from(bucket: \"plant\") |> range(st§"), ["start: ", "stop: "]);
    assert_eq!(at("from(bucket: \"plant\") |> range(start: -1h, §"), ["stop: "]);
    assert_eq!(at("data |> filter(fn: (r) => r.a == f(x: 1), onE§"), ["onEmpty: "]);
    assert_eq!(at("data |> scale(§"), ["by: "]);
    assert_eq!(at("scale(§"), ["tables: ", "by: "]);
    assert_eq!(at("array.from(§"), ["rows: "]);
    assert_eq!(at("range(st§: -1h)"), ["start", "stop"]);
}

#[test]
fn members_of_packages_and_records_are_offered_after_the_dot() {
    assert!(at("array.fr§").contains(&"from".to_string()));
    assert!(at("import d \"date\"\nd.ho§").contains(&"hour".to_string()));
    assert_eq!(at("limits.h§"), ["high"]);
    assert!(at("1.§").is_empty());
}

#[test]
fn import_paths_are_offered_within_import() {
    assert_eq!(at("import \"influxdata/influxdb/ta§"), ["influxdata/influxdb/tasks\""]);
    assert_eq!(at("import \"arr§\""), ["array"]);
    assert_eq!(at("import a \"arr§"), ["array\""]);
}

#[test]
fn names_of_the_data_are_offered_where_they_stand() {
    assert_eq!(at("from(bucket: \"pl§"), ["plant\"", "plant_latest\""]);
    assert_eq!(at("from(bucket: \"plant\") |> filter(fn: (r) => r._measurement == \"§"), ["press\"", "oven\""]);
    assert_eq!(at("from(bucket: \"plant\") |> filter(fn: (r) => r[\"_field\"] == \"st§"), ["state_temp\""]);
    let narrowed = "from(bucket: \"plant\") |> filter(fn: (r) => r._measurement == \"oven\" and r._field == \"§";
    assert_eq!(at(narrowed), ["celsius\""]);
    assert_eq!(at("from(bucket: \"plant\") |> filter(fn: (r) => r.m§"), ["machine"]);
    assert!(at("from(bucket: \"plant\") |> filter(fn: (r) => r.§").starts_with(&["_measurement".to_string()]));
    assert_eq!(at("data |> group(columns: [\"_field\", \"li§"), ["line\""], "the bucket stands in the definition");
    assert_eq!(at("|> filter(fn: (r) => r._field == \"st§"), ["state_temp\""], "it goes on from the last query");
    assert!(at("from(bucket: \"none\") |> filter(fn: (r) => r._measurement == \"§").is_empty());
}

#[test]
fn names_are_offered_elsewhere_and_after_a_pipe_those_that_take_one() {
    let names = at("x = 1\ny = §");
    for name in ["x", "data", "scale", "from", "array", "not"] {
        assert!(names.contains(&name.to_string()), "{name} in {names:?}");
    }
    let piped = at("data |> §");
    assert!(piped.contains(&"filter".to_string()) && piped.contains(&"scale".to_string()), "{piped:?}");
    assert!(!piped.contains(&"from".to_string()) && !piped.contains(&"limits".to_string()), "{piped:?}");
    assert_eq!(at("data |> filt§"), ["filter"]);
    assert!(at("\"a string §").is_empty());
    assert!(at("// a remark fi§").is_empty());
}

#[test]
fn commands_and_their_arguments_are_offered() {
    assert_eq!(at(":as§"), [":as-task"]);
    assert_eq!(at(":doc array.fr§"), ["array.from"]);
    assert_eq!(at(":set li§"), ["limit"]);
    assert_eq!(at(":plot from(bucket: \"oth§"), ["other\""]);
    assert!(at(":as-task §").is_empty());
}
