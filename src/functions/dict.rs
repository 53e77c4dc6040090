//! Package `dict`: dictionaries read and changed (flux-semantics 12.6).
//!
//! A dictionary never changes; what changes one gives a copy. Keys are booleans, numbers, strings or times, in their order.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::flux::value::DictKey;
use crate::functions::arguments::Arguments;

const PACKAGE: &str = "dict";

type Dict = Arc<BTreeMap<DictKey, Value>>;

static FROM_LIST: Builtin = Builtin {
    package: PACKAGE,
    name: "fromList",
    signature: "(pairs: [{key: K, value: V}]) => [K: V] where K: Comparable",
    doc: "A dictionary of records with the properties key and value; of equal keys the last one stays.",
    examples: &["import \"array\"\nimport \"dict\"\n\nd = dict.fromList(pairs: [{key: \"a\", value: 1}, {key: \"b\", \
                 value: 2}])\n\narray.from(rows: [{v: dict.get(dict: d, key: \"b\", default: 0)}])"],
    body: |call| {
        let pairs = call.array("pairs")?;
        let mut entries = BTreeMap::new();
        for pair in pairs.iter() {
            let Value::Record(record) = pair else {
                return Err(call.mismatch("pairs", "an array of records {key, value}", pair));
            };
            let part = |name| {
                record.get(name).ok_or_else(|| Error::invalid(format!("a record of dict.fromList has no {name}")))
            };
            entries.insert(key(call, part("key")?)?, part("value")?.clone());
        }
        Ok(Value::Dict(Arc::new(entries)))
    },
};

static GET: Builtin = Builtin {
    package: PACKAGE,
    name: "get",
    signature: "(dict: [K: V], key: K, default: V) => V where K: Comparable",
    doc: "The value of a key, or the default if the dictionary has no such key.",
    examples: &["import \"array\"\nimport \"dict\"\n\narray.from(rows: [{v: dict.get(dict: [1: \"one\"], key: 2, \
                 default: \"other\")}])"],
    body: |call| {
        let entries = dictionary(call)?;
        let default = call.required("default")?.clone();
        match call.required("key")? {
            Value::Null => Ok(default),
            wanted => Ok(entries.get(&key(call, wanted)?).cloned().unwrap_or(default)),
        }
    },
};

static INSERT: Builtin = Builtin {
    package: PACKAGE,
    name: "insert",
    signature: "(dict: [K: V], key: K, value: V) => [K: V] where K: Comparable",
    doc: "The dictionary with a key set to a value.",
    examples: &["import \"array\"\nimport \"dict\"\n\nd = dict.insert(dict: [1: \"one\"], key: 2, value: \
                 \"two\")\n\narray.from(rows: [{v: dict.get(dict: d, key: 2, default: \"\")}])"],
    body: |call| {
        let mut entries = BTreeMap::clone(&*dictionary(call)?);
        entries.insert(key(call, call.required("key")?)?, call.required("value")?.clone());
        Ok(Value::Dict(Arc::new(entries)))
    },
};

static REMOVE: Builtin = Builtin {
    package: PACKAGE,
    name: "remove",
    signature: "(dict: [K: V], key: K) => [K: V] where K: Comparable",
    doc: "The dictionary without a key.",
    examples: &["import \"array\"\nimport \"dict\"\n\nd = dict.remove(dict: [1: \"one\"], key: 1)\n\n\
                 array.from(rows: [{v: dict.get(dict: d, key: 1, default: \"gone\")}])"],
    body: |call| {
        let mut entries = BTreeMap::clone(&*dictionary(call)?);
        entries.remove(&key(call, call.required("key")?)?);
        Ok(Value::Dict(Arc::new(entries)))
    },
};

/// The package.
pub fn package() -> Package {
    Package { path: PACKAGE, builtins: vec![&FROM_LIST, &GET, &INSERT, &REMOVE], ..Package::default() }
}

fn dictionary(call: &Call<'_>) -> Result<Dict> {
    match call.required("dict")? {
        Value::Dict(entries) => Ok(Arc::clone(entries)),
        other => Err(call.mismatch("dict", "dictionary", other)),
    }
}

fn key(call: &Call<'_>, value: &Value) -> Result<DictKey> {
    DictKey::from_value(value).ok_or_else(|| {
        let (found, function) = (value.type_name(), call.builtin.name);
        Error::invalid(format!("{found} cannot be the key of a dictionary (dict.{function})"))
            .with_hint("a key is a bool, int, uint, float, string or time")
    })
}
