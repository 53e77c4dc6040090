//! What floats are made of, what they are not, functions with integers, and the constants.

use super::{example, function};
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, any_null};

/// The greatest order of a Bessel function: its time grows with the order.
const MOST_ORDER: u64 = 100_000;

/// The functions.
pub(super) static BUILTINS: &[Builtin] = &[
    function("NaN", "() => float", "The value that is not a number.", example!("math.isNaN(f: math.NaN())"), |_| {
        Ok(Value::Float(f64::NAN))
    }),
    function(
        "float64bits",
        "(f: float) => uint",
        "The bits of a float.",
        example!("math.float64bits(f: 1.0)"),
        |call| of_float(call, "f", |f| Value::UInt(f.to_bits())),
    ),
    function(
        "float64frombits",
        "(b: uint) => float",
        "The float of bits.",
        example!("math.float64frombits(b: uint(v: 4607182418800017408))"),
        |call| match call.required("b")? {
            Value::Null => Ok(Value::Null),
            Value::UInt(bits) => Ok(Value::Float(f64::from_bits(*bits))),
            other => Err(call.mismatch("b", "uint", other)),
        },
    ),
    function(
        "frexp",
        "(f: float) => {frac: float, exp: int}",
        "A fraction from a half up to 1 and an exponent: f is frac * 2 ^ exp.",
        example!("math.frexp(f: 22.0).frac"),
        |call| {
            of_float(call, "f", |f| {
                let (fraction, exponent) = if f.is_finite() { libm::frexp(f) } else { (f, 0) };
                Value::record([("frac", Value::Float(fraction)), ("exp", Value::Int(exponent.into()))])
            })
        },
    ),
    function(
        "ilogb",
        "(x: float) => int",
        "The binary exponent as an integer; 2147483647 for what is not finite, -2147483648 for 0.",
        example!("math.ilogb(x: 10.0)"),
        |call| {
            of_float(call, "x", |x| {
                Value::Int(match x {
                    0.0 => i64::from(i32::MIN),
                    _ if !x.is_finite() => i64::from(i32::MAX),
                    _ => libm::ilogb(x).into(),
                })
            })
        },
    ),
    function(
        "isInf",
        "(f: float, sign: int) => bool",
        "Whether f is infinite: above 0 for a positive sign, below for a negative one, either for 0.",
        example!("math.isInf(f: math.mInf(sign: -1), sign: -1)"),
        |call| {
            if any_null(call) {
                return Ok(Value::Null);
            }
            let (f, sign) = (call.float("f")?, call.int("sign")?);
            Ok(Value::Bool((sign >= 0 && f == f64::INFINITY) || (sign <= 0 && f == f64::NEG_INFINITY)))
        },
    ),
    function(
        "isNaN",
        "(f: float) => bool",
        "Whether f is not a number.",
        example!("math.isNaN(f: 0.0 / 0.0)"),
        |call| of_float(call, "f", |f| Value::Bool(f.is_nan())),
    ),
    function(
        "jn",
        "(n: int, x: float) => float",
        "The Bessel function of the first kind of order n.",
        example!("math.jn(n: 2, x: 1.0)"),
        |call| bessel(call, libm::jn),
    ),
    function(
        "ldexp",
        "(frac: float, exp: int) => float",
        "frac * 2 ^ exp.",
        example!("math.ldexp(frac: 0.5, exp: 6)"),
        |call| {
            if any_null(call) {
                return Ok(Value::Null);
            }
            // Beyond these every float has become 0 or infinite.
            let exponent = call.int("exp")?.clamp(-5000, 5000);
            Ok(Value::Float(libm::ldexp(call.float("frac")?, exponent as i32)))
        },
    ),
    function(
        "lgamma",
        "(x: float) => {lgamma: float, sign: int}",
        "The natural logarithm of the gamma function's size, and its sign.",
        example!("math.lgamma(x: 10.0).lgamma"),
        |call| {
            of_float(call, "x", |x| {
                let (value, sign) = match x {
                    f64::NEG_INFINITY => (f64::NEG_INFINITY, 1),
                    _ => libm::lgamma_r(x),
                };
                let sign = if sign < 0 { -1 } else { 1 };
                Value::record([("lgamma", Value::Float(value)), ("sign", Value::Int(sign))])
            })
        },
    ),
    function(
        "mInf",
        "(sign: int) => float",
        "Infinity with a sign: negative if sign is.",
        example!("math.mInf(sign: 1)"),
        |call| match call.required("sign")? {
            Value::Null => Ok(Value::Null),
            _ => Ok(Value::Float(if call.int("sign")? < 0 { f64::NEG_INFINITY } else { f64::INFINITY })),
        },
    ),
    function(
        "modf",
        "(f: float) => {int: float, frac: float}",
        "The whole part and the rest, both with the sign of f.",
        example!("math.modf(f: 3.25).frac"),
        |call| {
            of_float(call, "f", |f| {
                let whole = f.trunc();
                Value::record([("int", Value::Float(whole)), ("frac", Value::Float((f - whole).copysign(f)))])
            })
        },
    ),
    function("pow10", "(n: int) => float", "10 to the power of n.", example!("math.pow10(n: 3)"), |call| {
        match call.required("n")? {
            Value::Null => Ok(Value::Null),
            _ => {
                let n = call.int("n")?.clamp(-400, 400);
                Ok(Value::Float(format!("1e{n}").parse().unwrap_or(f64::NAN)))
            }
        }
    }),
    function(
        "signbit",
        "(x: float) => bool",
        "Whether x is negative; -0.0 is.",
        example!("math.signbit(x: -0.0)"),
        |call| of_float(call, "x", |x| Value::Bool(x.is_sign_negative())),
    ),
    function(
        "sincos",
        "(x: float) => {sin: float, cos: float}",
        "Sine and cosine of radians.",
        example!("math.sincos(x: 0.0).cos"),
        |call| of_float(call, "x", |x| Value::record([("sin", Value::Float(x.sin())), ("cos", Value::Float(x.cos()))])),
    ),
    function(
        "yn",
        "(n: int, x: float) => float",
        "The Bessel function of the second kind of order n.",
        example!("math.yn(n: 2, x: 1.0)"),
        |call| bessel(call, libm::yn),
    ),
];

/// The constants.
pub(super) fn constants() -> Vec<(&'static str, Value)> {
    use std::f64::consts;
    let phi = f64::midpoint(1.0, 5_f64.sqrt());
    vec![
        ("e", Value::Float(consts::E)),
        ("ln10", Value::Float(consts::LN_10)),
        ("ln2", Value::Float(consts::LN_2)),
        ("log10e", Value::Float(consts::LOG10_E)),
        ("log2e", Value::Float(consts::LOG2_E)),
        ("maxfloat", Value::Float(f64::MAX)),
        ("maxint", Value::Int(i64::MAX)),
        ("maxuint", Value::UInt(u64::MAX)),
        ("minint", Value::Int(i64::MIN)),
        ("phi", Value::Float(phi)),
        ("pi", Value::Float(consts::PI)),
        ("smallestNonzeroFloat", Value::Float(f64::from_bits(1))),
        ("sqrt2", Value::Float(consts::SQRT_2)),
        ("sqrte", Value::Float(1.648_721_270_700_128_2)),
        ("sqrtphi", Value::Float(1.272_019_649_514_069)),
        ("sqrtpi", Value::Float(1.772_453_850_905_516)),
    ]
}

fn of_float(call: &Call<'_>, name: &str, make: impl FnOnce(f64) -> Value) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    Ok(make(call.float(name)?))
}

fn bessel(call: &Call<'_>, function: fn(i32, f64) -> f64) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    let order = call.int("n")?;
    if order.unsigned_abs() > MOST_ORDER {
        let name = call.builtin.name;
        return Err(Error::out_of_range(format!("math.{name} has orders up to {MOST_ORDER}, found {order}")));
    }
    Ok(Value::Float(function(order as i32, call.float("x")?)))
}
