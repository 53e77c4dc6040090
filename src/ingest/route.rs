//! Routes: which messages go to which topic of the log, under which key, and what is made of them.
//!
//! Compiled once from `[[route]]`. The door asks for the topic and key of an MQTT message, the sink for the mapping of a
//! record, `route try` for both. The first route whose filter matches wins.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::filter::Filter;
use super::record;
use crate::config::{FieldConfig, PayloadFormat, RouteConfig};
use crate::diagnostic::nearest;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::point::json::{self, Json};
use crate::point::mapping::{Decoded, FieldSource, Mapping};
use crate::point::names::Names;
use crate::point::problem::{Problem, ProblemCode};
use crate::point::template::{Path, Piece, Template, text_of};
use crate::store::MAX_AHEAD_NS;

/// One route.
#[derive(Clone, Debug)]
pub struct Route {
    filter: Filter,
    topic: Name,
    key: Option<Template>,
    format: PayloadFormat,
    mapping: Option<Mapping>,
    dedupe_key: Option<Path>,
}

impl Route {
    /// Compiles a route.
    ///
    /// Errors: `Invalid` with the filter and what is wrong.
    pub fn new(config: &RouteConfig) -> Result<Self> {
        compile(config).map_err(|error| error.context(format!("the route for {:?}", config.filter)))
    }

    /// The log topic.
    pub fn topic(&self) -> &Name {
        &self.topic
    }

    /// The filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// How JSON becomes points; `None` for line protocol.
    pub fn mapping(&self) -> Option<&Mapping> {
        self.mapping.as_ref()
    }

    /// The content type of its payloads.
    pub fn content_type(&self) -> &'static str {
        match self.format {
            PayloadFormat::Json => record::JSON,
            PayloadFormat::LineProtocol => record::LINE_PROTOCOL,
        }
    }

    /// The key of a message: the template over the named levels, or the whole MQTT topic.
    pub fn key(&self, topic: &str, levels: &[&str]) -> Bytes {
        match &self.key {
            // A key has no payload paths, so that nothing is missing.
            Some(template) => match template.fill(levels, &Json::Null) {
                Ok(key) => Bytes::copy_from_slice(key.as_bytes()),
                Err(_) => Bytes::copy_from_slice(topic.as_bytes()),
            },
            None => Bytes::copy_from_slice(topic.as_bytes()),
        }
    }

    /// What identifies a message of one key, if the route says so and the payload has it.
    pub fn dedupe_value(&self, payload: &[u8]) -> Option<String> {
        let path = self.dedupe_key.as_ref()?;
        let json = json::read(payload).ok()?;
        text_of(path.find(&json)?).map(|value| value.into_owned())
    }
}

fn compile(config: &RouteConfig) -> Result<Route> {
    let filter = Filter::new(&config.filter)?;
    let levels = filter.names();
    let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if config.topic.is_empty() || config.topic.len() > 249 || !config.topic.chars().all(legal) {
        let message = format!("{:?} is no topic name: letters, digits, '.', '_' and '-', at most 249", config.topic);
        return Err(Error::invalid(message));
    }
    let key = config.key.as_deref().map(|key| level_template(key, levels)).transpose()?;
    let dedupe_key = config.dedupe_key.as_deref().map(Path::new).transpose()?;
    if config.format == PayloadFormat::LineProtocol {
        let mapped = config.measurement.is_some()
            || !config.tags.is_empty()
            || !config.fields.is_empty()
            || config.time.is_some()
            || config.dedupe_key.is_some();
        if mapped {
            let message = "line protocol names its own measurement, tags, fields and time";
            return Err(Error::invalid(message).with_hint("drop those keys, or use format = \"json\""));
        }
        let topic = Name::from(config.topic.as_str());
        return Ok(Route { filter, topic, key, format: config.format, mapping: None, dedupe_key });
    }
    let Some(measurement) = config.measurement.as_deref() else {
        return Err(Error::invalid("a route for JSON needs a measurement"));
    };
    let tags = config.tags.iter().map(|(tag, source)| {
        let template = if source.contains('{') { Template::new(source, levels)? } else { Template::path(source)? };
        Ok((Name::from(tag.as_str()), template))
    });
    let fields = config.fields.iter().map(|(name, field)| {
        let (path, field_type) = match field {
            FieldConfig::Path(path) => (path.as_str(), None),
            FieldConfig::Typed { path, field_type } => (path.as_deref().unwrap_or(name), Some(*field_type)),
        };
        Ok(FieldSource { name: Name::from(name.as_str()), path: Path::new(path)?, field_type })
    });
    let mapping = Mapping::new(
        Template::new(measurement, levels)?,
        tags.collect::<Result<_>>()?,
        fields.collect::<Result<_>>()?,
        config.time.as_deref().map(Path::new).transpose()?,
        config.time_unit,
    )?;
    let topic = Name::from(config.topic.as_str());
    Ok(Route { filter, topic, key, format: config.format, mapping: Some(mapping), dedupe_key })
}

/// A template that may only name levels: the payload is not read where it is used.
fn level_template(text: &str, levels: &[String]) -> Result<Template> {
    let template = Template::new(text, levels)?;
    let path = template.pieces().iter().find_map(|piece| match piece {
        Piece::Path(path) => Some(path.to_string()),
        _ => None,
    });
    let Some(path) = path else { return Ok(template) };
    let known = levels.join(", ");
    let error =
        Error::invalid(format!("the key names {{{path}}}, which is no level of the filter (it names: {known})"));
    Err(match nearest(&path, levels.iter().map(String::as_str)) {
        Some(meant) => error.with_hint(format!("did you mean {{{meant}}}?")),
        None => error,
    })
}

/// A route that matches, with the values of its named levels.
#[derive(Debug)]
pub struct Matched<'r, 't> {
    /// The route.
    pub route: &'r Route,
    /// The values of its named levels.
    pub levels: Vec<&'t str>,
}

/// All routes, in order.
#[derive(Clone, Debug, Default)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// Compiles the routes.
    ///
    /// Errors: the first route's that is wrong.
    pub fn new(configs: &[RouteConfig]) -> Result<Self> {
        configs.iter().map(Route::new).collect::<Result<Vec<_>>>().map(Routes)
    }

    /// The route of an MQTT topic.
    pub fn find<'t>(&self, mqtt_topic: &'t str) -> Option<Matched<'_, 't>> {
        self.0.iter().find_map(|route| route.filter.matches(mqtt_topic).map(|levels| Matched { route, levels }))
    }

    /// The route by which a record of a log topic is read: the first one into that topic that matches the record's MQTT
    /// topic; for a record without one, or whose route is gone, the first one into that topic.
    pub fn for_record<'t>(&self, log_topic: &str, mqtt_topic: Option<&'t str>) -> Option<Matched<'_, 't>> {
        let mut into = self.0.iter().filter(|route| &*route.topic == log_topic);
        let matching = mqtt_topic.and_then(|mqtt_topic| {
            into.clone().find_map(|route| Some(Matched { route, levels: route.filter.matches(mqtt_topic)? }))
        });
        matching.or_else(|| into.next().map(|route| Matched { route, levels: Vec::new() }))
    }

    /// The log topics that routes write to, each once, sorted.
    pub fn topics(&self) -> Vec<Name> {
        self.0.iter().map(|route| Name::clone(&route.topic)).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What `route try TOPIC PAYLOAD` shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The filter of the route that matched.
    pub filter: String,
    /// The log topic.
    pub topic: Name,
    /// The record's key.
    pub key: Bytes,
    /// The points, and why anything would be a dead letter.
    pub decoded: Decoded,
}

/// What would become of a message that arrived at `arrival_ns`; `None` if no route matches its topic.
pub fn try_route(routes: &Routes, mqtt_topic: &str, payload: &[u8], arrival_ns: i64) -> Option<Tried> {
    let matched = routes.find(mqtt_topic)?;
    let key = matched.route.key(mqtt_topic, &matched.levels);
    let mut names = Names::default();
    let mut decoded = super::decode::payload(matched.route, &matched.levels, payload, arrival_ns, &mut names);
    // The store's own check; asked here so that the answer is whole.
    decoded.points.retain(|point| {
        let ahead = point.time_ns > arrival_ns.saturating_add(MAX_AHEAD_NS);
        if ahead {
            let detail = format!("the time {} is more than a day after the arrival", point.time_ns);
            decoded.problems.push(Problem::new(ProblemCode::TooFarAhead, detail));
        }
        !ahead
    });
    let filter = matched.route.filter.text().to_string();
    Some(Tried { filter, topic: Name::clone(&matched.route.topic), key, decoded })
}

#[cfg(test)]
mod tests;
