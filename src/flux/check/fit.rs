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

/// Whether a type cannot be of a kind of Flux's (`Numeric`, `Timeable`, ...); false for kinds that are not known here.
pub(super) fn lacks_kind(found: &Type, kind: &str) -> bool {
    use Ground::*;
    let ground = match found {
        Type::Unknown | Type::Var(_) => return false,
        Type::Ground(ground) => Some(*ground),
        _ => None,
    };
    let members: &[Ground] = match kind {
        "Record" => return !matches!(found, Type::Record(_)),
        "Numeric" | "Subtractable" | "Divisible" => &[Int, UInt, Float],
        "Addable" => &[Int, UInt, Float, String],
        "Negatable" => &[Int, UInt, Float, Duration],
        "Comparable" => &[Int, UInt, Float, String, Time, Duration],
        "Timeable" => &[Time, Duration],
        _ => return false,
    };
    ground.is_none_or(|ground| !members.contains(&ground))
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
