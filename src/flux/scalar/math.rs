//! Functions of one and two floats: one list of each, for the builtins of package `math` and for row programs, which run
//! them over whole columns.
//!
//! Values at the ends (NaN, infinities, zeros of either sign) are those of Go's package math, as the reference has them.

/// A function of one float.
pub type Unary = fn(f64) -> f64;

/// A function of two floats.
pub type Binary = fn(f64, f64) -> f64;

/// The functions of one float, by name.
static UNARY: [(&str, Unary); 37] = [
    ("abs", f64::abs),
    ("acos", f64::acos),
    ("acosh", libm::acosh),
    ("asin", f64::asin),
    ("asinh", libm::asinh),
    ("atan", f64::atan),
    ("atanh", libm::atanh),
    ("cbrt", f64::cbrt),
    ("ceil", f64::ceil),
    ("cos", f64::cos),
    ("cosh", f64::cosh),
    ("erf", libm::erf),
    ("erfc", libm::erfc),
    ("erfcinv", erfc_inverse),
    ("erfinv", erf_inverse),
    ("exp", f64::exp),
    ("exp2", f64::exp2),
    ("expm1", f64::exp_m1),
    ("floor", f64::floor),
    ("gamma", gamma),
    ("j0", libm::j0),
    ("j1", libm::j1),
    ("log", f64::ln),
    ("log10", f64::log10),
    ("log1p", f64::ln_1p),
    ("log2", f64::log2),
    ("logb", exponent),
    ("round", f64::round),
    ("roundtoeven", f64::round_ties_even),
    ("sin", f64::sin),
    ("sinh", f64::sinh),
    ("sqrt", f64::sqrt),
    ("tan", f64::tan),
    ("tanh", f64::tanh),
    ("trunc", f64::trunc),
    ("y0", libm::y0),
    ("y1", libm::y1),
];

/// The functions of two floats, by name, with the names of their parameters.
static BINARY: [(&str, [&str; 2], Binary); 10] = [
    ("atan2", ["y", "x"], f64::atan2),
    ("copysign", ["x", "y"], f64::copysign),
    ("dim", ["x", "y"], dim),
    ("hypot", ["p", "q"], f64::hypot),
    ("mMax", ["x", "y"], max),
    ("mMin", ["x", "y"], min),
    ("mod", ["x", "y"], |x, y| x % y),
    ("nextafter", ["x", "y"], libm::nextafter),
    ("pow", ["x", "y"], super::power),
    ("remainder", ["x", "y"], libm::remainder),
];

/// The function of one float of a name in package `math`.
pub fn unary_function(name: &str) -> Option<Unary> {
    UNARY.binary_search_by_key(&name, |(own, _)| own).ok().map(|at| UNARY[at].1)
}

/// The function of two floats of a name in package `math`, with the names of its parameters.
pub fn binary_function(name: &str) -> Option<([&'static str; 2], Binary)> {
    BINARY.iter().find(|(own, _, _)| *own == name).map(|(_, parameters, function)| (*parameters, *function))
}

fn dim(x: f64, y: f64) -> f64 {
    let difference = x - y;
    if difference <= 0.0 { 0.0 } else { difference }
}

/// The greater one; infinity before NaN, NaN before everything else, the positive zero before the negative one.
fn max(x: f64, y: f64) -> f64 {
    if x == f64::INFINITY || y == f64::INFINITY {
        f64::INFINITY
    } else if x.is_nan() || y.is_nan() {
        f64::NAN
    } else if x == 0.0 && y == 0.0 {
        if x.is_sign_negative() { y } else { x }
    } else {
        x.max(y)
    }
}

fn min(x: f64, y: f64) -> f64 {
    -max(-x, -y)
}

fn gamma(x: f64) -> f64 {
    if x == f64::NEG_INFINITY || (x < 0.0 && x == x.floor()) { f64::NAN } else { libm::tgamma(x) }
}

/// The binary exponent of a float.
fn exponent(x: f64) -> f64 {
    if x == 0.0 {
        f64::NEG_INFINITY
    } else if x.is_infinite() {
        f64::INFINITY
    } else if x.is_nan() {
        x
    } else {
        f64::from(libm::ilogb(x))
    }
}

/// The number of which `x` is the error function: between the ends by Newton's steps from Giles' approximation.
fn erf_inverse(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 1.0 {
        return f64::NAN;
    }
    if x.abs() == 1.0 {
        return x * f64::INFINITY;
    }
    if x.abs() > 0.5 {
        // Near the ends the complement keeps its digits.
        return tail(1.0 - x.abs()).copysign(x);
    }
    let half_root_pi = std::f64::consts::PI.sqrt() / 2.0;
    let mut y = x * half_root_pi;
    for _ in 0..8 {
        let step = (libm::erf(y) - x) * half_root_pi * (y * y).exp();
        // Halley's correction: the second derivative is known.
        y -= step / (1.0 + y * step);
    }
    y
}

fn erfc_inverse(x: f64) -> f64 {
    match x {
        0.0 => f64::INFINITY,
        2.0 => f64::NEG_INFINITY,
        _ if x > 0.0 && x < 0.5 => tail(x),
        _ if x > 1.5 && x < 2.0 => -tail(2.0 - x),
        _ => erf_inverse(1.0 - x),
    }
}

/// The positive number of which `x`, at most a half, is the complementary error function.
fn tail(x: f64) -> f64 {
    let half_root_pi = std::f64::consts::PI.sqrt() / 2.0;
    let mut y = (-x.ln()).sqrt();
    for _ in 0..60 {
        let error = (libm::erfc(y) - x) / x;
        // The logarithm of the function is nearly a parabola: its steps are safe far out.
        let slope = -(-y * y).exp() / (half_root_pi * libm::erfc(y));
        let step = error.ln_1p() / slope;
        if !step.is_finite() {
            break;
        }
        y -= step;
        if step.abs() <= f64::EPSILON * y.abs() {
            break;
        }
    }
    y
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_list_is_sorted_and_found() {
        assert!(UNARY.is_sorted_by_key(|(name, _)| *name));
        assert_eq!(unary_function("sqrt").unwrap()(9.0), 3.0);
        assert_eq!(unary_function("trunc").unwrap()(-1.5), -1.0);
        assert!(unary_function("nosuch").is_none());
        assert_eq!(binary_function("hypot").unwrap().0, ["p", "q"]);
    }

    #[test]
    fn inverses_invert() {
        for x in [-0.999_999, -0.9, -0.5, -1e-9, 0.0, 0.1, 0.499, 0.501, 0.99, 0.999_999_999_9] {
            let back = libm::erf(erf_inverse(x));
            assert!((back - x).abs() <= 1e-15 * (1.0 + x.abs()), "{x} {back}");
        }
        for x in [1e-300, 1e-20, 0.1, 0.49, 0.5, 1.0, 1.5, 1.9] {
            let back = libm::erfc(erfc_inverse(x));
            assert!((back / x - 1.0).abs() < 1e-12, "{x} {back}");
        }
        assert!(erf_inverse(1.5).is_nan() && erfc_inverse(-0.1).is_nan());
        assert_eq!(erf_inverse(-1.0), f64::NEG_INFINITY);
    }

    #[test]
    fn ends_are_those_of_the_reference() {
        assert_eq!(max(f64::NAN, f64::INFINITY), f64::INFINITY);
        assert!(max(f64::NAN, 1.0).is_nan() && min(1.0, f64::NAN).is_nan());
        assert_eq!(min(f64::NAN, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!(max(-0.0, 0.0).is_sign_positive() && min(0.0, -0.0).is_sign_negative());
        assert!(gamma(-1.0).is_nan() && dim(f64::INFINITY, f64::INFINITY).is_nan());
        assert_eq!((dim(3.0, 5.0), dim(5.0, 3.0)), (0.0, 2.0));
        assert_eq!((exponent(8.0), exponent(0.0)), (3.0, f64::NEG_INFINITY));
    }
}
