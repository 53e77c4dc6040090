//! Values of a field's former type as values of its type: only where nothing is lost.
//!
//! Used where a field was retyped: by appends (a replay brings old values), by reads of files from before, and by the
//! rewriting of those files. What cannot be converted is no value of the field any more.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, StringViewBuilder, UInt64Builder,
};
use arrow::datatypes::{Float64Type, Int64Type, UInt64Type};

use super::columns::value_type;
use crate::point::FieldValue;
use crate::table::ColumnType;

/// A value as one of another type; `None` if something would be lost.
pub(crate) fn convert(value: &FieldValue, to: ColumnType) -> Option<FieldValue> {
    if value_type(value) == to {
        return Some(value.clone());
    }
    match to {
        ColumnType::Float => match value {
            FieldValue::Int(value) => exact_float(i128::from(*value)),
            FieldValue::UInt(value) => exact_float(i128::from(*value)),
            FieldValue::String(text) => text.parse().ok().filter(|value: &f64| value.is_finite()),
            _ => None,
        }
        .map(FieldValue::Float),
        ColumnType::Int => whole(value).and_then(|whole| i64::try_from(whole).ok()).map(FieldValue::Int),
        ColumnType::UInt => whole(value).and_then(|whole| u64::try_from(whole).ok()).map(FieldValue::UInt),
        ColumnType::String => Some(FieldValue::String(match value {
            FieldValue::Bool(value) => value.to_string().into(),
            FieldValue::Int(value) => value.to_string().into(),
            FieldValue::UInt(value) => value.to_string().into(),
            FieldValue::Float(value) => value.to_string().into(),
            FieldValue::String(text) => text.clone(),
        })),
        ColumnType::Bool => match value {
            FieldValue::String(text) => text.parse().ok().map(FieldValue::Bool),
            _ => None,
        },
        ColumnType::Time => None,
    }
}

fn exact_float(value: i128) -> Option<f64> {
    let float = value as f64;
    (float as i128 == value).then_some(float)
}

fn whole(value: &FieldValue) -> Option<i128> {
    match value {
        FieldValue::Int(value) => Some(i128::from(*value)),
        FieldValue::UInt(value) => Some(i128::from(*value)),
        // -0.0 is not 0.
        FieldValue::Float(value) if value.fract() == 0.0 && !(*value == 0.0 && value.is_sign_negative()) => {
            (value.abs() < 2f64.powi(64)).then_some(*value as i128)
        }
        FieldValue::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A column as one of another type; values that cannot be converted become null.
pub(crate) fn convert_column(column: &ArrayRef, from: ColumnType, to: ColumnType) -> ArrayRef {
    let value = |row: usize| -> Option<FieldValue> {
        if column.is_null(row) {
            return None;
        }
        let value = match from {
            ColumnType::Bool => FieldValue::Bool(column.as_boolean().value(row)),
            ColumnType::Int => FieldValue::Int(column.as_primitive::<Int64Type>().value(row)),
            ColumnType::UInt => FieldValue::UInt(column.as_primitive::<UInt64Type>().value(row)),
            ColumnType::Float => FieldValue::Float(column.as_primitive::<Float64Type>().value(row)),
            ColumnType::String => FieldValue::String(column.as_string_view().value(row).into()),
            ColumnType::Time => return None,
        };
        convert(&value, to)
    };
    macro_rules! filled {
        ($builder:expr, $kind:ident) => {{
            let mut builder = $builder;
            for row in 0..column.len() {
                match value(row) {
                    Some(FieldValue::$kind(value)) => builder.append_value(value),
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }};
    }
    match to {
        ColumnType::Bool => filled!(BooleanBuilder::new(), Bool),
        ColumnType::Int => filled!(Int64Builder::new(), Int),
        ColumnType::UInt => filled!(UInt64Builder::new(), UInt),
        ColumnType::Float => filled!(Float64Builder::new(), Float),
        ColumnType::String | ColumnType::Time => filled!(StringViewBuilder::new(), String),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::point::FieldValue::{Bool, Float, Int, String, UInt};

    #[test]
    fn only_what_loses_nothing_is_converted() {
        let cases = [
            (Int(3), ColumnType::Float, Some(Float(3.0))),
            (Int((1 << 53) + 1), ColumnType::Float, None),
            (Int(-1), ColumnType::UInt, None),
            (UInt(u64::MAX), ColumnType::Int, None),
            (UInt(7), ColumnType::Int, Some(Int(7))),
            (Float(2.0), ColumnType::Int, Some(Int(2))),
            (Float(2.5), ColumnType::Int, None),
            (Float(-0.0), ColumnType::Int, None),
            (Float(1e300), ColumnType::UInt, None),
            (String("12".into()), ColumnType::Int, Some(Int(12))),
            (String("1.5".into()), ColumnType::Float, Some(Float(1.5))),
            (String("inf".into()), ColumnType::Float, None),
            (String("true".into()), ColumnType::Bool, Some(Bool(true))),
            (Bool(true), ColumnType::Int, None),
            (Bool(false), ColumnType::String, Some(String("false".into()))),
            (Float(0.1), ColumnType::String, Some(String("0.1".into()))),
        ];
        for (value, to, expected) in cases {
            assert_eq!(convert(&value, to), expected, "{value:?} to {to:?}");
        }
    }

    #[test]
    fn columns_keep_their_nulls() {
        let ints: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![Some(1), None, Some(i64::MAX)]));
        let floats = convert_column(&ints, ColumnType::Int, ColumnType::Float);
        let floats: Vec<Option<f64>> = floats.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(floats, [Some(1.0), None, None]);
    }
}
