//! Package `regexp`: patterns made, searched for, replaced (flux-semantics 12.5).
//!
//! A null argument gives null. Places are bytes. Searches take time in proportion to the text: the engine knows no
//! backtracking.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flux::Value;
use crate::flux::builtin::{Builtin, Call};
use crate::flux::library::Package;
use crate::functions::arguments::{Arguments, any_null};

const PACKAGE: &str = "regexp";

/// The longest text that a replacement gives, in bytes.
const MOST_BYTES: usize = 64 << 20;

macro_rules! example {
    ($call:literal) => {
        &[concat!("import \"array\"\nimport \"regexp\"\n\narray.from(rows: [{v: ", $call, "}])")]
    };
}

const fn function(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    examples: &'static [&'static str],
    body: fn(&mut Call<'_>) -> Result<Value>,
) -> Builtin {
    Builtin { package: PACKAGE, name, signature, doc, examples, body }
}

static COMPILE: Builtin = function(
    "compile",
    "(v: string) => regexp",
    "The text as a regular expression.",
    example!("\"hall 2\" =~ regexp.compile(v: \"hall [0-9]\")"),
    |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let text = call.string("v")?;
        let pattern = regex::Regex::new(&text);
        let pattern = pattern.map_err(|error| {
            // The last line of several says what is wrong.
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string();
            Error::invalid(format!("regex parse error: {why} in {:?}", &*text))
        })?;
        Ok(Value::Regexp(Arc::new(pattern)))
    },
);

static QUOTE_META: Builtin = function(
    "quoteMeta",
    "(v: string) => string",
    "The text with whatever means something in a regular expression escaped.",
    example!("regexp.quoteMeta(v: \"1.5\")"),
    |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        const SPECIAL: &str = "\\.+*?()|[]{}^$";
        let text = call.string("v")?;
        let mut quoted = String::with_capacity(text.len() * 2);
        for character in text.chars() {
            if SPECIAL.contains(character) {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        Ok(Value::string(quoted))
    },
);

static FIND_STRING: Builtin = function(
    "findString",
    "(r: regexp, v: string) => string",
    "The first part of the text that the pattern matches; empty if there is none.",
    example!("regexp.findString(r: /[0-9]+/, v: \"hall 12\")"),
    |call| searched(call, |pattern, text| Value::string(pattern.find(text).map_or("", |found| found.as_str()))),
);

static FIND_STRING_INDEX: Builtin = function(
    "findStringIndex",
    "(r: regexp, v: string) => [int]",
    "The bytes at which the first match begins and ends; empty if there is none.",
    example!("regexp.findStringIndex(r: /[0-9]+/, v: \"hall 12\")[0]"),
    |call| {
        searched(call, |pattern, text| {
            let places = pattern.find(text).map(|found| [found.start(), found.end()]);
            Value::Array(places.into_iter().flatten().map(|place| Value::Int(place as i64)).collect())
        })
    },
);

static MATCH_REGEXP_STRING: Builtin = function(
    "matchRegexpString",
    "(r: regexp, v: string) => bool",
    "Whether the pattern matches a part of the text.",
    example!("regexp.matchRegexpString(r: /^hall/, v: \"hall 12\")"),
    |call| searched(call, |pattern, text| Value::Bool(pattern.is_match(text))),
);

static REPLACE_ALL_STRING: Builtin = function(
    "replaceAllString",
    "(r: regexp, v: string, t: string) => string",
    "The text with every match replaced by t, in which $1 or ${name} stand for groups of the match.",
    example!("regexp.replaceAllString(r: /([a-z]+) ([0-9]+)/, v: \"hall 12\", t: \"$2 $1\")"),
    |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let template = call.string("t")?;
        let mut replaced = String::new();
        let mut long = false;
        let value = searched(call, |pattern, text| {
            let mut last = 0;
            for captures in pattern.captures_iter(text) {
                let Some(whole) = captures.get(0) else { continue };
                replaced.push_str(&text[last..whole.start()]);
                captures.expand(&template, &mut replaced);
                last = whole.end();
                long = replaced.len() > MOST_BYTES;
                if long {
                    break;
                }
            }
            replaced.push_str(&text[last..]);
            Value::Null
        });
        value?;
        match long {
            true => Err(Error::resource_exhausted("regexp.replaceAllString would make a text longer than 64 MiB")),
            false => Ok(Value::string(replaced)),
        }
    },
);

static SPLIT_REGEXP: Builtin = function(
    "splitRegexp",
    "(r: regexp, v: string, i: int) => [string]",
    "At most i parts of the text between the matches, the last one with all of the rest; none for 0, all for a negative i.",
    example!("regexp.splitRegexp(r: /a*/, v: \"baaac\", i: -1)[1]"),
    |call| {
        if any_null(call) {
            return Ok(Value::Null);
        }
        let most = usize::try_from(call.int("i")?).unwrap_or(usize::MAX);
        searched(call, |pattern, text| {
            Value::Array(split(pattern, text, most).into_iter().map(Value::string).collect())
        })
    },
);

static GET_STRING: Builtin = function(
    "getString",
    "(r: regexp) => string",
    "The pattern as text.",
    example!("regexp.getString(r: /[0-9]+/)"),
    |call| if any_null(call) { Ok(Value::Null) } else { Ok(Value::string(pattern(call)?.as_str())) },
);

/// The package.
pub fn package() -> Package {
    Package {
        path: PACKAGE,
        builtins: vec![
            &COMPILE,
            &FIND_STRING,
            &FIND_STRING_INDEX,
            &GET_STRING,
            &MATCH_REGEXP_STRING,
            &QUOTE_META,
            &REPLACE_ALL_STRING,
            &SPLIT_REGEXP,
        ],
        ..Package::default()
    }
}

fn pattern(call: &Call<'_>) -> Result<Arc<regex::Regex>> {
    match call.required("r")? {
        Value::Regexp(pattern) => Ok(Arc::clone(pattern)),
        other => Err(call.mismatch("r", "regexp", other)),
    }
}

/// What a search in `v` gives.
fn searched(call: &Call<'_>, search: impl FnOnce(&regex::Regex, &str) -> Value) -> Result<Value> {
    if any_null(call) {
        return Ok(Value::Null);
    }
    Ok(search(&*pattern(call)?, &call.string("v")?))
}

/// The parts between matches: an empty match at the start or right behind the last match splits nothing off.
fn split<'a>(pattern: &regex::Regex, text: &'a str, most: usize) -> Vec<&'a str> {
    if most == 0 {
        return Vec::new();
    }
    if text.is_empty() && !pattern.as_str().is_empty() {
        return vec![""];
    }
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in pattern.find_iter(text) {
        if parts.len() + 1 == most {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(&text[begin..end]);
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(&text[begin..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::split;

    #[test]
    fn texts_are_split_at_matches() {
        // Go's Regexp.Split, whose rules the reference takes over.
        let cases: [(&str, &str, usize, &[&str]); 8] = [
            ("a*", "abaabaccadaaae", 5, &["", "b", "b", "c", "cadaaae"]),
            (",", "a,b,c", usize::MAX, &["a", "b", "c"]),
            (",", "a,b,c", 2, &["a", "b,c"]),
            (",", "a,b,c", 0, &[]),
            (",", "", usize::MAX, &[""]),
            (",", "a,", usize::MAX, &["a", ""]),
            ("z", "abc", usize::MAX, &["abc"]),
            ("x*", "abc", usize::MAX, &["a", "b", "c"]),
        ];
        for (pattern, text, most, expected) in cases {
            assert_eq!(split(&regex::Regex::new(pattern).unwrap(), text, most), expected, "{pattern} {text} {most}");
        }
    }
}
