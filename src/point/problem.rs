//! Why a payload, or a part of it, gives no point: a stable code and a sentence.
//!
//! Made by the decoders, carried by dead letters (`fm-dl-code`, `fm-dl-detail`), counted by code.

use std::fmt;

/// The kind of a problem. Its text is stable: dashboards and `dead-letter list` go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemCode {
    /// The payload is not UTF-8.
    InvalidUtf8,
    /// The payload is not JSON.
    InvalidJson,
    /// A line is not line protocol.
    InvalidLineProtocol,
    /// Arrays and objects stand too deep in each other.
    TooDeep,
    /// The payload has too many values, points or fields.
    TooManyValues,
    /// A key stands twice in one object, or two nested names become one field.
    DuplicateKey,
    /// The payload is neither an object nor an array of objects.
    NotAnObject,
    /// The measurement cannot be told.
    MissingMeasurement,
    /// A tag that the route names is absent or empty.
    MissingTag,
    /// No field is left.
    NoFields,
    /// A value is not of the type that the route declares.
    WrongType,
    /// The time cannot be read.
    BadTime,
    /// The time is more than a day after the arrival.
    TooFarAhead,
    /// A name or a text is too long, or the name is reserved.
    Refused,
    /// No mapping says how records of this topic or content type are read.
    UnknownFormat,
}

impl ProblemCode {
    /// The stable text.
    pub fn as_str(self) -> &'static str {
        match self {
            ProblemCode::InvalidUtf8 => "invalid-utf8",
            ProblemCode::InvalidJson => "invalid-json",
            ProblemCode::InvalidLineProtocol => "invalid-line-protocol",
            ProblemCode::TooDeep => "too-deep",
            ProblemCode::TooManyValues => "too-many-values",
            ProblemCode::DuplicateKey => "duplicate-key",
            ProblemCode::NotAnObject => "not-an-object",
            ProblemCode::MissingMeasurement => "missing-measurement",
            ProblemCode::MissingTag => "missing-tag",
            ProblemCode::NoFields => "no-fields",
            ProblemCode::WrongType => "wrong-type",
            ProblemCode::BadTime => "bad-time",
            ProblemCode::TooFarAhead => "too-far-ahead",
            ProblemCode::Refused => "refused",
            ProblemCode::UnknownFormat => "unknown-format",
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub code: ProblemCode,
    /// What was expected, what was found.
    pub detail: String,
    /// Which line of line protocol or which element of an array, from 1; `None`: the whole payload.
    pub item: Option<usize>,
}

impl Problem {
    /// A problem of the whole payload.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Problem { code, detail: detail.into(), item: None }
    }

    /// The same problem, of one line or element.
    pub fn of_item(mut self, item: usize) -> Self {
        self.item = Some(item);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(item) = self.item {
            write!(formatter, "{item}: ")?;
        }
        write!(formatter, "{} ({})", self.detail, self.code)
    }
}
