//! The tables of flux-semantics 2.5, 2.6, 12.1 and 17, row by row.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::syntax::ast::UnaryOperator;
use crate::time::Duration;
use BinaryOperator::*;

fn text(value: &str) -> Value {
    Value::string(value)
}

fn duration(value: &str) -> Value {
    Value::Duration(Duration::parse_signed(value).unwrap())
}

fn array(items: &[Value]) -> Value {
    Value::Array(Arc::from(items))
}

/// Same type and same content; NaN is itself here.
#[track_caller]
fn assert_value(found: Result<Value>, expected: Value) {
    let found = found.unwrap();
    let both_nan = matches!((&found, &expected), (Value::Float(a), Value::Float(b)) if a.is_nan() && b.is_nan());
    assert_eq!(found.type_name(), expected.type_name());
    assert!(both_nan || equal_values(&found, &expected), "found {found:?}, expected {expected:?}");
}

#[track_caller]
fn assert_error<T: std::fmt::Debug>(found: Result<T>, kind: ErrorKind, message: &str) {
    let error = found.unwrap_err();
    assert_eq!((error.kind(), error.message()), (kind, message));
}

#[test]
fn arithmetic_of_one_type() {
    use Value::{Float, Int, UInt};
    let cases = [
        (Add, Int(i64::MAX), Int(1), Int(i64::MIN)),
        (Subtract, UInt(0), UInt(1), UInt(u64::MAX)),
        (Multiply, Int(i64::MAX), Int(2), Int(-2)),
        (Divide, Int(-7), Int(2), Int(-3)),
        (Divide, Int(i64::MIN), Int(-1), Int(i64::MIN)),
        (Modulo, Int(-7), Int(2), Int(-1)),
        (Modulo, Int(i64::MIN), Int(-1), Int(0)),
        (Divide, UInt(7), UInt(2), UInt(3)),
        (Divide, Float(1.0), Float(0.0), Float(f64::INFINITY)),
        (Divide, Float(0.0), Float(0.0), Float(f64::NAN)),
        (Modulo, Float(-7.5), Float(2.0), Float(-1.5)),
        (Power, Int(2), Int(3), Float(8.0)),
        (Power, UInt(2), UInt(3), Float(8.0)),
        (Power, Float(2.0), Float(0.5), Float(std::f64::consts::SQRT_2)),
        (Add, text("a"), text("b"), text("ab")),
    ];
    for (operator, left, right, expected) in cases {
        assert_value(binary(operator, &left, &right), expected);
    }
}

#[test]
fn division_of_integers_by_zero_fails() {
    let kind = ErrorKind::FailedPrecondition;
    assert_error(binary(Divide, &Value::Int(1), &Value::Int(0)), kind, "cannot divide by zero");
    assert_error(binary(Modulo, &Value::Int(1), &Value::Int(0)), kind, "cannot mod zero");
    assert_error(binary(Divide, &Value::UInt(1), &Value::UInt(0)), kind, "cannot divide by zero");
    assert_error(binary(Modulo, &Value::UInt(1), &Value::UInt(0)), kind, "cannot mod zero");
}

#[test]
fn unlike_operands_are_refused() {
    let cases = [
        (Equal, text("a"), Value::Int(1), "unsupported binary expression string == int"),
        (Add, Value::Int(1), Value::Float(1.0), "unsupported binary expression int + float"),
        (Add, duration("1h"), duration("1h"), "unsupported binary expression duration + duration"),
        (Add, Value::Time(0), duration("1h"), "unsupported binary expression time + duration"),
        (Greater, Value::Time(0), Value::Int(10), "unsupported binary expression time > int"),
        (Less, Value::Bool(false), Value::Bool(true), "unsupported binary expression bool < bool"),
        (Subtract, text("a"), text("b"), "unsupported binary expression string - string"),
        (Matches, text("a"), text("a"), "unsupported binary expression string =~ string"),
        (Less, array(&[]), array(&[]), "unsupported binary expression array < array"),
    ];
    for (operator, left, right, message) in cases {
        assert_error(binary(operator, &left, &right), ErrorKind::Invalid, message);
    }
    let hint = binary(Add, &Value::Time(0), &duration("1h")).unwrap_err();
    assert!(hint.hint().unwrap().contains("date.add"));
}

#[test]
fn numbers_compare_by_value_whatever_their_type() {
    use Value::{Float, Int, UInt};
    let cases = [
        (Less, Int(-1), UInt(u64::MAX), true),
        (Greater, UInt(u64::MAX), Int(-1), true),
        (Equal, Int(1), UInt(1), true),
        (Equal, Int(1), Float(1.0), true),
        (Less, UInt(1), Float(1.5), true),
        (GreaterEqual, Float(1.0), Int(1), true),
        (NotEqual, Float(f64::NAN), Float(f64::NAN), true),
        (Equal, Float(f64::NAN), Float(f64::NAN), false),
        (LessEqual, Float(f64::NAN), Float(1.0), false),
        (Equal, Float(0.0), Float(-0.0), true),
        (Less, text("Z"), text("a"), true),
        (Less, text("a"), text("ä"), true),
        (LessEqual, Value::Time(5), Value::Time(5), true),
        (NotEqual, Value::Bool(true), Value::Bool(false), true),
        (Equal, array(&[Int(1), Value::Null]), array(&[Int(1), Value::Null]), true),
        (NotEqual, array(&[Int(1)]), array(&[Int(2)]), true),
        (Equal, Value::record([("a", Int(1)), ("b", Int(2))]), Value::record([("b", Int(2)), ("a", Int(1))]), true),
    ];
    for (operator, left, right, expected) in cases {
        assert_value(binary(operator, &left, &right), Value::Bool(expected));
    }
}

#[test]
fn durations_compare_where_months_do_not_matter() {
    let cases = [
        (Equal, "1h", "60m", true),
        (Less, "1h", "2h", true),
        (Equal, "1y", "12mo", true),
        (Greater, "1mo", "27d", true),
        (Less, "1mo", "32d", true),
        (Less, "-1mo", "1d", true),
        (NotEqual, "1mo1d", "1mo", true),
    ];
    for (operator, left, right, expected) in cases {
        assert_value(binary(operator, &duration(left), &duration(right)), Value::Bool(expected));
    }
    for right in ["28d", "30d", "31d"] {
        let error = binary(Equal, &duration("1mo"), &duration(right)).unwrap_err();
        assert!(error.message().ends_with("months have no fixed length"), "{error}");
    }
}

#[test]
fn a_pattern_is_searched_for_anywhere() {
    let pattern = Value::Regexp(Arc::new(regex::Regex::new("b+").unwrap()));
    assert_value(binary(Matches, &text("abbc"), &pattern), Value::Bool(true));
    assert_value(binary(NotMatches, &text("abbc"), &pattern), Value::Bool(false));
    assert_value(binary(NotMatches, &text("ac"), &pattern), Value::Bool(true));
}

#[test]
fn null_on_either_side_gives_null() {
    for operator in [Add, Subtract, Multiply, Divide, Modulo, Power, Equal, NotEqual, Less, Matches] {
        for (left, right) in [(Value::Null, Value::Int(0)), (Value::Int(1), Value::Null), (Value::Null, Value::Null)] {
            assert_value(binary(operator, &left, &right), Value::Null);
        }
    }
}

#[test]
fn logic_has_three_values() {
    // Kleene's tables, which the language's text gives.
    let (yes, no, unknown) = (Some(true), Some(false), None);
    let and = |left, right| logical(LogicalOperator::And, left, right);
    let or = |left, right| logical(LogicalOperator::Or, left, right);
    let cases = [
        (yes, yes, yes, yes),
        (yes, no, no, yes),
        (yes, unknown, unknown, yes),
        (no, no, no, no),
        (no, unknown, no, unknown),
        (unknown, unknown, unknown, unknown),
    ];
    for (left, right, conjunction, disjunction) in cases {
        assert_eq!((and(left, right), or(left, right)), (conjunction, disjunction), "{left:?} {right:?}");
        assert_eq!((and(right, left), or(right, left)), (conjunction, disjunction), "{right:?} {left:?}");
    }
    assert_error(truth(&Value::Int(1)), ErrorKind::Invalid, "expected bool but found int");
}

#[test]
fn prefix_operators() {
    use UnaryOperator::{Exists, Minus, Not, Plus};
    let cases = [
        (Minus, Value::Int(5), Value::Int(-5)),
        (Minus, Value::Int(i64::MIN), Value::Int(i64::MIN)),
        (Minus, Value::Float(1.5), Value::Float(-1.5)),
        (Minus, duration("1mo2h"), duration("-1mo2h")),
        (Plus, Value::UInt(5), Value::UInt(5)),
        (Not, Value::Bool(true), Value::Bool(false)),
        (Not, Value::Null, Value::Null),
        (Minus, Value::Null, Value::Null),
        (Exists, Value::Null, Value::Bool(false)),
        (Exists, text(""), Value::Bool(true)),
    ];
    for (operator, operand, expected) in cases {
        assert_value(unary(operator, &operand), expected);
    }
    assert_error(unary(Minus, &Value::UInt(1)), ErrorKind::Invalid, "unsupported unary expression -uint");
    assert_error(unary(Not, &text("")), ErrorKind::Invalid, "unsupported unary expression not string");
}

#[test]
fn floats_print_plain_and_short() {
    // flux-semantics 18 row 20: no exponent, the sign of zero kept; 13: NaN, +Inf, -Inf.
    let cases = [
        (1.0, "1"),
        (0.1, "0.1"),
        (-0.0, "-0"),
        (1e21, "1000000000000000000000"),
        (1e-7, "0.0000001"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
    ];
    for (number, expected) in cases {
        assert_eq!(float_text(number), expected);
    }
}

#[test]
fn interpolation_prints_basic_values() {
    let cases = [
        (Value::Int(-1), "-1"),
        (Value::Bool(true), "true"),
        (Value::Float(2.0), "2"),
        (Value::Time(1_577_836_800_000_000_000), "2020-01-01T00:00:00.000000000Z"),
        (duration("90m"), "1h30m"),
        (duration("0s"), "0ns"),
        (text("x"), "x"),
    ];
    for (value, expected) in cases {
        assert_eq!(interpolate(&value).unwrap(), expected);
    }
    let message = "interpolated expression produced a null value";
    assert_error(interpolate(&Value::Null), ErrorKind::Invalid, message);
    assert!(interpolate(&array(&[])).is_err());
}

#[test]
fn conversions_follow_their_table() {
    type Conversion = fn(&Value) -> Result<Value>;
    use Value::{Bool, Bytes, Float, Int, Time, UInt};
    let cases: [(Conversion, Value, Value); 33] = [
        (to_int, text("-12"), Int(-12)),
        (to_int, UInt(u64::MAX), Int(-1)),
        (to_int, Float(-1.9), Int(-1)),
        (to_int, Bool(true), Int(1)),
        (to_int, Time(5), Int(5)),
        (to_int, duration("-1mo"), Int(-2_629_800_000_000_000)),
        (to_uint, Int(-1), UInt(u64::MAX)),
        (to_uint, Float(3.9), UInt(3)),
        (to_uint, Float(-12.1), UInt(u64::MAX - 11)),
        (to_uint, text("18446744073709551615"), UInt(u64::MAX)),
        (to_float, text("1e3"), Float(1000.0)),
        (to_float, text("NaN"), Float(f64::NAN)),
        (to_float, text("-Inf"), Float(f64::NEG_INFINITY)),
        (to_float, Int(2), Float(2.0)),
        (to_float, Bool(false), Float(0.0)),
        (to_bool, text("true"), Bool(true)),
        (to_bool, Int(0), Bool(false)),
        (to_bool, Float(1.0), Bool(true)),
        (to_string, Float(1e21), text("1000000000000000000000")),
        (to_string, Time(0), text("1970-01-01T00:00:00.000000000Z")),
        (to_string, duration("14d"), text("2w")),
        (to_string, Bytes(Arc::from(*b"hi")), text("hi")),
        (to_time, text("2020-01-01"), Time(1_577_836_800_000_000_000)),
        (to_time, Int(-1), Time(-1)),
        (to_time, UInt(7), Time(7)),
        (to_duration, text("1h30m"), duration("90m")),
        (to_duration, Int(-5), duration("-5ns")),
        (to_duration, UInt(5), duration("5ns")),
        (to_bytes, text("hi"), Bytes(Arc::from(*b"hi"))),
        (to_int, Value::Null, Value::Null),
        (to_string, Value::Null, Value::Null),
        (to_time, Value::Null, Value::Null),
        (to_bytes, Value::Null, Value::Null),
    ];
    for (index, (conversion, from, expected)) in cases.into_iter().enumerate() {
        println!("case {index}: {from:?}");
        assert_value(conversion(&from), expected);
    }
}

#[test]
fn impossible_conversions_say_why() {
    type Conversion = fn(&Value) -> Result<Value>;
    let cases: [(Conversion, Value, &str); 15] = [
        (to_int, text("x"), "cannot convert string \"x\" to int due to invalid syntax"),
        (to_int, text("1.5"), "cannot convert string \"1.5\" to int due to invalid syntax"),
        (
            to_int,
            text("9223372036854775808"),
            "cannot convert string \"9223372036854775808\" to int due to value out of range",
        ),
        (to_int, Value::Float(f64::NAN), "cannot convert float NaN to int due to value out of range"),
        (to_int, Value::Float(9.3e18), "cannot convert float 9300000000000000000 to int due to value out of range"),
        (to_uint, Value::Float(1.9e19), "cannot convert float 19000000000000000000 to uint due to value out of range"),
        (to_float, text("1e400"), "cannot convert string \"1e400\" to float due to value out of range"),
        (to_float, Value::Time(0), "cannot convert time to float"),
        (to_float, duration("1s"), "cannot convert duration to float"),
        (to_bool, Value::Int(2), "cannot convert int 2 to bool, must be 0 or 1"),
        (to_bool, text("yes"), "cannot convert string \"yes\" to bool due to invalid syntax"),
        (to_string, Value::record([("a", Value::Int(1))]), "cannot convert record to string"),
        (to_time, duration("1s"), "cannot convert duration to time"),
        (to_duration, Value::Float(1.0), "cannot convert float to duration"),
        (to_bytes, Value::Int(1), "cannot convert int to bytes"),
    ];
    for (conversion, from, message) in cases {
        assert_error(conversion(&from), ErrorKind::Invalid, message);
    }
}

fn some_number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<f64>().prop_map(Value::Float),
        (-3..3i64).prop_map(Value::Int),
        (-3..3i64).prop_map(|number| Value::Float(number as f64)),
    ]
}

proptest! {
    #[test]
    fn comparisons_mirror(left in some_number(), right in some_number()) {
        let truth = |operator, left: &Value, right: &Value| match binary(operator, left, right) {
            Ok(Value::Bool(truth)) => truth,
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(truth(Less, &left, &right), truth(Greater, &right, &left));
        prop_assert_eq!(truth(LessEqual, &left, &right), truth(GreaterEqual, &right, &left));
        prop_assert_eq!(truth(Equal, &left, &right), !truth(NotEqual, &left, &right));
    }

    #[test]
    fn printed_floats_read_back(number: f64) {
        let printed = float_text(number);
        prop_assert!(!printed.contains('e'), "{printed}");
        let Value::Float(read) = to_float(&text(&printed)).unwrap() else { panic!("no float") };
        prop_assert!(read.to_bits() == number.to_bits() || (read.is_nan() && number.is_nan()));
    }

    #[test]
    fn conversion_to_int_agrees_with_wide_integers(number in -1e19..1e19f64) {
        let exact = number.trunc() as i128;
        match to_int(&Value::Float(number)) {
            Ok(Value::Int(found)) => prop_assert_eq!(i128::from(found), exact),
            _ => prop_assert!(i64::try_from(exact).is_err()),
        }
    }
}
