//! Operators over whole columns, for the types that have them; each does to every row what [`crate::flux::scalar`] does
//! to two values.
//!
//! Used by [`super::eval`]; a property test holds both together. Arrow's own arithmetic and comparisons differ in what
//! matters (overflow is an error, floats compare by their total order), so only those of strings and booleans are taken
//! from there.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, PrimitiveArray, Scalar, StringViewArray,
    StringViewBuilder, UInt64Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cmp;
use arrow::compute::{is_not_null, not};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int64Type, TimestampNanosecondType, UInt64Type};

use super::vector::{Cells, Vector};
use crate::error::Result;
use crate::flux::{Value, scalar};
use crate::syntax::ast::{BinaryOperator, UnaryOperator};

/// `operator a` for every row; `None` if the type has no form of its own.
pub(super) fn unary(operator: UnaryOperator, array: &ArrayRef) -> Result<Option<ArrayRef>> {
    let array: ArrayRef = match (operator, array.data_type()) {
        (UnaryOperator::Exists, _) => Arc::new(is_not_null(array)?),
        (UnaryOperator::Not, DataType::Boolean) => Arc::new(not(array.as_boolean())?),
        (UnaryOperator::Minus, DataType::Int64) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, Int64Type>(i64::wrapping_neg))
        }
        (UnaryOperator::Minus, DataType::Float64) => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(|value| -value))
        }
        (UnaryOperator::Plus, DataType::Int64 | DataType::UInt64 | DataType::Float64) => Arc::clone(array),
        _ => return Ok(None),
    };
    Ok(Some(array))
}

/// `a operator b` for every row (one side may be a constant); `None` if the types have no form of their own.
///
/// # Errors
/// As the scalar operation, for rows that are selected.
pub(super) fn binary(
    operator: BinaryOperator,
    left: &Vector,
    right: &Vector,
    len: usize,
    selected: &dyn Fn(usize) -> bool,
) -> Result<Option<ArrayRef>> {
    let (Some(left), Some(right)) = (Side::of(left), Side::of(right)) else { return Ok(None) };
    let nulls = NullBuffer::union(left.nulls(), right.nulls());
    let zipped = Zip { len, nulls, selected };
    Ok(match (left, right) {
        (Side::Int(left), Side::Int(right)) => zipped.ints(operator, left, right)?,
        (Side::UInt(left), Side::UInt(right)) => zipped.uints(operator, left, right)?,
        (Side::Float(left), Side::Float(right)) => zipped.floats(operator, left, right),
        (Side::Int(left), Side::Float(right)) => {
            zipped.compare(operator, left, right, |a, b| (a as f64).partial_cmp(&b))
        }
        (Side::Float(left), Side::Int(right)) => {
            zipped.compare(operator, left, right, |a, b| a.partial_cmp(&(b as f64)))
        }
        (Side::UInt(left), Side::Float(right)) => {
            zipped.compare(operator, left, right, |a, b| (a as f64).partial_cmp(&b))
        }
        (Side::Float(left), Side::UInt(right)) => {
            zipped.compare(operator, left, right, |a, b| a.partial_cmp(&(b as f64)))
        }
        (Side::Int(left), Side::UInt(right)) => {
            zipped.compare(operator, left, right, |a, b| Some(scalar::compare_int_uint(a, b)))
        }
        (Side::UInt(left), Side::Int(right)) => {
            zipped.compare(operator, left, right, |a, b| Some(scalar::compare_int_uint(b, a).reverse()))
        }
        (Side::Time(left), Side::Time(right)) => zipped.compare(operator, left, right, |a, b| Some(a.cmp(&b))),
        (Side::String(left), Side::String(right)) => zipped.strings(operator, left, right)?,
        (Side::Bool(left), Side::Bool(right)) => zipped.bools(operator, left, right)?,
        (Side::String(Text::Column(text)), Side::Pattern(pattern)) => match operator {
            BinaryOperator::Matches => Some(matches(text, pattern, true)),
            BinaryOperator::NotMatches => Some(matches(text, pattern, false)),
            _ => None,
        },
        _ => None,
    })
}

/// One side of an operation.
enum Side<'a> {
    Int(Numbers<'a, Int64Type>),
    UInt(Numbers<'a, UInt64Type>),
    Float(Numbers<'a, Float64Type>),
    Time(Numbers<'a, TimestampNanosecondType>),
    String(Text<'a>),
    Bool(Bits<'a>),
    Pattern(&'a regex::Regex),
}

enum Numbers<'a, T: ArrowPrimitiveType> {
    Column(&'a PrimitiveArray<T>),
    Constant(T::Native),
}

enum Text<'a> {
    Column(&'a StringViewArray),
    Constant(&'a str),
}

enum Bits<'a> {
    Column(&'a BooleanArray),
    Constant(bool),
}

impl<'a> Side<'a> {
    fn of(vector: &'a Vector) -> Option<Side<'a>> {
        Some(match vector {
            Vector::Constant(value) => match value {
                Value::Int(value) => Side::Int(Numbers::Constant(*value)),
                Value::UInt(value) => Side::UInt(Numbers::Constant(*value)),
                Value::Float(value) => Side::Float(Numbers::Constant(*value)),
                Value::Time(value) => Side::Time(Numbers::Constant(*value)),
                Value::String(value) => Side::String(Text::Constant(value)),
                Value::Bool(value) => Side::Bool(Bits::Constant(*value)),
                Value::Regexp(pattern) => Side::Pattern(pattern),
                _ => return None,
            },
            Vector::Table(Cells::Array(array)) | Vector::Row(Cells::Array(array)) => match array.data_type() {
                DataType::Int64 => Side::Int(Numbers::Column(array.as_primitive())),
                DataType::UInt64 => Side::UInt(Numbers::Column(array.as_primitive())),
                DataType::Float64 => Side::Float(Numbers::Column(array.as_primitive())),
                DataType::Timestamp(_, _) => Side::Time(Numbers::Column(array.as_primitive())),
                DataType::Utf8View => Side::String(Text::Column(array.as_string_view())),
                DataType::Boolean => Side::Bool(Bits::Column(array.as_boolean())),
                _ => return None,
            },
            Vector::Table(_) | Vector::Row(_) => return None,
        })
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Side::Int(Numbers::Column(array)) => array.nulls(),
            Side::UInt(Numbers::Column(array)) => array.nulls(),
            Side::Float(Numbers::Column(array)) => array.nulls(),
            Side::Time(Numbers::Column(array)) => array.nulls(),
            Side::String(Text::Column(array)) => array.nulls(),
            Side::Bool(Bits::Column(array)) => array.nulls(),
            _ => None,
        }
    }
}

/// Two sides of one length, and where both have a value.
struct Zip<'a> {
    len: usize,
    nulls: Option<NullBuffer>,
    selected: &'a dyn Fn(usize) -> bool,
}

impl Zip<'_> {
    fn ints(
        self,
        operator: BinaryOperator,
        left: Numbers<'_, Int64Type>,
        right: Numbers<'_, Int64Type>,
    ) -> Result<Option<ArrayRef>> {
        use BinaryOperator::*;
        let values = match operator {
            Add => map(&left, &right, i64::wrapping_add),
            Subtract => map(&left, &right, i64::wrapping_sub),
            Multiply => map(&left, &right, i64::wrapping_mul),
            Divide | Modulo => {
                if let Some(at) = self.zero_divisor(&right) {
                    scalar::binary(operator, &Value::Int(left.get(at)), &Value::Int(0))?;
                }
                let operation = if operator == Divide { i64::wrapping_div } else { i64::wrapping_rem };
                map(&left, &right, |a, b| if b == 0 { 0 } else { operation(a, b) })
            }
            Power => return Ok(Some(self.float(map(&left, &right, |a, b| scalar::power(a as f64, b as f64))))),
            _ => return Ok(self.compare(operator, left, right, |a, b| Some(a.cmp(&b)))),
        };
        Ok(Some(Arc::new(Int64Array::new(values.into(), self.nulls))))
    }

    fn uints(
        self,
        operator: BinaryOperator,
        left: Numbers<'_, UInt64Type>,
        right: Numbers<'_, UInt64Type>,
    ) -> Result<Option<ArrayRef>> {
        use BinaryOperator::*;
        let values = match operator {
            Add => map(&left, &right, u64::wrapping_add),
            Subtract => map(&left, &right, u64::wrapping_sub),
            Multiply => map(&left, &right, u64::wrapping_mul),
            Divide | Modulo => {
                if let Some(at) = self.zero_divisor(&right) {
                    scalar::binary(operator, &Value::UInt(left.get(at)), &Value::UInt(0))?;
                }
                let operation = |a: u64, b: u64| if operator == Divide { a.checked_div(b) } else { a.checked_rem(b) };
                map(&left, &right, |a, b| operation(a, b).unwrap_or(0))
            }
            Power => return Ok(Some(self.float(map(&left, &right, |a, b| scalar::power(a as f64, b as f64))))),
            _ => return Ok(self.compare(operator, left, right, |a, b| Some(a.cmp(&b)))),
        };
        Ok(Some(Arc::new(UInt64Array::new(values.into(), self.nulls))))
    }

    fn floats(
        self,
        operator: BinaryOperator,
        left: Numbers<'_, Float64Type>,
        right: Numbers<'_, Float64Type>,
    ) -> Option<ArrayRef> {
        use BinaryOperator::*;
        let values = match operator {
            Add => map(&left, &right, |a, b| a + b),
            Subtract => map(&left, &right, |a, b| a - b),
            Multiply => map(&left, &right, |a, b| a * b),
            Divide => map(&left, &right, |a, b| a / b),
            Modulo => map(&left, &right, |a, b| a % b),
            Power => map(&left, &right, scalar::power),
            // What `partial_cmp` calls unordered fails every comparison but `!=`, as with NaN it should.
            _ => return self.compare(operator, left, right, |a, b| a.partial_cmp(&b)),
        };
        Some(self.float(values))
    }

    fn float(self, values: Vec<f64>) -> ArrayRef {
        Arc::new(Float64Array::new(values.into(), self.nulls))
    }

    /// A row that counts and divides by zero.
    fn zero_divisor<T: ArrowPrimitiveType>(&self, right: &Numbers<'_, T>) -> Option<usize> {
        let zero = T::Native::default();
        let counts = |at: &usize| self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*at)) && (self.selected)(*at);
        match right {
            Numbers::Constant(value) if *value != zero => None,
            Numbers::Constant(_) => (0..self.len).find(counts),
            Numbers::Column(array) => {
                let values = array.values();
                (0..self.len).find(|at| values[*at] == zero && counts(at))
            }
        }
    }

    fn compare<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
        self,
        operator: BinaryOperator,
        left: Numbers<'_, A>,
        right: Numbers<'_, B>,
        order: impl Fn(A::Native, B::Native) -> Option<Ordering>,
    ) -> Option<ArrayRef> {
        use BinaryOperator::*;
        let len = self.len;
        let bits = match operator {
            Equal => test(len, &left, &right, |a, b| order(a, b) == Some(Ordering::Equal)),
            NotEqual => test(len, &left, &right, |a, b| order(a, b) != Some(Ordering::Equal)),
            Less => test(len, &left, &right, |a, b| order(a, b) == Some(Ordering::Less)),
            LessEqual => test(len, &left, &right, |a, b| order(a, b).is_some_and(Ordering::is_le)),
            Greater => test(len, &left, &right, |a, b| order(a, b) == Some(Ordering::Greater)),
            GreaterEqual => test(len, &left, &right, |a, b| order(a, b).is_some_and(Ordering::is_ge)),
            _ => return None,
        };
        Some(Arc::new(BooleanArray::new(bits, self.nulls)))
    }

    fn strings(self, operator: BinaryOperator, left: Text<'_>, right: Text<'_>) -> Result<Option<ArrayRef>> {
        if operator == BinaryOperator::Add {
            return self.concatenate(left, right).map(Some);
        }
        let (left, right) = (left.datum(), right.datum());
        let (left, right) = (left.as_ref(), right.as_ref());
        let array = match operator {
            BinaryOperator::Equal => cmp::eq(left, right),
            BinaryOperator::NotEqual => cmp::neq(left, right),
            BinaryOperator::Less => cmp::lt(left, right),
            BinaryOperator::LessEqual => cmp::lt_eq(left, right),
            BinaryOperator::Greater => cmp::gt(left, right),
            BinaryOperator::GreaterEqual => cmp::gt_eq(left, right),
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(array?)))
    }

    fn concatenate(self, left: Text<'_>, right: Text<'_>) -> Result<ArrayRef> {
        let mut builder = StringViewBuilder::with_capacity(self.len);
        let mut text = String::new();
        for at in 0..self.len {
            if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
                builder.append_null();
                continue;
            }
            text.clear();
            scalar::bounded_text(left.get(at).len() + right.get(at).len())?;
            text.push_str(left.get(at));
            text.push_str(right.get(at));
            builder.append_value(&text);
        }
        Ok(Arc::new(builder.finish()))
    }

    fn bools(self, operator: BinaryOperator, left: Bits<'_>, right: Bits<'_>) -> Result<Option<ArrayRef>> {
        let (left, right) = (left.datum(), right.datum());
        let array = match operator {
            BinaryOperator::Equal => cmp::eq(left.as_ref(), right.as_ref()),
            BinaryOperator::NotEqual => cmp::neq(left.as_ref(), right.as_ref()),
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(array?)))
    }
}

impl<T: ArrowPrimitiveType> Numbers<'_, T> {
    fn get(&self, at: usize) -> T::Native {
        match self {
            Numbers::Column(array) => array.value(at),
            Numbers::Constant(value) => *value,
        }
    }
}

impl<'a> Text<'a> {
    fn get(&self, at: usize) -> &str {
        match self {
            Text::Column(array) => array.value(at),
            Text::Constant(text) => text,
        }
    }

    fn datum(self) -> Box<dyn arrow::array::Datum + 'a> {
        match self {
            Text::Column(array) => Box::new(array),
            Text::Constant(text) => Box::new(Scalar::new(StringViewArray::from_iter_values([text]))),
        }
    }
}

impl<'a> Bits<'a> {
    fn datum(self) -> Box<dyn arrow::array::Datum + 'a> {
        match self {
            Bits::Column(array) => Box::new(array),
            Bits::Constant(value) => Box::new(Scalar::new(BooleanArray::from(vec![value]))),
        }
    }
}

/// The operation on every pair of values; what stands under nulls is computed as well, so the operation must not fail.
fn map<T: ArrowPrimitiveType, R>(
    left: &Numbers<'_, T>,
    right: &Numbers<'_, T>,
    operation: impl Fn(T::Native, T::Native) -> R,
) -> Vec<R> {
    match (left, right) {
        (Numbers::Column(left), Numbers::Column(right)) => {
            left.values().iter().zip(right.values()).map(|(a, b)| operation(*a, *b)).collect()
        }
        (Numbers::Column(left), Numbers::Constant(right)) => {
            left.values().iter().map(|a| operation(*a, *right)).collect()
        }
        (Numbers::Constant(left), Numbers::Column(right)) => {
            right.values().iter().map(|b| operation(*left, *b)).collect()
        }
        (Numbers::Constant(left), Numbers::Constant(right)) => vec![operation(*left, *right)],
    }
}

fn test<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    len: usize,
    left: &Numbers<'_, A>,
    right: &Numbers<'_, B>,
    holds: impl Fn(A::Native, B::Native) -> bool,
) -> BooleanBuffer {
    match (left, right) {
        (Numbers::Column(left), Numbers::Column(right)) => {
            let (left, right) = (left.values(), right.values());
            BooleanBuffer::collect_bool(len, |at| holds(left[at], right[at]))
        }
        (Numbers::Column(left), Numbers::Constant(right)) => {
            let left = left.values();
            BooleanBuffer::collect_bool(len, |at| holds(left[at], *right))
        }
        (Numbers::Constant(left), Numbers::Column(right)) => {
            let right = right.values();
            BooleanBuffer::collect_bool(len, |at| holds(*left, right[at]))
        }
        (Numbers::Constant(left), Numbers::Constant(right)) => {
            BooleanBuffer::collect_bool(len, |_| holds(*left, *right))
        }
    }
}

/// `text =~ pattern` or `!~`: the search is not anchored.
fn matches(text: &StringViewArray, pattern: &regex::Regex, wanted: bool) -> ArrayRef {
    let bits =
        BooleanBuffer::collect_bool(text.len(), |at| text.is_valid(at) && pattern.is_match(text.value(at)) == wanted);
    Arc::new(BooleanArray::new(bits, text.nulls().cloned()))
}
