//! The one error type that crosses module borders: a class, a sentence, and where known a place in the script and a hint.
//!
//! Called by every floor. The classes are Flux's own (Invalid, FailedPrecondition, ...); the rim maps a class once to an
//! HTTP status and an exit code. Nothing here prints, and nothing here carries a backtrace to a user.

use std::fmt;

use crate::diagnostic::Span;

/// What every fallible function of the crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The class of an error: whose fault it is and whether trying again may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The script, request or configuration is wrong (HTTP 400, exit status 2).
    Invalid,
    /// The script is right, but the data does not fit it (HTTP 400, exit status 1).
    FailedPrecondition,
    /// A bucket, task, table or column does not exist (HTTP 404, exit status 1).
    NotFound,
    /// An index outside its array or table (HTTP 400, exit status 1).
    OutOfRange,
    /// Valid Flux that fluxmill does not run yet (HTTP 501, exit status 2).
    Unimplemented,
    /// No or wrong credentials (HTTP 401, exit status 1).
    Unauthorized,
    /// It exists already, or another one holds it (HTTP 422, exit status 1).
    Conflict,
    /// A broker, disk or peer cannot be reached now; trying again may help (HTTP 503, exit status 1).
    Unavailable,
    /// A limit on memory, queue or size was reached (HTTP 503, exit status 1).
    ResourceExhausted,
    /// Somebody cancelled it, or its time ran out (HTTP 499, exit status 130).
    Canceled,
    /// A defect of fluxmill (HTTP 500, exit status 1).
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without anything else being changed.
    pub fn may_retry(self) -> bool {
        matches!(self, ErrorKind::Unavailable | ErrorKind::ResourceExhausted)
    }

    /// The class of a name that `Debug` gives; Internal for any other.
    pub fn of_name(name: &str) -> ErrorKind {
        use ErrorKind::*;
        let known = [
            Invalid,
            FailedPrecondition,
            NotFound,
            OutOfRange,
            Unimplemented,
            Unauthorized,
            Conflict,
            Unavailable,
            ResourceExhausted,
            Canceled,
        ];
        known.into_iter().find(|kind| format!("{kind:?}") == name).unwrap_or(Internal)
    }
}

/// An error with its class. Small: the parts are boxed, so that `Result<T>` stays cheap to return.
#[derive(Clone)]
pub struct Error(Box<Parts>);

#[derive(Clone)]
struct Parts {
    kind: ErrorKind,
    message: String,
    span: Option<Span>,
    hint: Option<String>,
}

impl Error {
    /// An error of a class; the message is lower case, without a final full stop and without "you".
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error(Box::new(Parts { kind, message: message.into(), span: None, hint: None }))
    }

    /// [`ErrorKind::Invalid`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// [`ErrorKind::FailedPrecondition`].
    pub fn failed_precondition(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::FailedPrecondition, message)
    }

    /// [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// [`ErrorKind::OutOfRange`].
    pub fn out_of_range(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::OutOfRange, message)
    }

    /// [`ErrorKind::Unimplemented`].
    pub fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unimplemented, message)
    }

    /// [`ErrorKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// [`ErrorKind::ResourceExhausted`].
    pub fn resource_exhausted(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ResourceExhausted, message)
    }

    /// [`ErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The class.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence, without place and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the script, if it is known.
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// What may help, if anything is known to.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The same error at a place in the script; a place that is known already stays, since it is the inner one.
    pub fn at(mut self, span: Span) -> Self {
        self.0.span.get_or_insert(span);
        self
    }

    /// The same error with a hint; an earlier hint stays.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The same error with words before its message: `context: message`.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.0.kind, self.0.message)?;
        if let Some(span) = self.0.span {
            write!(formatter, " at {}..{}", span.start, span.end)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::unavailable(error.to_string())
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Error::internal(error.to_string())
    }
}
