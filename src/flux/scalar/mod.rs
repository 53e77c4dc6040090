//! What operators and conversions do to single values: the one definition that the evaluator and row programs share.
//!
//! Pure functions from values to a value. Row programs lift them to columns and are tested against them. Null goes
//! through everything by the three-valued rules of the language's text (flux-semantics 2.6 and 17): in rows and outside
//! of them alike, where the reference has three sets of rules.

mod arithmetic;
mod comparison;
mod conversion;
mod display;
mod math;
mod text;

pub use arithmetic::{divide_int, modulo_int, power, unary};
pub use comparison::{compare_durations, compare_int_uint, equal_values};
pub use conversion::{to_bool, to_bytes, to_duration, to_float, to_int, to_string, to_time, to_uint};
pub use display::display;
pub use math::{Binary, Unary, binary_function, unary_function};
pub use text::{bounded_text, float_text, interpolate};

use super::Value;
use crate::error::{Error, Result};
use crate::syntax::ast::{BinaryOperator, LogicalOperator};

/// `left operator right`. Null on either side gives null.
///
/// # Errors
/// Invalid `unsupported binary expression string == int` for operands that the operator does not take;
/// FailedPrecondition for a division of integers by zero.
pub fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Result<Value> {
    use BinaryOperator::*;
    if matches!(left, Value::Null) || matches!(right, Value::Null) {
        return Ok(Value::Null);
    }
    match operator {
        Add | Subtract | Multiply | Divide | Modulo | Power => arithmetic::binary(operator, left, right),
        Equal | NotEqual | Less | LessEqual | Greater | GreaterEqual => {
            comparison::compare(operator, left, right).map(Value::Bool)
        }
        Matches | NotMatches => match (left, right) {
            (Value::String(text), Value::Regexp(pattern)) => {
                Ok(Value::Bool(pattern.is_match(text) == (operator == Matches)))
            }
            _ => Err(unsupported(operator, left, right)),
        },
    }
}

/// What an operand of `and`, `or`, `not` or a condition says: true, false, or unknown where it is null.
///
/// # Errors
/// Invalid if it is no boolean.
pub fn truth(value: &Value) -> Result<Option<bool>> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(truth) => Ok(Some(*truth)),
        other => Err(Error::invalid(format!("expected bool but found {}", other.type_name()))),
    }
}

/// The result of `and` or `or` if the left side alone decides it: the right side is then not evaluated.
pub fn decided_by_left(operator: LogicalOperator, left: Option<bool>) -> Option<bool> {
    match (operator, left) {
        (LogicalOperator::And, Some(false)) => Some(false),
        (LogicalOperator::Or, Some(true)) => Some(true),
        _ => None,
    }
}

/// `and` and `or` in three values: false decides `and`, true decides `or`, else an unknown side makes it unknown.
pub fn logical(operator: LogicalOperator, left: Option<bool>, right: Option<bool>) -> Option<bool> {
    let deciding = operator == LogicalOperator::Or;
    match (left, right) {
        (Some(side), _) | (_, Some(side)) if side == deciding => Some(deciding),
        (Some(_), Some(_)) => Some(!deciding),
        _ => None,
    }
}

/// A truth as a value: unknown is null.
pub fn from_truth(truth: Option<bool>) -> Value {
    truth.map_or(Value::Null, Value::Bool)
}

fn unsupported(operator: BinaryOperator, left: &Value, right: &Value) -> Error {
    unsupported_types(operator, left.type_name(), right.type_name())
}

/// The error for operands of types that an operator does not take, with what may help.
pub fn unsupported_types(operator: BinaryOperator, left: &str, right: &str) -> Error {
    let error = Error::invalid(format!("unsupported binary expression {left} {} {right}", operator.symbol()));
    let numeric = |name: &str| matches!(name, "int" | "uint" | "float");
    match (left, right) {
        _ if numeric(left) && numeric(right) => {
            let wider = if left == "float" || right == "float" { "float" } else { "int" };
            error.with_hint(format!("convert one side, as in {wider}(v: ...)"))
        }
        ("time", "duration") | ("duration", "time") | ("duration", "duration") => {
            error.with_hint("times and durations are added by date.add, date.sub and date.scale")
        }
        ("string", _) if operator == BinaryOperator::Add => {
            error.with_hint("convert the right side, as in string(v: ...)")
        }
        (_, "string") if operator == BinaryOperator::Add => {
            error.with_hint("convert the left side, as in string(v: ...)")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests;
