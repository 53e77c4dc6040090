//! Expected values follow formats.md (identity, limits) and the route's documented rules.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const ARRIVAL: i64 = 1_700_000_000_000_000_000;

fn mapping(measurement: &str, tags: &[(&str, &str)], fields: &[(&str, &str, Option<FieldType>)]) -> Mapping {
    let levels = ["device".to_string()];
    Mapping::new(
        Template::new(measurement, &levels).unwrap(),
        tags.iter()
            .map(|(tag, source)| {
                let template =
                    if source.contains('{') { Template::new(source, &levels) } else { Template::path(source) };
                ((*tag).into(), template.unwrap())
            })
            .collect(),
        fields
            .iter()
            .map(|(name, path, field_type)| FieldSource {
                name: (*name).into(),
                path: Path::new(path).unwrap(),
                field_type: *field_type,
            })
            .collect(),
        Some(Path::new("at").unwrap()),
        TimeUnit::Ms,
    )
    .unwrap()
}

fn generators() -> Mapping {
    mapping("genData", &[("device", "{device}")], &[])
}

fn one(mapping: &Mapping, payload: &str) -> Point {
    let decoded = mapping.decode(payload.as_bytes(), &["gen-7"], ARRIVAL, &mut Names::default());
    assert_eq!(decoded.problems, vec![], "{payload}");
    assert_eq!(decoded.points.len(), 1);
    decoded.points[0].clone()
}

fn problem(mapping: &Mapping, payload: &str) -> Problem {
    let decoded = mapping.decode(payload.as_bytes(), &["gen-7"], ARRIVAL, &mut Names::default());
    assert_eq!(decoded.points, vec![], "{payload}");
    assert_eq!(decoded.problems.len(), 1);
    decoded.problems[0].clone()
}

fn float(name: &str, value: f64) -> (Name, FieldValue) {
    (name.into(), FieldValue::Float(value))
}

#[test]
fn a_flat_payload_gives_its_scalars_as_fields_and_numbers_as_floats() {
    let point = one(&generators(), r#"{"device":"gen-7","fuel":491,"load":3.25,"on":true,"note":"ok","none":null}"#);
    assert_eq!(&*point.measurement, "genData");
    assert_eq!(point.tags, vec![("device".into(), "gen-7".into())]);
    assert_eq!(
        point.fields,
        vec![
            float("fuel", 491.0),
            float("load", 3.25),
            ("on".into(), FieldValue::Bool(true)),
            ("note".into(), FieldValue::String("ok".into())),
        ]
    );
    assert_eq!(point.time_ns, ARRIVAL);
}

#[test]
fn nested_names_are_joined_by_an_underscore() {
    let point = one(&generators(), r#"{"engine":{"rpm":1,"oil":{"bar":2}},"axis":[3,{"x":4}]}"#);
    assert_eq!(
        point.fields,
        vec![float("engine_rpm", 1.0), float("engine_oil_bar", 2.0), float("axis_0", 3.0), float("axis_1_x", 4.0)]
    );
    let twice = problem(&generators(), r#"{"a":{"b":1},"a_b":2}"#);
    assert_eq!(twice.code, ProblemCode::DuplicateKey);
}

#[test]
fn an_array_gives_a_point_each_and_a_bad_element_harms_no_other() {
    let decoded = generators().decode(
        br#"[{"a":1},7,{"a":2,"at":5},{"at":"soon","a":1}]"#,
        &["gen-7"],
        ARRIVAL,
        &mut Names::default(),
    );
    let times: Vec<i64> = decoded.points.iter().map(|point| point.time_ns).collect();
    assert_eq!(times, [ARRIVAL, 5_000_000], "a point without a time has the arrival plus its place");
    let problems: Vec<_> = decoded.problems.iter().map(|problem| (problem.code, problem.item)).collect();
    assert_eq!(problems, [(ProblemCode::NotAnObject, Some(2)), (ProblemCode::BadTime, Some(4))]);
    let decoded = generators().decode(br#"[{"a":1},{"a":2}]"#, &["gen-7"], ARRIVAL, &mut Names::default());
    assert_eq!(decoded.points[1].time_ns, ARRIVAL + 1);
}

#[test]
fn declared_fields_are_renamed_and_typed() {
    let declared = mapping(
        "m",
        &[],
        &[
            ("rpm", "engine.rpm", Some(FieldType::Int)),
            ("oil", "engine.oil", None),
            ("count", "n", Some(FieldType::Uint)),
            ("serial", "serial", Some(FieldType::String)),
            ("temperature", "t", Some(FieldType::Float)),
            ("on", "on", Some(FieldType::Bool)),
        ],
    );
    let point = one(
        &declared,
        r#"{"engine":{"rpm":1500,"oil":2},"n":18446744073709551615,"serial":17,"t":"21.5","on":"true","more":1}"#,
    );
    assert_eq!(
        point.fields,
        vec![
            ("rpm".into(), FieldValue::Int(1500)),
            float("oil", 2.0),
            ("count".into(), FieldValue::UInt(u64::MAX)),
            ("serial".into(), FieldValue::String("17".into())),
            float("temperature", 21.5),
            ("on".into(), FieldValue::Bool(true)),
        ]
    );
    assert_eq!(one(&declared, r#"{"engine":{"rpm":3.0}}"#).fields, vec![("rpm".into(), FieldValue::Int(3))]);
    for wrong in [
        r#"{"engine":{"rpm":1.5}}"#,
        r#"{"engine":{"rpm":1e300}}"#,
        r#"{"engine":{"oil":[1]}}"#,
        r#"{"n":-1}"#,
        r#"{"t":"warm"}"#,
        r#"{"t":"NaN"}"#,
        r#"{"on":1}"#,
    ] {
        assert_eq!(problem(&declared, wrong).code, ProblemCode::WrongType, "{wrong}");
    }
    assert_eq!(problem(&declared, r#"{"other":1}"#).code, ProblemCode::NoFields);
}

#[test]
fn tags_come_from_levels_and_paths_and_are_never_empty() {
    let tagged = mapping("{kind}", &[("site", "meta.site"), ("both", "{device}-{meta.line}")], &[]);
    let point = one(&tagged, r#"{"kind":"pump","meta":{"site":"north","line":4},"a":1}"#);
    assert_eq!(&*point.measurement, "pump");
    assert_eq!(point.tags, vec![("both".into(), "gen-7-4".into()), ("site".into(), "north".into())]);
    assert_eq!(point.fields, vec![float("meta_line", 4.0), float("a", 1.0)], "what is a tag is no field as well");
    let missing = problem(&tagged, r#"{"kind":"pump","meta":{"line":4},"a":1}"#);
    assert_eq!(missing.code, ProblemCode::MissingTag);
    assert_eq!(missing.detail, "the tag site is missing: the payload has no meta.site");
    assert_eq!(problem(&tagged, r#"{"kind":"p","meta":{"line":4,"site":""},"a":1}"#).code, ProblemCode::MissingTag);
    assert_eq!(problem(&tagged, r#"{"a":1}"#).code, ProblemCode::MissingMeasurement);
    assert_eq!(problem(&tagged, r#"{"kind":"","a":1}"#).code, ProblemCode::MissingMeasurement);
    let without_topic = tagged.decode(br#"{"kind":"p","meta":{"line":4,"site":"n"}}"#, &[], 0, &mut Names::default());
    assert_eq!(without_topic.problems[0].code, ProblemCode::MissingTag);
}

#[test]
fn times_are_text_or_numbers_in_the_unit() {
    let time = |text: &str| one(&generators(), &format!(r#"{{"a":1,"at":{text}}}"#)).time_ns;
    assert_eq!(time("1700000000123"), 1_700_000_000_123_000_000);
    assert_eq!(time("1700000000123.25"), 1_700_000_000_123_250_000);
    assert_eq!(time("\"1700000000123\""), 1_700_000_000_123_000_000);
    assert_eq!(time("\"2023-11-14T22:13:20.123456789Z\""), 1_700_000_000_123_456_789);
    assert_eq!(time("\"2023-11-14T23:13:20+01:00\""), 1_700_000_000_000_000_000);
    assert_eq!(time("null"), ARRIVAL);
    for wrong in ["true", "\"yesterday\"", "\"\"", "1e300", "9223372036854775807", "[1]", "\"NaN\""] {
        assert_eq!(problem(&generators(), &format!(r#"{{"a":1,"at":{wrong}}}"#)).code, ProblemCode::BadTime, "{wrong}");
    }
}

#[test]
fn poison_is_named() {
    let cases: [(&str, ProblemCode); 7] = [
        ("not json", ProblemCode::InvalidJson),
        (r#"{"a":NaN}"#, ProblemCode::InvalidJson),
        (r#"{"a":1,"a":2}"#, ProblemCode::DuplicateKey),
        ("17", ProblemCode::NotAnObject),
        ("[]", ProblemCode::NotAnObject),
        ("{}", ProblemCode::NoFields),
        (r#"{"device":"gen-7"}"#, ProblemCode::NoFields),
    ];
    for (payload, code) in cases {
        assert_eq!(problem(&generators(), payload).code, code, "{payload}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(1_000), "}".repeat(1_000));
    assert_eq!(problem(&generators(), &deep).code, ProblemCode::TooDeep);
    let wide: Vec<String> = (0..=MAX_FIELDS).map(|number| format!("\"f{number}\":1")).collect();
    assert_eq!(problem(&generators(), &format!("{{{}}}", wide.join(","))).code, ProblemCode::TooManyValues);
    let long = "x".repeat(MAX_KEY_BYTES);
    assert_eq!(problem(&generators(), &format!("{{\"{long}\":1}}")).code, ProblemCode::Refused);
    let text = "x".repeat(MAX_STRING_BYTES + 1);
    assert_eq!(problem(&generators(), &format!("{{\"a\":\"{text}\"}}")).code, ProblemCode::Refused);
}

#[test]
fn reserved_names_are_refused_when_the_route_is_read() {
    let template = || Template::new("m", &[]).unwrap();
    for tag in RESERVED_TAGS {
        assert!(Mapping::new(template(), vec![(tag.into(), template())], vec![], None, TimeUnit::Ns).is_err());
    }
}

proptest! {
    #[test]
    fn every_point_is_well_formed(text in r#"(\{("[ab]":(1|"x"|null|\{"c":2\}|\[1,2\]|1e5|-7),?){0,4}\}?|.{0,20})"#) {
        let decoded = generators().decode(text.as_bytes(), &["gen-7"], ARRIVAL, &mut Names::default());
        prop_assert!(!decoded.points.is_empty() || !decoded.problems.is_empty());
        for point in decoded.points {
            prop_assert!(!point.fields.is_empty());
            prop_assert!(!point.measurement.is_empty());
        }
    }
}
