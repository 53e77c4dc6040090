//! Records to points: by content type, by the route of their topic.
//!
//! Called by the sink for each record and by `route try`. Pure: the same record gives the same points on every replay, so
//! long as the routes are the same.

use super::record::{self, header};
use super::route::{Route, Routes};
use crate::commitlog::Record;
use crate::point::delete::Delete;
use crate::point::line_protocol::{self, Options, Precision};
use crate::point::mapping::Decoded;
use crate::point::names::Names;
use crate::point::problem::{Problem, ProblemCode};
use crate::point::result_json;

/// What a record is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Points, and problems of what gives none.
    Points(Decoded),
    /// A delete.
    Delete(Delete),
}

/// Reads a record of a log topic. `arrival_ns` is the time of points without one.
pub fn record(record: &Record, topic: &str, routes: &Routes, arrival_ns: i64, names: &mut Names) -> Content {
    let payload = record.payload.as_ref();
    if let Some(schema) = record.header(header::SCHEMA) {
        return Content::Points(match result_json::read(payload, schema, names) {
            Ok(point) => Decoded { points: vec![point], problems: Vec::new() },
            Err(problem) => Decoded { points: Vec::new(), problems: vec![problem] },
        });
    }
    let content_type = record::text(record, header::CONTENT_TYPE).map(|value| value.split(';').next().unwrap_or(value));
    let decoded = match content_type.map(str::trim) {
        Some(record::DELETE) => match Delete::read(payload) {
            Ok(delete) => return Content::Delete(delete),
            Err(problem) => Decoded { points: Vec::new(), problems: vec![problem] },
        },
        Some(record::LINE_PROTOCOL) => lines(payload, arrival_ns, names),
        Some(record::JSON) | None => match routes.for_record(topic, record::text(record, header::SOURCE)) {
            Some(matched) => self::payload(matched.route, &matched.levels, payload, arrival_ns, names),
            // Others may write line protocol to a bucket's topic without saying so; JSON needs a route to be read by.
            None if content_type.is_none() && !matches!(payload.first(), Some(b'{' | b'[')) => {
                lines(payload, arrival_ns, names)
            }
            None => {
                let detail = format!("no route says how JSON in the topic {topic} becomes points");
                Decoded { points: Vec::new(), problems: vec![Problem::new(ProblemCode::UnknownFormat, detail)] }
            }
        },
        Some(other) => {
            let detail = format!("the content type {other:?} is none of {}, {}", record::JSON, record::LINE_PROTOCOL);
            Decoded { points: Vec::new(), problems: vec![Problem::new(ProblemCode::UnknownFormat, detail)] }
        }
    };
    Content::Points(decoded)
}

/// Reads a payload by a route.
pub fn payload(route: &Route, levels: &[&str], payload: &[u8], arrival_ns: i64, names: &mut Names) -> Decoded {
    match route.mapping() {
        Some(mapping) => mapping.decode(payload, levels, arrival_ns, names),
        None => lines(payload, arrival_ns, names),
    }
}

fn lines(payload: &[u8], arrival_ns: i64, names: &mut Names) -> Decoded {
    let options = Options { precision: Precision::Nanoseconds, default_time_ns: arrival_ns };
    let parsed = line_protocol::parse(payload, options, names);
    let mut decoded = Decoded::default();
    for bad in parsed.errors {
        decoded.problems.push(Problem::new(ProblemCode::InvalidLineProtocol, bad.message).of_item(bad.number));
    }
    for bad in parsed.refused {
        decoded.problems.push(Problem::new(ProblemCode::Refused, bad.message).of_item(bad.number));
    }
    decoded.points.extend(parsed.lines.into_iter().map(|line| line.point));
    if decoded.points.is_empty() && decoded.problems.is_empty() {
        decoded.problems.push(Problem::new(ProblemCode::NoFields, "the payload has no line"));
    }
    decoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use bytes::Bytes;

    use super::*;
    use crate::config::RouteConfig;
    use crate::name::Name;
    use crate::point::{FieldValue, Point};

    fn read(headers: &[(&str, &str)], payload: &str) -> Content {
        let routes = Routes::new(&[RouteConfig::generators()]).unwrap();
        let record = Record {
            offset: 7,
            timestamp_ms: 0,
            key: Bytes::new(),
            headers: headers.iter().map(|(name, value)| (Name::from(*name), Bytes::from(value.to_string()))).collect(),
            payload: Bytes::from(payload.to_string()),
        };
        super::record(&record, "kafka_raw", &routes, 99, &mut Names::default())
    }

    fn code(content: Content) -> ProblemCode {
        let Content::Points(decoded) = content else { panic!("{content:?}") };
        assert_eq!(decoded.points, vec![]);
        decoded.problems[0].code
    }

    fn point(content: Content) -> Point {
        let Content::Points(decoded) = content else { panic!("{content:?}") };
        assert_eq!(decoded.problems, vec![]);
        decoded.points[0].clone()
    }

    #[test]
    fn json_is_read_by_the_route_of_its_mqtt_topic() {
        let headers = [("content-type", "application/json"), ("fm-source", "emergency_generator/gen-7")];
        let json = point(read(&headers, r#"{"generatorID":"gen-7","fuel":5}"#));
        assert_eq!(&*json.measurement, "genData");
        assert_eq!(json.tags, vec![("generatorID".into(), "gen-7".into())]);
        assert_eq!(json.fields, vec![("fuel".into(), FieldValue::Float(5.0))]);
        assert_eq!(json.time_ns, 99);
        let plain = [("content-type", "application/json; charset=utf-8"), ("fm-source", "emergency_generator/gen-7")];
        assert_eq!(point(read(&plain, r#"{"fuel":5}"#)), json);
    }

    #[test]
    fn line_protocol_results_and_deletes_go_by_their_headers() {
        let lines = point(read(&[("content-type", record::LINE_PROTOCOL)], "m,a=b f=1i"));
        assert_eq!((lines.time_ns, lines.fields[0].1.clone()), (99, FieldValue::Int(1)));
        let result = point(read(
            &[("content-type", "application/json"), ("fm-schema", r#"{"f":"int"}"#)],
            r#"{"_measurement":"r","_time":3,"f":4}"#,
        ));
        assert_eq!((result.time_ns, result.fields[0].1.clone()), (3, FieldValue::Int(4)));
        let delete = r#"{"bucket":"b","range":{"start":0,"stop":5}}"#;
        let Content::Delete(delete) = read(&[("content-type", record::DELETE)], delete) else { panic!("no delete") };
        assert_eq!(&*delete.bucket, "b");
        assert_eq!(code(read(&[("content-type", record::DELETE)], "{}")), ProblemCode::InvalidJson);
    }

    #[test]
    fn what_cannot_be_read_has_a_code() {
        assert_eq!(code(read(&[("content-type", "image/png")], "x")), ProblemCode::UnknownFormat);
        assert_eq!(code(read(&[("content-type", record::LINE_PROTOCOL)], "m")), ProblemCode::InvalidLineProtocol);
        assert_eq!(code(read(&[("content-type", record::LINE_PROTOCOL)], "\n")), ProblemCode::NoFields);
        assert_eq!(code(read(&[], r#"{"fuel":5}"#)), ProblemCode::MissingTag, "a foreign record has no MQTT topic");
        assert_eq!(code(elsewhere("{}")), ProblemCode::UnknownFormat);
    }

    /// A record without headers in a topic that no route writes to.
    fn elsewhere(payload: &'static str) -> Content {
        let record = Record { offset: 0, timestamp_ms: 0, key: Bytes::new(), headers: vec![], payload: payload.into() };
        super::record(&record, "other", &Routes::default(), 0, &mut Names::default())
    }

    #[test]
    fn others_may_write_line_protocol_to_a_topic_without_a_route() {
        assert_eq!(point(elsewhere("m f=1 5")).time_ns, 5);
    }
}
