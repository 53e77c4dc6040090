//! Expected values follow formats.md (2, 6) and the commented configuration.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::point::FieldValue;
use crate::point::problem::ProblemCode;

fn routes(toml: &str) -> Result<Routes> {
    #[derive(serde::Deserialize)]
    struct File {
        route: Vec<RouteConfig>,
    }
    let file: File = toml::from_str(toml).unwrap();
    Routes::new(&file.route)
}

#[test]
fn the_generators_are_routed_by_default() {
    let routes = Routes::new(&[RouteConfig::generators()]).unwrap();
    let payload = br#"{"generatorID":"gen-7","lat":40.1,"lon":-8.2,"temperature":186,"power":186,"load":2,"fuel":277}"#;
    let tried = try_route(&routes, "emergency_generator/gen-7", payload, 1_000).unwrap();
    assert_eq!(&*tried.topic, "kafka_raw");
    assert_eq!(tried.key, "gen-7");
    assert_eq!(tried.decoded.problems, vec![]);
    let point = &tried.decoded.points[0];
    assert_eq!(&*point.measurement, "genData");
    assert_eq!(point.tags, vec![("generatorID".into(), "gen-7".into())]);
    let fields: Vec<&str> = point.fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(fields, ["lat", "lon", "temperature", "power", "load", "fuel"]);
    assert!(point.fields.iter().all(|(_, value)| matches!(value, FieldValue::Float(_))));
    assert_eq!(point.time_ns, 1_000);
    assert_eq!(try_route(&routes, "other/gen-7", payload, 0), None);
    assert_eq!(routes.topics(), ["kafka_raw".into()]);
}

#[test]
fn the_first_matching_route_wins_and_its_levels_fill_key_and_tags() {
    let routes = routes(
        r#"
        [[route]]
        filter = "factory/{site}/+/{device}/#"
        topic = "plant"
        key = "{site}.{device}"
        measurement = "machine_{site}"
        tags = { site = "{site}", device = "{device}", batch = "meta.batch" }
        fields = { rpm = { path = "engine.rpm", type = "int" }, oil = "engine.oil" }
        time = "at"
        time_unit = "ms"

        [[route]]
        filter = "factory/#"
        topic = "rest"
        format = "line_protocol"
        "#,
    )
    .unwrap();
    let payload = br#"{"engine":{"rpm":900,"oil":1},"meta":{"batch":7},"at":5}"#;
    let tried = try_route(&routes, "factory/north/hall/pump/x", payload, 0).unwrap();
    assert_eq!(
        (&*tried.topic, &*tried.key, &*tried.filter),
        ("plant", &b"north.pump"[..], "factory/{site}/+/{device}/#")
    );
    let point = &tried.decoded.points[0];
    assert_eq!(&*point.measurement, "machine_north");
    assert_eq!(
        point.tags,
        vec![("batch".into(), "7".into()), ("device".into(), "pump".into()), ("site".into(), "north".into())]
    );
    assert_eq!(point.fields, vec![("oil".into(), FieldValue::Float(1.0)), ("rpm".into(), FieldValue::Int(900))]);
    assert_eq!(point.time_ns, 5_000_000);
    let tried = try_route(&routes, "factory/other", b"m f=1 7", 0).unwrap();
    assert_eq!((&*tried.topic, &*tried.key), ("rest", &b"factory/other"[..]), "the key is the whole topic by default");
    assert_eq!(tried.decoded.points[0].time_ns, 7);
}

#[test]
fn a_dead_letter_is_foretold_with_its_reason() {
    let routes = Routes::new(&[RouteConfig::generators()]).unwrap();
    let tried = try_route(&routes, "emergency_generator/gen-7", b"{oops", 0).unwrap();
    assert_eq!(tried.decoded.points, vec![]);
    assert_eq!(tried.decoded.problems[0].code, ProblemCode::InvalidJson);
    let tried = try_route(&routes, "emergency_generator/gen-7", br#"{"fuel":1,"time":90000000000000}"#, 0).unwrap();
    assert_eq!(tried.decoded.points, vec![]);
    assert_eq!(tried.decoded.problems[0].code, ProblemCode::TooFarAhead);
}

#[test]
fn records_of_a_topic_find_their_route() {
    let routes = routes(
        r#"
        [[route]]
        filter = "a/{x}"
        topic = "t"
        measurement = "first"
        [[route]]
        filter = "b/{y}"
        topic = "t"
        measurement = "second"
        "#,
    )
    .unwrap();
    let of = |source| {
        routes.for_record("t", source).map(|matched| (matched.route.filter().text().to_string(), matched.levels))
    };
    assert_eq!(of(Some("b/5")), Some(("b/{y}".to_string(), vec!["5"])));
    assert_eq!(of(Some("gone/5")), Some(("a/{x}".to_string(), vec![])), "its route is gone: the topic's first one");
    assert_eq!(of(None), Some(("a/{x}".to_string(), vec![])));
    assert!(routes.for_record("u", Some("a/5")).is_none());
}

#[test]
fn a_dedupe_value_comes_from_the_payload() {
    let routes =
        routes("[[route]]\nfilter = \"a\"\ntopic = \"t\"\nmeasurement = \"m\"\ndedupe_key = \"meta.id\"\n").unwrap();
    let route = routes.find("a").unwrap().route;
    assert_eq!(route.dedupe_value(br#"{"meta":{"id":12}}"#).as_deref(), Some("12"));
    assert_eq!(route.dedupe_value(br#"{"meta":{}}"#), None);
    assert_eq!(route.dedupe_value(b"{"), None);
}

#[test]
fn what_is_wrong_with_a_route_is_said() {
    let error = |toml: &str| routes(toml).unwrap_err();
    let text = error("[[route]]\nfilter = \"a/{device}\"\ntopic = \"t\"\nmeasurement = \"m\"\nkey = \"{devise}\"\n");
    assert!(text.message().starts_with("the route for \"a/{device}\": the key names {devise}"), "{text}");
    assert_eq!(text.hint(), Some("did you mean {device}?"));
    assert!(
        error("[[route]]\nfilter = \"a/#/b\"\ntopic = \"t\"\nmeasurement = \"m\"\n").message().contains("not its last")
    );
    assert!(
        error("[[route]]\nfilter = \"a\"\ntopic = \"a b\"\nmeasurement = \"m\"\n").message().contains("no topic name")
    );
    assert!(error("[[route]]\nfilter = \"a\"\ntopic = \"t\"\n").message().contains("needs a measurement"));
    let lines = error("[[route]]\nfilter = \"a\"\ntopic = \"t\"\nformat = \"line_protocol\"\nmeasurement = \"m\"\n");
    assert!(lines.message().contains("names its own measurement"), "{lines}");
    assert!(
        error("[[route]]\nfilter = \"a\"\ntopic = \"t\"\nmeasurement = \"m\"\ntags = { time = \"x\" }\n")
            .message()
            .contains("a tag cannot be called \"time\"")
    );
}
