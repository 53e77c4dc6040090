//! `experimental.catch`: an error as a value.
//!
//! It catches what a function fails with while the script is evaluated; a stream that fails later fails the run. An end
//! from outside (cancelled, out of steps) is never caught.

use super::PACKAGE;
use crate::error::{ErrorKind, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::value::Function;
use crate::functions::arguments::Arguments;

/// `experimental.catch`.
pub static CATCH: Builtin = Builtin {
    package: PACKAGE,
    name: "catch",
    signature: "(fn: () => A) => {value: A, code: uint, msg: string}",
    doc: "Calls fn: its value, or null with the error's code (as gRPC numbers them) and message.",
    examples: &["import \"array\"\nimport \"experimental\"\n\nc = experimental.catch(fn: () => die(msg: \"no \
                 data\"))\n\narray.from(rows: [{msg: c.msg}])"],
    body: |call| {
        let function = call.function("fn")?;
        Ok(match caught(&function, call)? {
            Ok(value) => record(value, Value::Null, Value::Null),
            Err(error) => record(Value::Null, Value::UInt(code(error.kind())), Value::string(error.message())),
        })
    },
};

fn record(value: Value, code: Value, msg: Value) -> Value {
    Value::record([("value", value), ("code", code), ("msg", msg)])
}

/// What a function without arguments gives or fails with.
///
/// # Errors
/// What must not be caught.
pub fn caught(function: &Function, call: &mut Call<'_>) -> Result<Result<Value>> {
    match call.host.call(function, Vec::new()) {
        Err(error) if matches!(error.kind(), ErrorKind::Canceled | ErrorKind::ResourceExhausted) => Err(error),
        outcome => Ok(outcome),
    }
}

/// The number of a class of errors.
pub fn code(kind: ErrorKind) -> u64 {
    match kind {
        ErrorKind::Canceled => 1,
        ErrorKind::Invalid => 3,
        ErrorKind::NotFound => 5,
        ErrorKind::Conflict => 6,
        ErrorKind::ResourceExhausted => 8,
        ErrorKind::FailedPrecondition => 9,
        ErrorKind::OutOfRange => 11,
        ErrorKind::Unimplemented => 12,
        ErrorKind::Internal => 13,
        ErrorKind::Unavailable => 14,
        ErrorKind::Unauthorized => 16,
    }
}
