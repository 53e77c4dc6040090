//! Whether a type can be another: definite contradictions only.
//!
//! Called by the checker. What is not known fits everything.

use crate::flux::types::{FunctionType, Ground, ParameterKind, Type};

/// Whether no value of type `found` can stand where `expected` is asked for.
pub(super) fn contradicts(expected: &Type, found: &Type) -> bool {
    match (expected, found) {
        (Type::Unknown | Type::Var(_), _) | (_, Type::Unknown | Type::Var(_)) => false,
        (Type::Ground(expected), Type::Ground(found)) => expected != found,
        (Type::Array(expected), Type::Array(found)) => contradicts(expected, found),
        (Type::Dict(expected_key, expected), Type::Dict(found_key, found)) => {
            contradicts(expected_key, found_key) || contradicts(expected, found)
        }
        (Type::Record(expected), Type::Record(found)) => {
            expected.properties.iter().any(|(name, expected)| match found.get(name) {
                Some(found) => contradicts(expected, found),
                None => found.rest.is_none(),
            })
        }
        // Functions are compared parameter by parameter, where messages can name them.
        (Type::Function(_), Type::Function(_)) | (Type::Stream(_), Type::Stream(_)) => false,
        _ => true,
    }
}

/// Whether a function is asked for and something known to be none was found.
pub(super) fn is_no_function(expected: &Type, found: &Type) -> bool {
    let is_function = |one: &Type| matches!(one, Type::Function(_));
    is_function(expected) && !is_function(found) && !matches!(found, Type::Unknown | Type::Var(_))
}

/// What a kind of Flux's (`Numeric`, `Timeable`, ...) asks for, in words, if a type cannot be of it. `None` if it may be,
/// and for kinds that are not known here.
pub(super) fn lacked_kind(found: &Type, kind: &str) -> Option<&'static str> {
    use Ground::*;
    let (words, members): (&str, &[Ground]) = match kind {
        "Record" => ("record", &[]),
        "Numeric" | "Subtractable" | "Divisible" => ("int, uint or float", &[Int, UInt, Float]),
        "Addable" => ("int, uint, float or string", &[Int, UInt, Float, String]),
        "Negatable" => ("int, uint, float or duration", &[Int, UInt, Float, Duration]),
        "Comparable" => ("a number, string, time or duration", &[Int, UInt, Float, String, Time, Duration]),
        "Timeable" => ("time or duration", &[Time, Duration]),
        _ => return None,
    };
    let fits = match found {
        Type::Unknown | Type::Var(_) => true,
        Type::Ground(ground) => members.contains(ground),
        Type::Record(_) => kind == "Record",
        _ => false,
    };
    (!fits).then_some(words)
}

/// What is wrong with a function that is handed to one that will call it.
#[derive(Debug, PartialEq)]
pub(super) enum Misfit {
    /// It needs a parameter that it will not be given.
    Needs(String),
    /// It will be given an argument that it does not take.
    Lacks(String),
    /// It will be given something by pipe and takes no pipe.
    LacksPipe,
    /// Its result has the wrong type.
    Returns,
}

/// Whether a function can be called as another function will call it.
pub(super) fn misfit(expected: &FunctionType, found: &FunctionType) -> Option<Misfit> {
    for parameter in &found.parameters {
        let given = match parameter.kind {
            ParameterKind::Optional => true,
            ParameterKind::Pipe => expected.pipe().is_some() || expected.parameter(&parameter.name).is_some(),
            ParameterKind::Required => expected.parameter(&parameter.name).is_some(),
        };
        if !given {
            return Some(Misfit::Needs(parameter.name.to_string()));
        }
    }
    for parameter in &expected.parameters {
        match parameter.kind {
            ParameterKind::Pipe if found.pipe().is_none() => return Some(Misfit::LacksPipe),
            ParameterKind::Required if found.parameter(&parameter.name).is_none() => {
                return Some(Misfit::Lacks(parameter.name.to_string()));
            }
            _ => {}
        }
    }
    contradicts(&expected.result, &found.result).then_some(Misfit::Returns)
}
