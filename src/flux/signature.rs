//! Reads Flux's type syntax: the signatures that stand beside every builtin.
//!
//! Called by the library, once for each builtin. A signature that does not read is a defect of fluxmill, found by a test
//! over the whole library; a user's text never comes here.

use super::types::{FunctionType, Ground, ParameterKind, ParameterType, Row, Type};
use crate::error::{Error, Result};
use crate::table::Name;

/// Reads a function type: `(<-tables: stream[A], ?column: string) => stream[B] where A: Record, B: Record`.
///
/// # Errors
/// Internal, with the place, if the text is not a function type.
pub fn parse(text: &str) -> Result<FunctionType> {
    let mut reader = Reader { text, at: 0 };
    let parsed = reader.whole(|reader| match reader.function()? {
        Type::Function(function) => Ok(*function),
        other => Err(format!("expected a function type, found {other}")),
    });
    parsed.map_err(|why| Error::internal(format!("cannot read the signature `{text}` at byte {}: {why}", reader.at)))
}

/// Reads any type: `[string]`, `{zone: string, offset: duration}`.
///
/// # Errors
/// Internal, with the place, if the text is not a type.
pub fn parse_type(text: &str) -> Result<Type> {
    let mut reader = Reader { text, at: 0 };
    let parsed = reader.whole(Reader::any_type);
    parsed.map_err(|why| Error::internal(format!("cannot read the type `{text}` at byte {}: {why}", reader.at)))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn whole<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let read = read(self)?;
        self.skip_spaces();
        if self.at < self.text.len() { Err("expected the end".to_string()) } else { Ok(read) }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Whether the next mark is this one; it is then behind.
    fn take(&mut self, mark: &str) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len();
        }
        found
    }

    fn expect(&mut self, mark: &str) -> Parsed<()> {
        if self.take(mark) { Ok(()) } else { Err(format!("expected `{mark}`")) }
    }

    fn name(&mut self) -> Parsed<&'a str> {
        self.skip_spaces();
        let rest = self.rest();
        let length = rest.find(|character: char| !character.is_alphanumeric() && character != '_');
        let name = &rest[..length.unwrap_or(rest.len())];
        if name.is_empty() {
            return Err("expected a name".to_string());
        }
        self.at += name.len();
        Ok(name)
    }

    /// Items with commas between them (and perhaps after the last) up to a closing mark.
    fn list<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        loop {
            if self.take(close) {
                return Ok(items);
            }
            items.push(item(self)?);
            if !self.take(",") {
                self.expect(close)?;
                return Ok(items);
            }
        }
    }

    fn any_type(&mut self) -> Parsed<Type> {
        self.skip_spaces();
        match self.rest().chars().next() {
            Some('(') => self.function(),
            Some('[') => self.array_or_dict(),
            Some('{') => self.record(),
            _ => self.named_type(),
        }
    }

    fn named_type(&mut self) -> Parsed<Type> {
        let name = self.name()?;
        if let Some(ground) = Ground::named(name) {
            return Ok(Type::Ground(ground));
        }
        match name {
            "stream" => {
                self.expect("[")?;
                let row = self.any_type()?;
                self.expect("]")?;
                Ok(Type::Stream(Box::new(row)))
            }
            // A value whose type is known at run time only.
            "dynamic" => Ok(Type::Unknown),
            _ if name.starts_with(|first: char| first.is_ascii_uppercase()) => Ok(Type::Var(name.into())),
            _ => Err(format!("unknown type `{name}`")),
        }
    }

    fn array_or_dict(&mut self) -> Parsed<Type> {
        self.expect("[")?;
        let first = Box::new(self.any_type()?);
        if self.take(":") {
            let value = Box::new(self.any_type()?);
            self.expect("]")?;
            return Ok(Type::Dict(first, value));
        }
        self.expect("]")?;
        Ok(Type::Array(first))
    }

    fn record(&mut self) -> Parsed<Type> {
        self.expect("{")?;
        let start = self.at;
        let mut rest = None;
        if let Ok(variable) = self.name() {
            if self.take("with") {
                rest = Some(Name::from(variable));
            } else {
                self.at = start;
            }
        }
        let properties = self.list("}", |reader| {
            let name = Name::from(reader.name()?);
            reader.expect(":")?;
            Ok((name, reader.any_type()?))
        })?;
        Ok(Type::Record(Row { properties, rest }))
    }

    fn function(&mut self) -> Parsed<Type> {
        self.expect("(")?;
        let parameters = self.list(")", Self::parameter)?;
        self.expect("=>")?;
        let result = self.any_type()?;
        let constraints = if self.take("where") { self.constraints()? } else { Vec::new() };
        Ok(Type::Function(Box::new(FunctionType { parameters, result, constraints })))
    }

    fn parameter(&mut self) -> Parsed<ParameterType> {
        let kind = if self.take("<-") {
            ParameterKind::Pipe
        } else if self.take("?") {
            ParameterKind::Optional
        } else {
            ParameterKind::Required
        };
        let nameless = kind == ParameterKind::Pipe && self.take(":");
        let name = if nameless { Name::from("") } else { self.name()?.into() };
        if !nameless {
            self.expect(":")?;
        }
        Ok(ParameterType { name, kind, parameter_type: self.any_type()? })
    }

    /// `A: Addable + Comparable, B: Record`.
    fn constraints(&mut self) -> Parsed<Vec<(Name, Vec<Name>)>> {
        let mut constraints = Vec::new();
        loop {
            let variable = self.name()?.into();
            self.expect(":")?;
            let mut kinds = vec![Name::from(self.name()?)];
            while self.take("+") {
                kinds.push(self.name()?.into());
            }
            constraints.push((variable, kinds));
            if !self.take(",") {
                return Ok(constraints);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn signatures_print_as_they_are_written() {
        // The forms of Flux's type syntax, as its documentation of builtins uses them.
        let texts = [
            "() => time",
            "(v: A) => int",
            "(<-tables: stream[A], ?column: string) => stream[A]",
            "(<-tables: stream[A], fn: (r: A) => bool, ?onEmpty: string) => stream[A] where A: Record",
            "(<-tables: stream[A], fn: (r: A, accumulator: B) => B, identity: B) => stream[C] where A: Record, B: Record",
            "(tables: A, ?method: string, ?on: [string]) => stream[B] where A: Record, B: Record",
            "(dict: [K: V], key: K, default: V) => V where K: Comparable",
            "(rows: [A]) => stream[A] where A: Record",
            "(name: string) => {zone: string, offset: duration}",
            "(<-tables: stream[{A with _time: time}], n: int) => stream[{A with _time: time}]",
            "(every: duration, fn: (<-: stream[A], column: string) => stream[B]) => stream[C] where A: Addable + Numeric",
        ];
        for text in texts {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn parameters_know_how_they_are_given() {
        let signature = parse("(<-tables: stream[A], ?column: string, n: int) => stream[A]").unwrap();
        assert_eq!(signature.pipe().unwrap().name, "tables".into());
        assert_eq!(signature.parameter("column").unwrap().kind, ParameterKind::Optional);
        assert_eq!(signature.parameter("n").unwrap().kind, ParameterKind::Required);
        assert_eq!(signature.parameter("n").unwrap().parameter_type, Type::Ground(Ground::Int));
        assert!(signature.parameter("m").is_none());
    }

    #[test]
    fn what_is_no_signature_is_refused_with_its_place() {
        for text in ["", "int", "(", "(v) => int", "(v: int)", "(v: integer) => int", "() => int x", "(v: [int) => int"]
        {
            let error = parse(text).unwrap_err();
            assert!(error.message().contains("at byte"), "{text}: {error}");
        }
        assert_eq!(parse_type("[string: [int]]").unwrap().to_string(), "[string: [int]]");
    }
}
