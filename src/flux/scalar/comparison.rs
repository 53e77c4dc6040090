//! Comparison: `== != < <= > >=` (flux-semantics 2.5 and 17).
//!
//! Numbers of different types compare by value; anything else compares with its own type only. Durations compare where
//! the answer does not depend on how long a month is, which the reference refuses altogether.

use std::cmp::Ordering;

use super::unsupported;
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::syntax::ast::BinaryOperator;
use crate::time::Duration;
use crate::time::calendar::DAY_NS;

/// The truth of a comparison of two values that are not null.
pub(super) fn compare(operator: BinaryOperator, left: &Value, right: &Value) -> Result<bool> {
    use BinaryOperator::*;
    let ordering = match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::UInt(left), Value::UInt(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::UInt(right)) => Some(compare_int_uint(*left, *right)),
        (Value::UInt(left), Value::Int(right)) => Some(compare_int_uint(*right, *left).reverse()),
        (Value::Float(left), Value::Float(right)) => left.partial_cmp(right),
        (Value::Float(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Float(left), Value::UInt(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Int(left), Value::Float(right)) => (*left as f64).partial_cmp(right),
        (Value::UInt(left), Value::Float(right)) => (*left as f64).partial_cmp(right),
        (Value::String(left), Value::String(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Value::Time(left), Value::Time(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(compare_durations(*left, *right)?),
        _ => {
            let equal = match operator {
                Equal | NotEqual => equal_composites(left, right),
                _ => None,
            };
            let equal = equal.ok_or_else(|| unsupported(operator, left, right))?;
            return Ok(equal == (operator == Equal));
        }
    };
    // A comparison with NaN has no ordering: only `!=` is then true.
    Ok(match operator {
        Equal => ordering == Some(Ordering::Equal),
        NotEqual => ordering != Some(Ordering::Equal),
        Less => ordering == Some(Ordering::Less),
        LessEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
        Greater => ordering == Some(Ordering::Greater),
        _ => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
    })
}

/// An integer against an unsigned one, by value.
pub fn compare_int_uint(left: i64, right: u64) -> Ordering {
    match u64::try_from(left) {
        Ok(left) => left.cmp(&right),
        Err(_) => Ordering::Less,
    }
}

/// The order of two durations, where it is the same for months of 28 and of 31 days.
///
/// # Errors
/// Invalid where it is not (`1mo == 30d`).
pub fn compare_durations(left: Duration, right: Duration) -> Result<Ordering> {
    let sign = |duration: Duration| if duration.negative { -1 } else { 1 };
    let months = sign(left) * i128::from(left.months) - sign(right) * i128::from(right.months);
    let nanoseconds = sign(left) * i128::from(left.nanoseconds) - sign(right) * i128::from(right.nanoseconds);
    let with_month_of = |days: i128| (months * days * i128::from(DAY_NS) + nanoseconds).cmp(&0);
    let (short, long) = (with_month_of(28), with_month_of(31));
    if short == long && (short != Ordering::Equal || months == 0) {
        return Ok(short);
    }
    Err(Error::invalid(format!("cannot compare {left} with {right}: months have no fixed length")))
}

/// Equality of what has no order; `None` for values that cannot be compared at all.
fn equal_composites(left: &Value, right: &Value) -> Option<bool> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left == right),
        (Value::Bytes(left), Value::Bytes(right)) => Some(left == right),
        (Value::Array(_), Value::Array(_))
        | (Value::Record(_), Value::Record(_))
        | (Value::Dict(_), Value::Dict(_)) => Some(equal_values(left, right)),
        _ => None,
    }
}

/// Deep equality, as between the elements of arrays and the properties of records (whose order does not count): values
/// of unlike types are unequal, null equals null, functions and streams equal nothing.
pub fn equal_values(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right.iter()).all(|(left, right)| equal_values(left, right))
        }
        (Value::Record(left), Value::Record(right)) => {
            left.properties.len() == right.properties.len()
                && left
                    .properties
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| equal_values(value, other)))
        }
        (Value::Dict(left), Value::Dict(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right.iter())
                    .all(|((left_key, left), (right_key, right))| left_key == right_key && equal_values(left, right))
        }
        (Value::Regexp(left), Value::Regexp(right)) => left.as_str() == right.as_str(),
        _ => compare(BinaryOperator::Equal, left, right).unwrap_or(false),
    }
}
