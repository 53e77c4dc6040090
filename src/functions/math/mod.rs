//! Package `math`: functions of floats (flux-semantics 12.3).
//!
//! A null argument gives null; an integer has to be converted before. The functions of one and of two floats are one list
//! each, and row programs run them over whole columns (`flux::scalar`).

mod parts;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::flux::scalar;
use crate::functions::arguments::{Arguments, any_null};

const PACKAGE: &str = "math";

macro_rules! example {
    ($call:literal) => {
        &[concat!("import \"array\"\nimport \"math\"\n\narray.from(rows: [{v: ", $call, "}])")]
    };
}
use example;

const fn function(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature, doc, examples, body }
}

/// A list of functions with one signature and body: name, words, example.
macro_rules! family {
    ($list:ident, $signature:expr, $body:path, $(($name:literal, $doc:literal, $example:literal)),+ $(,)?) => {
        static $list: &[Builtin] = &[$(function($name, $signature, $doc, example!($example), $body)),+];
    };
}

family!(
    OF_ONE,
    "(x: float) => float",
    of_one,
    ("abs", "The value without its sign.", "math.abs(x: -1.5)"),
    ("acos", "The arc cosine, in radians.", "math.acos(x: 0.5)"),
    ("acosh", "The inverse hyperbolic cosine.", "math.acosh(x: 1.5)"),
    ("asin", "The arc sine, in radians.", "math.asin(x: 0.5)"),
    ("asinh", "The inverse hyperbolic sine.", "math.asinh(x: 0.5)"),
    ("atan", "The arc tangent, in radians.", "math.atan(x: 1.0)"),
    ("atanh", "The inverse hyperbolic tangent.", "math.atanh(x: 0.5)"),
    ("cbrt", "The cube root.", "math.cbrt(x: 27.0)"),
    ("ceil", "The least whole number that is not less.", "math.ceil(x: 1.2)"),
    ("cos", "The cosine of radians.", "math.cos(x: 0.0)"),
    ("cosh", "The hyperbolic cosine.", "math.cosh(x: 0.0)"),
    ("erf", "The error function.", "math.erf(x: 0.5)"),
    ("erfc", "The complementary error function.", "math.erfc(x: 0.5)"),
    ("erfcinv", "The inverse of erfc.", "math.erfcinv(x: 0.5)"),
    ("erfinv", "The inverse of erf.", "math.erfinv(x: 0.5)"),
    ("exp", "e to the power of x.", "math.exp(x: 1.0)"),
    ("exp2", "2 to the power of x.", "math.exp2(x: 3.0)"),
    ("expm1", "e to the power of x, less 1; exact near 0.", "math.expm1(x: 0.001)"),
    ("floor", "The greatest whole number that is not greater.", "math.floor(x: 1.8)"),
    ("gamma", "The gamma function.", "math.gamma(x: 5.0)"),
    ("j0", "The Bessel function of the first kind of order 0.", "math.j0(x: 1.0)"),
    ("j1", "The Bessel function of the first kind of order 1.", "math.j1(x: 1.0)"),
    ("log", "The natural logarithm.", "math.log(x: 2.0)"),
    ("log10", "The logarithm to base 10.", "math.log10(x: 1000.0)"),
    ("log1p", "The natural logarithm of 1 + x; exact near 0.", "math.log1p(x: 0.001)"),
    ("log2", "The logarithm to base 2.", "math.log2(x: 8.0)"),
    ("logb", "The binary exponent.", "math.logb(x: 10.0)"),
    ("round", "The nearest whole number; halves go away from 0.", "math.round(x: 2.5)"),
    ("roundtoeven", "The nearest whole number; halves go to the even one.", "math.roundtoeven(x: 2.5)"),
    ("sin", "The sine of radians.", "math.sin(x: 0.0)"),
    ("sinh", "The hyperbolic sine.", "math.sinh(x: 0.0)"),
    ("sqrt", "The square root.", "math.sqrt(x: 2.0)"),
    ("tan", "The tangent of radians.", "math.tan(x: 0.0)"),
    ("tanh", "The hyperbolic tangent.", "math.tanh(x: 0.0)"),
    ("trunc", "The whole part.", "math.trunc(x: -1.8)"),
    ("y0", "The Bessel function of the second kind of order 0.", "math.y0(x: 1.0)"),
    ("y1", "The Bessel function of the second kind of order 1.", "math.y1(x: 1.0)"),
);

family!(
    OF_TWO,
    "(x: float, y: float) => float",
    of_two,
    ("copysign", "x with the sign of y.", "math.copysign(x: 1.5, y: -0.0)"),
    ("dim", "x - y, or 0 if that is less.", "math.dim(x: 12.0, y: 3.0)"),
    ("mMax", "The greater of two values.", "math.mMax(x: 1.0, y: 2.0)"),
    ("mMin", "The lesser of two values.", "math.mMin(x: 1.0, y: 2.0)"),
    ("mod", "The remainder of x / y with the sign of x.", "math.mod(x: 7.5, y: 2.0)"),
    ("nextafter", "The float next to x on the way to y.", "math.nextafter(x: 1.0, y: 2.0)"),
    ("pow", "x to the power of y.", "math.pow(x: 2.0, y: 10.0)"),
    (
        "remainder",
        "The remainder of x / y where the quotient is the nearest whole number.",
        "math.remainder(x: 7.0, y: 4.0)"
    ),
);

static OTHERS_OF_TWO: &[Builtin] = &[
    function(
        "atan2",
        "(y: float, x: float) => float",
        "The angle of the point (x, y), in radians.",
        example!("math.atan2(y: 1.0, x: -1.0)"),
        of_two,
    ),
    function(
        "hypot",
        "(p: float, q: float) => float",
        "The root of the sum of squares, without overflow.",
        example!("math.hypot(p: 3.0, q: 4.0)"),
        of_two,
    ),
];

/// The package.
pub fn package() -> Package {
    let lists = [OF_ONE, OF_TWO, OTHERS_OF_TWO, parts::BUILTINS];
    let mut builtins: Vec<&'static Builtin> = lists.into_iter().flatten().collect();
    builtins.sort_by_key(|builtin| builtin.name);
    Package { path: PACKAGE, builtins, constants: parts::constants(), ..Package::default() }
}

fn of_one(call: &mut Call<'_>) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    let function = scalar::unary_function(call.builtin.name).ok_or_else(|| unknown(call))?;
    Ok(Value::Float(function(call.float("x")?)))
}

fn of_two(call: &mut Call<'_>) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    let ([first, second], function) = scalar::binary_function(call.builtin.name).ok_or_else(|| unknown(call))?;
    Ok(Value::Float(function(call.float(first)?, call.float(second)?)))
}

fn unknown(call: &Call<'_>) -> Error {
    Error::internal(format!("math.{} is in no list", call.builtin.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_floats_is_in_the_lists() {
        assert!(OF_ONE.iter().all(|builtin| scalar::unary_function(builtin.name).is_some()));
        for builtin in OF_TWO.iter().chain(OTHERS_OF_TWO) {
            let Some((parameters, _)) = scalar::binary_function(builtin.name) else { panic!("{}", builtin.name) };
            assert!(parameters.iter().all(|name| builtin.signature.contains(&format!("{name}: float"))));
        }
    }
}
