//! JSON within bounds: depth, number of values and duplicate keys are checked while it is read.
//!
//! Read by the mapping of payloads and by the reader of results. Numbers keep their kind (an integer is not a float), keys
//! keep their order, texts are borrowed where they can be. Nothing a device sends makes it recurse without bound.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use hashbrown::HashSet;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

use super::problem::{Problem, ProblemCode};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true`, `false`.
    Bool(bool),
    /// A number without fraction and exponent that fits.
    Int(i64),
    /// One above the largest signed integer.
    UInt(u64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object; its keys are unique.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// The member of an object.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        match self {
            Json::Object(members) => members.iter().find(|(own, _)| own == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Int(_) | Json::UInt(_) => "an integer",
            Json::Float(_) => "a number",
            Json::Text(_) => "a text",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

/// Most arrays and objects within each other.
pub const MAX_DEPTH: usize = 32;

/// Most values in one document.
pub const MAX_VALUES: usize = 100_000;

/// Reads a document.
///
/// Problems: `invalid-utf8`, `invalid-json` (NaN and infinities are none), `too-deep`, `too-many-values`, `duplicate-key`.
pub fn read(bytes: &[u8]) -> Result<Json<'_>, Problem> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let detail = format!("the payload is not UTF-8 from byte {} on", error.valid_up_to());
            return Err(Problem::new(ProblemCode::InvalidUtf8, detail));
        }
    };
    let state = State { values: Cell::new(0), problem: Cell::new(None) };
    let mut reader = serde_json::Deserializer::from_str(text);
    let value =
        Seed { state: &state, depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let code = state.problem.get().unwrap_or(ProblemCode::InvalidJson);
        Problem::new(code, error.to_string())
    })
}

struct State {
    values: Cell<usize>,
    problem: Cell<Option<ProblemCode>>,
}

impl State {
    fn fail<E: de::Error>(&self, code: ProblemCode, message: impl fmt::Display) -> E {
        self.problem.set(Some(code));
        E::custom(message)
    }
}

struct Seed<'s> {
    state: &'s State,
    depth: usize,
}

impl Seed<'_> {
    fn inner<E: de::Error>(&self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            let message = format!("arrays and objects stand more than {MAX_DEPTH} deep");
            return Err(self.state.fail(ProblemCode::TooDeep, message));
        }
        Ok(Seed { state: self.state, depth: self.depth + 1 })
    }
}

impl Clone for Seed<'_> {
    fn clone(&self) -> Self {
        Seed { state: self.state, depth: self.depth }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        let values = self.state.values.get() + 1;
        self.state.values.set(values);
        if values > MAX_VALUES {
            let message = format!("the payload has more than {MAX_VALUES} values");
            return Err(self.state.fail(ProblemCode::TooManyValues, message));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(value).map_or(Json::UInt(value), Json::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Json<'de>, A::Error> {
        let seed = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(seed.clone())? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json<'de>, A::Error> {
        let seed = self.inner()?;
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        // A few keys are compared one by one; many have a set, so that a payload cannot cost quadratic time.
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(key) = map.next_key_seed(Key)? {
            let duplicate = if members.len() < FEW {
                members.iter().any(|(own, _)| *own == key)
            } else {
                if seen.is_empty() {
                    seen.extend(members.iter().map(|(own, _)| own.to_string()));
                }
                !seen.insert(key.to_string())
            };
            if duplicate {
                let message = format!("the key {key:?} stands twice in one object");
                return Err(self.state.fail(ProblemCode::DuplicateKey, message));
            }
            members.push((key, map.next_value_seed(seed.clone())?));
        }
        Ok(Json::Object(members))
    }
}

const FEW: usize = 16;

/// A key, borrowed if it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn code(text: &[u8]) -> ProblemCode {
        read(text).unwrap_err().code
    }

    #[test]
    fn numbers_keep_their_kind_and_keys_their_order() {
        let value = read(br#"{"b":1,"a":1.0,"c":18446744073709551615,"d":-9,"e":[null,true,"x\n"]}"#).unwrap();
        let Json::Object(members) = &value else { panic!("{value:?}") };
        assert_eq!(members.iter().map(|(key, _)| &**key).collect::<Vec<_>>(), ["b", "a", "c", "d", "e"]);
        assert_eq!(value.get("b"), Some(&Json::Int(1)));
        assert_eq!(value.get("a"), Some(&Json::Float(1.0)));
        assert_eq!(value.get("c"), Some(&Json::UInt(u64::MAX)));
        assert_eq!(value.get("d"), Some(&Json::Int(-9)));
        assert_eq!(value.get("e"), Some(&Json::Array(vec![Json::Null, Json::Bool(true), Json::Text("x\n".into())])));
    }

    #[test]
    fn what_is_refused_has_a_code() {
        assert_eq!(code(b"{\"a\":\"\xff\"}"), ProblemCode::InvalidUtf8);
        assert_eq!(code(b"{\"a\":NaN}"), ProblemCode::InvalidJson);
        assert_eq!(code(b"{\"a\":Infinity}"), ProblemCode::InvalidJson);
        assert_eq!(code(b"{\"a\":1e999}"), ProblemCode::InvalidJson);
        assert_eq!(code(b"{\"a\":1"), ProblemCode::InvalidJson);
        assert_eq!(code(b""), ProblemCode::InvalidJson);
        assert_eq!(code(b"{} {}"), ProblemCode::InvalidJson);
        assert_eq!(code(b"{\"a\":1,\"a\":2}"), ProblemCode::DuplicateKey);
        let many: Vec<String> = (0..40).map(|number| format!("\"k{number}\":1")).collect();
        assert!(read(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
        assert_eq!(code(format!("{{{},\"k3\":1}}", many.join(",")).as_bytes()), ProblemCode::DuplicateKey);
        assert_eq!(code("[".repeat(1_000).as_bytes()), ProblemCode::TooDeep);
        assert_eq!(code(format!("[{}1]", "1,".repeat(MAX_VALUES)).as_bytes()), ProblemCode::TooManyValues);
        assert!(read(format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)).as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes);
        }

        #[test]
        fn floats_are_read_exactly(value in any::<f64>().prop_filter("finite", |value| value.is_finite())) {
            let text = format!("{value:e}");
            let read = match read(text.as_bytes()).unwrap() {
                Json::Int(value) => value as f64,
                Json::UInt(value) => value as f64,
                Json::Float(value) => value,
                other => panic!("{other:?}"),
            };
            prop_assert!(read == value);
        }
    }
}
