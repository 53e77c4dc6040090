//! Where a name or value of a point comes from: text, a named level of the MQTT topic, a path into the payload.
//!
//! Compiled once from a route's configuration; the mapping and the route's key are made of these.

use std::borrow::Cow;
use std::fmt;

use super::json::Json;
use crate::error::{Error, Result};

/// A path into a payload: member names, or positions in an array, with dots between: `device.id`, `axis.0.rpm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<String>);

impl Path {
    /// The path of a text; `$.` before it is dropped.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.strip_prefix("$.").unwrap_or(text);
        if text.is_empty() || text.split('.').any(str::is_empty) {
            return Err(Error::invalid(format!("{text:?} is not a payload path such as device.id")));
        }
        Ok(Path(text.split('.').map(str::to_string).collect()))
    }

    /// What stands there; `None` if there is nothing or null.
    pub fn find<'j, 'a>(&self, payload: &'j Json<'a>) -> Option<&'j Json<'a>> {
        let mut value = payload;
        for step in &self.0 {
            value = match value {
                Json::Array(values) => values.get(step.parse::<usize>().ok()?)?,
                object => object.get(step)?,
            };
        }
        (*value != Json::Null).then_some(value)
    }

    /// The name that the value has as a field of its own: the steps joined by `_`.
    pub fn flat_name(&self) -> String {
        self.0.join("_")
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("."))
    }
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// The level of the MQTT topic that the filter names so: its position among the named levels, and its name.
    Level(usize, String),
    /// A place in the payload.
    Path(Path),
}

/// Text with parts in braces: `{site}/{device}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// A template; `{name}` is a level if it is one of `levels`, else a payload path.
    pub fn new(text: &str, levels: &[String]) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}').map(|at| open + at) else {
                return Err(Error::invalid(format!("{text:?} opens a brace that is not closed")));
            };
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].to_string()));
            }
            let inner = &rest[open + 1..close];
            pieces.push(match levels.iter().position(|level| level == inner) {
                Some(position) => Piece::Level(position, inner.to_string()),
                None => Piece::Path(Path::new(inner)?),
            });
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_string()));
        }
        if pieces.is_empty() {
            return Err(Error::invalid("an empty text names nothing"));
        }
        Ok(Template(pieces))
    }

    /// A template of one place in the payload.
    pub fn path(text: &str) -> Result<Self> {
        Ok(Template(vec![Piece::Path(Path::new(text)?)]))
    }

    /// Its parts, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The first payload path in it.
    pub fn first_path(&self) -> Option<&Path> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Path(path) => Some(path),
            _ => None,
        })
    }

    /// The text for a topic's named levels and a payload; the error says what is missing.
    pub fn fill<'t>(&'t self, levels: &[&'t str], payload: &'t Json<'_>) -> std::result::Result<Cow<'t, str>, String> {
        if let [piece] = self.0.as_slice() {
            return fill_piece(piece, levels, payload);
        }
        let mut text = String::new();
        for piece in &self.0 {
            text.push_str(&fill_piece(piece, levels, payload)?);
        }
        Ok(Cow::Owned(text))
    }
}

fn fill_piece<'t>(
    piece: &'t Piece,
    levels: &[&'t str],
    payload: &'t Json<'_>,
) -> std::result::Result<Cow<'t, str>, String> {
    match piece {
        Piece::Text(text) => Ok(Cow::Borrowed(text)),
        Piece::Level(position, name) => match levels.get(*position) {
            Some(level) => Ok(Cow::Borrowed(level)),
            None => Err(format!("the record has no MQTT topic to take {{{name}}} from")),
        },
        Piece::Path(path) => match path.find(payload) {
            Some(value) => text_of(value).ok_or_else(|| format!("{path} is {}", value.kind())),
            None => Err(format!("the payload has no {path}")),
        },
    }
}

/// A scalar as text: numbers in their shortest form; `None` for null, arrays and objects.
pub fn text_of<'t>(value: &'t Json<'_>) -> Option<Cow<'t, str>> {
    Some(match value {
        Json::Text(text) => Cow::Borrowed(text),
        Json::Bool(value) => Cow::Owned(value.to_string()),
        Json::Int(value) => Cow::Owned(value.to_string()),
        Json::UInt(value) => Cow::Owned(value.to_string()),
        Json::Float(value) => Cow::Owned(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::point::json;

    #[test]
    fn fills_text_levels_and_paths() {
        let payload = json::read(br#"{"device":{"id":7,"axis":[1.5,null]},"kind":"pump"}"#).unwrap();
        let levels = ["site".to_string(), "line".to_string()];
        let fill =
            |text: &str| Template::new(text, &levels).unwrap().fill(&["north", "4"], &payload).map(Cow::into_owned);
        assert_eq!(fill("m").unwrap(), "m");
        assert_eq!(fill("{site}/{line}").unwrap(), "north/4");
        assert_eq!(fill("{kind}-{device.id}").unwrap(), "pump-7");
        assert_eq!(fill("{$.device.axis.0}").unwrap(), "1.5");
        assert_eq!(fill("{device.axis.1}").unwrap_err(), "the payload has no device.axis.1");
        assert_eq!(fill("{device.axis}").unwrap_err(), "device.axis is an array");
        let template = Template::new("{site}", &levels).unwrap();
        assert_eq!(template.fill(&[], &Json::Null).unwrap_err(), "the record has no MQTT topic to take {site} from");
    }

    #[test]
    fn a_wrong_template_is_an_error() {
        assert!(Template::new("{site", &[]).is_err());
        assert!(Template::new("", &[]).is_err());
        assert!(Template::new("{a..b}", &[]).is_err());
        assert!(Path::new("$.").is_err());
    }
}
