//! Arithmetic: `+ - * / % ^` on two values of one type, and the prefix operators (flux-semantics 2.5).

use super::unsupported;
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::syntax::ast::{BinaryOperator, UnaryOperator};

/// Both sides of one type, neither of them null. Integers wrap around; `^` always gives a float.
pub(super) fn binary(operator: BinaryOperator, left: &Value, right: &Value) -> Result<Value> {
    use BinaryOperator::*;
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Ok(match operator {
            Add => Value::Int(left.wrapping_add(*right)),
            Subtract => Value::Int(left.wrapping_sub(*right)),
            Multiply => Value::Int(left.wrapping_mul(*right)),
            Divide => Value::Int(divide_int(*left, *right)?),
            Modulo => Value::Int(modulo_int(*left, *right)?),
            _ => Value::Float(power(*left as f64, *right as f64)),
        }),
        (Value::UInt(left), Value::UInt(right)) => Ok(match operator {
            Add => Value::UInt(left.wrapping_add(*right)),
            Subtract => Value::UInt(left.wrapping_sub(*right)),
            Multiply => Value::UInt(left.wrapping_mul(*right)),
            Divide => Value::UInt(left.checked_div(*right).ok_or_else(divided_by_zero)?),
            Modulo => Value::UInt(left.checked_rem(*right).ok_or_else(modulo_zero)?),
            _ => Value::Float(power(*left as f64, *right as f64)),
        }),
        (Value::Float(left), Value::Float(right)) => Ok(Value::Float(match operator {
            Add => left + right,
            Subtract => left - right,
            Multiply => left * right,
            Divide => left / right,
            Modulo => left % right,
            _ => power(*left, *right),
        })),
        (Value::String(left), Value::String(right)) if operator == Add => {
            super::bounded_text(left.len() + right.len())?;
            let mut text = String::with_capacity(left.len() + right.len());
            text.push_str(left);
            text.push_str(right);
            Ok(Value::string(text))
        }
        _ => Err(unsupported(operator, left, right)),
    }
}

/// Towards zero; the one quotient that does not fit wraps around.
///
/// # Errors
/// FailedPrecondition for a zero divisor.
pub fn divide_int(left: i64, right: i64) -> Result<i64> {
    if right == 0 { Err(divided_by_zero()) } else { Ok(left.wrapping_div(right)) }
}

/// With the sign of the left side.
///
/// # Errors
/// FailedPrecondition for a zero divisor.
pub fn modulo_int(left: i64, right: i64) -> Result<i64> {
    if right == 0 { Err(modulo_zero()) } else { Ok(left.wrapping_rem(right)) }
}

/// `left ^ right`, as IEEE 754 has it.
pub fn power(left: f64, right: f64) -> f64 {
    left.powf(right)
}

fn divided_by_zero() -> Error {
    Error::failed_precondition("cannot divide by zero")
}

fn modulo_zero() -> Error {
    Error::failed_precondition("cannot mod zero")
}

/// `-a`, `+a`, `not a`, `exists a`.
///
/// # Errors
/// Invalid for an operand that the operator does not take.
pub fn unary(operator: UnaryOperator, operand: &Value) -> Result<Value> {
    use UnaryOperator::*;
    let symbol = match (operator, operand) {
        (Exists, Value::Dynamic(inner)) => return Ok(Value::Bool(!matches!(**inner, Value::Null))),
        (Exists, value) => return Ok(Value::Bool(!matches!(value, Value::Null))),
        (_, Value::Null) => return Ok(Value::Null),
        (Not, Value::Bool(truth)) => return Ok(Value::Bool(!truth)),
        (Minus, Value::Int(number)) => return Ok(Value::Int(number.wrapping_neg())),
        (Minus, Value::Float(number)) => return Ok(Value::Float(-number)),
        (Minus, Value::Duration(duration)) => return Ok(Value::Duration(duration.negated())),
        (Plus, Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::Duration(_)) => return Ok(operand.clone()),
        (Minus, _) => "-",
        (Plus, _) => "+",
        (Not, _) => "not ",
    };
    Err(Error::invalid(format!("unsupported unary expression {symbol}{}", operand.type_name())))
}
