//! A result as a record: flat JSON for everybody, and a schema header with which it reads back exactly.
//!
//! Written where a task's rows become records of a bucket's topic, read by the sink. The payload is one object:
//! `{"_measurement":"m","_time":1700000000000000000,"region":"US","fuel":491.5}`; time in nanoseconds as an integer.
//! JSON cannot tell a tag from a string field, nor `1` from `1.0`, so the header `fm-schema` says what each key is:
//! `{"region":"tag","fuel":"float"}` (`tag`, `int`, `uint`, `float`, `bool`, `string`). A column whose name is taken
//! already (a tag and a field may share one) stands under another key, and the header gives its name after a colon:
//! `"region_2":"string:region"`.

use std::borrow::Cow;

use bytes::Bytes;
use hashbrown::HashSet;
use serde::Serialize;
use serde_json::{Map, Value};

use super::json::{self, Json};
use super::names::Names;
use super::problem::{Problem, ProblemCode};
use super::{FieldValue, Point};
use crate::name::Name;

/// The key of the measurement.
const MEASUREMENT: &str = "_measurement";

/// The key of the time.
const TIME: &str = "_time";

/// Writes points. Points with the columns of the one before, as those of a task mostly are, share its schema.
#[derive(Debug, Default)]
pub struct Writer {
    layout: Option<Layout>,
}

/// How points with some columns are written.
#[derive(Debug)]
struct Layout {
    tags: Vec<Name>,
    fields: Vec<(Name, &'static str)>,
    /// In front of each value, those of tags first: `,"name":`.
    keys: Vec<Vec<u8>>,
    schema: Bytes,
}

impl Writer {
    /// A point's payload and its `fm-schema` header. A float must be finite (a [`Point`]'s are).
    pub fn write(&mut self, point: &Point) -> (Bytes, Bytes) {
        let layout = match self.layout.take() {
            Some(layout) if layout.fits(point) => layout,
            _ => Layout::of(point),
        };
        let layout = self.layout.insert(layout);
        let mut payload = Vec::with_capacity(64 + 2 * layout.schema.len());
        payload.extend_from_slice(b"{\"_measurement\":");
        push(&mut payload, &*point.measurement);
        payload.extend_from_slice(b",\"_time\":");
        push(&mut payload, &point.time_ns);
        let (of_tags, of_fields) = layout.keys.split_at(layout.tags.len());
        for (key, (_, value)) in of_tags.iter().zip(&point.tags) {
            payload.extend_from_slice(key);
            push(&mut payload, &**value);
        }
        for (key, (_, value)) in of_fields.iter().zip(&point.fields) {
            payload.extend_from_slice(key);
            match value {
                FieldValue::Bool(value) => push(&mut payload, value),
                FieldValue::Int(value) => push(&mut payload, value),
                FieldValue::UInt(value) => push(&mut payload, value),
                FieldValue::Float(value) => push(&mut payload, value),
                FieldValue::String(text) => push(&mut payload, &**text),
            }
        }
        payload.push(b'}');
        (payload.into(), layout.schema.clone())
    }
}

impl Layout {
    fn of(point: &Point) -> Layout {
        let mut taken: HashSet<String> = HashSet::from([MEASUREMENT.to_string(), TIME.to_string()]);
        let (mut keys, mut schema) = (Vec::new(), vec![b'{']);
        let tags = point.tags.iter().map(|(name, _)| (name, "tag"));
        let fields = point.fields.iter().map(|(name, value)| (name, value.type_name()));
        for (name, kind) in tags.chain(fields) {
            let key = free_key(&mut taken, name);
            let mut before = vec![b','];
            push(&mut before, &*key);
            before.push(b':');
            schema.extend_from_slice(if keys.is_empty() { &before[1..] } else { &before });
            match *key == **name {
                true => push(&mut schema, kind),
                false => push(&mut schema, &format!("{kind}:{name}")),
            }
            keys.push(before);
        }
        schema.push(b'}');
        Layout {
            tags: point.tags.iter().map(|(name, _)| name.clone()).collect(),
            fields: point.fields.iter().map(|(name, value)| (name.clone(), value.type_name())).collect(),
            keys,
            schema: schema.into(),
        }
    }

    fn fits(&self, point: &Point) -> bool {
        let (tags, fields) = (point.tags.iter(), point.fields.iter());
        self.tags.len() == tags.len()
            && self.fields.len() == fields.len()
            && tags.zip(&self.tags).all(|((name, _), own)| name == own)
            && fields.zip(&self.fields).all(|((name, value), own)| *name == own.0 && value.type_name() == own.1)
    }
}

/// Puts a value behind others as JSON writes it.
fn push(json: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    // Memory takes everything, and texts and numbers can be written.
    let _ = serde_json::to_writer(json, value);
}

fn free_key<'a>(taken: &mut HashSet<String>, name: &'a str) -> Cow<'a, str> {
    if taken.insert(name.to_string()) {
        return Cow::Borrowed(name);
    }
    let mut number = 2;
    loop {
        let key = format!("{name}_{number}");
        if taken.insert(key.clone()) {
            return Cow::Owned(key);
        }
        number += 1;
    }
}

/// Reads a payload with its `fm-schema` header.
///
/// Problems: `invalid-json` and its like for either text, `unknown-format` for a header that is no schema, `wrong-type`
/// for a value that is not of its column's type, `bad-time`, `missing-measurement`, `no-fields`.
pub fn read(payload: &[u8], schema: &[u8], names: &mut Names) -> Result<Point, Problem> {
    let schema: Map<String, Value> = serde_json::from_slice(schema).map_err(|error| {
        Problem::new(ProblemCode::UnknownFormat, format!("the header fm-schema is not a schema: {error}"))
    })?;
    let Json::Object(members) = json::read(payload)? else {
        return Err(Problem::new(ProblemCode::NotAnObject, "a result is an object"));
    };
    let mut measurement = None;
    let mut time_ns = None;
    let mut tags: Vec<(Name, Name)> = Vec::new();
    let mut fields: Vec<(Name, FieldValue)> = Vec::new();
    for (key, value) in &members {
        match (&**key, value) {
            (MEASUREMENT, Json::Text(text)) => measurement = Some(names.share(text)),
            (TIME, Json::Int(time)) => time_ns = Some(*time),
            (MEASUREMENT, _) => {
                return Err(Problem::new(ProblemCode::MissingMeasurement, "_measurement is not a text"));
            }
            (TIME, _) => return Err(Problem::new(ProblemCode::BadTime, "_time is not a number of nanoseconds")),
            (_, Json::Null) => {}
            (key, value) => {
                let Some(kind) = schema.get(key).and_then(Value::as_str) else {
                    let detail = format!("the header fm-schema does not say what {key:?} is");
                    return Err(Problem::new(ProblemCode::UnknownFormat, detail));
                };
                let (kind, name) = kind.split_once(':').unwrap_or((kind, key));
                match (kind, value) {
                    ("tag", Json::Text(text)) => tags.push((names.share(name), names.share(text))),
                    _ => fields.push((names.share(name), field(kind, key, value)?)),
                }
            }
        }
    }
    let Some(measurement) = measurement else {
        return Err(Problem::new(ProblemCode::MissingMeasurement, "the result has no _measurement"));
    };
    let Some(time_ns) = time_ns else {
        return Err(Problem::new(ProblemCode::BadTime, "the result has no _time"));
    };
    if fields.is_empty() {
        return Err(Problem::new(ProblemCode::NoFields, "the result has no field"));
    }
    tags.sort_by(|left, right| left.0.cmp(&right.0));
    if tags.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(Problem::new(ProblemCode::DuplicateKey, "the header fm-schema names one tag twice"));
    }
    Ok(Point { measurement, tags, fields, time_ns })
}

fn field(kind: &str, key: &str, value: &Json<'_>) -> Result<FieldValue, Problem> {
    let read = match (kind, value) {
        ("int", Json::Int(value)) => FieldValue::Int(*value),
        ("uint", Json::Int(value)) if *value >= 0 => FieldValue::UInt(value.unsigned_abs()),
        ("uint", Json::UInt(value)) => FieldValue::UInt(*value),
        ("float", Json::Float(value)) => FieldValue::Float(*value),
        ("float", Json::Int(value)) => FieldValue::Float(*value as f64),
        ("float", Json::UInt(value)) => FieldValue::Float(*value as f64),
        ("bool", Json::Bool(value)) => FieldValue::Bool(*value),
        ("string", Json::Text(text)) => FieldValue::String(Name::from(&**text)),
        ("int" | "uint" | "float" | "bool" | "string" | "tag", value) => {
            let detail = format!("{key:?} should be {kind}, but is {}", value.kind());
            return Err(Problem::new(ProblemCode::WrongType, detail));
        }
        (other, _) => {
            let detail = format!("the header fm-schema gives {key:?} the unknown type {other:?}");
            return Err(Problem::new(ProblemCode::UnknownFormat, detail));
        }
    };
    Ok(read)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn point() -> Point {
        Point {
            measurement: "genData".into(),
            tags: vec![("region".into(), "US".into())],
            fields: vec![
                ("fuel".into(), FieldValue::Float(500.0)),
                ("count".into(), FieldValue::Int(3)),
                ("region".into(), FieldValue::String("north".into())),
            ],
            time_ns: 1_700_000_000_123_456_789,
        }
    }

    #[test]
    fn the_text_is_what_the_format_says() {
        let (payload, schema) = Writer::default().write(&point());
        assert_eq!(
            payload,
            r#"{"_measurement":"genData","_time":1700000000123456789,"region":"US","fuel":500.0,"count":3,"region_2":"north"}"#
        );
        assert_eq!(schema, r#"{"region":"tag","fuel":"float","count":"int","region_2":"string:region"}"#);
    }

    #[test]
    fn what_does_not_fit_has_a_code() {
        let schema = br#"{"f":"int","t":"tag"}"#;
        let code =
            |payload: &str, schema: &[u8]| read(payload.as_bytes(), schema, &mut Names::default()).unwrap_err().code;
        assert_eq!(code(r#"{"_measurement":"m","_time":1,"f":1.5}"#, schema), ProblemCode::WrongType);
        assert_eq!(code(r#"{"_measurement":"m","_time":1,"f":1,"t":1}"#, schema), ProblemCode::WrongType);
        assert_eq!(code(r#"{"_measurement":"m","_time":1,"g":1}"#, schema), ProblemCode::UnknownFormat);
        assert_eq!(code(r#"{"_measurement":"m","_time":1,"f":1}"#, b"nothing"), ProblemCode::UnknownFormat);
        assert_eq!(code(r#"{"_measurement":"m","_time":1.5,"f":1}"#, schema), ProblemCode::BadTime);
        assert_eq!(code(r#"{"_measurement":"m","f":1}"#, schema), ProblemCode::BadTime);
        assert_eq!(code(r#"{"_time":1,"f":1}"#, schema), ProblemCode::MissingMeasurement);
        assert_eq!(code(r#"{"_measurement":"m","_time":1,"t":"x"}"#, schema), ProblemCode::NoFields);
        assert_eq!(code("[]", schema), ProblemCode::NotAnObject);
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

    /// Few letters, so that names collide with each other and with the keys that are made for a collision.
    fn name() -> impl Strategy<Value = String> {
        prop_oneof!["(_measurement|_time)(_2)?", "[ab](_2|:|\")?", "(?s).{1,6}"]
    }

    prop_compose! {
        fn any_point()(
            measurement in "(?s).{1,8}",
            tags in prop::collection::btree_map(name(), "(?s).{1,8}", 0..4),
            fields in prop::collection::btree_map(name(), value(), 1..5),
            time_ns: i64,
        ) -> Point {
            Point {
                measurement: measurement.into(),
                tags: tags.into_iter().map(|(tag, value)| (tag.into(), value.into())).collect(),
                fields: fields.into_iter().map(|(field, value)| (field.into(), value)).collect(),
                time_ns,
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(point in any_point(), others in prop::collection::vec(any_point(), 0..3)) {
            let mut writer = Writer::default();
            // The same columns twice, then others.
            for point in [point.clone(), Point { time_ns: 0, ..point }].iter().chain(&others) {
                let (payload, schema) = writer.write(point);
                let back = read(&payload, &schema, &mut Names::default()).unwrap();
                prop_assert_eq!(format!("{:?}", &back), format!("{:?}", point), "{:?} {:?}", payload, schema);
            }
        }
    }

    /// A layout is that of its columns and their types, not of their number.
    #[test]
    fn a_point_of_other_columns_has_its_own_schema() {
        let mut writer = Writer::default();
        writer.write(&point());
        for (field, value) in [("fuel", FieldValue::Int(1)), ("load", FieldValue::Float(1.0))] {
            let mut other = point();
            other.fields[0] = (field.into(), value);
            let own = writer.write(&other);
            assert_eq!(own, Writer::default().write(&other));
            assert_eq!(read(&own.0, &own.1, &mut Names::default()).unwrap(), other);
        }
    }
}
