//! Texts made of texts: case, ends cut off, parts replaced, repeated, taken out.

use super::{bounded, example, fold, function, text, with_other};
use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::functions::arguments::{Arguments, any_null};

const OF_TEXT: &str = "(v: string) => string";

/// The functions.
pub(super) static BUILTINS: [&Builtin; 14] = [
    &TITLE,
    &TO_UPPER,
    &TO_LOWER,
    &TO_TITLE,
    &TRIM,
    &TRIM_LEFT,
    &TRIM_RIGHT,
    &TRIM_PREFIX,
    &TRIM_SUFFIX,
    &TRIM_SPACE,
    &REPEAT,
    &REPLACE,
    &REPLACE_ALL,
    &SUBSTRING,
];

static TITLE: Builtin = function(
    "title",
    OF_TEXT,
    "The text with the first letter of every word in title case.",
    example!("strings.title(v: \"the north hall\")"),
    |call| text(call, fold::titled),
);
static TO_UPPER: Builtin =
    function("toUpper", OF_TEXT, "The text in upper case.", example!("strings.toUpper(v: \"hall\")"), |call| {
        text(call, |v| v.chars().map(fold::upper).collect())
    });
static TO_LOWER: Builtin =
    function("toLower", OF_TEXT, "The text in lower case.", example!("strings.toLower(v: \"HALL\")"), |call| {
        text(call, |v| v.chars().map(fold::lower).collect())
    });
static TO_TITLE: Builtin = function(
    "toTitle",
    OF_TEXT,
    "The text with every letter in title case.",
    example!("strings.toTitle(v: \"hall\")"),
    |call| text(call, |v| v.chars().map(fold::title).collect()),
);

static TRIM: Builtin = function(
    "trim",
    "(v: string, cutset: string) => string",
    "The text without the characters of cutset at either end.",
    example!("strings.trim(v: \"..hall..\", cutset: \".\")"),
    |call| with_other(call, "cutset", |v, set| Value::string(v.trim_matches(|c: char| set.contains(c)))),
);
static TRIM_LEFT: Builtin = function(
    "trimLeft",
    "(v: string, cutset: string) => string",
    "The text without the characters of cutset at its start.",
    example!("strings.trimLeft(v: \"..hall..\", cutset: \".\")"),
    |call| with_other(call, "cutset", |v, set| Value::string(v.trim_start_matches(|c: char| set.contains(c)))),
);
static TRIM_RIGHT: Builtin = function(
    "trimRight",
    "(v: string, cutset: string) => string",
    "The text without the characters of cutset at its end.",
    example!("strings.trimRight(v: \"..hall..\", cutset: \".\")"),
    |call| with_other(call, "cutset", |v, set| Value::string(v.trim_end_matches(|c: char| set.contains(c)))),
);
static TRIM_PREFIX: Builtin = function(
    "trimPrefix",
    "(v: string, prefix: string) => string",
    "The text without prefix at its start, once.",
    example!("strings.trimPrefix(v: \"plant/h2\", prefix: \"plant/\")"),
    |call| with_other(call, "prefix", |v, prefix| Value::string(v.strip_prefix(prefix).unwrap_or(v))),
);
static TRIM_SUFFIX: Builtin = function(
    "trimSuffix",
    "(v: string, suffix: string) => string",
    "The text without suffix at its end, once.",
    example!("strings.trimSuffix(v: \"21.5 bar\", suffix: \" bar\")"),
    |call| with_other(call, "suffix", |v, suffix| Value::string(v.strip_suffix(suffix).unwrap_or(v))),
);
static TRIM_SPACE: Builtin = function(
    "trimSpace",
    OF_TEXT,
    "The text without white space at either end.",
    example!("strings.trimSpace(v: \"  hall \")"),
    |call| text(call, |v| v.trim().to_string()),
);

static REPEAT: Builtin = function(
    "repeat",
    "(v: string, i: int) => string",
    "The text i times.",
    example!("strings.repeat(v: \"ab\", i: 3)"),
    |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let (v, times) = (call.string("v")?, call.int("i")?);
        let times = usize::try_from(times)
            .map_err(|_| Error::invalid(format!("strings.repeat cannot repeat a text {times} times")))?;
        bounded(call, v.len().checked_mul(times))?;
        Ok(Value::string(v.repeat(times)))
    },
);

static REPLACE: Builtin = function(
    "replace",
    "(v: string, t: string, u: string, i: int) => string",
    "The text with the first i occurrences of t replaced by u; all of them if i is negative.",
    example!("strings.replace(v: \"a-b-c\", t: \"-\", u: \"+\", i: 1)"),
    |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let most = call.int("i")?;
        replaced(call, usize::try_from(most).unwrap_or(usize::MAX))
    },
);
static REPLACE_ALL: Builtin = function(
    "replaceAll",
    "(v: string, t: string, u: string) => string",
    "The text with all occurrences of t replaced by u.",
    example!("strings.replaceAll(v: \"a-b-c\", t: \"-\", u: \"+\")"),
    |call| if any_null(call) { Ok(Value::Null) } else { replaced(call, usize::MAX) },
);

fn replaced(call: &Call<'_>, most: usize) -> Result<Value> {
    let (v, old, new) = (call.string("v")?, call.string("t")?, call.string("u")?);
    let count = v.matches(&*old).take(most).count();
    bounded(call, new.len().checked_mul(count).and_then(|added| added.checked_add(v.len())))?;
    Ok(Value::string(v.replacen(&*old, &new, most)))
}

static SUBSTRING: Builtin = function(
    "substring",
    "(v: string, start: int, end: int) => string",
    "The characters from start up to but not including end, counted from 0; what lies outside is left out.",
    example!("strings.substring(v: \"generator\", start: 0, end: 3)"),
    |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let (v, start, end) = (call.string("v")?, call.int("start")?, call.int("end")?);
        let start = usize::try_from(start).unwrap_or(0);
        let end = usize::try_from(end).unwrap_or(0);
        let taken: String = v.chars().skip(start).take(end.saturating_sub(start)).collect();
        Ok(Value::string(taken))
    },
);
