//! JSON payloads to points: which value is a tag, a field, the time.
//!
//! Made by `ingest::route` from the configuration, called by the sink for each JSON record and by `route try`. An object
//! is a point, an array of objects is a point each. Without declared fields every other scalar of the payload becomes one:
//! nested names are joined by `_` (so that `r.engine_rpm` works in Flux and the column keeps its name on disk), elements
//! of arrays have their position in the name; numbers are floats, since a device that sends 21 now sends 21.5 later.

use std::borrow::Cow;

use chrono::DateTime;

use super::json::{self, Json};
use super::names::Names;
use super::problem::{Problem, ProblemCode};
use super::template::{Path, Piece, Template, text_of};
use super::{FieldValue, MAX_KEY_BYTES, MAX_STRING_BYTES, Point, RESERVED_TAGS, TIME_RANGE_NS};
use crate::config::{FieldType, TimeUnit};
use crate::error::{Error, Result};
use crate::name::Name;

/// Most fields of one point.
pub const MAX_FIELDS: usize = 1_024;

/// Most points of one payload.
pub const MAX_POINTS: usize = 10_000;

/// A declared field.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSource {
    /// The field's name.
    pub name: Name,
    /// Where its value stands.
    pub path: Path,
    /// Its type; `None`: a number is a float, a boolean a bool, a text a string.
    pub field_type: Option<FieldType>,
}

/// How a JSON payload becomes points.
#[derive(Clone, Debug)]
pub struct Mapping {
    measurement: Template,
    tags: Vec<(Name, Template)>,
    fields: Vec<FieldSource>,
    time: Option<Path>,
    time_unit: TimeUnit,
    /// Flat names that are no fields of their own: they are the measurement, a tag or the time already.
    taken: Vec<String>,
}

/// What a payload gives: points, and problems of the payload or of single elements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    /// The points.
    pub points: Vec<Point>,
    /// Why something gave none.
    pub problems: Vec<Problem>,
}

impl Mapping {
    /// A mapping; without `fields` every other scalar is one.
    ///
    /// Errors: `Invalid` for a reserved tag, or a tag and a field of one name.
    pub fn new(
        measurement: Template,
        mut tags: Vec<(Name, Template)>,
        fields: Vec<FieldSource>,
        time: Option<Path>,
        time_unit: TimeUnit,
    ) -> Result<Self> {
        tags.sort_by(|left, right| left.0.cmp(&right.0));
        for (tag, _) in &tags {
            if tag.is_empty() || RESERVED_TAGS.contains(&&**tag) {
                return Err(Error::invalid(format!("a tag cannot be called {tag:?}")));
            }
        }
        if let Some(field) = fields.iter().find(|field| field.name.is_empty() || &*field.name == "time") {
            return Err(Error::invalid(format!("a field cannot be called {:?}", field.name)));
        }
        let mut taken: Vec<String> = tags.iter().map(|(tag, _)| tag.to_string()).collect();
        for (_, template) in &tags {
            // A tag that is a mix of text and values does not use its values up.
            if let [Piece::Path(path)] = template.pieces() {
                taken.push(path.flat_name());
            }
        }
        if let [Piece::Path(path)] = measurement.pieces() {
            taken.push(path.flat_name());
        }
        taken.extend(time.as_ref().map(Path::flat_name));
        taken.push("time".to_string());
        Ok(Mapping { measurement, tags, fields, time, time_unit, taken })
    }

    /// The points of a payload. `levels` are the values of the filter's named levels (none for a record without an MQTT
    /// topic); `arrival_ns` is the time of points without one of their own, and in an array counts up by a nanosecond an
    /// element, so that two elements of one series stay two points.
    pub fn decode(&self, payload: &[u8], levels: &[&str], arrival_ns: i64, names: &mut Names) -> Decoded {
        let mut decoded = Decoded::default();
        let json = match json::read(payload) {
            Ok(json) => json,
            Err(problem) => {
                decoded.problems.push(problem);
                return decoded;
            }
        };
        match &json {
            Json::Object(_) => match self.point(&json, levels, arrival_ns, names) {
                Ok(point) => decoded.points.push(point),
                Err(problem) => decoded.problems.push(problem),
            },
            Json::Array(elements) if elements.len() > MAX_POINTS => {
                let detail = format!("the array has {} elements, more than {MAX_POINTS}", elements.len());
                decoded.problems.push(Problem::new(ProblemCode::TooManyValues, detail));
            }
            Json::Array(elements) if !elements.is_empty() => {
                for (place, element) in elements.iter().enumerate() {
                    match self.point(element, levels, arrival_ns.saturating_add(place as i64), names) {
                        Ok(point) => decoded.points.push(point),
                        Err(problem) => decoded.problems.push(problem.of_item(place + 1)),
                    }
                }
            }
            other => {
                let found = if matches!(other, Json::Array(_)) { "an empty array" } else { other.kind() };
                let detail = format!("expected an object or an array of objects, found {found}");
                decoded.problems.push(Problem::new(ProblemCode::NotAnObject, detail));
            }
        }
        decoded
    }

    fn point(&self, json: &Json<'_>, levels: &[&str], arrival_ns: i64, names: &mut Names) -> Result<Point, Problem> {
        if !matches!(json, Json::Object(_)) {
            let detail = format!("expected an object, found {}", json.kind());
            return Err(Problem::new(ProblemCode::NotAnObject, detail));
        }
        let missing = |detail: String| Problem::new(ProblemCode::MissingMeasurement, detail);
        let measurement = self.measurement.fill(levels, json).map_err(missing)?;
        if measurement.is_empty() {
            return Err(missing("the measurement is empty".into()));
        }
        let measurement = names.share(&measurement);
        let mut tags = Vec::with_capacity(self.tags.len());
        let mut key_bytes = measurement.len();
        for (tag, template) in &self.tags {
            let missing = |why: &str| Problem::new(ProblemCode::MissingTag, format!("the tag {tag} is missing: {why}"));
            let value = template.fill(levels, json).map_err(|why| missing(&why))?;
            if value.is_empty() {
                return Err(missing("its value is empty"));
            }
            key_bytes += tag.len() + value.len() + 2;
            tags.push((Name::clone(tag), names.share(&value)));
        }
        let fields = if self.fields.is_empty() { self.every_scalar(json, names)? } else { self.declared(json)? };
        let time_ns = match self.time.as_ref().and_then(|path| Some((path, path.find(json)?))) {
            Some((path, value)) => read_time(value, self.time_unit).ok_or_else(|| {
                let shown = text_of(value).unwrap_or(Cow::Borrowed(value.kind()));
                let detail = format!("{path} is not a time in RFC 3339 or a number: {}", clip(&shown));
                Problem::new(ProblemCode::BadTime, detail)
            })?,
            None => arrival_ns,
        };
        for (name, value) in &fields {
            if key_bytes + name.len() > MAX_KEY_BYTES {
                let detail = format!("measurement, tags and field name take more than {MAX_KEY_BYTES} bytes");
                return Err(Problem::new(ProblemCode::Refused, detail));
            }
            if matches!(value, FieldValue::String(text) if text.len() > MAX_STRING_BYTES) {
                let detail = format!("the text of {name} is longer than {MAX_STRING_BYTES} bytes");
                return Err(Problem::new(ProblemCode::Refused, detail));
            }
        }
        Ok(Point { measurement, tags, fields, time_ns })
    }

    fn declared(&self, json: &Json<'_>) -> Result<Vec<(Name, FieldValue)>, Problem> {
        let mut fields = Vec::with_capacity(self.fields.len());
        for source in &self.fields {
            let Some(value) = source.path.find(json) else { continue };
            let Some(field) = convert(value, source.field_type) else {
                let wanted = source.field_type.map_or("a scalar", type_name);
                let shown = text_of(value).unwrap_or(Cow::Borrowed(value.kind()));
                let detail = format!("the field {} should be {wanted}, found {}", source.name, clip(&shown));
                return Err(Problem::new(ProblemCode::WrongType, detail));
            };
            fields.push((Name::clone(&source.name), field));
        }
        if fields.is_empty() {
            return Err(Problem::new(ProblemCode::NoFields, "the payload has none of the route's fields"));
        }
        Ok(fields)
    }

    fn every_scalar(&self, json: &Json<'_>, names: &mut Names) -> Result<Vec<(Name, FieldValue)>, Problem> {
        let mut fields: Vec<(Name, FieldValue)> = Vec::new();
        self.flatten(json, &mut String::new(), &mut fields, names)?;
        if fields.is_empty() {
            return Err(Problem::new(ProblemCode::NoFields, "the payload has no value that is not a tag or the time"));
        }
        // Nested names may meet only when something is nested; a flat object has no equal keys.
        let mut sorted: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let detail = format!("two values of the payload would both be the field {}", clip(pair[0]));
            return Err(Problem::new(ProblemCode::DuplicateKey, detail));
        }
        Ok(fields)
    }

    fn flatten(
        &self,
        json: &Json<'_>,
        prefix: &mut String,
        fields: &mut Vec<(Name, FieldValue)>,
        names: &mut Names,
    ) -> Result<(), Problem> {
        let before = prefix.len();
        let join = |prefix: &mut String, step: &str| {
            prefix.truncate(before);
            if before > 0 {
                prefix.push('_');
            }
            prefix.push_str(step);
        };
        match json {
            Json::Object(members) => {
                for (key, value) in members {
                    join(prefix, key);
                    self.flatten(value, prefix, fields, names)?;
                }
            }
            Json::Array(elements) => {
                for (place, value) in elements.iter().enumerate() {
                    join(prefix, &place.to_string());
                    self.flatten(value, prefix, fields, names)?;
                }
            }
            scalar => {
                if self.taken.contains(prefix) || prefix.is_empty() {
                    return Ok(());
                }
                if let Some(value) = convert(scalar, None) {
                    if fields.len() == MAX_FIELDS {
                        let detail = format!("the payload has more than {MAX_FIELDS} fields");
                        return Err(Problem::new(ProblemCode::TooManyValues, detail));
                    }
                    fields.push((names.share(prefix), value));
                }
            }
        }
        prefix.truncate(before);
        Ok(())
    }
}

fn clip(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        text.to_string()
    } else {
        text.chars().take(SHOWN).chain("...".chars()).collect()
    }
}

fn type_name(field_type: FieldType) -> &'static str {
    match field_type {
        FieldType::Float => "a float",
        FieldType::Int => "an int",
        FieldType::Uint => "a uint",
        FieldType::Bool => "a bool",
        FieldType::String => "a string",
    }
}

/// The value as a field. A declared number may also come as text or, if it is integral, as a float; null, arrays and
/// objects are no fields.
fn convert(value: &Json<'_>, field_type: Option<FieldType>) -> Option<FieldValue> {
    let converted = match (field_type, value) {
        (_, Json::Null | Json::Array(_) | Json::Object(_)) => return None,
        (None | Some(FieldType::Float), Json::Int(value)) => FieldValue::Float(*value as f64),
        (None | Some(FieldType::Float), Json::UInt(value)) => FieldValue::Float(*value as f64),
        (None | Some(FieldType::Float), Json::Float(value)) => FieldValue::Float(*value),
        (None | Some(FieldType::Bool), Json::Bool(value)) => FieldValue::Bool(*value),
        (None | Some(FieldType::String), Json::Text(text)) => FieldValue::String(Name::from(&**text)),
        (Some(FieldType::Float), Json::Text(text)) => {
            FieldValue::Float(text.trim().parse().ok().filter(|value: &f64| value.is_finite())?)
        }
        (Some(FieldType::Int), Json::Int(value)) => FieldValue::Int(*value),
        (Some(FieldType::Int), Json::Float(value)) => {
            let whole = value.fract() == 0.0 && *value >= i64::MIN as f64 && *value < i64::MAX as f64;
            FieldValue::Int(whole.then_some(*value as i64)?)
        }
        (Some(FieldType::Int), Json::Text(text)) => FieldValue::Int(text.trim().parse().ok()?),
        (Some(FieldType::Uint), Json::Int(value)) => FieldValue::UInt(u64::try_from(*value).ok()?),
        (Some(FieldType::Uint), Json::UInt(value)) => FieldValue::UInt(*value),
        (Some(FieldType::Uint), Json::Float(value)) => {
            let whole = value.fract() == 0.0 && *value >= 0.0 && *value < u64::MAX as f64;
            FieldValue::UInt(whole.then_some(*value as u64)?)
        }
        (Some(FieldType::Uint), Json::Text(text)) => FieldValue::UInt(text.trim().parse().ok()?),
        (Some(FieldType::Bool), Json::Text(text)) => FieldValue::Bool(match text.trim() {
            "true" | "True" | "TRUE" => true,
            "false" | "False" | "FALSE" => false,
            _ => return None,
        }),
        (Some(FieldType::String), scalar) => FieldValue::String(Name::from(&*text_of(scalar)?)),
        _ => return None,
    };
    Some(converted)
}

/// A time of a payload in nanoseconds: RFC 3339 text, or a number (also as text) in the route's unit.
fn read_time(value: &Json<'_>, unit: TimeUnit) -> Option<i64> {
    let nanoseconds: i64 = match unit {
        TimeUnit::S => 1_000_000_000,
        TimeUnit::Ms => 1_000_000,
        TimeUnit::Us => 1_000,
        TimeUnit::Ns => 1,
    };
    let time = match value {
        Json::Int(value) => value.checked_mul(nanoseconds)?,
        Json::Float(value) => from_float(*value, nanoseconds)?,
        Json::Text(text) => {
            let text = text.trim();
            match text.parse::<i64>() {
                Ok(value) => value.checked_mul(nanoseconds)?,
                Err(_) => match DateTime::parse_from_rfc3339(text) {
                    Ok(time) => time.timestamp_nanos_opt()?,
                    Err(_) => from_float(text.parse().ok()?, nanoseconds)?,
                },
            }
        }
        _ => return None,
    };
    TIME_RANGE_NS.contains(&time).then_some(time)
}

/// Whole units and the fraction apart: a float of seconds has no room for the nanoseconds of today as one number.
fn from_float(value: f64, nanoseconds: i64) -> Option<i64> {
    if !value.is_finite() || value.abs() >= i64::MAX as f64 {
        return None;
    }
    let whole = (value.trunc() as i64).checked_mul(nanoseconds)?;
    whole.checked_add((value.fract() * nanoseconds as f64).round() as i64)
}

#[cfg(test)]
mod tests;
