//! Package `experimental/dynamic`: values whose type is known at run time only, JSON above all.
//!
//! What a dynamic value holds is dynamic itself. The conversions (`int`, `string`, ...) take it out again.

use std::sync::Arc;

use crate::error::Error;
use crate::flux::Value;
use crate::flux::builtin::Builtin;
use crate::flux::library::Package;
use crate::flux::scalar;
use crate::functions::arguments::Arguments;
use crate::functions::json;

const PACKAGE: &str = "experimental/dynamic";

static DYNAMIC: Builtin = Builtin {
    package: PACKAGE,
    name: "dynamic",
    signature: "(v: A) => dynamic",
    doc: "A value as a dynamic one, with all that it holds.",
    examples: &[
        "import \"array\"\nimport \"experimental/dynamic\"\n\narray.from(rows: [{v: int(v: dynamic.dynamic(v: {a: \
                 1}).a)}])",
    ],
    body: |call| Ok(wrapped(call.required("v")?)),
};

static AS_ARRAY: Builtin = Builtin {
    package: PACKAGE,
    name: "asArray",
    signature: "(<-v: dynamic) => [dynamic]",
    doc: "The array that a dynamic value is.",
    examples: &["import \"array\"\nimport \"experimental/dynamic\"\n\na = dynamic.dynamic(v: [1, 2]) |> \
                 dynamic.asArray()\n\narray.from(rows: [{v: int(v: a[1])}])"],
    body: |call| match call.required("v")? {
        Value::Dynamic(inner) if matches!(**inner, Value::Array(_)) => Ok(Value::clone(inner)),
        Value::Dynamic(inner) => Err(Error::invalid(format!("unable to convert {} to array", inner.type_name()))),
        other => Err(Error::invalid(format!("unable to convert {} to array", other.type_name()))),
    },
};

static IS_TYPE: Builtin = Builtin {
    package: PACKAGE,
    name: "isType",
    signature: "(v: dynamic, type: string) => bool",
    doc: "Whether a dynamic value is of a type: one of the basic ones, array, object, dictionary or function.",
    examples: &["import \"array\"\nimport \"experimental/dynamic\"\n\narray.from(rows: [{v: dynamic.isType(v: \
                 dynamic.dynamic(v: 1), type: \"int\")}])"],
    body: |call| {
        let name = call.string("type")?;
        let value = call.required("v")?;
        let inner = if let Value::Dynamic(inner) = value { inner } else { value };
        Ok(Value::Bool(match inner {
            Value::Null => false,
            Value::Record(_) => &*name == "object" || &*name == "record",
            other => other.type_name() == &*name,
        }))
    },
};

static JSON_PARSE: Builtin = Builtin {
    package: PACKAGE,
    name: "jsonParse",
    signature: "(data: bytes) => dynamic",
    doc: "The dynamic value that JSON stands for; numbers are floats.",
    examples: &[
        "import \"array\"\nimport \"experimental/dynamic\"\n\nd = dynamic.jsonParse(data: bytes(v: \"{\\\"a\\\": \
                 [1, true]}\"))\n\narray.from(rows: [{v: display(v: d.a)}])",
    ],
    body: |call| match call.required("data")? {
        Value::Bytes(bytes) => Ok(wrapped(&json::parse(bytes)?)),
        other => Err(call.mismatch("data", "bytes", other)),
    },
};

static JSON_ENCODE: Builtin = Builtin {
    package: PACKAGE,
    name: "jsonEncode",
    signature: "(v: dynamic) => bytes",
    doc: "A dynamic value as JSON.",
    examples: &[
        "import \"array\"\nimport \"experimental/dynamic\"\n\narray.from(rows: [{v: string(v: dynamic.jsonEncode(v: \
                 dynamic.dynamic(v: {a: 1})))}])",
    ],
    body: |call| Ok(Value::Bytes(json::encode(call.required("v")?)?.into_bytes().into())),
};

static IS_NOT_DISTINCT: Builtin = Builtin {
    package: PACKAGE,
    name: "_isNotDistinct",
    signature: "(a: dynamic, b: dynamic) => bool",
    doc: "Whether two values are shown alike.",
    examples: &[
        "import \"array\"\nimport \"experimental/dynamic\"\n\narray.from(rows: [{v: dynamic._isNotDistinct(a: \
                 dynamic.dynamic(v: 1), b: dynamic.dynamic(v: 1))}])",
    ],
    body: |call| Ok(Value::Bool(scalar::display(call.required("a")?) == scalar::display(call.required("b")?))),
};

/// The package.
pub fn package() -> Package {
    let builtins = vec![&IS_NOT_DISTINCT, &AS_ARRAY, &DYNAMIC, &IS_TYPE, &JSON_ENCODE, &JSON_PARSE];
    Package { path: PACKAGE, builtins, ..Package::default() }
}

/// A value as a dynamic one. The evaluator bounds how deep a value goes.
fn wrapped(value: &Value) -> Value {
    let inner = match value {
        Value::Dynamic(_) => return value.clone(),
        Value::Array(items) => Value::Array(items.iter().map(wrapped).collect()),
        Value::Record(record) => {
            Value::record(record.properties.iter().map(|(name, value)| (name.clone(), wrapped(value))))
        }
        other => other.clone(),
    };
    Value::Dynamic(Arc::new(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dynamic_is_wrapped_once() {
        let once = wrapped(&Value::record([("a", Value::Int(1))]));
        assert_eq!(scalar::display(&once), "dynamic({a: dynamic(1)})");
        assert_eq!(scalar::display(&wrapped(&once)), "dynamic({a: dynamic(1)})");
    }
}
