//! Packages `bitwise` and `experimental/bitwise`: operations on the bits of integers; `u` takes unsigned ones, `s` signed.
//!
//! Both packages have the same functions. A null argument gives null; a shift by 64 or more leaves nothing but the sign.

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, any_null};

const BITWISE: &str = "bitwise";
const EXPERIMENTAL: &str = "experimental/bitwise";

type Unsigned = fn(u64, u64) -> u64;
type Signed = fn(i64, i64) -> i64;

/// What a function does to its operands; those of one operand get 0 for the other.
#[derive(Clone, Copy)]
enum Operation {
    Unsigned(Unsigned),
    Signed(Signed),
}

/// The functions by name.
fn operation(name: &str) -> Option<Operation> {
    use Operation::{Signed, Unsigned};
    Some(match name {
        "uand" => Unsigned(|a, b| a & b),
        "uor" => Unsigned(|a, b| a | b),
        "unot" => Unsigned(|a, _| !a),
        "uxor" => Unsigned(|a, b| a ^ b),
        "uclear" => Unsigned(|a, b| a & !b),
        "ulshift" => Unsigned(|a, b| if b < 64 { a << b } else { 0 }),
        "urshift" => Unsigned(|a, b| if b < 64 { a >> b } else { 0 }),
        "sand" => Signed(|a, b| a & b),
        "sor" => Signed(|a, b| a | b),
        "snot" => Signed(|a, _| !a),
        "sxor" => Signed(|a, b| a ^ b),
        "sclear" => Signed(|a, b| a & !b),
        "slshift" => Signed(|a, b| if b < 64 { a << b } else { 0 }),
        "srshift" => Signed(|a, b| a >> b.min(63)),
        _ => return None,
    })
}

fn body(call: &mut Call<'_>) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    let name = call.builtin.name;
    let operation = operation(name).ok_or_else(|| Error::internal(format!("bitwise.{name} is no operation")))?;
    let two = call.optional("b").is_some();
    match operation {
        Operation::Unsigned(operation) => {
            Ok(Value::UInt(operation(uint(call, "a")?, if two { uint(call, "b")? } else { 0 })))
        }
        Operation::Signed(operation) => {
            let b = if two { call.int("b")? } else { 0 };
            if b < 0 && name.ends_with("shift") {
                return Err(Error::invalid(format!("bitwise.{name} cannot shift by {b}")));
            }
            Ok(Value::Int(operation(call.int("a")?, b)))
        }
    }
}

fn uint(call: &Call<'_>, name: &str) -> Result<u64> {
    match call.required(name)? {
        Value::UInt(number) => Ok(*number),
        other => Err(call.mismatch(name, "uint", other)),
    }
}

/// The functions of a package: name, words, whether there are two operands, example.
macro_rules! functions {
    ($list:ident, $package:expr, $path:literal) => {
        static $list: &[Builtin] = functions!(
            @each $package, $path,
            ("uand", "The bits that both have.", "(a: uint, b: uint) => uint", "uand(a: uint(v: 12), b: uint(v: 10))"),
            ("uor", "The bits that one has.", "(a: uint, b: uint) => uint", "uor(a: uint(v: 12), b: uint(v: 10))"),
            ("unot", "The bits turned round.", "(a: uint) => uint", "unot(a: uint(v: 12))"),
            ("uxor", "The bits that only one has.", "(a: uint, b: uint) => uint", "uxor(a: uint(v: 12), b: uint(v: 10))"),
            ("uclear", "The bits of a that b lacks.", "(a: uint, b: uint) => uint", "uclear(a: uint(v: 12), b: uint(v: 10))"),
            ("ulshift", "The bits of a moved up by b.", "(a: uint, b: uint) => uint", "ulshift(a: uint(v: 12), b: uint(v: 2))"),
            ("urshift", "The bits of a moved down by b.", "(a: uint, b: uint) => uint", "urshift(a: uint(v: 12), b: uint(v: 2))"),
            ("sand", "The bits that both have.", "(a: int, b: int) => int", "sand(a: 12, b: 10)"),
            ("sor", "The bits that one has.", "(a: int, b: int) => int", "sor(a: 12, b: 10)"),
            ("snot", "The bits turned round.", "(a: int) => int", "snot(a: 12)"),
            ("sxor", "The bits that only one has.", "(a: int, b: int) => int", "sxor(a: 12, b: 10)"),
            ("sclear", "The bits of a that b lacks.", "(a: int, b: int) => int", "sclear(a: 12, b: 10)"),
            ("slshift", "The bits of a moved up by b.", "(a: int, b: int) => int", "slshift(a: 12, b: 2)"),
            ("srshift", "The bits of a moved down by b, the sign following.", "(a: int, b: int) => int", "srshift(a: -12, b: 2)"),
        );
    };
    (@each $package:expr, $path:literal, $(($name:literal, $doc:literal, $signature:literal, $call:literal)),+ $(,)?) => {
        &[$(Builtin {
            package: $package,
            name: $name,
            signature: $signature,
            doc: $doc,
            examples: &[concat!(
                "import \"array\"\nimport \"", $path, "\"\n\narray.from(rows: [{v: bitwise.", $call, "}])"
            )],
            body,
        }),+]
    };
}

functions!(OF_BITWISE, BITWISE, "bitwise");
functions!(OF_EXPERIMENTAL, EXPERIMENTAL, "experimental/bitwise");

/// The packages.
pub fn packages() -> [Package; 2] {
    let package =
        |path, list: &'static [Builtin]| Package { path, builtins: list.iter().collect(), ..Package::default() };
    [package(BITWISE, OF_BITWISE), package(EXPERIMENTAL, OF_EXPERIMENTAL)]
}
