//! Conversions: `int`, `uint`, `float`, `bool`, `string`, `time`, `duration`, `bytes` (flux-semantics 12.1).
//!
//! What is converted how stands in `flux::scalar`, which row functions use as well.

use crate::error::Result;
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::PRELUDE;
use crate::flux::scalar;

const fn convert(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PRELUDE, name, signature, doc, examples, body }
}

/// `int`.
pub static INT: Builtin = convert(
    "int",
    "(v: A) => int",
    "The value as an integer: a decimal string, a float cut at its point, a time or duration in nanoseconds, a boolean.",
    &["import \"array\"\n\narray.from(rows: [{v: int(v: \"42\"), n: int(v: 2024-01-01T00:00:00Z)}])"],
    |call| scalar::to_int(call.required("v")?),
);

/// `uint`.
pub static UINT: Builtin = convert(
    "uint",
    "(v: A) => uint",
    "The value as an unsigned integer, as int does it.",
    &["import \"array\"\n\narray.from(rows: [{v: uint(v: 42)}])"],
    |call| scalar::to_uint(call.required("v")?),
);

/// `float`.
pub static FLOAT: Builtin = convert(
    "float",
    "(v: A) => float",
    "The value as a float: a string, an integer, a boolean.",
    &["import \"array\"\n\narray.from(rows: [{v: float(v: \"1e3\")}])"],
    |call| scalar::to_float(call.required("v")?),
);

/// `bool`.
pub static BOOL: Builtin = convert(
    "bool",
    "(v: A) => bool",
    "The value as a boolean: \"true\", \"false\", or a number that is 0 or 1.",
    &["import \"array\"\n\narray.from(rows: [{v: bool(v: 1)}])"],
    |call| scalar::to_bool(call.required("v")?),
);

/// `string`.
pub static STRING: Builtin = convert(
    "string",
    "(v: A) => string",
    "The value as text: floats without exponent, times with nine digits of fraction.",
    &["import \"array\"\n\narray.from(rows: [{v: string(v: 1.50)}])"],
    |call| scalar::to_string(call.required("v")?),
);

/// `time`.
pub static TIME: Builtin = convert(
    "time",
    "(v: A) => time",
    "The value as a time: RFC 3339 or a date, or nanoseconds since 1970.",
    &["import \"array\"\n\narray.from(rows: [{_time: time(v: \"2024-01-01\")}])"],
    |call| scalar::to_time(call.required("v")?),
);

/// `duration`.
pub static DURATION: Builtin = convert(
    "duration",
    "(v: A) => duration",
    "The value as a duration: text such as \"1h30m\", or nanoseconds.",
    &["import \"array\"\n\narray.from(rows: [{v: string(v: duration(v: 90000000000))}])"],
    |call| scalar::to_duration(call.required("v")?),
);

/// `bytes`.
pub static BYTES: Builtin = convert(
    "bytes",
    "(v: A) => bytes",
    "A string as its UTF-8 bytes.",
    &["import \"array\"\n\narray.from(rows: [{v: string(v: bytes(v: \"hello\"))}])"],
    |call| scalar::to_bytes(call.required("v")?),
);
