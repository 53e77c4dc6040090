//! Expected values follow InfluxDB 2's rules for line protocol (spec page, section 3) and its error texts.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::name::Name;
use crate::point::names::Names;
use crate::point::{FieldValue, Point, RESERVED_TAGS, TIME_RANGE_NS, series_key};

fn read(text: &str) -> Parsed {
    read_at(text, Precision::Nanoseconds)
}

fn read_at(text: &str, precision: Precision) -> Parsed {
    parse(text.as_bytes(), Options { precision, default_time_ns: 1_999_999_999 }, &mut Names::default())
}

fn one(text: &str) -> Point {
    let parsed = read(text);
    assert!(parsed.errors.is_empty() && parsed.refused.is_empty(), "{parsed:?}");
    assert_eq!(parsed.lines.len(), 1);
    parsed.lines[0].point.clone()
}

fn error(text: &str) -> String {
    let parsed = read(text);
    assert_eq!(parsed.errors.len(), 1, "{parsed:?}");
    parsed.errors[0].message.clone()
}

fn field(name: &str, value: FieldValue) -> (Name, FieldValue) {
    (name.into(), value)
}

#[test]
fn every_type() {
    let point = one(r#"m,b=2,a=1 f=1.5,e=-2e3,i=-7i,u=18446744073709551615u,t=T,n=false,s="a b,c=\"d\" \\ \n" 12"#);
    assert_eq!(&*point.measurement, "m");
    assert_eq!(point.tags, vec![("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(
        point.fields,
        vec![
            field("f", FieldValue::Float(1.5)),
            field("e", FieldValue::Float(-2000.0)),
            field("i", FieldValue::Int(-7)),
            field("u", FieldValue::UInt(u64::MAX)),
            field("t", FieldValue::Bool(true)),
            field("n", FieldValue::Bool(false)),
            field("s", FieldValue::String(r#"a b,c="d" \ \n"#.into())),
        ]
    );
    assert_eq!(point.time_ns, 12);
}

#[test]
fn all_spellings_of_booleans() {
    for (word, value) in ["t", "T", "true", "True", "TRUE"].map(|word| (word, true)) {
        assert_eq!(one(&format!("m f={word}")).fields[0].1, FieldValue::Bool(value));
    }
    for (word, value) in ["f", "F", "false", "False", "FALSE"].map(|word| (word, false)) {
        assert_eq!(one(&format!("m f={word}")).fields[0].1, FieldValue::Bool(value));
    }
}

#[test]
fn escapes() {
    let point = one(r"my\ m\,x=y,tag\ k\=1=v\,1\ \=,back=a\b f\ 1\,\==1 5");
    assert_eq!(&*point.measurement, "my m,x=y");
    assert_eq!(point.tags, vec![("back".into(), r"a\b".into()), ("tag k=1".into(), "v,1 =".into())]);
    assert_eq!(&*point.fields[0].0, "f 1,=");
}

#[test]
fn a_trailing_backslash_swallows_the_delimiter() {
    assert_eq!(&*one(r"m,a=b\ c f=1").tags[0].1, "b c");
    assert!(error(r"m,a=b\ f=1").ends_with("invalid tag format"));
}

#[test]
fn strings_may_hold_line_feeds_and_bad_lines_do_not_spread() {
    let parsed = read("m s=\"one\ntwo\" 1\nbroken\r\n# m f=1\n\n \t m f=2 2\r\nm f=\"a\\\\\" 3\nm,q=\"x f=4 4");
    assert_eq!(parsed.lines.iter().map(|line| line.number).collect::<Vec<_>>(), [1, 6, 7, 8]);
    assert_eq!(parsed.lines[0].point.fields[0].1, FieldValue::String("one\ntwo".into()));
    assert_eq!(parsed.lines[2].point.fields[0].1, FieldValue::String("a\\".into()));
    assert_eq!(parsed.errors.len(), 1);
    assert_eq!(parsed.errors[0].number, 3);
    assert_eq!(parsed.errors[0].message, "unable to parse 'broken': missing fields");
}

#[test]
fn reasons() {
    let cases = [
        ("cpu", "missing fields"),
        (",a=b f=1", "missing measurement"),
        ("m,=b f=1", "missing tag key"),
        ("m,a f=1", "missing tag value"),
        ("m,a= f=1", "missing tag value"),
        ("m,a=b=c f=1", "invalid tag format"),
        ("m,a=1,a=2 f=1", "duplicate tags"),
        ("m =1", "missing field key"),
        ("m f=", "missing field value"),
        ("m f=,g=1", "missing field value"),
        ("m f", "invalid field format"),
        ("m f=1,", "missing field key"),
        ("m f=\"a", "unbalanced quotes"),
        ("m f=\"a\"b", "invalid field format"),
        ("m f=nan", "invalid number"),
        ("m f=NaN", "invalid number"),
        ("m f=inf", "invalid number"),
        ("m f=-Inf", "invalid number"),
        ("m f=1e999", "invalid number"),
        ("m f=+1", "invalid number"),
        ("m f=1.5i", "invalid number"),
        ("m f=9223372036854775808i", "invalid number"),
        ("m f=-1u", "invalid number"),
        ("m f=+1i", "invalid number"),
        ("m f=1x", "invalid number"),
        ("m f=tru", "invalid boolean"),
        ("m f=1 12.5", "bad timestamp"),
        ("m f=1 1 2", "bad timestamp"),
        ("m f=1 9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806"),
    ];
    for (line, reason) in cases {
        assert_eq!(error(line), format!("unable to parse '{line}': {reason}"));
    }
}

#[test]
fn not_utf8_is_a_bad_line() {
    let options = Options { precision: Precision::Nanoseconds, default_time_ns: 0 };
    let parsed = parse(b"m f=1 1\nm,a=\xff f=1\nm f=2 2", options, &mut Names::default());
    assert_eq!(parsed.lines.len(), 2);
    assert!(parsed.errors[0].message.ends_with("invalid UTF-8"));
}

#[test]
fn times() {
    assert_eq!(read_at("m f=1 -3", Precision::Seconds).lines[0].point.time_ns, -3_000_000_000);
    assert_eq!(read_at("m f=1 5", Precision::Milliseconds).lines[0].point.time_ns, 5_000_000);
    assert_eq!(read_at("m f=1 5", Precision::Microseconds).lines[0].point.time_ns, 5_000);
    assert_eq!(read_at("m f=1", Precision::Seconds).lines[0].point.time_ns, 1_000_000_000, "cut to the precision");
    assert_eq!(read("m f=1").lines[0].point.time_ns, 1_999_999_999);
    assert_eq!(read("m f=1 -9223372036854775806").lines.len(), 1);
    assert_eq!(read_at("m f=1 9223372037", Precision::Seconds).errors.len(), 1, "beyond int64 nanoseconds");
}

#[test]
fn reserved_names_refuse_the_point_not_the_body() {
    for tag in RESERVED_TAGS {
        let parsed = read(&format!("m,{tag}=x f=1\nm f=2"));
        assert_eq!((parsed.lines.len(), parsed.errors.len(), parsed.refused.len()), (1, 0, 1), "{tag}");
    }
    assert_eq!(one("m time=1,f=2").fields, vec![field("f", FieldValue::Float(2.0))]);
    assert_eq!(read("m time=1").refused.len(), 1);
}

#[test]
fn sizes() {
    let long = "x".repeat(MAX_TAG);
    assert_eq!(read(&format!("m,t={long} f=1")).refused.len(), 1);
    assert_eq!(read(&format!("m f=\"{}\"", "x".repeat(1 << 20))).lines.len(), 1);
    assert_eq!(read(&format!("m f=\"{}\"", "x".repeat((1 << 20) + 1))).refused.len(), 1);
}

const MAX_TAG: usize = 65_536;

#[test]
fn of_a_field_given_twice_the_last_wins() {
    assert_eq!(
        one("m a=1,b=2,a=3").fields,
        vec![field("a", FieldValue::Float(3.0)), field("b", FieldValue::Float(2.0))]
    );
}

#[test]
fn a_series_key_is_sorted_and_escaped() {
    let point = one(r"my\ m,z=1,a\,b=c\=d f=1");
    assert_eq!(series_key(&point.measurement, &point.tags), r"my\ m,a\,b=c\=d,z=1");
}

#[test]
fn what_has_no_spelling_is_refused_and_leaves_nothing_behind() {
    let good = one("m,a=b f=1 1");
    let with = |change: fn(&mut Point)| {
        let mut point = good.clone();
        change(&mut point);
        let mut text = "before\n".to_string();
        assert!(write(&mut text, &point).is_err());
        assert_eq!(text, "before\n");
    };
    with(|point| point.tags[0].1 = "ends\\".into());
    with(|point| point.tags[0].0 = "a\nb".into());
    with(|point| point.tags[0].1 = "".into());
    with(|point| point.fields.clear());
    with(|point| point.fields[0].1 = FieldValue::Float(f64::NAN));
    with(|point| point.fields[0].0 = "time".into());
    with(|point| point.tags[0].0 = "_field".into());
    with(|point| point.measurement = "#m".into());
    with(|point| point.measurement = " m".into());
    with(|point| point.time_ns = i64::MAX);
}

fn name() -> impl Strategy<Value = Name> {
    "[^\\n]{0,6}[^\\\\\\n]".prop_map(Name::from)
}

fn value() -> impl Strategy<Value = FieldValue> {
    prop_oneof![
        any::<bool>().prop_map(FieldValue::Bool),
        any::<i64>().prop_map(FieldValue::Int),
        any::<u64>().prop_map(FieldValue::UInt),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(FieldValue::Float),
        "(?s).{0,12}".prop_map(|text| FieldValue::String(text.into())),
    ]
}

fn point() -> impl Strategy<Value = Point> {
    let tags = prop::collection::btree_map(name(), name(), 0..4);
    let fields = prop::collection::btree_map(name(), value(), 1..5);
    (name(), tags, fields, TIME_RANGE_NS).prop_map(|(measurement, tags, fields, time_ns)| Point {
        measurement,
        tags: tags.into_iter().collect(),
        fields: fields.into_iter().collect(),
        time_ns,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(points in prop::collection::vec(point(), 1..4)) {
        let mut text = String::new();
        let written: Vec<&Point> = points.iter().filter(|point| write(&mut text, point).is_ok()).collect();
        let parsed = read(&text);
        prop_assert_eq!((parsed.errors.len(), parsed.refused.len()), (0, 0), "{:?}", parsed);
        let read: Vec<&Point> = parsed.lines.iter().map(|line| &line.point).collect();
        prop_assert_eq!(read, written, "{:?}", text);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse(&bytes, Options { precision: Precision::Seconds, default_time_ns: i64::MAX }, &mut Names::default());
    }

    #[test]
    fn near_line_protocol_is_read_without_a_panic(text in "[m,=\\\\ \"\\n\\r#1iut.e-]{0,60}") {
        let parsed = read(&text);
        for line in parsed.lines {
            prop_assert!(!line.point.fields.is_empty());
            prop_assert!(line.point.tags.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
