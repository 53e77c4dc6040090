//! What a function written in Rust looks like to the language: a name, a signature in Flux's type syntax, a body.
//!
//! Builtins stand in `functions`, a file each, as `static` data; the checker reads their signatures, the evaluator calls
//! their bodies. This file knows no single one of them.

use std::fmt;

use super::host::Host;
use super::value::Value;
use crate::diagnostic::Span;
use crate::error::{Error, Result};
use crate::table::Name;

/// A function written in Rust.
pub struct Builtin {
    /// The import path of its package; `universe` for names that need no import.
    pub package: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its type, in Flux's type syntax: `(<-tables: stream[A], ?column: string) => stream[A]`. The parameters (names,
    /// required, optional `?`, piped `<-`) are taken from here; there is no second list.
    pub signature: &'static str,
    /// One line for people.
    pub doc: &'static str,
    /// Examples that run on their own.
    pub examples: &'static [&'static str],
    /// What it does. Arguments are checked against the signature's names before.
    pub body: fn(&mut Call<'_>) -> Result<Value>,
}

impl fmt::Debug for Builtin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.package, self.name)
    }
}

/// One call of a builtin: its arguments by name (the piped one among them) and the world.
pub struct Call<'a> {
    /// Which function.
    pub builtin: &'static Builtin,
    /// Names and values as given, in the order of the call; the piped argument has its parameter's name.
    pub arguments: Vec<(Name, Value)>,
    /// The place of the call in the script.
    pub span: Span,
    /// The evaluator as the builtin sees it: calling functions, options, `now`, running streams.
    pub host: &'a mut dyn Host,
}

impl Call<'_> {
    /// An argument, if it was given.
    pub fn optional(&self, name: &str) -> Option<&Value> {
        self.arguments.iter().find(|(own, _)| &**own == name).map(|(_, value)| value)
    }

    /// An argument that must be there.
    pub fn required(&self, name: &str) -> Result<&Value> {
        self.optional(name).ok_or_else(|| {
            Error::invalid(format!("missing required argument {name} of {}", self.builtin.name))
                .with_hint(format!("{}{}", self.builtin.name, self.builtin.signature))
        })
    }
}
