//! Package `strings`: texts changed, searched and taken apart (flux-semantics 12.4).
//!
//! A null argument gives null. Places within a text are counted in bytes by the index functions, in characters by
//! `substring` and `strlen`, as the reference does it. A case that a character has only in several characters is left.

mod ask;
mod change;
mod fold;
mod split;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, any_null};

const PACKAGE: &str = "strings";

/// The longest text that a function makes of shorter ones, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// An example: the call as the value of a row.
macro_rules! example {
    ($call:literal) => {
        &[concat!("import \"array\"\nimport \"strings\"\n\narray.from(rows: [{v: ", $call, "}])")]
    };
}
use example;

const fn function(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature, doc, examples, body }
}

/// The package.
pub fn package() -> Package {
    let mut builtins: Vec<&'static Builtin> = Vec::new();
    builtins.extend(ask::BUILTINS);
    builtins.extend(change::BUILTINS);
    builtins.extend(split::BUILTINS);
    builtins.sort_by_key(|builtin| builtin.name);
    Package { path: PACKAGE, builtins, ..Package::default() }
}

/// A text made of the argument `v`.
fn text(call: &Call<'_>, make: impl FnOnce(&str) -> String) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    Ok(Value::string(make(&call.string("v")?)))
}

/// What a function makes of `v` and another text.
fn with_other(call: &Call<'_>, other: &str, make: impl FnOnce(&str, &str) -> Value) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    Ok(make(&call.string("v")?, &call.string(other)?))
}

/// Refuses a text that would become too long.
fn bounded(call: &Call<'_>, bytes: Option<usize>) -> Result<()> {
    match bytes {
        Some(bytes) if bytes <= MOST_BYTES => Ok(()),
        _ => Err(Error::resource_exhausted(format!(
            "strings.{} would make a text longer than {} MiB",
            call.builtin.name,
            MOST_BYTES >> 20
        ))),
    }
}
