//! Questions about texts: what they hold, where, how often, in which order they stand.

use super::{example, fold, function, with_other};
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, any_null};

const OF_CHARACTER: &str = "(v: string) => bool";

/// The functions.
pub(super) static BUILTINS: [&Builtin; 16] = [
    &HAS_PREFIX,
    &HAS_SUFFIX,
    &CONTAINS_STR,
    &CONTAINS_ANY,
    &EQUAL_FOLD,
    &COMPARE,
    &COUNT_STR,
    &INDEX,
    &INDEX_ANY,
    &LAST_INDEX,
    &LAST_INDEX_ANY,
    &IS_DIGIT,
    &IS_LETTER,
    &IS_LOWER,
    &IS_UPPER,
    &STRLEN,
];

static HAS_PREFIX: Builtin = function(
    "hasPrefix",
    "(v: string, prefix: string) => bool",
    "Whether the text starts with prefix.",
    example!("strings.hasPrefix(v: \"plant/h2\", prefix: \"plant\")"),
    |call| with_other(call, "prefix", |v, prefix| Value::Bool(v.starts_with(prefix))),
);
static HAS_SUFFIX: Builtin = function(
    "hasSuffix",
    "(v: string, suffix: string) => bool",
    "Whether the text ends with suffix.",
    example!("strings.hasSuffix(v: \"plant/h2\", suffix: \"h2\")"),
    |call| with_other(call, "suffix", |v, suffix| Value::Bool(v.ends_with(suffix))),
);
static CONTAINS_STR: Builtin = function(
    "containsStr",
    "(v: string, substr: string) => bool",
    "Whether the text holds substr.",
    example!("strings.containsStr(v: \"plant/h2\", substr: \"/\")"),
    |call| with_other(call, "substr", |v, part| Value::Bool(v.contains(part))),
);
static CONTAINS_ANY: Builtin = function(
    "containsAny",
    "(v: string, chars: string) => bool",
    "Whether the text holds one of the characters.",
    example!("strings.containsAny(v: \"plant/h2\", chars: \"?/\")"),
    |call| with_other(call, "chars", |v, set| Value::Bool(v.contains(|c: char| set.contains(c)))),
);
static EQUAL_FOLD: Builtin = function(
    "equalFold",
    "(v: string, t: string) => bool",
    "Whether the texts are equal but for upper and lower case.",
    example!("strings.equalFold(v: \"Hall\", t: \"hALL\")"),
    |call| with_other(call, "t", |v, t| Value::Bool(v.chars().map(fold::folded).eq(t.chars().map(fold::folded)))),
);
static COMPARE: Builtin = function(
    "compare",
    "(v: string, t: string) => int",
    "The order of the texts by bytes: -1, 0 or 1.",
    example!("strings.compare(v: \"a\", t: \"b\")"),
    |call| with_other(call, "t", |v, t| Value::Int(v.as_bytes().cmp(t.as_bytes()) as i64)),
);
static COUNT_STR: Builtin = function(
    "countStr",
    "(v: string, substr: string) => int",
    "How often the text holds substr, without overlaps; the empty text once more than there are characters.",
    example!("strings.countStr(v: \"banana\", substr: \"an\")"),
    |call| with_other(call, "substr", |v, part| Value::Int(v.matches(part).count() as i64)),
);
static INDEX: Builtin = function(
    "index",
    "(v: string, substr: string) => int",
    "The byte at which substr first begins, or -1.",
    example!("strings.index(v: \"banana\", substr: \"an\")"),
    |call| with_other(call, "substr", |v, part| place(v.find(part))),
);
static INDEX_ANY: Builtin = function(
    "indexAny",
    "(v: string, chars: string) => int",
    "The byte at which one of the characters first stands, or -1.",
    example!("strings.indexAny(v: \"banana\", chars: \"nb\")"),
    |call| with_other(call, "chars", |v, set| place(v.find(|c: char| set.contains(c)))),
);
static LAST_INDEX: Builtin = function(
    "lastIndex",
    "(v: string, substr: string) => int",
    "The byte at which substr last begins, or -1.",
    example!("strings.lastIndex(v: \"banana\", substr: \"an\")"),
    |call| with_other(call, "substr", |v, part| place(v.rfind(part))),
);
static LAST_INDEX_ANY: Builtin = function(
    "lastIndexAny",
    "(v: string, chars: string) => int",
    "The byte at which one of the characters last stands, or -1.",
    example!("strings.lastIndexAny(v: \"banana\", chars: \"nb\")"),
    |call| with_other(call, "chars", |v, set| place(v.rfind(|c: char| set.contains(c)))),
);
static IS_DIGIT: Builtin = function(
    "isDigit",
    OF_CHARACTER,
    "Whether the one character of the text is a decimal digit.",
    example!("strings.isDigit(v: \"7\")"),
    |call| character(call, |c| c.is_ascii_digit()),
);
static IS_LETTER: Builtin = function(
    "isLetter",
    OF_CHARACTER,
    "Whether the one character of the text is a letter.",
    example!("strings.isLetter(v: \"a\")"),
    |call| character(call, char::is_alphabetic),
);
static IS_LOWER: Builtin = function(
    "isLower",
    OF_CHARACTER,
    "Whether the one character of the text is a lower case letter.",
    example!("strings.isLower(v: \"a\")"),
    |call| character(call, char::is_lowercase),
);
static IS_UPPER: Builtin = function(
    "isUpper",
    OF_CHARACTER,
    "Whether the one character of the text is an upper case letter.",
    example!("strings.isUpper(v: \"A\")"),
    |call| character(call, char::is_uppercase),
);
static STRLEN: Builtin = function(
    "strlen",
    "(v: string) => int",
    "How many characters the text has.",
    example!("strings.strlen(v: \"hall\")"),
    |call| if any_null(call) { Ok(Value::Null) } else { Ok(Value::Int(call.string("v")?.chars().count() as i64)) },
);

fn place(byte: Option<usize>) -> Value {
    Value::Int(byte.map_or(-1, |byte| byte as i64))
}

fn character(call: &Call<'_>, holds: impl FnOnce(char) -> bool) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    let v = call.string("v")?;
    let mut characters = v.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Ok(Value::Bool(holds(only))),
        _ => Err(Error::invalid(format!(
            "strings.{} takes a text of one character, found {:?}",
            call.builtin.name,
            v.chars().take(60).collect::<String>()
        ))),
    }
}
