//! Package `contrib/bonitoo-io/hex`: hexadecimal text to integers and bytes and back.
//!
//! Digits of either case, with or without `0x`; a null argument gives null.

use crate::error::Error;
use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, any_null};

const PACKAGE: &str = "contrib/bonitoo-io/hex";

macro_rules! example {
    ($call:literal) => {
        &[concat!("import \"array\"\nimport \"contrib/bonitoo-io/hex\"\n\narray.from(rows: [{v: ", $call, "}])")]
    };
}

static INT: Builtin = Builtin {
    package: PACKAGE,
    name: "int",
    signature: "(v: string) => int",
    doc: "The integer of hexadecimal digits, with a sign if there is one.",
    examples: example!("hex.int(v: \"-2a\")"),
    body: |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let text = call.string("v")?;
        let (sign, digits) = text.strip_prefix('-').map_or(("", &*text), |digits| ("-", digits));
        let signed = format!("{sign}{}", bare(digits));
        i64::from_str_radix(&signed, 16).map(Value::Int).map_err(|error| refused(&text, "int", error.kind()))
    },
};

static UINT: Builtin = Builtin {
    package: PACKAGE,
    name: "uint",
    signature: "(v: string) => uint",
    doc: "The unsigned integer of hexadecimal digits.",
    examples: example!("hex.uint(v: \"ff\")"),
    body: |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let text = call.string("v")?;
        u64::from_str_radix(bare(&text), 16).map(Value::UInt).map_err(|error| refused(&text, "uint", error.kind()))
    },
};

static STRING: Builtin = Builtin {
    package: PACKAGE,
    name: "string",
    signature: "(v: A) => string",
    doc: "The hexadecimal digits of an int, uint, bool or bytes; a string as it is.",
    examples: example!("hex.string(v: 255)"),
    body: |call| {
        Ok(Value::string(match call.required("v")? {
            Value::Null => return Ok(Value::Null),
            Value::String(text) => text.to_string(),
            Value::Int(number) if *number < 0 => format!("-{:x}", number.unsigned_abs()),
            Value::Int(number) => format!("{number:x}"),
            Value::UInt(number) => format!("{number:x}"),
            Value::Bool(truth) => format!("{:x}", u8::from(*truth)),
            Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            other => return Err(call.mismatch("v", "int, uint, bool, string or bytes", other)),
        }))
    },
};

static BYTES: Builtin = Builtin {
    package: PACKAGE,
    name: "bytes",
    signature: "(v: string) => bytes",
    doc: "The bytes of pairs of hexadecimal digits.",
    examples: example!("string(v: hex.bytes(v: \"68616c6c\"))"),
    body: |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let text = call.string("v")?;
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = bare(&text).as_bytes().chunks(2).map(pair).collect();
        let bytes = bytes.ok_or_else(|| {
            Error::invalid(format!("cannot convert string {:?} to bytes: expected pairs of hexadecimal digits", &*text))
        })?;
        Ok(Value::Bytes(bytes.into()))
    },
};

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: vec![&BYTES, &INT, &STRING, &UINT], ..Package::default() }
}

fn bare(text: &str) -> &str {
    // A sign behind the prefix is no digit; the conversion would take it.
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.starts_with(['+', '-']) { "" } else { digits }
}

fn refused(text: &str, target: &str, kind: &std::num::IntErrorKind) -> Error {
    let why = match kind {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    Error::invalid(format!("cannot convert string {text:?} to {target} due to {why}"))
}
